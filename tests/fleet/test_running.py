"""Running a unit: its result says what became of it, and a second run finds nothing to do."""

import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.fleet.conftest import Company
from thrive_async import ThriveClient
from thrive_async.fleet import Clients, Result, Unit, load_tenants, run_unit, summary, units
from thrive_async.share import MemoryShare
from thrive_async.sync._apply.locks import Lock, target_of


@pytest.fixture
def listed(tenants: Path) -> list[Unit]:
    return list(units(load_tenants(tenants)))


async def test_every_unit_is_done_and_a_second_run_writes_nothing(company: Company, listed: list[Unit]) -> None:
    async with Clients() as clients:
        results = [await run_unit(one, clients=clients) for one in listed]
        assert [one.outcome for one in results] == ["done"] * 3
        assert company.wrong == []
        assert [(one.added, one.removed) for one in results] == [(1, 1)] * 3
        writes = len(company.writes)
        # As an engine carries it.
        again = [await run_unit(one.as_dict(), clients=clients) for one in listed]
    assert [(one.outcome, one.added, one.removed) for one in again] == [("done", 0, 0)] * 3
    assert len(company.writes) == writes
    assert [Result.from_dict(one.as_dict()) for one in again] == again


async def test_all_clients_of_a_worker_have_the_share_that_the_environment_names(
    company: Company, listed: list[Unit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THRIVE_SHARE", str(tmp_path / "share"))
    async with Clients() as clients:
        assert "FileShare" in repr((await clients.of(listed[0])).share)
    assert (await run_unit(listed[0])).outcome == "done"  # with a client for this unit alone


async def test_users_of_a_tenant_are_a_unit(company: Company, tmp_path: Path) -> None:
    user = company.sandbox.state.users[company.people[0]]
    (tmp_path / "users.csv").write_text(f"ref,job_title\n{user['ref']},Astronaut\n")
    base = company.toml.partition("[tenant.members]")[0]
    (tmp_path / "users.toml").write_text(base + '[tenant.users]\nsource = "users.csv"\n')
    (unit,) = units(load_tenants(tmp_path / "users.toml"))
    result = await run_unit(unit, journal=tmp_path / "run.jsonl")
    assert (result.outcome, result.changed, result.target) == ("done", 1, "")
    assert "Astronaut" in str(dict(user))
    assert (tmp_path / "run.jsonl").read_text()


async def test_a_source_of_ones_own_is_streamed(
    company: Company, listed: list[Unit], monkeypatch: pytest.MonkeyPatch
) -> None:
    class People:
        async def members(self, tenant: str, audience: str) -> AsyncIterator[str]:
            for one in company.wanted(audience):
                yield one

    module: Any = types.ModuleType("our_people")
    module.database = People()
    monkeypatch.setitem(sys.modules, "our_people", module)
    result = await run_unit(attrs.evolve(listed[0], source="our_people:database"))
    assert (result.outcome, company.wrong) == ("done", company.names[1:])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("audience,person\nteam-0,x\n", "its first line must name the columns audience, member"),
        ("", "its first line must name the columns"),
        ("audience,member\nteam-0,a\nteam-", "line 3 has 1 columns, the first line 2"),
        ('audience,member\nteam-0,"a\n', "cannot be read"),
        ("audience,member\nteam-9,a\n", "the desired list is empty"),
    ],
)
async def test_a_broken_source_changes_nothing_and_needs_someone(
    company: Company, listed: list[Unit], content: str | None, words: str
) -> None:
    """A file that was cut off must not make leavers of those behind the cut."""
    file = company.folder / "audiences.csv"
    file.unlink()
    if content is not None:
        file.write_text(content)
    result = await run_unit(listed[0])
    assert result.outcome == "refused"
    assert words in result.reason
    assert company.writes == []


async def test_a_guard_needs_someone_and_people_who_failed_are_told(company: Company, listed: list[Unit]) -> None:
    refused = await run_unit(attrs.evolve(listed[0], options={"max_removals": 0}))
    assert (refused.outcome, refused.reason.partition(":")[0]) == ("refused", "team-0")
    with (company.folder / "audiences.csv").open("a") as file:
        file.write("team-1,unknown@example.org\n")
    incomplete = await run_unit(attrs.evolve(listed[1], options={"max_removals": 0.5, "unknown": "remove"}))
    assert (incomplete.outcome, incomplete.failed, incomplete.added) == ("incomplete", 1, 1)
    wrong = await run_unit(attrs.evolve(listed[2], options={"strategy": "none"}))
    assert wrong.outcome == "refused"


async def test_another_run_of_the_unit_and_a_thrive_that_is_down_pass(company: Company, listed: list[Unit]) -> None:
    share = MemoryShare()
    async with Clients(share) as clients:
        client: ThriveClient = await clients.of(listed[0])
        audience = company.sandbox.state.audiences["team-0"]["id"]
        lock = Lock(target_of(client, "members", audience, "team-0"))
        assert lock.take()
        result = await run_unit(listed[0], clients=clients, wait=0.0)
        assert (result.outcome, "another run is going on" in result.reason) == ("stopped", True)
        lock.release()
        company.sandbox.faults.add("status", times=1, status=409)
        result = await run_unit(listed[0], clients=clients)
        assert result.outcome == "stopped"
        assert (await run_unit(listed[0], clients=clients)).outcome == "done"


async def test_a_revoked_key_needs_someone_and_a_new_one_is_read_without_a_restart(
    company: Company, listed: list[Unit]
) -> None:
    key = (company.folder / "key").read_text()
    async with Clients() as clients:
        (company.folder / "key").write_text("revoked")
        result = await run_unit(listed[0], clients=clients)
        assert (result.outcome, "401" in result.reason, "revoked" in result.reason) == ("refused", True, False)
        (company.folder / "key").write_text(key)
        assert (await run_unit(listed[0], clients=clients)).outcome == "done"


async def test_credentials_that_are_missing_are_named_by_their_place(listed: list[Unit]) -> None:
    connection = {**listed[0].connection, "api_key_env": "NO_SUCH_KEY"}
    del connection["api_key_file"]
    result = await run_unit(attrs.evolve(listed[0], connection=connection))
    assert result.outcome == "refused"
    assert "api_key_env = NO_SUCH_KEY" in result.reason


def test_a_summary_counts_each_unit_once_and_shows_what_needs_someone() -> None:
    def result(key: str, outcome: Any, **more: Any) -> Result:
        return Result(key=key, tenant=key[0], kind="members", target=key, outcome=outcome, **more)

    found = [result("a1", "stopped", added=1), result("a1", "done", added=2), result("b1", "refused", reason="<no>")]
    total = summary(found)
    assert (total.units, total.outcomes["done"], total.outcomes["stopped"], total.changes["added"]) == (2, 1, 0, 2)
    assert [one.key for one in total.to_look_at] == ["b1"]
    assert not total.ok
    assert str(total) == "2 units of 2 tenants: 1 done, 1 refused; 2 added"
    page = total.to_html()
    assert "&lt;no&gt;" in page
    assert "<no>" not in page
    assert summary([]).ok
