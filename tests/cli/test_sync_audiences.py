"""`thrive sync audiences`: many audiences from one file; what goes wrong with one leaves the others alone."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from thrive_async.cli._errors import CliError
from thrive_async.cli._files import parse
from thrive_async.cli._option_types import Input
from thrive_async.cli._sync_audiences import grouped
from thrive_async.sandbox import Sandbox
from thrive_async.sync import Entry

from .conftest import Run
from .test_process import started

SYNC = ("sync", "audiences")
HINT = (
    "refused: nowhere: there is no such audience, so nothing was changed. "
    "Check the reference, or create it (--create-missing, when you sync several audiences)"
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write(*rows: str, name: str = "all.csv", header: str = "audience,member") -> str:
        path = tmp_path / name
        path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def two(served: Sandbox) -> dict[str, list[str]]:
    """Two audiences of three and four members, by e-mail."""
    made: dict[str, list[str]] = {}
    for reference, count in (("berlin", 3), ("lyon", 4)):
        users = [served.state.add_user(email=f"{reference}{number}@example.com") for number in range(count)]
        served.state.add_audience(reference, parent="emea", members=[user["id"] for user in users])
        made[reference] = [user["email"] for user in users]
    return made


def emails(served: Sandbox, audience: str) -> set[str]:
    return {served.state.users[user]["email"] for user in served.state.audiences[audience].members}


def writes(served: Sandbox) -> int:
    return sum(entry.method != "GET" for entry in served.requests)


def rows(**audiences: list[str]) -> list[str]:
    return [f"{audience},{member}" for audience, members in audiences.items() for member in members]


def test_every_audience_of_the_file_ends_as_it_says_and_no_other_is_touched(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str]
) -> None:
    others = emails(served, "sales-emea")
    file = write(*rows(berlin=[*two["berlin"], two["lyon"][0]], lyon=two["lyon"][1:]))
    result = run(*SYNC, file, "--yes", "--max-removals", "50%")
    assert result.code == 0, result
    assert emails(served, "berlin") == {*two["berlin"], two["lyon"][0]}
    assert emails(served, "lyon") == set(two["lyon"][1:])
    assert emails(served, "sales-emea") == others
    assert result.lines == [
        "berlin: +1 -0 =3",
        "lyon: +0 -1 =3",
        "in all: +1 -1 =6 in 2 audiences",
        "berlin: 1 added, 0 removed, 0 failed, 0 not attempted, 0 found to differ",
        "lyon: 0 added, 1 removed, 0 failed, 0 not attempted, 0 found to differ",
        "in all: 1 added, 1 removed, 0 failed, 0 not attempted in 2 audiences",
    ]


def test_one_audiences_refusal_leaves_the_others_alone(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str], tmp_path: Path
) -> None:
    new = served.state.add_user(email="new@example.com")["email"]
    file = write(*rows(berlin=[*two["berlin"], new, "ghost@example.com"], lyon=two["lyon"][:1], nowhere=[new]))
    report = tmp_path / "r.csv"
    result = run(*SYNC, file, "--yes", "--report", str(report))
    assert result.code == 3
    assert emails(served, "berlin") == {*two["berlin"], new}
    assert emails(served, "lyon") == set(two["lyon"])
    assert "thrive: refused: lyon: the plan removes 3 of 4" in result.err
    assert "nowhere: there is no such audience" in result.err
    assert "berlin: 1 added, 0 removed, 1 failed, 0 not attempted, 0 found to differ" in result.lines
    with report.open(encoding="utf-8", newline="") as stream:
        fates = {(row["audience"], row["reference"]): row["outcome"] for row in csv.DictReader(stream)}
    assert fates["berlin", new] == "added"
    assert fates["berlin", "ghost@example.com"] == "failed"
    assert fates["lyon", ""] == fates["nowhere", ""] == "nothing was changed"


def test_what_became_of_each_is_told_in_the_order_of_the_file(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str]
) -> None:
    file = write(*rows(lyon=two["lyon"][:1], nowhere=two["lyon"], berlin=two["berlin"]))
    result = run(*SYNC, file, "--yes")
    assert result.code == 3
    assert [line.partition(":")[0] for line in result.lines[-4:]] == [
        "lyon",
        "nowhere",
        "no changes in berlin",
        "in all",
    ]


def test_some_failed_exits_1(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str], tmp_path: Path
) -> None:
    report = tmp_path / "r.json"
    file = write(*rows(berlin=[*two["berlin"], "ghost@example.com", ""], lyon=two["lyon"]))
    assert run(*SYNC, file, "--report", str(report)).code == 1
    written = json.loads(report.read_text())
    assert [audience["failed"] for audience in written["audiences"]] == [1, 0]
    assert {outcome["outcome"] for outcome in written["outcomes"]} == {"failed", "rejected"}


def test_a_dry_run_changes_nothing_and_tells_the_refusals(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str], tmp_path: Path
) -> None:
    report = tmp_path / "r.json"
    file = write(*rows(berlin=two["berlin"][:1], lyon=two["lyon"]))
    result = run(*SYNC, file, "--dry-run", "--report", str(report))
    assert result.code == 0
    assert "refused: berlin" in result.err
    assert writes(served) == 0
    written = json.loads(report.read_text())
    assert [outcome["outcome"] for outcome in written["outcomes"]] == ["planned", "planned", "nothing was changed"]


def test_one_person_plans_many_audiences_and_another_applies_them(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str], tmp_path: Path
) -> None:
    """What is made first, what cannot be, and every audience are in the file; Thrive is asked when it is applied."""
    new = served.state.add_user(email="new@example.com")["email"]
    described = write("milano,Milano,emea", name="new.csv", header="reference,name,parent")
    lists = rows(
        lyon=two["lyon"][:3], nowhere=[new], milano=[new, new], berlin=[*two["berlin"], new, "ghost@example.com"]
    )
    plan, report = str(tmp_path / "plan.json"), tmp_path / "r.csv"
    saved = run(*SYNC, write(*lists), "--create-missing", described, "--dry-run", "--save-plan", plan)
    assert f"plan saved: {plan}" in saved.err
    assert Path(plan).stat().st_mode & 0o777 == 0o600
    before = len(served.requests)
    shown = run("plan", "show", plan)
    assert [line for line in shown.lines if not line.startswith(" ")] == [
        "milano: to be created in emea",
        "lyon: +0 -1 =3",
        f"nowhere: nothing would be changed: {HINT}",
        "milano: +1 -0 =0 (1 duplicate)",
        "berlin: +2 -0 =3",
        "in all: +3 -1 =6 in 3 audiences",
    ]
    assert "  planned  add     ghost@example.com" in shown.lines
    assert "requests: 4, by rebuild 4" in shown.err
    table = run("plan", "show", plan, "--format", "csv", "--columns", "audience,action,outcome")
    assert table.lines == [
        "audience,action,outcome",
        "lyon,remove,planned",
        "milano,add,planned",
        "milano,,duplicate",
        "berlin,add,planned",
        "berlin,add,planned",
        "nowhere,,nothing was changed",
    ]
    assert len(served.requests) == before
    assert run("plan", "apply", plan, "--max-removals", "1").code == 3
    assert writes(served) == 0
    applied = run("plan", "apply", plan, "--yes", "--max-removals", "1", "--report", str(report))
    assert applied.code == 3
    assert [line.partition(":")[0] for line in applied.lines[-6:]] == [
        "lyon",
        "nowhere",
        "milano",
        "berlin",
        "  failed  add     ghost@example.com  User does not exist.",
        "in all",
    ]
    assert emails(served, "lyon") == set(two["lyon"][:3])
    assert emails(served, "milano") == {new}
    assert emails(served, "berlin") == {*two["berlin"], new}
    with report.open(encoding="utf-8", newline="") as stream:
        assert [row["outcome"] for row in csv.DictReader(stream)].count("added") == 2


def test_whoever_was_to_be_changed_in_an_audience_that_is_refused_is_in_the_report(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str], tmp_path: Path
) -> None:
    report = tmp_path / "r.json"
    file = write(*rows(berlin=two["berlin"][:1], lyon=[*two["lyon"], ""]))
    assert run(*SYNC, file, "--yes", "--report", str(report)).code == 3
    written = json.loads(report.read_text())
    assert [(one["audience"], one["outcome"]) for one in written["outcomes"]] == [
        ("lyon", "rejected"),
        ("berlin", "not attempted"),
        ("berlin", "not attempted"),
        ("berlin", "nothing was changed"),
    ]
    assert [(one["subject"], one["unchanged"]) for one in written["audiences"]] == [("lyon", 4)]


def test_removals_from_any_audience_must_be_agreed_to(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str]
) -> None:
    file = write(*rows(berlin=two["berlin"][1:], lyon=two["lyon"][1:]))
    result = run(*SYNC, file, "--max-removals", "1")
    assert result.code == 3
    assert "berlin, lyon: 2 people would be removed; nothing was changed" in result.err
    for leaver in (two["berlin"][0], two["lyon"][0]):
        assert any(line.startswith("  planned  remove") and leaver in line for line in result.lines)
    assert writes(served) == 0


def test_missing_audiences_are_created_parents_first(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str]
) -> None:
    described = write(
        "milano,Milano,europe", "europe,Europe,", "lyon,,europe", name="new.csv", header="reference,name,parent"
    )
    file = write(*rows(milano=two["berlin"], lyon=two["lyon"]))
    dry = run(*SYNC, file, "--create-missing", described, "--dry-run")
    assert dry.lines[:2] == ["europe: to be created as a structure", "milano: to be created in europe"]
    assert "milano" not in served.state.audiences
    assert run(*SYNC, file, "--create-missing", described).code == 0
    assert emails(served, "milano") == set(two["berlin"])
    assert (
        "milano,europe" in run("audiences", "list", "--columns", "reference,parent.reference", "--format", "csv").lines
    )
    wrong = write("x", name="wrong.csv", header="name")
    assert "a column 'reference'" in run(*SYNC, file, "--create-missing", wrong).one_line()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("group,member\na,b\n", "no column 'audience'"),
        ("audience,name\na,b\n", "say which column"),
        ("audience,member\na,b\n,c\n", "line 3 names a member, but no audience"),
        ("audience,member\n", "names no audience: nothing was read"),
        ("audience,member\n,\n", "names no audience: nothing was read"),
    ],
)
def test_a_file_that_does_not_say_who_goes_where_is_refused(text: str, words: str) -> None:
    with pytest.raises(CliError) as caught:
        grouped([parse(text, "f")], None, None)
    assert words in caught.value.message


def test_columns_are_found_by_name_number_and_default() -> None:
    def people(text: str, audience: str | None = None, member: str | None = None, header: bool | None = None) -> object:
        found = grouped([parse(text, "f")], audience, member, reading=Input(header=header))
        return {name: [one.name or "" for one in members] for name, members in found.items()}

    expected = {"a": ["b", ""], "c": ["d"]}
    assert people("Audience;Member\na;b\nc;d\n;\na;\n") == expected
    assert people("audience,email\na,b\nc,d\na,\n") == expected
    assert people("x,y\na,b\nc,d\na,\n", "1", "y") == expected
    assert people("a,b\nc,d\na,\n", "1", "2", header=False) == expected
    assert (
        people('{"audience":"a","member":"b"}\n{"audience":"c","member":"d"}\n{"audience":"a","member":null}')
        == expected
    )
    with pytest.raises(CliError, match="the same column"):
        grouped([parse("audience,email\na,b\n", "f")], None, "audience")


def named(line: int, name: str | None = None, *also: str) -> Entry:
    return Entry(name=name, also=also, where=f"line {line}")


def unnamed(line: int) -> Entry:
    return Entry(where=f"line {line}", doubt="column 'member' is blank")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The audience should have no members.
        ("audience,member\na,\na,\nb,x\n", {"a": [], "b": [named(4, "x")]}),
        # Somebody is meant.
        ("audience,member\na,x\na,\n\nb,y\n", {"a": [named(2, "x"), unnamed(3)], "b": [named(5, "y")]}),
        ("audience,member,name\na,,Ann\nb,,\n", {"a": [unnamed(2)], "b": []}),
        ("audience,member,name\na,,\na,,Ann\n", {"a": [unnamed(2), unnamed(3)]}),
        ("audience,member,email\na,,ann@example.com\n", {"a": [named(2, None, "ann@example.com")]}),
        (
            "audience,member\na,Smith, Ann\na,x\n",
            {
                "a": [
                    Entry(name="Smith", where="line 2", doubt="it has 3 columns, the first line 2"),
                    named(3, "x"),
                ]
            },
        ),
    ],
)
def test_lines_that_name_nobody(text: str, expected: object) -> None:
    """A line with nothing but an audience says that it is empty, if it has no other; else it may mean anybody."""
    assert grouped([parse(text, "f", delimiter=",")], None, None) == expected


def test_from_an_audience_with_a_line_of_nobody_nobody_is_removed(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str], tmp_path: Path
) -> None:
    """The others are as if nothing was."""
    report = tmp_path / "r.csv"
    file = write(*rows(berlin=[*two["berlin"][1:], ""], lyon=two["lyon"][1:]))
    result = run(*SYNC, file, "--yes", "--max-removals", "1", "--report", str(report))
    assert result.code == 1
    assert emails(served, "berlin") == set(two["berlin"])
    assert emails(served, "lyon") == set(two["lyon"][1:])
    assert "  rejected  line 4  no usable name: column 'member' is blank" in result.lines
    with report.open(encoding="utf-8", newline="") as stream:
        fates = {(row["audience"], row["outcome"]): row["reason"] for row in csv.DictReader(stream)}
    assert fates.keys() == {("berlin", "held"), ("berlin", "rejected"), ("lyon", "removed")}
    assert (
        fates["berlin", "held"] == "not removed: line 4 has no usable name and may mean this person; correct the list"
    )


def test_who_is_listed_under_an_audience_in_another_case_is_not_removed(
    run: Run, served: Sandbox, two: dict[str, list[str]], write: Callable[..., str]
) -> None:
    """There is no such audience, and that is refused; the one that may be meant keeps everybody."""
    file = write(*rows(berlin=two["berlin"][1:], Berlin=two["berlin"][:1]))
    result = run(*SYNC, file, "--yes", "--max-removals", "none")
    assert result.code == 3
    assert emails(served, "berlin") == set(two["berlin"])
    assert "berlin: +0 -0 =2 (1 removal held)" in result.lines
    assert "the lists also name Berlin" in result.out


def test_interrupting_it_accounts_for_everybody(
    served: Sandbox, two: dict[str, list[str]], write: Callable[..., str], tmp_path: Path
) -> None:
    new = [served.state.add_user(email=f"new{number}@example.com")["email"] for number in range(300)]
    served.faults.add("latency", operation="addMembers", seconds=0.2, times=None)
    report, journal = tmp_path / "r.json", tmp_path / "run.jsonl"
    file = write(*rows(berlin=[*two["berlin"], *new], lyon=[*two["lyon"], *new]))
    command = (*SYNC, file, "--concurrency", "1", "--report", str(report), "--journal", str(journal))
    with started(*command) as process:
        while not journal.exists() or '"added"' not in journal.read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    outcomes = json.loads(report.read_text())["outcomes"]
    assert len(outcomes) == 600
    added = [outcome for outcome in outcomes if outcome["outcome"] == "added"]
    assert 100 <= len(added) < 600
    assert len(added) == sum(len(served.state.audiences[name].members) for name in two) - 7
