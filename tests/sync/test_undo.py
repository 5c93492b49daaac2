"""An undo brings back what a run did, as far as nobody has changed it since; the rest is held and told."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sync._apply.test_run import lines
from tests.sync.conftest import World
from thrive_async import ConfigurationError, GuardRefused, InvalidArgument, sync
from thrive_async.models import ManagerGrant, ManagerGrantPermissions, PeopleManagerGrant
from thrive_async.sandbox import Sandbox
from thrive_async.sync._apply.journal import Journal, unfinished
from thrive_async.sync.users import UserPlan


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def path_text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def rewrite(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


async def undo(world: World, path: Path, **how: Any) -> sync.MemberPlan:
    plan = await sync.plan_undo(world.thrive, path, **how)
    assert isinstance(plan, sync.MemberPlan)
    return plan


# Members


async def test_the_removed_come_back_and_the_added_go(world: World, path: Path) -> None:
    """By id, whatever the list called them; the journal of the undo has their names again."""
    desired = [*world.ids[30:300], world.email(400), world.ref(401)]
    await sync.sync_members(world.thrive, "team", desired, max_removals=None, journal=path)
    plan = await undo(world, path)
    assert (len(plan.to_add), len(plan.to_remove), plan.current) == (30, 2, 272)
    assert plan.undoes == lines(path)[0]["sync"]
    assert world.arrived("addMembers") == 1
    report = await plan.apply(journal=path)
    assert report.ok
    assert world.members == set(world.ids[:300])
    back = next(line for line in lines(path) if line.get("reference") == world.ids[0] and line["outcome"] == "added")
    assert back["email"] == world.email(0)
    opening = next(line for line in lines(path) if line["run"] == report.run)
    assert opening["undoes"] == plan.undoes


async def test_an_undo_of_an_undo_does_it_again(world: World, path: Path) -> None:
    """The last call of the journal is the undo then."""
    await sync.sync_members(world.thrive, "team", [*world.ids[10:300], world.email(400)], journal=path)
    after = world.members
    for expected in (set(world.ids[:300]), after, set(world.ids[:300])):
        assert (await (await undo(world, path)).apply(journal=path)).ok
        assert world.members == expected


@pytest.mark.parametrize(
    ("only", "added", "removed"), [("removals", 10, 0), ("additions", 0, 1), ("changes", 0, 0), (None, 10, 1)]
)
async def test_only_one_side_is_undone_if_you_say_so(
    world: World, path: Path, only: Any, added: int, removed: int
) -> None:
    """`only` is what the run did, not what the undo does."""
    await sync.sync_members(world.thrive, "team", [*world.ids[10:300], world.email(400)], journal=path)
    plan = await undo(world, path, only=only)
    assert (len(plan.to_add), len(plan.to_remove)) == (added, removed)


async def test_what_is_so_already_is_left_alone(world: World, path: Path) -> None:
    """Somebody put a few back by hand, and took the newcomer out."""
    await sync.sync_members(world.thrive, "team", [*world.ids[10:300], world.email(400)], journal=path)
    world.set_members(world.ids[5:300])
    plan = await undo(world, path)
    assert plan.to_add == tuple(world.ids[:5])
    assert set(plan.staying) == set(world.ids[5:10])
    assert plan.to_remove == ()
    assert [(one.reference, one.reason) for one in plan.dropped] == [(world.email(400), "is gone already")]
    assert (await plan.apply()).ok
    assert world.members == set(world.ids[:300])


async def test_a_change_that_a_later_run_has_made_again_is_held(world: World, path: Path) -> None:
    """The later run had a list of its own: what it wants is not what the first one did."""
    before = [*world.ids[:300]]
    first = await sync.sync_members(world.thrive, "team", [*before[1:], world.email(400)], journal=path)
    world.set_members(before)
    second = await sync.sync_members(world.thrive, "team", [*before[1:], world.email(400)], journal=path)
    plan = await undo(world, path, run=first.run)
    assert plan.is_empty
    held = [(one.action, one.reference) for one in plan.left_out.held]
    assert held == [("add", world.ids[0]), ("remove", world.ids[400])]
    assert all(second.run in (one.reason or "") for one in plan.left_out.held)
    assert not (await plan.apply()).ok
    again = type(plan).from_json(plan.to_json())
    assert again.left_out.held == plan.left_out.held


async def test_a_name_that_fits_two_people_now_is_ambiguous(world: World, path: Path) -> None:
    """The run added one of them; which one cannot be told."""
    await sync.sync_members(world.thrive, "team", [*world.ids[:300], world.ref(400)], journal=path)
    world.sandbox.state.users[world.ids[5]]["email"] = world.ref(400)
    plan = await undo(world, path)
    assert plan.to_remove == ()
    assert set(plan.ambiguities[world.ref(400)]) == {world.ids[400], world.ids[5]}


async def test_a_name_that_has_passed_to_someone_else_takes_nobody_out(world: World, path: Path) -> None:
    """The journal has the address, too; the ref is another member's now."""
    added, other = (world.sandbox.state.users[world.ids[at]] for at in (400, 5))
    entry = sync.Entry(name=added["ref"], also=[added["email"]])
    await sync.sync_members(world.thrive, "team", [*world.ids[:300], entry], journal=path)
    added["ref"], other["ref"] = "another", added["ref"]
    plan = await undo(world, path)
    assert plan.to_remove == ()
    assert [set(ids) for ids in plan.ambiguities.values()] == [{added["id"], other["id"]}]


