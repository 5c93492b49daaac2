"""Choose the schemas that become classes, and whether each is for requests or replies."""

from collections.abc import Iterator
from typing import Literal

from codegen.specification import Json, operations, references, resolve, schema_name, schemas

Kind = Literal["read", "write"]


def envelope(node: Json) -> bool:
    """Return whether a schema is the envelope of a page, which the SDK unwraps."""
    return {"results", "pagination"} <= set(node.get("properties", {}))


def select(spec: Json) -> dict[str, Kind]:
    """Choose the schemas to generate.

    This leaves out the envelopes of pages, and schemas that only envelopes, errors or the token endpoint need.

    Args:
        spec: The whole specification.

    Returns:
        By schema name, "write" if a request body holds it, or else "read", in the order of the specification.
    """
    named = schemas(spec)
    internal = set(_internal(spec))
    behind = {name for root in internal for name in _closure(spec, root)} | internal
    written = ({name for name, node in named.items() if "x-thrive-body" in node} | set(_bodies(spec))) - behind
    written |= {inner for name in written for inner in _closure(spec, name)}
    read_roots = [name for name in named if name not in behind and name not in written]
    read = {inner for name in read_roots for inner in _closure(spec, name)} | set(read_roots)
    # A schema in both requests and replies counts as "write" here, and is refused when the classes are made.
    chosen = written | read | _of_replies(spec)
    return {name: "write" if name in written else "read" for name in named if name in chosen}


def _of_replies(spec: Json) -> set[str]:
    """Return the schemas in successful replies of ordinary operations."""
    found: set[str] = set()
    for _, _, _, operation in operations(spec):
        if "authentication" in operation.get("tags", ()):
            continue
        for status, response in operation.get("responses", {}).items():
            if status.startswith("2"):
                for node in _content(spec, response):
                    found |= _reached(spec, node)
    return found


def _reached(spec: Json, node: Json) -> set[str]:
    """Return the schemas inside a reply's schema, or inside the results if it is an envelope."""
    whole = resolve(spec, node)
    if envelope(whole):
        return _reached(spec, whole["properties"]["results"])
    names = {schema_name(reference) for reference in references(node)}
    return names | {inner for name in names for inner in _closure(spec, name)}


def _internal(spec: Json) -> Iterator[str]:
    """Yield the schemas that do not become public classes."""
    for name, node in schemas(spec).items():
        if envelope(node):
            yield name
            yield from map(schema_name, references(node["properties"]["pagination"]))
    for response in spec.get("components", {}).get("responses", {}).values():
        yield from (schema_name(reference) for node in _content(spec, response) for reference in references(node))
    for _, _, _, operation in operations(spec):
        hidden = "authentication" in operation.get("tags", ())
        for status, response in operation.get("responses", {}).items():
            if hidden or not status.startswith("2"):
                for node in _content(spec, response):
                    yield from map(schema_name, references(node))
        if hidden:
            for node in _content(spec, operation.get("requestBody", {})):
                yield from map(schema_name, references(node))


def _bodies(spec: Json) -> Iterator[str]:
    for _, _, _, operation in operations(spec):
        for node in _content(spec, operation.get("requestBody", {})):
            yield from map(schema_name, references(node))


def _content(spec: Json, holder: Json) -> Iterator[Json]:
    """Yield the schemas of a request body or a response."""
    for media in resolve(spec, holder).get("content", {}).values():
        if "schema" in media:
            yield media["schema"]


def _closure(spec: Json, name: str, seen: set[str] | None = None) -> set[str]:
    """Return all schema names inside a schema, at any depth. Its own name counts only if it contains itself."""
    seen = set() if seen is None else seen
    for reference in references(schemas(spec).get(name, {})):
        inner = schema_name(reference)
        if inner not in seen:
            seen.add(inner)
            _closure(spec, inner, seen)
    return seen
