"""Runs beside each other: processes, turns, limits over all, and failures that stay where they are."""

import asyncio
import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sync.conftest import World
from thrive_async import GuardRefused, SyncError, sync
from thrive_async.sandbox import Sandbox
from thrive_async.sync import Guard

NIGHTLY = """
import asyncio, json, sys
from thrive_async import ThriveClient, sync

async def main():
    told = json.load(sys.stdin)
    async with ThriveClient.from_env() as thrive:
        try:
            results = await sync.sync_audiences(
                thrive, told["desired"], journal=told["journal"], wait=told["wait"], max_removals=None,
                max_total_removals=None,
            )
        except sync.GuardRefused:
            print("refused")
            return
        bad = [one for one in results.values() if not (isinstance(one, sync.SyncReport) and one.ok)]
        print("bad", len(bad), [str(one) for one in bad[:1]])

asyncio.run(main())
"""
"""A nightly job of another process, as a cron job would run it."""


@pytest.fixture
def many(world: World) -> World:
    """Twelve audiences of twenty each beside `team`."""
    for at in range(12):
        world.sandbox.state.add_audience(f"a{at}", members=world.ids[at * 20 : at * 20 + 20])
    return world


def members(world: World, name: str) -> set[str]:
    return set(world.sandbox.state.audiences[name].members)


@pytest.mark.parametrize("journal", ["one", "none"])
@pytest.mark.parametrize(("wait", "later"), [(0.0, 0.0), (60.0, 0.0), (60.0, 0.4)])
async def test_two_nightly_runs_leave_no_audience_wrong(
    tmp_path: Path, journal: str, wait: float, later: float
) -> None:
    """Was: two runs of 60 audiences three seconds apart with one journal both went on, and 52 of 60 ended wrong.

    Each audience ends as one of the lists says, and with one journal as the list of the last run that was not refused.
    """
    async with Sandbox(users=120, seed=1) as sandbox:
        ids = list(sandbox.state.users)
        names = [f"n{at}" for at in range(16)]
        for name in names:
            sandbox.state.add_audience(name, members=ids[:30])
        sandbox.faults.add("latency", times=None, seconds=0.02)
        lists = [dict.fromkeys(names, ids[:60]), dict.fromkeys(names, ids[20:50])]

        async def run(desired: dict[str, list[str]], after: float) -> str:
            await asyncio.sleep(after)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                NIGHTLY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **sandbox.environment, "THRIVE_LOCK_DIR": str(tmp_path / "locks")},
            )
            path = str(tmp_path / "run.jsonl") if journal == "one" else None
            told = {"desired": desired, "journal": path, "wait": wait}
            out, _ = await process.communicate(json.dumps(told).encode())
            return out.decode()

        first, second = await asyncio.gather(run(lists[0], 0), run(lists[1], later))
        wanted = [set(one["n0"]) for one in lists]
        ends = [set(sandbox.state.audiences[name].members) for name in names]
        assert all(end in wanted for end in ends), (first, second)
        if wait:
            assert "bad 0" in first, (first, second)
            assert "bad 0" in second, (first, second)
        if journal == "one":
            assert len({frozenset(end) for end in ends}) == 1
            if not wait:
                assert sorted(told.split()[0] for told in (first, second)) in (["bad", "refused"], ["bad", "bad"])


# Turns


async def test_each_audience_is_read_when_its_turn_comes(many: World) -> None:
    """No removal is made from a plan that waited: what changes meanwhile in the last audiences is seen."""
    desired = {f"a{at}": many.ids[at * 20 : at * 20 + 21] for at in range(12)}
    many.sandbox.faults.add("latency", operation="addMembers", times=None, seconds=5)
    run = asyncio.create_task(sync.sync_audiences(many.thrive, desired))
    await asyncio.sleep(2)
    many.sandbox.state.audiences["a11"].members.replace(
        many.sandbox.state.users[one] for one in [*many.ids[221:240], many.ids[500]]
    )
    results = await run
    assert all(isinstance(one, sync.SyncReport) and one.ok for one in results.values())
    assert members(many, "a11") == set(desired["a11"])


async def test_the_requests_of_an_ordinary_run_are_one_look_one_reading_and_the_writes(many: World) -> None:
    """As many as before audiences took turns, and one reading more to verify."""
    desired = {f"a{at}": many.ids[at * 20 + 1 : at * 20 + 21] for at in range(12)}
    many.sandbox.requests.clear()
    await sync.sync_audiences(many.thrive, desired)
    assert (many.arrived("getAudience"), many.arrived("listMembers")) == (12, 12)
    assert (many.arrived("addMembers"), many.arrived("removeMember")) == (12, 12)
    assert len(list(many.sandbox.requests)) == 48
    many.sandbox.requests.clear()
    await sync.sync_audiences(many.thrive, desired, verify=True)
    assert len(list(many.sandbox.requests)) == 36


