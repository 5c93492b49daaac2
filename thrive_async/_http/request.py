"""Turns operations and arguments into requests, and replies into values or errors. It does no I/O.

The specification says what an operation looks like on the wire (`_generated/operations.py`). This module encodes values
accordingly and refuses invalid ones.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, Final, cast
from urllib.parse import parse_qsl, quote

import attrs
import orjson
from multidict import CIMultiDict

from thrive_async._base.arguments import argument
from thrive_async._base.replies import ReplyInfo, request_id
from thrive_async._base.unset import UNSET
from thrive_async._generated.operations import Operation
from thrive_async._http.quoting import one_line, quoted
from thrive_async._wire.convert import dump
from thrive_async.errors import (
    APIError,
    DecodeError,
    InvalidArgument,
    error_class,
    status_phrase,
)

_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST_SEGMENT: Final = 2000
_PLAIN_SEGMENT: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,99}").fullmatch
_LONGEST_ERROR_TEXT: Final = 100_000
_LARGEST_ERROR: Final = 1_000_000
_DEEPEST_ERROR: Final = 50
_NOTHING: Final[Mapping[str, Any]] = {}


@attrs.define(eq=False)
class Request:
    """One request, ready to send. Its repr and the transport's log lines show the operation but no arguments."""

    operation: Operation
    target: str = attrs.field(repr=False)
    """The encoded path and query, from the host on."""
    body: bytes | None = attrs.field(repr=False)
    arguments: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    """Names and values of the path and the query: an error shows the name where Thrive's words repeat the value."""
    content_type: str = "application/json"
    may_be_empty: bool = False
    """Whether a 2xx without JSON is a whole answer: it is for writes."""
    decode: Callable[[bytes], Any] = attrs.field(default=orjson.loads, repr=False)
    """Decodes the reply's JSON, or raises an orjson.JSONDecodeError."""
    keep_body: bool = True
    """Whether a `DecodeError` may keep the reply's body; not if it may hold a token."""

    @property
    def summary(self) -> str:
        """The request without its arguments: `GET /rest/v1/user/{id}`."""
        return f"{self.operation.method} {self.operation.path}"

    def page(self, number: int, size: int) -> "Request":
        """Return the request for one page of a list."""
        joint = "&" if "?" in self.target else "?"
        return attrs.evolve(self, target=f"{self.target}{joint}page={number}&perPage={size}")

    def carried(self) -> Iterator[tuple[str, str]]:
        """Yield the name and value of everything in the request."""
        yield from self.arguments
        if self.body is not None and self.content_type == _FORM:
            yield from parse_qsl(self.body.decode())
        elif self.body is not None:
            # Not orjson, which loses the last digits of a long number: it may name a person.
            yield from _leaves("body", json.loads(self.body))


@attrs.define(eq=False)
class Reply:
    """One whole answer from Thrive."""

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    value: Any = attrs.field(default=UNSET, repr=False)
    """What the request's `decode` made of the body, once it has. Readers may change it; `body` stays as it came."""
    attempts: int = 1
    """How many requests its call has made."""

    @property
    def info(self) -> ReplyInfo:
        """What it says besides its body."""
        return ReplyInfo.of(self.status, self.headers, self.attempts)

    def json(self) -> Any:
        """Decode the body again, independently of `value`; None if the body is empty."""
        return orjson.loads(self.body) if self.body else None


def build(
    operation: Operation,
    *,
    path: Mapping[str, str] = _NOTHING,
    query: Mapping[str, object] = _NOTHING,
    body: object = UNSET,
    form: bytes | None = None,
    decode: Callable[[bytes], Any] = orjson.loads,
) -> Request:
    """Make the request for an operation.

    Args:
        operation: From the generated table.
        path: Every path parameter by its wire name.
        query: Query parameters by wire name; None is left out.
        body: A request model, a list of them or plain JSON; UNSET for none.
        form: An encoded form in place of a JSON body.
        decode: Decodes the JSON of the reply.

    Raises:
        TypeError: The operation has no such parameter, or a value has the wrong type.
        InvalidArgument: A value is invalid: an empty or dotted path segment, a naive datetime, a list that is
            too long or empty.
    """
    target = operation.path
    for name in operation.path_parameters:
        # An encoded segment holds no brace.
        target = target.replace(f"{{{name}}}", _segment(operation, name, path.get(name)))
    arguments = [*path.items()]
    if query:
        encoded = _encoded_query(operation, query, arguments)
        if encoded:
            target = f"{target}?{encoded}"
    for name in operation.required_query:
        if query.get(name) is None:
            needed = argument(operation.resource, name)
            raise InvalidArgument(f"{operation.id} needs ${needed}", needed)
    if form is not None:
        return Request(operation, target, form, tuple(arguments), _FORM)
    writes = operation.method not in ("GET", "HEAD")
    content = _encoded_body(operation, body)
    return Request(operation, target, content, tuple(arguments), may_be_empty=writes, decode=decode)


