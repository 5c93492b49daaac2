"""Members of whom the list shows half their names: they may be the newcomers, and are asked after before they go."""

from typing import Any

import pytest

from tests.sync.conftest import World
from thrive_async import sync
from thrive_async.models import ManagerGrant, ManagerGrantPermissions
from thrive_async.sandbox.state.records import UserRecord


@pytest.fixture
def hidden(world: World, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The ids of members whose e-mail address the member list leaves out, and their ref if it is in capitals there."""
    ids: set[str] = set()
    view = UserRecord.view

    def shown(user: UserRecord, kind: str) -> Any:
        whole = view(user, kind)
        if kind == "member" and user["id"] in ids:
            return {**whole, "email": None}
        if kind == "member" and user["id"].upper() in ids:
            return {**whole, "reference": None}
        return whole

    monkeypatch.setattr(UserRecord, "view", shown)
    return ids


@pytest.mark.parametrize("count", [2, 60])
async def test_who_is_desired_by_a_name_that_is_not_shown_stays(world: World, hidden: set[str], count: int) -> None:
    """One by one, or in one walk; whoever else is not shown whole goes as planned."""
    hidden.update(world.ids[: count + 2])
    desired = [*map(world.email, range(count)), *map(world.email, range(count + 2, 300)), "new@example.org"]
    plan = await sync.plan_members(world.thrive, "team", desired)
    assert str(plan) == "team: +1 -2 =298"
    assert {one.user_id for one in plan.to_remove} == set(world.ids[count : count + 2])
    assert world.arrived("getUser") == (4 if count == 2 else 0)
    assert world.arrived("searchUsers") == (0 if count == 2 else 1)


async def test_a_ref_that_is_not_shown_is_asked_after_too(world: World, hidden: set[str]) -> None:
    """As an e-mail address is; and twice named is once desired."""
    hidden.update(user_id.upper() for user_id in world.ids[:3])
    plan = await sync.plan_members(world.thrive, "team", [*map(world.ref, range(1, 300)), "P-00001"])
    assert str(plan) == "team: +0 -1 =299 (1 duplicate)"


async def test_nothing_is_asked_where_no_newcomer_could_be_meant(world: World, hidden: set[str]) -> None:
    """Newcomers by ref are nobody whose ref is shown; without newcomers there is no doubt at all."""
    hidden.update(world.ids)
    for desired in (world.ids[1:300], [*world.ids[1:300], "E-1"]):
        plan = await sync.plan_members(world.thrive, "team", desired)
        assert len(plan.to_remove) == 1
    assert world.arrived("getUser") == world.arrived("searchUsers") == 0


async def test_who_is_no_user_any_more_is_removed(world: World, hidden: set[str]) -> None:
    """The member list may still show somebody whom Thrive has forgotten."""
    hidden.add(world.ids[0])
    world.sandbox.faults.add("status", operation="getUser", status=404)
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[1:300], world.email(0)])
    assert [one.user_id for one in plan.to_remove] == [world.ids[0]]


async def test_managers_are_asked_after_in_the_same_way(world: World, hidden: set[str]) -> None:
    """Whoever is desired by an address that is not shown keeps managing."""
    grants = [ManagerGrant(reference=world.email(at), permissions=ManagerGrantPermissions()) for at in range(3)]
    await world.thrive.audiences.managers.add("team", grants)
    hidden.update(world.ids[:2])
    plan = await sync.plan_managers(world.thrive, "team", grants[1:])
    assert str(plan) == "team (managers): +0 ~0 -1 =2"
    assert [one.user_id for one in plan.to_remove] == [world.ids[0]]
