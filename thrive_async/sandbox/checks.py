"""Checks of numbers, for settings, details of faults and the clock: the SDK's own stay out of the sandbox."""

from math import inf
from typing import TypeGuard

__all__ = ["is_number", "is_whole"]


def is_whole(value: object, least: int, most: float = inf) -> TypeGuard[int]:
    """Tell whether this is a whole number in the range; booleans are not."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: object, least: float = 0, most: float = inf) -> TypeGuard[float]:
    """Tell whether this is a finite number in the range; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most and value != inf
