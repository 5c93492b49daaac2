"""Models as fields of pydantic models, and so as bodies and results in FastAPI. Imported only when pydantic asks.

Reading and writing are `from_dict` and `to_dict`. The JSON schema is the one of the specification, with what it refers
to written in place.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError
from pydantic_core import core_schema as schemas

from thrive_async._base.model import Model
from thrive_async.errors import DecodeError

__all__ = ["core_schema", "json_schema"]

_SPECIFICATION: Final = Path(__file__).parents[1] / "_generated" / "openapi.json"
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[([0-9]+)\]")


def core_schema(cls: type[Model]) -> schemas.CoreSchema:
    """Return how pydantic reads and writes a model."""

    def validated(value: object) -> Model:
        if isinstance(value, cls):
            return value
        try:
            return cls.from_dict(cast("Mapping[str, object]", value))
        except DecodeError as error:
            reason, place = error.reason, _place(error.path)
        raise ValidationError.from_exception_data(cls.__name__, [_misfit(reason, place, value)])

    return schemas.no_info_plain_validator_function(
        validated,
        ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
        serialization=schemas.plain_serializer_function_ser_schema(cls.to_dict),
    )


def json_schema(cls: type[Model]) -> dict[str, Any]:
    """Return the specification's schema of a model."""
    known = next((_schemas()[base.__name__] for base in cls.__mro__ if base.__name__ in _schemas()), {"type": "object"})
    return {"title": cls.__name__, **cast("dict[str, Any]", _inlined(known))}


def _misfit(reason: str, place: tuple[str | int, ...], value: Any) -> InitErrorDetails:
    for step in place:
        try:
            value = value[step]
        except (LookupError, TypeError):  # a required field that is missing
            break
    # The reason goes in by name, because the message is a template in which braces have a meaning.
    return {"type": PydanticCustomError("thrive_model", "{reason}", {"reason": reason}), "loc": place, "input": value}


def _place(path: str) -> tuple[str | int, ...]:
    """Turn a JSON path such as `$.positions[3].id` into pydantic's location."""
    return tuple(name or int(index) for name, index in _STEP.findall(path))


@cache
def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_SPECIFICATION.read_text(encoding="utf-8"))["components"]["schemas"]
    return found


def _inlined(node: object) -> object:
    if isinstance(node, list):
        return [_inlined(item) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    fields = cast("dict[str, object]", node)
    reference = str(fields.get("$ref", "")).rpartition("/")[2]
    known = cast("dict[str, object]", _inlined(_schemas()[reference])) if reference else {}
    return known | {name: _inlined(value) for name, value in fields.items() if name != "$ref" and name[:2] != "x-"}
