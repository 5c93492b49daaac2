"""The journal says who: the people, the list they were in, the operator and the release."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sync._apply.test_run import lines
from tests.sync.conftest import World
from thrive_async import ConfigurationError, __version__, sync
from thrive_async.models import ManagerGrant, ManagerGrantPermissions, PeopleManagerGrant
from thrive_async.sync._apply import journal_lines
from thrive_async.sync._apply.journal import Journal
from thrive_async.sync._apply.journal_lines import operator
from thrive_async.sync.source import Source

SOURCE = Source(name="hr.csv", sha256="ab" * 32, rows=311)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def of(path: Path, **wanted: Any) -> dict[str, Any]:
    """The one line that has these values."""
    (line,) = [line for line in lines(path) if all(line.get(name) == value for name, value in wanted.items())]
    return line


async def test_a_run_says_who_it_is_about_and_where_the_list_names_them(world: World, path: Path) -> None:
    """A removed person is found by any of their names; an added one by the names of the row, and by the row."""
    entries = [sync.Entry(name=world.ids[at], where=f"line {at + 2}") for at in range(1, 300)]
    entries.append(sync.Entry(name=world.ref(400), also=[world.email(400)], where="line 301"))
    plan = await sync.plan_members(world.thrive, "team", entries)
    plan.source = SOURCE
    (await plan.apply(journal=path)).raise_for_failures()
    opening = lines(path)[0]
    assert opening["source"] == {"name": "hr.csv", "sha256": "ab" * 32, "rows": 311}
    assert opening["operator"] == operator() != ""
    assert opening["version"] == __version__
    removed = of(path, outcome="removed")
    assert (removed["id"], removed["ref"], removed["email"]) == (world.ids[0], world.ref(0), world.email(0))
    assert "row" not in removed
    added = of(path, outcome="added")
    assert (added["reference"], added["email"], added["row"]) == (world.ref(400), world.email(400), "line 301")
    assert opening["people"] == {
        "remove": {world.ids[0]: {"id": world.ids[0], "ref": world.ref(0), "email": world.email(0)}},
        "add": {world.ref(400): {"email": world.email(400), "row": "line 301"}},
    }


async def test_a_saved_plan_keeps_its_source_and_what_the_list_says(world: World, tmp_path: Path, path: Path) -> None:
    """The approved plan is applied from the file, days after the list was read."""
    entries = [sync.Entry(name=world.ref(at), where=f"line {at + 2}") for at in range(301)]
    several = await sync.plan_audiences(world.thrive, {"team": entries})
    several.source = SOURCE
    several.save(tmp_path / "plan.json")
    loaded = sync.AudiencesPlan.load(tmp_path / "plan.json", world.thrive)
    assert loaded.source == SOURCE
    await loaded.apply(journal=path)
    assert lines(path)[0]["source"]["name"] == "hr.csv"
    assert of(path, outcome="added")["row"] == "line 302"
    forged = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    forged["source"]["name"] = "another.csv"
    with pytest.raises(ConfigurationError, match="changed since it was saved"):
        sync.AudiencesPlan.from_json(json.dumps(forged))


async def test_a_manager_plan_says_which_permissions_change(world: World, path: Path) -> None:
    """So that an undo knows what a removed manager was allowed to do."""
    audience = world.sandbox.state.audiences["team"]
    insights = ManagerGrantPermissions(people_manager=PeopleManagerGrant(insights=True))
    people = [ManagerGrant(reference=world.ids[at], permissions=insights) for at in range(2)]
    await world.thrive.audiences.managers.add(audience["id"], people)
    desired = [ManagerGrant(reference=world.ids[0], permissions=ManagerGrantPermissions())]
    plan = await sync.plan_managers(world.thrive, "team", desired)
    report = await type(plan).from_json(plan.to_json(), world.thrive).apply(journal=path)
    assert len(report.changed) == len(report.removed) == 1
    lost = {"people_manager.insights": [True, False]}
    assert lines(path)[0]["changes"] == {world.ids[0]: lost, world.ids[1]: lost}


async def test_a_user_run_says_which_row_it_follows(world: World, path: Path) -> None:
    """The id of an account that changes, and the row that says so."""
    rows = [{"ref": world.ref(0)}, {"ref": world.ref(1), "job_title": "Analyst"}]
    await (await sync.plan_users(world.thrive, rows)).apply(journal=path)
    changed = of(path, outcome="changed")
    assert (changed["id"], changed["ref"], changed["row"]) == (world.ids[1], world.ref(1), "row 2")


async def test_the_runs_of_one_call_have_its_id_in_common(world: World, path: Path) -> None:
    """An undo brings back what the call did, not what one audience of fifty lost."""
    world.sandbox.state.add_audience("other", members=world.ids[:100])
    lists = {"team": world.ids[:301], "other": world.ids[:101]}
    await sync.sync_audiences(world.thrive, lists, journal=path)
    openings = [line for line in lines(path) if "planned" in line]
    assert len({line["run"] for line in openings}) == 2
    assert len({line["sync"] for line in openings}) == 1
    plan = await sync.plan_audiences(world.thrive, {"team": world.ids[:302]})
    plan.source = SOURCE
    await plan.apply(journal=path)
    assert [line["source"] and line["source"]["name"] for line in lines(path) if "planned" in line] == [
        *[None] * 2, "hr.csv",
    ]  # fmt: skip
    assert len({line["sync"] for line in lines(path) if "planned" in line}) == 2


async def test_a_killed_run_loses_no_names(world: World, path: Path) -> None:
    """The next run writes the lines of the killed one with the names that its plan knew."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[1:300])
    with Journal(path, "killed", "team") as journal:
        planned = {"remove": [world.ids[0]]}
        journal.open_run(world.scope, fingerprint="f", strategy="diff", planned=planned, people=plan.people)
    await sync.sync_members(world.thrive, "team", world.ids[:301], journal=path)
    assert of(path, run="killed", outcome="not_attempted")["email"] == world.email(0)


def test_the_operator_is_named_by_the_environment_or_else_by_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have an account without a name."""
    monkeypatch.setenv("THRIVE_OPERATOR", " Grace Hopper ")
    assert operator() == "Grace Hopper"
    monkeypatch.setenv("THRIVE_OPERATOR", " ")
    monkeypatch.setattr(journal_lines.getpass, "getuser", lambda: "svc-hr")
    assert operator() == "svc-hr"

    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(journal_lines.getpass, "getuser", nameless)
    assert operator().isdecimal()
