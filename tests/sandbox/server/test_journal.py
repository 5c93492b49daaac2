"""The requests received, with their attempts and without secrets."""

import asyncio

from thrive_async.sandbox import VirtualClock

LEVELS = "/rest/v1/skills/levels"


async def test_the_journal_holds_what_arrived_in_order(api):
    await api("GET", "/rest/v1/users?perPage=2&status=active")
    await api("POST", "/rest/v1/audiences/sales%2Demea/members", ["E00001"])
    await api("GET", "/nowhere")
    first, second, third = api.sandbox.requests
    assert (first.operation, first.method, first.path) == ("searchUsers", "GET", "/rest/v1/users")
    assert first.query == {"perPage": "2", "status": "active"}
    assert (first.status, first.body) == (200, None)
    assert second.path == "/rest/v1/audiences/sales%2Demea/members"
    assert second.body == ["E00001"]
    assert second.headers["content-type"] == "application/json"
    assert first.at <= second.at <= third.at
    assert (third.operation, third.status) == (None, 404)


async def test_secrets_are_kept_out_of_the_journal_and_people_out_of_its_repr(api):
    await api("POST", "/rest/v1/audiences/emea/members", ["ada@example.com"], headers={"Cookie": "a=b"})
    entry = api.sandbox.requests[0]
    assert {"authorization", "cookie"}.isdisjoint(entry.headers)
    assert "ada" not in repr(entry)
    assert "addMembers" in repr(entry)


async def test_attempts_are_counted_until_one_succeeds(api):
    api.sandbox.faults.add("status", times=2)
    for _ in range(4):
        await api("GET", LEVELS)
    assert [entry.attempt for entry in api.sandbox.requests] == [1, 2, 3, 1]
    assert [entry.faults for entry in api.sandbox.requests] == [["status"], ["status"], [], []]


async def test_bodies_are_shown_as_what_they_are(api):
    await api.token()
    await api("POST", "/rest/v2/users", data=b"{nope")
    form, broken = api.sandbox.requests
    assert form.body["grant_type"] == "client_credentials"
    assert broken.body == b"{nope"


async def test_the_journal_can_be_asked_cleared_and_bounded(open_api):
    api = await open_api(journal_size=3)
    for _ in range(4):
        await api("GET", LEVELS)
    await api("GET", "/rest/v1/users")
    journal = api.sandbox.requests
    assert len(journal) == 3
    assert journal.total == 5
    assert len(journal.of("list*")) == 2
    assert journal[-1].operation == "searchUsers"
    assert [entry.operation for entry in journal[:2]] == ["listSkillLevels"] * 2
    journal.clear()
    assert not journal


async def test_a_bounded_journal_does_not_count_attempts_for_ever(open_api):
    """A sandbox that runs for weeks does not remember every failed request."""
    api = await open_api(journal_size=2)
    for number in range(20):
        await api("GET", f"/rest/v1/tags/{number:024x}")
        await api("GET", "/rest/v1/tags/unknown")
    assert [entry.attempt for entry in api.sandbox.requests] == [1, 20]
    assert len(api.sandbox.requests._attempts) == 2


async def test_time_in_the_journal_is_the_loops(open_api):
    api = await open_api(clock=VirtualClock())
    await api("GET", LEVELS)
    await asyncio.sleep(30)
    await api("GET", LEVELS)
    first, second = api.sandbox.requests
    assert second.at - first.at == 30.0
