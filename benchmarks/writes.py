"""Measure bulk writes to a server with a rate limit."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from benchmarks import data
from benchmarks.contenders import HEADERS, SECRET, TENANT
from benchmarks.measure import Bench, Row, interleaved, ratio, timed
from thrive_async import ApiKey, Limits, ThriveClient, sync

RATE, BATCH = 50, 100
OURS, HAND = "thrive-async", "loop by hand that sleeps for Retry-After"


def client(url: str, **limits: Any) -> ThriveClient:
    """Return a client for the raw server."""
    return ThriveClient(TENANT, ApiKey(SECRET), base_url=url, limits=Limits(**limits))


def add_members(bench: Bench) -> list[Row]:
    """Add 20,000 members in hundreds; the server allows 50 requests a second, and the client does not know."""
    names = [f"E-{at:06}" for at in range(bench.size(200, 2) * BATCH)]
    server = bench.server
    refused: dict[str, list[int]] = {OURS: [], HAND: []}

    def way(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], tuple[float, float]]:
        def run() -> tuple[float, float]:
            server.configure(rate=RATE, total={"members": 0})
            took = timed(lambda: bench.run(work()))
            counted = server.counters()
            assert counted["added"] == len(names), f"{name}: {counted['added']:,} of {len(names):,}"
            refused[name].append(int(counted["refused"]))
            return took

        return run

    async def ours() -> None:
        # A new client each time, so that it has not learned the pace yet.
        async with client(server.url) as thrive:
            report = await sync.sync_members(thrive, "sales-emea", names)
            report.raise_for_failures()

    ways = {OURS: way(OURS, ours), HAND: way(HAND, lambda: add_by_hand(server.url, names))}
    # One run in eight gets one more 429, and with it a whole second of Retry-After.
    times = interleaved(ways, bench.size(7, 1))
    mine, theirs = (times[name].median("wall") for name in ways)
    times_refused = f"refused {max(refused[OURS])} / {max(refused[HAND])} times"
    detail = f"{mine:.2f} / {theirs:.2f} s; {times_refused}; no one missing"
    work = f"add {len(names):,} members, server takes {RATE}/s"
    return [Row(work, HAND, ratio(times, OURS, HAND, "wall"), 1.1, detail)]


async def add_by_hand(url: str, names: list[str]) -> None:
    """Send one batch after the other, with the pause that a 429 asks for."""
    path = "/rest/v1/audiences/sales-emea/members"
    async with aiohttp.ClientSession(url, headers=HEADERS) as session:
        for start in range(0, len(names), BATCH):
            while True:
                async with session.post(path, json=names[start : start + BATCH]) as response:
                    await response.read()
                    if response.status != 429:
                        response.raise_for_status()
                        break
                    pause = float(response.headers["Retry-After"])
                await asyncio.sleep(pause)


def apply_at_rate(bench: Bench) -> list[Row]:
    """Apply a plan of 1,000 calls at 100 a second and 50 ms latency, with the limit known and unknown."""
    calls, rate = bench.size(1000, 2), 100
    # Removals are single calls. Most buckets hold a second's worth; the other server has almost no burst.
    made: list[Row] = []
    for told, burst in ((True, 5), (False, rate), (False, 5)):
        bench.server.configure(latency=0.05, rate=rate, burst=burst, total={"members": calls})
        quiet = 0.0 if bench.tiny else 1.0
        seconds, writes = bench.run(_applied(bench.server.url, rate if told else None, quiet))
        counted = bench.server.counters()
        assert writes == calls, f"{writes:,} of {calls:,}"
        knows = "limit configured" if told else "limit unknown"
        detail = (
            f"{seconds:.2f} s for {calls / rate:.2f} s; {counted['refused']:.0f} of {counted['requests']:.0f} refused"
        )
        work = f"apply {calls:,} calls at {rate}/s in a bucket of {burst}, 50 ms latency, {knows}"
        made.append(Row(work, "N / R", seconds / (calls / rate), 1.05 if told else 1.3, detail))
    return made


async def _applied(url: str, rate: float | None, quiet: float) -> tuple[float, int]:
    loop = asyncio.get_running_loop()
    async with client(url, rate=rate) as thrive:
        plan = await sync.plan_members(thrive, "sales-emea", [], allow_empty=True)
        # Let the server's bucket fill again after the plan's reads.
        await asyncio.sleep(quiet)
        began = loop.time()
        report = await plan.apply(max_removals=None)
        took = loop.time() - began
    report.raise_for_failures()
    return took, len(report.removed)


def no_change(bench: Bench) -> list[Row]:
    """Run a nightly sync that finds nothing to do: 100,000 members, the same 100,000 desired."""
    pages = bench.size(100, 2)
    names = [f"E-{page:06x}-{place:05}" for page in range(1, pages + 1) for place in range(data.MEMBERS_PER_PAGE)]
    bench.server.configure(total={"members": len(names)})

    async def ours() -> float:
        async with client(bench.server.url) as thrive:
            began = asyncio.get_running_loop().time()
            report = await sync.sync_members(thrive, "sales-emea", names)
            report.raise_for_failures()
            return asyncio.get_running_loop().time() - began

    seconds = bench.run(ours())
    counted = bench.server.counters()
    assert counted["added"] == 0
    asked = int(counted["requests"])
    # One more request reads the audience itself.
    detail = f"{asked} requests for {pages} pages and the audience, no write; {seconds:.1f} s"
    return [Row(f"sync {len(names):,} members, nothing changed: requests", "one per page", asked / pages, None, detail)]
