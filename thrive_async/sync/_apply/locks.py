"""One run of a target at a time; and one run at a time for each journal.

On one machine this needs no option. If the client has a share, a lease of it keeps the runs of all machines apart, too
(see `shared_lock`).

The lock belongs to the kernel (`flock`, on Windows `msvcrt`): however a process ends, killed, crashed or as a zombie,
its lock ends with it. The lock file stays, and says when the last run ended.

A run takes its locks before it reads, and holds them to its end. `exclusive` opens a context; the code inside it calls
`claim` as soon as it knows its target. Outside such a context nothing is locked, because planning alone only reads.
"""

import asyncio
import errno
import hashlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError
from thrive_async.share import Scope
from thrive_async.share._files import locked, opened
from thrive_async.sync._apply.shared_lock import Shared, SharedLock, leased
from thrive_async.sync.errors import GuardRefused

__all__ = ["Lock", "Target", "claim", "claim_each", "exclusive", "held", "last_run", "lock_folder", "target_of"]

_POLL: Final = 0.5
"""Seconds between two tries of a run that waits."""
_LARGEST: Final = 4_096


@attrs.frozen
class Target:
    """What a run writes to.

    Attributes:
        tenant: The tenant's id, and where it is: a sandbox has the ids of another one.
        kind: ``"members"``, ``"managers"`` or ``"users"``.
        target: The audience's id; empty for users.
        subject: What people call it, for messages.
        shared: What it is to the client's share; None without one.
    """

    tenant: str
    kind: str
    target: str
    subject: str = attrs.field(eq=False)
    shared: Shared | None = attrs.field(default=None, eq=False)

    @property
    def file_name(self) -> str:
        """The name of its lock file: the same for each process of this machine, and no clue to what it is about."""
        key = json.dumps([self.tenant, self.kind, self.target])
        return f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lock"


def target_of(thrive: ThriveClient, kind: str, target: str, subject: str) -> Target:
    """Return what a run of this client writes to; the arguments are those of `Target`."""
    shared = None
    if thrive.share is not None:
        scope = Scope.of(thrive.base_url, thrive.tenant_id)
        shared = Shared(thrive.share, scope, f"run {kind} {target}".rstrip(), subject)
    return Target(f"{thrive.tenant_id} {thrive.base_url}", kind, target, subject, shared)


def lock_folder() -> Path:
    """Return the folder of the lock files: `THRIVE_LOCK_DIR`, else one that all users of this machine share.

    It is in the temporary folder and not in `XDG_RUNTIME_DIR`, which a cron job and a login of the same person do not
    have in common.

    Raises:
        ConfigurationError: The folder cannot be made, or something else is in its place.
    """
    chosen = os.environ.get("THRIVE_LOCK_DIR", "").strip()
    folder = Path(chosen or Path(tempfile.gettempdir()) / "thrive-async-locks")
    try:
        with suppress(FileExistsError):
            folder.mkdir(parents=bool(chosen))
            if not chosen:
                # Like the temporary folder itself: all users may add files, but remove only their own.
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

    Attributes:
        shared: The lease of the client's share, if it has one and `held` took it.
    """

    def __init__(self, target: Target) -> None:
        self.shared: SharedLock | None = None
        self._target = target
        self._descriptor: int | None = None
        self._words: dict[str, Any] = {}
        self._wrote = False

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
        if not _locked(descriptor, f"{lock_folder()}", "set THRIVE_LOCK_DIR to a local folder"):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._words = self._read()
        self._note(process=os.getpid(), host=socket.gethostname(), since=_now())
        return True

    def noted(self) -> dict[str, Any]:
        """Return what the file says: `process`, `host` and `since` of the run that has the lock or had it, `ended`.

        The owner of the lock remembers it, and other processes read the file.
        """
        return self._read() if self._descriptor is None else self._words

    def _read(self) -> dict[str, Any]:
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

    def writing(self, plan: str) -> None:
        """Note that the target is about to be changed, which makes older plans stale, also if the run is killed.

        Args:
            plan: What identifies the plan that is applied.
        """
        self._wrote = True
        self._note(plan=plan, ended=_now())

    def release(self) -> None:
        """Give the lock back, and note when; harmless to repeat."""
        if self._descriptor is None:
            return
        try:
            if self._wrote:
                self._note(ended=_now())
        finally:
            descriptor, self._descriptor = self._descriptor, None
            # Closing gives the kernel's lock back.
            os.close(descriptor)

    def _note(self, **words: object) -> None:
        assert self._descriptor is not None  # noqa: S101 - only the owner of the lock writes
        self._words |= words
        data = json.dumps(self._words).encode()
        with suppress(OSError):
            # Written on the loop, as the journal is: some 10 us. A full disk costs the note, never the lock.
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, data)
            os.ftruncate(self._descriptor, len(data))


def _locked(descriptor: int, what: str, advice: str) -> bool:
    try:
        return locked(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise ConfigurationError(f"the file system of {what} cannot lock ({error.strerror}): {advice}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


@asynccontextmanager
async def held(targets: Iterable[Target], *, wait: float = 0.0) -> AsyncGenerator[dict[Target, Lock]]:
    """Hold the locks of some targets for as long as the context lasts.

    Every process takes them in the same order, so two runs never wait for each other.

    Args:
        targets: What is going to be written to.
        wait: Seconds to wait for a run that is going on; 0 to be refused at once.

    Raises:
        GuardRefused: Another run of a target is still going on, or the share cannot be reached.
        ConfigurationError: The lock files cannot be used.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait
    locks: dict[Target, Lock] = {}
    async with AsyncExitStack() as stack:
        for target in sorted(set(targets), key=lambda one: one.file_name):
            lock = locks[target] = Lock(target)
            stack.callback(lock.release)
            while not await _in_thread(lock.take):
                left = give_up - loop.time()
                if left <= 0:
                    raise _going_on(target, lock)
                await asyncio.sleep(min(_POLL, left))
            if target.shared is not None:
                left = max(0.0, give_up - loop.time())
                lock.shared = await stack.enter_async_context(leased(target.shared, left))
        yield locks


