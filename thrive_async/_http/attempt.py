"""Decides what follows an attempt: a reply, an error or another attempt. It does no I/O."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

import aiohttp
import attrs
import orjson

from thrive_async._gate.gate import Gate
from thrive_async._http.headers import retry_after
from thrive_async._http.request import Reply, Request, refusal, unreadable
from thrive_async._http.retry import status_is_repeatable
from thrive_async.auth import Authorizer
from thrive_async.config import Limits, Priority, Retry, Timeouts
from thrive_async.errors import ConnectionFailed, DecodeError, RequestTimeout, ThriveError

if TYPE_CHECKING:
    from thrive_async.share import Lease

# How a body begins that is JSON cut short, or an HTML page.
_CUT_OR_PAGE: Final = ("{", "[", '"', "<")


@attrs.frozen(eq=False)
class Options:
    """What a view of a client sets for its calls.

    Attributes:
        timeouts: The timeouts of calls that set none; None for the client's.
        retry: How often a call is repeated; None for the client's.
        repeated: Repeats a call after its first attempt; None for the client's way.
        limits: The client's, with the page size and the size of a reply of the view; None for the client's own.
        headers: Headers to send in addition to the client's own.
        priority: Whether its calls start before or after other waiting calls; None for before.
        lease: Nothing is sent once it is lost; None for no such lease.
    """

    timeouts: Timeouts | None = None
    retry: Retry | None = None
    repeated: "Callable[[Call, FailedAttempt], Awaitable[Reply | FailedAttempt]] | None" = None
    limits: Limits | None = None
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    priority: Priority | None = None
    lease: "Lease | None" = None


NO_OPTIONS: Final = Options()


@attrs.define(eq=False)
class Call:
    """One call over all its attempts.

    Attributes:
        request: What is sent.
        timeouts: Its limits.
        loop: The loop that it runs on.
        deadline: The loop time by which the whole call must end.
        authorizer: Makes its Authorization header.
        base_url: The host it goes to.
        gate: The gate it has to pass.
        attempts: How many requests were made.
        sent: Whether the current request has left this machine, as far as we can know.
        maybe_applied: Whether an answer was lost after a request had left.
        ended: How many requests have failed.
        last_words: How the last one failed.
        awaits_token: Whether it waits for a token.
        wanted: Set when the caller is about to read the answer, which is decoded only then; None for at once.
        options: The options of the view it is made through.
        correlation_id: The caller's id for what the call belongs to.
    """

    request: Request
    timeouts: Timeouts
    loop: asyncio.AbstractEventLoop
    deadline: float | None
    authorizer: Authorizer
    base_url: str
    gate: Gate
    attempts: int = 0
    sent: bool = False
    maybe_applied: bool = False
    ended: int = 0
    last_words: str = ""
    awaits_token: bool = False
    wanted: asyncio.Event | None = None
    options: Options = NO_OPTIONS
    correlation_id: str | None = None

    @property
    def priority(self) -> Priority:
        """The priority of the view it is made through."""
        return self.options.priority or "interactive"

    def ends(self, now: float) -> float | None:
        """Return when an attempt that begins now must end; None for never."""
        attempt = self.timeouts.attempt
        if attempt is None:
            return self.deadline
        return now + attempt if self.deadline is None else min(now + attempt, self.deadline)

    def forget(self) -> None:
        """Drop the request's content, such as the client secret. Its summary stays for errors."""
        self.request = attrs.evolve(self.request, body=None, arguments=())

    def note(self, words: str) -> None:
        """Keep how an attempt ended."""
        self.ended, self.last_words = self.attempts, words


@attrs.define(eq=False)
class WatchedCall(Call):
    """A call that hooks or the log are told about.

    Attributes:
        state: What hooks keep between its events.
        headers: What hooks add to the current request.
        unwanted: How many seconds its answer was there before the caller wanted it.
        waited: How many seconds it has waited.
        status: The status of its last whole reply.
        request_id: The id of its last request, if Thrive sent one.
        paused_since: When its last attempt ended.
    """

    state: dict[str, Any] = attrs.field(factory=dict[str, Any])
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    unwanted: float = 0.0
    waited: float = 0.0
    status: int | None = None
    request_id: str | None = None
    paused_since: float = 0.0


@attrs.define(eq=False)
class Broken:
    """An attempt without a whole answer.

    Attributes:
        words: How it ended.
        timed_out: Whether `Timeouts.attempt` ended it.
        permanent: Whether another attempt would end in the same way.
        too_large: The answer without its body, if the body was larger than `Limits.max_reply_bytes`.
        out_of_time: Whether `Timeouts.total` ended it together with the call.
    """

    words: str
    timed_out: bool = False
    permanent: bool = False
    too_large: Reply | None = None
    out_of_time: bool = False

    @property
    def error(self) -> str:
        """The name of the error that it is."""
        if self.too_large:
            return DecodeError.__name__
        return (RequestTimeout if self.timed_out or self.out_of_time else ConnectionFailed).__name__


