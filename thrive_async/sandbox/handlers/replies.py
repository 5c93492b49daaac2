"""The input of a handler (a call) and its output (replies, refusals, pages)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import attrs
import orjson

from thrive_async._generated.operations import Operation
from thrive_async.sandbox.settings import Settings
from thrive_async.sandbox.state.records import Record, instant
from thrive_async.sandbox.state.state import State

__all__ = [
    "Call",
    "Refusal",
    "Reply",
    "array",
    "deleted",
    "documented",
    "error_body",
    "json",
    "page",
    "since",
    "within",
    "written",
]


@attrs.frozen
class Reply:
    """A finished answer: status, encoded body, and headers other than the content type."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of the sandbox
    """Ends a handler with an error reply.

    Args:
        status: The HTTP status.
        message: Text or an object, because Thrive's `message` may be either.
        body: A whole body to use instead of `{status, error, message}`.
        headers: More headers.
    """

    def __init__(
        self,
        status: int,
        message: str | Mapping[str, Any],
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.body = body
        self.headers: dict[str, str] = dict(headers or {})

    def reply(self) -> Reply:
        """The refusal as a reply."""
        body = self.body if self.body is not None else error_body(self.status, self.message)
        return Reply(self.status, orjson.dumps(body), self.headers)


def error_body(status: int, message: Any) -> dict[str, Any]:
    """Thrive's error object."""
    phrase = "Unprocessable Content" if status == 422 else HTTPStatus(status).phrase
    return {"status": status, "error": phrase, "message": message}


@attrs.define
class Call:
    """One accepted request, as a handler sees it.

    Attributes:
        operation: The operation.
        path: Decoded path parameters.
        query: Query parameters with their types: lists are lists, dates are aware datetimes.
        body: The decoded body, or None without a body.
        state: The sandbox's data.
        settings: The sandbox's choices.
        fault: Returns the details of a fault of this kind if one fires now. Its second argument holds every name of
            the people in a batch. None if no fault is active.
    """

    operation: Operation
    path: Mapping[str, str]
    query: dict[str, Any]
    body: Any
    state: State
    settings: Settings
    fault: Callable[[str, frozenset[str]], Mapping[str, Any] | None] | None = None

    def refuse(self, message: str | Mapping[str, Any], *statuses: int) -> Refusal:
        """Make a refusal with the first of these statuses that the operation documents, or simply the first."""
        return Refusal(documented(self.operation, *statuses), message)


def documented(operation: Operation, *statuses: int) -> int:
    """Return the first of these statuses that the operation documents, or simply the first."""
    return next((status for status in statuses if status in operation.statuses), statuses[0])


def json(value: Any, status: int = 200) -> Reply:
    """Make a reply with a JSON body."""
    return Reply(status, value.wire() if isinstance(value, Record) else orjson.dumps(value))


def written(call: Call, body: bytes) -> Reply:
    """Make the reply to a create."""
    return Reply(call.settings.create_status, body)


def deleted(call: Call) -> Reply:
    """Make the reply to a delete or remove."""
    match call.settings.delete_reply:
        case "object":
            return Reply(200, b'{"success":true}')
        case "string":
            return Reply(200, b'"done"')
        case "null":
            return Reply(200, b"null")
        case "empty":
            return Reply(200)
        case _:
            return Reply(204)


def page(call: Call, records: Sequence[Record], form: str = "", *, largest: int = 100) -> Reply:
    """Make one page in an envelope `{results, pagination}`.

    Args:
        call: The request, with `page`, `perPage` and perhaps the older `limit`.
        records: All matching records.
        form: The shape of the records.
        largest: The page size if the request does not set one.
    """
    start, per_page, number = _window(call, len(records), largest)
    body = b",".join([record.wire(form) for record in records[start : start + per_page]])
    if call.settings.totals == "absent":
        return Reply(200, b'{"results":[' + body + b"]}")
    told = len(records) * {"right": 1, "zero": 0, "double": 2}[call.settings.totals]
    tail = b'],"pagination":{"totalResults":%d,"totalPages":%d,"page":%d,"perPage":%d}}'
    return Reply(200, b'{"results":[' + body + tail % (told, -(-told // per_page), number, per_page))


def array(call: Call, records: Sequence[Record], form: str = "", *, largest: int = 100) -> Reply:
    """Make one page as a bare array. The arguments are those of `page`."""
    start, per_page, _ = _window(call, len(records), largest)
    return Reply(200, b"[" + b",".join([record.wire(form) for record in records[start : start + per_page]]) + b"]")


def _window(call: Call, total: int, default: int) -> tuple[int, int, int]:
    number = call.query.get("page", 1)
    per_page = call.query.get("perPage") or call.query.get("limit") or default
    clamp = call.settings.per_page_clamp
    if clamp is not None:
        per_page = min(per_page, clamp)
    most = call.settings.largest_page
    if most is not None and per_page > most:
        raise Refusal(call.settings.large_page_status, f"perPage: {per_page} is more than {most}.")
    if call.settings.paging == "whole":
        return 0, max(total, 1), number
    shown = 1 if call.settings.paging == "first" else number
    last = max(1, -(-total // per_page))
    if shown > last:
        match call.settings.past_last_page:
            case "not_found":
                raise Refusal(404, f"Page {number} does not exist.")
            case "last":
                shown = last
            case "first":
                shown = 1
            case _:
                pass
    return (shown - 1) * per_page, per_page, number


def since(records: Iterable[Record], call: Call, name: str = "updatedSince") -> list[Record]:
    """Return the records updated at or after the date in the query. Records never updated count from their creation."""
    earliest = call.query.get(name)
    if earliest is None:
        return list(records)
    found: list[Record] = []
    for record in records:
        moment = instant(record.get("updatedAt") or record.get("createdAt") or record.stamp)
        if moment is not None and moment >= earliest:
            found.append(record)
    return found


def within(records: Iterable[Record], call: Call, field: str, start: str, end: str) -> list[Record]:
    """Return the records dated between two dates in the query, both included."""
    earliest, latest = call.query.get(start), call.query.get(end)
    if earliest is None and latest is None:
        return list(records)
    found: list[Record] = []
    for record in records:
        moment = instant(record[field])
        if moment is None or (earliest is not None and moment < earliest) or (latest is not None and moment > latest):
            continue
        found.append(record)
    return found
