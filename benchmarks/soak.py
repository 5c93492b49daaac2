"""Read, write and sync for minutes under random faults; nothing may grow or get lost.

    python -m benchmarks.soak --minutes 10 --seed 1

It exits with 1 and says why if memory or file descriptors grew, a task or a slot was left over, a list was incomplete,
something was created twice, a person had no outcome, or the SDK raised anything but a `ThriveError`.
"""

import argparse
import asyncio
import gc
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from thrive_async import Limits, Retry, ThriveClient, ThriveError, Timeouts, sync
from thrive_async import models as m
from thrive_async.sandbox import Sandbox

USERS = 400
TEAMS = [f"soak-{number}" for number in range(4)]
WORKERS = 6
MEGABYTE = 1024 * 1024

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("rate_limited", {"retry_after": 0}),
    ("rate_limited", {"retry_after": "0.2"}),
    ("rate_limited", {}),
    ("status", {"status": 500}),
    ("status", {"status": 502, "after": True}),
    ("status", {"status": 503}),
    ("status", {"status": 504, "after": True}),
    ("status", {"status": 408}),
    ("html", {"status": 502}),
    ("cut_body", {}),
    ("empty_body", {}),
    ("not_json", {}),
    ("close_before", {}),
    ("close_before", {"reset": True}),
    ("close_after", {}),
    ("close_after", {"reset": True}),
    ("latency", {"seconds": 0.2, "jitter": 0.5}),
    ("latency", {"seconds": 3.0}),
    ("revoked_token", {}),
    ("expired_token", {}),
    ("token_down", {"status": 503}),
    ("members_change", {}),
]


class Lost(AssertionError):  # noqa: N818
    """A promise was broken."""


def rss() -> float:
    """Return the resident megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Soak:
    """One run."""

    def __init__(self, sandbox: Sandbox, seed: int, seconds: float) -> None:
        self.sandbox = sandbox
        self.rng = random.Random(seed)
        self.ends = time.monotonic() + seconds
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.ids = [str(one) for one in sandbox.state.users]
        self.refs = [str(one["ref"]) for one in sandbox.state.users.values() if one["ref"]]
        self.made = 0

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.ends

    async def faults(self) -> None:
        """Alternate calm and faults: every second three other kinds, each affecting some of the requests."""
        while not self.over:
            self.sandbox.faults.clear()
            for kind, details in self.rng.sample(FAULTS, 3):
                # A 429 stops all calls, so more of them would leave nothing but pauses.
                chance = {"rate_limited": 0.003, "revoked_token": 0.01, "expired_token": 0.01}.get(
                    kind, self.rng.choice([0.01, 0.05, 0.2])
                )
                self.sandbox.faults.add(kind, times=None, probability=chance, **details)  # type: ignore[arg-type]
            await asyncio.sleep(1.0)
        self.sandbox.faults.clear()

    async def worker(self, thrive: ThriveClient) -> None:
        works = [self.read_all, self.read_some, self.read_one, self.write, self.create, self.sync, self.impatient]
        while not self.over:
            work = self.rng.choice(works)
            try:
                await work(thrive)
                self.done[work.__name__] += 1
            except ThriveError as error:
                self.failed[f"{work.__name__} {type(error).__name__}"] += 1

    async def read_all(self, thrive: ThriveClient) -> None:
        found = [user.id async for user in thrive.users.list(per_page=self.rng.choice([50, 100, 1000]))]
        if found != self.ids:
            raise Lost(f"{len(found)} users of {len(self.ids)}")

    async def read_some(self, thrive: ThriveClient) -> None:
        limit = self.rng.randrange(1, 60)
        wanted = await thrive.completions.list(per_page=10).collect(limit=limit)
        if len(wanted) > limit:
            raise Lost("more than asked for")
        async for _activity in thrive.activities.list(per_page=5):
            if self.rng.random() < 0.2:
                break

    async def read_one(self, thrive: ThriveClient) -> None:
        ids = self.rng.sample(self.ids, 5)
        users = await asyncio.gather(*(thrive.users.get(one) for one in ids), return_exceptions=True)
        for one, user in zip(ids, users, strict=True):
            if isinstance(user, ThriveError):
                self.failed[f"read_one {type(user).__name__}"] += 1
            elif isinstance(user, BaseException):
                raise user
            elif user.id != one:
                raise Lost("another user than asked for")

    async def write(self, thrive: ThriveClient) -> None:
        ref = self.rng.choice(self.refs)
        title = f"Title {self.rng.random()}"
        account = await thrive.users.update(ref, m.UserUpdate(job_title=title))
        if account.job_title != title:
            raise Lost("a write that did not take")

    async def create(self, thrive: ThriveClient) -> None:
        self.made += 1
        reference = f"made-{self.made}"
        new = m.AudienceCreate(name=reference, reference=reference, parent_id="emea", category="audience")
        try:
            await thrive.audiences.create(new)
        finally:
            sent = [one for one in self.sandbox.requests.of("createAudience") if one.body["reference"] == reference]
            if any(one.status not in (401, 429, 503) for one in sent[:-1]):
                raise Lost("a create that was sent again after it may have taken effect")
            for _ in range(20):
                try:
                    await thrive.audiences.delete(reference)
                except ThriveError as error:
                    if getattr(error, "status", None) in (404, 409, 422):
                        break
                else:
                    break

    async def sync(self, thrive: ThriveClient) -> None:
        team = self.rng.choice(TEAMS)
        desired = self.rng.sample(self.ids, self.rng.randrange(50, 200))
        plan = await sync.plan_members(thrive, team, desired)
        planned = len(plan.to_add) + len(plan.to_remove)
        try:
            await plan.apply(max_removals=None)
        finally:
            report = plan.report
            if report is not None:
                told = len(report.added) + len(report.removed) + len(report.failed) + len(report.not_attempted)
                if told != planned:
                    raise Lost(f"{planned} changes planned, {told} told of")

    async def impatient(self, thrive: ThriveClient) -> None:
        try:
            async with asyncio.timeout(self.rng.random() * 0.1):
                await thrive.users.list(per_page=20).collect()
        except TimeoutError:
            pass

    async def settle(self, thrive: ThriveClient) -> None:
        """Without faults, bring every team to a known state and compare it with the server's state."""
        # Requests that the client gave up on may still arrive at the server.
        await asyncio.sleep(4)
        for team in TEAMS:
            desired = self.rng.sample(self.ids, 100)
            report = await sync.sync_members(thrive, team, desired, max_removals=None)
            report.raise_for_failures()
            members = {str(member) for member in self.sandbox.state.audiences[team].members}
            if members != set(desired):
                raise Lost(f"{team} has {len(members ^ set(desired))} wrong members")


