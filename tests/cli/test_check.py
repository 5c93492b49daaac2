"""`thrive check`: what differs is shown once, without a value; one refused list does not stop the others."""

from __future__ import annotations

import json

from thrive_async.cli import main
from thrive_async.sandbox import Sandbox

from .conftest import Run


def test_a_tenant_as_the_specification_has_it_differs_in_nothing(run: Run, served: Sandbox) -> None:
    result = run("check")
    assert (result.code, result.out) == (0, ""), result
    assert result.err.startswith("nothing differs in ")
    asked = {entry.operation for entry in served.requests}
    assert {"searchUsers", "getUser", "listMembers", "listManagers", "listEnrolments", "listSkillLevels"} <= asked
    assert len(asked) >= 25
    assert {entry.method for entry in served.requests} == {"GET"}
    assert max(sum(entry.operation == name for entry in served.requests) for name in asked) == 1, "one page of each"
    empty = run("check", "--format", "jsonl")
    assert (empty.code, empty.out) == (0, "")


def test_what_differs_is_shown_without_any_value(run: Run, served: Sandbox) -> None:
    odd = [{"id": 7, "email": ["planted@example.com"], "level": "planted"}, {"id": "b", "email": []}, None]
    served.faults.add("wrong_shape", operation="searchUsers", body={"results": odd}, times=None)
    served.faults.add("wrong_shape", operation="listTags", body={"results": [{"tag": "planted"}]}, times=None)
    result = run("check", "--format", "jsonl")
    assert result.code == 1
    assert "planted" not in result.out + result.err
    rows = {(row["operation"], row["path"]): row for row in map(json.loads, result.lines)}
    assert rows["searchUsers", "$.results[].email"] == {
        "operation": "searchUsers",
        "path": "$.results[].email",
        "expected": "a string",
        "came": "a list",
        "count": 2,
        "unread": 2,
    }
    assert rows["searchUsers", "$.results[].id"]["unread"] == 0
    assert rows["searchUsers", "$.results[]"]["came"] == "null"
    assert rows["listTags", "$.results[].id"]["came"] == "nothing"
    table = run("check")
    assert table.code == 1
    assert "$.results[].level" in table.out
    assert "planted" not in table.out + table.err


def test_a_reply_that_is_no_list_at_all_is_a_row(run: Run, served: Sandbox) -> None:
    served.faults.add("wrong_shape", operation="listContents", body={"items": []}, times=None)
    (row,) = map(json.loads, run("check", "--format", "jsonl").lines)
    assert (row["operation"], row["path"], row["unread"]) == ("listContents", "$.results", 1)


def test_a_refused_list_does_not_stop_the_others(run: Run, served: Sandbox) -> None:
    served.faults.add("status", operation="listCompletions", status=403, times=None)
    result = run("check")
    assert result.code == 0, result
    assert "completions: " in result.err
    assert "403" in result.err
    assert any(entry.operation == "listSkillLevels" for entry in served.requests)


def test_where_everything_is_refused_the_exit_code_says_so(run: Run, served: Sandbox) -> None:
    served.faults.add("status", operation="*", status=403, times=None)
    assert run("check").code == 4


def test_its_help_says_that_no_personal_data_is_in_the_output(run: Run) -> None:
    result = run("check", "--help")
    assert result.code == 0
    assert "no personal data" in " ".join(result.out.split())
    assert main(["check", "--format", "xml"]) == 2
