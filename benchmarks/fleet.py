"""A fleet that is maltreated: `python -m benchmarks.fleet [NIGHT ...] [--tenants N] [--audiences N] [--kills N] ...`.

In the night `alone`, one process runs all units without a queue. In the night `undisturbed`, workers of
`thrive_async.fleet.procrastinate` do. In the night `maltreated`, workers are killed -9 at random moments and replaced,
and PostgreSQL is restarted once. Both servers are real ones from Debian's packages. Without a Redis, the workers share
a folder. What arrived is counted by the sandbox. CPU and memory are those of the processes that run units, as Linux
tells them.
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
from collections.abc import Iterator, Sequence
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
            unit = todo.pop()
            if (await run_unit(unit, clients=clients)).outcome == "stopped":
                todo.append(unit)

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


class Tenants:
    """Tenants on one sandbox: each audience loses two of its people and gets two others."""

    def __init__(self, folder: Path, sandbox: Sandbox, tenants: int, audiences: int, size: int) -> None:
        self.sandbox = sandbox
        self.wanted: dict[str, list[str]] = {}
        people = list(sandbox.state.users)
        (folder / "key").write_text(sandbox.environment["THRIVE_API_KEY"])
        text = [
            f'[defaults]\nbase_url = "{sandbox.base_url}"\napi_key_file = "key"\nmembers = {{ max_removals = 0.5 }}'
        ]
        for number in range(tenants):
            lines = ["audience,member"]
            for at in range(audiences):
                name = f"t{number}-a{at}"
                sandbox.state.add_audience(name, members=people[at % 50 : at % 50 + size])
                self.wanted[name] = people[at % 50 + 2 : at % 50 + size + 2]
                lines += [f"{name},{one}" for one in self.wanted[name]]
            (folder / f"t{number}.csv").write_text("\n".join(lines))
            text.append(f'[[tenant]]\nid = "t{number}"\nmembers = {{ source = "t{number}.csv" }}')
        self.file = folder / "tenants.toml"
        self.file.write_text("\n".join(text))

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
def company(tenants: int, audiences: int, size: int) -> Iterator[Tenants]:
    with tempfile.TemporaryDirectory() as folder, Sandbox(users=size + 60, seed=1) as sandbox:
        sandbox.faults.add("latency", times=None, seconds=LATENCY)
        # It has one account; here it is every tenant's.
        sandbox.tokens.check = lambda *_: None  # type: ignore[method-assign]
        yield Tenants(Path(folder), sandbox, tenants, audiences, size)


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


def is_over(database: str) -> bool:
    import psycopg

    with psycopg.connect(database) as connection:
        left = connection.execute(
            "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        ).fetchone()
    return left == (0,)


async def night(
    one: Tenants, workers: int, *, kill_at: Sequence[float], seed: int, postgres: PostgresServer, share: str
) -> Night:
    """Run all units, while workers are killed after so many seconds, and the database is restarted in between."""
    from thrive_async.fleet.procrastinate import opened, status, submit

    chance = random.Random(seed)
    database = postgres.new_database()
    async with opened(database) as app:
        await submit(app, units(load_tenants(one.file)))
    kills = sorted(kill_at)
    restarts = kills[len(kills) // 2 :][:1]
    crew = Workers(workers, database, share)
    began = disturbed = time.monotonic()
    try:
        while kills or not await asyncio.to_thread(is_over, database):
            await asyncio.sleep(0.1)
            passed = time.monotonic() - began
            while kills and passed >= kills[0]:
                kills.pop(0)
                await asyncio.to_thread(crew.kill_one, chance.randrange(workers))
                disturbed = time.monotonic()
            if restarts and passed >= restarts[0]:
                restarts.pop()
                await asyncio.to_thread(postgres.stop)
                await asyncio.to_thread(postgres.start)
                disturbed = time.monotonic()
        ended = time.monotonic()
        cpu, memory = used(crew.processes)
    finally:
        await asyncio.to_thread(crew.end)
    async with opened(database) as app:
        done = (await status(app)).summary.outcomes["done"]
    return Night(ended - began, done, one.wrong(), one.written_twice(), len(kill_at), ended - disturbed, cpu, memory)


async def alone(one: Tenants, share: str) -> Night:
    """One process, without a queue."""
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
    wrong = one.wrong()
    return Night(seconds, len(one.wanted) - wrong, wrong, one.written_twice(), 0, seconds, cpu, memory)


NIGHTS = ("alone", "undisturbed", "maltreated")


async def main(  # noqa: PLR0917 - the options
    nights: list[str], tenants: int, audiences: int, people: int, workers: int, kills: int, seed: int
) -> None:
    postgres = PostgresServer()
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder)) if SERVER is not None else None
        share = f"{folder}/share" if redis is None else redis.url
        try:
            print(
                f"{tenants} tenants, {audiences} audiences of {people} each; {workers} workers, 4 units at once each; "
                f"share: {share.partition(':')[0]}"
            )
            print("| night | seconds | done | wrong | written twice | kills | after the last, s | CPU, s | MB |")
            print("|---|---|---|---|---|---|---|---|---|")
            if "maltreated" in nights and "undisturbed" not in nights:
                nights = ["undisturbed", *nights]
            undisturbed = 0.0
            chance = random.Random(seed)
            for name in sorted(nights or NIGHTS, key=NIGHTS.index):
                with company(tenants, audiences, people) as one:
                    if name == "alone":
                        it = await alone(one, share)
                    else:
                        # At any moment in which a night goes on that nothing disturbs.
                        count = kills if name == "maltreated" else 0
                        moments = [chance.uniform(0, undisturbed) for _ in range(count)]
                        it = await night(one, workers, kill_at=moments, seed=seed, postgres=postgres, share=share)
                        undisturbed = undisturbed or it.seconds
                counts = f"{it.done} | {it.wrong} | {it.twice} | {it.kills} | {it.recovered:.1f}"
                print(f"| {name} | {it.seconds:.1f} | {counts} | {it.cpu:.1f} | {it.memory:.0f} |", flush=True)
        finally:
            if redis is not None:
                redis.kill()
            postgres.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("nights", nargs="*", metavar="NIGHT", choices=[*NIGHTS, []], help="all if none")
    defaults = {"--tenants": 1, "--audiences": 200, "--people": 20, "--workers": 4, "--kills": 40, "--seed": 1}
    for option, default in defaults.items():
        parser.add_argument(option, type=int, default=default)
    if BINARIES is None:
        sys.exit("PostgreSQL is not installed: apt-get install postgresql")
    asyncio.run(main(**vars(parser.parse_args())))