# A limit over all audiences


async def test_a_plan_of_plans_is_refused_before_its_first_write_if_all_together_remove_too_many(many: World) -> None:
    desired = {f"a{at}": many.ids[at * 20 + 2 : at * 20 + 20] for at in range(12)}
    plan = await sync.plan_audiences(many.thrive, desired)
    with pytest.raises(
        GuardRefused, match=r"remove 24 of 240 memberships \(10.0%\), max_total_removals allows 20"
    ) as it:
        await plan.apply()
    assert it.value.figures == {"removals": 24, "current": 240, "allowed": 20.0}
    assert many.writes() == []
    assert all(isinstance(one, sync.SyncReport) for one in (await plan.apply(max_total_removals=24)).values())


@pytest.mark.parametrize(("leavers", "removed"), [(1, 12), (2, 20)])
async def test_a_run_never_removes_more_than_all_together_may(many: World, leavers: int, removed: int) -> None:
    """The audiences beyond the limit are refused, each with the figures; no list is lost by being put off."""
    desired = {f"a{at}": iter(many.ids[at * 20 + leavers : at * 20 + 21]) for at in range(12)}
    results = await sync.sync_audiences(many.thrive, desired)
    assert many.arrived("removeMember") == removed
    refused = [one for one in results.values() if isinstance(one, GuardRefused)]
    assert len(refused) == (0 if leavers == 1 else 2)
    for refusal in refused:
        assert refusal.argument == "max_total_removals"
        assert "20 were removed before, and nothing was changed here" in str(refusal)


async def test_an_audience_that_was_put_off_is_read_again(many: World) -> None:
    """Its share of all memberships is known only once all are read; then it goes, from a plan of its own turn."""
    state = many.sandbox.state
    for at in range(12):
        state.audiences[f"a{at}"].members.replace(state.users[one] for one in many.ids[:100])
    desired: dict[str, Any] = {f"a{at}": many.ids[:100] for at in range(12)}
    desired["a0"] = (one for one in many.ids[30:100])
    results = await sync.sync_audiences(many.thrive, desired, max_removals=None)
    assert all(isinstance(one, sync.SyncReport) and one.ok for one in results.values())
    assert members(many, "a0") == set(many.ids[30:100])
    assert many.arrived("listMembers") == 13


# One audience's failure


class OddError(Exception):
    """A bug of somebody."""


@pytest.mark.parametrize("error", [ValueError("x"), OSError(errno.EIO, "x"), OddError("x"), KeyError("x")])
async def test_a_failure_of_any_kind_is_its_audiences_alone(many: World, error: Exception) -> None:
    """Also while its list is read: a generator over a file, a bug in somebody's code."""

    async def broken() -> AsyncIterator[str]:
        yield many.ids[0]
        raise error

    desired: dict[str, Any] = {"a0": broken(), "a1": many.ids[20:41]}
    results = await sync.sync_audiences(many.thrive, desired)
    assert isinstance(results["a0"], SyncError)
    assert results["a0"].__cause__ is error
    assert type(error).__name__ in str(results["a0"])
    assert isinstance(results["a1"], sync.SyncReport)
    assert results["a1"].ok
    assert members(many, "a0") == set(many.ids[:20])
    plan = await sync.plan_audiences(many.thrive, {"a0": broken(), "a1": many.ids[20:41]})
    assert plan.errors["a0"].__cause__ is error
    assert "a1" in plan.plans


