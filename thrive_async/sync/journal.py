"""The journal: what is planned, then a line per outcome as it happens.

Each run opens with a line of its own kind, `{"run", "audience", "fingerprint", "strategy", "planned", "at"}`, where
`planned` maps each action to the references it is meant for; then comes one line per outcome, `{"run", "audience",
"action", "reference", "outcome", "reason", "at"}`. A run that was killed has planned changes without an outcome; the
next run with the same journal finds out by reading what became of them and adds their lines under the old run's id.

The lines of one answer are one write to an unbuffered file: some ten microseconds for a hundred people, so the event
loop does it itself, and a line never waits in this process. A killed process loses none; only a machine that loses
power may lose the last second, because a sync to disk for each answer would hold up the loop.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import attrs

__all__ = ["Interrupted", "Journal", "Line", "unfinished"]

Line = tuple[str, str, str, str | None]
"""Action, reference, outcome, reason."""


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
        if path is None:
            return
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        if size:
            os.lseek(self._descriptor, size - 1, os.SEEK_SET)
            if os.read(self._descriptor, 1) != b"\n":
                # The last run died within a line; what follows must not be glued to it.
                self._write(b"\n")

    @property
    def is_open(self) -> bool:
        """Whether anything is written."""
        return self._descriptor is not None

    def open_run(self, *, fingerprint: str, strategy: str, planned: Mapping[str, Sequence[str]]) -> None:
        """Write the line a run begins with.

        Args:
            fingerprint: The plan's.
            strategy: ``"diff"`` or ``"rebuild"``.
            planned: The references of the planned changes, by action.
        """
        self._write(
            _line(
                {
                    "run": self._run,
                    "audience": self._audience,
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
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def close(self) -> None:
        """Hand the file back; harmless to repeat."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": ")).encode("utf-8", "backslashreplace") + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@attrs.frozen
class Interrupted:
    """A run that ended before every planned change had its outcome.

    Attributes:
        run: Its id.
        pending: Pairs of action and reference without an outcome, in the order planned.
    """

    run: str
    pending: tuple[tuple[str, str], ...]


def unfinished(path: str | os.PathLike[str]) -> dict[str, list[Interrupted]]:
    """Find the runs in a journal that were interrupted and not accounted for since, by audience.

    Reads the whole file, so call it off the loop. Lines that are no JSON (a run died while it wrote them) are passed
    over.

    Args:
        path: The journal; it need not exist.
    """
    runs: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
    if not Path(path).exists():
        return {}
    with Path(path).open("rb") as lines:
        for line in lines:
            try:
                decoded: Any = json.loads(line)
            except ValueError:
                continue
            entry = cast("dict[str, Any]", decoded if isinstance(decoded, dict) else {})
            run = (str(entry.get("audience")), str(entry.get("run")))
            if "planned" in entry:
                planned = cast("dict[str, list[str]]", entry["planned"])
                runs[run] = {(action, name): None for action, names in planned.items() for name in names}
            elif run in runs:
                pending = runs[run]
                pending.pop((entry.get("action", ""), entry.get("reference", "")), None)
                if not pending:
                    del runs[run]
    found: dict[str, list[Interrupted]] = {}
    for (audience, run_id), pending in runs.items():
        if pending:
            found.setdefault(audience, []).append(Interrupted(run_id, tuple(pending)))
    return found
