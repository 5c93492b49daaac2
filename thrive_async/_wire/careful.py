"""Read a record again, slowly, after its generated reader has refused it.

A value that does not match the specification is accepted if nothing is lost: digits for a number, a number for a
string, "true" or 1 for true, a blank string for null, a list of one object for the object, one object for a list of
them. Otherwise the field becomes None, or the item is left out. `Found` records both cases. Without a `Found`, the
first such value raises a DecodeError. A required value that cannot be read always does.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin

import attrs

from thrive_async._base import values as v
from thrive_async._base.model import OpenStrEnum
from thrive_async._base.problems import Found, remember_unread
from thrive_async._generated.readers import BARE
from thrive_async.errors import DecodeError


class Reading:
    """One careful reading of one record.

    Args:
        found: Where to record odd values, or None if the first of them is an error.
        index: The record's position in its list, or None if it is not in a list.
    """

    def __init__(self, found: Found | None, index: int | None = None) -> None:
        self.found = found
        self.at: list[int | str] = [] if index is None else [index]
        self.lost = 0

    def tell(self, path: str, mismatch: v.Mismatch, *, lost: bool, needed: bool = False) -> None:
        """Record an odd value.

        Raises:
            DecodeError: The value is required and lost, or this reading is strict.
        """
        if self.found is None or (needed and lost):
            raise self.error(path, str(mismatch))
        self.found.add(path, mismatch.expected, mismatch.came, lost=lost)
        self.lost += lost

    def error(self, path: str, reason: str) -> DecodeError:
        """Make the error for a place, with its indices and keys."""
        at = iter(self.at)
        return DecodeError(reason, path=_OPEN_STEP.sub(lambda _: _step(next(at)), path))


Read: TypeAlias = Callable[[Any, Reading], Any]

# Type checkers do not narrow these names, so the items of a JSON list stay Any.
_list: Any = list
_dict: Any = dict
_REST: Final = "*"
_OPEN_STEP: Final = re.compile(r"\[\]|\.\*")
_WHOLE: Final = re.compile(r"([+-]?[0-9]{1,15})(?:\.0*)?")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?")
_BOOLEANS: Final = {"true": True, "false": False}


def _step(key: int | str) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if key.isidentifier() else f"[{key!r}]"


# Accept a value of another type, or return None where something would be lost


def _text(value: Any) -> str | None:
    # A float beyond 2**53 may come from a longer integer that has lost its last digits.
    exact = type(value) is int or (type(value) is float and abs(value) <= 2**53)
    return str(value) if exact else None


def _boolean(value: Any) -> bool | None:
    if type(value) is int and value in (0, 1):
        return bool(value)
    return _BOOLEANS.get(value.strip().lower()) if type(value) is str else None


def _integer(value: Any) -> int | None:
    written = _WHOLE.fullmatch(value.strip()) if type(value) is str else None
    return None if written is None else int(written[1])


def _number(value: Any) -> float | None:
    whole = _integer(value)
    if whole is not None or type(value) is not str or _NUMBER.fullmatch(value.strip()) is None:
        return whole
    return float(value) if isfinite(float(value)) else None


def _day(value: Any) -> date | None:
    try:
        whole = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return whole.date() if whole.time() == datetime.min.time() else None


def _nothing(_: Any) -> None:
    return None


_LEAVES: Final[dict[Any, tuple[Callable[[Any], Any], Callable[[Any], Any]]]] = {
    # type of a field: (its strict reader, its tolerant reader)
    str: (v.text, _text),
    bool: (v.boolean, _boolean),
    int: (v.integer, _integer),
    float: (v.number, _number),
    datetime: (v.moment, _nothing),
    date: (v.day, _day),
}


# Readers, built once for each place in a model


@cache
def careful_reader(cls: Any, listed: bool) -> Read:  # noqa: FBT001
    """Return the careful reader of a model that is a whole reply, or an item of a list."""
    return _of_model(cls, "[]" if listed else "", needed=True)


def _reader(kind: Any, path: str, *, needed: bool = False) -> Read:
    """Build the reader of one place.

    Args:
        kind: The type of the field, or of the items of a list.
        path: The place, with `[]` for an index and `.*` for a key.
        needed: Whether the record is useless without it.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        parts = [part for part in arguments if part is not NoneType]
        return _reader(parts[0], path, needed=needed) if len(parts) == 1 else _of_union(parts, path, needed=needed)
    if kind is Any:
        return lambda value, _: value
    if origin is list:
        return _of_list(arguments[0], path)
    if origin is dict:
        return _of_mapping(arguments[1], path)
    if origin is Literal:
        return _leaf(lambda value: v.constant(value, arguments), _nothing, path, needed=needed)
    if kind in _LEAVES:
        return _leaf(*_LEAVES[kind], path, needed=needed)
    if issubclass(kind, OpenStrEnum):
        return _of_enum(kind, path, needed=needed)
    return _of_model(kind, path, needed=needed)


