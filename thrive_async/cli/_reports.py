"""What a sync planned and did: the lines for people, and the file that holds the fate of every single one."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from thrive_async.cli._errors import CliError
from thrive_async.cli._output import out
from thrive_async.cli._text import guard_cell, one_line, visible

__all__ = ["FIELDS", "ReportFile", "print_fates"]

#: The columns of a report as CSV, and the keys of an outcome as JSON.
FIELDS = ("audience", "action", "reference", "outcome", "reason", "ref", "email")
_SHOWN = 20

Fate = Mapping[str, Any]


class ReportFile:
    """A report as CSV or JSON, by its suffix; the place is tried before anything is changed.

    Readable by its owner only. Written beside its name first and moved there when it is whole, so that nobody reads
    half a report.

    Args:
        path: where to; ends in .csv or .json.
        fields: the columns.

    Raises:
        CliError: another suffix, or no file can be written there.
    """

    def __init__(self, path: str, *, fields: Sequence[str] = FIELDS) -> None:
        self._path = Path(path)
        self._fields = tuple(fields)
        self._json = self._path.suffix.lower() == ".json"
        if not self._json and self._path.suffix.lower() != ".csv":
            raise CliError(f"--report {path}: the name must end in .csv or .json")
        if self._path.is_dir():
            raise CliError(f"--report {path} is a folder: name a file in it")
        self._part = self._path.with_name(f".{self._path.name}.part")
        try:
            # It holds people's identifiers: a new file, which only its owner can read.
            self._part.unlink(missing_ok=True)
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CliError(f"--report {path}: cannot write there: {error.strerror or error}") from error
        # What is no text, such as half a character in somebody's file, is written as its code: a report must not fail.
        self._file: IO[str] = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="")

    def write(self, summary: Mapping[str, Any], fates: Iterable[Fate]) -> None:
        """Write everything and move the file to its name.

        Args:
            summary: the figures; only JSON has a place for them.
            fates: one per person; keys as in the fields, missing ones are empty.
        """
        with self._file as file:
            if self._json:
                text = json.dumps({**summary, "outcomes": list(fates)}, ensure_ascii=False, indent=1)
                file.write(visible(text) + "\n")
            else:
                writer = csv.writer(file, lineterminator="\r\n")
                writer.writerow(self._fields)
                for fate in fates:
                    writer.writerow([visible(str(guard_cell(fate.get(name) or ""))) for name in self._fields])
        self._part.replace(self._path)

    def discard(self) -> None:
        """Leave no trace: nothing was done that is worth a report. Harmless once written."""
        self._file.close()
        with suppress(FileNotFoundError):
            self._part.unlink()


def print_fates(
    title: str, fates: Sequence[Fate], *, shown: int = _SHOWN, hint: str = "--report lists them all"
) -> None:
    """Print people and reasons below a title, a line each, and say how many more there are.

    Args:
        title: for example "failed"; nothing is printed if there is nobody.
        fates: keys `action`, `reference`, `reason`, `ref` and `email`.
        shown: how many to print.
        hint: where to find the rest.
    """
    if not fates:
        return
    width = min(max(len(one_line(str(fate["reference"]))) for fate in fates[:shown]), 40)
    for fate in fates[:shown]:
        reference = one_line(str(fate["reference"])) or "(blank)"
        action = f"{fate['action']:<6}  " if fate.get("action") else ""
        known = ", ".join(str(fate[name]) for name in ("ref", "email") if fate.get(name))
        told = "  ".join(one_line(text) for text in (known, str(fate.get("reason") or "")) if text)
        out(f"  {title}  {action}{reference:<{width}}  {told}".rstrip())
    if len(fates) > shown:
        out(f"  ... and {len(fates) - shown:,} more {title}: {hint}")