async def report(soak: Soak, samples: list[tuple[float, float, int, int]]) -> None:
    began = time.monotonic()
    while not soak.over:
        await asyncio.sleep(min(10.0, max(0.1, soak.ends - time.monotonic())))
        gc.collect()
        now = time.monotonic() - began
        samples.append((now, rss(), descriptors(), len(asyncio.all_tasks())))
        print(
            f"{now:5.0f} s  {rss():6.1f} MB  {descriptors():3d} descriptors  {len(asyncio.all_tasks()):3d} tasks  "
            f"{soak.sandbox.requests.total:7,} requests  {sum(soak.done.values()):6,} done  "
            f"{sum(soak.failed.values()):5,} failed",
            flush=True,
        )


async def main(minutes: float, seed: int) -> None:
    with Sandbox(USERS, seed, journal_size=2000, latency=0.002) as sandbox:
        for team in TEAMS:
            sandbox.state.add_audience(team, parent="emea", members=list(sandbox.state.users)[:100])
        soak = Soak(sandbox, seed, minutes * 60)
        samples: list[tuple[float, float, int, int]] = []
        thrive = ThriveClient(
            sandbox.tenant_id,
            sandbox.oauth,
            base_url=sandbox.base_url,
            retry=Retry(max_attempts=5, base_delay=0.02, max_delay=0.2),
            timeouts=Timeouts(attempt=1.0, total=10.0),
            limits=Limits(concurrency=8),
        )
        async with thrive:
            async with asyncio.TaskGroup() as group:
                group.create_task(soak.faults())
                group.create_task(report(soak, samples))
                for _ in range(WORKERS):
                    group.create_task(soak.worker(thrive))
            await soak.settle(thrive)
            transport: Any = thrive._transport
            if transport._gate.free != thrive.limits.concurrency:
                raise Lost("a slot")
        await asyncio.sleep(0.1)
        if len(asyncio.all_tasks()) > 1:
            raise Lost(f"tasks: {asyncio.all_tasks()}")
    print("done:  ", dict(soak.done.most_common()))
    print("failed:", dict(soak.failed.most_common()))
    first, last = samples[len(samples) // 4], samples[-1]
    most = max(sample[2] for sample in samples)
    print(f"memory {first[1]:.1f} -> {last[1]:.1f} MB, descriptors at most {most}, requests {sandbox.requests.total:,}")
    if last[1] > first[1] * 1.1 + 5:
        raise Lost("memory that grew")
    if most > first[2] + 30:
        raise Lost("file descriptors that grew")
    print("nothing lost")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    try:
        asyncio.run(main(arguments.minutes, arguments.seed))
    except* Lost as lost:
        print("LOST:", *lost.exceptions)
        sys.exit(1)
