"""A share for the clients of one process."""

import asyncio
import math
import threading
import time
from typing import Final

from thrive_async.share._places import EMPTY, RowState, cooled, reserved
from thrive_async.share.protocol import Cipher, Place, Scope, Stored

__all__ = ["MemoryShare"]

_PRUNE_AFTER: Final = 1_000
"""Additions between two clean-ups of what has expired."""


class MemoryShare:
    """Shares places, cool-down, tokens and leases between the clients of one process, in any of its threads.

    Example:
        ```python
        share = MemoryShare()
        ```
    """

    tokens: bool | Cipher = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[Scope, RowState] = {}
        self._values: dict[tuple[Scope, str], tuple[bytes, float]] = {}
        self._leases: dict[tuple[Scope, str], tuple[int, float]] = {}
        self._seen: dict[tuple[Scope, str], float] = {}
        self._fence = 0
        self._added = 0

    async def place(self, scope: Scope, *, rate: float | None, burst: int = 1, within: float = math.inf) -> Place:
        """Reserve the next place: see `Share.place`."""
        with self._lock:
            row, place = reserved(self._rows.get(scope, EMPTY), _now(), rate, burst, within)
            self._rows[scope] = row
        return place

    async def cool_down(self, scope: Scope, seconds: float) -> float:
        """Give out no place for some time: see `Share.cool_down`."""
        with self._lock:
            self._rows[scope], left = cooled(self._rows.get(scope, EMPTY), _now(), seconds)
        return left

    async def load(self, scope: Scope, name: str) -> Stored | None:
        """Return a value that is still kept: see `Share.load`."""
        with self._lock:
            value, ends = self._values.get((scope, name), (b"", 0.0))
        left = ends - _now()
        return Stored(value, left) if left > 0 else None

    async def store(self, scope: Scope, name: str, value: bytes, seconds: float) -> None:
        """Keep a value for some seconds: see `Share.store`."""
        with self._lock:
            self._values[scope, name] = (value, _now() + seconds)
            self._prune()

    async def forget(self, scope: Scope, name: str, value: bytes) -> None:
        """Drop a value if it is still this one: see `Share.forget`."""
        with self._lock:
            if self._values.get((scope, name), (b"", 0.0))[0] == value:
                self._values.pop((scope, name), None)

    async def take(self, scope: Scope, name: str, seconds: float) -> int | None:
        """Take a lease if it is free: see `Share.take`."""
        with self._lock:
            if self._leases.get((scope, name), (0, 0.0))[1] > _now():
                return None
            # Of the time, so that it also grows over a restart.
            self._fence = max(self._fence + 1, time.time_ns() // 1_000)
            self._leases[scope, name] = (self._fence, _now() + seconds)
            self._prune()
            return self._fence

    async def renew(self, scope: Scope, name: str, fence: int, seconds: float) -> bool:
        """Let a lease end later: see `Share.renew`."""
        with self._lock:
            holder, ends = self._leases.get((scope, name), (0, 0.0))
            if holder != fence or ends <= _now():
                return False
            self._leases[scope, name] = (fence, _now() + seconds)
            return True

    async def give_back(self, scope: Scope, name: str, fence: int) -> None:
        """End a lease that is still the holder's: see `Share.give_back`."""
        with self._lock:
            if self._leases.get((scope, name), (0, 0.0))[0] == fence:
                del self._leases[scope, name]

    async def seen(self, scope: Scope, key: str, seconds: float) -> bool:
        """Return whether a key was noted before, and note it: see `Share.seen`."""
        with self._lock:
            if self._seen.get((scope, key), 0.0) > _now():
                return True
            self._seen[scope, key] = _now() + seconds
            self._prune()
            return False

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    def _prune(self) -> None:
        self._added += 1
        if self._added % _PRUNE_AFTER:
            return
        now = _now()
        self._seen = {key: ends for key, ends in self._seen.items() if ends > now}
        self._values = {key: kept for key, kept in self._values.items() if kept[1] > now}
        self._leases = {key: held for key, held in self._leases.items() if held[1] > now}


def _now() -> float:
    # The loop's time is the system's monotonic clock, the same in all threads, and tests can replace it.
    return asyncio.get_running_loop().time()