def _segment(operation: Operation, name: str, value: object) -> str:
    if type(value) is str and _PLAIN_SEGMENT(value):
        # Every id and most references: nothing to refuse or to encode.
        return value
    name = argument(operation.resource, name)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise InvalidArgument(f"${name} is empty", name)
    if value in (".", ".."):
        raise InvalidArgument(f"${name} must not be {value!r}: it would name another path", name)
    if len(value) > _LONGEST_SEGMENT:
        raise InvalidArgument(
            f"${name} has {len(value):,} characters; no id, reference or e-mail address is that long", name
        )
    return _quoted(name, value)


def _quoted(name: str, value: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InvalidArgument(f"${name} holds characters that are no Unicode text (a lone surrogate)", name) from None


def _encoded_query(operation: Operation, query: Mapping[str, object], arguments: list[tuple[str, str]]) -> str:
    pairs: list[str] = []
    for name, value in query.items():
        if value is None:
            continue
        encoding = operation.query.get(name)
        if encoding is None:
            raise TypeError(f"{operation.id} has no query parameter {name!r}")
        said = argument(operation.resource, name)
        items = [_query_text(said, item, encoding) for item in _query_items(said, value, encoding)]
        if not items:
            raise InvalidArgument(f"${said} is an empty list: leave it out to ask for everything", said)
        arguments.extend((name, item) for item in items)
        pairs.append(f"{_quoted(said, name)}={','.join(_quoted(said, item) for item in items)}")
    return "&".join(pairs)


def _query_items(name: str, value: object, encoding: str) -> Iterable[object]:
    if encoding != "list":
        return (value,)
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} takes a list of strings, not one {type(value).__name__}")
    return list(cast("Iterable[object]", value))


def _query_text(name: str, value: object, encoding: str) -> str:
    if encoding == "date-iso-or-day":
        if isinstance(value, date) and not isinstance(value, datetime):
            return value.isoformat()
        encoding = "date-iso"
    if encoding.startswith("date"):
        return written_datetime(value, encoding, name=name)
    if encoding == "boolean":
        if not isinstance(value, bool):
            raise TypeError(f"{name} takes True or False, not {type(value).__name__}")
        return "true" if value else "false"
    if encoding == "integer":
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} takes a whole number, not {type(value).__name__}")
        return str(value)
    if isinstance(value, Enum):
        value = value.value
    if not isinstance(value, str):
        raise TypeError(f"{name} takes a string, not {type(value).__name__}")
    if not value.strip():
        raise InvalidArgument(f"${name} is empty", name)
    if encoding == "list" and "," in value:
        raise InvalidArgument(f"an item of ${name} holds a comma, which would split it in two", name)
    return value


def written_datetime(value: object, encoding: str, *, name: str) -> str:
    """Write an aware datetime in the form that an endpoint wants.

    Args:
        value: The datetime. Forms without a zone are written in UTC. Forms of whole seconds are rounded outwards: the
            end of a range up, everything else down, so that nothing between is missed.
        encoding: "date-iso" (2026-01-31T08:00:00.000Z), "date-space" (2026-01-31 08:00:00) or "date-local"
            (2026-01-31T08:00:00).
        name: The name of the argument, for errors and to recognise the end of a range.

    Raises:
        TypeError: Not a datetime.
        InvalidArgument: The datetime is naive, so it would mean another time on another machine.
    """
    if not isinstance(value, datetime):
        what = "a date without a time" if isinstance(value, date) else type(value).__name__
        raise TypeError(f"{name} takes a datetime with a time zone, not {what}")
    if value.utcoffset() is None:
        raise InvalidArgument(
            f"${name} is a datetime without a time zone, which would mean another time on another machine: "
            "use datetime(..., tzinfo=UTC) or .astimezone()",
            name,
        )
    moment = value.astimezone(UTC)
    if encoding == "date-iso":
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if moment.microsecond and name.endswith("_to"):
        moment += timedelta(seconds=1)
    separator = " " if encoding == "date-space" else "T"
    return moment.replace(microsecond=0, tzinfo=None).isoformat(sep=separator)


