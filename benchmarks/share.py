"""How processes share one quota and one token: `python -m benchmarks.share [NAME ...] [--seconds N]`.

A server in this process limits requests with a bucket of 50 that fills up at 50 a second, and answers after 50 ms. The
workers are processes of their own; each call waits for its turn in a `Row`, then asks the server. What arrived, what
was refused and when is counted by the server.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from redis.asyncio import Redis

from benchmarks.redis_server import SERVER, RedisServer
from thrive_async.auth import AccessToken, TokenAuthorizer
from thrive_async.sandbox import Sandbox
from thrive_async.share import FileShare, MemoryShare, Row, Scope, Share, SharedTokens, open_share
from thrive_async.share._scripts import PLACE

LIMIT = BUCKET = 50
RATE = 48.0
LATENCY = 0.050
SCOPE = Scope("thrive.example", "tenant")


@dataclass
class Server:
    """A limited server, and what came to it."""

    arrivals: list[tuple[float, str, bool]] = field(default_factory=list)
    tokens: int = 0
    level: float = BUCKET
    filled: float = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            name = line.decode().strip()
            if name == "token":
                self.tokens += 1
                await asyncio.sleep(0.3)
                writer.write(b"%d\n" % self.tokens)
                continue
            now = time.monotonic()
            self.level = min(BUCKET, self.level + (now - self.filled) * LIMIT)
            self.filled = now
            taken = self.level >= 1
            self.level -= taken
            self.arrivals.append((now, name, taken))
            await asyncio.sleep(LATENCY)
            writer.write(b"200\n" if taken else b"429\n")
        writer.close()

    def taken(self, begin: float, end: float) -> Counter[str]:
        """What was taken of each worker between two moments."""
        return Counter(name for at, name, taken in self.arrivals if taken and begin <= at < end)

    def refused(self) -> int:
        return sum(not taken for _, _, taken in self.arrivals)


@dataclass
class Job:
    """What a worker does: `calls` at once, each after a pause."""

    name: str
    share: str
    port: int
    seconds: float
    calls: int = 10
    pause: float = 0.0
    bulk: bool = True
    kind: str = "calls"


async def work(job: Job) -> dict[str, Any]:
    """The life of a worker process."""
    share = open_share(job.share)
    print("ready", flush=True)
    # All begin at one moment, which the first process names once all are ready.
    begin = float(sys.stdin.readline())
    until = begin + job.seconds
    await asyncio.sleep(begin - time.monotonic())
    if job.kind == "tokens":
        return await work_with_tokens(job, share, until)
    row = Row(share, SCOPE, rate=RATE)
    latencies: list[float] = []
    failed = 0
    priority = "bulk" if job.bulk else "interactive"

    async def calls(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", job.port)
        await asyncio.sleep(job.pause * number / job.calls)
        while time.monotonic() < until:
            began = time.monotonic()
            try:
                await row.turn(asyncio.get_running_loop().time() + 120, priority=priority)
            except Exception:  # noqa: BLE001 - counted
                failed += 1
                continue
            writer.write(f"{job.name}\n".encode())
            if await reader.readline() == b"429\n":
                await row.cool_down(1.0)
            latencies.append(time.monotonic() - began)
            await asyncio.sleep(job.pause)
        writer.close()

    await asyncio.gather(*(calls(number) for number in range(job.calls)))
    await row.aclose()
    await share.aclose()
    return {"latencies": latencies, "failed": failed}


async def work_with_tokens(job: Job, share: Share, until: float) -> dict[str, Any]:
    async def ask() -> tuple[str, float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", job.port)
        writer.write(b"token\n")
        text = (await reader.readline()).decode().strip()
        writer.close()
        return f"token-{text}", 8.0

    shared = SharedTokens(share, SCOPE, ("client",), ask)

    async def fetch() -> AccessToken:
        token = await shared.token()
        # The authorizer renews at half of a short lifetime, as the share has done already.
        return AccessToken(token.text, 2 * token.seconds if token.seconds < 60 else token.seconds + 60)

    authorizer = TokenAuthorizer(fetch)
    seen: set[str] = set()

    async def waiter() -> None:
        while time.monotonic() < until:
            seen.add((await authorizer.header()).reveal())
            await asyncio.sleep(0.2)

    await asyncio.gather(*(waiter() for _ in range(500)))
    await share.aclose()
    return {"tokens": len(seen)}


@dataclass
class Scene:
    """Where the scenarios play."""

    seconds: float
    server: Server
    port: int
    file: str
    redis: RedisServer

    def shares(self) -> dict[str, str]:
        return {"FileShare": self.file, "RedisShare": f"{self.redis.url}?processes=4"}

    async def run(
        self,
        *jobs: dict[str, Any],
        share: str,
        seconds: float,
        beside: Callable[[float], Awaitable[None]] | None = None,
    ) -> tuple[float, list[dict[str, Any]]]:
        """Run workers; return when they began and what they tell."""
        started = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.share", "--work"),
                json.dumps({"share": share, "port": self.port, "seconds": seconds} | job),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=2**26,
            )
            for job in jobs
        ]
        for process in started:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        self.server.arrivals.clear()
        begin = time.monotonic() + 0.5
        self.server.level, self.server.filled = BUCKET, begin
        others = asyncio.create_task(beside(begin)) if beside else None
        ends = await asyncio.gather(*(process.communicate(f"{begin}\n".encode()) for process in started))
        told = [json.loads(out) for out, _ in ends]
        if others is not None:
            await others
        return begin, told


def line(what: str, with_: str, found: str, wanted: str) -> None:
    print(f"| {what} | {with_} | {found} | {wanted} |", flush=True)


async def four(scene: Scene) -> None:
    """Four processes that all have enough to do."""
    for name, share in scene.shares().items():
        begin, told = await scene.run(*({"name": f"{n}"} for n in range(4)), share=share, seconds=scene.seconds)
        counts = scene.server.taken(begin, begin + scene.seconds)
        part = sum(counts.values()) / scene.seconds / RATE
        spread = (max(counts.values()) - min(counts.values())) / (sum(counts.values()) / 4)
        line(
            "four processes, rate 48 under a limit of 50",
            name,
            f"{part:.3f} of 48, {scene.server.refused()} refused, {sorted(counts.values())} calls, apart by "
            f"{spread:.1%}, {sum(one['failed'] for one in told)} failed",
            ">= 0.95, 0 refused, 5 %",
        )


async def one_busy(scene: Scene) -> None:
    """Four processes, three of them with a call every other second."""
    for name, share in scene.shares().items():
        idle = ({"name": f"idle {n}", "calls": 1, "pause": 2.0, "bulk": False} for n in range(3))
        begin, _ = await scene.run({"name": "busy"}, *idle, share=share, seconds=scene.seconds)
        counts = scene.server.taken(begin, begin + scene.seconds)
        part = sum(counts.values()) / scene.seconds / RATE
        line("one busy process of four", name, f"{part:.3f} of 48, {scene.server.refused()} refused", ">= 0.95")


async def web(scene: Scene) -> None:
    """Three web workers beside a nightly run."""
    for name, share in scene.shares().items():
        workers = ({"name": f"web {n}", "calls": 2, "pause": 0.5, "bulk": False} for n in range(3))
        _, told = await scene.run({"name": "nightly"}, *workers, share=share, seconds=scene.seconds)
        times = [1e3 * one for worker in told[1:] for one in worker["latencies"]]
        line(
            "web calls beside a nightly run",
            name,
            f"p50 {median(times):.0f} ms, p95 {quantiles(times, n=20)[-1]:.0f} ms, worst {max(times):.0f} ms of "
            f"{len(times)}",
            "p95 <= 150 ms, worst <= 400 ms",
        )


async def away(scene: Scene) -> None:
    """Redis is away for a third of the time: killed, then stopped."""
    third = max(scene.seconds, 10.0)
    share = f"{scene.redis.url}?processes=4"
    ways = {
        "killed": (scene.redis.kill, scene.redis.start),
        "stopped": (scene.redis.stop_answering, scene.redis.answer_again),
    }
    for how, (leave, come_back) in ways.items():

        async def beside(begin: float, leave: Any = leave, come_back: Any = come_back) -> None:
            await asyncio.sleep(begin + third - time.monotonic())
            leave()
            await asyncio.sleep(begin + 2 * third - time.monotonic())
            await asyncio.to_thread(come_back)

        begin, told = await scene.run(
            *({"name": f"{n}"} for n in range(4)), share=share, seconds=3 * third, beside=beside
        )
        before, meanwhile, after = (
            sum(scene.server.taken(begin + part * third, begin + (part + 1) * third).values()) / third
            for part in range(3)
        )
        refused, failed = scene.server.refused(), sum(one["failed"] for one in told)
        line(
            f"Redis {how} for {third:.0f} s, split",
            "RedisShare",
            f"{meanwhile / before:.3f} of before, {after / before:.3f} after, "
            f"{refused / len(scene.server.arrivals):.2%} refused, {failed} failed",
            ">= 0.9, <= 0.5 %, 0",
        )


async def tokens(scene: Scene) -> None:
    """Four processes with 500 waiters each, and tokens that are used for four seconds."""
    for name, share in scene.shares().items():
        scene.server.tokens = 0
        jobs = ({"name": f"{n}", "kind": "tokens"} for n in range(4))
        _, told = await scene.run(*jobs, share=share, seconds=scene.seconds)
        line(
            "tokens, four processes with 500 waiters each",
            name,
            f"{scene.server.tokens} requests for {max(one['tokens'] for one in told)} lifetimes in "
            f"{scene.seconds:.0f} s",
            "1 for each",
        )


NIGHT = """
import asyncio, json, sys, threading
from thrive_async import ThriveClient, sync

