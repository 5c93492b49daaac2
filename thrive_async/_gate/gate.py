"""One gate for the requests of a client: concurrency, rate, and the shared cool-down after a 429.

A request takes one of `concurrency` slots, then waits for its turn. After a 429 the gate is closed for the pause that
Thrive asked for, and then lets requests pass one by one at the pace it has learned (`pace`). If Thrive asked for more
than `Retry.longest_pause`, the gate opens after that time for a single trial request. The others follow once Thrive has
taken it.
"""

import asyncio
import copy
from typing import Final

from thrive_async._gate.pace import Pace
from thrive_async.config import Limits, Retry

# Rounding of the loop's clock.
_HAIR: Final = 1e-9


class TurnTooLate(Exception):  # noqa: N818 - becomes a RequestTimeout in the transport
    """The gate stays closed for longer than a request can wait.

    Attributes:
        seconds: How long Thrive wants to be left alone from now on.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Gate:
    """Lets requests pass. All times are the loop's, so a test can own them.

    Args:
        limits: Concurrency and rate.
        retry: The pauses after a 429: the first and the longest unannounced one, and the longest of all.

    Attributes:
        closings: How often the gate was closed.
    """

    def __init__(self, limits: Limits, retry: Retry | None = None) -> None:
        retry = retry or Retry()
        self.closings = 0
        self._concurrency = limits.concurrency
        self._rate = limits.rate
        self._burst = limits.burst or 1
        self._pace = Pace()
        self._closed_until = 0.0
        self._asked_until = 0.0
        self._row_end = 0.0
        self._longest_pause = retry.longest_pause
        self._longest_unannounced = min(retry.max_delay, retry.longest_pause)
        self._first_pause = min(retry.base_delay, self._longest_unannounced)
        self._unannounced_pause = self._first_pause
        self._trial_due = False
        self._trial: asyncio.Event | None = None
        self.empty()

    def moved(self) -> "Gate":
        """Return a gate for another loop: it knows what this one has learned, and all its slots are free."""
        gate = copy.copy(self)
        gate.empty()
        return gate

    def empty(self) -> None:
        """Have no one in it and no one waiting."""
        self._turn = asyncio.Lock()
        self._slots = asyncio.Semaphore(self._concurrency)
        if self._trial is not None:
            self._trial, self._trial_due = None, True

    async def enter_at_once(self, now: float) -> int | None:
        """Do what `enter` does if there is nothing to wait for; return None otherwise.

        Args:
            now: The loop's time.
        """
        if self._slots.locked():
            return None
        # Without a rate to keep and a refusal so far, which is the usual case, there is no turn to wait for.
        paced = self._rate is not None or self._pace.known
        if paced and self._must_wait(now):
            return None
        await self._slots.acquire()  # a free one is taken without a turn of the loop
        if paced:
            self._take_turn(now, waited=False)
        return self.closings

    async def enter(self, deadline: float | None = None) -> int:
        """Wait for a slot and a turn. `leave` must give the slot back.

        Args:
            deadline: The loop's time by which the turn must have come.

        Returns:
            A ticket for `passed`, `refused` and `leave`.

        Raises:
            TurnTooLate: The cool-down lasts past the deadline.
        """
        loop = asyncio.get_running_loop()
        self._refuse_too_late(loop.time(), deadline)
        await self._slots.acquire()
        waited = self._must_wait(loop.time())
        if waited:
            try:
                await self._wait_for_turn(loop, deadline)
            except BaseException:
                self._slots.release()
                raise
        self._take_turn(loop.time(), waited=waited)
        return self.closings

    def leave(self, ticket: int) -> None:
        """Give a slot back.

        Args:
            ticket: What `enter` returned.
        """
        self._slots.release()
        if self._trial is not None and ticket == self.closings:
            # The trial brought no answer, or a 5xx: the next request is another trial.
            self._end_trial(another=True)

    def _must_wait(self, now: float) -> bool:
        trial = self._trial_due or self._trial is not None
        return trial or self._turn.locked() or self._next_start(now) > now + _HAIR

    async def _wait_for_turn(self, loop: asyncio.AbstractEventLoop, deadline: float | None) -> None:
        # Only the first in the row watches the clock. It takes its place when the time has come and not before, so a
        # cancelled request leaves no gap, and the row just waits on if the gate closes again.
        self._refuse_too_late(loop.time(), deadline)
        async with self._turn:
            while True:
                pause = self._next_start(loop.time()) - loop.time()
                if pause > _HAIR:
                    self._refuse_too_late(loop.time(), deadline)
                    await asyncio.sleep(pause)
                elif self._trial is not None:
                    await self._trial.wait()
                else:
                    return

    def _refuse_too_late(self, now: float, deadline: float | None) -> None:
        if deadline is not None and self._closed_until > max(now, deadline):
            raise TurnTooLate(max(self._closed_until, self._asked_until) - now)

    def _next_start(self, now: float) -> float:
        """Return when the next request may start: now, or later."""
        pace, burst = self._current_pace(now)
        start = max(now, self._closed_until)
        # A row whose end lies up to `burst - 1` places ahead still admits one at once (GCRA).
        return start if pace is None else max(start, self._row_end - (burst - 1) / pace)

    def _take_turn(self, now: float, *, waited: bool) -> None:
        if self._trial_due and now + _HAIR >= self._closed_until:
            self._trial_due, self._trial = False, asyncio.Event()
        pace, _burst = self._current_pace(now)
        if pace is not None:
            # Timers ring late, by a millisecond or so. A request that waited counts from when it was due, not from
            # when it was woken: otherwise a row at 100 a second would lose a tenth of its rate. Half a place and no
            # more, so that no second holds one request too many.
            rang_late = waited and now - 0.5 / pace < self._row_end < now
            self._row_end = (self._row_end if rang_late else max(self._row_end, now)) + 1.0 / pace

    def _current_pace(self, now: float) -> tuple[float | None, int]:
        pace = self._pace.at(now)
        if pace is None or (self._rate is not None and pace >= self._rate):
            return self._rate, self._burst
        return pace, 1

    def refused(self, ticket: int, asked: float | None) -> float:
        """Close the gate after a 429.

        Args:
            ticket: What `enter` returned for the refused request. If many requests were under way together and are
                refused together, only the first slows the pace.
            asked: The seconds that Thrive asked to wait; None if it did not say.

        Returns:
            The seconds until the gate opens again.
        """
        now = asyncio.get_running_loop().time()
        # A pause of zero, or a date in the past, says no more than no pause: five attempts would be gone in a second.
        asked = asked or self._unannounced_pause
        pause = min(asked, self._longest_pause)
        if ticket == self.closings:
            self._pace.refused(now, pause)
            self._unannounced_pause = min(self._unannounced_pause * 2, self._longest_unannounced)
            self.closings += 1
            self._end_trial(another=False)
        if now + pause > self._closed_until:
            self._closed_until = self._row_end = now + pause
            self._asked_until = now + asked
            self._trial_due = self._trial is None and asked > pause
        return max(0.0, self._closed_until - now)

    def passed(self, ticket: int) -> None:
        """Note that Thrive took a request: the next unannounced pause starts small again.

        Args:
            ticket: What `enter` returned for it.
        """
        self._unannounced_pause = self._first_pause
        since_opened = ticket == self.closings
        if since_opened:
            self._end_trial(another=False)
        self._pace.taken(asyncio.get_running_loop().time(), since_opened=since_opened)

    def _end_trial(self, *, another: bool) -> None:
        if self._trial is not None:
            self._trial.set()
            self._trial, self._trial_due = None, another
