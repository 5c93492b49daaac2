"""Options that several commands share, and how their text becomes a value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from thrive_async.cli._errors import CliError
from thrive_async.cli._files import STDIN, Format, Sheet, read_sheet
from thrive_async.cli._files.filters import conditions, preferred, stopped, where

if TYPE_CHECKING:
    from cyclopts import Token

    from thrive_async.sync._guards import MaxRemovals

__all__ = [
    "INPUT",
    "Date",
    "FileArgument",
    "Flag",
    "Input",
    "MoreFiles",
    "Repeated",
    "Unknown",
    "When",
    "duration",
    "removal_limit",
    "seconds",
    "texts",
    "wanted",
    "when",
]

INPUT = Group("Reading the file", sort_key=80)


def when(_type: Any, tokens: Sequence[Token]) -> datetime:
    """Read a date or a time; without a zone it is UTC."""
    text = tokens[0].value
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write 2026-01-31 or 2026-01-31T08:00:00+00:00") from None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


_DATE = Parameter(converter=when, metavar="DATE")
#: A date or a time; without a zone it is UTC.
Date = Annotated[datetime, _DATE]
When = Annotated[datetime | None, _DATE]


#: An option without a value; it has no opposite.
Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def _file(_type: Any, value: object) -> None:
    if isinstance(value, str) and value.startswith("-") and value != STDIN:
        raise ValueError(f"unknown option {value}; write ./{value} if that is a file")


def _not_negative(_type: Any, value: object) -> None:
    if isinstance(value, int) and value < 0:
        raise ValueError("write how many lines there are: 0 or more")


#: A file to read, or `-` for standard input.
FileArgument = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_file, metavar="FILE")]
#: More files after the first.
MoreFiles = Annotated[str, Parameter(metavar="FILE")]
#: Options that are given once for each value.
Repeated = Parameter(negative="", show_default=False)


@Parameter(name="*", group=INPUT)
@dataclass(frozen=True, kw_only=True)
class Input:
    """How to read the file, where its content does not tell."""

    encoding: str | None = None
    """The file's encoding, such as cp1252; not needed for UTF-8 or a file with a byte order mark."""
    delimiter: str | None = None
    """The character between columns; detected by default."""
    header: Annotated[bool | None, Parameter(show_default=False)] = None
    """Whether the first line names the columns; needed only if the command asks for it."""
    input_format: Format = "auto"
    """csv or jsonl; detected by default from the name and the first character. Workbooks are always recognised."""
    sheet: Annotated[str | None, Parameter(metavar="NAME|N")] = None
    """The sheet of a workbook, by name or number; by default the first one with a column of people."""
    skip_lines: Annotated[int, Parameter(metavar="N", validator=_not_negative)] = 0
    """How many lines, or rows of a workbook, stand before the header."""
    stop_at: Annotated[str | None, Parameter(metavar="TEXT")] = None
    """Where the footer starts: at the first row that begins with this text. A file without it is refused."""
    where: Annotated[tuple[str, ...], Repeated, Parameter(metavar="COLUMN=VALUE")] = ()
    """Read only the rows in which a column has this value, such as Status=Active or Status=Active,Leave, or with != has
    another. Repeat it for several columns."""
    prefer: Annotated[tuple[str, ...], Repeated, Parameter(metavar="COLUMN=VALUE")] = ()
    """For people with several rows, read only those in which a column has this value, such as Primary=Y."""

    def read(self, source: str, columns: Sequence[str] = ()) -> Sheet:
        """Read a whole file, or standard input, without the rows that an option leaves out.

        Args:
            source: A path, or `-`.
            columns: The columns by which the sheet of a workbook is found; by default any that names people.

        Raises:
            CliError: It cannot be read in this way.
        """
        read = read_sheet(
            source,
            encoding=self.encoding,
            delimiter=self.delimiter,
            format=self.input_format,
            sheet=self.sheet,
            skip_lines=self.skip_lines,
            columns=columns,
        )
        sheet = stopped(read, self.stop_at)
        filters = conditions(self.where, "--where")
        return where(self.headed(sheet), filters) if filters or self.prefer else sheet

    def headed(self, sheet: Sheet) -> Sheet:
        """Return a sheet with names for its columns: those of its first row, or numbers with `--no-header`."""
        return sheet.numbered() if self.header is False else sheet.with_header()

    def read_all(self, sources: Sequence[str], columns: Sequence[str] = ()) -> list[Sheet]:
        """Read files whose rows are one list, each with a header of its own.

        Args:
            sources: Paths, or `-`.
            columns: As for `read`.

        Raises:
            CliError: One cannot be read, or the filters keep no row.
        """
        sheets = [self.read(source, columns) for source in sources]
        if len(sheets) > 1:
            sheets = [replace(sheet, one_of_several=True) for sheet in sheets]
        if self.where and not any(sheet.rows for sheet in sheets):
            told = " ".join(f"--where {text!r}" for text in self.where)
            raise CliError(f"{sheets[0].source}: {told} keeps no row: nothing was read, so nothing is changed")
        return sheets

    def preferred(self, found: Sequence[tuple[int, Sheet]]) -> list[Sheet]:
        """Apply `--prefer` to sheets, each with the column that names people.

        Raises:
            CliError: A condition cannot be read, or names no column.
        """
        return preferred(found, conditions(self.prefer, "--prefer"))

    def plain(self) -> Input:
        """Return how to read a file beside the list: filters are not for it."""
        return Input(encoding=self.encoding, delimiter=self.delimiter)


