"""What became of every planned change, and the accounting that makes it add up."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import attrs

from thrive_async._http.quoting import one_line
from thrive_async.errors import APIError, ThriveError
from thrive_async.sync.errors import SyncError

__all__ = [
    "ACTIONS",
    "NOT_AWAITED",
    "Action",
    "Change",
    "Ledger",
    "LeftOut",
    "OnProgress",
    "Outcome",
    "Progress",
    "SyncReport",
    "described",
    "done_as",
    "legible",
    "tell",
]

Action = Literal["add", "remove", "create", "update", "suspend"]
_DONE_AS: Final[Mapping[str, str]] = {
    "add": "added",
    "create": "added",
    "update": "changed",
    "remove": "removed",
    "suspend": "removed",
}
ACTIONS: Final = tuple(_DONE_AS)
"""What a plan may do to somebody."""
_LONGEST_REASON: Final = 500


def done_as(action: str) -> str:
    """Return what a done action is called: ``"added"``, ``"changed"`` or ``"removed"``."""
    return _DONE_AS[action]


@attrs.frozen
class Outcome:
    """What became of one planned change.

    Attributes:
        action: ``"add"`` or ``"remove"``; in a plan for users ``"create"``, ``"update"`` or ``"suspend"``; a manager
            whose permissions change is an ``"update"``.
        reference: The name as desired; for the removal of a member the member's id.
        reason: Why it failed, was not attempted, or why it counts as done although Thrive did not say so; else None.
            Names that Thrive's words quote are masked (`***`).
    """

    action: str
    reference: str = attrs.field(repr=False)
    reason: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Progress:
    """How far an apply is.

    Attributes:
        done: Changes that have their outcome, failures included.
        total: Changes planned.
        failed: Changes that failed so far.
        rate: Changes per second since the start.
        remaining_seconds: An estimate from the requests that are left; None before the first answer.
    """

    done: int
    total: int
    failed: int
    rate: float
    remaining_seconds: float | None


OnProgress = Callable[[Progress], object]
NOT_AWAITED: Final = (
    "on_progress must be a plain function: it is called between two answers and not awaited. "
    "To await something, put the progress into a queue, or start a task"
)


def tell(on_progress: OnProgress, progress: Progress) -> None:
    """Tell whoever watches how far an apply is.

    Raises:
        TypeError: The function turns out to make a coroutine, which would never run.
    """
    returned = on_progress(progress)
    if inspect.iscoroutine(returned):
        returned.close()
        raise TypeError(NOT_AWAITED)


def legible(rejected: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return rejected entries without the blank ones: those of a list of names are nobody."""
    return tuple((written, reason) for written, reason in rejected if reason != "blank")


@attrs.frozen(kw_only=True, repr=False)
class LeftOut:
    """What a plan could not plan, and so is no change that has an outcome: see `SyncReport`.

    Attributes:
        rejected: Pairs of what was written and why nothing is done for it, without blank entries of a list.
        ambiguous: Names that fit two people.
        held: The removals and suspensions that are held back.
    """

    rejected: tuple[tuple[str, str], ...] = ()
    ambiguous: tuple[str, ...] = ()
    held: tuple[Outcome, ...] = ()


@attrs.frozen(kw_only=True, repr=False)
class SyncReport:
    """What became of every planned change: each is in exactly one of five tuples; and what could not be planned.

    Its repr and text show counts only; the outcomes hold the people's identifiers.

    Attributes:
        subject: The audience's name as the caller wrote it, or ``"users"``.
        run: The id of this apply, as in the journal.
        added: Members or managers added, users created.
        changed: Managers or users updated; always empty for members.
        removed: Members or managers removed, users suspended. Who was gone already counts.
        failed: Refused by Thrive, or without a known outcome, with the reason.
        not_attempted: Not sent, because the run was cancelled or stopped, with the reason.
        differences: What `verify=True` found to differ from this report: ``"add"`` for who should be a member and is
            not, ``"remove"`` for who should not be and is. None if it was not verified.
        rejected: Pairs of what was written and why nothing is done for it, as in the plan. Blank entries of a list of
            members are not among them: they name nobody.
        ambiguous: Names that fit two people, as in the plan: nothing is done for them.
        held: Removals or suspensions that the plan holds back, because something that it could not read may mean
            these very people; with the reason.
        cause: What stopped the run before its end: an error that would have met every further request. None if
            nothing did.
    """

    subject: str
    run: str
    added: tuple[Outcome, ...] = ()
    changed: tuple[Outcome, ...] = ()
    removed: tuple[Outcome, ...] = ()
    failed: tuple[Outcome, ...] = ()
    not_attempted: tuple[Outcome, ...] = ()
    differences: tuple[Outcome, ...] | None = None
    rejected: tuple[tuple[str, str], ...] = ()
    ambiguous: tuple[str, ...] = ()
    held: tuple[Outcome, ...] = ()
    cause: BaseException | None = None

    @property
    def audience(self) -> str:
        """The audience's name as the caller wrote it."""
        return self.subject

    @property
    def ok(self) -> bool:
        """Whether everything was done that was asked for and, if it was verified, found so.

        False also if all that was planned is done, but somebody could not be told who they are (see `rejected`,
        `ambiguous` and `held`), or Thrive's errors had stopped the run and only reading back showed it (see `cause`).
        """
        return not (self.failed or self.not_attempted or self.differences or self._left_out or self.cause)

    @property
    def _left_out(self) -> list[str]:
        heaps = ((self.rejected, "rejected"), (self.ambiguous, "ambiguous"), (self.held, "held back"))
        return [f"{len(heap):,} {word}" for heap, word in heaps if heap]

    @property
    def planned(self) -> int:
        """How many changes there are in all."""
        return sum(map(len, (self.added, self.changed, self.removed, self.failed, self.not_attempted)))

    def raise_for_failures(self) -> None:
        """Raise if anything failed, was not attempted, was found to differ, or could not be planned.

        Raises:
            SyncError: With the figures as text and this report as `.report`; its `__cause__` is what stopped the run.
        """
        if self.ok:
            return
        parts: list[str] = []
        if self.failed:
            parts.append(f"{len(self.failed):,} failed")
        if self.not_attempted:
            parts.append(f"{len(self.not_attempted):,} not attempted")
        if self.differences:
            parts.append(f"{len(self.differences):,} found to differ afterwards")
        left_out = f"; beside them {', '.join(self._left_out)}" if self._left_out else ""
        stopped = f"; stopped by {_kind(self.cause)}" if self.cause is not None else ""
        figures = ", ".join(parts) or "nothing failed"
        raise SyncError(
            f"{self.subject}: of {self.planned:,} planned changes {figures}{left_out}{stopped}", report=self
        ) from self.cause

    def __str__(self) -> str:
        counts = [f"{len(self.added):,} added"]
        if self.changed:
            counts.append(f"{len(self.changed):,} changed")
        counts.append(f"{len(self.removed):,} removed")
        counts.append(f"{len(self.failed):,} failed")
        counts.append(f"{len(self.not_attempted):,} not attempted")
        if self.differences is not None:
            counts.append(f"{len(self.differences):,} found to differ")
        counts += self._left_out
        stopped = f"; stopped by {_kind(self.cause)}" if self.cause is not None else ""
        return f"{self.subject}: {', '.join(counts)}{stopped}"

    def __repr__(self) -> str:
        return f"<SyncReport {self}>"