def _leaf(exact: Callable[[Any], Any], take: Callable[[Any], Any], path: str, *, needed: bool) -> Read:
    def read(value: Any, reading: Reading) -> Any:
        try:
            return exact(value)
        except v.Mismatch as mismatch:
            taken = take(value)
            blank = value is None or (type(value) is str and not value.strip())
            if blank and value is not None:
                mismatch.came = "a blank string"
            reading.tell(path, mismatch, lost=taken is None and (needed or not blank), needed=needed)
            return taken

    return read


def _of_enum(enum: type[OpenStrEnum], path: str, *, needed: bool) -> Read:
    leaf = _leaf(v.text, _text, path, needed=needed)

    def read(value: Any, reading: Reading) -> Any:
        taken = leaf(value, reading)
        return None if taken is None else enum(taken)

    return read


def _of_union(parts: list[Any], path: str, *, needed: bool) -> Read:
    types = [get_origin(part) or part for part in parts] + ([int] if float in parts else [])

    def take(value: Any) -> Any:
        candidates = (_LEAVES[part][1](value) for part in parts if part in _LEAVES)
        return next((taken for taken in candidates if taken is not None), None)

    return _leaf(lambda value: v.one_of(value, *types), take, path, needed=needed)


def _of_list(kind: Any, path: str) -> Read:
    each = _reader(kind, f"{path}[]")
    holds_null = kind is Any or NoneType in get_args(kind)
    holds_objects = attrs.has(cast("Any", kind)) or get_origin(kind) is dict

    def read(value: Any, reading: Reading) -> Any:
        if type(value) is not _list:
            taken = _list_of(value, objects=holds_objects)
            blank = type(value) is str and not value.strip()
            reading.tell(path, v.mismatch("a list", value), lost=taken is None and not blank)
            if taken is None:
                return None
            value = taken
        items: list[Any] = []
        for index, item in enumerate(value):
            reading.at.append(index)
            made = item if item is None and holds_null else each(item, reading)
            if made is not None or holds_null:
                items.append(made)
            reading.at.pop()
        return items

    return read


def _list_of(value: Any, *, objects: bool) -> list[Any] | None:
    """Accept other values as a list: an object with numbers as keys, or one object instead of several."""
    if type(value) is not dict:
        return None
    keyed = cast("dict[str, Any]", value)
    if all(key.isdecimal() for key in keyed):
        return list(keyed.values())
    return [keyed] if objects else None


def _of_mapping(kind: Any, path: str) -> Read:
    each = _reader(kind, f"{path}.*")
    holds_null = kind is Any or NoneType in get_args(kind)

    def read(value: Any, reading: Reading) -> Any:
        if type(value) is not _dict:
            blank = type(value) is str and not value.strip()
            reading.tell(path, v.mismatch("an object", value), lost=type(value) is not _list and not blank)
            if type(value) is not _list:
                return None
            value = {str(index): item for index, item in enumerate(value)}
        made: dict[str, Any] = {}
        for key, item in value.items():
            reading.at.append(key)
            one = item if item is None and holds_null else each(item, reading)
            if one is not None or holds_null:
                made[key] = one
            reading.at.pop()
        return made

    return read


def _of_model(cls: Any, path: str, *, needed: bool = False) -> Read:
    wire = {field.name: str(field.metadata.get("json", field.name)) for field in attrs.fields(cls)}
    known = frozenset(wire.values())
    bare = BARE.get(cls)

    @cache
    def fields() -> list[tuple[str, str, bool, Read]]:
        # Build them on first use, because classes may refer to each other.
        attrs.resolve_types(cls)
        return [
            (field.name, wire[field.name], required, _reader(field.type, _at(path, wire[field.name]), needed=required))
            for field in attrs.fields(cls)
            for required in (field.default is attrs.NOTHING,)
        ]

    def read(value: Any, reading: Reading) -> Any:
        if type(value) is not _dict:
            value = _object(value, path, reading, bare=bare, needed=needed)
            if value is None:
                return None
        made: Any = object.__new__(cls)
        unread: list[str] = []
        for name, json, required, read_field in fields():
            if required and json not in value:
                raise reading.error(_at(path, json), "missing")
            item = value.get(json) if json != _REST else {key: value[key] for key in value.keys() - known}
            lost = reading.lost
            setattr(made, name, read_field(item, reading) if item is not None or required else None)
            if reading.lost != lost:
                unread.append(name)
        if unread:
            remember_unread(made, frozenset(unread))
        return made

    return read


def _at(path: str, json: str) -> str:
    """Return the path of a field. Unnamed extra fields share the path of their object."""
    return path if json == _REST else f"{path}.{json}"


def _object(value: Any, path: str, reading: Reading, *, bare: str | None, needed: bool) -> Any:
    """Accept other values as an object: its id alone, which some replies send, or a list of one object."""
    if bare is not None and type(value) in (str, int):
        return {bare: value}
    items: list[Any] = value if type(value) is _list else [None, None]
    taken = items[0] if len(items) == 1 and type(items[0]) is _dict else None
    blank = value is None or not items or (type(value) is str and not value.strip())
    lost = taken is None and (needed or not blank)
    reading.tell(path, v.mismatch("an object", value), lost=lost, needed=needed)
    return taken
