"""Who the rows of a file name. What follows from a row that names nobody is for `thrive_async.sync` to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thrive_async.cli._files import PERSON_COLUMNS, Sheet, fold, holds

if TYPE_CHECKING:
    from thrive_async.sync import Unnamed

__all__ = ["People", "people_in"]


@dataclass(frozen=True)
class People:
    """The people of a file.

    Attributes:
        names: A name for each row of the sheet; what is said of it if it names nobody although it holds something; None
            for an empty row.
        column: How messages name the columns.
    """

    names: list[str | Unnamed | None] = field(repr=False)
    column: str

    @property
    def desired(self) -> list[str | Unnamed]:
        """The entries of the desired list, without empty rows."""
        return [name for name in self.names if name is not None]


def people_in(sheet: Sheet, index: int, *, chosen: bool, beside: int | None = None) -> People:
    """Read the name in each row: the cell of a column or, if that is blank, another cell that names the person.

    Args:
        sheet: The file.
        index: The column (from 0).
        chosen: Whether the column was chosen with an option; then no other will do.
        beside: A column that does not name people: the audience's.

    Returns:
        The people. A row that is blank but for `beside` is empty; a null in JSON makes no empty row.
    """
    from thrive_async.sync import Unnamed  # noqa: PLC0415 - after the parsing

    texts = [text if text.strip() else "" for text in sheet.texts(index)]
    folded = [fold(name) for name in sheet.names or ()]
    others = [] if chosen else [folded.index(name) for name in PERSON_COLUMNS if name in folded]
    others = [at for at in others if at not in (index, beside) and (folded[at] != "userid" or sheet.holds_ids(at))]
    column, width = sheet.name(index), sheet.width()
    names: list[str | Unnamed | None] = []
    fallen_back: set[int] = set()
    spare: dict[int, list[str]] = {}
    for place, row in enumerate(sheet.rows):
        name: str | Unnamed | None = texts[place] or None
        where = f"line {sheet.first_line + place}"
        cells = [cell for at, cell in enumerate(row) if at != beside]
        if holds(row[width:]):
            # A delimiter within a cell moves the others: what stands in the column is somebody else's.
            name = Unnamed(where, f"it has {len(row)} columns, the first line {width}")
        elif name is None:
            found = next((at for at in others if at < len(row) and holds((row[at],))), None)
            if found is not None:
                name = spare.setdefault(found, sheet.texts(found))[place]
                fallen_back.add(found)
            elif holds(cells) or None in cells:
                name = Unnamed(where, f"{column} is blank")
        names.append(name)
    else_by = "".join(f", else by {sheet.name(at)}" for at in others if at in fallen_back)
    return People(names, f"by {column}{else_by}")
