"""From a plan to its end: shown, guarded, agreed to, applied, reported. The same for every kind of plan."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from thrive_async.cli._errors import CliError, Exit, describe, say
from thrive_async.cli._files import STDIN
from thrive_async.cli._options import Flag, Strategy, max_removals
from thrive_async.cli._output import is_terminal, out
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
    "summary_of",
]

SAFETY = Group("What may happen", sort_key=50)


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class Applying:
    """How to apply a plan, and where to put what became of it."""

    dry_run: Flag = False
    """Show what would change, and change nothing."""
    max_removals: Annotated[str | None, Parameter(metavar="N|P%")] = None
    """Refuse to remove or suspend more: a number of people, a share (10% if not given), or none for no guard."""
    yes: Annotated[bool, Parameter(alias="-y", negative="", show_default=False)] = False
    """Remove without asking; needed for removals where nobody sits at a terminal."""
    journal: Annotated[str | None, Parameter(metavar="FILE")] = None
    """Append a JSON line per outcome as it happens; after a crash, the next run with it accounts for everybody."""
    report: Annotated[str | None, Parameter(metavar="FILE")] = None
    """Write everybody's fate to a .csv or .json file; a CSV has ' before what a spreadsheet would run."""

    def limit(self) -> float | None:
        """The guard as `apply` takes it.

        Raises:
            CliError: it cannot be read.
        """
        return max_removals(self.max_removals)

    def check(self, *inputs: str | None, save_plan: str | None = None) -> None:
        """Find out what cannot be meant, or not be done, before Thrive is asked.

        Args:
            inputs: The files that are read.
            save_plan: The file that the plan goes to.

        Raises:
            CliError: `--max-removals` cannot be read, or something would be written over what is read or written.
            ConfigurationError: The journal is no journal.
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
        """Open the report before anything is done.

        Raises:
            CliError: it cannot be written.
        """
        return ReportFile(self.report) if self.report is not None else None


def _same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        # Not there yet.
        return Path(one).resolve() == Path(other).resolve()


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class MemberApplying(Applying):
    """How to apply a plan for members, and where to put what became of it."""

    verify: Flag = False
    """Read again afterwards and report what differs."""
    strategy: Strategy = "diff"
    """rebuild replaces the whole list where that takes fewer requests; members who stay are out for a moment."""


def show_plan(view: PlanView, *, detailed: bool = False) -> None:
    """Print a plan: its one line, and the entries that nothing can be done for.

    Args:
        view: The plan.
        detailed: Print who is to be changed, too.
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


def fates_of(report: SyncReport, view: PlanView) -> Iterator[Fate]:
    """Say of every planned change what became of it.

    Args:
        report: What became of the plan.
        view: The plan: it knows the people whom the report calls by Thrive's id.
    """
    for name, word in _OUTCOMES.items():
        outcomes = getattr(report, name) or ()
        yield from view.named(fate(report.subject, one.action, one.reference, word, one.reason) for one in outcomes)


def show_report(report: SyncReport, view: PlanView) -> None:
    """Print a report: its one line, and everybody who is not where they should be, with the reason.

    Args:
        report: What became of the plan.
        view: The plan.
    """
    out(str(report))
    fates = list(fates_of(report, view))
    for word, shown in (("failed", 20), ("not attempted", 3), ("differs", 20)):
        print_fates(word, [one for one in fates if one["outcome"] == word], shown=shown)


def summary_of(report: SyncReport) -> dict[str, Any]:
    """Give a report's figures for a JSON file."""
    names = (*_OUTCOMES, "rejected", "ambiguous", "held")
    counts = {name: len(getattr(report, name)) for name in names if getattr(report, name) is not None}
    stopped = {"stopped_by": describe(report.cause)[0]} if report.cause is not None else {}
    return {"subject": report.subject, "run": report.run, **counts, **stopped}


def exit_code(report: SyncReport) -> Exit:
    """Tell from a report how the command ends.

    Args:
        report: What became of the plan. Entries that the plan had to leave out count as failed, blanks and duplicates
            do not.

    Returns:
        DONE, SOME_FAILED, or REFUSED if an error of Thrive's or of the network stopped the run.
    """
    if report.cause is not None:
        code = describe(report.cause)[1]
        return code if code is not Exit.BUG else Exit.REFUSED
    return Exit.DONE if report.ok else Exit.SOME_FAILED


def agree(subject: str, removals: int, *, yes: bool, verb: str = "remove", past: str = "removed") -> None:
    """Let somebody agree to removals: --yes does, else a person at a terminal is asked.

    Raises:
        CliError: there is nobody to ask, or they said no; exit code 3.
    """
    if not removals or yes:
        return
    people = "1 person" if removals == 1 else f"{removals:,} people"
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise CliError(f"{subject}: {people} would be {past}; nothing was changed. Say --yes to do so", Exit.GUARD)
    if not ask(f"{subject}: {verb} {people}?"):
        raise CliError("nothing was changed", Exit.GUARD)


async def apply_plan(view: PlanView, options: Applying, file: ReportFile | None) -> int:
    """Take a plan, shown already, to its end.

    Args:
        view: The plan.
        options: What may happen.
        file: Where everybody's fate goes.

    Returns:
        The exit code.

    Raises:
        GuardRefused: More removals than allowed; told before anybody is asked.
        CliError: Nobody agreed to the removals.
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
    except BaseException:
        # Ctrl-C, or a journal that can no longer be written: what was done is on the plan, and is told first.
        if view.plan.report is not None:
            conclude(view.plan.report, view, file)
        raise
    return conclude(report, view, file)


def conclude(report: SyncReport, view: PlanView, file: ReportFile | None) -> Exit:
    """Write a report's file, print it, and tell how the command ends."""
    try:
        if file is not None:
            summary = {**summary_of(report), "unchanged": view.plan.unchanged}
            file.write(summary, [*fates_of(report, view), *view.unplanned()])
    finally:
        # Each even if the other cannot be: a full disk, or nobody who reads on.
        show_report(report, view)
    if report.cause is not None:
        say(f"thrive: stopped: {describe(report.cause)[0]}")
    return exit_code(report)


def finish(main: Callable[[], Coroutine[Any, Any, int]], file: ReportFile | None) -> int:
    """Run a command that may write a report; if it did not, no trace of the report is left.

    Args:
        main: The command.
        file: Its report.

    Returns:
        The exit code.
    """
    try:
        return run_async(main, notice="stopping when the requests under way are answered; Ctrl-C again stops at once")
    finally:
        if file is not None:
            file.discard()
