"""One run of a target at a time on all machines that use one share. Each host has a lock folder of its own."""

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from benchmarks.redis_server import SERVER, RedisServer
from tests.sync.conftest import World
from thrive_async import ThriveClient
from thrive_async.models import ManagerGrant, ManagerGrantPermissions
from thrive_async.sandbox import Sandbox
from thrive_async.share import LeaseLost, MemoryShare, Scope, ShareUnavailable, files, lease
from thrive_async.sync import (
    GuardRefused,
    MemberPlan,
    SyncReport,
    plan_audiences,
    plan_managers,
    plan_members,
    plan_users,
    sync_audiences,
    sync_members,
)
from thrive_async.sync._apply import journal as journals
from thrive_async.sync._apply import locks
from thrive_async.sync.users import UserPlan

HOST: ContextVar[str] = ContextVar("HOST", default="a")


@pytest.fixture(autouse=True)
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks and threads whose HOST differs see other lock files, as on other machines."""

    def folder() -> Path:
        path = tmp_path / f"locks-{HOST.get()}"
        path.mkdir(exist_ok=True)
        return path

    monkeypatch.setattr(locks, "lock_folder", folder)


def on_host(host: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    async def there() -> Any:
        HOST.set(host)
        return await work

    return asyncio.create_task(there())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - the sandbox has no event for it
        await asyncio.sleep(0.005)


class Unsteady(MemoryShare):
    """Cannot be reached while `away`."""

    away = False

    def __getattribute__(self, name: str) -> Any:
        if name in ("take", "load", "store", "renew", "give_back") and self.away:
            raise ShareUnavailable("away")
        return super().__getattribute__(name)


@pytest.fixture
def share() -> Unsteady:
    return Unsteady()


def client_of(world: World, share: MemoryShare) -> ThriveClient:
    return world.sandbox.client(share=share)


# Two nightly runs


@pytest.mark.parametrize("wait", [0.0, 600.0])
@pytest.mark.parametrize("later", [0.0, 3.0, 6.0])
async def test_two_nightly_runs_of_two_hosts_leave_no_audience_wrong(
    world: World, share: Unsteady, later: float, wait: float
) -> None:
    """Was: 52 of 60 audiences were wrong when two runs began three seconds apart."""
    names = [f"n{at}" for at in range(20)]
    for name in names:
        world.sandbox.state.add_audience(name, members=world.ids[:30])
    world.sandbox.faults.add("latency", times=None, seconds=0.5)
    lists = [dict.fromkeys(names, world.ids[:60]), dict.fromkeys(names, world.ids[20:50])]

    async def night(desired: dict[str, list[str]], after: float) -> dict[str, Any]:
        await asyncio.sleep(after)
        async with client_of(world, share) as thrive:
            return await sync_audiences(thrive, desired, wait=wait, max_removals=None, max_total_removals=None)

    runs = await asyncio.gather(on_host("a", night(lists[0], 0)), on_host("b", night(lists[1], later)))
    for name in names:
        whole = [at for at, run in enumerate(runs) if isinstance(run[name], SyncReport) and run[name].ok]
        assert whole, "someone did it"
        assert all(isinstance(runs[at][name], GuardRefused) for at in {0, 1} - set(whole))
        wanted = [set(lists[at][name]) for at in whole]
        assert set(world.sandbox.state.audiences[name].members) in wanted
        for at in whole:
            planned = [*runs[at][name].added, *runs[at][name].removed]
            assert len({(one.action, one.reference) for one in planned}) == len(planned)
        if wait:
            assert len(whole) == 2


NIGHT = """
import asyncio, json, mmap, os, struct, sys, time
from thrive_async import ThriveClient, sync

told = json.loads(sys.argv[1])
if "offset" in told:
    with open(told["offset"], "r+b") as file:
        offset = mmap.mmap(file.fileno(), 8)
    asyncio.BaseEventLoop.time = lambda _: time.monotonic() + struct.unpack("d", offset[:8])[0]

async def looks_at_the_clock():
    while True:
        await asyncio.sleep(0.05)

