"""A clock that makes waits instant in tests: time moves only when the loop has nothing left to do."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Generator
from typing import Any, Final

from thrive_async.sandbox.checks import is_number

__all__ = ["VirtualClock"]

_FAR: Final = 1.0


class VirtualClock:
    """Give one asyncio loop virtual time: each wait returns at once, yet lasts exactly as long as you asked.

    While the clock is installed, `loop.time()` stands still as long as anything can run: a callback, a socket with
    data, a job in a thread. When all is quiet, time jumps to the next timer. So `asyncio.sleep(3600)`, a timeout of
    30 seconds and a Retry-After of a minute end at once and in the right order, and differences of `loop.time()` are
    exact.

    Sockets are real. Before each jump the clock asks the loop's selector and gives loopback traffic `grace` seconds of
    real time to arrive. It cannot see other processes and loops, so a timer may fire before their traffic arrives.

    Args:
        grace: Real seconds to wait for sockets before each jump. The clock waits ten times as long before a jump of a
            second or more, so that a busy machine does not run into a timeout.
        patience: Real seconds to wait instead while a job of `loop.run_in_executor` or `asyncio.to_thread` runs.

    Raises:
        ValueError: `grace` or `patience` is negative or not a finite number.

    Example:
        ```python
        with VirtualClock().installed() as clock:
            await asyncio.sleep(3600)  # returns at once
            assert clock.elapsed == 3600
        ```
    """

    def __init__(self, *, grace: float = 0.002, patience: float = 1.0) -> None:
        if not is_number(grace) or not is_number(patience):
            raise ValueError(
                f"grace and patience must be numbers of seconds, zero or more, not {grace!r}, {patience!r}"
            )
        self._grace = grace
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._users = 0
        self._now = 0.0
        self._start = 0.0
        self._jobs = 0
        self._real_select: Callable[[float | None], list[Any]] = lambda _: []

    def time(self) -> float:
        """The virtual time in seconds, on the scale of `loop.time()`."""
        return self._now

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the clock was installed."""
        return self._now - self._start

    def advance(self, seconds: float) -> None:
        """Move the clock forward. Timers that are then due run in the loop's next turn.

        Args:
            seconds: How far to move, zero or more.

        Raises:
            ValueError: `seconds` is negative or not a finite number.
        """
        if not is_number(seconds):
            raise ValueError(f"seconds must be a number, zero or more, not {seconds!r}: the clock only moves forwards")
        self._now += seconds

    def install(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Put the clock on a loop. You may repeat this for the same loop: the clock stays until the last `uninstall`.

        Args:
            loop: The loop. The default is the running one.

        Raises:
            RuntimeError: The loop has another virtual clock, this clock is on another loop, or the loop hides its time
                (uvloop, the proactor loop of Windows).
        """
        loop = loop or asyncio.get_running_loop()
        if self._loop is loop:
            self._users += 1
            return
        if self._loop is not None:
            raise RuntimeError("this VirtualClock is installed on another loop: make one clock per loop")
        inner: Any = loop
        selector = getattr(inner, "_selector", None)
        if selector is None or not hasattr(inner, "_scheduled"):
            raise RuntimeError(
                f"a VirtualClock needs asyncio's own selector loop, not {type(loop).__module__}.{type(loop).__name__}"
            )
        if "time" in vars(loop):
            raise RuntimeError("this loop has another virtual clock: share one VirtualClock between the sandboxes")
        self._loop, self._users, self._jobs = loop, 1, 0
        # Round up: adding whole seconds stays exact, and timers already set do not lie far in the future.
        self._now = self._start = float(math.ceil(loop.time()))
        self._real_select = selector.select
        run_in_executor = loop.run_in_executor

        def counted(executor: Any, func: Any, *args: Any) -> Any:
            future = run_in_executor(executor, func, *args)
            self._jobs += 1
            future.add_done_callback(self._job_done)
            return future

        selector.select = self._select
        inner.time = self.time
        inner.run_in_executor = counted

    def uninstall(self) -> None:
        """Give the loop its own time back. Call it once per `install`; otherwise it does nothing."""
        if self._loop is None:
            return
        self._users -= 1
        if self._users:
            return
        inner: Any = self._loop
        # Deleting the instance attributes uncovers the methods of the class.
        del inner._selector.select, inner.time, inner.run_in_executor  # noqa: SLF001
        self._loop = None

    @contextlib.contextmanager
    def installed(self, loop: asyncio.AbstractEventLoop | None = None) -> Generator["VirtualClock", None, None]:
        """Put the clock on a loop for a `with` block.

        Args:
            loop: The loop. The default is the running one.

        Yields:
            This clock.

        Raises:
            RuntimeError: As for `install`.
        """
        self.install(loop)
        try:
            yield self
        finally:
            self.uninstall()

    def _job_done(self, _: object) -> None:
        self._jobs -= 1

    def _select(self, timeout: float | None = None) -> list[Any]:
        """Return the sockets that are ready or become so within the grace; otherwise jump to the next timer."""
        if timeout is None or timeout <= 0:
            return self._real_select(timeout)
        grace = self._patience if self._jobs else self._grace if timeout < _FAR else 10 * self._grace
        events = self._real_select(0) or self._real_select(grace)
        if not events:
            inner: Any = self._loop
            # Use the timer's own time, because `now + timeout` may round to less.
            self._now = max(self._now, inner._scheduled[0].when())  # noqa: SLF001
        return events
