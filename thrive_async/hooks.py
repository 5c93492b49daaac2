"""Watching a client: functions of yours that it calls after each wait, each attempt and each call.

No event holds a person's data: paths are templates, and neither arguments, bodies nor headers are in it.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, Literal, TypeAlias

import attrs

from thrive_async.config import Priority

__all__ = ["AttemptEvent", "CallEvent", "Hooks", "Wait", "WaitEvent", "correlation_id"]

_log: Final = logging.getLogger("thrive_async")

correlation_id: Final[ContextVar[str | None]] = ContextVar("thrive_async.correlation_id", default=None)
"""Set it to the id of what your calls are part of, such as a web request.

They then carry it as `X-Correlation-Id`, and the log and the events have it. Of the value only printable ASCII without
spaces is sent, 200 characters at most.

Example:
    >>> token = correlation_id.set("web-request-7")
    >>> correlation_id.reset(token)
"""

Wait: TypeAlias = Literal["token", "session", "slot", "cool-down", "pause"]
"""What a call waited for: a token, connections to be set up, a slot or its turn, the end of a cool-down after a 429, or
the pause before another attempt."""


@attrs.frozen(kw_only=True)
class _Event:
    """What every event knows of its call.

    Attributes:
        operation: The operationId, such as `getUser`.
        method: The HTTP method.
        path: The path template, such as `/rest/v1/user/{id}`.
        tenant: The tenant id of the client.
        host: The host that the call goes to, with its scheme.
        priority: That of the call.
        correlation_id: That of the caller.
        seconds: How long it took.
    """

    operation: str
    method: str
    path: str
    tenant: str
    host: str
    priority: Priority
    correlation_id: str | None
    seconds: float


@attrs.frozen(kw_only=True)
class WaitEvent(_Event):
    """A call has waited, and goes on or gave up.

    Attributes:
        reason: What for.
    """

    reason: Wait


@attrs.frozen(kw_only=True)
class AttemptEvent(_Event):
    """One request was made.

    Attributes:
        attempt: Its number within the call, from 1.
        status: The status of the reply; None if no whole reply came.
        problem: Why not, in words without a person's data; None if one came.
        request_id: Thrive's id of the request, if it names one.
    """

    attempt: int
    status: int | None
    problem: str | None
    request_id: str | None


@attrs.frozen(kw_only=True)
class CallEvent(_Event):
    """A call has ended.

    Attributes:
        attempts: How many requests it made.
        waited: How many of its seconds it waited, as its `WaitEvent`s say in parts.
        status: The status of its last whole reply, if there was one.
        error: The name of the exception that it raised, such as "NotFoundError" or "CancelledError"; None if it
            succeeded.
        request_id: Thrive's id of its last request, if it names one.
    """

    attempts: int
    waited: float
    status: int | None
    error: str | None
    request_id: str | None


@attrs.frozen(kw_only=True)
class Hooks:
    """Functions that a client calls as things happen. They cannot break a call or make it wait.

    A function may be async: it then runs in a task of its own. An exception is logged by its type, and goes no further.

    Args:
        on_wait: After each wait of a call.
        on_attempt: After each request.
        on_call: After each call, also one that failed or was cancelled.

    Example:
        def measure(event: CallEvent) -> None:
            histogram.observe(event.seconds, operation=event.operation, error=event.error)

        thrive = ThriveClient(tenant, key, hooks=Hooks(on_call=measure))
    """

    on_wait: Callable[[WaitEvent], Awaitable[object] | object] | None = None
    on_attempt: Callable[[AttemptEvent], Awaitable[object] | object] | None = None
    on_call: Callable[[CallEvent], Awaitable[object] | object] | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("on_wait", "on_attempt", "on_call"):
            hook = getattr(self, name)
            if hook is not None and not callable(hook):
                raise TypeError(f"{name} must be a function, not {type(hook).__name__}")


def run(hook: Callable[[Any], Awaitable[object] | object], event: object) -> None:
    """Call a hook; whatever it does, nothing is raised."""
    try:
        outcome = hook(event)
        if inspect.isawaitable(outcome):
            task = asyncio.ensure_future(_guarded(outcome))
            _running.add(task)
            task.add_done_callback(_running.discard)
    except Exception as error:  # noqa: BLE001 - it is the caller's, and must not break the call
        _tell(error)


async def _guarded(outcome: Awaitable[object]) -> None:
    try:
        await outcome
    except Exception as error:  # noqa: BLE001
        _tell(error)


def _tell(error: Exception) -> None:
    _log.error("a hook raised %s, which is ignored", type(error).__name__)


# The loop holds tasks weakly.
_running: Final[set["asyncio.Future[None]"]] = set()
