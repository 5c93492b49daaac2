"""What a move of an audience did to its members, wherever the reply holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from thrive_async._base.problems import Found
from thrive_async._wire.convert import read
from thrive_async.errors import DecodeError
from thrive_async.resources import _models as models

__all__ = ["NAMELESS", "member_operations"]

NAMELESS = "memberOperations"
"""What a result is called that Thrive gave no name."""
_PARTS = ("success", "failure")
_WRAPPERS = (NAMELESS, "message")


def member_operations(body: object) -> dict[str, models.MemberOperationResult] | None:
    """Find the results of member operations in the reply to a move.

    The documents say that a refused move answers with a partial success, but not what is wrapped around it, and they do
    not name the steps of a move that was made. So this looks in every plausible place: under ``memberOperations``, in
    the body itself, and in the same two inside ``message``. Each may hold one nameless ``{success, failure}`` object,
    or several by name or in a list.

    Args:
        body: The decoded JSON of the reply, or its text.

    Returns:
        The results by the name Thrive gave them; a nameless one is called ``memberOperations``. None if there are no
        results: this never raises, because what the reply says besides matters more.
    """
    for place in _places(body):
        found = _results(place)
        if found:
            return found
    return None


def _places(body: object) -> Iterator[Mapping[str, Any]]:
    """Yield the places to look in, most likely first."""
    outer = _mapping(body)
    for place in (outer, _by_name(outer.get("message"))):
        yield _by_name(place.get(NAMELESS))
        yield place


def _results(place: Mapping[str, Any]) -> dict[str, models.MemberOperationResult]:
    if _is_result(place):
        candidates: Mapping[str, Any] = {NAMELESS: place}
    else:
        candidates = {name: value for name, value in place.items() if name not in _WRAPPERS and _is_result(value)}
    found: dict[str, models.MemberOperationResult] = {}
    for name, value in candidates.items():
        parts = {part: value[part] for part in _PARTS if isinstance(value.get(part), Mapping)}
        try:
            found[name] = read(models.MemberOperationResult, parts, Found())
        except DecodeError:
            continue  # the error holds the whole body
    return found


def _is_result(value: object) -> bool:
    """Return whether this is a ``{success, failure}`` object. Either part may be missing or null."""
    return any(isinstance(_mapping(value).get(part), Mapping) for part in _PARTS)


def _by_name(value: object) -> Mapping[str, Any]:
    """Take a list for a mapping from its indices, as the models do."""
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(cast("list[Any]", value))}
    return _mapping(value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]
