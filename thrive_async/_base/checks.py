"""The checks of request models.

A check returns None if a value is valid. Otherwise it returns the exception, the place inside the value (such as
"[3]") and a complaint, which never contains the value itself.
"""

from collections.abc import Callable
from datetime import date, datetime
from math import isfinite
from typing import Any, Final

from attrs import Attribute

from thrive_async._base.model import Model, OpenStrEnum
from thrive_async._base.unset import UNSET

Complaint = tuple[type[Exception], str, str]
Check = Callable[[Any], Complaint | None]
_WRITTEN_UNSET: Final = str(UNSET)
_UNSET_AS_TEXT: Final[Complaint] = (
    ValueError,
    "",
    "must not be 'UNSET', the text of the value that leaves a field out: leave it out, as to_dict() does",
)


def valid(check: Check, *, null: bool = False, unset: bool = False) -> Callable[[Any, Any, Any], None]:
    """Make an attrs validator that raises a check's complaint. None and UNSET pass if the field accepts them."""

    def validate(instance: object, attribute: "Attribute[Any]", value: object) -> None:
        if (value is None and null) or (value is UNSET and unset):
            return
        complaint = check(value)
        if complaint is not None:
            kind, where, what = complaint
            raise kind(f"{type(instance).__name__}.{attribute.name}{where} {what}")

    return validate


def _wrong_type(expected: str, value: object) -> Complaint:
    found = repr(value) if value is None or value is UNSET else type(value).__name__
    return TypeError, "", f"must be {expected}, not {found}"


def _outside(size: float, minimum: float | None, maximum: float | None, unit: str, *, shown: bool) -> Complaint | None:
    if (minimum is None or size >= minimum) and (maximum is None or size <= maximum):
        return None
    if minimum is not None and maximum is not None:
        limits = f"{minimum} to {maximum}" if minimum != maximum else f"{minimum}"
    else:
        limits = f"at least {minimum}" if maximum is None else f"at most {maximum}"
    return ValueError, "", f"must {unit.format(limits)}" + (f", not {size}" if shown else "")


def text(*, min_length: int | None = None, max_length: int | None = None) -> Check:
    """Check for a string with a length within limits."""

    def check(value: Any) -> Complaint | None:
        if not isinstance(value, str):
            return _wrong_type("a string", value)
        if value == _WRITTEN_UNSET:
            return _UNSET_AS_TEXT
        return _outside(len(value), min_length, max_length, "have {} character(s)", shown=True)

    return check


def whole(*, minimum: int | None = None, maximum: int | None = None) -> Check:
    """Check for an integer within limits."""

    def check(value: Any) -> Complaint | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return _wrong_type("an integer", value)
        return _outside(value, minimum, maximum, "be {}", shown=False)

    return check


def number(*, minimum: float | None = None, maximum: float | None = None) -> Check:
    """Check for a finite number within limits."""

    def check(value: Any) -> Complaint | None:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return _wrong_type("a number", value)
        if isinstance(value, float) and not isfinite(value):
            return ValueError, "", "must be a finite number"
        return _outside(value, minimum, maximum, "be {}", shown=False)

    return check


def flag() -> Check:
    """True or False."""
    return lambda value: None if isinstance(value, bool) else _wrong_type("True or False", value)


def moment() -> Check:
    """Check for a datetime with a time zone."""

    def check(value: Any) -> Complaint | None:
        if not isinstance(value, datetime):
            return _wrong_type("a datetime", value)
        if value.utcoffset() is None:
            return ValueError, "", "must have a time zone: a naive datetime is ambiguous"
        return None

    return check


def day() -> Check:
    """Check for a date without a time."""
    return lambda value: None if type(value) is date else _wrong_type("a date", value)


def choice(enum: type[OpenStrEnum]) -> Check:
    """Check for a documented member of an enum, or its string."""

    def check(value: Any) -> Complaint | None:
        if not isinstance(value, str):
            return _wrong_type(f"a {enum.__name__} or its string", value)
        if enum(str(value)).is_known:
            return None
        return ValueError, "", f"must be one of {', '.join(repr(member.value) for member in enum)}"

    return check


def exactly(expected: object) -> Check:
    """One fixed value."""
    return lambda value: (
        None if value == expected and type(value) is type(expected) else (ValueError, "", f"must be {expected!r}")
    )


def nested(model: type[Model]) -> Check:
    """Another request model."""
    return lambda value: None if isinstance(value, model) else _wrong_type(f"a {model.__name__}", value)


def items(each: Check, *, min_items: int | None = None, max_items: int | None = None) -> Check:
    """Check for a list or tuple with a length within limits, and check each item."""

    def check(value: Any) -> Complaint | None:
        if not issubclass(type(value), (list, tuple)):
            return _wrong_type("a list", value)
        complaint = _outside(len(value), min_items, max_items, "have {} item(s)", shown=True)
        for index, item in enumerate(value):
            if complaint is not None:
                break
            if (inner := each(item)) is not None:
                complaint = inner[0], f"[{index}]{inner[1]}", inner[2]
        return complaint

    return check


def mapping(each: Check) -> Check:
    """Check for a dict with strings as keys, and check each value."""

    def check(value: Any) -> Complaint | None:
        if not issubclass(type(value), dict):
            return _wrong_type("a dict", value)
        for key, item in value.items():
            if not isinstance(key, str):
                return _wrong_type("a dict with strings as keys", value)
            if (inner := each(item)) is not None:
                return inner[0], f"[...]{inner[1]}", inner[2]
        return None

    return check


def nullable(check: Check) -> Check:
    """Check for None, or a value that passes a check."""
    return lambda value: None if value is None else check(value)


def either(*checks: Check) -> Check:
    """Check for a value that passes one of several checks. The complaint is that of the closest check."""

    def check(value: Any) -> Complaint | None:
        types: list[str] = []
        nearest: Complaint | None = None
        for each in checks:
            complaint = each(value)
            if complaint is None:
                return None
            if complaint[0] is TypeError and not complaint[1]:
                types.append(complaint[2].removeprefix("must be ").rpartition(", not ")[0])
            else:  # the right type, but outside its limits
                nearest = complaint
        return nearest or _wrong_type(" or ".join(types), value)

    return check


def anything() -> Check:
    """Any value."""
    return lambda value: _UNSET_AS_TEXT if value == _WRITTEN_UNSET else None