@attrs.define(eq=False)
class FailedAttempt:
    """An attempt that brought no reply to hand back, for `retry` to read.

    Attributes:
        call: The call that the attempt belongs to.
        error: The error that ends the call at once.
        make_error: Makes the error if no other attempt follows. Its argument is added to the end of the line.
        repeatable: Whether another attempt may follow.
        at_least: Seconds to wait before that.
    """

    call: Call
    error: ThriveError | None = attrs.field(default=None, repr=False)  # it holds Thrive's words
    make_error: Callable[[str], ThriveError] | None = None
    repeatable: bool = False
    at_least: float | None = None

    def fits(self, pause: float) -> bool:
        """Return whether the call's total time leaves room for a pause. If not, its error will say so."""
        deadline = self.call.deadline
        if deadline is None or self.call.loop.time() + pause < deadline:
            return True
        if self.make_error is not None:
            self.error = self.make_error(
                f"; repeating it after {duration(pause)} would pass Timeouts.total = {self.call.timeouts.total:g} s"
            )
        return False

    def failure(self) -> ThriveError:
        """Return the error that the caller gets if this was the last attempt."""
        if self.error is None:
            assert self.make_error is not None  # noqa: S101 - each has one of the two
            return self.make_error("")
        return self.error


def of_reply(call: Call, reply: Reply, pause: float | None) -> Reply | FailedAttempt:
    """Judge a whole answer: return it if it is one to hand back.

    Args:
        call: The call.
        reply: The answer.
        pause: The seconds to wait before a repeat, if a 429 or 503 says so.
    """
    call.sent = False
    reply.attempts = call.attempts
    return _read(call, reply) if 200 <= reply.status < 300 else _refused(call, reply, pause)


def _read(call: Call, reply: Reply) -> Reply | FailedAttempt:
    request = call.request
    if request.operation.method == "DELETE":
        return _deleted(call, reply)
    if request.operation.any_answer:
        return reply
    try:
        if reply.body or not request.may_be_empty:
            reply.value = request.decode(reply.body)
    except orjson.JSONDecodeError:
        writes = request.may_be_empty and request.operation.method != "GET"
        if writes and _confirms(reply.body):
            return reply
        # A body that was cut or garbled, or a gateway's page: the answer is lost, as with a broken connection.
        call.maybe_applied = True
        call.note(f"status {reply.status} with a body that is not JSON")
        return FailedAttempt(
            call, make_error=lambda _note: unreadable(request, reply), repeatable=request.operation.safe
        )
    return reply


def _confirms(body: bytes) -> bool:
    """Return whether a body that is not JSON still confirms a write: it is blank, or words such as "OK"."""
    try:
        words = body.decode().strip()
    except UnicodeDecodeError:
        return False
    return not words.startswith(_CUT_OR_PAGE) and "".join(words.split()).isprintable()


def _deleted(call: Call, reply: Reply) -> Reply | FailedAttempt:
    """Judge the 2xx of a delete. It is done unless its body names a person who was not removed."""
    failure = _failure(reply) if call.request.operation.resource else None
    if failure is None:
        return reply
    said = attrs.evolve(reply, body=orjson.dumps({"message": failure}))
    error = refusal(call.request, said, attempts=call.attempts, retry_after=None)
    error.body = reply.json()
    error.maybe_applied = call.maybe_applied
    return FailedAttempt(call, error=error)


def _failure(reply: Reply) -> str | None:
    """Return why a batch-like body, `{success, failure}`, says that nothing was removed.

    Thrive does not document such a body for a single removal, so any failure that is not empty counts: entities or a
    count, a list of entities, one of them, words.
    """
    try:
        failure: Any = _fields(reply.json()).get("failure")
    except orjson.JSONDecodeError:
        return None
    held, fields = failure, _fields(failure)
    if fields and fields.keys().isdisjoint(("reference", "reason")):
        held = fields.get("entities") or (None if fields.get("count") == "0" else fields.get("count"))
    if isinstance(held, list):
        held = next((entity for entity in cast("list[Any]", held) if entity), None)
    if not held or (isinstance(held, str) and not held.strip()):
        return None
    reason: Any = failure if isinstance(failure, str) else _fields(held).get("reason")
    return reason if isinstance(reason, str) and reason.strip() else "not removed, and Thrive gave no reason"


