"""Takes a plan of any kind to its end: show it, check the guards, ask, apply, report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from thrive_async.cli._errors import CliError, Exit, describe, say
from thrive_async.cli._files import STDIN
from thrive_async.cli._options import Flag, Strategy, max_removals
from thrive_async.cli._output import abandon_output, is_terminal, out
from thrive_async.cli._plans import Fate, PlanView, fate
from thrive_async.cli._progress import ProgressView
from thrive_async.cli._reports import ReportFile, print_fates
from thrive_async.cli._session import ask, run_async

if TYPE_CHECKING:
    from thrive_async.sync import SyncReport

__all__ = [
    "Applying",
    "MemberApplying",
    "agree",
    "apply_plan",
    "exit_code",
    "fates_of",
    "finish",
    "show_plan",
    "show_report",
    "stopped",
    "summary_of",
    "tell",
]

SAFETY = Group("What may happen", sort_key=50)


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class Applying:
    """How to apply a plan, and where to write its outcomes."""

    dry_run: Flag = False
    """Show what would change, and change nothing."""
    max_removals: Annotated[str | None, Parameter(metavar="N|P%")] = None
    """Refuse to remove or suspend more than this: a number of people, a share (default 10%), or none for no limit."""
    yes: Annotated[bool, Parameter(alias="-y", negative="", show_default=False)] = False
    """Remove without asking; without a terminal, removals need it."""
    journal: Annotated[str | None, Parameter(metavar="FILE")] = None
    """Append a JSON line per outcome as it happens; after a crash, run again with it to account for everyone."""
    report: Annotated[str | None, Parameter(metavar="FILE")] = None
    """Write one row per person with its outcome to a .csv or .json; a CSV has ' before what a spreadsheet would run."""

    def limit(self) -> float | None:
        """Return `--max-removals` as `apply` takes it.

        Raises:
            CliError: It cannot be read.
        """
        return max_removals(self.max_removals)

    def check(self, *inputs: str | None, save_plan: str | None = None) -> None:
        """Refuse options that cannot be meant, before Thrive is asked.

        Args:
            inputs: The files that are read.
            save_plan: The file that the plan goes to.

        Raises:
            CliError: `--max-removals` cannot be read, or one file would be written over another.
            ConfigurationError: The journal's file holds something else.
            OSError: The journal cannot be written.
        """
        self.limit()
        taken = [(f"the file {file}", file) for file in inputs if file is not None and file != STDIN]
        for option, file in (("--journal", self.journal), ("--report", self.report), ("--save-plan", save_plan)):
            if file is None:
                continue
            for what, other in taken:
                if _same_file(file, other):
                    raise CliError(f"{option} {file} would be written over {what}: name another file")
            taken.append((f"{option} {file}", file))
        if self.journal is not None:
            from thrive_async.sync._apply.journal import check_journal  # noqa: PLC0415 - after the parsing

            check_journal(self.journal)

    def report_file(self) -> ReportFile | None:
        """Return the report to write, if there is one.

        Raises:
            CliError: It cannot be written.
        """
        return ReportFile(self.report) if self.report is not None else None


def _same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        # One of them does not exist yet.
        return Path(one).resolve() == Path(other).resolve()


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class MemberApplying(Applying):
    """How to apply a plan for members, and where to write its outcomes."""

    verify: Flag = False
    """Read the members again afterwards and report differences."""
    strategy: Strategy = "diff"
    """rebuild replaces the whole list where that takes fewer requests; members who stay are out for a moment."""


def show_plan(view: PlanView[Any], *, detailed: bool = False) -> None:
    """Print a plan: one line, and the entries that change nothing.

    Args:
        view: The plan.
        detailed: Also print the people it changes.
    """
    out(str(view.plan))
    problems = list(view.unplanned())
    for outcome in ("rejected", "ambiguous", "suspended", "held back"):
        print_fates(outcome, [one for one in problems if one["outcome"] == outcome and one["reason"] != "blank"])
    if detailed:
        print_fates("planned", list(view.planned()), shown=50, hint="--format csv lists them all")


_OUTCOMES = {
    "added": "added",
    "changed": "changed",
    "removed": "removed",
    "failed": "failed",
    "not_attempted": "not attempted",
    "differences": "differs",
}


def fates_of(report: SyncReport, view: PlanView[Any]) -> Iterator[Fate]:
    """Return the outcome of every planned change.

    Args:
        report: The report of the run.
        view: The plan: it knows the people that the report calls by Thrive's id.
    """
    for name, word in _OUTCOMES.items():
        outcomes = getattr(report, name) or ()
        yield from view.named(fate(report.subject, one.action, one.reference, word, one.reason) for one in outcomes)


