"""`thrive sync audiences`: many audiences from one file; a failure in one leaves the others alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from thrive_async.cli._applying import (
    AudiencesApplying,
    agree,
    exit_code,
    finish,
    rows_of,
    show_people,
    show_plan,
    show_report,
    stopped,
    summary_of,
    tell,
)
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import CliError, Exit, describe, say
from thrive_async.cli._files import Sheet, fold, source_of
from thrive_async.cli._formats import out
from thrive_async.cli._option_types import FileArgument, Flag, Input, MoreFiles, Unknown, wanted
from thrive_async.cli._people import people_in
from thrive_async.cli._plan_views import MembersView, PersonRow, save
from thrive_async.cli._progress import ProgressView
from thrive_async.cli._report_file import ReportFile
from thrive_async.cli._safe_text import counted
from thrive_async.cli._suggestions import did_you_mean

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.cli._page.written import Pages
    from thrive_async.errors import ThriveError
    from thrive_async.sync import AudiencesPlan, Entry, MemberPlan, NewAudience, SyncReport

__all__ = ["apply_audiences", "audiences", "planned_rows", "refusal_rows", "show_audiences"]

_LISTED = 20
Column = Annotated[str | None, Parameter(metavar="NAME|N")]


def audiences(
    file: FileArgument,
    /,
    *more: MoreFiles,
    audience: Annotated[str | None, Parameter(metavar="RULE")] = None,
    audience_column: Column = None,
    member_column: Column = None,
    create_missing: Annotated[str | None, Parameter(metavar="FILE")] = None,
    keep_extra: Flag = False,
    allow_empty: Flag = False,
    unknown: Unknown = "hold",
    save_plan: Annotated[str | None, Parameter(metavar="FILE")] = None,
    applying: AudiencesApplying = AudiencesApplying(),  # noqa: B008 - frozen
    reading: Input = Input(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Make the members of many audiences equal to one file, with one row per audience and member.

    Audiences that the file does not name are left alone. Each audience has its own guards, and a failure in one does
    not affect the others.

    Args:
        file: The people who should be in each audience.
        more: More files, each with its own header; their rows are one list.
        audience: How the audience of a row is called after its columns, such as dept-{Department};
            {Department:slug} writes "Field Sales" as field-sales.
        audience_column: The column that names the audience; "audience" by default.
        member_column: The column that names the member; "member" by default, else id, userId, ref, reference or email.
        create_missing: Create missing audiences from this file, with the columns reference, name and, optionally,
            parent.
        keep_extra: Only add: members who are not in the file stay.
        allow_empty: Let an audience end up empty.
        unknown: What to do while Thrive does not know a name in the file: hold leaves alone the people it may mean,
            hold-all leaves everyone alone, remove ignores it.
        save_plan: Write the plan to a file, for `thrive plan show` and `thrive plan apply`.
        applying: What the run may do.
        reading: How to read the files.
        connection: The Thrive tenant to use.
    """
    applying.check(file, *more, create_missing, save_plan=save_plan)
    sheets = [reading.headed(one) for one in reading.read_all((file, *more), wanted(audience_column, member_column))]
    desired = grouped(sheets, audience_column, member_column, rule=audience, reading=reading)
    source = source_of(sheets)
    described = _described(reading, create_missing)
    protected = applying.protected()
    thrive = connection.client()
    report = applying.report_file()
    _make_room(len(desired))

    async def main() -> int:
        from thrive_async import sync  # noqa: PLC0415 - after the parsing

        async with thrive, applying.alone():
            entries = counted(sum(map(len, desired.values())), "entries")
            say(f"comparing {counted(len(desired), 'audiences')} with {entries} of {source.name}")
            plan = await sync.plan_audiences(
                thrive,
                desired,
                create_missing=described,
                removals=not keep_extra,
                allow_empty=allow_empty,
                protect=protected,
                unknown=unknown,
            )
            plan.source = source
            plan.errors = await did_you_mean(thrive, plan.errors)
            show_audiences(plan)
            if save_plan is not None:
                save(plan, save_plan)
            return await apply_audiences(plan, applying, report, thrive)

    return finish(main, report)


