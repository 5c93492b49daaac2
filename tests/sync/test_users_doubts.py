"""Rows of which nobody can tell whose they are: nobody is suspended for them, for that cannot be undone."""

from datetime import date, datetime
from typing import Any

import pytest

from tests.sync.conftest import World
from tests.sync.test_users import COLUMNS, row, staff  # noqa: F401 - a fixture
from thrive_async import GuardRefused, SyncError, sync
from thrive_async.sync import UserPlan
from thrive_async.sync._match.export_rows import Reader
from thrive_async.sync._match.names import rewritten

NOBODY = [
    pytest.param("", id="blank"),
    pytest.param(None, id="None"),
    pytest.param(float("nan"), id="nan"),
    4711.0,
    True,
    "9.99E+11",
    "9,99e+11",
    "8888.0",
    "8888,00",
    "'S-7",
    '="S-7"',
    "S-7;",
    "#N/A",
    "#NAME?",
    "#DIV/0!",
    "NULL",
    "n/a",
    "TRUE",
    "03-Apr",
    "Apr-03",
    "2026-04-03 00:00:00",
    "3/4/2026",
    "03.04.2026",
    "-",
    "a\nb",
]


def people(*missing: int) -> list[dict[str, Any]]:
    """The export of everybody but some."""
    return [row(at) for at in range(40) if at not in missing]


@pytest.mark.parametrize("ref", NOBODY)
@pytest.mark.parametrize("email", ["", "new@example.com"])
async def test_while_a_row_is_nobodys_nobody_is_suspended(staff: World, ref: object, email: str) -> None:  # noqa: F811
    """It may be anybody's who seems to have left; what is sure is done all the same, and nobody is made of it."""
    rows = [*people(7, 8), row(50), row(99, **{"EmployeeID": ref, "E-mail": email})]  # type: ignore[arg-type]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert [one.ref for one in plan.to_create] == ["S-050"]
    assert (plan.to_suspend, [one.ref for one in plan.held]) == ((), ["S-007", "S-008"])
    assert str(plan) == "users: +1 ~0 -0 =38 (1 rejected, 2 suspensions held)"
    report = await UserPlan.from_json(plan.to_json(), staff.thrive).apply()
    assert [(one.action, one.reference) for one in report.held] == [("suspend", "S-007"), ("suspend", "S-008")]
    assert "row 40" in (report.held[0].reason or "")
    assert (len(report.added), report.removed, report.ok) == (1, (), False)
    with pytest.raises(SyncError, match="2 held"):
        report.raise_for_failures()
    assert staff.sandbox.state.user("S-007")["status"] != "inactive"


@pytest.mark.parametrize("ref", ["", "NULL", "8888.0", 4711.0])
async def test_whose_row_it_is_an_email_address_tells(staff: World, ref: object) -> None:  # noqa: F811
    """Then the others are leavers all the same."""
    rows = [*people(7, 8), row(99, **{"EmployeeID": ref, "E-mail": "S7@example.org"})]  # type: ignore[arg-type]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert [one.ref for one in plan.to_suspend] == ["S-008"]
    assert (plan.to_create, plan.held, len(plan.rejected)) == ((), (), 1)


@pytest.mark.parametrize(
    ("ref", "written"),
    [
        ("4711", "4711.0"),
        ("4711", "4711,00"),
        ("0004711", "4711.0"),
        ("4711", "'4711"),
        ("4711", '="4711"'),
        ("4711", "4711;"),
        ("123456789012", "1.23457E+11"),
        ("123456789012", "1,23457E+11"),
        ("4711", "4,711"),
        ("1234711", "1.234.711"),
        ("0004711", "4\u00a0711"),
        ("N-7", "="),
    ],
)
async def test_a_ref_that_a_spreadsheet_has_rewritten_is_neither_new_nor_gone(
    staff: World,  # noqa: F811
    ref: str,
    written: str,
) -> None:
    """Even with an e-mail address that nobody has: the user whom it may mean stays, and no second one is made."""
    staff.sandbox.state.user("S-007")["ref"] = ref
    rows = [*people(7), row(99, **{"EmployeeID": written, "E-mail": "new@example.com"})]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert plan.is_empty
    assert [name for name, _why in plan.rejected] == [written]
    # Who has left beside them has left, if it is known whom the row may mean.
    plan = await sync.plan_users(staff.thrive, [*rows[1:]], columns=COLUMNS, leavers="suspend")
    assert [one.ref for one in (plan.held if ref == "N-7" else plan.to_suspend)] == (
        ["S-000", "N-7"] if ref == "N-7" else ["S-000"]
    )


