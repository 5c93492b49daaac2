"""`with_options`: a view of a client, and what its calls carry."""

import asyncio
import logging
from typing import Any

import pytest
from raw_server import KEY, TENANT, USER, RawServer, reply

from thrive_async import (
    ApiKey,
    ConfigurationError,
    InvalidArgument,
    RequestTimeout,
    Retry,
    ServerError,
    ThriveClient,
    Timeouts,
    correlation_id,
)
from thrive_async.models import UserUpdate
from thrive_async.sandbox import Sandbox, VirtualClock


async def test_a_view_shares_connections_token_gate_and_what_was_learnt(sandbox: Sandbox) -> None:
    async with sandbox.client(credentials=sandbox.oauth) as thrive:
        view = thrive.with_options(timeouts=Timeouts(total=5)).with_options(priority="bulk")
        await thrive.skills.levels()
        await view.skills.levels()
        await view.audiences.members.list("emea").first()
        await view.cpd.entries.list().first()
        assert len(sandbox.requests.of("createAccessToken")) == 1
        assert view.problems is thrive.problems
        assert view.limits is thrive.limits
        assert view.users._page_sizes is thrive.users._page_sizes
        assert repr(view) == repr(thrive)


async def test_closing_a_view_leaves_the_client_open(server: RawServer) -> None:
    async with server.client() as thrive:
        async with thrive.with_options() as view:
            await view.users.get("u1")
        await view.users.get("u1")
        await thrive.users.get("u1")
    assert server.connections == 1
    with pytest.raises(ConfigurationError, match="is closed"):
        await view.users.get("u1")


async def test_the_timeouts_of_a_view_are_those_of_its_calls_that_bring_none(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, latency=3) as sandbox, sandbox.client() as thrive:
        view = thrive.with_options(timeouts=Timeouts(total=1))
        for call in (view.skills.levels(), view.users.list().collect(), view.request("GET", "/rest/v1/skills/levels")):
            with pytest.raises(RequestTimeout, match=r"Timeouts.total = 1 s"):
                await call
        await view.skills.levels(timeouts=Timeouts(total=10))
        await thrive.skills.levels()


async def test_the_retry_of_a_view_repeats_its_calls(clock: VirtualClock) -> None:
    async with RawServer([reply(500)]) as server, server.client(retry=Retry(max_attempts=1)) as thrive:
        view = thrive.with_options(retry=Retry(max_attempts=3))
        assert (view.retry.max_attempts, thrive.retry.max_attempts, view.timeouts) == (3, 1, thrive.timeouts)
        for client, attempts in ((view, 3), (thrive, 1), (view.with_options(retry=Retry(max_attempts=2)), 2)):
            with pytest.raises(ServerError) as raised:
                await client.users.get("u1")
            assert raised.value.attempts == attempts


async def test_headers_of_the_caller_go_along(server: RawServer) -> None:
    async with server.client() as thrive:
        view = thrive.with_options(headers={"traceparent": "00-1", "X-Team": "a"})
        await view.with_options(headers={"x-team": "b"}).users.get("u1")
        await view.users.get("u1")
        await thrive.users.get("u1")
    sent = [(request.headers.get("traceparent"), request.headers.get("x-team")) for request in server.requests]
    assert sent == [("00-1", "b"), ("00-1", "a"), (None, None)]
    assert "00-1" not in repr(view._options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"headers": {"Authorization": "x"}}, InvalidArgument, "must not hold Authorization: the client sets it"),
        ({"headers": {"content-TYPE": "x"}}, InvalidArgument, "must not hold content-TYPE"),
        ({"headers": {"Cookie": "x"}}, InvalidArgument, "must not hold Cookie"),
        ({"headers": {"a b": "x"}}, InvalidArgument, "a name that no header can have"),
        ({"headers": {"a": "x\r\nAuthorization: y"}}, InvalidArgument, "the value of a must be printable ASCII"),
        ({"headers": {"a": 5}}, TypeError, "strings to strings"),
        ({"timeouts": 5}, TypeError, "timeouts must be Timeouts, not int"),
        ({"retry": 5}, TypeError, "retry must be Retry, not int"),
        ({"priority": "high"}, InvalidArgument, 'priority must be "interactive" or "bulk"'),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ThriveClient(TENANT, ApiKey(KEY)).with_options(**options)


async def test_a_correlation_id_is_sent_and_logged(server: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "thrive_async")

    async def web_request(number: int) -> None:
        correlation_id.set(f"web {number}\r\nX-Evil: é")
        await thrive.users.list().first() if number == 2 else await thrive.users.get("u1")

    async with server.client() as thrive:
        server.answers[:] = [USER, reply(200, []), USER]
        for number in (1, 2):
            await asyncio.create_task(web_request(number))
        await thrive.users.get("u1")
    assert [one.headers.get("x-correlation-id") for one in server.requests] == ["web1X-Evil:", "web2X-Evil:", None]
    told = [
        record.getMessage().partition(", correlation id ")[2]
        for record in caplog.records
        if "attempt 1" in record.getMessage()
    ]
    assert told == ["web1X-Evil:", "web2X-Evil:", ""]


async def test_a_view_writes_as_its_client_does(sandbox: Sandbox, thrive: ThriveClient) -> None:
    user = await thrive.users.list().first()
    assert user is not None
    assert user.ref is not None
    await thrive.with_options(headers={"X-Team": "a"}).users.update(user.ref, UserUpdate(job_title="Pilot"))
    assert sandbox.requests[-1].body == {"jobTitle": "Pilot"}
