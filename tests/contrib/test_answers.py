"""What a browser is told about each error, and what goes to the log."""

import logging
import pickle
from typing import Any

import pytest

from thrive_async import errors
from thrive_async.contrib._answers import Answer, answer_to
from thrive_async.share import LeaseLost, LeaseTaken, ShareUnavailable, TurnTooLate

WORDS = "Thrive's own words about ada@example.com"


def api_error(status: int, retry_after: float | None = None, **more: Any) -> errors.APIError:
    return errors.error_class(status)(
        f"GET /rest/v1/user/{{id}}: {status}: {WORDS}",
        status=status,
        error="Oh no",
        message=WORDS,
        body={"message": WORDS},
        headers={},
        request_id="r-1",
        operation="getUser",
        attempts=2,
        retry_after=retry_after,
        **more,
    )


def lost(kind: type[Any], **more: Any) -> Any:
    return kind(WORDS, operation="getUser", attempts=1, maybe_applied=True, **more)


ANSWERS = [
    (api_error(400), 400, None, None),
    (api_error(401), 502, None, "ERROR"),
    (api_error(403), 502, None, "ERROR"),
    (api_error(404), 404, None, None),
    (api_error(409), 409, None, None),
    (api_error(418), 502, None, "WARNING"),
    (api_error(422), 400, None, None),
    (api_error(429), 429, "5", None),
    (api_error(429, 6.2), 429, "7", None),
    (api_error(500), 502, None, "WARNING"),
    (api_error(503), 503, "5", "WARNING"),
    (api_error(503, 30), 503, "30", "WARNING"),
    (lost(errors.RequestTimeout), 504, None, None),
    (lost(errors.RequestTimeout, retry_after=60), 429, "60", None),
    (lost(errors.ConnectionFailed), 502, None, "WARNING"),
    (errors.DecodeError(WORDS, path="$.id", operation="getUser"), 502, None, "ERROR"),
    (errors.SignatureError(WORDS), 401, None, None),
    (errors.TokenProviderError("your token provider failed"), 502, None, "ERROR"),
    (errors.ConfigurationError("this ThriveClient is closed: build a new one"), 500, None, "ERROR"),
    (errors.GuardRefused(WORDS), 409, None, "WARNING"),
    (errors.SyncError(WORDS), 502, None, "WARNING"),
    (errors.ThriveError(WORDS), 500, None, "ERROR"),
    (ShareUnavailable(WORDS), 503, "5", "ERROR"),
    (TurnTooLate(3), 504, None, None),
    (LeaseTaken(WORDS), 409, None, None),
    (LeaseLost(WORDS), 503, "5", "WARNING"),
]


@pytest.mark.parametrize(("error", "status", "wait", "level"), ANSWERS, ids=lambda one: getattr(one, "status", None))
def test_each_error_has_its_answer(
    error: errors.ThriveError, status: int, wait: str | None, level: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """What is yours to mend is logged with the facts; no word of Thrive's goes to the browser or the log."""
    caplog.set_level(logging.DEBUG, logger="thrive_async.contrib")
    answer = answer_to(error)
    assert answer.status == status
    assert answer.headers == ({} if wait is None else {"Retry-After": wait})
    assert [record.levelname for record in caplog.records] == ([] if level is None else [level])
    assert isinstance(answer.body["detail"], str)
    assert "words" not in repr(answer) + caplog.text
    assert "Oh no" not in repr(answer) + caplog.text


def test_every_error_of_the_sdk_has_a_row() -> None:
    kinds = {type(error) for error, *_ in ANSWERS} | {errors.InvalidArgument, errors.APIError}
    public = {getattr(errors, name) for name in errors.__all__}
    assert public - kinds == {errors.IncompleteList, errors.ResultUnknown}  # both are a DecodeError


def test_an_invalid_argument_alone_is_a_422_in_the_shape_of_fastapi() -> None:
    answer = answer_to(
        errors.InvalidArgument("$updated_at_to needs $updated_at_from", "updated_at_to", "updated_at_from")
    )
    assert answer.status == 422
    problem = {"type": "invalid_argument", "loc": ["updated_at_to"], "msg": "updated_at_to needs updated_at_from"}
    assert answer.body == {"detail": [problem]}
    assert [status for _, status, *_ in ANSWERS if status == 422] == []


def test_a_write_that_may_have_taken_effect_is_told() -> None:
    assert answer_to(lost(errors.ConnectionFailed)).body["maybeApplied"] is True
    assert answer_to(api_error(500, maybe_applied=True)).body["maybeApplied"] is True
    assert "maybeApplied" not in answer_to(api_error(500)).body


def test_an_answer_is_a_value() -> None:
    answer = Answer(404, "Not found")
    assert pickle.loads(pickle.dumps(answer)) == answer
