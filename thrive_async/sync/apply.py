"""Applying a member plan: who is told to Thrive in which request, and what its answers mean for whom."""

import asyncio
import os
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from thrive_async.client import ThriveClient
from thrive_async.errors import APIError, AuthenticationError, NotFoundError, PermissionDeniedError, ThriveError
from thrive_async.models import MemberOperationResult
from thrive_async.sync.batches import BATCH, Answer, attributed, batches, halving
from thrive_async.sync.journal import Interrupted, Line, unfinished
from thrive_async.sync.reading import Present, read_members
from thrive_async.sync.report import Change, Outcome, SyncReport, described
from thrive_async.sync.run import Job, OnProgress, Run, Settled, Stopped

if TYPE_CHECKING:
    from thrive_async.sync.plan import MemberPlan

__all__ = ["apply_members"]

_REFUSALS: Final = frozenset({400, 404, 409, 413, 422})
# Every so many answers that somebody is gone, the audience itself is asked after.
_GONE_PER_CHECK: Final = 10
_TWIN: Final = (
    "not removed: a desired name differs from this member's only in how it is written, and no other member has it; "
    "correct the list"
)


async def apply_members(
    thrive: ThriveClient,
    plan: "MemberPlan",
    *,
    on_progress: OnProgress | None,
    journal: str | os.PathLike[str] | None,
    rebuild: bool,
    verify: bool,
) -> SyncReport:
    """Apply a plan whose guards have been passed; see `MemberPlan.apply`."""
    interrupted = await asyncio.to_thread(unfinished, journal, plan.audience) if journal is not None else None
    run = _MemberRun(thrive, plan, on_progress=on_progress, journal=journal, rebuild=rebuild, verify=verify)
    try:
        run.open_journal(plan.fingerprint, "rebuild" if rebuild else "diff")
        await run.execute(interrupted)
    except BaseException as error:
        run.stop(None if isinstance(error, asyncio.CancelledError) else error)
        raise
    finally:
        plan.report = run.finish()
        run.close(plan.report)
    return plan.report


