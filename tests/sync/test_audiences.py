"""Many audiences under one gate: made where missing, and none harmed by another's failure."""

import asyncio
from pathlib import Path

import pytest

from tests.sync._apply.test_run import lines
from tests.sync.conftest import World
from thrive_async import (
    APIError,
    ConfigurationError,
    ConflictError,
    GuardRefused,
    PermissionDeniedError,
    SyncError,
    ThriveError,
    sync,
)
from thrive_async.errors import InvalidArgument
from thrive_async.sync import AudiencesPlan, NewAudience, SyncReport
from thrive_async.sync._apply.journal import Journal, Scope


def report_of(results: dict[str, SyncReport | ThriveError], name: str) -> SyncReport:
    report = results[name]
    assert isinstance(report, SyncReport), report
    return report


@pytest.fixture
def three(world: World) -> World:
    """Three audiences of a hundred each beside `team`."""
    for at in range(3):
        world.sandbox.state.add_audience(f"a{at}", members=world.ids[at * 100 : at * 100 + 100])
    return world


def members(world: World, name: str) -> set[str]:
    return set(world.sandbox.state.audiences[name].members)


async def test_each_audience_gets_its_list(three: World) -> None:
    """One call, a report for each."""
    desired = {f"a{at}": three.ids[at * 100 + 5 : at * 100 + 155] for at in range(3)}
    results = await sync.sync_audiences(three.thrive, desired)
    for name, ids in desired.items():
        assert report_of(results, name).ok
        assert members(three, name) == set(ids)


async def test_one_failure_leaves_the_others_alone(three: World) -> None:
    """A missing audience, one that is guarded and one whose list is empty: the rest is synced."""
    results = await sync.sync_audiences(
        three.thrive,
        {"a2": three.ids[200:310], "nowhere": three.ids, "a0": three.ids[50:100], "a1": []},
    )
    assert list(results) == ["a2", "nowhere", "a0", "a1"]
    assert isinstance(results["nowhere"], GuardRefused)
    assert isinstance(results["a0"], GuardRefused)
    assert isinstance(results["a1"], GuardRefused)
    assert report_of(results, "a2").ok
    assert members(three, "a0") == set(three.ids[:100])


@pytest.mark.parametrize("typo", ["A0", " a0", "a 0", "\uff410", "'a0", "a\u20600"])
@pytest.mark.parametrize("made", [False, True])
async def test_who_is_listed_under_a_misspelt_audience_is_not_removed(three: World, typo: str, made: bool) -> None:
    """They seem to have left the one that is meant: nobody is removed from it, and that is said; others are synced."""
    desired = {"a0": [*three.ids[5:100], three.ids[300]], typo: three.ids[:5], "a1": three.ids[101:200]}
    described = [NewAudience(typo, parent=None)] if made else []
    plan = await sync.plan_audiences(three.thrive, desired, create_missing=described)
    assert str(plan.plans["a0"]) == "a0: +1 -0 =95 (5 removals held)"
    results = await AudiencesPlan.from_json(plan.to_json(), three.thrive).apply()
    report = report_of(results, "a0")
    assert (len(report.added), report.removed, report.ok) == (1, (), False)
    assert {one.reference for one in report.held} == set(three.ids[:5])
    assert all(typo in (one.reason or "") for one in report.held)
    assert members(three, "a0") == {*three.ids[:100], three.ids[300]}
    assert report_of(results, "a1").ok
    assert members(three, "a1") == set(three.ids[101:200])


