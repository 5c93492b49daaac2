"""Requests that break the specification are refused with the place named, and so are strangers."""

import base64
import io
import socket
from datetime import UTC, datetime

import pytest

from sandbox.raw_api import Api, connect
from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox import Sandbox
from thrive_async.sandbox.server.specification import specification
from thrive_async.sandbox.state.records import instant, later, timestamp


def message(answer):
    assert answer.body["status"] == answer.status
    assert set(answer.body) == {"status", "error", "message"}
    return answer.body["message"]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("page=0", "query.page"),
        ("page=one", "query.page"),
        ("page=", "query.page"),
        ("perPage=1.5", "query.perPage"),
        ("colour=red", "colour"),
        ("page=1&page=2", "query.page"),
        ("statuses=active,lazy", "query.statuses[1]"),
        ("statuses=", "query.statuses"),
        ("status=", "query.status"),
        ("updatedSince=yesterday", "query.updatedSince"),
        ("updatedSince=2026-13-01T00:00:00Z", "query.updatedSince"),
        ("updatedSince=2026-01-01T00:00:00+01:00", "query.updatedSince"),
        ("updatedSince=2026-01-01", "query.updatedSince"),
        ("page=%FF", "query"),
        ("page", "query"),
    ],
)
async def test_a_bad_query_is_refused_with_the_parameter_named(api, query, place):
    answer = await api("GET", f"/rest/v1/users?{query}")
    assert answer.status == 400
    assert place in message(answer)


async def test_a_date_that_only_looks_like_one_is_refused(api):
    answer = await api("GET", "/rest/v1/activities?timestampFrom=2025-02-30%2000:00:00")
    assert answer.status == 400
    assert "query.timestampFrom" in message(answer)


async def test_a_leap_second_is_a_time(api):
    assert (await api("GET", "/rest/v1/users?updatedSince=2016-12-31T23:59:60Z")).status == 200


async def test_a_boolean_is_true_or_false(api):
    assert (await api("GET", "/rest/v1/audiences?apiControlled=True")).status == 400


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"firstName": "A", "lastName": "B", "email": "a@b"}, "$"),
        ({"ref": 5, "firstName": "A", "lastName": "B", "email": "a@b"}, "$.ref"),
        ({"ref": "r", "firstName": "A", "lastName": "B", "email": "a@b", "startDate": "soon"}, "$.startDate"),
        ({"ref": "r", "firstName": "A", "lastName": "B", "email": "a@b", "role": "king"}, "$.role"),
        ({"ref": "r", "firstName": "A", "lastName": "B", "email": "a@b", "age": 3}, "$"),
        ([], "$"),
    ],
)
async def test_a_bad_body_is_refused_with_an_object_that_names_the_place(api, body, place):
    answer = await api("POST", "/rest/v2/users", body)
    assert answer.status == 422
    assert place in message(answer)
    assert len(api.sandbox.state.users) == 40


async def test_of_very_many_mistakes_the_first_ten_are_named(api):
    answer = await api("POST", "/rest/v1/audiences/emea/members", list(range(50)))
    assert set(message(answer)) == {f"$[{index}]" for index in range(10)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": b"{nope", "headers": {"Content-Type": "application/json"}}, "no JSON"),
        ({"data": b"\xff", "headers": {"Content-Type": "application/json"}}, "no JSON"),
        ({"data": b"[]", "headers": {"Content-Type": "text/plain"}}, "Content-Type"),
        ({}, "required"),
    ],
)
async def test_a_body_that_is_none_is_refused(api, options, words):
    answer = await api("POST", "/rest/v1/audiences/emea/members", **options)
    assert answer.status == 400
    assert words in message(answer)


async def test_a_body_where_none_is_taken_is_refused(api):
    assert (await api("GET", "/rest/v1/users", {"a": 1})).status == 400
    assert (await api("DELETE", "/rest/v1/audiences/sales-apac", {"a": 1})).status == 422
    assert "sales-apac" in api.sandbox.state.audiences


async def test_an_id_of_another_form_is_refused_where_its_form_is_known(api):
    answer = await api("GET", "/rest/v1/contents/nope")
    assert answer.status in (400, 404, 422)
    assert "path.id" in message(answer)


@pytest.mark.parametrize("path", ["/rest/v1/nothing", "/rest/v3/users", "/rest/v1/users//ref", "/rest/v1/user/%FF"])
async def test_an_unknown_path_is_not_found(api, path):
    answer = await api("GET", path)
    assert answer.status == 404
    assert message(answer) == "There is no such endpoint."


