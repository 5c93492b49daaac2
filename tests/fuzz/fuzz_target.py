"""One reply, everything the SDK does with it, and the rule: a correct object, or the error that says what is wrong.

The resources' own methods run, over a transport that brings the given reply in place of the network. No event loop
takes part, so that thousands of replies a second can be tried.
"""

import asyncio
import math
import pickle
import re
import unicodedata
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Final

import attrs
import fuzz_json
import fuzz_rule as rule
from calls import CALLS
from fuzz_parts import NAMES, Broken, check_attribution, check_headers, names_of
from multidict import CIMultiDict

from thrive_async import (
    APIError,
    ApiKey,
    ClientCredentials,
    DecodeError,
    ResultUnknown,
    ThriveClient,
    ThriveError,
    UnprocessableError,
)
from thrive_async import models as m
from thrive_async._gate.gate import Gate
from thrive_async._generated.operations import OPERATIONS
from thrive_async._http.attempt import Call, of_reply
from thrive_async._http.request import Reply, Request
from thrive_async._http.token import TokenEndpoint
from thrive_async.auth import AccessToken, Authorizer, FixedHeader, Secret
from thrive_async.config import Limits, Timeouts
from thrive_async.errors import error_class
from thrive_async.pagination import Page, Paginator
from thrive_async.resources._moves import member_operations
from thrive_async.sync._apply.writes import told_by_refusal

GATE: Final = Gate(Limits())
TARGETS: Final = (*CALLS, "createAccessToken", "request by hand")
_SCHEMAS: Final = {name: rule.reply_schema(name) for name in CALLS}
_LONGEST_LINE: Final = 1200


def are_words(body: bytes) -> bool:
    """Tell whether a body that is not JSON confirms a write: text, but neither cut JSON nor a gateway's page."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    garbled = any(unicodedata.category(char).startswith("C") and not char.isspace() for char in text)
    return not garbled and not text.lstrip().startswith(("{", "[", '"', "<"))


@attrs.define
class Network:
    """Stands where the network is: answers every request with one reply, but for the reading after a write."""

    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""
    wrote: bool = False

    def reply(self, request: Request) -> Reply:
        """The reply; what a write made is not found when it is read."""
        if request.operation.method != "GET":
            self.wrote = True
        elif self.wrote:
            return Reply(404, CIMultiDict(), b"")
        return Reply(self.status, CIMultiDict(self.headers), self.body)

    async def send(
        self,
        request: Request,
        timeouts: Timeouts | None = None,
        *,
        wanted: asyncio.Event | None = None,
        authorizer: Authorizer | None = None,
        base_url: str = "http://127.0.0.1:9",
    ) -> Reply:
        """Judge the reply as `Transport.send` does after one attempt."""
        loop = asyncio.get_running_loop()
        call = Call(
            request, timeouts or Timeouts(), loop, None, authorizer or FixedHeader(None), base_url, GATE, attempts=1
        )
        result = of_reply(call, self.reply(request), None)
        if isinstance(result, Reply):
            return result
        raise result.failure()

    async def send_for_token(self, request: Request, header: Secret | None) -> Reply:
        return await self.send(request, authorizer=FixedHeader(header))


NETWORK: Final = Network()


def _client() -> ThriveClient:
    """Make a client over `NETWORK`; it opens nothing, so there is nothing to close."""
    made = ThriveClient("tenant", ApiKey("key"), base_url="http://127.0.0.1:9", strict=True)
    made._transport.send = NETWORK.send  # type: ignore[method-assign]
    return made


_CLIENT: Final = _client()


class _Clock(asyncio.AbstractEventLoop):
    """All that a call may want of a loop when its reply is at hand."""

    def time(self) -> float:
        return 0.0


_CLOCK: Final = _Clock()


def driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end without a loop; it may only yield to others (`asyncio.sleep(0)`)."""
    asyncio._set_running_loop(_CLOCK)
    try:
        while coroutine.send(None) is None:
            pass
    except StopIteration as end:
        return end.value
    finally:
        asyncio._set_running_loop(None)
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
    finally:
        NETWORK.wrote = False
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
    if target == "listSkillLevels":
        # Its first page: to read more takes a loop.
        given = {"per_page": None, "prefetch": 1, "timeouts": None}
        made: Any = _CLIENT.skills._list(OPERATIONS[target], m.SkillLevel, given)
    else:
        made = CALLS[target].call(_CLIENT)
    return driven(made._page(1, made._per_page) if isinstance(made, Paginator) else made)


