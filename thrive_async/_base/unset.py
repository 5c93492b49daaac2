"""The value that leaves a field out of a request. None clears the field instead."""

from enum import Enum
from typing import Final, Literal


class Unset(Enum):
    """The type of `UNSET`: an enum with one value, so that type checkers can narrow it."""

    # Serialisers write an enum as its value. No serialiser knows this one, so none can take it for a string.
    UNSET = ...

    def __repr__(self) -> str:
        return "UNSET"

    __str__ = __repr__

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET
"""Leaves a field out of a request, so that Thrive keeps its value. None clears the field instead."""
