"""The transport: what is sent, what is repeated, when it gives up, and what it tells.

Over real sockets: the sandbox, and where it is too decent, a raw server.
"""

import asyncio
import base64
import gzip
import logging
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from raw_server import KEY, TENANT, RawRequest, RawServer, close, hang, refused_port, reply, reset, then_close

from thrive_async import (
    APIError,
    ApiKey,
    AuthenticationError,
    ClientCredentials,
    ConfigurationError,
    ConnectionFailed,
    DecodeError,
    Limits,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeout,
    Retry,
    ServerError,
    ThriveClient,
    Timeouts,
    UnprocessableError,
)
from thrive_async._http.attempt import duration
from thrive_async.models import AudienceCreate, UserCreate, UserUpdate
from thrive_async.sandbox import Sandbox, VirtualClock

USER = reply(200, {"id": "507f1f77bcf86cd799439011"})
NEW_USER = UserCreate(ref="E1", first_name="A", last_name="B", email="a@example.org")
ACCOUNT = reply(201, {"id": "507f1f77bcf86cd799439011", "ref": "E1"})


# What is sent


async def test_an_api_key_is_sent_as_basic_authentication() -> None:
    async with RawServer([USER]) as server, server.client() as thrive:
        await thrive.users.get("u1")
    (request,) = server.requests
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode() == f"{TENANT}:{KEY}"
    assert (request.method, request.target) == ("GET", "/rest/v1/user/u1")
    assert request.headers["accept"] == "application/json"
    assert "content-type" not in request.headers


async def test_a_client_keeps_its_connection(clock: VirtualClock) -> None:
    async with RawServer([USER]) as server, server.client() as thrive:
        for _ in range(5):
            await thrive.users.get("u1")
        assert server.connections == 1


@pytest.mark.parametrize("slots", [7, 120])
async def test_as_many_connections_as_slots_and_no_more(slots: int, clock: VirtualClock) -> None:
    async def slowly(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)
        writer.write(USER)

    async with RawServer([slowly]) as server, server.client(limits=Limits(concurrency=slots)) as thrive:
        await asyncio.gather(*(thrive.users.get("u1") for _ in range(4 * slots + 2)))
        assert server.connections == slots
        assert clock.elapsed == pytest.approx(5, abs=0.01)


# Repeating


@pytest.mark.parametrize("failure", [close, reset, reply(503), reply(500), reply(200, b'{"id": "5')])
async def test_a_passing_failure_of_a_read_is_repeated(failure: Any, clock: VirtualClock) -> None:
    async with RawServer([failure, failure, USER]) as server, server.client() as thrive:
        assert (await thrive.users.get("u1")).id
    assert len(server.requests) == 3


async def test_a_body_that_ends_too_early_is_a_failure_to_repeat(clock: VirtualClock) -> None:
    cut = then_close(reply(200, {"id": "1"}, length=500))
    async with RawServer([cut, USER]) as server, server.client() as thrive:
        await thrive.users.get("u1")
    assert len(server.requests) == 2


async def test_an_answer_that_is_no_http_is_a_failure_to_repeat(clock: VirtualClock) -> None:
    async with RawServer([then_close(b"SSH-2.0-OpenSSH\r\n\r\n"), USER]) as server, server.client() as thrive:
        await thrive.users.get("u1")
    assert len(server.requests) == 2


async def test_the_last_failure_is_the_error_and_counts_the_attempts(clock: VirtualClock) -> None:
    async with RawServer([reply(502)]) as server, server.client(retry=Retry(max_attempts=3)) as thrive:
        with pytest.raises(ServerError, match=r"GET /rest/v1/user/\{id\}: 502 Bad Gateway \(3 attempts\)") as raised:
            await thrive.users.get("u1")
    assert raised.value.attempts == len(server.requests) == 3


async def test_one_attempt_switches_repeating_off(clock: VirtualClock) -> None:
    async with RawServer([close]) as server, server.client(retry=Retry(max_attempts=1)) as thrive:
        with pytest.raises(ConnectionFailed, match="1 attempt"):
            await thrive.users.get("u1")
    assert len(server.requests) == 1


