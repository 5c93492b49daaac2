"""The sandbox as a thing: its life, its data, its journal, its clients."""

import asyncio
import contextlib
import logging
import socket
import urllib.request
from datetime import UTC, datetime

import orjson
import pytest
import uvloop

from sandbox.raw_api import Api, connect
from thrive_async import sandbox as package
from thrive_async.sandbox import Sandbox, Settings, VirtualClock

LEVELS = "/rest/v1/skills/levels"


def everything(sandbox):
    state = sandbox.state
    return [
        [user.wire() + user.wire("account") for user in state.users.values()],
        [one.wire() + orjson.dumps([list(one.members), one.managers]) for one in state.audiences.values()],
        [list(each.values()) for each in (state.contents, state.activities, state.tags, state.entries)],
        [list(each.values()) for each in (state.categories, state.requirements, state.learning.assignments)],
        [list(each.values()) for each in (state.learning.enrolments, state.learning.completions)],
        [sandbox.tenant_id, sandbox.tokens.api_key, sandbox.tokens.client_secret],
    ]


# Data


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data():
    assert everything(Sandbox(200, seed=4)) == everything(Sandbox(200, seed=4))
    assert everything(Sandbox(200, seed=4))[0] != everything(Sandbox(200, seed=5))[0]


@pytest.mark.parametrize("users", [0, 1, 2, 5])
def test_a_sandbox_can_be_small(users):
    state = Sandbox(users).state
    assert len(state.users) == users
    assert len(state.audiences["sales-emea"].members) == users // 2


def test_half_of_the_users_sell():
    assert len(Sandbox(1000).state.audiences["sales-emea"].members) == 500


def test_the_data_is_as_untidy_as_life():
    users = list(Sandbox(200).state.users.values())
    assert any("+" in (user["email"] or "") for user in users)
    assert any((user["email"] or "x") != (user["email"] or "x").lower() for user in users)
    assert any(not user["firstName"].isascii() for user in users)
    for field in ("ref", "email", "lastName", "languageCode", "timeZone", "lastLogin", "summary"):
        assert any(user[field] is None for user in users), field
    assert any("/" in (user["ref"] or "") for user in users)
    assert any("pronouns" in user for user in users)
    assert "contentcurator" in {user["role"] for user in users}
    assert {"active", "inactive", "new", "expired"} == {user["status"] for user in users}
    assert any(not user["positions"] for user in users)
    assert {len(user["createdAt"]) for user in users} == {20, 24}
    assert all(user["ref"] or user["email"] for user in users)


def test_v1_and_v2_agree_on_the_dates_and_the_manager_of_a_seeded_user():
    state = Sandbox(200).state
    for user in state.users.values():
        for position in user["positions"]:
            assert position["startDate"] == user.account["startDate"]
            if position["manager"] is not None:
                assert state.users[position["manager"]["id"]]["ref"] == user.account["managerRef"]


def test_users_are_added_by_names_of_either_kind():
    state = Sandbox(0).state
    ada = state.add_user(firstName="Ada", email="ADA+x@example.com", job_title="Analyst", shoe_size=39)
    assert (ada["firstName"], ada["shoeSize"], ada.account["jobTitle"]) == ("Ada", 39, "Analyst")
    assert ada["ref"] == "added-1"
    assert state.find_user("ada+X@example.com") is state.find_user("added-1") is state.users[ada["id"]] is ada
    assert state.add_user(active=False)["status"] == "inactive"
    for taken in ({"ref": "added-1"}, {"email": "ada+x@EXAMPLE.com"}, {"id": ada["id"]}):
        with pytest.raises(ValueError, match="another user has the"):
            state.add_user(**taken)
    with pytest.raises(KeyError):
        state.user("nobody")


def test_a_new_ref_or_email_is_found_at_once_and_the_old_one_no_more():
    state = Sandbox(0).state
    ada = state.add_user(ref="old", email="old@example.com")
    ada["ref"] = "new"
    ada.update(email="new@example.com")
    assert state.find_user("old") is state.find_user("old@example.com") is None
    assert state.find_user("new") is state.find_user("NEW@example.com") is ada
    ada["ref"] = None
    assert state.find_user("new") is None


async def test_what_a_test_changes_in_a_record_is_what_is_served(api):
    state = api.sandbox.state
    user = state.find_user("E00001")
    path = f"/rest/v1/user/{user['id']}"
    assert (await api("GET", path)).body["firstName"] == user["firstName"]
    user["firstName"] = "Changed"
    assert (await api("GET", path)).body["firstName"] == "Changed"
    user |= {"summary": "Hello"}
    user.setdefault("mood", "fine")
    assert (await api("GET", path)).body["mood"] == "fine"
    assert user.pop("mood") == "fine"
    assert user.pop("mood", None) is None
    user["positions"][0]["title"] = "Nested"
    user.changed()
    body = (await api("GET", path)).body
    assert body["positions"][0]["title"] == "Nested"
    assert body["summary"] == "Hello"
    assert "mood" not in body
    del user["summary"]
    assert "summary" not in user


