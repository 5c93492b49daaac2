"""Thrive's words, made safe to log.

Error texts end up in logs, and Thrive's words often quote the person they are about: the one the caller named, or one
that only Thrive knows. So a text keeps the words that explain, which are small English words and the API's own names,
and hides the rest. What Thrive really said is on the error (`APIError.message`, `.body`).
"""

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

import attrs

HIDDEN: Final = "***"
_LONGEST: Final = 300
_LONGEST_READ: Final = 10_000
# What the caller sent is hidden wherever it stands if it has so many characters, and as a whole word if fewer.
_DISTINCTIVE: Final = 5
_TOKEN: Final = re.compile(
    r"[^\s\"'`\u2018\u2019\u201c\u201d<>()\[\]{},;:=|]+(?:['\u2019](?!\s)[^\s\"'`<>()\[\]{},;:=|]+)*"
)
_PLAIN: Final = re.compile(r"[a-z]+(?:['\u2019][a-z]{1,2})?|[0-9]{1,4}(?:\.[0-9]{1,3})?%?")
_RUN: Final = re.compile(r"\*\*\*(?:[\s'\"\u2019-]*\*\*\*)+")
# Words that begin sentences, abbreviations, and codes of errors; other capitals may be those of a name.
_KNOWN: Final = (
    "a all already an and any api are array at audience be body boolean both but by cannot date did do does "
    "duplicate each email every failed field for forbidden from given has have html http https i id ids if in "
    "internal invalid is iso it its json learner letters manager member missing more must neither no none not "
    "nothing null number object of only or other parameter please property quota rate reference request required "
    "resource retry server should so some something status string such tag tenant than that the their there these "
    "they this to token too unable unauthorized unexpected unknown unsupported updated url user users utc utf "
    "uuid validation value wait we when while with you your e-mail api-controlled read-only oauth bearer basic "
    "client-id invalid_request invalid_client invalid_grant invalid_scope unauthorized_client "
    "unsupported_grant_type access_denied rate_limit_exceeded server_error temporarily_unavailable "
    "unprocessable_entity not_found"
)

_PLACES: Final = frozenset({"query", "path", "body", "header", "$"})


def masked_words(words: object, sent: Iterable[str] = ()) -> str:
    """Put Thrive's words into one short line that is safe to log.

    Args:
        words: The `message` of an error body, string or object, or the text of a body that is no JSON.
        sent: The strings of the request, hidden whatever they look like: path arguments, query values, leaves of the
            body.
    """
    if words is None:
        return ""
    hide = _pattern_of(sent)
    left = _LONGEST_READ

    def masked(value: Any) -> Any:
        # Leaf by leaf: in the JSON of an object, a quotation mark in a name would hide it from the pattern.
        nonlocal left
        left -= 1
        if isinstance(value, str):
            if len(value) > left:
                # Not inside a word, for half of what is to be hidden would be shown.
                value = value[: max(left, 0)].rpartition(" ")[0]
            left -= len(value)
            value = _TOKEN.sub(_kept, hide.sub(HIDDEN, value) if hide else value)
            return _RUN.sub(HIDDEN, value)
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {masked(key): masked(item) for key, item in fields.items() if left > 0}
        if isinstance(value, list):
            return [masked(item) for item in cast("list[Any]", value) if left > 0]
        return value if isinstance(value, bool) or not isinstance(value, int | float) else _kept_number(value)

    text = masked(words)
    if not isinstance(text, str):
        text = json.dumps(text, ensure_ascii=False, default=str)
    text = "".join(char if char.isprintable() else " " for char in text[:_LONGEST_READ])
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _kept(token: re.Match[str]) -> str:
    """Return a token if it explains, else stars."""
    whole = token[0]
    core = whole.rstrip(".!?")
    if not core or HIDDEN in core or _PLAIN.fullmatch(core) or core in _api_words() or core.lower() in _english():
        return whole
    # A place in the request: `query.perPage`, `body.2.reference`.
    place, *inner = core.split(".")
    if place in _PLACES and all(part in _api_words() or (part.isdecimal() and len(part) < 5) for part in inner):
        return whole
    return HIDDEN + whole[len(core) :]


def _kept_number(value: float) -> float | str:
    return value if abs(value) < 10_000 else HIDDEN


def _pattern_of(sent: Iterable[str]) -> re.Pattern[str] | None:
    values = {value for value in sent if len(value) >= 2} - _api_words()
    values |= {quote(value, safe="") for value in values}
    words = (re.escape(value) for value in sorted(values, key=len, reverse=True))
    patterns = [word if len(word) >= _DISTINCTIVE else rf"(?<!\w){word}(?!\w)" for word in words]
    return re.compile("|".join(patterns), re.IGNORECASE) if patterns else None


@cache
def _english() -> frozenset[str]:
    phrases = " ".join(status.phrase for status in HTTPStatus)
    return frozenset((_KNOWN + " " + phrases).lower().split())


@cache
def _api_words() -> frozenset[str]:
    """Return the names of fields, types, parameters and values in the specification: they say nothing of anybody."""
    from thrive_async._generated import models  # noqa: PLC0415 - an error has the time
    from thrive_async._generated.operations import OPERATIONS  # noqa: PLC0415

    words: set[str] = set()
    for name, one in vars(models).items():
        if isinstance(one, type) and issubclass(one, StrEnum):
            words.update(str(member) for member in one)
        elif isinstance(one, type) and attrs.has(one):
            words.add(name)
            words.update(str(field.metadata.get("json", field.name)) for field in attrs.fields(one))
    for operation in OPERATIONS.values():
        words.update((operation.id, *operation.query, *operation.path_parameters, *operation.path.split("/")))
    return frozenset(words | {word.capitalize() for word in words})
