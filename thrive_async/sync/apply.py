"""Applying a member plan: who is told to Thrive in which request, and what its answers mean for whom."""

import asyncio
import os
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from thrive_async.client import ThriveClient
from thrive_async.errors import APIError, AuthenticationError, NotFoundError, PermissionDeniedError, ThriveError
from thrive_async.models import MemberOperationResult
from thrive_async.resources._moves import member_operations
from thrive_async.sync.batches import BATCH, Answer, attributed, batches, halving
from thrive_async.sync.journal import Interrupted, Line
from thrive_async.sync.reading import Present, read_members
from thrive_async.sync.report import Change, Outcome, SyncReport, described
from thrive_async.sync.run import Job, OnProgress, Run, Settled, Stopped

if TYPE_CHECKING:
    from thrive_async.sync.plan import MemberPlan

__all__ = ["apply_members"]

_REFUSALS: Final = frozenset({400, 404, 409, 413, 422})
# Every so many answers that somebody is gone, the audience itself is asked after.
_GONE_PER_CHECK: Final = 10
# After so many refusals in a row, too.
_REFUSALS_PER_CHECK: Final = frozenset({2, 20, 200, 2_000, 20_000})
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
    interrupted: Sequence[Interrupted],
) -> SyncReport:
    """Apply a plan whose guards have been passed; see `MemberPlan.apply`."""
    run = _MemberRun(thrive, plan, on_progress=on_progress, journal=journal, rebuild=rebuild, verify=verify)
    try:
        if interrupted:
            await run.account_for(interrupted)
        run.open_journal(plan.fingerprint, "rebuild" if rebuild else "diff")
        await run.execute()
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
        self._refused_in_a_row = 0
        self._gone = 0

    def _names(self, places: Sequence[int]) -> list[str]:
        return [self.ledger.changes[place].reference for place in places]

    async def execute(self) -> None:
        """Do everything; whatever stops it is on `cause`, except a cancel and what is no ThriveError."""
        if self.stopped:
            return
        try:
            first = 0
            if self._rebuild:
                first = await self._replace()
            await self.work((Job(places) for places in batches(first, self._adds.stop)), self._add)
            if not self.stopped:
                removes = await self._beyond_doubt()
                await self.work((Job((place,)) for place in removes if self.ledger.is_open(place)), self._remove)
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
                piece = Job([job.places[at] for at in part], job.losses)
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
            # A server that fails again over a batch may fail over one person in it.
            if error.status not in _REFUSALS and not (error.status == 500 and job.losses and len(places) > 1):
                return self._not_taken(job, error, queue)
            if error.status == 404:
                await self._audience_is_there()
            return await self._refused(places, error)
        except ThriveError as error:
            return self._not_taken(job, error, queue)
        self._refused_in_a_row = 0
        self._taken(places, result)
        return "taken"

    async def _refused(self, places: Sequence[int], error: APIError) -> Answer:
        told = _told_by_refusal(self._names(places), error)
        if told is not None:
            self.settle((places[at], False, reason) for at, reason in told.items())
            return "taken"
        if len(places) > 1:
            return "refused"
        if error.status == 409:
            # It may say that the person is a member already.
            self.unknown[places[0]] = described(error)
        else:
            self.settle([(places[0], False, described(error))])
        await self._count_refusal()
        return "refused"

    async def _count_refusal(self) -> None:
        # Thrive may answer 422 also for an audience that is gone, and then to everybody.
        self._refused_in_a_row += 1
        if self._refused_in_a_row in _REFUSALS_PER_CHECK:
            await self._audience_is_there()

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
        except NotFoundError as error:
            # Gone already, or Thrive does not know the member by this name: reading will tell.
            self.unknown[place] = described(error)
            self._gone += 1
            if self._gone % _GONE_PER_CHECK == 1:
                await self._audience_is_there()
        except APIError as error:
            if error.status >= 500:
                self.lost(job, job.places, error, queue)
                return
            self.settle([(place, False, described(error))])
            await self._count_refusal()
        except ThriveError as error:
            self.lost(job, job.places, error, queue)
        else:
            self._refused_in_a_row = 0
            self.settle([(place, True, None)])

    async def _audience_is_there(self) -> None:
        """Ask after the audience itself.

        Raises:
            Stopped: It is gone, which stops everything.
        """
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
                return await self._after_lost_replacement(described(error))
            if error.status == 404:
                await self._audience_is_there()
            return self._as_difference()
        except ThriveError as error:
            return await self._after_lost_replacement(described(error))
        if not attributed(names, result).done:
            # An answer that names nobody who is a member now does not say that anybody was removed.
            return await self._after_lost_replacement("nobody went through")
        self.count_restores = True
        self._taken(places, result)
        self.settle((place, True, None) for place in self._removes)
        return len(places)

    def _as_difference(self) -> int:
        self._calls = self._plan.calls["diff"]
        staying = range(len(self._plan.staying))
        self.settle((place, True, None) for place in staying)
        return staying.stop

    async def _after_lost_replacement(self, words: str) -> int:
        present = Present(await read_members(self._thrive, self.subject, self._plan.audience_id))
        if all(member.user_id in present.ids for member in self._plan.to_remove):
            return self._as_difference()
        reason = f"found done by reading; the answer was: {words}"
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

    async def account_for(self, interrupted: Sequence[Interrupted]) -> None:
        """Find out what became of those whom earlier runs of this journal left without an outcome."""
        try:
            present = Present(await read_members(self._thrive, self.subject, self._plan.audience_id))
        except ThriveError as error:
            self.stop(error)
            return
        for earlier in interrupted:
            lines: list[Line] = []
            for action, reference in earlier.pending:
                if present.has(reference) if action == "add" else reference not in present.ids:
                    outcome = "added" if action == "add" else "removed"
                    lines.append((action, reference, outcome, f"found done by run {self.id}: the run was interrupted"))
                else:
                    lines.append((action, reference, "not_attempted", "the run was interrupted"))
            self.journal.record(lines, run=earlier.run)


def _told_by_refusal(names: Sequence[str], error: APIError) -> dict[int, str] | None:
    """Return the reason for each person, if the refusal of a batch gives everybody's: then nothing need be split."""
    results = member_operations(error.body)
    if results is None or len(results) != 1:
        return None
    told = attributed(names, *results.values())
    return dict(told.failed) if len(told.failed) == len(names) else None
