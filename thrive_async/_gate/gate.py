"""One gate for the requests of a client: concurrency, rate, and the shared cool-down after a 429.

A request starts when one of `concurrency` slots is free and its turn has come. Until then it waits in a row. There are
two: the bulk row moves when the interactive one is empty, and once in ten starts, so that it never stands still. Bulk
leaves the last free slot to interactive requests, as long as there have been any within the last minute. After a 429
the gate is closed for the pause that Thrive asked for, and then lets requests pass one by one at the pace it has
learned (`pace`). If Thrive asked for more than `Retry.longest_pause`, the gate opens after that time for a single trial
request. The others follow once Thrive has taken it.
"""

import asyncio
import contextlib
import copy
from collections import deque
from typing import Final, Self

import attrs

from thrive_async._gate.pace import Pace
from thrive_async.config import Limits, Priority, Retry

# Rounding of the loop's clock.
_HAIR: Final = 1e-9
# How many interactive requests in a row may start before one of bulk that waits.
_AHEAD_OF_BULK: Final = 9
# Seconds after an interactive request during which bulk leaves a slot free for the next one. Beside 10 slots of bulk at
# 50 ms, the p99 of 20 calls a second is then 1.02 times that of calls alone, not 1.75 times (benchmarks/priority.py).
# Bulk takes 12 % longer meanwhile.
_KEPT_FREE: Final = 60.0


class TurnTooLate(Exception):  # noqa: N818 - becomes a RequestTimeout in the transport
    """The gate stays closed for longer than a request can wait.

    Attributes:
        seconds: How long the gate stays closed, or how long until the request's place in a shared row.
        asked: Whether Thrive asked for it.
    """

    def __init__(self, seconds: float, *, asked: bool = True) -> None:
        super().__init__()
        self.seconds = seconds
        self.asked = asked


@attrs.frozen(eq=False)
class _Waiting:
    """A request in a row.

    Attributes:
        ticket: Set when it may start.
        deadline: The loop time by which it must start.
    """

    ticket: "asyncio.Future[int]"
    deadline: float | None


