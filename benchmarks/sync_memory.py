"""Measure time and memory of planning 100,000 desired against 100,000 members, read from another process.

    python -m benchmarks.sync_memory [people]

The plan is made in its own process, so that the memory is that of a nightly job alone.
"""

import asyncio
import resource
import subprocess
import sys
import time

CHILD = "--child"


async def plan(url: str, count: int) -> None:
    """Make the plan; print the seconds, and the megabytes before and after."""
    from benchmarks import data
    from benchmarks.writes import client
    from thrive_async import sync

    per_page = data.MEMBERS_PER_PAGE
    names = [f"E-{at // per_page + 1:06x}-{at % per_page:05}" for at in range(count)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with client(url) as thrive:
        start = time.perf_counter()
        made = await sync.plan_members(thrive, "sales-emea", names)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{made}: {seconds:.1f} s, peak {peak / 1024:.0f} MB, of which {before / 1024:.0f} MB before the plan")


def main() -> None:
    if CHILD in sys.argv:
        asyncio.run(plan(sys.argv[2], int(sys.argv[3])))
        return
    from benchmarks.server import running

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with running() as server:
        server.configure(total={"members": count})
        subprocess.run([sys.executable, "-m", "benchmarks.sync_memory", CHILD, server.url, str(count)], check=True)


if __name__ == "__main__":
    main()