async def test_a_bug_while_one_audience_is_written_is_its_report(many: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Was: one member id that cannot stand in a path stopped every audience with a ValueError, every night."""
    first = many.ids[0]
    remove = type(many.thrive.audiences.members).remove

    async def odd(self: Any, audience: str, member: str, **more: Any) -> None:
        if member == first:
            raise OddError
        await remove(self, audience, member, **more)

    monkeypatch.setattr(type(many.thrive.audiences.members), "remove", odd)
    desired = {"a0": many.ids[1:20], "a1": many.ids[21:40]}
    results = await sync.sync_audiences(many.thrive, desired)
    report = results["a0"]
    assert isinstance(report, sync.SyncReport)
    assert isinstance(report.cause, OddError)
    assert not report.ok
    assert isinstance(results["a1"], sync.SyncReport)
    assert results["a1"].ok


async def test_a_journal_on_a_full_disk_ends_all(many: World, tmp_path: Path, full_disk: Callable[[int], None]) -> None:
    """It is not one audience's failure: what is not written down should not be done."""
    plan = await sync.plan_audiences(many.thrive, {f"a{at}": many.ids[at * 20 : at * 20 + 21] for at in range(12)})
    full_disk(4)
    with pytest.raises(OSError, match="no space"):
        await plan.apply(journal=tmp_path / "run.jsonl")
    assert plan.reports


# Limits


def test_a_share_has_a_floor_and_refuses_nonsense() -> None:
    """One leaver of a team of six passes by default; half of it does not."""
    from thrive_async.errors import InvalidArgument
    from thrive_async.sync._guards import DEFAULT_MAX_REMOVALS, removal_limit

    assert removal_limit(DEFAULT_MAX_REMOVALS, 6) == 1
    assert removal_limit(DEFAULT_MAX_REMOVALS, 100) == 10
    assert removal_limit(Guard(0.29, at_least=3), 100) == 29
    assert str(Guard(0.05, at_least=20)) == "5% of them, at least 20"
    for values in ({"fraction": 1.5}, {"fraction": "10%"}, {"fraction": True}, {"fraction": 0.1, "at_least": -1}):
        with pytest.raises(InvalidArgument):
            Guard(**values)  # type: ignore[arg-type]


async def test_half_of_a_small_team_is_an_accident_and_one_leaver_is_none(world: World) -> None:
    world.set_members(world.ids[:6])
    with pytest.raises(
        GuardRefused, match=r"removes 3 of 6 members \(50.0%\), max_removals allows 1 \(10% of them, at"
    ):
        await sync.sync_members(world.thrive, "team", world.ids[:3])
    assert (await sync.sync_members(world.thrive, "team", world.ids[:5])).ok


async def test_people_who_are_protected_are_never_removed(world: World) -> None:
    """By any name, however it is written; the report says that they are held."""
    protect = [world.email(0).upper(), f" {world.ref(1)}", world.ids[2]]
    report = await sync.sync_members(world.thrive, "team", world.ids[4:300], protect=protect)
    assert {one.reference for one in report.removed} == {world.ids[3]}
    assert {(one.reference, one.reason) for one in report.held} == {
        (one, "held: this person is protected") for one in world.ids[:3]
    }
    results = await sync.sync_audiences(world.thrive, {"team": world.ids[4:300]}, protect=protect)
    assert isinstance(results["team"], sync.SyncReport)
    assert len(results["team"].held) == 3
    with pytest.raises(TypeError, match="protect"):
        await sync.plan_members(world.thrive, "team", world.ids, protect="P-00001")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"wait": -1}, ValueError),
        ({"wait": float("inf")}, ValueError),
        ({"wait": "1"}, TypeError),
        ({"wait": True}, TypeError),
        ({"max_age": 24}, TypeError),
        ({"max_total_removals": -1}, ValueError),
    ],
)
async def test_arguments_of_a_run_that_cannot_be_meant(
    world: World, arguments: dict[str, Any], error: type[Exception]
) -> None:
    plan = await sync.plan_audiences(world.thrive, {"team": world.ids[:301]})
    with pytest.raises(error, match=next(iter(arguments))):
        await plan.apply(**arguments)
    assert world.writes() == []


# Saved plans


async def test_a_plan_that_another_run_overtook_is_refused(world: World) -> None:
    """It was made of a list that is no more."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[2:300])
    assert (await sync.sync_members(world.thrive, "team", world.ids[1:300])).ok
    with pytest.raises(GuardRefused, match=r"another run ended at .*, after this plan was made at"):
        await plan.apply()
    many = await sync.plan_audiences(world.thrive, {"team": world.ids[2:300]})
    assert (await sync.sync_members(world.thrive, "team", world.ids[:300])).ok
    assert isinstance((await many.apply())["team"], GuardRefused)
    assert world.members == set(world.ids[:300])


async def test_a_run_that_changes_nothing_makes_no_plan_stale(world: World) -> None:
    """Neither a refusal nor an empty plan."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[2:300])
    with pytest.raises(GuardRefused):
        await sync.sync_members(world.thrive, "team", world.ids[200:300])
    assert (await sync.sync_members(world.thrive, "team", world.ids[:300])).ok
    assert (await plan.apply()).ok