class Gate:
    """Lets requests pass. All times are loop times, so a test can control them.

    Args:
        limits: Concurrency and rate.
        retry: The pauses after a 429: the first and the longest that Thrive does not announce, and the longest of all.

    Attributes:
        closings: How often the gate was closed.
        free: How many slots are free.
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
        self._trial = False
        self._interactive_until = 0.0
        self.empty()

    def moved(self) -> Self:
        """Return a gate for another loop. It keeps what this one has learned, and all its slots are free."""
        gate = copy.copy(self)
        gate.empty()
        return gate

    def empty(self) -> None:
        """Empty the gate and its rows."""
        self.free = self._concurrency
        self._interactive: deque[_Waiting] = deque()
        self._bulk: deque[_Waiting] = deque()
        self._ahead_of_bulk = 0
        self._timer: asyncio.TimerHandle | None = None
        if self._trial:
            self._trial, self._trial_due = False, True

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(not one.ticket.done() for row in (self._interactive, self._bulk) for one in row)

    def enter_at_once(self, now: float, priority: Priority = "interactive") -> int | None:
        """Do what `enter` does if there is nothing to wait for; return None otherwise.

        Args:
            now: The loop's time.
            priority: As for `enter`.
        """
        if priority == "interactive":
            self._interactive_until = now + _KEPT_FREE
        if not self.free or self._interactive or self._bulk or (priority == "bulk" and self._keeps_last_slot(now)):
            return None
        # Without a rate to keep and a refusal so far, which is the usual case, there is no turn to wait for.
        paced = self._rate is not None or self._pace.known
        if paced and self._must_wait(now):
            return None
        self.free -= 1
        if paced:
            self._take_turn(now, waited=False)
        return self.closings

    async def enter(self, deadline: float | None = None, priority: Priority = "interactive") -> int:
        """Wait for a slot and a turn. `leave` must give the slot back.

        Args:
            deadline: The loop time by which the turn must come.
            priority: The row to wait in.

        Returns:
            A ticket for `passed`, `refused` and `leave`.

        Raises:
            TurnTooLate: The cool-down lasts past the deadline.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        too_late = self._too_late(now, deadline)
        if too_late is not None:
            raise too_late
        row = self._bulk
        if priority == "interactive":
            row, self._interactive_until = self._interactive, now + _KEPT_FREE
        waiting = _Waiting(loop.create_future(), deadline)
        row.append(waiting)
        try:
            while True:
                if self.free:
                    self._let_in()
                ticket = await waiting.ticket
                if ticket == self.closings:
                    return ticket
                # Closed again in the turn of the loop that it took to get here.
                self.free += 1
                waiting = _Waiting(loop.create_future(), deadline)
                row.appendleft(waiting)
        except BaseException:
            with contextlib.suppress(ValueError):
                row.remove(waiting)
            done = waiting.ticket
            if done.done() and not done.cancelled() and done.exception() is None:
                self._give_turn_back(loop.time())
                self.leave(done.result())
            raise

    def leave(self, ticket: int) -> None:
        """Give a slot back.

        Args:
            ticket: What `enter` returned.
        """
        self.free += 1
        if self._trial and ticket == self.closings:
            # The trial got no answer, or a 5xx: the next request is another trial.
            self._end_trial(another=True)
        elif self._interactive or self._bulk:
            self._let_in()

    def is_closed(self, now: float) -> bool:
        """Return whether the gate is closed for a cool-down."""
        return self._closed_until > now or self._trial_due or self._trial

    def _let_in(self, *, rang: bool = False) -> None:
        """Let in as many as may start now, and set the timer for the next."""
        loop = asyncio.get_running_loop()
        while self.free and not self._trial and (row := self._next_row()):
            now = loop.time()
            if row is self._bulk and not self._interactive and self._keeps_last_slot(now):
                return
            start = self._next_start(now)
            if start > now + _HAIR:
                self._ring_at(start, loop)
                return
            waiting = row.popleft()
            self._ahead_of_bulk = self._ahead_of_bulk + 1 if self._bulk and row is self._interactive else 0
            self.free -= 1
            self._take_turn(now, waited=rang)
            waiting.ticket.set_result(self.closings)

    def _next_row(self) -> deque[_Waiting]:
        for row in (self._interactive, self._bulk):
            while row and row[0].ticket.done():
                # Its call already knows that it is too late, or is about to learn that it was cancelled.
                row.popleft()
        bulk_is_due = self._ahead_of_bulk >= _AHEAD_OF_BULK or not self._interactive
        return self._bulk if self._bulk and bulk_is_due else self._interactive

    def _keeps_last_slot(self, now: float) -> bool:
        return self.free == 1 < self._concurrency and now < self._interactive_until

    def _ring_at(self, start: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            if self._timer.when() <= start:
                return
            self._timer.cancel()
        self._timer = loop.call_at(start, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._let_in(rang=True)

    def _must_wait(self, now: float) -> bool:
        return self._trial_due or self._trial or self._next_start(now) > now + _HAIR

    def _too_late(self, now: float, deadline: float | None) -> TurnTooLate | None:
        if deadline is not None and self._closed_until > max(now, deadline):
            return TurnTooLate(max(self._closed_until, self._asked_until) - now)
        return None

    def _next_start(self, now: float) -> float:
        """Return when the next request may start: now, or later."""
        pace, burst = self._current_pace(now)
        start = max(now, self._closed_until)
        # A row whose end lies up to `burst - 1` places ahead still admits one at once (GCRA).
        return start if pace is None else max(start, self._row_end - (burst - 1) / pace)

    def _take_turn(self, now: float, *, waited: bool) -> None:
        if self._trial_due and now + _HAIR >= self._closed_until:
            self._trial_due, self._trial = False, True
        pace, _burst = self._current_pace(now)
        if pace is not None:
            # Timers ring late, by a millisecond or so. A request that waited counts from when it was due, not from
            # when it was woken: otherwise a row at 100 a second would lose a tenth of its rate. Half a place and no
            # more, so that no second holds one request too many.
            rang_late = waited and now - 0.5 / pace < self._row_end < now
            self._row_end = (self._row_end if rang_late else max(self._row_end, now)) + 1.0 / pace

    def _give_turn_back(self, now: float) -> None:
        """Take back the turn of a request that was cancelled just then, so that it leaves no gap."""
        pace, _burst = self._current_pace(now)
        if pace is not None:
            self._row_end -= 1.0 / pace

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
        # A pause of zero, or a date in the past, counts as no pause: otherwise five attempts would be gone in a second.
        asked = asked or self._unannounced_pause
        pause = min(asked, self._longest_pause)
        if ticket == self.closings:
            self._pace.refused(now, pause)
            self._unannounced_pause = min(self._unannounced_pause * 2, self._longest_unannounced)
            self.closings += 1
            self._trial = self._trial_due = False
        if now + pause > self._closed_until:
            self._closed_until = self._row_end = now + pause
            self._asked_until = now + asked
            self._trial_due = not self._trial and asked > pause
            for waiting in (*self._interactive, *self._bulk):
                too_late = self._too_late(now, waiting.deadline)
                if too_late is not None and not waiting.ticket.done():
                    waiting.ticket.set_exception(too_late)
        self._let_in()
        return max(0.0, self._closed_until - now)

    def passed(self, ticket: int) -> None:
        """Note that Thrive accepted a request, so the next unannounced pause starts small again.

        Args:
            ticket: What `enter` returned for it.
        """
        self._unannounced_pause = self._first_pause
        since_opened = ticket == self.closings
        if since_opened and self._trial:
            self._end_trial(another=False)
        self._pace.taken(asyncio.get_running_loop().time(), since_opened=since_opened)

    def _end_trial(self, *, another: bool) -> None:
        self._trial, self._trial_due = False, another
        self._let_in()
