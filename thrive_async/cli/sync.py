"""`thrive sync`: make audiences equal to files."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from thrive_async.cli._applying import MemberApplying, apply_plan, finish, show_plan
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import say
from thrive_async.cli._option_types import FileArgument, Flag, Input, Unknown
from thrive_async.cli._people import people_in
from thrive_async.cli._plan_views import MembersView, save
from thrive_async.cli._safe_text import counted
from thrive_async.cli._suggestions import suggesting
from thrive_async.cli._sync_audiences import audiences
from thrive_async.cli._sync_managers import managers
from thrive_async.cli._sync_users import users

__all__ = ["app"]

app: App = App(
    name="sync", help="Make audiences and users equal to files: a plan first, guards, and an outcome for every person."
)

app.command(audiences)
app.command(managers)
app.command(users)


@app.command
def members(
    audience: str,
    file: FileArgument,
    /,
    *,
    column: Annotated[str | None, Parameter(alias="-c", metavar="NAME|N")] = None,
    keep_extra: Flag = False,
    allow_empty: Flag = False,
    unknown: Unknown = "hold",
    save_plan: Annotated[str | None, Parameter(metavar="FILE")] = None,
    applying: MemberApplying = MemberApplying(),  # noqa: B008 - frozen
    reading: Input = Input(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Make an audience's members equal to the people in a file.

    The file is CSV, JSON lines, or - for standard input, and names people by id, ref or e-mail in any mix.
    A plan that removes people asks first; without a terminal it needs --yes.

    Args:
        audience: The audience's id or reference.
        file: The people who should be members.
        column: The column that names people, or its number from 1. By default the only column, or id, userId, ref,
            reference or email; where that is blank, the next of these.
        keep_extra: Only add: members who are not in the file stay.
        allow_empty: Let a file without people remove all members.
        unknown: What to do while Thrive does not know a name in the file: hold leaves alone the people it may mean,
            hold-all leaves everyone alone, remove ignores it.
        save_plan: Write the plan to a file, for `thrive plan show` and `thrive plan apply`.
        applying: What the run may do.
        reading: How to read the file.
        connection: The Thrive tenant to use.
    """
    # Everything that does not need Thrive is checked before the loop runs.
    applying.check(file, save_plan=save_plan)
    index, sheet = reading.read(file).choose(column, header=reading.header)
    people = people_in(sheet, index, chosen=column is not None)
    protected = applying.protected()
    thrive = connection.client()
    report = applying.report_file()

    async def main() -> int:
        from thrive_async import sync  # noqa: PLC0415 - after the parsing

        async with thrive, applying.alone():
            desired = people.desired
            say(f"comparing {audience} with {sheet.source}, {people.column}: {counted(len(desired), 'entries')}")
            planning = sync.plan_members(
                thrive,
                audience,
                desired,
                removals=not keep_extra,
                allow_empty=allow_empty,
                unknown=unknown,
                protect=protected,
            )
            view = MembersView(await suggesting(thrive, audience, planning))
            show_plan(view)
            if save_plan is not None:
                save(view.plan, save_plan)
            return await apply_plan(view, applying, report, thrive)

    return finish(main, report)
