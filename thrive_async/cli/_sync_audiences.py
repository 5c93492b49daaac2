"""`thrive sync audiences`: many audiences from one file; what goes wrong with one leaves the others alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from thrive_async.cli._apply import (
    MemberApplying,
    agree,
    exit_code,
    fates_of,
    finish,
    show_plan,
    show_report,
    summary_of,
)
from thrive_async.cli._errors import CliError, Exit, describe, say
from thrive_async.cli._files import Sheet, fold
from thrive_async.cli._options import FileArgument, Flag, Input
from thrive_async.cli._output import out
from thrive_async.cli._people import people_in
from thrive_async.cli._plans import Fate, MembersView, save
from thrive_async.cli._progress import ProgressView
from thrive_async.cli._reports import ReportFile
from thrive_async.cli._session import Connection
from thrive_async.cli._text import counted

if TYPE_CHECKING:
    from thrive_async.errors import ThriveError
    from thrive_async.sync import AudiencesPlan, NewAudience, SyncReport, Unnamed

__all__ = ["apply_audiences", "audiences", "planned_fates", "refusal_fates", "show_audiences"]

Column = Annotated[str | None, Parameter(metavar="NAME|N")]


def audiences(
    file: FileArgument,
    /,
    *,
    audience_column: Column = None,
    member_column: Column = None,
    create_missing: Annotated[str | None, Parameter(metavar="FILE")] = None,
    keep_extra: Flag = False,
    allow_empty: Flag = False,
    save_plan: Annotated[str | None, Parameter(metavar="FILE")] = None,
    applying: MemberApplying = MemberApplying(),  # noqa: B008 - frozen
    reading: Input = Input(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Make the members of many audiences equal to one file, with a row per audience and member.

    Audiences that the file does not name are left alone. Each audience has its own guards; what goes wrong with one
    leaves the others alone.

    Args:
        file: Who should be in which audience.
        audience_column: The column that names the audience; "audience" by default.
        member_column: The column that names the member; "member" by default, else id, userId, ref, reference or email.
        create_missing: Make audiences that do not exist, of this file's columns reference, name and parent (if any).
        keep_extra: Only add: whoever is a member and not in the file stays.
        allow_empty: An audience may end up empty.
        save_plan: Write the plan to a file, for `thrive plan show` and `thrive plan apply`.
        applying: What may happen.
        reading: How to read the files.
        connection: Whom to ask.
    """
    applying.check(file, create_missing, save_plan=save_plan)
    desired = grouped(reading.read(file), audience_column, member_column, header=reading.header)
    described = _described(reading, create_missing)
    thrive = connection.client()
    report = applying.report_file()

    async def main() -> int:
        from thrive_async import sync  # noqa: PLC0415 - after the parsing

        async with thrive:
            entries = counted(sum(map(len, desired.values())), "entries")
            say(f"comparing {counted(len(desired), 'audiences')} with {entries} of {file}")
            plan = await sync.plan_audiences(
                thrive, desired, create_missing=described, removals=not keep_extra, allow_empty=allow_empty
            )
            show_audiences(plan)
            if save_plan is not None:
                save(plan, save_plan)
            return await apply_audiences(plan, applying, report)

    return finish(main, report)


def grouped(
    sheet: Sheet, audience_column: str | None, member_column: str | None, *, header: bool | None
) -> dict[str, list[str | Unnamed]]:
    """Sort the rows of a file by audience.

    Args:
        sheet: The file.
        audience_column: A name or number; None for "audience".
        member_column: A name or number; None for "member", else what `Sheet.choose` takes.
        header: False if the first row is data; the columns are numbers then.

    Returns:
        Who should be a member, by audience. A row with nothing but an audience names nobody, unless the audience has no
        other row: then it should have no members.

    Raises:
        CliError: No such column, a member without an audience, or no audience at all.
    """
    from thrive_async.sync import Unnamed  # noqa: PLC0415 - after the parsing

    sheet = Sheet(sheet.source, _numbers(sheet), sheet.rows) if header is False else sheet.with_header()
    at = sheet.find(audience_column or "audience", what="--audience-column")
    usual = "member" if "member" in map(fold, sheet.names or ()) else None
    member_at = sheet.choose(member_column or usual, what="--member-column")[0]
    if at == member_at:
        raise CliError(f"{sheet.source}: audience and member are in the same column; see --member-column")
    people = people_in(sheet, member_at, chosen=member_column is not None, beside=at)
    rows: dict[str, list[str | Unnamed]] = {}
    alone: dict[str, bool] = {}
    for line, (audience, member) in enumerate(zip(sheet.texts(at), people.names, strict=True), start=sheet.first_line):
        name = audience.strip()
        if name:
            bare = Unnamed(f"line {line}", f"{sheet.name(member_at)} is blank")
            rows.setdefault(name, []).append(bare if member is None else member)
            alone[name] = alone.get(name, True) and member is None
        elif member is not None:
            raise CliError(f"{sheet.source}: line {line} names a member, but no audience; nothing was changed")
    if not rows:
        raise CliError(f"{sheet.source} names no audience: nothing was read, so nothing is changed")
    return {name: [] if alone[name] else members for name, members in rows.items()}


