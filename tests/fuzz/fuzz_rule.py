"""What the specification says of a reply: judged from openapi.json and the standard library, with nothing of the SDK.

Two judges who share no code: a JSON Schema validator says whether a document is sound, and `says` compares a model with
the document it was read from, field by field, along the schema.
"""

import copy
import keyword
import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from functools import cache
from typing import Any, Final
from urllib.parse import quote

import jsonschema_rs
from fuzz_json import same

from thrive_async.sandbox.server.specification import specification

DOCUMENT: Final = specification().document
_DATE_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BASE: Final = "urn:thrive:reply"


@cache
def _validator(pointer: str, dates: bool) -> Any:
    document = copy.deepcopy(DOCUMENT)
    for schema in document["components"]["schemas"].values():
        if "x-thrive-bare" in schema:
            # The specification allows the bare string where such an object is used.
            schema["type"] = ["object", "string"]
        properties: dict[str, Any] = schema.get("properties", {})
        for name in [name for name, one in properties.items() if one.get("x-thrive-derived")]:
            del properties[name]  # filled from the status, whatever the body says
    return jsonschema_rs.Draft202012Validator(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": f"{_BASE}#{quote(pointer, safe='/~')}"},
        registry=jsonschema_rs.Registry([(_BASE, document)]),
        validate_formats=dates,
        formats={"date-time": lambda text: instant(text) is not None, "date": _day},
    )


def sound(pointer: str, value: Any, *, dates: bool = True) -> bool | None:
    """Whether a document is what the schema says; None if it is nested too deeply to tell.

    Args:
        pointer: Of the schema, inside the specification.
        value: The document.
        dates: Whether what is called a date must be one of RFC 3339.
    """
    validator = _validator(pointer, dates)
    try:
        valid: bool = validator.is_valid(value)
    except (ValueError, RecursionError):
        return None
    return valid


def instant(text: str) -> datetime | None:
    """Read a moment of RFC 3339, computed from its figures; None if it is none, or a leap second."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    figures = [int(found[at]) for at in range(1, 7)]
    fraction = int((found[7] or "0").ljust(6, "0")[:6])
    hours, minutes = int(found[9] or 0), int(found[10] or 0)
    if hours > 23 or minutes > 59:
        return None
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if found[8] == "-" else 1)
    try:
        return datetime(*figures, fraction, tzinfo=timezone(offset) if offset else UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return None


def _day(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and instant(f"{text}T00:00:00Z") is not None


@cache
def resolved(pointer: str) -> tuple[str, dict[str, Any]]:
    """Follow a pointer into the specification, and the references it leads to."""
    node: Any = DOCUMENT
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        node = node[int(key) if isinstance(node, list) else key]
    return resolved(node["$ref"][1:]) if "$ref" in node else (pointer, node)


def reply_schema(operation: str) -> str | None:
    """Point to the schema of an operation's success; None where it says nothing (deletes)."""
    for path, item in DOCUMENT["paths"].items():
        for method, node in item.items():
            if isinstance(node, dict) and node.get("operationId") == operation:
                where = f"/paths/{path.replace('/', '~1')}/{method}/responses"
                status = next(one for one in node["responses"] if one.startswith("2"))
                pointer, reply = resolved(f"{where}/{status}")
                schema = reply["content"]["application/json"]["schema"]
                return resolved(f"{pointer}/content/application~1json/schema")[0] if schema else None
    raise LookupError(operation)


def items_schema(pointer: str) -> str:
    """Point to the schema of the items of a list, given that of its whole reply."""
    pointer, schema = resolved(pointer)
    if schema["type"] == "array":
        return resolved(f"{pointer}/items")[0]
    return resolved(f"{pointer}/properties/results/items")[0]


def says(pointer: str, value: Any, source: Any) -> bool:
    """Whether a value is exactly what the document says, in the type that its schema promises."""
    pointer, schema = resolved(pointer)
    if value is None:
        return source is None
    alternatives = schema.get("anyOf")
    if alternatives:
        parts = [f"{pointer}/anyOf/{at}" for at in range(len(alternatives))]
        # The open enum: what it knows, or any string.
        if all(_is_string(resolved(part)[1]) for part in parts):
            return _plain(value, source) and value.is_known == (source in _known(parts))
        return any(says(part, value, source) for part in parts if resolved(part)[1].get("type") != "null")
    kinds = schema.get("type")
    if kinds is None:
        return value is source or same(value, source)
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return any(_says_kind(kind, pointer, schema, value, source) for kind in kinds if kind != "null")


