"""Measure imports and the first call after them, each in a fresh process."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.contenders import (
    OPC,
    OPENAPI_GENERATOR,
    HttpxPydantic,
    OpenapiGenerator,
    OpenapiPythonClient,
    Requests,
)
from benchmarks.measure import Bench, Row, Times, rows

_ROOT = Path(__file__).resolve().parent.parent
AIOHTTP = "import aiohttp"

_IMPORT = """
import sys, time
wall, cpu = time.perf_counter(), time.process_time()
exec(sys.argv[1])
print(time.perf_counter() - wall, time.process_time() - cpu)
"""

_FIRST_CALL = """
import asyncio, sys, time
import aiohttp, orjson
from thrive_async import ApiKey, ThriveClient

async def by_hand(session, url):
    async with session.get(url + "/rest/v1/audiences/sales-emea") as response:
        response.raise_for_status()
        return orjson.loads(await response.read())

async def main(url, warm, who):
    session = aiohttp.ClientSession() if warm == "warm" else None
    if session is not None:
        async with session.get(url + "/rest/v1/audiences/sales-emea") as response:
            await response.read()
    clock = time.process_time if warm == "warm" else time.perf_counter
    marks = [clock()]
    async with ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret"), base_url=url, session=session) as thrive:
        marks.append(clock())
        for _ in range(2):
            await (by_hand(session, url) if who == "hand" else thrive.audiences.get("sales-emea"))
            marks.append(clock())
        for _ in range(2):
            await thrive.audiences.members.add("sales-emea", ["E-1", "E-2"])
            marks.append(clock())
    if session is not None:
        await session.close()
    print(*(later - mark for mark, later in zip(marks, marks[1:])))

asyncio.run(main(*sys.argv[1:]))
"""


def importing(bench: Bench) -> list[Row]:
    """Compare importing the package, and the client from it, with importing aiohttp alone and the alternatives."""
    statements = {
        "import thrive_async": "import thrive_async",
        "from thrive_async import ThriveClient": "from thrive_async import ThriveClient",
        AIOHTTP: AIOHTTP,
    }
    if bench.contenders:
        offered = {
            HttpxPydantic.name: "import httpx, benchmarks.pydantic_models",
            Requests.name: "import requests",
            OpenapiPythonClient.name: f"from {OPC}.client import Client; from {OPC}.api.users import search_users",
            OpenapiGenerator.name: f"import {OPENAPI_GENERATOR}",
        }
        installed = {make.name for make in bench.others()}
        statements |= {name: statement for name, statement in offered.items() if name in installed}
    times = {name: Times() for name in statements}
    for turn in range(-1, bench.size(11, 1)):
        for name, statement in statements.items():
            wall, cpu = _fresh(_IMPORT, statement, path=bench.folders)
            if turn >= 0:  # the first run may write byte code
                times[name].wall.append(wall)
                times[name].cpu.append(cpu)
    made: list[Row] = []
    names = ("import thrive_async", "from thrive_async import ThriveClient")
    for name in names:
        other = names[1 - names.index(name)]
        made += rows(name, times, "cpu", ours=name, reach={AIOHTTP: 1.25}, skip=(other,))
    return made


def first_call(bench: Bench) -> list[Row]:
    """Compare the first read and write after import with the second; the client exists already.

    Once over an open connection, in CPU time, and once with a new connection, in wall time. Over an open connection,
    also with a first read by hand in the same place: just as cold in the processor's caches, without the SDK.
    """
    made: list[Row] = []
    for warm in ("warm", "cold"):
        made += _first_calls(bench, warm)
    return made


def _first_calls(bench: Bench, warm: str) -> list[Row]:
    # Over an open connection only the SDK counts; a new one needs a network with latency.
    bench.server.configure(latency=0.0 if warm == "warm" else 0.03)
    runs: list[list[float]] = []
    hand: list[list[float]] = []
    for _ in range(bench.size(15, 1)):
        runs.append(_fresh(_FIRST_CALL, bench.server.url, warm, "ours", path=str(_ROOT)))
        if warm == "warm":
            hand.append(_fresh(_FIRST_CALL, bench.server.url, warm, "hand", path=str(_ROOT)))
    build, *calls = (median(column) * 1e3 for column in zip(*runs, strict=True))
    made: list[Row] = []
    for at, work in ((0, "first read after import"), (2, "first write after import")):
        value = median(run[at + 1] / run[at + 2] for run in runs)
        if warm == "warm":
            where, clock = "open connection, no latency", "ms CPU"
        else:
            where, clock = "connection to be made, 30 ms latency", "ms"
        detail = f"{calls[at]:.2f} / {calls[at + 1]:.2f} {clock}; building the client before: {build:.1f} {clock}"
        made.append(Row(f"{work}, {where}", "second", value, 2.0, detail))
    if hand:
        value = median(mine[1] / floor[1] for mine, floor in zip(runs, hand, strict=True))
        first, second = (median(run[at] for run in hand) * 1e3 for at in (1, 2))
        itself = median(run[1] / run[2] for run in hand)
        detail = f"{calls[0]:.2f} / {first:.2f} ms CPU; its own second: {second:.2f} ms CPU, ratio {itself:.2f}"
        against = "by hand: aiohttp, orjson, no models"
        made.insert(1, Row("first read after import, open connection, no latency", against, value, None, detail))
    return made


def _fresh(script: str, *arguments: str, path: str) -> list[float]:
    """Run a script in a fresh process and return the numbers it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = path
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [float(word) for word in done.stdout.split()]
