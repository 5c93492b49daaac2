"""Take any plan through all steps: show it, check the guards, ask, apply, report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from thrive_async.cli._errors import CliError, Exit, describe, say
from thrive_async.cli._files import STDIN
from thrive_async.cli._formats import abandon_output, is_terminal, out
from thrive_async.cli._option_types import Flag, Input, Strategy, duration, removal_limit
from thrive_async.cli._people import people_in
from thrive_async.cli._plan_views import PersonRow, PlanView, person_row
from thrive_async.cli._progress import ProgressView
from thrive_async.cli._report_file import ReportFile, print_rows
from thrive_async.cli._running import ask, run_async

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.cli._page.names import Names
    from thrive_async.cli._page.written import Pages
    from thrive_async.sync import AudiencesPlan, SyncReport
    from thrive_async.sync._guards import MaxRemovals

__all__ = [
    "SAFETY",
    "AnyApplying",
    "Applying",
    "AudiencesApplying",
    "MemberApplying",
    "PeopleApplying",
    "PlanApplying",
    "PlanPages",
    "UserApplying",
    "agree",
    "agree_to_changes",
    "apply_plan",
    "exit_code",
    "finish",
    "rows_of",
    "show_people",
    "show_plan",
    "show_report",
    "stopped",
    "summary_of",
    "tell",
]

SAFETY = Group("What may happen", sort_key=50)
_Html = Annotated[str | None, Parameter(metavar="FILE")]
_Summary = Annotated[str | None, Parameter(metavar="FILE")]
_Show = Annotated[tuple[Literal["who", "bars"], ...], Parameter(negative="", show_default=False)]


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class Applying:
    """How to apply a plan, and where to write its outcomes."""

    dry_run: Flag = False
    """Show what would change, and change nothing."""
    detailed_exitcode: Flag = False
    """Let --dry-run exit with 10 if something would change, 3 if a guard would refuse it, 0 if nothing is to do."""
    max_removals: Annotated[str, Parameter(metavar="N|P%[,min N]")] = "10%,min 1"
    """Refuse to remove or suspend more: a number of people, a share, a share with a floor, or none for no limit."""
    yes: Annotated[bool, Parameter(alias="-y", negative="", show_default=False)] = False
    """Do not ask before people are removed, suspended or renamed; without a terminal, this is needed."""
    journal: Annotated[str | None, Parameter(metavar="FILE")] = None
    """Append a JSON line per outcome as it happens; after a crash, run again with it to account for everyone."""
    report: Annotated[str | None, Parameter(metavar="FILE")] = None
    """Write one row per person with its outcome to a .csv or .json; a CSV has ' before what a spreadsheet would run."""
    html: _Html = None
    """Write a page to look at: of the plan in a dry run, else of what was done. It needs no other file."""
    summary: _Summary = None
    """Add the figures, without people, as Markdown to a file, such as "$GITHUB_STEP_SUMMARY"."""
    show: _Show = ()
    """Print who is changed, by name, or a bar for each audience. Repeat it for both."""
    wait: Annotated[str, Parameter(metavar="TIME")] = "0"
    """How long to wait for another run of the same audience or journal to end, such as 90s or 10m. 0 does not wait."""

    def limit(self) -> MaxRemovals:
        """Return `--max-removals` as `apply` takes it.

        Raises:
            CliError: It cannot be read.
        """
        return removal_limit(self.max_removals, "--max-removals")

    def how(self) -> dict[str, Any]:
        """Return the arguments of every plan's `apply`.

        Raises:
            CliError: An option cannot be read.
        """
        waiting = duration(self.wait, "--wait").total_seconds()
        return {"max_removals": self.limit(), "journal": self.journal, "wait": waiting}

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Keep other runs on this machine from changing what this one reads. A dry run keeps no run out."""
        if self.dry_run:
            return nullcontext()
        from thrive_async.sync._apply.locks import exclusive  # noqa: PLC0415 - after the parsing

        return exclusive(wait=self.how()["wait"], journal=self.journal)

    def would_end(self, *, changes: bool, refused: bool, left_out: bool) -> Exit:
        """Return how a dry run ends.

        Args:
            changes: Whether the plan changes anything.
            refused: Whether a guard would refuse it.
            left_out: Whether the plan leaves people out.
        """
        if not self.detailed_exitcode:
            return Exit.DONE
        if refused:
            return Exit.GUARD
        if changes:
            return Exit.CHANGES
        return Exit.SOME_FAILED if left_out else Exit.DONE

    def check(self, *inputs: str | None, save_plan: str | None = None) -> None:
        """Refuse options that cannot be meant, before Thrive is asked.

        Args:
            inputs: The files that are read.
            save_plan: The file that the plan goes to.

        Raises:
            CliError: An option cannot be read, or one file would be written over another.
            ConfigurationError: The journal's file holds something else.
            OSError: The journal cannot be written.
        """
        self.how()
        if self.detailed_exitcode and not self.dry_run:
            raise CliError("--detailed-exitcode is for --dry-run")
        outputs = {"--journal": self.journal, "--report": self.report, "--html": self.html, "--summary": self.summary}
        _check_apart(inputs, {**outputs, "--save-plan": save_plan})
        if self.journal is not None:
            from thrive_async.sync._apply.journal import check_journal  # noqa: PLC0415 - after the parsing

            check_journal(self.journal)
        _check_pages(self.html, self.summary)

    async def pages(self, plan: PlanView[Any] | AudiencesPlan, thrive: ThriveClient | None) -> Pages:
        """Return the pages to write, and print what `--show` asks for.

        Args:
            plan: The view of a plan, or a plan for several audiences.
            thrive: The client that knows people's names; None to go without them.
        """
        from thrive_async.cli._page.written import Pages  # noqa: PLC0415 - after the parsing

        pages = Pages(plan, PlanApplying().how() | self.how(), page=self.html, summary=self.summary, show=self.show)
        await pages.read_names(thrive)
        pages.show()
        return pages

    def report_file(self) -> ReportFile | None:
        """Return the report to write, if there is one.

        Raises:
            CliError: It cannot be written.
        """
        return ReportFile(self.report) if self.report is not None else None


def _check_apart(inputs: Iterable[str | None], outputs: Mapping[str, str | None]) -> None:
    """Refuse to write one file over another.

    Args:
        inputs: The files that are read.
        outputs: The files that are written, by option.

    Raises:
        CliError: One file would be written over another.
    """
    taken = [(f"the file {file}", file) for file in inputs if file is not None and file != STDIN]
    for option, file in outputs.items():
        if file is None:
            continue
        for what, other in taken:
            if _same_file(file, other):
                raise CliError(f"{option} {file} would be written over {what}: name another file")
        taken.append((f"{option} {file}", file))


def _check_pages(html: str | None, summary: str | None) -> None:
    if html is not None or summary is not None:
        from thrive_async.cli._page.written import check_targets  # noqa: PLC0415 - after the parsing

        check_targets(html, summary)


def _same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        # One of them does not exist yet.
        return Path(one).resolve() == Path(other).resolve()


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class ProtectedApplying(Applying):
    """How to apply a plan that may protect people."""

    protect: Annotated[str | None, Parameter(metavar="FILE")] = None
    """Never remove or suspend the people in this file, which names them by id, ref or e-mail."""

    def protected(self) -> list[str]:
        """Return the names of the people who are never removed.

        Raises:
            CliError: The file cannot be read, or a row has no usable name.
        """
        if self.protect is None:
            return []
        index, sheet = Input().read(self.protect).choose(None, header=None)
        names: list[str] = []
        for entry in people_in(sheet, index, chosen=False).desired:
            if entry.doubt is not None or entry.name is None:
                raise CliError(f"--protect {self.protect}: {entry.where} does not say who it is: {entry.doubt}")
            names += [entry.name, *entry.also]
        return names


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class PeopleApplying(ProtectedApplying):
    """How to apply a plan for the people of an audience."""

    verify: Annotated[bool, Parameter(negative="--no-verify")] = True
    """Read the list again afterwards, and report differences."""

    def how(self) -> dict[str, Any]:
        """Return the arguments of `apply`."""
        return {**super().how(), "verify": self.verify}


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class MemberApplying(PeopleApplying):
    """How to apply a plan for members, and where to write its outcomes."""

    strategy: Strategy = "diff"
    """rebuild replaces the whole list where that takes fewer requests; members who stay are out for a moment."""

    def how(self) -> dict[str, Any]:
        """Return the arguments of `apply`."""
        return {**super().how(), "strategy": self.strategy}


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class AudiencesApplying(MemberApplying):
    """How to apply plans for the members of many audiences."""

    max_total_removals: Annotated[str, Parameter(metavar="N|P%[,min N]")] = "5%,min 20"
    """Refuse to remove more in all audiences together; like --max-removals."""

    def total_limit(self) -> MaxRemovals:
        """Return `--max-total-removals` as `apply` takes it.

        Raises:
            CliError: It cannot be read.
        """
        return removal_limit(self.max_total_removals, "--max-total-removals")

    def how(self) -> dict[str, Any]:
        """Return the arguments of `apply`."""
        return {**super().how(), "max_total_removals": self.total_limit()}


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class UserApplying(ProtectedApplying):
    """How to apply a plan for users, and where to write its outcomes."""

    max_changes: Annotated[str, Parameter(metavar="N|P%[,min N]")] = "10%,min 5"
    """Refuse to change the name or e-mail address of more users; like --max-removals."""

    def how(self) -> dict[str, Any]:
        """Return the arguments of `apply`."""
        return {**super().how(), "max_changes": removal_limit(self.max_changes, "--max-changes")}


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class AnyApplying(AudiencesApplying, UserApplying):
    """How to apply a plan of any kind."""


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class PlanApplying(AnyApplying):
    """How to apply a saved plan of any kind."""

    max_age: Annotated[str, Parameter(metavar="TIME")] = "24h"
    """Refuse a plan that was made longer ago, such as 36h or 7d."""

    def how(self) -> dict[str, Any]:
        """Return the arguments of `apply`."""
        return {**super().how(), "max_age": duration(self.max_age, "--max-age")}


@Parameter(name="*", group=Group("Pages", sort_key=40))
@dataclass(frozen=True, kw_only=True)
class PlanPages:
    """What else to show of a saved plan."""

    html: _Html = None
    """Write a page to look at, which needs no other file."""
    summary: _Summary = None
    """Add the figures, without people, as Markdown to a file."""
    show: _Show = ()
    """Print who is changed, by name, or a bar for each audience. Repeat it for both."""
    names: Flag = False
    """Read people's names from Thrive."""

    def check(self, file: str) -> None:
        """Refuse files that cannot be meant.

        Args:
            file: The plan.

        Raises:
            CliError: One file would be written over another, or cannot be written.
        """
        _check_apart([file], {"--html": self.html, "--summary": self.summary})
        _check_pages(self.html, self.summary)

    def of(self, plan: PlanView[Any] | AudiencesPlan, names: Names) -> Pages:
        """Return the pages of a plan, with the limits that `thrive plan apply` has by default."""
        from thrive_async.cli._page.written import Pages  # noqa: PLC0415 - after the parsing

        how = PlanApplying().how()
        return Pages(plan, how, page=self.html, summary=self.summary, show=self.show, names=names)