def _numbers(sheet: Sheet) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, sheet.width() + 1))


def _described(reading: Input, file: str | None) -> list[NewAudience]:
    if file is None:
        return []
    from thrive_async.sync import NewAudience  # noqa: PLC0415 - after the parsing

    sheet = reading.read(file).with_header()
    names = {fold(name) for name in sheet.names or ()}
    columns = {
        field: sheet.texts(sheet.find(field, what="a column of --create-missing")) if field in names else None
        for field in ("reference", "name", "parent")
    }
    references = columns["reference"]
    if references is None:
        raise CliError(f"{file}: a column 'reference' must name the audiences to create; 'name' and 'parent' may")
    titles, parents = (columns[field] or [""] * len(references) for field in ("name", "parent"))
    return [
        NewAudience(reference.strip(), name=title.strip() or None, parent=parent.strip() or None)
        for reference, title, parent in zip(references, titles, parents, strict=True)
        if reference.strip()
    ]


def show_audiences(plan: AudiencesPlan, *, detailed: bool = False) -> None:
    """Print a plan of plans: what is made, and a line for each audience in the order of the file.

    Args:
        plan: The plan.
        detailed: Print who is to be changed, too, and which audiences have no plan.
    """
    for new in plan.to_create:
        out(f"{new.reference}: to be created{f' in {new.parent}' if new.parent else ' as a structure'}")
    for name in plan.order:
        if name in plan.plans:
            show_plan(MembersView(plan.plans[name]), detailed=detailed)
        elif detailed:
            out(f"{name}: nothing would be changed: {describe(plan.errors[name])[0]}")


def planned_fates(plan: AudiencesPlan) -> Iterator[Fate]:
    """Say of everybody whom a plan of plans changes what is meant to happen, and of every entry why nothing is."""
    for one in plan.plans.values():
        view = MembersView(one)
        yield from view.planned()
        yield from view.unplanned()


async def apply_audiences(plan: AudiencesPlan, applying: MemberApplying, file: ReportFile | None) -> int:
    """Take a plan of plans, shown already, to its end.

    Args:
        plan: The plan.
        applying: What may happen.
        file: Where everybody's fate goes.

    Returns:
        The exit code.

    Raises:
        CliError: Nobody agreed to the removals.
        asyncio.CancelledError: Ctrl-C; what was done is reported by then.
    """
    limit = applying.limit()
    refused = {**plan.errors, **plan.refusals(max_removals=limit, strategy=applying.strategy)}
    for error in refused.values():
        say(f"thrive: {describe(error)[0]}")
    ready = [one for name, one in plan.plans.items() if name not in refused]
    if applying.dry_run:
        if file is not None:
            file.write({"dry_run": True}, [*planned_fates(plan), *refusal_fates(refused)])
        say("dry run: nothing was changed")
        return Exit.DONE
    removals = sum(len(one.to_remove) for one in ready)
    agree(counted(sum(bool(one.to_remove) for one in ready), "audiences"), removals, yes=applying.yes)
    try:
        with ProgressView(counted(len(ready), "audiences")) as progress:
            await plan.apply(
                max_removals=limit,
                on_progress=progress,
                journal=applying.journal,
                strategy=applying.strategy,
                verify=applying.verify,
            )
    except BaseException:
        # Ctrl-C, or a journal that can no longer be written: what was done is on the plan, and is told first.
        _conclude(plan, file)
        raise
    return _conclude(plan, file)


def _conclude(plan: AudiencesPlan, file: ReportFile | None) -> int:
    from thrive_async.sync import SyncReport  # noqa: PLC0415 - after the parsing

    results: Mapping[str, SyncReport | ThriveError] = plan.reports
    reports = {name: result for name, result in results.items() if isinstance(result, SyncReport)}
    errors = {name: result for name, result in results.items() if not isinstance(result, SyncReport)}
    untouched = [name for name in plan.plans if name not in results]
    views = {name: MembersView(one) for name, one in plan.plans.items()}
    try:
        if file is not None:
            fates = [fate for name, report in reports.items() for fate in fates_of(report, views[name])]
            fates += [fate for view in views.values() for fate in view.unplanned()]
            # Who was to be changed in an audience that nothing was done for is accounted for, too.
            fates += [
                {**fate, "outcome": "not attempted"}
                for name, view in views.items()
                if name not in reports
                for fate in view.planned()
            ]
            figures = [
                {**summary_of(report), "unchanged": plan.plans[name].unchanged} for name, report in reports.items()
            ]
            file.write({"audiences": figures}, [*fates, *refusal_fates(errors)])
    finally:
        for name, result in results.items():
            if isinstance(result, SyncReport):
                show_report(result, views[name])
            else:
                out(f"{name}: nothing was changed: {describe(result)[0]}")
        for name in untouched:
            out(f"{name}: not attempted")
    codes = [exit_code(report) for report in reports.values()]
    codes += [describe(error)[1] for error in errors.values()]
    return max(codes, default=Exit.DONE)


def refusal_fates(errors: Mapping[str, ThriveError]) -> Iterator[Fate]:
    """A row for each audience that nothing was done for, with the reason."""
    for name, error in errors.items():
        yield {"audience": name, "outcome": "nothing was changed", "reason": describe(error)[0]}