def test_audiences_are_arranged_and_looked_at_by_id_or_reference():
    state = Sandbox(10).state
    crew = state.add_audience("night-crew", parent="emea", members=["E00001"])
    assert state.audiences["night-crew"] is state.audiences[crew["id"]] is crew
    assert crew["name"] == "Night Crew"
    assert "night-crew" in state.audiences
    assert "day-crew" not in state.audiences
    assert len(state.audiences) == len(list(state.audiences)) == 8
    assert crew in state.audiences["emea"].children
    assert len(crew.members) == 1
    assert "E00001" in crew.members
    assert "user1@example.com" in crew.members
    assert "nobody" not in crew.members
    assert 5 not in crew.members
    assert repr(crew.members) == "<1 members of night-crew>"
    assert crew.members.add("E00001") is False
    assert crew.members.discard("E00002") is False
    with pytest.raises(KeyError):
        crew.members.add("nobody")
    with pytest.raises(KeyError):
        state.add_audience("x", parent="nowhere")


def test_an_arrangement_that_cannot_be_meant_leaves_nothing_behind():
    state = Sandbox(5).state
    before = (list(state.users), list(state.audiences))
    for mistake, error in (
        (lambda: state.add_audience("new", parent="nobody"), KeyError),
        (lambda: state.add_audience("new", members=["nobody"]), KeyError),
        (lambda: state.add_audience("sales-emea"), ValueError),
        (lambda: state.add_user(audiences=["sales-emea"]), ValueError),
    ):
        with pytest.raises(error):
            mistake()
        assert (list(state.users), list(state.audiences)) == before


def test_a_smart_audience_follows_its_rule():
    state = Sandbox(10).state
    rule = state.add_audience(
        "german", type="smart", api_controlled=False, rule=lambda user: user["languageCode"] == "de"
    )
    assert len(rule.members) == 0
    ada = state.add_user(ref="ada", languageCode="de")
    assert "ada" in rule.members
    ada["languageCode"] = "en"
    state.apply_rules(ada)
    assert "ada" not in rule.members


# Life


async def test_sandboxes_live_side_by_side_and_share_nothing(open_api):
    one, two = await open_api(seed=1), await open_api(seed=2)
    assert one.sandbox.base_url != two.sandbox.base_url
    await one("POST", "/rest/v2/users", {"ref": "x", "firstName": "X", "lastName": "Y", "email": "x@y"})
    assert (await two("GET", "/rest/v1/users/ref/x")).status == 404
    assert (await two("GET", LEVELS, headers={"Authorization": one.basic})).status == 401


async def test_a_sandbox_needs_a_start_and_ends_but_once():
    sandbox = Sandbox(0)
    with pytest.raises(RuntimeError, match="start it"):
        _ = sandbox.base_url
    await sandbox.start()
    with pytest.raises(RuntimeError, match="running already"):
        await sandbox.start()
    await sandbox.stop()
    await sandbox.stop()


async def test_a_sandbox_can_be_started_again_on_its_port_with_its_state():
    sandbox = Sandbox(0)
    async with sandbox:
        url = sandbox.base_url
        sandbox.state.add_user(ref="kept")
    async with sandbox, connect() as session:
        assert sandbox.base_url == url
        assert (await Api(sandbox, session)("GET", "/rest/v1/users/ref/kept")).status == 200


async def test_a_taken_port_is_an_error_and_leaves_the_clock_off_the_loop():
    async with Sandbox(0) as first:
        with pytest.raises(OSError, match=str(first.port)):
            await Sandbox(0, port=first.port, clock=VirtualClock()).start()
        assert "time" not in vars(asyncio.get_running_loop())


async def test_stopping_does_not_wait_for_slow_answers():
    async with Sandbox(0) as sandbox, connect() as session:
        sandbox.faults.add("latency", seconds=3600)
        request = asyncio.create_task(Api(sandbox, session)("POST", "/rest/v1/audiences", {"name": "slow"}))
        while not sandbox.requests:  # noqa: ASYNC110 - the arrival of a request sets no event
            await asyncio.sleep(0)
        await sandbox.stop()
        with pytest.raises(Exception, match="disconnect"):
            await request


