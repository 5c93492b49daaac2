"""Users made equal to an HR export."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.sync._apply.test_run import lines
from tests.sync.conftest import World
from thrive_async import ConfigurationError, GuardRefused, Retry, SyncError, sync
from thrive_async.models import UserCreate
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sandbox.state.records import UserRecord
from thrive_async.sync import UserPlan
from thrive_async.sync._apply import users as users_apply
from thrive_async.sync._apply.journal import Journal, Scope
from thrive_async.sync._apply.users import managers_first
from thrive_async.sync._match.export_rows import Reader

COLUMNS = {
    "ref": "EmployeeID",
    "firstName": "Given name",
    "last_name": "Surname",
    "email": "E-mail",
    "job_title": "Job",
    "manager_ref": "Boss",
    "additionalFields.Site": "Site",
}


def row(at: int, **changes: str | None) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "EmployeeID": f"S-{at:03}",
        "Given name": f"Given{at}",
        "Surname": f"Family{at}",
        "E-mail": f"s{at}@example.org",
        "Job": "Clerk",
        "Boss": "",
        "Site": "Leeds",
        "Shoe size": "42",
    }
    return {**cells, **changes}


@pytest.fixture
async def staff() -> AsyncIterator[World]:
    """Forty people in Thrive, as rows 0 to 39 of the export say."""
    async with Sandbox(users=0, clock=VirtualClock(), check_replies=True) as sandbox:
        async with sandbox.client(retry=Retry(max_attempts=3)) as thrive:
            plan = await sync.plan_users(thrive, [row(at) for at in range(40)], columns=COLUMNS)
            assert str(plan) == "users: +40 ~0 -0 =0"
            (await plan.apply()).raise_for_failures()
            ids = [sandbox.state.user(f"S-{at:03}")["id"] for at in range(40)]
            sandbox.requests.clear()
            yield World(sandbox, thrive, ids)
        assert not sandbox.violations


async def test_the_same_export_again_has_nothing_to_do(staff: World) -> None:
    """Only changed fields are updates: what reads as it was written is none."""
    rows = [row(at, **{"E-mail": f"S{at}@EXAMPLE.org"}) for at in range(40)]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert plan.is_empty
    assert plan.unchanged == 40


async def test_changed_fields_only_are_updated(staff: World) -> None:
    """Each under its own name; an empty cell is no change."""
    rows = [row(at) for at in range(40)]
    rows[3]["Job"] = "Manager"
    rows[4]["Boss"] = "S-003"
    rows[5]["Surname"] = "Married"
    rows[5]["Job"] = ""
    rows[6]["Site"] = "York"
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS)
    assert {change.ref: change.fields for change in plan.to_update} == {
        "S-003": ("job_title",),
        "S-004": ("manager_ref",),
        "S-005": ("last_name",),
        "S-006": ("additional_fields",),
    }
    report = await plan.apply()
    assert {one.reference for one in report.changed} == {"S-003", "S-004", "S-005", "S-006"}
    assert (await sync.plan_users(staff.thrive, rows, columns=COLUMNS)).is_empty
    bodies = [entry.body for entry in staff.sandbox.requests if entry.operation == "updateUser"]
    assert {"lastName": "Married"} in bodies


@pytest.fixture
def ids_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thrive shows managers as its documents do: by id and nothing else."""
    view = UserRecord.view

    def shown(user: UserRecord, form: str) -> Any:
        seen = view(user, form)
        if form in ("account", "member"):
            return seen
        positions = [
            {**one, "manager": one["manager"] and {"id": one["manager"]["id"]}} for one in seen["positions"] or ()
        ]
        return {**seen, "positions": positions}

    monkeypatch.setattr(UserRecord, "view", shown)


@pytest.mark.usefixtures("ids_only")
async def test_a_manager_shown_by_id_alone_is_not_sent_every_night(staff: World) -> None:
    """The documented shape: only who reports to somebody else is a change, and after it nobody is."""
    rows = [row(at, Boss="S-000" if at else "") for at in range(40)]
    await (await sync.plan_users(staff.thrive, rows, columns=COLUMNS)).apply()
    assert (await sync.plan_users(staff.thrive, rows, columns=COLUMNS)).is_empty
    rows[7]["Boss"] = "S-001"
    rows[8]["Boss"] = ""
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, blank="clear")
    assert [(change.ref, change.fields, change.update.manager_ref) for change in plan.to_update] == [
        ("S-007", ("manager_ref",), "S-001"),
        ("S-008", ("manager_ref",), None),
    ]
    assert (await plan.apply()).ok
    assert (await sync.plan_users(staff.thrive, rows, columns=COLUMNS, blank="clear")).is_empty


