"""`thrive sync users`: accounts end as the HR export says, and what cannot be done is told."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from thrive_async.cli._errors import CliError
from thrive_async.cli._files import parse
from thrive_async.cli._sync_users import mapping
from thrive_async.sandbox import Sandbox

from .conftest import Run

MAP = ("--map", "ref=Employee ID", "--map", "first_name=Given", "--map", "last_name=Surname", "--map", "email=Mail")
HEADER = ["Employee ID", "Given", "Surname", "Mail", "Unused"]


@pytest.fixture
def export(tmp_path: Path, served: Sandbox) -> Callable[..., str]:
    """Write an export of every active user with a ref; `more` are further rows, `without` are refs left out."""

    def export(*more: list[str], without: tuple[str, ...] = ()) -> str:
        path = tmp_path / "hr.csv"
        rows = [
            [user["ref"], user.get("firstName") or "", user.get("lastName") or "", user.get("email") or "", "x"]
            for user in served.state.users.values()
            if user.get("ref") and user["ref"] not in without and user.get("status") not in {"inactive", "expired"}
            and not user.get("deleted")
        ]  # fmt: skip
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            csv.writer(stream, delimiter=";").writerows([HEADER, *rows, *more])
        return str(path)

    return export


def writes(served: Sandbox) -> list[str | None]:
    return [entry.operation for entry in served.requests if entry.method != "GET"]


def active_refs(served: Sandbox) -> list[str]:
    return [
        user["ref"]
        for user in served.state.users.values()
        if user.get("ref") and user.get("status") not in {"inactive", "expired"} and not user.get("deleted")
    ]


def test_an_export_that_says_what_is_there_changes_nothing(
    run: Run, served: Sandbox, export: Callable[..., str]
) -> None:
    result = run("sync", "users", export(), *MAP, "--leavers", "suspend")
    assert result.code == 0, result
    assert result.lines[0].startswith(f"users: +0 ~0 -0 ={len(active_refs(served))}")
    assert writes(served) == []


def test_people_are_created_updated_and_suspended(
    run: Run, served: Sandbox, export: Callable[..., str], tmp_path: Path
) -> None:
    leaver, changed = active_refs(served)[:2]
    report = tmp_path / "r.csv"
    file = export(
        ["N1", "Ada", "Lovelace", "ada@example.com", ""],
        [changed, "Renamed", "Person", "", ""],
        without=(leaver, changed),
    )
    command = ("sync", "users", file, *MAP, "--leavers", "suspend", "--report", str(report))
    refused = run(*command)
    assert refused.code == 3
    assert "users: 1 person would be suspended; nothing was changed" in refused.err
    assert writes(served) == []
    result = run(*command, "--yes")
    assert result.code == 0, result
    assert result.lines[1] == "users: 1 added, 1 changed, 1 removed, 0 failed, 0 not attempted"
    assert sorted(name or "" for name in writes(served)) == ["createUser", "suspendUser", "updateUser"]
    assert served.state.by_ref("N1") is not None
    rows = {
        row["reference"]: (row["action"], row["outcome"]) for row in csv.DictReader(report.read_text().splitlines())
    }
    assert rows == {"N1": ("create", "added"), changed: ("update", "changed"), leaver: ("suspend", "removed")}
    assert run(*command).code == 0


def test_a_dry_run_and_a_saved_plan_change_nothing_until_it_is_applied(
    run: Run, served: Sandbox, export: Callable[..., str], tmp_path: Path
) -> None:
    plan = str(tmp_path / "users.json")
    leaver = active_refs(served)[0]
    file = export(["N1", "Ada", "Lovelace", "ada@example.com", ""], without=(leaver,))
    command = ("sync", "users", file, *MAP, "--leavers", "suspend")
    assert run(*command, "--dry-run", "--save-plan", plan).code == 0
    assert writes(served) == []
    shown = run("plan", "show", plan)
    assert shown.lines[0].startswith("users: +1 ~0 -1 =")
    assert "  planned  create  N1" in shown.lines
    assert f"  planned  suspend  {leaver}" in shown.lines
    assert "requests: 2" in shown.err
    result = run("plan", "apply", plan, "--yes", "--strategy", "rebuild")
    assert result.code == 2
    assert "is for plans of members" in result.err
    assert writes(served) == []
    assert run("plan", "apply", plan, "--yes").code == 0
    assert sorted(name or "" for name in writes(served)) == ["createUser", "suspendUser"]


def test_a_row_of_nobody_keeps_everybody_from_being_suspended(
    run: Run, served: Sandbox, export: Callable[..., str], tmp_path: Path
) -> None:
    """It may be the leaver's: that is told on the screen, in the report and by the exit code."""
    report = tmp_path / "r.json"
    leaver = active_refs(served)[0]
    file = export(["", "Ada", "Lovelace", "", ""], ["N1", "Bo", "Berg", "bo@example.com", ""], without=(leaver,))
    command = ("sync", "users", file, *MAP, "--leavers", "suspend", "--report", str(report))
    dry = run(*command, "--dry-run")
    assert dry.code == 0
    assert "1 rejected, 1 suspension held" in dry.lines[0]
    assert any(line.startswith(f"  held  suspend  {leaver}  not suspended: row ") for line in dry.lines)
    result = run(*command)
    assert result.code == 1
    assert "users: 1 added, 0 removed, 0 failed, 0 not attempted, 1 rejected, 1 held" in result.lines
    assert served.state.by_ref(leaver)["status"] != "inactive"  # type: ignore[index]
    written = json.loads(report.read_text())
    assert (written["rejected"], written["held"]) == (1, 1)
    assert {(one["reference"], one["outcome"]) for one in written["outcomes"]} >= {
        (leaver, "held"),
        ("N1", "added"),
    }


