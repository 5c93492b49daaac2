"""Who the rows of a file name. What follows from a row that cannot be trusted is for `thrive_async.sync` to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thrive_async.cli._files import PERSON_COLUMNS, Sheet, fold, holds

if TYPE_CHECKING:
    from thrive_async.cli._option_types import Input
    from thrive_async.sync import Entry

__all__ = ["People", "people_in", "people_of"]


@dataclass(frozen=True)
class People:
    """The people of a file.

    Attributes:
        entries: An entry for each row of the sheet; None for an empty row.
        column: How messages name the columns.
    """

    entries: list[Entry | None] = field(repr=False)
    column: str

    @property
    def desired(self) -> list[Entry]:
        """The entries of the desired list, without empty rows."""
        return [entry for entry in self.entries if entry is not None]


def people_of(sheets: Sequence[Sheet], column: str | None, reading: Input) -> tuple[list[Sheet], list[People]]:
    """Find who the rows of all files name.

    Args:
        sheets: The files.
        column: The column that was chosen with an option, by name or number.
        reading: How the files are read.

    Returns:
        The files as they were interpreted, and the people of each.

    Raises:
        CliError: There is no such column, or it is not clear which one is meant.
    """
    found = [sheet.choose(column, header=reading.header) for sheet in sheets]
    chosen = reading.preferred(found)
    places = [index for index, _sheet in found]
    return chosen, [people_in(sheet, at, chosen=column is not None) for sheet, at in zip(chosen, places, strict=True)]


def people_in(sheet: Sheet, index: int, *, chosen: bool, beside: int | None = None) -> People:
    """Read who each row names: the cell of a column, and all other cells that name the person.

    Args:
        sheet: The file.
        index: The column (from 0).
        chosen: Whether the column was chosen with an option; then no other will do.
        beside: A column that does not name people: the audience's.

    Returns:
        The people. A row that is blank but for `beside` is empty; a null in JSON makes no empty row.
    """
    from thrive_async.sync import Entry  # noqa: PLC0415 - after the parsing

    folded = [fold(name) for name in sheet.names or ()]
    others = [] if chosen else [folded.index(name) for name in PERSON_COLUMNS if name in folded]
    others = [at for at in others if at not in (index, beside) and sheet.may_name_people(at)]
    texts = sheet.texts(index)
    spare = [sheet.texts(at) for at in others]
    column, width = sheet.name(index), sheet.width()
    entries: list[Entry | None] = []
    fallen_back: set[int] = set()
    for place, row in enumerate(sheet.rows):
        last = place == len(sheet.rows) - 1
        where = sheet.where(place)
        name = texts[place] if texts[place].strip() else None
        also = {at: cells[place] for at, cells in zip(others, spare, strict=True) if cells[place].strip()}
        doubt = sheet.doubts.get(place)
        if doubt is not None:
            pass
        elif holds(row[width:]):
            # A delimiter inside a cell shifts the rest of the row, so the column may hold another value.
            doubt = f"it has {len(row)} columns, the first line {width}"
        elif last and len(row) < width and holds(row) and sheet.names != ("",):
            doubt = f"it has {len(row)} columns, the first line {width}: the file may be cut off"
        elif name is None and not also:
            cells = [cell for at, cell in enumerate(row) if at != beside]
            if not (holds(cells) or None in cells):
                entries.append(None)
                continue
            doubt = f"{column} is blank"
        elif name is None:
            fallen_back.add(min(also, key=others.index))
        cut = last and sheet.may_be_cut and index == len(row) - 1
        entries.append(Entry(name=name, also=also.values(), where=where, doubt=doubt, may_be_cut=cut))
    else_by = "".join(f", else by {sheet.name(at)}" for at in others if at in fallen_back)
    return People(entries, f"by {column}{else_by}")
