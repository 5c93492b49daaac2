"""`thrive sync members`: the audience ends as the file says, or nothing happens and the reason is told."""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from thrive_async import ThriveClient, sync
from thrive_async.cli import main
from thrive_async.sandbox import Sandbox
from thrive_async.sync import MemberPlan

from .conftest import AUDIENCE, Run, Terminal

SYNC = ("sync", "members", AUDIENCE)
People = Callable[..., str]
#: No name can hold a bell.
BROKEN = "bad\x07name"


def newcomers(served: Sandbox, count: int) -> list[str]:
    return [served.state.add_user(email=f"new{number}@example.com")["email"] for number in range(count)]


def emails(served: Sandbox) -> set[str]:
    return {served.state.users[user]["email"] for user in served.state.audiences[AUDIENCE].members}


def writes(served: Sandbox) -> int:
    return sum(entry.method != "GET" for entry in served.requests)


def test_the_audience_ends_as_the_file_says(run: Run, served: Sandbox, members: list[str], people: People) -> None:
    wanted = [*members[2:], *newcomers(served, 3)]
    result = run(*SYNC, people([*wanted, wanted[0].upper(), "", wanted[1]]), "--yes")
    assert result.code == 0, result
    assert emails(served) == set(wanted)
    stay = len(members) - 2
    assert result.lines == [
        f"{AUDIENCE}: +3 -2 ={stay} (2 duplicates)",
        f"{AUDIENCE}: 3 added, 2 removed, 0 failed, 0 not attempted, 0 found to differ",
    ]
    assert f"progress {AUDIENCE} done=5 total=5 failed=0 rate=" in result.err


def test_a_second_run_has_nothing_to_do(run: Run, served: Sandbox, members: list[str], people: People) -> None:
    file = people([*members[1:], *newcomers(served, 1)])
    assert run(*SYNC, file, "--yes").code == 0
    before = writes(served)
    result = run(*SYNC, file)
    assert result.code == 0
    assert result.lines[0].startswith(f"{AUDIENCE}: +0 -0 =")
    assert writes(served) == before


def test_unknown_people_fail_with_thrives_reason_and_the_others_go_through(
    run: Run, served: Sandbox, members: list[str], people: People
) -> None:
    new = newcomers(served, 2)
    result = run(*SYNC, people([*members, *new, "ghost@example.com"]))
    assert result.code == 1
    assert "  failed  add     ghost@example.com  User does not exist." in result.lines
    assert set(new) <= emails(served)


