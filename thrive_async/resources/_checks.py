"""Check arguments before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

from thrive_async.errors import InvalidArgument

T = TypeVar("T")

BATCH_LIMIT = 100
"""The most entities that Thrive accepts in one write of members, managers, tags or skills."""


def strings(name: str, values: Iterable[str] | None) -> list[str] | None:
    """Check a filter of several strings, and copy it for use on every page.

    Args:
        name: The argument's name.
        values: Strings or string enums. None for no filter.

    Returns:
        The values as a list, or None.

    Raises:
        TypeError: `values` is a single string, which would be split into letters, or an item is not a string.
        InvalidArgument: The filter is empty, which Thrive would read as no filter, or a string is blank.
    """
    if values is None:
        return None
    found = _listed(name, values, str, "strings")
    if not found:
        raise InvalidArgument(f"${name} is empty: leave it out (None) for no filter", name)
    return found


def batch(name: str, items: Iterable[T], kind: type[T], plural: str) -> list[T]:
    """Check the entities of one write.

    Args:
        name: The argument's name.
        items: 1 to 100 entities.
        kind: The type of each.
        plural: The plural noun for the error: ``"users"``.

    Returns:
        The entities as a list.

    Raises:
        TypeError: `items` is a single entity, or an item has another type.
        InvalidArgument: There is no entity, a blank string, or more than 100 entities.
    """
    found = _listed(name, items, kind, plural)
    if not 1 <= len(found) <= BATCH_LIMIT:
        raise InvalidArgument(f"${name} must hold 1 to {BATCH_LIMIT} {plural}, got {len(found)}", name)
    return found


def whole(name: str, value: int, least: int, most: int | None = None) -> int:
    """Check a count.

    Args:
        name: The argument's name.
        value: A whole number. True and 2.0 do not count.
        least: The smallest value allowed.
        most: The largest value allowed, or None for no limit.

    Returns:
        The number.

    Raises:
        InvalidArgument: The value is not a whole number, or is out of range.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not is_whole or value < least or (most is not None and value > most):
        wanted = f"of at least {least}" if most is None else f"from {least} to {most:,}"
        raise InvalidArgument(f"${name} must be a whole number {wanted}, not {value!r}", name)
    return value


def _listed(name: str, values: object, kind: type[T], plural: str) -> list[T]:
    if isinstance(values, str | bytes | bytearray | kind) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be an iterable of {plural}, not a lone {type(values).__name__}")
    found: list[T] = []
    for place, value in enumerate(cast("Iterable[object]", values)):
        if not isinstance(value, kind):
            raise TypeError(f"{name}[{place}] must be a {kind.__name__}, not a {type(value).__name__}")
        if isinstance(value, str) and not value.strip():
            raise InvalidArgument(f"${name}[{place}] is blank", name)
        found.append(value)
    return found