def show_report(report: SyncReport, view: PlanView[Any], *, whole: bool = False) -> None:
    """Print a report: one line, and the people who are not as planned, with the reason.

    Args:
        report: The report of the run.
        view: The plan.
        whole: Print every outcome, for there is no file that holds them.
    """
    out(str(report))
    fates = list(fates_of(report, view))
    shown = dict.fromkeys(_OUTCOMES.values()) if whole else {"failed": 20, "not attempted": 3, "differs": 20}
    for word, most in shown.items():
        print_fates(word, [one for one in fates if one["outcome"] == word], shown=most)


def summary_of(report: SyncReport) -> dict[str, Any]:
    """Return a report's figures for a JSON file."""
    names = (*_OUTCOMES, "rejected", "ambiguous", "held")
    counts = {name: len(getattr(report, name)) for name in names if getattr(report, name) is not None}
    stopped = {"stopped_by": describe(report.cause)[0]} if report.cause is not None else {}
    return {"subject": report.subject, "run": report.run, **counts, **stopped}


def exit_code(report: SyncReport) -> Exit:
    """Return how the command ends.

    Args:
        report: The report of the run. Entries that the plan left out count as failed; blanks and duplicates do not.

    Returns:
        DONE, SOME_FAILED (also if a file could no longer be written), or REFUSED if an error of Thrive's or of the
        network stopped the run.
    """
    if report.cause is not None:
        code = describe(report.cause)[1]
        return {Exit.BUG: Exit.REFUSED, Exit.USAGE: Exit.SOME_FAILED}.get(code, code)
    return Exit.DONE if report.ok else Exit.SOME_FAILED


def agree(subject: str, removals: int, *, yes: bool, verb: str = "remove", past: str = "removed") -> None:
    """Have removals agreed to: by --yes, else by a person at the terminal.

    Raises:
        CliError: There is no terminal, or the answer was no; exit code 3.
    """
    if not removals or yes:
        return
    people = "1 person" if removals == 1 else f"{removals:,} people"
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise CliError(f"{subject}: {people} would be {past}; nothing was changed. Say --yes to do so", Exit.GUARD)
    if not ask(f"{subject}: {verb} {people}?"):
        raise CliError("nothing was changed", Exit.GUARD)


async def apply_plan(view: PlanView[Any], options: Applying, file: ReportFile | None) -> int:
    """Take a plan that was shown to its end.

    Args:
        view: The plan.
        options: What may happen.
        file: Where the outcomes go.

    Returns:
        The exit code.

    Raises:
        GuardRefused: More removals than allowed; nobody was asked.
        CliError: The removals were not agreed to.
        asyncio.CancelledError: Ctrl-C; what was done is reported by then.
    """
    from thrive_async.errors import GuardRefused  # noqa: PLC0415 - after the parsing

    limit = options.limit()
    strategy = options.strategy if isinstance(options, MemberApplying) else "diff"
    verify = isinstance(options, MemberApplying) and options.verify
    if options.dry_run:
        if file is not None:
            file.write({"subject": view.subject, "dry_run": True}, [*view.planned(), *view.unplanned()])
        say("dry run: nothing was changed")
        try:
            view.check(limit, strategy)
        except GuardRefused as refusal:
            say(f"without --dry-run this would be {describe(refusal)[0]}")
        return Exit.DONE
    view.check(limit, strategy)
    agree(view.subject, view.removals, yes=options.yes, verb=view.verb, past=view.past)

    try:
        with ProgressView(view.subject) as progress:
            report = await view.apply(
                limit=limit, progress=progress, journal=options.journal, strategy=strategy, verify=verify
            )
    except BaseException as error:
        # The plan knows what was done by then.
        if view.plan.report is None:
            raise
        return stopped(error, conclude(view.plan.report, view, file), [view.plan.report])
    return conclude(report, view, file)


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


def conclude(report: SyncReport, view: PlanView[Any], file: ReportFile | None) -> Exit:
    """Write a report's file, print it, and return how the command ends."""
    told = tell(
        file,
        {**summary_of(report), "unchanged": view.plan.unchanged},
        chain(fates_of(report, view), view.unplanned()),
        lambda whole: show_report(report, view, whole=whole),
    )
    if report.cause is not None:
        say(f"thrive: stopped: {describe(report.cause)[0]}")
    return max(exit_code(report), told)


def tell(
    file: ReportFile | None, summary: Mapping[str, Any], fates: Iterable[Fate], show: Callable[[bool], None]
) -> Exit:
    """Write a report's file and print it, each even if the other fails.

    Args:
        file: The file, if there is one.
        summary: The figures for the file.
        fates: The rows for the file.
        show: Prints the report; whole if it gets True.

    Returns:
        DONE, or SOME_FAILED if one of them cannot be written.
    """
    ended = Exit.DONE
    if file is not None:
        try:
            file.write(summary, fates)
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
