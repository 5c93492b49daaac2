"""Requests that break the specification are refused with the place named; so are replies, if they are checked."""

import pytest

from sandbox.raw_api import Api, connect, message
from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox import Sandbox
from thrive_async.sandbox.server.specification import specification


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


async def test_only_the_first_ten_of_many_mistakes_are_named(api):
    answer = await api("POST", "/rest/v1/audiences/emea/members", list(range(50)))
    assert set(message(answer)) == {f"$[{index}]" for index in range(10)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": b"{nope", "headers": {"Content-Type": "application/json"}}, "not JSON"),
        ({"data": b"\xff", "headers": {"Content-Type": "application/json"}}, "not JSON"),
        ({"data": b"[]", "headers": {"Content-Type": "text/plain"}}, "Content-Type"),
        ({}, "required"),
    ],
)
async def test_a_body_that_is_not_json_is_refused(api, options, words):
    answer = await api("POST", "/rest/v1/audiences/emea/members", **options)
    assert answer.status == 400
    assert words in message(answer)


async def test_a_body_is_refused_if_the_operation_takes_none(api):
    assert (await api("GET", "/rest/v1/users", {"a": 1})).status == 400
    assert (await api("DELETE", "/rest/v1/audiences/sales-apac", {"a": 1})).status == 422
    assert "sales-apac" in api.sandbox.state.audiences


async def test_an_id_of_another_form_is_refused_where_its_form_is_known(api):
    answer = await api("GET", "/rest/v1/contents/nope")
    assert answer.status in (400, 404, 422)
    assert "path.id" in message(answer)


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


@pytest.mark.parametrize(
    ("operation", "status", "body", "wrong"),
    [
        ("getUser", 200, b'{"id": "a"}', None),
        ("getUser", 200, b"", "empty"),
        ("getUser", 200, b"{", "not JSON"),
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