async def test_a_person_who_went_out_and_in_under_two_names_stays(world: World, path: Path) -> None:
    """The run removed them by id and added them by an address that only Thrive knew to be theirs."""
    with Journal(path, "odd", "team") as journal:
        planned = {"add": [world.email(0)], "remove": [world.ids[0]]}
        journal.open_run(world.scope, fingerprint="f", strategy="diff", planned=planned)
        journal.record([("add", world.email(0), "added", None), ("remove", world.ids[0], "removed", None)])
    plan = await undo(world, path)
    assert plan.is_empty
    assert plan.staying == (world.ids[0],)


async def test_whom_a_rebuild_could_not_put_back_comes_back(world: World, path: Path) -> None:
    """They were members who stay, so no plan names them; the journal has them as failed."""
    with Journal(path, "rebuilt", "team") as journal:
        planned = {"add": [], "remove": [world.ids[299]]}
        journal.open_run(world.scope, fingerprint="f", strategy="rebuild", planned=planned)
        journal.record([("remove", world.ids[299], "removed", None), ("add", world.ids[298], "failed", "lost")])
    world.set_members(world.ids[:298])
    assert set((await undo(world, path)).to_add) == {world.ids[298], world.ids[299]}
    assert (await undo(world, path, only="additions")).is_empty


async def test_guards_and_protected_people_hold_as_ever(world: World, path: Path) -> None:
    """An undo of many additions is a removal of many."""
    await sync.sync_members(world.thrive, "team", world.ids, journal=path)
    plan = await undo(world, path, protect=[world.email(599)])
    assert [one.user_id for one in plan.held] == [world.ids[599]]
    with pytest.raises(GuardRefused, match="removes 299 of 600"):
        await plan.apply()


async def test_a_saved_undo_is_read_again(world: World, tmp_path: Path, path: Path) -> None:
    """It is a plan like others: saved, reviewed, compared with Thrive, applied."""
    await sync.sync_members(world.thrive, "team", [*world.ids[10:300], world.email(400)], journal=path)
    plan = await undo(world, path)
    plan.save(tmp_path / "undo.json")
    world.set_members([*world.ids[5:300], world.ids[400]])
    loaded = sync.MemberPlan.load(tmp_path / "undo.json", world.thrive)
    assert loaded.undoes == plan.undoes
    report = await loaded.apply(journal=path)
    assert (len(report.added), len(report.removed), len(report.dropped)) == (5, 1, 5)


# A call of several audiences


