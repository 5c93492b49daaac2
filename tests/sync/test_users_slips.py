"""No slip of an HR export renames somebody, hands an account over or suspends somebody."""

import json
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.sync._apply.test_run import lines
from tests.sync.conftest import World
from tests.sync.test_users import COLUMNS, row, staff  # noqa: F401 - a fixture
from thrive_async import GuardRefused, Retry, ThriveClient, sync
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sync import UserPlan
from thrive_async.sync._match.export_rows import Reader
from thrive_async.sync._match.identity import Identities, Identity

Rows = list[dict[str, Any]]


def rows_of(count: int = 40) -> Rows:
    return [row(at) for at in range(count)]


async def planned(world: World, rows: Rows, **choices: Any) -> UserPlan:
    return await sync.plan_users(world.thrive, rows, columns=COLUMNS, **choices)


def state(world: World, ref: str) -> dict[str, Any]:
    user = world.sandbox.state.user(ref)
    return {name: user[name] for name in ("firstName", "lastName", "email", "status")}


# max_changes


@pytest.mark.parametrize("column", ["E-mail", "Given name", "Surname"])
async def test_a_column_that_slipped_by_a_cell_changes_nobody(staff: World, column: str) -> None:  # noqa: F811
    """One cell too many in a column: everybody would get the next one's address or name."""
    rows = rows_of()
    for one, text in zip(rows, ["Slipped@example.org", *(one[column] for one in rows)], strict=False):
        one[column] = text
    plan = await planned(staff, rows)
    with pytest.raises(GuardRefused, match=r"of 40 of 40 people \(100.0%\), max_changes allows 5;") as caught:
        await plan.apply()
    assert caught.value.figures == {"changes": 40, "matched": 40, "allowed": 5.0}
    assert "max_changes=40" in str(caught.value)
    assert staff.writes() == []
    with pytest.raises(GuardRefused):
        await sync.sync_users(staff.thrive, rows, columns=COLUMNS)
    # If it is meant after all, it can be done, and the old values are known.
    report = await plan.apply(max_changes=40)
    assert (report.ok, len(report.changed)) == (True, 40)


async def test_a_person_counts_once_and_the_floor_is_five(staff: World) -> None:  # noqa: F811
    """Address and name of one person are one change; job titles are none."""
    rows = rows_of()
    for at in range(5):
        rows[at].update({"Surname": f"Married{at}", "E-mail": f"married{at}@example.org", "Given name": f"Given{at}"})
    for at in range(5, 40):
        rows[at]["Job"] = "Cook"
    plan = await planned(staff, rows)
    assert (len(plan.identity_changes), plan.matched) == (5, 40)
    plan.check_guards()
    with pytest.raises(GuardRefused, match="max_changes allows 4"):
        plan.check_guards(max_changes=4)
    plan.check_guards(max_changes=None)
    assert (await plan.apply()).ok


async def test_an_ordinary_night_needs_no_flag() -> None:
    """12 new people, 40 changes of job title, 3 leavers of 5,000."""
    async with Sandbox(users=0, clock=VirtualClock()) as sandbox:
        for at in range(5_000):
            sandbox.state.add_user(
                ref=f"S-{at:04}", firstName=f"Given{at}", lastName=f"Family{at}", email=f"s{at}@example.org"
            )
        rows = [
            {"ref": f"S-{at:04}", "first_name": f"Given{at}", "last_name": f"Family{at}", "email": f"s{at}@example.org"}
            | ({"job_title": "Cook"} if at < 43 else {"job_title": ""})
            for at in range(3, 5_012)
        ]
        async with sandbox.client() as thrive:
            plan = await sync.plan_users(thrive, rows, leavers="suspend")
            assert str(plan) == "users: +12 ~40 -3 =4,957"
            assert (await plan.apply()).ok


# Takeovers


