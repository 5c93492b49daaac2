"""One gate for all requests of a client: concurrency, rate, and the shared cool-down after a 429.

A request takes one of `concurrency` slots, then a place in the row that rate and cool-down set. After a 429 nobody
passes until its time, and then one after the other, at the pace that was learned (`_pace`).
"""

import asyncio
from typing import Final

from thrive_async._gate.pace import Pace
from thrive_async.config import Limits, Retry

# Rounding of the loop's clock.
_HAIR: Final = 1e-9


class TurnTooLate(Exception):  # noqa: N818 - becomes a RequestTimeout in the transport
    """The gate stays closed for longer than a request can wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Gate:
    """Lets the requests of one client pass; everything is counted in the loop's time, so a test can own it.

    Args:
        limits: Concurrency and rate.
        retry: The first and the longest pause after a 429 that does not say how long to wait.
    """

    def __init__(self, limits: Limits, retry: Retry | None = None) -> None:
        retry = retry or Retry()
        self._turn = asyncio.Lock()
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._rate = limits.rate
        self._burst = limits.burst or 1
        self._pace = Pace()
        self._closed_until = 0.0
        self._closings = 0
        self._row_end = 0.0
        self._longest_pause = retry.max_delay
        self._first_pause = min(retry.base_delay, retry.max_delay)
        self._unannounced_pause = self._first_pause

    async def enter_at_once(self, now: float) -> int | None:
        """Do what `enter` does if it need not wait; else return None.

        Args:
            now: The loop's time.
        """
        if self._slots.locked():
            return None
        paced = self._rate is not None or self._pace.known
        if paced and (self._turn.locked() or self._next_start(now) > now + _HAIR):
            return None
        await self._slots.acquire()  # a free one is taken without a turn of the loop
        if paced:
            self._take_turn(now, waited=False)
        return self._closings

    async def enter(self, deadline: float | None = None) -> int:
        """Take a slot for one request, in its turn; `leave` must give it back.

        Args:
            deadline: The loop's time by which the request's turn must have come.

        Returns:
            A ticket to hand to `refused`.

        Raises:
            TurnTooLate: The cool-down lasts longer than that.
        """
        loop = asyncio.get_running_loop()
        self._refuse_too_late(loop.time(), deadline)
        await self._slots.acquire()
        waited = self._turn.locked() or self._next_start(loop.time()) > loop.time() + _HAIR
        if waited:
            try:
                await self._wait_for_turn(loop, deadline)
            except BaseException:
                self._slots.release()
                raise
        self._take_turn(loop.time(), waited=waited)
        return self._closings

    def leave(self) -> None:
        """Give a slot back."""
        self._slots.release()

    async def _wait_for_turn(self, loop: asyncio.AbstractEventLoop, deadline: float | None) -> None:
        # Only the first in the row watches the clock; a place is taken when its time has come and not before, so that
        # whoever is cancelled leaves no gap, and whoever waits while the gate closes simply waits on.
        self._refuse_too_late(loop.time(), deadline)
        async with self._turn:
            while (pause := self._next_start(loop.time()) - loop.time()) > _HAIR:
                self._refuse_too_late(loop.time(), deadline)
                await asyncio.sleep(pause)

    def _refuse_too_late(self, now: float, deadline: float | None) -> None:
        if deadline is not None and self._closed_until > max(now, deadline):
            raise TurnTooLate(self._closed_until - now)

    def _next_start(self, now: float) -> float:
        """Return when the next request may start: now, or later."""
        pace, burst = self._current_pace(now)
        start = max(now, self._closed_until)
        # A row whose end lies up to `burst - 1` places ahead still admits one at once (GCRA).
        return start if pace is None else max(start, self._row_end - (burst - 1) / pace)

    def _take_turn(self, now: float, *, waited: bool) -> None:
        pace, _burst = self._current_pace(now)
        if pace is not None:
            # Timers ring late, by a millisecond or so. Who waited had its turn when it was due, and not when it was
            # woken: else a row at 100 a second would lose a tenth of its rate. Half a place and no more, so that no
            # second holds one request too many.
            rang_late = waited and now - 0.5 / pace < self._row_end < now
            self._row_end = (self._row_end if rang_late else max(self._row_end, now)) + 1.0 / pace

    def _current_pace(self, now: float) -> tuple[float | None, int]:
        pace = self._pace.at(now)
        if pace is None or (self._rate is not None and pace >= self._rate):
            return self._rate, self._burst
        return pace, 1

    def refused(self, ticket: int, pause: float | None) -> float:
        """Close the gate after a 429.

        Args:
            ticket: What `enter` returned for the refused request: of many requests that were under way together and are
                refused together, only the first slows the pace.
            pause: The seconds that Thrive asked for; None if it did not say.

        Returns:
            The seconds until the gate opens again.
        """
        now = asyncio.get_running_loop().time()
        # A pause of nothing, or a date that is past, says as little: with it five attempts are gone in a second.
        pause = pause or self._unannounced_pause
        if ticket == self._closings:
            self._pace.refused(now, pause)
            self._unannounced_pause = min(self._unannounced_pause * 2, self._longest_pause)
            self._closings += 1
        if now + pause > self._closed_until:
            self._closed_until = now + pause
            self._row_end = self._closed_until
        return max(0.0, self._closed_until - now)

    def passed(self, ticket: int) -> None:
        """Note that Thrive took a request: the next unannounced pause starts small again.

        Args:
            ticket: What `enter` returned for it.
        """
        self._unannounced_pause = self._first_pause
        self._pace.taken(asyncio.get_running_loop().time(), since_opened=ticket == self._closings)
