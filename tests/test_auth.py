"""Tokens are fetched once for all who wait and renewed early; a failure is shared and then forgotten."""

import asyncio
import base64
import traceback
from typing import Any
from urllib.parse import parse_qs

import pytest
from raw_server import RawServer, reply

from thrive_async import (
    ApiKey,
    AuthenticationError,
    ClientCredentials,
    ConfigurationError,
    ConnectionFailed,
    RequestTimeout,
    Timeouts,
    TokenProviderError,
)
from thrive_async.auth import AccessToken, Secret, TokenAuthorizer, lifetime_of
from thrive_async.sandbox import VirtualClock


class Endpoint:
    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    async def fetch(self) -> AccessToken:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(1)
        if self.down:
            raise ConnectionFailed("down", operation="createAccessToken", attempts=1, maybe_applied=False)
        return AccessToken(str(number), 3600.0)


async def test_five_hundred_callers_make_one_token_request(clock: VirtualClock) -> None:
    endpoint = Endpoint()
    authorizer = TokenAuthorizer(endpoint.fetch)
    headers = await asyncio.gather(*(authorizer.header() for _ in range(500)))
    assert endpoint.asked == 1
    assert len(set(headers)) == 1


async def test_a_token_is_renewed_a_minute_before_its_end(clock: VirtualClock) -> None:
    endpoint = Endpoint()
    authorizer = TokenAuthorizer(endpoint.fetch)
    await authorizer.header()
    await asyncio.sleep(3539)
    await authorizer.header()
    assert endpoint.asked == 1
    await asyncio.sleep(1)
    await authorizer.header()
    assert endpoint.asked == 2


async def test_a_rejected_token_is_replaced_once_and_a_newer_one_is_left_alone(clock: VirtualClock) -> None:
    endpoint = Endpoint()
    authorizer = TokenAuthorizer(endpoint.fetch)
    first = await authorizer.header()
    for _ in range(10):
        assert authorizer.reject(first)
        await authorizer.header()
    assert endpoint.asked == 2


async def test_a_failure_is_shared_by_all_who_waited_and_the_next_call_tries_again(clock: VirtualClock) -> None:
    endpoint = Endpoint()
    endpoint.down = True
    authorizer = TokenAuthorizer(endpoint.fetch)
    results = await asyncio.gather(*(authorizer.header() for _ in range(500)), return_exceptions=True)
    assert endpoint.asked == 1
    assert {type(result) for result in results} == {ConnectionFailed}
    assert len({id(result) for result in results}) == 500
    endpoint.down = False
    assert (await authorizer.header()).reveal() == "Bearer 2"


async def test_when_the_fetching_call_is_cancelled_another_takes_over(clock: VirtualClock) -> None:
    endpoint = Endpoint()
    authorizer = TokenAuthorizer(endpoint.fetch)
    callers = [asyncio.ensure_future(authorizer.header()) for _ in range(3)]
    await asyncio.sleep(0.5)
    callers[0].cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert endpoint.asked == 2
    assert results[1] == results[2]


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (60, 60.0),
        ("60", 60.0),
        (60.5, 60.5),
        (None, 3600.0),
        ("soon", 3600.0),
        (-1, 3600.0),
        (float("nan"), 3600.0),
        (0, 3600.0),
        ("0", 3600.0),
        (1e12, 3600.0),
        (10**400, 3600.0),
    ],
)
def test_a_lifetime_may_be_a_number_a_string_or_missing(expires_in: object, seconds: float) -> None:
    assert lifetime_of(expires_in) == seconds


def test_the_token_request_has_both_forms() -> None:
    credentials = ClientCredentials("an id", "s:e&c", scopes="api/read api/write")
    form, header = credentials.token_request("post")
    assert header is None
    assert parse_qs(form.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["api/read api/write"],
        "client_id": ["an id"],
        "client_secret": ["s:e&c"],
    }
    form, header = credentials.token_request("basic")
    assert header is not None
    assert base64.b64decode(header.reveal().removeprefix("Basic ")) == b"an+id:s%3Ae%26c"
    assert b"secret" not in form


