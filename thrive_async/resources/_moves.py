"""What a refused move of an audience did to its members, wherever the reply holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from thrive_async._wire.convert import read
from thrive_async.errors import DecodeError
from thrive_async.resources._models import models

__all__ = ["member_operations"]

_PARTS = ("success", "failure")
_WRAPPERS = ("memberOperations", "message")
_NAMELESS = "memberOperations"


def member_operations(body: object) -> dict[str, models.MemberOperationResult] | None:
    """Find the results of member operations in the body of a refusal.

    The documents say that a refused move answers with a partial success, but not what is wrapped around it. So this
    looks in every plausible place: under ``memberOperations``, in the body itself, and in the same two inside
    ``message``. Each may hold one nameless ``{success, failure}`` object, or several by name.

    Args:
        body: The decoded JSON of the reply, or its text.

    Returns:
        The results by the name Thrive gave them; a nameless one is called ``memberOperations``. None if there are no
        results: this never raises, because the refusal itself matters more.
    """
    for place in _places(body):
        found = _results(place)
        if found:
            return found
    return None


def _places(body: object) -> Iterator[Mapping[str, Any]]:
    """Yield the places to look in, the likeliest first."""
    outer = _mapping(body)
    for place in (outer, _mapping(outer.get("message"))):
        yield _mapping(place.get("memberOperations"))
        yield place


def _results(place: Mapping[str, Any]) -> dict[str, models.MemberOperationResult]:
    if _is_result(place):
        candidates: Mapping[str, Any] = {_NAMELESS: place}
    else:
        candidates = {name: value for name, value in place.items() if name not in _WRAPPERS and _is_result(value)}
    found: dict[str, models.MemberOperationResult] = {}
    for name, value in candidates.items():
        parts = {part: value[part] for part in _PARTS if isinstance(value.get(part), Mapping)}
        try:
            found[name] = read(models.MemberOperationResult, parts)
        except DecodeError:
            continue  # the error holds the whole body
    return found


def _is_result(value: object) -> bool:
    """Tell whether this is a ``{success, failure}`` object; either part may be missing or null."""
    return any(isinstance(_mapping(value).get(part), Mapping) for part in _PARTS)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]