def show_plan(view: PlanView[Any], *, detailed: bool = False) -> None:
    """Print a plan: one line, and the entries that change nothing.

    Args:
        view: The plan.
        detailed: Also print the people it changes.
    """
    out(str(view.plan))
    problems = list(view.unplanned())
    for outcome in ("rejected", "ambiguous", "suspended", "held", "dropped"):
        print_rows(outcome, [one for one in problems if one["outcome"] == outcome and one["reason"] != "blank"])
    if detailed:
        show_people(view, hint="--format csv lists them all")


def show_people(view: PlanView[Any], *, hint: str, leaving: bool = False) -> None:
    """Print the people that a plan changes, up to twenty of each kind, those who leave first.

    Args:
        view: The plan.
        hint: How to see all of them.
        leaving: Print only those who leave.
    """
    planned = list(view.planned())
    for action in (view.verb, *(() if leaving else ("unsuspend", "update", "create", "add"))):
        print_rows("planned", [one for one in planned if one["action"] == action], hint=hint)


_OUTCOMES = {
    "added": "added",
    "changed": "changed",
    "removed": "removed",
    "failed": "failed",
    "not_attempted": "not attempted",
    "differences": "differs",
}


def rows_of(report: SyncReport, view: PlanView[Any]) -> Iterator[PersonRow]:
    """Return the outcome of every planned change.

    Args:
        report: The report of the run.
        view: The plan: it knows the people that the report calls by Thrive's id.
    """
    for name, word in _OUTCOMES.items():
        outcomes = getattr(report, name) or ()
        yield from view.named(
            person_row(report.subject, one.action, one.reference, word, one.reason, changes=one.changes)
            for one in outcomes
        )