async def test_audiences_that_are_there_may_be_called_almost_alike(three: World) -> None:
    """Each has its list; and who is held back on the first night is removed on the next."""
    three.sandbox.state.add_audience("A0", members=three.ids[:2])
    results = await sync.sync_audiences(three.thrive, {"a0": three.ids[1:100], "A0": three.ids[:2]})
    assert all(report_of(results, name).ok for name in ("a0", "A0"))
    assert members(three, "a0") == set(three.ids[1:100])


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800", "x" * 5000])
async def test_an_impossible_name_leaves_the_others_alone(three: World, name: str) -> None:
    """No audience can be called so: that is said of it, and the rest is synced."""
    described = [NewAudience(name)] if len(name) == 1 else []
    results = await sync.sync_audiences(
        three.thrive, {name: three.ids[:5], "a0": three.ids[:101]}, create_missing=described
    )
    assert isinstance(results[name], InvalidArgument)
    assert "audience" in str(results[name])
    assert report_of(results, "a0").ok
    with pytest.raises(InvalidArgument):
        await sync.plan_members(three.thrive, name, three.ids)


async def test_results_come_in_the_callers_order(three: World) -> None:
    """Whatever fails, and whichever ends first; so do the lines of the plan. What nobody asked for follows."""
    three.sandbox.faults.add("status", operation="createAudience", status=422)
    three.sandbox.faults.add("latency", operation="addMembers", seconds=1)
    desired = {
        "a2": three.ids[200:310],
        "nowhere": three.ids,
        "new": three.ids[:10],
        "a1": [],
        "team": three.ids[:301],
        "a0": three.ids[50:100],
    }
    plan = await sync.plan_audiences(
        three.thrive, desired, create_missing=[NewAudience("s"), NewAudience("new", parent="s")]
    )
    assert [line.partition(":")[0] for line in str(plan).splitlines()] == ["s", "new", *desired]
    results = await plan.apply()
    assert list(results) == list(plan.reports) == [*desired, "s"]
    assert [name for name, result in results.items() if isinstance(result, SyncReport)] == ["a2", "team"]


async def test_a_plan_of_plans_prints_them_all(three: World) -> None:
    """Each in one line, also what is made and what has no plan."""
    plan = await sync.plan_audiences(
        three.thrive,
        {"a0": three.ids[:101], "nowhere": three.ids, "new": three.ids[:250]},
        create_missing=[NewAudience("new", parent="s"), NewAudience("s")],
    )
    assert str(plan).splitlines() == [
        "s: to be created",
        "new: to be created",
        "a0: +1 -0 =100",
        "nowhere: GuardRefused",
        "new: +250 -0 =0",
    ]
    assert plan.calls == {"diff": 2 + 1 + 3, "rebuild": 2 + 1 + 3}
    assert "2, 2 new, 1 without" in repr(plan)
    assert three.writes() == []


async def test_missing_audiences_are_made_parents_first(three: World) -> None:
    """In whatever order they are described; what exists is left as it is."""
    results = await sync.sync_audiences(
        three.thrive,
        {"legal": three.ids[:150], "a0": three.ids[:100]},
        create_missing=[
            NewAudience("legal", "Legal", parent="nordics"),
            NewAudience("a0", "Another name"),
            NewAudience("nordics", "Nordics"),
        ],
    )
    assert report_of(results, "legal").ok
    legal = three.sandbox.state.audiences["legal"]
    assert legal.parent is three.sandbox.state.audiences["nordics"]
    assert (legal["name"], legal["category"]) == ("Legal", "audience")
    assert members(three, "legal") == set(three.ids[:150])
    assert three.sandbox.state.audiences["a0"]["name"] != "Another name"
    assert three.arrived("createAudience") == 2


async def test_a_structure_that_cannot_be_made_fails_its_children(three: World) -> None:
    """They are not attempted without it, and others are synced."""
    three.sandbox.faults.add("status", operation="createAudience", status=409)
    results = await sync.sync_audiences(
        three.thrive,
        {"legal": three.ids[:150], "a0": three.ids[:102]},
        create_missing=[NewAudience("nordics"), NewAudience("legal", parent="nordics")],
    )
    assert isinstance(results["legal"], ConflictError)
    assert isinstance(results["nordics"], ConflictError)
    assert report_of(results, "a0").ok
    assert three.arrived("createAudience") == 1


