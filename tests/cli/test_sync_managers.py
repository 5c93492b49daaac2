"""`thrive sync managers`: whoever is in the file manages the audience, with the permissions that it gives."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from thrive_async.cli._errors import CliError
from thrive_async.cli._files import parse
from thrive_async.cli._people import people_in
from thrive_async.cli._sync_managers import granted
from thrive_async.models import ManagerGrant
from thrive_async.sandbox import Sandbox
from thrive_async.sync import Entry
from thrive_async.sync.permissions import writable_permissions

from .conftest import AUDIENCE, Run

INSIGHTS = "peopleManager.insights"


@pytest.fixture
def managers(tmp_path: Path, served: Sandbox) -> Callable[..., str]:
    """Write a file of these rows; two people manage `sales-emea` already, E00002 and E00003, with the same rights."""
    assert len(served.state.audiences[AUDIENCE].managers) == 2

    def managers(*rows: str) -> str:
        path = tmp_path / "managers.csv"
        path.write_text("\n".join([*rows, ""]), encoding="utf-8")
        return str(path)

    return managers


def rights(served: Sandbox) -> dict[str, set[str]]:
    """Who manages the audience, by ref, with what is given and can be written."""
    return {
        served.state.users[user_id]["ref"]: {
            f"{group}.{flag}" for group, flags in given.items() for flag, value in flags.items() if value
        }
        for user_id, given in served.state.audiences[AUDIENCE].managers.items()
    }


def writes(served: Sandbox) -> list[str | None]:
    return [entry.operation for entry in served.requests if entry.method != "GET"]


def test_managers_are_added_changed_and_removed(run: Run, served: Sandbox, managers: Callable[..., str]) -> None:
    file = managers(f"ref,Name,{INSIGHTS},audience_manager.manage_content", "E00003,Ann,yes,no", "E00005,Bob, TRUE ,1")
    dry = run("sync", "managers", AUDIENCE, file, "--dry-run")
    assert dry.code == 0, dry
    assert dry.lines[0] == f"{AUDIENCE} (managers): +1 ~1 -1 =0"
    assert writes(served) == []
    refused = run("sync", "managers", AUDIENCE, file, "--yes", "--max-removals", "10%")
    assert refused.code == 3
    assert "removes 1 of 2 managers" in refused.err
    unasked = run("sync", "managers", AUDIENCE, file, "--max-removals", "1")
    assert unasked.code == 3
    assert "--yes" in unasked.err
    assert writes(served) == []
    done = run("sync", "managers", AUDIENCE, file, "--max-removals", "1", "--yes")
    assert done.code == 0, done
    assert (
        done.lines[-1]
        == f"{AUDIENCE} (managers): 1 added, 1 changed, 1 removed, 0 failed, 0 not attempted, 0 found to differ"
    )
    assert rights(served) == {"E00003": {INSIGHTS}, "E00005": {INSIGHTS, "audienceManager.manageContent"}}
    again = run("sync", "managers", AUDIENCE, file)
    assert again.lines[0] == f"{AUDIENCE} (managers): +0 ~0 -0 =2"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_the_list_prints_can_be_given_back(run: Run, served: Sandbox, tmp_path: Path, form: str) -> None:
    """The flags that Thrive only shows are passed over."""
    path = tmp_path / f"managers.{form}"
    path.write_text(run("audiences", "managers", "list", AUDIENCE, "--format", form).out, encoding="utf-8")
    result = run("sync", "managers", AUDIENCE, str(path))
    assert (result.code, result.lines[0]) == (0, f"{AUDIENCE} (managers): +0 ~0 -0 =2"), result
    columns = f"userId,permissions.{INSIGHTS},permissions.audienceManager.manageMembers"
    path.write_text(
        run("audiences", "managers", "list", AUDIENCE, "--format", form, "--columns", columns).out, encoding="utf-8"
    )
    result = run("sync", "managers", AUDIENCE, str(path), "--column", "userId")
    assert result.code == 0, result
    assert rights(served) == {"E00002": {INSIGHTS}, "E00003": {INSIGHTS}}


def test_one_grant_may_be_for_all(run: Run, served: Sandbox, managers: Callable[..., str]) -> None:
    file = managers("E00002", "E00003", "E00005")
    result = run(
        *("sync", "managers", AUDIENCE, file, "--no-header", "--grant", INSIGHTS, "--grant", "people_manager.manage")
    )
    assert result.code == 0, result
    given = {INSIGHTS, "peopleManager.manage"}
    assert rights(served) == {"E00002": given, "E00003": given, "E00005": given}


def test_the_others_can_be_kept(run: Run, served: Sandbox, managers: Callable[..., str]) -> None:
    result = run("sync", "managers", AUDIENCE, managers("ref", "E00005"), "--grant", INSIGHTS, "--keep-extra")
    assert result.lines[0] == f"{AUDIENCE} (managers): +1 ~0 -0 =0 (2 others kept)"
    assert len(rights(served)) == 3


def test_a_plan_tells_of_everybody_what_they_may_do(
    run: Run, served: Sandbox, managers: Callable[..., str], tmp_path: Path
) -> None:
    """Saved, shown, applied, reported and journalled as every other plan."""
    plan, report, journal = (str(tmp_path / name) for name in ("plan.json", "report.csv", "run.jsonl"))
    file = managers(f"ref,{INSIGHTS}", "E00002,no", "E00003,yes", "E00005,yes", "nobody@example.com,yes")
    assert run("sync", "managers", AUDIENCE, file, "--dry-run", "--save-plan", plan).code == 0
    shown = [json.loads(line) for line in run("plan", "show", plan, "--format", "jsonl").lines]
    assert {(one["action"], one["reference"], one["reason"]) for one in shown} == {
        ("update", "E00002", "no permissions"),
        ("update", "E00003", "people_manager.insights"),
        ("add", "E00005", "people_manager.insights"),
        ("add", "nobody@example.com", "people_manager.insights"),
    }
    result = run("plan", "apply", plan, "--report", report, "--journal", journal)
    assert result.code == 1, result
    with Path(report).open(encoding="utf-8", newline="") as stream:
        assert {(row["reference"], row["outcome"]) for row in csv.DictReader(stream)} == {
            ("E00002", "changed"),
            ("E00003", "changed"),
            ("E00005", "added"),
            ("nobody@example.com", "failed"),
        }
    assert len(Path(journal).read_text(encoding="utf-8").splitlines()) == 5


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (["ref", "E00002"], (), "nothing says what these managers may do"),
        (["ref,peopleManager.insight", "E00002,yes"], (), "column 'peopleManager.insight': no such permission"),
        (["ref,permissions.insights", "E00002,yes"], (), "no such permission"),
        ([f"ref,{INSIGHTS}", "E00002,maybe"], (), f"line 2: {INSIGHTS} must be yes or no, not 'maybe'"),
        ([f"ref,{INSIGHTS}", "E00002"], (), "line 2 has 1 column, the first line 2"),
        ([f"ref,{INSIGHTS}", "E00003,no", ",yes"], (), "line 3 does not say who the manager is"),
        (["ref", "E00002"], ("--grant", "insights"), "--grant insights: no such permission"),
        (["ref", "E00002"], ("--grant", "audienceManager.manageMembers"), "no such permission"),
        (["ref,permissions", "E00002,yes"], (), "permissions must be JSON"),
        (["ref,permissions", "E00002,7"], (), "permissions must be an object"),
        (["ref,permissions", 'E00002,"{""peopleManager"": {""insights"": 1}}"'], (), "must be true or false"),
        (["ref,permissions", 'E00002,"{""peopleManager"": {""insight"": true}}"'], (), "no such permission"),
        (["ref", "E00002"], ("--grant", INSIGHTS, "--journal", "."), "name a file"),
        (["ref", "E00002"], ("--grant", INSIGHTS, "--strategy", "rebuild"), "strategy"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(
    run: Run, managers: Callable[..., str], rows: list[str], options: tuple[str, ...], words: str
) -> None:
    """Exit code 2, before Thrive is asked: nobody would answer here."""
    file = managers(*rows)
    result = run("sync", "managers", AUDIENCE, file, "--base-url", "http://127.0.0.1:9", *options)
    assert result.code == 2, result
    assert words in result.err


def read(text: str) -> list[Entry]:
    sheet = parse(text, "f").with_header()
    return granted(sheet, people_in(sheet, 0, chosen=False), ())


def test_who_is_blank_in_one_column_is_named_by_another() -> None:
    """As for members: the ref, and where there is none the address."""
    grants = read(f"ref,email,{INSIGHTS}\nE1,a@x.org,yes\n,b@x.org,no\n")
    assert [(one.name, one.also) for one in grants] == [("E1", ("a@x.org",)), (None, ("b@x.org",))]


def test_what_is_not_given_is_said_outright() -> None:
    """But for what only structures have."""
    (one,) = read(f'{{"ref": "E1", "{INSIGHTS}": true, "permissions": null}}')
    assert writable_permissions(one.permissions) == {"people_manager.insights"}
    from thrive_async._wire.convert import dump

    assert json.loads(dump(ManagerGrant(reference="E1", permissions=one.permissions))) == {
        "reference": "E1",
        "permissions": {
            "audienceManager": {"manageContent": False, "assignments": False},
            "peopleManager": {"canViewLearnPage": False, "insights": True, "manage": False},
        },
    }
    (one,) = read("ref,administrator.canAddAudienceManagers\nE1,yes\n\n")
    assert writable_permissions(one.permissions) == {"administrator.can_add_audience_managers"}
    with pytest.raises(CliError, match="yes or no"):
        read(f'{{"ref": "E1", "{INSIGHTS}": [1]}}')
