"""The writes of a run: additions in batches, split when refused, then removals one by one."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from thrive_async._generated.models import FailedEntity, ProcessedEntity
from thrive_async.errors import APIError, InvalidArgument, NotFoundError, ThriveError
from thrive_async.models import MemberOperationResult
from thrive_async.resources._moves import member_operations
from thrive_async.sync._apply.run import PRESENT, Job, Run, Settled, Told
from thrive_async.sync._doubts import held_unless_known
from thrive_async.sync.report import reason_in, reason_of

__all__ = [
    "attributed",
    "batches",
    "calls_needed",
    "halving",
    "remove_all",
    "settle_told",
    "told_by_refusal",
    "write_all",
]

Answer = Literal["taken", "refused", "lost"]
"""What became of a batch as a whole; a partial success is taken."""

# The statuses that refuse a batch for what is in it.
_REFUSALS: Final = frozenset({400, 404, 409, 413, 422})
# After this many "not found" answers, or refusals in a row, the run checks whether the audience still exists.
_GONE_PER_CHECK: Final = 10
_REFUSALS_PER_CHECK: Final = frozenset({2, 20, 200, 2_000, 20_000})


def batches(places: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Cut places into as few batches as possible."""
    return (places[at : at + size] for at in range(0, len(places), size))


def calls_needed(*, add: int, remove: int, staying: int, batch: int, may_replace: bool = True) -> dict[str, int]:
    """Return how many writes each strategy needs, without failures.

    Args:
        add: People to add.
        remove: Members to remove.
        staying: Members who stay.
        batch: The most people in one write.
        may_replace: Whether the list may be replaced at all.

    Returns:
        ``"diff"``: additions in batches and removals one by one. ``"rebuild"``: the list replaced by its first batch
        and the rest added; the same as ``"diff"`` where that costs no more, and where no member would be left, because
        Thrive refuses an empty list.
    """
    diff = -(-add // batch) + remove
    final = staying + add
    rebuild = -(-final // batch) if may_replace and remove and final else diff
    return {"diff": diff, "rebuild": min(diff, rebuild)}


async def write_all(run: Run, places: Sequence[int]) -> None:
    """Send additions or updates in as few requests as possible."""
    await _Writes(run).write_all(places)


async def remove_all(run: Run, places: Iterable[int], held_unless: Mapping[str, Sequence[str]] | None = None) -> None:
    """Send removals one by one, but for those that have an outcome already and those to hold.

    Args:
        run: The run.
        places: The removals.
        held_unless: The removals to hold unless reading shows that some names are other people's, by reference.
    """
    if held_unless:
        await _hold(run, places, held_unless)
    await _Writes(run).remove_all(run.ledger.unsettled(places))


async def _hold(run: Run, places: Iterable[int], held_unless: Mapping[str, Sequence[str]]) -> None:
    names = {name for names in set(map(tuple, held_unless.values())) for name in names}
    done = await run.door.read_back([(PRESENT, name) for name in names])
    unknown = {name for name in names if not done(PRESENT, name)}
    held: list[Settled] = []
    for place in run.ledger.unsettled(places) if unknown else ():
        meant = held_unless.get(run.ledger.changes[place].reference, ())
        name = next((name for name in meant if name in unknown), None)
        if name is not None:
            held.append((place, None, held_unless_known(name)))
    run.settle(held)


class _Writes:
    """The writes of one step of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._refused_in_a_row = 0
        self._gone = 0

    async def write_all(self, places: Sequence[int]) -> None:
        jobs = (Job(batch) for batch in batches(places, self._run.door.batch))
        await self._run.work(jobs, self._write)

    async def remove_all(self, places: Iterable[int]) -> None:
        await self._run.work((Job((place,)) for place in places), self._remove)

    async def _write(self, job: Job, queue: deque[Job]) -> None:
        answer = await self._write_batch(job, queue)
        if answer != "refused" or len(job.places) == 1:
            return
        parts = halving(range(len(job.places)))
        part = next(parts)
        try:
            while True:
                piece = Job([job.places[at] for at in part], job.losses)
                part = parts.send(await self._write_batch(piece, queue))
        except StopIteration:
            return

    async def _write_batch(self, job: Job, queue: deque[Job]) -> Answer:
        """Send one batch. The refusal of one change alone is an outcome; that of several is for the caller to split."""
        run, places = self._run, job.places
        changes = run.changes(places)
        again = not run.ledger.in_doubt.keys().isdisjoint(places)
        try:
            told = await run.send(places, lambda: run.door.write(changes, again=again))
        except APIError as error:
            # A server that fails again over a batch may fail over one person in it.
            if error.status in _REFUSALS or (error.status == 500 and job.losses and len(places) > 1):
                return await self._refused(places, error)
            if error.status >= 500:
                run.lost(job, error, queue)
            else:
                run.refused(places, reason_of(error))
            return "lost"
        except ThriveError as error:
            run.lost(job, error, queue)
            return "lost"
        self._refused_in_a_row = 0
        settle_told(run, places, told)
        return "taken"

    async def _refused(self, places: Sequence[int], error: APIError) -> Answer:
        run = self._run
        if error.status == 404:
            await run.check()
        reasons = told_by_refusal([change.reference for change in run.changes(places)], error)
        if reasons is not None:
            run.settle((places[at], False, reason) for at, reason in reasons.items())
            return "taken"
        if len(places) > 1:
            return "refused"
        if error.status == 409:
            # It may say that the person is there already.
            run.ledger.doubt(places, reason_of(error))
        else:
            run.refused(places, reason_of(error))
        await self._count_refusal()
        return "refused"

    async def _count_refusal(self) -> None:
        # Thrive may also answer 422 to every request because the audience is gone.
        self._refused_in_a_row += 1
        if self._refused_in_a_row in _REFUSALS_PER_CHECK:
            await self._run.check()

    async def _remove(self, job: Job, queue: deque[Job]) -> None:
        run, (place,) = self._run, job.places
        reference = run.ledger.changes[place].reference
        try:
            await run.send(job.places, lambda: run.door.erase(reference))
        except NotFoundError as error:
            # Gone already, or Thrive does not know the person by this name: reading tells.
            run.ledger.doubt(job.places, reason_of(error))
            self._gone += 1
            if self._gone % _GONE_PER_CHECK == 1:
                await run.check()
        except APIError as error:
            if error.status >= 500:
                run.lost(job, error, queue)
                return
            run.refused(job.places, reason_of(error))
            await self._count_refusal()
        except InvalidArgument as error:
            # An id that cannot be part of a path: nothing was sent, and the others are not concerned.
            run.settle([(place, False, reason_of(error))])
        except ThriveError as error:
            run.lost(job, error, queue)
        else:
            self._refused_in_a_row = 0
            run.settle([(place, True, None)])


def settle_told(run: Run, places: Sequence[int], told: Told) -> None:
    """Settle a batch by its answer; what it does not tell is in doubt."""
    for at, reason in told.unknown.items():
        run.ledger.doubt((places[at],), reason)
    outcomes: list[Settled] = [(places[at], True, reason) for at, reason in told.done.items()]
    outcomes += [(places[at], False, reason) for at, reason in told.failed.items()]
    run.settle(outcomes)


def attributed(names: Sequence[str], result: MemberOperationResult) -> Told:
    """Find each person's outcome in the answer to a batch.

    Names come back as they were sent, or in another case. The outcome is unknown if a name does not come back, comes
    back on both sides, or "fails" because the person is there already, unless the counts leave no doubt.

    Args:
        names: The batch as sent.
        result: Thrive's answer.
    """
    places: dict[str, int] = {}
    for at_name, name in enumerate(names):
        places.setdefault(name.lower(), at_name)
    places.update({name: at_name for at_name, name in enumerate(names)})

    succeeded_entities: list[ProcessedEntity] = (result.success and result.success.entities) or []
    failed_entities: list[FailedEntity] = (result.failure and result.failure.entities) or []
    echoed = (_place(places, entity.reference) for entity in succeeded_entities)
    succeeded = {place for place in echoed if place is not None}
    failed: dict[int, str] = {}
    unknown: dict[int, str] = {}
    for entity in failed_entities:
        at = _place(places, entity.reference)
        if at is None:
            continue
        reason = reason_in(entity.reason) or "Thrive gave no reason"
        if at in succeeded or at in failed:
            unknown[at] = f"the answer names this person twice, once with: {reason}"
        elif "already" in (entity.reason or "").lower():
            # A repeated addition may also get this answer, if the answer to the first try was lost.
            unknown[at] = reason
        else:
            failed[at] = reason
    for place in unknown:
        succeeded.discard(place)
        failed.pop(place, None)
    told = succeeded | failed.keys() | unknown.keys()
    silent = [place for place in range(len(names)) if place not in told]
    failures = failed_entities or (result.failure and result.failure.count)
    if not failures and result.success and result.success.count == len(names):
        succeeded.update(silent)
    else:
        unknown.update(dict.fromkeys(silent, "the answer does not name this person"))
    return Told(done=dict.fromkeys(sorted(succeeded)), failed=failed, unknown=unknown)


def _place(places: Mapping[str, int], reference: str | None) -> int | None:
    if reference is None:
        return None
    place = places.get(reference)
    return places.get(reference.strip().lower()) if place is None else place


def told_by_refusal(names: Sequence[str], error: APIError) -> dict[int, str] | None:
    """Return each person's reason if the refusal of a batch gives all of them, so that no split is needed."""
    results = member_operations(error.body)
    if results is None or len(results) != 1:
        return None
    told = attributed(names, *results.values())
    return dict(told.failed) if len(told.failed) == len(names) else None


def halving(batch: range) -> Generator[range, Answer, None]:
    """Yield the parts of a refused batch in the order to send them, until the person at fault stands alone.

    A part that is refused is split further. If the first half is taken, the fault is in the second one, which is split
    without sending it whole. Send the answer to each part.

    Args:
        batch: The places of the refused batch, two at least.
    """
    middle = (len(batch) + 1) // 2
    first, second = batch[:middle], batch[middle:]
    answer = yield first
    if answer == "refused" and len(first) > 1:
        yield from halving(first)
    if answer == "taken" and len(second) > 1:
        yield from halving(second)
        return
    answer = yield second
    if answer == "refused" and len(second) > 1:
        yield from halving(second)
