"""One timer for the time limits of many short waits."""

import asyncio
import math
from types import TracebackType
from typing import Any, Self


class Deadlines:
    """Ends what takes too long, like `asyncio.timeout_at`, but with one timer for everything under way.

    A small call takes 6 % less CPU than with a timer of its own (10 in flight: 237 us against 251). The timer waits for
    the earliest end known when it was set; when it rings, it ends what is over and waits for the next.

    Args:
        loop: The running loop.

    Attributes:
        loop: The running loop.
        under_way: The waits that have begun and not ended.
        rings_at: The loop time for which the timer is set.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.under_way: set[Limited] = set()
        self.rings_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def ring_at(self, ends: float) -> None:
        """Set the timer, in place of a later one."""
        if self._timer is not None:
            self._timer.cancel()
        self.rings_at = ends
        self._timer = self.loop.call_at(ends, self._ring)

    def _ring(self) -> None:
        now = self.loop.time()
        following = math.inf
        for limited in list(self.under_way):
            ends = limited.ends
            if ends is not None and ends <= now:
                limited.expire()
            elif ends is not None and ends < following:
                following = ends
        self.rings_at, self._timer = math.inf, None
        if following < math.inf:
            self.ring_at(following)


class Limited:
    """Cancels its block at a time of the loop.

    Args:
        deadlines: Those of the loop.
        ends: The loop's time; None for no limit.

    Attributes:
        ends: The loop time at which it ends; None for never.
        expired: Whether this time ended it.
    """

    __slots__ = ("_cancelling", "_deadlines", "_task", "ends", "expired")

    def __init__(self, deadlines: Deadlines, ends: float | None) -> None:
        self._deadlines = deadlines
        self.ends = ends
        self.expired = False

    def __enter__(self) -> Self:
        ends = self.ends
        if ends is not None:
            deadlines = self._deadlines
            task = asyncio.current_task(deadlines.loop)
            assert task is not None  # noqa: S101 - aiohttp runs in tasks only
            self._task: asyncio.Task[Any] = task
            self._cancelling = task.cancelling()
            deadlines.under_way.add(self)
            if ends < deadlines.rings_at:
                deadlines.ring_at(ends)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.ends is None:
            return
        self._deadlines.under_way.discard(self)
        # A cancel from outside at the same moment stays a cancel.
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """End it now."""
        self.expired = True
        self._task.cancel()
