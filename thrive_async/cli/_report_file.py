"""The report of a run: its file, and its lines on the screen."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from thrive_async.cli._errors import CliError
from thrive_async.cli._formats import cell, out
from thrive_async.cli._safe_text import guard_cell, one_line, visible

__all__ = ["FIELDS", "ReportFile", "in_words", "print_rows"]

#: The columns of a report as CSV, and the keys of an outcome as JSON.
FIELDS = ("audience", "action", "reference", "outcome", "reason", "ref", "email", "changes")
_SHOWN = 20

PersonRow = Mapping[str, Any]


class ReportFile:
    """A report as CSV or JSON, by its suffix; only its owner can read it.

    It is written to a temporary file beside the target, which it replaces when it is complete. So you never read half a
    report, and the report of an earlier run stays until the new one is ready.

    Args:
        path: Where to; ends in .csv or .json.

    Raises:
        CliError: The name has another suffix, or no file can be written there.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._json = self._path.suffix.lower() == ".json"
        if not self._json and self._path.suffix.lower() != ".csv":
            raise CliError(f"--report {path}: the name must end in .csv or .json")
        if self._path.is_dir():
            raise CliError(f"--report {path} is a folder: name a file in it")
        try:
            # Tried before anything is changed.
            file, part = self._part()
            file.close()
            part.unlink()
        except OSError as error:
            raise CliError(f"--report {path}: cannot write there: {error.strerror or error}") from error

    def __str__(self) -> str:
        return f"--report {self._path}"

    def _part(self) -> tuple[IO[str], Path]:
        """Open a new file beside the target that only its owner can read."""
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".part")
        # Broken text, such as half a character from a file, is written as its code, because a report must not fail.
        return os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline=""), Path(name)

    def write(self, summary: Mapping[str, Any], rows: Iterable[PersonRow]) -> None:
        """Write the report and put it in place.

        Args:
            summary: The figures; only JSON has a place for them.
            rows: One per person, with the keys of `FIELDS`; missing ones are empty.

        Raises:
            OSError: It cannot be written; nothing of it is left, and a report that was there before still is. If only
                the target cannot be replaced (open in Excel, for example), the error names the file with the report.
        """
        file, part = self._part()
        try:
            with file:
                if self._json:
                    text = json.dumps({**summary, "outcomes": list(rows)}, ensure_ascii=False, indent=1)
                    file.write(visible(text) + "\n")
                else:
                    writer = csv.writer(file, lineterminator="\r\n")
                    writer.writerow(FIELDS)
                    for row in rows:
                        writer.writerow([visible(str(guard_cell(cell(row.get(name))))) for name in FIELDS])
        except BaseException:
            part.unlink()
            raise
        try:
            part.replace(self._path)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; the report is in {part}", str(self._path)) from error


def in_words(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """Say what changes: `job_title: Clerk -> Cook`."""
    return ", ".join(
        f"{name}: {cell(old) or '(none)'} -> {cell(new) or '(none)'}" for name, (old, new) in changes.items()
    )


def print_rows(
    title: str, rows: Sequence[PersonRow], *, shown: int | None = _SHOWN, hint: str = "--report lists them all"
) -> None:
    """Print people and reasons, a line each, and say how many more there are.

    Args:
        title: What they have in common, such as "failed".
        rows: Rows with the keys `action`, `reference`, `reason`, `ref`, `email` and `changes`.
        shown: How many to print; None for all.
        hint: Where to find the rest.
    """
    some = rows[:shown]
    width = min(max((len(one_line(str(row["reference"]))) for row in some), default=0), 40)
    for row in some:
        reference = one_line(str(row["reference"])) or "(blank)"
        action = f"{row['action']:<6}  " if row.get("action") else ""
        known = ", ".join(str(row[name]) for name in ("ref", "email") if row.get(name))
        texts = (known, in_words(row.get("changes") or {}), str(row.get("reason") or ""))
        told = "  ".join(one_line(text) for text in texts if text)
        out(f"  {title}  {action}{reference:<{width}}  {told}".rstrip())
    if len(some) < len(rows):
        out(f"  ... and {len(rows) - len(some):,} more {title}: {hint}")
