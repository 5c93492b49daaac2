"""Reads workbooks with python-calamine: cells become the text that the person who typed them saw."""

from __future__ import annotations

import io
import struct
import zipfile
from array import array
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from thrive_async.cli._errors import CliError, say
from thrive_async.cli._files.content import Content
from thrive_async.cli._files.marks import (
    MOST_CELLS,
    Marks,
    marks_of_ods,
    marks_of_xls,
    marks_of_xlsb,
    marks_of_xlsx,
)
from thrive_async.cli._files.sheet import Sheet, fold, holds, names_people, shared
from thrive_async.cli._files.text import trimmed
from thrive_async.cli._safe_text import counted

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

__all__ = ["read_workbook"]

_SHOWN = 5


def read_workbook(
    content: Content, source: str, *, sheet: str | None = None, skip_rows: int = 0, columns: Sequence[str] = ()
) -> Sheet:
    """Read one sheet of a workbook.

    Args:
        content: The workbook.
        source: What messages call it.
        sheet: The sheet's name, or its number from 1; by default the first visible one with a column of people.
        skip_rows: How many rows stand before the header.
        columns: Columns that the sheet must have to be found by default; by default any that names people.

    Raises:
        CliError: It is damaged or protected, the sheet is not there or too large, or it is not clear which is meant.
    """
    try:
        import python_calamine as calamine  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise CliError(
            f'{source} is a workbook; install what reads it: pip install "thrive-async[excel]", or save it as CSV'
        ) from error

    try:
        known = _marks_of_all(content, source)
        with calamine.CalamineWorkbook.from_filelike(io.BytesIO(content.data)) as workbook:
            found = _Workbook(workbook, content, source, known)
            return found.read(found.choose(sheet, skip_rows, columns), skip_rows)
    except calamine.PasswordError as error:
        raise CliError(f"{source} is protected by a password: save a copy without one") from error
    except (calamine.CalamineError, zipfile.BadZipFile) as error:
        raise _damaged(source) from error


def _damaged(source: str) -> CliError:
    return CliError(f"{source} is no workbook that can be read, or damaged: open it and save it again as .xlsx or CSV")


@contextmanager
def _damage_told(source: str) -> Generator[None]:
    try:
        yield
    except (LookupError, ValueError, StopIteration, SyntaxError, ArithmeticError, struct.error) as error:
        raise _damaged(source) from error


def _within(marks: Marks, sheet: str, source: str) -> Marks:
    """Refuse a sheet that would take all memory."""
    if marks.rows * marks.columns > MOST_CELLS:
        raise CliError(
            f"{source}: sheet {sheet!r} reaches to row {marks.rows:,} and column {marks.columns:,}: "
            "delete what stands far outside the list, or save it as CSV"
        )
    return marks


def _marks_of_all(content: Content, source: str) -> dict[str, Marks]:
    """Read the marks of an .ods; those of another workbook are read with the sheet."""
    if content.kind != "ods":
        return {}
    with _damage_told(source), zipfile.ZipFile(io.BytesIO(content.data)) as archive:
        return {name: _within(marks, name, source) for name, marks in marks_of_ods(archive).items()}


