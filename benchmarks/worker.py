"""Run each contender in its own process, without the imports and garbage of the others.

The parent sends jobs as lines of JSON; the worker does them and answers with the seconds they took.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent


class Worker:
    """The parent's side of one contender's process.

    Args:
        name: The contender.
        url: The server.
        folder: The folder of the generated clients.
    """

    def __init__(self, name: str, url: str, folder: str = "") -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), folder])}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        # asyncio allocates 256 KB for every read and frees most of it. With these settings the C library never asks the
        # system for it; by default it sometimes does, which costs two page faults, a third of a small call.
        environment |= {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 28)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, url],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.name = name

    def do(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Do a job; return its count, and its `wall` and `cpu` seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"job": job, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended in {job}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


async def work(name: str, url: str) -> None:
    """Do the jobs that arrive on standard input, until it ends."""
    from benchmarks.contenders import CONTENDERS
    from benchmarks.data import users_page
    from benchmarks.server import keep_to_own_cores

    keep_to_own_cores(server=False)
    contender = CONTENDERS[name](url)
    loop = asyncio.get_running_loop()
    pages: dict[int, bytes] = {}
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        job = asked.pop("job")
        if job == "decode" and asked["users"] not in pages:
            pages[asked["users"]] = users_page(asked["users"])
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        seen: Any = None
        if job == "decode":
            kept = contender.decode(pages[asked["users"]])
        elif job in ("small", "levels"):
            await _crew(getattr(contender, job), **asked)
        else:
            seen = await getattr(contender, job)()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        kept = None  # noqa: F841 - freed only after the clock has stopped
        print(json.dumps({"wall": wall, "cpu": cpu, "seen": seen}), flush=True)
    await contender.close()


async def _crew(call: Any, calls: int, in_flight: int) -> None:
    async def one() -> None:
        for _ in range(calls // in_flight):
            await call()

    await asyncio.gather(*(one() for _ in range(in_flight)))


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2]))