def show_report(report: SyncReport, view: PlanView[Any], *, whole: bool = False) -> None:
    """Print a report: one line, and the people who are not as planned, with the reason.

    Args:
        report: The report of the run.
        view: The plan.
        whole: Print every outcome, for there is no file that holds them.
    """
    out(str(report))
    rows = list(rows_of(report, view))
    shown = dict.fromkeys(_OUTCOMES.values()) if whole else {"failed": 20, "not attempted": 20, "differs": 20}
    for word, most in shown.items():
        print_rows(word, [one for one in rows if one["outcome"] == word], shown=most)


def summary_of(report: SyncReport) -> dict[str, Any]:
    """Return a report's figures for a JSON file."""
    names = (*_OUTCOMES, "rejected", "ambiguous", "held")
    counts = {name: len(getattr(report, name)) for name in names if getattr(report, name) is not None}
    stopped = {"stopped_by": describe(report.cause)[0]} if report.cause is not None else {}
    return {"subject": report.subject, "run": report.run, **counts, **stopped}


def exit_code(report: SyncReport) -> Exit:
    """Return how the command ends.

    Args:
        report: The report of the run. Entries that the plan left out, also blank ones, count as failed. Duplicates do
            not.

    Returns:
        DONE, SOME_FAILED (also if a file could no longer be written), or REFUSED if an error of Thrive's or of the
        network stopped the run.
    """
    if report.cause is not None:
        code = describe(report.cause)[1]
        return {Exit.BUG: Exit.REFUSED, Exit.USAGE: Exit.SOME_FAILED}.get(code, code)
    return Exit.DONE if report.ok else Exit.SOME_FAILED


