"""The base classes of generated code: `Model` and `OpenStrEnum`."""

from datetime import date
from enum import StrEnum
from typing import Any, Self

from attrs import Attribute

from thrive_async._base.unset import UNSET


class OpenStrEnum(StrEnum):
    """A string enum that also accepts undocumented values.

    A value from Thrive that is not a member keeps its string: it equals that string, survives pickle, deepcopy and
    JSON, and its `is_known` is False.

    Example:
        >>> class Colour(OpenStrEnum):
        ...     RED = "red"
        >>> Colour("mauve") == "mauve", Colour("mauve").is_known, Colour("red") is Colour.RED
        (True, False, True)
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if type(value) is not str:
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether the value is one of the documented members."""
        return type(self).__members__.get(self._name_) is self

    def __reduce_ex__(self, proto: object) -> tuple[Any, ...]:
        return type(self), (self._value_,)


class Model:
    """The base of all models: equality by fields, no hash because they are mutable, a repr without personal data.

    A repr ends up in logs and tracebacks, so it shows only ids, enums, numbers, booleans and dates. Any other value is
    shown as `...`.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType] - fields can be changed

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _field_names(type(self)))

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name, None)) for name in _field_names(type(self)))
        parts = (f"{name}={_shown(name, value)}" for name, value in shown if value is not None and value is not UNSET)
        return f"{type(self).__name__}({', '.join(parts)})"


def _field_names(cls: type) -> tuple[str, ...]:
    fields: tuple[Attribute[Any], ...] = getattr(cls, "__attrs_attrs__", ())
    return tuple(field.name for field in fields)


def _shown(name: str, value: object) -> str:
    if isinstance(value, (bool, int, float, date, OpenStrEnum)):
        return repr(value)
    # Some endpoints accept an e-mail address as an id.
    if isinstance(value, str) and (name == "id" or name.endswith("_id")) and "@" not in value:
        return repr(value)
    return "..."
