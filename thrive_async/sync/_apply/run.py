"""One run: a bounded number of workers, what stops them, what reading finds out afterwards, and the report.

A run is given a `Door`, which knows how the changes of one kind of plan are written, removed and read back. The
client's `Retry` and `Timeouts` bound what the run repeats and how long it waits.
"""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeVar

import attrs

from thrive_async._http.quoting import one_line
from thrive_async.client import ThriveClient
from thrive_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RequestTimeout,
    ThriveError,
)
from thrive_async.share import LeaseLost
from thrive_async.sync._apply.journal import Interrupted, Journal, Line, Scope
from thrive_async.sync._apply.journal_lines import Person
from thrive_async.sync._apply.ledger import Change, Ledger
from thrive_async.sync._guards import Applying
from thrive_async.sync._workers import run_workers
from thrive_async.sync.errors import SyncError
from thrive_async.sync.report import LeftOut, OnProgress, Outcome, Progress, SyncReport, done_as, reason_of, tell
from thrive_async.sync.source import Source

__all__ = ["PRESENT", "Done", "Door", "Job", "Key", "Run", "Settled", "Stopped", "Told", "carry_out"]

T = TypeVar("T")
Key = tuple[str, str]
"""The action and the reference of a change."""
Done = Callable[[str, str], bool]
"""Tells, of an action and a reference, whether what was read shows that the change has been made."""
Settled = tuple[int, bool | None, str | None]
"""The place of a change; whether it was made, or None if it will not be sent; and the reason."""
PRESENT: Final = "present"
"""The action with which `Done` tells whether a person has a name."""

_log: Final = logging.getLogger("thrive_async.sync")
# Three lost answers in a row, for each worker, mean that Thrive is down, and going on would fail all others too.
_LOST_IN_A_ROW: Final = 3
# A lost answer is asked for again twice at most, at the end of the queue; after that, reading tells.
_MOST_LOSSES: Final = 2
# After a cancel, requests under way get this many seconds to bring their answer, so that the report is true.
_GRACE: Final = 10.0
_CUT_OFF: Final = "cancelled while the request was under way: it may have been done"
_CANCELLED: Final = "cancelled before it was sent"


class Stopped(Exception):  # noqa: N818 - never leaves the sync
    """The run is stopped: nothing more is to be sent."""


@attrs.frozen
class Told:
    """What an answer says about each change of a batch, by its place in the batch.

    Attributes:
        done: Those that were made, each with the reason if Thrive did not say so itself.
        failed: Those that were not, with Thrive's reason.
        unknown: Those of which the answer does not tell, with what it does say. Reading tells.
    """

    done: Mapping[int, str | None]
    failed: Mapping[int, str]
    unknown: Mapping[int, str]


class Door(Protocol):
    """How the changes of one kind of plan are written, removed and read back."""

    @property
    def batch(self) -> int:
        """The most changes in one write."""
        ...

    async def write(self, changes: Sequence[Change], *, again: bool) -> Told:
        """Send additions or updates in one request.

        Args:
            changes: What to send.
            again: Whether the answer to an earlier request with them was lost.
        """
        ...

    async def erase(self, reference: str) -> None:
        """Remove or suspend a person."""
        ...

    async def read_back(self, keys: Sequence[Key]) -> Done:
        """Read what changes have come to, those of this run or of earlier ones."""
        ...

    async def check(self) -> None:
        """Look whether what is written to is still there, and can be written.

        Raises:
            ThriveError: It is gone, or cannot be written any more.
        """
        ...


@attrs.define(eq=False)
class Job:
    """Changes that go out in one request.

    Attributes:
        places: The changes.
        losses: How often the answer was lost so far.
    """

    places: Sequence[int]
    losses: int = 0


