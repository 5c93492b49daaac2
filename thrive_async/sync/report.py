"""What became of every planned change."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import attrs

from thrive_async._http.quoting import one_line
from thrive_async.errors import APIError, ThriveError
from thrive_async.sync._tables import figures_table
from thrive_async.sync.errors import SyncError

__all__ = [
    "ACTIONS",
    "NOT_AWAITED",
    "Action",
    "LeftOut",
    "OnProgress",
    "Outcome",
    "Progress",
    "SyncReport",
    "done_as",
    "reason_in",
    "reason_of",
    "tell",
]

Action = Literal["add", "remove", "create", "update", "suspend", "unsuspend"]
_DONE_AS: Final[Mapping[str, str]] = {
    "add": "added",
    "create": "added",
    "update": "changed",
    "unsuspend": "changed",
    "remove": "removed",
    "suspend": "removed",
}
ACTIONS: Final = tuple(_DONE_AS)
"""The actions that a plan may take."""
_LONGEST_REASON: Final = 500


def done_as(action: str) -> str:
    """Return what a done action is called: ``"added"``, ``"changed"`` or ``"removed"``."""
    return _DONE_AS[action]


@attrs.frozen
class Outcome:
    """What became of one planned change.

    Attributes:
        action: ``"add"`` or ``"remove"``; in a plan for users ``"create"``, ``"update"``, ``"suspend"`` or
            ``"unsuspend"``; a manager whose permissions change is an ``"update"``.
        reference: The name as desired; for the removal of a member the member's id.
        reason: Why it failed, was not attempted, or counts as done although Thrive did not say so; else None. Thrive's
            reason stands here as it came, so it may name people.
        changes: The old and the new value of each field of a user's update, such as
            ``{"last_name": ("Byron", "Lovelace")}`` (see `UserChange.changes`), or of each permission that a manager
            gets or loses.
    """

    action: str
    reference: str = attrs.field(repr=False)
    reason: str | None = attrs.field(default=None, repr=False)
    changes: Mapping[str, tuple[Any, Any]] = attrs.field(factory=dict[str, tuple[Any, Any]], repr=False, eq=False)


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
    """Call `on_progress`.

    Raises:
        TypeError: The function returned a coroutine, which would never run.
    """
    returned = on_progress(progress)
    if inspect.iscoroutine(returned):
        returned.close()
        raise TypeError(NOT_AWAITED)


@attrs.frozen(kw_only=True, repr=False)
class LeftOut:
    """What a plan leaves out, so that it has no outcome: see `SyncReport`.

    Attributes:
        rejected: Pairs of what was written and why nothing is done for it.
        ambiguous: Names that fit two people.
        held: The changes that are left out because of a doubt.
        dropped: Planned changes that no longer hold, found when a saved plan was read.
    """

    rejected: tuple[tuple[str, str], ...] = ()
    ambiguous: tuple[str, ...] = ()
    held: tuple[Outcome, ...] = ()
    dropped: tuple[Outcome, ...] = ()


@attrs.frozen(kw_only=True, repr=False)
class SyncReport:
    """What became of every planned change, each in exactly one of five tuples; and what the plan left out.

    Its repr and text show counts only. The outcomes hold people's identifiers.

    Attributes:
        subject: The audience's name as the caller wrote it, or ``"users"``.
        run: The id of this apply, as in the journal.
        added: Members or managers added, users created.
        changed: Managers or users updated, users unsuspended; always empty for members.
        removed: Members or managers removed, users suspended. People who were gone already count.
        failed: Refused by Thrive, or without a known outcome, with the reason.
        not_attempted: Not sent, with the reason: the run was cancelled or stopped, or a removal is held because a name
            of the list is still unknown to Thrive and may mean this person.
        differences: What `verify=True` found to differ from this report: ``"add"`` for people who should be members
            and are not, ``"remove"`` for people who should not be and are. None if it was not verified.
        rejected: Pairs of what was written and why nothing is done for it, as in the plan.
        ambiguous: Names that fit two people, as in the plan; nothing is done for them.
        held: Removals, suspensions and changes of users that the plan leaves out, each with the reason, such as an
            entry that is rejected or ambiguous and may mean this very person, or a person you protected.
        dropped: Changes of a saved plan that no longer hold, each with the reason: the person is a member already, or
            is none any more. Nothing was done for them, and nothing needed to be.
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
    dropped: tuple[Outcome, ...] = ()
    cause: BaseException | None = None

    @property
    def audience(self) -> str:
        """The audience's name as the caller wrote it."""
        return self.subject

    @property
    def ok(self) -> bool:
        """Whether everything was done that was asked for and, if it was verified, found so.

        Also False if all that was planned is done, but the plan left something out (`rejected`, `ambiguous`, `held`),
        or an error stopped the run and only reading back showed the changes (`cause`).
        """
        return not (self.failed or self.not_attempted or self.differences or self._left_out or self.cause)

    @property
    def _left_out(self) -> list[str]:
        heaps = ((self.rejected, "rejected"), (self.ambiguous, "ambiguous"), (self.held, "held"))
        return [f"{len(heap):,} {word}" for heap, word in heaps if heap]

    @property
    def planned(self) -> int:
        """How many changes there are in all."""
        return sum(map(len, (self.added, self.changed, self.removed, self.failed, self.not_attempted)))

    def raise_for_failures(self) -> None:
        """Raise if anything failed, was not attempted, was found to differ, or was left out.

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
        if self.dropped:
            counts.append(f"{len(self.dropped):,} dropped")
        stopped = f"; stopped by {_kind(self.cause)}" if self.cause is not None else ""
        return f"{self.subject}: {', '.join(counts)}{stopped}"

    def __repr__(self) -> str:
        return f"<SyncReport {self}>"

    def _repr_html_(self) -> str:
        names = ("added", "changed", "removed", "failed", "not_attempted", "differences", "rejected", "ambiguous")
        figures = {name.replace("_", " "): len(getattr(self, name) or ()) for name in (*names, "held", "dropped")}
        stopped = f", stopped by {_kind(self.cause)}" if self.cause is not None else ""
        return figures_table(f"Report for {self.subject}{stopped}", [(self.subject, figures)])


def _kind(cause: BaseException | None) -> str:
    return f"{type(cause).__name__} ({cause.status})" if isinstance(cause, APIError) else type(cause).__name__


def reason_of(error: BaseException) -> str:
    """Return the reason of an outcome: Thrive's as it came, if there is one, else the error's. One line.

    Errors of other libraries are told by their kind only, since their texts may hold anything.
    """
    if isinstance(error, APIError):
        return reason_in(f"{error.status}: {one_line(error.message) or error}")
    return reason_in(str(error)) if isinstance(error, ThriveError) else type(error).__name__


def reason_in(words: object) -> str:
    """Return Thrive's words, a string or an object, in one line without control characters, 500 characters at most."""
    return one_line(words)[:_LONGEST_REASON]