class _MemberRun(Run):
    """One apply of a member plan: additions, then removals, then whatever must be found out by reading."""

    def __init__(
        self,
        thrive: ThriveClient,
        plan: "MemberPlan",
        *,
        on_progress: OnProgress | None,
        journal: str | os.PathLike[str] | None,
        rebuild: bool,
        verify: bool,
    ) -> None:
        adds = [Change("add", name) for name in plan.to_add]
        removes = [Change("remove", member.user_id) for member in plan.to_remove]
        restores = [Change("add", name, restores=True) for name in plan.staying] if rebuild else []
        super().__init__(
            subject=plan.audience,
            changes=[*restores, *adds, *removes],
            workers=thrive.limits.concurrency,
            calls=plan.calls["rebuild" if rebuild else "diff"],
            journal=journal,
            on_progress=on_progress,
        )
        self._members = thrive.audiences.members
        self._thrive = thrive
        self._plan = plan
        self._rebuild = rebuild
        self._verify = verify
        self._adds = range(len(restores) + len(adds))
        self._removes = range(self._adds.stop, self._adds.stop + len(removes))
        self._gone = 0
        self._gone_unchecked = 0

    def _names(self, places: Sequence[int]) -> list[str]:
        return [self.ledger.changes[place].reference for place in places]

    async def execute(self, interrupted: Interrupted | None) -> None:
        """Do everything; whatever stops it is on `cause`, except a cancel and what is no ThriveError."""
        try:
            if interrupted is not None:
                await self._account_for(interrupted)
            first = 0
            if self._rebuild:
                first = await self._replace()
            await self.work((Job(places) for places in batches(first, self._adds.stop)), self._add)
            if not self.stopped:
                removes = await self._beyond_doubt()
                await self.work((Job((place,)) for place in removes if self.ledger.is_open(place)), self._remove)
            if self._gone_unchecked and not self.stopped:
                await self._audience_is_there()
        except Stopped:
            pass
        except ThriveError as error:
            self.stop(error)
        await self._find_out()

    # Additions

    async def _add(self, job: Job, queue: deque[Job]) -> None:
        answer = await self._add_batch(job, queue)
        if answer != "refused":
            return
        parts = halving(range(len(job.places)))
        part = next(parts)
        try:
            while True:
                piece = Job([job.places[at] for at in part], job.second_try)
                part = parts.send(await self._add_batch(piece, queue))
        except StopIteration:
            return

    async def _add_batch(self, job: Job, queue: deque[Job]) -> Answer:
        """Send one batch; a refusal of one person alone is an outcome, of several it is the caller's to split."""
        places = job.places
        names = self._names(places)
        try:
            result = await self.send(places, lambda: self._members.add(self._plan.audience_id, names))
        except APIError as error:
            # A server that fails twice over a batch may fail over one person in it.
            if error.status not in _REFUSALS and not (error.status == 500 and job.second_try and len(places) > 1):
                return self._not_taken(job, error, queue)
            if error.status == 404:
                await self._audience_is_there()
            if len(places) > 1:
                return "refused"
            if error.status == 409:
                # It may say that the person is a member already.
                self.unknown[places[0]] = described(error)
            else:
                self.settle([(places[0], False, described(error))])
            return "refused"
        except ThriveError as error:
            return self._not_taken(job, error, queue)
        self._taken(places, result)
        return "taken"

    def _not_taken(self, job: Job, error: ThriveError, queue: deque[Job]) -> Answer:
        if isinstance(error, APIError) and error.status < 500:
            self.settle((place, False, described(error)) for place in job.places)
        else:
            self.lost(job, job.places, error, queue)
        return "lost"

    def _taken(self, places: Sequence[int], result: MemberOperationResult) -> None:
        told = attributed(self._names(places), result)
        outcomes: list[Settled] = [(places[at], True, None) for at in told.done]
        outcomes += [(places[at], False, reason) for at, reason in told.failed.items()]
        self.unknown.update({places[at]: reason for at, reason in told.unknown.items()})
        self.settle(outcomes)

    # Removals

    async def _beyond_doubt(self) -> Sequence[int]:
        """Return the removals, without those of whom it is not sure that they are not a newcomer's other name."""
        doubtful = self._plan.doubtful
        if not doubtful:
            return self._removes
        members = await read_members(self._thrive, self.subject, self._plan.audience_id)
        others = Present(members)
        held: list[Settled] = []
        for place in self._removes:
            name = doubtful.get(self.ledger.changes[place].reference)
            if name is not None and not others.has(name):
                held.append((place, False, _TWIN))
        self.settle(held)
        return self._removes

    async def _remove(self, job: Job, queue: deque[Job]) -> None:
        (place,) = job.places
        user_id = self.ledger.changes[place].reference
        try:
            await self.send(job.places, lambda: self._members.remove(self._plan.audience_id, user_id))
        except NotFoundError:
            self._gone += 1
            self._gone_unchecked += 1
            if self._gone % _GONE_PER_CHECK == 1:
                await self._audience_is_there()
            self.settle([(place, True, "was gone already")])
        except APIError as error:
            if error.status < 500:
                self.settle([(place, False, described(error))])
            else:
                self.lost(job, job.places, error, queue)
        except ThriveError as error:
            self.lost(job, job.places, error, queue)
        else:
            self.settle([(place, True, None)])

    async def _audience_is_there(self) -> None:
        """Ask after the audience itself.

        Raises:
            Stopped: It is gone, which stops everything.
        """
        self._gone_unchecked = 0
        try:
            await self.send((), lambda: self._thrive.audiences.get(self._plan.audience_id))
        except NotFoundError as error:
            self.stop(error)
            raise Stopped from error

    # Rebuilding

    async def _replace(self) -> int:
        """Replace the list by its first hundred; return how many have been dealt with.

        Members who stay come first, so that they are out as shortly as possible. Where Thrive refuses the
        replacement, nothing has changed, and the plan is applied as a difference.
        """
        places = range(min(BATCH, self._adds.stop))
        names = self._names(places)
        try:
            result = await self.send(places, lambda: self._members.replace(self._plan.audience_id, names))
        except APIError as error:
            if error.status not in _REFUSALS:
                return await self._after_lost_replacement(error)
            if error.status == 404:
                await self._audience_is_there()
            return self._as_difference()
        except ThriveError as error:
            return await self._after_lost_replacement(error)
        self._replaced(places, result)
        return len(places)

    def _replaced(self, places: Sequence[int], result: MemberOperationResult) -> None:
        self.count_restores = True
        self._taken(places, result)
        self.settle((place, True, None) for place in self._removes)

    def _as_difference(self) -> int:
        self._calls = self._plan.calls["diff"]
        staying = range(len(self._plan.staying))
        self.settle((place, True, None) for place in staying)
        return staying.stop

    async def _after_lost_replacement(self, error: ThriveError) -> int:
        present = Present(await read_members(self._thrive, self.subject, self._plan.audience_id))
        if all(member.user_id in present.ids for member in self._plan.to_remove):
            return self._as_difference()
        reason = f"found done by reading; the answer was: {described(error)}"
        self.count_restores = True
        self.settle(
            (place, True, reason) for place in self._removes if self.ledger.changes[place].reference not in present.ids
        )
        self.settle((place, True, reason) for place in self._adds if present.has(self.ledger.changes[place].reference))
        # Whoever is still out goes the way of every addition.
        missing = [place for place in self._adds if self.ledger.is_open(place)]
        await self.work((Job(missing[at : at + BATCH]) for at in range(0, len(missing), BATCH)), self._add)
        return self._adds.stop

    # Finding out by reading

    async def _find_out(self) -> None:
        """Read the members once more if somebody's outcome is unknown, or if asked to verify."""
        if not self.unknown and not self._verify:
            return
        if isinstance(self.cause, AuthenticationError | PermissionDeniedError):
            return  # Reading would be refused as well.
        try:
            members = await read_members(self._thrive, self.subject, self._plan.audience_id)
        except ThriveError as error:
            self.stop(error)
            return
        present = Present(members)
        self.resolve(
            lambda change: (
                present.has(change.reference) if change.action == "add" else change.reference not in present.ids
            )
        )
        if self._verify:
            self.differences = tuple(self._differing(present))

    def _differing(self, present: Present) -> Iterator[Outcome]:
        plan = self._plan
        report = self.ledger.report(self.subject, self.id, not_attempted=None, cause=None)
        for outcome in report.added:
            if not present.has(outcome.reference):
                yield Outcome("add", outcome.reference, "reported as added, but not among the members")
        for outcome in report.removed:
            if outcome.reference in present.ids:
                yield Outcome("remove", outcome.reference, "reported as removed, but still a member")
        for user_id in plan.staying:
            if user_id not in present.ids:
                yield Outcome("add", user_id, "was a member who stays, and is none any more")

    async def _account_for(self, interrupted: Interrupted) -> None:
        """Find out what became of those whom an earlier run of this journal left without an outcome."""
        present = Present(await read_members(self._thrive, self.subject, self._plan.audience_id))
        planned = {(change.action, change.reference) for change in self.ledger.changes}
        lines: list[Line] = []
        for action, reference in interrupted.pending:
            done = present.has(reference) if action == "add" else reference not in present.ids
            if done:
                outcome = "added" if action == "add" else "removed"
                lines.append((action, reference, outcome, f"found done by run {self.id}; the run was interrupted"))
            elif (action, reference) not in planned:
                lines.append((action, reference, "not_attempted", "the run was interrupted; no longer planned"))
        self.journal.record(lines, run=interrupted.run)