async def test_a_number_given_to_somebody_new_leaves_the_account_whole(staff: World) -> None:  # noqa: F811
    """Name and address differ at once: rejected with what differs, all fields; nobody is suspended for it."""
    rows = rows_of()
    rows[3].update({"Given name": "Grace", "Surname": "Hopper", "E-mail": "grace.hopper@example.org", "Job": "Admiral"})
    plan = await planned(staff, rows, leavers="suspend")
    assert plan.is_empty
    ((ref, reason),) = plan.rejected
    assert ref == "S-003"
    assert "first_name Given3 -> Grace" in reason
    assert "email s3@example.org -> grace.hopper@example.org" in reason
    report = await plan.apply()
    assert (report.ok, report.rejected) == (False, plan.rejected)
    assert staff.writes() == []
    plan = await planned(staff, rows, allow_takeover=True)
    assert (await plan.apply()).ok
    assert state(staff, "S-003")["lastName"] == "Hopper"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("Ada Byron", "ada.byron@x.org"), ("Ada Lovelace", "ada.lovelace@x.org")),
        (("Zoë Müller", "zoe@x.org"), ("ZOE Mueller-Lüdenscheidt", "z.ml@y.org")),
        (("Ada Byron", "ada.byron@x.org"), ("Augusta King", "adabyron+new@gmail.com")),
        (("Bob Smyth", "bob@x.org"), ("Robert Smith", "robert@y.org")),
        (("Ada Byron", "abyron@x.org"), ("Augusta King", "augusta.byron@y.org")),
        (("", "abyron@x.org"), ("Augusta King", "king@y.org")),
        (("Ada Byron", None), ("Augusta King", "king@y.org")),
        (("Li Wu", "liwu@x.org"), ("Li Chen", "lichen@x.org")),
    ],
)
def test_the_same_person_by_likeness(old: tuple[str, str | None], new: tuple[str, str]) -> None:
    """Accents, case, dots, a domain, a marriage: a part of the name or the mailbox stays. No name tells nothing."""
    assert not Identities([old[1]]).is_somebody_else(Identity(*old), Identity(*new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("Ada Byron", "ada.byron@x.org"), ("Grace Hopper", "grace@x.org")),
        (("Ada Byron", "ada.byron@x.org"), ("Grace Hopper", None)),
        (("Ada B", "ada@x.org"), ("Grace B", "grace@x.org")),
        (("Ada Byron", "staff.17@x.org"), ("Grace Hopper", "staff.18@x.org")),
    ],
)
def test_a_new_person_by_likeness(old: tuple[str, str], new: tuple[str, str | None]) -> None:
    """An initial in common, or a word that everybody has in the address, makes no one person."""
    everyone = [f"staff.{at}@x.org" for at in range(50)]
    assert Identities(everyone).is_somebody_else(Identity(*old), Identity(*new))


# Two people in one row


async def test_a_row_whose_ref_and_address_are_two_peoples_is_done_to_neither(staff: World) -> None:  # noqa: F811
    """The owner of the address keeps it, is not suspended, and is not changed."""
    rows = [one for one in rows_of() if one["EmployeeID"] != "S-004"]
    rows[3].update({"E-mail": "S4@example.org", "Job": "Cook"})
    plan = await planned(staff, rows, leavers="suspend")
    assert plan.is_empty
    assert plan.rejected == (("S-003", "its ref belongs to one user, its e-mail address to S-004"),)
    with_owner = await planned(staff, [*rows, row(4)], leavers="suspend")
    assert (with_owner.is_empty, len(with_owner.rejected)) == (True, 1)
    staff.sandbox.state.add_user(ref=None, email="service@example.org")
    rows[3]["E-mail"] = "service@example.org"
    assert "a user without a ref" in (await planned(staff, rows)).rejected[0][1]


async def test_two_newcomers_with_one_address_are_rejected(staff: World) -> None:  # noqa: F811
    """Only one of them can have it."""
    rows = [*rows_of(), row(50, **{"E-mail": "n@example.org"}), row(51, **{"E-mail": "N@example.org"})]
    plan = await planned(staff, rows)
    assert plan.is_empty
    assert {reason for _ref, reason in plan.rejected} == {"several new people have this e-mail address"}


async def test_a_leaver_who_may_be_a_newcomer_is_not_suspended(staff: World) -> None:  # noqa: F811
    """A new number and a new address with the same name: told, and decided by the list of the next night."""
    rows = [one for one in rows_of() if one["EmployeeID"] not in ("S-003", "S-004")]
    rows.append(row(60, **{"Given name": "GIVEN3", "Surname": "Family3", "E-mail": "new@example.org"}))
    plan = await planned(staff, rows, leavers="suspend")
    assert [one.ref for one in plan.to_suspend] == ["S-004"]
    assert [(one.ref, one.action, one.reason) for one in plan.held] == [
        ("S-003", "suspend", "not suspended: may be the newcomer S-060; correct the ref in the list")
    ]


