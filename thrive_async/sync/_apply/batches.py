"""The fewest calls, what a partial answer says about whom, and how a refused batch is taken apart: pure."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Final, Literal

import attrs

from thrive_async._generated.models import FailedEntity, ProcessedEntity
from thrive_async._http.quoting import one_line
from thrive_async.models import MemberOperationResult

__all__ = ["BATCH", "Answer", "Attribution", "attributed", "batches", "calls_needed", "halving"]

Answer = Literal["taken", "refused", "lost"]
"""What became of a batch as a whole; a partial success is taken."""

BATCH: Final = 100
"""The most people Thrive takes in one write."""


def batches(start: int, stop: int, size: int = BATCH) -> Iterator[range]:
    """Cut a range of places into as few batches as possible."""
    return (range(at, min(at + size, stop)) for at in range(start, stop, size))


def calls_needed(*, add: int, remove: int, staying: int, may_replace: bool = True) -> dict[str, int]:
    """Return how many writes each strategy needs, without failures.

    Args:
        add: People to add.
        remove: Members to remove.
        staying: Members who stay.
        may_replace: Whether the list may be replaced at all.

    Returns:
        ``"diff"``: additions in hundreds and removals singly. ``"rebuild"``: the list replaced by its first hundred
        and the rest added; the same as ``"diff"`` where that is no dearer, and where nobody would be left, because
        Thrive refuses an empty list.
    """
    diff = -(-add // BATCH) + remove
    final = staying + add
    rebuild = -(-final // BATCH) if may_replace and remove and final else diff
    return {"diff": diff, "rebuild": min(diff, rebuild)}


@attrs.frozen
class Attribution:
    """What an answer says about each person of a batch, by place in the batch.

    Attributes:
        done: Who went through.
        failed: Who did not, with Thrive's reason.
        unknown: Of whom the answer does not tell, with what it does say: to be checked, not guessed.
    """

    done: tuple[int, ...]
    failed: Mapping[int, str]
    unknown: Mapping[int, str]


def attributed(names: Sequence[str], result: MemberOperationResult) -> Attribution:
    """Find each person's outcome in the answer to a batch.

    Names come back as they were sent, or in another case. A name that does not come back, comes back on both sides,
    or whose "failure" is that the person is there already, is unknown, unless the figures leave no doubt.

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
        reason = one_line(entity.reason) or "Thrive gave no reason"
        if at in succeeded or at in failed:
            unknown[at] = f"the answer names this person twice, once with: {reason}"
        elif "already" in (entity.reason or "").lower():
            # Also what the second try of an addition may say whose first answer was lost.
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
    return Attribution(done=tuple(sorted(succeeded)), failed=failed, unknown=unknown)


def _place(places: Mapping[str, int], reference: str | None) -> int | None:
    if reference is None:
        return None
    place = places.get(reference)
    return places.get(reference.strip().lower()) if place is None else place


def halving(batch: range) -> Generator[range, Answer, None]:
    """Yield the parts of a refused batch in the order to send them, until who is at fault stands alone.

    Send each part's answer into the generator. One offender among n costs at most 2*ceil(log2(n)) calls after the
    refused one: two halves on each level. Where the first half goes through, the fault lies in the second, which is
    then cut without being sent whole.

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
