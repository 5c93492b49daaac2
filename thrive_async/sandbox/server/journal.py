"""The requests received, one entry each."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, overload
from urllib.parse import parse_qsl

import attrs
import orjson

__all__ = ["Journal", "RequestEntry"]


@attrs.define(kw_only=True, repr=False, eq=False)
class RequestEntry:
    """One request, as the server saw it.

    Attributes:
        operation: The operationId, or None if no operation matches.
        method: The HTTP method.
        path: The path as sent, still encoded, without the query.
        query: Query parameters as sent. A repeated name keeps its last value.
        raw: The body's bytes.
        headers: The request's headers by lower-case name, without `authorization`.
        at: When it arrived, in seconds on the loop's clock.
        attempt: 1 for a new request, and one more each time the same method, path, query and body arrive again without
            success in between.
        status: The status of the answer. None while the request is in progress, or if the connection was dropped.
        faults: The kinds of the faults that fired on it.
    """

    operation: str | None
    method: str
    path: str
    query: Mapping[str, str]
    raw: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    at: float
    attempt: int = 1
    status: int | None = None
    faults: list[str] = attrs.field(factory=list[str])

    @property
    def key(self) -> tuple[object, ...]:
        """What is equal in a request and its repeats."""
        return self.method, self.path, tuple(self.query.items()), self.raw

    @property
    def body(self) -> Any:
        """The body: decoded JSON, a dict of strings for a form, bytes for anything else, None if there is no body."""
        if not self.raw:
            return None
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(self.raw.decode(errors="replace"), keep_blank_values=True))
        try:
            return orjson.loads(self.raw)
        except orjson.JSONDecodeError:
            return self.raw

    def __repr__(self) -> str:
        # Leave out path, query and body, because they name people.
        return f"<{self.operation or self.method} #{self.attempt} at {self.at:.3f}: {self.status}>"


class Journal(Sequence[RequestEntry]):
    """The requests of a sandbox, in order of arrival.

    Args:
        size: How many of the latest requests to keep, or None for all.
    """

    def __init__(self, size: int | None = None) -> None:
        self._entries: deque[RequestEntry] = deque(maxlen=size)
        self._attempts: dict[tuple[object, ...], int] = {}
        self.total: int = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[RequestEntry]:
        return iter(tuple(self._entries))

    @overload
    def __getitem__(self, index: int) -> RequestEntry: ...
    @overload
    def __getitem__(self, index: slice) -> list[RequestEntry]: ...
    def __getitem__(self, index: int | slice) -> RequestEntry | list[RequestEntry]:
        return list(self._entries)[index] if isinstance(index, slice) else self._entries[index]

    def of(self, operation: str) -> list[RequestEntry]:
        """Return the requests of one operation, or of all operations that match a pattern such as "*Members"."""
        return [entry for entry in self._entries if entry.operation and fnmatchcase(entry.operation, operation)]

    def clear(self) -> None:
        """Forget all entries, and the counts of attempts."""
        self._entries.clear()
        self._attempts.clear()

    def add(self, entry: RequestEntry) -> None:
        """Add an entry when its request arrives, and count the attempt."""
        entry.attempt = self._attempts[entry.key] = self._attempts.get(entry.key, 0) + 1
        if len(self._entries) == self._entries.maxlen:
            self._forget(self._entries[0])
        self._entries.append(entry)
        self.total += 1

    def _forget(self, oldest: RequestEntry) -> None:
        """Drop the attempt count of an entry that leaves, unless a later repeat still needs it."""
        if self._attempts.get(oldest.key) == oldest.attempt:
            del self._attempts[oldest.key]

    def settle(self, entry: RequestEntry, *, success: bool) -> None:
        """Record the answer to a request. After a success, the same request counts as new."""
        if success:
            self._attempts.pop(entry.key, None)