@pytest.mark.parametrize("name", ["S-003", " s3@EXAMPLE.org", "id"])
async def test_who_is_protected_is_never_suspended(staff: World, name: str) -> None:  # noqa: F811
    """By id, ref or e-mail address; also in a plan from a file."""
    protect = [staff.ids[3] if name == "id" else name]
    rows = rows_of()[5:]
    plan = await planned(staff, rows, leavers="suspend", protect=protect)
    saved = UserPlan.from_json((await planned(staff, rows, leavers="suspend")).to_json(), staff.thrive)
    saved.protect(protect)
    for one in (plan, saved):
        assert [gone.ref for gone in one.to_suspend] == ["S-000", "S-001", "S-002", "S-004"]
        assert [(held.ref, held.reason) for held in one.held] == [("S-003", "not suspended: protected")]
    with pytest.raises(TypeError, match="protect"):
        await planned(staff, rows, protect="S-003")


# Swaps and chains


async def test_a_swap_of_addresses_is_held_and_the_other_fields_are_written(staff: World) -> None:  # noqa: F811
    """No order of changes exists, so both addresses stay."""
    rows = rows_of()
    rows[3].update({"E-mail": "s4@example.org", "Job": "Cook"})
    rows[4].update({"E-mail": "s3@example.org"})
    plan = await planned(staff, rows)
    assert [(one.ref, one.fields) for one in plan.to_update] == [("S-003", ("job_title",))]
    assert {one.ref for one in plan.held} == {"S-003", "S-004"}
    assert "swap their e-mail addresses" in plan.held[0].reason
    assert str(plan) == "users: +0 ~1 -0 =38 (2 changes held)"
    report = await plan.apply()
    assert (report.ok, [one.action for one in report.held]) == (False, ["update", "update"])
    assert state(staff, "S-003")["email"] == "s3@example.org"


async def test_a_chain_of_addresses_goes_through_the_free_one(staff: World, tmp_path: Path) -> None:  # noqa: F811
    """In one night, also from a saved plan: each address is given up before the next user gets it."""
    rows = rows_of()
    rows[1]["E-mail"], rows[2]["E-mail"], rows[3]["E-mail"] = "s2@example.org", "s3@example.org", "free@example.org"
    plan = await planned(staff, rows)
    plan.save(tmp_path / "plan.json")
    report = await UserPlan.load(tmp_path / "plan.json", staff.thrive).apply()
    assert (report.ok, len(report.changed)) == (True, 3)
    sent = [str(entry.path)[-5:] for entry in staff.sandbox.requests if entry.operation == "updateUser"]
    assert sent == ["S-003", "S-002", "S-001"]
    assert (await planned(staff, rows)).is_empty


async def test_who_waits_for_an_address_that_was_not_given_up_is_not_changed(staff: World) -> None:  # noqa: F811
    """The first of a chain fails: the others are not sent, and say why."""
    rows = rows_of()
    rows[1]["E-mail"], rows[2]["E-mail"], rows[3]["E-mail"] = "s2@example.org", "s3@example.org", "free@example.org"
    plan = await planned(staff, rows)
    staff.sandbox.faults.add("status", operation="updateUser", status=422, times=1)
    report = await plan.apply()
    assert {one.reference: one.reason for one in report.failed if one.reference != "S-003"} == {
        "S-002": "not sent: S-003 may still have this e-mail address",
        "S-001": "not sent: S-002 may still have this e-mail address",
    }
    assert staff.arrived("updateUser") == 1
    assert (await (await planned(staff, rows)).apply()).ok


async def test_a_chain_that_is_cut_off_is_not_attempted(staff: World) -> None:  # noqa: F811
    """What stops the run is the reason, not the address."""
    rows = rows_of()
    rows[2]["E-mail"], rows[3]["E-mail"] = "s3@example.org", "free@example.org"
    plan = await planned(staff, rows)
    staff.sandbox.faults.add("status", operation="updateUser", status=403)
    report = await plan.apply()
    assert {one.reference for one in report.not_attempted} == {"S-002", "S-003"}


