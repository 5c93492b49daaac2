"""The values that a reply may hold, read strictly.

Each function returns the value for a field of its type, or raises a `Mismatch` that says what was expected and what
came, but never the value itself. Nothing is converted: a number is not a string, and true is not a number.
"""

from datetime import UTC, date, datetime
from math import isfinite
from typing import Any, Generic, TypeVar

from thrive_async._base.model import OpenStrEnum

E = TypeVar("E", bound=OpenStrEnum)

_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


class Mismatch(TypeError, ValueError):  # noqa: N818 - a doubt about a value, often no error
    """A value is not what was expected.

    Attributes:
        expected: What was expected, such as "a whole number".
        came: What came instead, such as "a string".
    """

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}, not {came}")
        self.expected = expected
        self.came = came


def type_name(value: object) -> str:
    """Describe the JSON type of a value."""
    return _NAMES.get(type(value), type(value).__name__)


def mismatch(expected: str, value: object) -> Mismatch:
    """Make the exception for a value of an unexpected type."""
    return Mismatch(expected, type_name(value))


def text(value: Any) -> str:
    """A string."""
    if type(value) is not str:
        raise mismatch("a string", value)
    return value


def boolean(value: Any) -> bool:
    """Read true or false."""
    if type(value) is not bool:
        raise mismatch("a boolean", value)
    return value


def integer(value: Any) -> int:
    """Read a whole number, which may be written as 3.0."""
    if type(value) is int:
        return value
    if type(value) is float:
        # Beyond 2**53, digits may be lost: orjson decodes an integer of more than 64 bits as a float.
        if value.is_integer() and abs(value) <= 2**53:
            return int(value)
        raise Mismatch("a whole number", "another number")
    raise mismatch("a whole number", value)


def number(value: Any) -> float:
    """Read a finite number. A number without a fraction stays an int, to keep all its digits."""
    if type(value) is int:
        return value
    if type(value) is float:
        if isfinite(value):
            return value
        raise Mismatch("a finite number", "another number")
    raise mismatch("a number", value)


def moment(value: Any) -> datetime:
    """Read a date and time in ISO 8601, in UTC if it has no time zone. A date alone means midnight."""
    if type(value) is not str:
        raise mismatch("a date and time", value)
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise Mismatch("a date and time in ISO 8601", _other_string(value)) from None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def day(value: Any) -> date:
    """Read a date in ISO 8601."""
    if type(value) is not str:
        raise mismatch("a date", value)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Mismatch("a date in ISO 8601", _other_string(value)) from None


def _other_string(value: str) -> str:
    return "another string" if value.strip() else "a blank string"


def constant(value: Any, expected: tuple[Any, ...]) -> Any:
    """Read one of some fixed values."""
    for known in expected:
        if type(value) is type(known) and value == known:
            return value
    raise Mismatch(" or ".join(map(repr, expected)), f"another value ({type_name(value)})")


def one_of(value: Any, *types: type) -> Any:
    """Read a value of one of some JSON types."""
    if type(value) in types and (type(value) is not float or isfinite(value)):
        return value
    raise mismatch(" or ".join(dict.fromkeys(_NAMES[known] for known in types)), value)


class Members(dict[str, E], Generic[E]):
    """Maps a string to a member of an open enum. An unknown string gives an unknown member, which is not stored."""

    def __init__(self, enum: type[E]) -> None:
        super().__init__({member.value: member for member in enum})
        self._enum = enum

    def __missing__(self, key: str) -> E:
        return self._enum(key)
