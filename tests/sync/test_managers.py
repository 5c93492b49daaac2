"""Managers made equal to a list of grants, by the permissions that can be written."""

import asyncio
from pathlib import Path

import attrs
import pytest

from tests.sync.conftest import World
from thrive_async import ConfigurationError, GuardRefused, SyncError, sync
from thrive_async.models import (
    AdministratorGrant,
    AudienceManagerGrant,
    AudienceManagerPermissions,
    ManagerGrant,
    ManagerGrantPermissions,
    ManagerPermissions,
    PeopleManagerGrant,
)
from thrive_async.sync import ManagerPlan
from thrive_async.sync.permissions import writable_permissions

INSIGHTS = ManagerGrantPermissions(people_manager=PeopleManagerGrant(insights=True))
CONTENT = ManagerGrantPermissions(audience_manager=AudienceManagerGrant(manage_content=True))
NOTHING = ManagerGrantPermissions()


def grant(reference: str, permissions: ManagerGrantPermissions = INSIGHTS) -> ManagerGrant:
    return ManagerGrant(reference=reference, permissions=permissions)


@pytest.fixture
async def managed(world: World) -> World:
    """`team` with ten managers who may see insights."""
    await world.thrive.audiences.managers.add("team", [grant(world.ref(at)) for at in range(10)])
    return world


def managers(world: World) -> dict[str, frozenset[str]]:
    from thrive_async._wire.convert import read

    found = world.sandbox.state.audiences["team"].managers
    return {user_id: writable_permissions(read(ManagerPermissions, granted)) for user_id, granted in found.items()}


async def test_managers_are_added_changed_and_removed(managed: World) -> None:
    """Each gets what the list says, and the report says which was which."""
    desired = [grant(managed.ref(at)) for at in range(1, 8)]
    desired += [grant(managed.email(8).upper(), CONTENT), grant(managed.ref(9), NOTHING), grant(managed.email(20))]
    plan = await sync.plan_managers(managed.thrive, "team", desired)
    assert str(plan) == "team (managers): +1 ~2 -1 =7"
    report = await plan.apply(max_removals=1)
    report.raise_for_failures()
    assert [one.reference for one in report.added] == [managed.email(20)]
    assert {one.reference for one in report.changed} == {managed.email(8).upper(), managed.ref(9)}
    assert [one.reference for one in report.removed] == [managed.ids[0]]
    assert managers(managed) == {
        **{managed.ids[at]: frozenset({"people_manager.insights"}) for at in (*range(1, 8), 20)},
        managed.ids[8]: frozenset({"audience_manager.manage_content"}),
        managed.ids[9]: frozenset(),
    }
    again = await sync.plan_managers(managed.thrive, "team", desired)
    assert again.is_empty


def test_only_writable_permissions_are_compared() -> None:
    """What Thrive adds by itself when read is no difference; what is left out is not given."""
    read = ManagerPermissions(audience_manager=AudienceManagerPermissions(manage_members=True, manage_content=True))
    assert writable_permissions(read) == writable_permissions(CONTENT)
    assert writable_permissions(None) == writable_permissions(NOTHING) == frozenset()
    assert (
        writable_permissions(ManagerGrantPermissions(people_manager=PeopleManagerGrant(insights=False))) == frozenset()
    )


async def test_permissions_that_stay_the_old_ones_are_a_failure(managed: World) -> None:
    """Thrive says done: only reading shows whether it was."""
    plan = await sync.plan_managers(managed.thrive, "team", [grant(managed.ref(at), CONTENT) for at in range(10)])
    body = {"success": {"count": 10, "entities": [{"reference": managed.ref(at)} for at in range(10)]}}
    managed.sandbox.faults.add("status", operation="addManagers", status=200, body=body)
    report = await plan.apply()
    assert len(report.failed) == 10
    assert not report.changed


async def test_unknown_people_fail_and_refused_batches_are_split(managed: World) -> None:
    """As with members. Administrator permissions are for structures, so Thrive refuses them here."""
    odd = ManagerGrantPermissions(administrator=AdministratorGrant(can_add_audience_managers=True))
    desired = [grant(managed.ref(at)) for at in range(30)]
    desired += [grant(managed.ref(40), odd), grant("nobody@example.org")]
    report = await (await sync.plan_managers(managed.thrive, "team", desired)).apply()
    assert {one.reference for one in report.failed} == {managed.ref(40), "nobody@example.org"}
    assert len(report.added) == 20