async def test_an_address_that_a_newcomer_gets_is_not_given_to_somebody_else(staff: World) -> None:  # noqa: F811
    """The newcomer's row and another one want it."""
    rows = [*rows_of(), row(50, **{"E-mail": "n@example.org"})]
    rows[3]["E-mail"] = "N@example.org"
    plan = await planned(staff, rows)
    assert [one.ref for one in plan.to_create] == ["S-050"]
    assert [one.reason for one in plan.held] == [
        "email s3@example.org -> N@example.org is left out: this e-mail address belongs to S-050, who keeps it"
    ]


# Cells that hold no value


@pytest.mark.parametrize("text", ["#N/A", "NULL", "n/a", "-", "#####", "03-Apr", "#REF!", "null", "4711.0"])
@pytest.mark.parametrize("column", ["Given name", "Surname", "E-mail", "Job", "Boss"])
@pytest.mark.parametrize("blank", ["keep", "clear"])
async def test_a_placeholder_is_never_written(staff: World, text: str, column: str, blank: str) -> None:  # noqa: F811
    """Nor does it clear the field; the row's other fields are written, and the cell is told with row and column."""
    rows = rows_of()
    rows[3].update({column: text, "Site": "York"})
    plan = await planned(staff, rows, leavers="suspend", blank=blank)
    assert [(one.ref, one.fields) for one in plan.to_update] == [("S-003", ("additional_fields",))]
    ((ref, reason),) = plan.rejected
    assert ref == "S-003"
    assert reason.startswith(f"row 4, column {column!r}: {text} is not a value; ")
    assert not (await plan.apply()).ok
    assert state(staff, "S-003")["email"] == "s3@example.org"


async def test_a_newcomer_gets_no_placeholder_either(staff: World) -> None:  # noqa: F811
    """Without a job title they are created; without a name they are not."""
    rows = [*rows_of(), row(50, Job="#N/A"), row(51, Surname="NULL")]
    plan = await planned(staff, rows)
    assert [(one.ref, bool(one.job_title)) for one in plan.to_create] == [("S-050", False)]
    assert plan.rejected == (
        ("S-050", "row 41, column 'Job': #N/A is not a value; job_title is left as it is"),
        ("S-051", "last_name is missing, and a new user needs it"),
        ("S-051", "row 42, column 'Surname': NULL is not a value; last_name is left as it is"),
    )


async def test_who_is_called_null_in_thrive_keeps_the_name_without_a_word(staff: World) -> None:  # noqa: F811
    """What Thrive has is a value."""
    staff.sandbox.state.user("S-003")["lastName"] = "Null"
    rows = rows_of()
    rows[3]["Surname"] = "Null"
    plan = await planned(staff, rows)
    assert (plan.is_empty, plan.rejected) == (True, ())


@pytest.mark.parametrize(
    ("field", "cell"),
    [
        ("last_name", "'t Hooft"),
        ("job_title", 'Head of "Growth"'),
        ("job_title", "R&D; IT"),
        ("additional_fields.Site", "-"),
        ("additional_fields.Since", "2026-04-03"),
        ("additional_fields.Lead", "TRUE"),
    ],
)
def test_ordinary_words_are_values(field: str, cell: str) -> None:
    """Quotes within a name, a day in a field of the tenant's own."""
    reader = Reader(None, "keep")
    reader.feed([{"ref": "1", field: cell}])
    person = reader.rows.by_ref["1"]
    assert (person.unreadable, [*person.values.values(), *person.additional.values()]) == ({}, [cell])


@pytest.mark.parametrize(
    ("field", "cell"),
    [("start_date", "#N/A"), ("end_date", "-"), ("sso", "n/a"), ("role", "NULL"), ("additional_fields.Site", "#N/A")],
)
def test_other_fields_know_placeholders_too(field: str, cell: str) -> None:
    """The row is not rejected for them."""
    reader = Reader(None, "clear")
    reader.feed([{"ref": "1", field: cell}])
    person = reader.rows.by_ref["1"]
    assert (list(person.unreadable), person.values, person.additional) == ([field], {}, {})


@pytest.mark.parametrize("hours", [2, -8])
def test_midnight_in_another_zone_is_the_day_as_written(hours: int) -> None:
    """Sent in UTC it would be the day before, or after."""
    reader = Reader(None, "keep")
    reader.feed([{"ref": "1", "start_date": datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=hours)))}])
    assert reader.rows.by_ref["1"].values == {"start_date": date(2026, 1, 31)}
    assert type(reader.rows.by_ref["1"].values["start_date"]) is date


