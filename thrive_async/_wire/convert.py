"""Convert between JSON and models. No other module does this.

The generated readers are fast, and refuse a record with a value that does not match the specification. Only then does
`careful.py` read the record again: it accepts what it can and reports the rest. `prepare` imports the models, msgspec
and cattrs when a client is built. So `import thrive_async` does not load them, and no call reads their files on the
loop.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import cache, partial
from importlib import import_module
from math import isfinite
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args, get_origin

import attrs
import orjson

from thrive_async._base.problems import Found
from thrive_async._base.unset import UNSET, Unset
from thrive_async.errors import DecodeError

if TYPE_CHECKING:
    from cattrs import Converter

    from thrive_async._base.strict import Reader

T = TypeVar("T")

_LENGTH_OF_A_DAY: Final = len("2026-01-31")
_MISMATCH = (TypeError, ValueError, KeyError, AttributeError, RecursionError)


def read(cls: type[T], value: object, found: Found | None = None, *, root: str = "$") -> T:
    """Make a model from decoded JSON.

    Args:
        cls: A model that Thrive sends, such as `User`.
        value: A decoded JSON value, or what `decoder` made of one.
        found: Where to count the values that do not match the specification, or None if the first is an error.
        root: The JSON path of the value, for the error.

    Returns:
        The model.

    Raises:
        DecodeError: The value cannot become a model. `path` says where, and the text says what was expected.
    """
    reader = _reader(cls)
    try:
        return cast("T", reader(value))
    except _MISMATCH:
        pass
    outcome = _read_carefully(cls, value, found)
    if isinstance(outcome, DecodeError):
        del value  # keeps personal data out of tracebacks that show local variables
        outcome.path = root + outcome.path
        raise outcome
    return outcome


def read_list(cls: type[T], values: list[Any], found: Found | None = None, *, root: str = "$") -> list[T]:
    """Make models from a list of decoded JSON values, each in place of its value.

    Replacing them one by one frees each value while it is still in the processor's cache, which is faster than a new
    list. A null in the list is not a record: it is left out and counted.

    Args:
        cls: A model that Thrive sends, such as `User`.
        values: Decoded JSON values, or what `page_decoder` made of them. The list changes, even if an error is raised.
        found: Where to count the values that do not match the specification, or None if the first is an error.
        root: The JSON path of the list, for the error.

    Returns:
        The same list, now of models.

    Raises:
        DecodeError: An item cannot become a model. `path` says where, and the text says what was expected.
    """
    reader = _reader(cls)
    if type(values) is not list:
        raise DecodeError("expected a list", path=root)
    error = _read_in_place(cls, reader, values, found)
    if error is not None:
        del values  # keeps personal data out of tracebacks that show local variables
        error.path = root + error.path
        raise error
    return values


def decoder(cls: type) -> Callable[[bytes], Any]:
    """Return what decodes a reply for `read`. It raises an orjson.JSONDecodeError if that is not JSON."""
    return _reader(cls).decode


def page_decoder(cls: type) -> Callable[[bytes], Any]:
    """Return what decodes a page for `read_list`. It raises an orjson.JSONDecodeError if that is not JSON."""
    return _reader(cls).decode_page


def _read_in_place(cls: type[Any], reader: "Reader", values: list[Any], found: Found | None) -> DecodeError | None:
    """Replace values with models. Return the error of the first value that cannot become a model."""
    shape, make = reader.shape, reader.make
    nulls: list[int] = []
    for index, value in enumerate(values):
        try:
            # Nearly always shapes: calling `reader` for them takes a fortieth longer.
            values[index] = make(value) if type(value) is shape else reader(value)
        except _MISMATCH:
            if value is None and found is not None:
                nulls.append(index)
                continue
            outcome = _read_carefully(cls, value, found, index)
            if isinstance(outcome, DecodeError):
                return outcome
            values[index] = outcome
    for index in reversed(nulls):
        del values[index]
    if found is not None:
        for _ in nulls:
            found.skip()
    return None


def _read_carefully(cls: type[T], value: object, found: Found | None, index: int | None = None) -> T | DecodeError:
    """Read a value again, to accept what can be accepted, or to say what is wrong with it."""
    from thrive_async._base.strict import as_json  # noqa: PLC0415 - costs import time
    from thrive_async._wire.careful import Reading, careful_reader  # noqa: PLC0415 - needs the models

    try:
        return cast("T", careful_reader(cast("Any", cls), index is not None)(as_json(value), Reading(found, index)))
    except DecodeError as error:
        # Its traceback and context hold the record, so drop them.
        error.__traceback__ = error.__context__ = None
        return error
    except RecursionError:
        return DecodeError("nested too deeply", path="")


def dump(value: object) -> bytes:
    """Write a request body as JSON.

    Fields that are UNSET are left out, and None becomes null. A datetime with a time zone is written in UTC with
    milliseconds (`2026-01-31T09:30:00.000Z`), a date as `2026-01-31`, an enum as its string.

    Args:
        value: A request model, a list of them, or any JSON value.

    Returns:
        The JSON, in UTF-8.

    Raises:
        ValueError: Part of it cannot be written: a naive datetime, an infinite number, a string that is not valid
            Unicode, UNSET outside a model, or an object of another kind.
    """
    try:
        if type(value) is list and all(type(item) is str for item in cast("list[Any]", value)):
            # Usually the names of people, which need no conversion.
            return orjson.dumps(value)
        return orjson.dumps(_writer().unstructure(value))
    except (orjson.JSONEncodeError, RecursionError) as error:
        # Neither error shows the value.
        text = str(error) if isinstance(error, orjson.JSONEncodeError) else "nested too deeply"
    raise ValueError(f"the body cannot be written as JSON: {text}")


def to_dict(model: object) -> dict[str, Any]:
    """Write a model as a JSON object, with exact datetimes. Fields that are UNSET are left out.

    Raises:
        ValueError: A value cannot be written.
    """
    return cast("dict[str, Any]", _writer(exact=True).unstructure(model))


def from_dict(cls: type[T], fields: Mapping[str, object]) -> T:
    """Make a model, of a reply or of a request, from a JSON object.

    Raises:
        DecodeError: The object does not fit the model. `path` says where, the text what was expected.
    """
    try:
        if cls in _known_readers():
            return read(cls, dict(fields) if isinstance(fields, Mapping) else fields)  # pyright: ignore[reportUnnecessaryIsInstance]
        return _request_model(cls, fields, "$")
    except DecodeError as error:
        error.subject = cls.__name__
        raise


def _request_model(cls: type[T], fields: Mapping[str, object], path: str) -> T:
    known = {field.metadata.get("json", field.name): field for field in attrs.fields(cast("Any", cls))}
    given: dict[str, object] = {}
    if not isinstance(fields, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DecodeError("expected an object", path=path)
    for name, value in fields.items():
        field = known.get(name)
        if field is None:
            raise DecodeError(f"{cls.__name__} has no such field", path=f"{path}.{name}")
        value = _request_value(field.type, value, f"{path}.{name}")  # noqa: PLW2901 - from here on what it means
        if field.init:
            given[field.name] = value
        elif value != field.default:
            raise DecodeError(f"expected {field.default!r}", path=f"{path}.{name}")
    for name, field in known.items():
        if field.init and field.default is attrs.NOTHING and field.name not in given:
            raise DecodeError("is required", path=f"{path}.{name}")
    try:
        return cls(**given)
    except (TypeError, ValueError) as error:
        # The messages of a model's checks hold no values.
        text = str(error)
    for name, field in known.items():
        prefix = f"{cls.__name__}.{field.name}"
        place = text.removeprefix(prefix).partition(" ")[0]
        if text.startswith(f"{prefix}{place} ") and (not place or place[0] == "["):
            raise DecodeError(text, path=f"{path}.{name}{place}")
    raise DecodeError(text, path=path)


def _request_value(hint: Any, value: object, path: str) -> object:
    """Read the types that JSON lacks, models and dates; the model checks everything else."""
    choices = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    for choice in choices:
        if isinstance(value, dict) and attrs.has(choice):
            return _request_model(cast("type[Any]", choice), cast("dict[str, object]", value), path)
        if isinstance(value, list) and get_origin(choice) is list:
            (item,) = get_args(choice)
            items = cast("list[object]", value)
            return [_request_value(item, one, f"{path}[{index}]") for index, one in enumerate(items)]
    if isinstance(value, str) and not {date, datetime}.isdisjoint(choices):
        as_day = date in choices and len(value) == _LENGTH_OF_A_DAY
        try:
            return date.fromisoformat(value) if as_day else datetime.fromisoformat(value)
        except ValueError:
            raise DecodeError("expected a date or time in ISO 8601", path=path) from None
    return cast("object", value)


_readers: "dict[type, Reader]" = {}


def _known_readers() -> "dict[type, Reader]":
    if not _readers:
        prepare()
    return _readers


def _reader(cls: type) -> "Reader":
    return _readers.get(cls) or _known_readers()[cls]


def prepare() -> None:
    """Import what reading and writing need. It takes 20 ms and reads files, which would delay a call."""
    from thrive_async._generated.readers import READERS  # noqa: PLC0415 - the models cost import time

    import_module("thrive_async._wire.careful")

    _readers.update(READERS)
    _writer()


def _wire_names(cls: type) -> dict[str, str]:
    """Return the fields of a model, from Python name to JSON name. `*` is the field that holds unnamed extra fields."""
    return {field.name: field.metadata.get("json", field.name) for field in attrs.fields(cls)}


@cache
def _writer(*, exact: bool = False) -> "Converter":
    """Make the converter that writes; the exact one keeps microseconds, which Thrive does not know."""
    from cattrs import Converter, override  # noqa: PLC0415
    from cattrs.gen import make_dict_unstructure_fn  # noqa: PLC0415

    converter = Converter()

    def of_model(cls: type) -> Callable[[Any], Any]:
        wire = _wire_names(cls)
        extra = next((name for name, json in wire.items() if json == "*"), None)
        overrides = {
            # Set `omit` explicitly even if it is False: cattrs would leave out fields that are not in `__init__`.
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
    converter.register_unstructure_hook(datetime, partial(_written_datetime, exact=exact))
    converter.register_unstructure_hook(date, date.isoformat)
    converter.register_unstructure_hook(float, _written_float)
    if not exact:
        converter.register_unstructure_hook(int, _written_integer)
    converter.register_unstructure_hook(Unset, _written_unset)
    return converter


def _written_datetime(value: datetime, *, exact: bool) -> str:
    if value.utcoffset() is None:
        raise ValueError("a datetime without a time zone is ambiguous: give it a tzinfo")
    timespec = "microseconds" if exact and value.microsecond % 1000 else "milliseconds"
    try:
        return value.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
    except OverflowError:
        raise ValueError("a datetime that is out of range in UTC") from None


def _written_integer(value: int) -> object:
    # orjson refuses an integer of more than 64 bits. Readers keep all its digits, and so must a write that sends a
    # user's own fields back.
    return value if -(2**63) <= value < 2**64 else orjson.Fragment(str(value))


def _written_float(value: float) -> float:
    if not isfinite(value):
        raise ValueError("JSON cannot hold a number that is not finite")
    return value


def _written_unset(_: Unset) -> None:
    raise ValueError("UNSET is valid only as the value of a model's field")
