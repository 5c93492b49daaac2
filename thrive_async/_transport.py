"""The only place that awaits the network: one attempt, the session it runs on, and the deadline around all attempts."""

import asyncio
import logging
import ssl
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import aiohttp
import attrs
import orjson
from yarl import URL

from thrive_async import _request
from thrive_async._generated.operations import CREATE_ACCESS_TOKEN, Operation
from thrive_async._limits import Gate
from thrive_async._request import Reply, Request
from thrive_async._retry import repeating, status_is_repeatable
from thrive_async._unset import UNSET
from thrive_async.auth import (
    ApiKey,
    Authorizer,
    ClientCredentials,
    KeyAuthorizer,
    Secret,
    Token,
    TokenAuthorizer,
    lifetime_of,
)
from thrive_async.config import Limits, Retry, Timeouts
from thrive_async.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailed,
    DecodeError,
    RequestTimeout,
    ThriveError,
)

if TYPE_CHECKING:
    from aiohttp.client_middlewares import ClientHandlerType

_log: Final = logging.getLogger("thrive_async")
_NO_ARGUMENTS: Final[Mapping[str, Any]] = {}
_USER_AGENT: Final = "thrive-async (python)"


class _Dropped(Exception):  # noqa: N818 - never leaves this module
    """A connection that broke after it was made; not an aiohttp error, so aiohttp does not send again by itself."""


async def _no_silent_resend(request: aiohttp.ClientRequest, handler: "ClientHandlerType") -> aiohttp.ClientResponse:
    # aiohttp repeats GET and DELETE once, uncounted, when a kept-alive connection turns out to be dead.
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Dropped(_described(error)) from None


@attrs.define(eq=False)
class _Broken:
    """An attempt that brought no whole answer."""

    words: str
    never_sent: bool = False
    timed_out: bool = False
    permanent: bool = False
    too_large: bool = False


@attrs.define(eq=False)
class _Call:
    """One call over all its attempts."""

    request: Request
    timeouts: Timeouts
    deadline: float | None
    authorizer: Authorizer | None
    base_url: str
    attempts: int = 0
    maybe_applied: bool = False
    last_words: str = ""


@attrs.define(eq=False)
class _Outcome:
    """What one attempt came to; `_retry` reads it."""

    call: _Call
    reply: Reply | None = None
    error: ThriveError | None = None
    make_error: Callable[[str], ThriveError] | None = None
    repeatable: bool = False
    at_least: float | None = None
    token_expired: bool = False

    def fits(self, pause: float) -> bool:
        deadline = self.call.deadline
        if deadline is None or asyncio.get_running_loop().time() + pause < deadline:
            return True
        if self.make_error is not None:
            self.error = self.make_error(
                f"; repeating it after {pause:.3g} s would pass Timeouts.total = {self.call.timeouts.total:g} s"
            )
        return False