def _is_string(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string"


def _known(parts: list[str]) -> set[str]:
    return {one for part in parts for one in resolved(part)[1].get("enum", ())}


def _plain(value: Any, source: Any) -> bool:
    return isinstance(value, str) and type(value) is not str and type(source) is str and str(value) == source


def _says_kind(kind: str, pointer: str, schema: dict[str, Any], value: Any, source: Any) -> bool:
    match kind:
        case "string" if schema.get("format") == "date-time":
            return type(source) is str and type(value) is datetime and _same_moment(value, source)
        case "string" if "format" in schema:
            return type(source) is str and str(value) == source
        case "string":
            return type(value) is str and type(source) is str and value == source
        case "boolean":
            return type(value) is bool and value is source
        case "integer":
            return type(value) is int and type(source) in (int, float) and value == source
        case "number":
            return type(value) in (int, float) and type(source) in (int, float) and value == source
        case "array":
            if type(value) is not list or type(source) is not list or len(value) != len(source):
                return False
            items = f"{pointer}/items"
            return all(says(items, one, other) for one, other in zip(value, source, strict=True))
        case _:
            return _says_object(pointer, schema, value, source)


def _says_object(pointer: str, schema: dict[str, Any], value: Any, source: Any) -> bool:
    bare = schema.get("x-thrive-bare")
    if bare and type(source) is str:
        source = {bare: source}
    if type(source) is not dict:
        return False
    properties: dict[str, Any] = schema.get("properties", {})
    if type(value) is dict:
        further = schema.get("additionalProperties")
        if properties or value.keys() != source.keys():
            return False
        if not isinstance(further, dict):
            return same(value, source)
        return all(says(f"{pointer}/additionalProperties", value[key], source[key]) for key in source)
    if type(value).__name__ != pointer.rpartition("/")[2]:
        return False
    required = schema.get("required", ())
    for name, one in properties.items():
        if one.get("x-thrive-derived"):
            continue
        held = getattr(value, snake(name))
        if name in source:
            if not says(f"{pointer}/properties/{name}", held, source[name]):
                return False
        elif held is not None or name in required:
            return False
    return True


def fullest(pointer: str) -> Any:
    """Write a document in which every field that a schema names has a value."""
    pointer, schema = resolved(pointer)
    for at, part in enumerate(schema.get("anyOf", ())):
        if part.get("type") != "null":
            return fullest(f"{pointer}/anyOf/{at}")
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else next(one for one in kinds if one != "null")
    match kind:
        case "array":
            return [fullest(f"{pointer}/items")]
        case "object":
            made = {name: fullest(f"{pointer}/properties/{name}") for name in schema.get("properties", {})}
            if isinstance(schema.get("additionalProperties"), dict):
                made["a name"] = fullest(f"{pointer}/additionalProperties")
            return made
        case "string" if schema.get("format") == "date-time":
            return "2026-01-02T03:04:05.678Z"
        case "string":
            return schema.get("enum", ["words"])[0]
        case _:
            return {"boolean": True, "integer": 3, "number": 1.5}[kind]


def snake(name: str) -> str:
    """Write a name of the wire as Python does."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", name).lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def _same_moment(value: datetime, source: str) -> bool:
    if value.tzinfo is None:
        return False
    strict = instant(source)
    if strict is not None:
        return value == strict and value.utcoffset() == strict.utcoffset()
    # Another form of ISO 8601, which only the standard library can judge.
    return value.replace(tzinfo=None) == datetime.fromisoformat(source).replace(tzinfo=None)


def pages_told(totals: Any, asked: int | None, count: int) -> tuple[int | None, int | None]:
    """Work out the total pages and results from an envelope's `pagination`, in exact arithmetic."""
    told = totals if isinstance(totals, dict) else {}
    results, pages = _whole(told.get("totalResults")), _whole(told.get("totalPages"))
    if pages is None and results is not None:
        size = _whole(told.get("perPage")) or asked or count
        pages = -int(-Fraction(results, size) // 1) if size else 0
    return pages, results


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def says_list(operation: str) -> bool:
    """Whether an operation answers with a list, enveloped or bare."""
    pointer = reply_schema(operation)
    if pointer is None:
        return False
    schema = resolved(pointer)[1]
    return schema["type"] == "array" or "results" in schema.get("properties", {})