def _encoded_body(operation: Operation, body: object) -> bytes | None:
    if body is UNSET:
        if operation.body_required:
            raise TypeError(f"{operation.id} needs a body")
        return None
    if not operation.body:
        raise TypeError(f"{operation.id} takes no body")
    if operation.max_items is not None:
        if not isinstance(body, list):
            raise TypeError(f"{operation.id} takes a list")
        count = len(cast("list[Any]", body))
        least = operation.min_items or 0
        if not least <= count <= operation.max_items:
            raise InvalidArgument(f"{operation.id} takes {least} to {operation.max_items} entries, not {count:,}")
    return dump(cast("object", body))


def decoded(request: Request, reply: Reply) -> Any:
    """Return the decoded body of a reply.

    Raises:
        DecodeError: The body is empty, cut or not JSON.
    """
    if reply.value is not UNSET:
        return reply.value
    try:
        reply.value = request.decode(reply.body)
    except orjson.JSONDecodeError:
        raise unreadable(request, reply) from None
    return reply.value


def unreadable(request: Request, reply: Reply) -> DecodeError:
    """Make the error for a 2xx reply with a body that is not JSON."""
    what = "it is empty" if not reply.body else f"its {len(reply.body):,} bytes are no whole JSON document"
    done = "" if request.operation.safe else "; Thrive may have done what was asked, so it was not asked again"
    body = reply.body if request.keep_body else None
    error = DecodeError(f"{what} (status {reply.status}){done}", operation=request.operation.id, body=body)
    error.came_with(reply.info)
    return error


def refusal(request: Request, reply: Reply, *, attempts: int, retry_after: float | None, note: str = "") -> APIError:
    """Make the error that a reply with a refusing status means.

    v2 and gateways may send other bodies than `{status, error, message}`. The error keeps what came.

    Args:
        request: The request.
        reply: What came.
        attempts: How often it was sent.
        retry_after: The seconds that Thrive asked to wait.
        note: A hint for people, added to the end of the line.
    """
    body = _error_body(reply)
    error, message = _words(body, reply)
    words = f"{error}: {one_line(message)}" if message else error
    tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    text = f"{request.summary}: {reply.status} {quoted(words, request.carried())} ({tries}){note}"
    cls = error_class(reply.status)
    return cls(
        text,
        status=reply.status,
        error=error,
        message=message,
        body=body,
        headers=CIMultiDict(reply.headers),
        request_id=request_id(reply.headers),
        operation=request.operation.id,
        attempts=attempts,
        retry_after=retry_after,
    )


def _error_body(reply: Reply) -> Any:
    """Decode a refusal's body, or return the beginning of its text.

    A body that is too large or too deeply nested to be Thrive's stays text, too, so that you can pickle the error and
    walk its body.
    """
    if len(reply.body) <= _LARGEST_ERROR:
        try:
            body = reply.json()
        except orjson.JSONDecodeError:
            pass
        else:
            if _is_shallow(body):
                return body
    return reply.body[:_LONGEST_ERROR_TEXT].decode("utf-8", "replace")


def _is_shallow(value: Any) -> bool:
    level: list[Any] = [value]
    for _ in range(_DEEPEST_ERROR):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (cast("dict[str, Any]", one).values() if isinstance(one, dict) else cast("list[Any]", one))
        ]
        if not level:
            return True
    return False


def _words(body: Any, reply: Reply) -> tuple[str, object]:
    phrase = status_phrase(reply.status)
    if isinstance(body, dict):
        fields = cast("dict[str, Any]", body)
        error = fields.get("error")
        message = fields.get("message", fields.get("error_description", fields.get("detail")))
        if message is None and "errors" in fields:
            message = fields["errors"]
        return (error if isinstance(error, str) and error else phrase), message
    if isinstance(body, str) and "html" in reply.headers.get("content-type", "").lower():
        return phrase, "an HTML page instead of JSON"
    return phrase, body if isinstance(body, str) and body else None


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the strings of a JSON document, and its integers of five digits and more, which may be employee ids."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _leaves(key, item)
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _leaves(f"{name}[{index}]", item)
    elif isinstance(value, int) and abs(value) >= 10_000:
        yield name, str(value)