async def test_the_fifteen_digits_of_a_spreadsheet_make_no_second_account(staff: World) -> None:  # noqa: F811
    """Nor is the true one suspended, with an address in the row or without."""
    staff.sandbox.state.user("S-003")["ref"] = "300000001234567891"
    for email in ("s3@example.org", "new@example.org", ""):
        rows = rows_of()
        rows[3].update({"EmployeeID": "300000001234567000", "E-mail": email})
        plan = await planned(staff, rows, leavers="suspend")
        assert plan.is_empty
        assert [ref for ref, _why in plan.rejected] == ["300000001234567000"]


# Old and new values


async def test_old_and_new_values_are_in_plan_report_and_journal(staff: World, tmp_path: Path) -> None:  # noqa: F811
    """For every field, also after the plan was saved; the journal has them before anything is sent."""
    rows = rows_of()
    rows[3].update({"Job": "Cook", "Site": "York", "Boss": "S-001"})
    rows[4].update({"Surname": "Married", "E-mail": "married@example.org"})
    plan = UserPlan.from_json((await planned(staff, rows)).to_json(), staff.thrive)
    expected = {
        "S-003": {
            "job_title": ("Clerk", "Cook"),
            "manager_ref": (None, "S-001"),
            "additional_fields.Site": ("Leeds", "York"),
        },
        "S-004": {"last_name": ("Family4", "Married"), "email": ("s4@example.org", "married@example.org")},
    }
    assert {one.ref: dict(one.changes) for one in plan.to_update} == expected
    journal = tmp_path / "run.jsonl"
    report = await plan.apply(journal=journal)
    assert {one.reference: dict(one.changes) for one in report.changed} == expected
    assert lines(journal)[0]["changes"] == json.loads(json.dumps(expected))
    rows[3]["Boss"] = "S-002"
    (change,) = (await planned(staff, rows)).to_update
    assert change.changes == {"manager_ref": ("S-001", "S-002")}
    staff.sandbox.state.user("S-001")["ref"] = None
    (change,) = (await planned(staff, [one for one in rows if one["EmployeeID"] != "S-001"])).to_update
    assert change.changes["manager_ref"][0]


async def test_days_are_days_in_old_and_new(staff: World) -> None:  # noqa: F811
    """Thrive's moment is shown as the day it means."""
    columns = {**COLUMNS, "start_date": "Start"}
    for start, shown in (("2026-01-05", (None, "2026-01-05")), ("2026-01-06", ("2026-01-05", "2026-01-06"))):
        plan = await sync.plan_users(staff.thrive, [row(3, Start=start)], columns=columns)
        assert plan.to_update[0].changes == {"start_date": shown}
        assert (await plan.apply()).ok


# Saved plans


async def test_a_saved_plan_drops_what_no_longer_holds(staff: World) -> None:  # noqa: F811
    """The users are read once more; what was changed meanwhile is told and not written over."""
    rows = [*rows_of()[2:], *(row(at) for at in (50, 51, 52))]
    for at in (3, 4, 5, 6):
        rows[at - 2]["Surname"] = "Married"
    rows[7 - 2]["Site"] = "York"
    for at in (8, 9):
        staff.sandbox.state.user(f"S-{at:03}")["status"] = "inactive"
    plan = await planned(staff, rows, leavers="suspend", returning="unsuspend")
    assert plan.calls == 3 + 5 + 2 + 2
    loaded = UserPlan.from_json(plan.to_json(), staff.thrive)
    user = staff.sandbox.state.user
    staff.sandbox.state.add_user(ref="S-050", email="other@example.org")
    staff.sandbox.state.add_user(ref="OTHER", email="S51@example.org")
    user("S-003")["lastName"] = "Divorced"
    user("S-004")["ref"] = "MOVED"
    user("S-005")["firstName"] = "Other field"
    user("S-007")["additionalFields"] = {"Site": "Leeds", "Floor": 3}
    user("S-000")["status"] = "inactive"
    user("S-001")["ref"] = "GONE"
    user("S-008")["status"] = "active"
    report = await loaded.apply(max_changes=None, max_removals=None)
    assert {(one.action, one.reference): one.reason for one in report.dropped} == {
        ("create", "S-050"): "a user has this ref now",
        ("create", "S-051"): "a user has this e-mail address now",
        ("update", "S-003"): "was changed after the plan was made",
        ("update", "S-004"): "the account is gone, or has another ref now",
        ("update", "S-007"): "was changed after the plan was made",
        ("suspend", "S-000"): "is suspended already",
        ("suspend", "S-001"): "the account is gone, or has another ref now",
        ("unsuspend", "S-008"): "is active already",
    }
    assert [one.reference for one in report.added] == ["S-052"]
    assert [(one.action, one.reference) for one in report.changed] == [
        ("unsuspend", "S-009"),
        ("update", "S-005"),
        ("update", "S-006"),
    ]
    assert (report.removed, report.failed) == ((), ())
    assert "8 dropped" in str(loaded)


