"""Tokens under fire: hundreds of calls at once, and one token for all of them."""

import asyncio

import pytest
from raw_server import RawRequest, RawServer, reply

from thrive_async import (
    AuthenticationError,
    ClientCredentials,
    ConnectionFailed,
    Limits,
    RequestTimeout,
    ServerError,
    ThriveClient,
    Timeouts,
)
from thrive_async.sandbox import Sandbox, VirtualClock


async def many(thrive: ThriveClient, count: int = 500) -> list[object]:
    return await asyncio.gather(*(thrive.skills.levels() for _ in range(count)), return_exceptions=True)


@pytest.mark.parametrize("concurrency", [1, 10, 500])
async def test_500_calls_with_a_token_at_its_end_make_one_token_request(concurrency: int, clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, token_lifetime=130) as sandbox:
        thrive = sandbox.client(credentials=sandbox.oauth, limits=Limits(concurrency=concurrency))
        assert all(isinstance(one, list) for one in await many(thrive))
        assert len(sandbox.requests.of("createAccessToken")) == 1
        await asyncio.sleep(71)
        assert all(isinstance(one, list) for one in await many(thrive))
        assert len(sandbox.requests.of("createAccessToken")) == 2
        assert {entry.status for entry in sandbox.requests} == {200}


@pytest.mark.parametrize("concurrency", [1, 10, 500])
async def test_500_calls_with_a_revoked_token_make_one_more(concurrency: int, clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, latency=0.05) as sandbox:
        thrive = sandbox.client(credentials=sandbox.oauth, limits=Limits(concurrency=concurrency))
        await thrive.skills.levels()
        sandbox.tokens.revoke()
        assert all(isinstance(one, list) for one in await many(thrive))
        assert len(sandbox.requests.of("createAccessToken")) == 2
        assert sum(1 for entry in sandbox.requests if entry.status == 401) <= concurrency


async def test_a_token_revoked_again_and_again_costs_one_request_each_time(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, latency=0.02) as sandbox:
        thrive = sandbox.client(credentials=sandbox.oauth)
        for round_ in range(1, 6):
            calls = asyncio.ensure_future(many(thrive, 100))
            await asyncio.sleep(0.05)
            sandbox.tokens.revoke()
            assert all(isinstance(one, list) for one in await calls)
            assert len(sandbox.requests.of("createAccessToken")) == 1 + round_


@pytest.mark.parametrize("status", [500, 503, 401])
async def test_a_failing_token_endpoint_is_one_clear_error_for_all_and_then_tried_again(
    status: int, clock: VirtualClock
) -> None:
    async with Sandbox(users=1, clock=clock) as sandbox:
        thrive = sandbox.client(credentials=sandbox.oauth)
        sandbox.faults.add("token_down", status=status, times=None)
        results = await many(thrive)
        assert {type(one) for one in results} == {AuthenticationError if status == 401 else ServerError}
        assert len({str(one) for one in results}) == 1
        assert f"POST /oauth2/token/{{tenantId}}: {status}" in str(results[0])
        # All its attempts in both ways of naming oneself; for all of the 500 calls together.
        assert len(sandbox.requests) == (2 if status == 401 else 10)
        # Each has an error of its own, with a traceback of its own.
        assert len({id(one) for one in results}) == 500
        sandbox.faults.clear()
        assert all(isinstance(one, list) for one in await many(thrive))


async def test_a_token_endpoint_that_drops_connections_is_tried_again(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock) as sandbox:
        thrive = sandbox.client(credentials=sandbox.oauth)
        sandbox.faults.add("close_before", operation="createAccessToken", times=2)
        await thrive.skills.levels()
        assert len(sandbox.requests.of("createAccessToken")) == 3
        sandbox.tokens.revoke()
        sandbox.faults.add("close_before", operation="createAccessToken", times=None)
        with pytest.raises(ConnectionFailed, match=r"POST /oauth2/token"):
            await thrive.skills.levels()


async def test_the_token_endpoint_is_within_the_limits_too(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock) as sandbox:
        sandbox.faults.add("rate_limited", operation="createAccessToken", retry_after=20)
        thrive = sandbox.client(credentials=sandbox.oauth, limits=Limits(concurrency=1))
        assert all(isinstance(one, list) for one in await many(thrive, 20))
        assert clock.elapsed >= 20
        assert len(sandbox.requests.of("createAccessToken")) == 2


async def test_one_impatient_caller_does_not_take_the_token_from_the_patient(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock) as sandbox:
        sandbox.faults.add("latency", operation="createAccessToken", seconds=5, times=None)
        thrive = sandbox.client(credentials=sandbox.oauth)
        hasty = asyncio.ensure_future(thrive.skills.levels(timeouts=Timeouts(total=1)))
        patient = [asyncio.ensure_future(thrive.skills.levels()) for _ in range(50)]
        with pytest.raises(RequestTimeout):
            await hasty
        assert all(isinstance(one, list) for one in await asyncio.gather(*patient))
        assert len(sandbox.requests.of("createAccessToken")) == 2


async def test_a_very_short_token_is_renewed_and_does_not_go_round_in_circles(clock: VirtualClock) -> None:
    """Lives two seconds, and every call waits longer than that for its turn."""
    async with Sandbox(users=1, clock=clock, token_lifetime=2.0) as sandbox:
        limits = Limits(concurrency=5, rate=0.25)
        thrive = sandbox.client(credentials=sandbox.oauth, limits=limits, timeouts=Timeouts(total=None))
        results = await many(thrive, 5)
        assert all(isinstance(one, list) for one in results)
        # Each call gets a token when its turn has come, and keeps the turn.
        assert [entry.operation for entry in sandbox.requests] == ["createAccessToken", "listSkillLevels"] * 5


async def test_a_late_refusal_of_the_old_token_does_not_cost_the_new_one(clock: VirtualClock) -> None:
    """Two calls go out with one token; by the time the second is refused, the first has got a new one for both."""
    issued = iter(("old", "new", "newer"))
    seen: list[str] = []

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            writer.write(reply(200, {"access_token": next(issued)}))
            return
        token = request.headers["authorization"].removeprefix("Bearer ")
        seen.append(token)
        await asyncio.sleep(0.1 * len(seen))
        writer.write(reply(401) if token == "old" else reply(200, []))

    credentials = ClientCredentials("me", "secret", client_auth="basic")
    async with RawServer([answer]) as server, server.client(credentials=credentials) as thrive:
        assert await many(thrive, 2) == [[], []]
        assert seen == ["old", "old", "new", "new"]
