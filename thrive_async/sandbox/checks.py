"""Check numbers in settings, faults and the clock, without sharing the SDK's own checks."""

from math import inf
from typing import TypeGuard

__all__ = ["is_number", "is_whole"]


def is_whole(value: object, least: int, most: float = inf) -> TypeGuard[int]:
    """Return whether the value is a whole number in the range. Booleans do not count."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: object, least: float = 0, most: float = inf) -> TypeGuard[float]:
    """Return whether the value is a finite number in the range. Booleans do not count."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most and value != inf
