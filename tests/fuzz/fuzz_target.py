"""One reply, everything the SDK does with it, and the rule: a correct object, or the error that says what is wrong.

The resources' own methods run, over a transport that brings the given reply in place of the network. No event loop
takes part, so that thousands of replies a second can be tried.
"""

import math
import pickle
import re
from collections.abc import Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import fuzz_rule as rule
from multidict import CIMultiDict
from test_resources_completeness import CALLS

from thrive_async import APIError, ApiKey, ClientCredentials, DecodeError, ThriveClient, ThriveError, UnprocessableError
from thrive_async import models as m
from thrive_async._frames import stripped
from thrive_async._generated.operations import OPERATIONS
from thrive_async._headers import request_id, retry_after
from thrive_async._outcome import Call, of_reply
from thrive_async._request import Reply, Request
from thrive_async._token import TokenEndpoint
from thrive_async.auth import FixedHeader, Secret, Token
from thrive_async.config import Timeouts
from thrive_async.errors import error_class
from thrive_async.pagination import Page, Paginator
from thrive_async.resources._moves import member_operations
from thrive_async.sync.batches import attributed
from thrive_async.sync.writes import _told_by_refusal

TARGETS: Final = (*CALLS, "createAccessToken", "request by hand")
NAMES: Final = ("E00001", "e00001", "ada@example.com", "Ada@Example.com ", "nobody", "İstanbul", "é", "")
NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
_SCHEMAS: Final = {name: rule.reply_schema(name) for name in CALLS}
_LONGEST_LINE: Final = 1200


class Broken(AssertionError):  # noqa: N818 - not an error of the program
    """The rule is broken: a finding."""


@attrs.define
class Network:
    """Stands where the network is: answers every request with one reply."""

    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""

    def reply(self) -> Reply:
        return Reply(self.status, CIMultiDict(self.headers), self.body)

    async def send(self, request: Request, timeouts: Timeouts | None = None) -> Reply:
        """Judge the reply as `Transport.send` does after one attempt."""
        call = Call(request, timeouts or Timeouts(), None, FixedHeader(None), "http://127.0.0.1:9", attempts=1)
        result = of_reply(call, self.reply(), None).result()
        if isinstance(result, Reply):
            return result
        raise stripped(result)

    async def send_for_token(self, request: Request, header: Secret | None) -> Reply:
        return await self.send(request)


NETWORK: Final = Network()


def _client() -> ThriveClient:
    """Make a client over `NETWORK`; it opens nothing, so there is nothing to close."""
    made = ThriveClient("tenant", ApiKey("key"), base_url="http://127.0.0.1:9")
    made._transport.send = NETWORK.send  # type: ignore[method-assign]
    return made


_CLIENT: Final = _client()


def driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end without a loop; it may only yield to others (`asyncio.sleep(0)`)."""
    try:
        while coroutine.send(None) is None:
            pass
    except StopIteration as end:
        return end.value
    raise Broken("a reply was waited for")


def check(target: str, status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Let the SDK make what it makes of a reply.

    Args:
        target: One of `TARGETS`.
        status: From 200.
        headers: As aiohttp gives them.
        body: As it came, decompressed.

    Returns:
        What became of it: "read", "unreadable", "refused", "done".

    Raises:
        Broken: It is neither a correct object nor the right error. Anything else but that is a finding too.
    """
    NETWORK.status, NETWORK.headers, NETWORK.body = status, headers, body
    check_headers(headers)
    error: ThriveError | None = None
    result: Any = None
    try:
        result = _made(target)
    except ThriveError as raised:
        error = raised
    if 200 <= status < 300:
        if target == "createAccessToken":
            return _check_token(result, error, body)
        return _check_success(target, result, error, status, body)
    if not isinstance(error, APIError):
        raise Broken(f"status {status} became {error!r}, {result!r}")
    _check_refusal(target, error, status, headers, body)
    return "refused"


def _made(target: str) -> Any:
    if target == "createAccessToken":
        return driven(TokenEndpoint(ClientCredentials("client", "secret"), "tenant", NETWORK.send_for_token).fetch())
    if target == "request by hand":
        return driven(_CLIENT.request("GET", "/rest/v9/things", json={"a": "b"}))
    made = CALLS[target].call(_CLIENT)
    return driven(made._page(1, made._per_page) if isinstance(made, Paginator) else made)


# A success


