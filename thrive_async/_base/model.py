"""The base classes of generated code: `Model` and `OpenStrEnum`."""

from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from importlib import import_module
from typing import Any, Final, Self

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


class Model:  # noqa: PLW1641 - without a hash, since fields can be changed
    """The base of all models: equality by fields, no hash because they are mutable, a repr without personal data.

    A repr ends up in logs and tracebacks, so it shows only ids, enums, numbers, booleans and dates. Any other value is
    shown as `...`.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _field_names(type(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        # rich would print every field of an attrs class.
        for name in _field_names(type(self)):
            value = getattr(self, name, None)
            if value is not None and value is not UNSET:
                yield name, value if _is_shown(name, value) else _HIDDEN

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them, under Thrive's names, for `json.dumps` or a queue.

        A field that is UNSET is left out, None is null. Datetimes become strings in ISO 8601, in UTC.

        Raises:
            ValueError: A value cannot be written: a naive datetime, an infinite number.

        Example:
            >>> from thrive_async.models import UserUpdate
            >>> UserUpdate(first_name="Ada", job_title=None).to_dict()
            {'firstName': 'Ada', 'jobTitle': None}
        """
        written: dict[str, Any] = _wire().to_dict(self)
        return written

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> Self:
        """Make a model of what `to_dict` returned, or of a JSON object of Thrive's.

        Args:
            fields: Values as JSON has them, under Thrive's names. A model of a reply ignores unknown names.

        Raises:
            DecodeError: A value is not what the model holds, or a request model has no such field: `path` says where.

        Example:
            >>> from thrive_async.models import UserUpdate
            >>> UserUpdate.from_dict({"jobTitle": None}) == UserUpdate(job_title=None)
            True
        """
        model: Self = _wire().from_dict(cls, fields)
        return model

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        del source, handler
        return _in_pydantic().core_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> Any:
        del schema, handler
        return _in_pydantic().json_schema(cls)


def _wire() -> Any:
    # By name, since it stands floors above, and costs more to import than a model that is only held.
    return import_module("thrive_async._wire.convert")


def _in_pydantic() -> Any:
    # Only when pydantic asks, so that it need not be installed.
    return import_module("thrive_async._wire.in_pydantic")


def _field_names(cls: type) -> tuple[str, ...]:
    fields: tuple[Attribute[Any], ...] = getattr(cls, "__attrs_attrs__", ())
    return tuple(field.name for field in fields)


class _Hidden:
    def __repr__(self) -> str:
        return "..."


_HIDDEN: Final = _Hidden()


def _is_shown(name: str, value: object) -> bool:
    if isinstance(value, (bool, int, float, date, OpenStrEnum)):
        return True
    # Some endpoints accept an e-mail address as an id.
    return isinstance(value, str) and (name == "id" or name.endswith("_id")) and "@" not in value
