"""Leaves out rows by what a column says; a row that cannot be told stays, and is in doubt."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from thrive_async.cli._errors import CliError, say
from thrive_async.cli._files.sheet import Sheet, holds
from thrive_async.cli._safe_text import counted

__all__ = ["Condition", "conditions", "preferred", "stopped", "where"]

_CONDITION = re.compile(r"\s*(.+?)\s*(!?=)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """What a cell must say, or must not: `Status=Active,Leave` or `Status!=Left`.

    Attributes:
        text: As it was written.
        option: The option it was written for.
        column: The column's name or number.
        values: The values, without case; an empty one is a blank cell.
        wanted: Whether the cell must be one of the values.
    """

    text: str
    option: str
    column: str
    values: frozenset[str]
    wanted: bool

    def __str__(self) -> str:
        return f"{self.option} {self.text!r}"

    def holds_for(self, cell: str) -> bool:
        """Return whether the condition is met by a cell."""
        return (cell.strip().casefold() in self.values) == self.wanted

    def may_begin_with(self, cell: str) -> bool:
        """Return whether a cell that was cut off may have been one of the values."""
        begun = cell.strip().casefold()
        return any(value != begun and value.startswith(begun) for value in self.values)


def conditions(texts: Sequence[str], option: str) -> list[Condition]:
    """Read conditions.

    Args:
        texts: `COLUMN=VALUE`, `COLUMN!=VALUE`, or several values with commas between them; a value with a comma stands
            in double quotes.
        option: The option, for messages.

    Raises:
        CliError: One cannot be read.
    """
    found: list[Condition] = []
    for text in texts:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise CliError(f"{option} {text!r}: write the column and the value, as in Status=Active or Status!=Left")
        values = next(csv.reader([match[3]], skipinitialspace=True), None) or [""]
        folded = frozenset(value.strip().casefold() for value in values)
        found.append(Condition(text, option, match[1], folded, match[2] == "="))
    return found


def where(sheet: Sheet, filters: Sequence[Condition]) -> Sheet:
    """Keep the rows that meet all conditions, and say how many each has left out.

    A row stays, as one in doubt, if the cell holds an error such as #N/A or may be cut off; and so does a row that has
    more or fewer cells than it should: it may be anyone's, so the sync decides what follows from it.

    Args:
        sheet: The sheet, with the names of its columns.
        filters: The conditions.

    Raises:
        CliError: There is no such column.
    """
    from thrive_async.sync._match.names import rewritten  # noqa: PLC0415 - after the parsing

    width = sheet.width()
    for one in filters:
        at = sheet.find(one.column, what=one.option)
        kept: list[int] = []
        doubts: dict[int, str] = {}
        filled = 0
        for place, cell in enumerate(sheet.words(at)):
            row = sheet.rows[place]
            if not holds(row):
                continue
            filled += 1
            last = place == len(sheet.rows) - 1
            if cell.startswith("#") and rewritten(cell.strip()):
                doubts[place] = f"{sheet.name(at)} holds {cell.strip()}, so {one} cannot tell"
            elif last and sheet.may_be_cut and at == len(row) - 1 and one.may_begin_with(cell):
                doubts[place] = f"{sheet.name(at)} may be cut off, so {one} cannot tell"
            elif not (one.holds_for(cell) or holds(row[width:]) or (last and len(row) < width)):
                continue
            kept.append(place)
        sheet = sheet.kept(kept, doubts)
        say(f"{sheet.source}: {one} left out {counted(filled - len(kept), 'rows')}, kept {len(kept):,}")
    return sheet


def stopped(sheet: Sheet, text: str | None) -> Sheet:
    """Leave out the footer: the first row whose first filled cell begins with a text, and all rows after it.

    Raises:
        CliError: There is no such row, so the file may be cut off; or there is nothing before it.
    """
    if text is None:
        return sheet
    wanted = text.strip().casefold()
    if not wanted:
        raise CliError("--stop-at is empty: write how the first line of the footer begins")
    for place, row in enumerate(sheet.rows):
        first = next((str(cell).strip() for cell in row if holds((cell,))), "")
        if first.casefold().startswith(wanted):
            if not place:
                raise CliError(f"{sheet.source}: --stop-at {text!r} is the first row: nothing is left to read")
            gone = sum(map(holds, sheet.rows[place:]))
            say(f"{sheet.source}: --stop-at {text!r} ends the list before {sheet.line_word} {sheet.lines[place]}")
            # `kept` knows that the last row of the list is not the end of the file any more.
            ended = sheet.kept(range(place))
            return Sheet(
                ended.source,
                ended.names,
                ended.rows,
                ended.lines,
                line_word=ended.line_word,
                sha256=ended.sha256,
                row_count=max(sheet.row_count - gone, 0),
            )
    raise CliError(f"{sheet.source}: no row begins with {text!r} (--stop-at): the file may be cut off")


def preferred(found: Sequence[tuple[int, Sheet]], rules: Sequence[Condition]) -> list[Sheet]:
    """Of several rows of one person, keep those that meet all conditions, if any does.

    Args:
        found: The sheets, each with the column that names people.
        rules: The conditions.

    Raises:
        CliError: There is no such column.
    """
    if not rules:
        return [sheet for _index, sheet in found]
    from thrive_async.sync._match.names import newcomer_key  # noqa: PLC0415 - after the parsing

    meets: list[list[bool]] = []
    keys: list[list[str]] = []
    for index, sheet in found:
        columns = [(one, sheet.words(sheet.find(one.column, what=one.option))) for one in rules]
        meets.append([all(one.holds_for(cells[at]) for one, cells in columns) for at in range(len(sheet.rows))])
        keys.append([newcomer_key(text.strip()) for text in sheet.texts(index)])
    best = {key for which, met in zip(keys, meets, strict=True) for key, yes in zip(which, met, strict=True) if yes}
    best.discard("")
    told = " and ".join(map(str, rules))
    sheets: list[Sheet] = []
    for (_index, sheet), which, met in zip(found, keys, meets, strict=True):
        kept = [at for at, yes in enumerate(met) if yes or which[at] not in best]
        say(f"{sheet.source}: {told} left out {counted(len(met) - len(kept), 'rows')} of people with several")
        sheets.append(sheet.kept(kept))
    return sheets
