"""One run of a target at a time, on one machine, without any option.

The lock belongs to the kernel (`flock`, on Windows `msvcrt`): however a process ends, killed, crashed or as a zombie,
its lock ends with it. The file beside it stays, and says when the last run ended.
"""

import asyncio
import errno
import hashlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import attrs

from thrive_async.errors import ConfigurationError
from thrive_async.share._files import locked, opened
from thrive_async.sync.errors import GuardRefused

__all__ = ["Lock", "Target", "held", "lock_folder"]

_POLL: Final = 0.5
"""Seconds between two tries of a run that waits."""
_LARGEST: Final = 4_096


@attrs.frozen
class Target:
    """What a run writes to.

    Attributes:
        tenant: The tenant's id.
        kind: ``"members"``, ``"managers"`` or ``"users"``.
        target: The audience's id; empty for users.
        subject: What people call it, for messages.
    """

    tenant: str
    kind: str
    target: str
    subject: str = attrs.field(eq=False)

    @property
    def file_name(self) -> str:
        """The name of its lock file: the same for each process of this machine, and no clue to what it is about."""
        key = json.dumps([self.tenant, self.kind, self.target])
        return f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lock"


def lock_folder() -> Path:
    """Return the folder of the lock files: `THRIVE_LOCK_DIR`, else one that all users of this machine share.

    It is in the temporary folder and not in `XDG_RUNTIME_DIR`, which a cron job and a login of the same person do not
    have in common.

    Raises:
        ConfigurationError: It cannot be made, or somebody has put something else in its place.
    """
    chosen = os.environ.get("THRIVE_LOCK_DIR", "").strip()
    folder = Path(chosen or Path(tempfile.gettempdir()) / "thrive-async-locks")
    try:
        with suppress(FileExistsError):
            folder.mkdir(parents=bool(chosen))
            if not chosen:
                # Like the temporary folder itself: everybody may add a file, and remove only their own.
                folder.chmod(0o1777)
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    except OSError as error:
        raise ConfigurationError(
            f"the folder for run locks, {folder}, cannot be used ({error.strerror}): "
            "set THRIVE_LOCK_DIR to a folder that every run of this machine can write to"
        ) from error
    return folder


class Lock:
    """The lock of one target. Not taken until `take` says so; `release` gives it back.

    Args:
        target: What it protects.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock if it is free, and note who has it. It asks the disk, so call it off the loop.

        Returns:
            Whether it was free.

        Raises:
            ConfigurationError: The lock file cannot be opened: without a lock, no run begins.
        """
        path = lock_folder() / self._target.file_name
        try:
            # Whatever the umask is: another account must be able to find the target locked.
            descriptor = opened(path, 0o666)
        except OSError as error:
            raise ConfigurationError(
                f"the run lock {path} cannot be opened ({error.strerror}): let all runs of this machine use one "
                "account, or set THRIVE_LOCK_DIR to a folder that each of them can write to"
            ) from error
        try:
            free = locked(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise ConfigurationError(
                f"the file system of {path.parent} cannot lock ({error.strerror}): set THRIVE_LOCK_DIR to a local "
                "folder"
            ) from error
        if not free:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._note({**self.noted(), "process": os.getpid(), "host": socket.gethostname(), "since": _now()})
        return True

    def noted(self) -> dict[str, Any]:
        """Return what the file says: `process`, `host` and `since` of the run that has the lock or had it, `ended`."""
        try:
            path = lock_folder() / self._target.file_name
            found: Any = json.loads(path.read_bytes()[:_LARGEST])
        except (OSError, ValueError, RecursionError):
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    @property
    def last_ended(self) -> datetime | None:
        """When the last run of this target ended, as far as this machine knows."""
        try:
            moment = datetime.fromisoformat(str(self.noted()["ended"]))
        except (KeyError, ValueError):
            return None
        return moment if moment.tzinfo else None

    def release(self, *, wrote: bool = True) -> None:
        """Give the lock back; harmless to repeat.

        Args:
            wrote: Whether anything may have been changed, which makes plans that are older stale.
        """
        if self._descriptor is None:
            return
        try:
            if wrote:
                self._note({**self.noted(), "ended": _now()})
        finally:
            descriptor, self._descriptor = self._descriptor, None
            # Closing gives the kernel's lock back.
            os.close(descriptor)

    def _note(self, words: dict[str, Any]) -> None:
        assert self._descriptor is not None  # noqa: S101 - only the owner of the lock writes
        data = json.dumps(words).encode()
        with suppress(OSError):
            # A full disk costs the note, never the lock.
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, data)
            os.ftruncate(self._descriptor, len(data))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@asynccontextmanager
async def held(targets: Iterable[Target], *, wait: float = 0.0) -> AsyncGenerator[dict[Target, Lock]]:
    """Hold the locks of some targets for as long as the context lasts.

    Every process takes them in the same order, so two runs never wait for each other.

    Args:
        targets: What is going to be written to.
        wait: Seconds to wait for a run that is going on; 0 to be refused at once.

    Raises:
        GuardRefused: Another run of a target is still going on.
        ConfigurationError: The lock files cannot be used.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait
    locks: dict[Target, Lock] = {}
    try:
        for target in sorted(set(targets), key=lambda one: one.file_name):
            lock = locks[target] = Lock(target)
            while not await _taken(lock):
                left = give_up - loop.time()
                if left <= 0:
                    raise _going_on(target, lock)
                await asyncio.sleep(min(_POLL, left))
        yield locks
    finally:
        for lock in locks.values():
            lock.release()


async def _taken(lock: Lock) -> bool:
    taking = asyncio.ensure_future(asyncio.to_thread(lock.take))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        # A thread cannot be cancelled: what it takes must be there to be given back.
        await asyncio.wait((taking,))
        raise


def _going_on(target: Target, lock: Lock) -> GuardRefused:
    noted = lock.noted()
    which = f" (process {noted['process']}, since {noted['since']})" if {"process", "since"} <= noted.keys() else ""
    return GuardRefused(
        f"{target.subject}: another run is going on{which}; two at once would undo each other's work, so nothing was "
        "changed",
        argument="wait",
        value=600,
        remedy="To wait for it",
    )
