"""The journal: what is planned, then a line per outcome as it happens.

Each run opens with a line of its own kind, `{"run", "audience", "kind", "tenant", "target", "sync", "undoes", "host",
"machine", "process", "operator", "version", "source", "fingerprint", "made_at", "strategy", "planned", "people",
"changes", "at"}`:

- `target` is the audience's id. Runs of one call, such as those of `sync_audiences`, have `sync` in common. `undoes`
  is the `sync` that this run undoes.
- `planned` maps each action to the references it is planned for, and `people` to what is known of these people.
- `changes` maps the reference of a person to the old and new value of each field or permission that changes, so that an
  undo finds the old ones whatever becomes of the run.
- `operator` is `THRIVE_OPERATOR`, else the account's login name. `source` is the file that the list came from.

Then comes one line per outcome, `{"run", "audience", "action", "reference", "outcome", "reason", "at"}`, with `id`,
`ref`, `email` and `row` where they are known. If a run was killed, planned changes have no outcome. The next run of the
same target with the same journal reads what became of them, and adds their lines under the old run's id.

One run at a time has the journal's lock (see `locks`), so every other unfinished run of this machine was interrupted.
A run of another machine, on a shared volume, has ended when its lease has: then the next run can take it (its opening
line has the lease's `fence`). Without a share it may still be going on until it has been silent for an hour. Until
then, no run of its target begins. What is found out about it later is written under the own id, with the other run's in
`of`.

The lines of one answer are one write to an unbuffered file: some ten microseconds for a hundred people, so the event
loop does it itself, and a line never waits in this process. A killed process loses none; only a machine that loses
power may lose the last second, because a sync to disk for each answer would hold up the loop.
"""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self, cast

import attrs

from thrive_async._base.version import __version__
from thrive_async.errors import ConfigurationError
from thrive_async.sync._apply.journal_index import load, save
from thrive_async.sync._apply.journal_lines import (
    NOBODY,
    OPENING,
    Person,
    as_line,
    by_action,
    operator,
    parsed,
    people_of,
)
from thrive_async.sync.errors import GuardRefused
from thrive_async.sync.report import ACTIONS
from thrive_async.sync.source import Source

__all__ = [
    "History",
    "Interrupted",
    "Journal",
    "Line",
    "Scope",
    "check_journal",
    "check_usable",
    "history",
    "history_of",
    "still_to_account_for",
    "unfinished",
]

Line = tuple[str, str, str, str | None]
"""Action, reference, outcome, reason."""

