"""Values as cells of a CSV, for the command line and for `contrib`."""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

__all__ = ["cell", "guard_cell", "pick", "unguard_cell"]

T = TypeVar("T")

# What makes a spreadsheet compute a cell (OWASP, "CSV injection"), the full-width forms included.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def guard_cell(value: T) -> T | str:
    """Make a CSV cell safe to open in a spreadsheet: text that starts like a formula gets an apostrophe before it.

    Args:
        value: The cell. Only strings change, so that a negative number stays a number.

    Returns:
        The cell as it is written.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def unguard_cell(value: str) -> str:
    """Remove the apostrophe that `guard_cell` wrote, so that `thrive` reads back the files it writes.

    Args:
        value: The cell as read.

    Returns:
        The cell as it was before it was guarded.
    """
    return value[1:] if value.startswith("'") and value[1:].startswith(_FORMULA) else value


def cell(value: object) -> str:
    """Write one value as text: null and empty containers as nothing, lists of texts with "; ", the rest as JSON."""
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value)):
        return "; ".join(cast("list[str]", value))
    return json.dumps(value, ensure_ascii=False)


def pick(item: Mapping[str, Any], name: str) -> object:
    """Follow a dotted name into nested objects; a name that is missing is None."""
    value: Any = item
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, Any]", value).get(part)
    return value
