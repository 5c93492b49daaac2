"""Everything the SDK raises on purpose, under one root: `ThriveError`.

The text of an error is one line for people: the method, the path template, the status, Thrive's words, and the number
of attempts. Values that the request carried stand there as the names of their parameters, e-mail addresses as `***`.
What the reply really held is on the attributes (`APIError.message`, `.body`, `.headers`). Every error pickles.
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
    """The root of every error that the SDK raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[ThriveError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ThriveError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(attributes)
    return error


class _Mistake(ThriveError, ValueError):  # noqa: N818 - two errors inherit from it
    """Something that the caller gave cannot work; nothing was sent.

    Attributes:
        text: What is wrong; `$name` stands for an argument or a setting.
        arguments: The arguments or settings in the text, the one at fault first.
    """

    def __init__(self, text: str, *arguments: str) -> None:
        self.text = text
        self.arguments = arguments
        super().__init__(self.told(lambda name: name))

    def told(self, name_of: Callable[[str], str]) -> str:
        """Say it in the words of a face of the SDK, such as a command line with options in place of arguments.

        Args:
            name_of: Returns what an argument is called there.

        Returns:
            One line.
        """
        return named(self.text, self.arguments, name_of)


class ConfigurationError(_Mistake):
    """The client, its credentials, its settings or the environment cannot work as they are; nothing was sent.

    Example:
        >>> error = ConfigurationError("$Timeouts.total must be positive, not 0", "Timeouts.total")
        >>> str(error), error.told({"Timeouts.total": "--timeout"}.__getitem__)
        ('Timeouts.total must be positive, not 0', '--timeout must be positive, not 0')

    Attributes:
        text: What is wrong; `$name` stands for a setting.
        arguments: The settings in the text, the one at fault first; empty if it names none.
    """


class TokenProviderError(ConfigurationError):
    """Your token provider raised an exception, which is the `__cause__`, or returned no token; nothing was sent."""


class InvalidArgument(_Mistake):
    """An argument of a call cannot be meant; nothing was sent.

    Example:
        >>> error = InvalidArgument("$updated_at_to needs $updated_at_from", "updated_at_to", "updated_at_from")
        >>> str(error), error.told(lambda name: "--" + name.replace("_", "-"))
        ('updated_at_to needs updated_at_from', '--updated-at-to needs --updated-at-from')

    Attributes:
        text: What is wrong; `$name` stands for an argument.
        arguments: The arguments in the text, the one at fault first.
    """


def named(text: str, arguments: Iterable[str], name_of: Callable[[str], str]) -> str:
    """Put the names of arguments into a text in which `$name` stands for them."""
    names = {f"${name}": name_of(name) for name in arguments}
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(pattern, lambda match: names[match[0]], text) if names else text


class ConnectionFailed(ThriveError, ConnectionError):  # noqa: N818 - the public name
    """Thrive could not be reached, or the connection broke before the answer was whole.

    Attributes:
        operation: The operationId of the call.
        attempts: How many times it was tried.
        maybe_applied: True if a request had left before the connection broke, so that a write may have taken effect.
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
        attempts: How many times it was tried.
        maybe_applied: True if a request had left before time was up, so that a write may have taken effect.
        retry_after: The seconds until Thrive takes requests again, for a call that could not wait for the end of a
            pause that Thrive had asked for; else None.
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
    """What Thrive sent is not what its documentation says, so no object was made of it.

    Attributes:
        path: Where, as a JSON path such as `$.results[3].id`.
        operation: The operationId of the call, if one was made.
        body: The bytes of the reply, or of the webhook's delivery, as they came, if there was one.
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
    """A list ended before the total that Thrive gives for it; what came before the end was given.

    Attributes:
        items: How many items came.
        total_results: How many there are, as Thrive says; None if it gives only pages.
        total_pages: How many pages there are, as Thrive says.
        page: The number of the page that brought nothing new.
    """

    def __init__(
        self, *, operation: str, items: int, total_results: int | None, total_pages: int | None, page: int
    ) -> None:
        told = f"{total_pages:,} pages" if total_results is None else f"{total_results:,} items"
        super().__init__(
            f"Thrive says that the list has {told}, but page {page:,} brought nothing new after {items:,} items. "
            "If nobody changed the list meanwhile, try a smaller per_page",
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
    """The write was done, but its result is not known: the reply did not hold it, and it could not be read afterwards.

    Do not repeat the write. Read what you need instead.

    Attributes:
        status: The 2xx status of the reply.
        maybe_applied: Always True: Thrive did what was asked.
        reading: Why the result could not be read; None if there was no name to read it by.
    """

    maybe_applied = True

    def __init__(self, text: str, *, operation: str, body: bytes, status: int, reading: ThriveError | None) -> None:
        super().__init__(text, operation=operation, body=body)
        self.status = status
        self.reading = reading

    def __str__(self) -> str:
        return f"{self.operation}: {self.reason}"


class SignatureError(ThriveError, ValueError):
    """A webhook's delivery was not signed with the secret agreed on; nothing of it can be trusted."""


class APIError(ThriveError):
    """Thrive answered, and refused.

    Attributes:
        status: The HTTP status.
        error: The `error` of Thrive's error body ("Not Found"), else the standard phrase of the status.
        message: The `message` of Thrive's error body as it came: a string, an object, or None.
        body: The decoded JSON of the reply, else its text.
        headers: The reply's headers, case-insensitive.
        request_id: The first of `x-request-id`, `x-amzn-requestid`, `x-correlation-id`.
        operation: The operationId of the call.
        attempts: How many times it was tried.
        retry_after: The seconds that Thrive asked to wait, if it did.
        maybe_applied: True if the answer to an earlier attempt was lost, or Thrive failed on the way, so that a write
            may have taken effect all the same.
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
    """403: the key or the token lacks the scope for this."""


class NotFoundError(APIError):
    """404: there is no such thing."""


class ConflictError(APIError):
    """409: it clashes with what is there, for example a reference that is taken."""


class UnprocessableError(APIError):
    """422: well formed, but against Thrive's rules.

    Attributes:
        member_operations: For a refused move of an audience, what happened to its members, by name of the operation;
            None for every other refusal, or where the body does not hold it.
    """

    member_operations: "dict[str, MemberOperationResult] | None" = None


class RateLimitError(APIError):
    """429: too many requests; `retry_after` says for how long, if Thrive did."""


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
        # They live with the sync; this is where they were first found.
        if name in ("SyncError", "GuardRefused"):
            return getattr(import_module("thrive_async.sync.errors"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
