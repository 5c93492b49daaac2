"""Errors are for people: one line, safe to log, and they pickle."""

import pickle

import pytest

from thrive_async import Timeouts, errors
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


def test_a_decode_error_says_where() -> None:
    error = errors.DecodeError("a string was expected", path="$.results[3].id", operation="searchUsers")
    assert str(error) == "searchUsers: the reply cannot be read at $.results[3].id: a string was expected"


def test_an_error_can_use_other_names_for_its_settings() -> None:
    with pytest.raises(errors.ConfigurationError) as raised:
        Timeouts(total=0)
    assert raised.value.arguments == ("Timeouts.total",)
    assert raised.value.told(lambda _: "--timeout") == "--timeout must be a positive number of seconds, not 0"


def test_a_longer_name_is_not_mistaken_for_a_shorter_one() -> None:
    error = errors.InvalidArgument("$at_to needs $at and $user-id", "at", "at_to", "user-id")
    assert str(error) == "at_to needs at and user-id"
    assert str(errors.InvalidArgument("it costs $at", "nothing")) == "it costs $at"
