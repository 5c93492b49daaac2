"""The journal belongs to a tenant, a target and a run: no run is taken for another, and none is begun twice."""

import asyncio
import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
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


async def test_two_runs_of_one_audience_do_not_go_on_at_once(world: World, tmp_path: Path) -> None:
    """The second is refused before it writes; what the first does not touch goes on."""
    path = tmp_path / "run.jsonl"
    world.sandbox.state.add_audience("other", members=world.ids[:100])
    world.sandbox.faults.add("latency", operation="addMembers", times=None, seconds=5)
    first = asyncio.create_task(sync.sync_members(world.thrive, "team", world.ids[:310], journal=path))
    await asyncio.sleep(1)
    with pytest.raises(GuardRefused, match="is going on"):
        await sync.sync_members(world.thrive, "team", world.ids[:290], journal=path)
    results = await sync.sync_audiences(world.thrive, {"team": world.ids[:290], "other": world.ids[:101]}, journal=path)
    assert isinstance(results["team"], GuardRefused)
    assert isinstance(results["other"], sync.SyncReport)
    assert results["other"].ok
    grants = [ManagerGrant(reference=world.ref(0), permissions=ManagerGrantPermissions())]
    assert (await (await sync.plan_managers(world.thrive, "team", grants)).apply(journal=path)).ok
    assert (await first).ok
    assert world.arrived("removeMember") == 0
    assert {line["outcome"] for line in lines(path) if "outcome" in line} == {"added"}
    assert (await sync.sync_members(world.thrive, "team", world.ids[:290], journal=path)).ok


@pytest.fixture
def neighbour() -> Iterator[int]:
    """The id of another process that is there."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child.pid
        child.kill()


async def test_a_run_of_another_process_goes_on_while_that_is_there(
    world: World, tmp_path: Path, neighbour: int
) -> None:
    """Unless it has been silent for an hour: the process may be another by now."""
    path = tmp_path / "run.jsonl"
    crashed(path, world.scope, [world.ids[3]])
    now = datetime.now(UTC)
    rewrite(path, process=neighbour)
    with pytest.raises(GuardRefused, match=f"process {neighbour}"):
        await sync.sync_members(world.thrive, "team", world.ids[:310], journal=path)
    assert world.writes() == []
    gone: list[dict[str, Any]] = [
        {"host": "elsewhere"},
        {"process": neighbour, "at": (now - timedelta(hours=2)).isoformat()},
        {"process": neighbour, "at": "yesterday"},
        {"process": neighbour, "at": "2026-01-01T00:00:00"},
        {"process": 2**22 + 1},
        {"process": 2**70},
        {"process": os.getpid()},
    ]
    for values in gone:
        path.unlink()
        crashed(path, world.scope, [world.ids[3]])
        rewrite(path, **values)
        assert (await sync.sync_members(world.thrive, "team", world.ids[:300], journal=path)).ok
        assert unfinished(path) == {}


async def test_a_process_of_somebody_else_is_there_too(
    world: World, tmp_path: Path, neighbour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not be asked, and that is an answer."""

    def ask(_process: int, _signal: int) -> None:
        raise PermissionError

    path = tmp_path / "run.jsonl"
    crashed(path, world.scope, [world.ids[3]])
    rewrite(path, process=neighbour)
    monkeypatch.setattr(journals.os, "kill", ask)
    with pytest.raises(GuardRefused, match="is going on"):
        await sync.sync_members(world.thrive, "team", world.ids[:310], journal=path)
    monkeypatch.undo()


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
