"""From a plan to its end: shown, guarded, agreed to, applied, reported. The same for every kind of plan."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from thrive_async.cli._errors import CliError, Exit, describe, say
from thrive_async.cli._options import Strategy, max_removals
from thrive_async.cli._output import is_terminal, out
from thrive_async.cli._progress import ProgressView
from thrive_async.cli._reports import ReportFile, print_fates
from thrive_async.cli._session import ask, run_async

if TYPE_CHECKING:
    from thrive_async.sync import MemberPlan, SyncReport

__all__ = [
    "Applying",
    "agree",
    "apply_plan",
    "exit_code",
    "fates_of",
    "finish",
    "planned_fates",
    "save_plan",
    "show_plan",
    "show_report",
    "summary_of",
    "unplanned_fates",
]

SAFETY = Group("What may happen", sort_key=50)


@Parameter(name="*", group=SAFETY)
@dataclass(frozen=True, kw_only=True)
class Applying:
    """How to apply a plan, and where to put what became of it."""

    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Show what would change, and change nothing."""
    max_removals: Annotated[str | None, Parameter(metavar="N|P%")] = None
    """Refuse to remove more: a number of people, a share of the members (10% if not given), or none for no guard."""
    yes: Annotated[bool, Parameter(alias="-y", negative="", show_default=False)] = False
    """Remove without asking; needed for removals where nobody sits at a terminal."""
    journal: Annotated[str | None, Parameter(metavar="FILE")] = None
    """Append a JSON line per outcome as it happens; after a crash, the next run with it accounts for everybody."""
    report: Annotated[str | None, Parameter(metavar="FILE")] = None
    """Write everybody's fate to a .csv or .json file; a CSV has ' before what a spreadsheet would run."""
    verify: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Read again afterwards and report what differs."""
    strategy: Strategy = "diff"
    """rebuild replaces the whole list where that takes fewer requests; members who stay are out for a moment."""

    def limit(self) -> float | None:
        """The guard as `apply` takes it.

        Raises:
            CliError: it cannot be read.
        """
        return max_removals(self.max_removals)

    def report_file(self) -> ReportFile | None:
        """Open the report before anything is done.

        Raises:
            CliError: it cannot be written.
        """
        return ReportFile(self.report) if self.report is not None else None


def show_plan(plan: MemberPlan, *, detailed: bool = False) -> None:
    """Print a plan: its one line, and the entries that nothing can be done for.

    Args:
        plan: as `plan_members` makes it.
        detailed: print who is added and removed, too.
    """
    out(str(plan))
    problems = [fate for fate in planned_fates(plan) if fate["outcome"] in {"rejected", "ambiguous"}]
    for outcome in ("rejected", "ambiguous"):
        print_fates(outcome, [fate for fate in problems if fate["outcome"] == outcome and fate["reason"] != "blank"])
    if detailed:
        planned = [fate for fate in planned_fates(plan) if fate["outcome"] == "planned"]
        print_fates("planned", planned, shown=50)


def save_plan(plan: MemberPlan, path: str) -> None:
    """Write a plan to a file that only its owner can read.

    Raises:
        CliError: it cannot be written; nothing was changed.
    """
    try:
        plan.save(path)
    except OSError as error:
        raise CliError(f"--save-plan {path}: {error.strerror or error}; nothing was changed") from error
    say(f"plan saved: {path}")


def planned_fates(plan: MemberPlan) -> Iterator[dict[str, Any]]:
    """Say of everybody in a plan what is meant to happen to them; who stays is only counted, not named."""
    for name in plan.to_add:
        yield _fate(plan.audience, "add", name, "planned")
    for member in plan.to_remove:
        known = [text for text in (member.reference, member.email) if text]
        yield _fate(plan.audience, "remove", member.user_id, "planned", ", ".join(known))
    yield from unplanned_fates(plan)


def unplanned_fates(plan: MemberPlan) -> Iterator[dict[str, Any]]:
    """Say why nothing is done for an entry of the file: it is no name, fits several people, or is there twice."""
    for written, reason in plan.rejected:
        yield _fate(plan.audience, "", written, "rejected", reason)
    for name, ids in plan.ambiguities.items():
        yield _fate(plan.audience, "", name, "ambiguous", f"fits several people: {', '.join(ids)}")
    for name in plan.duplicates:
        yield _fate(plan.audience, "", name, "duplicate", "this person was named before")


def _fate(audience: str, action: str, reference: str, outcome: str, reason: str | None = None) -> dict[str, Any]:
    return {"audience": audience, "action": action, "reference": reference, "outcome": outcome, "reason": reason}


_OUTCOMES = {
    "added": "added",
    "changed": "changed",
    "removed": "removed",
    "failed": "failed",
    "not_attempted": "not attempted",
    "differences": "differs",
}


def fates_of(report: SyncReport) -> Iterator[dict[str, Any]]:
    """Say of every planned change what became of it."""
    for name, word in _OUTCOMES.items():
        for outcome in getattr(report, name) or ():
            yield _fate(report.subject, outcome.action, outcome.reference, word, outcome.reason)


def show_report(report: SyncReport) -> None:
    """Print a report: its one line, and everybody who is not where they should be, with the reason."""
    out(str(report))
    fates = list(fates_of(report))
    for word, shown in (("failed", 20), ("not attempted", 3), ("differs", 20)):
        print_fates(word, [fate for fate in fates if fate["outcome"] == word], shown=shown)


def summary_of(report: SyncReport) -> dict[str, Any]:
    """Give a report's figures for a JSON file."""
    counts = {name: len(getattr(report, name) or ()) for name in _OUTCOMES if getattr(report, name) is not None}
    stopped = {"stopped_by": describe(report.cause)[0]} if report.cause is not None else {}
    return {"subject": report.subject, "run": report.run, **counts, **stopped}