async def test_one_person_with_two_different_grants_is_left_alone(managed: World) -> None:
    """Neither is guessed; the same grant twice is a duplicate."""
    desired = [grant(managed.ref(at)) for at in range(10)]
    plan = await sync.plan_managers(
        managed.thrive,
        "team",
        [
            *desired,
            grant(managed.email(3), CONTENT),
            grant(managed.email(4)),
            grant("P-00050"),
            grant(managed.email(50), CONTENT),
        ],
    )
    assert plan.is_empty
    assert {why for _name, why in plan.rejected} == {"named twice with different permissions"}
    assert {name for name, _why in plan.rejected} == {managed.ref(3), "P-00050"}
    assert len(plan.duplicates) == 3


async def test_guards_hold_for_managers(managed: World) -> None:
    """Removals, empty lists and audiences that cannot be changed."""
    plan = await sync.plan_managers(managed.thrive, "team", [grant(managed.ref(at)) for at in range(5)])
    with pytest.raises(GuardRefused, match="removes 5 of 10 managers"):
        await plan.apply()
    with pytest.raises(GuardRefused, match="allow_empty"):
        await sync.plan_managers(managed.thrive, "team", [])
    with pytest.raises(GuardRefused, match="no such audience"):
        await sync.plan_managers(managed.thrive, "nowhere", [grant(managed.ref(1))])
    with pytest.raises(TypeError, match="ManagerGrants, not str"):
        await sync.plan_managers(managed.thrive, "team", ["P-00001"])  # type: ignore[list-item]
    assert "removeManager" not in managed.writes()


async def test_removals_false_keeps_the_others(managed: World) -> None:
    """Only additions and new permissions."""
    plan = await sync.plan_managers(managed.thrive, "team", [grant(managed.ref(30))], removals=False)
    assert str(plan) == "team (managers): +1 ~0 -0 =0 (10 others kept)"
    assert (await plan.apply()).ok
    assert len(managers(managed)) == 11


async def test_a_lost_answer_is_found_out(managed: World) -> None:
    """Additions, changes and removals alike."""
    desired = [grant(managed.ref(at), CONTENT) for at in range(1, 11)]
    plan = await sync.plan_managers(managed.thrive, "team", desired)
    managed.sandbox.faults.add("close_after", operation="*Manager*", times=11)
    report = await plan.apply(max_removals=1)
    assert report.ok
    assert (len(report.added), len(report.changed), len(report.removed)) == (1, 9, 1)


async def test_a_manager_plan_survives_a_file(managed: World, tmp_path: Path) -> None:
    """Saved, loaded, applied; and no other kind of plan is taken for it."""
    path = tmp_path / "plan.json"
    desired = [grant(managed.ref(at), CONTENT) for at in range(1, 11)]
    plan = await sync.plan_managers(managed.thrive, "team", desired)
    plan.save(path)
    with pytest.raises(ConfigurationError, match="for managers, not for members"):
        sync.MemberPlan.load(path)
    with pytest.raises(SyncError, match="without a client"):
        await ManagerPlan.load(path).apply()
    loaded = ManagerPlan.load(path, managed.thrive)
    assert loaded.fingerprint == plan.fingerprint
    assert repr(loaded) == repr(plan)
    report = await loaded.apply(max_removals=1, journal=tmp_path / "run.jsonl")
    assert report.ok
    with pytest.raises(SyncError, match="applied before"):
        await loaded.apply(max_removals=1)
    assert (await sync.plan_managers(managed.thrive, "team", desired)).is_empty


async def test_a_cancelled_manager_run_has_its_report(managed: World) -> None:
    """Changes that were taken but not read back are not claimed."""
    managed.sandbox.faults.add("latency", times=None, seconds=1)
    plan = await sync.plan_managers(managed.thrive, "team", [grant(managed.ref(at), CONTENT) for at in range(10)])
    task = asyncio.create_task(plan.apply())
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert plan.report is not None
    assert plan.report.planned == 10
    assert not plan.report.changed


