"""`thrive journal` and `thrive undo`: why she was removed, and how she comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from thrive_async.sandbox import Sandbox

from .conftest import AUDIENCE, Run

People = Callable[..., str]


@pytest.fixture
def journal(tmp_path: Path) -> str:
    return str(tmp_path / "run.jsonl")


@pytest.fixture
def removed(run: Run, served: Sandbox, people: People, members: list[str], journal: str) -> str:
    """A member whom last night's run removed, by e-mail."""
    file = people([*members[1:], "nobody@example.com"])
    result = run("sync", "members", AUDIENCE, file, "--yes", "--journal", journal, "--unknown", "remove")
    assert result.code == 1, result.err
    return members[0]


def members_of(served: Sandbox) -> set[str]:
    return set(served.state.audiences[AUDIENCE].members)


def written(journal: str) -> bytes:
    return Path(journal).read_bytes()


def test_the_journal_says_why_somebody_was_removed(run: Run, removed: str, journal: str, served: Sandbox) -> None:
    """By any of her names; a name that it does not know is told."""
    served.requests.clear()
    result = run("journal", "show", journal, "--person", removed.upper())
    head, row = result.lines
    assert head.split() == ["at", "audience", "person", "outcome", "because", "details", "operator", "run"]
    assert all(word in row for word in (AUDIENCE, removed, "removed", "not in "))
    (told,) = map(json.loads, run("journal", "show", journal, "--person", removed, "--format", "jsonl").lines)
    assert (told["email"], told["action"], told["outcome"]) == (removed, "remove", "removed")
    by_id = run("journal", "show", journal, "--person", told["id"], "--format", "jsonl").lines
    assert list(map(json.loads, by_id)) == [told]
    nothing = run("journal", "show", journal, "--person", "grace@example.com")
    assert nothing.one_line() == f"{journal} says nothing about grace@example.com"
    assert len(served.requests) == 0