def agree(
    subject: str, removals: int, *, yes: bool, show: Callable[[], None], verb: str = "remove", past: str = "removed"
) -> None:
    """Have removals agreed to: by --yes, else by a person at the terminal, who sees first who it is.

    Args:
        subject: The audience, or what the audiences are called.
        removals: How many people leave.
        yes: Whether it is agreed to.
        show: Prints who they are.
        verb: What is done to them.
        past: What was done to them then.

    Raises:
        CliError: There is no terminal, or the answer was no; exit code 3.
    """
    if not removals or yes:
        return
    people = "1 person" if removals == 1 else f"{removals:,} people"
    show()
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise CliError(f"{subject}: {people} would be {past}; nothing was changed. Say --yes to do so", Exit.GUARD)
    if not ask(f"{subject}: {verb} {people}?"):
        raise CliError("nothing was changed", Exit.GUARD)


def agree_to_changes(view: PlanView[Any], *, yes: bool) -> None:
    """Have other names and e-mail addresses agreed to, as `agree` does removals.

    Raises:
        CliError: There is no terminal, or the answer was no; exit code 3.
    """
    people = view.identity_changes
    agree(
        view.subject,
        len(people),
        yes=yes,
        show=lambda: print_rows("planned", people, hint="--dry-run --report FILE lists them all"),
        verb="change the name or e-mail address of",
        past="given another name or e-mail address",
    )


