"""No plan is made from a list that changed while it was read, or that could not be read whole."""

from typing import Any

import pytest

from tests.sync.conftest import World, people
from thrive_async import Limits, SyncError, sync
from thrive_async._base.problems import remember_unread
from thrive_async.models import (
    AudienceMember,
    ManagerGrant,
    ManagerGrantPermissions,
    PeopleManagerGrant,
)
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sandbox.state.records import UserRecord
from thrive_async.sync import managers, members


async def test_a_plan_that_changes_something_reads_the_first_of_several_pages_again(world: World) -> None:
    """One request more, and none if there is one page or nothing to do."""
    async with world.sandbox.client(limits=Limits(per_page=100)) as thrive:
        for desired, requests in ((world.ids[:300], 3), (world.ids[1:300], 4)):
            before = world.arrived("listMembers")
            await sync.plan_members(thrive, "team", desired)
            assert world.arrived("listMembers") - before == requests
    before = world.arrived("listMembers")
    await sync.plan_members(world.thrive, "team", world.ids[1:300])
    assert world.arrived("listMembers") - before == 1


@pytest.mark.parametrize("kind", [list, iter], ids=["list", "iterator"])
async def test_a_list_that_changed_while_its_total_stayed_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    """Somebody left the first page, somebody else came at the end; the desired names are compared once more."""
    read, readings = members.list_members, 0

    async def changing(*arguments: Any) -> Any:
        nonlocal readings
        readings += 1
        listing = await read(*arguments)
        world.set_members(world.ids[1:301])
        return listing

    monkeypatch.setattr(members, "list_members", changing)
    async with world.sandbox.client(limits=Limits(per_page=100)) as thrive:
        plan = await sync.plan_members(thrive, "team", kind(world.ids[1:301]))
    assert (plan.is_empty, plan.unchanged, readings) == (True, 300, 2)


async def test_a_list_that_changes_with_every_reading_makes_no_plan(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, at = members.list_members, 0

    async def changing(*arguments: Any) -> Any:
        nonlocal at
        listing = await read(*arguments)
        at += 1
        world.set_members(world.ids[at : at + 300])
        return listing

    monkeypatch.setattr(members, "list_members", changing)
    async with world.sandbox.client(limits=Limits(per_page=100)) as thrive:
        with pytest.raises(SyncError, match="the member list changed during each of 5 readings"):
            await sync.plan_members(thrive, "team", world.ids[100:350])


@pytest.mark.parametrize(
    ("instead", "words"),
    [
        (None, "1 of the people in page 2 could not be read"),
        ({"reference": "P-00150", "email": None}, "page 2 could not be read"),
    ],
)
async def test_somebody_who_cannot_be_read_makes_no_plan_and_the_page_is_named(
    monkeypatch: pytest.MonkeyPatch, instead: Any, words: str
) -> None:
    """A null, or a person without an id: they may be desired, and nobody could tell."""
    async with Sandbox(users=0, seed=1, clock=VirtualClock()) as sandbox:
        ids = people(sandbox, 300)
        sandbox.state.add_audience("team", members=ids)
        view = UserRecord.view

        def shown(user: UserRecord, how: str) -> Any:
            return instead if user["id"] == ids[150] and how == "member" else view(user, how)

        monkeypatch.setattr(UserRecord, "view", shown)
        async with sandbox.client(limits=Limits(per_page=100)) as thrive:
            with pytest.raises(SyncError, match=f"team: the member list: .*{words}"):
                await sync.plan_members(thrive, "team", ids[1:])
        assert not [entry for entry in sandbox.requests if entry.method != "GET"]


async def test_a_manager_whose_permissions_could_not_be_read_is_held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither changed nor removed; a plan in a file keeps it."""
    insights = ManagerGrantPermissions(people_manager=PeopleManagerGrant(insights=True))
    grants = [ManagerGrant(reference=world.email(at), permissions=insights) for at in range(3)]
    await world.thrive.audiences.managers.add("team", grants)
    read = managers.list_managers

    async def half_read(*arguments: Any) -> Any:
        listing = await read(*arguments)
        for one in listing.items:
            if one.user_id != world.ids[2]:
                remember_unread(one, frozenset({"permissions"}))
        kept.extend(listing.items)
        return listing

    kept: list[Any] = []
    monkeypatch.setattr(managers, "list_managers", half_read)
    desired = ManagerGrant(reference=world.email(0), permissions=ManagerGrantPermissions())
    plan = await sync.plan_managers(world.thrive, "team", [desired])
    assert (plan.to_change, [one.user_id for one in plan.to_remove]) == ((), [world.ids[2]])
    report = await sync.ManagerPlan.from_json(plan.to_json(), world.thrive).apply(max_removals=None)
    assert [(one.action, one.reference) for one in report.held] == [("remove", world.ids[1]), ("update", world.ids[0])]
    assert not report.ok


async def test_an_id_that_cannot_be_part_of_a_path_fails_alone(world: World) -> None:
    plan = await sync.plan_members(world.thrive, "team", world.ids[1:300])
    plan.to_remove = (AudienceMember(user_id=".."), AudienceMember(user_id=""), *plan.to_remove)
    report = await plan.apply(max_removals=None)
    assert [one.reference for one in report.removed] == [world.ids[0]]
    assert [one.reference for one in report.failed] == ["..", ""]