def test_a_dry_run_shows_the_plan_and_changes_nothing(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    report = tmp_path / "fates.csv"
    result = run(*SYNC, people([*members[1:], "ghost@example.com"]), "--dry-run", "--report", str(report))
    assert result.code == 0
    leaver = served.state.find_user(members[0])
    assert result.lines == [
        f"{AUDIENCE}: +1 -1 ={len(members) - 1}",
        f"  planned  remove  {leaver['id']}  {leaver['ref']}, {members[0]}",
        "  planned  add     ghost@example.com",
    ]
    assert "dry run: nothing was changed" in result.err
    assert writes(served) == 0
    rows = list(csv.DictReader(report.read_text(encoding="utf-8").splitlines()))
    assert [(row["action"], row["outcome"]) for row in rows] == [("add", "planned"), ("remove", "planned")]
    gone = served.state.find_user(members[0])
    assert (rows[1]["reference"], rows[1]["ref"] or None, rows[1]["email"]) == (gone["id"], gone["ref"], members[0])


def test_a_dry_run_says_what_the_guard_will_say(run: Run, served: Sandbox, members: list[str], people: People) -> None:
    result = run(*SYNC, people(members[:1]), "--dry-run")
    assert result.code == 0
    assert "without --dry-run this would be refused" in result.err


def test_more_removals_than_allowed_are_refused_with_the_option_that_lifts_it(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    keep = len(members) // 2
    gone = len(members) - keep
    file = people(members[:keep])
    for limit in ((), ("--max-removals", str(gone - 1)), ("--max-removals", "10%")):
        result = run(*SYNC, file, "--yes", *limit, "--report", str(tmp_path / "r.json"))
        assert result.code == 3
        assert f"removes {gone} of {len(members)} members" in result.err
        assert f"pass --max-removals {gone}" in result.err
    assert writes(served) == 0
    assert not (tmp_path / "r.json").exists()
    assert run(*SYNC, file, "--yes", "--max-removals", str(gone)).code == 0
    assert emails(served) == set(members[:keep])


def test_none_lifts_the_guard(run: Run, served: Sandbox, members: list[str], people: People) -> None:
    assert run(*SYNC, people(members[:1]), "--yes", "--max-removals", "none").code == 0
    assert emails(served) == {members[0]}


def test_removals_without_a_terminal_need_yes(run: Run, served: Sandbox, members: list[str], people: People) -> None:
    result = run(*SYNC, people(members[1:]))
    assert result.code == 3
    assert result.err.splitlines()[-1] == (
        f"thrive: {AUDIENCE}: 1 person would be removed; nothing was changed. Say --yes to do so"
    )
    assert writes(served) == 0
    assert "2 people would be removed" in run(*SYNC, people(members[2:])).err


def test_additions_need_nobody_to_agree(run: Run, served: Sandbox, members: list[str], people: People) -> None:
    assert run(*SYNC, people([*members, *newcomers(served, 1)])).code == 0


@pytest.mark.parametrize(("keys", "code"), [("y\n", 0), ("YES\n", 0), ("n\n", 3), ("\n", 3), ("", 3)])
def test_at_a_terminal_removals_are_asked_for(  # noqa: PLR0917 - fixtures
    terminal: Callable[..., tuple[int, str, str]],
    served: Sandbox,
    members: list[str],
    people: People,
    keys: str,
    code: int,
) -> None:
    ended, _, err = terminal(*SYNC, people(members[2:]), keys=keys)
    assert ended == code
    assert f"{AUDIENCE}: remove 2 people? [y/N] " in err
    assert emails(served) == set(members[2:] if code == 0 else members)


def test_a_refusal_of_the_guard_comes_before_the_question(
    terminal: Callable[..., tuple[int, str, str]], served: Sandbox, members: list[str], people: People
) -> None:
    ended, _, err = terminal(*SYNC, people(members[:1]), keys="y\n")
    assert ended == 3
    assert "[y/N]" not in err


def test_keep_extra_only_adds(run: Run, served: Sandbox, members: list[str], people: People) -> None:
    new = newcomers(served, 1)
    assert run(*SYNC, people(new), "--keep-extra").code == 0
    assert emails(served) == {*members, *new}


def test_a_file_that_names_nobody_removes_everybody_only_if_that_is_said(
    run: Run, served: Sandbox, members: list[str], people: People
) -> None:
    file = people([])
    result = run(*SYNC, file, "--yes", "--max-removals", "none")
    assert result.code == 3
    assert "pass --allow-empty" in result.err
    assert writes(served) == 0
    assert run(*SYNC, file, "--yes", "--max-removals", "none", "--allow-empty").code == 0
    assert emails(served) == set()


@pytest.mark.parametrize(("audience", "words"), [("all-staff-smart", "smart"), ("ui-made", "not API-controlled")])
def test_an_audience_that_cannot_be_written_is_refused(
    run: Run, served: Sandbox, people: People, audience: str, words: str
) -> None:
    result = run("sync", "members", audience, people(["a@example.com"]), "--yes")
    assert result.code == 3
    assert words in result.err.splitlines()[-1]
    assert writes(served) == 0


def test_the_journal_and_the_report_tell_everybodys_fate(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    new = newcomers(served, 1)
    journal, table, document = tmp_path / "run.jsonl", tmp_path / "r.csv", tmp_path / "r.json"
    names = [*members[1:], members[1], "", BROKEN, *new, "=HYPERLINK(1)@example.com"]
    file = people(names)
    result = run(*SYNC, file, "--yes", "--journal", str(journal), "--report", str(table))
    assert result.code == 1
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    assert {line.get("outcome") for line in lines} >= {"added", "removed", "failed"}
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {row["reference"]: row["outcome"] for row in csv.DictReader(stream)}
    assert rows[new[0]] == "added"
    assert rows["'=HYPERLINK(1)@example.com"] == "failed"
    assert rows["bad\\u0007name"] == "rejected"
    assert rows[members[1]] == "duplicate"
    assert list(rows.values()).count("removed") == 1

    assert run(*SYNC, file, "--yes", "--report", str(document)).code == 1
    written = json.loads(document.read_text(encoding="utf-8"))
    assert (written["added"], written["removed"], written["failed"]) == (0, 0, 1)
    assert written["unchanged"] == len(members)
    assert {outcome["reference"] for outcome in written["outcomes"]} >= {"=HYPERLINK(1)@example.com", BROKEN}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_who_was_removed_is_named_as_before(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path, suffix: str
) -> None:
    """Nobody knows people by Thrive's id: the ref and the e-mail address are in the plan's report and in the last."""
    gone = served.state.find_user(members[0])
    report = tmp_path / f"r.{suffix}"
    command = (*SYNC, people(members[1:]), "--yes", "--report", str(report))
    for options, outcome in ((("--dry-run",), "planned"), ((), "removed")):
        assert run(*command, *options).code == 0
        text = report.read_text(encoding="utf-8")
        (row,) = csv.DictReader(text.splitlines()) if suffix == "csv" else json.loads(text)["outcomes"]
        assert (row["reference"], row["outcome"]) == (gone["id"], outcome)
        assert (row["ref"], row["email"]) == (gone["ref"], members[0])


def test_who_could_not_be_removed_is_named_on_the_screen(
    run: Run, served: Sandbox, members: list[str], people: People
) -> None:
    served.faults.add("status", operation="removeMember", status=422, times=None)
    gone = served.state.find_user(members[0])
    result = run(*SYNC, people(members[1:]), "--yes")
    assert any(
        line.startswith(f"  failed  remove  {gone['id']}  {gone['ref']}, {members[0]}  422") for line in result.lines
    )


def test_entries_that_cannot_be_a_name_count_as_failed(
    run: Run, served: Sandbox, members: list[str], people: People
) -> None:
    result = run(*SYNC, people([*members, BROKEN]))
    assert result.code == 1
    assert any(line.startswith("  rejected  bad\\u0007name") for line in result.lines)


def test_verify_reads_again(run: Run, served: Sandbox, members: list[str], people: People) -> None:
    result = run(*SYNC, people([*members, *newcomers(served, 1)]), "--verify")
    assert result.code == 0
    assert "0 found to differ" in result.out


def test_rebuild_replaces_where_that_is_cheaper(run: Run, served: Sandbox, members: list[str], people: People) -> None:
    assert run(*SYNC, people(members[:5]), "--yes", "--max-removals", "none", "--strategy", "rebuild").code == 0
    assert [entry.operation for entry in served.requests if entry.method != "GET"] == ["replaceMembers"]


def test_people_come_from_standard_input_in_any_form(run: Run, served: Sandbox, members: list[str]) -> None:
    new = newcomers(served, 1)[0]
    lines = "".join(json.dumps({"mail": name}) + "\n" for name in [*members, new])
    assert run(*SYNC, "-", "--column", "mail", stdin=lines.encode()).code == 0
    assert new in emails(served)
    table = "Name;E-Mail\n" + "".join(f"x;{name}\n" for name in members)
    assert run(*SYNC, "-", "--yes", stdin=table.encode("utf-16")).code == 0
    assert emails(served) == set(members)


def test_what_a_list_writes_a_sync_reads(run: Run, served: Sandbox, members: list[str]) -> None:
    written = run("audiences", "members", "list", AUDIENCE, "--format", "csv").out
    result = run(*SYNC, "-", stdin=written.encode())
    assert result.code == 0
    assert result.lines[0] == f"{AUDIENCE}: +0 -0 ={len(members)}"
    lines = run("audiences", "members", "list", AUDIENCE, "--format", "jsonl").out
    assert run(*SYNC, "-", "--column", "userId", stdin=lines.encode()).lines[0] == result.lines[0]


def test_a_saved_plan_can_be_shown_and_applied_later(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    plan = str(tmp_path / "plan.json")
    new = newcomers(served, 2)
    assert run(*SYNC, people([*members[1:], *new]), "--dry-run", "--save-plan", plan).code == 0
    before = len(served.requests)

    shown = run("plan", "show", plan)
    assert shown.code == 0
    assert shown.lines[0] == f"{AUDIENCE}: +2 -1 ={len(members) - 1}"
    assert f"  planned  add     {new[0]}" in shown.out
    rows = list(csv.DictReader(run("plan", "show", plan, "--format", "csv").lines))
    assert [row["action"] for row in rows] == ["add", "add", "remove"]
    assert json.loads(run("plan", "show", plan, "--format", "jsonl").lines[0])["reference"] == new[0]
    assert len(served.requests) == before

    assert run("plan", "apply", plan).code == 3
    assert run("plan", "apply", plan, "--yes").code == 0
    assert emails(served) == {*members[1:], *new}


def test_what_is_no_plan_is_refused(run: Run, served: Sandbox, tmp_path: Path) -> None:
    assert "cannot read" in run("plan", "show", str(tmp_path / "none.json")).one_line()
    broken = tmp_path / "plan.json"
    broken.write_text("{}")
    result = run("plan", "show", str(broken))
    assert result.code == 2
    assert "not a saved plan" in result.one_line()


def test_a_plan_that_cannot_be_saved_is_not_applied(
    run: Run, served: Sandbox, members: list[str], people: People
) -> None:
    result = run(*SYNC, people([*members, *newcomers(served, 1)]), "--save-plan", "/nowhere/plan.json")
    assert result.code == 2
    assert "nothing was changed" in result.err
    assert writes(served) == 0


def test_thrive_failing_in_the_middle_exits_4_with_the_report_so_far(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    served.faults.add("status", operation="removeMember", status=403, times=None)
    report = tmp_path / "r.json"
    result = run(
        *SYNC, people([*members[2:], *newcomers(served, 1)]), "--yes", "--attempts", "1", "--report", str(report)
    )
    assert result.code == 4
    assert "1 added, 0 removed" in result.lines[1]
    assert "thrive: stopped: " in result.err
    assert json.loads(report.read_text())["added"] == 1


def test_a_journal_that_cannot_be_written_stops_before_the_first_write(
    run: Run, served: Sandbox, members: list[str], people: People
) -> None:
    result = run(*SYNC, people([*members, *newcomers(served, 1)]), "--journal", "/nowhere/run.jsonl")
    assert result.code == 2
    assert "/nowhere/run.jsonl" in result.err
    assert writes(served) == 0


def test_a_name_that_fits_two_people_is_told_and_never_guessed(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    for fields in ({"ref": "twin@example.com", "email": "one@example.com"}, {"ref": "T2", "email": "twin@example.com"}):
        served.state.audiences[AUDIENCE].members.add(served.state.add_user(**fields))
    report = tmp_path / "r.json"
    result = run(*SYNC, people([*members, "twin@example.com"]), "--report", str(report))
    assert result.code == 1
    assert result.lines[0].endswith("(1 ambiguous, 2 removals held)")
    assert any(line.startswith("  ambiguous  twin@example.com  fits several people: ") for line in result.lines)
    outcomes = [one["outcome"] for one in json.loads(report.read_text())["outcomes"]]
    assert sorted(outcomes) == ["ambiguous", "held", "held"]
    assert emails(served) == {*members, "one@example.com", "twin@example.com"}


def test_a_run_that_is_refused_leaves_the_report_of_the_run_before(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    """Also one that is being written right now, under the name that earlier releases shared."""
    report, part = tmp_path / "r.csv", tmp_path / ".r.csv.part"
    assert run(*SYNC, people([*members, *newcomers(served, 1)]), "--report", str(report)).code == 0
    before = report.read_text()
    part.write_text("another run")
    assert run(*SYNC, people(members[:1]), "--yes", "--report", str(report)).code == 3
    assert report.read_text() == before
    assert part.read_text() == "another run"
    assert sorted(one.name for one in tmp_path.iterdir()) == [".r.csv.part", "people.csv", "r.csv"]


def _full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["r.csv", "r.json"])
def test_a_disk_that_fills_after_the_changes_costs_the_file_and_not_the_outcomes(  # noqa: PLR0917 - fixtures
    run: Run,
    served: Sandbox,
    members: list[str],
    people: People,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """What was done is printed whole, exit code 1; the report of the run before stays, and no part of this one."""
    report = tmp_path / name
    report.write_text("before")
    new = newcomers(served, 30)
    monkeypatch.setattr("thrive_async.cli._report_file.visible", _full)
    result = run(*SYNC, people([*members[1:], *new]), "--yes", "--report", str(report))
    assert result.code == 1
    assert f"--report {report} cannot be written: No space left on device; all outcomes are on standard" in result.err
    gone = next(line for line in result.lines if line.startswith("  removed  remove  "))
    assert members[0] in gone
    assert all(any(line.startswith(f"  added  add     {one}") for line in result.lines) for one in new)
    assert report.read_text() == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["people.csv", name])


def test_a_report_that_cannot_be_put_in_place_is_kept_beside_it(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows replaces no file that Excel has open."""

    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", denied)
    result = run(*SYNC, people([*members, *newcomers(served, 1)]), "--report", str(tmp_path / "r.csv"))
    assert result.code == 1
    (kept,) = tmp_path.glob(".r.csv.*.part")
    assert f"the new file is {kept}" in result.err
    assert "new0@example.com" in kept.read_text()


def test_a_journal_whose_disk_fills_stops_the_run_with_the_report_so_far(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thrive_async.sync._apply.journal import Journal

    written = Journal.record

    def filling(journal: Journal, *rest: Any, **more: Any) -> None:
        if len(served.state.audiences[AUDIENCE].members) > before:
            _full()
        written(journal, *rest, **more)

    before = len(members)
    monkeypatch.setattr(Journal, "record", filling)
    report = tmp_path / "r.json"
    options = ("--journal", str(tmp_path / "j"), "--report", str(report), "--concurrency", "1")
    result = run(*SYNC, people([*members, *newcomers(served, 150)]), *options)
    assert result.code == 1
    assert result.err.count("thrive: stopped: No space left on device") == 1
    told = json.loads(report.read_text())
    assert told["added"] + told["not_attempted"] == 150
    assert told["added"] >= 100


def test_a_standard_output_that_fills_after_the_changes_is_not_wrong_usage(  # noqa: PLR0917 - fixtures
    served: Sandbox,
    members: list[str],
    people: People,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Filling(io.StringIO):
        def write(self, text: str) -> int:
            return _full() if " added, " in text else len(text)

    report = tmp_path / "r.json"
    command = [*SYNC, people([*members, *newcomers(served, 1)]), "--report", str(report)]
    monkeypatch.setattr(sys, "stdout", Filling())
    assert main(command) == 1
    assert "standard output cannot be written: No space left on device" in capsys.readouterr().err
    assert json.loads(report.read_text())["added"] == 1


@pytest.mark.parametrize("name", ["r.csv", "r.json"])
def test_a_report_is_readable_by_its_owner_only(
    run: Run, members: list[str], people: People, tmp_path: Path, name: str
) -> None:
    """Also where a report that everybody can read is there already."""
    report = tmp_path / name
    report.write_text("old")
    report.chmod(0o644)
    assert run(*SYNC, people(members), "--report", str(report)).code == 0
    assert report.stat().st_mode & 0o777 == 0o600
    assert "old" not in report.read_text()


@pytest.mark.parametrize("name", ["r.csv", "r.json"])
def test_broken_text_in_the_file_does_not_cost_the_report(
    run: Run, members: list[str], tmp_path: Path, name: str
) -> None:
    """Half a character in JSON lines is rejected, and told as what it is."""
    file = tmp_path / "people.jsonl"
    file.write_text("\n".join([*map(json.dumps, members), r'"\ud800abc"', r'"ghost\ud83d\ude00"']))
    report = tmp_path / name
    assert run(*SYNC, str(file), "--report", str(report), "--journal", str(tmp_path / "j")).code == 1
    written = report.read_text(encoding="utf-8")
    assert r"\ud800abc" in written
    assert "ghost😀" in written
    if name == "r.json":
        assert json.loads(written)["outcomes"][1]["reference"] == "\ud800abc"


def test_a_report_cannot_be_a_folder(run: Run, served: Sandbox, people: People, tmp_path: Path) -> None:
    folder = tmp_path / "r.csv"
    folder.mkdir()
    assert "is a folder" in run(*SYNC, people(["a@example.com"]), "--report", str(folder)).one_line()


def test_ctrl_c_at_the_question_changes_nothing(
    served: Sandbox, members: list[str], people: People, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Interrupting(Terminal):
        def readline(self, *_: object) -> str:
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the signal must end the wait")

    err = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", Interrupting())
        patch.setattr(sys, "stderr", err)
        code = main([*SYNC, people(members[1:]), "--report", str(tmp_path / "r.csv")])
    assert code == 130
    assert "Traceback" not in err.getvalue()
    assert writes(served) == 0
    assert not (tmp_path / "r.csv").exists()


def test_it_runs_outside_the_main_thread_too(
    served: Sandbox, members: list[str], people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = people(members[1:])
    codes: list[int] = []
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    monkeypatch.setattr(sys, "stderr", Terminal())
    thread = threading.Thread(target=lambda: codes.append(main([*SYNC, file])))
    thread.start()
    thread.join()
    assert codes == [0]
    assert emails(served) == set(members[1:])


def test_many_failures_are_shortened_on_the_screen_and_whole_in_the_report(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    report = tmp_path / "r.csv"
    ghosts = [f"ghost{number}@example.com" for number in range(25)]
    result = run(*SYNC, people([*members, *ghosts]), "--report", str(report))
    assert sum("ghost" in line for line in result.lines) == 20
    assert "  ... and 5 more failed: --report lists them all" in result.lines
    assert len(report.read_text().splitlines()) == 26


def test_what_members_list_prints_is_what_there_is(
    run: Run, served: Sandbox, members: list[str], tmp_path: Path
) -> None:
    """Our own exports go round: of members, of managers and of users, whoever has no ref or no e-mail address."""
    inside = list(served.state.audiences[AUDIENCE].members)
    served.state.users[inside[0]]["ref"] = None
    served.state.users[inside[1]]["email"] = None
    path = tmp_path / "export.csv"
    for command in (("audiences", "members", "list", AUDIENCE), ("users", "list")):
        path.write_text(run(*command, "--format", "csv").out, encoding="utf-8")
        result = run(*SYNC, str(path), "--dry-run")
        assert f" -0 ={len(inside)}\n" in result.out, result
    jsonl = run("audiences", "members", "list", AUDIENCE, "--format", "jsonl").out
    path.write_text(jsonl, encoding="utf-8")
    assert f"{AUDIENCE}: +0 -0 ={len(inside)}" in run(*SYNC, str(path), "--dry-run", "--input-format", "jsonl").lines


def test_where_a_column_is_blank_another_tells_who_it_is(
    run: Run, served: Sandbox, members: list[str], tmp_path: Path
) -> None:
    """Row by row, in the order in which columns are chosen; another system's userId is none of Thrive's."""
    path = tmp_path / "hr.csv"
    users = [served.state.users[one] for one in served.state.audiences[AUDIENCE].members]
    users[0]["ref"] = None
    lines = [f"{at},{user['ref'] or ''},{user['email']},N.N." for at, user in enumerate(users)]
    path.write_text("\n".join(["userId,reference,email,name", *lines, ",,,", ""]), encoding="utf-8")
    result = run(*SYNC, str(path), "--dry-run")
    assert result.lines == [f"{AUDIENCE}: +0 -0 ={len(users)}"], result
    assert f"by column 'reference', else by column 'email': {len(users)} entries" in result.err


@pytest.mark.parametrize("column", [(), ("--column", "reference")])
def test_a_row_that_names_nobody_keeps_everybody_in(
    run: Run, served: Sandbox, members: list[str], tmp_path: Path, column: tuple[str, ...]
) -> None:
    """It may be anybody's; a column that was asked for has no substitute."""
    path = tmp_path / "hr.csv"
    users = [served.state.users[one] for one in served.state.audiences[AUDIENCE].members]
    new = served.state.add_user(ref="NEW-1")
    who = "" if not column else users[1]["email"]
    lines = [f"{user['ref']},{user['email']},N.N." for user in users[2:]]
    lines += ["NEW-1,,", f",{who},Ada", "", "Smith, John,E1,a@example.com"]
    path.write_text("\n".join(["reference,email,name", *lines, ""]), encoding="utf-8")
    before = set(served.state.audiences[AUDIENCE].members)
    assert not any(user["ref"] is None for user in users[2:])
    command = (*SYNC, str(path), *column, "--max-removals", "none")
    assert run(*command, "--dry-run").code == 0
    result = run(*command)
    assert result.code == 1
    assert set(served.state.audiences[AUDIENCE].members) == before | {new["id"]}
    at = len(users) + 1
    assert result.lines[0] == f"{AUDIENCE}: +1 -0 ={len(users) - 2} (2 rejected, 2 removals held)"
    assert f"  rejected  line {at}  no usable name: column 'reference' is blank" in result.lines
    assert f"  rejected  line {at + 2}  no usable name: it has 4 columns, the first line 3" in result.lines
    assert (
        f"not removed: line {at}, line {at + 2} have no usable name and may mean this person; correct the list"
        in result.out
    )


@pytest.mark.parametrize("entry", [None, "118\nb", "two; names", "#N/A"], ids=repr)
def test_the_command_and_the_library_hold_alike(
    run: Run, served: Sandbox, members: list[str], tmp_path: Path, entry: object
) -> None:
    """The same list, as a file and as a Python list: the same people are added, removed and held."""
    inside = list(served.state.audiences[AUDIENCE].members)
    served.state.users[inside[0]]["ref"], served.state.users[inside[1]]["ref"] = "118", "two"
    desired = [*inside[3:], entry]
    path, saved = tmp_path / "people.json", tmp_path / "plan.json"
    path.write_text(json.dumps(desired), encoding="utf-8")

    async def planned() -> MemberPlan:
        async with ThriveClient(served.tenant_id, served.credentials, base_url=served.base_url) as thrive:
            return await sync.plan_members(thrive, AUDIENCE, desired)  # type: ignore[arg-type]

    here = asyncio.run(planned())
    result = run(*SYNC, str(path), "--dry-run", "--max-removals", "none", "--save-plan", str(saved))
    assert result.code == 0, result
    there = MemberPlan.load(saved)
    assert (there.to_add, there.staying) == (here.to_add, here.staying)
    assert [one.user_id for one in there.to_remove] == [one.user_id for one in here.to_remove]
    assert [one.user_id for one in there.held] == [one.user_id for one in here.held]
    assert (there.held_unless, len(there.rejected)) == (here.held_unless, len(here.rejected))
    assert here.held or here.held_unless


def _table(  # noqa: PLR0917 - of a file
    served: Sandbox, tmp_path: Path, header: str, skip: int, row: Callable[[int, Any], str], end: str
) -> Path:
    """Write a file with a row for each member but the first ones."""
    users = [served.state.users[one] for one in served.state.audiences[AUDIENCE].members]
    for at, user in enumerate(users):
        user["ref"] = f"P-{at:03}"
    path = tmp_path / "hr.csv"
    rows = [row(at, user) for at, user in enumerate(users)]
    path.write_text("\n".join([header, *rows[skip:]]) + end, encoding="utf-8")
    return path


@pytest.mark.parametrize(("header", "end"), [("ref", "\nP-00"), ("ref,email", "\nP-00")])
def test_a_file_that_is_cut_within_its_last_row_removes_nobody(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, members: list[str], tmp_path: Path, header: str, end: str
) -> None:
    """What is left of the name may be a stranger's, who does not come in either."""
    stranger = served.state.add_user(ref="P-00", email="stranger@example.com")["id"]
    path = _table(
        served, tmp_path, header, 1, lambda _, user: user["ref"] + (f",{user['email']}" if "," in header else ""), end
    )
    before = set(served.state.audiences[AUDIENCE].members)
    result = run(*SYNC, str(path), "--yes", "--max-removals", "none")
    assert result.code == 1, result
    assert set(served.state.audiences[AUDIENCE].members) == before
    assert stranger not in before
    assert "cut off" in result.out


def test_a_column_id_that_is_hrs_own_number_names_nobody(
    run: Run, served: Sandbox, members: list[str], tmp_path: Path
) -> None:
    """The number of one may be the reference of another."""
    path = _table(served, tmp_path, "id,email", 0, lambda at, user: f"P-{at + 1:03},{user['email']}", "\n")
    result = run(*SYNC, str(path), "--yes")
    assert result.lines[0] == f"{AUDIENCE}: +0 -0 ={len(members)}", result


def test_a_row_of_two_people_is_ambiguous(run: Run, served: Sandbox, members: list[str], tmp_path: Path) -> None:
    """The reference of one and the address of another: both stay."""

    def row(at: int, user: Any) -> str:
        return f"P-{at - 1 if at == 1 else at:03},{user['email']}"

    path = _table(served, tmp_path, "ref,email", 1, row, "\n")
    result = run(*SYNC, str(path), "--yes")
    assert result.code == 1
    assert result.lines[0] == f"{AUDIENCE}: +0 -0 ={len(members) - 2} (1 ambiguous, 2 removals held)"
    assert emails(served) == set(members)


@pytest.mark.parametrize(
    ("unknown", "removed"), [((), 0), (("--unknown", "hold-all"), 0), (("--unknown", "remove"), 1)]
)
def test_what_a_name_that_thrive_does_not_know_holds_can_be_chosen(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, members: list[str], people: People, unknown: tuple[str, ...], removed: int
) -> None:
    """An address with another domain; the report names both."""
    gone = served.state.users[next(iter(served.state.audiences[AUDIENCE].members))]
    gone["email"] = "zacharias.unusual@example.com"
    file = people([*members[1:], "zacharias.unusual@example.net"])
    result = run(*SYNC, file, "--yes", *unknown)
    assert result.code == 1
    assert len(served.state.audiences[AUDIENCE].members) == len(members) - removed
    if not removed:
        (line,) = (line for line in result.lines if gone["id"] in line)
        assert "the list names zacharias.unusual@example.net, which Thrive does not know" in line