async def test_two_rewritings_of_one_ref_make_nobody(staff: World) -> None:  # noqa: F811
    """Neither of them is the newcomer."""
    staff.sandbox.state.user("S-007")["ref"] = "4711"
    rows = [*people(7), row(98, EmployeeID="04711"), row(99, EmployeeID="4711.0")]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert plan.is_empty
    assert len(plan.rejected) == 2


async def test_a_number_is_a_ref(staff: World) -> None:  # noqa: F811
    """Of a person and of a manager; a truth value is none."""
    staff.sandbox.state.user("S-007")["ref"] = "4711"
    rows = [*people(7), row(7, EmployeeID=4711), row(50, Boss=4711)]  # type: ignore[arg-type]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert [(one.ref, one.manager_ref) for one in plan.to_create] == [("S-050", "4711")]
    assert (plan.unchanged, plan.to_suspend, plan.rejected) == (40, (), ())


async def test_a_user_may_be_called_so(staff: World) -> None:  # noqa: F811
    """What Thrive has as a ref is one, however odd it looks."""
    staff.sandbox.state.user("S-007")["ref"] = "8888.0"
    plan = await sync.plan_users(staff.thrive, [*people(7, 8), row(7, EmployeeID="8888.0")], columns=COLUMNS)
    assert (plan.is_empty, plan.unchanged, plan.rejected) == (True, 39, ())


async def test_a_row_with_more_cells_than_the_header_may_be_anybodys(staff: World) -> None:  # noqa: F811
    """As `csv.DictReader` shows it: a comma within a name has moved the other cells."""
    rows: list[dict[Any, Any]] = [row(at) for at in range(38)]
    rows.append({**row(38), None: ["s38@example.org"]})
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert plan.rejected == (("row 39", "it has more cells than the header"),)
    assert (plan.to_suspend, len(plan.held)) == ((), 2)
    rows[-1] = {**row(38), None: [""]}
    assert [
        one.ref for one in (await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")).to_suspend
    ] == ["S-039"]


async def test_without_leavers_nothing_is_held_back(staff: World) -> None:  # noqa: F811
    """Nobody is asked to be suspended."""
    plan = await sync.plan_users(staff.thrive, [*people(7), row(99, EmployeeID="")], columns=COLUMNS)
    assert (plan.held, len(plan.rejected)) == ((), 1)


@pytest.mark.parametrize(
    "ref", ["E-1", "00123", "1E05", "12.5", "3.10", "YWJj=", "O'Neil", "12-3", "none-1", "#1", "MAR-01", "1.2.3"]
)
def test_an_ordinary_ref_is_not_taken_for_a_rewritten_one(ref: str) -> None:
    """A newcomer may be called so."""
    assert not rewritten(ref)


@pytest.mark.parametrize("cell", ["2026-01-01 00:00:00", "2026-01-01T00:00:00", datetime(2026, 1, 1), date(2026, 1, 1)])  # noqa: DTZ001
def test_midnight_without_a_zone_is_a_day(cell: object) -> None:
    """So do spreadsheets write days."""
    reader = Reader(None, "keep")
    reader.feed([{"ref": "1", "start_date": cell}])
    value = reader.rows.by_ref["1"].values["start_date"]
    assert (type(value), value) == (date, date(2026, 1, 1))


def test_what_is_not_a_number_is_blank() -> None:
    """As data frames write empty cells."""
    reader = Reader({"ref": "ref", "job_title": "job", "last_name": "name", "additional_fields.Site": "site"}, "clear")
    reader.feed([{"ref": "1", "job": float("nan"), "name": float("nan"), "site": float("nan")}])
    person = reader.rows.by_ref["1"]
    assert (person.values, person.additional) == ({"job_title": None}, {"Site": None})


async def test_the_first_reason_is_told_if_nothing_is_usable(staff: World) -> None:  # noqa: F811
    """So that twenty rows without a ref are not a riddle."""
    with pytest.raises(GuardRefused, match=r"the export is 2 entries, none of them usable \(the first: ref: blank\)"):
        await sync.plan_users(staff.thrive, [row(1, EmployeeID=""), row(2, EmployeeID="")], columns=COLUMNS)
    with pytest.raises(GuardRefused, match=r"is 1 entry, not usable \(the first: start_date: not a date"):
        await sync.plan_users(staff.thrive, [{"ref": "1", "start_date": "soon"}])
    with pytest.raises(GuardRefused, match=r"is 1 entry, not usable \(the first: blank\)"):
        staff.sandbox.state.add_audience("team")
        await sync.plan_members(staff.thrive, "team", [" "])