class Run:
    """One apply of a plan.

    Args:
        thrive: The client.
        door: How the changes are made.
        subject: The audience's name, or ``"users"``.
        changes: What is planned.
        calls: How many requests are expected, for the estimate of what is left.
        applying: How to apply.
        staying: The ids of members who stay, to be verified.
    """

    def __init__(
        self,
        thrive: ThriveClient,
        door: Door,
        *,
        subject: str,
        changes: Iterable[Change],
        calls: int,
        applying: Applying,
        staying: Sequence[str] = (),
    ) -> None:
        self.door = door
        self.subject = subject
        self.id: str = uuid.uuid4().hex
        self.ledger: Ledger = Ledger(changes)
        self.journal: Journal = Journal(applying.journal, self.id, subject)
        self.calls = calls
        self.cause: BaseException | None = None
        self.stopped = False
        self.count_restores = False
        self._on_progress: OnProgress | None = applying.on_progress
        self._verify = applying.verify
        self._staying = staying
        self._not_attempted = _CANCELLED
        self._differences: tuple[Outcome, ...] | None = None
        self._sync = applying.sync
        self._workers = thrive.limits.concurrency
        self._retry = thrive.retry
        self._longest_wait = thrive.timeouts.total
        self._calls_done = 0
        self._lost_in_a_row = 0
        self._started = asyncio.get_running_loop().time()

    def changes(self, places: Iterable[int]) -> list[Change]:
        """Return the changes of some places."""
        return [self.ledger.changes[place] for place in places]

    def stop(self, cause: BaseException | None, *, because: str | None = None) -> None:
        """Let every worker end after the request it has under way. The first call counts.

        Args:
            cause: What stops the run; None for a cancel.
            because: Why the cause stops it, for the report, if the cause does not say so.
        """
        if not self.stopped:
            self.stopped = True
            self.cause = cause
            if cause is not None:
                self._not_attempted = f"stopped by {reason_of(cause)}{f'; {because}' if because else ''}"
            if cause is not None:
                _log.warning("%s: stopped by %s", one_line(self.subject), type(cause).__name__)

    def settle(self, outcomes: Iterable[Settled]) -> None:
        """Give changes their outcomes: in the ledger, in the journal, and to `on_progress`."""
        lines: list[Line] = []
        for place, done, reason in outcomes:
            change = self.ledger.changes[place]
            outcome = self.ledger.settle(place, done=done, reason=reason)
            if not (change.restores and done):
                lines.append((change.action, change.reference, outcome, reason))
        if lines:
            self.journal.record(lines)
        self._tell()

    def refused(self, places: Iterable[int], reason: str) -> None:
        """Settle changes that Thrive refused, but for those that a lost answer may have made."""
        self.settle((place, False, reason) for place in places if place not in self.ledger.in_doubt)

    def lost(self, job: Job, error: ThriveError, queue: "deque[Job]") -> None:
        """Ask again at the end of the queue for an answer that was lost, or leave the changes for reading to tell.

        Args:
            job: The job.
            error: What came instead of the answer.
            queue: Where the next try goes.
        """
        if self.stopped:
            return
        if job.losses < min(_MOST_LOSSES, self._retry.max_attempts - 1) and not isinstance(error, DecodeError):
            queue.append(Job(job.places, job.losses + 1))
        else:
            certain = [place for place in job.places if place not in self.ledger.in_doubt]
            self.ledger.doubt(certain, reason_of(error))

    async def check(self) -> None:
        """Look whether what is written to is still there.

        Raises:
            Stopped: It is not, which stops everything.
        """
        try:
            await self.send((), self.door.check)
        except (NotFoundError, SyncError) as error:
            self.stop(error)
            raise Stopped from error

    async def work(self, jobs: Iterable[Job], do: Callable[[Job, "deque[Job]"], Awaitable[None]]) -> None:
        """Do jobs with a bounded number of workers, until all are done or the run is stopped.

        A cancel lets each worker finish the one request it has under way, so that its outcome is known. A second
        cancel, or ten seconds, cuts them off.

        Args:
            jobs: What to do.
            do: Does one job; it may put another at the end of the queue.
        """
        queue = deque(jobs)

        async def worker() -> None:
            while queue and not self.stopped:
                job = queue.popleft()
                if job.losses:
                    await asyncio.sleep(self._pause(job.losses))
                try:
                    await do(job, queue)
                except Stopped:
                    return

        await run_workers(worker, min(self._workers, len(queue)), stop=self.stop, grace=_GRACE)

    def _pause(self, losses: int) -> float:
        # 1 and 4 seconds with the default Retry.
        return min(self._retry.base_delay * 2 * 4.0 ** (losses - 1), self._retry.max_delay)

    async def send(self, places: Sequence[int], call: Callable[[], Awaitable[T]]) -> T:
        """Make one call, and wait where Thrive asks for it, as long and as often as the client may.

        Args:
            places: The changes it carries: if it is cut off, they fail.
            call: Makes the call.

        Raises:
            Stopped: The run is stopped, or this error stops it; the changes keep no outcome.
            ThriveError: Refused, or the answer was lost.
        """
        repeats, waited = 0, 0.0
        while True:
            if self.stopped:
                raise Stopped
            try:
                answer = await call()
            except asyncio.CancelledError:
                self.settle((place, False, _CUT_OFF) for place in self.ledger.unsettled(places))
                raise
            except ThriveError as error:
                if _may_have_happened(error):
                    self.ledger.doubt(places, reason_of(error))
                if isinstance(error, AuthenticationError | PermissionDeniedError | ConfigurationError | LeaseLost):
                    self.stop(error)
                    raise Stopped from error
                pause = _asked_to_wait(error)
                if pause is None:
                    self._calls_done += 1
                    self._note_answer(error)
                    raise
                waited += pause
                if self._longest_wait is not None and waited > self._longest_wait:
                    allowed = f"Timeouts.total = {self._longest_wait:g} s"
                    self.stop(error, because=f"waiting {waited:.3g} s is more than {allowed} allows")
                elif repeats == self._retry.max_attempts - 1:
                    self.stop(error)
                if self.stopped:
                    raise Stopped from error
                repeats += 1
                await asyncio.sleep(pause)
                continue
            self._calls_done += 1
            self._note_answer(None)
            self.ledger.reopen(places)
            return answer

    def _note_answer(self, error: ThriveError | None) -> None:
        # An answer that came whole and cannot be read says nothing about people, but Thrive is there.
        here = error is None or isinstance(error, DecodeError) or (isinstance(error, APIError) and error.status < 500)
        self._lost_in_a_row = 0 if here else self._lost_in_a_row + 1
        if self._lost_in_a_row >= _LOST_IN_A_ROW * self._workers:
            self.stop(error)

    def _tell(self) -> None:
        if self._on_progress is None:
            return
        elapsed = max(asyncio.get_running_loop().time() - self._started, 1e-9)
        ledger, left = self.ledger, None
        if ledger.settled == ledger.total:
            left = 0.0
        elif self._calls_done:
            left = max(self.calls - self._calls_done, 1) * elapsed / self._calls_done
        tell(
            self._on_progress,
            Progress(
                done=ledger.settled,
                total=ledger.total,
                failed=ledger.failures,
                rate=ledger.settled / elapsed,
                remaining_seconds=left,
            ),
        )

    async def execute(self, steps: Callable[[], Awaitable[None]]) -> None:
        """Do everything, then read back what is in doubt; a ThriveError that stops it is on `cause`."""
        if self.stopped:
            return
        try:
            await steps()
        except Stopped:
            pass
        except ThriveError as error:
            self.stop(error)
        if isinstance(self.cause, AuthenticationError | PermissionDeniedError | LeaseLost):
            return  # Reading would be refused as well.
        if self.ledger.in_doubt or self._verify:
            await self._find_out()

    async def _find_out(self) -> None:
        doubts = dict(self.ledger.in_doubt)
        keys = [change.key for change in (self.ledger.changes if self._verify else self.changes(doubts))]
        try:
            done = await self.door.read_back(keys)
        except ThriveError as error:
            self.stop(error)
            return
        outcomes: list[Settled] = []
        for place, reason in doubts.items():
            if done(*self.ledger.changes[place].key):
                outcomes.append((place, True, f"found done by reading; the answer was: {reason}"))
            else:
                outcomes.append((place, False, f"{reason} (found not done by reading)"))
        if outcomes:
            self.settle(outcomes)
        if self._verify:
            self._differences = tuple(self._differing(done))

    def _differing(self, done: Done) -> Iterable[Outcome]:
        words = {
            "added": "reported as added, but not among the members",
            "removed": "reported as removed, but still a member",
        }
        for name, outcome in self.ledger.outcomes():
            if name in words and not done(outcome.action, outcome.reference):
                yield Outcome(outcome.action, outcome.reference, words[name])
        for user_id in self._staying:
            if done("remove", user_id):
                yield Outcome("add", user_id, "was a member who stays, and is not a member any more")

    async def account_for(self, interrupted: Sequence[Interrupted]) -> None:
        """Find out what became of the changes that earlier runs of this journal left without an outcome."""
        try:
            done = await self.door.read_back([change for earlier in interrupted for change in earlier.pending])
        except ThriveError as error:
            self.stop(error)
            return
        for earlier in interrupted:
            lines: list[Line] = []
            for action, reference in earlier.pending:
                if done(action, reference):
                    reason = f"found done by run {self.id}: the run was interrupted"
                    lines.append((action, reference, done_as(action), reason))
                else:
                    lines.append((action, reference, "not_attempted", "the run was interrupted"))
            self.journal.record(lines, earlier=earlier)

    def open_journal(self, plan: "Applied", strategy: str) -> None:
        """Write the line a run begins with."""
        if self.journal.is_open:
            planned: dict[str, list[str]] = {}
            for change in self.ledger.changes:
                if not change.restores:
                    planned.setdefault(change.action, []).append(change.reference)
            self.journal.open_run(
                plan.scope,
                fingerprint=plan.fingerprint,
                strategy=strategy,
                planned=planned,
                made_at=plan.made_at,
                changes={change.reference: change.changes for change in self.ledger.changes if change.changes},
                fence=plan.fence,
                people=plan.people,
                source=plan.source,
                sync=self._sync,
                undoes=plan.undoes,
            )

    def finish(self) -> tuple[SyncReport, list[Line]]:
        """Account for every change that is left, however the run ended.

        Returns:
            The report, and the last lines of the journal.
        """
        unchecked = dict(self.ledger.in_doubt)
        lines: list[Line] = []
        for place, reason in unchecked.items():
            change, words = self.ledger.changes[place], f"{reason} (could not be checked by reading)"
            self.ledger.settle(place, done=False, reason=words)
            if not change.restores or self.count_restores:
                lines.append((change.action, change.reference, "failed", words))
        report = self.ledger.report(
            self.subject,
            self.id,
            not_attempted=self._not_attempted,
            cause=self.cause,
            differences=self._differences,
            count_restores=self.count_restores,
        )
        _log.info(
            "%s: %d added, %d changed, %d removed, %d failed, %d not attempted",
            one_line(self.subject),
            *map(len, (report.added, report.changed, report.removed, report.failed, report.not_attempted)),
        )
        still_open = {change.key for change in self.changes(self.ledger.unsettled(range(self.ledger.total)))}
        left = (one for one in report.not_attempted if (one.action, one.reference) in still_open)
        lines += [(one.action, one.reference, "not_attempted", one.reason) for one in left]
        return report, lines


