"""What the sync commands say before they remove somebody, who they wait for, and how they end."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from thrive_async.cli._errors import CliError
from thrive_async.cli._option_types import duration, removal_limit
from thrive_async.sandbox import Sandbox
from thrive_async.share import FileShare, Scope
from thrive_async.sync import Guard
from thrive_async.sync._apply.locks import Target, exclusive, held

from .conftest import AUDIENCE, Run

SYNC = ("sync", "members", AUDIENCE)
People = Callable[[Sequence[str]], str]


@pytest.fixture
def many(served: Sandbox, tmp_path: Path) -> Callable[..., str]:
    """Twenty-five audiences of ten; writes a file in which each loses its first members."""
    made: dict[str, list[str]] = {}
    for at in range(25):
        users = [served.state.add_user(email=f"t{at}u{number}@example.com") for number in range(10)]
        served.state.add_audience(f"t{at:02}", members=[user["id"] for user in users])
        made[f"t{at:02}"] = [user["email"] for user in users]

    def many(*, losing: int, leavers: int = 1) -> str:
        rows = [
            f"{name},{email}"
            for at, (name, emails) in enumerate(made.items())
            for email in emails[leavers if at < losing else 0 :]
        ]
        path = tmp_path / "all.csv"
        path.write_text("\n".join(["audience,member", *rows, ""]), encoding="utf-8")
        return str(path)

    return many


def writes(served: Sandbox) -> int:
    return sum(entry.method != "GET" for entry in served.requests)


@contextmanager
def other_run(target: Target | None = None, journal: str | None = None) -> Iterator[None]:
    """Another run, which holds a target or a journal."""
    begun, over = Event(), Event()

    async def hold() -> None:
        async with exclusive(journal=journal), held([target] if target else []):
            begun.set()
            await asyncio.to_thread(over.wait)

    thread = Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    try:
        assert begun.wait(10)
        yield
    finally:
        over.set()
        thread.join()


# Options


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("250", 250),
        ("10%", 0.1),
        ("none", None),
        ("10%,min 1", Guard(0.1, at_least=1)),
        (" 2.5% , MIN 20", Guard(0.025, at_least=20)),
    ],
)
def test_a_limit_is_a_number_a_share_a_share_with_a_floor_or_none(text: str, limit: object) -> None:
    assert removal_limit(text, "--max-removals") == limit


@pytest.mark.parametrize("text", ["", "101%", "-1", "10%,1", "10,min 1", "1.5", "10%,min"])
def test_another_limit_is_refused(text: str) -> None:
    with pytest.raises(CliError, match="--max-removals"):
        removal_limit(text, "--max-removals")


def test_a_time_is_in_seconds_or_says_its_unit() -> None:
    assert [duration(text, "--wait").total_seconds() for text in ("0", "90", "90s", "10m", "24h", "2d")] == [
        0,
        90,
        90,
        600,
        86_400,
        172_800,
    ]
    for text in ("", "-1", "1.5h", "soon", "1w"):
        with pytest.raises(CliError, match="--wait"):
            duration(text, "--wait")


# What is said before somebody is removed


def test_whoever_is_asked_sees_who_it_is(
    terminal: Callable[..., tuple[int, str, str]], members: list[str], people: People
) -> None:
    """The first twenty, by ref and e-mail address, and how to see them all."""
    code, out, err = terminal(*SYNC, people(members[22:]), "--max-removals", "none", keys="n\n")
    assert code == 3
    told = [line for line in out.splitlines() if line.startswith("  planned  remove")]
    assert len(told) == 20
    assert all(any(member in line for member in members[:22]) for line in told)
    assert "... and 2 more planned: --dry-run --report FILE lists them all" in out
    assert f"{AUDIENCE}: remove 22 people? [y/N]" in err


def test_who_is_protected_is_held_and_shown_as_held(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    protected = tmp_path / "admins.csv"
    protected.write_text(f"email\n{members[0]}\n", encoding="utf-8")
    result = run(*SYNC, people(members[2:]), "--yes", "--protect", str(protected))
    assert result.code == 1
    assert any(line.startswith("  held  remove") and "protected" in line for line in result.lines)
    assert "1 removed" in result.lines[-1]
    assert served.state.find_user(members[0])["id"] in served.state.audiences[AUDIENCE].members
    protected.write_text("email,name\n,Ada\n", encoding="utf-8")
    result = run(*SYNC, people(members[2:]), "--yes", "--protect", str(protected))
    assert (result.code, "does not say who it is" in result.err) == (2, True)


def test_audiences_without_changes_are_one_line_and_the_total_stands_at_the_end(
    run: Run, many: Callable[..., str]
) -> None:
    result = run("sync", "audiences", many(losing=2), "--yes")
    assert result.code == 0, result
    assert result.lines == [
        "t00: +0 -1 =9",
        "t01: +0 -1 =9",
        f"no changes in {', '.join(f't{at:02}' for at in range(2, 22))} and 3 more",
        "in all: +0 -2 =248 in 25 audiences",
        "t00: 0 added, 1 removed, 0 failed, 0 not attempted, 0 found to differ",
        "t01: 0 added, 1 removed, 0 failed, 0 not attempted, 0 found to differ",
        f"no changes in {', '.join(f't{at:02}' for at in range(2, 22))} and 3 more",
        "in all: 0 added, 2 removed, 0 failed, 0 not attempted in 25 audiences",
    ]


def test_all_audiences_together_may_lose_only_so_many(run: Run, served: Sandbox, many: Callable[..., str]) -> None:
    file = many(losing=25)
    result = run("sync", "audiences", file, "--yes")
    assert result.code == 3
    assert (
        "the lists together remove 25 of 250 memberships (10.0%), --max-total-removals allows 20 (5% of" in result.err
    )
    assert "pass --max-total-removals 25" in result.err
    assert writes(served) == 0
    dry = run("sync", "audiences", file, "--dry-run", "--detailed-exitcode")
    assert (dry.code, "without --dry-run this would be refused" in dry.err) == (3, True)
    assert run("sync", "audiences", file, "--yes", "--max-total-removals", "10%").code == 0


def test_a_misspelt_audience_is_answered_with_what_may_be_meant(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    """One request for the list of audiences, and only then."""
    file = people(members)
    result = run("sync", "members", "sales-emae", file)
    assert result.code == 3
    assert f"Did you mean {AUDIENCE}?" in result.err
    assert sum(entry.operation == "listAudiences" for entry in served.requests) == 1
    assert "Did you mean" not in run("sync", "members", "zzzzzzzz", file).err
    managers = tmp_path / "managers.csv"
    managers.write_text(f"ref\n{members[0]}\n", encoding="utf-8")
    named = run("sync", "managers", "Sales-EMAE", str(managers), "--grant", "peopleManager.insights")
    assert f"Did you mean {AUDIENCE}?" in named.err
    both = tmp_path / "all.csv"
    both.write_text(f"audience,member\nsales-emae,{members[0]}\n{AUDIENCE},{members[0]}\n", encoding="utf-8")
    assert f"Did you mean {AUDIENCE}?" in run("sync", "audiences", str(both), "--dry-run").err
    served.requests.clear()
    run(*SYNC, file)
    assert not [entry for entry in served.requests if entry.operation == "listAudiences"]


def test_a_dry_run_can_say_by_its_exit_code_whether_there_is_anything_to_do(
    run: Run, members: list[str], people: People
) -> None:
    dry = ("--dry-run", "--detailed-exitcode")
    assert run(*SYNC, people(members), *dry).code == 0
    assert run(*SYNC, people(members[1:]), *dry).code == 10
    assert run(*SYNC, people(members[20:]), *dry).code == 3
    assert run(*SYNC, people(members[20:]), "--dry-run").code == 0
    assert run(*SYNC, people(members), "--detailed-exitcode").code == 2


def test_the_list_is_read_again_afterwards_unless_it_is_not_wanted(
    run: Run, served: Sandbox, members: list[str], people: People
) -> None:
    def readings() -> int:
        return sum(entry.operation == "listMembers" for entry in served.requests)

    assert "0 found to differ" in run(*SYNC, people(members[1:]), "--yes").lines[-1]
    assert readings() == 2
    served.requests.clear()
    assert "differ" not in run(*SYNC, people(members[2:]), "--yes", "--no-verify").lines[-1]
    assert readings() == 1


# One run at a time


def test_a_run_of_the_same_audience_is_refused_or_waited_for(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    """Before its list is read; a dry run keeps nobody out and waits for nobody."""
    target = Target(
        f"{served.tenant_id} {served.base_url}", "members", served.state.audiences[AUDIENCE]["id"], "the other"
    )
    file = people(members[1:])
    report = tmp_path / "report.csv"
    report.write_text("of the other run", encoding="utf-8")
    with other_run(target):
        served.requests.clear()
        result = run(*SYNC, file, "--yes", "--report", str(report))
        assert result.code == 3
        assert report.read_text(encoding="utf-8") == "of the other run"
        assert f"{AUDIENCE}: another run is going on (process {os.getpid()}" in result.err
        assert "To wait for it, pass --wait 600" in result.err
        assert not [entry for entry in served.requests if entry.operation == "listMembers"]
        assert run(*SYNC, file, "--dry-run").code == 0
        assert run(*SYNC, file, "--yes", "--wait", "1s").code == 3
    assert run(*SYNC, file, "--yes", "--wait", "1s").code == 0


def test_a_run_with_the_same_journal_is_refused(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    journal = str(tmp_path / "run.jsonl")
    with other_run(journal=journal):
        result = run(*SYNC, people(members[1:]), "--yes", "--journal", journal)
    assert (result.code, "is in use by another run" in result.err, writes(served)) == (3, True, 0)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such limit")
def test_more_audiences_than_files_may_be_open_are_locked(
    run: Run, many: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock is a file: the command asks for as many as it needs."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (100, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, limits: asked.append(limits))
    assert run("sync", "audiences", many(losing=0), "--yes").code == 0
    assert asked == [(281, 4096)]
    monkeypatch.undo()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


# Saved plans


def test_a_saved_plan_is_applied_once_and_says_its_age_and_what_it_will_do(
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path
) -> None:
    plan = str(tmp_path / "plan.json")
    run(*SYNC, people(members[2:]), "--dry-run", "--save-plan", plan)
    gone = served.state.find_user(members[0])["id"]
    audience = served.state.audiences[AUDIENCE].members
    audience.replace(served.state.users[one] for one in list(audience) if one != gone)
    result = run("plan", "apply", plan, "--yes")
    assert result.code == 0, result
    assert "made 0 min ago" in result.err
    assert result.lines[0] == f"{AUDIENCE}: +0 -1 ={len(members) - 2} (1 dropped)"
    assert result.lines[1].startswith(f"  dropped  remove  {gone}")
    assert "is gone already" in result.lines[1]
    again = run("plan", "apply", plan, "--yes")
    assert (again.code, "applied before" in again.err) == (3, True)


def test_an_old_plan_is_refused_unless_it_may_be_so_old(
    run: Run, members: list[str], people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.json"
    run(*SYNC, people(members[1:]), "--dry-run", "--save-plan", str(plan))
    saved = json.loads(plan.read_text(encoding="utf-8"))
    saved["made_at"] = (datetime.now(UTC) - timedelta(hours=30, minutes=1)).isoformat()
    plan.write_text(json.dumps(saved), encoding="utf-8")
    refused = run("plan", "apply", str(plan), "--yes")
    assert refused.code == 3
    assert "longer ago than --max-age allows (24 hours)" in refused.err
    assert "pass --max-age 31h" in refused.err
    applied = run("plan", "apply", str(plan), "--yes", "--max-age", "31h")
    assert (applied.code, "made 30 h ago" in applied.err) == (0, True)


# A disk that fills


def test_a_disk_that_fills_after_changes_is_no_wrong_usage(
    run: Run, served: Sandbox, many: Callable[..., str], tmp_path: Path, full_disk: Callable[[int], None]
) -> None:
    """What was done is told, and the exit code says that some of it was not."""
    full_disk(3)
    result = run("sync", "audiences", many(losing=12), "--yes", "--journal", str(tmp_path / "run.jsonl"))
    assert result.code == 1, result
    assert any("1 removed" in line for line in result.lines)
    assert result.lines[-1].startswith("in all: 0 added, ")


def test_the_runs_of_all_hosts_that_share_exclude_each_other(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, members: list[str], people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Was: the commands did not use THRIVE_SHARE at all."""
    share = FileShare(tmp_path / "share")
    monkeypatch.setenv("THRIVE_SHARE", str(tmp_path / "share"))
    scope = Scope.of(served.base_url, served.tenant_id)
    name = f"run members {served.state.audiences[AUDIENCE]['id']}"
    fence = asyncio.run(share.take(scope, name, 600))
    assert fence is not None
    file = people(members)
    refused = run("sync", "members", AUDIENCE, file, "--yes")
    assert (refused.code, "another run is going on" in refused.err) == (3, True)
    asyncio.run(share.give_back(scope, name, fence))
    assert run("sync", "members", AUDIENCE, file, "--yes").code == 0
