"""How the token endpoint is asked, and how its reply is read."""

import asyncio
import gc
from types import FrameType, FunctionType, ModuleType
from typing import Literal

import pytest
from raw_server import RawServer, reply

from thrive_async import (
    AuthenticationError,
    BadRequestError,
    ClientCredentials,
    DecodeError,
    PermissionDeniedError,
    RateLimitError,
    Timeouts,
)
from thrive_async.auth import Secret
from thrive_async.sandbox import Sandbox, VirtualClock

TOKEN = reply(200, {"access_token": "t", "expires_in": 100})
LEVELS = reply(200, [])
CREDENTIALS = ClientCredentials("me", "secret")
REFUSED = {"error": "invalid_client"}


def styles(server: RawServer) -> list[str]:
    asked = [request for request in server.requests if request.method == "POST"]
    return ["basic" if "authorization" in request.headers else "post" for request in asked]


async def test_the_header_is_tried_first_and_that_it_worked_is_remembered(clock: VirtualClock) -> None:
    """Later a refusal is one of these credentials, and no reason to send them in another way."""
    answers = [TOKEN, LEVELS, reply(401, REFUSED)]
    async with RawServer(list(answers)) as server, server.client(credentials=CREDENTIALS) as thrive:
        await thrive.skills.levels()
        clock.advance(100)
        with pytest.raises(AuthenticationError):
            await thrive.skills.levels()
    assert styles(server) == ["basic", "basic"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 415, 422, 500])
async def test_where_the_header_is_refused_the_form_is_tried_and_remembered(status: int, clock: VirtualClock) -> None:
    refusals = [reply(status, REFUSED)] * (5 if status == 500 else 1)
    answers = [*refusals, TOKEN, LEVELS, TOKEN, LEVELS]
    async with RawServer(list(answers)) as server, server.client(credentials=CREDENTIALS) as thrive:
        await thrive.skills.levels()
        clock.advance(100)
        await thrive.skills.levels()
    assert styles(server) == ["basic"] * len(refusals) + ["post", "post"]


async def test_where_both_are_refused_the_refusal_of_the_header_is_told() -> None:
    for answers, kind in (((401, 400), AuthenticationError), ((400, 401), BadRequestError)):
        first, second = (reply(status, {"error": f"refused_{status}"}) for status in answers)
        async with RawServer([first, second]) as server, server.client(credentials=CREDENTIALS) as thrive:
            with pytest.raises(kind, match=f"POST /oauth2/token/{{tenantId}}: {answers[0]}"):
                await thrive.skills.levels()
        assert styles(server) == ["basic", "post"]


async def test_a_429_is_no_refusal_of_the_header(clock: VirtualClock) -> None:
    async with RawServer([reply(429)]) as server, server.client(credentials=CREDENTIALS) as thrive:
        with pytest.raises(RateLimitError):
            await thrive.skills.levels()
    assert set(styles(server)) == {"basic"}


@pytest.mark.parametrize("status", [403, 404, 405, 415, 422])
async def test_if_only_the_form_is_refused_for_its_credentials_that_refusal_is_told(status: int) -> None:
    async with RawServer([reply(status), reply(401, REFUSED)]) as server:
        thrive = server.client(credentials=CREDENTIALS)
        with pytest.raises(PermissionDeniedError if status == 403 else AuthenticationError):
            await thrive.skills.levels()
        await thrive.aclose()


@pytest.mark.parametrize(
    "body",
    [
        {"accessToken": "t", "expiresIn": 100},
        {"access_token": "Bearer t", "expires_in": "100"},
        {"accessToken": " bearer  t ", "expiresIn": "100"},
    ],
)
async def test_a_token_reply_may_be_spelt_in_either_way(body: object, clock: VirtualClock) -> None:
    async with RawServer([reply(200, body), LEVELS]) as server, server.client(credentials=CREDENTIALS) as thrive:
        await thrive.skills.levels()
        clock.advance(49)
        await thrive.skills.levels()
        assert len(styles(server)) == 1
        assert {one.headers["authorization"] for one in server.requests if one.method == "GET"} == {"Bearer t"}
        server.answers = [*[reply(200, body)] * (len(server.requests) + 1), LEVELS]
        clock.advance(2)
        await thrive.skills.levels()
        assert len(styles(server)) == 2


