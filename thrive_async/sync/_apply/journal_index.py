"""Remember how far a journal was read, so that what is open in it takes time by what is open, not by its age.

The index is a small file beside the journal, without people. It tells where the oldest open run begins, and which plans
were applied lately. It is only believed if the journal still has the bytes that were read: a journal that was cut,
replaced or edited there is read from its beginning. Without an index nothing is lost but time: 102 MB take a second.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs

__all__ = ["Index", "index_of", "load", "save"]

_KEPT: Final = timedelta(days=7)
_TAIL: Final = 4_096
_LARGEST: Final = 10_000_000


@attrs.frozen
class Index:
    """What was read of a journal.

    Attributes:
        end: Up to which byte.
        start: Where the oldest run begins that is open there; `end` if none is.
        applied: The kind, tenant, target and time of each plan that was applied.
        since: From when on `applied` has all plans, by the time they were made.
    """

    end: int
    start: int
    applied: frozenset[tuple[str, str, str, str]]
    since: datetime


def index_of(path: str | os.PathLike[str]) -> Path:
    """Return where the index of a journal is."""
    file = Path(path)
    return file.with_name(f"{file.name}.index")


def load(path: str | os.PathLike[str], journal: BinaryIO) -> Index | None:
    """Return the index of a journal; None if there is none, or it is not of this journal.

    Args:
        path: The journal.
        journal: The journal, open.
    """
    try:
        with index_of(path).open("rb") as file:
            saved: Any = json.loads(file.read(_LARGEST))
        end, start = int(saved["end"]), int(saved["start"])
        if not 0 <= start <= end or saved["tail"] != _tail(journal, end):
            return None
        applied = frozenset((kind, tenant, target, made_at) for kind, tenant, target, made_at in saved["applied"])
        return Index(end, start, applied, datetime.fromisoformat(saved["since"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def save(
    path: str | os.PathLike[str],
    journal: BinaryIO,
    *,
    end: int,
    start: int,
    applied: Iterable[tuple[str, str, str, str]],
    since: datetime | None,
) -> None:
    """Write the index of a journal, if that is possible.

    Args:
        path: The journal.
        journal: The journal, open.
        end: As for `Index`.
        start: As for `Index`.
        applied: As for `Index`. Plans older than a week are left out.
        since: As for `Index`; None if `applied` has all plans.
    """
    horizon = max(datetime.now(UTC) - _KEPT, since or datetime.min.replace(tzinfo=UTC))
    recent = [list(one) for one in applied if _is_since(one[3], horizon)]
    saved = {"end": end, "start": start, "tail": _tail(journal, end), "since": horizon.isoformat(), "applied": recent}
    file = index_of(path)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}.part")
    # A folder that cannot be written costs the index, never the run.
    with suppress(OSError):
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
                json.dump(saved, out)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)


def _is_since(made_at: str, horizon: datetime) -> bool:
    try:
        return datetime.fromisoformat(made_at) >= horizon
    except (ValueError, TypeError):
        return False


def _tail(journal: BinaryIO, end: int) -> str | None:
    """Return a hash of the last bytes before a place, and of where that is; None if the journal is shorter."""
    journal.seek(max(0, end - _TAIL))
    tail = journal.read(min(end, _TAIL))
    return hashlib.sha256(b"%d " % end + tail).hexdigest() if len(tail) == min(end, _TAIL) else None
