"""What came with a model: the status and the headers of the reply that it was read from."""

from collections.abc import Mapping
from functools import partial
from typing import Final
from weakref import ref

import attrs
from multidict import istr

_REQUEST_ID_HEADERS: Final = tuple(map(istr, ("x-request-id", "x-amzn-requestid", "x-correlation-id")))


@attrs.frozen
class ReplyInfo:
    """The reply that a page or a model was read from.

    Attributes:
        status: The HTTP status.
        headers: Its headers, case-insensitive.
        request_id: Thrive's id of the request; None if the reply names none.
        attempts: How many requests the call made.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    request_id: str | None
    attempts: int

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], attempts: int) -> "ReplyInfo":
        """Look for the request id in the headers."""
        return cls(status, headers, request_id(headers), attempts)


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id that Thrive's support can find the request by."""
    for name in _REQUEST_ID_HEADERS:
        value = headers.get(name)
        if value:
            return "".join(char for char in value[:200] if char.isprintable())
    return None


# Beside the models, as `_unread` is: a slot for it would cost the reading of every record.
_replies: Final[dict[int, tuple["ref[object]", int, Mapping[str, str], int]]] = {}


def remember_reply(model: object, status: int, headers: Mapping[str, str], attempts: int) -> None:
    """Keep which reply a model was read from, for as long as the model lives."""
    key = id(model)
    _replies[key] = ref(model, partial(_replies.pop, key)), status, headers, attempts


def reply_of(model: object) -> ReplyInfo | None:
    """Return the reply that a single model was read from; None for any other object.

    An item of a list has none: see `Page.reply`. Nor has a copy of a model.

    Args:
        model: What a call returned, such as a `User`.

    Example:
        >>> from thrive_async.models import Tag
        >>> reply_of(Tag(id="a")) is None
        True
    """
    known = _replies.get(id(model))
    return ReplyInfo.of(*known[1:]) if known is not None and known[0]() is model else None