@pytest.mark.parametrize(("base", "ceilings"), [(1, [1, 2, 4, 5, 5, 5]), (9, [5, 5, 5, 5, 5, 5])])
async def test_pauses_double_up_to_their_maximum_and_half_of_each_is_chance(
    base: float, ceilings: list[float], clock: VirtualClock
) -> None:
    times: list[float] = []

    async def fail(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        times.append(clock.elapsed)
        writer.write(reply(500))

    retry = Retry(max_attempts=7, base_delay=base, max_delay=5)
    async with RawServer([fail]) as server, server.client(retry=retry) as thrive:
        with pytest.raises(ServerError):
            await thrive.users.get("u1")
    shares = [(later - earlier) / ceiling for (earlier, later), ceiling in zip(pairwise(times), ceilings, strict=True)]
    assert all(0.5 <= share <= 1.001 for share in shares)
    assert len({round(share, 3) for share in shares}) > 1


async def test_a_client_error_is_not_repeated() -> None:
    async with RawServer([reply(404)]) as server, server.client() as thrive:
        with pytest.raises(NotFoundError):
            await thrive.users.get("u1")
    assert len(server.requests) == 1


async def test_a_create_whose_answer_is_lost_is_never_sent_again(clock: VirtualClock) -> None:
    for failure in (close, reset, reply(500), reply(504), reply(201, b"{")):
        async with RawServer([failure]) as server, server.client() as thrive:
            with pytest.raises((ConnectionFailed, ServerError, DecodeError)):
                await thrive.users.create(NEW_USER)
        assert len(server.requests) == 1


async def test_a_create_that_thrive_did_not_begin_is_repeated(clock: VirtualClock) -> None:
    async with RawServer([reply(429), reply(503), ACCOUNT]) as server, server.client() as thrive:
        await thrive.users.create(NEW_USER)
    assert len(server.requests) == 3


async def test_a_connection_that_cannot_be_made_is_tried_again_also_for_a_create(clock: VirtualClock) -> None:
    async with ThriveClient(TENANT, ApiKey(KEY), base_url=f"http://127.0.0.1:{refused_port()}") as thrive:
        with pytest.raises(ConnectionFailed, match=r"cannot connect to 127\.0\.0\.1") as raised:
            await thrive.users.create(NEW_USER)
    assert raised.value.attempts == 5
    assert raised.value.maybe_applied is False


async def test_aiohttp_never_sends_again_by_itself(clock: VirtualClock) -> None:
    """A kept-alive connection that dies under a GET or DELETE would make aiohttp repeat it once, uncounted."""
    for method in ("GET", "DELETE"):
        async with (
            RawServer([USER, close, USER]) as server,
            server.client(retry=Retry(max_attempts=1)) as thrive,
        ):
            await thrive.users.get("u1")
            with pytest.raises(ConnectionFailed) as raised:
                await thrive.request(method, "/rest/v1/user/u2")
            assert raised.value.attempts == 1
            assert [request.method for request in server.requests] == ["GET", method]
            assert server.connections == 1


async def test_a_delete_whose_first_answer_was_lost_is_done_when_the_thing_is_gone(clock: VirtualClock) -> None:
    for lost in (close, reset, reply(500), reply(502), reply(504), then_close(reply(200, b"{", length=9))):
        async with RawServer([lost, reply(404)]) as server, server.client() as thrive:
            await thrive.users.delete("E1")
        assert len(server.requests) == 2


async def test_a_delete_of_what_never_was_there_is_an_error(clock: VirtualClock) -> None:
    for before in ([], [reply(429)], [reply(503)]):
        async with RawServer([*before, reply(404)]) as server, server.client() as thrive:
            with pytest.raises(NotFoundError):
                await thrive.users.delete("E1")


# What Thrive asks for


@pytest.mark.parametrize("value", ["7", "7.0"])
async def test_retry_after_is_never_undercut(value: str, clock: VirtualClock) -> None:
    async with RawServer([reply(429, Retry_After=value), USER]) as server, server.client() as thrive:
        await thrive.users.get("u1")
        assert 7 <= clock.elapsed <= 7.1
    assert len(server.requests) == 2


async def test_retry_after_of_a_503_is_never_undercut(clock: VirtualClock) -> None:
    async with RawServer([reply(503, Retry_After="7"), USER]) as server, server.client() as thrive:
        await thrive.users.get("u1")
        assert 7 <= clock.elapsed <= 7.1


async def test_those_who_are_told_the_same_pause_do_not_return_in_one_moment(clock: VirtualClock) -> None:
    """A 503 closes no gate, so that chance alone keeps them apart."""
    times: list[float] = []

    async def answer(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        times.append(clock.elapsed)
        writer.write(USER if len(times) > 10 else reply(503, Retry_After="7"))

    async with RawServer([answer]) as server, server.client() as thrive:
        await asyncio.gather(*(thrive.users.get("u1") for _ in range(10)))
    assert len(times) == 20
    assert min(times[10:]) >= 7
    assert max(times[10:]) - min(times[10:]) > 0.005


async def test_a_failure_of_the_server_does_not_make_an_unannounced_pause_small_again(clock: VirtualClock) -> None:
    times: list[float] = []

    async def note(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        times.append(clock.elapsed)
        writer.write([reply(429), reply(500), reply(429), USER][len(times) - 1])

    async with RawServer([note]) as server, server.client(retry=Retry(base_delay=1)) as thrive:
        await thrive.users.get("u1")
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert 1 <= pauses[0] < 1.2
    assert 2 <= pauses[2] < 2.4


async def test_a_pause_that_is_over_already_is_none(clock: VirtualClock) -> None:
    """What Thrive says counts, also if it is less than the pause that would have been made otherwise."""
    async with RawServer([reply(503, Retry_After="0"), USER]) as server:
        async with server.client(retry=Retry(base_delay=10)) as thrive:
            await thrive.users.get("u1")
        assert clock.elapsed <= 1


async def test_a_pause_that_ends_after_the_deadline_fails_at_once(clock: VirtualClock) -> None:
    async with RawServer([reply(429, Retry_After="121")]) as server, server.client() as thrive:
        with pytest.raises(RateLimitError, match=r"would pass Timeouts\.total = 120 s") as raised:
            await thrive.users.get("u1")
        assert clock.elapsed < 0.01
        assert raised.value.retry_after == 121
        # Nor does anyone else wait for what cannot come in time; when it makes sense again is on the error.
        with pytest.raises(RequestTimeout, match=r"pause that lasts 121 s more.*, so it was not sent") as refused:
            await thrive.users.get("u2")
        assert clock.elapsed < 0.01
        assert refused.value.retry_after == pytest.approx(121, abs=0.01)
        await asyncio.sleep(0.5)
        with pytest.raises(RequestTimeout) as refused:
            await thrive.users.get("u2")
        assert refused.value.retry_after == pytest.approx(120.5, abs=0.01)
    assert len(server.requests) == 1


async def test_a_pause_that_is_too_long_is_told_at_once_also_where_all_slots_are_taken(clock: VirtualClock) -> None:
    limits, patient = Limits(concurrency=2), Timeouts(attempt=None, total=None)
    async with RawServer([hang, reply(429, Retry_After="100")]) as server, server.client(limits=limits) as thrive:
        calls = [asyncio.ensure_future(thrive.users.get("u1", timeouts=patient))]
        await asyncio.sleep(1)
        calls += [asyncio.ensure_future(thrive.users.get("u2", timeouts=patient)) for _ in range(2)]
        await asyncio.sleep(1)
        with pytest.raises(RequestTimeout, match="so it was not sent"):
            await thrive.users.get("u3", timeouts=Timeouts(total=50))
        assert clock.elapsed == pytest.approx(2, abs=0.01)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


# Time


async def test_an_attempt_has_its_own_limit(clock: VirtualClock) -> None:
    timeouts = Timeouts(attempt=3, total=60)
    async with RawServer([hang, USER]) as server, server.client(timeouts=timeouts) as thrive:
        await thrive.users.get("u1")
        assert 3 <= clock.elapsed <= 3.6
    assert len(server.requests) == 2


async def test_the_total_bounds_attempts_and_pauses(clock: VirtualClock) -> None:
    async with RawServer([hang]) as server, server.client() as thrive:
        with pytest.raises(RequestTimeout, match=r"no answer within Timeouts\.total = 10 s \(3 attempts") as raised:
            await thrive.users.get("u1", timeouts=Timeouts(attempt=4, total=10))
        assert clock.elapsed == pytest.approx(10, abs=0.01)
    assert raised.value.attempts == len(server.requests) == 3
    assert raised.value.retry_after is None
    assert isinstance(raised.value, TimeoutError)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([hang], r"1 attempt, the last one: no answer yet\)"),
        ([reply(503), hang], r"2 attempts, the last one: no answer yet, the one before: status 503\)"),
        ([reply(503, Retry_After="1"), close, hang], r"3 attempts, .* yet, the one before: the server closed the"),
    ],
)
async def test_a_total_that_is_over_tells_how_far_the_call_was(
    clock: VirtualClock, script: list[Any], words: str
) -> None:
    async with RawServer(script) as server, server.client() as thrive:
        with pytest.raises(RequestTimeout, match=rf"no answer within Timeouts\.total = 10 s \({words}"):
            await thrive.users.get("u1", timeouts=Timeouts(total=10))


@pytest.mark.parametrize(
    ("script", "progress"),
    [
        ([hang], "1 attempt, the last one: no answer yet"),
        ([reply(503), hang], "2 attempts, the last one: no answer yet, the one before: status 503"),
        ([reply(503, Retry_After="90")], "1 attempt, the last one: status 503"),
        ([close, reply(503, Retry_After="90")], "2 attempts, the last one: status 503"),
    ],
)
async def test_a_total_that_is_over_while_a_token_is_fetched_tells_of_the_token_endpoint(
    clock: VirtualClock, script: list[Any], progress: str
) -> None:
    """Also to those that only wait for the token that another call fetches, and when it is a new one."""
    words = f"still waiting for a token from POST /oauth2/token/{{tenantId}}: {progress})"
    token = reply(200, {"access_token": "t1"})
    credentials = ClientCredentials("id", KEY, client_auth="basic")
    for before, made in (([], "not sent: "), ([token, reply(401)], "1 attempt, the last one: status 401; then ")):
        async with RawServer([*before, *script]) as server, server.client(credentials=credentials) as thrive:
            limits = [Timeouts(total=total) for total in ((10,) if before else (12, 10))]
            calls = [thrive.users.get("u1", timeouts=timeouts) for timeouts in limits]
            for error in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(error, RequestTimeout)
                assert str(error).endswith(f"({made}{words}")
                assert error.operation == "getUser"


async def test_the_total_bounds_the_wait_for_a_slot(clock: VirtualClock) -> None:
    limits, timeouts = Limits(concurrency=1), Timeouts(attempt=None, total=None)
    async with RawServer([hang]) as server, server.client(limits=limits, timeouts=timeouts) as thrive:
        first = asyncio.ensure_future(thrive.users.get("u1"))
        await asyncio.sleep(1)
        with pytest.raises(RequestTimeout, match="not sent: still waiting for a free slot") as raised:
            await thrive.users.get("u2", timeouts=Timeouts(total=2))
        assert clock.elapsed == pytest.approx(3, abs=0.01)
        assert raised.value.maybe_applied is False
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert len(server.requests) == 1


async def test_no_slot_is_held_while_a_call_pauses(clock: VirtualClock) -> None:
    limits = Limits(concurrency=1)
    retry = Retry(base_delay=10, max_delay=10)
    async with RawServer([reply(500), USER]) as server, server.client(limits=limits, retry=retry) as thrive:
        first = asyncio.ensure_future(thrive.users.get("u1"))
        await asyncio.sleep(1)
        await thrive.users.get("u2")
        assert clock.elapsed == pytest.approx(1, abs=0.01)
        await first
    assert [request.target[-2:] for request in server.requests] == ["u1", "u2", "u1"]


async def test_without_a_limit_no_limit_of_aiohttps_own_ends_a_call(clock: VirtualClock) -> None:
    async def slowly(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(4000)
        writer.write(USER)

    async with RawServer([slowly]) as server, server.client() as thrive:
        await thrive.users.get("u1", timeouts=Timeouts(attempt=None, total=None))
    assert clock.elapsed >= 4000
    assert len(server.requests) == 1


async def test_a_create_that_timed_out_says_that_it_may_have_been_done(clock: VirtualClock) -> None:
    async with RawServer([hang]) as server, server.client() as thrive:
        with pytest.raises(RequestTimeout, match="may have taken effect") as raised:
            await thrive.users.create(NEW_USER)
        assert raised.value.maybe_applied is True
        with pytest.raises(RequestTimeout, match="may have taken effect") as raised:
            await thrive.users.create(NEW_USER, timeouts=Timeouts(attempt=None, total=5))
        assert raised.value.maybe_applied is True
    assert len(server.requests) == 2


async def test_a_timeout_after_a_refusal_does_not_say_that_it_may_have_been_done(clock: VirtualClock) -> None:
    async with RawServer([reply(503)]) as server, server.client(retry=Retry(99, 1, 1)) as thrive:
        with pytest.raises((RequestTimeout, ServerError)) as raised:
            await thrive.users.create(NEW_USER, timeouts=Timeouts(total=5))
        assert raised.value.maybe_applied is False


async def test_a_connection_that_is_never_made_counts_as_never_sent(clock: VirtualClock) -> None:
    """A handshake that nobody answers times out before anything was sent: also a create is repeated."""
    async with RawServer([]) as silent, silent.client(base_url=f"https://127.0.0.1:{silent.port}") as thrive:
        with pytest.raises(RequestTimeout) as raised:
            await thrive.users.create(NEW_USER, timeouts=Timeouts(attempt=1, total=20))
    assert raised.value.attempts == 5
    assert raised.value.maybe_applied is False


# Tokens


async def test_a_token_is_fetched_once_and_sent_as_bearer(sandbox: Sandbox) -> None:
    async with sandbox.client(credentials=sandbox.oauth) as thrive:
        await asyncio.gather(*(thrive.skills.levels() for _ in range(20)))
    assert sandbox.tokens.issued == 1


async def test_a_401_fetches_one_new_token_and_repeats_the_call_once(sandbox: Sandbox) -> None:
    async with sandbox.client(credentials=sandbox.oauth) as thrive:
        await thrive.skills.levels()
        sandbox.faults.add("revoked_token")
        await thrive.skills.levels()
        assert sandbox.tokens.issued == 2
        assert [entry.status for entry in sandbox.requests.of("listSkillLevels")] == [200, 401, 200]


async def test_a_401_to_the_new_token_is_the_error(sandbox: Sandbox) -> None:
    async with sandbox.client(credentials=sandbox.oauth) as thrive:
        sandbox.faults.add("revoked_token", times=None)
        with pytest.raises(AuthenticationError) as raised:
            await thrive.skills.levels()
        assert raised.value.attempts == 2
        assert len(sandbox.requests.of("listSkillLevels")) == 2


async def test_a_401_to_an_api_key_is_the_error_at_once(sandbox: Sandbox) -> None:
    async with sandbox.client(credentials=ApiKey(KEY)) as thrive:
        with pytest.raises(AuthenticationError):
            await thrive.skills.levels()
    assert len(sandbox.requests) == 1


async def test_a_token_without_the_scope_is_a_permission_error(sandbox: Sandbox) -> None:
    reader = ClientCredentials(sandbox.tokens.client_id, sandbox.tokens.client_secret, scopes=("api/read",))
    async with sandbox.client(credentials=reader) as thrive:
        with pytest.raises(PermissionDeniedError):
            await thrive.audiences.create(AudienceCreate(name="a", reference="a", category="structure"))
    assert sandbox.tokens.issued == 1


async def test_calls_that_waited_for_a_slot_take_the_newest_token(clock: VirtualClock) -> None:
    """Only those that were under way are refused with a revoked token, however many were waiting."""
    async with Sandbox(users=1, clock=clock, latency=0.05) as sandbox:
        limits = Limits(concurrency=5)
        async with sandbox.client(credentials=sandbox.oauth, limits=limits) as thrive:
            await thrive.skills.levels()
            sandbox.tokens.revoke()
            await asyncio.gather(*(thrive.skills.levels() for _ in range(500)))
        assert sandbox.tokens.issued == 2
        refused = [entry for entry in sandbox.requests if entry.status == 401]
        assert len(refused) <= 5


async def test_the_token_endpoint_is_told_in_the_way_it_wants_and_that_is_remembered(clock: VirtualClock) -> None:
    for style, styles in (("basic", 1), ("post", 2), ("both", 1)):
        async with Sandbox(users=1, clock=clock, token_auth=style, token_lifetime=100) as sandbox:
            thrive = sandbox.client(credentials=sandbox.oauth)
            await thrive.skills.levels()
            assert len(sandbox.requests.of("createAccessToken")) == styles
            await asyncio.sleep(100)
            await thrive.skills.levels()
            assert len(sandbox.requests.of("createAccessToken")) == styles + 1


async def test_the_secret_goes_to_the_token_host_alone_and_the_token_to_the_api_alone() -> None:
    credentials = ClientCredentials("me", "secret", client_auth="basic")
    token = reply(200, {"access_token": "fresh", "expires_in": 3600})
    async with RawServer([token]) as issuer, RawServer([USER]) as api, api.client(credentials=credentials) as thrive:
        transport = thrive._transport
        transport._authorizer = transport._token_authorizer(credentials, TENANT, issuer.base_url)
        await thrive.users.get("u1")
    assert [request.target for request in issuer.requests] == [f"/oauth2/token/{TENANT}"]
    assert issuer.requests[0].headers["authorization"] == aiohttp.encode_basic_auth("me", "secret")
    assert [request.headers["authorization"] for request in api.requests] == ["Bearer fresh"]


async def test_wrong_client_credentials_are_one_clear_error(sandbox: Sandbox) -> None:
    async with sandbox.client(credentials=ClientCredentials("nobody", "nothing")) as thrive:
        with pytest.raises(AuthenticationError, match=r"POST /oauth2/token/\{tenantId\}: 401 invalid_client"):
            await thrive.skills.levels()


async def test_a_token_endpoint_that_gives_no_token_is_a_decode_error_without_its_body(clock: VirtualClock) -> None:
    for body in ({}, [], {"access_token": ""}, {"access_token": 5}, {"access_token": "a\nb"}, b'{"access_token": "ab'):
        credentials = ClientCredentials("a", "b", client_auth="basic")
        async with RawServer([reply(200, body)]) as server, server.client(credentials=credentials) as thrive:
            with pytest.raises(DecodeError, match="createAccessToken") as raised:
                await thrive.skills.levels()
            assert raised.value.body is None


# Bad replies


async def test_a_redirect_is_refused_and_not_followed() -> None:
    async with RawServer([USER]) as elsewhere:
        there = reply(302, b"", Location=elsewhere.base_url + "/rest/v1/user/u1")
        async with RawServer([there]) as server, server.client() as thrive:
            with pytest.raises(APIError, match=r"302 Found.*a redirect is never followed") as raised:
                await thrive.users.get("u1")
            assert raised.value.status == 302
            assert len(server.requests) == 1
        assert elsewhere.requests == []


async def test_a_reply_above_the_limit_is_an_error_and_its_connection_is_closed() -> None:
    broken = asyncio.Event()

    async def endless(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b"1000\r\n" + bytes(4096) + b"\r\n")
                await writer.drain()
        finally:
            broken.set()

    limits = Limits(max_reply_bytes=1_000_000)
    async with RawServer([endless, USER]) as server, server.client(limits=limits) as thrive:
        with pytest.raises(DecodeError, match=r"larger than Limits\.max_reply_bytes = 1,000,000"):
            await thrive.users.get("u1")
        await broken.wait()
        await thrive.users.get("u1")
    assert len(server.requests) == server.connections == 2


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_bomb_does_not_go_off(encoding: str) -> None:
    zeros = bytes(200_000_000)
    bomb = gzip.compress(zeros, 9) if encoding == "gzip" else zlib.compress(zeros, 9)
    del zeros
    limits = Limits(max_reply_bytes=1_000_000)
    async with RawServer([reply(200, bomb, Content_Encoding=encoding)]) as server, server.client(limits=limits) as t:
        tracemalloc.start()
        try:
            with pytest.raises(DecodeError, match="larger than"):
                await t.users.get("u1")
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10_000_000


async def test_a_body_that_only_claims_to_be_compressed_is_a_lost_answer(clock: VirtualClock) -> None:
    wrong = reply(200, b"not gzip", Content_Encoding="gzip")
    async with RawServer([wrong, USER]) as server, server.client() as thrive:
        await thrive.users.get("u1")
    assert len(server.requests) == 2


async def test_207_is_a_value(sandbox: Sandbox, thrive: ThriveClient) -> None:
    result = await thrive.audiences.members.add("sales-emea", ["nobody@example.org"])
    assert sandbox.requests[-1].status == 207
    assert result.is_partial


# What is told


async def test_each_attempt_is_one_debug_line_without_arguments(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "thrive_async")
    ok = reply(200, {"id": "1"}, X_Request_Id="r-7")
    async with RawServer([close, ok]) as server, server.client() as thrive:
        await thrive.users.get_by_ref("anna@example.org")
    lines = [record.getMessage() for record in caplog.records if record.name == "thrive_async"]
    first, second = [line for line in lines if ", attempt " in line]
    what = "getUserByRef GET /rest/v1/users/ref/{ref}: "
    assert first.startswith(what + "the server closed the connection before it answered, request id -, attempt 1, ")
    assert second.startswith(what + "200, request id r-7, attempt 2, ")
    assert second.endswith(" ms")
    assert "anna" not in caplog.text
    assert KEY not in caplog.text


async def test_a_request_id_that_is_words_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "thrive_async")
    words = reply(404, X_Request_Id="no anna@example.org here")
    async with RawServer([words]) as server, server.client() as thrive:
        with pytest.raises(NotFoundError) as raised:
            await thrive.users.get("u1")
    assert raised.value.request_id == "no anna@example.org here"
    assert "404, request id -, attempt 1" in caplog.text
    assert "anna" not in caplog.text


async def test_what_was_sent_is_hidden_in_an_error_wherever_it_stood_in_the_request() -> None:
    """Also if it looks like a word: as a segment, a query value, a leaf of the body, by hand or not."""
    words = reply(422, {"message": "no autumn here, nor Autumn"})
    calls: list[Callable[[ThriveClient], Awaitable[Any]]] = [
        lambda t: t.users.get_by_ref("autumn"),
        lambda t: t.audiences.members.remove("a", "autumn"),
        lambda t: t.completions.list(user_id="autumn").first(),
        lambda t: t.users.update("E1", UserUpdate(first_name="autumn")),
        lambda t: t.audiences.members.add("a", ["E1", "autumn"]),
        lambda t: t.request("GET", "/rest/v1/users/ref/autumn"),
        lambda t: t.request("GET", "/rest/v1/users", params={"q": ["E1", "autumn"]}),
        lambda t: t.request("POST", "/rest/v1/users", json={"x": [{"y": "autumn"}]}),
    ]
    async with RawServer([words]) as server, server.client() as thrive:
        for call in calls:
            with pytest.raises(UnprocessableError, match=r"no \{(\S+)\} here, nor \{\1\} \("):
                await call(thrive)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.5, "0.5 s"), (121, "121 s"), (600, "10 min"), (7200, "2 h"), (1e9, "11,574 days")]
)
def test_a_pause_is_written_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


