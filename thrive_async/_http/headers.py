"""What the headers of a reply say: by which id it can be found, and how long to wait. Pure."""

import email.utils
import math
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Final

_REQUEST_ID_HEADERS: Final = ("x-request-id", "x-amzn-requestid", "x-correlation-id")
_RATE_LIMIT_RESETS: Final = ("x-ratelimit-reset", "ratelimit-reset")
_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?")


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id by which Thrive's support can find the request."""
    for name in _REQUEST_ID_HEADERS:
        value = headers.get(name)
        if value:
            return "".join(char for char in value[:200] if char.isprintable())
    return None


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read how many seconds a reply asks to wait; None if it does not say.

    Retry-After may be seconds or a date; a date counts from the reply's own Date header, so that a wrong clock on this
    side does not matter. Without it the reset of an `X-RateLimit-*` trio is taken, as seconds or as a Unix time.

    Args:
        headers: Of the reply.
        now: This side's Unix time, for replies without a Date.
    """
    value = headers.get("retry-after")
    if value is not None:
        return _pause_of(value.strip(), headers, now)
    for name in _RATE_LIMIT_RESETS:
        reset = headers.get(name)
        if reset is not None:
            pause = _pause_of(reset.strip(), headers, now)
            if pause is not None and pause > 1e8 and _SECONDS.fullmatch(reset.strip()):
                pause = max(0.0, pause - _sent_at(headers, now))
            return pause
    return None


def _pause_of(value: str, headers: Mapping[str, str], now: float) -> float | None:
    if _SECONDS.fullmatch(value):
        seconds = float(value)
        return seconds if math.isfinite(seconds) else None
    moment = _http_date(value)
    return None if moment is None else max(0.0, moment - _sent_at(headers, now))


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