def _check_success(target: str, result: Any, error: ThriveError | None, status: int, body: bytes) -> str:
    if target in OPERATIONS and OPERATIONS[target].method == "DELETE":
        if error is not None or result is not None:
            raise Broken(f"a delete that is done became {error!r}, {result!r}")
        return "done"
    if target == "request by hand" and not body:
        if error is not None or result is not None:
            raise Broken("an empty body is None")
        return "done"
    try:
        document = rule.decode(body)
    except rule.NoJson:
        _check_unreadable(target, error, body)
        if error.path != "$":  # type: ignore[union-attr]
            raise Broken(f"a body that is no JSON has no {error.path}") from None  # type: ignore[union-attr]
        return "unreadable"
    except rule.Unjudged:
        # orjson goes to 1,024 levels: whether it was read or not, it was by the same rule.
        if error is not None:
            _check_unreadable(target, error, body)
        return "read" if error is None else "unreadable"
    if target == "request by hand":
        if error is not None or not rule.same(result, document):
            raise Broken(f"JSON became {error!r}, {result!r}")
        return "read"
    pointer = _SCHEMAS[target]
    assert pointer is not None
    if error is not None:
        _check_unreadable(target, error, body)
        if not rule.leads_somewhere(error.path, document):  # type: ignore[attr-defined]
            raise Broken(f"{error.path!r} is no place in it")  # type: ignore[attr-defined]
        negative = error.path.startswith("$.pagination.")  # type: ignore[attr-defined]
        if rule.sound(pointer, document) and not rule.any_number_beyond(document) and not negative:
            raise Broken(f"it is as the specification says, and was refused: {error}")
        return "unreadable"
    if type(result) is list or isinstance(result, Page):
        _check_list(target, pointer, result, document)
    elif rule.sound(pointer, document, dates=False) is False or not rule.says(pointer, result, document):
        raise Broken(f"a wrong value: {_shown(result)} of {document!r}")
    if isinstance(result, m.CompletionReceipt) and result.created is not (status == 201):
        raise Broken("`created` tells the status")
    if isinstance(result, m.MemberOperationResult):
        check_attribution(names_of(document), result)
    return "read"


def _check_list(target: str, pointer: str, result: Any, document: Any) -> None:
    items = document if type(document) is list else document.get("results") if type(document) is dict else None
    of_items = rule.items_schema(pointer)
    found = result.items if isinstance(result, Page) else result
    if type(items) is not list or len(items) != len(found):
        raise Broken(f"{len(found)} items out of another number")
    for item, source in zip(found, items, strict=True):
        if rule.sound(of_items, source, dates=False) is False or not rule.says(of_items, item, source):
            raise Broken(f"a wrong value: {_shown(item)} of {source!r}")
    if not isinstance(result, Page):
        return
    if not rule.same(result.raw, items):
        raise Broken("Page.raw is not what Thrive sent")
    totals = document.get("pagination") if type(document) is dict else None
    expected = rule.pages_told(totals, OPERATIONS[target].per_page, len(items))
    if (result.total_pages, result.total_results) != expected:
        raise Broken(f"totals {result.total_pages}, {result.total_results} in place of {expected}")
    repr(result)


def _check_unreadable(target: str, error: ThriveError | None, body: bytes) -> None:
    if not isinstance(error, DecodeError):
        raise Broken(f"what cannot be read became {error!r}")
    if error.body != body or (target in OPERATIONS and error.operation != target):
        raise Broken(f"the error keeps neither body nor operation: {error!r}")
    _check_line(error)


def _check_token(result: Any, error: ThriveError | None, body: bytes) -> str:
    if error is not None:
        if not isinstance(error, DecodeError) or error.body is not None:
            raise Broken(f"a token reply that cannot be read became {error!r}, with a body that may hold a token")
        _check_line(error)
        return "unreadable"
    try:
        document = rule.decode(body)
    except rule.Unjudged:
        return "read"
    if type(result) is not Token or result.header.reveal() != f"Bearer {document['access_token']}":
        raise Broken("another token")
    if not result.header.reveal().isascii() or not result.header.reveal().isprintable():
        raise Broken("a token that no header can carry")
    if not (0 < result.lifetime < math.inf):
        raise Broken(f"a lifetime of {result.lifetime}")
    told = document.get("expires_in")
    if type(told) in (int, float) and 1 <= told <= 86400 and result.lifetime != told:
        raise Broken(f"a lifetime of {result.lifetime} in place of {told}")
    return "read"


# A refusal


def _check_refusal(target: str, error: APIError, status: int, headers: Mapping[str, str], body: bytes) -> None:
    if type(error) is not error_class(status) or error.status != status:
        raise Broken(f"status {status} became {error!r}")
    _check_line(error, alone=target != "createAccessToken")  # there, the transport takes off the rest
    try:
        document = rule.decode(body) if body else None
    except rule.NoJson:
        if error.body != body[:100_000].decode("utf-8", "replace"):
            raise Broken("the body's text is not on the error") from None
    except rule.Unjudged:
        document = None
        if rule.depth(error.body) > 51:
            raise Broken("a body nested beyond measure is kept as text") from None
    else:
        as_text = rule.depth(document) > 50 or len(body) > 1_000_000
        if not rule.same(error.body, body[:100_000].decode() if as_text else document):
            raise Broken("the body is not on the error")
        if as_text:
            document = error.body
        said = document.get("message") if type(document) is dict else None
        if said is not None and not rule.same(error.message, said):
            raise Broken("Thrive's message is not on the error")
        check_member_operations(document)
    if type(error.error) is not str or not error.error:
        raise Broken("an error without a name")
    twin = pickle.loads(pickle.dumps(error))
    if str(twin) != str(error) or dict(twin.headers) != dict(CIMultiDict(headers)):
        raise Broken("another error after pickling")
    if target == "updateAudience" and isinstance(error, UnprocessableError):
        _check_results(error.member_operations, error.body)
    told = _told_by_refusal(NAMES, error)
    if told is not None and told.keys() != set(range(len(NAMES))):
        raise Broken("a refusal that tells of some only is to be split")


