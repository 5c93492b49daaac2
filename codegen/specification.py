"""Read the specification: parse its YAML, follow references, and find its parts."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import yaml

Json = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class SpecificationError(Exception):
    """The specification does not allow code to be generated. The text says where and why."""


class _Loader(yaml.SafeLoader):
    """YAML with only the types of JSON: no dates, no `yes` and `no`, and no duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise SpecificationError(f"line {line}: duplicate key {key!r}")
            seen.add(key)
        return {str(key): value for key, value in super().construct_mapping(node, deep=deep).items()}


def _json_resolvers() -> dict[str, list[tuple[str, Any]]]:
    """The loader's rules for plain scalars, except for types that JSON does not have."""
    import re  # noqa: PLC0415

    unwanted = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool"}
    kept = {
        first: [(tag, rule) for tag, rule in rules if tag not in unwanted]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for first in "tf":
        kept.setdefault(first, []).append(("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$")))
    return kept


_Loader.yaml_implicit_resolvers = _json_resolvers()


def parse(text: str) -> Json:
    """Turn the YAML text of a specification into plain data.

    Args:
        text: An OpenAPI 3.1 document.

    Returns:
        The document. Every key is a string, and dates and times stay strings.

    Raises:
        SpecificationError: The text is not valid YAML, is not a mapping, or has a duplicate key.
    """
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise SpecificationError(f"not YAML: {error}") from None
    if not isinstance(document, dict):
        raise SpecificationError("not a mapping")
    return cast("Json", document)


def resolve(spec: Json, node: Json) -> Json:
    """Follow `$ref` until the end.

    Args:
        spec: The whole specification.
        node: An object in it, perhaps a reference.

    Returns:
        The target of the reference, or the object itself.

    Raises:
        SpecificationError: A reference leads nowhere, outside the document, or in a circle.
    """
    seen: set[str] = set()
    while "$ref" in node:
        reference: str = node["$ref"]
        if reference in seen:
            raise SpecificationError(f"{reference} leads in a circle")
        seen.add(reference)
        if not reference.startswith("#/"):
            raise SpecificationError(f"{reference} leads outside the document")
        target: Any = spec
        for part in reference[2:].split("/"):
            target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(target, dict):
            raise SpecificationError(f"{reference} leads nowhere")
        node = cast("Json", target)
    return node


def schema_name(reference: str) -> str:
    """Return the name at the end of `#/components/schemas/Name`."""
    return reference.rpartition("/")[2]


def schemas(spec: Json) -> dict[str, Json]:
    """Return all named schemas of a specification, in its order."""
    components: Json = spec.get("components") or {}
    return components.get("schemas") or {}


def operations(spec: Json) -> Iterator[tuple[str, str, Json, Json]]:
    """Yield all operations as (path, method, path item, operation), in the specification's order."""
    paths: Json = spec.get("paths") or {}
    for path, item in paths.items():
        for method in METHODS:
            if method in item:
                yield path, method, item, item[method]


def references(node: object) -> Iterator[str]:
    """Yield every `$ref` in a part of the specification, in its order."""
    if isinstance(node, Mapping):
        for key, value in cast("Mapping[str, object]", node).items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            yield from references(value)
