"""Cancel, journal, kill: a run may end anywhere and the next one finishes the job."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.sync.conftest import World, people
from tests.sync.test_faults import check
from thrive_async import sync
from thrive_async.sandbox import Sandbox
from thrive_async.sync._apply.journal import Journal, Scope, unfinished

ROOT = Path(__file__).parents[3]
SCOPE = Scope("members", "tenant", "1")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_the_journal_opens_with_the_plan_and_holds_every_outcome(world: World, tmp_path: Path) -> None:
    """One line of its own kind with the fingerprint, then one line per outcome."""
    path = tmp_path / "run.jsonl"
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[5:310], "nobody@example.org"])
    report = await plan.apply(journal=path)
    head, *outcomes = lines(path)
    assert head["fingerprint"] == plan.fingerprint
    assert head["run"] == report.run
    documented = {"run", "audience", "action", "reference", "outcome", "reason", "at"}
    who = {"add": set[str](), "remove": {"id", "ref", "email"}}
    assert [set(line) for line in outcomes] == [documented | who[line["action"]] for line in outcomes]
    assert len(outcomes) == 16
    assert Counter(line["outcome"] for line in outcomes) == {"added": 10, "failed": 1, "removed": 5}
    assert {line["audience"] for line in outcomes} == {"team"}
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_second_run_appends(world: World, tmp_path: Path) -> None:
    """The first run's lines stay as they are."""
    path = tmp_path / "run.jsonl"
    await sync.sync_members(world.thrive, "team", world.ids[:310], journal=path)
    first = path.read_text(encoding="utf-8")
    await sync.sync_members(world.thrive, "team", world.ids[:320], journal=path)
    assert path.read_text(encoding="utf-8").startswith(first)
    assert len({line["run"] for line in lines(path)}) == 2


async def test_lines_are_there_as_it_happens(world: World, tmp_path: Path) -> None:
    """At any moment the journal holds every outcome that was told to the callback."""
    path = tmp_path / "run.jsonl"
    counts: list[tuple[int, int]] = []
    await sync.sync_members(
        world.thrive,
        "team",
        world.ids[20:520],
        journal=path,
        on_progress=lambda step: counts.append((step.done, len(lines(path)) - 1)),
    )
    assert counts
    assert all(done == written for done, written in counts)


async def test_not_attempted_is_an_outcome_too(world: World, tmp_path: Path) -> None:
    """Everybody who was planned is in the journal, however the run ended."""
    path = tmp_path / "run.jsonl"
    plan = await sync.plan_members(world.thrive, "team", world.ids[20:520])
    world.sandbox.faults.add("status", operation="addMembers", times=None, status=403)
    await plan.apply(journal=path)
    assert Counter(line.get("outcome") for line in lines(path)) == {None: 1, "not_attempted": 240}


async def test_a_journal_that_cannot_be_opened_changes_nothing(world: World, tmp_path: Path) -> None:
    """The error comes before the first write to Thrive."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[20:520])
    with pytest.raises(OSError, match="missing"):
        await plan.apply(journal=tmp_path / "missing" / "run.jsonl")
    assert world.writes() == []


def test_a_torn_last_line_is_not_glued_to(tmp_path: Path) -> None:
    """A run that died within a line leaves the rest of the journal readable."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"run": "1", "audi')
    with Journal(path, "2", "team") as journal:
        journal.open_run(SCOPE, fingerprint="f", strategy="diff", planned={"add": ["a", "b"]})
        journal.record([("add", "a", "added", None)])
    assert path.read_bytes().startswith(b'{"run": "1", "audi\n{')
    (left,) = unfinished(path)[SCOPE]
    assert (left.run, left.pending) == ("2", (("add", "b"),))
    assert unfinished(tmp_path / "none") == {}


async def test_who_was_lost_in_a_crash_is_accounted_for_by_the_next_run(world: World, tmp_path: Path) -> None:
    """What was done without a line is found by reading; everybody else was not attempted by that run."""
    path = tmp_path / "run.jsonl"
    with Journal(path, "crashed", "team") as journal:
        journal.open_run(
            world.scope,
            fingerprint="f",
            strategy="diff",
            planned={
                "add": [world.email(10), world.email(310), world.email(400)],
                "remove": [world.ids[500], world.ids[3]],
            },
        )
    await sync.sync_members(world.thrive, "team", world.ids[:320], journal=path)
    old = {line["reference"]: line["outcome"] for line in lines(path)[1:] if line["run"] == "crashed"}
    assert old == {
        world.email(10): "added",
        world.email(310): "not_attempted",
        world.email(400): "not_attempted",
        world.ids[500]: "removed",
        world.ids[3]: "not_attempted",
    }


