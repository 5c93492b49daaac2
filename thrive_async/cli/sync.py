"""`thrive sync`: make audiences equal to files."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from thrive_async.cli._applying import MemberApplying, apply_plan, finish, show_plan
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import CliError, Exit, say
from thrive_async.cli._files import source_of
from thrive_async.cli._option_types import FileArgument, Flag, Input, MoreFiles, Unknown, wanted
from thrive_async.cli._people import people_of
from thrive_async.cli._plan_views import MembersView, save
from thrive_async.cli._profiles import KINDS, load_profile
from thrive_async.cli._safe_text import counted
from thrive_async.cli._suggestions import suggesting
from thrive_async.cli._sync_audiences import audiences
from thrive_async.cli._sync_managers import managers
from thrive_async.cli._sync_users import users

__all__ = ["app"]

app: App = App(
    name="sync",
    help="Make audiences and users equal to files: a plan first, guards, and an outcome for every person.",
    usage="Usage: thrive sync COMMAND [OPTIONS]",
)


@app.default
def from_profile(
    *options: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    profile: Annotated[str | None, Parameter(metavar="FILE")] = None,
) -> int:
    """Make audiences and users equal to files: a plan first, guards, and an outcome for every person.

    With --profile, run the sync that a profile describes. Options after it, such as --dry-run, go before what the
    profile says; see `thrive profile`.

    Args:
        options: Options of the sync, and files to read instead of those of the profile.
        profile: A profile, such as thrive.toml.
    """
    if profile is not None:
        return load_profile(profile, app).run(options)
    if options:
        import difflib  # noqa: PLC0415 - only for a mistake

        alike = difflib.get_close_matches(options[0], KINDS, n=1)
        meant = f"; did you mean {alike[0]}?" if alike else f"; there are {', '.join(KINDS)}, and --profile FILE"
        raise CliError(f"thrive sync has no {options[0]!r}{meant}. See `thrive sync --help`.")
    app.help_print([])
    return Exit.DONE


app.command(audiences)
app.command(managers)
app.command(users)


@app.command
def members(
    audience: str,
    file: FileArgument,
    /,
    *more: MoreFiles,
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

    The file is a workbook, CSV, JSON lines, or - for standard input, and names people by id, ref or e-mail in any mix.
    A plan that removes people asks first; without a terminal it needs --yes.

    Args:
        audience: The audience's id or reference.
        file: The people who should be members.
        more: More files, each with its own header; their rows are one list.
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
    applying.check(file, *more, save_plan=save_plan)
    sheets, people = people_of(reading.read_all((file, *more), wanted(column)), column, reading)
    desired = [entry for one in people for entry in one.desired]
    source = source_of(sheets)
    protected = applying.protected()
    thrive = connection.client()
    report = applying.report_file()

    async def main() -> int:
        from thrive_async import sync  # noqa: PLC0415 - after the parsing

        async with thrive, applying.alone():
            say(f"comparing {audience} with {source.name}, {people[0].column}: {counted(len(desired), 'entries')}")
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
            view.plan.source = source
            show_plan(view)
            if save_plan is not None:
                save(view.plan, save_plan)
            return await apply_plan(view, applying, report, thrive)

    return finish(main, report)
