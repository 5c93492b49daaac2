"""What every apply has in common: a bounded crew of workers, accounting, journal, progress, and how it stops."""

import asyncio
import logging
import os
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

import attrs

from thrive_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    DecodeError,
    PermissionDeniedError,
    RequestTimeout,
    ThriveError,
)
from thrive_async.sync._apply.journal import Journal, Line, Scope
from thrive_async.sync._apply.workers import ended
from thrive_async.sync.report import Change, Ledger, OnProgress, Outcome, Progress, SyncReport, described, tell

__all__ = ["Job", "Run", "Settled", "Stopped", "may_have_happened"]

T = TypeVar("T")
Settled = tuple[int, bool, str | None]
"""The place of a change, whether it was done, and the reason."""

_log: Final = logging.getLogger("thrive_async.sync")
# Patience with a Thrive that says "later": how often per call, and for how long at once.
_WAITS: Final = 3
_LONGEST_WAIT: Final = 300.0
# That many answers lost in a row, for each worker, mean that Thrive is down: to go on would fail everybody else too.
_LOST_IN_A_ROW: Final = 3
# Seconds before an answer that was lost, for all that the transport tried, is asked for again.
_PAUSES: Final = (1.0, 4.0)
# After a cancel, requests under way get this long to bring their answer, so that the report is true.
_GRACE: Final = 10.0
_CUT_OFF: Final = "cancelled while the request was under way: it may have been done"
_CANCELLED: Final = "cancelled before it was sent"


class Stopped(Exception):  # noqa: N818 - never leaves the sync
    """The run is stopped: nothing more is to be sent."""


@attrs.define(eq=False)
class Job:
    """Changes that go out in one request.

    Attributes:
        places: Which changes.
        losses: How often the answer was lost so far.
    """

    places: Sequence[int]
    losses: int = 0


def may_have_happened(error: ThriveError) -> bool:
    """Return whether a write may have taken effect although its answer is an error."""
    if isinstance(error, ConnectionFailed | RequestTimeout):
        return error.maybe_applied
    if not isinstance(error, APIError) or error.status >= 500 or error.maybe_applied:
        return True
    # It may clash with what an earlier attempt did, whatever that was answered.
    return error.status == 409 and error.attempts > 1


