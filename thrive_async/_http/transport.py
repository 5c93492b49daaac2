"""The only place that awaits the network: one attempt, and the deadline around all attempts."""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import hdrs
from yarl import URL

from thrive_async._base.problems import Problems
from thrive_async._base.version import __version__
from thrive_async._gate.gate import Gate, TurnTooLate
from thrive_async._http.attempt import (
    NO_OPTIONS,
    Broken,
    Call,
    FailedAttempt,
    Options,
    WatchedCall,
    described,
    lease_lost,
    of_broken,
    of_reply,
    total_timeout,
    turn_too_late,
)
from thrive_async._http.deadlines import Deadlines, Limited
from thrive_async._http.headers import printable, retry_after
from thrive_async._http.request import Reply, Request
from thrive_async._http.retry import repeating
from thrive_async._http.session import CLOSED, Proxy, Session
from thrive_async._http.token import TokenEndpoint
from thrive_async._http.turns import LARGE_BODY, give_turns
from thrive_async._http.watch import Watch
from thrive_async.auth import (
    ApiKey,
    Authorizer,
    ClientCredentials,
    FixedHeader,
    KeyAuthorizer,
    Secret,
    SharedTokenAuthorizer,
    TokenAuthorizer,
    TokenProvider,
    checked_provider,
)
from thrive_async.config import Limits, Retry, Timeouts
from thrive_async.errors import ConfigurationError, ThriveError
from thrive_async.hooks import Hooks, Wait, correlation_id

if TYPE_CHECKING:
    from aiohttp.client_middlewares import ClientHandlerType

    from thrive_async._gate.shared import SharedGate
    from thrive_async.share import Share

_log: Final = logging.getLogger("thrive_async")
_USER_AGENT: Final = f"thrive-async/{__version__} (Python {sys.version_info[0]}.{sys.version_info[1]})"
# `Timeouts` keeps the time, on the loop's clock.
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=None)


class _Dropped(Exception):  # noqa: N818 - never leaves this module
    """A connection broke after it was made. Not an aiohttp error: aiohttp would then repeat the request by itself."""


async def _guard(
    call: Call, header: Secret, request: aiohttp.ClientRequest, handler: "ClientHandlerType"
) -> aiohttp.ClientResponse:
    """Wrap one aiohttp request, outside the middlewares of the user's session."""
    # Set here, they win over .netrc and over a session's own, no frame of aiohttp's holds the secret in a variable, and
    # a small call costs 1 us less of 75 than with headers that aiohttp merges.
    headers = request.headers
    if isinstance(call, WatchedCall):
        headers.update(call.headers)
    if call.options.headers:
        headers.update(call.options.headers)
    if call.correlation_id:
        headers["X-Correlation-Id"] = printable(call.correlation_id)
    headers[hdrs.ACCEPT] = "application/json"
    headers[hdrs.USER_AGENT] = _USER_AGENT
    if call.request.body is not None:
        headers[hdrs.CONTENT_TYPE] = call.request.content_type
    if header.reveal():
        headers[hdrs.AUTHORIZATION] = header.reveal()
    # A session that serves several tenants must not carry cookies between them, so they are neither sent nor kept.
    headers.pop(hdrs.COOKIE, None)
    call.sent = True
    try:
        response = await handler(request)
    except BaseException as error:
        # aiohttp gives a request its response as soon as its first bytes are handed to the system.
        call.sent = getattr(request, "response", request) is not None
        # aiohttp repeats GET and DELETE once, uncounted, when a kept-alive connection turns out to be dead.
        if isinstance(error, aiohttp.ClientConnectorError) or not isinstance(
            error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError
        ):
            raise
        words = described(error)
    else:
        if hdrs.SET_COOKIE in response.headers:
            response.cookies = SimpleCookie()
        return response
    raise _Dropped(words)