async def test_names_that_cannot_be_used_are_listed(managed: World) -> None:
    """Blank and ambiguous ones: nothing is sent for them, and nobody they may mean is removed."""
    twin = managed.sandbox.state.add_user(ref=managed.email(0), email="twin@example.org")
    await managed.thrive.audiences.managers.add("team", [grant(twin["id"])])
    desired = [grant(managed.ref(at)) for at in range(1, 10)] + [grant(managed.email(0)), grant(" ")]
    plan = await sync.plan_managers(managed.thrive, "team", desired)
    assert plan.ambiguous == (managed.email(0),)
    assert plan.rejected == (("entry 11", "blank"),)
    assert plan.is_empty
    assert len(plan.held) == 2


async def test_a_killed_manager_run_is_accounted_for(managed: World, tmp_path: Path) -> None:
    """As with members; permissions of which this run knows nothing other are as they should be."""
    from tests.sync._apply.test_run import lines
    from thrive_async.sync._apply.journal import Journal

    path = tmp_path / "run.jsonl"
    planned = {"update": [managed.ref(1), managed.ref(2)], "add": [managed.ref(40)], "remove": [managed.ids[50]]}
    with Journal(path, "crashed", "team (managers)") as journal:
        journal.open_run(
            attrs.evolve(managed.scope, kind="managers"), fingerprint="f", strategy="diff", planned=planned
        )
    desired = [grant(managed.ref(at), CONTENT if at == 2 else INSIGHTS) for at in range(10)]
    plan = await sync.plan_managers(managed.thrive, "team", desired)
    assert (await plan.apply(journal=path)).ok
    old = {line["reference"]: line["outcome"] for line in lines(path)[1:] if line["run"] == "crashed"}
    assert old == {
        managed.ref(1): "changed",
        managed.ref(2): "not_attempted",
        managed.ref(40): "not_attempted",
        managed.ids[50]: "removed",
    }


async def test_a_manager_who_may_be_a_newcomer_is_not_removed(managed: World) -> None:
    """As with members: `p-00003` may be P-00003 to Thrive; where it is somebody else, the removal goes on."""
    other = managed.sandbox.state.add_user(ref="p-00004", email="somebody.else@example.org")
    desired = [grant(managed.ref(at)) for at in range(10) if at not in (3, 4)] + [grant("p-00003"), grant("p-00004")]
    plan = await sync.plan_managers(managed.thrive, "team", desired)
    assert plan.held_unless == {managed.ids[3]: ("p-00003",), managed.ids[4]: ("p-00004",)}
    assert sync.ManagerPlan.from_json(plan.to_json()).held_unless == plan.held_unless
    report = await plan.apply(max_removals=2)
    assert [one.reference for one in report.removed] == [managed.ids[4]]
    assert [(one.action, one.reference) for one in report.failed] == [("add", "p-00003")]
    assert [(one.action, one.reference) for one in report.not_attempted] == [("remove", managed.ids[3])]
    assert managed.ids[3] in managers(managed)
    assert other["id"] in managers(managed)


async def test_new_permissions_go_out_under_a_name_that_thrive_knows(managed: World) -> None:
    """White space around a name and an id in another case are no names of Thrive's."""
    desired = [grant(managed.ref(at)) for at in range(3, 10)]
    desired += [
        grant(f" {managed.ref(0)}\n", CONTENT),
        grant(managed.ids[1].upper(), CONTENT),
        grant(f"\ufeff{managed.email(2)}", CONTENT),
        grant(f"{managed.ref(20)} "),
    ]
    report = await (await sync.plan_managers(managed.thrive, "team", desired)).apply()
    assert report.ok
    assert {one.reference for one in report.changed} == {managed.ref(0), managed.ids[1], managed.email(2)}
    assert [one.reference for one in report.added] == [managed.ref(20)]
    assert (await sync.plan_managers(managed.thrive, "team", desired)).is_empty


async def test_managers_are_synced_in_one_call(managed: World, tmp_path: Path) -> None:
    """Plan and apply in one, with the guards of both."""
    desired = [grant(managed.ref(at), CONTENT) for at in range(1, 11)]
    with pytest.raises(GuardRefused, match="max_removals"):
        await sync.sync_managers(managed.thrive, "team", desired, max_removals=0)
    report = await sync.sync_managers(managed.thrive, "team", desired, max_removals=1, journal=tmp_path / "run.jsonl")
    assert (report.ok, len(report.added), len(report.changed), len(report.removed)) == (True, 1, 9, 1)
    again = await sync.sync_managers(managed.thrive, "team", desired[:5], removals=False)
    assert again.planned == 0
