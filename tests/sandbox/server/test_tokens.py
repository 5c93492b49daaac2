"""Credentials, the token endpoint, scopes, and the lifetime of a token."""

import asyncio
import base64

import pytest

from sandbox.raw_api import message
from thrive_async.sandbox import VirtualClock


def basic(name, secret):
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


@pytest.mark.parametrize(
    "header",
    [None, "", "Basic", "Basic ???", "Basic " + base64.b64encode(b"nocolon").decode(), "Digest x", "Bearer nope"],
)
async def test_requests_without_credentials_are_refused(api, header):
    answer = await api("GET", "/rest/v1/users", headers={"Authorization": header})
    assert answer.status == 401
    assert isinstance(message(answer), str)
    assert answer.headers["WWW-Authenticate"]


async def test_tenant_and_key_have_to_be_those_of_this_sandbox(api):
    tokens = api.sandbox.tokens
    for name, secret, status in (
        (tokens.tenant_id, tokens.api_key, 200),
        (tokens.tenant_id, "wrong", 401),
        ("eu-west-2_Other", tokens.api_key, 401),
    ):
        headers = {"Authorization": basic(name, secret)}
        assert (await api("GET", "/rest/v1/users", headers=headers)).status == status
    # The scheme's name is in any case, and a header may be spaced otherwise.
    headers = {"Authorization": basic(tokens.tenant_id, tokens.api_key).replace("Basic ", "basic  ")}
    assert (await api("GET", "/rest/v1/users", headers=headers)).status == 200


async def test_requests_without_credentials_learn_nothing(api):
    bad = await api("POST", "/rest/v1/audiences/nowhere/members", [], headers={"Authorization": None})
    assert bad.status == 401


def bearer(answer):
    return {"Authorization": f"Bearer {answer.body['access_token']}"}


async def test_a_token_opens_the_api(api):
    answer = await api.token()
    assert answer.status == 200
    assert answer.body["token_type"] == "Bearer"
    assert answer.body["expires_in"] == 3600
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await api("GET", "/rest/v1/users", headers=bearer(answer))).status == 200


@pytest.mark.parametrize(
    ("scope", "read", "write"),
    [("api/read", 200, 403), ("api/write", 403, 200), ("api/all", 200, 200), ("api/webhooks", 403, 403)],
)
async def test_scopes_are_enforced(api, scope, read, write):
    headers = bearer(await api.token(scope=scope))
    assert (await api("GET", "/rest/v1/users", headers=headers)).status == read
    answer = await api("PATCH", "/rest/v1/audiences/emea", {"name": "E"}, headers=headers)
    assert answer.status == write
    if write == 403:
        assert answer.body["message"]["required"] == ["api/all", "api/write"]


async def test_several_scopes_add_up(api):
    headers = bearer(await api.token(scope="api/read api/write"))
    assert (await api("GET", "/rest/v1/users", headers=headers)).status == 200
    assert (await api("PATCH", "/rest/v1/audiences/emea", {"name": "E"}, headers=headers)).status == 200


async def test_a_token_expires_by_the_loops_clock(open_api):
    api = await open_api(clock=VirtualClock(), token_lifetime=60)
    headers = bearer(await api.token())
    await asyncio.sleep(59)
    assert (await api("GET", "/rest/v1/users", headers=headers)).status == 200
    await asyncio.sleep(1)
    answer = await api("GET", "/rest/v1/users", headers=headers)
    assert answer.status == 401
    assert "expired" in answer.body["message"]


def basic_of(tokens):
    return "Basic " + base64.b64encode(f"{tokens.client_id}:{tokens.client_secret}".encode()).decode()


async def ask_by_header(api):
    return await api(
        "POST",
        f"/oauth2/token/{api.sandbox.tenant_id}",
        data=b"grant_type=client_credentials",
        headers={
            "Authorization": basic_of(api.sandbox.tokens),
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )


@pytest.mark.parametrize(("style", "header", "form"), [("both", 200, 200), ("basic", 200, 401), ("post", 401, 200)])
async def test_the_client_names_itself_by_header_or_form_as_set(open_api, style, header, form):
    api = await open_api(token_auth=style)
    assert (await ask_by_header(api)).status == header
    assert (await api.token()).status == form


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "api/everything"}, 400, "invalid_scope"),
        ({"path": "/oauth2/token/eu-west-2_Other"}, 401, "invalid_client"),
    ],
)
async def test_refusals_are_those_of_oauth(api, form, status, error):
    answer = await api.token(**form)
    assert (answer.status, answer.body["error"]) == (status, error)


async def test_a_body_that_is_no_form_is_refused(api):
    path = f"/oauth2/token/{api.sandbox.tenant_id}"
    for options in (
        {"body": {"grant_type": "client_credentials"}},
        {"data": b"grant_type=client_credentials", "headers": {"Content-Type": "text/plain"}},
        {"data": b"\xff=%ff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    ):
        answer = await api("POST", path, **options)
        assert (answer.status, answer.body["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "form", [b"", b"grant_type", b"grant_type=client_credentials&colour=red", b"grant_type=a&grant_type=a", b"scope="]
)
async def test_a_form_with_other_fields_is_refused(api, form):
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": basic_of(api.sandbox.tokens)}
    answer = await api("POST", f"/oauth2/token/{api.sandbox.tenant_id}", data=form, headers=headers)
    assert answer.status == 400
    assert answer.body["error"] in ("invalid_request", "unsupported_grant_type")


async def test_the_token_endpoint_takes_no_query(api):
    answer = await api.token(path=f"/oauth2/token/{api.sandbox.tenant_id}?grant_type=client_credentials")
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")


async def test_a_client_that_authenticates_in_two_ways_is_refused(api):
    tokens = api.sandbox.tokens
    answer = await api(
        "POST",
        f"/oauth2/token/{api.sandbox.tenant_id}",
        data=f"grant_type=client_credentials&client_id=a&client_secret={tokens.client_secret}".encode(),
        headers={"Authorization": basic_of(tokens), "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")


async def test_errors_can_have_thrives_shape(open_api):
    answer = await (await open_api(token_error="thrive")).token(client_secret="wrong")
    assert answer.body["status"] == 401
    assert isinstance(answer.body["message"], str)


@pytest.mark.parametrize(("form", "value"), [("number", 60), ("string", "60"), ("absent", None)])
async def test_the_lifetime_is_told_as_set(open_api, form, value):
    api = await open_api(token_expires_in=form, token_lifetime=60)
    assert (await api.token()).body.get("expires_in") == value


async def test_a_client_may_be_kept_from_scopes(api):
    api.sandbox.tokens.client_scopes = frozenset({"api/read"})
    assert (await api.token(scope="api/all")).status == 400
    headers = bearer(await api.token())
    assert (await api("DELETE", "/rest/v1/audiences/apac", headers=headers)).status == 403
