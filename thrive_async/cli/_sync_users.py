"""`thrive sync users`: accounts made equal to an HR export."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from thrive_async.cli._applying import UserApplying, apply_plan, finish, show_plan
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import CliError, say
from thrive_async.cli._files import Sheet, holds, source_of
from thrive_async.cli._files.filters import conditions
from thrive_async.cli._option_types import FileArgument, Flag, Input, MoreFiles, wanted
from thrive_async.cli._plan_views import UsersView, save
from thrive_async.cli._safe_text import counted

__all__ = ["LEFT", "columns_of", "mapping", "users"]

#: The key that no column has: whether the person has left.
LEFT = "\0left"
_DATES = ("start_date", "end_date")


def users(
    file: FileArgument,
    /,
    *more: MoreFiles,
    map_: Annotated[
        tuple[str, ...], Parameter(name="--map", negative="", metavar="FIELD=COLUMN", show_default=False)
    ] = (),
    leavers: Literal["ignore", "suspend", "listed"] = "ignore",
    left: Annotated[str | None, Parameter(metavar="COLUMN=VALUE")] = None,
    date_format: Annotated[str | None, Parameter(metavar="FORMAT")] = None,
    returning: Literal["report", "unsuspend"] = "report",
    blank: Literal["keep", "clear"] = "keep",
    allow_empty: Flag = False,
    allow_takeover: Flag = False,
    save_plan: Annotated[str | None, Parameter(metavar="FILE")] = None,
    applying: UserApplying = UserApplying(),  # noqa: B008 - frozen
    reading: Input = Input(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Create, update and suspend users to match an HR export.

    People match by ref. Only mapped fields are compared, and only those that differ are sent. No user is deleted. A
    plan that suspends users, or changes their names or e-mail addresses, asks first; without a terminal it needs --yes.

    Args:
        file: The export, with one row per person.
        more: More files, each with its own header; their rows are one list. FIELD=COLUMN pairs may stand here, too, so
            that one --map can be followed by several.
        map_: The column of a field, such as ref=EmployeeID. Repeat it for several. By default, columns are named after
            fields.
        leavers: What to do with active users who are not in the export, or of whom --left says that they have left.
            listed suspends only the latter.
        left: The rows of people who have left, such as Status=Left,Terminated. With end_date mapped, from that day on.
        date_format: How the dates in the file are written, such as DD/MM/YYYY; by default YYYY-MM-DD.
        returning: What to do with suspended users who are in the export; unsuspend sends a legacy event for each.
        blank: Whether an empty cell leaves the field as it is, or clears it.
        allow_empty: Accept an empty export.
        allow_takeover: Let an account pass to a new person, with another name and another e-mail address.
        save_plan: Write the plan to a file, for `thrive plan show` and `thrive plan apply`.
        applying: What the run may do.
        reading: How to read the file.
        connection: The Thrive tenant to use.
    """
    pairs = (*map_, *(word for word in more if "=" in word and not Path(word).exists()))
    files = (file, *(word for word in more if "=" not in word or Path(word).exists()))
    applying.check(*files, save_plan=save_plan)
    sheets = [sheet.with_header() for sheet in reading.read_all(files, wanted(*(columns_of(pairs).values())))]
    columns, rows = mapping(pairs, sheets, reading, left=left, date_format=date_format)
    if leavers == "listed" and left is None:
        raise CliError("--leavers listed needs --left, which says who has left, such as --left Status=Left")
    source = source_of(sheets)
    protected = applying.protected()
    thrive = connection.client()
    report = applying.report_file()

    async def main() -> int:
        from thrive_async.sync.users import plan_users  # noqa: PLC0415 - after the parsing

        async with thrive, applying.alone():
            say(f"comparing users with {source.name}: {counted(len(rows), 'rows')}, fields {', '.join(columns)}")
            plan = await plan_users(
                thrive,
                rows,
                columns=columns,
                leavers=leavers,
                returning=returning,
                blank=blank,
                allow_empty=allow_empty,
                allow_takeover=allow_takeover,
                has_left=(lambda row: row[LEFT] == "yes") if left is not None else None,
                protect=protected,
            )
            plan.source = source
            view = UsersView(plan)
            show_plan(view)
            if save_plan is not None:
                save(view.plan, save_plan)
            return await apply_plan(view, applying, report, thrive)

    return finish(main, report)


