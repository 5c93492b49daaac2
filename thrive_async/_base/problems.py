"""Values of replies that are not what the specification says: what is known of them, without the values."""

import logging
from collections.abc import Iterator, Mapping
from threading import Lock
from types import MappingProxyType
from typing import Final
from weakref import ref

import attrs

_log: Final = logging.getLogger("thrive_async")


@attrs.frozen
class Problem:
    """The values at one place of Thrive's replies that are not what the specification says. Holds no value.

    Attributes:
        expected: What the specification says, such as "a date and time".
        came: What came instead -> how often, such as `{"a blank string": 12, "a number": 1}`.
        lost: How many of these values could not be read. The field is None, or the item is left out of its list. The
            others were read without a loss: `"5"` for a number, a blank string for null.
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
        """Return this problem and another one at the same place as one."""
        came = dict(self.came)
        for what, times in other.came.items():
            came[what] = came.get(what, 0) + times
        expected = " or ".join(dict.fromkeys((*self.expected.split(" or "), *other.expected.split(" or "))))
        operations = tuple(dict.fromkeys((*self.operations, *other.operations)))
        return Problem(expected, came, self.lost + other.lost, operations)


class Found:
    """What one reply held that is not what the specification says, by the path from where its reading began."""

    __slots__ = ("_counts", "skipped")

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], list[int]] = {}
        self.skipped = 0
        """How many items of the list were null."""

    def skip(self) -> None:
        """Count a null in a list of records, where nothing but the place is lost."""
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


class Ledger(Mapping[str, Problem]):
    """The problems of all replies that a client has read, by path; each is logged once, without a value.

    Args:
        strict: Whether a value that is not what the specification says is an error instead.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._problems: dict[str, Problem] = {}
        self._logged: set[tuple[str, str]] = set()
        self._lock = Lock()

    def found(self) -> Found | None:
        """Return where the problems of one reply go; None if the first of them is an error."""
        return None if self.strict else Found()

    def add(self, found: Found | None, operation: str, root: str) -> Mapping[str, Problem]:
        """Take over what one reply held, log what is new, and return its problems by path."""
        if not found:
            return _NOTHING
        problems = found.problems(operation, root)
        with self._lock:
            new = [path for path in problems if (operation, path) not in self._logged]
            self._logged.update((operation, path) for path in new)
            for path, problem in problems.items():
                before = self._problems.get(path)
                self._problems[path] = problem if before is None else before.joined(problem)
        for path in new:
            _log.warning("%s: %s in the reply is odd: %s", operation, path, problems[path])
        return MappingProxyType(problems)

    def __getitem__(self, path: str) -> Problem:
        return self._problems[path]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._problems))

    def __len__(self) -> int:
        return len(self._problems)

    def __repr__(self) -> str:
        return repr(self._problems)


_NOTHING: Final[Mapping[str, Problem]] = MappingProxyType({})

# Beside the models: a slot for it would cost the reading of every record. By identity, since models have no hash.
_unread: dict[int, tuple["ref[object]", frozenset[str]]] = {}


def remember_unread(record: object, fields: frozenset[str]) -> None:
    """Keep which fields of a record could not be read, for as long as the record lives."""
    key = id(record)
    _unread[key] = ref(record, lambda _: _unread.pop(key, None)), fields


def unread(record: object) -> frozenset[str]:
    """Return the fields of a record that hold less than Thrive sent, because something in them could not be read.

    Such a field is None, or something inside it is missing. Never take it for an empty one. A copy of a record does
    not know this.

    Args:
        record: A model that was read, such as a `User`.

    Returns:
        The names of the fields, such as `{"positions", "created_at"}`; nearly always empty.

    Example:
        >>> from thrive_async.models import Tag
        >>> unread(Tag(id="a"))
        frozenset()
    """
    known = _unread.get(id(record))
    return known[1] if known is not None and known[0]() is record else frozenset()
