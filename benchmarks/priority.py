"""Measure interactive calls beside bulk work of the same client: `python -m benchmarks.priority [LATENCY [EVERY]]`.

An interactive call starts every EVERY seconds (0.05 by default), first alone and then beside a sync. LATENCY is the
server's, 0.05 seconds by default. Other load on the machine counts little, since the clock of the loop is the CPU time
of this process, and waits are added to it without waiting. The server runs on the same loop: what holds the loop
delays it too, so the figures beside large pages are too high rather than too low.
"""

import asyncio
import selectors
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import quantiles
from typing import Any

from benchmarks import data
from benchmarks.measure import machine
from benchmarks.server import Wire, World
from benchmarks.writes import client
from thrive_async import ThriveClient, sync

PAGES = 20
EVERYONE = [f"E-{page:06x}-{place:05}" for page in range(1, PAGES + 1) for place in range(data.MEMBERS_PER_PAGE)]
CHANGES = 1000
CALLS = 500

Bulk = Callable[[ThriveClient], Awaitable[None]]


class SkippingSelector(selectors.DefaultSelector):
    """Adds the time that it would have waited to `skipped`, unless a thread is at work."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout:
            before = time.process_time()
            ready = super().select(0.0005)
            if not ready and time.process_time() - before < 0.0002:
                self.skipped += timeout
        return ready


class Loop(asyncio.SelectorEventLoop):
    """A loop on the CPU time of its process and the waits that it skipped."""

    def __init__(self) -> None:
        self._skipping = SkippingSelector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return time.process_time() + self._skipping.skipped


async def plan(thrive: ThriveClient) -> None:
    """Plan an audience of 20,000, read in pages of 1,000."""
    await sync.plan_members(thrive, "team", EVERYONE[CHANGES:])


async def remove(thrive: ThriveClient) -> None:
    """Remove 1,000 members, ten at a time as far as there are slots."""
    bulk = thrive.with_options(priority="bulk")

    async def worker(names: list[str]) -> None:
        for name in names:
            await bulk.audiences.members.remove("team", name)

    async with asyncio.TaskGroup() as group:
        for start in range(10):
            group.create_task(worker(EVERYONE[start:CHANGES:10]))


async def sync_members(thrive: ThriveClient) -> None:
    """Plan, and then remove 1,000 members one by one."""
    plan = await sync.plan_members(thrive, "team", EVERYONE[CHANGES:])
    report = await plan.apply(max_removals=None)
    assert len(report.removed) == CHANGES


async def read_users(thrive: ThriveClient) -> None:
    """Read 20,000 users in pages of 1,000, 1.4 MB each."""
    async for _page in thrive.with_options(priority="bulk").users.list().pages():
        pass


async def beside(thrive: ThriveClient, every: float, bulk: Bulk | None) -> tuple[list[float], list[float]]:
    """Start calls at a steady rate, while bulk work begins again and again; return the seconds of each."""
    loop = asyncio.get_running_loop()
    calls: list[float] = []
    rounds: list[float] = []

    async def call() -> None:
        began = loop.time()
        await thrive.users.get("507f1f77bcf86cd799439011")
        calls.append(loop.time() - began)

    async def again_and_again(bulk: Bulk) -> None:
        while True:
            began = loop.time()
            await bulk(thrive)
            rounds.append(loop.time() - began)

    task = None if bulk is None else asyncio.create_task(again_and_again(bulk))
    start = loop.time()
    async with asyncio.TaskGroup() as group:
        number = 0
        while number < CALLS or (task is not None and not rounds):
            await asyncio.sleep(start + number * every - loop.time())
            group.create_task(call())
            number += 1
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return calls, rounds


async def measure(latency: float, every: float) -> None:
    """Print a line for each kind of bulk work."""
    world = World()
    world.configure({"latency": latency, "total": {"members": len(EVERYONE), "users": len(EVERYONE)}})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Wire(world), "127.0.0.1", 0)
    async with client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as thrive:
        alone: list[float] = []
        await read_users(thrive)
        for bulk in (None, remove, plan, sync_members, read_users):
            before = 0.0
            if bulk is not None:
                # As if no interactive call had come for long.
                thrive._main._gate._interactive_until = 0.0
                began = loop.time()
                await bulk(thrive)
                before = loop.time() - began
            calls, rounds = await beside(thrive, every, bulk)
            cuts = quantiles(calls, n=100)
            alone = alone or cuts
            line = f"{bulk.__name__ if bulk else 'alone':13} p50 {cuts[49] * 1e3:6.1f} ms, p99 {cuts[98] * 1e3:6.1f} ms"
            if bulk is not None:
                after = sum(rounds) / len(rounds)
                line += f", {cuts[98] / alone[98]:.2f} x of alone, longest {max(calls) * 1e3:.1f} ms"
                line += f"; bulk {before:.2f} s alone, {after:.2f} s beside them"
            print(line)
    server.close()


def main() -> None:
    latency, every = [*map(float, sys.argv[1:]), *(0.05, 0.05)[len(sys.argv) - 1 :]]
    print(f"{machine()}; latency {latency * 1e3:g} ms, a call every {every * 1e3:g} ms")
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(measure(latency, every))


if __name__ == "__main__":
    main()