def _kind(cause: BaseException | None) -> str:
    return f"{type(cause).__name__} ({cause.status})" if isinstance(cause, APIError) else type(cause).__name__


def described(error: BaseException) -> str:
    """Return the reason of an outcome in one line: Thrive's words where there are some, else the error's.

    Reports and journals hold identifiers and nothing else of anybody, so a name that the words quote is masked.
    """
    words: object = error.message if isinstance(error, APIError) else None
    text = one_line(words) if words else str(error) if isinstance(error, ThriveError) else type(error).__name__
    text = " ".join(text.split())
    if isinstance(error, APIError):
        text = f"{error.status}: {text}"
    return text[:_LONGEST_REASON]


@attrs.frozen
class Change:
    """One planned change.

    Attributes:
        action: What is to be done.
        reference: To whom, as in the outcome.
        restores: Whether it is no change of the plan, but puts a member back whom a rebuild may take out: it counts
            only if it does not succeed.
    """

    action: Action
    reference: str = attrs.field(repr=False)
    restores: bool = False


class Ledger:
    """Holds the outcome of every planned change: each is settled once, and what never is was not attempted."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self.changes: tuple[Change, ...] = tuple(changes)
        self._outcomes: list[tuple[bool, str | None] | None] = [None] * len(self.changes)
        self.settled: int = 0
        self.failures: int = 0

    @property
    def total(self) -> int:
        """How many changes there are."""
        return len(self.changes)

    def is_open(self, index: int) -> bool:
        """Return whether a change has no outcome yet."""
        return self._outcomes[index] is None

    def settle(self, index: int, *, done: bool, reason: str | None = None) -> str:
        """Give a change its outcome.

        Args:
            index: Which change.
            done: Whether it was done, or failed.
            reason: Why it failed, or why it counts as done.

        Returns:
            The outcome as the journal calls it: ``"added"``, ``"changed"``, ``"removed"`` or ``"failed"``.

        Raises:
            RuntimeError: It has one already: the accounting would not add up.
        """
        if self._outcomes[index] is not None:
            raise RuntimeError("a planned change was given two outcomes")
        self._outcomes[index] = (done, reason)
        self.settled += 1
        self.failures += not done
        return _DONE_AS[self.changes[index].action] if done else "failed"

    def report(
        self,
        subject: str,
        run: str,
        *,
        not_attempted: str | None,
        cause: BaseException | None,
        differences: tuple[Outcome, ...] | None = None,
        count_restores: bool = False,
    ) -> SyncReport:
        """Sum up.

        Args:
            subject: Whose report.
            run: The id of the apply.
            not_attempted: The reason given for changes without an outcome.
            cause: What stopped the run, if anything.
            differences: What verifying found.
            count_restores: Whether members who stay have been taken out for a while, or may have, so that those who
                could not be put back are part of the report.
        """
        heaps: dict[str, list[Outcome]] = {
            name: [] for name in ("added", "changed", "removed", "failed", "not_attempted")
        }
        for change, outcome in zip(self.changes, self._outcomes, strict=True):
            if outcome is None:
                name, reason = "not_attempted", not_attempted
            else:
                name, reason = (_DONE_AS[change.action] if outcome[0] else "failed"), outcome[1]
            if change.restores:
                if not count_restores or name == "added":
                    continue
                reason = f"was a member who stays; the rebuild has left them out, or may have: {reason or 'not sent'}"
            heaps[name].append(Outcome(change.action, change.reference, reason))
        return SyncReport(
            subject=subject,
            run=run,
            added=tuple(heaps["added"]),
            changed=tuple(heaps["changed"]),
            removed=tuple(heaps["removed"]),
            failed=tuple(heaps["failed"]),
            not_attempted=tuple(heaps["not_attempted"]),
            cause=cause,
            differences=differences,
        )
