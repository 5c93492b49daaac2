"""Measure long lists over a network with 30 ms latency: time, CPU and memory."""

import subprocess
import sys
from pathlib import Path

from benchmarks import data
from benchmarks.contenders import Contender, Hand, HandOurModels, HandPydantic, Ours
from benchmarks.measure import Bench, Row, rows

LATENCY = 0.03
BEST = "by hand: 4 pages in flight, orjson, no models"
_ROOT = Path(__file__).resolve().parent.parent


def list_users(bench: Bench) -> list[Row]:
    """List 100,000 users with 30 ms latency, in pages of 1,000."""
    total = bench.size(100, 2) * data.USERS_PER_PAGE
    bench.server.configure(latency=LATENCY, total={"users": total})
    work = f"list {total:,} users"
    hands: list[type[Contender]] = [Hand, HandOurModels, *bench.available(HandPydantic)]
    times = bench.compete([Ours, *hands], "users", repeats=bench.size(5, 1), expected=total)
    times[BEST] = times.pop(Hand.name)
    reach = {BEST: 1.3, HandPydantic.name: 0.35, HandOurModels.name: 0.35}
    made = rows(f"{work}, time", times, "wall", reach=reach, unit=(1, "s"))
    made += rows(f"{work}, CPU", times, "cpu", reach={BEST: None, HandOurModels.name: None}, unit=(1, "s"))
    # The slowest takes half a minute, so once is enough and needs no warm-up.
    times = bench.compete([Ours, *bench.others()], "users", repeats=1, expected=total, warm_up=False)
    made += rows(f"{work}, time", times, "wall", reach={}, unit=(1, "s"))
    return made + rows(f"{work}, CPU", times, "cpu", reach={}, unit=(1, "s"))


def list_enrolments(bench: Bench) -> list[Row]:
    """List 20,000 enrolments with 30 ms latency: bare arrays of 100 without totals, default settings."""
    total = bench.size(200, 3) * data.ENROLMENTS_PER_PAGE
    bench.server.configure(latency=LATENCY, total={"enrolments": total})
    work = f"list {total:,} enrolments"
    hands: list[type[Contender]] = [HandOurModels, *bench.available(HandPydantic)]
    contenders = [Ours, Hand, *hands, *bench.others()]
    times = bench.compete(contenders, "enrolments", repeats=bench.size(2, 1), expected=total, warm_up=False)
    reach = {HandPydantic.name: 0.4, HandOurModels.name: 0.4}
    made = rows(f"{work}, time", times, "wall", reach=reach, unit=(1, "s"))
    return made + rows(f"{work}, CPU", times, "cpu", reach={Hand.name: None, HandOurModels.name: None}, unit=(1, "s"))


def memory(bench: Bench) -> list[Row]:
    """Compare the peak memory of walking 1,000,000 members with that of walking 10,000."""
    few, many = bench.size(10, 1) * 1000, bench.size(1000, 2) * 1000
    peaks = {total: sorted(_peak(bench, total) for _ in range(bench.size(3, 1))) for total in (few, many)}
    small, large = (peaks[total][len(peaks[total]) // 2] for total in (few, many))
    detail = f"{large / 1024:.1f} / {small / 1024:.1f} MB"
    return [Row(f"peak memory, walking {many:,} members", f"walking {few:,}", large / small, 1.1, detail)]


_WALK = """
import asyncio, sys
from thrive_async import ApiKey, ThriveClient

async def walk(url):
    seen = 0
    async with ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret"), base_url=url) as thrive:
        async for member in thrive.audiences.members.list("sales-emea"):
            seen += 1
    return seen

seen = asyncio.run(walk(sys.argv[1]))
# Not getrusage: its peak begins with that of the process which started this one.
with open("/proc/self/status") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(seen, peak)
"""


def _peak(bench: Bench, total: int) -> int:
    bench.server.configure(total={"members": total})
    command = [sys.executable, "-c", _WALK, bench.server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_ROOT)
    seen, peak = map(int, done.stdout.split())
    assert seen == total, f"{seen:,} of {total:,}"
    return peak
