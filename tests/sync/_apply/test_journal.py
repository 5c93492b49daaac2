"""The journal belongs to a tenant, a target and a run: no run is taken for another, and none is begun twice."""

import asyncio
import errno
import json
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.sync._apply.test_run import lines
from tests.sync.conftest import World
from thrive_async import ConfigurationError, GuardRefused, sync
from thrive_async.models import ManagerGrant, ManagerGrantPermissions
from thrive_async.sandbox import Sandbox
from thrive_async.sync._apply import journal as journals
from thrive_async.sync._apply.journal import Journal, Scope, unfinished
from thrive_async.sync._apply.journal_lines import as_line, parsed


def crashed(path: Path, scope: Scope, planned: list[str], *, run: str = "crashed") -> None:
    with Journal(path, run, "team") as journal:
        journal.open_run(scope, fingerprint="f", strategy="diff", planned={"add": planned})


def rewrite(path: Path, **values: Any) -> None:
    """Let the one line of a journal say something else."""
    (line,) = lines(path)
    path.write_text(json.dumps({**line, **values}) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    "other",
    [{"tenant": "eu-west-2_Elsewhere"}, {"kind": "managers"}, {"kind": "users", "target": ""}, {"target": "f" * 24}],
)
async def test_a_run_of_something_else_is_left_alone(world: World, tmp_path: Path, other: dict[str, str]) -> None:
    """Another tenant may have an audience of the same name, and managers are no members."""
    path = tmp_path / "run.jsonl"
    scope = attrs.evolve(world.scope, **other)
    crashed(path, scope, [world.ids[3]])
    assert (await sync.sync_members(world.thrive, "team", world.ids[:310], journal=path)).ok
    assert [line for line in lines(path)[1:] if line["run"] == "crashed"] == []
    assert [one.run for one in unfinished(path)[scope]] == ["crashed"]


async def test_an_audience_is_the_same_by_any_of_its_names(world: World, tmp_path: Path) -> None:
    """The run that was killed named it by its reference, the next one names it by its id."""
    path = tmp_path / "run.jsonl"
    crashed(path, world.scope, [world.ids[3], world.ids[400]])
    assert (await sync.sync_members(world.thrive, world.scope.target, world.ids[:310], journal=path)).ok
    assert unfinished(path) == {}


async def test_an_audience_called_users_is_not_the_users(world: World, tmp_path: Path) -> None:
    """Each kind of sync accounts for its own."""
    path = tmp_path / "run.jsonl"
    record = world.sandbox.state.add_audience("users", members=world.ids[:10])
    scope = attrs.evolve(world.scope, target=record["id"])
    crashed(path, scope, [world.ids[3]])
    await (await sync.plan_users(world.thrive, [{"ref": world.ref(0), "job_title": "x"}])).apply(journal=path)
    assert [one.run for one in unfinished(path)[scope]] == ["crashed"]
    assert (await sync.sync_members(world.thrive, "users", world.ids[:10], journal=path)).ok
    assert unfinished(path) == {}


async def test_two_runs_of_one_audience_do_not_go_on_at_once(world: World) -> None:
    """The second is refused before it reads the list, or waits; what the first does not touch goes on."""
    world.sandbox.state.add_audience("other", members=world.ids[:100])
    world.sandbox.faults.add("latency", operation="addMembers", times=None, seconds=5)
    first = asyncio.create_task(sync.sync_members(world.thrive, "team", world.ids[:310]))
    await asyncio.sleep(1)
    read = world.arrived("listMembers")
    with pytest.raises(GuardRefused, match=f"team: another run is going on .process {os.getpid()}"):
        await sync.sync_members(world.thrive, "team", world.ids[:290])
    assert world.arrived("listMembers") == read
    waiting = asyncio.create_task(sync.sync_members(world.thrive, world.scope.target, world.ids[:300], wait=60))
    results = await sync.sync_audiences(world.thrive, {"team": world.ids[:290], "other": world.ids[:101]})
    assert isinstance(results["team"], GuardRefused)
    assert isinstance(results["other"], sync.SyncReport)
    assert results["other"].ok
    grants = [ManagerGrant(reference=world.ref(0), permissions=ManagerGrantPermissions())]
    assert (await (await sync.plan_managers(world.thrive, "team", grants)).apply()).ok
    assert (await first).ok
    assert len((await waiting).removed) == 10
    assert world.members == set(world.ids[:300])


