"""Long lists over a network of 30 ms: time, CPU and memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import contenders as c
from benchmarks import data
from benchmarks.measure import Bench, Row, Times, interleaved, rows

LATENCY = 0.03
BEST = "4 pages in flight by hand, orjson only"
_ROOT = Path(__file__).resolve().parent.parent


def list_users(bench: Bench) -> list[Row]:
    """100,000 users, 30 ms latency, pages of 1,000."""
    total = bench.size(100, 2) * data.USERS_PER_PAGE
    bench.server.configure(latency=LATENCY, total={"users": total})
    url = bench.server.url
    client = c.thrive(url)

    async def ours() -> int:
        seen = 0
        async for _user in client.users.list():
            seen += 1
        return seen

    hand = bench.run(c.opened(c.Hand, url))
    sequential = _sequential(bench)
    ways = {"thrive-async": lambda: bench.run(ours()), BEST: lambda: bench.run(c.best_walk_users(hand))}
    ways |= {each.name: lambda each=each: bench.run(c.walk_users(each)) for each in sequential}
    times = _counted(bench, ways, total)
    for each in (hand, *sequential):
        bench.run(each.close())
    bench.run(client.aclose())
    work = f"list {total:,} users"
    reach = {BEST: 1.3, c.HandPydantic.name: 0.35, c.HandOurModels.name: 0.35}
    return [
        *rows(f"{work}, time", times, "wall", reach=reach, unit=(1, "s")),
        *rows(f"{work}, CPU", times, "cpu", reach={BEST: None}, unit=(1, "s"), skip=(c.HandOurModels.name,)),
    ]


def list_enrolments(bench: Bench) -> list[Row]:
    """20,000 enrolments: bare arrays of 100 without totals, 30 ms latency, default settings."""
    total = bench.size(200, 3) * data.ENROLMENTS_PER_PAGE
    bench.server.configure(latency=LATENCY, total={"enrolments": total})
    client = c.thrive(bench.server.url)

    async def ours() -> int:
        seen = 0
        async for _enrolment in client.assignments.enrolments.list("a1"):
            seen += 1
        return seen

    sequential = _sequential(bench)
    ways = {"thrive-async": lambda: bench.run(ours())}
    ways |= {each.name: lambda each=each: bench.run(c.walk_enrolments(each)) for each in sequential}
    times = _counted(bench, ways, total, repeats=2)
    for each in sequential:
        bench.run(each.close())
    bench.run(client.aclose())
    work = f"list {total:,} enrolments"
    reach = {c.HandPydantic.name: 0.4, c.HandOurModels.name: 0.4}
    return [
        *rows(f"{work}, time", times, "wall", reach=reach, unit=(1, "s")),
        *rows(f"{work}, CPU", times, "cpu", reach={}, unit=(1, "s"), skip=(c.HandOurModels.name,)),
    ]


def _sequential(bench: Bench) -> list[Any]:
    makers: list[Any] = [c.HandOurModels]
    if c.with_pydantic(bench):
        makers.append(c.HandPydantic)
    return [bench.run(c.opened(make, bench.server.url)) for make in [*makers, *c.others(bench)]]


def _counted(bench: Bench, ways: dict[str, Any], total: int, repeats: int = 3) -> dict[str, Times]:
    def counted(run: Any) -> Any:
        def checked() -> None:
            seen = run()
            assert seen == total, f"{seen:,} of {total:,}"

        return checked

    return interleaved({name: counted(run) for name, run in ways.items()}, bench.size(repeats, 1))


def memory(bench: Bench) -> list[Row]:
    """Peak memory of a process that walks 1,000,000 members, against one that walks 10,000."""
    few, many = bench.size(10, 1) * 1000, bench.size(1000, 2) * 1000
    peaks = {total: sorted(_peak(bench, total) for _ in range(bench.size(3, 1))) for total in (few, many)}
    small, large = (peaks[total][len(peaks[total]) // 2] for total in (few, many))
    detail = f"{large / 1024:.1f} / {small / 1024:.1f} MB"
    return [Row(f"peak memory, walking {many:,} members", f"walking {few:,}", large / small, 1.1, detail)]


_WALK = """
import asyncio, resource, sys
from thrive_async import ApiKey, ThriveClient

async def walk(url):
    seen = 0
    async with ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret"), base_url=url) as thrive:
        async for member in thrive.audiences.members.list("sales-emea"):
            seen += 1
    return seen

seen = asyncio.run(walk(sys.argv[1]))
print(seen, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _peak(bench: Bench, total: int) -> int:
    bench.server.configure(total={"members": total})
    command = [sys.executable, "-c", _WALK, bench.server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_ROOT)
    seen, peak = map(int, done.stdout.split())
    assert seen == total, f"{seen:,} of {total:,}"
    return peak
