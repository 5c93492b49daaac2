"""A few tasks at once, and no task left behind."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from thrive_async.client import ThriveClient

__all__ = ["few_at_once", "in_bulk", "run_workers"]

T = TypeVar("T")


def in_bulk(thrive: ThriveClient) -> ThriveClient:
    """Return a view of a client whose calls let interactive ones go first, unless you chose a priority yourself."""
    return thrive if thrive.priority else thrive.with_options(priority="bulk")


async def run_workers(
    worker: Callable[[], Coroutine[Any, Any, None]],
    count: int,
    *,
    stop: Callable[[BaseException | None], object],
    grace: float = 0.0,
) -> None:
    """Run several workers until all have ended. The first error ends the others, and is raised; so does a cancel.

    Args:
        worker: Makes one.
        count: How many.
        stop: Called with the error, or None for a cancel, so that workers take no more work.
        grace: Seconds that workers then have to finish what they have begun, before they are cancelled.
    """
    workers = [asyncio.create_task(worker()) for _ in range(count)]
    if not workers:
        return
    try:
        done, _pending = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    except BaseException as error:
        stop(None if isinstance(error, asyncio.CancelledError) else error)
        if grace:
            await asyncio.wait(workers, timeout=grace)
        raise
    finally:
        await _ended(workers)


async def _ended(workers: list["asyncio.Task[None]"]) -> None:
    """Cancel tasks and wait until they have ended; each further cancel is passed on to them."""
    while running := [task for task in workers if not task.done()]:
        for task in running:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(running)
    for task in workers:
        # Otherwise asyncio complains about an error that was never asked for.
        if not task.cancelled():
            task.exception()


async def few_at_once(items: Iterable[T], do: Callable[[T], Awaitable[None]], workers: int) -> None:
    """Do something with each item, a few at a time. The first error ends it and is raised.

    Args:
        items: The items.
        do: What to do with one.
        workers: How many at a time.
    """
    queue = deque(items)

    async def worker() -> None:
        while queue:
            await do(queue.popleft())

    await run_workers(worker, min(workers, len(queue)), stop=lambda _cause: queue.clear())
