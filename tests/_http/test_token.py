"""How the token endpoint is asked when nobody has said how it wants to be told who asks."""

from typing import Literal

import pytest
from raw_server import RawServer, reply

from thrive_async import AuthenticationError, BadRequestError, ClientCredentials, PermissionDeniedError, ServerError
from thrive_async.sandbox import VirtualClock

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


@pytest.mark.parametrize("status", [400, 401])
async def test_where_the_header_is_refused_the_form_is_tried_and_remembered(status: int, clock: VirtualClock) -> None:
    answers = [reply(status, REFUSED), TOKEN, LEVELS, TOKEN, LEVELS]
    async with RawServer(list(answers)) as server, server.client(credentials=CREDENTIALS) as thrive:
        await thrive.skills.levels()
        clock.advance(100)
        await thrive.skills.levels()
    assert styles(server) == ["basic", "post", "post"]


async def test_where_both_are_refused_the_refusal_of_the_header_is_told() -> None:
    for answers, kind in (((401, 400), AuthenticationError), ((400, 401), BadRequestError)):
        first, second = (reply(status, {"error": f"refused_{status}"}) for status in answers)
        async with RawServer([first, second]) as server, server.client(credentials=CREDENTIALS) as thrive:
            with pytest.raises(kind, match=f"POST /oauth2/token/{{tenantId}}: {answers[0]}"):
                await thrive.skills.levels()
        assert styles(server) == ["basic", "post"]


@pytest.mark.parametrize(("status", "kind"), [(403, PermissionDeniedError), (500, ServerError)])
async def test_what_is_no_refusal_of_the_header_is_no_reason_to_try_the_form(
    status: int, kind: type[Exception], clock: VirtualClock
) -> None:
    async with RawServer([reply(status)]) as server, server.client(credentials=CREDENTIALS) as thrive:
        with pytest.raises(kind):
            await thrive.skills.levels()
    assert set(styles(server)) == {"basic"}


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