async def apply_plan(
    view: PlanView[Any], options: Applying, file: ReportFile | None, thrive: ThriveClient | None = None
) -> int:
    """Take a plan that was shown to its end.

    Args:
        view: The plan.
        options: What may happen.
        file: Where the outcomes go.
        thrive: The client that knows people's names, for the page; None to go without them.

    Returns:
        The exit code.

    Raises:
        GuardRefused: The plan removes more than allowed. You were not asked.
        CliError: The removals or changes were not agreed to.
        asyncio.CancelledError: Ctrl-C; what was done is reported by then.
    """
    from thrive_async.errors import GuardRefused  # noqa: PLC0415 - after the parsing

    how = options.how()
    pages = await options.pages(view, thrive)
    if options.dry_run:
        if "who" not in options.show:
            show_people(view, hint="--report FILE lists them all")
        pages.plan()
        if file is not None:
            file.write({"subject": view.subject, "dry_run": True}, [*view.planned(), *view.unplanned()])
        say("dry run: nothing was changed")
        refused = False
        try:
            view.check(**how)
        except GuardRefused as refusal:
            refused = True
            say(f"without --dry-run this would be {describe(refusal)[0]}")
        left = view.plan.left_out
        return options.would_end(
            changes=not view.plan.is_empty, refused=refused, left_out=bool(left.rejected or left.ambiguous or left.held)
        )

    def show() -> None:
        show_people(view, leaving=True, hint="--dry-run --report FILE lists them all")

    try:
        view.check(**how)
        agree(view.subject, view.removals, yes=options.yes, show=show, verb=view.verb, past=view.past)
        agree_to_changes(view, yes=options.yes)
    except (GuardRefused, CliError) as refused:
        pages.plan(refused)
        raise
    try:
        with ProgressView(view.subject) as progress:
            report = await view.apply(on_progress=progress, **how)
    except BaseException as error:
        # The plan knows what was done by then.
        if view.plan.report is None:
            raise
        return stopped(error, conclude(view.plan.report, view, file, pages), [view.plan.report])
    return conclude(report, view, file, pages)


def stopped(error: BaseException, code: Exit, reports: Iterable[SyncReport]) -> Exit:
    """Return how the command ends after an error stopped a run that is reported already.

    Args:
        error: What stopped it. It is raised again, unless it is a file that can no longer be written (the journal on a
            full disk) and something was done by then: that is not wrong usage.
        code: The exit code for what was done.
        reports: What was done.
    """
    done = any(getattr(report, name) for report in reports for name in ("added", "changed", "removed", "failed"))
    if done and isinstance(error, OSError):
        return max(code, Exit.SOME_FAILED)
    raise error


def conclude(report: SyncReport, view: PlanView[Any], file: ReportFile | None, pages: Pages) -> Exit:
    """Write a report's files, print it, and return how the command ends."""
    told = tell(
        file,
        {**summary_of(report), "unchanged": view.plan.unchanged},
        chain(rows_of(report, view), view.unplanned()),
        lambda whole: show_report(report, view, whole=whole),
    )
    if report.cause is not None:
        say(f"thrive: stopped: {describe(report.cause)[0]}")
    return max(exit_code(report), told, pages.report({view.subject: (report, rows_of(report, view))}))


def tell(
    file: ReportFile | None, summary: Mapping[str, Any], rows: Iterable[PersonRow], show: Callable[[bool], None]
) -> Exit:
    """Write a report's file and print it, each even if the other fails.

    Args:
        file: The file, if there is one.
        summary: The figures for the file.
        rows: The rows for the file.
        show: Prints the report; whole if it gets True.

    Returns:
        DONE, or SOME_FAILED if one of them cannot be written.
    """
    ended = Exit.DONE
    if file is not None:
        try:
            file.write(summary, rows)
        except OSError as error:
            say(f"thrive: {file} cannot be written: {error.strerror or error}; all outcomes are on standard output")
            ended = Exit.SOME_FAILED
    try:
        show(ended is not Exit.DONE)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        say(f"thrive: standard output cannot be written: {error.strerror or error}")
        abandon_output()
        ended = Exit.SOME_FAILED
    return ended


def finish(main: Callable[[], Coroutine[Any, Any, int]], _file: ReportFile | None = None) -> int:
    """Run a command that changes something; a signal lets the requests under way finish.

    Args:
        main: The command.

    Returns:
        The exit code.
    """
    return run_async(main, notice="stopping when the requests under way are answered; Ctrl-C again stops at once")