async def main():
    looking = asyncio.create_task(looks_at_the_clock())
    async with ThriveClient.from_env() as thrive:
        results = await sync.sync_audiences(
            thrive, told["desired"], wait=told["wait"], max_removals=None, max_total_removals=None,
            journal=told.get("journal"),
        )
    said = {}
    for name, one in results.items():
        if isinstance(one, sync.SyncReport):
            said[name] = {
                "ok": one.ok, "cause": type(one.cause).__name__, "added": len(one.added),
                "removed": len(one.removed), "failed": len(one.failed),
                "not_attempted": sorted({reason.reason for reason in one.not_attempted}),
            }
        else:
            said[name] = {"ok": False, "error": type(one).__name__ + ": " + str(one)}
    print(json.dumps(said), flush=True)

asyncio.run(main())
"""


@pytest.fixture(params=["file", "redis"])
def share_text(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A share as the environment names it."""
    if request.param == "file":
        yield str(tmp_path / "share")
        return
    if SERVER is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path)
    # Patient: a busy machine is not a Redis that is away.
    yield f"{server.url}?socket_timeout=30"
    server.kill()


def night_of(
    sandbox: Sandbox, share_text: str, locks_of_host: Path, desired: dict[str, Any], **told: Any
) -> "subprocess.Popen[str]":
    environment = os.environ | {
        **sandbox.environment,
        "THRIVE_SHARE": share_text,
        "THRIVE_LOCK_DIR": str(locks_of_host),
    }
    words = json.dumps({"desired": desired, "wait": 0.0, **told})
    return subprocess.Popen([sys.executable, "-c", NIGHT, words], env=environment, stdout=subprocess.PIPE, text=True)


