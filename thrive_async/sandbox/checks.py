"""Checks of what the sandbox is asked for: settings, and details of faults."""

from math import inf
from typing import TypeGuard

__all__ = ["is_number", "is_whole"]


def is_whole(value: object, least: int, most: float = inf) -> TypeGuard[int]:
    """Tell whether this is a whole number of the range; True is none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: object, least: float = 0, most: float = inf) -> TypeGuard[float]:
    """Tell whether this is a finite number of the range; True is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most and value != inf