@pytest.mark.parametrize(
    ("scopes", "sent"),
    [
        ("api/read api/write", ["api/read api/write"]),
        (["api/read", "api/new:thing.v2"], ["api/read api/new:thing.v2"]),
        ((), None),
        ("", None),
    ],
)
def test_undocumented_scopes_are_sent_and_scopes_may_be_empty(
    scopes: str | tuple[str, ...], sent: list[str] | None
) -> None:
    """Thrive may have more of them than its documents name; its token endpoint refuses what it does not know."""
    form, _header = ClientCredentials("id", "secret", scopes=scopes).token_request("post")
    assert parse_qs(form.decode()).get("scope") == sent


def test_a_secret_hides_in_every_form_of_itself() -> None:
    secret = Secret("hush")
    assert "hush" not in f"{secret} {secret!r} {[secret]}"
    assert secret == Secret("hush") != Secret("other")
    assert len({secret, Secret("hush")}) == 1


def test_without_scopes_none_are_asked_for() -> None:
    form, _header = ClientCredentials("id", "secret", scopes=()).token_request("basic")
    assert form == b"grant_type=client_credentials"


@pytest.mark.parametrize("value", [None, 5, b"secret", "", " "])
def test_a_secret_or_an_id_that_is_no_text_is_a_configuration_error(value: Any) -> None:
    for made in (lambda: ApiKey(value), lambda: ClientCredentials("id", value), lambda: ClientCredentials(value, "s")):
        with pytest.raises(ConfigurationError):
            made()


# Tokens of one's own