def _make_room(audiences: int) -> None:
    """Allow the process a file for each audience's lock: 1,024 are usual, and more are free to ask for."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = audiences + 256
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with suppress(ValueError, OSError):
                most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def grouped(
    sheets: Sequence[Sheet],
    audience_column: str | None,
    member_column: str | None,
    *,
    rule: str | None = None,
    reading: Input = Input(),  # noqa: B008 - frozen
) -> dict[str, list[Entry]]:
    """Sort the rows of files by audience.

    Args:
        sheets: The files.
        audience_column: A name or number; None for "audience".
        member_column: A name or number; None for "member", else what `Sheet.choose` takes.
        rule: How an audience is called after columns, such as `dept-{Department}`, instead of by `audience_column`.
        reading: How the files are read. Without a header, the columns are numbers.

    Returns:
        The desired members, by audience. A row with only an audience is an entry without a usable name. If it is the
        audience's only row, the audience should have no members.

    Raises:
        CliError: No such column, a member without an audience, or no audience at all.
    """
    if rule is not None and audience_column is not None:
        raise CliError("--audience and --audience-column both say which audience a row is for: use one of them")
    found = [_member_column(reading.headed(sheet), member_column) for sheet in sheets]
    rows: dict[str, list[Entry]] = {}
    alone: dict[str, bool] = {}
    for sheet, (at, _sheet) in zip(reading.preferred(found), found, strict=True):
        _sort(sheet, at, audience_column, rule, chosen=member_column is not None, into=rows, alone=alone)
    if not rows:
        raise CliError(f"{sheets[0].source} names no audience: nothing was read, so nothing is changed")
    return {name: [] if alone[name] else members for name, members in rows.items()}


def _member_column(sheet: Sheet, wanted: str | None) -> tuple[int, Sheet]:
    usual = "member" if "member" in map(fold, sheet.names or ()) else None
    return sheet.choose(wanted or usual, what="--member-column")


def _sort(
    sheet: Sheet,
    member_at: int,
    audience_column: str | None,
    rule: str | None,
    *,
    chosen: bool,
    into: dict[str, list[Entry]],
    alone: dict[str, bool],
) -> None:
    """Add the rows of a file to the audiences they are for."""
    from thrive_async.sync import Entry  # noqa: PLC0415 - after the parsing
    from thrive_async.sync._match.names import rewritten  # noqa: PLC0415

    beside: int | None = None
    if rule is not None:
        names, what = audiences_by_rule(sheet, rule), f"--audience {rule}"
    else:
        beside = sheet.find(audience_column or "audience", what="--audience-column")
        names, what = [text.strip() for text in sheet.texts(beside)], sheet.name(beside)
    if beside == member_at:
        raise CliError(f"{sheet.source}: audience and member are in the same column; see --member-column")
    people = people_in(sheet, member_at, chosen=chosen, beside=beside)
    for place, (name, member) in enumerate(zip(names, people.entries, strict=True)):
        if name.startswith("#") and rewritten(name):
            raise CliError(f"{sheet.located(place)}: {what} holds {name} instead of an audience: correct it")
        if name:
            bare = Entry(where=sheet.where(place), doubt=f"{sheet.name(member_at)} is blank")
            into.setdefault(name, []).append(bare if member is None else member)
            alone[name] = alone.get(name, True) and member is None
        elif member is not None:
            raise CliError(f"{sheet.located(place)} names a member, but no audience; nothing was changed")


_PLACEHOLDER = re.compile(r"\{([^{}]*?)(:slug)?\}")


def audiences_by_rule(sheet: Sheet, rule: str) -> list[str]:
    """Return the audience of each row by a rule.

    Args:
        sheet: The file, with the names of its columns.
        rule: A text with columns in braces: `dept-{Department}`. `{Department:slug}` writes "Field Sales" as
            field-sales.

    Returns:
        An audience for each row; an empty text if one of the columns is blank.

    Raises:
        CliError: There is no such column, or the rule names none.
    """
    parts = _PLACEHOLDER.split(rule)
    if len(parts) == 1 or not all(parts[1::3]) or re.search("[{}]", "".join(parts[0::3])):
        raise CliError(f"--audience {rule}: name at least one column in braces, as in dept-{{Department}}")
    columns: list[list[str]] = []
    for column, slug in zip(parts[1::3], parts[2::3], strict=True):
        texts = [text.strip() for text in sheet.texts(sheet.find(column.strip(), what=f"--audience {rule}"))]
        columns.append([_slug(text) for text in texts] if slug else texts)
    literals = parts[0::3]

    def made(cells: Sequence[str]) -> str:
        error = next((cell for cell in cells if cell.startswith("#")), None)
        if error is not None or not all(cells):
            return error or ""
        return literals[0] + "".join(cell + literal for cell, literal in zip(cells, literals[1:], strict=True))

    return [made(cells) for cells in zip(*columns, strict=True)]


def _slug(text: str) -> str:
    """Return a text as references are often written: "Field Sales (EMEA)" becomes field-sales-emea."""
    return text if text.startswith("#") else re.sub(r"[\W_]+", "-", text.casefold()).strip("-")


def _described(reading: Input, file: str | None) -> list[NewAudience]:
    if file is None:
        return []
    from thrive_async.sync import NewAudience  # noqa: PLC0415 - after the parsing

    sheet = reading.plain().read(file, ("reference",)).with_header()
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
    """Print a plan of plans: what is made, a line for each audience with changes, and the total.

    Args:
        plan: The plan.
        detailed: Also print the people it changes, and the audiences without a plan.
    """
    for new in plan.to_create:
        out(f"{new.reference}: to be created{f' in {new.parent}' if new.parent else ' as a structure'}")
    idle: list[str] = []
    for name in plan.order:
        if name in plan.plans:
            if _is_idle(plan.plans[name]):
                idle.append(name)
            else:
                show_plan(MembersView(plan.plans[name]), detailed=detailed)
        elif detailed:
            out(f"{name}: nothing would be changed: {describe(plan.errors[name])[0]}")
    _show_idle(idle)
    plans = plan.plans.values()
    if len(plan.order) > 1:
        added, removed = sum(len(one.to_add) for one in plans), sum(len(one.to_remove) for one in plans)
        staying, held = sum(one.unchanged for one in plans), sum(len(one.held) for one in plans)
        told = f" ({held:,} removals held)" if held else ""
        out(f"in all: +{added:,} -{removed:,} ={staying:,} in {counted(len(plan.plans), 'audiences')}{told}")


def _is_idle(plan: MemberPlan) -> bool:
    """Return whether there is nothing to do and nothing to tell."""
    return plan.is_empty and not (plan.rejected or plan.ambiguous or plan.left_out.held or plan.dropped)


def _show_idle(names: list[str]) -> None:
    if names:
        listed = ", ".join(names[:_LISTED])
        more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
        out(f"no changes in {listed}{more}")


def planned_rows(plan: AudiencesPlan) -> Iterator[PersonRow]:
    """Return a row for each person that the plans change, and for each entry that changes nothing."""
    for one in plan.plans.values():
        view = MembersView(one)
        yield from view.planned()
        yield from view.unplanned()


async def apply_audiences(
    plan: AudiencesPlan, applying: AudiencesApplying, file: ReportFile | None, thrive: ThriveClient | None = None
) -> int:
    """Confirm and apply plans that were shown.

    Args:
        plan: The plan.
        applying: What may happen.
        file: Where the outcomes go.
        thrive: The client that knows people's names, for the page; None to go without them.

    Returns:
        The exit code.

    Raises:
        GuardRefused: All audiences together would lose too many members. You were not asked.
        CliError: The removals were not agreed to.
        asyncio.CancelledError: Ctrl-C; what was done is reported by then.
    """
    from thrive_async.errors import GuardRefused  # noqa: PLC0415 - after the parsing

    how = {name: value for name, value in applying.how().items() if name != "max_changes"}
    pages = await applying.pages(plan, thrive)
    refusals = plan.refusals(max_removals=how["max_removals"], strategy=how["strategy"])
    refused = {**plan.errors, **refusals}
    for error in refused.values():
        say(f"thrive: {describe(error)[0]}")
    ready = [one for name, one in plan.plans.items() if name not in refused]
    if applying.dry_run:
        if "who" not in applying.show:
            for one in ready:
                show_people(MembersView(one), hint="--report FILE lists them all")
        pages.plan()
        if file is not None:
            file.write({"dry_run": True}, [*planned_rows(plan), *refusal_rows(refused)])
        say("dry run: nothing was changed")
        too_many = False
        try:
            plan.check_total(how["max_total_removals"], refused)
        except GuardRefused as refusal:
            too_many = True
            say(f"without --dry-run this would be {describe(refusal)[0]}")
        return applying.would_end(
            changes=bool(plan.to_create) or any(not one.is_empty for one in ready),
            refused=too_many or bool(refused),
            left_out=any(one.rejected or one.ambiguous or one.left_out.held for one in ready),
        )
    losing = [one for one in ready if one.to_remove]

    def show() -> None:
        for one in losing:
            show_people(MembersView(one), leaving=True, hint="--dry-run --report FILE lists them all")

    names = ", ".join(one.audience for one in losing[:_LISTED]) + (", ..." if len(losing) > _LISTED else "")
    try:
        plan.check_total(how["max_total_removals"], refused)
        agree(names, sum(len(one.to_remove) for one in losing), yes=applying.yes, show=show)
    except (GuardRefused, CliError) as refusal:
        pages.plan(refusal)
        raise
    try:
        with ProgressView(counted(len(ready), "audiences")) as progress:
            await plan.apply(on_progress=progress, **how)
    except BaseException as error:
        # Ctrl-C, or a journal that can no longer be written: what was done is on the plan, and is told first.
        if not plan.reports:
            raise
        code = _conclude(plan, file, pages)
        return stopped(error, code, _reports(plan).values())
    return _conclude(plan, file, pages)


def _reports(plan: AudiencesPlan) -> dict[str, SyncReport]:
    from thrive_async.sync import SyncReport  # noqa: PLC0415 - after the parsing

    return {name: result for name, result in plan.reports.items() if isinstance(result, SyncReport)}


def _conclude(plan: AudiencesPlan, file: ReportFile | None, pages: Pages) -> Exit:
    reports = _reports(plan)
    errors: dict[str, Any] = {name: result for name, result in plan.reports.items() if name not in reports}
    views = {name: MembersView(one) for name, one in plan.plans.items()}
    done = {name: (report, list(rows_of(report, views[name]))) for name, report in reports.items()}
    rows = [row for _report, outcomes in done.values() for row in outcomes]
    rows += [row for view in views.values() for row in view.unplanned()]
    # The people who were to be changed in an audience that nothing was done for are accounted for, too.
    rows += [
        {**row, "outcome": "not attempted"}
        for name, view in views.items()
        if name not in reports
        for row in view.planned()
    ]
    figures = [{**summary_of(report), "unchanged": plan.plans[name].unchanged} for name, report in reports.items()]
    told = tell(
        file,
        {"audiences": figures},
        [*rows, *refusal_rows(errors)],
        lambda whole: _show_results(plan, views, whole=whole),
    )
    codes = [exit_code(report) for report in reports.values()]
    codes += [describe(error)[1] for error in errors.values()]
    return Exit(max((*codes, told, pages.report(done, errors))))


def _show_results(plan: AudiencesPlan, views: Mapping[str, MembersView], *, whole: bool) -> None:
    from thrive_async.errors import ThriveError  # noqa: PLC0415 - after the parsing

    reports = _reports(plan)
    idle: list[str] = []
    for name, result in plan.reports.items():
        if isinstance(result, ThriveError):
            out(f"{name}: nothing was changed: {describe(result)[0]}")
        elif reports[name].ok and not reports[name].planned and not reports[name].dropped:
            idle.append(name)
        else:
            show_report(reports[name], views[name], whole=whole)
    for name in plan.plans:
        if name not in plan.reports:
            out(f"{name}: not attempted")
    _show_idle(idle)
    if len(plan.order) > 1:
        words = ("added", "removed", "failed", "not_attempted")
        counts = [f"{_count(reports.values(), word):,} {word.replace('_', ' ')}" for word in words]
        out(f"in all: {', '.join(counts)} in {counted(len(reports), 'audiences')}")


def _count(reports: Iterable[SyncReport], name: str) -> int:
    return sum(len(getattr(report, name)) for report in reports)


def refusal_rows(errors: Mapping[str, ThriveError]) -> Iterator[PersonRow]:
    """Return a row for each audience that nothing was done for, with the reason."""
    for name, error in errors.items():
        yield {"audience": name, "outcome": "nothing was changed", "reason": describe(error)[0]}
