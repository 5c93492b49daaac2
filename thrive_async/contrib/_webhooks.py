"""Webhook deliveries: judged, answered at once, and handled afterwards."""

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypedDict, cast

import attrs

from thrive_async import webhooks
from thrive_async.auth import Secret
from thrive_async.contrib._answers import LOG, place_of
from thrive_async.errors import ConfigurationError, DecodeError, SignatureError
from thrive_async.share import Scope

__all__ = ["Handler", "Inbox", "Seen", "Verdict", "WebhookCounts", "WebhookOptions", "hidden"]

Handler = Callable[[Any], Awaitable[object] | object]

_AHEAD: Final = timedelta(minutes=5)
"""How far Thrive's clock may be ahead of yours."""
_REMEMBERED: Final = 50_000
_BUSY: Final = {"Retry-After": "30"}


class Seen(Protocol):
    """Remembers deliveries, so that each event is handled once. Every `Share` does."""

    async def seen(self, scope: Scope, key: str, seconds: float, /) -> bool:
        """Note a key for some seconds, and return True if it was noted before."""
        ...


class _Memory:
    """Remembers the last 50,000 deliveries of this process."""

    def __init__(self) -> None:
        self._ends: OrderedDict[tuple[Scope, str], float] = OrderedDict()

    async def seen(self, scope: Scope, key: str, seconds: float) -> bool:
        now = asyncio.get_running_loop().time()
        if self._ends.get((scope, key), 0.0) > now:
            return True
        self._ends[scope, key] = now + seconds
        self._ends.move_to_end((scope, key))
        if len(self._ends) > _REMEMBERED:
            self._ends.popitem(last=False)
        return False


class WebhookOptions(TypedDict, total=False):
    """Further arguments of `webhook_route`.

    Attributes:
        default: The handler of events that have none of their own. Without it they are counted as ignored.
        unreadable: Takes the `DecodeError` of a signed delivery that is not an event; its `body` holds the bytes.
        store: Remembers the deliveries of all your processes: a `Share`, such as a `RedisShare`. By default each
            process remembers its last 50,000.
        window: The seconds after `dispatchedAt` in which a delivery is accepted, a day by default. It has to cover
            Thrive's retries.
        max_body: The most bytes of a delivery, 4 MiB by default. More is refused unread, with 413.
        waiting: How many events may wait for their handlers, 1,000 by default. More get a 503, and Thrive sends them
            again.
        at_once: How many handlers may run at once, 10 by default.
        now: Returns the time to compare `dispatchedAt` with, such as `sandbox.now` in tests.
    """

    default: Handler | None
    unreadable: Handler | None
    store: Seen | None
    window: float
    max_body: int
    waiting: int
    at_once: int
    now: Callable[[], datetime] | None


@attrs.define
class WebhookCounts:
    """What a webhook route has seen in this process. Every delivery is in exactly one of the first eight.

    Attributes:
        accepted: Given to a handler.
        ignored: Of a type without a handler.
        duplicates: Seen before.
        unreadable: Signed by Thrive, but not an event.
        unsigned: Refused with 401: the signature is missing or wrong.
        stale: Refused with 401: dispatched too long ago, or in the future.
        too_large: Refused with 413.
        turned_away: Refused with 503, for Thrive to send again: too many are waiting, the application is stopping, or
            the store of deliveries cannot be reached.
        handled: Handlers that returned.
        failed: Handlers that raised.
        abandoned: Handlers that were stopped because the application ended.
    """

    accepted: int = 0
    ignored: int = 0
    duplicates: int = 0
    unreadable: int = 0
    unsigned: int = 0
    stale: int = 0
    too_large: int = 0
    turned_away: int = 0
    handled: int = 0
    failed: int = 0
    abandoned: int = 0


