"""The journal: what is planned, then a line per outcome as it happens.

Each run opens with a line of its own kind, `{"run", "audience", "kind", "tenant", "target", "host", "process",
"fingerprint", "strategy", "planned", "at"}`, where `target` is the audience's id and `planned` maps each action to the
references it is planned for. Then comes one line per outcome, `{"run", "audience", "action", "reference", "outcome",
"reason", "at"}`. If a run was killed, planned changes have no outcome. The next run of the same target with the same
journal finds out by reading what became of them, and adds their lines under the old run's id. While a run goes on, no
other run of its target begins.

The lines of one answer are one write to an unbuffered file: some ten microseconds for a hundred people, so the event
loop does it itself, and a line never waits in this process. A killed process loses none; only a machine that loses
power may lose the last second, because a sync to disk for each answer would hold up the loop.
"""

import asyncio
import errno
import json
import os
import socket
import stat
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, cast

import attrs

from thrive_async.errors import ConfigurationError
from thrive_async.sync.errors import GuardRefused
from thrive_async.sync.report import ACTIONS

__all__ = [
    "Interrupted",
    "Journal",
    "Line",
    "Scope",
    "check_journal",
    "check_usable",
    "left_open",
    "not_going_on",
    "unfinished",
]

Line = tuple[str, str, str, str | None]
"""Action, reference, outcome, reason."""

_OPENING: Final = b'{"run": '
# The runs of this process that are going on.
_going_on: Final = set[str]()
# A run that has written nothing for so long has ended, whichever process has its id now.
_SILENCE: Final = timedelta(hours=1)


@attrs.frozen
class Scope:
    """What a run is about, so that no run is taken for one of another tenant, audience or kind.

    Attributes:
        kind: The plan's kind: ``"members"``, ``"managers"`` or ``"users"``.
        tenant: The tenant's id.
        target: The audience's id; empty for users.
    """

    kind: str
    tenant: str
    target: str


