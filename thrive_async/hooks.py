"""Watching a client: functions of yours that it calls as its calls, attempts and waits begin and end.

Events hold no personal data: paths are templates, and arguments, bodies and headers of the client's are left out.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import attrs

from thrive_async.config import Priority

__all__ = ["AttemptEvent", "AttemptStart", "CallEvent", "CallStart", "Hooks", "Wait", "WaitEvent", "correlation_id"]

_log: Final = logging.getLogger("thrive_async")

correlation_id: Final[ContextVar[str | None]] = ContextVar("thrive_async.correlation_id", default=None)
"""The id of what your calls are part of, such as a web request.

If you set it, they carry it as `X-Correlation-Id`, and the log and the events have it. Only printable ASCII without
spaces is sent, 200 characters at most.

Example:
    >>> token = correlation_id.set("web-request-7")
    >>> correlation_id.reset(token)
"""

Wait: TypeAlias = Literal["token", "session", "slot", "cool-down", "pause"]
"""What a call waited for: a token, a new session, a slot or its turn, the end of a cool-down after a 429, or the pause
before another attempt."""


@attrs.frozen(kw_only=True)
class _Event:
    """What every event knows of its call.

    Attributes:
        operation: The operationId, such as `getUser`.
        method: The HTTP method.
        path: The path template, such as `/rest/v1/user/{id}`.
        tenant: The tenant id of the client.
        host: The base URL that the call goes to, such as `https://public.api.learn.link`.
        priority: The priority of the call.
        correlation_id: The value that the caller set, if any.
        state: A dict for your hooks. All events of one call share it.
    """

    operation: str
    method: str
    path: str
    tenant: str
    host: str
    priority: Priority
    correlation_id: str | None
    state: dict[str, Any] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class CallStart(_Event):
    """A call begins. The request for a token is no call: it has attempts and waits only."""


@attrs.frozen(kw_only=True)
class AttemptStart(_Event):
    """A request is about to be sent.

    Attributes:
        attempt: The number of the attempt within the call, from 1.
        headers: Empty. What you put in is sent along, such as `traceparent`, unless the caller set that header. A
            header of the client's own, or one that cannot be sent, is logged and left out.
    """

    attempt: int
    headers: dict[str, str] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class WaitEvent(_Event):
    """A call has waited, and now goes on or gives up.

    Attributes:
        reason: What it waited for.
        seconds: How long it waited.
    """

    reason: Wait
    seconds: float


@attrs.frozen(kw_only=True)
class AttemptEvent(_Event):
    """An attempt has ended.

    Attributes:
        attempt: The number of the attempt within the call, from 1.
        status: The status of the reply; None if there was no complete reply.
        problem: Why there was no complete reply, in words without personal data.
        error: The same as the name of an error: "RequestTimeout", "ConnectionFailed", "DecodeError" for a reply that
            is too large, or "CancelledError". None if there was a complete reply, whatever its status.
        request_id: Thrive's id of the request, if the reply names one.
        seconds: How long it took.
    """

    attempt: int
    status: int | None
    problem: str | None
    error: str | None
    request_id: str | None
    seconds: float


@attrs.frozen(kw_only=True)
class CallEvent(_Event):
    """A call has ended.

    Attributes:
        attempts: How many requests it made.
        waited: How many of its seconds were waits, as its `WaitEvent`s say one by one.
        status: The status of its last complete reply, if there was one.
        error: The name of the exception that it raised, such as "NotFoundError" or "CancelledError"; None if it
            succeeded.
        request_id: Thrive's id of its last request, if the reply names one.
        seconds: How long it took. For a page fetched ahead, the time until you wanted it is left out.
    """

    attempts: int
    waited: float
    status: int | None
    error: str | None
    request_id: str | None
    seconds: float


_NAMES: Final = ("on_call_start", "on_attempt_start", "on_wait", "on_attempt", "on_call")


@attrs.frozen(kw_only=True)
class Hooks:
    """Functions that a client calls as things happen. They cannot break a call.

    A function runs in the task of the call, so keep it short. It may be async: it then runs in a task of its own, and
    the call does not wait for it. An exception is logged by its type and ignored.

    `a + b` are hooks that call those of `a`, then those of `b`.

    Args:
        on_call_start: Called before each call.
        on_attempt_start: Called before each request. It can add headers, if it is not async.
        on_wait: Called after each wait of a call.
        on_attempt: Called after each request, even one that was cancelled.
        on_call: Called after each call, even one that failed or was cancelled.

    Example:
        def measure(event: CallEvent) -> None:
            histogram.observe(event.seconds, operation=event.operation, error=event.error)

        thrive = ThriveClient(tenant, key, hooks=Hooks(on_call=measure))
    """

    on_call_start: Callable[[CallStart], Awaitable[object] | object] | None = None
    on_attempt_start: Callable[[AttemptStart], Awaitable[object] | object] | None = None
    on_wait: Callable[[WaitEvent], Awaitable[object] | object] | None = None
    on_attempt: Callable[[AttemptEvent], Awaitable[object] | object] | None = None
    on_call: Callable[[CallEvent], Awaitable[object] | object] | None = None

    def __attrs_post_init__(self) -> None:
        for name in _NAMES:
            hook = getattr(self, name)
            if hook is not None and not callable(hook):
                raise TypeError(f"{name} must be a function, not {type(hook).__name__}")

    def __add__(self, other: "Hooks") -> "Hooks":
        if not isinstance(other, Hooks):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        both: dict[str, Any] = {}
        for name in _NAMES:
            hooks = [hook for hook in (getattr(self, name), getattr(other, name)) if hook is not None]
            both[name] = partial(_run_each, hooks) if len(hooks) > 1 else hooks[0] if hooks else None
        return Hooks(**both)


def _run_each(hooks: list[Callable[[Any], object]], event: object) -> None:
    for hook in hooks:
        run(hook, event)


def run(hook: Callable[[Any], Awaitable[object] | object], event: object) -> None:
    """Call a hook. Whatever it does, nothing is raised."""
    try:
        outcome = hook(event)
        if inspect.isawaitable(outcome):
            task = asyncio.ensure_future(_guarded(outcome))
            _running.add(task)
            task.add_done_callback(_running.discard)
    # A future of the hook's own may raise CancelledError. The call's task cannot be cancelled here: nothing is awaited.
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the caller's, and must not break the call
        tell(error)


async def _guarded(outcome: Awaitable[object]) -> None:
    try:
        await outcome
    except Exception as error:  # noqa: BLE001
        tell(error)


def tell(error: BaseException) -> None:
    """Log that a hook failed, without the text of its error."""
    _log.error("a hook raised %s, which is ignored", type(error).__name__)


# The loop holds tasks weakly.
_running: Final[set["asyncio.Future[None]"]] = set()
