"""The pre-pass: from the schemas of the specification to the classes to generate.

It takes plain data, returns `Shapes`, and does no I/O. It decides what datamodel-code-generator cannot know: which
schemas become classes, which of them are for requests (UNSET, checks) and which for replies, what an open enum is, and
where null and "left out" differ. The generator then gets schemas so simple that their types come out right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from codegen.checks import Check, check_of
from codegen.selection import Kind, select
from codegen.specification import Json, SpecificationError, resolve, schema_name, schemas

EXTRA = "additionalProperties"
"""A class keeps the extra fields that its schema allows under this name."""

ANYTHING = Check("anything")

_NUMBERS = ("integer", "number")
_OTHER_KEYWORDS = ("not", "if", "prefixItems", "patternProperties", "discriminator")


@dataclass(frozen=True)
class Shape:
    """The type of one value: the schema for the generator, and whether null is allowed."""

    schema: Json
    nullable: bool = False
    check: Check = ANYTHING


@dataclass(frozen=True)
class FieldShape:
    """A field of a class."""

    shape: Shape
    required: bool
    description: str
    evidence: str = ""


@dataclass
class ClassShape:
    """A class with fields."""

    name: str
    kind: Kind
    description: str
    fields: dict[str, FieldShape]
    bare: str | None = None
    mixin: str | None = None


@dataclass(frozen=True)
class EnumShape:
    """An open enum."""

    name: str
    description: str
    values: tuple[str, ...]


@dataclass
class Shapes:
    """Everything to generate."""

    classes: dict[str, ClassShape] = field(default_factory=dict[str, ClassShape])
    enums: dict[str, EnumShape] = field(default_factory=dict[str, EnumShape])


def shapes_of(spec: Json) -> Shapes:
    """Decide what to generate from a specification.

    Args:
        spec: A parsed OpenAPI 3.1 document.

    Returns:
        The classes and enums, in the order of the specification.

    Raises:
        SpecificationError: A schema cannot become a class.
    """
    selection = select(spec)
    reader = _Reader(spec)
    for name, kind in selection.items():
        node = schemas(spec)[name]
        if "$ref" in node:
            continue  # an alias: its class comes from the other schema
        if reader.enum_values(node) is not None:
            reader.enum(name, node)
        elif reader.is_object(node):
            reader.class_(name, node, kind)
    return reader.shapes


class _Reader:
    """One pass over a specification."""

    def __init__(self, spec: Json) -> None:
        self.spec = spec
        self.shapes = Shapes()

    # Whole schemas

    def merged(self, node: Json, where: str) -> Json:
        """Return a schema with its `allOf` and references resolved."""
        node = resolve(self.spec, node)
        if "allOf" not in node:
            return node
        whole: Json = {"type": "object", "properties": {}, "required": []}
        own = {key: value for key, value in node.items() if key != "allOf"}
        for part in [*node["allOf"], own]:
            merged = self.merged(part, where)
            if merged.get("type", "object") != "object":
                raise SpecificationError(f"{where}: allOf of something that is not an object")
            whole["properties"] |= merged.get("properties", {})
            whole["required"] += [name for name in merged.get("required", []) if name not in whole["required"]]
            whole |= {key: value for key, value in merged.items() if key not in ("properties", "required")}
        return whole

    def is_object(self, node: Json) -> bool:
        """Return whether a schema has named fields, and so becomes a class."""
        node = resolve(self.spec, node)
        return "properties" in node or any(self.is_object(part) for part in node.get("allOf", ()))

    def enum_values(self, node: Json) -> tuple[str, ...] | None:
        """Return the values of an enum, closed (`enum`) or open (`anyOf` of a closed one and a string)."""
        node = resolve(self.spec, node)
        if "enum" in node:
            values = [value for value in node["enum"] if value is not None]
            return tuple(values) if all(isinstance(value, str) for value in values) else None
        options = [resolve(self.spec, option) for option in node.get("anyOf", ())]
        if len(options) == 2 and {"type": "string"} in [_bare(option) for option in options]:
            closed = [option for option in options if "enum" in option]
            if closed:
                return self.enum_values(closed[0])
        return None

    def enum(self, name: str, node: Json) -> str:
        """Add an enum. The closed and the open schema of one name are one class."""
        opened = name.removeprefix("Known")
        pair = f"Known{opened}"
        known = schemas(self.spec)
        if name == pair and opened in known and self.enum_values(known[opened]) is not None:
            name, node = opened, known[opened]
        values = self.enum_values(node)
        if not values:
            raise SpecificationError(f"{name}: an enum without strings")
        options: list[Json] = [node, *(resolve(self.spec, option) for option in node.get("anyOf", ()))]
        text = next((option["description"] for option in options if "description" in option), "")
        self.shapes.enums.setdefault(name, EnumShape(name, text, values))
        return name

    def class_(self, name: str, node: Json, kind: Kind) -> None:
        """Add a class, and the classes inside it."""
        known = self.shapes.classes.get(name)
        if known is not None:
            if known.kind != kind:
                raise SpecificationError(f"{name}: used in both requests and replies: make it two schemas")
            return
        whole = self.merged(node, name)
        required: list[str] = whole.get("required", [])
        bare, mixin = whole.get("x-thrive-bare"), whole.get("x-thrive-mixin")
        result = ClassShape(name, kind, whole.get("description", ""), {}, bare, mixin)
        self.shapes.classes[name] = result
        properties: dict[str, Json] = whole.get("properties", {})
        for missing in set(required) - set(properties):
            raise SpecificationError(f"{name}: requires {missing!r}, which it does not describe")
        for wire, child in properties.items():
            shape = self.shape(child, f"{name}.{wire}", kind, name + wire[:1].upper() + wire[1:])
            text = _description(child)
            evidence = str(child.get("x-thrive-evidence", "") if isinstance(child, dict) else "")  # pyright: ignore[reportUnnecessaryIsInstance] - a schema may be True
            result.fields[wire] = FieldShape(shape, wire in required, text, evidence)
        extra = whole.get("additionalProperties")
        if isinstance(extra, dict) and extra:
            if EXTRA in result.fields:
                raise SpecificationError(f"{name}: has both typed additionalProperties and a field of that name")
            mapping: Json = {"type": "object", "additionalProperties": extra}
            shape = self.shape(mapping, f"{name}.*", kind, name + "Extra")
            text = "The object's other fields, by name."
            result.fields[EXTRA] = FieldShape(shape, required=False, description=text)
        if result.bare is not None and result.bare not in result.fields:
            raise SpecificationError(f"{name}: x-thrive-bare names {result.bare!r}, which it does not have")

    # Single values

    def shape(self, node: Any, where: str, kind: Kind, suggestion: str) -> Shape:
        """Return the type of a value.

        Args:
            node: Its schema.
            where: The field, for errors.
            kind: Whether the class that holds it is for requests or replies.
            suggestion: The name of the class, if it needs one.
        """
        if node is True or node == {}:
            return Shape({})
        for keyword in _OTHER_KEYWORDS:
            if keyword in node:
                raise SpecificationError(f"{where}: the generator does not know {keyword!r}")
        if "$ref" in node:
            return self.referenced(node, where, kind, suggestion)
        if "allOf" in node and len(node["allOf"]) == 1 and not node.get("properties"):
            return self.shape(node["allOf"][0], where, kind, suggestion)
        if "const" in node:
            return Shape({"const": node["const"]}, check=Check("exactly", (repr(node["const"]),)))
        if self.enum_values(node) is not None:
            name = self.enum(suggestion, node)
            nullable = None in node.get("enum", ()) or "null" in _types(node)
            return self._enum_shape(name, kind, nullable=nullable)
        options = node.get("anyOf") or node.get("oneOf")
        if options:
            return self.union(options, where, kind, suggestion)
        if self.is_object(node) and "null" not in _types(node):
            self.class_(suggestion, node, kind)
            return self._class_shape(suggestion)
        types = _types(node)
        plain = [name for name in types if name != "null"]
        if len(types) > 1:
            return self.union([{**node, "type": name} for name in types], where, kind, suggestion)
        if not plain:
            return Shape({}, nullable="null" in types)
        return self.single(plain[0], node, where, kind, suggestion)

    def single(self, name: str, node: Json, where: str, kind: Kind, suggestion: str) -> Shape:
        """Return the type of a value of one JSON type."""
        if name == "string":
            simple: Json = {"type": "string"}
            if node.get("format") in ("date", "date-time"):
                simple["format"] = node["format"]
            return Shape(simple, check=check_of(node))
        if name in _NUMBERS or name == "boolean":
            return Shape({"type": name}, check=check_of(node))
        if name == "array":
            each = self.shape(node.get("items", {}), f"{where}[]", kind, suggestion + "Item")
            check = check_of(node, each.check.or_null() if each.nullable else each.check)
            return Shape({"type": "array", "items": _with_null(each)}, check=check)
        if name == "object":
            values = node.get("additionalProperties", True)
            if values is False:
                raise SpecificationError(f"{where}: an object that allows no fields")
            each = self.shape(values, f"{where}.*", kind, suggestion + "Value")
            check = Check("mapping", (str(each.check.or_null() if each.nullable else each.check),))
            simple = {"type": "object", "additionalProperties": _with_null(each) or True}
            return Shape(simple, check=check)
        raise SpecificationError(f"{where}: unknown type {name!r}")

    def referenced(self, node: Json, where: str, kind: Kind, suggestion: str) -> Shape:
        """Return the type of a named schema: a class, an enum, or an alias for something simpler."""
        name = schema_name(node["$ref"])
        target = resolve(self.spec, {"$ref": node["$ref"]})
        if self.enum_values(target) is not None:
            return self._enum_shape(self.enum(name, target), kind, nullable=None in target.get("enum", ()))
        if self.is_object(target):
            while "$ref" in (schema := schemas(self.spec).get(name, {})):  # an alias
                name = schema_name(schema["$ref"])
            self.class_(name, target, kind)
            return self._class_shape(name)
        return self.shape(target, where, kind, suggestion)

    def union(self, options: Iterable[Any], where: str, kind: Kind, suggestion: str) -> Shape:
        """Return the type of a value with several types, which may include null."""
        found: list[Shape] = []
        nullable = False
        for option in options:
            if option.get("type") == "null":
                nullable = True
                continue
            shape = self.shape(option, where, kind, suggestion)
            nullable = nullable or shape.nullable
            if shape.schema not in [known.schema for known in found]:
                found.append(shape)
        found = self._without_bare_strings(found)
        if not found:
            return Shape({}, nullable=nullable)
        if len(found) == 1:
            return Shape(found[0].schema, nullable, found[0].check)
        check = Check("either", tuple(str(shape.check) for shape in found))
        return Shape({"anyOf": [shape.schema for shape in found]}, nullable, check)

    def _without_bare_strings(self, found: list[Shape]) -> list[Shape]:
        """Remove the string that stands for an object when Thrive sends only the id."""
        bare = any(
            self.shapes.classes[schema_name(shape.schema["$ref"])].bare
            for shape in found
            if schema_name(shape.schema.get("$ref", "")) in self.shapes.classes
        )
        return [shape for shape in found if not (bare and shape.schema == {"type": "string"})]

    def _class_shape(self, name: str) -> Shape:
        return Shape(_ref(name), check=Check("nested", (name,)))

    def _enum_shape(self, name: str, kind: Kind, *, nullable: bool) -> Shape:
        # A request also accepts the plain string; a reply always has the enum.
        schema = _ref(name) if kind == "read" else {"anyOf": [_ref(name), {"type": "string"}]}
        return Shape(schema, nullable, Check("choice", (name,)))


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _bare(node: Mapping[str, Any]) -> Json:
    """Return a schema without its annotations."""
    return {key: value for key, value in node.items() if key != "description" and not key.startswith("x-")}


def _types(node: Json) -> list[str]:
    types = node.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _with_null(shape: Shape) -> Json:
    return {"anyOf": [shape.schema, {"type": "null"}]} if shape.nullable and shape.schema else shape.schema


def _description(node: Any) -> str:
    return node.get("description", "") if isinstance(node, dict) else ""  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