# A success


def _check_success(target: str, result: Any, error: ThriveError | None, status: int, body: bytes) -> str:
    if target in OPERATIONS and OPERATIONS[target].any_answer:
        names_a_failure = isinstance(error, APIError) and isinstance(error.body, dict) and error.body.get("failure")
        if (error is not None and not names_a_failure) or result is not None:
            raise Broken(f"a 2xx without a known shape became {error!r}, {result!r}")
        return "done"
    if target == "request by hand" and not body:
        if error is not None or result is not None:
            raise Broken("an empty body is None")
        return "done"
    writes = target in OPERATIONS and OPERATIONS[target].method != "GET"
    try:
        document = fuzz_json.decode(body)
    except fuzz_json.NoJson:
        if not writes or not are_words(body):
            _check_unreadable(target, error, body)
            if error.path != "$":  # type: ignore[union-attr]
                raise Broken(f"a body that is no JSON has no {error.path}") from None  # type: ignore[union-attr]
            return "unreadable"
        document = None
    except fuzz_json.Unjudged:
        # orjson goes to 1,024 levels: whether it was read or not, it was by the same rule.
        if error is not None:
            _check_unreadable(target, error, body)
        return "read" if error is None else "unreadable"
    if isinstance(error, DecodeError) and fuzz_json.beyond_any_float(body):
        # JSON, but orjson has no number for it.
        _check_unreadable(target, error, body)
        return "unreadable"
    if target == "request by hand":
        if error is not None or not fuzz_json.same(result, document):
            raise Broken(f"JSON became {error!r}, {result!r}")
        return "read"
    pointer = _SCHEMAS[target]
    assert pointer is not None
    if writes:
        document = _of_written(pointer, result, error, status, document)
        if document is None:
            return "done"
    if error is not None:
        _check_unreadable(target, error, body)
        if not fuzz_json.leads_somewhere(error.path, document):  # type: ignore[attr-defined]
            raise Broken(f"{error.path!r} is no place in it")  # type: ignore[attr-defined]
        negative = error.path.startswith("$.pagination.")  # type: ignore[attr-defined]
        if rule.sound(pointer, document) and not fuzz_json.any_number_beyond(document) and not negative:
            raise Broken(f"it matches the specification, but was refused: {error}")
        return "unreadable"
    if type(result) is list or isinstance(result, Page):
        _check_list(target, pointer, result, document, body)
    elif rule.sound(pointer, document, dates=False) is False or not rule.says(pointer, result, document):
        raise Broken(f"a wrong value: {_shown(result)} of {document!r}")
    if isinstance(result, m.CompletionReceipt):
        told = status == 201 or result.statement_id is not None
        if result.created is not ((status == 201) if told else None):
            raise Broken("`created` tells the status")
    if isinstance(result, m.MemberOperationResult):
        check_attribution(names_of(document), result)
    return "read"


def _of_written(pointer: str, result: Any, error: ThriveError | None, status: int, document: Any) -> Any:
    """Check a write that was only confirmed, and return None; else what the result must say."""
    held: dict[str, Any] = document if type(document) is dict else {}
    match pointer.rpartition("/")[2]:
        case "MemberOperationResult":
            if any(type(held.get(part)) is dict for part in ("success", "failure")):
                return held
            expected: Any = m.MemberOperationResult()
        case "Acknowledgement":
            if type(document) is dict:
                return {**held, "status": status if held.get("status") is None else held["status"]}
            expected = m.Acknowledgement(status=status, message=document if type(document) is str else None)
        case "CompletionReceipt":
            return {name: item for name, item in held.items() if name != "created"}
        case _:
            if not isinstance(error, ResultUnknown):
                return _of_moved(result, held) if isinstance(result, m.MovedAudience) else held
            if type(held.get("id")) is str and held["id"]:
                raise Broken(f"the reply holds what the error says it does not: {error!r}")
            return None
    if error is not None or result != expected:
        raise Broken(f"a write that was done became {error!r}, {result!r}")
    return None