@pytest.mark.parametrize("body", [{"error": "invalid_client"}, {"access_token": None}, None])
async def test_a_200_without_a_token_refuses_the_header_too(body: object, clock: VirtualClock) -> None:
    answers = [reply(200, body), reply(200, {"access_token": None, "accessToken": "t"}), LEVELS]
    async with RawServer(list(answers)) as server, server.client(credentials=CREDENTIALS) as thrive:
        await thrive.skills.levels()
    assert styles(server) == ["basic", "post"]
    answers = [reply(200, body), reply(401, REFUSED)]
    async with RawServer(list(answers)) as server, server.client(credentials=CREDENTIALS) as thrive:
        with pytest.raises(AuthenticationError, match="invalid_client"):
            await thrive.skills.levels()


@pytest.mark.parametrize("body", [{"access_token": value} for value in (None, 5, "", "a\nb", "\u00fc", "Bearer ")])
async def test_a_reply_without_a_usable_token_is_a_decode_error_without_it(body: object) -> None:
    async with RawServer([reply(200, body)]) as server, server.client(credentials=CREDENTIALS) as thrive:
        with pytest.raises(DecodeError, match="it has no access token") as raised:
            await thrive.skills.levels()
    assert raised.value.body is None


async def test_a_429_of_the_token_endpoint_stops_no_call_that_holds_a_token(clock: VirtualClock) -> None:
    answers = [TOKEN, LEVELS, reply(429, Retry_After="100"), LEVELS]
    async with RawServer(list(answers)) as server, server.client(credentials=CREDENTIALS) as thrive:
        await thrive.skills.levels()
        clock.advance(51)
        # The token is due for renewal, and holds for 49 seconds more.
        await thrive.skills.levels(timeouts=Timeouts(total=10))
    assert [request.method for request in server.requests] == ["POST", "GET", "POST", "GET"]


async def test_a_429_of_the_api_does_not_stop_the_token_endpoint(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock) as sandbox:
        sandbox.faults.add("rate_limited", operation="listSkillLevels", retry_after=60)
        thrive = sandbox.client(credentials=sandbox.oauth)
        began = clock.elapsed
        waiting = asyncio.ensure_future(thrive.skills.levels())
        await asyncio.sleep(1)
        sandbox.tokens.revoke()
        await waiting
        assert clock.elapsed - began < 65
        assert len(sandbox.requests.of("createAccessToken")) == 2


async def test_after_the_token_call_the_client_secret_is_nowhere_but_in_its_wrapper(clock: VirtualClock) -> None:
    secret = "s3cr3t-" + "x" * 20
    credentials = ClientCredentials("me", secret, client_auth="post")
    async with RawServer([TOKEN, LEVELS]) as server, server.client(credentials=credentials) as thrive:
        await thrive.skills.levels()
        assert secret in server.requests[0].body.decode()
        seen: set[int] = set()
        held: list[object] = [thrive]
        while held:
            one = held.pop()
            if id(one) in seen or isinstance(one, Secret | type | ModuleType | FrameType | asyncio.AbstractEventLoop):
                continue
            seen.add(id(one))
            assert secret not in (one if isinstance(one, str) else "")
            assert secret.encode() not in (one if isinstance(one, bytes) else b"")
            # A function leads to its module, and from there to this test: only what it closes over is the client's.
            held += [one.__closure__] if isinstance(one, FunctionType) else gc.get_referents(one)
        assert len(seen) > 100


async def test_words_that_repeat_the_secret_are_hidden_however_harmless_they_look() -> None:
    """A secret may be an ordinary word."""
    credentials = ClientCredentials("kitchen", "sesame", client_auth="post")
    refusal = reply(401, {"error": "invalid_client", "error_description": "no sesame for kitchen, nor Sesame"})
    async with RawServer([refusal]) as server, server.client(credentials=credentials) as thrive:
        with pytest.raises(AuthenticationError) as raised:
            await thrive.skills.levels()
    assert "invalid_client: no {client_secret} for {client_id}, nor {client_secret}" in str(raised.value)


@pytest.mark.parametrize("style", ["basic", "post"])
async def test_a_way_that_was_named_is_the_only_one(style: Literal["basic", "post"], clock: VirtualClock) -> None:
    credentials = ClientCredentials("me", "secret", client_auth=style)
    async with RawServer([TOKEN, LEVELS, reply(401, REFUSED)]) as server:
        thrive = server.client(credentials=credentials)
        await thrive.skills.levels()
        clock.advance(100)
        with pytest.raises(AuthenticationError):
            await thrive.skills.levels()
        await thrive.aclose()
    assert styles(server) == [style, style]
