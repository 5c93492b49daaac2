"""What it costs to import, and the first call after it: each in a fresh process."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks import contenders as c
from benchmarks.generated import OPC, OPENAPI_GENERATOR
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
from thrive_async import ApiKey, ThriveClient

async def main():
    began = time.process_time()
    async with ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret"), base_url=sys.argv[1]) as thrive:
        built = time.process_time()
        await thrive.audiences.get("sales-emea")
        first = time.process_time()
        await thrive.audiences.get("sales-emea")
        second = time.process_time()
    print(built - began, first - built, second - first)

asyncio.run(main())
"""


def importing(bench: Bench) -> list[Row]:
    """Importing the package, and the client from it, against aiohttp alone and against what others import."""
    statements = {
        "import thrive_async": "import thrive_async",
        "from thrive_async import ThriveClient": "from thrive_async import ThriveClient",
        AIOHTTP: AIOHTTP,
    }
    folder = str(_ROOT)
    if bench.contenders:
        offered = {
            c.HttpxPydantic.name: "import httpx, benchmarks.pydantic_models",
            c.Requests.name: "import requests",
            c.OpenapiPythonClient.name: f"from {OPC}.client import Client; from {OPC}.api.users import search_users",
            c.OpenapiGenerator.name: f"import {OPENAPI_GENERATOR}",
        }
        installed = {make.name for make in c.others(bench)}
        statements |= {name: statement for name, statement in offered.items() if name in installed}
        folder += os.pathsep + str(bench.generated.folder)
    times = {name: Times() for name in statements}
    for turn in range(-1, bench.size(11, 1)):
        for name, statement in statements.items():
            wall, cpu = _fresh(_IMPORT, statement, path=folder)
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
    """The first call after import, against the second: models and readers are there once the client is built."""
    bench.server.configure()
    runs = [_fresh(_FIRST_CALL, bench.server.url, path=str(_ROOT)) for _ in range(bench.size(15, 1))]
    build, first, second = (median(column) * 1e3 for column in zip(*runs, strict=True))
    detail = f"{first:.2f} / {second:.2f} ms CPU; building the client before: {build:.1f} ms"
    value = median(one / two for _, one, two in runs)
    return [Row("first call after import and building a client", "second call", value, 2.0, detail)]


def _fresh(script: str, argument: str, *, path: str) -> list[float]:
    """Run a script in a fresh process; the numbers it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = path
    command = [sys.executable, "-c", script, argument]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [float(word) for word in done.stdout.split()]
