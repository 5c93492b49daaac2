"""One gate for all requests of a client: concurrency, rate, and the shared cool-down after a 429.

A request takes one of `concurrency` slots, then a place in the row that rate and cool-down set. After a 429 nobody
passes until its time, and then one after the other, at the pace the gate has learned: additive increase,
multiplicative decrease, as TCP does it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from thrive_async.config import Limits

_OBSERVED_SECONDS: Final = 1.0
_DECREASE: Final = 0.9
_INCREASE_PER_SECOND: Final = 0.02
_FORGET_AFTER: Final = 60.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


class Gate:
    """Lets the requests of one client pass; everything is counted in the loop's time, so a test can own it."""

    def __init__(self, limits: Limits) -> None:
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._rate = limits.rate
        self._burst = limits.burst or 1
        self._pace: float | None = None
        self._pace_changed_at = 0.0
        self._closed_until = 0.0
        self._closings = 0
        self._row_end = 0.0
        self._starts: deque[float] = deque(maxlen=4096)
        self._unannounced_pause = _FIRST_PAUSE

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[int]:
        """Hold a slot while one request is under way; yields a ticket to hand to `refused`."""
        async with self._slots:
            await self._wait_in_row()
            yield self._closings

    async def _wait_in_row(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            start = self._place_in_row(now)
            closings = self._closings
            if start > now:
                await asyncio.sleep(start - now)
            if closings == self._closings:
                self._starts.append(loop.time())
                return
            # The gate was closed meanwhile: the place in the row is void.

    def _place_in_row(self, now: float) -> float:
        if now < self._closed_until:
            now = self._closed_until
        pace, burst = self._current_pace(now)
        if pace is None:
            return now
        # A row whose end lies up to `burst - 1` places in the past admits that many at once (GCRA).
        interval = 1.0 / pace
        earliest = max(self._row_end, now - (burst - 1) * interval)
        self._row_end = earliest + interval
        return max(earliest, now)

    def _current_pace(self, now: float) -> tuple[float | None, int]:
        pace = self._pace
        if pace is None:
            return self._rate, self._burst
        quiet = now - self._pace_changed_at
        if quiet > _FORGET_AFTER:
            self._pace = None
            return self._rate, self._burst
        pace *= 1.0 + _INCREASE_PER_SECOND * max(0.0, quiet)
        if self._rate is not None and pace >= self._rate:
            return self._rate, self._burst
        return pace, 1

    def refused(self, ticket: int, pause: float | None) -> float:
        """Close the gate after a 429.

        Args:
            ticket: What `slot` yielded to the refused request: of many requests that were under way together and are
                refused together, only the first slows the pace.
            pause: The seconds that Thrive asked for; None if it did not say.

        Returns:
            The seconds until the gate opens again.
        """
        now = asyncio.get_running_loop().time()
        if pause is None:
            pause = self._unannounced_pause
        if ticket == self._closings:
            self._slow_down(now)
            self._unannounced_pause = min(self._unannounced_pause * 2, _LONGEST_PAUSE)
            self._closings += 1
        if now + pause > self._closed_until:
            self._closed_until = now + pause
            self._row_end = self._closed_until
        return max(0.0, self._closed_until - now)

    def passed(self) -> None:
        """Note that Thrive took a request: the next unannounced pause starts small again."""
        self._unannounced_pause = _FIRST_PAUSE

    def _slow_down(self, now: float) -> None:
        recent = sum(1 for start in self._starts if start > now - _OBSERVED_SECONDS)
        pace, _burst = self._current_pace(now)
        observed = max(1.0, float(recent - 1))
        self._pace = max(1.0, _DECREASE * (observed if pace is None else min(pace, observed)))
        self._pace_changed_at = now
