"""How long the headers of a reply ask to wait, and which headers a caller may send. Pure."""

import email.utils
import math
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Final

from thrive_async.errors import InvalidArgument

# The client's own, and those that belong to the connection.
_OURS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[ -~\t]*")
_PAUSES: Final = ("retry-after", "x-ratelimit-reset", "ratelimit-reset")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?")
# A number below the first is a number of seconds (up to three years), one above the last a Unix time in milliseconds.
_FIRST_MOMENT: Final = 1e8
_LAST_MOMENT: Final = 1e11


def check_header(name: object, value: object) -> None:
    """Refuse a header that a caller may not send.

    Raises:
        TypeError: The name or the value is not a string.
        InvalidArgument: It is one of the client's own, or cannot be sent.
    """
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError("headers must be a mapping of strings to strings")
    if not _NAME.fullmatch(name):
        raise InvalidArgument("$headers holds a name that no header can have", "headers")
    if name.lower() in _OURS:
        raise InvalidArgument(f"$headers must not hold {name}: the client sets it itself", "headers")
    if not _VALUE.fullmatch(value):
        raise InvalidArgument(f"$headers: the value of {name} must be printable ASCII", "headers")


def printable(value: str) -> str:
    """Return the part of a caller's text that can be a header and a word of a log line."""
    return "".join(char for char in value[:200] if "!" <= char <= "~")


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read how many seconds a reply asks to wait; None if it does not say.

    `Retry-After` goes before the reset of an `X-RateLimit-*` trio, unless it cannot be read. Either may be a number of
    seconds, a Unix time in seconds or milliseconds, or a date. A point in time counts from the reply's own Date header,
    so a wrong clock on this side does not matter.

    Args:
        headers: The reply's headers.
        now: The local Unix time, for replies without a Date.
    """
    for name in _PAUSES:
        value = headers.get(name)
        pause = None if value is None else _pause_of(value.strip(), headers, now)
        if pause is not None:
            return pause
    return None


def _pause_of(value: str, headers: Mapping[str, str], now: float) -> float | None:
    if not _NUMBER.fullmatch(value):
        moment = _http_date(value)
    else:
        moment = float(value)
        if moment < _FIRST_MOMENT:
            return moment
        if moment > _LAST_MOMENT:
            moment /= 1000
    if moment is None or not math.isfinite(moment):
        return None
    return max(0.0, moment - _sent_at(headers, now))


def _sent_at(headers: Mapping[str, str], now: float) -> float:
    moment = _http_date(headers.get("date", ""))
    return now if moment is None else moment


def _http_date(value: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        return None
