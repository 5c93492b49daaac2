"""The waiting calls of one process. Only the first of them holds a place."""

import asyncio
import heapq
import itertools
import math
from contextlib import suppress
from typing import Final

from thrive_async.config import Priority
from thrive_async.share.errors import ShareUnavailable, TurnTooLate
from thrive_async.share.protocol import AT_ONCE, Place, Scope, Share

__all__ = ["Row"]

_HAIR: Final = 1e-9
"""Rounding of the loop's clock."""


class _Waiter:
    """A call in the row."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Row:
    """Starts the calls of one process, each at its place in the row that all processes share.

    The process holds one place at most. When its time comes, the first call in the row gets it. So a web
    call never waits behind everything another process still has to send, and a cancelled call costs one place at most.

    Args:
        share: What the processes share.
        scope: The host and tenant that are called.
        rate: Calls per second over all processes; None for no limit but the cool-down.
        burst: Calls that may start at once after a quiet time.
    """

    def __init__(self, share: Share, scope: Scope, *, rate: float | None = None, burst: int = 1) -> None:
        self._share = share
        self._scope = scope
        self._rate = rate
        self._burst = burst
        self._waiters: list[tuple[bool, int, _Waiter]] = []
        self._order = itertools.count()
        self._asking = False
        self._server: asyncio.Task[None] | None = None
        self._closed_until = 0.0

    async def turn(self, deadline: float | None = None, *, priority: Priority = "interactive") -> None:
        """Wait for this call's turn.

        Args:
            deadline: The loop time by which the turn must come; None for no limit.
            priority: "interactive" calls of this process go before "bulk" ones.

        Raises:
            TurnTooLate: The turn would come after the deadline. No place was taken.
        """
        loop = asyncio.get_running_loop()
        ends = math.inf if deadline is None else deadline
        if self._closed_until > max(ends, loop.time()):
            raise TurnTooLate(self._closed_until - loop.time())
        order = next(self._order)
        place: Place | None = None
        if not self._asking and not self._waiters:
            # Usually no other call waits. Ask without a task, which would cost as much again.
            self._asking = True
            try:
                place = await self._ask(ends)
            finally:
                self._asking = False
                if self._waiters and (place is None or place is AT_ONCE):
                    self._serve()
            if place is AT_ONCE:
                return
        waiter = _Waiter(ends)
        heapq.heappush(self._waiters, (priority == "bulk", order, waiter))
        if not self._asking:
            self._serve(place)
        scope = asyncio.timeout_at(deadline)
        try:
            async with scope:
                await waiter.turn
        except TimeoutError as error:
            if isinstance(error, TurnTooLate) or not scope.expired():
                raise
            raise TurnTooLate(None) from None

    @property
    def cooling(self) -> bool:
        """Whether a cool-down is on, as far as this process knows."""
        return self._closed_until > asyncio.get_running_loop().time()

    async def cool_down(self, seconds: float) -> float:
        """Start no call of any process for some time, after a 429.

        Args:
            seconds: How long.

        Returns:
            The seconds until the cool-down ends.
        """
        loop = asyncio.get_running_loop()
        # Here first, so that the calls of this process stop even while the share is asked.
        self._closed_until = max(self._closed_until, loop.time() + seconds)
        left = await self._share.cool_down(self._scope, seconds)
        self._closed_until = max(self._closed_until, loop.time() + left)
        return left

    async def _ask(self, deadline: float) -> Place:
        """Ask the share for a place before a deadline.

        Raises:
            TurnTooLate: There is none.
        """
        now = asyncio.get_running_loop().time()
        if self._closed_until > now:
            place = Place(taken=False, wait=self._closed_until - now, cooling=True)
        else:
            place = await self._share.place(
                self._scope, rate=self._rate, burst=self._burst, within=max(0.0, deadline - now)
            )
        if place.taken:
            return place if place.wait > _HAIR else AT_ONCE
        if place.cooling:
            self._closed_until = max(self._closed_until, now + place.wait)
        if place.wait > deadline - now - _HAIR:
            raise TurnTooLate(place.wait)
        return place

    def _serve(self, in_hand: Place | None = None) -> None:
        if self._server is None or self._server.done():
            self._server = asyncio.get_running_loop().create_task(self._serve_row(in_hand))

    async def _serve_row(self, place: Place | None) -> None:
        loop = asyncio.get_running_loop()
        while waiter := self._first():
            try:
                place = place or await self._ask(waiter.deadline)
            except Exception as error:  # noqa: BLE001 - whatever it is, the call that waits must hear of it
                if not waiter.turn.done():
                    waiter.turn.set_exception(error)
                continue
            if place.wait > 0:
                # A shorter sleep than a hair might not move a clock that stands still between timers.
                await asyncio.sleep(max(place.wait, _HAIR))
            # This process got a 429 while it slept: the place is lost, and the next one comes after the cool-down.
            if place.taken and self._closed_until <= loop.time() and (first := self._first()):
                first.turn.set_result(None)
            place = None

    def _first(self) -> _Waiter | None:
        """Return the first call that still waits."""
        while self._waiters and self._waiters[0][2].turn.done():
            heapq.heappop(self._waiters)
        return self._waiters[0][2] if self._waiters else None

    async def aclose(self) -> None:
        """Stop serving; calls that still wait get a `ShareUnavailable`."""
        for _priority, _order, waiter in self._waiters:
            if not waiter.turn.done():
                waiter.turn.set_exception(ShareUnavailable("the row was closed while this call waited in it"))
        if self._server is not None:
            self._server.cancel()
            with suppress(asyncio.CancelledError):
                await self._server