async def _in_thread(take: Callable[[], bool]) -> bool:
    taking = asyncio.ensure_future(asyncio.to_thread(take))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        # A thread cannot be cancelled: what it takes must be there to be given back.
        await asyncio.wait((taking,))
        raise


def _going_on(target: Target, lock: Lock) -> GuardRefused:
    noted = lock.noted()
    which = f" (process {noted['process']}, since {noted['since']})" if {"process", "since"} <= noted.keys() else ""
    return _busy(
        f"{target.subject}: another run is going on{which}; two at once would undo each other's work, so nothing was "
        "changed"
    )


def _busy(text: str) -> GuardRefused:
    return GuardRefused(text, argument="wait", value=600, remedy="To wait for it")


# What a run holds


class _Holding:
    """The locks that are held within a context of `exclusive`."""

    def __init__(self, stack: AsyncExitStack, wait: float) -> None:
        self.locks: dict[Target, Lock] = {}
        self.journal: str | None = None
        self.outer = _holding.get()
        self._stack = stack
        self._give_up = asyncio.get_running_loop().time() + wait

    async def claim(self, target: Target) -> Lock:
        wait = max(0.0, self._give_up - asyncio.get_running_loop().time())
        locks = await self._stack.enter_async_context(held([target], wait=wait))
        self.locks[target] = locks[target]
        return self.locks[target]

    async def claim_journal(self, path: str) -> None:
        """Lock a journal; the path is absolute, without links."""
        loop = asyncio.get_running_loop()
        taking = _JournalLock(Path(path))
        self._stack.callback(taking.release)
        while not await _in_thread(taking.take):
            left = self._give_up - loop.time()
            if left <= 0:
                raise _busy(
                    f"the journal {path} is in use by another run; two runs with one journal go one after the other, "
                    "so nothing was changed"
                )
            await asyncio.sleep(min(_POLL, left))
        self.journal = path


_holding: ContextVar[_Holding | None] = ContextVar("_holding", default=None)


def _holdings() -> Iterable[_Holding]:
    holding = _holding.get()
    while holding is not None:
        yield holding
        holding = holding.outer


@asynccontextmanager
async def exclusive(*, wait: float = 0.0, journal: str | os.PathLike[str] | None = None) -> AsyncGenerator[None]:
    """Hold what is claimed within this context until it ends. What an outer context holds is not taken again.

    Args:
        wait: Seconds to wait for runs that are going on; 0 to be refused at once.
        journal: The journal of the run, which is locked at once.

    Raises:
        GuardRefused: Another run has the journal.
        ConfigurationError: The journal's file system cannot lock.
        OSError: The journal cannot be opened.
    """
    async with AsyncExitStack() as stack:
        holding = _Holding(stack, wait)
        path = None if journal is None else await asyncio.to_thread(_without_links, journal)
        if path is not None and all(one.journal != path for one in _holdings()):
            await holding.claim_journal(path)
        token = _holding.set(holding)
        try:
            yield
        finally:
            _holding.reset(token)
            # A task that was started in this context and outlives it finds nothing here.
            holding.locks.clear()
            holding.journal = None


def _without_links(path: str | os.PathLike[str]) -> str:
    return str(Path(path).resolve())


async def claim(target: Target) -> Lock | None:
    """Take the lock of a target before it is read or written.

    Args:
        target: What is about to be read or written.

    Returns:
        The lock; None outside of `exclusive`, where nothing is going to be written.

    Raises:
        GuardRefused: Another run of the target is going on.
        ConfigurationError: The lock files cannot be used.
    """
    for holding in _holdings():
        if target in holding.locks:
            return holding.locks[target]
    innermost = _holding.get()
    return None if innermost is None else await innermost.claim(target)


async def last_run(target: Target) -> str | None:
    """Return the last run that changed a target, as the client's share knows it.

    Returns:
        A mark that changes with each run; empty without a share or an earlier run, None if the share is away.
    """
    for holding in _holdings():
        if target in holding.locks:
            held_lock = holding.locks[target].shared
            return "" if held_lock is None else held_lock.last_run
    return "" if target.shared is None else await target.shared.last_run()


async def claim_each(targets: Iterable[Target]) -> dict[Target, GuardRefused]:
    """Take the locks of some targets, in the order that all processes take them in.

    Returns:
        The targets that other runs have, each with its refusal.
    """
    busy: dict[Target, GuardRefused] = {}
    for target in sorted(set(targets), key=lambda one: one.file_name):
        try:
            await claim(target)
        except GuardRefused as refusal:
            busy[target] = refusal
    return busy


class _JournalLock:
    """The lock on a journal file itself; a device such as /dev/null is not locked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return True
        if not _locked(descriptor, f"{self._path}", "keep the journal on another one"):
            os.close(descriptor)
            return False
        if not self._path.exists() or not os.path.samestat(os.fstat(descriptor), self._path.stat()):
            # `journal compact` has just put another file in its place.
            os.close(descriptor)
            return self.take()
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
