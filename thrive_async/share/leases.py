"""A lease with one holder at a time. It is renewed while its holder works, and knows when it is lost."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from thrive_async.share.errors import LeaseLost, LeaseTaken, ShareUnavailable
from thrive_async.share.protocol import Scope, Share

__all__ = ["Lease", "lease"]

_POLL: Final = 0.5
"""The most seconds between two tries of a waiting holder."""
_SURE: Final = 0.9
"""The share of its time for which a lease counts as held, since clocks differ slightly in speed."""


class Lease:
    """A lease that is held.

    Attributes:
        fence: The fencing number, larger than that of every earlier holder. A store that remembers the largest number
            it has seen can refuse the writes of a holder that lost its lease and does not know it yet.
        lost: Set as soon as the lease is known to be lost.
    """

    def __init__(self, fence: int, ends: float) -> None:
        self.fence = fence
        self.lost: asyncio.Event = asyncio.Event()
        self._ends = ends

    @property
    def held(self) -> bool:
        """Whether the lease is still the holder's, as far as its own clock can tell."""
        if asyncio.get_running_loop().time() >= self._ends:
            # Checked here too, because the whole process may have paused before the heartbeat could run.
            self.lost.set()
        return not self.lost.is_set()

    def check(self) -> None:
        """Do nothing while the lease is held.

        Raises:
            LeaseLost: It is lost: stop, and write nothing more.
        """
        if not self.held:
            raise LeaseLost("the lease ended while its holder was at work; another run may have it by now")

    async def beat(self, share: Share, scope: Scope, name: str, seconds: float) -> None:
        """Renew the lease three times in each period, until it is lost."""
        loop = asyncio.get_running_loop()
        pause = seconds / 3
        while True:
            await asyncio.sleep(max(0.0, min(pause, self._ends - loop.time())))
            if not self.held:
                return
            asked = loop.time()
            try:
                async with asyncio.timeout_at(self._ends):
                    renewed = await share.renew(scope, name, self.fence, seconds)
            except (ShareUnavailable, TimeoutError):
                # The lease itself may be fine, so ask again soon, for as long as it lasts.
                pause = seconds / 10
                continue
            pause = seconds / 3
            if not renewed:
                self.lost.set()
                return
            self._ends = asked + seconds * _SURE


@asynccontextmanager
async def lease(
    share: Share, scope: Scope, name: str, *, seconds: float = 30.0, wait: float = 0.0
) -> AsyncGenerator[Lease]:
    """Hold a lease for as long as the context lasts.

    Args:
        share: What the processes share.
        scope: The host and tenant.
        name: What the lease protects, such as an audience.
        seconds: How soon someone else can take it after this process died.
        wait: Seconds to wait for another holder; 0 to be refused at once.

    Yields:
        The lease. Its holder calls `check()` before each write, or watches `lost`.

    Raises:
        LeaseTaken: Someone else has it.
        ShareUnavailable: The share cannot be reached, so it is unknown whether someone else has it.

    Example:
        ```python
        async with lease(share, scope, "audience sales-emea") as held:
            held.check()
        ```
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait
    while True:
        asked = loop.time()
        fence = await share.take(scope, name, seconds)
        if fence is not None:
            break
        left = give_up - loop.time()
        if left <= 0:
            raise LeaseTaken(f"another process has the lease of {name!r}")
        await asyncio.sleep(min(_POLL, left))
    held = Lease(fence, asked + seconds * _SURE)
    heart = asyncio.create_task(held.beat(share, scope, name, seconds))
    try:
        yield held
    finally:
        heart.cancel()
        await asyncio.wait((heart,))
        with contextlib.suppress(ShareUnavailable):
            # If it cannot be given back, it expires.
            await share.give_back(scope, name, fence)