@pytest.mark.parametrize("loop_factory", [asyncio.SelectorEventLoop, uvloop.new_event_loop])
@pytest.mark.parametrize("turns", range(6))
def test_stopping_closes_a_connection_that_is_just_being_accepted(turns, loop_factory):
    """Whatever turn of the loop the connection came in: whoever made it learns of its end."""

    async def main():
        sandbox = Sandbox(users=1)
        await sandbox.start()
        with socket.create_connection((sandbox.host, sandbox.port)) as peer:
            peer.setblocking(False)
            for _ in range(turns):
                await asyncio.sleep(0)
            await sandbox.stop()
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 1), 5) == b""

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_in_a_thread_it_serves_code_without_a_loop():
    with Sandbox(3) as sandbox:
        request = urllib.request.Request(sandbox.base_url + LEVELS)
        import base64

        pair = base64.b64encode(f"{sandbox.tenant_id}:{sandbox.tokens.api_key}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
        with urllib.request.urlopen(request) as response:
            assert len(orjson.loads(response.read())) == 3
        port = sandbox.port
        with pytest.raises(OSError, match=str(port)), Sandbox(0, port=port):
            pass
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/")


def test_a_thread_takes_no_virtual_clock():
    with pytest.raises(RuntimeError, match="async with"), Sandbox(0, clock=VirtualClock()):
        pass


async def test_sandboxes_of_one_loop_share_one_clock():
    clock = VirtualClock()
    async with Sandbox(0, clock=clock) as one, Sandbox(0, clock=clock) as two:
        await asyncio.sleep(60)
        assert one.now() == two.now() == datetime(2026, 1, 1, 9, 1, tzinfo=UTC)
    assert "time" not in vars(asyncio.get_running_loop())


async def test_without_a_clock_its_time_is_the_machines():
    before = datetime.now(UTC)
    assert before <= Sandbox(0).now() <= datetime.now(UTC)
    assert Sandbox(0, clock=VirtualClock()).now() == datetime(2026, 1, 1, 9, tzinfo=UTC)


# Settings


@pytest.mark.parametrize(
    ("choices", "error"),
    [
        ({"colour": 1}, TypeError),
        ({"all_failed_batch": 200}, ValueError),
        ({"not_found_body": 1}, ValueError),
        ({"moved_keys": ("a", "a")}, ValueError),
        ({"per_page_clamp": 0}, ValueError),
        ({"rate_limit": -1}, ValueError),
        ({"latency": -1}, ValueError),
        ({"users": -1}, ValueError),
        ({"users": 1.5}, ValueError),
        ({"users": True}, ValueError),
        ({"port": "80"}, ValueError),
        ({"all_failed_batch": "422"}, ValueError),
        ({"moved_keys": "ab"}, ValueError),
        ({"moved_keys": (1, 2)}, ValueError),
        ({"per_page_clamp": 2.5}, ValueError),
        ({"journal_size": "all"}, ValueError),
        ({"rate_limit": True}, ValueError),
        ({"rate_limit": float("inf")}, ValueError),
        ({"token_lifetime": None}, ValueError),
        ({"latency": "1"}, ValueError),
        ({"latency": float("nan")}, ValueError),
    ],
)
def test_a_choice_that_is_not_offered_is_refused(choices, error):
    with pytest.raises(error):
        Sandbox(**choices)


def test_settings_come_whole_or_one_by_one():
    whole = Settings(create_status=200)
    assert Sandbox(0, settings=whole).settings == whole
    assert Sandbox(0, settings=whole, delete_reply="empty").settings == Settings(
        create_status=200, delete_reply="empty"
    )


def test_every_setting_stands_in_the_table():
    import attrs

    table = package.__doc__ or ""
    apart = {"latency", "journal_size"}
    assert [field.name for field in attrs.fields(Settings) if field.name not in apart and field.name not in table] == []


# Journal


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
    """A sandbox that serves for weeks keeps no trace of each request that ever failed."""
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


async def test_serving_writes_no_log_lines(api, caplog):
    caplog.set_level(logging.DEBUG)
    await api("GET", "/rest/v1/users")
    await api("GET", "/nowhere?ref=secret")
    mine = [record for record in caplog.records if not record.name.startswith("asyncio")]
    assert mine == []


# Clients


async def test_its_client_reaches_it_and_is_closed_with_it():
    async with Sandbox(5) as sandbox:
        thrive = sandbox.client()
        assert len(await thrive.users.list().collect()) == 5
        by_token = sandbox.client(credentials=sandbox.oauth)
        assert len(await by_token.skills.levels()) == 3
    assert sandbox.tokens.issued == 1


async def test_the_environment_leads_to_it():
    from thrive_async import ThriveClient

    async with Sandbox(5) as sandbox, ThriveClient.from_env(sandbox.environment) as thrive:
        assert len(await thrive.skills.levels()) == 3


def test_in_a_thread_its_clients_are_closed_by_who_uses_them():
    async def count(sandbox):
        async with sandbox.client() as thrive:
            return len(await thrive.users.list().collect())

    with Sandbox(5) as sandbox:
        assert asyncio.run(count(sandbox)) == 5