class Run:
    """One apply of a plan.

    Args:
        subject: Whose changes: the audience's name, or ``"users"``.
        changes: What is planned.
        workers: How many requests may be under way at once.
        calls: How many requests are expected, for the estimate of what is left.
        journal: The journal's path, or None.
        on_progress: Called after each answer.
    """

    def __init__(
        self,
        *,
        subject: str,
        changes: Iterable[Change],
        workers: int,
        calls: int,
        journal: str | os.PathLike[str] | None,
        on_progress: OnProgress | None,
    ) -> None:
        self.subject = subject
        self.id: str = uuid.uuid4().hex
        self.ledger: Ledger = Ledger(changes)
        self.journal: Journal = Journal(journal, self.id, subject)
        self.workers = workers
        self.unknown: dict[int, str] = {}
        self.cause: BaseException | None = None
        self.differences: tuple[Outcome, ...] | None = None
        self.count_restores = False
        self._on_progress = on_progress
        self._calls = calls
        self._calls_done = 0
        self._lost_in_a_row = 0
        self._stopped = False
        self._started = asyncio.get_running_loop().time()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._stopped

    def stop(self, cause: BaseException | None) -> None:
        """Let every worker end after the request it has under way.

        Args:
            cause: Why; the first one is kept. None for a cancel.
        """
        if not self._stopped:
            self._stopped = True
            self.cause = cause
            if cause is not None:
                _log.warning("%s: stopped by %s", self.subject, type(cause).__name__)

    def open_journal(self, scope: Scope, fingerprint: str, strategy: str) -> None:
        """Write the line a run begins with."""
        if not self.journal.is_open:
            return
        planned: dict[str, list[str]] = {}
        for change in self.ledger.changes:
            if not change.restores:
                planned.setdefault(change.action, []).append(change.reference)
        self.journal.open_run(scope, fingerprint=fingerprint, strategy=strategy, planned=planned)

    def settle(self, outcomes: Iterable[Settled]) -> None:
        """Give changes their outcomes: in the ledger, in the journal, and to whoever watches.

        Args:
            outcomes: Of changes that have none yet.
        """
        lines: list[Line] = []
        for place, done, reason in outcomes:
            self.unknown.pop(place, None)
            change = self.ledger.changes[place]
            outcome = self.ledger.settle(place, done=done, reason=reason)
            if not (change.restores and done):
                lines.append((change.action, change.reference, outcome, reason))
        if lines:
            self.journal.record(lines)
        self._tell()

    def _tell(self) -> None:
        if self._on_progress is None:
            return
        elapsed = max(asyncio.get_running_loop().time() - self._started, 1e-9)
        ledger, left = self.ledger, None
        if ledger.settled == ledger.total:
            left = 0.0
        elif self._calls_done:
            left = max(self._calls - self._calls_done, 1) * elapsed / self._calls_done
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

    async def work(self, jobs: Iterable[Job], do: Callable[[Job, "deque[Job]"], Awaitable[None]]) -> None:
        """Do jobs with a bounded number of workers, until none is left or the run is stopped.

        A cancel lets each worker finish the one request it has under way, so that its outcome is known; a second
        cancel, or ten seconds, cuts them off.

        Args:
            jobs: What to do.
            do: Does one job; it may put another at the queue's end.
        """
        queue = deque(jobs)

        async def worker() -> None:
            while queue and not self._stopped:
                job = queue.popleft()
                if job.losses:
                    await asyncio.sleep(_PAUSES[job.losses - 1])
                try:
                    await do(job, queue)
                except Stopped:
                    return

        crew = [asyncio.create_task(worker()) for _ in range(min(self.workers, len(queue)))]
        if not crew:
            return
        try:
            done, _pending = await asyncio.wait(crew, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                if (error := task.exception()) is not None:
                    self.stop(error)
                    await asyncio.wait(crew, timeout=_GRACE)
                    raise error
        except asyncio.CancelledError:
            self.stop(None)
            await asyncio.wait(crew, timeout=_GRACE)
            raise
        finally:
            await ended(crew)

    async def send(self, places: Sequence[int], call: Callable[[], Awaitable[T]]) -> T:
        """Make one call, waiting where Thrive asks for it.

        Args:
            places: The changes it carries: cut off in the middle, they fail as unknown.
            call: Makes the call.

        Raises:
            Stopped: The run is stopped, or this very error stops it; the changes keep no outcome.
            ThriveError: Refused, or the answer was lost.
        """
        waits = 0
        while True:
            if self._stopped:
                raise Stopped
            try:
                value = await call()
            except asyncio.CancelledError:
                self.settle((place, False, _CUT_OFF) for place in places if self.ledger.is_open(place))
                raise
            except (AuthenticationError, PermissionDeniedError, ConfigurationError) as error:
                self._doubt(places, error)
                self.stop(error)
                raise Stopped from error
            except APIError as error:
                self._calls_done += 1
                self._doubt(places, error)
                if error.status == 429 or error.retry_after is not None:
                    pause = error.retry_after or 0.0
                    waits += 1
                    if waits > _WAITS or pause > _LONGEST_WAIT:
                        self.stop(error)
                        raise Stopped from error
                    await asyncio.sleep(pause)
                    continue
                self._note(lost=error.status >= 500, error=error)
                raise
            except ThriveError as error:
                if isinstance(error, RequestTimeout) and error.attempts == 0 and waits < _WAITS:
                    # Never sent: it waited for its turn while Thrive had asked everybody to pause.
                    waits += 1
                    continue
                self._calls_done += 1
                self._doubt(places, error)
                # An answer that came whole and cannot be read says nothing of people, but Thrive is there.
                self._note(lost=not isinstance(error, DecodeError), error=error)
                raise
            self._calls_done += 1
            self._note(lost=False, error=None)
            for place in places:
                self.unknown.pop(place, None)
            return value

    def _doubt(self, places: Sequence[int], error: ThriveError) -> None:
        if may_have_happened(error):
            self.unknown.update(dict.fromkeys(places, described(error)))

    def refused(self, places: Iterable[int], reason: str) -> None:
        """Take note that Thrive refused some changes, which a lost answer may contradict.

        Args:
            places: The changes.
            reason: Thrive's.
        """
        failed = [place for place in places if place not in self.unknown]
        self.settle((place, False, reason) for place in failed)

    def _note(self, *, lost: bool, error: ThriveError | None) -> None:
        self._lost_in_a_row = self._lost_in_a_row + 1 if lost else 0
        if self._lost_in_a_row >= _LOST_IN_A_ROW * self.workers:
            self.stop(error)

    def lost(self, job: Job, places: Sequence[int], error: ThriveError, queue: "deque[Job]") -> None:
        """Take note that an answer was lost: ask again after everything else, and twice at most, else find out later.

        Args:
            job: The job it happened to.
            places: Its changes, or those of them that were in the request.
            error: What came instead of the answer.
            queue: Where the next try goes.
        """
        again = job.losses < len(_PAUSES) and not self._stopped and not isinstance(error, DecodeError)
        if again:
            queue.append(Job(places, job.losses + 1))
        elif not self._stopped:
            for place in places:
                self.unknown.setdefault(place, described(error))
        # Else, if it is not in doubt, it was certainly not done: not attempted.

    def resolve(self, done: Callable[[Change], bool]) -> None:
        """Settle the unknown by what was read.

        Args:
            done: Whether what was read shows that a change has been made.
        """
        outcomes: list[Settled] = []
        for place, reason in self.unknown.items():
            if done(self.ledger.changes[place]):
                outcomes.append((place, True, f"found done by reading; the answer was: {reason}"))
            else:
                outcomes.append((place, False, f"{reason} (found not done by reading)"))
        if outcomes:
            self.settle(outcomes)

    def finish(self) -> SyncReport:
        """Account for everybody who is left, and sum up. Called once, however the run ended.

        The journal's last lines are written by `close`, so that a full disk cannot take the report away.
        """
        for place, reason in self.unknown.items():
            self.ledger.settle(place, done=False, reason=f"{reason} (could not be checked by reading)")
        reason = _CANCELLED if self.cause is None else f"stopped by {described(self.cause)}"
        report = self.ledger.report(
            self.subject,
            self.id,
            not_attempted=reason,
            cause=self.cause,
            differences=self.differences,
            count_restores=self.count_restores,
        )
        _log.info(
            "%s: %d added, %d changed, %d removed, %d failed, %d not attempted",
            self.subject,
            *map(len, (report.added, report.changed, report.removed, report.failed, report.not_attempted)),
        )
        return report

    def close(self, report: SyncReport) -> None:
        """Write the journal's last lines and hand the file back.

        Args:
            report: What `finish` returned.
        """
        try:
            unknown = {self.ledger.changes[place].reference for place in self.unknown}
            lines: list[Line] = [
                (outcome.action, outcome.reference, "failed", outcome.reason)
                for outcome in report.failed
                if outcome.reference in unknown
            ]
            lines += [
                (outcome.action, outcome.reference, "not_attempted", outcome.reason) for outcome in report.not_attempted
            ]
            if lines:
                self.journal.record(lines)
        finally:
            self.journal.close()
