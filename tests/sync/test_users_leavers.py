"""Users of whom the export itself says that they have left."""

from typing import Any

import pytest

from tests.sync.conftest import World
from tests.sync.test_users import COLUMNS, row, staff  # noqa: F401 - a fixture
from thrive_async import sync
from thrive_async.errors import InvalidArgument
from thrive_async.sync import UserPlan


def has_left(cells: Any) -> bool:
    return cells["Shoe size"] == "gone"


async def planned(staff: World, rows: list[dict[str, Any]], leavers: Any = "listed") -> UserPlan:  # noqa: F811
    return await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers=leavers, has_left=has_left)


def refs(plan: UserPlan) -> list[str]:
    return [one.ref for one in plan.to_suspend]


async def test_only_the_listed_are_suspended_and_the_missing_stay(staff: World) -> None:  # noqa: F811
    """They are not updated either, and a stranger who has left is not created."""
    gone = {"Shoe size": "gone", "Job": "Boss"}
    rows = [row(0, **gone), row(1, Job="Boss"), row(99, **gone)]
    plan = await planned(staff, rows)
    assert refs(plan) == ["S-000"]
    assert [one.ref for one in plan.to_update] == ["S-001"]
    assert not plan.to_create
    assert len(refs(await planned(staff, rows, "suspend"))) == 39
    assert refs(await planned(staff, rows, "ignore")) == []


async def test_who_is_suspended_already_is_no_leaver_and_does_not_return(staff: World) -> None:  # noqa: F811
    plan = await planned(staff, [row(0, **{"Shoe size": "gone"})])
    (await plan.apply(max_removals=None)).raise_for_failures()
    again = await planned(staff, [row(0, **{"Shoe size": "gone"})])
    assert again.is_empty
    assert again.returning == ()


async def test_two_rows_that_say_different_things_suspend_no_one(staff: World) -> None:  # noqa: F811
    plan = await planned(staff, [row(0), row(0, **{"Shoe size": "gone"}), row(1)])
    assert plan.is_empty
    assert [ref for ref, _reason in plan.rejected] == ["S-000", "S-000"]


async def test_a_number_that_another_person_has_now_suspends_no_one(staff: World) -> None:  # noqa: F811
    former = row(0, **{"Given name": "Zoe", "Surname": "Quist", "E-mail": "zq@example.net", "Shoe size": "gone"})
    plan = await planned(staff, [former, row(1)])
    assert plan.is_empty
    assert "looks like a new person under an old number" in plan.rejected[0][1]


async def test_a_row_that_names_no_one_holds_the_missing_and_not_the_listed(staff: World) -> None:  # noqa: F811
    rows = [row(0, **{"Shoe size": "gone"}), row(1, **{"EmployeeID": "", "E-mail": ""})]
    assert refs(await planned(staff, rows, "suspend")) == ["S-000"]


async def test_listed_needs_a_way_to_tell(staff: World) -> None:  # noqa: F811
    with pytest.raises(InvalidArgument, match='leavers="listed" needs has_left'):
        await sync.plan_users(staff.thrive, [row(0)], columns=COLUMNS, leavers="listed")