class _Workbook:
    def __init__(self, workbook: CalamineWorkbook, content: Content, source: str, known: dict[str, Marks]) -> None:
        self._workbook = workbook
        self._content = content
        self._source = source
        self._known = known
        self._names = workbook.sheet_names
        visible = {one.name for one in workbook.sheets_metadata if str(one.visible).endswith(".Visible")}
        self._loaded: tuple[str, CalamineSheet, Marks] | None = None
        self._hidden = [name for name in self._names if name not in visible]

    def choose(self, wanted: str | None, skip_rows: int, columns: Sequence[str]) -> str:
        """Return the name of the sheet to read, and tell of the others."""
        if wanted is not None:
            name = self._named(wanted)
            if name in self._hidden:
                say(f"{self._source}: reading sheet {name!r}, which is hidden")
            return name
        visible = [name for name in self._names if name not in self._hidden]
        if self._hidden:
            listed = ", ".join(map(repr, self._hidden[:_SHOWN]))
            say(f"{self._source}: {counted(len(self._hidden), 'sheets')} hidden and not read: {listed}")
        if len(visible) == 1:
            return visible[0]
        filled: list[str] = []
        for name in visible:
            header = self._header(name, skip_rows)
            folded = {fold(cell) for cell in header}
            if {fold(column) for column in columns} <= folded if columns else names_people(header):
                say(f"{self._source}: reading sheet {name!r}, the first with a column of people; see --sheet")
                return name
            filled += [name] if header else []
        if len(filled) == 1:
            return filled[0]
        if not filled:
            raise CliError(f"{self._source} is empty: nothing was read, so nothing is changed")
        raise CliError(f"{self._source}: say which sheet holds the people: --sheet can be {self._listed()}")

    def _named(self, wanted: str) -> str:
        for name in self._names:
            if name.strip().casefold() == wanted.strip().casefold():
                return name
        if wanted.isdecimal() and 1 <= int(wanted) <= len(self._names):
            return self._names[int(wanted) - 1]
        raise CliError(f"{self._source}: no sheet {wanted!r}; --sheet can be {self._listed()}")

    def _listed(self) -> str:
        shown = ", ".join(map(repr, self._names[:12]))
        return f"{shown}{' ...' if len(self._names) > 12 else ''} or a number from 1 to {len(self._names)}"

    def _header(self, name: str, skip_rows: int) -> list[str]:
        """Return the first row of a sheet that holds something."""
        for number, row in enumerate(self._rows(name)):
            if number >= skip_rows and holds(row):
                return row
        return []

    def _load(self, name: str) -> tuple[CalamineSheet, Marks]:
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = None
            # The marks first: a cell far away would take all memory.
            marks = self._marks(name)
            self._loaded = name, self._workbook.get_sheet_by_name(name), marks
        return self._loaded[1:]

    def _marks(self, name: str) -> Marks:
        if name in self._known:
            return self._known[name]
        with _damage_told(self._source):
            if self._content.kind == "xls":
                return _within(marks_of_xls(self._content.data, self._names.index(name)), name, self._source)
            with zipfile.ZipFile(io.BytesIO(self._content.data)) as archive:
                reader = marks_of_xlsx if self._content.kind == "xlsx" else marks_of_xlsb
                return _within(reader(archive, name), name, self._source)

    def _rows(self, name: str) -> Iterator[list[str]]:
        """Return all rows of a sheet as text, from its first column that holds something."""
        sheet, marks = self._load(name)
        first = sheet.start[1] if sheet.start is not None else 0
        share = shared()
        for number, row in enumerate(sheet.iter_rows()):
            cells = [share(_text(cell)) for cell in row]
            if marks.errors or marks.padded:
                for at in range(len(cells)):
                    key = Marks.key(number, first + at)
                    if key in marks.errors:
                        cells[at] = marks.errors[key]
                    elif key in marks.padded and cells[at].isdecimal():
                        prefix, width = marks.padded[key]
                        cells[at] = prefix + cells[at].zfill(width)
            yield cells

    def read(self, name: str, skip_rows: int) -> Sheet:
        """Read a sheet."""
        _sheet, marks = self._load(name)
        rows: list[list[str]] = []
        lines = array("L")
        for number, row in enumerate(self._rows(name)):
            if number >= skip_rows and holds(row):
                rows.append(row)
                lines.append(number + 1)
        filled = set(lines) if marks.hidden else set[int]()
        hidden = [row + 1 for row in marks.hidden if row + 1 in filled]
        if hidden:
            listed = ", ".join(map(str, hidden[:_SHOWN])) + (", ..." if len(hidden) > _SHOWN else "")
            say(
                f"{self._source}: {counted(len(hidden), 'rows')} hidden in the workbook and read all the same: {listed}"
            )
        return trimmed(Sheet(self._source, None, rows, lines, line_word="row"))


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return _number(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time.min else cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def _number(value: float) -> str:
    """Return a number as a spreadsheet shows it: 15 digits, no exponent."""
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    shown = f"{value:.15g}"
    if "e" in shown or "n" in shown:
        from decimal import Decimal  # noqa: PLC0415 - rare

        shown = format(Decimal(shown), "f")
    return shown