def test_the_journal_is_asked_for_an_audience_and_a_time(run: Run, removed: str, journal: str) -> None:
    """As CSV for a spreadsheet, too."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    assert len(run("journal", "show", journal, "--audience", AUDIENCE).lines) == 3
    assert run("journal", "show", journal, "--audience", "legal").out.count("\n") == 1
    assert run("journal", "show", journal, "--since", tomorrow, "--format", "csv").out.count("\n") == 1
    rows = run("journal", "show", journal, "--format", "csv", "--columns", "outcome,email,because").lines
    assert rows[0] == "outcome,email,because"
    assert any(row.startswith(f"removed,{removed},not in") for row in rows)


def test_the_runs_are_listed_with_what_an_undo_takes(run: Run, removed: str, journal: str, served: Sandbox) -> None:
    """The id of the run, and what it did."""
    (told,) = map(json.loads, run("journal", "runs", journal, "--format", "jsonl").lines)
    assert (told["audiences"], told["removed"], told["failed"]) == (AUDIENCE, 1, 1)
    result = run("undo", journal, "--run", told["run"][:6], "--dry-run")
    assert f"undoing run {told['run']}" in result.err
    assert "+1 -0" in result.out


def test_undo_brings_her_back_and_undo_again_removes_her(
    run: Run, removed: str, journal: str, served: Sandbox, tmp_path: Path
) -> None:
    """The undo is a run of the same journal: looked at first, guarded, reported, and undone in turn."""
    after = members_of(served)
    dry = run("undo", journal, "--dry-run", "--detailed-exitcode")
    assert dry.code == 10
    assert removed in dry.out, dry.out
    assert members_of(served) == after
    report = tmp_path / "report.json"
    result = run("undo", journal, "--report", str(report))
    assert result.code == 0, result.err
    assert len(members_of(served)) == len(after) + 1
    (outcome,) = [
        row for row in json.loads(report.read_text(encoding="utf-8"))["outcomes"] if row["outcome"] == "added"
    ]
    assert outcome["email"] == removed
    told = run("journal", "show", journal, "--person", removed, "--format", "jsonl").lines
    assert [json.loads(line)["outcome"] for line in told] == ["removed", "added"]
    assert json.loads(told[1])["because"].startswith("undo of ")
    refused = run("undo", journal)
    assert refused.code == 3
    assert "1 person would be removed" in refused.err
    assert run("undo", journal, "--yes").code == 0
    assert members_of(served) == after


def test_an_undo_is_saved_and_applied_like_any_plan(
    run: Run, removed: str, journal: str, served: Sandbox, tmp_path: Path
) -> None:
    """For a colleague who approves it."""
    plan = str(tmp_path / "undo.json")
    assert run("undo", journal, "--only", "removals", "--save-plan", plan, "--dry-run").code == 0
    assert run("plan", "show", plan).code == 0
    before = members_of(served)
    assert run("plan", "apply", plan, "--journal", journal).code == 0
    assert len(members_of(served)) == len(before) + 1


def test_several_audiences_come_back_together(run: Run, served: Sandbox, tmp_path: Path, journal: str) -> None:
    """One command was one run."""
    names = [name for name in served.state.audiences if not served.state.audiences[name].members.__len__() < 3][:2]
    rows = ["audience,member"]
    for name in names:
        rows += [f"{name},{one}" for one in list(served.state.audiences[name].members)[1:]]
    file = tmp_path / "all.csv"
    file.write_text("\n".join([*rows, ""]), encoding="utf-8")
    before = {name: set(served.state.audiences[name].members) for name in names}
    options = ("--yes", "--journal", journal, "--max-removals", "none", "--max-total-removals", "none")
    assert run("sync", "audiences", str(file), *options).code == 0
    result = run("undo", journal)
    assert result.code == 0, result.err
    assert "2 audiences" in result.err
    assert {name: set(served.state.audiences[name].members) for name in names} == before


def test_users_get_their_fields_back(run: Run, served: Sandbox, tmp_path: Path, journal: str) -> None:
    """And how a suspended user comes back is said in the words of the command."""
    users = [user for user in served.state.users.values() if user.get("ref")]
    users.sort(key=lambda user: (user["role"], user["status"]) == ("learner", "active"))
    file = tmp_path / "users.csv"
    rows = [f"{user['ref']},{'Head of Tests' if at == 0 else ''}" for at, user in enumerate(users)]
    file.write_text("\n".join(["ref,jobTitle", *rows[:-1], ""]), encoding="utf-8")
    assert run("sync", "users", str(file), "--leavers", "suspend", "--yes", "--journal", journal).code == 0
    result = run("undo", journal, "--yes")
    assert result.code == 1
    assert "stays suspended unless you ask" in result.out
    assert "1 changed" in result.out
    result = run(
        "undo", journal, "--run", json.loads(written(journal).splitlines()[0])["sync"], "--returning", "unsuspend"
    )
    assert result.code == 0, result.out + result.err
    assert users[-1]["status"] == "active"


def test_compact_and_redact_keep_what_an_undo_needs_until_it_may_not_be_kept(
    run: Run, removed: str, journal: str, served: Sandbox
) -> None:
    """A compacted run is undone from the archive; a redacted one says that it was redacted."""
    shown = run("journal", "show", journal).out
    result = run("journal", "compact", journal, "--older-than", "0")
    assert (result.code, result.out) == (0, "")
    assert "1 run moved to" in result.one_line()
    assert removed.encode() not in written(journal)
    assert run("journal", "show", journal).out == shown
    assert "+1 -0" in run("undo", journal, "--dry-run").out
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    assert "1 run redacted" in run("journal", "redact", journal, "--before", tomorrow).one_line()
    assert "1 removed" in run("journal", "show", journal).out
    assert run("journal", "show", journal, "--person", removed).out.count("\n") == 1
    served.requests.clear()
    refused = run("undo", journal)
    assert refused.code == 3
    assert "was redacted on" in refused.one_line()
    assert len(served.requests) == 0


def test_a_journal_of_another_tenant_is_one_line_and_nothing_is_sent(
    run: Run, removed: str, journal: str, served: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids in it are other people there."""
    served.requests.clear()
    before = written(journal)
    monkeypatch.setenv("THRIVE_TENANT_ID", "eu-west-2_Elsewhere")
    result = run("undo", journal, "--yes")
    assert result.code == 2
    assert "is of the tenant" in result.one_line()
    assert len(served.requests) == 0
    assert written(journal) == before


@pytest.mark.parametrize("command", [("undo",), ("journal", "show"), ("journal", "runs"), ("journal", "compact")])
def test_what_is_no_journal_is_one_line(
    run: Run, served: Sandbox, tmp_path: Path, command: tuple[str, ...], people: People
) -> None:
    """A file that is not there is not made, and one that holds something else stays as it is."""
    missing = tmp_path / "none.jsonl"
    result = run(*command, str(missing))
    assert result.code == 2
    assert str(missing) in result.one_line()
    assert not missing.exists()
    file = people(["ada@example.com"])
    before = written(file)
    result = run(*command, file)
    assert result.code == 2
    assert "something else than a journal" in result.one_line()
    assert written(file) == before
    assert len(served.requests) == 0
    assert run(*command, str(tmp_path)).code == 2


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("--run", "ab"), "--run must be an id"),
        (("--run", "abcdef"), "has no run 'abcdef'"),
        (("--strategy", "rebuild", "--max-removals", "x"), "--max-removals x"),
    ],
)
def test_an_option_that_cannot_be_meant_is_told(  # noqa: PLR0917 - fixtures
    run: Run, removed: str, journal: str, served: Sandbox, tokens: tuple[str, ...], words: str
) -> None:
    """In the words of the command, before anything is sent."""
    served.requests.clear()
    result = run("undo", journal, *tokens)
    assert result.code == 2
    assert words in result.one_line()
    assert len(served.requests) == 0
