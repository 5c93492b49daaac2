"""The gate: concurrency, rate, and the shared cool-down, on a clock that the test owns."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async import Limits, Priority, Retry
from thrive_async._gate.gate import Gate, TurnTooLate
from thrive_async.sandbox import VirtualClock


@asynccontextmanager
async def slot(gate: Gate, deadline: float | None = None) -> AsyncIterator[int]:
    ticket = await gate.enter(deadline)
    try:
        yield ticket
    finally:
        gate.leave(ticket)


async def starts(gate: Gate, clock: VirtualClock, count: int, *, lasting: float = 0.0) -> list[float]:
    """Send `count` requests at once; return when each of them started."""
    started: list[float] = []

    async def one() -> None:
        async with slot(gate):
            started.append(clock.elapsed)
            await asyncio.sleep(lasting)

    await asyncio.gather(*(one() for _ in range(count)))
    return sorted(started)


async def test_no_more_than_the_limit_are_under_way(clock: VirtualClock) -> None:
    assert await starts(Gate(Limits(concurrency=2)), clock, 6, lasting=1.0) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("rate", "burst"), [(5.0, None), (5.0, 3), (0.5, 1), (100.0, 20)])
async def test_a_rate_holds_over_any_second(clock: VirtualClock, rate: float, burst: int | None) -> None:
    times = await starts(Gate(Limits(concurrency=50, rate=rate, burst=burst)), clock, 60)
    for start in times:
        within = sum(1 for other in times if start <= other < start + 1 - 1e-9)
        assert within <= rate + (burst or 1)
    assert times[-1] == pytest.approx((60 - (burst or 1)) / rate, rel=0.01)


async def test_timers_that_ring_late_take_nothing_off_the_rate(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    call_at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda when, *call: call_at(when + 0.001, *call))
    times = await starts(Gate(Limits(concurrency=50, rate=100)), clock, 101)
    assert times[-1] == pytest.approx(1.0, rel=0.005)
    assert min(later - time for time, later in itertools.pairwise(times)) >= 0.005


async def test_a_quiet_time_earns_one_burst_and_no_more(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=50, rate=10, burst=4))
    await starts(gate, clock, 1)
    await asyncio.sleep(60)
    times = [time - 60 for time in await starts(gate, clock, 10)]
    assert times == pytest.approx([0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


async def test_after_a_refusal_nobody_passes_before_its_time_and_then_not_in_a_herd(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=20))
    async with slot(gate) as ticket:
        assert gate.refused(ticket, 5.0) == 5.0
    times = await starts(gate, clock, 10)
    assert times[0] == 5.0
    assert len(set(times)) == 10


async def test_a_place_in_the_row_is_void_once_the_gate_closes(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=20, rate=1))
    waiting = asyncio.ensure_future(starts(gate, clock, 3))
    await asyncio.sleep(0.5)
    gate.refused(0, 10.0)
    assert (await waiting)[1] == 10.5


async def test_refusals_of_requests_that_were_under_way_together_slow_the_pace_once(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=50))
    await starts(gate, clock, 40)
    for _ in range(40):
        gate.passed(0)
    tickets = [0] * 10
    gate.refused(tickets[0], 1.0)
    once = gate._pace.at(clock.time())
    for ticket in tickets[1:]:
        gate.refused(ticket, 1.0)
    assert once == gate._pace.at(clock.time()) == 40.0


async def test_unannounced_pauses_grow_until_something_passes(clock: VirtualClock) -> None:
    gate = Gate(Limits())
    pauses = []
    for _ in range(4):
        async with slot(gate) as ticket:
            pauses.append(gate.refused(ticket, None))
    assert pauses == [0.5, 1.0, 2.0, 4.0]
    gate.passed(4)
    async with slot(gate) as ticket:
        assert gate.refused(ticket, None) == 0.5


async def test_unannounced_pauses_are_those_of_retry(clock: VirtualClock) -> None:
    gate = Gate(Limits(), Retry(base_delay=0.01, max_delay=0.03))
    pauses = []
    for _ in range(4):
        async with slot(gate) as ticket:
            pauses.append(gate.refused(ticket, None))
    assert pauses == pytest.approx([0.01, 0.02, 0.03, 0.03])
    assert Gate(Limits(), Retry(base_delay=5, max_delay=1)).refused(0, None) == 1


async def test_after_a_first_refusal_without_anything_taken_it_starts_slowly_and_grows(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=20))
    async with slot(gate) as ticket:
        gate.refused(ticket, 10.0)
    times = await starts(gate, clock, 20)
    assert times[:2] == [10.0, 10.5]
    assert times[-1] < 13


@pytest.mark.parametrize("said", [0, 0.0, None])
async def test_a_pause_of_nothing_is_no_pause_that_was_announced(said: float | None, clock: VirtualClock) -> None:
    gate = Gate(Limits())
    assert [gate.refused(closing, said) for closing in range(3)] == [0.5, 1.0, 2.0]


async def test_the_row_holds_its_rate_whoever_is_cancelled_in_it(clock: VirtualClock) -> None:
    """Callers come and go at random, with a slot, before it, and in the row: never too many, and no place is lost."""
    chance = random.Random(5)
    gate = Gate(Limits(concurrency=20, rate=50, burst=3))
    started: list[float] = []

    async def one() -> None:
        async with slot(gate):
            started.append(clock.elapsed)
            await asyncio.sleep(chance.uniform(0, 0.2))

    waiting: set[asyncio.Task[None]] = set()
    while clock.elapsed < 20:
        waiting = {task for task in waiting if not task.done()}
        while len(waiting) < 100:
            waiting.add(asyncio.create_task(one()))
        await asyncio.sleep(chance.uniform(0, 0.05))
        for task in chance.sample(sorted(waiting, key=id), 3):
            task.cancel()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for first, start in enumerate(started):
        for last in range(first, min(first + 120, len(started))):
            assert last - first + 1 <= 3 + (started[last] - start) * 50 + 1e-6
    assert len(started) >= 0.97 * 20 * 50
    assert gate.free == 20


async def test_a_cancelled_wait_gives_its_slot_back(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=1, rate=1))
    await starts(gate, clock, 1)
    waiting = asyncio.ensure_future(starts(gate, clock, 1))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert len(await starts(gate, clock, 2)) == 2


async def test_those_who_are_cancelled_in_the_row_leave_no_gap(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=5, rate=1))
    await starts(gate, clock, 1)
    for _ in range(200):
        waiting = asyncio.ensure_future(starts(gate, clock, 5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert await starts(gate, clock, 2) == pytest.approx([1, 2])


async def test_who_cannot_wait_for_the_end_of_a_pause_is_told_at_once(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=2))
    gate.refused(0, 60.0)

    async def one(patience: float) -> tuple[float | None, float]:
        told = None
        try:
            async with slot(gate, clock.time() + patience):
                pass
        except TurnTooLate as error:
            told = error.seconds
        return told, clock.elapsed

    results = await asyncio.gather(one(59), one(61), *(one(59) for _ in range(20)))
    assert results == [(60, 0), (None, 60), *[(60, 0)] * 20]


async def test_those_already_in_the_row_are_told_when_the_pause_grows(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=2, rate=1))
    await starts(gate, clock, 1)

    async def one() -> float:
        with pytest.raises(TurnTooLate):
            async with slot(gate, clock.time() + 30):
                pass
        return clock.elapsed

    waiting = [asyncio.ensure_future(one()) for _ in range(6)]
    await asyncio.sleep(0.5)
    gate.refused(0, 60.0)
    assert max(await asyncio.gather(*waiting)) <= 1.0


async def test_a_slot_is_had_at_once_only_if_one_is_free(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=2))
    assert [gate.enter_at_once(clock.time()) for _ in range(3)] == [0, 0, None]
    gate.leave(0)
    await gate.enter()
    gate.leave(0)
    assert gate.enter_at_once(clock.time()) == 0


async def test_a_call_at_once_does_not_overtake_one_that_waits(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=1))
    await gate.enter()
    waiting = asyncio.ensure_future(gate.enter())
    await asyncio.sleep(0)
    gate.leave(0)
    assert gate.enter_at_once(clock.time()) is None
    assert await waiting == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=40), st.integers(1, 4))
def test_after_any_cancels_all_slots_are_there_again(calls: list[tuple[int, bool, bool]], count: int) -> None:
    async def run() -> None:
        gate, inside = Gate(Limits(concurrency=count)), 0

        async def one(steps: int, *, at_once: bool) -> None:
            nonlocal inside
            if not at_once or gate.enter_at_once(0.0) is None:
                await gate.enter()
            inside += 1
            assert inside <= count
            try:
                for _ in range(steps):
                    await asyncio.sleep(0)
            finally:
                inside -= 1
                gate.leave(0)

        tasks = []
        for steps, at_once, cancelled in calls:
            tasks.append(asyncio.ensure_future(one(steps, at_once=at_once)))
            await asyncio.sleep(0)
            if cancelled:
                tasks[len(tasks) // 2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        free = [gate.enter_at_once(0.0) for _ in range(count + 1)]
        assert free == [0] * count + [None]

    asyncio.run(run())


# A pause that is too long to be meant


async def test_a_gate_is_closed_for_the_longest_pause_and_no_longer(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=2), Retry(longest_pause=20))
    assert gate.refused(0, 1e9) == 20
    with pytest.raises(TurnTooLate) as told:
        await gate.enter(clock.time() + 19)
    assert told.value.seconds == pytest.approx(1e9)
    await gate.enter(clock.time() + 21)
    assert clock.elapsed == 20


@pytest.mark.parametrize("how", ["passed", "failed", "refused", "refused for long"])
async def test_one_request_goes_first_and_the_others_once_it_was_taken(how: str, clock: VirtualClock) -> None:
    """A trial without an answer is followed by another trial, a refused one by another pause."""
    gate = Gate(Limits(concurrency=20))
    gate.refused(0, 1e9)
    others = asyncio.ensure_future(starts(gate, clock, 5, lasting=10))
    await asyncio.sleep(0)
    trial = await gate.enter()
    under_way = clock.elapsed
    assert under_way == 300
    await asyncio.sleep(5)
    assert gate.enter_at_once(clock.time()) is None
    opens = clock.elapsed
    match how:
        case "passed":
            gate.passed(trial)
        case "refused":
            opens += gate.refused(trial, 2.0)
        case "refused for long":
            opens += gate.refused(trial, 1e9)
        case _:
            pass
    gate.leave(trial)
    started = [start for start in await others if start > under_way]
    assert min(started) == opens
    if how in ("failed", "refused for long"):
        # Each of them is a trial that brings no answer.
        assert started == [opens + 10 * count for count in range(len(started))]
    else:
        assert max(started) < opens + 5


async def test_a_late_answer_to_a_request_from_before_ends_no_trial(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=20))
    before = await gate.enter()
    gate.refused(before, 1e9)
    trial = await gate.enter()
    gate.passed(before)
    gate.leave(before)
    assert gate.enter_at_once(clock.time() + 100) is None
    gate.passed(trial)
    gate.leave(trial)
    assert gate.enter_at_once(clock.time() + 100) is not None


# Interactive before bulk


@asynccontextmanager
async def all_taken(gate: Gate) -> AsyncIterator[None]:
    """Every slot taken, until the block ends."""
    tickets = [await gate.enter() for _ in range(gate.free)]
    yield
    for ticket in tickets:
        gate.leave(ticket)


async def in_order(gate: Gate, waiting: str) -> str:
    """Let interactive (i) and bulk (b) requests come in this order, and return in which one they start."""
    started: list[str] = []

    async def one(kind: str) -> None:
        ticket = await gate.enter(priority="bulk" if kind == "b" else "interactive")
        started.append(kind)
        await asyncio.sleep(1)
        gate.leave(ticket)

    async with all_taken(gate):
        tasks = [asyncio.ensure_future(one(kind)) for kind in waiting]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return "".join(started)


@pytest.mark.parametrize("limits", [Limits(concurrency=1), Limits(concurrency=5), Limits(concurrency=5, rate=2)])
async def test_an_interactive_request_starts_next_whatever_of_bulk_waits(limits: Limits, clock: VirtualClock) -> None:
    assert (await in_order(Gate(limits), "b" * 100 + "i"))[0] == "i"


async def holding(gate: Gate, priority: Priority, count: int) -> list[asyncio.Future[int]]:
    """Let requests come; return those that did not start."""
    waiting = [asyncio.ensure_future(gate.enter(priority=priority)) for _ in range(count)]
    await asyncio.sleep(0)
    return [one for one in waiting if not one.done()]


async def test_bulk_leaves_the_last_slot_free_for_a_minute_after_an_interactive_request(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=5))
    async with slot(gate):
        pass
    left = await holding(gate, "bulk", 6)
    assert (gate.free, len(left)) == (1, 2)
    assert gate.enter_at_once(clock.time(), "bulk") is None
    assert await holding(gate, "interactive", 1) == []
    assert gate.free == 0
    gate.leave(0)
    assert gate.free == 1
    await asyncio.sleep(61)
    gate.leave(0)
    await asyncio.sleep(0)
    assert (gate.free, [one.done() for one in left]) == (0, [True, True])


async def test_bulk_alone_has_every_slot(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=5))
    assert [gate.enter_at_once(clock.time(), "bulk") for _ in range(4)] == [0] * 4
    assert len(await holding(gate, "bulk", 2)) == 1
    assert gate.free == 0


async def test_a_single_slot_is_not_kept_free(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=1))
    async with slot(gate):
        pass
    assert gate.enter_at_once(clock.time(), "bulk") == 0
    gate.leave(0)
    assert await holding(gate, "bulk", 1) == []


async def test_bulk_does_not_starve_because_interactive_requests_hold_the_other_slots(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=2))
    started: list[str] = []

    async def one(kind: Priority) -> None:
        ticket = await gate.enter(priority=kind)
        started.append(kind)
        await asyncio.sleep(1)
        gate.leave(ticket)

    tasks = [asyncio.ensure_future(one("interactive")) for _ in range(40)]
    tasks.append(asyncio.ensure_future(one("bulk")))
    await asyncio.gather(*tasks)
    assert started.index("bulk") == 11


async def test_bulk_never_starves_and_gets_one_start_in_ten(clock: VirtualClock) -> None:
    assert await in_order(Gate(Limits(concurrency=3)), "bbb" + "i" * 30) == ("i" * 9 + "b") * 3 + "iii"


async def test_within_a_row_the_first_to_come_is_the_first_to_start(clock: VirtualClock) -> None:
    gate, started = Gate(Limits(concurrency=2)), list[int]()

    async def one(number: int) -> None:
        async with slot(gate):
            started.append(number)

    async with all_taken(gate):
        tasks = [asyncio.ensure_future(one(number)) for number in range(50)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert started == list(range(50))


async def test_a_request_that_is_cancelled_as_it_may_start_gives_slot_and_turn_back(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=1, rate=1))
    ticket = await gate.enter()
    await asyncio.sleep(1)
    waiting = [asyncio.ensure_future(gate.enter()) for _ in range(2)]
    await asyncio.sleep(0)
    gate.leave(ticket)
    waiting[0].cancel()
    assert await waiting[1] == 0
    assert (clock.elapsed, gate.free, gate.waiting) == (1, 0, 0)


async def test_a_trial_that_is_cancelled_as_it_may_start_is_followed_by_another(clock: VirtualClock) -> None:
    gate = Gate(Limits(concurrency=5))
    gate.refused(0, 1e9)
    waiting = [asyncio.ensure_future(gate.enter()) for _ in range(2)]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(clock.time() + 300, waiting[0].cancel)
    assert await waiting[1] == 1
    assert gate.waiting == 0
