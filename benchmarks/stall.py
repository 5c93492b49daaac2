"""List users in its own process and time every callback of the loop: `python -m benchmarks.stall URL`.

It prints, in CPU seconds: the longest callback without full garbage collections, the longest of the median page, the
longest callback with them, the time they took in it, and their number.
"""

import asyncio
import asyncio.events
import gc
import sys
import time
from typing import Any

from thrive_async import ApiKey, ThriveClient


class Watch:
    """Measures callbacks and collections in CPU time, so that other load on the machine does not count."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []
        self.full_collections = 0
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
                self.seen.append((took, self._collected))

        asyncio.events.Handle._run = run  # type: ignore[method-assign]

    def _collecting(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < 2:
            return
        if phase == "start":
            self._began = time.thread_time()
        else:
            self._collected += time.thread_time() - self._began
            self.full_collections += 1


async def walk(url: str) -> int:
    """Walk all users and return the number of pages."""
    pages = 0
    async with ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret"), base_url=url) as thrive:
        async for _page in thrive.users.list().pages():
            pages += 1
    return pages


def main() -> None:
    asyncio.run(walk(sys.argv[1]))
    watch = Watch()
    pages = asyncio.run(walk(sys.argv[1]))
    own = sorted((took - collected for took, collected in watch.seen), reverse=True)
    longest, collecting = max(watch.seen)
    print(own[0], own[pages // 2], longest, collecting, watch.full_collections)


if __name__ == "__main__":
    main()
