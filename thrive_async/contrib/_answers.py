"""What a browser is told about an error: a status and words of our own, never a word of Thrive's."""

import logging
import math
from typing import Final

import attrs

from thrive_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ConnectionFailed,
    DecodeError,
    GuardRefused,
    InvalidArgument,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeout,
    SignatureError,
    SyncError,
    ThriveError,
    TokenProviderError,
    UnprocessableError,
)
from thrive_async.share.errors import LeaseLost, LeaseTaken, ShareUnavailable, TurnTooLate

__all__ = ["LOG", "Answer", "answer_to", "place_of"]

LOG: Final = logging.getLogger("thrive_async.contrib")

_PAUSE: Final = 5
"""The seconds of Retry-After if Thrive names none."""


@attrs.frozen
class _Row:
    kind: type[ThriveError]
    status: int
    detail: str
    level: int | None = None
    """How to log it, if it is for you to look after."""


# The first row that fits counts, so a class stands before its base.
_ANSWERS: Final = (
    _Row(InvalidArgument, 422, ""),
    _Row(NotFoundError, 404, "Not found"),
    _Row(ConflictError, 409, "This conflicts with what is there already"),
    _Row(UnprocessableError, 400, "Thrive refuses this request"),
    _Row(BadRequestError, 400, "Thrive refuses this request"),
    _Row(RateLimitError, 429, "Too many requests: try again later"),
    _Row(AuthenticationError, 502, "Thrive cannot be used at the moment", logging.ERROR),
    _Row(PermissionDeniedError, 502, "Thrive cannot be used at the moment", logging.ERROR),
    _Row(TokenProviderError, 502, "Thrive cannot be used at the moment", logging.ERROR),
    _Row(RequestTimeout, 504, "Thrive did not answer in time"),
    _Row(TurnTooLate, 504, "Thrive did not answer in time"),
    _Row(ConnectionFailed, 502, "Thrive cannot be reached", logging.WARNING),
    _Row(ShareUnavailable, 503, "This service is not available: try again later", logging.ERROR),
    _Row(LeaseTaken, 409, "This is being done already"),
    _Row(LeaseLost, 503, "This service is not available: try again later", logging.WARNING),
    _Row(SignatureError, 401, "The signature is missing or wrong"),
    _Row(DecodeError, 502, "The answer of Thrive cannot be read", logging.ERROR),
    _Row(GuardRefused, 409, "A guard refused this sync, and nothing was changed", logging.WARNING),
    _Row(SyncError, 502, "Some changes failed", logging.WARNING),
    _Row(ConfigurationError, 500, "This service is not set up correctly", logging.ERROR),
    _Row(APIError, 502, "Thrive failed", logging.WARNING),
    _Row(ThriveError, 500, "Something failed", logging.ERROR),
)


@attrs.frozen
class Answer:
    """The answer to an error.

    Attributes:
        status: The HTTP status.
        detail: What to tell the browser.
        retry_after: Whole seconds for the header Retry-After; None for no header.
        invalid: The arguments at fault, if the browser sent a value that makes no sense.
        maybe_applied: Whether a write may have taken effect all the same.
    """

    status: int
    detail: str
    retry_after: int | None = None
    invalid: tuple[str, ...] = ()
    maybe_applied: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    @property
    def body(self) -> dict[str, object]:
        """The body of the answer. A 422 has the shape that FastAPI documents for its own."""
        if self.status == 422:
            return {"detail": [{"type": "invalid_argument", "loc": [*self.invalid[:1]], "msg": self.detail}]}
        maybe: dict[str, object] = {"maybeApplied": True} if self.maybe_applied else {}
        return {"detail": self.detail, **maybe}


def answer_to(error: ThriveError) -> Answer:
    """Return the answer to an error, and log the error if it is for you rather than for the browser.

    The log line names the error's class, operation, status and request id, and no word of Thrive's.

    Args:
        error: What a call raised.
    """
    row = next(row for row in _ANSWERS if isinstance(error, row.kind))
    status, detail = row.status, row.detail
    if isinstance(error, APIError) and error.status == 503:
        status, detail = 503, "Thrive is not available: try again later"
    if isinstance(error, RequestTimeout) and error.retry_after is not None:
        # Thrive's 429 came to an earlier call, maybe of another worker: whoever asks gets the same answer.
        status, detail = 429, "Too many requests: try again later"
    if row.level is not None:
        LOG.log(row.level, "answered %d: %s", status, _told(error))
    invalid: tuple[str, ...] = ()
    if isinstance(error, InvalidArgument):
        detail, invalid = str(error), error.arguments
    wait: float | None = getattr(error, "retry_after", None)
    if wait is None and status in (429, 503):
        wait = _PAUSE
    return Answer(
        status,
        detail,
        retry_after=None if wait is None else math.ceil(wait),
        invalid=invalid,
        maybe_applied=bool(getattr(error, "maybe_applied", False)),
    )


def place_of(error: BaseException) -> str:
    """Return the class of an error and the line that raised it, without its text, which may quote somebody's data."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = "" if traceback is None else f" at {traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
    return type(error).__name__ + where


def _told(error: ThriveError) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)  # these are words of ours
    facts = [type(error).__name__]
    for name in ("operation", "status", "path", "request_id", "attempts"):
        value: object = getattr(error, name, None)
        if value is not None:
            facts.append(f"{name}={value}")
    return " ".join(facts)