def mapping(
    pairs: Sequence[str],
    sheets: Sequence[Sheet],
    reading: Input = Input(),  # noqa: B008 - frozen
    *,
    left: str | None = None,
    date_format: str | None = None,
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Read `--map`, and take the columns it names out of the files.

    Args:
        pairs: The `field=column` pairs of the command line; empty if the columns are named after the fields.
        sheets: The files, with their headers.
        reading: How the files are read.
        left: Which rows are of people who have left; each row then says so in `LEFT`.
        date_format: How dates are written.

    Returns:
        The column of each field, and the rows with those columns only.

    Raises:
        CliError: A pair cannot be read or maps a field twice, or a file has no such column.
    """
    columns = columns_of(pairs) or {name: name for name in sheets[0].names or () if name}
    if "ref" in columns:
        sheets = reading.preferred([(sheet.find(columns["ref"], what="--map ref="), sheet) for sheet in sheets])
    written = _date_reader(date_format) if date_format is not None else None
    dates = [columns[name] for name in _DATES if name in columns]
    rows: list[dict[str, str]] = []
    for sheet in sheets:
        sheet.check_whole()
        cells = {column: sheet.texts(sheet.find(column, what=f"--map {field}=")) for field, column in columns.items()}
        if written is not None:
            cells |= {column: [written(text) for text in cells[column]] for column in dates}
        if left is not None:
            cells[LEFT] = _leavers(sheet, left, cells.get(columns.get("end_date", "")))
        found = (dict(zip(cells, values, strict=True)) for values in zip(*cells.values(), strict=True))
        # Empty lines are ignored.
        rows += [row for row, line in zip(found, sheet.rows, strict=True) if holds(line)]
    return columns, rows


def _leavers(sheet: Sheet, left: str, days: list[str] | None) -> list[str]:
    """Say for each row whether the person has left; one whose day is still to come, or cannot be read, has not."""
    (condition,) = conditions((left,), "--left")
    texts = sheet.words(sheet.find(condition.column, what="--left"))
    if days is None:
        days = [""] * len(texts)
    today = datetime.now(UTC).date().isoformat()
    return [
        "yes" if condition.holds_for(text) and _has_come(day.strip(), today) else "no"
        for text, day in zip(texts, days, strict=True)
    ]


def _has_come(day: str, today: str) -> bool:
    return not day or (re.fullmatch(r"\d{4}-\d\d-\d\d.*", day) is not None and day[:10] <= today)


_PARTS_OF_DATES = {
    "YYYY": "%Y", "YY": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%m", "DD": "%d", "D": "%d",
}  # fmt: skip


def _date_reader(form: str) -> Callable[[str], str]:
    """Return a function that writes a date as YYYY-MM-DD; what is no date in this form stays, and is rejected later.

    Raises:
        CliError: The form does not say day, month and year.
    """
    pattern = form
    if "%" not in form:
        words = re.compile("Y{4}|Y{2}|M{1,4}|D{1,2}", re.IGNORECASE)
        pattern = words.sub(lambda match: _PARTS_OF_DATES[match[0].upper()], form)
    parts = set(re.findall("%.", pattern))
    if not (parts & {"%Y", "%y"} and parts & {"%m", "%b", "%B"} and "%d" in parts):
        raise CliError(f"--date-format {form}: write day, month and year, as in DD/MM/YYYY or %d/%m/%Y")

    def read(text: str) -> str:
        try:
            return datetime.strptime(text.strip(), pattern).date().isoformat()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            return text

    return read


def columns_of(pairs: Sequence[str]) -> dict[str, str]:
    """Read the pairs of `--map`: the column of each field.

    Raises:
        CliError: A pair cannot be read, or maps a field twice.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        field, separator, column = pair.partition("=")
        if not separator or not field.strip() or not column.strip():
            raise CliError(f"--map {pair}: write the field and the column, as in ref=EmployeeID")
        if field.strip() in columns:
            raise CliError(f"--map {pair}: {field.strip()} is mapped twice")
        columns[field.strip()] = column.strip()
    return columns