async def test_two_runs_of_one_journal_go_one_after_the_other(world: World, tmp_path: Path) -> None:
    """Whoever has the journal knows that every unfinished run in it was interrupted."""
    path = tmp_path / "run.jsonl"
    world.sandbox.state.add_audience("other", members=world.ids[:100])
    world.sandbox.faults.add("latency", operation="addMembers", times=None, seconds=5)
    first = asyncio.create_task(sync.sync_members(world.thrive, "team", world.ids[:310], journal=path))
    await asyncio.sleep(1)
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    with pytest.raises(GuardRefused, match=r"run\.jsonl is in use by another run.*wait=600"):
        await sync.sync_audiences(world.thrive, {"other": world.ids[:101]}, journal=link)
    waited = await sync.sync_audiences(world.thrive, {"other": world.ids[:101]}, journal=path, wait=60)
    assert first.done()
    assert isinstance(waited["other"], sync.SyncReport)
    assert len({line["run"] for line in lines(path)}) == 2
    assert unfinished(path) == {}


async def test_a_device_as_a_journal_is_not_locked(world: World) -> None:
    """Else /dev/null would let one run of the machine go on."""
    world.sandbox.faults.add("latency", operation="addMembers", times=None, seconds=5)
    first = asyncio.create_task(sync.sync_members(world.thrive, "team", world.ids[:310], journal=os.devnull))
    await asyncio.sleep(1)
    grants = [ManagerGrant(reference=world.ref(0), permissions=ManagerGrantPermissions())]
    assert (await sync.sync_managers(world.thrive, "team", grants, journal=os.devnull)).ok
    assert (await first).ok


@pytest.mark.parametrize(
    "values",
    [
        {"process": os.getppid()},
        {"process": 2**70, "at": "yesterday"},
        {"host": "another-container"},
        {"host": "elsewhere", "machine": "another", "at": "2026-01-01T00:00:00Z"},
        {"host": "elsewhere", "machine": "another", "at": "yesterday"},
    ],
)
async def test_a_run_that_ended_without_a_word_costs_no_refusal(
    world: World, tmp_path: Path, values: dict[str, Any]
) -> None:
    """Was: an hour of refusals for a zombie, or for a process id that is used again.

    The lock of the journal tells what a process id cannot. Containers of one machine share its kernel, and so the lock.
    """
    path = tmp_path / "run.jsonl"
    crashed(path, world.scope, [world.ids[3]])
    rewrite(path, **values)
    assert (await sync.sync_members(world.thrive, "team", world.ids[:300], journal=path)).ok
    assert unfinished(path) == {}


async def test_a_run_of_another_machine_is_waited_for_and_never_written_under_its_id(
    world: World, tmp_path: Path
) -> None:
    """On a shared volume, the lock may not reach it: it has an hour to write its next line."""
    path = tmp_path / "run.jsonl"
    crashed(path, world.scope, [world.ids[3]])
    rewrite(path, host="elsewhere", machine="another")
    with pytest.raises(GuardRefused, match=r"of the host elsewhere has not ended.*wait for that run to end"):
        await sync.sync_members(world.thrive, "team", world.ids[:310], journal=path)
    results = await sync.sync_audiences(world.thrive, {"team": world.ids[:310]}, journal=path)
    assert isinstance(results["team"], GuardRefused)
    assert world.writes() == []
    rewrite(path, at=(datetime.now(UTC) - timedelta(hours=2)).isoformat())
    assert (await sync.sync_members(world.thrive, "team", world.ids[:310], journal=path)).ok
    told = [line for line in lines(path) if line.get("of") == "crashed"]
    assert [line["outcome"] for line in told] == ["added"]
    assert [line["run"] for line in lines(path)].count("crashed") == 1
    assert unfinished(path) == {}