@contextmanager
def killed_at_last(process: "subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()


def set_late(offset: Path, seconds: float) -> None:
    """Set the clock of a process forward. Its file is mapped, so it may not be cut even for a moment."""
    with offset.open("r+b") as file:
        file.write(struct.pack("d", seconds))


async def ended(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    answer: dict[str, Any] = json.loads(out)
    return answer


async def until_written(sandbox: Sandbox, writes: int) -> None:
    await until(lambda: sum(entry.operation == "addMembers" for entry in sandbox.requests) >= writes)


@pytest.mark.parametrize(
    ("unit", "begins_after"), [("processes", 0), ("processes", 3), ("processes", 6), ("threads", 3)]
)
async def test_two_nightly_runs_over_a_real_share(
    tmp_path: Path, share_text: str, unit: str, begins_after: int
) -> None:
    """Each audience ends as one of the lists says, and a run that is not refused did its audience whole."""
    async with Sandbox(users=120, seed=1) as sandbox:
        ids, names = list(sandbox.state.users), [f"n{at}" for at in range(9)]
        for name in names:
            sandbox.state.add_audience(name, members=ids[:30])
        sandbox.faults.add("latency", times=None, seconds=0.02)
        lists = [dict.fromkeys(names, ids[:60]), dict.fromkeys(names, ids[20:50])]

        async def in_thread(host: str, desired: dict[str, list[str]]) -> dict[str, Any]:
            found: dict[str, Any] = {}

            async def night() -> None:
                async with ThriveClient.from_env(sandbox.environment, share=share_text) as thrive:
                    found.update(
                        await sync_audiences(thrive, desired, wait=60, max_removals=None, max_total_removals=None)
                    )

            def there() -> None:
                HOST.set(host)
                asyncio.run(night())

            thread = threading.Thread(target=there)
            thread.start()
            await asyncio.to_thread(thread.join)
            return {name: {"ok": getattr(one, "ok", False), "error": str(one)} for name, one in found.items()}

        async def run(host: str, desired: dict[str, list[str]]) -> dict[str, Any]:
            if unit == "threads":
                return await in_thread(host, desired)
            return await ended(night_of(sandbox, share_text, tmp_path / host, desired, wait=60.0))

        first = asyncio.create_task(run("x", lists[0]))
        await until_written(sandbox, begins_after)
        second = asyncio.create_task(run("y", lists[1]))
        results = await asyncio.gather(first, second)
        for name in names:
            assert [result[name] for result in results if not result[name]["ok"]] == []
            assert set(sandbox.state.audiences[name].members) in [set(one[name]) for one in lists]


# Holders that die, and holders that wake up


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("fate", ["killed", "stopped"])
async def test_a_holder_that_died_is_replaced_and_one_that_wakes_up_sends_nothing_more(
    tmp_path: Path, share_text: str, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clocks are moved, so the end of its lease takes no time."""
    offset = tmp_path / "offset"
    offset.write_bytes(struct.pack("d", 0.0))
    async with Sandbox(users=400, seed=1) as sandbox:
        ids = list(sandbox.state.users)
        audience = sandbox.state.add_audience("n0", members=ids[:10])
        # The holder is stopped while it waits to repeat its first write.
        sandbox.faults.add("status", operation="addMembers", times=1, status=503, retry_after=20)
        desired, journal = {"n0": ids[:110]}, str(tmp_path / "run.jsonl")
        other = night_of(sandbox, share_text, tmp_path / "other", desired, offset=str(offset), journal=journal)
        with other as holder, killed_at_last(holder):
            await until_written(sandbox, 1)
            holder.send_signal(signal.SIGKILL if fate == "killed" else signal.SIGSTOP)
            async with ThriveClient.from_env(sandbox.environment, share=share_text) as thrive:
                with pytest.raises(GuardRefused, match=rf"another run is going on \(host .*, process {holder.pid}\)"):
                    await sync_members(thrive, "n0", ids[:20])
                # Its lease ends.
                set_late(offset, 28.0)
                if share_text.startswith("redis"):
                    with redis.Redis.from_url(share_text) as direct:
                        (key,) = direct.keys("*lease:run members *")
                        direct.delete(key)
                else:
                    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 31, time_ns=time.time_ns)
                    monkeypatch.setattr(files, "time", later)
                assert (await sync_members(thrive, "n0", ids[:20], max_removals=None)).ok
            sent = len(list(sandbox.requests))
            if fate == "stopped":
                holder.send_signal(signal.SIGCONT)
                ending = asyncio.create_task(ended(holder))
                for late in range(1, 1_000):
                    if ending.done():
                        break
                    # If it was stopped before its pause began, the pause ends, too.
                    await asyncio.sleep(0.1)
                    set_late(offset, 28.0 + late)
                said = (await ending)["n0"]
                assert said["cause"] == "LeaseLost"
                assert (said["added"], said["removed"], said["failed"]) == (0, 0, 0)
                (reason,) = said["not_attempted"]
                assert reason.startswith("stopped by the loss of its lease: another run may be at work by now")
                lines = await asyncio.to_thread(lambda: Path(journal).read_text().splitlines())
                outcomes = [json.loads(line) for line in lines[1:]]
                assert len({one["reference"] for one in outcomes}) == len(outcomes) == 100
            assert len(list(sandbox.requests)) == sent
            assert set(audience.members) == set(ids[:20])


async def test_a_run_whose_lease_is_taken_away_stops_and_accounts_for_everyone(
    world: World, share: Unsteady, tmp_path: Path
) -> None:
    """The next heartbeat tells; calls that wait for their turn are not sent either."""
    world.sandbox.faults.add("latency", operation="addMembers", times=None, seconds=15)
    async with client_of(world, share) as thrive:
        desired = [*world.ids[1:], "unknown@example.org"]
        night = asyncio.create_task(sync_members(thrive, "team", desired, journal=tmp_path / "run.jsonl"))
        await until(lambda: world.arrived("addMembers"))
        share._leases.clear()
        report = await night
    assert isinstance(report.cause, LeaseLost)
    assert not report.ok
    assert world.arrived("removeMember") == 0
    assert {one.action for one in report.not_attempted} >= {"remove"}
    assert {one.reason for one in report.not_attempted} == {str(f"stopped by {report.cause}")}
    # A person per outcome.
    assert len(report.added) + len(report.failed) + len(report.not_attempted) == 302


async def test_a_repeated_write_that_may_have_happened_counts_as_failed_not_as_not_attempted(
    world: World, share: Unsteady
) -> None:
    """Its answer was lost, then the lease: reading is no longer allowed to tell."""
    world.sandbox.faults.add("close_after", operation="addMembers", times=None)
    async with client_of(world, share) as thrive:
        night = asyncio.create_task(sync_members(thrive, "team", world.ids[:301]))
        await until(lambda: world.arrived("addMembers"))
        share._leases.clear()
        (held,) = [task for task in asyncio.all_tasks() if "beat" in repr(task)]
        held.get_coro().cr_frame.f_locals["self"].lost.set()  # type: ignore[union-attr]
        report = await night
    assert isinstance(report.cause, LeaseLost)
    (failed,) = report.failed
    assert "could not be checked by reading" in str(failed.reason)
    assert not report.not_attempted


# A share that is away


async def test_a_share_that_is_away_refuses_the_run_before_anything_is_read(world: World, share: Unsteady) -> None:
    share.away = True
    async with client_of(world, share) as thrive:
        with pytest.raises(GuardRefused, match="team: the share cannot be reached, so another run may be going on"):
            await sync_members(thrive, "team", world.ids[:299])
    assert world.arrived("listMembers") == 0
    assert world.writes() == []


async def test_a_share_that_comes_back_is_waited_for(world: World, share: Unsteady) -> None:
    share.away = True
    async with client_of(world, share) as thrive:
        night = asyncio.create_task(sync_members(thrive, "team", world.ids[:299], wait=60))
        await asyncio.sleep(10)
        share.away = False
        assert (await night).ok


async def test_a_share_that_goes_away_before_the_first_write_refuses_the_run(world: World, share: Unsteady) -> None:
    """Without the mark, plans of other hosts would not become stale."""
    async with client_of(world, share) as thrive, locks.exclusive():
        plan = await plan_members(thrive, "team", world.ids[:299])
        share.away = True
        with pytest.raises(GuardRefused, match="cannot be reached"):
            await plan.apply()
    assert world.writes() == []


async def test_a_plan_that_was_made_while_the_share_was_away_is_not_applied(world: World, share: Unsteady) -> None:
    """Planning alone needs no share; applying does."""
    share.away = True
    async with client_of(world, share) as thrive:
        plan = await plan_members(thrive, "team", world.ids[:299])
        assert plan.last_run is None
        share.away = False
        with pytest.raises(GuardRefused, match="the share could not be reached when this plan was made"):
            await plan.apply()
    assert world.writes() == []


async def test_a_lease_that_cannot_be_given_back_ends_by_itself(world: World, share: Unsteady) -> None:
    async with client_of(world, share) as thrive:
        plan = await plan_members(thrive, "team", world.ids[:299])
        assert (await plan.apply(on_progress=lambda _: setattr(share, "away", True))).ok
        share.away = False
        with pytest.raises(GuardRefused, match="another run is going on"):
            await on_host("b", sync_members(thrive, "team", world.ids[:298]))
        await asyncio.sleep(31)
        assert (await on_host("b", sync_members(thrive, "team", world.ids[:298]))).ok


# Plans that another run overtook


async def test_a_plan_is_stale_once_a_run_of_another_host_has_ended(world: World, share: Unsteady) -> None:
    async with client_of(world, share) as here, client_of(world, share) as there:
        plan = await plan_members(here, "team", world.ids[2:300])
        many = await plan_audiences(here, {"team": world.ids[2:300]})
        assert (await on_host("b", sync_members(there, "team", world.ids[1:300]))).ok
        for old in (plan, MemberPlan.from_json(plan.to_json(), here)):
            with pytest.raises(GuardRefused, match="another run has begun or ended since this plan was made"):
                await old.apply()
        assert isinstance((await many.apply())["team"], GuardRefused)
        assert world.members == set(world.ids[1:300])
        assert (await (await plan_members(here, "team", world.ids[2:300])).apply()).ok
        assert world.members == set(world.ids[2:300])


async def test_a_plan_of_users_and_one_of_managers_become_stale_too(world: World, share: Unsteady) -> None:
    async with client_of(world, share) as here, client_of(world, share) as there:
        rows = [{"ref": world.ref(0), "job_title": "Pilot"}]
        users = await plan_users(here, rows)
        grants = [ManagerGrant(reference=world.ids[0], permissions=ManagerGrantPermissions())]
        managers = await plan_managers(here, "team", grants)
        assert (await on_host("b", (await plan_users(there, [{**rows[0], "job_title": "Cook"}])).apply())).ok
        assert (await on_host("b", (await plan_managers(there, "team", grants)).apply())).ok
        for plan in (users, UserPlan.from_json(users.to_json(), here), managers):
            assert plan.last_run == ""
            with pytest.raises(GuardRefused, match="another run has begun or ended"):
                await plan.apply()


async def test_a_plan_that_was_made_during_a_run_is_stale_even_if_the_run_was_killed(
    world: World, share: Unsteady
) -> None:
    world.sandbox.faults.add("latency", operation="addMembers", times=None, seconds=5)
    async with client_of(world, share) as here, client_of(world, share) as there:
        night = on_host("b", sync_members(there, "team", world.ids[:600]))
        await until(lambda: world.arrived("addMembers"))
        plan = await plan_members(here, "team", world.ids[:299])
        share.away = True  # what a killed run leaves: no end is noted, no lease given back
        await night
        share.away = False
        await asyncio.sleep(31)
        with pytest.raises(GuardRefused, match="another run has begun or ended"):
            await plan.apply()
        assert (await sync_members(here, "team", world.ids[:599])).ok


async def test_a_run_that_changes_nothing_makes_no_plan_stale(world: World, share: Unsteady) -> None:
    async with client_of(world, share) as here, client_of(world, share) as there:
        plan = await plan_members(here, "team", world.ids[2:300])
        assert (await on_host("b", sync_members(there, "team", world.ids[:300]))).ok
        assert (await plan.apply()).ok


async def test_a_new_audience_and_one_planned_twice_in_one_run_are_not_stale(world: World, share: Unsteady) -> None:
    from thrive_async.sync import NewAudience

    async with client_of(world, share) as thrive:
        new = [NewAudience("new", "New")]
        results = await sync_audiences(thrive, {"new": world.ids[:3], "team": world.ids[:301]}, create_missing=new)
        assert all(isinstance(one, SyncReport) and one.ok for one in results.values())
        async with locks.exclusive():
            for size in (302, 303):
                assert (await (await plan_members(thrive, "team", world.ids[:size])).apply()).ok


# Journals of other hosts


async def test_a_run_of_another_host_is_accounted_for_once_its_lease_has_ended(
    world: World, share: Unsteady, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Was: an hour of silence. Without a share it still is."""
    path = tmp_path / "run.jsonl"
    async with client_of(world, share) as thrive:
        plan = await plan_members(thrive, "team", world.ids[:301])
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(journals.socket, "gethostname", lambda: "elsewhere")
            elsewhere.setattr(journals, "_machine", lambda: "another")
            with journals.Journal(path, "run-of-b", "team") as journal:
                planned = {"add": [world.ids[300], world.ids[301]]}
                journal.open_run(plan.scope, fingerprint="x", strategy="diff", planned=planned, fence=7)
        with pytest.raises(GuardRefused, match="of the host elsewhere has not ended"):
            await sync_members(world.thrive, "team", world.ids[:301], journal=path)
        assert (await sync_members(thrive, "team", world.ids[:301], journal=path)).ok
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(one["reference"], one["outcome"]) for one in lines if one.get("of") == "run-of-b"} == {
        (world.ids[300], "not_attempted"),
        (world.ids[301], "not_attempted"),
    }
    assert lines[1]["fence"] > 7


async def test_nothing_is_sent_through_a_view_whose_lease_is_lost(world: World, share: Unsteady) -> None:
    async with client_of(world, share) as thrive, lease(share, Scope("h", "t"), "mine") as mine:
        view = thrive.with_options(lease=mine)
        assert await view.skills.levels()
        mine.lost.set()
        arrived = len(list(world.sandbox.requests))
        with pytest.raises(LeaseLost, match=r"another run may be at work by now, so .* was not sent"):
            await view.skills.levels()
        assert len(list(world.sandbox.requests)) == arrived
        assert await thrive.skills.levels()
        with pytest.raises(TypeError, match="lease must be a Lease"):
            thrive.with_options(lease="mine")  # type: ignore[arg-type]


async def test_an_undo_is_one_run_among_the_others(world: World, share: Unsteady, tmp_path: Path) -> None:
    """Its plan keeps the mark of the last run, and becomes stale with the next."""
    from thrive_async.sync.undo import plan_undo

    path = tmp_path / "run.jsonl"
    async with client_of(world, share) as thrive:
        assert (await sync_members(thrive, "team", world.ids[2:302], journal=path)).ok
        first, second = await plan_undo(thrive, path), await plan_undo(thrive, path)
        await first.apply(max_removals=None)
        assert world.members == set(world.ids[:300])
        with pytest.raises(GuardRefused, match="another run has begun or ended"):
            await on_host("b", second.apply(max_removals=None))
