"""Plans and reports in a notebook: a table of figures, without any person in it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from thrive_async import ThriveClient, sync
from thrive_async.sandbox import Sandbox
from thrive_async.sync._tables import figures_table

HOSTILE = "<script>alert(1)</script>"


def cells(table: Any) -> list[list[str]]:
    """The texts of a table's cells, a list for each row."""
    rows = re.findall(r"<tr>(.*?)</tr>", table._repr_html_())
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def emails(sandbox: Sandbox, audience: str) -> list[str]:
    users = sandbox.state.users
    return [users[one].get("email") or users[one]["ref"] for one in sandbox.state.audiences[audience].members]


async def test_a_plan_and_its_report_are_tables_of_figures(thrive: ThriveClient, sandbox: Sandbox) -> None:
    members = emails(sandbox, "sales-emea")
    new = sandbox.state.add_user(email="new@example.com")["email"]
    plan = await sync.plan_members(thrive, "sales-emea", [*members[1:], new, new])
    count = str(len(members))
    assert cells(plan) == [
        ["", "to add", "now", "to remove", "staying", "duplicates"],
        ["sales-emea", "1", count, "1", str(len(members) - 1), "1"],
    ]
    report = await plan.apply()
    assert cells(report) == [["", "added", "removed"], ["sales-emea", "1", "1"]]
    shown = plan._repr_html_() + report._repr_html_()
    assert not any(name in shown for name in [new, *members])


async def test_other_plans_are_tables_too(thrive: ThriveClient, sandbox: Sandbox) -> None:
    managers = await sync.plan_managers(thrive, "sales-emea", [], removals=False, allow_empty=True)
    assert cells(managers)[1][0] == "sales-emea (managers)"
    users = await sync.plan_users(thrive, [{"ref": "N-1", "first_name": "A", "last_name": "B", "email": "a@b.org"}])
    assert cells(users)[1][:3] == ["users", cells(users)[1][1], "1"]
    assert cells(users)[0][:3] == ["", "now", "to create"]


async def test_audiences_are_rows_with_the_failing_and_the_largest_changes_first(
    thrive: ThriveClient, sandbox: Sandbox
) -> None:
    lists = {"sales-emea": emails(sandbox, "sales-emea")}
    for number, name in enumerate(("alpha", "beta")):
        sandbox.state.add_audience(name, members=[])
        lists[name] = [f"new{one}@example.com" for one in range(number + 1)]
    plan = await sync.plan_audiences(thrive, {**lists, HOSTILE: ["a@b.org"]})
    assert [row[0] for row in cells(plan)] == [
        "", "&lt;script&gt;alert(1)&lt;/script&gt;: GuardRefused", "beta", "alpha", "sales-emea"
    ]  # fmt: skip


@pytest.mark.parametrize("count", [50, 51])
def test_a_long_table_is_cut_off_and_says_so(count: int) -> None:
    table = figures_table("many", [(f"a{number}", {"to add": 1}) for number in range(count)])
    assert table.count("<tr>") == 1 + min(count, 50) + (count > 50)
    assert ("... and 1 more" in table) == (count > 50)
