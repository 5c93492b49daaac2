"""Faults: each kind does what it says, as often as told, on the operations told."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from thrive_async.sandbox import VirtualClock

MEMBERS = "/rest/v1/audiences/sales-emea/members"
LEVELS = "/rest/v1/skills/levels"


async def test_a_fault_fires_as_often_as_told_and_then_stops(api):
    fault = api.sandbox.faults.add("status", times=2, status=502)
    assert [(await api("GET", LEVELS)).status for _ in range(3)] == [502, 502, 200]
    assert fault.fired == 2
    assert fault.spent
    assert len(api.sandbox.faults) == 0


async def test_a_fault_for_ever_ends_when_it_is_removed_or_all_are_cleared(api):
    faults = api.sandbox.faults
    fault = faults.add("status", times=None)
    assert [(await api("GET", LEVELS)).status for _ in range(3)] == [503] * 3
    fault.remove()
    assert (await api("GET", LEVELS)).status == 200
    faults.add("status", times=None)
    assert list(faults)
    faults.clear()
    assert (await api("GET", LEVELS)).status == 200


@pytest.mark.parametrize(
    ("operation", "strikes"), [("listSkillLevels", True), ("list*", True), ("skills", True), ("listTags", False)]
)
async def test_a_fault_is_aimed_by_operation_pattern_or_resource(api, operation, strikes):
    api.sandbox.faults.add("status", operation=operation)
    assert (await api("GET", LEVELS)).status == (503 if strikes else 200)


async def test_a_star_leaves_the_token_endpoint_alone(api):
    api.sandbox.faults.add("status", times=None)
    assert (await api.token()).status == 200
    api.sandbox.faults.add("status", operation="createAccessToken", status=500)
    assert (await api.token()).status == 500


async def test_faults_of_other_operations_and_kinds_let_a_request_pass(api):
    api.sandbox.faults.add("revoked_token", operation="listTags")
    headers = {"Authorization": f"Bearer {(await api.token()).body['access_token']}"}
    assert (await api("GET", LEVELS, headers=headers)).status == 200
    assert (await api("GET", "/rest/v1/tags", headers=headers)).status == 401


async def test_chance_follows_the_seed(open_api):
    async def run():
        api = await open_api(seed=5)
        api.sandbox.faults.add("status", times=None, probability=0.5)
        return [(await api("GET", LEVELS)).status for _ in range(20)]

    first = await run()
    assert first == await run()
    assert {200, 503} == set(first)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "gremlins"}, "unknown fault"),
        ({"kind": "status", "colour": 1}, "colour"),
        ({"kind": "status", "operation": "listGremlins"}, "matches no operation"),
        ({"kind": "status", "times": 0}, "times"),
        ({"kind": "status", "probability": 2}, "probability"),
        ({"kind": "latency", "distribution": "weird"}, "distribution"),
        ({"kind": ["status"]}, "unknown fault"),
        ({"kind": "status", "operation": None}, "None matches no operation"),
        (
            {"kind": "status", "times": "default"},
            "times must be a whole number of at least 1, or None .* not 'default'",
        ),
        ({"kind": "status", "times": True}, "times"),
        ({"kind": "status", "times": 1.5}, "times"),
        ({"kind": "status", "probability": "often"}, "probability must be a number"),
        ({"kind": "status", "probability": float("nan")}, "probability"),
        ({"kind": "status", "status": 99}, "status of the fault status must be a status from 200"),
        ({"kind": "status", "status": "500"}, "status"),
        ({"kind": "status", "body": object()}, "body"),
        ({"kind": "status", "after": "yes"}, "after"),
        ({"kind": "wrong_shape", "body": {1, 2}}, "body of the fault wrong_shape must be bytes, or a JSON value"),
        ({"kind": "rate_limited", "retry_after": -1}, "retry_after"),
        ({"kind": "rate_limited", "retry_after": "date:soon"}, "retry_after"),
        ({"kind": "rate_limited", "retry_after": "date:" + "9" * 300}, "retry_after"),
        ({"kind": "rate_limited", "retry_after": "1\r\nSet-Cookie: x"}, "retry_after"),
        ({"kind": "rate_limited", "retry_after": datetime(2026, 1, 1)}, "retry_after .* an aware datetime"),  # noqa: DTZ001
        ({"kind": "cut_body", "keep": 2}, "keep"),
        ({"kind": "close_before", "reset": 1}, "reset"),
        ({"kind": "latency", "seconds": "1"}, "seconds"),
        ({"kind": "latency", "jitter": -1}, "jitter"),
        ({"kind": "unknown_users"}, "references .* one or more strings"),
        ({"kind": "poisoned", "references": "E-1"}, "references"),
        ({"kind": "poisoned", "references": [1]}, "references"),
        ({"kind": "members_change", "add": -1}, "add"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(api, arguments, words):
    with pytest.raises(ValueError, match=words):
        api.sandbox.faults.add(**arguments)
    assert not api.sandbox.faults


async def test_references_of_a_fault_may_come_from_an_iterator(api):
    api.sandbox.faults.add("unknown_users", references=(name for name in ["E-1", "E-2"]))
    for _ in range(2):
        assert (await api("POST", MEMBERS, ["E-2"])).body["failure"]["entities"][0]["reference"] == "E-2"


async def test_rate_limited_without_a_hint(api):
    api.sandbox.faults.add("rate_limited")
    answer = await api("GET", LEVELS)
    assert answer.status == 429
    assert "Retry-After" not in answer.headers
    assert answer.body["error"] == "Too Many Requests"


async def test_rate_limited_with_seconds_or_dates(api):
    faults = api.sandbox.faults
    faults.add("rate_limited", retry_after=7)
    assert (await api("GET", LEVELS)).headers["Retry-After"] == "7"
    moment = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    faults.add("rate_limited", retry_after=moment)
    assert (await api("GET", LEVELS)).headers["Retry-After"] == "Wed, 02 Jan 2030 03:04:05 GMT"
    before = datetime.now(UTC)
    faults.add("rate_limited", retry_after="date:60")
    moment = parsedate_to_datetime((await api("GET", LEVELS)).headers["Retry-After"])
    assert moment >= before + timedelta(seconds=60)
    faults.add("rate_limited", retry_after="soon")
    assert (await api("GET", LEVELS)).headers["Retry-After"] == "soon"


async def test_a_status_brings_the_body_it_is_given(api):
    faults = api.sandbox.faults
    faults.add("status", status=500, body={"oops": True})
    assert (await api("GET", LEVELS)).body == {"oops": True}
    faults.add("status", status=418, body=b"short and stout", retry_after=3)
    answer = await api("GET", LEVELS)
    assert (answer.status, answer.raw, answer.headers["Retry-After"]) == (418, b"short and stout", "3")


async def test_html_is_the_page_of_a_proxy(api):
    api.sandbox.faults.add("html")
    answer = await api("GET", LEVELS)
    assert answer.status == 502
    assert answer.headers["Content-Type"].startswith("text/html")
    assert b"502 Bad Gateway" in answer.raw


async def test_before_means_that_nothing_was_done_and_after_that_it_was(api):
    faults = api.sandbox.faults
    members = api.sandbox.state.audiences["sales-emea"].members
    user = api.sandbox.state.add_user(ref="guest")
    for kind, details, done in (
        ("status", {}, False),
        ("html", {}, False),
        ("close_before", {}, False),
        ("status", {"after": True}, True),
        ("html", {"after": True}, True),
        ("empty_body", {}, True),
        ("not_json", {}, True),
        ("wrong_shape", {}, True),
        ("close_after", {}, True),
        ("cut_body", {}, True),
    ):
        members.discard(user)
        fault = faults.add(kind, operation="addMembers", **details)
        try:
            await api("POST", MEMBERS, ["guest"])
        except aiohttp.ClientError:
            assert kind in ("close_before", "close_after", "cut_body")
        assert ("guest" in members) is done, kind
        assert fault.fired == 1


@pytest.mark.parametrize("kind", ["close_before", "close_after"])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_closed_connection_gives_no_answer(api, kind, reset):
    api.sandbox.faults.add(kind, reset=reset)
    with pytest.raises(aiohttp.ClientConnectionError) as caught:
        await api("POST", MEMBERS, ["E00001"])
    assert isinstance(caught.value, aiohttp.ClientOSError if reset else aiohttp.ServerDisconnectedError)
    assert api.sandbox.requests[-1].status is None
    assert (await api("GET", LEVELS)).status == 200


async def test_a_cut_body_is_shorter_than_it_said(api):
    api.sandbox.faults.add("cut_body")
    with pytest.raises(aiohttp.ClientPayloadError):
        await api("GET", "/rest/v1/users")
    api.sandbox.faults.add("cut_body", keep=0.0)
    with pytest.raises(aiohttp.ClientPayloadError):
        await api("GET", "/rest/v1/users")


async def test_bodies_can_be_empty_or_no_json_or_other_json(api):
    faults = api.sandbox.faults
    faults.add("empty_body")
    assert (await api("GET", LEVELS)).raw == b""
    faults.add("not_json", status=201)
    answer = await api("GET", LEVELS)
    assert isinstance(answer.body, bytes)
    assert answer.status == 201
    faults.add("wrong_shape", body={"results": "none"})
    assert (await api("GET", LEVELS)).body == {"results": "none"}


async def test_latency_is_by_the_loops_clock(open_api):
    clock = VirtualClock()
    api = await open_api(clock=clock)
    api.sandbox.faults.add("latency", seconds=2.5)
    await api("GET", LEVELS)
    assert clock.elapsed == 2.5
    await api("GET", LEVELS)
    assert clock.elapsed == 2.5


@pytest.mark.parametrize("distribution", ["uniform", "normal", "exponential"])
async def test_latency_varies_as_its_distribution_says(open_api, distribution):
    clock = VirtualClock()
    api = await open_api(clock=clock)
    api.sandbox.faults.add("latency", times=None, seconds=10, jitter=1, distribution=distribution)
    waits = []
    for _ in range(8):
        before = clock.elapsed
        await api("GET", LEVELS)
        waits.append(clock.elapsed - before)
    assert len(set(waits)) == 8
    assert all(5 < wait < 20 for wait in waits)
    if distribution == "uniform":
        assert all(10 <= wait <= 11 for wait in waits)


async def test_a_latency_of_the_whole_sandbox(open_api):
    clock = VirtualClock()
    api = await open_api(clock=clock, latency=0.25)
    await api("GET", LEVELS)
    assert clock.elapsed == 0.25


async def test_an_expired_token_is_one_and_revoked_are_all(api):
    one, two = [{"Authorization": f"Bearer {(await api.token()).body['access_token']}"} for _ in range(2)]
    api.sandbox.faults.add("expired_token")
    assert (await api("GET", LEVELS)).status == 200  # Basic has no token to expire
    assert (await api("GET", LEVELS, headers=one)).status == 401
    assert (await api("GET", LEVELS, headers=one)).status == 401
    assert (await api("GET", LEVELS, headers=two)).status == 200
    api.sandbox.faults.add("revoked_token")
    one = {"Authorization": f"Bearer {(await api.token()).body['access_token']}"}
    assert (await api("GET", LEVELS, headers=one)).status == 401
    assert (await api("GET", LEVELS, headers=two)).status == 401
    assert "revoked_token" in api.sandbox.requests[-2].faults


async def test_the_token_endpoint_can_be_down(api):
    api.sandbox.faults.add("token_down", status=500)
    assert (await api.token()).status == 500
    assert (await api.token()).status == 200


async def test_unknown_users_fail_under_any_name(api):
    user = api.sandbox.state.find_user("E00001")
    api.sandbox.faults.add("unknown_users", references=["E00001"])
    for name in ("E00001", user["id"], user["email"]):
        answer = await api("POST", MEMBERS, [name, "E00002"])
        assert answer.status == 207
        assert answer.body["failure"]["entities"] == [{"reason": "User does not exist.", "reference": name}]


async def test_a_poisoned_batch_is_refused_as_a_whole(api):
    members = api.sandbox.state.audiences["sales-apac"].members
    user = api.sandbox.state.add_user(ref="poison")
    path = "/rest/v1/audiences/sales-apac/members"
    fault = api.sandbox.faults.add("poisoned", references=["poison"])
    for name in ("poison", user["id"]):
        assert (await api("POST", path, ["E00002", name])).status == 422
        assert "E00002" not in members
    assert (await api("POST", path, ["E00002"])).status == 200
    assert fault.fired == 2
    fault.remove()
    api.sandbox.faults.add("poisoned", references=["poison"], status=500, times=1, operation="replaceMembers")
    assert (await api("PATCH", path, ["poison"])).status == 500
    assert (await api("PATCH", path, ["poison"])).status == 200


async def test_members_change_between_two_pages(api):
    members = api.sandbox.state.audiences["sales-emea"].members
    before = list(members)
    api.sandbox.faults.add("members_change", add=2, remove=1)
    first = (await api("GET", f"{MEMBERS}?perPage=10")).body
    assert [one["userId"] for one in first["results"]] == before[:10]
    assert list(members)[:-2] == before[1:]
    second = (await api("GET", f"{MEMBERS}?perPage=10&page=2")).body
    assert second["pagination"]["totalResults"] == len(before) + 1
    assert before[10] not in [one["userId"] for one in first["results"] + second["results"]]


async def test_a_rate_limit_lets_a_burst_through_and_tells_when_to_come_back(open_api):
    clock = VirtualClock()
    api = await open_api(clock=clock, rate_limit=0.5, rate_burst=3)
    assert [(await api("GET", LEVELS)).status for _ in range(3)] == [200] * 3
    refused = await api("GET", LEVELS)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "2")
    await asyncio.sleep(2)
    assert (await api("GET", LEVELS)).status == 200
    assert (await api("GET", LEVELS)).status == 429
    await asyncio.sleep(100)
    assert [(await api("GET", LEVELS)).status for _ in range(4)] == [200] * 3 + [429]


@pytest.mark.parametrize("style", ["x-ratelimit", "none"])
async def test_a_rate_limit_may_say_so_otherwise_or_not_at_all(open_api, style):
    api = await open_api(clock=VirtualClock(), rate_limit=1, rate_limit_headers=style)
    await api("GET", LEVELS)
    refused = await api("GET", LEVELS)
    assert refused.status == 429
    assert "Retry-After" not in refused.headers
    expected = ("1", "0", "1") if style == "x-ratelimit" else (None, None, None)
    names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    assert tuple(refused.headers.get(name) for name in names) == expected


@pytest.mark.parametrize("kind", [None, "cut_body", "close_after", "not_json", "status"])
@pytest.mark.parametrize("sent", [1.0, 0.9])
async def test_a_client_that_disconnects_leaves_no_line_in_the_log(open_api, caplog, kind, sent):
    """It may disconnect before its answer or within its request: clients do that, and so do tests."""
    api = await open_api(clock=VirtualClock())
    if kind is not None:
        api.sandbox.faults.add(kind)
    api.sandbox.faults.add("latency", seconds=5)
    body = b'["E-1", "E-2"]'
    head = f"POST {MEMBERS} HTTP/1.1\r\nHost: x\r\nAuthorization: {api.basic}\r\nContent-Length: {len(body)}\r\n"
    whole = f"{head}Content-Type: application/json\r\n\r\n".encode() + body
    _reader, writer = await asyncio.open_connection(api.sandbox.host, api.sandbox.port)
    writer.write(whole[: int(len(whole) * sent)])
    await asyncio.sleep(1)
    writer.transport.abort()
    await asyncio.sleep(10)
    assert len(api.sandbox.requests) == (sent == 1.0)
    assert [record for record in caplog.records if record.levelno > logging.DEBUG and record.name != "asyncio"] == []