def check_member_operations(document: Any) -> None:
    """Hold what a refused move says about members against its body."""
    _check_results(member_operations(document), document)


def _check_results(found: Any, document: Any) -> None:
    if found is None:
        return
    if type(found) is not dict or not found:
        raise Broken(f"results that are none: {found!r}")
    for name, result in found.items():
        if type(name) is not str or type(result) is not m.MemberOperationResult:
            raise Broken(f"a wrong result: {name!r}: {result!r}")
        if not any(_is_made_of(result, place) for place in _objects(document, levels=4)):
            raise Broken(f"{result!r} stands nowhere in the body")
        check_attribution(names_of(document), result)


def _is_made_of(result: Any, place: dict[str, Any]) -> bool:
    parts = {part: place[part] for part in ("success", "failure") if type(place.get(part)) is dict}
    return bool(parts) and rule.says("/components/schemas/MemberOperationResult", result, parts)


def _objects(document: Any, levels: int) -> Iterable[dict[str, Any]]:
    if type(document) is dict and levels:
        yield document
        for value in document.values():
            yield from _objects(value, levels - 1)


def _check_line(error: ThriveError, *, alone: bool = True) -> None:
    line = str(error)
    if "\n" in line or len(line) > _LONGEST_LINE or not line.isprintable():
        raise Broken(f"not one line that is safe to log: {line!r}")
    if (alone and error.__context__ is not None) or error.__cause__ is not None:
        raise Broken("the error drags along what it came from")


def _shown(model: Any) -> str:
    return repr(attrs.asdict(model)) if attrs.has(type(model)) else repr(model)


# Who of a batch went through


def names_of(document: Any) -> list[str]:
    """Choose names that were sent: some that the answer holds, some in another case, some it does not know."""
    found = [leaf for leaf in rule.leaves(document) if type(leaf) is str and len(leaf) < 80][:40]
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


# Headers

_HEADERS_OF_TIME: Final = ("Retry-After", "X-RateLimit-Reset", "RateLimit-Reset", "Date")
_IMF: Final = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT")


def check_headers(headers: Mapping[str, str]) -> None:
    """Hold what is read from headers against what they say."""
    held = CIMultiDict(headers)
    pause = retry_after(held, now=NOW)
    if pause is not None and not (type(pause) is float and 0 <= pause < math.inf):
        raise Broken(f"a pause of {pause!r}")
    told = held.get("retry-after")
    if told is not None:
        if re.fullmatch(r"[0-9]{1,9}", told) and pause != int(told):
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
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


# Bytes that stand for all of it: what a fuzzer mutates

STATUSES: Final = (200, 200, 201, 207, 422, 404, 400, 401, 409, 429, 500, 503, 202, 302, 418, 599, 451, 403)
HEADER_SETS: Final[tuple[Mapping[str, str], ...]] = (
    {"Content-Type": "application/json; charset=utf-8"},
    {},
    {"Content-Type": "text/html; charset=utf-16"},
    {"Content-Type": "application/json", "Retry-After": "7", "X-Request-Id": "r-1"},
)
_HEAD: Final = 3


def packed(target: str, status: int, body: bytes) -> bytes:
    """Write an input of the fuzzer: target, status, headers, body."""
    return bytes([TARGETS.index(target), STATUSES.index(status), 0]) + body


def check_bytes(data: bytes) -> str:
    """Check one input of the fuzzer; a header byte from 0xF0 on makes the first lines of the body headers."""
    if len(data) < _HEAD:
        return "done"
    target = TARGETS[data[0] % len(TARGETS)]
    status = STATUSES[data[1] % len(STATUSES)]
    headers, body = HEADER_SETS[data[2] % len(HEADER_SETS)], data[_HEAD:]
    if data[2] >= 0xF0:
        head, _, body = body.partition(b"\n\n")
        headers = headers_of(head)
    return check(target, status, headers, body)


def headers_of(head: bytes) -> CIMultiDict[str]:
    """Read header lines as leniently as aiohttp's parser; a line without a colon becomes a header of time."""
    found: CIMultiDict[str] = CIMultiDict()
    for at, line in enumerate(head.split(b"\n")[:20]):
        name, colon, value = line.decode("utf-8", "surrogateescape").partition(":")
        if not colon:
            name, value = _HEADERS_OF_TIME[at % 4], name
        value = "".join(char for char in value if char >= " " or char == "\t")
        found.add(name.strip() or _HEADERS_OF_TIME[at % 4], value.strip())
    return found
