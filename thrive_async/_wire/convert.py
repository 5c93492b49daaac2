"""Between JSON and models: the one place where either is made of the other.

Reading takes the generated readers, which are fast and say little when something is wrong. Only then the same value is
read a second time by a cattrs converter, which says where and what, and a DecodeError is made of that. Both accept
exactly the same values. Models and cattrs are imported by `prepare`, when a client is built: `import thrive_async` does
without them, and no call reads their files on the loop.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from math import isfinite
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin

import attrs
import orjson

from thrive_async._base.unset import UNSET, Unset
from thrive_async.errors import DecodeError

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

_MISMATCH = (TypeError, ValueError, KeyError, AttributeError, RecursionError)


def read(cls: type[T], value: object, *, root: str = "$") -> T:
    """Make a model of decoded JSON.

    Args:
        cls: A model that Thrive sends, such as `User`.
        value: A decoded JSON value.
        root: The JSON path of the value, for the error.

    Returns:
        The model.

    Raises:
        DecodeError: The value is not what the model documents; `path` says where, the text what was expected.
    """
    reader = _reader(cls)
    try:
        return cast("T", reader(value))
    except _MISMATCH:
        pass
    outcome = _read_carefully(cls, value, root)
    if isinstance(outcome, DecodeError):
        del value  # personal data stays out of tracebacks that show local variables
        raise outcome
    return outcome


def read_list(cls: type[T], values: list[Any], *, root: str = "$") -> list[T]:
    """Make models of a list of decoded JSON values, each in the place of its value.

    Replacing them one by one frees each value while it is in the processor's cache, which is faster than a new list.

    Args:
        cls: A model that Thrive sends, such as `User`.
        values: Decoded JSON values. The list is changed, also when an error is raised.
        root: The JSON path of the list, for the error.

    Returns:
        The same list, now of models.

    Raises:
        DecodeError: A value is not what the model documents; `path` says where, the text what was expected.
    """
    reader = _reader(cls)
    if type(values) is not list:
        raise DecodeError("expected a list", path=root)
    for later in range(_read_in_place(reader, values), len(values)):
        outcome = _read_carefully(cls, values[later], f"{root}[{later}]")
        if isinstance(outcome, DecodeError):
            del values  # personal data stays out of tracebacks that show local variables
            raise outcome
        values[later] = outcome
    return values


def _read_in_place(reader: Callable[[Any], Any], values: list[Any]) -> int:
    """Replace values by models, up to the first that the reader refuses; return how many."""
    index = 0
    try:
        for index, value in enumerate(values):
            values[index] = reader(value)
    except _MISMATCH:
        return index
    return len(values)


def dump(value: object) -> bytes:
    """Write a request body as JSON.

    Fields that are UNSET are left out, None is null. An aware datetime is written in UTC with milliseconds
    (`2026-01-31T09:30:00.000Z`), a date as `2026-01-31`, an enum as its string.

    Args:
        value: A request model, a list of them, or anything that JSON knows.

    Returns:
        The JSON, in UTF-8.

    Raises:
        ValueError: Something in it cannot be written: a naive datetime, an infinite number, a string that is no
            Unicode, UNSET outside a model, an object of another kind.
    """
    try:
        if type(value) is list and all(type(item) is str for item in cast("list[Any]", value)):
            # Names of people, most often: there is nothing to convert.
            return orjson.dumps(value)
        return orjson.dumps(_writer().unstructure(value))
    except (orjson.JSONEncodeError, RecursionError) as error:
        # Neither says what the value was.
        text = str(error) if isinstance(error, orjson.JSONEncodeError) else "nested too deeply"
    raise ValueError(f"the body cannot be written as JSON: {text}")


_readers: dict[type, Callable[[Any], Any]] = {}


def _reader(cls: type) -> Callable[[Any], Any]:
    if not _readers:
        prepare()
    return _readers[cls]


def prepare() -> None:
    """Import what reading and writing need: 20 ms that no call need take, and files that the loop need not read."""
    from thrive_async._generated.readers import READERS  # noqa: PLC0415 - the models cost import time

    _readers.update(READERS)
    _writer()


def _read_carefully(cls: type[T], value: object, root: str) -> T | DecodeError:
    """Read a value again, to say what is wrong with it."""
    from cattrs import BaseValidationError  # noqa: PLC0415

    try:
        return _careful().structure(value, cls)
    except (BaseValidationError, TypeError, ValueError, RecursionError) as error:
        path, text = _complaint(error)
        return DecodeError(text, path=root + path)


def _complaint(error: BaseException) -> tuple[str, str]:
    """The path of the first thing that is wrong, and what it is."""
    from cattrs import BaseValidationError, ClassValidationError  # noqa: PLC0415

    path = ""
    while isinstance(error, BaseValidationError):
        inner: BaseException = error.exceptions[0]
        note: Any = inner.__notes__[-1]  # cattrs notes the attribute, the index or the key
        key = _wire_names(error.cl)[note.name] if isinstance(error, ClassValidationError) else note.index
        path, error = path + _step(key), inner
    if isinstance(error, RecursionError):
        return "", "nested too deeply"
    return path, "missing" if isinstance(error, KeyError) else str(error)


def _step(key: object) -> str:
    """One step of a JSON path."""
    if isinstance(key, int):
        return f"[{key}]"
    name = str(key)
    return f".{name}" if name.isidentifier() else f"[{name!r}]"


def _wire_names(cls: type) -> dict[str, str]:
    """The fields of a model: name in Python -> name in JSON; `*` for the field that holds what has no name."""
    return {field.name: field.metadata.get("json", field.name) for field in attrs.fields(cls)}


@cache
def _careful() -> "Converter":
    """The converter that reads: no coercion, errors with their path."""
    from cattrs import Converter, cols, override  # noqa: PLC0415
    from cattrs.gen import make_dict_structure_fn  # noqa: PLC0415

    from thrive_async._base import values as v  # noqa: PLC0415
    from thrive_async._base.model import OpenStrEnum  # noqa: PLC0415
    from thrive_async._generated.readers import BARE  # noqa: PLC0415

    converter = Converter(detailed_validation=True)
    leaves: dict[type, Callable[[Any], Any]] = {
        str: v.text,
        bool: v.boolean,
        int: v.integer,
        float: v.number,
        datetime: v.moment,
        date: v.day,
    }

    def register_leaf(kind: type, leaf: Callable[[Any], Any]) -> None:
        converter.register_structure_hook(kind, lambda value, _: leaf(value))

    for kind, leaf in leaves.items():
        register_leaf(kind, leaf)
    converter.register_structure_hook(OpenStrEnum, lambda value, enum: enum(v.text(value)))

    def of_list(kind: Any) -> Callable[[Any, Any], Any]:
        inner = cols.list_structure_factory(kind, converter)
        return lambda value, _: inner(v.sequence(value), kind)

    def of_mapping(kind: Any) -> Callable[[Any, Any], Any]:
        inner = cast("Any", cols).mapping_structure_factory(kind, converter)
        return lambda value, _: inner(v.mapping(value), kind)

    def of_literal(kind: Any) -> Callable[[Any, Any], Any]:
        return lambda value, _: v.constant(value, get_args(kind))

    def of_union(kind: Any) -> Callable[[Any, Any], Any]:
        parts = [get_origin(part) or part for part in get_args(kind)]
        types = [*(part for part in parts if part is not NoneType), *((int,) if float in parts else ())]
        return lambda value, _: value if value is None and NoneType in parts else v.one_of(value, *types)

    def of_model(cls: type) -> Callable[[Any, Any], Any]:
        wire = _wire_names(cls)
        extra = next((field for field in attrs.fields(cls) if wire[field.name] == "*"), None)
        overrides = {name: override(rename=json, omit=json == "*") for name, json in wire.items()}
        inner = cast("Any", make_dict_structure_fn)(cls, converter, **overrides)
        bare = BARE.get(cls)

        def structure(value: Any, _: Any) -> Any:
            if bare is not None and type(value) is str:
                value = {bare: value}
            made = inner(v.mapping(value), cls)
            if extra is not None:
                rest = {key: item for key, item in value.items() if key not in wire.values()}
                setattr(made, extra.name, converter.structure(rest, extra.type))
            return made

        return structure

    converter.register_structure_hook_factory(cols.is_sequence)(of_list)
    converter.register_structure_hook_factory(cols.is_mapping)(of_mapping)
    converter.register_structure_hook_factory(_is_literal)(of_literal)
    converter.register_structure_hook_factory(_is_union)(of_union)
    converter.register_structure_hook_factory(attrs.has)(of_model)
    return converter


def _is_literal(kind: Any) -> bool:
    from typing import Literal  # noqa: PLC0415

    return get_origin(kind) is Literal


def _is_union(kind: Any) -> bool:
    """Whether a type is a union of several JSON types, null not counted."""
    from types import UnionType  # noqa: PLC0415

    return get_origin(kind) is UnionType and len([part for part in get_args(kind) if part is not NoneType]) > 1


@cache
def _writer() -> "Converter":
    """The converter that writes."""
    from cattrs import Converter, override  # noqa: PLC0415
    from cattrs.gen import make_dict_unstructure_fn  # noqa: PLC0415

    converter = Converter()

    def of_model(cls: type) -> Callable[[Any], Any]:
        wire = _wire_names(cls)
        extra = next((name for name, json in wire.items() if json == "*"), None)
        overrides = {
            # `omit` is said in words also where it is False: cattrs would leave out what is not in `__init__`.
            field.name: override(
                rename=wire[field.name], omit_if_default=field.default is UNSET, omit=wire[field.name] == "*"
            )
            for field in attrs.fields(cls)
        }
        inner: Callable[[Any], Any] = cast("Any", make_dict_unstructure_fn)(cls, converter, **overrides)
        if extra is None:
            return inner
        return lambda model: {**converter.unstructure(getattr(model, extra)), **inner(model)}

    converter.register_unstructure_hook_factory(attrs.has)(of_model)
    converter.register_unstructure_hook(datetime, _written_datetime)
    converter.register_unstructure_hook(date, date.isoformat)
    converter.register_unstructure_hook(float, _written_float)
    converter.register_unstructure_hook(Unset, _written_unset)
    return converter


def _written_datetime(value: datetime) -> str:
    if value.utcoffset() is None:
        raise ValueError("a datetime without a time zone does not say which moment it means: give it a tzinfo")
    try:
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        raise ValueError("a datetime that is out of range in UTC") from None


def _written_float(value: float) -> float:
    if not isfinite(value):
        raise ValueError("JSON has no number that is not finite")
    return value


def _written_unset(_: Unset) -> None:
    raise ValueError("UNSET means something only as the value of a model's field")
