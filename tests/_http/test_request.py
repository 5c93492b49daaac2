"""Requests out of arguments, errors out of replies: pure, without any I/O."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from thrive_async._generated import operations as ops
from thrive_async._http.headers import retry_after
from thrive_async._http.request import Reply, build, decoded, refusal
from thrive_async.errors import APIError, DecodeError, UnprocessableError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50).filter(
    lambda text: text.strip() and text not in (".", "..")
)


@given(TEXT)
def test_a_path_segment_arrives_as_exactly_what_was_given(ref: str) -> None:
    target = build(ops.GET_USER_BY_REF, path={"ref": ref}).target
    head, _, segment = target.rpartition("/")
    assert head == "/rest/v1/users/ref"
    assert unquote(segment) == ref
    assert segment.isascii()
    assert not set(segment) & set("?#&+ ")


@pytest.mark.parametrize("ref", ["", " ", ".", "..", "\ud800", "x" * 2001])
def test_a_path_segment_that_would_go_elsewhere_is_refused(ref: str) -> None:
    with pytest.raises(ValueError, match="ref "):
        build(ops.GET_USER_BY_REF, path={"ref": ref})


def test_a_path_argument_must_be_a_string() -> None:
    with pytest.raises(TypeError, match="id must be a string, not int"):
        build(ops.GET_USER, path={"id": 5})  # type: ignore[dict-item]


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001
MOMENT = datetime(2026, 1, 31, 9, 30, 15, 250_000, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("operation", "name", "written"),
    [
        (ops.SEARCH_USERS, "updatedSince", "2026-01-31T08:30:15.250Z"),
        (ops.LIST_ACTIVITIES, "timestampFrom", "2026-01-31 08:30:15"),
        (ops.LIST_ACTIVITIES, "timestampTo", "2026-01-31 08:30:16"),
        (ops.LIST_CPD_ENTRIES, "entryDateFrom", "2026-01-31 08:30:15"),
        (ops.LIST_COMPLETIONS, "completedDateRangeStart", "2026-01-31T08:30:15.250Z"),
    ],
)
def test_each_endpoint_gets_dates_in_its_own_form(operation: ops.Operation, name: str, written: str) -> None:
    query = build(operation, query={name: MOMENT}).target.partition("?")[2]
    assert unquote(query) == f"{name}={written}"


def test_user_summaries_want_local_time_and_both_ends() -> None:
    query = {"entryDateFrom": MOMENT, "entryDateTo": MOMENT}
    target = build(ops.LIST_CPD_USER_SUMMARIES, query=query).target
    assert unquote(target).endswith("?entryDateFrom=2026-01-31T08:30:15&entryDateTo=2026-01-31T08:30:16")
    with pytest.raises(ValueError, match="needs entry_date_to"):
        build(ops.LIST_CPD_USER_SUMMARIES, query={"entryDateFrom": MOMENT})


def test_a_naive_datetime_is_refused_and_told_why() -> None:
    with pytest.raises(ValueError, match="would mean another time on another machine"):
        build(ops.SEARCH_USERS, query={"updatedSince": NAIVE})
    with pytest.raises(TypeError, match="updated_since takes a datetime with a time zone, not a date without a time"):
        build(ops.SEARCH_USERS, query={"updatedSince": date(2026, 1, 1)})


def test_lists_are_joined_by_commas_and_items_cannot_smuggle_one_in() -> None:
    assert build(ops.SEARCH_USERS, query={"statuses": ["active", "new"]}).target.endswith("?statuses=active,new")
    with pytest.raises(ValueError, match="holds a comma"):
        build(ops.LIST_ACTIVITIES, query={"contentIds": ["a,b"]})
    with pytest.raises(TypeError, match="takes a list of strings"):
        build(ops.SEARCH_USERS, query={"statuses": "active"})
    with pytest.raises(ValueError, match="is an empty list"):
        build(ops.SEARCH_USERS, query={"statuses": []})


def test_booleans_numbers_and_absent_values() -> None:
    target = build(ops.LIST_AUDIENCES, query={"apiControlled": False, "updatedSince": None, "page": 2}).target
    assert target.endswith("?apiControlled=false&page=2")
    for name, value, said in (("apiControlled", 1, "api_controlled"), ("page", True, "page"), ("page", "1", "page")):
        with pytest.raises(TypeError, match=f"^{said} takes"):
            build(ops.LIST_AUDIENCES, query={name: value})


@pytest.mark.parametrize(
    ("operation", "arguments", "words"),
    [
        (ops.GET_USER, {"path": {"id": ""}}, "user_id is empty"),
        (ops.LIST_COMPLETIONS, {"query": {"contentId": " "}}, "content_id is empty"),
        (ops.REMOVE_MEMBER, {"path": {"audienceId": "a", "userRef": ".."}}, "user must not be"),
        (ops.LIST_COMPLETIONS, {"query": {"completedDateRangeEnd": NAIVE}}, "completed_to is a datetime"),
        (ops.LIST_ACTIVITIES, {"query": {"contentIds": ["a,b"]}}, "an item of content_ids holds a comma"),
    ],
)
def test_mistakes_are_told_by_the_name_of_the_argument(
    operation: ops.Operation, arguments: dict[str, Any], words: str
) -> None:
    """The caller wrote `updated_since`, and never `updatedSince`."""
    with pytest.raises(ValueError, match=f"^{words}"):
        build(operation, **arguments)


def test_an_unknown_query_parameter_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="searchUsers has no query parameter 'updated_since'"):
        build(ops.SEARCH_USERS, query={"updated_since": None, "x": 1} | {"updated_since": MOMENT})


def test_bodies_have_the_limits_of_the_specification() -> None:
    path = {"audienceId": "a"}
    for count in (1, 100):
        assert build(ops.ADD_MEMBERS, path=path, body=["x"] * count).body == b"[" + b",".join([b'"x"'] * count) + b"]"
    for count in (0, 101):
        with pytest.raises(ValueError, match=f"addMembers takes 1 to 100 entries, not {count}"):
            build(ops.ADD_MEMBERS, path=path, body=["x"] * count)
    with pytest.raises(TypeError, match="takes a list"):
        build(ops.ADD_MEMBERS, path=path, body={"a": 1})
    with pytest.raises(TypeError, match="needs a body"):
        build(ops.ADD_MEMBERS, path=path)
    with pytest.raises(TypeError, match="takes no body"):
        build(ops.GET_USER, path={"id": "a"}, body={})


def test_no_repr_of_a_request_or_reply_shows_its_arguments() -> None:
    request = build(ops.GET_USER_BY_REF, path={"ref": "anna@example.org"})
    assert "anna" not in repr(request)
    assert "anna" not in repr(Reply(200, CIMultiDict({"x": "anna"}), b"anna", {"a": "anna"}))


REQUEST = build(ops.UPDATE_AUDIENCE, path={"audienceId": "sales-emea"}, body={"name": "Sales"})


def refused(body: bytes, status: int = 422, **headers: str) -> APIError:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(REQUEST, Reply(status, CIMultiDict(headers), body), attempts=2, retry_after=None)


def test_an_error_says_in_one_line_what_was_asked_and_what_happened() -> None:
    error = refused(b'{"status":422,"error":"Unprocessable Content","message":"sales-emea: no"}', x_request_id="r-9")
    line = "PATCH /rest/v1/audiences/{audienceId}: 422 Unprocessable Content: {audienceId}: no (2 attempts)"
    assert str(error) == line
    assert isinstance(error, UnprocessableError)
    assert error.message == "sales-emea: no"
    assert (error.request_id, error.operation, error.attempts) == ("r-9", "updateAudience", 2)


def test_a_long_number_that_was_sent_shows_as_its_name() -> None:
    body = {"additionalFields": {"payroll": 12345678901234567890123}}
    request = build(ops.UPDATE_USER, path={"ref": "E1"}, body=body)
    reply = Reply(422, CIMultiDict(), b'{"message":"12345678901234567890123 is taken"}')
    assert "{payroll} is taken" in str(refusal(request, reply, attempts=1, retry_after=None))


def test_an_object_message_is_kept_as_it_came() -> None:
    error = refused(b'{"status":422,"error":"x","message":{"fields":["name"]}}')
    assert error.message == {"fields": ["name"]}
    assert '{"fields":["name"]}' in str(error)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", None),
        (b"<html>", "<html>"),
        (b'"words"', "words"),
        (b'{"code":"X","message":"words"}', "words"),
        (b'{"error":"invalid_client","error_description":"words"}', "words"),
        (b'{"errors":["a"]}', ["a"]),
        (b"[1]", None),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_any_error_body_is_read_leniently(body: bytes, message: object) -> None:
    assert refused(body).message == message


def test_an_html_page_is_named_not_quoted() -> None:
    assert "an HTML page instead of JSON" in str(refused(b"<html>secret</html>", 502, Content_Type="text/html"))


NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
        # The reply's own clock decides, however wrong this machine's is.
        ({"Retry-After": "Fri, 02 Jan 2026 00:00:10 GMT", "Date": "Fri, 02 Jan 2026 00:00:00 GMT"}, 10.0),
        ({"X-RateLimit-Reset": "5"}, 5.0),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) + 9)}, 9.0),
        ({"Retry-After": "2", "X-RateLimit-Reset": "5"}, 2.0),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(CIMultiDict(headers), now=NOW.timestamp()) == seconds


@pytest.mark.parametrize("body", [b"", b'{"a":', b"<html>"])
def test_a_reply_that_is_no_json_is_a_decode_error_with_its_body(body: bytes) -> None:
    with pytest.raises(DecodeError) as raised:
        decoded(REQUEST, Reply(200, CIMultiDict(), body))
    assert raised.value.body == body
    assert raised.value.operation == "updateAudience"


def test_json_that_was_decoded_is_not_decoded_again() -> None:
    reply = Reply(200, CIMultiDict(), b"[1]")
    assert decoded(REQUEST, reply) is decoded(REQUEST, reply)
    assert reply.json() == orjson.loads(b"[1]")