def exit_code(report: SyncReport, plan: MemberPlan | None = None) -> Exit:
    """Tell from a report how the command ends.

    Args:
        report: what became of the plan.
        plan: entries that it had to leave out count as failed, blanks do not.

    Returns:
        DONE, SOME_FAILED, or REFUSED if an error of Thrive's or of the network stopped the run.
    """
    if report.cause is not None:
        code = describe(report.cause)[1]
        return code if code is not Exit.BUG else Exit.REFUSED
    if report.failed or report.not_attempted or report.differences:
        return Exit.SOME_FAILED
    left_out = plan is not None and (plan.ambiguities or any(reason != "blank" for _, reason in plan.rejected))
    return Exit.SOME_FAILED if left_out else Exit.DONE


def agree(subject: str, removals: int, *, yes: bool) -> None:
    """Let somebody agree to removals: --yes does, else a person at a terminal is asked.

    Raises:
        CliError: there is nobody to ask, or they said no; exit code 3.
    """
    if not removals or yes:
        return
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        people = "1 person" if removals == 1 else f"{removals:,} people"
        raise CliError(f"{subject}: {people} would be removed; nothing was changed. Say --yes to do so", Exit.GUARD)
    if not ask(f"{subject}: remove {removals:,} {'person' if removals == 1 else 'people'}?"):
        raise CliError("nothing was changed", Exit.GUARD)


async def apply_plan(plan: MemberPlan, options: Applying, file: ReportFile | None) -> int:
    """Take a plan, shown already, to its end.

    Args:
        plan: the plan.
        options: what may happen.
        file: where everybody's fate goes.

    Returns:
        The exit code.

    Raises:
        GuardRefused: more removals than allowed; told before anybody is asked.
        CliError: nobody agreed to the removals.
        asyncio.CancelledError: Ctrl-C; what was done is reported by then.
    """
    from thrive_async.errors import GuardRefused  # noqa: PLC0415 - after the parsing

    limit = options.limit()
    if options.dry_run:
        if file is not None:
            file.write({"subject": plan.audience, "dry_run": True}, planned_fates(plan))
        say("dry run: nothing was changed")
        try:
            plan.check_guards(max_removals=limit, strategy=options.strategy)
        except GuardRefused as refusal:
            say(f"without --dry-run this would be {describe(refusal)[0]}")
        return Exit.DONE
    plan.check_guards(max_removals=limit, strategy=options.strategy)
    agree(plan.audience, len(plan.to_remove), yes=options.yes)
    try:
        with ProgressView(plan.audience) as progress:
            report = await plan.apply(
                max_removals=limit,
                on_progress=progress,
                journal=options.journal,
                strategy=options.strategy,
                verify=options.verify,
            )
    except BaseException:
        # Ctrl-C, or a journal that can no longer be written: what was done is on the plan, and is told first.
        if plan.report is not None:
            conclude(plan.report, plan, file)
        raise
    return conclude(report, plan, file)


def conclude(report: SyncReport, plan: MemberPlan, file: ReportFile | None) -> Exit:
    """Write a report's file, print it, and tell how the command ends."""
    try:
        if file is not None:
            file.write({**summary_of(report), "unchanged": plan.unchanged}, [*fates_of(report), *unplanned_fates(plan)])
    finally:
        # Each even if the other cannot be: a full disk, or nobody who reads on.
        show_report(report)
    if report.cause is not None:
        say(f"thrive: stopped: {describe(report.cause)[0]}")
    return exit_code(report, plan)


def finish(main: Callable[[], Coroutine[Any, Any, int]], file: ReportFile | None) -> int:
    """Run a command that may write a report; if it did not, no trace of the report is left.

    Args:
        main: the command.
        file: its report.

    Returns:
        The exit code.
    """
    try:
        return run_async(main, notice="stopping when the requests under way are answered; Ctrl-C again stops at once")
    finally:
        if file is not None:
            file.discard()
