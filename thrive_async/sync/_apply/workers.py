"""A few tasks at once, of which none is left behind."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

__all__ = ["ended", "few_at_once"]

T = TypeVar("T")


async def ended(crew: Sequence["asyncio.Task[None]"]) -> None:
    """Cancel tasks and wait until they have ended, so that what they were about can be accounted for.

    Called where an error or a cancel is on its way already; each further cancel is passed on to the tasks.

    Args:
        crew: The tasks.
    """
    while running := [task for task in crew if not task.done()]:
        for task in running:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(running)
    for task in crew:
        # Else asyncio complains about an error that nobody has asked for.
        if not task.cancelled():
            task.exception()


async def few_at_once(items: Iterable[T], do: Callable[[T], Awaitable[None]], workers: int) -> None:
    """Do something with each item, a few at a time.

    The first error ends it and is raised as it is. A cancel is passed on to all, each time it comes.

    Args:
        items: The items.
        do: What to do with one.
        workers: How many at a time.
    """
    queue = deque(items)

    async def worker() -> None:
        while queue:
            await do(queue.popleft())

    crew = [asyncio.create_task(worker()) for _ in range(min(workers, len(queue)))]
    if not crew:
        return
    try:
        done, _pending = await asyncio.wait(crew, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        queue.clear()
        for task in crew:
            task.cancel()
        await ended(crew)