async def test_the_last_call_is_undone_as_a_whole(world: World, path: Path) -> None:
    """Fifty audiences are synced together, and come back together; one of them alone by its own run."""
    world.sandbox.state.add_audience("other", members=world.ids[:100])
    await sync.sync_members(world.thrive, "team", world.ids[:301], journal=path)
    results = await sync.sync_audiences(
        world.thrive, {"team": world.ids[:290], "other": world.ids[:99]}, journal=path, max_total_removals=None
    )
    await sync.sync_members(world.thrive, "team", world.ids[:290], journal=path)
    plan = await sync.plan_undo(world.thrive, path)
    assert isinstance(plan, sync.AudiencesPlan)
    assert {name: len(one.to_add) for name, one in plan.plans.items()} == {"team": 11, "other": 1}
    loaded = sync.AudiencesPlan.from_json(plan.to_json(), world.thrive)
    assert loaded.plans["team"].undoes == loaded.undoes == plan.undoes
    report = results["other"]
    assert isinstance(report, sync.SyncReport)
    alone = await undo(world, path, run=report.run[:8])
    assert (alone.audience, alone.to_add) == ("other", (world.ids[99],))
    await world.thrive.audiences.delete("other")
    plan = await sync.plan_undo(world.thrive, path)
    assert isinstance(plan, sync.AudiencesPlan)
    assert list(plan.errors) == ["other"]
    await plan.apply(journal=path)
    assert world.members == set(world.ids[:301])


# Managers


def grant(user: str, *, insights: bool) -> ManagerGrant:
    permissions = ManagerGrantPermissions(people_manager=PeopleManagerGrant(insights=insights))
    return ManagerGrant(reference=user, permissions=permissions)


@pytest.fixture
async def managers(world: World) -> Callable[[], dict[str, bool]]:
    """Four managers, all with insights; tells who is one now, and whether with insights."""
    audience = world.sandbox.state.audiences["team"]
    grants = [grant(one, insights=True) for one in world.ids[:4]]
    await world.thrive.audiences.managers.add(audience["id"], grants)

    async def now() -> dict[str, bool]:
        listed = await world.thrive.audiences.managers.list(audience["id"]).collect()
        return {
            one.user_id: bool(one.permissions.people_manager and one.permissions.people_manager.insights)
            for one in listed
            if one.permissions
        }

    return now  # type: ignore[return-value]


async def test_managers_come_back_with_their_permissions(world: World, path: Path, managers: Any) -> None:
    """The removed get what they had, the changed get back what they had, and the added go."""
    desired = [
        grant(world.email(0), insights=False),
        grant(world.ids[1], insights=True),
        grant("P-00400", insights=True),
    ]
    before = await managers()
    await sync.sync_managers(world.thrive, "team", desired, max_removals=None, journal=path)
    assert (await managers()) == {world.ids[0]: False, world.ids[1]: True, world.ids[400]: True}
    plan = await sync.plan_undo(world.thrive, path)
    assert isinstance(plan, sync.ManagerPlan)
    assert str(plan) == "team (managers): +2 ~1 -1 =0 (1 other kept)"
    loaded = sync.ManagerPlan.from_json(plan.to_json(), world.thrive)
    assert (await loaded.apply(journal=path)).ok
    assert await managers() == before
    again = await sync.plan_undo(world.thrive, path)
    assert str(again) == "team (managers): +1 ~1 -2 =0 (1 other kept)"


async def test_permissions_that_were_changed_since_are_held(world: World, path: Path, managers: Any) -> None:
    """What somebody has given by hand is theirs to take away."""
    both = ManagerGrantPermissions(people_manager=PeopleManagerGrant(insights=False, manage=True))
    desired = [
        ManagerGrant(reference=world.ids[0], permissions=both),
        *(grant(one, insights=True) for one in world.ids[1:4]),
    ]
    await sync.sync_managers(world.thrive, "team", desired, journal=path)
    plan = await sync.plan_undo(world.thrive, path)
    assert str(plan) == "team (managers): +0 ~1 -0 =0 (3 others kept)"
    await world.thrive.audiences.managers.add("team", [grant(world.ids[0], insights=False)])
    plan = await sync.plan_undo(world.thrive, path)
    assert [(one.action, one.reason) for one in plan.left_out.held] == [
        ("update", "held: the permissions were changed after this run")
    ]
    await world.thrive.audiences.managers.add("team", [grant(world.ids[0], insights=True)])
    plan = await sync.plan_undo(world.thrive, path)
    assert str(plan) == "team (managers): +0 ~0 -0 =1 (3 others kept)"
    await world.thrive.audiences.managers.remove("team", world.ids[0])
    plan = await sync.plan_undo(world.thrive, path)
    assert isinstance(plan, sync.ManagerPlan)
    assert [one.reason for one in plan.dropped] == ["is no manager any more"]