async def test_a_verb_that_the_path_does_not_know_is_refused_with_those_it_knows(api):
    answer = await api("PUT", "/rest/v1/audiences/emea")
    assert answer.status == 405
    assert answer.headers["Allow"] == "DELETE, GET, PATCH"


async def test_a_body_too_large_is_refused(api):
    answer = await api("POST", "/rest/v2/users", data=io.BytesIO(b"x" * (17 * 1024**2)))
    assert answer.status == 413


def basic(name, secret):
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


@pytest.mark.parametrize(
    "header",
    [None, "", "Basic", "Basic ???", "Basic " + base64.b64encode(b"nocolon").decode(), "Digest x", "Bearer nope"],
)
async def test_strangers_are_refused(api, header):
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


async def test_strangers_learn_nothing_of_what_they_asked_for(api):
    bad = await api("POST", "/rest/v1/audiences/nowhere/members", [], headers={"Authorization": None})
    assert bad.status == 401


async def test_every_reply_has_a_request_id_of_its_own(api):
    seen = {(await api("GET", "/rest/v1/skills/levels")).headers["x-request-id"] for _ in range(3)}
    assert len(seen) == 3


def test_without_its_validator_the_sandbox_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jsonschema_rs", None)
    specification.cache_clear()
    try:
        with pytest.raises(ModuleNotFoundError, match=r'pip install "thrive-async\[sandbox\]"'):
            Sandbox(0)
    finally:
        specification.cache_clear()


async def test_a_reply_that_breaks_the_specification_is_a_500_that_names_the_place():
    async with Sandbox(10, check_replies=True) as sandbox, connect() as session:
        api = Api(sandbox, session)
        user = next(iter(sandbox.state.users.values()))
        user["firstName"] = 5
        answer = await api("GET", f"/rest/v1/user/{user['id']}")
        assert answer.status == 500
        assert "getUser 200: $.firstName" in message(answer)
        assert sandbox.violations == [answer.body["message"].partition(": ")[2]]


async def test_a_failure_of_the_sandbox_itself_is_a_500_without_the_data(caplog):
    async with Sandbox(10) as sandbox, connect() as session:
        api = Api(sandbox, session)
        user = next(iter(sandbox.state.users.values()))
        user["firstName"] = {1, 2}
        answer = await api("GET", f"/rest/v1/user/{user['id']}")
        assert answer.status == 500
        assert "getUser" in sandbox.violations[0]
        assert user["id"] not in caplog.text
        assert "getUser" in caplog.text


async def test_a_raw_request_in_absolute_form_or_without_a_path_is_answered(api):
    for line in (b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1"):
        connection = socket.create_connection(("127.0.0.1", api.sandbox.port))
        connection.setblocking(False)
        loop = __import__("asyncio").get_running_loop()
        await loop.sock_sendall(connection, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = await loop.sock_recv(connection, 200)
        connection.close()
        assert b" 4" in head.split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("operation", "status", "body", "wrong"),
    [
        ("getUser", 200, b'{"id": "a"}', None),
        ("getUser", 200, b"", "empty"),
        ("getUser", 200, b"{", "no JSON"),
        ("getUser", 200, b"{}", "$"),
        ("listTags", 200, b'{"results": [{"id": 5}]}', "$.results[0].id"),
        ("deleteUser", 204, b"", None),
        ("deleteUser", 204, b"{}", "without a body"),
        ("getContent", 404, b"", None),
        ("getContent", 404, b'"anything"', None),
        ("getUser", 418, b'{"message": 5}', "$.message"),
    ],
)
def test_replies_are_held_against_the_specification(operation, status, body, wrong):
    found = specification().check_reply(OPERATIONS[operation], status, body)
    assert (found is None) if wrong is None else (wrong in found)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("0000-01-01T00:00:00Z", datetime.min.replace(tzinfo=UTC)),
        ("never", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_are_read_as_rfc_3339_has_them(text, moment):
    assert instant(text) == moment


def test_time_has_ends_and_nothing_fails_there():
    assert timestamp(datetime.fromisoformat("0001-01-01T00:00:00+05:00")) == "0001-01-01T00:00:00.000Z"
    assert later(datetime(9999, 12, 31, tzinfo=UTC), 5) == datetime.max.replace(tzinfo=UTC)