async def test_a_saved_plan_of_every_field_still_holds(staff: World) -> None:  # noqa: F811
    """Days, managers and the tenant's own fields are what they were; an unread field is not."""
    columns = {**COLUMNS, "start_date": "Start"}
    rows = [row(at, Start="2026-01-05", Boss="S-001" if at != 1 else "") for at in range(40)]
    assert (await (await sync.plan_users(staff.thrive, rows, columns=columns)).apply()).ok
    for one in rows:
        one.update({"Start": "2026-01-06", "Boss": "S-002" if one["Boss"] else "", "Site": "York", "Job": "Cook"})
    plan = await sync.plan_users(staff.thrive, rows, columns=columns)
    report = await UserPlan.from_json(plan.to_json(), staff.thrive).apply()
    assert (len(report.changed), report.dropped, report.ok) == (40, (), True)


# Fields that could not be read


@pytest.fixture
async def odd() -> AsyncIterator[tuple[Sandbox, ThriveClient]]:
    """Three people in a Thrive whose answers are odd."""
    async with Sandbox(users=0, clock=VirtualClock()) as sandbox:
        for at in range(3):
            sandbox.state.add_user(ref=f"S-{at}", firstName=f"G{at}", lastName=f"F{at}", email=f"s{at}@example.org")
        async with sandbox.client(retry=Retry(max_attempts=2)) as thrive:
            yield sandbox, thrive


def spoil(sandbox: Sandbox, name: str, value: object) -> None:
    """Give a user a value that is no text, past the indexes."""
    dict[str, Any].__setitem__(sandbox.state.user("S-1"), name, value)


@pytest.mark.parametrize(
    ("name", "value", "fields"),
    [
        ("email", ["s1@example.org"], {"email"}),
        ("lastName", {"text": "F1"}, {"last_name"}),
        ("positions", "Clerk", {"job_title"}),
        ("singleSignOn", "perhaps", {"sso"}),
        ("additionalFields", "none", {"additional_fields"}),
    ],
)
async def test_a_field_that_could_not_be_read_is_left_alone(
    odd: tuple[Sandbox, ThriveClient], name: str, value: object, fields: set[str]
) -> None:
    """Not compared as if it were empty; the other fields are written."""
    spoil(odd[0], name, value)
    row = {
        "ref": "S-1",
        "first_name": "Changed",
        "last_name": "F1",
        "email": "s1@example.org",
        "job_title": "Clerk",
        "sso": "yes",
        "additional_fields.Site": "York",
    }
    plan = await sync.plan_users(odd[1], [row])
    (change,) = plan.to_update
    assert "first_name" in change.fields
    assert fields.isdisjoint(change.fields)
    (held,) = plan.held
    assert (held.ref, held.action) == ("S-1", "update")
    assert all(field in held.reason for field in fields)


@pytest.mark.parametrize(("name", "value"), [("email", ["x"]), ("status", ["active"]), ("deleted", "perhaps")])
async def test_nobody_is_suspended_because_of_a_field_that_could_not_be_read(
    odd: tuple[Sandbox, ThriveClient], name: str, value: object
) -> None:
    """Held with the name of the field, while the others are leavers."""
    spoil(odd[0], name, value)
    plan = await sync.plan_users(odd[1], [{"ref": "S-0"}], leavers="suspend")
    assert [one.ref for one in plan.to_suspend] == ["S-2"]
    assert [(one.ref, one.action) for one in plan.held] == [("S-1", "suspend")]
    assert name in plan.held[0].reason


