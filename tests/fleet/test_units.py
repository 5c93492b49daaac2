"""Units: plain data with stable keys, in an order that is fair, without people or secrets."""

import json
import sys
import types
from pathlib import Path

import pytest

from tests.fleet.conftest import Company
from thrive_async.errors import ConfigurationError
from thrive_async.fleet import Tenant, Unit, load_fleet, load_tenants, units


def folder_of(tmp_path: Path, tenant: str, audiences: int) -> Tenant:
    """A tenant with a folder of audiences."""
    folder = tmp_path / tenant
    folder.mkdir()
    for at in range(audiences):
        (folder / f"a{at:03}.csv").write_text("member\nE-1\n")
    return Tenant(id=tenant, members={"source": str(folder)})


def test_a_large_tenant_does_not_starve_small_ones(tmp_path: Path) -> None:
    """By the order, and by the priorities when a large tenant was submitted before."""
    large, small = folder_of(tmp_path, "large", 50), folder_of(tmp_path, "small", 2)
    listed = list(units([large, small]))
    assert [one.tenant for one in listed[:5]] == ["large", "small", "large", "small", "large"]
    queued = sorted([*units([large]), *units([small])], key=lambda one: -one.priority)
    assert {one.tenant for one in queued[:4]} == {"large", "small"}
    urgent = Tenant(id="urgent", members=small.members, priority=1)
    assert min(one.priority for one in units([urgent])) > max(one.priority for one in units([large]))


def test_keys_are_the_same_each_night_and_differ_by_host_tenant_kind_and_audience(tmp_path: Path) -> None:
    tenant = folder_of(tmp_path, "t", 2)
    both = Tenant(id="t", members=tenant.members, users={"source": "users.csv"})
    assert [one.key for one in units([both])] == [one.key for one in units([both])]
    elsewhere = Tenant(id="t", members=tenant.members, connection={"region": "staging"})
    other = Tenant(id="t2", members=tenant.members)
    keys = [one.key for tenants in (both, elsewhere, other) for one in units([tenants])]
    assert len(set(keys)) == len(keys) == 7
    assert keys[0] == "public.api.learn.link/t/users"  # before the audiences, whose members they may be


def test_a_unit_is_json_and_holds_no_people_and_no_secret(company: Company, tenants: Path) -> None:
    listed = list(units(load_tenants(tenants)))
    text = json.dumps([one.as_dict() for one in listed])
    assert [Unit.from_dict(one) for one in json.loads(text)] == listed
    assert [one.target for one in listed] == company.names
    assert company.sandbox.environment["THRIVE_API_KEY"] not in text
    assert not any(person in text for person in company.people)


def test_a_source_of_ones_own_is_named_by_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    class People:
        def audiences(self, tenant: str) -> list[str]:
            return [f"{tenant}-all"]

    module = types.ModuleType("our_people")
    module.database = People()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "our_people", module)
    (unit,) = units([Tenant(id="t", members={"source": "our_people:database"})])
    assert (unit.target, unit.source) == ("t-all", "our_people:database")
    with pytest.raises(ConfigurationError, match="no_such_module:x cannot be imported"):
        list(units([Tenant(id="t", members={"source": "no_such_module:x"})]))


def test_defaults_are_each_tenants_unless_it_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(
        'schedule = "0 2 * * *"\n[defaults]\nregion = "staging"\nrate = 5\napi_key_env = "KEY"\n'
        "[defaults.members]\nmax_removals = 0.2\n"
        '[[tenant]]\nid = "a"\nmembers = { source = "a.csv" }\n'
        '[[tenant]]\nid = "b"\nrate = 9.5\npriority = 3\n'
        'users = { source = "our_people:database", leavers = "suspend" }\n'
        '[[tenant]]\nid = "c"\nmembers = { source = "/c", max_removals = 7 }\n'
    )
    fleet = load_fleet(path)
    a, b, c = fleet.tenants
    assert fleet.schedule == "0 2 * * *"
    assert a.connection == {"region": "staging", "rate": 5, "api_key_env": "KEY"}
    assert a.members == {"source": str(tmp_path / "a.csv"), "max_removals": 0.2}
    assert (b.connection["rate"], b.priority, b.members) == (9.5, 3, {})
    assert b.users == {"source": "our_people:database", "leavers": "suspend"}
    assert c.members == {"source": "/c", "max_removals": 7}


TENANT = '[[tenant]]\nid = "a"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[tenant", "is not TOML"),
        ("", r"has no \[\[tenant\]\]"),
        ("tenant = [1]", r"write each tenant as \[\[tenant\]\]"),
        ('[[tenant]]\nmembers = { source = "x" }', "tenant 1 has no id"),
        (TENANT, "tenant a syncs nothing"),
        (TENANT + "members = {}", "syncs nothing"),
        (TENANT + "members = { max_removals = 1 }", "members needs a source"),
        (TENANT + 'members = { source = "x", colour = 1 }', "members: colour is unknown; it can be source, removals"),
        (TENANT + 'members = { source = "x", removals = "no" }', "removals must be bool, not str"),
        (TENANT + 'members = { source = "x", max_removals = true }', "max_removals must be int or float, not bool"),
        (TENANT + 'api_key = "s3cr3t"\nmembers = { source = "x" }', "api_key is unknown"),
        (TENANT + 'priority = 9000\nmembers = { source = "x" }', "priority must be from"),
        (f'{TENANT}members = {{ source = "x" }}\n' * 2, "has the tenant a twice"),
        ("sched = 1", "sched is unknown"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words) as refusal:
        load_fleet(path)
    assert "s3cr3t" not in str(refusal.value)
