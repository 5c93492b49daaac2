"""Measure a pool of 1,000 tenants: `python -m benchmarks.tenants`."""

import asyncio
import time
import tracemalloc

from thrive_async import ApiKey, ThrivePool

TENANTS = 1_000


async def build() -> None:
    pool = ThrivePool(lambda _: ApiKey("k"))
    for number in range(TENANTS):
        await pool.client(f"tenant-{number}")
    await pool.aclose()


async def measure() -> None:
    await build()
    began = time.process_time()
    await build()
    spent = time.process_time() - began
    pool = ThrivePool(lambda _: ApiKey("k"))
    await pool.client("first")
    tracemalloc.start()
    for number in range(TENANTS):
        await pool.client(f"tenant-{number}")
    held = tracemalloc.get_traced_memory()[0]
    await pool.aclose()
    print(f"{TENANTS:,} tenants: {spent * 1000:.0f} ms of CPU, closing included, and {held / 1e6:.1f} MB held")


if __name__ == "__main__":
    asyncio.run(measure())