async def test_an_account_that_cannot_be_given_stops_the_run(world: World, tmp_path: Path) -> None:
    """The earlier run stays open in the journal, for the next to account for."""
    path = tmp_path / "run.jsonl"
    with Journal(path, "crashed", "team") as journal:
        planned = {"add": [world.email(310)], "remove": []}
        journal.open_run(world.scope, fingerprint="f", strategy="diff", planned=planned)
    plan = await sync.plan_members(world.thrive, "team", world.ids[:320])
    world.sandbox.faults.add("status", operation="listMembers", status=403)
    report = await plan.apply(journal=path)
    assert len(report.not_attempted) == 20
    assert world.writes() == []
    assert [one.run for one in unfinished(path)[world.scope]] == ["crashed"]


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.25, 0.4, 1.0])
async def test_a_cancel_leaves_a_true_report(world: World, after: float) -> None:
    """Requests under way may finish; no other is sent; the report says what was done."""
    world.sandbox.faults.add("latency", times=None, seconds=0.1)
    plan = await sync.plan_members(world.thrive, "team", world.ids[100:600])
    before = world.members
    task = asyncio.create_task(plan.apply(max_removals=None))
    await asyncio.sleep(after)
    sent = len(world.sandbox.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(world.sandbox.requests) - sent <= 10
    if after == 0.0:
        return
    assert plan.report is not None
    check(plan, plan.report, before, world.members, world.sandbox)
    assert plan.report.not_attempted
    assert {one.reason for one in plan.report.not_attempted} == {"cancelled before it was sent"}
    report = await sync.sync_members(world.thrive, "team", world.ids[100:600], max_removals=None)
    assert report.ok
    assert world.members == set(world.ids[100:600])


async def test_a_second_cancel_does_not_wait(world: World) -> None:
    """What was under way is then reported as what it is: unknown."""
    world.sandbox.faults.add("latency", times=None, seconds=20)
    plan = await sync.plan_members(world.thrive, "team", world.ids[:600])
    task = asyncio.create_task(plan.apply())
    loop = asyncio.get_running_loop()
    await asyncio.sleep(1)
    start = loop.time()
    task.cancel()
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop.time() - start == pytest.approx(1)
    assert plan.report is not None
    assert len(plan.report.failed) == 300
    assert {one.reason for one in plan.report.failed} == {
        "cancelled while the request was under way: it may have been done"
    }


@pytest.mark.parametrize("steps", range(6))
async def test_impatience_costs_nobody_a_true_outcome(world: World, steps: int) -> None:
    """Cancelled again and again, a few steps of the loop apart: what was sent is never said not to have been."""
    world.sandbox.faults.add("latency", times=None, seconds=20, operation="addMembers")
    plan = await sync.plan_members(world.thrive, "team", world.ids[5:600])
    task = asyncio.create_task(plan.apply())
    await asyncio.sleep(1)
    while not task.done():
        task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert task.cancelled()
    assert plan.report is not None
    assert (len(plan.report.failed), len(plan.report.not_attempted)) == (300, 5)
    assert {one.action for one in plan.report.not_attempted} == {"remove"}


async def test_a_cancel_waits_ten_seconds_at_most(world: World) -> None:
    """A request that hangs does not hold up the end for ever."""
    world.sandbox.faults.add("latency", times=None, seconds=25)
    plan = await sync.plan_members(world.thrive, "team", world.ids[:600])
    task = asyncio.create_task(plan.apply())
    await asyncio.sleep(1)
    start = asyncio.get_running_loop().time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.get_running_loop().time() - start == pytest.approx(10)


CHILD = """
import asyncio, sys
from thrive_async import ApiKey, Retry, ThriveClient, sync

async def main(tenant, key, url, journal):
    desired = sys.stdin.read().split()
    async with ThriveClient(tenant, ApiKey(key), base_url=url, retry=Retry(max_attempts=5, base_delay=0.05)) as thrive:
        plan = await sync.plan_members(thrive, "team", desired)
        print("planned", flush=True)
        report = await plan.apply(max_removals=None, journal=journal)
        print("done" if report.ok else report, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def killed_run(sandbox: Sandbox, desired: list[str], journal: Path, kill_after: float | None) -> str:
    """Run a sync in a process of its own; kill it so many seconds after it has its plan."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        sandbox.tenant_id,
        sandbox.tokens.api_key,
        sandbox.base_url,
        str(journal),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n".join(desired).encode())
    child.stdin.close()
    assert await child.stdout.readline() == b"planned\n"
    if kill_after is not None:
        await asyncio.sleep(kill_after)
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
    out = (await child.stdout.read()).decode().strip()
    await child.wait()
    return out


async def kill_and_finish(directory: Path, seed: int) -> dict[str, int]:
    """Kill a sync at a random moment until one gets through; then account for every person.

    Returns:
        How many kills hit a running sync, how many people were concerned, and how many of them are without a true
        outcome in the journal.
    """
    chance = random.Random(seed)
    journal = directory / f"{seed}.jsonl"
    kills = 0
    async with Sandbox(users=0, seed=seed) as sandbox:
        ids = people(sandbox, 900)
        sandbox.state.add_audience("team", members=ids[:450])
        sandbox.faults.add("latency", times=None, operation="*Member", seconds=0.002, jitter=0.004)
        sandbox.faults.add("latency", times=None, operation="addMembers", seconds=0.01, jitter=0.02)
        desired = ids[150:900]
        before = set(sandbox.state.audiences["team"].members)
        for attempt in range(4):
            last = attempt == 3
            out = await killed_run(sandbox, desired, journal, None if last else chance.uniform(0, 0.25))
            if out == "done":
                break
            kills += 1
        after = set(sandbox.state.audiences["team"].members)
        assert after == set(desired), "the killed syncs did not converge"
        told: dict[str, list[str]] = {}
        for line in journal.read_bytes().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if "outcome" in entry:
                told.setdefault(entry["reference"], []).append(entry["outcome"])
        changed = dict.fromkeys(after - before, "added") | dict.fromkeys(before - after, "removed")
        lost = sum(1 for one, outcome in changed.items() if outcome not in told.get(one, []))
    return {"kills": kills, "people": len(changed), "lost": lost}


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_killed_run_is_finished_by_the_next(tmp_path: Path, seed: int) -> None:
    """SIGKILL at random moments: the audience converges, and every person has an outcome across the journals."""
    found = await kill_and_finish(tmp_path, seed)
    assert found["lost"] == 0
    assert found["people"] == 600