# A run of another machine that has written nothing for so long has ended.
_SILENCE: Final = timedelta(hours=1)
# Reading this much again takes 5 ms.
_WORTH_AN_INDEX: Final = 256 * 1024


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
        self._people: Mapping[tuple[str, str], Person] = {}
        self._descriptor: int | None = None
        self._torn = False
        if path is None:
            return
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        if size:
            os.lseek(self._descriptor, size - 1, os.SEEK_SET)
            # The last run may have died within a line; what follows must not be glued to it.
            self._torn = os.read(self._descriptor, 1) != b"\n"

    @property
    def is_open(self) -> bool:
        """Whether anything is written."""
        return self._descriptor is not None

    def open_run(
        self,
        scope: Scope,
        *,
        fingerprint: str,
        strategy: str,
        planned: Mapping[str, Sequence[str]],
        made_at: datetime | None = None,
        changes: Mapping[str, Mapping[str, tuple[Any, Any]]] = MappingProxyType({}),
        people: Mapping[tuple[str, str], Person] = MappingProxyType({}),
        source: Source | None = None,
        sync: str | None = None,
        undoes: str | None = None,
        fence: int | None = None,
    ) -> None:
        """Write the line a run begins with.

        Args:
            scope: What the run is about.
            fingerprint: The plan's.
            made_at: When the plan was made; no two plans of a target are made at one moment.
            strategy: ``"diff"`` or ``"rebuild"``.
            planned: The references of the planned changes, by action.
            changes: The old and the new value of each field or permission that changes, by reference.
            people: What is known of these people, by action and reference.
            source: The file that the desired list came from.
            sync: The id that all runs of one call have in common; this run's own by default.
            undoes: The id of the call that this run undoes.
            fence: The fencing number of the run's lease, if its client has a share.
        """
        self._people = people
        self._write(
            as_line(
                {
                    "run": self._run,
                    "audience": self._audience,
                    **attrs.asdict(scope),
                    "sync": sync or self._run,
                    **({"undoes": undoes} if undoes else {}),
                    "host": socket.gethostname(),
                    "machine": _machine(),
                    "process": os.getpid(),
                    "operator": operator(),
                    "version": __version__,
                    "source": None if source is None else attrs.asdict(source),
                    "fingerprint": fingerprint,
                    "made_at": None if made_at is None else made_at.isoformat(),
                    "strategy": strategy,
                    "planned": planned,
                    "people": by_action(people),
                    **({"changes": changes} if changes else {}),
                    **({"fence": fence} if fence is not None else {}),
                    "at": _now(),
                }
            )
        )

    def record(self, lines: Iterable[Line], *, earlier: "Interrupted | None" = None) -> None:
        """Write the outcomes that one answer brought, in one write.

        Args:
            lines: Action, reference, outcome and reason of each.
            earlier: The earlier run that they belong to, if not this one.
        """
        if self._descriptor is None:
            return
        at = _now()
        ids, people = {"run": self._run}, self._people
        if earlier is not None:
            ids = {"run": self._run, "of": earlier.run} if earlier.is_foreign else {"run": earlier.run}
            people = earlier.people
        self._write(
            b"".join(
                as_line(
                    {
                        **ids,
                        "audience": self._audience,
                        "action": action,
                        "reference": reference,
                        "outcome": outcome,
                        "reason": reason,
                        "at": at,
                        **people.get((action, reference), NOBODY).known,
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
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _machine() -> str:
    """Return what containers of one machine have in common, and no other machine has; empty if it is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


@attrs.define
class Interrupted:
    """A run that has not given every planned change its outcome.

    Attributes:
        run: Its id.
        host: The host that it ran on.
        machine: What its containers have in common, see `Journal`; empty if it is not known.
        at: When it wrote last.
        left: Action and reference of each change without an outcome, in the order planned.
        made_at: When its plan was made, as written; None if it is not known.
        people: What its plan knew of these people.
        leased: Whether it held the lease of a share.
    """

    run: str
    host: str
    machine: str
    at: str
    left: dict[tuple[str, str], None] = attrs.field(repr=False)
    made_at: str | None = None
    people: Mapping[tuple[str, str], Person] = attrs.field(factory=dict[tuple[str, str], Person], repr=False)
    leased: bool = False

    @property
    def pending(self) -> tuple[tuple[str, str], ...]:
        """Pairs of action and reference without an outcome, in the order planned."""
        return tuple(self.left)

    @property
    def is_foreign(self) -> bool:
        """Whether it ran on another machine, which the journal's lock may not reach."""
        return self.host != socket.gethostname() and (not self.machine or self.machine != _machine())

    @property
    def silent_since(self) -> datetime | None:
        """When it wrote last; None if the line does not say."""
        try:
            at = datetime.fromisoformat(self.at)
        except ValueError:
            return None
        return at if at.tzinfo else None


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
            begins = found.read(len(OPENING))
        if not OPENING.startswith(begins):
            raise ConfigurationError(f"journal: {file} holds something else than a journal: name another file")


async def check_usable(path: str | os.PathLike[str] | None) -> None:
    """Refuse what cannot be a journal, before anything is read; see `check_journal`."""
    if path is not None:
        await asyncio.to_thread(check_journal, path)


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK)


@attrs.frozen
class History:
    """What a journal tells about earlier runs.

    Attributes:
        unfinished: The runs that have not ended and were not accounted for since, by what they are about.
        applied: What was applied: pairs of what a run was about and when its plan was made.
    """

    unfinished: Mapping[Scope, list[Interrupted]] = attrs.field(factory=dict[Scope, list[Interrupted]])
    applied: Collection[tuple[Scope, str]] = ()


async def history_of(path: str | os.PathLike[str] | None, since: datetime | None = None) -> History:
    """Read a journal, if there is one; see `history`."""
    return History() if path is None else await asyncio.to_thread(history, path, since)


def still_to_account_for(runs: list[Interrupted], subject: str, *, leased: bool = False) -> list[Interrupted]:
    """Return the same runs.

    Args:
        runs: Unfinished runs that are about the same.
        subject: The audience's name, for the error.
        leased: Whether this run has their lease: those that held it have ended then.

    Raises:
        GuardRefused: One of them may be going on, on another machine.
    """
    for run in runs:
        since = run.silent_since if run.is_foreign and not (leased and run.leased) else None
        if since is not None and datetime.now(UTC) - since < _SILENCE:
            over = since + _SILENCE
            raise GuardRefused(
                f"{subject}: run {run.run} of the host {run.host} has not ended in this journal, and wrote to it at "
                f"{since:%H:%M} UTC; two at once may undo each other's work, so nothing was changed. No option lifts "
                f"this: wait for that run to end or, if it was killed, until {over:%H:%M} UTC"
            )
    return runs


def unfinished(path: str | os.PathLike[str]) -> Mapping[Scope, list[Interrupted]]:
    """Return the `History.unfinished` of a journal; see `history`."""
    return history(path, datetime.now(UTC)).unfinished


def history(path: str | os.PathLike[str], since: datetime | None = None) -> History:
    """Read what a journal tells about earlier runs.

    It reads a file, so call it off the loop. Lines that cannot be read, because a run died while it wrote them, are
    ignored.

    Args:
        path: The journal; it need not exist.
        since: Only plans that were made from this moment on matter, so the index may be used; None for all plans.

    Raises:
        ConfigurationError: It is no journal.
        OSError: It cannot be read, or not be written.
    """
    check_journal(path)
    if not Path(path).is_file():
        return History()
    runs: dict[str, tuple[Scope, Interrupted]] = {}
    begins: dict[str, int] = {}
    with Path(path).open("rb") as journal:
        index = None if since is None else load(path, journal)
        if index is not None and since is not None and index.since > since:
            index = None
        read_from = end = place = 0 if index is None else index.start
        journal.seek(read_from)
        for line in journal:
            with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
                decoded = parsed(line)
                _note(runs, cast("dict[str, Any]", decoded))
                if "planned" in decoded:
                    begins[str(decoded["run"])] = place
            place += len(line)
            end = place if line.endswith(b"\n") else end
        applied = {(scope, run.made_at) for scope, run in runs.values() if run.made_at is not None}
        if index is not None:
            applied |= {(Scope(kind, tenant, target), made_at) for kind, tenant, target, made_at in index.applied}
        if end - read_from > _WORTH_AN_INDEX:
            start = min((begins[name] for name, (_scope, run) in runs.items() if run.left), default=end)
            plans = ((*attrs.astuple(scope), made_at) for scope, made_at in applied)
            save(path, journal, end=end, start=start, applied=plans, since=None if index is None else index.since)
    found: dict[Scope, list[Interrupted]] = {}
    for scope, run in runs.values():
        if run.left:
            found.setdefault(scope, []).append(run)
    return History(found, applied)


def _note(runs: dict[str, tuple[Scope, Interrupted]], entry: Mapping[str, Any]) -> None:
    run_id = str(entry.get("of", entry["run"]))
    if "planned" in entry:
        planned = [(action, names) for action, names in entry["planned"].items() if action in ACTIONS]
        left: dict[tuple[str, str], None] = {(action, str(name)): None for action, names in planned for name in names}
        scope = Scope(str(entry["kind"]), str(entry["tenant"]), str(entry["target"]))
        machine, made_at = str(entry.get("machine", "")), entry.get("made_at")
        people = people_of(entry) if left else {}
        run = Interrupted(run_id, str(entry["host"]), machine, str(entry["at"]), left, made_at, people)
        run.leased = "fence" in entry
        runs[run_id] = scope, run
    elif run_id in runs:
        run = runs[run_id][1]
        run.left.pop((entry["action"], entry["reference"]), None)
        run.at = str(entry["at"])
