"""Keep a journal small, and drop its people when their time is over.

Both write a new journal beside the old one, sync it to disk and rename it, under the journal's lock. Killed at any
moment, they leave the old journal or the new one. `compact` writes the archive first: if it is killed in between, the
archive has runs that the journal has, too, and the next one finds that out. `redact` drops people from the archive
first: if it is killed in between, the journal refers to runs that are not there any more, and the next one redacts
them.
"""

import asyncio
import glob
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from thrive_async.sync._apply.journal import check_journal, still_to_account_for, unfinished
from thrive_async.sync._apply.journal_index import index_of
from thrive_async.sync._apply.journal_lines import as_line
from thrive_async.sync._apply.locks import exclusive
from thrive_async.sync._apply.records import archive_of, decoded, members_of, packed, run_of

__all__ = ["Done", "compact", "redact"]

_PERSONAL = ("planned", "people", "changes")


@attrs.frozen
class Done:
    """What was done to a journal.

    Attributes:
        runs: How many runs were moved or redacted.
        before: How many bytes the journal had.
        after: How many bytes it has now.
        archive: Where old runs go.
    """

    runs: int
    before: int
    after: int
    archive: Path


async def compact(path: str | os.PathLike[str], older_than: timedelta) -> Done:
    """Move finished runs to the archive.

    Args:
        path: The journal.
        older_than: How long ago a run must have ended.

    Raises:
        GuardRefused: A run is going on with this journal.
        ConfigurationError: It is not a journal.
        OSError: It cannot be read or written.
    """
    return await _in_place_of(path, _compacted, _ago(older_than))


async def redact(path: str | os.PathLike[str], before: datetime) -> Done:
    """Drop the people of runs that ended before a moment, from the journal and its archive.

    Args:
        path: The journal.
        before: The moment.

    Raises:
        GuardRefused, ConfigurationError, OSError: As for `compact`.
    """
    return await _in_place_of(path, _redacted, _written(before))


async def _in_place_of(path: str | os.PathLike[str], work: Callable[[Path, str], Done], before: str) -> Done:
    # The file itself, not a link to it, is replaced.
    file = await asyncio.to_thread(Path(path).resolve)
    await asyncio.to_thread(check_journal, file)
    async with exclusive(journal=file):
        return await asyncio.to_thread(work, file, before)


def _ago(age: timedelta) -> str:
    return _written(datetime.now(UTC) - age)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@attrs.define
class _Run:
    opening: Mapping[str, Any]
    ended: str
    counts: dict[str, int] = attrs.field(factory=dict[str, int])

    def summary(self, **more: Any) -> bytes:
        """Return the line that stays of it: what the run was, without people."""
        kept = {name: value for name, value in self.opening.items() if name not in (*_PERSONAL, "archived")}
        counts = self.counts or self.opening.get("counts", {})
        return as_line({**kept, "planned": {}, "counts": counts, "ended": self.ended, **more})


def _finished(path: Path, before: str) -> dict[str, _Run]:
    """Return the runs that have ended before a moment, with their figures."""
    runs: dict[str, _Run] = {}
    with path.open("rb") as lines:
        for entry in filter(None, map(decoded, lines)):
            run = run_of(entry)
            if "planned" in entry:
                runs[run] = _Run(entry, str(entry.get("ended", entry["at"])))
            elif run in runs:
                runs[run].ended = str(entry["at"])
                word = str(entry["outcome"])
                runs[run].counts[word] = runs[run].counts.get(word, 0) + 1
    # A run of another machine, which this lock may not reach, would go on writing to the old file.
    still = {one.run for runs_of in unfinished(path).values() for one in still_to_account_for(runs_of, path.name)}
    return {name: run for name, run in runs.items() if run.ended < before and name not in still}


def _compacted(path: Path, before: str) -> Done:
    moving = {name: run for name, run in _finished(path, before).items() if run.opening["planned"]}
    archive, size = archive_of(path), path.stat().st_size
    if moving:
        _archive(path, archive, moving)
        _replace(path, _kept(path, moving, lambda run: run.summary(archived=True)))
    return Done(len(moving), size, path.stat().st_size, archive)


def _archive(path: Path, archive: Path, moving: Mapping[str, _Run]) -> None:
    """Append runs to the archive, after the last one that is whole there."""
    end, there = 0, set[str]()
    for _begin, end, member in members_of(archive):  # noqa: B007 - the last end is what counts
        there.add(_first_run(member))
    parts: dict[str, list[bytes]] = {name: [] for name in moving if name not in there}
    with path.open("rb") as lines:
        for line in lines:
            entry = decoded(line)
            run = None if entry is None else run_of(entry)
            if run in parts:
                parts[run].append(line)
    descriptor = os.open(archive, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        file.truncate(end)
        file.seek(end)
        file.writelines(packed(b"".join(part)) for part in parts.values())
        _sync(file.fileno())


def _first_run(lines: bytes) -> str:
    entry = decoded(lines.partition(b"\n")[0])
    return "" if entry is None else run_of(entry)


def _redacted(path: Path, before: str) -> Done:
    old = {name: run for name, run in _finished(path, before).items() if "redacted" not in run.opening}
    archive, size = archive_of(path), path.stat().st_size
    if any(ended < before for _member, ended in _members(archive)):
        _replace(archive, (member for member, ended in _members(archive) if ended >= before))
    if old:
        _replace(path, _kept(path, old, lambda run: run.summary(redacted=_written(datetime.now(UTC))), before=before))
    return Done(len(old), size, path.stat().st_size, archive)


def _members(archive: Path) -> Iterator[tuple[bytes, str]]:
    """Yield each run of an archive as it is there, and when it ended."""
    for begin, end, lines in members_of(archive):
        with archive.open("rb") as file:
            file.seek(begin)
            member = file.read(end - begin)
        told = [entry for entry in map(decoded, lines.splitlines()) if entry is not None]
        yield member, str(told[-1]["at"]) if told else ""


def _kept(
    path: Path, changed: Mapping[str, _Run], summary: Callable[[_Run], bytes], *, before: str = ""
) -> Iterator[bytes]:
    """Yield the lines of the new journal.

    Args:
        path: The old journal.
        changed: The runs of which only the opening line stays.
        summary: Makes that line.
        before: Lines of no known run are dropped if they are older; unreadable ones too, if it is set.
    """
    known: set[str] = set()
    with path.open("rb") as lines:
        for line in lines:
            entry = decoded(line)
            if entry is None:
                if not before:
                    yield line.rstrip(b"\n") + b"\n"
                continue
            run = run_of(entry)
            if "planned" in entry:
                known.add(run)
                yield summary(changed[run]) if run in changed else line.rstrip(b"\n") + b"\n"
            elif run not in changed and (run in known or str(entry["at"]) >= before):
                yield line.rstrip(b"\n") + b"\n"


def _replace(path: Path, lines: Iterable[bytes]) -> None:
    """Put a new file in place of a file, as a whole or not at all."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        # Of one that was killed; it holds people.
        left.unlink(missing_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    mode = path.stat().st_mode & 0o777
    try:
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
            file.writelines(lines)
            file.flush()
            _sync(file.fileno())
        draft.chmod(mode)
        index_of(path).unlink(missing_ok=True)
        draft.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