def wanted(*columns: str | None) -> tuple[str, ...]:
    """Return the names among columns that are given by name or number."""
    return tuple(name for name in columns if name is not None and not name.isdecimal())


def removal_limit(text: str, option: str) -> MaxRemovals:
    """Read a limit of removals: a number of people, a share such as 10%, a share with a floor, or "none".

    Args:
        text: As given.
        option: The option, for the error.

    Returns:
        A count, a fraction, a `Guard`, or None for no limit.

    Raises:
        CliError: It is none of these.
    """
    from thrive_async.sync import Guard  # noqa: PLC0415 - after the parsing

    if text.strip().casefold() == "none":
        return None
    match = re.fullmatch(r"\s*(\d+)\s*|\s*(\d+(?:\.\d+)?)\s*%\s*(?:,\s*min\s*(\d+)\s*)?", text, re.IGNORECASE)
    if match is None:
        raise CliError(f'{option} {text}: write a number of people (250), a share (10%), "10%,min 1", or none')
    if match[1] is not None:
        return int(match[1])
    share = float(match[2]) / 100
    if share > 1:
        raise CliError(f"{option} {text}: a share is at most 100%")
    return Guard(share, at_least=int(match[3])) if match[3] is not None else share


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str, option: str) -> timedelta:
    """Read a time such as 90s, 10m, 24h or 2d; a number alone is in seconds.

    Raises:
        CliError: It is not a time.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*([smhd]?)\s*", text)
    if match is None:
        raise CliError(f"{option} {text}: write a time such as 90s, 10m, 24h or 2d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def seconds(text: str, option: str) -> float:
    """Read a time such as 50ms, 1.5s or 2 (seconds).

    Raises:
        CliError: It is not a time.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|)\s*", text)
    if match is None:
        raise CliError(f"{option} {text}: write a time such as 50ms or 1.5s")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


Strategy = Literal["diff", "rebuild"]
#: What to do while Thrive does not know a name of the file.
Unknown = Literal["hold", "remove", "hold-all"]


def texts(value: str | None) -> tuple[str, ...] | None:
    """Read values separated by commas; None, or nothing but commas, means no filter."""
    if value is None:
        return None
    return tuple(part.strip() for part in value.split(",") if part.strip()) or None
