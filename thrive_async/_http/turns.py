"""Lets other calls go on between two pieces of work that hold the event loop."""

import asyncio
from typing import Final

# Decoding a page of 1,000 users and reading it into models hold the loop for about 10 ms each.
LARGE_BODY: Final = 250_000
# A small call takes 2 turns of the loop, and 4 in a task of its own. Beside a list of whole users, the
# p99 of such calls is 2.2 times that of calls alone, not 3.4 times as with one turn (benchmarks/priority.py).
_TURNS: Final = 6


async def give_turns() -> None:
    """Give the loop to others before the body of a large reply is worked on."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
