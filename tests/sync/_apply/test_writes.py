"""The fewest calls, whose outcome an answer tells, and how a refused batch is taken apart."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async._generated.models import FailedEntities, FailedEntity, ProcessedEntities, ProcessedEntity
from thrive_async.models import MemberOperationResult
from thrive_async.sync._apply.writes import attributed, batches, calls_needed, halving


def answer(
    done: list[str] | None = None, failed: list[tuple[str | None, str | None]] | None = None, count: int | None = None
) -> MemberOperationResult:
    return MemberOperationResult(
        success=None
        if done is None
        else ProcessedEntities(
            count=len(done) if count is None else count, entities=[ProcessedEntity(reference=name) for name in done]
        ),
        failure=None
        if failed is None
        else FailedEntities(
            count=len(failed), entities=[FailedEntity(reference=name, reason=reason) for name, reason in failed]
        ),
    )


def test_outcomes_are_attributed_by_the_name_that_comes_back() -> None:
    """Each person of a partial success gets Thrive's own reason; the case of the echo does not matter."""
    told = attributed(["a@x", "B@x", "c"], answer(["A@X"], [("b@x", "User does not exist."), ("C", None)]))
    assert told.done == {0: None}
    assert told.failed == {1: "User does not exist.", 2: "Thrive gave no reason"}
    assert told.unknown == {}


def test_names_that_differ_in_case_only_are_told_apart() -> None:
    """An exact echo wins over one in another case."""
    told = attributed(["E1", "e1"], answer(["e1"], [("E1", "gone")]))
    assert (told.done, told.failed) == ({1: None}, {0: "gone"})


def test_a_count_of_all_needs_no_echo() -> None:
    """A full success that names nobody is still a full success."""
    assert attributed(["a", "b"], answer([], count=2)).done == {0: None, 1: None}


@pytest.mark.parametrize(
    "result",
    [
        MemberOperationResult(),
        answer([], count=1),
        answer(["a"]),
        answer(["a"], [("somebody else", "no")]),
        answer(["a"], [(None, "User does not exist.")]),
    ],
)
def test_a_person_whom_the_answer_does_not_name_is_unknown(result: MemberOperationResult) -> None:
    """Missing echoes are to be checked by reading, never guessed."""
    told = attributed(["a", "b"], result)
    assert 1 in told.unknown
    assert 1 not in told.done


def test_a_person_named_on_both_sides_is_unknown() -> None:
    """A contradiction is not resolved by guessing."""
    told = attributed(["a"], answer(["a"], [("a", "no")]))
    assert (told.done, told.failed, list(told.unknown)) == ({}, {}, [0])


def test_being_there_already_is_to_be_checked() -> None:
    """The second try of an addition whose first answer was lost may be refused like that."""
    for words in ("User is already a member.", "ALREADY_MEMBER"):
        assert 0 in attributed(["a"], answer([], [("a", words)])).unknown
    told = attributed(["a"], answer([], [("a", "User is already a member.")]))
    assert list(told.unknown) == [0]


@given(
    st.lists(st.text("abAB@", min_size=1, max_size=3), unique=True, max_size=8),
    st.lists(st.text("abAB@", max_size=3), max_size=8),
    st.none()
    | st.lists(st.tuples(st.none() | st.text("abAB@", max_size=3), st.none() | st.just("already")), max_size=8),
    st.integers(0, 9),
)
def test_everybody_of_a_batch_is_in_exactly_one_place(
    names: list[str], done: list[str], failed: list[tuple[str | None, str | None]] | None, count: int
) -> None:
    """Whatever an answer holds, nobody is lost and nobody counted twice."""
    told = attributed(names, answer(done, failed, count))
    places = [*told.done, *told.failed, *told.unknown]
    assert sorted(places) == list(range(len(names)))


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_batches_are_as_few_as_possible(start: int, length: int) -> None:
    """Hundreds, and one rest; nobody left out."""
    cut = list(batches(range(start, start + length), 100))
    assert [place for batch in cut for place in batch] == [*range(start, start + length)]
    assert len(cut) == math.ceil(length / 100)


@pytest.mark.parametrize(
    ("add", "remove", "staying", "diff", "rebuild"),
    [
        (0, 0, 100_000, 0, 0),
        (412, 0, 5000, 5, 5),
        (0, 18, 5230, 18, 18),
        (50, 400, 500, 401, 6),
        (1, 1, 99, 2, 1),
        (0, 7, 0, 7, 7),
        (100, 100, 0, 101, 1),
    ],
)
def test_calls_of_each_strategy(add: int, remove: int, staying: int, diff: int, rebuild: int) -> None:
    """A rebuild is only ever cheaper, needs something to remove, and cannot empty an audience."""
    assert calls_needed(add=add, remove=remove, staying=staying, batch=100) == {"diff": diff, "rebuild": rebuild}


def taken_apart(size: int, offenders: set[int]) -> tuple[int, set[int], set[int]]:
    """Send a batch to a server that refuses whole whatever holds an offender; count the extra calls."""
    calls, accepted, alone = 0, set[int](), set[int]()
    parts = halving(range(size))
    part = next(parts)
    try:
        while True:
            calls += 1
            refused = bool(offenders.intersection(part))
            if not refused:
                accepted.update(part)
            elif len(part) == 1:
                alone.update(part)
            part = parts.send("refused" if refused else "taken")
    except StopIteration:
        return calls, accepted, alone


@given(
    st.integers(2, 100).flatmap(lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), min_size=1)))
)
def test_offenders_end_alone_and_everybody_else_goes_through(case: tuple[int, set[int]]) -> None:
    """However many there are, whoever is at fault is found and nobody else suffers."""
    size, offenders = case
    _calls, accepted, alone = taken_apart(size, offenders)
    assert alone == offenders
    assert accepted == set(range(size)) - offenders


def test_one_offender_of_a_hundred_costs_few_calls() -> None:
    """At most 2*log2(100)+1 calls after the refused one, wherever the offender is."""
    calls = [taken_apart(100, {at})[0] for at in range(100)]
    assert max(calls) <= 2 * math.log2(100) + 1
    assert sum(calls) / len(calls) < 11


def test_a_lost_half_leaves_the_other_to_be_sent_whole() -> None:
    """Nothing is known of the second half when the first one's answer is lost."""
    parts = halving(range(4))
    assert next(parts) == range(2)
    assert parts.send("lost") == range(2, 4)
