"""Whom the rows of a file name; and the rows that name nobody, which may be anybody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thrive_async.cli._files import PERSON_COLUMNS, Sheet, fold, holds

if TYPE_CHECKING:
    from thrive_async.sync import MemberPlan

__all__ = ["People", "hold_back", "people_in"]

_LISTED = 5


@dataclass(frozen=True)
class People:
    """The people of a file, a name for each row."""

    #: One for each row of the sheet; empty where the row names nobody.
    names: list[str] = field(repr=False)
    #: How messages name the columns.
    column: str
    #: The lines that hold something and name nobody, by their place among the names, with the reason.
    nameless: dict[int, tuple[int, str]] = field(repr=False)


def people_in(sheet: Sheet, index: int, *, chosen: bool, beside: int | None = None) -> People:
    """Read whom each row names: the cell of a column or, where that is blank, another cell that tells who it is.

    Args:
        sheet: The file.
        index: The column (from 0).
        chosen: Somebody has said which column; then no other will do.
        beside: A column that says nothing about who it is: the audience's.

    Returns:
        The people. A row that is blank but for `beside` names nobody, and nobody is meant.
    """
    texts = [text if text.strip() else "" for text in sheet.texts(index)]
    folded = [fold(name) for name in sheet.names or ()]
    others = [] if chosen else [folded.index(name) for name in PERSON_COLUMNS if name in folded]
    others = [at for at in others if at not in (index, beside) and (folded[at] != "userid" or sheet.holds_ids(at))]
    column, width = sheet.name(index), sheet.width()
    nameless: dict[int, tuple[int, str]] = {}
    fallen_back: set[int] = set()
    spare: dict[int, list[str]] = {}
    for place, row in enumerate(sheet.rows):
        if holds(row[width:]):
            # A delimiter within a cell moves the others: what stands in the column is somebody else's.
            nameless[place] = (sheet.first_line + place, f"it has {len(row)} columns, the first line {width}")
            texts[place] = ""
        elif not texts[place]:
            found = next((at for at in others if at < len(row) and holds((row[at],))), None)
            if found is not None:
                texts[place] = spare.setdefault(found, sheet.texts(found))[place]
                fallen_back.add(found)
            elif holds([cell for at, cell in enumerate(row) if at != beside]):
                nameless[place] = (sheet.first_line + place, f"{column} is blank")
    else_by = "".join(f", else by {sheet.name(at)}" for at in others if at in fallen_back)
    return People(texts, f"by {column}{else_by}", nameless)


def hold_back(plan: MemberPlan, nameless: Sequence[tuple[int, str]]) -> None:
    """Let a plan remove nobody, if a row of its file names nobody: it may be theirs; and say which row that is.

    Args:
        plan: The plan; each such row was a blank entry of its desired list.
        nameless: The lines, with the reasons.
    """
    if not nameless:
        return
    blank = ("", "blank")
    others = [one for one in plan.rejected if one != blank]
    blanks = [blank] * (len(plan.rejected) - len(others) - len(nameless))
    told = [(f"line {line}", f"names nobody: {reason}") for line, reason in nameless]
    plan.rejected = (*others, *blanks, *told)
    lines = ", ".join(str(line) for line, _ in nameless[:_LISTED])
    more = f" and {len(nameless) - _LISTED:,} more" if len(nameless) > _LISTED else ""
    which = f"line {lines} names" if len(nameless) == 1 else f"lines {lines}{more} name"
    plan.hold_removals(f"not removed: {which} nobody, and may mean them; correct the file")
