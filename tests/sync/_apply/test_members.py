"""The strategy that replaces the list: cheaper where much changes, and honest about what it risks."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.sync._apply.test_run import lines
from tests.sync.conftest import World
from thrive_async import sync
from thrive_async.errors import InvalidArgument


async def test_a_rebuild_replaces_and_adds_the_rest(world: World) -> None:
    """The first hundred replace the list, the others are added in hundreds; the result is the same."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[200:450])
    assert plan.calls == {"diff": 202, "rebuild": 3}
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert world.writes() == ["replaceMembers", "addMembers", "addMembers"]
    assert world.members == set(world.ids[200:450])
    assert (len(report.added), len(report.removed), report.failed, report.not_attempted) == (150, 200, (), ())


async def test_members_who_stay_come_first(world: World) -> None:
    """They are out as shortly as possible: those of the first hundred never."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[200:450])
    await plan.apply(strategy="rebuild", max_removals=None)
    replaced = next(entry for entry in world.sandbox.requests if entry.operation == "replaceMembers")
    assert set(replaced.body) == set(world.ids[200:300])


@pytest.mark.parametrize("desired", [slice(295), slice(310), slice(99, 300)])
async def test_a_rebuild_that_is_not_cheaper_is_a_difference(world: World, desired: slice) -> None:
    """Few changes, or none to remove: nobody is taken out for nothing."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[desired])
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert report.ok
    assert ("replaceMembers" in world.writes()) == (plan.calls["rebuild"] < plan.calls["diff"])
    assert world.members == set(world.ids[desired])


async def test_an_audience_is_not_emptied_by_a_rebuild(world: World) -> None:
    """Thrive refuses an empty list, so everybody is removed singly."""
    plan = await sync.plan_members(world.thrive, "team", [], allow_empty=True)
    await plan.apply(strategy="rebuild", max_removals=None)
    assert set(world.writes()) == {"removeMember"}


async def test_others_are_not_swept_out_by_a_rebuild(world: World) -> None:
    """With `removals=False`, and beside people of an ambiguous name, the list is never replaced."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[200:450], removals=False)
    await plan.apply(strategy="rebuild")
    assert "replaceMembers" not in world.writes()


async def test_a_refused_replacement_changes_nothing_and_becomes_a_difference(world: World) -> None:
    """Whoever poisons the batch fails alone."""
    world.sandbox.faults.add("poisoned", references=[world.ids[310]])
    plan = await sync.plan_members(world.thrive, "team", world.ids[280:380])
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert world.members == set(world.ids[280:380]) - {world.ids[310]}
    assert [one.reference for one in report.failed] == [world.ids[310]]
    assert len(report.removed) == 280


async def test_members_who_could_not_be_put_back_are_reported(world: World) -> None:
    """Who stays and is out after a stop is in the report, beyond the planned changes."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:301])
    world.sandbox.faults.add("status", operation="addMembers", times=None, status=403)
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert world.members == set(world.ids[50:150])
    lost = [one for one in report.not_attempted if "the rebuild has left them out" in (one.reason or "")]
    assert {one.reference for one in lost} == set(world.ids[150:300])
    assert len(report.removed) == 50
    assert not report.ok
    # The next run puts them back.
    world.sandbox.faults.clear()
    assert (await sync.sync_members(world.thrive, "team", world.ids[50:301])).ok
    assert world.members == set(world.ids[50:301])


@pytest.mark.parametrize("kind", ["close_after", "close_before", "status"])
async def test_a_lost_replacement_is_found_out_by_reading(world: World, kind: str) -> None:
    """Whether it was done decides how to go on; it is not guessed."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    world.sandbox.faults.add(kind, operation="replaceMembers", times=None)  # type: ignore[arg-type]
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert report.ok
    assert (len(report.added), len(report.removed)) == (10, 50)
    assert world.members == set(world.ids[50:310])


@pytest.mark.parametrize("body", [{}, {"success": {"count": 0, "entities": []}}])
async def test_an_answer_that_names_nobody_is_not_believed(world: World, body: dict[str, object]) -> None:
    """Removals are claimed only if the replacement is known to have been made."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    world.sandbox.faults.add("status", operation="replaceMembers", status=207, body=body)
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert report.ok
    assert world.members == set(world.ids[50:310])
    assert "removeMember" in world.writes()


