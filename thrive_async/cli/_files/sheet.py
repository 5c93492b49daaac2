"""The rows of one file, and how a column of it is found."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thrive_async.cli._errors import CliError
from thrive_async.cli._safe_text import counted

__all__ = ["ID_COLUMNS", "PERSON_COLUMNS", "Sheet", "fold", "holds", "names_people", "shared"]

#: Folded names of the columns that identify people, best first: all people have an id, but some have no ref or address.
PERSON_COLUMNS = ("id", "userid", "ref", "reference", "email")
#: Of these, the names that another system's ids may have, too.
ID_COLUMNS = frozenset({"id", "userid"})
_HEADERS = frozenset(
    {
        *PERSON_COLUMNS, "userref", "mail", "emailaddress", "member", "members", "memberid", "user", "users",
        "username", "login", "person", "personid", "people", "employee", "employeeid", "employeenumber", "employeeno",
        "staffid", "audience", "audiences",
    }
)  # fmt: skip
_COMPARED_ROWS = 200
_SHARED_TEXTS = 20_000
_MONGO_ID = re.compile(r"[0-9a-fA-F]{24}")


def fold(name: str) -> str:
    """Return a column's name to compare it: without case, width, spaces, dashes, underscores and invisible letters."""
    if not name.isascii():
        name = "".join(char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf")
    return re.sub(r"[\s_\-\u2010-\u2015]", "", name).casefold()


def holds(cells: Sequence[object]) -> bool:
    """Return whether any of the cells holds something."""
    return any(cell is not None and str(cell).strip() for cell in cells)


def shared() -> Callable[[str], str]:
    """Return a function that keeps equal texts once: Germany, Active. It saves a third of the memory of a list."""
    known: dict[str, str] = {}

    def share(text: str) -> str:
        return known.get(text) or (known.setdefault(text, text) if len(known) < _SHARED_TEXTS else text)

    return share


def names_people(cells: Sequence[object]) -> bool:
    """Return whether a row looks like the header of a list of people."""
    return any(fold(str(cell)) in _HEADERS for cell in cells)


@dataclass(frozen=True)
class Sheet:
    """The rows of one file, before they are interpreted."""

    #: How messages name the file.
    source: str
    #: The names of the columns, or None where the first row may or may not be them.
    names: tuple[str, ...] | None
    rows: Sequence[Sequence[Any]] = field(repr=False)
    #: The line, or the row of a workbook, of each of `rows`.
    lines: Sequence[int] = field(repr=False, default=())
    #: Whether the last row may be cut off: no line end follows it.
    may_be_cut: bool = False
    #: How messages call a line: "line", or "row" in a workbook.
    line_word: str = "line"
    #: Whether it is one of several files, so that a line number needs the file's name.
    one_of_several: bool = False
    #: Why a row cannot be trusted, by its place in `rows`.
    doubts: Mapping[int, str] = field(repr=False, default_factory=dict[int, str])
    #: The SHA-256 of the file's bytes as they were read, in hexadecimal.
    sha256: str = ""
    #: How many rows the file has, without the header and empty rows, before any filter.
    row_count: int = 0

    def __post_init__(self) -> None:
        if not self.lines:
            object.__setattr__(self, "lines", range(1, len(self.rows) + 1))

    def where(self, place: int) -> str:
        """How reports name the row at a place (from 0): "line 7", or "b.csv: line 7"."""
        return self.located(place) if self.one_of_several else f"{self.line_word} {self.lines[place]}"

    def located(self, place: int) -> str:
        """How messages name the row at a place (from 0): "a.csv: line 7"."""
        return f"{self.source}: {self.line_word} {self.lines[place]}"

    def with_header(self) -> Sheet:
        """Take the first row as the names of the columns, unless they are known."""
        if self.names is not None:
            return self
        names = tuple(str(cell).strip() for cell in self.rows[0])
        rows, lines, count = self.rows[1:], self.lines[1:], max(self.row_count - 1, 0)
        return replace(self, names=names, rows=rows, lines=lines or range(0), row_count=count)

    def numbered(self) -> Sheet:
        """Name the columns by their numbers: the first row is no header."""
        if self.names is not None:
            return self
        return replace(self, names=tuple(str(number) for number in range(1, self.width() + 1)))

    def kept(self, places: Sequence[int], doubts: Mapping[int, str] | None = None) -> Sheet:
        """Return the sheet with some of its rows.

        Args:
            places: The places of these rows, ascending.
            doubts: More rows that cannot be trusted, by their place.
        """
        found = {**self.doubts, **(doubts or {})}
        return replace(
            self,
            rows=[self.rows[place] for place in places],
            lines=[self.lines[place] for place in places],
            doubts={new: found[place] for new, place in enumerate(places) if place in found} if found else {},
            may_be_cut=self.may_be_cut and bool(places) and places[-1] == len(self.rows) - 1,
        )

    def width(self) -> int:
        """How many columns the first row has."""
        return len(self.names if self.names is not None else self.rows[0])

    def column(self, wanted: str | None = None, *, header: bool | None = None, what: str = "--column") -> list[str]:
        """Return the values of one column as text.

        Args:
            wanted: A name or a number from 1; by default the only column, else the first named id or userId (if it
                holds Thrive's ids), ref, reference or email.
            header: True if the first row holds names, False if it holds values, None to find out.
            what: The option that names the column, for messages.

        Returns:
            One text per row; an empty or missing cell is an empty string.

        Raises:
            CliError: There is no such column, or it is not clear which one is meant.
        """
        index, sheet = self.choose(wanted, header=header, what=what)
        return sheet.texts(index)

    def name(self, index: int) -> str:
        """How messages name the column with this index (from 0)."""
        name = self.names[index] if self.names is not None else ""
        return f"column {name!r}" if name else f"column {index + 1}"

    def words(self, index: int) -> list[str]:
        """Return the cells of the column with this index (from 0) to compare them: a number of JSON is one, too."""
        cells = (row[index] if index < len(row) else "" for row in self.rows)
        return [cell if isinstance(cell, str) else "" if cell is None else json.dumps(cell) for cell in cells]

    def texts(self, index: int) -> list[str]:
        """Return the cells of the column with this index (from 0) as text."""
        return [self._text(row[index], place) if index < len(row) else "" for place, row in enumerate(self.rows)]

    def holds_ids(self, index: int) -> bool:
        """Return whether the column with this index (from 0) holds only Thrive's ids."""
        cells = [str(row[index]).strip() for row in self.rows if index < len(row) and row[index] is not None]
        return any(cells) and all(not cell or _MONGO_ID.fullmatch(cell) for cell in cells)

    def may_name_people(self, index: int) -> bool:
        """Return whether the column with this index (from 0) can be believed: ids must be Thrive's."""
        return fold((self.names or ())[index]) not in ID_COLUMNS or self.holds_ids(index)

    def check_whole(self) -> None:
        """Refuse rows in doubt, or wider or narrower than the header; empty rows and empty extra cells are fine.

        In half a row cells are missing, and a delimiter within a cell moves the cells after it.

        Raises:
            CliError: There is such a row.
        """
        width = self.width()
        for place, row in enumerate(self.rows):
            if place in self.doubts:
                raise CliError(f"{self.located(place)}: {self.doubts[place]}")
            if holds(row[width:]) or (len(row) < width and holds(row)):
                columns = counted(len(row), "columns")
                raise CliError(f"{self.located(place)} has {columns}, the first line {width}")

    def find(self, wanted: str, *, what: str = "--column") -> int:
        """Return the index (from 0) of a column by its name or number; the names must be known.

        Raises:
            CliError: There is no such column, or several have that name.
        """
        names = self.names or ()
        found = [index for index, name in enumerate(names) if fold(name) == fold(wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            alike = " and ".join(dict.fromkeys(repr(names[index]) for index in found))
            raise CliError(f"{self.source}: {len(found)} columns have one name, {alike}: give {what} as a number")
        if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
            return int(wanted) - 1
        raise CliError(f"{self.source}: no column {wanted!r}; {what} can be {_listed(names)}")

    def choose(
        self, wanted: str | None = None, *, header: bool | None = None, what: str = "--column"
    ) -> tuple[int, Sheet]:
        """Find a column as `column` does.

        Args:
            wanted: As for `column`.
            header: As for `column`.
            what: As for `column`.

        Returns:
            Its index from 0, and the sheet without its header.

        Raises:
            CliError: As for `column`.
        """
        if self.names is None and header is not True:
            numbered = wanted is not None and wanted.isdecimal() and 1 <= int(wanted) <= self.width()
            if numbered or (wanted is None and self.width() == 1):
                index = int(wanted) - 1 if wanted is not None else 0
                if header is None:
                    header = self._is_header(index)
                return index, self.with_header() if header else self
            if header is False:
                raise CliError(f"{self.source}: without a header, {what} is a number from 1 to {self.width()}")
        sheet = self.with_header()
        if wanted is not None:
            return sheet.find(wanted, what=what), sheet
        names = sheet.names or ()
        if len(names) == 1:
            return 0, sheet
        folded = [fold(name) for name in names]
        for name in folded:
            if name and folded.count(name) > 1:
                sheet.find(name, what=what)
        for known in PERSON_COLUMNS:
            if known in folded:
                index = sheet.find(known, what=what)
                if sheet.may_name_people(index):
                    return index, sheet
        raise CliError(f"{self.source}: say which column holds the people: {what} can be {_listed(names)}")

    def _is_header(self, index: int) -> bool:
        """Tell a column's name from a person; a wrong guess would drop a person, so doubt is an error."""
        first = str(self.rows[0][index]).strip()
        if fold(first) in _HEADERS:
            return True
        if not first or "@" in first or _MONGO_ID.fullmatch(first) or any(c.isdigit() for c in first):
            return False
        later = [
            row[index] for row in self.rows[1 : _COMPARED_ROWS + 1] if index < len(row) and str(row[index]).strip()
        ]
        if later and all("@" in str(cell) or any(c.isdigit() for c in str(cell)) for cell in later):
            return True
        raise CliError(
            f"{self.source}: is the first line, {first!r}, a column name or a person? Say --header or --no-header"
        )

    def _text(self, cell: object, place: int) -> str:
        if isinstance(cell, str):
            return cell
        if cell is None:
            return ""
        if isinstance(cell, bool | int):
            return json.dumps(cell)
        what = "an object" if isinstance(cell, dict) else "a list" if isinstance(cell, list) else json.dumps(cell)
        raise CliError(f"{self.located(place)}: {what} is not the name of a person; write it as text")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:12])
    return f"{shown}{' ...' if len(names) > 12 else ''} or a number from 1 to {len(names)}"