def _of_moved(result: m.MovedAudience, held: dict[str, Any]) -> dict[str, Any]:
    """Check the results without a name, and return the rest."""
    operations = held.get("memberOperations")
    if rule.says("/components/schemas/MovedAudience/properties/memberOperations", result.member_operations, operations):
        return held
    _check_results(result.member_operations, held)
    result.member_operations = None
    return {**held, "memberOperations": None}


def _check_list(target: str, pointer: str, result: Any, document: Any, body: bytes) -> None:
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
    try:
        raw = result.raw
    except DecodeError:
        if not fuzz_json.beyond_any_float(body):
            raise Broken("Page.raw holds no number that no float does, and was refused") from None
    else:
        if not fuzz_json.same(raw, items):
            raise Broken("Page.raw is not what Thrive sent")
    totals = document.get("pagination") if type(document) is dict else None
    expected = rule.pages_told(totals, OPERATIONS[target].per_page, len(items))
    if (result.total_pages, result.total_results) != expected:
        raise Broken(f"totals {result.total_pages}, {result.total_results} in place of {expected}")
    repr(result)


def _check_unreadable(target: str, error: ThriveError | None, body: bytes) -> None:
    if not isinstance(error, DecodeError):
        raise Broken(f"what cannot be read became {error!r}: {target} {body!r}")
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
        document = fuzz_json.decode(body)
    except fuzz_json.Unjudged:
        return "read"
    told = [document.get(name) for name in ("access_token", "accessToken")]
    # Some servers write the scheme in front, and blanks around a token are no part of it.
    named = {re.sub(r"(?i)^bearer\s+", "", text.strip()).strip() for text in told if isinstance(text, str)}
    if type(result) is not AccessToken or result.token.reveal() not in named:
        raise Broken("another token")
    if not result.header.reveal().isascii() or not result.header.reveal().isprintable():
        raise Broken("a token that no header can carry")
    if not (0 < result.lifetime < math.inf):
        raise Broken(f"a lifetime of {result.lifetime}")
    lifetime = document.get("expires_in")
    if type(lifetime) in (int, float) and 1 <= lifetime <= 86400 and result.lifetime != lifetime:
        raise Broken(f"a lifetime of {result.lifetime} in place of {lifetime}")
    return "read"


# A refusal


def _check_refusal(target: str, error: APIError, status: int, headers: Mapping[str, str], body: bytes) -> None:
    if type(error) is not error_class(status) or error.status != status:
        raise Broken(f"status {status} became {error!r}")
    _check_line(error, alone=target != "createAccessToken")
    try:
        document = fuzz_json.decode(body) if body else None
    except fuzz_json.NoJson:
        if error.body != body[:100_000].decode("utf-8", "replace"):
            raise Broken("the body's text is not on the error") from None
    except fuzz_json.Unjudged:
        document = None
        if fuzz_json.depth(error.body) > 51:
            raise Broken("a body nested beyond measure is kept as text") from None
    else:
        as_text = fuzz_json.depth(document) > 50 or len(body) > 1_000_000 or fuzz_json.beyond_any_float(body)
        if not fuzz_json.same(error.body, body[:100_000].decode() if as_text else document):
            raise Broken("the body is not on the error")
        if as_text:
            document = error.body
        said = document.get("message") if type(document) is dict else None
        if said is not None and not fuzz_json.same(error.message, said):
            raise Broken("Thrive's message is not on the error")
        check_member_operations(document)
    if type(error.error) is not str or not error.error:
        raise Broken("an error without a name")
    twin = pickle.loads(pickle.dumps(error))
    if str(twin) != str(error) or dict(twin.headers) != dict(CIMultiDict(headers)):
        raise Broken("another error after pickling")
    if target == "updateAudience" and isinstance(error, UnprocessableError):
        _check_results(error.member_operations, error.body)
    told = told_by_refusal(NAMES, error)
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
            raise Broken(f"{result!r} stands nowhere in the body: {document!r}")
        check_attribution(names_of(document), result)


def _is_made_of(result: Any, place: dict[str, Any]) -> bool:
    parts = {part: place[part] for part in ("success", "failure") if type(place.get(part)) is dict}
    if not parts or rule.says("/components/schemas/MemberOperationResult", result, parts):
        return bool(parts)
    # Odd values cost no more than themselves.
    entities = [*((result.success and result.success.entities) or ()), *result.failures]
    words = {str(leaf) for leaf in fuzz_json.leaves(parts)}
    return {entity.reference for entity in entities} <= {None, *words}


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