def test_the_guard_holds_for_suspensions(run: Run, served: Sandbox, export: Callable[..., str]) -> None:
    half = tuple(active_refs(served)[::2])
    result = run("sync", "users", export(without=half), *MAP, "--leavers", "suspend", "--yes")
    assert result.code == 3
    assert "users: the plan suspends" in result.err
    assert writes(served) == []


def test_leavers_are_ignored_unless_said_otherwise(run: Run, served: Sandbox, export: Callable[..., str]) -> None:
    assert run("sync", "users", export(without=tuple(active_refs(served)[::2])), *MAP).code == 0
    assert writes(served) == []


def test_rows_that_nothing_can_be_done_for_are_told(run: Run, served: Sandbox, export: Callable[..., str]) -> None:
    served.state.add_user(ref="gone", email="gone@example.com", active=False)
    result = run(
        "sync", "users", export(["N1", "", "Lovelace", "ada@example.com", ""], ["gone", "Added", "", "", ""]), *MAP
    )
    assert result.code == 1
    assert any(line.startswith("  rejected  N1") and "first_name" in line for line in result.lines)
    assert any(line.startswith("  suspended  gone") and "--returning unsuspend" in line for line in result.lines)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("--map", "ref"), "write the field and the column, as in ref=EmployeeID"),
        (("--map", "ref=Employee ID", "--map", "ref=Mail"), "ref is mapped twice"),
        (("--map", "ref=Personnel"), "no column 'Personnel'; --map ref= can be 'Employee ID'"),
        (("--map", "colour=Mail"), "no user field 'colour'"),
        (("--map", "email=Mail"), "ref"),
        ((), "no user field 'Employee ID'"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(
    run: Run, served: Sandbox, export: Callable[..., str], tokens: tuple[str, ...], words: str
) -> None:
    result = run("sync", "users", export(), *tokens)
    assert result.code == 2, result
    assert words in result.err.splitlines()[-1]
    assert writes(served) == []


def test_one_map_may_be_followed_by_several(run: Run, served: Sandbox, export: Callable[..., str]) -> None:
    result = run("sync", "users", export(), "--map", "ref=Employee ID", "first_name=2", "last_name=surname")
    assert result.code == 0, result
    assert "fields ref, first_name, last_name" in result.err


def test_half_a_row_is_no_person_with_empty_fields() -> None:
    with pytest.raises(CliError, match="line 3 has 1 column, the first line 2"):
        mapping((), [parse("ref,email\nE1,a@x\nE2\n", "f").with_header()])
    with pytest.raises(CliError, match="line 2 has 3 columns, the first line 2"):
        mapping((), [parse("ref,email\nE1,a@x,b@x\nE2,\n", "f").with_header()])
    columns, rows = mapping((), [parse("ref,email\n\nE1,,\n,\n", "f").with_header()])
    assert columns == {"ref": "ref", "email": "email"}
    assert rows == [{"ref": "E1", "email": ""}]


def test_a_row_without_anything_that_is_mapped_is_still_somebodys() -> None:
    rows = mapping(("ref=ref",), [parse("ref,name\nE1,Ann\n,Bo\n,\n,Cy", "f").with_header()])[1]
    assert rows == [{"ref": "E1"}, {"ref": ""}, {"ref": ""}]


def test_managers_plans_of_the_sdk_can_be_shown_and_applied(run: Run, served: Sandbox, tmp_path: Path) -> None:
    import asyncio

    from thrive_async import sync
    from thrive_async.models import ManagerGrant, ManagerGrantPermissions

    path = str(tmp_path / "managers.json")
    user = served.state.add_user(ref="M1", email="m1@example.com")
    served.state.audiences["sales-emea"].managers.clear()

    grant = ManagerGrant(reference=user["ref"], permissions=ManagerGrantPermissions())

    async def make() -> None:
        async with served.client() as thrive:
            (await sync.plan_managers(thrive, "sales-emea", [grant])).save(path)

    asyncio.run(make())
    shown = run("plan", "show", path, "--format", "jsonl")
    assert [json.loads(line)["reference"] for line in shown.lines] == ["M1"]
    assert run("plan", "apply", path, "--strategy", "rebuild").code == 2
    assert run("plan", "apply", path).code == 0
    assert "M1" in run("audiences", "managers", "list", "sales-emea", "--format", "csv").out


def test_a_managers_plan_names_everybody() -> None:
    from thrive_async.cli._plan_views import ManagersView
    from thrive_async.models import AudienceManager
    from thrive_async.sync import ManagerPlan

    plan = ManagerPlan(
        tenant="t",
        audience="sales-emea",
        audience_id="A",
        to_add=(),
        to_change=(),
        to_remove=(AudienceManager(user_id="U1", reference="E1", email=None, permissions=None),),
        staying=(),
        ambiguities={"twin": ("U2", "U3")},
        duplicates=("E9",),
    )
    view = ManagersView(plan)
    assert [(one["action"], one["reference"], one["ref"]) for one in view.planned()] == [("remove", "U1", "E1")]
    assert [one["outcome"] for one in view.unplanned()] == ["duplicate", "ambiguous"]
    assert view.calls == "requests: 1"


def said(sentence: str) -> bool:
    """Whether the page of the command line says so, wherever its lines break."""
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    return sentence in " ".join(page.split())


def test_a_dry_run_is_no_refusal_but_without_a_plan_it_is_one_as_the_page_says(
    run: Run, served: Sandbox, export: Callable[..., str], tmp_path: Path
) -> None:
    assert said("| a guard would refuse it | 0 | 3 |")
    assert said("| no plan: no such audience, or a file that names no one | 3 | 3 |")
    half = export(without=tuple(active_refs(served)[::2]))
    result = run("sync", "users", half, *MAP, "--leavers", "suspend", "--dry-run")
    assert (result.code, "without --dry-run this would be refused: users: the plan suspends" in result.err) == (0, True)
    people = tmp_path / "people.csv"
    people.write_text("email\nsomebody@example.com\n")
    assert run("sync", "members", "nowhere", str(people), "--dry-run").code == 3
    people.write_text("email,x\n,1\n")
    assert run("sync", "members", "sales-emea", str(people), "--dry-run").code == 3
    assert writes(served) == []


def test_half_a_row_and_suspended_users_are_treated_as_the_page_says(
    run: Run, served: Sandbox, export: Callable[..., str], tmp_path: Path
) -> None:
    assert said("A row with fewer columns than the header is refused with exit code 2, before anything is sent")
    assert said("The exit code stays 0.")
    file = Path(export())
    asked = len(served.requests)
    file.write_text(file.read_text(encoding="utf-8-sig") + "N1;Half\n")
    assert "has 2 columns, the first line 5" in run("sync", "users", str(file), *MAP, "--blank", "clear").one_line()
    assert run("sync", "users", str(file), *MAP).code == 2
    assert len(served.requests) == asked
    served.state.add_user(ref="gone", firstName="G", lastName="One", email="gone@example.com", status="inactive")
    result = run("sync", "users", export(["gone", "G", "One", "gone@example.com", ""]), *MAP)
    assert result.code == 0
    assert any(line.startswith("  suspended  gone") for line in result.lines)


# Names, addresses, accounts


def plain_people(served: Sandbox, count: int = 8) -> list[list[str]]:
    """Put users with plain names into Thrive, and return their rows."""
    rows = [[f"Q-{at}", f"Given{at}", f"Family{at}", f"q{at}@example.com", ""] for at in range(count)]
    for ref, first, last, email, _unused in rows:
        served.state.add_user(ref=ref, firstName=first, lastName=last, email=email)
    return rows


@pytest.fixture
def sheet(tmp_path: Path) -> Callable[[list[list[str]]], str]:
    """Write these rows."""

    def sheet(rows: list[list[str]]) -> str:
        path = tmp_path / "export.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([HEADER, *rows])
        return str(path)

    return sheet


@pytest.fixture
def report_people(served: Sandbox) -> list[list[str]]:
    """Eight users with plain names, as rows."""
    return plain_people(served)


Write = Callable[[list[list[str]]], str]


def test_a_column_that_slipped_is_refused_and_the_way_on_is_an_option(run: Run, served: Sandbox, sheet: Write) -> None:
    rows = plain_people(served)
    for row, email in zip(rows, ["x@example.com", *(row[3] for row in rows)], strict=False):
        row[3] = email
    command = ("sync", "users", sheet(rows), *MAP, "--yes")
    refused = run(*command)
    assert refused.code == 3
    assert "of 8 of 8 people (100.0%), --max-changes allows 5" in refused.err
    assert "pass --max-changes 8" in refused.err
    assert run(*command, "--dry-run").code == 0
    assert writes(served) == []
    assert run(*command, "--max-changes", "8").code == 0
    assert served.state.by_ref("Q-7")["email"] == "q6@example.com"  # type: ignore[index]
    assert "write a number of people" in run(*command, "--max-changes", "x").one_line()


def test_another_name_needs_consent_and_a_job_title_does_not(
    run: Run, served: Sandbox, sheet: Write, terminal: Callable[..., tuple[int, str, str]]
) -> None:
    """Whose name becomes what is said before anything is done."""
    rows = plain_people(served)
    rows[2][2] = "Married"
    command = ("sync", "users", sheet(rows), *MAP)
    refused = run(*command)
    assert refused.code == 3
    assert "  planned  update  Q-2  last_name: Family2 -> Married" in refused.lines
    assert "1 person would be given another name or e-mail address; nothing was changed. Say --yes" in refused.err
    assert writes(served) == []
    code, _out, err = terminal(*command, keys="n\n")
    assert (code, "users: change the name or e-mail address of 1 person?" in err) == (3, True)
    assert writes(served) == []
    code, _out, err = terminal(*command, keys="y\n")
    assert (code, served.state.by_ref("Q-2")["lastName"]) == (0, "Married")  # type: ignore[index]
    titles = [[ref, "Cook", "", "", ""] for ref, *_rest in rows]
    assert run("sync", "users", sheet(titles), "--map", "ref=1", "--map", "job_title=2").code == 0


def test_many_changes_are_said_in_part(run: Run, served: Sandbox, sheet: Write) -> None:
    rows = plain_people(served, 25)
    for row in rows:
        row[2] += "x"
    result = run("sync", "users", sheet(rows), *MAP, "--max-changes", "none")
    assert result.code == 3
    assert sum(" -> " in line for line in result.lines) == 20
    assert "  ... and 5 more planned: --dry-run --report FILE lists them all" in result.lines


@pytest.mark.parametrize(("suffix", "dry"), [(".csv", True), (".csv", False), (".json", True), (".json", False)])
def test_a_report_has_the_old_and_the_new_values(
    run: Run, sheet: Write, report_people: list[list[str]], suffix: str, dry: bool
) -> None:
    report_people[2][2:4] = ["Married", "married@example.com"]
    file = sheet(report_people)
    report = Path(file).with_suffix(f".report{suffix}")
    command = ("sync", "users", file, *MAP, "--yes", "--report", str(report))
    assert run(*command, *(["--dry-run"] if dry else [])).code == 0
    if suffix == ".json":
        (found,) = json.loads(report.read_text())["outcomes"]
        changes = found["changes"]
    else:
        (found,) = csv.DictReader(report.read_text().splitlines())
        changes = json.loads(found["changes"])
    assert found["outcome"] == ("planned" if dry else "changed")
    assert changes == {"last_name": ["Family2", "Married"], "email": ["q2@example.com", "married@example.com"]}


def test_a_saved_plan_knows_old_and_new_and_has_the_same_guard(
    run: Run, served: Sandbox, sheet: Write, tmp_path: Path
) -> None:
    rows = plain_people(served)
    for row in rows[:6]:
        row[2] += "x"
    plan = str(tmp_path / "plan.json")
    assert run("sync", "users", sheet(rows), *MAP, "--dry-run", "--save-plan", plan).code == 0
    assert "  planned  update  Q-0  last_name: Family0 -> Family0x" in run("plan", "show", plan).lines
    assert "--max-changes allows 5" in run("plan", "apply", plan, "--yes").err
    assert run("plan", "apply", plan, "--max-changes", "6").code == 3
    assert writes(served) == []
    assert run("plan", "apply", plan, "--yes", "--max-changes", "6").code == 0


def test_an_account_passes_to_a_new_person_only_if_that_is_meant(run: Run, served: Sandbox, sheet: Write) -> None:
    rows = plain_people(served)
    rows[2][1:4] = ["Grace", "Hopper", "grace.hopper@example.com"]
    command = ("sync", "users", sheet(rows), *MAP, "--yes")
    result = run(*command)
    assert result.code == 1
    assert any(line.startswith("  rejected  Q-2  looks like a new person under an old number") for line in result.lines)
    assert writes(served) == []
    assert run(*command, "--allow-takeover").code == 0
    assert served.state.by_ref("Q-2")["lastName"] == "Hopper"  # type: ignore[index]


def test_a_user_who_is_back_is_brought_back_if_that_is_asked_for(
    run: Run, served: Sandbox, sheet: Write, tmp_path: Path
) -> None:
    rows = plain_people(served)
    served.state.by_ref("Q-2")["status"] = "inactive"  # type: ignore[index]
    report = tmp_path / "r.json"
    result = run("sync", "users", sheet(rows), *MAP, "--returning", "unsuspend", "--report", str(report))
    assert result.code == 0, result
    assert served.state.by_ref("Q-2")["status"] == "active"  # type: ignore[index]
    (one,) = json.loads(report.read_text())["outcomes"]
    assert (one["action"], one["reference"], one["outcome"]) == ("unsuspend", "Q-2", "changed")


def test_protected_users_stay(run: Run, served: Sandbox, export: Callable[..., str], tmp_path: Path) -> None:
    leaver, other = active_refs(served)[:2]
    protect = tmp_path / "protect.csv"
    protect.write_text(f"ref\n{leaver}\n")
    command = ("sync", "users", export(without=(leaver, other)), *MAP, "--leavers", "suspend", "--yes")
    result = run(*command, "--protect", str(protect), "--max-removals", "none")
    assert result.code == 1
    assert any(line.startswith(f"  held  suspend  {leaver}") and "protected" in line for line in result.lines)
    assert served.state.by_ref(leaver)["status"] != "inactive"  # type: ignore[index]
    assert served.state.by_ref(other)["status"] == "inactive"  # type: ignore[index]


# Who the export says has left


def test_the_export_can_say_who_has_left_and_from_which_day(run: Run, served: Sandbox, tmp_path: Path) -> None:
    """Users who are missing from it stay; a day to come, or one that cannot be read, suspends no one yet."""
    refs = active_refs(served)
    path = tmp_path / "hr.csv"
    path.write_text(
        "Nr,Status,Until\n"
        f"{refs[0]},Left,\n{refs[1]},terminated,31/12/2020\n{refs[2]},Left,31/12/2999\n{refs[3]},Left,soon\n"
        f"{refs[4]},Active,\n{refs[5]},#N/A,\nN1,Left,\n"
    )
    command = ("sync", "users", str(path), "--map", "ref=Nr", "end_date=Until", "--left", "Status=Left,Terminated")
    result = run(*command, "--date-format", "DD/MM/YYYY", "--leavers", "listed", "--yes", "--max-removals", "2")
    assert result.code == 1, result
    assert {*refs} - {*active_refs(served)} == {*refs[:2]}
    assert f"{refs[3]}" in result.out
    assert "createUser" not in writes(served)


def test_people_who_have_left_are_left_alone_unless_leavers_says_otherwise(
    run: Run, served: Sandbox, export: Callable[..., str]
) -> None:
    leaver = active_refs(served)[0]
    file = export([leaver, "Other", "Name", "", "gone"], without=(leaver,))
    result = run("sync", "users", file, *MAP, "--left", "Unused=gone")
    assert result.code == 0, result
    assert writes(served) == []
    result = run("sync", "users", file, *MAP, "--left", "Unused=gone", "--leavers", "suspend", "--yes")
    assert result.code == 0, result
    assert writes(served) == ["suspendUser"]


def test_a_number_that_was_given_to_another_person_suspends_no_one(
    run: Run, served: Sandbox, export: Callable[..., str]
) -> None:
    """The row of the leaver is of the person who had the number before."""
    leaver = active_refs(served)[0]
    file = export([leaver, "Quite", "Different", "quite.different@example.com", "gone"], without=(leaver,))
    result = run("sync", "users", file, *MAP, "--left", "Unused=gone", "--leavers", "listed", "--yes")
    assert result.code == 1, result
    assert "looks like a new person under an old number" in result.out
    assert writes(served) == []


@pytest.mark.parametrize(("options", "words"), [
    (("--leavers", "listed"), "--leavers listed needs --left"),
    (("--left", "Status"), "--left 'Status': write the column and the value"),
    (("--left", "State=Left"), "no column 'State'; --left can be"),
    (("--date-format", "MM/YYYY"), "--date-format MM/YYYY: write day, month and year"),
])  # fmt: skip
def test_what_says_nothing_of_leavers_or_dates_is_refused(
    run: Run, served: Sandbox, export: Callable[..., str], options: tuple[str, ...], words: str
) -> None:
    result = run("sync", "users", export(), *MAP, *options)
    assert result.code == 2
    assert words in result.one_line()
    assert len(served.requests) == 0


@pytest.mark.parametrize(("form", "written"), [
    ("DD/MM/YYYY", "03/04/2026"), ("d.m.yyyy", "3.4.2026"), ("DDMMYY", "030426"), ("%d-%b-%Y", "03-Apr-2026"),
    ("YYYY/MM/DD", " 2026/04/03 "),
])  # fmt: skip
def test_dates_are_read_as_they_are_written(form: str, written: str) -> None:
    sheet = parse(f"ref,start_date,job_title\nE1,{written},{written}\nE2,03-2026,\n", "f").with_header()
    rows = mapping((), [sheet], date_format=form)[1]
    assert [row["start_date"] for row in rows] == ["2026-04-03", "03-2026"]
    assert rows[0]["job_title"] == written.lstrip() or rows[0]["job_title"] == written
