"""Checks of arguments that come before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

T = TypeVar("T")

BATCH_LIMIT = 100
"""The most entities Thrive takes in one write of members, managers, tags or skills."""


def strings(name: str, values: Iterable[str] | None) -> list[str] | None:
    """Check a filter that takes several strings, and keep it for every page that will be asked for.

    Args:
        name: The argument's name, for the error.
        values: Strings or string enums. None means no filter.

    Returns:
        The values as a list, or None.

    Raises:
        TypeError: A lone string (it would be taken apart letter by letter), or something in it that is no string.
        ValueError: Nothing in it, or a blank string: Thrive would read an empty filter as no filter and answer with
            everything.
    """
    if values is None:
        return None
    found = _listed(name, values, str, "strings")
    if not found:
        raise ValueError(f"{name} is empty: leave it out (None) for no filter")
    return found


def batch(name: str, items: Iterable[T], kind: type[T], plural: str) -> list[T]:
    """Check the entities of one write.

    Args:
        name: The argument's name, for the error.
        items: 1 to 100 entities.
        kind: What each of them is.
        plural: What they are called together, for the error: ``"users"``.

    Returns:
        The entities as a list.

    Raises:
        TypeError: A lone string or a lone entity, or something in it that is not of the kind.
        ValueError: None of them, more than 100, or a blank string, which names nobody.
    """
    found = _listed(name, items, kind, plural)
    if not 1 <= len(found) <= BATCH_LIMIT:
        raise ValueError(f"{name} must hold 1 to {BATCH_LIMIT} {plural}, got {len(found)}")
    return found


def whole(name: str, value: int, least: int, most: int | None = None) -> int:
    """Check a count.

    Args:
        name: The argument's name, for the error.
        value: A whole number. True is none, and neither is 2.0.
        least: The smallest that it may be.
        most: The largest; None for no limit.

    Returns:
        The number.

    Raises:
        ValueError: It is none, or out of range.
    """
    known = isinstance(value, int) and not isinstance(value, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not known or value < least or (most is not None and value > most):
        wanted = f"of at least {least}" if most is None else f"from {least} to {most:,}"
        raise ValueError(f"{name} must be a whole number {wanted}, not {value!r}")
    return value


def _listed(name: str, values: object, kind: type[T], plural: str) -> list[T]:
    if isinstance(values, str | bytes | bytearray | kind) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be an iterable of {plural}, not a lone {type(values).__name__}")
    found: list[T] = []
    for place, value in enumerate(cast("Iterable[object]", values)):
        if not isinstance(value, kind):
            raise TypeError(f"{name}[{place}] must be a {kind.__name__}, not a {type(value).__name__}")
        if isinstance(value, str) and not value.strip():
            raise ValueError(f"{name}[{place}] is blank")
        found.append(value)
    return found
