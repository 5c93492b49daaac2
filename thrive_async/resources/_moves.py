"""What a move of an audience did to its members, wherever the reply holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from thrive_async._base.problems import Found
from thrive_async._wire.convert import read
from thrive_async.errors import DecodeError
from thrive_async.resources._models import models

__all__ = ["member_operations", "name_operations"]

_PARTS = ("success", "failure")
_NAMELESS = "memberOperations"
_WRAPPERS = (_NAMELESS, "message")


def member_operations(body: object) -> dict[str, models.MemberOperationResult] | None:
    """Find the results of member operations in the body of a refusal.

    The documents say that a refused move answers with a partial success, but not what is wrapped around it. So this
    looks in every plausible place: under ``memberOperations``, in the body itself, and in the same two inside
    ``message``. Each may hold one nameless ``{success, failure}`` object, or several by name or in a list.

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
    for place in (outer, _by_name(outer.get("message"))):
        yield _by_name(place.get(_NAMELESS))
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
            found[name] = read(models.MemberOperationResult, parts, Found())
        except DecodeError:
            continue  # the error holds the whole body
    return found


def _is_result(value: object) -> bool:
    """Tell whether this is a ``{success, failure}`` object; either part may be missing or null."""
    return any(isinstance(_mapping(value).get(part), Mapping) for part in _PARTS)


def name_operations(value: object) -> None:
    """Give a nameless result in a decoded reply the name that it has in a refusal, in place."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if _is_result(fields.get(_NAMELESS)):
            fields[_NAMELESS] = {_NAMELESS: fields[_NAMELESS]}


def _by_name(value: object) -> Mapping[str, Any]:
    """Take a list for a mapping from its indices, as the models do."""
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(cast("list[Any]", value))}
    return _mapping(value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]
