"""The report of a run: its file, and its lines on the screen."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from thrive_async.cli._errors import CliError
from thrive_async.cli._formats import cell, out
from thrive_async.cli._private_file import PrivateFile
from thrive_async.cli._safe_text import guard_cell, one_line, visible

__all__ = ["FIELDS", "ReportFile", "in_words", "print_rows"]

#: The columns of a report as CSV, and the keys of an outcome as JSON.
FIELDS = ("audience", "action", "reference", "outcome", "reason", "ref", "email", "changes")
_SHOWN = 20

PersonRow = Mapping[str, Any]


class ReportFile:
    """A report as CSV or JSON, by its suffix; see `PrivateFile`.

    Args:
        path: Where to; ends in .csv or .json.

    Raises:
        CliError: The name has another suffix, or no file can be written there.
    """

    def __init__(self, path: str) -> None:
        suffix = Path(path).suffix.lower()
        self._json = suffix == ".json"
        if suffix not in (".csv", ".json"):
            raise CliError(f"--report {path}: the name must end in .csv or .json")
        self._file = PrivateFile(path, "--report")

    def __str__(self) -> str:
        return str(self._file)

    def write(self, summary: Mapping[str, Any], rows: Iterable[PersonRow]) -> None:
        """Write the report and put it in place.

        Args:
            summary: The figures; only JSON has a place for them.
            rows: One per person, with the keys of `FIELDS`; missing ones are empty.

        Raises:
            OSError: It cannot be written; see `PrivateFile.replaced`.
        """
        with self._file.replaced() as file:
            if self._json:
                text = json.dumps({**summary, "outcomes": list(rows)}, ensure_ascii=False, indent=1)
                file.write(visible(text) + "\n")
            else:
                writer = csv.writer(file, lineterminator="\r\n")
                writer.writerow(FIELDS)
                for row in rows:
                    writer.writerow([visible(str(guard_cell(cell(row.get(name))))) for name in FIELDS])


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
