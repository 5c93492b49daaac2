"""What can go wrong, and what each kind of fault has to be told."""

from collections.abc import Callable, Iterable
from datetime import datetime
from math import isfinite
from typing import Any, Final, Literal, cast

import orjson

from thrive_async.sandbox.checks import is_number, is_whole

__all__ = ["Kind", "checked_details", "encoded"]

Kind = Literal[
    "rate_limited",
    "status",
    "html",
    "empty_body",
    "cut_body",
    "not_json",
    "wrong_shape",
    "close_before",
    "close_after",
    "latency",
    "expired_token",
    "revoked_token",
    "token_down",
    "unknown_users",
    "poisoned",
    "members_change",
]

_DISTRIBUTIONS: Final = ("uniform", "normal", "exponential")
# Each kind with its details and their defaults.
_DETAILS: Final[dict[str, dict[str, Any]]] = {
    "rate_limited": {"retry_after": None},
    "status": {"status": 503, "body": None, "retry_after": None, "after": False},
    "html": {"status": 502, "after": False},
    "empty_body": {"status": 200},
    "cut_body": {"keep": 0.5},
    "not_json": {"status": 200},
    "wrong_shape": {"body": {"unexpected": True}, "status": 200},
    "close_before": {"reset": False},
    "close_after": {"reset": False},
    "latency": {"seconds": 0.05, "jitter": 0.0, "distribution": "uniform"},
    "expired_token": {},
    "revoked_token": {},
    "token_down": {"status": 503},
    "unknown_users": {"references": ()},
    "poisoned": {"references": (), "status": 422},
    "members_change": {"add": 1, "remove": 1},
}


def checked_details(kind: Kind, given: dict[str, Any]) -> dict[str, Any]:
    """Return all details of a fault, those too that were not given.

    Raises:
        ValueError: There is no such kind or detail, or a detail cannot have its value.
    """
    defaults = next((details for name, details in _DETAILS.items() if name == kind), None)
    if defaults is None:
        raise ValueError(f"no fault {kind!r}: there are {', '.join(_DETAILS)}")
    unknown = given.keys() - defaults.keys()
    if unknown:
        raise ValueError(f"the fault {kind} has no {', '.join(sorted(unknown))}")
    details = defaults | given
    if "references" in details:
        details["references"] = _listed(details["references"])
    for name, value in details.items():
        accepts, wanted = _WANTED[name]
        if not accepts(value):
            raise ValueError(f"{name} of the fault {kind} is {wanted}, not {value!r}")
    return details


def encoded(body: object) -> bytes:
    """Return the body of a fault as it is sent: bytes as they are, everything else as JSON.

    Raises:
        TypeError: Nothing that JSON knows.
    """
    return body if isinstance(body, bytes) else orjson.dumps(body)


def _listed(references: object) -> object:
    """Keep references for every request: an iterator could be looked through but once. A lone string is refused."""
    if isinstance(references, str) or not isinstance(references, Iterable):
        return references
    return tuple(cast("Iterable[object]", references))


def _is_body(value: object) -> bool:
    try:
        encoded(value)
    except TypeError:
        return False
    return True


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_retry_after(value: object) -> bool:
    if isinstance(value, datetime):
        return value.utcoffset() is not None
    if isinstance(value, str):
        # Text that names no seconds is sent as it is: a client should survive that too.
        known = not value.startswith("date:") or _is_seconds(value.removeprefix("date:"))
        return known and value.isprintable()
    return value is None or is_number(value)


def _is_seconds(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _are_references(value: object) -> bool:
    names = cast("tuple[object, ...]", value)
    return isinstance(value, tuple) and bool(names) and all(isinstance(name, str) for name in names)


# What each detail may be: a check, and its words.
_WANTED: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "status": (lambda value: is_whole(value, 200, 599), "a status from 200 to 599"),
    "body": (_is_body, "bytes, or what JSON knows"),
    "retry_after": (_is_retry_after, 'seconds, an aware datetime, "date:" with seconds, or None'),
    "after": (_is_flag, "True or False"),
    "reset": (_is_flag, "True or False"),
    "keep": (lambda value: is_number(value, 0, 1), "a share of the body, from 0 to 1"),
    "seconds": (is_number, "a number of seconds, at least 0"),
    "jitter": (is_number, "a number of seconds, at least 0"),
    "distribution": (lambda value: value in _DISTRIBUTIONS, f"one of {', '.join(_DISTRIBUTIONS)}"),
    "references": (_are_references, "an iterable of one or more strings"),
    "add": (lambda value: is_whole(value, 0), "a number of users, at least 0"),
    "remove": (lambda value: is_whole(value, 0), "a number of users, at least 0"),
}