async def test_who_was_managed_by_somebody_unlisted_gets_the_manager_who_is_there(staff: World) -> None:
    """Whoever the unknown id is: not the user who has the wanted ref."""
    rows = [row(at, Boss="S-000" if at else "") for at in range(40)]
    await (await sync.plan_users(staff.thrive, rows, columns=COLUMNS)).apply()
    staff.sandbox.state.user("S-005")["positions"][0]["manager"] = {"id": "0" * 24}
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS)
    assert [change.ref for change in plan.to_update] == ["S-005"]


@pytest.mark.parametrize("shown", [None, {"id": "0" * 24}, {"id": "0" * 24, "ref": "S-777"}])
async def test_a_manager_whom_nobody_is_is_no_change(staff: World, shown: dict[str, str] | None) -> None:
    """A ref that neither a user nor a newcomer has would be sent again every night."""
    staff.sandbox.state.user("S-005")["positions"][0]["manager"] = shown
    rows = [row(at) for at in range(40)]
    rows[5]["Boss"] = "S-777"
    assert (await sync.plan_users(staff.thrive, rows, columns=COLUMNS)).is_empty
    rows[5]["Job"] = "Cook"
    (change,) = (await sync.plan_users(staff.thrive, rows, columns=COLUMNS)).to_update
    assert change.fields == ("job_title",)
    # The same night that somebody of that ref comes, they are in charge.
    plan = await sync.plan_users(staff.thrive, [*rows, row(777)], columns=COLUMNS)
    assert [(one.ref, one.fields) for one in plan.to_update] == [("S-005", ("job_title", "manager_ref"))]
    assert (await plan.apply()).ok
    assert (await sync.plan_users(staff.thrive, [*rows, row(777)], columns=COLUMNS)).is_empty


@pytest.mark.usefixtures("ids_only")
@pytest.mark.parametrize("singly", [50, 5])
async def test_a_lost_change_of_manager_is_found_out_by_id(
    staff: World, singly: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done where it was done, although Thrive shows no ref; whether users are read singly or in one walk."""
    monkeypatch.setattr(users_apply, "FEW", singly)
    rows = [row(at, Boss="S-000" if 0 < at <= 5 else "") for at in range(40)]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS)
    staff.sandbox.faults.add("close_after", operation="updateUser", times=None)
    staff.sandbox.requests.clear()
    report = await plan.apply()
    assert len(report.changed) == 5
    assert not report.failed
    assert all("found done by reading" in (one.reason or "") for one in report.changed)
    assert staff.arrived("searchUsers") == (singly == 5)


@pytest.mark.usefixtures("ids_only")
async def test_a_lost_change_of_manager_that_was_not_done_is_found_out(staff: World) -> None:
    """Somebody else's id is not the one wanted."""
    rows = [row(at, Boss="S-000" if at else "") for at in range(40)]
    await (await sync.plan_users(staff.thrive, rows, columns=COLUMNS)).apply()
    rows[5]["Boss"] = "S-001"
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS)
    staff.sandbox.faults.add("status", operation="updateUser", status=500, times=None)
    report = await plan.apply()
    assert [one.reference for one in report.failed] == ["S-005"]
    assert "found not done by reading" in (report.failed[0].reason or "")


async def test_blank_cells_clear_when_asked_to(staff: World) -> None:
    """Names are never cleared: Thrive needs them."""
    rows = [row(at) for at in range(40)]
    rows[1].update({"Job": " ", "Surname": ""})
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, blank="clear")
    assert [(change.ref, change.fields, change.update.job_title) for change in plan.to_update] == [
        ("S-001", ("job_title",), None)
    ]