async def test_nobody_else_logs_that_a_call_is_repeated(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with RawServer([reply(503), reply(429), USER]) as server, server.client() as thrive:
        await thrive.users.get("u1")
    assert {record.name for record in caplog.records} == {"thrive_async"}


async def test_nothing_is_logged_above_debug_when_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with RawServer([USER]) as server, server.client() as thrive:
        await thrive.users.get("u1")
    assert caplog.records == []


async def test_a_cool_down_is_one_line_at_info(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    """One when the gate closes, whoever else was refused with it or has to wait for it."""
    caplog.set_level(logging.INFO)
    refused = [reply(429, Retry_After="20")] * 3
    async with RawServer([*refused, USER]) as server, server.client() as thrive:
        await asyncio.gather(*(thrive.users.get(f"anna{number}") for number in range(3)))
        assert len(server.requests) == 6
        await thrive.users.get("anna")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("thrive_async", logging.INFO)
    assert record.getMessage() == "getUser: 429, all calls of the client wait for 20.0 s"


# The life of a client


async def test_a_closed_client_says_so() -> None:
    async with RawServer([USER]) as server:
        async with server.client() as thrive:
            await thrive.users.get("u1")
        with pytest.raises(ConfigurationError, match="is closed: build a new one"):
            await thrive.users.get("u1")
        await thrive.aclose()


async def test_closing_ends_what_is_under_way_and_what_waits(clock: VirtualClock) -> None:
    async with RawServer([hang]) as server:
        thrive = server.client(limits=Limits(concurrency=2))
        calls = [asyncio.ensure_future(thrive.users.get("u1")) for _ in range(5)]
        await asyncio.sleep(1)
        await thrive.aclose()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [ConnectionFailed] * 2 + [ConfigurationError] * 3
        assert "the client was closed meanwhile" in str(results[0])
        assert clock.elapsed < 1.1
    assert len(server.requests) == 2
