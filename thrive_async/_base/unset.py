"""The value that leaves a field out of a request. None clears the field instead."""

from enum import Enum
from typing import Any, Final, Literal


class _Value:
    """What serialisers write for an enum. None knows this class, and as a text it is `UNSET`, which models refuse."""

    def __repr__(self) -> str:
        return "UNSET"


class Unset(Enum):
    """The type of `UNSET`: an enum with one value, so that type checkers can narrow it."""

    UNSET = _Value()

    def __repr__(self) -> str:
        return "UNSET"

    __str__ = __repr__

    def __reduce_ex__(self, proto: object) -> tuple[Any, ...]:
        return getattr, (Unset, "UNSET")

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET
"""Leaves a field out of a request, so that Thrive keeps its value. None clears the field instead."""