async def test_a_lost_answer_to_a_creation_is_looked_up(three: World) -> None:
    """Creating is not repeated; whether it was done is found out."""
    three.sandbox.faults.add("close_after", operation="createAudience", times=None)
    results = await sync.sync_audiences(
        three.thrive, {"legal": three.ids[:150]}, create_missing=[NewAudience("s"), NewAudience("legal", parent="s")]
    )
    assert report_of(results, "legal").ok
    assert three.arrived("createAudience") == 2


async def test_a_guarded_audience_is_not_even_made(three: World) -> None:
    """An empty list makes no empty audience."""
    results = await sync.sync_audiences(three.thrive, {"new": []}, create_missing=[NewAudience("new")])
    assert isinstance(results["new"], GuardRefused)
    assert three.arrived("createAudience") == 0


async def test_two_names_of_one_audience_are_refused(three: World) -> None:
    """Two lists for one audience would undo each other's work."""
    other = three.sandbox.state.audiences["a0"]["id"]
    results = await sync.sync_audiences(three.thrive, {"a0": three.ids[:120], other: three.ids[:90]})
    assert all(isinstance(result, ConfigurationError) for result in results.values())
    assert three.writes() == []


@pytest.mark.parametrize(
    "described",
    [
        [NewAudience("a"), NewAudience("a", "again")],
        [NewAudience("a", parent="b"), NewAudience("b", parent="a")],
        [NewAudience("a", parent="a")],
        [NewAudience("a", "x" * 101)],
        [NewAudience("")],
    ],
)
async def test_a_description_that_contradicts_itself_is_refused(three: World, described: list[NewAudience]) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidArgument, match="create_missing"):
        await sync.plan_audiences(three.thrive, {"a": three.ids}, create_missing=described)
    assert list(three.sandbox.requests) == []


async def test_a_lone_string_among_lists_is_refused(three: World) -> None:
    """Before anything is read."""
    with pytest.raises(TypeError, match="desired"):
        await sync.sync_audiences(three.thrive, {"a0": three.ids[:100], "a1": "P-00001"})
    assert list(three.sandbox.requests) == []


async def test_one_journal_serves_all(three: World, tmp_path: Path) -> None:
    """Each line names its audience; a run that was killed is accounted for in its own audience only."""
    path = tmp_path / "run.jsonl"
    with Journal(path, "crashed", "a1") as journal:
        scope = Scope("members", three.thrive.tenant_id, three.sandbox.state.audiences["a1"]["id"])
        journal.open_run(scope, fingerprint="f", strategy="diff", planned={"add": [three.ids[150]], "remove": []})
    desired = {f"a{at}": three.ids[at * 100 : at * 100 + 110] for at in range(3)}
    await sync.sync_audiences(three.thrive, desired, journal=path)
    outcomes = [line for line in lines(path) if "outcome" in line]
    assert {(line["audience"], line["run"] == "crashed") for line in outcomes} == {
        ("a0", False),
        ("a1", False),
        ("a1", True),
        ("a2", False),
    }
    assert len(outcomes) == 31


async def test_progress_runs_over_all_audiences(three: World) -> None:
    """One count, one total."""
    seen: list[sync.Progress] = []
    desired = {f"a{at}": three.ids[at * 100 + 2 : at * 100 + 102] for at in range(3)}
    await sync.sync_audiences(three.thrive, desired, on_progress=seen.append)
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert {step.total for step in seen} == {12}
    assert (seen[-1].done, seen[-1].failed) == (12, 0)


async def test_a_cancel_leaves_true_reports(three: World) -> None:
    """Each audience that was begun has its report."""
    three.sandbox.faults.add("latency", times=None, seconds=0.1)
    desired = {f"a{at}": three.ids[at * 100 + 50 : at * 100 + 300] for at in range(3)}
    plan = await sync.plan_audiences(three.thrive, desired)
    task = asyncio.create_task(plan.apply(max_removals=None, max_total_removals=None))
    await asyncio.sleep(0.35)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for name, result in plan.reports.items():
        assert isinstance(result, SyncReport)
        added = {one.reference for one in result.added}
        removed = {one.reference for one in result.removed}
        assert (
            members(three, name)
            == (set(plan.plans[name].staying) | added | {one.user_id for one in plan.plans[name].to_remove}) - removed
        )


