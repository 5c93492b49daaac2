"""A share for the processes of one machine, in a folder. It needs the standard library only."""

import asyncio
import hashlib
import math
import os
import stat
import struct
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

from thrive_async.errors import ConfigurationError
from thrive_async.share._files import locked, opened, unlock
from thrive_async.share._places import EMPTY, RowState, cooled, reserved
from thrive_async.share.errors import ShareUnavailable
from thrive_async.share.protocol import Cipher, Place, Scope, Stored

if TYPE_CHECKING:
    import sqlite3

__all__ = ["FileShare"]

_Answer = TypeVar("_Answer")
_ROW: Final = struct.Struct("<ddd")
_OPEN_ROWS: Final = 64
"""Row files that stay open: a process with 1,000 tenants has few descriptors to spare."""
_POLL: Final = 0.0005
"""Seconds between two tries to lock a row. Others hold it for a few microseconds."""
_PATIENCE: Final = 5.0
"""Seconds after which a lock that stays busy counts as stuck."""
_TABLE: Final = (
    """CREATE TABLE IF NOT EXISTS kept (kind TEXT, scope TEXT, name TEXT, value BLOB, seconds REAL, ends REAL,
    PRIMARY KEY (kind, scope, name)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS kept_until ON kept (ends)",
)


class FileShare:
    """Shares places, cool-down, tokens and leases between the processes of one machine.

    Places are kept in one small file for each tenant, under a kernel lock that ends with its process. Everything else
    is in a SQLite database beside them.

    Args:
        folder: A folder on a local disk, such as `/run/thrive`; made for this account alone if it is missing. Files in
            it have the folder's permissions, so a folder of a group is shared by that group.
        tokens: Whether access tokens are stored: True, False, or a cipher that encrypts them first, such as a
            `cryptography.fernet.Fernet`. A stored token is a secret at rest.

    Raises:
        ConfigurationError: The folder cannot be used.

    Example:
        ```python
        share = FileShare("/run/thrive")
        ```
    """

    def __init__(self, folder: str | os.PathLike[str], *, tokens: bool | Cipher = True) -> None:
        self._folder = Path(folder).absolute()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._mode = stat.S_IMODE(self._folder.stat().st_mode) & 0o666
        except OSError as error:
            raise ConfigurationError(f"the share's folder {folder} cannot be used ({error.strerror})") from error
        self.tokens: bool | Cipher = tokens
        self._database = self._folder / "share.db"
        self._rows: dict[Scope, int] = {}
        self._pid = os.getpid()
        self._mutex = threading.Lock()

    def __repr__(self) -> str:
        return f"<FileShare {self._folder}>"

    async def place(self, scope: Scope, *, rate: float | None, burst: int = 1, within: float = math.inf) -> Place:
        """Reserve the next place: see `Share.place`."""
        return await self._on_row(scope, lambda row, now: reserved(row, now, rate, burst, within))

    async def cool_down(self, scope: Scope, seconds: float) -> float:
        """Give out no place for some time: see `Share.cool_down`."""
        return await self._on_row(scope, lambda row, now: cooled(row, now, seconds))

    async def load(self, scope: Scope, name: str) -> Stored | None:
        """Return a value that is still kept: see `Share.load`."""

        def load(kept: "_Kept") -> Stored | None:
            found = kept.get("value", scope, name)
            return None if found is None else Stored(found[0], found[1] - kept.now)

        return await self._on_kept(load)

    async def store(self, scope: Scope, name: str, value: bytes, seconds: float) -> None:
        """Keep a value for some seconds: see `Share.store`."""
        await self._on_kept(lambda kept: kept.put("value", scope, name, value, seconds))

    async def forget(self, scope: Scope, name: str, value: bytes) -> None:
        """Drop a value if it is still this one: see `Share.forget`."""
        await self._on_kept(lambda kept: kept.drop("value", scope, name, value))

    async def take(self, scope: Scope, name: str, seconds: float) -> int | None:
        """Take a lease if it is free: see `Share.take`."""

        def take(kept: "_Kept") -> int | None:
            if kept.get("lease", scope, name) is not None:
                return None
            last = kept.get("fence", scope, "")
            # Of the time, so that it also grows after the database was removed.
            fence = max(int(last[0]) + 1 if last else 0, time.time_ns() // 1_000)
            kept.put("fence", scope, "", b"%d" % fence, math.inf)
            kept.put("lease", scope, name, b"%d" % fence, seconds)
            return fence

        return await self._on_kept(take)

    async def renew(self, scope: Scope, name: str, fence: int, seconds: float) -> bool:
        """Let a lease end later: see `Share.renew`."""

        def renew(kept: "_Kept") -> bool:
            held = kept.get("lease", scope, name)
            if held is None or int(held[0]) != fence:
                return False
            kept.put("lease", scope, name, held[0], seconds)
            return True

        return await self._on_kept(renew)

    async def give_back(self, scope: Scope, name: str, fence: int) -> None:
        """End a lease that is still the holder's: see `Share.give_back`."""
        await self._on_kept(lambda kept: kept.drop("lease", scope, name, b"%d" % fence))

    async def seen(self, scope: Scope, key: str, seconds: float) -> bool:
        """Return whether a key was noted before, and note it: see `Share.seen`."""

        def seen(kept: "_Kept") -> bool:
            if kept.get("seen", scope, key) is not None:
                return True
            kept.put("seen", scope, key, b"", seconds)
            return False

        return await self._on_kept(seen)

    async def aclose(self) -> None:
        """Close the files. You can close the share twice, and still use it afterwards."""
        with self._mutex:
            while self._rows:
                os.close(self._rows.popitem()[1])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def _on_row(self, scope: Scope, change: Callable[[RowState, float], tuple[RowState, _Answer]]) -> _Answer:
        give_up = 0.0
        while True:
            try:
                # In the loop's own thread: it takes a few microseconds, a job in a thread a hundred.
                with self._mutex:
                    descriptor = self._row_file(scope)
                    if locked(descriptor):
                        try:
                            before = _read(descriptor)
                            after, answer = change(before, time.monotonic())
                            if after is not before:
                                _write(descriptor, after)
                            return answer
                        finally:
                            unlock(descriptor)
            except OSError as error:
                raise ShareUnavailable(f"the share's folder {self._folder} cannot be used ({error})") from error
            now = time.monotonic()
            give_up = give_up or now + _PATIENCE
            if now > give_up:
                raise ShareUnavailable(f"a process has kept {self._folder} locked for {_PATIENCE:g} s: is it stopped?")
            await asyncio.sleep(_POLL)

    def _row_file(self, scope: Scope) -> int:
        if self._pid != os.getpid():
            # A fork: parent and child would share one lock.
            self._pid = os.getpid()
            while self._rows:
                os.close(self._rows.popitem()[1])
        descriptor = self._rows.get(scope)
        if descriptor is None:
            if len(self._rows) >= _OPEN_ROWS:
                os.close(self._rows.pop(next(iter(self._rows))))
            name = hashlib.sha256(str(scope).encode()).hexdigest()[:32]
            descriptor = self._rows[scope] = opened(self._folder / f"{name}.row", self._mode)
        return descriptor

    async def _on_kept(self, step: Callable[["_Kept"], _Answer]) -> _Answer:
        return await asyncio.to_thread(self._in_transaction, step)

    def _in_transaction(self, step: Callable[["_Kept"], _Answer]) -> _Answer:
        import sqlite3  # noqa: PLC0415 - 3 ms that importing the package need not take

        # A connection for each step: it belongs to no thread, and is never inherited by a fork.
        try:
            if not self._database.exists():
                # With the folder's permissions, which SQLite then gives to its journal, too.
                os.close(opened(self._database, self._mode))
            with closing(sqlite3.connect(self._database, timeout=_PATIENCE, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in _TABLE:
                    connection.execute(statement)
                answer = step(_Kept(connection))
                connection.execute("COMMIT")
                return answer
        except (OSError, sqlite3.Error) as error:
            raise ShareUnavailable(f"the share's database {self._database} cannot be used ({error})") from error


class _Kept:
    """The rows of the database, in one transaction.

    Times are those of the machine's monotonic clock. A row that ends impossibly late was written before a restart.
    """

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._connection = connection
        self.now = time.monotonic()

    def get(self, kind: str, scope: Scope, name: str) -> tuple[bytes, float] | None:
        """Return a value and when it ends."""
        found: tuple[bytes, float] | None = self._connection.execute(
            "SELECT value, ends FROM kept "
            "WHERE kind = ? AND scope = ? AND name = ? AND ends > ? AND ends - ? <= seconds",
            (kind, str(scope), name, self.now, self.now),
        ).fetchone()
        return found

    def put(self, kind: str, scope: Scope, name: str, value: bytes, seconds: float) -> None:
        """Keep a value, and drop all that have ended."""
        self._connection.execute("DELETE FROM kept WHERE ends <= ?", (self.now,))
        self._connection.execute(
            "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?)",
            (kind, str(scope), name, value, seconds, self.now + seconds),
        )

    def drop(self, kind: str, scope: Scope, name: str, value: bytes) -> None:
        """Drop a value if it is still this one."""
        self._connection.execute(
            "DELETE FROM kept WHERE kind = ? AND scope = ? AND name = ? AND value = ?", (kind, str(scope), name, value)
        )


def _read(descriptor: int) -> RowState:
    os.lseek(descriptor, 0, os.SEEK_SET)
    data = os.read(descriptor, _ROW.size)
    # A file that is new or damaged is an empty row.
    return RowState(*_ROW.unpack(data)) if len(data) == _ROW.size else EMPTY


def _write(descriptor: int, row: RowState) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, _ROW.pack(*row))
