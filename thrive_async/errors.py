"""All errors that the SDK raises on purpose. They share one base: `ThriveError`.

The text of an error is one readable line: the method, the path template, the status, Thrive's message, and the number
of attempts. Values from the request are replaced by the names of their parameters, and e-mail addresses by `***`. The
attributes hold the full reply (`APIError.message`, `.body`, `.headers`). You can pickle every error.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

from thrive_async._base.replies import ReplyInfo

if TYPE_CHECKING:
    from thrive_async.models import MemberOperationResult
    from thrive_async.sync.errors import GuardRefused, SyncError

__all__ = [
    "APIError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailed",
    "DecodeError",
    "GuardRefused",
    "IncompleteList",
    "InvalidArgument",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTimeout",
    "ResultUnknown",
    "ServerError",
    "SignatureError",
    "SyncError",
    "ThriveError",
    "TokenProviderError",
    "UnprocessableError",
]


class ThriveError(Exception):
    """The base of every error that the SDK raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[ThriveError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ThriveError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(attributes)
    return error


class _Mistake(ThriveError, ValueError):  # noqa: N818 - two errors inherit from it
    """An argument or setting that you passed cannot work. Nothing was sent.

    Attributes:
        text: What is wrong. `$name` stands for an argument or a setting.
        arguments: The arguments or settings in the text, the one at fault first.
    """

    def __init__(self, text: str, *arguments: str) -> None:
        self.text = text
        self.arguments = arguments
        super().__init__(self.told(lambda name: name))

    def told(self, name_of: Callable[[str], str]) -> str:
        """Return the text with other names for the arguments, such as the options of a command line.

        Args:
            name_of: Returns the new name of an argument.

        Returns:
            One line.
        """
        return named(self.text, self.arguments, name_of)


class ConfigurationError(_Mistake):
    """The client's arguments, credentials or settings, or the environment, cannot work. Nothing was sent.

    Example:
        >>> error = ConfigurationError("$Timeouts.total must be positive, not 0", "Timeouts.total")
        >>> str(error), error.told({"Timeouts.total": "--timeout"}.__getitem__)
        ('Timeouts.total must be positive, not 0', '--timeout must be positive, not 0')

    Attributes:
        text: What is wrong. `$name` stands for a setting.
        arguments: The settings in the text, the one at fault first. Empty if the text names no setting.
    """


class TokenProviderError(ConfigurationError):
    """Your token provider returned no token, or raised an exception, which is the `__cause__`. Nothing was sent."""


class InvalidArgument(_Mistake):
    """An argument of a call has a value that makes no sense. Nothing was sent.

    Example:
        >>> error = InvalidArgument("$updated_at_to needs $updated_at_from", "updated_at_to", "updated_at_from")
        >>> str(error), error.told(lambda name: "--" + name.replace("_", "-"))
        ('updated_at_to needs updated_at_from', '--updated-at-to needs --updated-at-from')

    Attributes:
        text: What is wrong. `$name` stands for an argument.
        arguments: The arguments in the text, the one at fault first.
    """


def named(text: str, arguments: Iterable[str], name_of: Callable[[str], str]) -> str:
    """Replace each `$name` in a text with the name of its argument."""
    names = {f"${name}": name_of(name) for name in arguments}
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(pattern, lambda match: names[match[0]], text) if names else text


class ConnectionFailed(ThriveError, ConnectionError):  # noqa: N818 - the public name
    """The connection to Thrive failed, or broke before the whole answer arrived.

    Attributes:
        operation: The operationId of the call.
        attempts: The number of attempts.
        maybe_applied: True if a request was sent before the connection broke, so that a write may have taken effect.
    """

    def __init__(self, text: str, *, operation: str, attempts: int, maybe_applied: bool) -> None:
        super().__init__(text)
        self.operation = operation
        self.attempts = attempts
        self.maybe_applied = maybe_applied


class RequestTimeout(ThriveError, TimeoutError):  # noqa: N818 - the public name
    """An attempt, or the whole call, took longer than its `Timeouts` allow.

    Attributes:
        operation: The operationId of the call.
        attempts: The number of attempts.
        maybe_applied: True if a request was sent before the time was up, so that a write may have taken effect.
        retry_after: Seconds until Thrive accepts requests again, if Thrive asked for a pause longer than the call
            could wait. Otherwise None.
    """

    def __init__(
        self, text: str, *, operation: str, attempts: int, maybe_applied: bool, retry_after: float | None = None
    ) -> None:
        super().__init__(text)
        self.operation = operation
        self.attempts = attempts
        self.maybe_applied = maybe_applied
        self.retry_after = retry_after


class DecodeError(ThriveError, ValueError):
    """Thrive sent data that does not match its documentation and cannot be read.

    Attributes:
        path: The place, as a JSON path such as `$.results[3].id`.
        operation: The operationId of the call, if there was a call.
        body: The bytes of the reply or webhook delivery, unchanged, if there was one.
        subject: What cannot be read: "the reply", or "the delivery" of a webhook.
        status: The HTTP status of the reply, if there was one.
        headers: Its headers, case-insensitive; empty if there was none.
        request_id: Thrive's id of the request, if the reply named one.
        attempts: How many requests the call made; None if there was no call.
    """

    def __init__(self, text: str, *, path: str = "$", operation: str | None = None, body: bytes | None = None) -> None:
        super().__init__(text)
        self.reason = text
        self.path = path
        self.operation = operation
        self.body = body
        self.subject = "the reply"
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.request_id: str | None = None
        self.attempts: int | None = None

    def came_with(self, reply: ReplyInfo) -> None:
        """Keep what the reply said beside its body."""
        self.status, self.headers = reply.status, CIMultiDict(reply.headers)
        self.request_id, self.attempts = reply.request_id, reply.attempts

    def __str__(self) -> str:
        where = f"{self.operation}: " if self.operation else ""
        return f"{where}{self.subject} cannot be read at {self.path}: {self.reason}"


class IncompleteList(DecodeError):  # noqa: N818 - the public name
    """A list ended before the total that Thrive states. You have received the items up to that point.

    Attributes:
        items: How many items came.
        total_results: Thrive's total of items, or None if Thrive states only pages.
        total_pages: Thrive's total of pages.
        page: The number of the page that brought nothing new.
    """

    def __init__(
        self, *, operation: str, items: int, total_results: int | None, total_pages: int | None, page: int
    ) -> None:
        told = f"{total_pages:,} pages" if total_results is None else f"{total_results:,} items"
        super().__init__(
            f"Thrive says that the list has {told}, but page {page:,} brought nothing new after {items:,} items. "
            "If the list did not change in the meantime, try a smaller per_page",
            path="$.pagination",
            operation=operation,
        )
        self.items = items
        self.total_results = total_results
        self.total_pages = total_pages
        self.page = page

    def __str__(self) -> str:
        return f"{self.operation}: {self.reason}"


class ResultUnknown(DecodeError):  # noqa: N818 - the public name
    """The write was done, but its result is unknown: the reply did not hold it, and reading it afterwards failed.

    Do not repeat the write. Read what you need instead.

    Attributes:
        status: The 2xx status of the reply.
        maybe_applied: Always True, because Thrive did the write.
        reading: Why reading the result failed, or None if there was nothing to find it by.
    """

    maybe_applied = True

    def __init__(self, text: str, *, operation: str, body: bytes, status: int, reading: ThriveError | None) -> None:
        super().__init__(text, operation=operation, body=body)
        self.status: int | None = status
        self.reading = reading

    def __str__(self) -> str:
        return f"{self.operation}: {self.reason}"


class SignatureError(ThriveError, ValueError):
    """A webhook delivery was not signed with the shared secret. Do not trust any part of it."""


class APIError(ThriveError):
    """Thrive answered with an error.

    Attributes:
        status: The HTTP status.
        error: The `error` of Thrive's error body ("Not Found"), or else the standard phrase of the status.
        message: The `message` of Thrive's error body, unchanged: a string, an object, or None.
        body: The decoded JSON of the reply, or its text if it is not JSON.
        headers: The reply's headers, case-insensitive.
        request_id: The first of `x-request-id`, `x-amzn-requestid`, `x-correlation-id`.
        operation: The operationId of the call.
        attempts: The number of attempts.
        retry_after: The seconds that Thrive asked to wait, if any.
        maybe_applied: True if the answer to an earlier attempt was lost, or Thrive failed during the write, so that
            the write may have taken effect anyway.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int,
        error: str,
        message: object,
        body: object,
        headers: Mapping[str, str],
        request_id: str | None,
        operation: str,
        attempts: int,
        retry_after: float | None,
        maybe_applied: bool = False,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.message = message
        self.body = body
        self.headers = headers
        self.request_id = request_id
        self.operation = operation
        self.attempts = attempts
        self.retry_after = retry_after
        self.maybe_applied = maybe_applied


class BadRequestError(APIError):
    """400: the request is malformed."""


class AuthenticationError(APIError):
    """401: the credentials are wrong, or the token endpoint refused them."""


class PermissionDeniedError(APIError):
    """403: the key or token does not give access to this."""


class NotFoundError(APIError):
    """404: there is no such record."""


class ConflictError(APIError):
    """409: the request conflicts with existing data, such as a reference that is already taken."""


class UnprocessableError(APIError):
    """422: the request is well formed but breaks Thrive's rules.

    Attributes:
        member_operations: After a refused move of an audience, the results for its members, by operation name. None
            for any other refusal, or if the body has no results.
    """

    member_operations: "dict[str, MemberOperationResult] | None" = None


class RateLimitError(APIError):
    """429: too many requests. `retry_after` says how many seconds to wait, if Thrive said so."""


class ServerError(APIError):
    """5xx: Thrive failed."""


_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableError,
    429: RateLimitError,
}


def error_class(status: int) -> type[APIError]:
    """Return the error class for a status."""
    return _BY_STATUS.get(status) or (ServerError if status >= 500 else APIError)


def status_phrase(status: int) -> str:
    """Return the standard phrase of a status ("Not Found")."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        # These live in the sync package; they used to live here.
        if name in ("SyncError", "GuardRefused"):
            return getattr(import_module("thrive_async.sync.errors"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
