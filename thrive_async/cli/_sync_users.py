"""`thrive sync users`: accounts made equal to an HR export."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from thrive_async.cli._applying import UserApplying, apply_plan, finish, show_plan
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import CliError, say
from thrive_async.cli._files import Sheet, holds
from thrive_async.cli._option_types import FileArgument, Flag, Input
from thrive_async.cli._plan_views import UsersView, save
from thrive_async.cli._safe_text import counted

__all__ = ["mapping", "users"]


def users(
    file: FileArgument,
    /,
    *more: Annotated[str, Parameter(show=False)],
    map_: Annotated[
        tuple[str, ...], Parameter(name="--map", negative="", metavar="FIELD=COLUMN", show_default=False)
    ] = (),
    leavers: Literal["ignore", "suspend"] = "ignore",
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
        more: More FIELD=COLUMN pairs, so that one --map can be followed by several.
        map_: The column of a field, such as ref=EmployeeID. Repeat it for several. By default, columns are named after
            fields.
        leavers: What to do with active users who are not in the export.
        returning: What to do with suspended users who are in the export; unsuspend sends a legacy event for each.
        blank: Whether an empty cell leaves the field as it is, or clears it.
        allow_empty: Accept an empty export.
        allow_takeover: Let an account pass to a new person, with another name and another e-mail address.
        save_plan: Write the plan to a file, for `thrive plan show` and `thrive plan apply`.
        applying: What the run may do.
        reading: How to read the file.
        connection: The Thrive tenant to use.
    """
    applying.check(file, save_plan=save_plan)
    sheet = reading.read(file).with_header()
    columns, rows = mapping((*map_, *more), sheet)
    protected = applying.protected()
    thrive = connection.client()
    report = applying.report_file()

    async def main() -> int:
        from thrive_async.sync.users import plan_users  # noqa: PLC0415 - after the parsing

        async with thrive, applying.alone():
            say(f"comparing users with {sheet.source}: {counted(len(rows), 'rows')}, fields {', '.join(columns)}")
            plan = await plan_users(
                thrive,
                rows,
                columns=columns,
                leavers=leavers,
                returning=returning,
                blank=blank,
                allow_empty=allow_empty,
                allow_takeover=allow_takeover,
                protect=protected,
            )
            view = UsersView(plan)
            show_plan(view)
            if save_plan is not None:
                save(view.plan, save_plan)
            return await apply_plan(view, applying, report, thrive)

    return finish(main, report)


def mapping(given: tuple[str, ...], sheet: Sheet) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Read `--map`, and take the columns it names out of the file.

    Args:
        given: The `field=column` pairs of the command line; empty if the columns are named after the fields.
        sheet: The file, with its header.

    Returns:
        The column of each field, and the rows with those columns only.

    Raises:
        CliError: A pair cannot be read or maps a field twice, or the file has no such column.
    """
    columns: dict[str, str] = {}
    for pair in given:
        field, separator, column = pair.partition("=")
        if not separator or not field.strip() or not column.strip():
            raise CliError(f"--map {pair}: write the field and the column, as in ref=EmployeeID")
        if field.strip() in columns:
            raise CliError(f"--map {pair}: {field.strip()} is mapped twice")
        columns[field.strip()] = column.strip()
    if not columns:
        columns = {name: name for name in sheet.names or () if name}
    sheet.check_whole()
    cells = {column: sheet.texts(sheet.find(column, what=f"--map {field}=")) for field, column in columns.items()}
    rows = [dict(zip(cells, values, strict=True)) for values in zip(*cells.values(), strict=True)]
    # Empty lines are ignored.
    return columns, [row for row, line in zip(rows, sheet.rows, strict=True) if holds(line)]