async def test_an_account_whose_ref_could_not_be_read_gets_no_second_one(odd: tuple[Sandbox, ThriveClient]) -> None:
    """A newcomer with its name is rejected; others are created."""
    spoil(odd[0], "ref", ["S-1"])
    rows = [
        {"ref": f"S-{at}", "first_name": f"G{at}", "last_name": f"F{at}", "email": f"new{at}@example.org"}
        for at in (1, 7)
    ]
    plan = await sync.plan_users(odd[1], rows)
    assert [one.ref for one in plan.to_create] == ["S-7"]
    assert [ref for ref, _why in plan.rejected] == ["S-1"]
    assert "ref could not be read" in plan.held[0].reason


# Coming back


async def test_who_is_back_is_brought_back_only_when_asked_to(staff: World, tmp_path: Path) -> None:  # noqa: F811
    """An action of its own in plan, report and journal; the fields that differ are an update."""
    for at in (3, 4):
        staff.sandbox.state.user(f"S-{at:03}")["status"] = "inactive"
    rows = rows_of()
    rows[3]["Job"] = "Cook"
    assert (await planned(staff, rows)).returning == ("S-003", "S-004")
    plan = await planned(staff, rows, returning="unsuspend")
    assert str(plan) == "users: +0 ~1 -0 =39 (2 to unsuspend)"
    assert ([one.ref for one in plan.to_unsuspend], plan.returning, plan.calls) == (["S-003", "S-004"], (), 3)
    plan = UserPlan.from_json(plan.to_json(), staff.thrive)
    journal = tmp_path / "run.jsonl"
    report = await plan.apply(journal=journal)
    assert report.ok
    assert [(one.action, one.reference) for one in report.changed] == [
        ("unsuspend", "S-003"),
        ("unsuspend", "S-004"),
        ("update", "S-003"),
    ]
    assert report.changed[0].reason == "found done by reading; the answer was: Thrive took the event"
    assert lines(journal)[0]["planned"]["unsuspend"] == ["S-003", "S-004"]
    assert state(staff, "S-003") == {
        "firstName": "Given3",
        "lastName": "Family3",
        "email": "s3@example.org",
        "status": "active",
    }
    assert (await planned(staff, rows, returning="unsuspend")).is_empty


async def test_an_event_that_thrive_took_and_did_not_act_on_has_failed(staff: World) -> None:  # noqa: F811
    """A 2xx is no proof."""
    staff.sandbox.state.user("S-003")["status"] = "inactive"
    plan = await planned(staff, rows_of(), returning="unsuspend")
    staff.sandbox.faults.add("status", operation="sendProvisioningEvent", status=200, body={"status": "accepted"})
    report = await plan.apply()
    assert [(one.action, one.reason) for one in report.failed] == [
        ("unsuspend", "Thrive took the event (found not done by reading)")
    ]


@pytest.mark.parametrize("status", [401, 403])
async def test_without_the_right_to_send_events_everything_else_is_done(staff: World, status: int) -> None:  # noqa: F811
    """The events need a scope of their own."""
    staff.sandbox.state.user("S-003")["status"] = "inactive"
    rows = rows_of()
    rows[5]["Job"] = "Cook"
    plan = await planned(staff, rows, returning="unsuspend")
    staff.sandbox.faults.add("status", operation="sendProvisioningEvent", status=status, times=None)
    report = await plan.apply()
    assert [(one.action, one.reference) for one in report.failed] == [("unsuspend", "S-003")]
    assert [one.reference for one in report.changed] == ["S-005"]
    assert report.cause is None


async def test_who_cannot_be_told_is_not_brought_back(staff: World) -> None:  # noqa: F811
    """A new person under an old number, and an account without a name; without an address it is brought back by ref."""
    for at in (3, 4, 5):
        staff.sandbox.state.user(f"S-{at:03}")["status"] = "inactive"
    staff.sandbox.state.user("S-004")["firstName"] = None
    staff.sandbox.state.user("S-005")["email"] = None
    rows = rows_of()
    rows[3].update({"Given name": "Grace", "Surname": "Hopper", "E-mail": "grace.hopper@example.org"})
    rows[4]["Given name"] = ""
    rows[5]["E-mail"] = ""
    plan = await planned(staff, rows, returning="unsuspend")
    assert [one.ref for one in plan.to_unsuspend] == ["S-005"]
    assert [ref for ref, _why in plan.rejected] == ["S-003"]
    assert [(one.ref, one.action) for one in plan.held] == [("S-004", "unsuspend")]
    assert (await plan.apply()).changed
    assert state(staff, "S-005")["status"] == "active"