@pytest.mark.parametrize("there", [True, False])
def test_a_journal_that_may_not_be_written_is_told_of_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """The file, or the folder that it would be in."""
    path = tmp_path / "run.jsonl"
    if there:
        path.touch()
    monkeypatch.setattr(journals.os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match=r"run\.jsonl"):
        journals.check_journal(path)


async def test_half_a_line_on_a_full_disk_is_not_glued_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Space may be there again when the next answer comes."""
    path = tmp_path / "run.jsonl"
    scope = Scope("members", "t", "1")
    write = os.write
    with Journal(path, "1", "team") as journal:
        journal.open_run(scope, fingerprint="f", strategy="diff", planned={"add": ["a", "b"]})
        room = [30]

        def full(descriptor: int, data: Any) -> int:
            if not room[0]:
                raise OSError(errno.ENOSPC, "no space")
            taken, room[0] = write(descriptor, bytes(data)[: room[0]]), 0
            return taken

        monkeypatch.setattr(journals.os, "write", full)
        with pytest.raises(OSError, match="no space"):
            journal.record([("add", "a", "added", None)])
        monkeypatch.undo()
        journal.record([("add", "b", "added", None)])
    (left,) = unfinished(path)[scope]
    assert left.pending == (("add", "a"),)


async def test_a_saved_plan_is_for_its_own_tenant(world: World, tmp_path: Path) -> None:
    """A ref is somebody else in another tenant, as a plan of the staging tenant would find out in production."""
    rows = [{"ref": world.ref(at), "email": world.email(at)} for at in range(590)]
    plans = [
        await sync.plan_users(world.thrive, rows, leavers="suspend"),
        await sync.plan_members(world.thrive, "team", world.ids[:290]),
        await sync.plan_audiences(world.thrive, {"team": world.ids[:290]}),
    ]
    async with Sandbox(users=0, seed=2) as elsewhere, elsewhere.client() as thrive:
        for plan in plans:
            path = tmp_path / "plan.json"
            plan.save(path)
            with pytest.raises(ConfigurationError, match="made for the tenant"):
                type(plan).load(path, thrive)
            assert type(plan).load(path).tenant == world.thrive.tenant_id
            loaded = type(plan).load(path, world.thrive)
            assert loaded.fingerprint == plan.fingerprint
            await loaded.apply(max_removals=None)
        assert list(elsewhere.requests) == []


@pytest.mark.parametrize("number", [2**64 + 1, -(10**40) - 1])
def test_a_line_keeps_all_digits_of_a_number(number: int) -> None:
    """What undoing writes back is what was there before."""
    line = {"changes": {"additional_fields.payroll": [number, "a"]}}
    assert parsed(as_line(line)) == line


@pytest.mark.parametrize("strategy", ["diff", "rebuild"])
@pytest.mark.parametrize("writes", range(6))
async def test_a_disk_that_fills_up_costs_nobody_a_true_outcome(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int, strategy: sync.Strategy
) -> None:
    """The run stops with the line that cannot be written; what was done is on the report, and the next run finds it."""
    path = tmp_path / "run.jsonl"
    left = [writes]
    write = os.write

    def full(descriptor: int, data: Any) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "no space")
        return write(descriptor, data)

    plan = await sync.plan_members(world.thrive, "team", world.ids[100:500])
    monkeypatch.setattr(journals.os, "write", full)
    with suppress(OSError):
        await plan.apply(max_removals=None, strategy=strategy, journal=path)
    monkeypatch.undo()
    report = plan.report
    assert report is not None
    assert report.planned >= 300
    unclear = {one.reference for one in report.failed if "could not be checked" in (one.reason or "")}
    assert {one.reference for one in report.added} - unclear <= world.members
    assert not world.members & {one.reference for one in report.removed}
    for one in report.not_attempted:
        assert (one.reference in world.members) == (one.action == "remove"), one
    assert (await sync.sync_members(world.thrive, "team", world.ids[100:500], max_removals=None, journal=path)).ok
    assert unfinished(path) == {}
    assert world.members == set(world.ids[100:500])