class Journal:
    """Appends one run to a journal file, or writes nothing if there is none.

    Args:
        path: The file; created readable by its owner only, since it holds people's identifiers. None for no journal.
        run: The run's id.
        audience: The audience's name as the caller wrote it.
    """

    def __init__(self, path: str | os.PathLike[str] | None, run: str, audience: str) -> None:
        self._run = run
        self._audience = audience
        self._descriptor: int | None = None
        self._torn = False
        if path is None:
            return
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        _going_on.add(run)
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        if size:
            os.lseek(self._descriptor, size - 1, os.SEEK_SET)
            # The last run may have died within a line; what follows must not be glued to it.
            self._torn = os.read(self._descriptor, 1) != b"\n"

    @property
    def is_open(self) -> bool:
        """Whether anything is written."""
        return self._descriptor is not None

    def open_run(self, scope: Scope, *, fingerprint: str, strategy: str, planned: Mapping[str, Sequence[str]]) -> None:
        """Write the line a run begins with.

        Args:
            scope: What the run is about.
            fingerprint: The plan's.
            strategy: ``"diff"`` or ``"rebuild"``.
            planned: The references of the planned changes, by action.
        """
        self._write(
            _line(
                {
                    "run": self._run,
                    "audience": self._audience,
                    **attrs.asdict(scope),
                    "host": socket.gethostname(),
                    "process": os.getpid(),
                    "fingerprint": fingerprint,
                    "strategy": strategy,
                    "planned": planned,
                    "at": _now(),
                }
            )
        )

    def record(self, lines: Iterable[Line], *, run: str | None = None) -> None:
        """Write the outcomes that one answer brought, in one write.

        Args:
            lines: Action, reference, outcome and reason of each.
            run: The id of an earlier run that they belong to, if not this one.
        """
        if self._descriptor is None:
            return
        at = _now()
        self._write(
            b"".join(
                _line(
                    {
                        "run": run or self._run,
                        "audience": self._audience,
                        "action": action,
                        "reference": reference,
                        "outcome": outcome,
                        "reason": reason,
                        "at": at,
                    }
                )
                for action, reference, outcome, reason in lines
            )
        )

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            return
        left = memoryview(b"\n" + data if self._torn else data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        finally:
            # A disk that is full may have taken half a line.
            self._torn = bool(left)

    def close(self) -> None:
        """Hand the file back; harmless to repeat."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            _going_on.discard(self._run)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _line(value: Mapping[str, object]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    if not text.isprintable():
        # Escaped, so that a terminal does not obey what a name holds; it is the same JSON.
        text = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    return text.encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@attrs.define
class Interrupted:
    """A run that has not given every planned change its outcome: it was interrupted, or is going on.

    Attributes:
        run: Its id.
        host: The machine that it ran on.
        process: Its process there.
        at: When it wrote last.
        left: Action and reference of each change without an outcome, in the order planned.
    """

    run: str
    host: str
    process: int
    at: str
    left: dict[tuple[str, str], None] = attrs.field(repr=False)

    @property
    def pending(self) -> tuple[tuple[str, str], ...]:
        """Pairs of action and reference without an outcome, in the order planned."""
        return tuple(self.left)

    def is_going_on(self) -> bool:
        """Return whether the run goes on, in this process or in another one of this machine."""
        if self.run in _going_on:
            return True
        if os.name != "posix" or self.host != socket.gethostname() or self.process == os.getpid():
            return False
        try:
            os.kill(self.process, 0)
        except PermissionError:
            pass
        except (OSError, OverflowError):
            return False
        try:
            return datetime.now(UTC) - datetime.fromisoformat(self.at) < _SILENCE
        except (ValueError, TypeError):
            return False


def check_journal(path: str | os.PathLike[str]) -> None:
    """Refuse what cannot be a journal; nothing is written. It asks the disk, so call it off the loop.

    Args:
        path: The journal; it need not exist.

    Raises:
        ConfigurationError: It is a folder or a pipe, or a file that holds something else.
        OSError: It cannot be written.
    """
    file = Path(path)
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        for wrong, number in ((not file.parent.is_dir(), errno.ENOENT), (not _may_write(file.parent), errno.EACCES)):
            if wrong:
                raise OSError(number, os.strerror(number), str(file)) from None
        return
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        raise ConfigurationError(f"journal: {file} is a folder, or no file: name a file")
    if not _may_write(file):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
    if stat.S_ISREG(mode):
        with file.open("rb") as found:
            begins = found.read(len(_OPENING))
        if not _OPENING.startswith(begins):
            raise ConfigurationError(f"journal: {file} holds something else than a journal: name another file")


async def check_usable(path: str | os.PathLike[str] | None) -> None:
    """Refuse what cannot be a journal, before anything is read; see `check_journal`."""
    if path is not None:
        await asyncio.to_thread(check_journal, path)


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK)


async def left_open(path: str | os.PathLike[str] | None, scope: Scope, subject: str) -> list[Interrupted]:
    """Find the interrupted runs in a journal that are about the same, to be accounted for.

    Args:
        path: The journal; None if there is none.
        scope: What they are about.
        subject: The audience's name, for the error.

    Raises:
        GuardRefused: One of them was not interrupted, but goes on.
        ConfigurationError: It is no journal.
        OSError: It cannot be read, or not be written.
    """
    if path is None:
        return []
    return not_going_on((await asyncio.to_thread(unfinished, path)).get(scope, []), subject)


def not_going_on(runs: list[Interrupted], subject: str) -> list[Interrupted]:
    """Return the same runs.

    Args:
        runs: Unfinished runs that are about the same.
        subject: The audience's name, for the error.

    Raises:
        GuardRefused: One of them goes on.
    """
    for run in runs:
        if run.is_going_on():
            raise GuardRefused(
                f"{subject}: run {run.run} of the same journal is going on (process {run.process}), and two at once "
                "may undo each other's work; nothing was changed. No option lifts this: wait until it has ended, or "
                "has written nothing for an hour"
            )
    return runs


def unfinished(path: str | os.PathLike[str]) -> dict[Scope, list[Interrupted]]:
    """Find the runs in a journal that were interrupted and not accounted for since, or go on, by what they are about.

    Reads the whole file, so call it off the loop. Lines that cannot be read, because a run died while it wrote them,
    are ignored.

    Args:
        path: The journal; it need not exist.

    Raises:
        ConfigurationError: It is no journal.
        OSError: It cannot be read, or not be written.
    """
    check_journal(path)
    if not Path(path).is_file():
        return {}
    runs: dict[str, tuple[Scope, Interrupted]] = {}
    with Path(path).open("rb") as lines:
        for line in lines:
            try:
                decoded: Any = json.loads(line)
                _note(runs, cast("dict[str, Any]", decoded))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
    found: dict[Scope, list[Interrupted]] = {}
    for scope, run in runs.values():
        if run.left:
            found.setdefault(scope, []).append(run)
    return found


def _note(runs: dict[str, tuple[Scope, Interrupted]], entry: Mapping[str, Any]) -> None:
    run_id = str(entry["run"])
    if "planned" in entry:
        planned = [(action, names) for action, names in entry["planned"].items() if action in ACTIONS]
        left: dict[tuple[str, str], None] = {(action, str(name)): None for action, names in planned for name in names}
        scope = Scope(str(entry["kind"]), str(entry["tenant"]), str(entry["target"]))
        run = Interrupted(run_id, str(entry["host"]), int(entry["process"]), str(entry["at"]), left)
        runs[run_id] = scope, run
    elif run_id in runs:
        run = runs[run_id][1]
        run.left.pop((entry["action"], entry["reference"]), None)
        run.at = str(entry["at"])
