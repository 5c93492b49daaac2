"""Write the checks of request models as Python for the generated models."""

from dataclasses import dataclass, field
from typing import Any

from codegen.specification import Json

MODULE = "_check"
"""The generated models import the checks under this name, because no field can have it."""


@dataclass(frozen=True)
class Check:
    """A call of one of the checks in `thrive_async/_base/checks.py`."""

    name: str
    positional: tuple[str, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        keywords = [f"{key}={value!r}" for key, value in self.keywords.items()]
        return f"{MODULE}.{self.name}({', '.join([*self.positional, *keywords])})"

    def or_null(self) -> "Check":
        """The same check, but accepting None."""
        return Check("nullable", (str(self),))


_SIMPLE: dict[str, tuple[str, dict[str, str]]] = {
    # JSON type or format: (check, {keyword of the schema: argument of the check})
    "string": ("text", {"minLength": "min_length", "maxLength": "max_length"}),
    "integer": ("whole", {"minimum": "minimum", "maximum": "maximum"}),
    "number": ("number", {"minimum": "minimum", "maximum": "maximum"}),
    "array": ("items", {"minItems": "min_items", "maxItems": "max_items"}),
    "boolean": ("flag", {}),
    "date-time": ("moment", {}),
    "date": ("day", {}),
}


def check_of(node: Json, each: Check | None = None) -> Check:
    """Return the check for a value of one JSON type.

    Args:
        node: Its schema. `type` is one string.
        each: For an array, the check of its items.

    Returns:
        The call that makes the check.
    """
    kind = node["format"] if node.get("format") in ("date", "date-time") else node["type"]
    name, limits = _SIMPLE[kind]
    keywords = {argument: node[keyword] for keyword, argument in limits.items() if keyword in node}
    return Check(name, () if each is None else (str(each),), keywords)