async def test_who_cannot_be_reached_by_a_ref_is_left_alone(staff: World) -> None:
    """A dot is no part of a path: such a row is rejected, such a user no leaver, and everybody else is dealt with."""
    for ref in (".", "..", " "):
        staff.sandbox.state.add_user(ref=ref, email=None)
    rows = [row(at, Job="Cook") for at in range(1, 40)]
    rows += [row(70, EmployeeID=ref) for ref in (".", "..")]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert [ref for ref, _why in plan.rejected] == [".", ".."]
    assert [one.ref for one in plan.to_suspend] == ["S-000"]
    report = await plan.apply()
    assert (len(report.changed), len(report.removed), len(report.failed)) == (39, 1, 0)
    assert report.rejected == plan.rejected


@pytest.mark.parametrize("column", ["email", "sso"])
async def test_refs_that_a_spreadsheet_has_rewritten_make_no_leavers_and_no_newcomers(
    staff: World, column: str
) -> None:
    """Without zeros, in another case: the rows are rejected and their people stay, with e-mail addresses or without."""
    for at, ref in ((0, "000123"), (1, "AB-7")):
        staff.sandbox.state.user(f"S-{at:03}")["ref"] = ref
    columns = {name: cell for name, cell in COLUMNS.items() if name != column}
    rows = [row(at) for at in range(2, 40)]
    rows += [row(60, EmployeeID="123"), row(61, EmployeeID="ab-7")]
    plan = await sync.plan_users(staff.thrive, rows, columns=columns, leavers="suspend")
    assert plan.is_empty
    assert {ref for ref, why in plan.rejected if "written differently" in why} == {"123", "ab-7"}
    # Who is in the export as Thrive has them is no doubt: the other is somebody else.
    rows += [row(0, EmployeeID="000123"), row(1, EmployeeID="AB-7")]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert [one.ref for one in plan.to_create] == ["123", "ab-7"]


async def test_what_falls_back_to_the_tenants_own_is_not_cleared(staff: World) -> None:
    """A time zone that Thrive fills in would be cleared again every night."""
    columns = {**COLUMNS, "time_zone": "Zone", "language_code": "Language", "role": "Role"}
    rows = [row(at, Zone="", Language=" ", Role="") for at in range(41)]
    plan = await sync.plan_users(staff.thrive, rows, columns=columns, blank="clear")
    assert (await plan.apply()).ok
    assert staff.sandbox.state.user("S-040")["timeZone"]
    assert (await sync.plan_users(staff.thrive, rows, columns=columns, blank="clear")).is_empty


@pytest.mark.parametrize("title", ["", "Clerk"])
async def test_dates_are_sent_once(staff: World, title: str) -> None:
    """Days and moments, for whoever has a job title and who has none; a moment without a zone is no value."""
    columns = {**COLUMNS, "start_date": "Start", "end_date": "End"}
    starts = ("2024-02-29", "2024-01-31T10:00:00+02:00", "2024-01-31T23:30:00")
    rows = [row(at, Job=title, Start=starts[at % 3], End="2031-01-01") for at in range(50)]
    plan = await sync.plan_users(staff.thrive, rows, columns=columns)
    assert {one.ref for one in plan.to_update} == {f"S-{at:03}" for at in range(40) if at % 3 < 2}
    assert {ref for ref, _why in plan.rejected} == {f"S-{at:03}" for at in range(50) if at % 3 == 2}
    report = await plan.apply()
    assert not report.failed
    assert not report.ok
    assert (await sync.plan_users(staff.thrive, rows, columns=columns)).is_empty


async def test_leavers_are_suspended_only_when_asked_to(staff: World) -> None:
    """And only who is active, has a ref, and is in no row."""
    staff.sandbox.state.add_user(ref=None, email="service@example.org")
    rows = [row(at) for at in range(3, 40)]
    assert (await sync.plan_users(staff.thrive, rows, columns=COLUMNS)).is_empty
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert str(plan) == "users: +0 ~0 -3 =37"
    report = await plan.apply()
    assert {one.reference for one in report.removed} == {"S-000", "S-001", "S-002"}
    assert [staff.sandbox.state.user(f"S-{at:03}")["status"] for at in (0, 1, 2)] == ["inactive"] * 3
    again = await sync.plan_users(staff.thrive, [*rows, row(1)], columns=COLUMNS, leavers="suspend")
    assert again.is_empty
    assert again.returning == ("S-001",)
    assert str(again) == "users: +0 ~0 -0 =38 (1 suspended, but in the export)"


