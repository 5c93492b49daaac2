"""Print `operations.py`: the table of all operations, with the facts that a request needs."""

import re
from typing import Any

from codegen.prose import docstring
from codegen.specification import Json, SpecificationError, resolve
from codegen.specification import operations as walk

_ENCODINGS = {"iso": "date-iso", "iso-or-day": "date-iso-or-day", "space": "date-space", "local": "date-local"}
_PAGING = ("envelope", "array", "none")
_SAFETY = ("safe", "unsafe")


def print_operations(spec: Json) -> str:
    """Print the module that holds the table of operations.

    Args:
        spec: A parsed OpenAPI 3.1 document.

    Returns:
        Its Python, not yet formatted.

    Raises:
        SpecificationError: An operation lacks a fact that the table needs, or two have the same name.
    """
    from codegen.models import TEMPLATES  # noqa: PLC0415

    parts = [(TEMPLATES / "operations.py.txt").read_text(encoding="utf-8")]
    names: list[str] = []
    for path, method, item, operation in walk(spec):
        facts = describe(spec, path, method, item, operation)
        name = constant(facts["id"])
        if name in names:
            raise SpecificationError(f"two operations called {facts['id']}")
        names.append(name)
        arguments = "\n".join(f"    {key}={value!r}," for key, value in facts.items())
        parts.append(f"{name} = Operation(\n{arguments}\n)")
        if operation.get("summary"):
            parts.append(f'"""{docstring(operation["summary"], indent=0)}"""\n')
    table = "\n".join(f"    {name}.id: {name}," for name in names)
    parts.append(f"OPERATIONS: Mapping[str, Operation] = {{\n{table}\n}}")
    parts.append('"""All operations, by id."""')
    return "\n".join(parts) + "\n"


def constant(operation_id: str) -> str:
    """`listCpdCategories` as `LIST_CPD_CATEGORIES`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation_id).upper()


def describe(spec: Json, path: str, method: str, item: Json, operation: Json) -> dict[str, Any]:
    """Return the facts of one operation, as arguments of `Operation`."""
    name = operation.get("operationId")
    if not name:
        raise SpecificationError(f"{method.upper()} {path} has no operationId")
    tags = operation.get("tags", [])
    if len(tags) != 1:
        raise SpecificationError(f"{name}: needs exactly one tag")
    own = [resolve(spec, one) for one in operation.get("parameters", [])]
    taken = {(one["in"], one["name"]) for one in own}
    shared = [resolve(spec, one) for one in item.get("parameters", [])]
    parameters = [one for one in shared if (one["in"], one["name"]) not in taken] + own
    query = [one for one in parameters if one["in"] == "query"]
    in_path = {one["name"] for one in parameters if one["in"] == "path"}
    path_parameters = tuple(re.findall(r"\{(\w+)\}", path))
    if set(path_parameters) != in_path:
        raise SpecificationError(f"{name}: the path and its parameters disagree")
    body = resolve(spec, operation.get("requestBody", {}))
    items = _array(spec, body)
    responses: Json = operation.get("responses", {})
    return {
        "id": name,
        "resource": tags[0],
        "method": method.upper(),
        "path": path,
        "path_parameters": path_parameters,
        "query": {one["name"]: _encoding(spec, name, one) for one in query},
        "required_query": tuple(one["name"] for one in query if one.get("required")),
        "paging": _one_of(name, operation, "x-thrive-paging", _PAGING, "none"),
        "per_page": next((_schema(spec, one).get("maximum") for one in query if one["name"] == "perPage"), None),
        "safe": _one_of(name, operation, "x-thrive-retry", _SAFETY, "safe" if method == "get" else None) == "safe",
        "any_answer": not any(_shaped(spec, responses[status]) for status in responses if status.startswith("2")),
        "body": bool(body),
        "body_required": bool(body.get("required")),
        "body_model": _named(body),
        "min_items": items.get("minItems"),
        "max_items": items.get("maxItems"),
        "statuses": tuple(int(status) for status in operation.get("responses", {}) if status.isdigit()),
        "scopes": _scopes(operation.get("security") or spec.get("security") or []),
    }


def _one_of(name: str, operation: Json, key: str, allowed: tuple[str, ...], default: str | None) -> str:
    value = operation.get(key, default)
    if not isinstance(value, str) or value not in allowed:
        raise SpecificationError(f"{name}: {key} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def _schema(spec: Json, parameter: Json) -> Json:
    return resolve(spec, parameter.get("schema", {}))


def _encoding(spec: Json, name: str, parameter: Json) -> str:
    """Return how to write the value of a query parameter."""
    if "x-thrive-datetime" in parameter:
        return _ENCODINGS[_one_of(name, parameter, "x-thrive-datetime", tuple(_ENCODINGS), None)]
    schema = _schema(spec, parameter)
    kind = schema.get("type")
    if kind == "array":
        if parameter.get("style", "form") != "form" or parameter.get("explode", True):
            raise SpecificationError(f"{name}: the list {parameter['name']} must be style form, explode false")
        return "list"
    if schema.get("format") in ("date", "date-time"):
        raise SpecificationError(f"{name}: {parameter['name']} needs x-thrive-datetime")
    return kind if kind in ("integer", "boolean") else "text"


def _named(body: Json) -> str | None:
    """Return the schema name of a JSON body, which is also the name of its model."""
    reference: str = _content(body).get("$ref", "")
    return reference.removeprefix("#/components/schemas/") or None


def _array(spec: Json, body: Json) -> Json:
    """Return the schema of a body if it is a list, or else an empty one."""
    schema = resolve(spec, _content(body))
    return schema if schema.get("type") == "array" else {}


def _content(body: Json) -> Json:
    schema: Json = body.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _shaped(spec: Json, response: Json) -> bool:
    """Return whether a response has a body with a non-empty schema."""
    return any(media.get("schema") for media in resolve(spec, response).get("content", {}).values())


def _scopes(security: list[Json]) -> tuple[str, ...]:
    """Return the scopes. Any one of them is enough."""
    return tuple(dict.fromkeys(scope for requirement in security for scope in requirement.get("oauth2", [])))