class Transport:
    """Sends the requests of one client: authorised, limited, repeated where that does no harm, bounded in time.

    Args:
        base_url: The API's host, without a path.
        token_base_url: The token endpoint's host, without a path.
        webhooks_token_base_url: The host of the tokens for `webhooks_authorizer`, without a path.
        tenant_id: The tenant that credentials belong to.
        credentials: Who calls.
        timeouts: The timeouts of calls that set none.
        retry: How often a call is repeated.
        limits: Concurrency, rate, and the size of a reply.
        session: The user's session, never closed here; None to make one on first use.
        proxy: A proxy.
        trust_env: Whether an own session takes its proxy from the environment.
        ca_file: A PEM file of the authorities to trust, read off the loop.
        share: What the client shares with other processes; None to keep its quota and tokens to itself.
        problems: Collects the values that do not match the specification; by default it is not strict.
        hooks: The user's functions, called after each wait, attempt and call.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token_base_url: str,
        webhooks_token_base_url: str,
        tenant_id: str,
        credentials: ApiKey | ClientCredentials | TokenProvider,
        timeouts: Timeouts,
        retry: Retry,
        limits: Limits,
        session: aiohttp.ClientSession | None = None,
        proxy: Proxy | None = None,
        trust_env: bool = False,
        ca_file: Path | None = None,
        share: "Share | None" = None,
        problems: Problems | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        self.problems: Problems = Problems() if problems is None else problems
        self.timeouts = timeouts
        self.retry = retry
        self.limits = limits
        self._base_url = base_url
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadlines: Deadlines  # of that loop
        self._watch = Watch(tenant_id, hooks)
        self._token_call: Call | None = None
        self._under_way: set[Call] = set()
        self._drained: asyncio.Event | None = None
        self._longest_pause = retry.longest_pause
        self._gate = Gate(limits, retry)
        self._shared: SharedGate | None = None
        if share is not None:
            self._gate = self._shared = _shared_gate(limits, retry, share, base_url, tenant_id)
        # Separate, because a 429 from the token endpoint does not stop calls that hold a token.
        self._token_gate = Gate(Limits(concurrency=1), retry)
        self._session = Session(
            session,
            base_urls=(base_url, token_base_url, webhooks_token_base_url),
            connections=limits.concurrency + isinstance(credentials, ClientCredentials),
            proxy=proxy,
            trust_env=trust_env,
            ca_file=ca_file,
        )
        self._authorizer: Authorizer
        self.webhooks_authorizer: Authorizer
        """Makes the Authorization header of provisioning events, with tokens from the webhooks host."""
        if isinstance(credentials, ApiKey):
            self._authorizer = self.webhooks_authorizer = KeyAuthorizer(tenant_id, credentials)
        elif not isinstance(credentials, ClientCredentials):
            self._authorizer = self.webhooks_authorizer = TokenAuthorizer(checked_provider(credentials))
        else:
            self._authorizer = self._token_authorizer(credentials, tenant_id, token_base_url)
            self.webhooks_authorizer = self._authorizer
            if token_base_url != webhooks_token_base_url or credentials != credentials.for_webhooks():
                self.webhooks_authorizer = self._token_authorizer(
                    credentials.for_webhooks(), tenant_id, webhooks_token_base_url
                )

    def _token_authorizer(self, credentials: ClientCredentials, tenant_id: str, base_url: str) -> TokenAuthorizer:
        endpoint = TokenEndpoint(credentials, tenant_id, partial(self._send_for_token, base_url))
        if self._shared is None:
            return TokenAuthorizer(endpoint.fetch)
        identity = (base_url, credentials.client_id, *sorted(credentials.scopes))
        return SharedTokenAuthorizer(self._shared.tokens(identity, endpoint.fetch))

    @property
    def calls_under_way(self) -> int:
        """How many calls have begun and not ended."""
        return len(self._under_way)

    @cached_property
    def _repeated(self) -> Callable[[Call, FailedAttempt], Awaitable[Reply | FailedAttempt]]:
        # Made on first use: it is a third of a client's cost, and a pool may have a thousand clients.
        return self.repeating(self.retry)

    def repeating(self, retry: Retry) -> Callable[[Call, FailedAttempt], Awaitable[Reply | FailedAttempt]]:
        """Return a function that repeats a call as these settings say."""
        return repeating(self._attempt, retry)

    def time_limits(self, timeouts: Timeouts | None) -> Timeouts:
        """Return the timeouts of a call: its own, or the client's.

        Raises:
            TypeError: Something else was given, such as a number of seconds.
        """
        if timeouts is None:
            return self.timeouts
        if not isinstance(timeouts, Timeouts):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"timeouts must be Timeouts(attempt=..., total=...), not {type(timeouts).__name__}")
        return timeouts

    async def send(
        self,
        request: Request,
        timeouts: Timeouts | None = None,
        *,
        wanted: asyncio.Event | None = None,
        authorizer: Authorizer | None = None,
        options: Options = NO_OPTIONS,
    ) -> Reply:
        """Send a request and return its whole 2xx reply.

        Args:
            request: What to send.
            timeouts: Its limits; None for the client's.
            wanted: Set when the reply is about to be read, and only then is it decoded. None to decode it at once.
            authorizer: Makes its Authorization header; None for the client's credentials.
            options: The options of the view it is sent through.

        Raises:
            TypeError: `timeouts` is something else, such as a number of seconds.
            ThriveError: Thrive refused, or could not be reached in the time and the attempts allowed.
        """
        timeouts = self.time_limits(timeouts)
        loop = self._bound_loop()
        if self._drained is not None:
            raise ConfigurationError(CLOSED)
        call = self._watch.kind_of_call(
            request,
            timeouts,
            loop,
            None if timeouts.total is None else loop.time() + timeouts.total,
            authorizer or self._authorizer,
            self._base_url,
            self._gate,
            wanted=wanted,
            options=options,
            correlation_id=correlation_id.get(),
        )
        under_way = self._under_way
        under_way.add(call)
        try:
            return await (self._watched(call) if isinstance(call, WatchedCall) else self._answered(call))
        finally:
            under_way.discard(call)
            if not under_way:
                self._tell_if_drained()

    def _tell_if_drained(self) -> None:
        if self._drained is not None:
            self._drained.set()

    async def _watched(self, call: WatchedCall) -> Reply:
        began = time.perf_counter()
        error: BaseException | None = None
        self._watch.began(call)
        try:
            return await self._answered(call)
        except BaseException as raised:
            error = raised
            raise
        finally:
            if call.paused_since and isinstance(error, asyncio.CancelledError):
                self._watch.waited(call, "pause", call.paused_since)
            self._watch.ended(call, error, began)
            del error  # its frames hold this one

    def _bound_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, and move to it if the one before is closed."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop or self._session.closed:
            self._session.bind(loop)
            if self._loop is not None:
                self._move()
            self._loop, self._deadlines = loop, Deadlines(loop)
        return loop

    def _move(self) -> None:
        """Serve another loop from now on; the pace and the tokens stay."""
        self._under_way = set()
        self._token_gate = self._token_gate.moved()
        if self._shared is not None:
            self._gate = self._shared = self._shared.moved()
        else:
            self._gate = self._gate.moved()
        for authorizer in (self._authorizer, self.webhooks_authorizer):
            authorizer.move()

    async def _answered(self, call: Call) -> Reply:
        # Its total time limits every wait: for its turn (`_ready`), for an exchange, for a pause (`fits`).
        result = await self._attempt(call)
        if not isinstance(result, Reply) and result.repeatable:
            result = await (call.options.repeated or self._repeated)(call, result)
        if isinstance(result, Reply):
            return result
        raise result.failure()

    async def _send_for_token(self, base_url: str, request: Request, header: Secret | None) -> Reply:
        loop = self._bound_loop()
        call = self._watch.kind_of_call(
            request,
            self.timeouts,
            loop,
            None if self.timeouts.total is None else loop.time() + self.timeouts.total,
            FixedHeader(header),
            base_url,
            self._token_gate,
        )
        # So that the errors of calls that wait for the token say how far it got.
        self._token_call = call
        try:
            return await self._answered(call)
        finally:
            call.forget()

    async def _attempt(self, call: Call, *, may_renew: bool = True) -> Reply | FailedAttempt:
        if isinstance(call, WatchedCall) and call.paused_since:
            self._watch.waited(call, "pause", call.paused_since)
            call.paused_since = 0.0
        session, header = self._session.current, call.authorizer.current()
        ticket: int | None = None
        if session is not None and header is not None:
            # Usually there is nothing to wait for, so no timer is needed.
            ticket = call.gate.enter_at_once(call.loop.time(), call.priority)
        if session is None or header is None or ticket is None:
            ready = await self._ready(call)
            if isinstance(ready, ThriveError):
                return FailedAttempt(call, error=ready)
            session, header, ticket = ready
        try:
            if call.options.lease is not None and not call.options.lease.held:
                return FailedAttempt(call, error=lease_lost(call))
            call.attempts += 1
            exchange = self._watched_exchange if isinstance(call, WatchedCall) else self._exchange
            result = await exchange(session, call, header)
            pause = self._pause_after(call, ticket, result)
            if self._shared is not None and call.gate is self._shared:
                refused = isinstance(result, Reply) and result.status == 429
                if refused and pause is not None:
                    await self._shared.spread(pause)
        finally:
            call.gate.leave(ticket)
        if isinstance(result, Broken):
            most_bytes = (call.options.limits or self.limits).max_reply_bytes
            return of_broken(call, self._or_closed(result), max_reply_bytes=most_bytes)
        if result.status == 401 and may_renew and call.authorizer.reject(header):
            call.sent = False
            call.note("status 401")
            return await self._attempt(call, may_renew=False)
        if call.wanted is not None and result.status < 300:
            if isinstance(call, WatchedCall):
                call.paused_since = 0.0
            await _until_wanted(call, call.wanted)
        if len(result.body) >= LARGE_BODY:
            await give_turns()
        return of_reply(call, result, pause)

    async def _ready(self, call: Call) -> tuple[aiohttp.ClientSession, Secret, int] | ThriveError:
        """Wait for a session, a header and a slot, which the request then holds; or return why it got none."""
        scope = asyncio.timeout_at(call.deadline)
        try:
            async with scope:
                return await self._entered(call)
        except ThriveError as error:
            # Before TimeoutError, because a RequestTimeout of the token endpoint is both.
            return error
        except TurnTooLate as error:
            return turn_too_late(call, error.seconds, asked=error.asked)
        except TimeoutError:
            if not scope.expired():
                raise
            return total_timeout(call, self._token_call)

    async def _entered(self, call: Call) -> tuple[aiohttp.ClientSession, Secret, int]:
        authorizer = call.authorizer
        while True:
            reason: Wait = "token"
            began = time.perf_counter()
            ticket: int | None = None
            try:
                # Before a slot is taken, since it may take long.
                call.awaits_token = True
                await authorizer.header()
                call.awaits_token = False
                began = self._waited(call, reason, began)
                reason = "session"
                session = await self._session.opened()
                began = self._waited(call, reason, began)
                closed = call.gate.is_closed(call.loop.time())
                reason = "cool-down" if closed else "slot"
                ticket = await call.gate.enter(call.deadline, call.priority)
                header = authorizer.current()
                if header is None:
                    # It ended, or was refused to others, while this call waited. The turn is kept: its next one may
                    # be as far away, and find another token that has ended.
                    began = self._waited(call, reason, began)
                    reason, call.awaits_token = "token", True
                    header = await authorizer.header()
                    call.awaits_token = False
            except BaseException:
                if ticket is not None:
                    call.gate.leave(ticket)
                raise
            finally:
                # Also if the wait ended in an error or was cancelled.
                self._waited(call, reason, began)
            if not self._session.closed and ticket == call.gate.closings:
                return session, header, ticket
            # The client was closed, as it will be told above, or the gate while the token was fetched.
            call.gate.leave(ticket)

    def _waited(self, call: Call, reason: Wait, began: float) -> float:
        if isinstance(call, WatchedCall):
            self._watch.waited(call, reason, began)
        return time.perf_counter()

    def _pause_after(self, call: Call, ticket: int, result: Reply | Broken) -> float | None:
        """Tell the gate how Thrive answered; return the seconds to wait before a repeat, if Thrive said so."""
        if isinstance(result, Broken):
            return None
        gate = call.gate
        if result.status == 429:
            closings = gate.closings
            pause = gate.refused(ticket, retry_after(result.headers, now=time.time()))
            if gate.closings > closings:
                # Once for all requests that were under way together.
                calls = "all calls of the client" if gate is self._gate else "requests for a token"
                _log.info("%s: 429, %s wait for %.1f s", call.request.operation.id, calls, pause)
            return pause
        if result.status < 500:
            gate.passed(ticket)
            return None
        asked = retry_after(result.headers, now=time.time()) if result.status == 503 else None
        return None if asked is None else min(asked, self._longest_pause)

    def _or_closed(self, broken: Broken) -> Broken:
        if self._session.closed:
            broken.words, broken.permanent = f"{broken.words}: the client was closed meanwhile", True
        return broken

    async def _watched_exchange(self, session: aiohttp.ClientSession, call: Call, header: Secret) -> Reply | Broken:
        assert isinstance(call, WatchedCall)  # noqa: S101 - so are all calls that come here
        self._watch.attempting(call)
        started = time.perf_counter()
        try:
            result = await self._exchange(session, call, header)
        except BaseException as error:
            self._watch.attempted(call, type(error).__name__, started)
            raise
        self._watch.attempted(call, result, started)
        call.paused_since = time.perf_counter()
        return result

    async def _exchange(self, session: aiohttp.ClientSession, call: Call, header: Secret) -> Reply | Broken:
        """Send once and read the whole answer. Failures are returned, never raised.

        aiohttp's errors end here: their frames hold secrets.
        """
        request = call.request
        ends = call.ends(call.loop.time())
        scope = Limited(self._deadlines, ends)
        try:
            with scope:
                async with session.request(
                    request.operation.method,
                    URL(call.base_url + request.target, encoded=True),
                    data=request.body,
                    allow_redirects=False,
                    auto_decompress=True,
                    proxy=self._session.proxy_for(call.base_url).url,
                    timeout=_NO_TIMEOUT,
                    raise_for_status=False,
                    middlewares=(partial(_guard, call, header), *getattr(session, "_middlewares", ())),
                ) as response:
                    body = await _read_bounded(response, (call.options.limits or self.limits).max_reply_bytes)
                    reply = Reply(response.status, response.headers, body or b"")
                    return Broken("a reply that is too large", too_large=reply) if body is None else reply
        except TimeoutError as error:
            if scope.expired:
                if ends == call.deadline:
                    return Broken("its total time was over", out_of_time=True)
                return Broken(f"no whole answer within Timeouts.attempt = {call.timeouts.attempt:g} s", timed_out=True)
            return Broken(described(error))
        except _Dropped as error:
            return Broken(str(error))
        except (aiohttp.ClientError, OSError) as error:
            return Broken(described(error), permanent=_is_permanent(error))
        except asyncio.CancelledError as error:
            # Without aiohttp's frames: they hold the form with the client secret, and the proxy's password.
            raise error.with_traceback(None)  # noqa: B904 - the same error

    async def aclose(self, drain: float = 0.0) -> None:
        """Close what this transport opened. You can close it twice.

        Args:
            drain: How many seconds calls under way may take to end. New calls are refused.
        """
        try:
            if drain and self._under_way and not self._session.closed:
                self._session.bind(asyncio.get_running_loop())
                self._drained = self._drained or asyncio.Event()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._drained.wait(), drain)
        finally:
            await self._session.aclose()
            if self._shared is not None:
                await self._shared.aclose()


def _shared_gate(limits: Limits, retry: Retry, share: "Share", base_url: str, tenant_id: str) -> "SharedGate":
    # Imported here, because it takes time and most clients share nothing.
    from thrive_async._gate.shared import SharedGate  # noqa: PLC0415
    from thrive_async.share import Scope  # noqa: PLC0415

    return SharedGate(limits, retry, share, Scope.of(base_url, tenant_id))


async def _until_wanted(call: Call, wanted: asyncio.Event) -> None:
    began = call.loop.time()
    try:
        await wanted.wait()
    finally:
        if isinstance(call, WatchedCall):
            # The reader's time, not Thrive's.
            call.unwanted += call.loop.time() - began
    if call.deadline is not None:
        # Only another attempt may follow, if the answer is not JSON.
        call.deadline += call.loop.time() - began


def _is_permanent(error: BaseException) -> bool:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return error.status < 500
    return isinstance(
        error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError | aiohttp.InvalidURL
    )


async def _read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    # Counted after decompression, chunk by chunk, so that a small compressed bomb does not become a large one here.
    content = response.content
    chunk: bytes = await content.readany()
    if content.at_eof() and len(chunk) <= limit:
        return chunk
    chunks, size = [chunk], len(chunk)
    while size <= limit and not content.at_eof():
        chunk = await content.readany()
        chunks.append(chunk)
        size += len(chunk)
    # If it is too large, its connection cannot be used again, and aiohttp closes it.
    return b"".join(chunks) if size <= limit else None