async def test_guards_hold_for_users(staff: World) -> None:
    """Half an export suspends nobody; neither does an empty one."""
    plan = await sync.plan_users(staff.thrive, [row(at) for at in range(20)], columns=COLUMNS, leavers="suspend")
    with pytest.raises(GuardRefused, match="the plan suspends 20 of 40 active users"):
        await plan.apply()
    with pytest.raises(GuardRefused, match="the export is empty, so everyone would be suspended"):
        await sync.plan_users(staff.thrive, [], columns=COLUMNS, leavers="suspend")
    with pytest.raises(GuardRefused, match=r"none of them usable \(the first: ref: blank\); nothing was changed"):
        await sync.plan_users(staff.thrive, [row(1, EmployeeID=""), row(2, EmployeeID=" ")], columns=COLUMNS)
    assert staff.writes() == []


async def test_rejected_rows_harm_nobody(staff: World) -> None:
    """Who is in a row that cannot be used is not taken for a leaver, and not updated either."""
    rows = [row(at) for at in range(3, 40)]
    rows += [row(0, EmployeeID=""), row(1, EmployeeID="S-999"), row(2, Job="A"), row(2, Job="B"), row(5)]
    rows += [row(60, **{"E-mail": ""}), row(61, **{"Given name": ""})]
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert plan.is_empty
    assert plan.duplicates == ("S-005",)
    assert plan.rejected == (
        ("row 38", "ref: blank"),
        ("S-002", "another row of this ref says something else"),
        ("S-002", "another row of this ref says something else"),
        ("S-999", "its e-mail address belongs to a user with another ref"),
        ("S-060", "email is missing, and a new user needs it unless login_method is ref"),
        ("S-061", "first_name is missing, and a new user needs it"),
    )


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"ref": "EmployeeID", "shoe_size": "Shoe size"}, "no user field 'shoe_size'"),
        ({"email": "E-mail"}, "must name the column of ref"),
        ({"ref": "Employee"}, "row 1 has no column 'Employee'"),
        (None, "no user field 'EmployeeID'"),
    ],
)
async def test_columns_that_cannot_be_meant(staff: World, columns: dict[str, str] | None, words: str) -> None:
    """Said before anything is read from Thrive."""
    with pytest.raises(ConfigurationError, match=words):
        await sync.plan_users(staff.thrive, [row(1)], columns=columns)
    assert list(staff.sandbox.requests) == []


@pytest.mark.parametrize("choice", [{"leavers": "delete"}, {"blank": "erase"}])
async def test_words_that_cannot_be_meant(staff: World, choice: dict[str, Any]) -> None:
    """A misspelt choice is not the default."""
    with pytest.raises(ConfigurationError):
        await sync.plan_users(staff.thrive, [row(1)], columns=COLUMNS, **choice)


async def test_rows_may_be_an_async_iterable_with_the_fields_own_names(staff: World) -> None:
    """From a database, without a mapping; in snake case or as on the wire."""

    async def cursor() -> AsyncIterator[dict[str, Any]]:
        yield {"ref": "S-001", "firstName": "Given1", "last_name": "Changed"}

    plan = await sync.plan_users(staff.thrive, cursor())
    assert [change.fields for change in plan.to_update] == [("last_name",)]


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        ("start_date", "2026-01-05", date(2026, 1, 5)),
        ("end_date", "2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("sso", "Yes", True),
        ("sso", "0", False),
        ("role", "Learner", "learner"),
    ],
)
def test_cells_become_values(field: str, cell: str, value: object) -> None:
    """Dates, truth values and words in any case."""
    reader = Reader(None, "keep")
    reader.feed([{"ref": "1", field: f" {cell} "}])
    assert reader.rows.by_ref["1"].values == {field: value}


@pytest.mark.parametrize(
    ("field", "cell"), [("start_date", "05/01/2026"), ("sso", "perhaps"), ("role", "king"), ("first_name", 7)]
)
def test_cells_that_cannot_be_values_reject_their_row(field: str, cell: object) -> None:
    """With the field's name in the reason."""
    reader = Reader(None, "keep")
    reader.feed([{"ref": "1", field: cell}])
    ((ref, reason),) = reader.rows.rejected
    assert ref == "1"
    assert field in reason
    assert "1" in reader.rows.mentioned_refs