async def test_a_saved_plan_is_applied_once(world: World, tmp_path: Path) -> None:
    """Also by another process with the same file; with a journal, also after the lock files are gone."""
    path = tmp_path / "plan.json"
    (await sync.plan_members(world.thrive, "team", world.ids[2:300])).save(path)
    journal = tmp_path / "run.jsonl"
    assert (await sync.MemberPlan.load(path, world.thrive).apply(journal=journal)).ok
    world.set_members(world.ids[:300])
    with pytest.raises(GuardRefused, match="applied before"):
        await sync.MemberPlan.load(path, world.thrive).apply()
    for file in (Path(tempfile.gettempdir()) / "thrive-async-locks").iterdir():
        file.unlink()
    with pytest.raises(GuardRefused, match="applied before"):
        await sync.MemberPlan.load(path, world.thrive).apply(journal=journal)
    assert world.members == set(world.ids[:300])


async def test_a_saved_plan_drops_what_no_longer_holds(world: World, tmp_path: Path) -> None:
    """One request a thousand; the report says what was dropped and why."""
    path = tmp_path / "plan.json"
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[4:300], world.ref(400), world.ref(401), "P-new"])
    assert len(plan.to_remove) == 4
    plan.save(path)
    # By hand: one leaver is out, one newcomer in, somebody else too, and a leaver turns out to be a desired person.
    world.sandbox.state.users[world.ids[1]]["ref"] = "P-new"
    world.set_members([*world.ids[1:300], world.ids[400], world.ids[500]])
    loaded = sync.MemberPlan.load(path, world.thrive)
    world.sandbox.requests.clear()
    report = await loaded.apply()
    assert world.arrived("listMembers") == 1
    assert {(one.action, one.reference, one.reason) for one in report.dropped} == {
        ("remove", world.ids[0], "is gone already"),
        ("remove", world.ids[1], "is desired after all: the list has this name"),
        ("add", "P-new", "is there already"),
        ("add", world.ref(400), "is there already"),
    }
    assert {one.reference for one in report.removed} == set(world.ids[2:4])
    assert {one.reference for one in report.added} == {world.ref(401)}
    assert report.ok
    assert "4 dropped" in str(report)
    assert world.members == {world.ids[1], *world.ids[4:300], world.ids[400], world.ids[401], world.ids[500]}


async def test_a_saved_plan_of_managers_and_of_many_drops_too(many: World, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    (await sync.plan_audiences(many.thrive, {"a0": many.ids[1:21], "a1": many.ids[20:41]})).save(path)
    many.sandbox.state.audiences["a0"].members.replace(many.sandbox.state.users[one] for one in many.ids[1:21])
    results = await sync.AudiencesPlan.load(path, many.thrive).apply()
    report = results["a0"]
    assert isinstance(report, sync.SyncReport)
    assert (len(report.dropped), report.planned, report.ok) == (2, 0, True)
    assert members(many, "a1") == set(many.ids[20:41])


async def test_a_plan_that_is_too_old_is_refused(world: World) -> None:
    """A day by default; the error says how old it is and what lifts it."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[1:300])
    plan.made_at -= timedelta(hours=30)
    many = await sync.plan_audiences(world.thrive, {"team": world.ids[1:300]})
    many.made_at -= timedelta(days=200)
    world.sandbox.requests.clear()
    with pytest.raises(GuardRefused, match=r"longer ago than max_age allows \(24 hours\)") as caught:
        await sync.MemberPlan.from_json(plan.to_json(), world.thrive).apply()
    assert caught.value.value == timedelta(hours=31)
    with pytest.raises(GuardRefused, match="max_age"):
        await many.apply()
    assert list(world.sandbox.requests) == []
    assert (await plan.apply(max_age=None)).ok


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
async def test_a_draft_of_a_plan_follows_no_link(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Was: a link at the draft's name let the plan be written over somebody's file."""
    from thrive_async.sync import _plans

    monkeypatch.setattr(_plans.secrets, "token_hex", lambda _count: "known")
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "plan.json.known.part").symlink_to(precious)
    plan = await sync.plan_members(world.thrive, "team", world.ids[1:300])
    with pytest.raises(FileExistsError):
        plan.save(tmp_path / "plan.json")
    assert precious.read_text() == "kept"


async def test_log_lines_hold_no_control_characters(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """An audience is named by its caller; a log is read in a terminal."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[:301])
    plan.audience = "te\x1b[31mam\nsecond line"
    with caplog.at_level("INFO", logger="thrive_async.sync"):
        await plan.apply()
    assert caplog.messages
    for message in caplog.messages:
        assert "\x1b" not in message
        assert "\n" not in message
