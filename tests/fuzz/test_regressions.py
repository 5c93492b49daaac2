"""What the fuzzer found, or finding it led to: each once more, in plain words."""

import pickle
from typing import Any

import fuzz_target as target
import orjson
import pytest
from fuzz_inputs import HEADER_SETS
from fuzz_parts import NOW
from fuzz_target import check, driven
from multidict import CIMultiDict

from thrive_async import models
from thrive_async._generated import operations as ops
from thrive_async._http.headers import retry_after
from thrive_async._http.request import Reply, build, refusal
from thrive_async._wire.convert import read
from thrive_async.errors import APIError, DecodeError
from thrive_async.resources._moves import member_operations

OK = HEADER_SETS[0]


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def refused(body: bytes, status: int = 422) -> APIError:
    request = build(ops.UPDATE_AUDIENCE, path={"audienceId": "a"}, body={"name": "n"})
    return refusal(request, Reply(status, CIMultiDict(), body), attempts=1, retry_after=None)


@pytest.mark.parametrize("field", ["message", "errors", "detail", "success", "x"])
def test_a_refusal_nested_deeply_is_an_error_that_can_be_pickled(field: str) -> None:
    """Was: a RecursionError in place of the refusal, or on pickling it."""
    body = b'{"' + field.encode() + b'": ' + nested(900) + b"}"
    error = refused(body)
    assert error.body == body.decode()
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert check("updateAudience", 422, OK, body) == "refused"


def test_a_refusal_nested_as_deeply_as_any_of_thrives_is_decoded() -> None:
    body = b'{"message": ' + nested(45) + b"}"
    assert refused(body).body == orjson.loads(body)


def test_results_of_a_move_with_a_deep_field_beside_them_are_read() -> None:
    """Was: a RecursionError while the body was copied."""
    body = orjson.loads(b'{"success": {"count": 1, "x": ' + nested(900) + b"}}")
    found = member_operations(body)
    assert found is not None
    assert found["memberOperations"].success == read(_class("ProcessedEntities"), {"count": 1})


def _class(name: str) -> type[Any]:
    from thrive_async._generated.readers import READERS

    return next(cls for cls in READERS if cls.__name__ == name)


def test_reading_the_results_of_a_refused_move_leaves_the_body_as_it_came() -> None:
    body = {"left": {"success": {"entities": [{"reference": "a"}]}, "failure": {"entities": [{"reference": "b"}]}}}
    copy = orjson.loads(orjson.dumps(body))
    assert member_operations(body) is not None
    assert body == copy


def test_a_refusal_of_megabytes_is_kept_as_the_beginning_of_its_text() -> None:
    body = b'{"message": "' + b"x " * 1_000_000 + b'"}'
    error = refused(body)
    assert error.body == body[:100_000].decode()
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    "count",
    ["9" * 5_000, "9" * 400, "1000000000000000", 10**15, 1e300, -1, 2.5, "2.5", "", "²", "\u0662", "-1", True, [], {}],
)
@pytest.mark.parametrize("name", ["totalPages", "totalResults", "perPage"])
def test_a_total_that_is_no_count_is_a_decode_error_with_its_path(name: str, count: object) -> None:
    """Was: a ValueError or an OverflowError for thousands of digits, and a number for digits of other scripts."""
    page: dict[str, Any] = {"results": [], "pagination": {"totalResults": 5, name: count}}
    with pytest.raises(DecodeError) as caught:
        paged(page)
    assert caught.value.path == f"$.pagination.{name}"


@pytest.mark.parametrize(
    ("totals", "pages"),
    [
        ({"totalResults": 999_999_999_999_999, "perPage": 1}, 999_999_999_999_999),
        ({"totalResults": 999_999_999_999_999, "perPage": 2}, 500_000_000_000_000),
        ({"totalResults": 201, "perPage": 100}, 3),
        ({"totalResults": 200.0, "perPage": 100}, 2),
        ({"totalResults": 0, "perPage": 100}, 0),
        ({"totalResults": 7, "perPage": 0}, 1),
    ],
)
def test_pages_are_counted_exactly(totals: dict[str, object], pages: int) -> None:
    assert paged({"results": [], "pagination": totals}).total_pages == pages


def paged(document: object) -> Any:
    target.NETWORK.status, target.NETWORK.headers, target.NETWORK.body = 200, {}, orjson.dumps(document)
    paginator = target._CLIENT.users.list()
    return driven(paginator._page(1, 1000))


@pytest.mark.parametrize("told", ["1_0", "\uff11", "+5", "1e3", "0x10", "9" * 5_000, "inf", "-0.5", " "])
def test_a_pause_that_http_does_not_know_is_none(told: str) -> None:
    """Was: ten seconds for `1_0`, and a thousand for `1e3`."""
    assert retry_after(CIMultiDict({"Retry-After": told}), now=NOW) is None


def test_a_reset_that_is_a_date_years_away_is_not_taken_for_now() -> None:
    """Was: no pause at all, for the time was taken off twice."""
    headers = CIMultiDict({"X-RateLimit-Reset": "Fri, 01 Jan 2036 12:00:00 GMT"})
    pause = retry_after(headers, now=NOW)
    assert pause is not None
    assert pause > 300_000_000


def test_a_page_with_lone_surrogates_in_a_key_given_twice_is_refused() -> None:
    """The decoder looks at what a second value replaces, too."""
    assert check("getUser", 200, OK, b'{"id":"\\ud800","id":"a"}') == "unreadable"


def test_the_message_may_be_null_where_errors_say_more() -> None:
    assert refused(b'{"message": null, "errors": ["a"]}').message == ["a"]


def test_models_of_equal_fields_are_equal_at_any_depth_a_decoder_takes() -> None:
    body = b'{"id":"a","additionalFields":{"x":' + nested(200) + b"}}"
    assert read(models.User, orjson.loads(body)) == read(models.User, orjson.loads(body))


@pytest.mark.parametrize("created", ["2026-01-02T03:04:05.678Z", 5, None, True, {"at": 1}])
def test_whether_a_completion_is_new_is_told_by_the_status_alone(created: object) -> None:
    """Was: a DecodeError for a completion that was recorded, had Thrive sent the time under this name."""
    body = orjson.dumps({"statementId": "a", "created": created})
    for status in (200, 201):
        assert check("createCompletion", status, OK, body) == "read"
