"""The parts of the rule that need no call: who of a batch went through, and what headers say."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import fuzz_json
from multidict import CIMultiDict

from thrive_async import models as m
from thrive_async._base.replies import request_id
from thrive_async._http.headers import retry_after
from thrive_async.sync._apply.writes import attributed

NAMES: Final = ("E00001", "e00001", "ada@example.com", "Ada@Example.com ", "nobody", "İstanbul", "é", "")
NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
_IMF: Final = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT")


class Broken(AssertionError):  # noqa: N818 - not an error of the program
    """The rule is broken: a finding."""


def names_of(document: Any) -> list[str]:
    """Choose names that were sent: some that the answer holds, some in another case, some it does not know."""
    found = [leaf for leaf in fuzz_json.leaves(document) if type(leaf) is str and len(leaf) < 80][:40]
    chosen = [name.upper() if at % 3 == 1 else name for at, name in enumerate(found) if at % 4 != 3]
    return list(dict.fromkeys([*chosen, *NAMES]))[:100]


def check_attribution(names: list[str], result: m.MemberOperationResult) -> None:
    """Nobody counts as done or as failed who was not named so; everybody has one outcome."""
    told = attributed(names, result)
    outcomes = [*told.done, *told.failed, *told.unknown]
    if sorted(outcomes) != list(range(len(names))):
        raise Broken(f"everybody has one outcome, and not {told!r}")
    succeeded = {_key(one.reference) for one in (result.success and result.success.entities) or []}
    failures = (result.failure and result.failure.entities) or []
    failed = {_key(one.reference) for one in failures}
    failed_at_all = bool(failures or (result.failure and result.failure.count))
    all_counted = not failed_at_all and result.success is not None and result.success.count == len(names)
    for place in told.done:
        if _key(names[place]) in failed or (_key(names[place]) not in succeeded and not all_counted):
            # Two names of the batch may be the same but for their case, and only one of them be meant.
            exact = {one.reference for one in (result.success and result.success.entities) or []}
            if names[place] not in exact:
                raise Broken(f"{names[place]!r} was not named as done")
    for place in told.failed:
        if _key(names[place]) not in failed:
            raise Broken(f"{names[place]!r} was not named as failed")


def _key(name: str | None) -> str | None:
    return None if name is None else name.strip().lower()


def check_headers(headers: Mapping[str, str]) -> None:
    """Hold what is read from headers against what they say."""
    held = CIMultiDict(headers)
    pause = retry_after(held, now=NOW)
    if pause is not None and not (type(pause) is float and 0 <= pause < math.inf):
        raise Broken(f"a pause of {pause!r}")
    told = held.get("retry-after")
    if told is not None:
        # From 100,000,000 on, a number is a moment and not three years of seconds.
        if re.fullmatch(r"[0-9]{1,8}", told) and pause != int(told):
            raise Broken(f"a pause of {pause!r} in place of {told}")
        moment, sent = _imf(told), _imf(held.get("date", ""))
        if moment is not None and (sent is not None or "date" not in held):
            expected = max(0.0, moment - (NOW if sent is None else sent))
            if pause != expected:
                raise Broken(f"a pause of {pause!r} until {told}")
    identity = request_id(held)
    if identity is not None and (not identity.isprintable() or len(identity) > 200):
        raise Broken("a request id that is not safe to log")


def _imf(text: str) -> float | None:
    if not _IMF.fullmatch(text):
        return None
    try:
        moment = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    # `email` reads the year 0099 as 1999, as RFC 5322 wants it.
    return moment.timestamp() if moment.year >= 1000 else None
