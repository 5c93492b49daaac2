"""Errors are for people: one line, safe to log, and they pickle."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async import errors
from thrive_async._http.words import _api_words, masked_words
from thrive_async.errors import APIError, ThriveError, error_class


def api_error(status: int = 404) -> APIError:
    return error_class(status)(
        "GET /rest/v1/user/{id}: 404 Not Found (1 attempt)",
        status=status,
        error="Not Found",
        message={"detail": "no"},
        body={"status": status},
        headers={"x-request-id": "r-1"},
        request_id="r-1",
        operation="getUser",
        attempts=1,
        retry_after=None,
    )


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (422, "UnprocessableError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
        (503, "ServerError"),
        (599, "ServerError"),
        (418, "APIError"),
        (302, "APIError"),
    ],
)
def test_every_status_has_its_class(status: int, name: str) -> None:
    assert type(api_error(status)).__name__ == name


ALL = [
    api_error(),
    api_error(422),
    errors.ConnectionFailed("text", operation="o", attempts=2, maybe_applied=True),
    errors.RequestTimeout("text", operation="o", attempts=2, maybe_applied=False),
    errors.DecodeError("text", path="$.a", operation="o", body=b"{"),
    errors.ConfigurationError("text"),
    errors.SyncError("text"),
    errors.GuardRefused("text"),
]


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_every_error_pickles_with_all_it_holds(error: ThriveError) -> None:
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert vars(copied) == vars(error)


def test_every_public_error_is_a_thrive_error() -> None:
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), ThriveError)
    assert issubclass(errors.RequestTimeout, TimeoutError)


def test_words_mask_addresses_and_what_was_sent() -> None:
    words = "User anna.berg+x@example.org (Anna Berg, ref E-77) does not exist"
    assert masked_words(words, ["Anna Berg", "E-77"]) == "User *** (***, ref ***) does not exist"


@pytest.mark.parametrize(
    ("words", "sent", "shown"),
    [
        # The API's own words stay, for a line of stars helps nobody.
        ("role learner is not allowed", ["learner"], "role learner is not allowed"),
        ("email or ref is required", ["email", "en"], "email or ref is required"),
        # A short value is hidden where it is a word, and left where it is part of one.
        ("us is no user of us", ["us"], "*** is no user of ***"),
        # A name hides from nobody by its case, its quotation marks or its percent signs.
        ("no BERG, no berg", ["Berg"], "no ***, no ***"),
        ({"user": 'Anna "Annie" Berg'}, ['Anna "Annie" Berg'], '{"user": "***"}'),
        ({"Anna Berg": ["Anna Berg", 5]}, ["Anna Berg"], '{"***": ["***", 5]}'),
        ("no /users/ref/a%2Fb%20c", ["a/b c"], "no /users/ref/***"),
        ("E-77123 and E-7712", ["E-7712"], "***3 and ***"),
        # Nor do those whom only Thrive named.
        ("User Anna Berg (anna@example.org, E-77) does not exist.", [], "User *** (***, ***) does not exist."),
        ("Anna's manager 李小龍 is unknown", [], "*** manager *** is unknown"),
        ("Tag 'Leadership' not found", [], "Tag '***' not found"),
        ("63f57d805d8ecbf46f5b5278, 0123456789 and 2026-01-01T10", [], "***, *** and ***"),
        # What explains stays: the API's names, small words, small numbers.
        ('"audienceId" must be a valid ObjectId', [], '"audienceId" must be a valid ***'),
        ("query.perPage, body.2.reference and body.anna: wrong", [], "query.perPage, body.2.reference and ***: wrong"),
        ("Too many requests, wait and back off.", [], "Too many requests, wait and back off."),
        ("At most 100 entities; managerRef isn't one", [], "At most 100 entities; managerRef isn't one"),
        ({"fields": ["firstName"], "limit": 100}, [], '{"fields": ["firstName"], "limit": 100}'),
        (
            {"limit": 9999, "user": 4420917, "at": -1.5e9, "is": True},
            [],
            '{"limit": 9999, "user": "***", "at": "***", "is": true}',
        ),
        ({"required": ["api/write", "api/all"]}, [], '{"required": ["api/write", "api/all"]}'),
        ("insufficient scope: api/read; api/webhooks, api/anna", [], "insufficient scope: api/read; api/webhooks, ***"),
        # Lower-case words may be somebody's name or ref where one is likely to stand, unless they are known English.
        ("user anna berg does not exist", [], "user *** does not exist"),
        ("users anna, berta and carla were removed", [], "users ***, *** and *** were removed"),
        ("the ref is already in use by aberg", [], "the ref is already in use by ***"),
        ("body.0: user with id aberg not found", [], "body.0: user with id *** not found"),
        ("User Anna berg (anna) exists", [], "User *** (***) exists"),
        (
            "'anna' is no valid name, `berg`, “ann” nor \"von berg\"",
            [],
            "'***' is no valid name, `***`, “***” nor \"***\"",
        ),
        ("aberg already exists", [], "*** already exists"),
        ("ref dup key: aberg", [], "ref *** key: ***"),
        ({"firstName": "anna", "lastName": "von berg"}, [], '{"firstName": "***", "lastName": "***"}'),
        ({"anna": ["berg", "email is taken"]}, [], '{"***": ["***", "email is taken"]}'),
        # And elsewhere they are words like others.
        ("overloaded", [], "overloaded"),
        ("invalid user. contact support", [], "invalid user. contact support"),
        (
            "user was not found, and the member cannot be removed",
            [],
            "user was not found, and the member cannot be removed",
        ),
        ('"email" must be a valid email', [], '"email" must be a valid email'),
        ("it said 'the audience is not empty'", [], "it said 'the audience is not empty'"),
        (
            {"message": "slow down", "errors": [{"reason": "load"}]},
            [],
            '{"message": "slow down", "errors": [{"reason": "load"}]}',
        ),
        (None, ["x"], ""),
    ],
)
def test_words_keep_what_explains_and_hide_who_is_meant(words: object, sent: list[str], shown: str) -> None:
    assert masked_words(words, sent) == shown


@given(st.text(), st.lists(st.text(min_size=5, max_size=12), max_size=5))
def test_words_are_one_short_printable_line_without_what_was_sent(words: str, sent: list[str]) -> None:
    for told in (words, {"a": [words]}):
        shown = masked_words(told, sent)
        assert len(shown) <= 300
        assert shown.isprintable()
        for value in sent:
            if value.strip() == value and value.isprintable() and not set(value) & set('*… \\"[]{}:'):
                assert value not in shown or value in _api_words()


def test_a_decode_error_says_where() -> None:
    error = errors.DecodeError("a string was expected", path="$.results[3].id", operation="searchUsers")
    assert str(error) == "searchUsers: the reply cannot be read at $.results[3].id: a string was expected"
