"""What it costs to import, and the first call after it: each in a fresh process."""

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
import aiohttp
from thrive_async import ApiKey, ThriveClient

async def main(url, warm):
    session = aiohttp.ClientSession() if warm == "warm" else None
    if session is not None:
        async with session.get(url + "/rest/v1/audiences/sales-emea") as response:
            await response.read()
    marks = [time.process_time()]
    async with ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret"), base_url=url, session=session) as thrive:
        marks.append(time.process_time())
        for _ in range(2):
            await thrive.audiences.get("sales-emea")
            marks.append(time.process_time())
        for _ in range(2):
            await thrive.audiences.members.add("sales-emea", ["E-1", "E-2"])
            marks.append(time.process_time())
    if session is not None:
        await session.close()
    print(*(later - mark for mark, later in zip(marks, marks[1:])))

asyncio.run(main(*sys.argv[1:]))
"""


def importing(bench: Bench) -> list[Row]:
    """Importing the package, and the client from it, against aiohttp alone and against what others import."""
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
            if turn >= 0:  # the first time may have written byte code
                times[name].wall.append(wall)
                times[name].cpu.append(cpu)
    made: list[Row] = []
    names = ("import thrive_async", "from thrive_async import ThriveClient")
    for name in names:
        other = names[1 - names.index(name)]
        made += rows(name, times, "cpu", ours=name, reach={AIOHTTP: 1.25}, skip=(other,))
    return made


def first_call(bench: Bench) -> list[Row]:
    """The first read and the first write after import, against the second: the client was built before.

    Once over a connection that is open already, which is the cost of the SDK alone, and once with a new one.
    """
    bench.server.configure()
    made: list[Row] = []
    for warm in ("warm", "cold"):
        runs = [_fresh(_FIRST_CALL, bench.server.url, warm, path=str(_ROOT)) for _ in range(bench.size(15, 1))]
        build, *calls = (median(column) * 1e3 for column in zip(*runs, strict=True))
        for at, work in ((0, "first read after import"), (2, "first write after import")):
            detail = f"{calls[at]:.2f} / {calls[at + 1]:.2f} ms CPU; building the client before: {build:.1f} ms"
            value = median(run[at + 1] / run[at + 2] for run in runs)
            judged = warm == "warm"
            where = "open connection" if judged else "connection to be made"
            if judged or at == 0:
                made.append(Row(f"{work}, {where}", "second", value, 2.0 if judged else None, detail))
    return made


def _fresh(script: str, *arguments: str, path: str) -> list[float]:
    """Run a script in a fresh process; the numbers it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = path
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [float(word) for word in done.stdout.split()]
