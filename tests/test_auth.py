"""Tokens: fetched once for however many wait, renewed early, a failure shared and then forgotten."""

import asyncio
import base64
from typing import Any
from urllib.parse import parse_qs

import pytest

from thrive_async import ApiKey, ClientCredentials, ConfigurationError, ConnectionFailed
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


async def test_when_the_one_who_fetches_is_cancelled_another_takes_over(clock: VirtualClock) -> None:
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
def test_scopes_that_nobody_has_documented_are_sent_and_none_may_be(
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
