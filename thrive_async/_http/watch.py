"""Reports what happens to a call, to the log and to the client's hooks."""

import logging
import re
import time
from typing import Any, Final

from thrive_async._base.replies import request_id
from thrive_async._http.attempt import Broken, Call, WatchedCall
from thrive_async._http.headers import check_header, printable
from thrive_async._http.request import Reply
from thrive_async.hooks import (
    AttemptEvent,
    AttemptStart,
    CallEvent,
    CallStart,
    Hooks,
    Wait,
    WaitEvent,
    run,
    tell,
)

_log: Final = logging.getLogger("thrive_async")
_ID: Final = re.compile(r"[\w.:=+/-]+", re.ASCII)
# Waits below this are turns of the loop.
_NOTEWORTHY: Final = 0.0005


class Watch:
    """Reports the calls of one client.

    Args:
        tenant_id: The client's tenant.
        hooks: The user's functions.
    """

    def __init__(self, tenant_id: str, hooks: Hooks | None) -> None:
        self._tenant_id = tenant_id
        self._hooks = hooks or Hooks()
        self._has_hooks = hooks is not None

    @property
    def kind_of_call(self) -> type[Call]:
        """The class of a call that begins now: `WatchedCall` if anyone listens."""
        return WatchedCall if self._has_hooks or _log.isEnabledFor(logging.DEBUG) else Call

    def began(self, call: WatchedCall) -> None:
        """Report that a call begins."""
        if self._hooks.on_call_start is not None:
            run(self._hooks.on_call_start, CallStart(**self._of(call)))

    def waited(self, call: WatchedCall, reason: Wait, since: float) -> None:
        """Report that a call has waited.

        Args:
            call: The call.
            reason: What it waited for.
            since: When the wait began, as `time.perf_counter` has it.
        """
        seconds = time.perf_counter() - since
        if seconds < _NOTEWORTHY:
            return
        call.waited += seconds
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s: waited %.1f ms for %s", call.request.operation.id, seconds * 1000, _FOR[reason])
        if self._hooks.on_wait is not None:
            run(self._hooks.on_wait, WaitEvent(**self._of(call), reason=reason, seconds=seconds))

    def attempting(self, call: WatchedCall) -> None:
        """Report that a request is about to be sent, and keep the headers that hooks add to it."""
        if self._hooks.on_attempt_start is None:
            return
        headers: dict[str, str] = {}
        run(self._hooks.on_attempt_start, AttemptStart(**self._of(call), attempt=call.attempts, headers=headers))
        call.headers = tuple((name, value) for name, value in headers.items() if _can_be_sent(name, value))

    def attempted(self, call: WatchedCall, result: Reply | Broken | str, started: float) -> None:
        """Report how an attempt ended.

        Args:
            call: The call.
            result: What came of it; the name of an exception if it was cancelled.
            started: When it began, as `time.perf_counter` has it.
        """
        seconds = time.perf_counter() - started
        words, error = None, None
        call.request_id = None
        if isinstance(result, Reply):
            call.status = result.status
            # A header may hold words instead, and neither log nor events hold any of Thrive's.
            named = request_id(result.headers)
            call.request_id = named if _ID.fullmatch(named or "") else None
        elif isinstance(result, Broken):
            words, error = result.words, result.error
        else:
            words, error = "it was interrupted", result
        operation = call.request.operation
        _log.debug(
            "%s %s %s: %s, request id %s, attempt %d, %.1f ms%s",
            operation.id,
            operation.method,
            operation.path,
            words or call.status,
            call.request_id or "-",
            call.attempts,
            seconds * 1000,
            f", correlation id {printable(call.correlation_id)}" if call.correlation_id else "",
        )
        if self._hooks.on_attempt is not None:
            event = AttemptEvent(
                **self._of(call),
                attempt=call.attempts,
                status=call.status if words is None else None,
                problem=words,
                error=error,
                request_id=call.request_id,
                seconds=seconds,
            )
            run(self._hooks.on_attempt, event)

    def ended(self, call: WatchedCall, error: BaseException | None, began: float) -> None:
        """Report how a call ended."""
        seconds = time.perf_counter() - began - call.unwanted
        name = None if error is None else type(error).__name__
        if name is not None or call.waited:
            _log.debug(
                "%s: %s after %.1f ms (waited %.1f ms), attempts %d",
                call.request.operation.id,
                name or "done",
                seconds * 1000,
                call.waited * 1000,
                call.attempts,
            )
        if self._hooks.on_call is not None:
            event = CallEvent(
                **self._of(call),
                attempts=call.attempts,
                waited=call.waited,
                status=call.status,
                error=name,
                request_id=call.request_id,
                seconds=seconds,
            )
            run(self._hooks.on_call, event)

    def _of(self, call: WatchedCall) -> dict[str, Any]:
        operation = call.request.operation
        return {
            "operation": operation.id,
            "method": operation.method,
            "path": operation.path,
            "tenant": self._tenant_id,
            "host": call.base_url,
            "priority": call.priority,
            "correlation_id": call.correlation_id,
            "state": call.state,
        }


def _can_be_sent(name: str, value: str) -> bool:
    try:
        check_header(name, value)
    except (TypeError, ValueError) as error:
        tell(error)
        return False
    return True


_FOR: Final[dict[Wait, str]] = {
    "token": "a token",
    "session": "its session",
    "slot": "a slot or its turn",
    "cool-down": "the end of a cool-down",
    "pause": "the pause before another attempt",
}
