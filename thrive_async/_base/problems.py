"""Values in replies that do not match the specification: where and how, without the values themselves."""

import logging
from collections.abc import Iterator, Mapping
from functools import reduce
from threading import Lock
from types import MappingProxyType
from typing import Final
from weakref import ref

import attrs

_log: Final = logging.getLogger("thrive_async")


@attrs.frozen
class Problem:
    """The values at one place in Thrive's replies that do not match the specification. It keeps no values.

    Attributes:
        expected: What the specification requires, such as "a date and time".
        came: What Thrive sent instead, and how often, such as `{"a blank string": 12, "a number": 1}`.
        lost: How many of these values could not be read: the field is None, or the item is missing from its list. The
            others were read without loss, such as `"5"` for a number or a blank string for null.
        operations: The operationIds of the calls.
    """

    expected: str
    came: Mapping[str, int]
    lost: int
    operations: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.came.values())

    def __str__(self) -> str:
        came = ", ".join(f"{what} ({times:,} times)" if times > 1 else what for what, times in self.came.items())
        return f"expected {self.expected}, not {came}; {self.lost:,} of {self.count:,} could not be read"

    def joined(self, other: "Problem") -> "Problem":
        """Merge this problem with another at the same place."""
        came = dict(self.came)
        for what, times in other.came.items():
            came[what] = came.get(what, 0) + times
        expected = " or ".join(dict.fromkeys((*self.expected.split(" or "), *other.expected.split(" or "))))
        operations = tuple(dict.fromkeys((*self.operations, *other.operations)))
        return Problem(expected, came, self.lost + other.lost, operations)


class Found:
    """The problems of one reply, by path from where reading began."""

    __slots__ = ("_counts", "skipped")

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], list[int]] = {}
        self.skipped: int = 0
        """How many items of the list were null."""

    def skip(self) -> None:
        """Count a null in a list of records, where only the place is lost."""
        self.skipped += 1
        self.add("[]", "an object", "null", lost=False)

    def add(self, path: str, expected: str, came: str, *, lost: bool) -> None:
        """Count one value."""
        counts = self._counts.setdefault((path, expected, came), [0, 0])
        counts[0] += 1
        counts[1] += lost

    def problems(self, operation: str, root: str) -> dict[str, Problem]:
        """Return the problems by path.

        Args:
            operation: The operationId of the call.
            root: The path at which the reading began.
        """
        found: dict[str, Problem] = {}
        for (path, expected, came), (count, lost) in self._counts.items():
            one = Problem(expected, {came: count}, lost, (operation,) if operation else ())
            before = found.get(root + path)
            found[root + path] = one if before is None else before.joined(one)
        return found

    def __bool__(self) -> bool:
        return bool(self._counts)


class Problems(Mapping[str, Problem]):
    """The values in a client's replies that do not match the specification, by path. Empty if all is well.

    The mapping grows with each reply, and each path of an operation is logged once, as a warning. A path such as
    `$.results[].positions[].startDate` has no index, and no values are kept, so that you can safely share the report.

    Args:
        strict: Whether to raise an error for such a value instead.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict: bool = strict
        self._found: dict[tuple[str, str], Problem] = {}
        self._lock = Lock()

    def found(self) -> Found | None:
        """Return where to collect the problems of one reply, or None if the first of them is an error."""
        return None if self.strict else Found()

    def add(self, found: Found | None, operation: str, root: str) -> Mapping[str, Problem]:
        """Add the problems of one reply, log the new ones, and return them by path."""
        if not found:
            return _NOTHING
        problems = found.problems(operation, root)
        for path, problem in problems.items():
            with self._lock:
                before = self._found.get((operation, path))
                self._found[operation, path] = problem if before is None else before.joined(problem)
            if before is None:
                _log.warning("%s: %s does not match the specification: %s", operation, path, problem)
        return MappingProxyType(problems)

    def each(self) -> list[tuple[str, str, Problem]]:
        """Return (operationId, path, problem) for each path of each operation."""
        return [(operation, path, problem) for (operation, path), problem in tuple(self._found.items())]

    def __getitem__(self, path: str) -> Problem:
        problems = [problem for _, where, problem in self.each() if where == path]
        if not problems:
            raise KeyError(path)
        return reduce(Problem.joined, problems)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(path for _, path, _ in self.each()))

    def __len__(self) -> int:
        return len({path for _, path in self._found})

    def __repr__(self) -> str:
        return "\n".join(f"{operation} {path}: {problem}" for operation, path, problem in self.each()) or "no problems"


_NOTHING: Final[Mapping[str, Problem]] = MappingProxyType({})

# Kept outside the models, because a slot would slow down every record; by identity, because models have no hash.
_unread: dict[int, tuple["ref[object]", frozenset[str]]] = {}


def remember_unread(record: object, fields: frozenset[str]) -> None:
    """Remember which fields of a record could not be read, for as long as the record lives."""
    key = id(record)
    _unread[key] = ref(record, lambda _: _unread.pop(key, None)), fields


def unread(record: object) -> frozenset[str]:
    """Return the fields of a record that hold less than Thrive sent, because part of them could not be read.

    Such a field is None, or something inside it is missing. Do not treat it as empty. A copy of a record does not keep
    this information.

    Args:
        record: A model from a reply, such as a `User`.

    Returns:
        The names of the fields, such as `{"positions", "created_at"}`; nearly always empty.

    Example:
        >>> from thrive_async.models import Tag
        >>> unread(Tag(id="a"))
        frozenset()
    """
    known = _unread.get(id(record))
    return known[1] if known is not None and known[0]() is record else frozenset()