async def test_an_unknown_strategy_is_refused(world: World) -> None:
    """A misspelt word must not become some other way to write."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    with pytest.raises(InvalidArgument, match="strategy"):
        await plan.apply(strategy="replace")  # type: ignore[arg-type]


async def test_a_replacement_refused_with_404_stops_if_the_audience_is_gone(world: World) -> None:
    """And is a difference if it is there."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    world.sandbox.faults.add("status", operation="replaceMembers", status=404)
    assert (await plan.apply(strategy="rebuild", max_removals=None)).ok
    plan = await sync.plan_members(world.thrive, "team", world.ids[150:310])
    world.sandbox.state.remove_audience(world.sandbox.state.audiences["team"])
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert len(report.not_attempted) == 100
    assert report.cause is not None


async def test_a_replacement_that_cannot_be_found_out_stops_the_run(world: World) -> None:
    """Nothing is written on a guess."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    world.sandbox.faults.add("close_after", operation="replaceMembers", times=None)
    world.sandbox.faults.add("status", operation="listMembers", status=403, times=None)
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert report.cause is not None
    assert not report.ok
    assert "addMembers" not in world.writes()
    # The replacement was done, for all that is known: nobody whom it concerns was "not attempted".
    assert not report.not_attempted
    assert {one.reference for one in report.failed} == set(world.ids[:310])
    assert all("could not be checked by reading" in (one.reason or "") for one in report.failed)


async def test_a_replacement_that_is_cut_off_leaves_nobody_out_of_the_report(world: World, tmp_path: Path) -> None:
    """It may have been done: removals were in it, and members who stay may be out; the journal says the same."""
    path = tmp_path / "run.jsonl"
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    world.sandbox.faults.add("latency", operation="replaceMembers", seconds=25)
    task = asyncio.create_task(plan.apply(strategy="rebuild", max_removals=None, journal=path))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    report = plan.report
    assert report is not None
    assert not report.not_attempted
    assert Counter(one.action for one in report.failed) == {"add": 260, "remove": 50}
    assert all("may have been done" in (one.reason or "") for one in report.failed)
    assert Counter(line["action"] for line in lines(path)[1:]) == {"add": 260, "remove": 50}


async def test_a_replacement_cancelled_before_it_was_sent_concerns_nobody_else(world: World) -> None:
    """While Thrive asks for a pause nothing is under way: members who stay are not in the report."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    # The call gives up after its three attempts, at 60 seconds; then the run waits.
    world.sandbox.faults.add("rate_limited", operation="replaceMembers", times=3, retry_after=30)
    task = asyncio.create_task(plan.apply(strategy="rebuild", max_removals=None))
    await asyncio.sleep(80)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert plan.report is not None
    assert len(plan.report.not_attempted) == 60
    assert not plan.report.failed
    assert world.members == set(world.ids[:300])


@pytest.mark.parametrize("status", [400, 404, 409, 422, 413, 405])
async def test_a_refusal_that_has_done_it_all_the_same_leaves_nobody_out(world: World, status: int) -> None:
    """Nothing says that a replacement is done whole or not at all: who is in is read first."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    world.sandbox.faults.add("status", operation="replaceMembers", status=status, after=True)
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert report.ok
    assert (len(report.added), len(report.removed)) == (10, 50)
    assert world.members == set(world.ids[50:310])
    assert "removeMember" not in world.writes()


async def test_removals_are_claimed_only_of_who_is_out(world: World) -> None:
    """Thrive says that it has replaced the list, and has not: the removals are made one by one."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    body = {"success": {"count": 100, "entities": [{"reference": one} for one in world.ids[50:150]]}}
    world.sandbox.faults.add("status", operation="replaceMembers", status=200, body=body)
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert report.ok
    assert world.members == set(world.ids[50:310])
    assert world.arrived("removeMember") == 50


async def test_a_replacement_of_which_nobody_can_read_what_became_claims_nothing(world: World) -> None:
    """It was answered, and then Thrive is gone: nobody is reported as removed, nobody as untouched."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[50:310])
    world.sandbox.faults.add("status", operation="listMembers", status=403, times=None)
    report = await plan.apply(strategy="rebuild", max_removals=None)
    assert not report.removed
    assert Counter(one.action for one in report.failed) == {"remove": 50}
    assert all("could not be checked by reading" in (one.reason or "") for one in report.failed)
    assert Counter(one.action for one in report.not_attempted) == {"add": 160}