@attrs.frozen
class Verdict:
    """How to answer a delivery."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])


class Inbox:
    """Judges the deliveries of one URL, and runs your handlers after the answer. `webhook_route` explains it."""

    def __init__(
        self,
        path: str,
        *,
        secrets: tuple[Secret, ...],
        handlers: Mapping[str, Handler],
        default: Handler | None = None,
        unreadable: Handler | None = None,
        store: Seen | None = None,
        window: float = 86_400.0,
        max_body: int = 4 * 2**20,
        waiting: int = 1_000,
        at_once: int = 10,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        _check(secrets)
        self._secrets = secrets
        for name, handler in (*handlers.items(), ("default", default), ("unreadable", unreadable)):
            if not callable(handler) and not (handler is None and name in ("default", "unreadable")):
                raise ConfigurationError(f"the handler of {name!r} must be a function, not {type(handler).__name__}")
        for setting, value in (("window", window), ("max_body", max_body), ("waiting", waiting), ("at_once", at_once)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(f"${setting} must be a positive number", setting)
        self.counts: WebhookCounts = WebhookCounts()
        self._scope = Scope("webhooks", path)
        self._handlers = dict(handlers)
        self._default, self._unreadable = default, unreadable
        self._store: Seen = store or _Memory()
        self._window = timedelta(seconds=window)
        self._max_body, self._waiting, self._at_once = max_body, waiting, at_once
        self._now = now or (lambda: datetime.now(UTC))
        self._tasks: set[asyncio.Task[None]] = set()
        self._judging = 0
        self._slots: asyncio.Semaphore | None = None
        self._closing = False

    def open(self) -> None:
        """Accept deliveries, on the running loop."""
        self._closing, self._slots = False, asyncio.Semaphore(self._at_once)

    async def receive(self, chunks: AsyncIterable[bytes], length: str | None, signature: str | None) -> Verdict:
        """Judge a delivery, and have it handled after the answer.

        Args:
            chunks: The body as it arrives. It is read no further than `max_body`.
            length: The header Content-Length.
            signature: The header `x-hmac-signature`.
        """
        counts = self.counts
        body = await self._read(chunks, length)
        if body is None:
            counts.too_large += 1
            LOG.info("refused a webhook delivery: it is larger than %d bytes", self._max_body)
            return Verdict(413, {"Connection": "close"})
        try:
            webhooks.verify(body, signature, secret=[secret.reveal() for secret in self._secrets])
        except SignatureError:
            counts.unsigned += 1
            LOG.info("refused a webhook delivery: its signature is missing or wrong")
            return Verdict(401)
        if self._closing or self._slots is None or len(self._tasks) + self._judging >= self._waiting:
            counts.turned_away += 1
            return Verdict(503, _BUSY)
        # A task of its own: if the sender leaves, an event that was noted as seen is handled all the same.
        self._judging += 1
        judging = asyncio.ensure_future(self._judge(body))
        judging.add_done_callback(self._judged)
        return await asyncio.shield(judging)

    async def _judge(self, body: bytes) -> Verdict:
        counts = self.counts
        try:
            event: Any = webhooks.parse(body)
            key = webhooks.fingerprint(body)
        except DecodeError as error:
            # Thrive would only send the same again.
            counts.unreadable += 1
            LOG.error("a webhook delivery cannot be read at %s", error.path)
            if self._unreadable is not None:
                self._start(self._unreadable, error, "unreadable")
            return Verdict(204)
        dispatched: datetime | None = event.dispatched_at or event.created_at
        now = self._now()
        if dispatched is not None and not now - self._window <= dispatched <= now + _AHEAD:
            counts.stale += 1
            LOG.info("refused a webhook delivery: it was dispatched too long ago, or in the future")
            return Verdict(401)
        try:
            before = await self._store.seen(self._scope, key, (self._window + _AHEAD).total_seconds())
        except Exception as error:  # noqa: BLE001 - whatever the store raises, Thrive sends the event again
            counts.turned_away += 1
            LOG.error("the store of webhook deliveries failed: %s", type(error).__name__)
            return Verdict(503, _BUSY)
        handler = self._handlers.get(event.event_type, self._default)
        if before:
            counts.duplicates += 1
        elif handler is None:
            counts.ignored += 1
        else:
            counts.accepted += 1
            self._start(handler, event, str(event.event_type))
        return Verdict(204)

    def _judged(self, judging: "asyncio.Future[Verdict]") -> None:
        self._judging -= 1
        if not judging.cancelled():
            judging.exception()

    async def _read(self, chunks: AsyncIterable[bytes], length: str | None) -> bytes | None:
        # Not all digits, for int() refuses thousands of them. A length that is no number is left to the count below.
        if length is not None and length.isdecimal() and int(length[:20]) > self._max_body:
            return None
        body = bytearray()
        async for chunk in chunks:
            body += chunk
            if len(body) > self._max_body:
                return None
        return bytes(body)

    def _start(self, handler: Handler, subject: object, name: str) -> None:
        task = asyncio.create_task(self._handle(handler, subject, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, handler: Handler, subject: object, name: str) -> None:
        slots = self._slots
        try:
            assert slots is not None  # noqa: S101 - made before the first delivery is judged
            async with slots:
                result = handler(subject)
                if inspect.isawaitable(result):
                    await result
        except asyncio.CancelledError:
            self.counts.abandoned += 1
            raise
        except Exception as error:  # noqa: BLE001 - no failure of a handler may reach another event
            self.counts.failed += 1
            # The place alone: the text of the error may quote the event.
            LOG.error("the handler of %s raised %s", name, place_of(error))
        else:
            self.counts.handled += 1

    async def aclose(self, seconds: float) -> None:
        """Turn deliveries away, and wait for the handlers.

        Args:
            seconds: How long they may take. Those that are left are cancelled.
        """
        self._closing = True
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=seconds)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            if left:
                LOG.error("the application ended before %d webhook events were handled", len(left))


def hidden(secrets: str | Sequence[str]) -> tuple[Secret, ...]:
    """Hide secrets from crash reporters, which print the variables of an error's frames."""
    return tuple(map(Secret, secrets if isinstance(secrets, list | tuple) else [cast("str", secrets)]))


def _check(secrets: Sequence[Secret]) -> None:
    text = "" if secrets else "it is empty: pass the secret that you agreed on with Thrive"
    for secret in secrets:
        try:
            webhooks.sign(b"", secret=secret.reveal())
        except (TypeError, ValueError) as error:
            text = str(error)
    if text:
        raise ConfigurationError(f"$secrets: {text}", "secrets")
