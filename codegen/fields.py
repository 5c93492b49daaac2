"""Parse the printed models: the classes, fields and types that the readers need."""

import ast
from dataclasses import dataclass
from typing import Any, Literal

from codegen.specification import SpecificationError

Tag = Literal[
    "str", "bool", "int", "float", "datetime", "date", "any", "model", "enum", "list", "dict", "const", "union"
]


@dataclass(frozen=True)
class Type:
    """A type in the models: its kind, its inner types, and whether it allows None."""

    tag: Tag
    name: str = ""
    of: tuple["Type", ...] = ()
    constants: tuple[Any, ...] = ()
    nullable: bool = False


@dataclass(frozen=True)
class Field:
    """A field of a model: its name in Python, its name in JSON, its type."""

    name: str
    wire: str
    type: Type
    required: bool


@dataclass(frozen=True)
class Module:
    """The contents of a module of models."""

    classes: dict[str, tuple[Field, ...]]
    enums: tuple[str, ...]


_LEAVES: dict[str, Tag] = {"str": "str", "bool": "bool", "int": "int", "float": "float", "Any": "any"}


def parse_models(source: str) -> Module:
    """Find the classes of a printed module.

    Args:
        source: The output of `print_models`.

    Returns:
        Its classes and enums, in order.

    Raises:
        SpecificationError: A type cannot be read.
    """
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    enums = tuple(node.name for node in classes if ast.unparse(node.bases[0]) == "OpenStrEnum")
    aliases = {
        alias.asname or alias.name: alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "datetime"
        for alias in node.names
    }
    parser = _Types({node.name for node in classes} - set(enums), set(enums), aliases)
    models = {
        node.name: tuple(parser.field(line) for line in node.body if isinstance(line, ast.AnnAssign))
        for node in classes
        if node.name not in enums
    }
    return Module(models, enums)


@dataclass
class _Types:
    models: set[str]
    enums: set[str]
    aliases: dict[str, str]

    def field(self, node: ast.AnnAssign) -> Field:
        name = ast.unparse(node.target)
        wire, required = name, node.value is None
        if isinstance(node.value, ast.Call):
            given = {keyword.arg: keyword.value for keyword in node.value.keywords}
            required = not {"default", "factory"} & set(given)
            if "metadata" in given:
                wire = ast.literal_eval(given["metadata"])["json"]
        return Field(name, wire, self.type(node.annotation), required)

    def type(self, node: ast.expr) -> Type:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self.type(ast.parse(node.value, mode="eval").body)
        if isinstance(node, ast.BinOp):
            return self._union([part for part in _parts(node) if ast.unparse(part) != "Unset"])
        text = ast.unparse(node)
        if text in _LEAVES:
            return Type(_LEAVES[text])
        if text in self.aliases:
            return Type("datetime" if self.aliases[text] == "datetime" else "date")
        if text in self.models:
            return Type("model", text)
        if text in self.enums:
            return Type("enum", text)
        if isinstance(node, ast.Subscript):
            outer = ast.unparse(node.value)
            if outer == "list":
                return Type("list", of=(self.type(node.slice),))
            if outer == "dict" and isinstance(node.slice, ast.Tuple):
                return Type("dict", of=(self.type(node.slice.elts[1]),))
            if outer == "Literal":
                return Type("const", constants=_constants(node.slice))
        raise SpecificationError(f"no way to read the type {text}")

    def _union(self, parts: list[ast.expr]) -> Type:
        types = [self.type(part) for part in parts if ast.unparse(part) != "None"]
        nullable = len(types) < len(parts)
        if len(types) == 1:
            only = types[0]
            return Type(only.tag, only.name, only.of, only.constants, nullable)
        return Type("union", of=tuple(types), nullable=nullable)


def _parts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [*_parts(node.left), *_parts(node.right)]
    return [node]


def _constants(node: ast.expr) -> tuple[Any, ...]:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return tuple(ast.literal_eval(part) for part in parts)