def test_managers_are_created_before_those_who_report_to_them() -> None:
    """In waves; a circle goes together."""

    def new(ref: str, manager: str) -> UserCreate:
        return UserCreate(ref=ref, first_name="A", last_name="B", email=f"{ref}@x.org", manager_ref=manager)

    users = [new("c", "b"), new("b", "a"), new("a", "boss"), new("self", "self")]
    assert managers_first(users) == [[2, 3], [1], [0]]
    assert managers_first([new("x", "y"), new("y", "x")]) == [[0, 1]]


async def test_a_lost_creation_is_looked_up_and_not_made_twice(staff: World) -> None:
    """Creating is not repeatable: the ref tells whether it was done."""
    staff.sandbox.faults.add("close_after", operation="createUser", times=3)
    rows = [row(at) for at in range(45)]
    report = await (await sync.plan_users(staff.thrive, rows, columns=COLUMNS)).apply()
    assert report.ok
    assert len(report.added) == 5
    assert staff.arrived("createUser") == 5


@pytest.mark.parametrize("times", [1, None])
@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 503, "after": True}),
        ("status", {"status": 422}),
        ("status", {"status": 409}),
        ("status", {"status": 403}),
        ("close_before", {}),
        ("close_after", {}),
        ("cut_body", {}),
        ("wrong_shape", {}),
        ("rate_limited", {"retry_after": 1}),
        ("latency", {"seconds": 40.0}),
    ],
)
async def test_accounting_holds_for_users(staff: World, kind: Any, details: dict[str, Any], times: int | None) -> None:
    """Creations, updates and suspensions: each has one outcome, and it is true."""
    rows = [row(at) for at in range(4, 50)]
    for one in rows[:8]:
        one["Surname"] = "Changed"
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert str(plan) == "users: +10 ~8 -4 =28"
    staff.sandbox.faults.add(kind, operation="*User", times=times, **details)
    report = await plan.apply(max_changes=None)
    told = [*report.added, *report.changed, *report.removed, *report.failed, *report.not_attempted]
    assert len(told) == 22
    assert len({(one.action, one.reference) for one in told}) == 22
    state = staff.sandbox.state

    def done(action: str, ref: str) -> bool:
        user = state.find_user(ref)
        if user is None or action == "create":
            return user is not None
        return bool(user["lastName"] == "Changed") if action == "update" else bool(user["status"] == "inactive")

    assert all(done(one.action, one.reference) for one in (*report.added, *report.changed, *report.removed))
    assert not any(done(one.action, one.reference) for one in report.not_attempted)
    for one in report.failed:
        if "could not be checked" not in (one.reason or ""):
            assert not done(one.action, one.reference), one.reason
    staff.sandbox.faults.clear()
    again = await sync.plan_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend")
    assert (await again.apply(max_changes=None)).ok


async def test_a_user_plan_survives_a_file(staff: World, tmp_path: Path) -> None:
    """Dates, cleared fields and all."""
    path = tmp_path / "plan.json"
    columns = {**COLUMNS, "start_date": "Start", "end_date": "End"}
    rows = [row(at, Start="2026-01-05", End="2026-12-31T10:00:00+00:00") for at in range(2, 42)]
    rows[0]["Job"] = ""
    plan = await sync.plan_users(staff.thrive, rows, columns=columns, leavers="suspend", blank="clear")
    plan.save(path)
    with pytest.raises(SyncError, match="without a client"):
        await UserPlan.load(path).apply()
    loaded = UserPlan.load(path, staff.thrive)
    assert (repr(loaded), loaded.fingerprint) == (repr(plan), plan.fingerprint)
    assert loaded.to_create == plan.to_create
    assert [one.update for one in loaded.to_update] == [one.update for one in plan.to_update]
    journal = tmp_path / "run.jsonl"
    assert (await loaded.apply(journal=journal)).ok
    assert len(lines(journal)) == 1 + plan.calls
    with pytest.raises(SyncError, match="applied before"):
        await loaded.apply()
    with pytest.raises(ConfigurationError, match="for users, not for members"):
        sync.MemberPlan.load(path)