class Vault:
    """A token provider that returns what you tell it to."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self) -> Any:
        self.asked += 1
        await asyncio.sleep(1)
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


LEVELS = reply(200, [])


def sent(server: RawServer) -> list[str]:
    return [request.headers["authorization"] for request in server.requests]


async def test_a_provider_is_asked_once_for_many_calls_and_again_before_the_end(clock: VirtualClock) -> None:
    vault = Vault(("one", 600.0), AccessToken("Bearer two", 600.0))
    async with RawServer([LEVELS]) as server, server.client(credentials=vault) as thrive:
        await asyncio.gather(*(thrive.skills.levels() for _ in range(100)))
        assert vault.asked == 1
        await asyncio.sleep(530)
        await thrive.skills.levels()
        assert vault.asked == 1
        await asyncio.sleep(15)
        await thrive.skills.levels()
        assert sent(server) == ["Bearer one"] * 101 + ["Bearer two"]


async def test_a_provider_is_asked_once_more_after_a_401(clock: VirtualClock) -> None:
    vault = Vault(("one", 600.0), ("two", 600.0))
    async with RawServer([reply(401), LEVELS]) as server, server.client(credentials=vault) as thrive:
        await thrive.skills.levels()
        assert sent(server) == ["Bearer one", "Bearer two"]
    async with RawServer([reply(401)]) as server, server.client(credentials=Vault(("one", 60))) as thrive:
        with pytest.raises(AuthenticationError):
            await thrive.skills.levels()
        assert len(server.requests) == 2


async def test_what_a_provider_raises_is_the_cause_of_one_clear_error_for_each_caller(clock: VirtualClock) -> None:
    vault = Vault(TimeoutError("the vault sleeps: s3cr3t"), ("two", 600.0))
    async with RawServer([LEVELS]) as server, server.client(credentials=vault) as thrive:
        errors = await asyncio.gather(*(thrive.skills.levels() for _ in range(20)), return_exceptions=True)
        assert vault.asked == 1
        assert len({id(error) for error in errors}) == 20
        for error in errors:
            assert isinstance(error, TokenProviderError)
            assert str(error).startswith("the token provider raised TimeoutError, so nothing was sent")
            assert error.__cause__ is vault.answers[0]
        assert server.requests == []
        await thrive.skills.levels()


async def test_an_error_of_the_sdk_leaves_a_provider_as_it_is(clock: VirtualClock) -> None:
    error = ConnectionFailed("down", operation="createAccessToken", attempts=1, maybe_applied=False)
    async with RawServer([LEVELS]) as server, server.client(credentials=Vault(error)) as thrive:
        with pytest.raises(ConnectionFailed, match="down"):
            await thrive.skills.levels()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "s3cr3t",
        ("s3cr3t",),
        ("s3cr3t", 1, 2),
        ("s3cr3t", 0),
        ("s3cr3t", -1.0),
        ("s3cr3t", float("nan")),
        ("s3cr3t", "60"),
        ("s3cr3t", None),
        ("s3cr3t", True),
        ("s3cr3t\r\nX: y", 60),
        ("s3cr3t \u00fc", 60),
        ("", 60),
        (b"s3cr3t", 60),
        {"s3cr3t": 60},
    ],
)
async def test_a_provider_that_returns_something_else_gets_an_error_without_the_value(
    answer: object, clock: VirtualClock
) -> None:
    async with RawServer([LEVELS]) as server, server.client(credentials=Vault(answer)) as thrive:
        with pytest.raises(TokenProviderError, match="must be an async function") as raised:
            await thrive.skills.levels()
        assert server.requests == []
    assert isinstance(raised.value, ConfigurationError)
    frames = [frame for frame, _line in traceback.walk_tb(raised.value.__traceback__)]
    shown = [repr(frame.f_locals) for frame in frames if "thrive_async" in frame.f_code.co_filename]
    assert "s3cr3t" not in f"{raised.value} {shown}"


async def test_a_provider_that_is_no_async_function_is_told_so(clock: VirtualClock) -> None:
    provider: Any = lambda: ("token", 60.0)  # noqa: E731
    async with RawServer([LEVELS]) as server, server.client(credentials=provider) as thrive:
        with pytest.raises(TokenProviderError, match="must be an async function"):
            await thrive.skills.levels()


async def test_the_total_time_bounds_a_provider_that_hangs(clock: VirtualClock) -> None:
    async def provider() -> tuple[str, float]:
        await asyncio.Event().wait()
        return "never", 1.0

    async with RawServer([LEVELS]) as server, server.client(credentials=provider) as thrive:
        with pytest.raises(RequestTimeout, match="still waiting for a token from the token provider"):
            await thrive.skills.levels(timeouts=Timeouts(total=10))
        assert clock.elapsed == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize(("token", "lifetime"), [("", 1.0), ("a b\n", 1.0), ("t", 0), ("t", "1"), (5, 1.0)])
def test_an_access_token_is_checked_where_it_is_made(token: Any, lifetime: Any) -> None:
    with pytest.raises(ConfigurationError):
        AccessToken(token, lifetime)
    assert "hush" not in repr(AccessToken("hush"))


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_renewal_that_fails_or_hangs_does_not_stop_calls_whose_token_still_holds(
    clock: VirtualClock, hangs: bool
) -> None:
    """Was: in the last minute of a token, a 429 of the token endpoint stopped every call."""
    asked: list[float] = []

    async def fetch() -> AccessToken:
        asked.append(clock.time())
        if len(asked) > 1:
            if hangs:
                await asyncio.sleep(3600)
            raise ConnectionFailed("down", operation="createAccessToken", attempts=1, maybe_applied=False)
        return AccessToken("first", 100.0)

    authorizer = TokenAuthorizer(fetch)
    began = clock.time()
    first = await authorizer.header()
    await asyncio.sleep(55)
    assert await authorizer.header() is first
    assert clock.time() - began <= 60.001  # five seconds of patience at most
    assert await authorizer.header() is first
    assert len(asked) == 2  # and the endpoint is left alone for ten seconds
    await asyncio.sleep(15)
    assert await authorizer.header() is first
    assert len(asked) == 3
    if not hangs:
        await asyncio.sleep(60)
        with pytest.raises(ConnectionFailed):
            await authorizer.header()
