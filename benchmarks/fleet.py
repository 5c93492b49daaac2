"""A fleet that is maltreated: `python -m benchmarks.fleet [--audiences N] [--people N] [--workers N] [--kills N]`.

First one process runs all units without a queue. Then workers of `thrive_async.fleet.procrastinate` do, undisturbed;
then while workers are killed -9 at random moments (and replaced), and PostgreSQL is restarted once. Both servers are
real ones from Debian's packages; without a Redis, the workers share a folder. What arrived is counted by the sandbox.
CPU and memory are those of the processes that run units, as Linux tells them.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from benchmarks.postgres_server import BINARIES, PostgresServer
from benchmarks.redis_server import SERVER, RedisServer
from thrive_async.fleet import load_tenants, units
from thrive_async.sandbox import Sandbox

WORKER = "import asyncio, sys; from thrive_async.fleet.procrastinate import work; asyncio.run(work(sys.argv[1]))"
ALONE = """
import asyncio, sys
from thrive_async.fleet import Clients, load_tenants, run_unit, units

async def main():
    todo = list(units(load_tenants(sys.argv[1])))

    async def worker(clients):
        while todo:
            await run_unit(todo.pop(), clients=clients)

    async with Clients() as clients:
        await asyncio.gather(*(worker(clients) for _ in range(16)))
    print("done", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""
LATENCY = 0.02


@attrs.define
class Night:
    """How one night went."""

    seconds: float
    done: int
    wrong: int
    twice: int
    kills: int
    recovered: float
    """Seconds from the last disturbance to the end."""
    cpu: float
    """Seconds, of all processes that live at the end."""
    memory: float
    """MB, of the largest of them."""


def used(processes: "list[subprocess.Popen[bytes]]") -> tuple[float, float]:
    """The seconds of CPU that processes have taken, and the MB that the largest has had."""
    cpu = memory = 0.0
    for process in processes:
        folder = Path(f"/proc/{process.pid}")
        times = (folder / "stat").read_text().rpartition(")")[2].split()
        cpu += (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
        peak = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("VmHWM"))
        memory = max(memory, int(peak.split()[1]) / 1024)
    return cpu, memory


class Tenant:
    """A tenant on a sandbox: each audience loses two of its people and gets two others."""

    def __init__(self, folder: Path, sandbox: Sandbox, audiences: int, size: int) -> None:
        self.sandbox = sandbox
        people = list(sandbox.state.users)
        self.wanted = {f"a{at:04}": people[at % 50 + 2 : at % 50 + size + 2] for at in range(audiences)}
        lines = ["audience,member"]
        for at, (name, members) in enumerate(self.wanted.items()):
            sandbox.state.add_audience(name, members=people[at % 50 : at % 50 + size])
            lines += [f"{name},{one}" for one in members]
        (folder / "audiences.csv").write_text("\n".join(lines))
        (folder / "key").write_text(sandbox.environment["THRIVE_API_KEY"])
        self.file = folder / "tenants.toml"
        self.file.write_text(
            f'[[tenant]]\nid = "{sandbox.tenant_id}"\nbase_url = "{sandbox.base_url}"\napi_key_file = "key"\n'
            'members = { source = "audiences.csv", max_removals = 0.5 }\n'
        )

    def wrong(self) -> int:
        audiences = self.sandbox.state.audiences
        return sum(set(audiences[name].members) != set(wanted) for name, wanted in self.wanted.items())

    def written_twice(self) -> int:
        """People who were added to, or removed from, one audience twice."""
        writes: Counter[tuple[str, str, str]] = Counter()
        for one in self.sandbox.requests:
            if one.operation == "removeMember" and one.status < 300:
                writes["remove", one.path, ""] += 1
            if one.operation == "addMembers" and one.status < 300:
                writes.update(("add", one.path, str(entity)) for entity in _entities(one.body))
        return sum(count - 1 for count in writes.values())


def _entities(body: Any) -> list[Any]:
    return next((value for value in body.values() if isinstance(value, list)), []) if isinstance(body, dict) else body


@contextmanager
def tenant(audiences: int, size: int) -> Iterator[Tenant]:
    with tempfile.TemporaryDirectory() as folder, Sandbox(users=size + 60, seed=1) as sandbox:
        sandbox.faults.add("latency", times=None, seconds=LATENCY)
        yield Tenant(Path(folder), sandbox, audiences, size)


class Workers:
    """Processes that run units."""

    def __init__(self, count: int, database: str, share: str) -> None:
        self._command = [sys.executable, "-c", WORKER, database]
        self._environment = os.environ | {"THRIVE_SHARE": share}
        self.processes = [self._new() for _ in range(count)]

    def _new(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, env=self._environment, stderr=subprocess.DEVNULL)

    def kill_one(self, at: int) -> None:
        at %= len(self.processes)
        self.processes[at].send_signal(signal.SIGKILL)
        self.processes[at].wait()
        self.processes[at] = self._new()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


async def night(
    audiences: int, size: int, workers: int, *, kills: int, seed: int, postgres: PostgresServer, share: str
) -> Night:
    from thrive_async.fleet.procrastinate import opened, status, submit

    chance = random.Random(seed)
    database = postgres.new_database()
    with tenant(audiences, size) as one:
        async with opened(database) as app:
            await submit(app, units(load_tenants(one.file)))
        crew = Workers(workers, database, share)
        writes_at = sorted(chance.randrange(audiences) for _ in range(kills))
        restart_at = audiences // 2 if kills else audiences + 1
        began = disturbed = time.monotonic()
        try:
            while True:
                await asyncio.sleep(0.1)
                written = sum(entry.operation == "addMembers" for entry in one.sandbox.requests)
                while writes_at and written >= writes_at[0]:
                    writes_at.pop(0)
                    await asyncio.to_thread(crew.kill_one, chance.randrange(workers))
                    disturbed = time.monotonic()
                if written >= restart_at:
                    restart_at = audiences * 10
                    await asyncio.to_thread(postgres.stop)
                    await asyncio.to_thread(postgres.start)
                    disturbed = time.monotonic()
                if written < audiences - workers * 4:
                    continue
                async with opened(database, connections=2) as app:
                    found = await status(app)
                if found.ended:
                    break
            ended = time.monotonic()
            cpu, memory = used(crew.processes)
        finally:
            await asyncio.to_thread(crew.end)
        done = found.summary.outcomes["done"]
        return Night(ended - began, done, one.wrong(), one.written_twice(), kills, ended - disturbed, cpu, memory)


async def alone(audiences: int, size: int, share: str) -> Night:
    """One process, without a queue."""
    with tenant(audiences, size) as one:
        began = time.monotonic()
        command = [sys.executable, "-c", ALONE, str(one.file)]
        process = await asyncio.to_thread(
            lambda: subprocess.Popen(
                command, env=os.environ | {"THRIVE_SHARE": share}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
        assert process.stdout is not None
        await asyncio.to_thread(process.stdout.readline)
        seconds = time.monotonic() - began
        cpu, memory = used([process])
        await asyncio.to_thread(process.communicate)
        return Night(seconds, audiences - one.wrong(), one.wrong(), one.written_twice(), 0, seconds, cpu, memory)


async def main(audiences: int, people: int, workers: int, kills: int, seed: int) -> None:
    postgres = PostgresServer()
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder)) if SERVER is not None else None
        share = f"{folder}/share" if redis is None else redis.url
        try:
            print(
                f"{audiences} audiences of {people}, {workers} workers, 4 units each, share {share.partition(':')[0]}"
            )
            print("| night | seconds | done | wrong | written twice | kills | after the last, s | CPU, s | MB |")
            print("|---|---|---|---|---|---|---|---|---|")
            for name, count in (("one process", None), ("undisturbed", 0), ("maltreated", kills)):
                if count is None:
                    it = await alone(audiences, people, share)
                else:
                    it = await night(audiences, people, workers, kills=count, seed=seed, postgres=postgres, share=share)
                counts = f"{it.done} | {it.wrong} | {it.twice} | {it.kills} | {it.recovered:.1f}"
                print(f"| {name} | {it.seconds:.1f} | {counts} | {it.cpu:.1f} | {it.memory:.0f} |", flush=True)
        finally:
            if redis is not None:
                redis.kill()
            postgres.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for option, default in (("--audiences", 200), ("--people", 20), ("--workers", 4), ("--kills", 40), ("--seed", 1)):
        parser.add_argument(option, type=int, default=default)
    if BINARIES is None:
        sys.exit("PostgreSQL is not installed: apt-get install postgresql")
    asyncio.run(main(**vars(parser.parse_args())))
