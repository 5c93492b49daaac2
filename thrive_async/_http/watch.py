"""Reports what happens to a call, to the log and to the client's hooks."""

import logging
import re
import time
from typing import Any, Final

from thrive_async._http.attempt import Broken, Call
from thrive_async._http.headers import printable, request_id
from thrive_async._http.request import Reply
from thrive_async.hooks import AttemptEvent, CallEvent, Hooks, Wait, WaitEvent, run

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
    def on(self) -> bool:
        """Whether anyone listens."""
        return self._has_hooks or _log.isEnabledFor(logging.DEBUG)

    def waited(self, call: Call, reason: Wait, since: float) -> None:
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
            run(self._hooks.on_wait, WaitEvent(**self._of(call, seconds), reason=reason))

    def attempted(self, call: Call, result: Reply | Broken, started: float) -> None:
        """Report how a request ended."""
        seconds = time.perf_counter() - started
        if isinstance(result, Reply):
            call.status, call.request_id = result.status, request_id(result.headers)
            status, words = str(result.status), None
        else:
            call.request_id = None
            status, words = result.words, result.words
        operation = call.request.operation
        _log.debug(
            "%s %s %s: %s, request id %s, attempt %d, %.1f ms%s",
            operation.id,
            operation.method,
            operation.path,
            status,
            # The header may hold words instead, and Thrive's words never go into the log.
            call.request_id if _ID.fullmatch(call.request_id or "") else "-",
            call.attempts,
            seconds * 1000,
            f", correlation id {printable(call.correlation_id)}" if call.correlation_id else "",
        )
        if self._hooks.on_attempt is not None:
            event = AttemptEvent(
                **self._of(call, seconds),
                attempt=call.attempts,
                status=call.status if words is None else None,
                problem=words,
                request_id=call.request_id,
            )
            run(self._hooks.on_attempt, event)

    def ended(self, call: Call, error: BaseException | None, began: float) -> None:
        """Report how a call ended."""
        seconds = time.perf_counter() - began
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
                **self._of(call, seconds),
                attempts=call.attempts,
                waited=call.waited,
                status=call.status,
                error=name,
                request_id=call.request_id,
            )
            run(self._hooks.on_call, event)

    def _of(self, call: Call, seconds: float) -> dict[str, Any]:
        operation = call.request.operation
        return {
            "operation": operation.id,
            "method": operation.method,
            "path": operation.path,
            "tenant": self._tenant_id,
            "host": call.base_url,
            "priority": call.options.priority,
            "correlation_id": call.correlation_id,
            "seconds": seconds,
        }


_FOR: Final[dict[Wait, str]] = {
    "token": "a token",
    "session": "its session",
    "slot": "a slot or its turn",
    "cool-down": "the end of a cool-down",
    "pause": "the pause before another attempt",
}