@pytest.mark.parametrize("many", [2, 60])
async def test_a_killed_user_run_is_accounted_for(staff: World, tmp_path: Path, many: int) -> None:
    """What was done without a line is found by reading, singly or in one walk."""
    path = tmp_path / "run.jsonl"
    staff.sandbox.state.user("S-002")["status"] = "inactive"
    planned = {
        "create": ["S-000", *(f"N-{at}" for at in range(many))],
        "update": ["S-001"],
        "suspend": ["S-002", "S-003"],
    }
    with Journal(path, "crashed", "users") as journal:
        journal.open_run(Scope("users", staff.thrive.tenant_id, ""), fingerprint="f", strategy="diff", planned=planned)
    await (await sync.plan_users(staff.thrive, [row(at) for at in range(40)], columns=COLUMNS)).apply(journal=path)
    old = {line["reference"]: line["outcome"] for line in lines(path)[1:] if line["run"] == "crashed"}
    assert {ref: outcome for ref, outcome in old.items() if ref.startswith("S")} == {
        "S-000": "added",
        "S-001": "changed",
        "S-002": "removed",
        "S-003": "not_attempted",
    }
    assert old["N-0"] == "not_attempted"
    assert staff.arrived("searchUsers") == (2 if many > 50 else 1)


async def test_lost_updates_are_found_out_by_reading(staff: World) -> None:
    """Field by field: the tenant's own fields too."""
    rows = [row(at) for at in range(40)]
    rows[3]["Job"] = "Manager"
    rows[4]["Site"] = "York"
    plan = await sync.plan_users(staff.thrive, rows, columns=COLUMNS)
    staff.sandbox.faults.add("close_after", operation="updateUser", times=None)
    report = await plan.apply()
    assert report.ok
    assert all("found done by reading" in (one.reason or "") for one in report.changed)


def test_rows_without_a_ref_column_are_refused() -> None:
    """People are recognised by it."""
    with pytest.raises(ConfigurationError, match="no column ref"):
        Reader(None, "keep").feed([{"email": "a@x.org"}])


def test_every_row_of_a_contradicted_ref_is_rejected() -> None:
    """However many there are, none is used."""
    reader = Reader(None, "keep")
    reader.feed([{"ref": "1", "first_name": name} for name in ("A", "B", "A")])
    assert [ref for ref, _why in reader.rows.rejected] == ["1", "1", "1"]
    assert reader.rows.by_ref == {}


def test_a_blank_cell_clears_a_tenants_own_field_when_asked_to() -> None:
    """It is sent as null."""
    reader = Reader({"ref": "ref", "additional_fields.Site": "Site"}, "clear")
    reader.feed([{"ref": "1", "Site": " "}])
    assert reader.rows.by_ref["1"].additional == {"Site": None}


async def test_users_are_synced_in_one_call(staff: World, tmp_path: Path) -> None:
    """Plan and apply in one, with the guards of both."""
    rows = [row(at, Job="Cook" if at == 1 else "Clerk") for at in range(41) if at != 39]
    with pytest.raises(GuardRefused, match="max_removals"):
        await sync.sync_users(staff.thrive, rows, columns=COLUMNS, leavers="suspend", max_removals=0)
    report = await sync.sync_users(
        staff.thrive, rows, columns=COLUMNS, leavers="suspend", max_removals=1, journal=tmp_path / "run.jsonl"
    )
    assert (report.ok, len(report.added), len(report.changed), len(report.removed)) == (True, 1, 1, 1)
    assert (await sync.sync_users(staff.thrive, rows, columns=COLUMNS)).planned == 0


@pytest.mark.parametrize(("email", "added"), [("new@example.org", 1), ("other@example.org", 0)])
async def test_a_clash_over_a_new_user_counts_only_if_it_is_the_same_person(
    staff: World, email: str, added: int
) -> None:
    """Thrive says 409 because the ref was given to somebody meanwhile: reading tells who that is."""
    new = row(50, **{"E-mail": "new@example.org"})
    plan = await sync.plan_users(staff.thrive, [*map(row, range(40)), new], columns=COLUMNS)
    staff.sandbox.state.add_user(ref="S-050", email=email)
    staff.sandbox.faults.add("status", operation="createUser", status=409)
    report = await plan.apply()
    assert (len(report.added), len(report.failed)) == (added, 1 - added)