async def test_an_old_journal_cannot_give_permissions_back(world: World, path: Path, managers: Any) -> None:
    """It did not write them: the managers are held, not brought back without permissions."""
    with Journal(path, "old", "team (managers)") as journal:
        scope = sync.ManagerPlan
        journal.open_run(
            type(world.scope)(scope.kind, world.thrive.tenant_id, world.scope.target),
            fingerprint="f",
            strategy="diff",
            planned={"remove": [world.ids[9]], "update": [world.ids[0]]},
        )
        journal.record([("remove", world.ids[9], "removed", None), ("update", world.ids[0], "changed", None)])
    rewrite(path, path_text(path).replace('"version"', '"then"', 1))
    plan = await sync.plan_undo(world.thrive, path)
    assert plan.is_empty
    assert {one.reason for one in plan.left_out.held} == {
        "held: the journal does not say what this manager was allowed to do"
    }


# Users


async def user_plan(world: World, path: Path, **how: Any) -> UserPlan:
    plan = await sync.plan_undo(world.thrive, path, **how)
    assert isinstance(plan, UserPlan)
    return plan


def export(world: World, count: int = 600, **changed: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"ref": world.ref(at), **changed.get(f"at{at}", {})} for at in range(count)]


async def test_fields_are_put_back_where_nobody_has_changed_them_since(world: World, path: Path) -> None:
    """Each field on its own: what was changed by hand is held, with what it is about."""
    state = world.sandbox.state.users
    rows = export(
        world,
        at0={"job_title": "Analyst", "last_name": "Lovelace", "start_date": "2026-02-01"},
        at1={"job_title": "Clerk"},
        at2={"additional_fields.Site": "Ulm"},
    )
    columns = {name: name for name in ("ref", "job_title", "last_name", "start_date", "additional_fields.Site")}
    full = [{**dict.fromkeys(columns), **row} for row in rows]
    before = state[world.ids[0]]["lastName"]
    await (await sync.plan_users(world.thrive, full, columns=columns)).apply(journal=path)
    await world.thrive.users.update(world.ref(1), sync.users.UserUpdate(job_title="Director"))
    plan = await user_plan(world, path)
    assert {one.ref for one in plan.to_update} == {world.ref(0), world.ref(2)}
    first = next(one for one in plan.to_update if one.ref == world.ref(0))
    assert first.changes["last_name"] == ("Lovelace", before)
    assert [(one.ref, one.reason) for one in plan.held] == [
        (world.ref(1), "held: job_title was changed after this run, and is left as it is")
    ]
    loaded = UserPlan.from_json(plan.to_json(), world.thrive)
    report = await loaded.apply(journal=path, max_changes=None)
    assert len(report.changed) == 2
    assert not report.failed
    assert state[world.ids[0]]["lastName"] == before
    assert (await user_plan(world, path, run=plan.undoes)).to_update == ()
    redo = await user_plan(world, path)
    assert next(one for one in redo.to_update if one.ref == world.ref(0)).changes["last_name"] == (before, "Lovelace")


async def test_addresses_go_back_in_an_order_that_works(world: World, path: Path) -> None:
    """One user was given the address that another gave up; a circle cannot be undone, and is held."""
    old = [world.email(at) for at in range(2)]
    rows = export(world, at0={"email": "new@example.org"}, at1={"email": old[0]})
    full = [{"ref": row["ref"], "email": row.get("email") or world.email(at)} for at, row in enumerate(rows)]
    await (await sync.plan_users(world.thrive, full)).apply(journal=path)
    assert world.email(1) == old[0]
    report = await (await user_plan(world, path)).apply(journal=path)
    assert report.ok, report.failed
    assert [world.email(at) for at in range(2)] == old
    await world.thrive.users.update(world.ref(5), sync.users.UserUpdate(email="free@example.org"))