async def test_a_parent_that_is_nowhere_is_an_error(three: World) -> None:
    """Neither there nor described: Thrive's own refusal is the result."""
    results = await sync.sync_audiences(
        three.thrive, {"new": three.ids[:3]}, create_missing=[NewAudience("new", parent="nowhere")]
    )
    assert isinstance(results["new"], APIError)


@pytest.mark.parametrize("operation", ["createAudience", "getAudience"])
async def test_a_key_that_may_not_create_is_told_for_each(three: World, operation: str) -> None:
    """Neither looking nor making is allowed: the audience has that error, the others their reports."""
    three.sandbox.faults.add("status", operation=operation, status=403)
    results = await sync.sync_audiences(
        three.thrive, {"new": three.ids[:3], "a0": three.ids[:100]}, create_missing=[NewAudience("new")]
    )
    assert isinstance(results["new"], PermissionDeniedError)
    assert report_of(results, "a0").ok


async def test_a_failing_callback_ends_it_with_the_reports_kept(three: World) -> None:
    """The error is the caller's to see."""

    def fail(_step: sync.Progress) -> None:
        raise RuntimeError("the callback's own")

    plan = await sync.plan_audiences(three.thrive, {f"a{at}": three.ids[:150] for at in range(3)})
    with pytest.raises(RuntimeError, match="the callback's own"):
        await plan.apply(on_progress=fail, max_removals=None, max_total_removals=None)
    assert plan.reports


async def test_no_audience_at_all_is_no_error(three: World) -> None:
    """An empty mapping has an empty result."""
    assert await sync.sync_audiences(three.thrive, {}) == {}


async def test_a_plan_of_plans_survives_a_file(three: World, tmp_path: Path) -> None:
    """All of it: what is made, each audience, and why one has no plan; only a client must be given again."""
    path = tmp_path / "plan.json"
    plan = await sync.plan_audiences(
        three.thrive,
        {"a1": three.ids[100:205], "nowhere": three.ids, "legal": three.ids[:150], "a0": three.ids[:60]},
        create_missing=[NewAudience("legal", "Legal", parent="s"), NewAudience("s")],
    )
    plan.save(path)
    bare = AudiencesPlan.load(path)
    assert (str(bare), bare.fingerprint, bare.made_at) == (str(plan), plan.fingerprint, plan.made_at)
    with pytest.raises(SyncError, match="without a client"):
        await bare.apply()
    loaded = AudiencesPlan.load(path, three.thrive)
    assert list(loaded.refusals()) == ["a0"]
    assert three.writes() == []
    results = await loaded.apply()
    assert list(results) == ["a1", "nowhere", "legal", "a0"]
    assert isinstance(results["nowhere"], GuardRefused)
    assert "no such audience" in str(results["nowhere"])
    assert isinstance(results["a0"], GuardRefused)
    assert report_of(results, "a1").ok
    assert members(three, "legal") == set(three.ids[:150])
    with pytest.raises(SyncError, match="applied before"):
        await loaded.apply()
    with pytest.raises(ConfigurationError, match="for audiences, not for members"):
        sync.MemberPlan.load(path)
    path.write_text(path.read_text().replace('"legal"', '"sales"'))
    with pytest.raises(ConfigurationError, match="changed since it was saved"):
        AudiencesPlan.load(path)


async def test_a_limit_that_cannot_be_meant_is_no_failure_of_each(three: World) -> None:
    """It is said once, before anything is sent."""
    plan = await sync.plan_audiences(three.thrive, {"a0": three.ids[:101]})
    with pytest.raises(InvalidArgument, match="max_removals"):
        await plan.apply(max_removals=-1)
    assert three.writes() == []
    assert report_of(await plan.apply(), "a0").ok
