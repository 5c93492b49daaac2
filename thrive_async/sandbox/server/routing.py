"""Find the operation for a method and path."""

from typing import Final
from urllib.parse import unquote

from thrive_async._generated.operations import OPERATIONS, Operation

__all__ = ["allowed", "match"]


def _table() -> dict[tuple[str, int], list[tuple[Operation, tuple[str, ...]]]]:
    table: dict[tuple[str, int], list[tuple[Operation, tuple[str, ...]]]] = {}
    for operation in OPERATIONS.values():
        parts = tuple(operation.path.strip("/").split("/"))
        table.setdefault((operation.method, len(parts)), []).append((operation, parts))
    for candidates in table.values():
        # Try literal segments before parameters: /users/ref/{ref} before /users/{userId}/...
        candidates.sort(key=lambda one: [part.startswith("{") for part in one[1]])
    return table


_TABLE: Final = _table()


def _parts(path: str) -> list[str]:
    """Split an encoded path into segments, ignoring one slash at the end."""
    return path.removeprefix("/").removesuffix("/").split("/")


def match(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """Find the operation of a request and its decoded path parameters.

    Args:
        method: The HTTP method.
        path: The path as sent, still encoded, so that an encoded slash stays inside its segment.

    Returns:
        The operation and its parameters, or None if no operation matches.
    """
    parts = _parts(path)
    for operation, template in _TABLE.get((method, len(parts)), ()):
        values = _fit(template, parts)
        if values is not None:
            return operation, values
    return None


def allowed(path: str) -> list[str]:
    """Return the methods that the path accepts."""
    parts = _parts(path)
    return sorted(
        {
            operation.method
            for (_, length), candidates in _TABLE.items()
            if length == len(parts)
            for operation, template in candidates
            if _fit(template, parts) is not None
        }
    )


def _fit(template: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for expected, part in zip(template, parts, strict=True):
        if expected.startswith("{"):
            if not part:
                return None
            try:
                values[expected[1:-1]] = unquote(part, errors="strict")
            except UnicodeDecodeError:
                return None
        elif expected != part:
            return None
    return values