async def test_suspended_users_stay_so_unless_you_ask(world: World, path: Path) -> None:
    """Only a legacy event brings users back, so it is for you to say; the created are suspended, not deleted."""
    rows = [*export(world, 598), {"ref": "N-1", "first_name": "Ada", "last_name": "Byron", "email": "ada@example.org"}]
    columns = {name: name for name in ("ref", "first_name", "last_name", "email")}
    full = [{**dict.fromkeys(columns), **row} for row in rows]
    await (await sync.plan_users(world.thrive, full, columns=columns, leavers="suspend")).apply(journal=path)
    plan = await user_plan(world, path)
    assert [one.ref for one in plan.to_suspend] == ["N-1"]
    assert [(one.action, one.ref) for one in plan.held] == [("unsuspend", world.ref(at)) for at in (598, 599)]
    assert "stays suspended unless you ask" in plan.held[0].reason
    plan = await user_plan(world, path, returning="unsuspend")
    assert [one.ref for one in plan.to_unsuspend] == [world.ref(598), world.ref(599)]
    assert (await plan.apply(journal=path)).ok
    assert (await user_plan(world, path, run=plan.undoes, returning="unsuspend")).is_empty
    again = await user_plan(world, path)
    assert {one.ref for one in again.to_suspend} == {world.ref(598), world.ref(599)}


# What cannot be undone


async def test_an_open_run_is_refused(world: World, path: Path) -> None:
    """Its changes have no outcome yet, so the opposite of them is not known."""
    with Journal(path, "killed", "team") as journal:
        journal.open_run(
            world.scope, fingerprint="f", strategy="diff", planned={"remove": [world.ids[0], world.ids[1]]}
        )
        journal.record([("remove", world.ids[0], "removed", None)])
    with pytest.raises(GuardRefused, match="run killed is still open: 1 of its changes have no outcome"):
        await sync.plan_undo(world.thrive, path)
    await sync.sync_members(world.thrive, "team", world.ids[:300], journal=path)
    assert unfinished(path) == {}
    assert (await undo(world, path, run="killed")).is_empty


async def test_a_journal_of_another_tenant_is_refused_and_nothing_is_sent(world: World, path: Path) -> None:
    """An id means somebody else there."""
    await sync.sync_members(world.thrive, "team", world.ids[1:300], journal=path)
    run = lines(path)[0]["run"]
    async with Sandbox(users=0, seed=2) as elsewhere, elsewhere.client() as thrive:
        for how in ({}, {"run": run}):
            with pytest.raises(
                ConfigurationError, match=rf"of the tenant {world.thrive.tenant_id}, and this client is"
            ):
                await sync.plan_undo(thrive, path, **how)
        assert list(elsewhere.requests) == []
        elsewhere.state.add_audience("team")
        await sync.sync_members(thrive, "team", [elsewhere.state.add_user(ref="X")["id"]], journal=path)
        assert (await undo(world, path)).to_add == (world.ids[0],)


async def test_what_is_no_journal_or_no_run_is_told(world: World, path: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(FileNotFoundError):
        await sync.plan_undo(world.thrive, path)
    rewrite(path, "")
    with pytest.raises(ConfigurationError, match="holds no run"):
        await sync.plan_undo(world.thrive, path)
    rewrite(path, "email\nada@example.org\n")
    with pytest.raises(ConfigurationError, match="something else than a journal"):
        await sync.plan_undo(world.thrive, path)
    rewrite(path, "")
    await sync.sync_members(world.thrive, "team", world.ids[:300], journal=path)
    with pytest.raises(ConfigurationError, match="no run in this journal has changed anything"):
        await sync.plan_undo(world.thrive, path)
    with pytest.raises(ConfigurationError, match="has no run 'abcdef'"):
        await sync.plan_undo(world.thrive, path, run="abcdef")
    for wrong in ({"run": "a"}, {"only": "all"}, {"returning": "yes"}):
        with pytest.raises(InvalidArgument):
            await sync.plan_undo(world.thrive, path, **wrong)  # type: ignore[arg-type]
    assert world.writes() == []


async def test_an_undo_is_a_run_that_keeps_others_out(world: World, path: Path) -> None:
    """Two plans to undo one run do not both apply."""
    await sync.sync_members(world.thrive, "team", world.ids[1:300], journal=path)
    first, second = await asyncio.gather(undo(world, path), undo(world, path))
    assert (await first.apply(journal=path)).ok
    with pytest.raises(GuardRefused, match="another run ended"):
        await second.apply(journal=path)