def _fields(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _refused(call: Call, reply: Reply, pause: float | None) -> Reply | FailedAttempt:
    request = call.request
    operation = request.operation
    if reply.status == 404 and operation.method == "DELETE" and call.maybe_applied:
        # The answer of an earlier attempt was lost; that attempt did it.
        return Reply(204, reply.headers, b"")
    asked = retry_after(reply.headers, now=time.time()) if reply.status in (429, 503) else None
    if reply.status >= 500 and reply.status != 503:
        call.maybe_applied = True
    call.note(f"status {reply.status}")

    def make_error(note: str) -> ThriveError:
        if 300 <= reply.status < 400:
            note += "; a redirect is never followed, since it would carry credentials elsewhere: check base_url"
        error = refusal(request, reply, attempts=call.attempts, retry_after=asked, note=note)
        error.maybe_applied = call.maybe_applied
        return error

    return FailedAttempt(
        call,
        make_error=make_error,
        repeatable=status_is_repeatable(reply.status, safe=operation.safe),
        at_least=pause,
    )


def of_broken(call: Call, broken: Broken, *, max_reply_bytes: int) -> FailedAttempt:
    """Judge an attempt without a whole answer."""
    if broken.out_of_time:
        return FailedAttempt(call, error=total_timeout(call))
    operation = call.request.operation
    never_sent = not call.sent
    call.sent = False
    call.maybe_applied = call.maybe_applied or not never_sent
    call.note(broken.words)
    if broken.too_large:
        done = "" if operation.safe else "; Thrive may have done what was asked, so it was not asked again"
        text = f"it is larger than Limits.max_reply_bytes = {max_reply_bytes:,}{done}"
        error = DecodeError(text, operation=operation.id)
        broken.too_large.attempts = call.attempts
        error.came_with(broken.too_large.info)
        return FailedAttempt(call, error=error)

    def make_error(note: str) -> ThriveError:
        what = RequestTimeout if broken.timed_out else ConnectionFailed
        hint = ""
        if call.maybe_applied and not operation.safe:
            hint = "; it may have taken effect, so it was not repeated: look before you try again"
        return what(
            f"{call.request.summary}: {broken.words} ({counted(call.attempts)}){hint}{note}",
            operation=operation.id,
            attempts=call.attempts,
            maybe_applied=call.maybe_applied,
        )

    return FailedAttempt(
        call, make_error=make_error, repeatable=not broken.permanent and (never_sent or operation.safe)
    )


def total_timeout(call: Call, token_call: Call | None = None) -> RequestTimeout:
    """Make the error of a call whose total time is over.

    Args:
        call: The call.
        token_call: The client's last call for a token, if there was one.
    """
    waited = "still waiting for a free slot"
    if call.awaits_token:
        waited = "still waiting for a token from "
        waited += f"{token_call.request.summary}: {_progress(token_call)}" if token_call else "the token provider"
    made = _progress(call) if call.attempts else f"not sent: {waited}"
    if call.attempts and call.awaits_token:
        made = f"{made}; then {waited}"
    return _too_late(call, f"no answer within Timeouts.total = {call.timeouts.total:g} s ({made})")


def _progress(call: Call) -> str:
    """Say how far a call got, during an attempt or between two."""
    words = call.last_words
    if call.ended < call.attempts:
        before = f", the one before: {words}" if words else ""
        words = ("no answer yet" if call.sent else "no connection yet") + before
    return (
        f"{counted(call.attempts)}, the last one: {words}"
        if call.attempts
        else "not sent: still waiting for a free slot"
    )


def turn_too_late(call: Call, seconds: float, *, asked: bool = True) -> RequestTimeout:
    """Make the error of a call whose turn would come after its deadline."""
    made = f"; {counted(call.attempts)}, the last one: {call.last_words}" if call.attempts else ", so it was not sent"
    if not asked:
        return _too_late(
            call,
            f"its place in the row that it shares with other processes is {seconds:.3g} s away, "
            f"longer than Timeouts.total = {call.timeouts.total:g} s allows{made}",
        )
    return _too_late(
        call,
        f"Thrive answered 429 and asked for a pause that lasts {duration(seconds)} more, "
        f"longer than Timeouts.total = {call.timeouts.total:g} s allows{made}",
        retry_after=seconds,
    )


def _too_late(call: Call, words: str, *, retry_after: float | None = None) -> RequestTimeout:
    # The attempt that ran out of time may have arrived.
    maybe_applied = call.maybe_applied or call.sent
    hint = "; it may have taken effect" if maybe_applied and not call.request.operation.safe else ""
    return RequestTimeout(
        f"{call.request.summary}: {words}{hint}",
        operation=call.request.operation.id,
        attempts=call.attempts,
        maybe_applied=maybe_applied,
        retry_after=retry_after,
    )


def lease_lost(call: Call) -> ThriveError:
    """Make the error of a call that must not be sent, or sent again, because its lease is lost."""
    from thrive_async.share.errors import LeaseLost  # noqa: PLC0415 - most clients share nothing

    made = f"not sent again after {counted(call.attempts)}" if call.attempts else "not sent"
    return LeaseLost(
        f"the loss of its lease: another run may be at work by now, so {call.request.summary} was {made}",
        maybe_applied=call.maybe_applied,
    )


def duration(seconds: float) -> str:
    """Write seconds for people, such as "0.5 s", "121 s", "2 h" or "10 days"."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= max(2 * size, 600):
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.3g} s"


def counted(attempts: int) -> str:
    """Return "1 attempt", "2 attempts"."""
    return "1 attempt" if attempts == 1 else f"{attempts} attempts"


def described(error: BaseException) -> str:
    """Name what broke without quoting the error, because its text may hold a URL that names a person."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "the server's TLS certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorError):
        why = error.os_error.strerror or type(error.os_error).__name__
        return f"cannot connect to {error.host}:{error.port} ({why})"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused to connect (status {error.status})"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection before it answered"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer was cut short"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer was no HTTP"
    words = error.strerror if isinstance(error, OSError) and error.strerror else None
    return f"the connection broke ({words or type(error).__name__})"
