"""Lists users in a process of its own and times every callback of the loop: `python -m benchmarks.stall URL`.

Prints the longest callback, the typical one of a page, how much of the longest was garbage collection, and what it was.
"""

import asyncio
import asyncio.events
import gc
import sys
import time
from typing import Any

from thrive_async import ApiKey, ThriveClient


class Watch:
    """Times callbacks and collections by CPU, so that what others take from the machine does not count."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float, str]] = []
        self._collected = 0.0
        self._began = 0.0
        gc.callbacks.append(self._collecting)
        original = asyncio.events.Handle._run

        def run(handle: Any) -> None:
            self._collected = 0.0
            began = time.thread_time()
            original(handle)
            took = time.thread_time() - began
            if took > 0.001:
                self.seen.append((took, self._collected, _named(handle)))

        asyncio.events.Handle._run = run  # type: ignore[method-assign]

    def _collecting(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self._collected += time.thread_time() - self._began


def _named(handle: Any) -> str:
    task = getattr(handle._callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        coroutine: Any = task.get_coro()
        return f"a step of {coroutine.__qualname__}"
    return str(getattr(handle._callback, "__qualname__", handle._callback))


async def walk(url: str) -> int:
    """All users; how many pages."""
    pages = 0
    async with ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret"), base_url=url) as thrive:
        async for _page in thrive.users.list().pages():
            pages += 1
    return pages


def main() -> None:
    asyncio.run(walk(sys.argv[1]))
    watch = Watch()
    pages = asyncio.run(walk(sys.argv[1]))
    watch.seen.sort(reverse=True)
    longest, collecting, name = watch.seen[0]
    typical = watch.seen[: 2 * pages][pages // 2][0]
    print(longest, typical, collecting, name)


if __name__ == "__main__":
    main()
