"""Writing people to an audience: batches that are split when refused, removals one by one, and who is told what."""

import os
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from thrive_async.client import ThriveClient
from thrive_async.errors import APIError, NotFoundError, ThriveError
from thrive_async.models import MemberOperationResult
from thrive_async.resources._moves import member_operations
from thrive_async.sync._apply.batches import Answer, attributed, batches, halving
from thrive_async.sync._apply.execution import Execution
from thrive_async.sync._apply.run import Job, Settled, Stopped
from thrive_async.sync._guards import check_audience
from thrive_async.sync._reading import Present
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.report import Change, OnProgress, described

__all__ = ["AudienceRun"]

_REFUSALS: Final = frozenset({400, 404, 409, 413, 422})
"""The statuses that refuse a batch for what is in it."""
# Every so many answers that somebody is gone, the audience itself is asked after.
_GONE_PER_CHECK: Final = 10
_TWIN: Final = (
    "not removed: a desired name differs from this member's only in how it is written, and nobody else has it; "
    "correct the list"
)
# After so many refusals in a row, too.
_REFUSALS_PER_CHECK: Final = frozenset({2, 20, 200, 2_000, 20_000})


class AudienceRun(Execution):
    """One apply to an audience: additions, removals, and reading where an answer leaves a doubt.

    Args:
        thrive: The client.
        audience_id: The audience's id.
        subject: The audience as the caller named it.
        changes: What is planned: first what goes out in batches, then the removals.
        removals: How many of them are removals.
        doubtful: Who is to be removed and may be a newcomer, by id, with the newcomer's name.
        calls: How many requests are expected.
        journal: The journal's path, or None.
        on_progress: Called after each answer.
    """

    def __init__(
        self,
        *,
        thrive: ThriveClient,
        audience_id: str,
        subject: str,
        changes: Sequence[Change],
        removals: int,
        doubtful: Mapping[str, str],
        calls: int,
        journal: str | os.PathLike[str] | None,
        on_progress: OnProgress | None,
    ) -> None:
        super().__init__(
            subject=subject,
            changes=changes,
            workers=thrive.limits.concurrency,
            calls=calls,
            journal=journal,
            on_progress=on_progress,
        )
        self.thrive = thrive
        self.audience_id = audience_id
        self.additions: range = range(len(changes) - removals)
        self.removals: range = range(len(changes) - removals, len(changes))
        self._doubtful = doubtful
        self._refused_in_a_row = 0
        self._gone = 0

    @abstractmethod
    async def present(self) -> Present:
        """Read who is there now."""

    @abstractmethod
    async def write(self, places: Sequence[int]) -> MemberOperationResult:
        """Send a batch of additions."""

    @abstractmethod
    async def erase(self, reference: str) -> None:
        """Send a removal."""

    def must_be_read(self, place: int) -> bool:  # noqa: ARG002 - for who overrides it
        """Return whether an addition counts as done only once it has been read back."""
        return False

    def names(self, places: Sequence[int]) -> list[str]:
        """Return the references of some changes."""
        return [self.ledger.changes[place].reference for place in places]

    async def add_all(self, places: Sequence[int]) -> None:
        """Send additions in as few batches as possible."""
        await self.work((Job(places[batch.start : batch.stop]) for batch in batches(0, len(places))), self._add)

    async def remove_all(self) -> None:
        """Send removals one by one, but for those that have an outcome already or may be of a newcomer."""
        await self._hold_the_doubtful()
        await self.work((Job((place,)) for place in self.removals if self.ledger.is_open(place)), self._remove)

    async def _hold_the_doubtful(self) -> None:
        """Settle the removals of those of whom it is not sure that they are not a newcomer's other name."""
        if not self._doubtful:
            return
        others = await self.present()
        held: list[Settled] = []
        for place in self.removals:
            name = self._doubtful.get(self.ledger.changes[place].reference)
            if name is not None and self.ledger.is_open(place) and not others.has(name):
                held.append((place, False, _TWIN))
        self.settle(held)

    async def _add(self, job: Job, queue: deque[Job]) -> None:
        answer = await self._add_batch(job, queue)
        if answer != "refused" or len(job.places) == 1:
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
        try:
            result = await self.send(places, lambda: self.write(places))
        except APIError as error:
            # A server that fails again over a batch may fail over one person in it.
            if error.status not in _REFUSALS and not (error.status == 500 and job.losses and len(places) > 1):
                return self._not_taken(job, error, queue)
            if error.status == 404:
                await self.audience_is_there()
            return await self._refused(places, error)
        except ThriveError as error:
            return self._not_taken(job, error, queue)
        self._refused_in_a_row = 0
        self.taken(places, result)
        return "taken"

    async def _refused(self, places: Sequence[int], error: APIError) -> Answer:
        told = _told_by_refusal(self.names(places), error)
        if told is not None:
            self.settle((places[at], False, reason) for at, reason in told.items())
            return "taken"
        if len(places) > 1:
            return "refused"
        if error.status == 409:
            # It may say that the person is a member already.
            self.unknown[places[0]] = described(error)
        else:
            self.refused(places, described(error))
        await self._count_refusal()
        return "refused"

    async def _count_refusal(self) -> None:
        # Thrive may answer 422 also for an audience that is gone, and then to everybody.
        self._refused_in_a_row += 1
        if self._refused_in_a_row in _REFUSALS_PER_CHECK:
            await self.audience_is_there()

    def _not_taken(self, job: Job, error: ThriveError, queue: deque[Job]) -> Answer:
        if isinstance(error, APIError) and error.status < 500:
            self.refused(job.places, described(error))
        else:
            self.lost(job, job.places, error, queue)
        return "lost"

    def taken(self, places: Sequence[int], result: MemberOperationResult) -> None:
        """Settle a batch by its answer."""
        told = attributed(self.names(places), result)
        done = [places[at] for at in told.done]
        self.unknown.update({place: "taken" for place in done if self.must_be_read(place)})
        outcomes: list[Settled] = [(place, True, None) for place in done if not self.must_be_read(place)]
        outcomes += [(places[at], False, reason) for at, reason in told.failed.items()]
        self.unknown.update({places[at]: reason for at, reason in told.unknown.items()})
        self.settle(outcomes)

    async def _remove(self, job: Job, queue: deque[Job]) -> None:
        (place,) = job.places
        user_id = self.ledger.changes[place].reference
        try:
            await self.send(job.places, lambda: self.erase(user_id))
        except NotFoundError as error:
            # Gone already, or Thrive does not know the member by this name: reading will tell.
            self.unknown[place] = described(error)
            self._gone += 1
            if self._gone % _GONE_PER_CHECK == 1:
                await self.audience_is_there()
        except APIError as error:
            if error.status >= 500:
                self.lost(job, job.places, error, queue)
                return
            self.refused(job.places, described(error))
            await self._count_refusal()
        except ThriveError as error:
            self.lost(job, job.places, error, queue)
        else:
            self._refused_in_a_row = 0
            self.settle([(place, True, None)])

    async def audience_is_there(self) -> None:
        """Ask after the audience itself.

        Raises:
            Stopped: It is gone, or nobody can write to it any more, which stops everything.
        """
        try:
            audience = await self.send((), lambda: self.thrive.audiences.get(self.audience_id))
        except NotFoundError as error:
            self.stop(error)
            raise Stopped from error
        try:
            check_audience(self.subject, audience)
        except GuardRefused as error:
            self.stop(SyncError(f"{self.subject} is smart or no longer API-controlled: it refuses everybody"))
            raise Stopped from error


def _told_by_refusal(names: Sequence[str], error: APIError) -> dict[int, str] | None:
    """Return the reason for each person, if the refusal of a batch gives everybody's: then nothing need be split."""
    results = member_operations(error.body)
    if results is None or len(results) != 1:
        return None
    told = attributed(names, *results.values())
    return dict(told.failed) if len(told.failed) == len(names) else None
