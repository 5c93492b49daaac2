"""Read whole runs of a journal: who was changed, how, by which list, and what became of each change.

`compact` moves old runs to an archive beside the journal, a gzip member for each run. Their opening lines stay, and
reading goes on in the archive.
"""

import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import attrs

from thrive_async.errors import ConfigurationError
from thrive_async.sync._apply.journal import Scope
from thrive_async.sync._apply.journal_lines import OPENING, Person, parsed, people_of
from thrive_async.sync.report import done_as

__all__ = [
    "DONE",
    "Call",
    "Key",
    "Record",
    "archive_of",
    "calls_of",
    "decoded",
    "entries",
    "members_of",
    "packed",
    "planned_in",
    "records_of",
    "run_of",
    "scope_of",
    "source_in",
]

Key = tuple[str, str]
"""An action and a reference."""
DONE: Final = frozenset({"added", "changed", "removed"})
"""The outcomes of changes that were made."""
_CHUNK: Final = 1 << 20
_ARCHIVED: Final = b'"archived"'


def decoded(line: bytes) -> dict[str, Any] | None:
    """Return a line of a journal; None if a run died while it wrote it."""
    try:
        entry = parsed(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    found = cast("dict[str, Any]", entry)
    return found if _is_sound(found) else None


def _is_sound(entry: Mapping[str, Any]) -> bool:
    needed = (
        ("kind", "tenant", "target") if isinstance(entry.get("planned"), dict) else ("action", "reference", "reason")
    )
    return all(name in entry for name in ("run", "audience", "at", *needed)) and (
        "planned" in entry or "outcome" in entry
    )


def archive_of(path: str | os.PathLike[str]) -> Path:
    """Return where the old runs of a journal go."""
    file = Path(path)
    return file.with_name(f"{file.name}.gz")


def members_of(archive: Path) -> Iterator[tuple[int, int, bytes]]:
    """Read an archive up to its end, or to where a write was cut off.

    Yields:
        Where the run begins and ends in the file, and its lines.

    Raises:
        ConfigurationError: It is damaged.
    """
    if not archive.is_file():
        return
    with archive.open("rb") as file:
        begin = 0
        data = file.read(_CHUNK)
        while data:
            member = zlib.decompressobj(16 + zlib.MAX_WBITS)
            parts: list[bytes] = []
            size = 0
            while data:
                try:
                    parts.append(member.decompress(data))
                except zlib.error as error:
                    raise ConfigurationError(
                        f"{archive} is damaged at byte {begin:,}, or not an archive: move it away to go on without it"
                    ) from error
                size += len(data) - len(member.unused_data)
                data = member.unused_data if member.eof else file.read(_CHUNK)
                if member.eof:
                    break
            if not member.eof:
                return
            yield begin, begin + size, b"".join(parts)
            begin += size
            data = data or file.read(_CHUNK)


def entries(path: str | os.PathLike[str], holding: bytes = b"") -> Iterator[dict[str, Any]]:
    """Read the lines of a journal, with those of its archive in place of the runs that were moved there.

    Args:
        path: The journal.
        holding: Only lines that hold these bytes, which takes a tenth of the time.

    Raises:
        ConfigurationError: It is not a journal.
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        _check(file, path)
        moved = [entry for entry in _decoded(file, _ARCHIVED) if "archived" in entry]
        if moved:
            yield from _moved(path, {str(entry["run"]): entry for entry in moved}, holding)
        file.seek(0)
        yield from (entry for entry in _decoded(file, holding) if "archived" not in entry)


def _decoded(lines: Iterable[bytes], holding: bytes) -> Iterator[dict[str, Any]]:
    return (entry for line in lines if holding in line and (entry := decoded(line)) is not None)


def _moved(path: str | os.PathLike[str], moved: dict[str, dict[str, Any]], holding: bytes) -> Iterator[dict[str, Any]]:
    for _begin, _end, member in members_of(archive_of(path)):
        lines = member.splitlines()
        first = decoded(lines[0]) if lines else None
        if first is not None and moved.pop(str(first["run"]), None) is not None:
            yield from _decoded(lines, holding)
    # Their archive is gone, or was cut. The counts are still known.
    yield from moved.values()


def _check(file: BinaryIO, path: str | os.PathLike[str]) -> None:
    if not OPENING.startswith(file.read(len(OPENING))):
        raise ConfigurationError(f"journal: {os.fspath(path)} holds something else than a journal: name another file")
    file.seek(0)


@attrs.define(repr=False)
class Record:
    """A run as the journal tells it.

    Attributes:
        opening: The line that it began with.
        ended: When its last line was written.
        outcomes: The outcome, the reason and the time of each change.
        left: The planned changes without an outcome.
        later: The runs that made the same change of the same target again since, by change.
    """

    opening: Mapping[str, Any]
    ended: str
    outcomes: dict[Key, tuple[str, str | None, str]] = attrs.field(factory=dict[Key, tuple[str, str | None, str]])
    left: dict[Key, None] = attrs.field(factory=dict[Key, None])
    later: dict[Key, str] = attrs.field(factory=dict[Key, str])

    @property
    def run(self) -> str:
        """The run's id."""
        return str(self.opening["run"])

    @property
    def audience(self) -> str:
        """The audience as it was named; ``"users"`` for users."""
        return str(self.opening["audience"])

    @property
    def scope(self) -> Scope:
        """What the run was about."""
        return scope_of(self.opening)

    @property
    def people(self) -> Mapping[Key, Person]:
        """What the plan knew of these people."""
        return people_of(self.opening)

    @property
    def changes(self) -> Mapping[str, Mapping[str, Any]]:
        """The old and the new value of each field or permission, by reference."""
        return cast("Mapping[str, Mapping[str, Any]]", self.opening.get("changes", {}))

    @property
    def unplanned(self) -> Iterator[Key]:
        """The changes without a plan: members whom a rebuild took out, and could not put back."""
        planned = planned_in(self.opening)
        return (key for key, (outcome, *_) in self.outcomes.items() if key not in planned and outcome not in DONE)

    def done(self, *actions: str) -> Iterator[str]:
        """Return the references of the changes of some kinds that were made."""
        return (name for (action, name), told in self.outcomes.items() if action in actions and told[0] in DONE)


def scope_of(opening: Mapping[str, Any]) -> Scope:
    """Return what a run was about."""
    return Scope(str(opening["kind"]), str(opening["tenant"]), str(opening["target"]))


@attrs.define(repr=False)
class Call:
    """The runs of one call, such as `sync_audiences`, in figures.

    Attributes:
        id: What they have in common.
        at: When the first began.
        tenant: The tenant's id.
        openings: The line that each began with, by run.
        counts: How many changes have each outcome.
        redacted: When its people were dropped; None if they are still there.
    """

    id: str
    at: str
    tenant: str
    openings: dict[str, Mapping[str, Any]] = attrs.field(factory=dict[str, Mapping[str, Any]])
    counts: dict[str, int] = attrs.field(factory=dict[str, int])
    redacted: str | None = None

    @property
    def changed(self) -> int:
        """How many changes were made."""
        return sum(self.counts.get(word, 0) for word in DONE)

    @property
    def missing(self) -> list[str]:
        """The audiences whose outcomes are in an archive that is not there."""
        return [str(one["audience"]) for one in self.openings.values() if "archived" in one]


def calls_of(path: str | os.PathLike[str]) -> dict[str, Call]:
    """Sum up what a journal holds, in the order of the calls. It reads the whole file, so call it off the loop.

    Args:
        path: The journal.

    Raises:
        ConfigurationError: It is not a journal.
        OSError: It cannot be read.
    """
    calls: dict[str, Call] = {}
    of: dict[str, Call] = {}
    for entry in entries(path):
        run = run_of(entry)
        if "planned" in entry:
            name = str(entry.get("sync", run))
            call = of[run] = calls.setdefault(name, Call(name, str(entry["at"]), str(entry["tenant"])))
            slim = {key: value for key, value in entry.items() if key not in ("planned", "people", "changes")}
            call.openings[run] = slim
            call.redacted = call.redacted or entry.get("redacted")
            for word, count in entry.get("counts", {}).items():
                call.counts[word] = call.counts.get(word, 0) + int(count)
        elif run in of:
            word = str(entry["outcome"])
            of[run].counts[word] = of[run].counts.get(word, 0) + 1
    return dict(sorted(calls.items(), key=lambda pair: pair[1].at))


def records_of(path: str | os.PathLike[str], wanted: Callable[[str], bool]) -> list[Record]:
    """Read some runs. It reads the whole file, so call it off the loop.

    Args:
        path: The journal.
        wanted: Tells of a run's id whether to read it.
    """
    records: dict[str, Record] = {}
    targets: dict[Scope, Record] = {}
    others: dict[str, Record] = {}
    for entry in entries(path):
        run = run_of(entry)
        if "planned" in entry:
            if wanted(run):
                record = records[run] = targets[scope_of(entry)] = Record(entry, str(entry["at"]))
                record.left = planned_in(entry)
            elif scope_of(entry) in targets:
                others[run] = targets[scope_of(entry)]
            continue
        key = str(entry["action"]), str(entry["reference"])
        if run in records:
            records[run].left.pop(key, None)
            records[run].ended = str(entry["at"])
            records[run].outcomes[key] = str(entry["outcome"]), entry["reason"], str(entry["at"])
        elif run in others and entry["outcome"] == done_as(key[0]):
            others[run].later[key] = run
    return list(records.values())


def source_in(opening: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the line that opens a run says of the file that its list came from."""
    return cast("Mapping[str, Any]", opening.get("source") or {})


def planned_in(opening: Mapping[str, Any]) -> dict[Key, None]:
    """Return the planned changes of the line that opens a run."""
    return dict.fromkeys((action, str(name)) for action, names in opening["planned"].items() for name in names)


def run_of(entry: Mapping[str, Any]) -> str:
    """Return the id of the run that a line tells of."""
    return str(entry.get("of", entry["run"]))


def packed(lines: bytes) -> bytes:
    """Return a run's lines as a member of an archive."""
    return gzip.compress(lines, compresslevel=6, mtime=0)