class Transport:
    """Sends the requests of one client: authorised, limited, repeated where that does no harm, bounded in time.

    Args:
        base_url: The API's host, without a path.
        token_base_url: The token endpoint's host, without a path.
        tenant_id: The tenant that credentials belong to.
        credentials: Who calls.
        timeouts: For calls that bring none of their own.
        retry: How often a call is repeated.
        limits: How hard Thrive may be pressed.
        session: The user's session, never closed here; None to make one on first use.
        proxy: The URL of a proxy.
        trust_env: Whether an own session takes its proxy from the environment.
        ca_file: A PEM file of the authorities to trust, read off the loop.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token_base_url: str,
        tenant_id: str,
        credentials: ApiKey | ClientCredentials,
        timeouts: Timeouts,
        retry: Retry,
        limits: Limits,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ca_file: Path | None = None,
    ) -> None:
        self._base_url = base_url
        self._token_base_url = token_base_url
        self._tenant_id = tenant_id
        self.timeouts = timeouts
        self.limits = limits
        self._gate = Gate(limits)
        self._repeated: Callable[[_Call], Awaitable[_Outcome]] = repeating(self._attempt, retry)
        self._session = session
        self._owns_session = session is None
        self._session_lock = asyncio.Lock()
        self._proxy = proxy
        self._trust_env = trust_env
        self._ca_file = ca_file
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._client_auth: Literal["basic", "post"] | None = None
        self._authorizer: Authorizer
        if isinstance(credentials, ApiKey):
            self._authorizer = KeyAuthorizer(tenant_id, credentials)
        else:
            self._credentials = credentials
            self._authorizer = TokenAuthorizer(self._fetch_token)

    async def call(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str] = _NO_ARGUMENTS,
        query: Mapping[str, object] = _NO_ARGUMENTS,
        body: object = UNSET,
        timeouts: Timeouts | None = None,
    ) -> Reply:
        """Make one call of an operation and return its whole 2xx reply.

        Raises:
            TypeError, ValueError: The arguments cannot be meant; nothing was sent.
            ThriveError: Thrive refused, or could not be reached in the time and the attempts allowed.
        """
        request = _request.build(operation, path=path, query=query, body=body)
        return await self.send(request, timeouts)

    async def send(self, request: Request, timeouts: Timeouts | None = None) -> Reply:
        """Send a request that is already built; see `call`."""
        return await self._run(request, timeouts or self.timeouts, self._authorizer, self._base_url)

    async def _run(self, request: Request, timeouts: Timeouts, authorizer: Authorizer | None, base_url: str) -> Reply:
        loop = self._bound_loop()
        deadline = None if timeouts.total is None else loop.time() + timeouts.total
        call = _Call(request, timeouts, deadline, authorizer, base_url)
        outcome: _Outcome | None = None
        scope = asyncio.timeout_at(deadline)
        try:
            async with scope:
                outcome = await self._repeated(call)
        except TimeoutError:
            if not scope.expired():
                raise
        # Raised out here so that no error drags along frames that hold a header or a body.
        if outcome is None:
            raise _total_timeout(call)
        if outcome.error is not None:
            raise outcome.error
        if outcome.make_error is not None:
            raise outcome.make_error("")
        assert outcome.reply is not None  # noqa: S101 - an outcome without error has a reply
        return outcome.reply

    async def _attempt(self, call: _Call) -> _Outcome:
        outcome = await self._authorised_attempt(call)
        if outcome.token_expired:
            outcome = await self._authorised_attempt(call, last=True)
        return outcome

    async def _authorised_attempt(self, call: _Call, *, last: bool = False) -> _Outcome:
        header: Secret | None = None
        if call.authorizer is not None:
            try:
                # Before a slot is taken: the token request needs one of its own.
                header = await call.authorizer.header()
            except ThriveError as error:
                return _Outcome(call, error=error)
        if self._session is None:
            await self._open_session()
        async with self._gate.slot() as ticket:
            call.attempts += 1
            started = time.perf_counter()
            result = await self._exchange(call, header)
            if isinstance(result, Reply) and result.status == 429:
                pause = self._gate.refused(ticket, _request.retry_after(result.headers, now=time.time()))
            else:
                pause = None
        _log_attempt(call, result, started)
        if isinstance(result, _Broken):
            return self._broken_outcome(call, result)
        if 200 <= result.status < 300:
            self._gate.passed()
            return _read_outcome(call, result)
        if result.status == 401 and not last and header is not None and self._replaced(call, header):
            return _Outcome(call, token_expired=True)
        return _refused_outcome(call, result, pause)

    @staticmethod
    def _replaced(call: _Call, header: Secret) -> bool:
        return call.authorizer is not None and call.authorizer.reject(header)

    async def _exchange(self, call: _Call, header: Secret | None) -> "Reply | _Broken":
        """Send once and read the whole answer; whatever goes wrong is returned, never raised.

        The errors of aiohttp carry frames that hold the Authorization header, so they end here.
        """
        session = self._session
        assert session is not None  # noqa: S101 - opened before
        request = call.request
        headers = {"Accept": "application/json", "User-Agent": _USER_AGENT}
        if header is not None:
            headers["Authorization"] = header.reveal()
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        scope = asyncio.timeout(call.timeouts.attempt)
        try:
            async with (
                scope,
                session.request(
                    request.operation.method,
                    URL(call.base_url + request.target, encoded=True),
                    data=request.body,
                    headers=headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    timeout=_NO_TIMEOUT,
                    raise_for_status=False,
                    middlewares=(*getattr(session, "_middlewares", ()), _no_silent_resend),
                ) as response,
            ):
                body = await _read_bounded(response, self.limits.max_reply_bytes)
                if body is None:
                    return _Broken("", too_large=True)
                return Reply(response.status, response.headers, body)
        except TimeoutError as error:
            if scope.expired():
                return _Broken(f"no whole answer within Timeouts.attempt = {call.timeouts.attempt:g} s", timed_out=True)
            return _Broken(_described(error))
        except _Dropped as error:
            return _Broken(str(error))
        except aiohttp.ClientConnectorError as error:
            permanent = isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError)
            return _Broken(_described(error), never_sent=True, permanent=permanent)
        except aiohttp.InvalidURL:
            return _Broken("the URL is not valid", never_sent=True, permanent=True)
        except (aiohttp.ClientError, OSError) as error:
            return _Broken(_described(error))

    def _broken_outcome(self, call: _Call, broken: _Broken) -> _Outcome:
        operation = call.request.operation
        if not broken.never_sent:
            call.maybe_applied = True
        call.last_words = broken.words
        if broken.too_large:
            limit = self.limits.max_reply_bytes
            return _Outcome(
                call,
                error=DecodeError(f"it is larger than Limits.max_reply_bytes = {limit:,}", operation=operation.id),
            )

        def make_error(note: str) -> ThriveError:
            what = RequestTimeout if broken.timed_out else ConnectionFailed
            hint = ""
            if call.maybe_applied and not operation.safe:
                hint = "; it may have taken effect, so it was not repeated: look before you try again"
            return what(
                f"{call.request.summary}: {broken.words} ({_counted(call.attempts)}){hint}{note}",
                operation=operation.id,
                attempts=call.attempts,
                maybe_applied=call.maybe_applied,
            )

        repeatable = not broken.permanent and (broken.never_sent or operation.safe)
        return _Outcome(call, make_error=make_error, repeatable=repeatable)

    async def _fetch_token(self) -> Token:
        request_auth = self._credentials.client_auth
        known = self._client_auth or (request_auth if request_auth != "auto" else None)
        if known is not None:
            return await self._ask_for_token(known)
        try:
            token = await self._ask_for_token("basic")
        except (AuthenticationError, BadRequestError) as refusal:
            try:
                token = await self._ask_for_token("post")
            except (AuthenticationError, BadRequestError):
                raise refusal from None
            self._client_auth = "post"
        else:
            self._client_auth = "basic"
        return token

    async def _ask_for_token(self, client_auth: Literal["basic", "post"]) -> Token:
        form, header = self._credentials.token_request(client_auth)
        built = _request.build(CREATE_ACCESS_TOKEN, path={"tenantId": self._tenant_id}, body={})
        request = attrs.evolve(built, body=form, content_type="application/x-www-form-urlencoded")
        authorizer = None if header is None else _FixedHeader(header)
        reply = await self._run(request, self.timeouts, authorizer, self._token_base_url)
        value = reply.value
        token = value.get("access_token") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if not isinstance(token, str) or not token or not token.isprintable():
            raise DecodeError("it holds no access token", path="$.access_token", operation=CREATE_ACCESS_TOKEN.id)
        reply.body = b""
        return Token(Secret(f"Bearer {token}"), lifetime_of(value.get("expires_in")))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    def _bound_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ConfigurationError("this ThriveClient is closed: build a new one")
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError(
                "this ThriveClient has been used on another event loop, where its connections live: "
                "build one client per loop, for example inside the coroutine given to asyncio.run"
            )
        return loop

    async def _open_session(self) -> None:
        async with self._session_lock:
            if self._session is not None:
                return
            tls: ssl.SSLContext | Literal[True] = True
            if self._ca_file is not None:
                tls = await asyncio.to_thread(_tls_trusting, self._ca_file)
            connector = aiohttp.TCPConnector(limit=self.limits.concurrency + 1, ssl=tls)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=self._trust_env
            )

    async def aclose(self) -> None:
        """Close what this transport opened; harmless to repeat."""
        self._closed = True
        session = self._session
        if session is not None and self._owns_session:
            self._session = None
            await session.close()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        session = getattr(self, "_session", None)
        if session is not None and self._owns_session and not session.closed:
            _warn(
                "a ThriveClient was never closed: use `async with ThriveClient(...)` or `await client.aclose()`",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=None)


class _FixedHeader:
    """Authorises the token request itself."""

    def __init__(self, header: Secret) -> None:
        self._header = header

    async def header(self) -> Secret:
        return self._header

    def reject(self, header: Secret) -> bool:  # noqa: ARG002 - the protocol's argument
        return False


def _read_outcome(call: _Call, reply: Reply) -> _Outcome:
    request = call.request
    if request.operation.method == "DELETE":
        # Whatever a delete answers, it is done; bodies differ and say nothing.
        return _Outcome(call, reply=reply)
    try:
        reply.decode()
    except orjson.JSONDecodeError:
        # Cut on the way, or a gateway's page: the answer is lost, as with a broken connection.
        call.maybe_applied = True
        call.last_words = f"status {reply.status} with a body that is no JSON"
        return _Outcome(
            call, make_error=lambda _note: _request.unreadable(request, reply), repeatable=request.operation.safe
        )
    return _Outcome(call, reply=reply)


def _refused_outcome(call: _Call, reply: Reply, pause: float | None) -> _Outcome:
    request = call.request
    operation = request.operation
    if reply.status == 404 and operation.method == "DELETE" and call.maybe_applied:
        # The answer of an earlier attempt was lost; that attempt did it.
        return _Outcome(call, reply=Reply(204, reply.headers, b""))
    asked = _request.retry_after(reply.headers, now=time.time()) if reply.status in (429, 503) else None
    repeatable = status_is_repeatable(reply.status, safe=operation.safe)
    if reply.status >= 500 and reply.status != 503:
        call.maybe_applied = True
    call.last_words = f"status {reply.status}"

    def make_error(note: str) -> ThriveError:
        if 300 <= reply.status < 400:
            note += "; a redirect is never followed, since it would carry credentials elsewhere: check base_url"
        return _request.refusal(request, reply, attempts=call.attempts, retry_after=asked, note=note)

    at_least = pause if pause is not None else asked
    return _Outcome(call, make_error=make_error, repeatable=repeatable, at_least=at_least)


async def _read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    # Counted after decompression, chunk by chunk, so that a small compressed bomb does not become a large one here.
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        size += len(chunk)
        if size > limit:
            response.close()
            return None
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _tls_trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"ca_file cannot be read as PEM certificates: {_described(error)}") from None


def _total_timeout(call: _Call) -> RequestTimeout:
    total = call.timeouts.total
    last = f", the last one: {call.last_words}" if call.last_words else ""
    made = _counted(call.attempts) if call.attempts else "not sent: it waited for a slot, its turn or a token"
    # The attempt that time cut short may have arrived.
    maybe_applied = call.maybe_applied or call.attempts > 0
    hint = "; it may have taken effect" if maybe_applied and not call.request.operation.safe else ""
    return RequestTimeout(
        f"{call.request.summary}: no answer within Timeouts.total = {total:g} s ({made}{last}){hint}",
        operation=call.request.operation.id,
        attempts=call.attempts,
        maybe_applied=maybe_applied,
    )


def _counted(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"{attempts} attempts"


def _described(error: BaseException) -> str:
    """Name what broke without quoting the error: its text may hold the URL, and the URL a person."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "the server's TLS certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return (
            f"cannot connect to {error.host}:{error.port} ({error.os_error.strerror or type(error.os_error).__name__})"
        )
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection before it answered"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer was cut short"
    words = error.strerror if isinstance(error, OSError) and error.strerror else None
    return f"the connection broke ({words or type(error).__name__})"


def _log_attempt(call: _Call, result: "Reply | _Broken", started: float) -> None:
    if not _log.isEnabledFor(logging.DEBUG):
        return
    milliseconds = (time.perf_counter() - started) * 1000
    operation = call.request.operation
    if isinstance(result, Reply):
        status, identity = str(result.status), _request.request_id(result.headers) or "-"
    else:
        status, identity = result.words or "reply too large", "-"
    _log.debug(
        "%s %s %s: %s, request id %s, attempt %d, %.1f ms",
        operation.id,
        operation.method,
        operation.path,
        status,
        identity,
        call.attempts,
        milliseconds,
    )
