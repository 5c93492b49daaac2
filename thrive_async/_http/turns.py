"""Lets other calls go on between two pieces of work that hold the event loop."""

import asyncio
from typing import Final

# Decoding a page of 1,000 users and reading it into models hold the loop for about 10 ms each.
_LARGE_BODY: Final = 250_000
# A small call whose reply has come needs 3 turns of the loop to end, and its caller's task another. These cost 0.1 ms.
_TURNS: Final = 6


async def give_turns(body: bytes) -> None:
    """Give the loop to others before the body of a reply is worked on, if that takes long."""
    if len(body) >= _LARGE_BODY:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