def _may_have_happened(error: ThriveError) -> bool:
    """Return whether a write may have taken effect although its answer is an error."""
    if isinstance(error, ConnectionFailed | RequestTimeout | LeaseLost):
        return error.maybe_applied
    if not isinstance(error, APIError) or error.status >= 500 or error.maybe_applied:
        return True
    # It may clash with what an earlier attempt did.
    return error.status == 409 and error.attempts > 1


def _asked_to_wait(error: ThriveError) -> float | None:
    """Return for how many seconds a call must wait that did nothing yet; None if it was refused or lost."""
    if isinstance(error, APIError) and (error.status == 429 or error.retry_after is not None):
        return error.retry_after or 0.0
    if isinstance(error, RequestTimeout) and error.attempts == 0:
        # Never sent: it waited for its turn, or would have had to wait for longer than it may.
        return error.retry_after or 0.0
    return None


class Applied(Protocol):
    """What a run needs to know of its plan."""

    report: SyncReport | None
    made_at: datetime
    fence: int | None
    source: Source | None
    undoes: str | None

    @property
    def people(self) -> Mapping[Key, Person]: ...

    @property
    def scope(self) -> Scope: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def left_out(self) -> LeftOut: ...


async def carry_out(
    run: Run,
    plan: Applied,
    steps: Callable[[], Awaitable[None]],
    *,
    interrupted: Sequence[Interrupted],
    strategy: str = "diff",
) -> SyncReport:
    """Execute a run and put its report on the plan, however the run ends.

    Args:
        run: The run, not begun yet.
        plan: Gets the report.
        steps: Does everything that is planned.
        interrupted: Earlier runs to account for first.
        strategy: For the journal.

    Raises:
        OSError: The journal cannot be written.
    """
    try:
        run.open_journal(plan, strategy)
        if interrupted:
            await run.account_for(interrupted)
        await run.execute(steps)
    except BaseException as error:
        run.stop(None if isinstance(error, asyncio.CancelledError) else error)
        raise
    finally:
        report, lines = run.finish()
        left = plan.left_out
        # Before the last lines are written, so that a full disk cannot take the report away.
        plan.report = attrs.evolve(
            report, rejected=left.rejected, ambiguous=left.ambiguous, held=left.held, dropped=left.dropped
        )
        try:
            if lines:
                run.journal.record(lines)
        finally:
            run.journal.close()
    return plan.report