told = json.loads(sys.stdin.read())

async def night(desired, after):
    await asyncio.sleep(after)
    async with ThriveClient.from_env() as thrive:
        results = await sync.sync_audiences(
            thrive, desired, wait=600, max_removals=None, max_total_removals=None, journal=told["journal"]
        )
    print(sum(getattr(one, "ok", False) for one in results.values()), flush=True)

runs = [threading.Thread(target=asyncio.run, args=(night(*run),)) for run in told["runs"]]
for run in runs:
    run.start()
for run in runs:
    run.join()
"""


async def nights(scene: Scene) -> None:
    """Two runs of 60 audiences with different lists, some seconds apart; hosts have the Redis in common, no files."""
    for unit in ("threads", "processes", "hosts"):
        for apart in (0, 3, 6):
            with Sandbox(users=80, seed=1) as sandbox, tempfile.TemporaryDirectory() as folder:
                ids, names = list(sandbox.state.users), [f"n{at}" for at in range(60)]
                for name in names:
                    sandbox.state.add_audience(name, members=ids[:30])
                sandbox.faults.add("latency", times=None, seconds=LATENCY)
                lists = [ids[:40], ids[5:45]]
                runs = [[dict.fromkeys(names, one), after] for one, after in zip(lists, (0, apart), strict=True)]
                hosts = [Path(folder) / (f"{at}" if unit == "hosts" else "one") for at in range(2)]
                environment = os.environ | sandbox.environment
                if unit == "hosts":
                    environment["THRIVE_SHARE"] = scene.redis.url
                if unit == "threads":
                    done = await run_nights(runs, hosts[0], environment)
                else:
                    both = (run_nights([run], host, environment) for run, host in zip(runs, hosts, strict=True))
                    done = sum(await asyncio.gather(*both))
                wrong = sum(set(sandbox.state.audiences[name].members) not in map(set, lists) for name in names)
                outcomes = outcomes_in({host / "run.jsonl" for host in hosts})
                line(
                    f"two nightly runs as {unit}, {apart} s apart",
                    "RedisShare" if unit == "hosts" else "the machine's locks",
                    f"{wrong} of 60 audiences wrong, {done} of 120 done, "
                    f"{sum(count > 1 for count in outcomes.values())} of {len(outcomes)} people with two outcomes",
                    "0, 120, 0",
                )


async def run_nights(runs: list[list[Any]], host: Path, environment: dict[str, str]) -> int:
    """Run nights in a process, each in a thread of its own; return how many audiences were done."""
    await asyncio.to_thread(host.mkdir, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", NIGHT),
        env=environment | {"THRIVE_LOCK_DIR": str(host)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(json.dumps({"runs": runs, "journal": str(host / "run.jsonl")}).encode())
    return sum(map(int, out.split()))


def outcomes_in(journals: set[Path]) -> Counter[tuple[str, str, str]]:
    """How many outcomes each person has in a run of an audience."""
    lines = [json.loads(text) for journal in journals for text in journal.read_text().splitlines()]
    return Counter((told["run"], told["audience"], told["reference"]) for told in lines if "outcome" in told)


async def turn(scene: Scene) -> None:
    """What a turn costs that need not wait: the best of ten rounds, each beside redis-py's own round trip."""
    scope = Scope("turns.example", "tenant")
    redis = Redis.from_url(scene.redis.url)
    script = await redis.script_load(PLACE)

    async def bare() -> None:
        await redis.evalsha(script, 2, "{bare}:row", "{bare}:processes", 1e-6, 10**6, 1e9, "")

    shares = {
        "MemoryShare": (MemoryShare(), 5_000, ""),
        "FileShare": (FileShare(scene.file), 5_000, "<= 20 us"),
        "RedisShare": (open_share(f"{scene.redis.url}?processes=4"), 500, "<= 300 us"),
    }
    work = {
        name: (Row(share, scope, rate=1e6, burst=10**6).turn, count, wanted)
        for name, (share, count, wanted) in shares.items()
    }
    work["EVALSHA of redis-py"] = (bare, 500, "")
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    for _ in range(11):
        for name, (step, count, _wanted) in work.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(count):
                await step()
            spent = time.perf_counter() - wall, time.process_time() - cpu
            rounds[name].append((1e6 * spent[0] / count, 1e6 * spent[1] / count))
    for name, (_step, _count, wanted) in work.items():
        wall, cpu = (min(each[n] for each in rounds[name][1:]) for n in (0, 1))
        line("a turn", name, f"{wall:.0f} us, {cpu:.0f} us of them CPU of this process", wanted)
    await redis.aclose()
    for share, _count, _wanted in shares.values():
        await share.aclose()


SCENARIOS = {scenario.__name__: scenario for scenario in (turn, four, one_busy, web, away, tokens, nights)}


async def play(names: list[str], seconds: float) -> None:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "redis").mkdir()
        redis = RedisServer(Path(folder) / "redis")
        try:
            scene = Scene(seconds, server, listening.sockets[0].getsockname()[1], f"{folder}/share", redis)
            print("| work | with | found | to reach |\n|---|---|---|---|")
            for name in names:
                await SCENARIOS[name](scene)
        finally:
            redis.kill()
            listening.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.share", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(SCENARIOS)}; all if none")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each scenario")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.work:
        print(json.dumps(asyncio.run(work(Job(**json.loads(wanted.work))))))
        return
    if SERVER is None:
        parser.error("redis-server is not installed")
    unknown = set(wanted.names) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    asyncio.run(play(wanted.names or list(SCENARIOS), wanted.seconds))


if __name__ == "__main__":
    main()
