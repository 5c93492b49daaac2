"""The calls of a process that wait for a place, on a clock that the test owns."""

import asyncio
import math

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thrive_async.sandbox import VirtualClock
from thrive_async.share import MemoryShare, Place, Row, Scope, ShareUnavailable, TurnTooLate

SCOPE = Scope("thrive.example", "tenant")


async def went(row: Row, clock: VirtualClock, log: list[tuple[str, float]], name: str, **options) -> None:
    await row.turn(**options)
    log.append((name, round(clock.elapsed, 6)))


async def start(*calls) -> list[asyncio.Task[None]]:
    tasks = []
    for call in calls:
        tasks.append(asyncio.create_task(call))
        await asyncio.sleep(0)
    return tasks


async def test_processes_go_in_turns(clock: VirtualClock) -> None:
    """Four busy processes at 4 a second: one call each a second, none early, none lost."""
    share, log = MemoryShare(), []
    rows = [Row(share, SCOPE, rate=4.0) for _ in range(4)]
    tasks = await start(*(went(row, clock, log, f"{i}") for _ in range(5) for i, row in enumerate(rows)))
    await asyncio.gather(*tasks)
    times = [at for _, at in log]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(19 / 4, abs=0.13)
    for first in range(0, 20, 4):
        assert {name for name, _ in log[first : first + 4]} == set("0123")


async def test_a_web_call_does_not_wait_behind_the_nightly_run(clock: VirtualClock) -> None:
    """With 50 calls of another process in its row, a web call has its turn after two places at most."""
    share, log = MemoryShare(), []
    nightly, web = Row(share, SCOPE, rate=10.0), Row(share, SCOPE, rate=10.0)
    tasks = await start(*(went(nightly, clock, log, "bulk", priority="bulk") for _ in range(50)))
    await asyncio.sleep(1.02)
    asked = clock.elapsed
    await web.turn()
    assert clock.elapsed - asked <= 0.2 + 1e-6
    for task in tasks:
        task.cancel()
    await nightly.aclose()


async def test_a_wait_below_the_rounding_of_the_clock_ends(clock: VirtualClock) -> None:
    """A share with a scale of its own may name a wait that is lost when added to the loop's time."""
    asked = 0

    class Rounding(MemoryShare):
        async def place(self, scope: Scope, **limits) -> Place:
            nonlocal asked
            asked += 1
            if clock.elapsed == 0 and asked < 1000:
                return Place(taken=False, wait=1e-17, cooling=True)
            return await super().place(scope, **limits)

    await Row(Rounding(), SCOPE, rate=1.0).turn()
    assert asked == 2


async def test_interactive_calls_go_before_bulk(clock: VirtualClock) -> None:
    share, log = MemoryShare(), []
    row = Row(share, SCOPE, rate=1.0)
    bulk = await start(*(went(row, clock, log, f"bulk {i}", priority="bulk") for i in range(4)))
    web = await start(*(went(row, clock, log, f"web {i}") for i in range(2)))
    await asyncio.gather(*bulk, *web)
    assert [name for name, _ in log] == ["bulk 0", "web 0", "web 1", "bulk 1", "bulk 2", "bulk 3"]


async def test_cancelled_calls_lose_one_place_at_most(clock: VirtualClock) -> None:
    share, log = MemoryShare(), []
    row = Row(share, SCOPE, rate=1.0)
    await row.turn()
    tasks = await start(*(went(row, clock, log, "cancelled") for _ in range(20)))
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert log == []
    # One place was in hand, at 0.5 s. No call came for it, so the next is at 1.5 s.
    await asyncio.sleep(0.5)
    await row.turn()
    assert clock.elapsed == pytest.approx(1.5)


async def test_the_place_of_a_cancelled_call_goes_to_the_next(clock: VirtualClock) -> None:
    share, log = MemoryShare(), []
    row = Row(share, SCOPE, rate=1.0)
    await row.turn()
    first, _second = await start(went(row, clock, log, "first"), went(row, clock, log, "second"))
    await asyncio.sleep(0.1)
    first.cancel()
    await _second
    assert log == [("second", 0.5)]


async def test_a_place_after_the_deadline_is_not_taken(clock: VirtualClock) -> None:
    share = MemoryShare()
    row = Row(share, SCOPE, rate=0.1)
    await row.turn()
    for _ in range(5):
        with pytest.raises(TurnTooLate) as refused:
            await row.turn(deadline=clock.time() + 1.0)
        assert refused.value.seconds == pytest.approx(5.0)
    assert clock.elapsed == 0
    await row.turn()
    assert clock.elapsed == pytest.approx(5.0)


async def test_a_call_behind_others_gives_up_at_its_deadline(clock: VirtualClock) -> None:
    share, log = MemoryShare(), []
    row = Row(share, SCOPE, rate=0.1)
    await row.turn()
    waiting = await start(went(row, clock, log, "long"), went(row, clock, log, "longer"))
    with pytest.raises(TurnTooLate):
        await row.turn(deadline=clock.time() + 3.0)
    assert clock.elapsed == pytest.approx(3.0)
    await asyncio.gather(*waiting)
    assert log == [("long", 5.0), ("longer", 15.0)]


async def test_a_cool_down_stops_all_processes(clock: VirtualClock) -> None:
    """Those that wait at it go on when it ends, each at its place; those that cannot wait fail at once."""
    share, log = MemoryShare(), []
    one, other = Row(share, SCOPE, rate=1.0), Row(share, SCOPE, rate=1.0)
    assert await one.cool_down(30.0) == 30.0
    waiting = await start(
        went(one, clock, log, "one"), went(other, clock, log, "other"), went(other, clock, log, "other")
    )
    for row in (one, other):
        with pytest.raises(TurnTooLate) as refused:
            await row.turn(deadline=clock.time() + 10.0)
        assert refused.value.seconds == pytest.approx(30.0)
    assert clock.elapsed == 0
    await asyncio.gather(*waiting)
    assert [at for _, at in log] == [30.0, 30.5, 31.5]


async def test_a_429_stops_the_call_that_has_a_place(clock: VirtualClock) -> None:
    """A place that falls into a cool-down of this process is not used."""
    share, log = MemoryShare(), []
    row = Row(share, SCOPE, rate=1.0)
    await row.turn()
    tasks = await start(went(row, clock, log, "waiting"))
    await asyncio.sleep(0.2)
    await row.cool_down(10.0)
    await asyncio.gather(*tasks)
    assert log[0][1] >= 10.2


async def test_without_a_rate_calls_go_at_once(clock: VirtualClock) -> None:
    row = Row(MemoryShare(), SCOPE)
    await asyncio.gather(*(row.turn() for _ in range(100)))
    assert clock.elapsed == 0


class Broken(MemoryShare):
    """Fails as many times as told."""

    failures = 0

    async def place(self, scope: Scope, *, rate: float | None, burst: int = 1, within: float = math.inf) -> Place:
        if self.failures:
            self.failures -= 1
            raise ShareUnavailable("gone")
        return await super().place(scope, rate=rate, burst=burst, within=within)


async def test_an_error_of_the_share_reaches_the_call_and_no_other(clock: VirtualClock) -> None:
    share, log = Broken(), []
    row = Row(share, SCOPE, rate=1.0)
    share.failures = 1
    with pytest.raises(ShareUnavailable):
        await row.turn()
    await row.turn()
    first, second, third = await start(*(went(row, clock, log, f"{i}") for i in range(3)))
    await asyncio.sleep(0.1)
    share.failures = 1
    await asyncio.gather(first, third)
    with pytest.raises(ShareUnavailable):
        await second
    assert [name for name, _ in log] == ["0", "2"]


async def test_closing_leaves_no_task_and_no_one_waiting(clock: VirtualClock) -> None:
    row = Row(MemoryShare(), SCOPE, rate=0.001)
    await row.turn()
    tasks = await start(row.turn(), row.turn())
    await row.aclose()
    assert all(isinstance(end, ShareUnavailable) for end in await asyncio.gather(*tasks, return_exceptions=True))
    assert asyncio.all_tasks() == {asyncio.current_task()}


# Any mixture of calls against what the row promises


@attrs.frozen
class Call:
    """What one call does; times in seconds."""

    process: int
    at: float
    bulk: bool
    within: float | None
    cancelled_after: float | None


SECONDS = st.integers(0, 80).map(lambda tenths: tenths / 10)
CALLS = st.lists(
    st.builds(
        Call,
        process=st.integers(0, 2),
        at=SECONDS,
        bulk=st.booleans(),
        within=st.none() | SECONDS,
        cancelled_after=st.none() | SECONDS,
    ),
    min_size=1,
    max_size=25,
)
COOL_DOWNS = st.lists(st.tuples(st.integers(0, 2), SECONDS, st.sampled_from([0.7, 4.0])), max_size=2)


@example(  # a 429 for the process whose next call has a place
    calls=[Call(0, 0.0, bulk=False, within=None, cancelled_after=None)] * 2,
    cool_downs=[(0, 0.5, 4.0)],
    rate=0.5,
    burst=1,
)
@given(calls=CALLS, cool_downs=COOL_DOWNS, rate=st.sampled_from([0.5, 2.0, 9.0]), burst=st.sampled_from([1, 3]))
@settings(max_examples=150, deadline=None)
def test_whatever_the_calls_do_the_row_keeps_its_promises(
    calls: list[Call], cool_downs: list[tuple[int, float, float]], rate: float, burst: int
) -> None:
    """Calls of three processes, with deadlines and cancels, beside 429s."""
    starts: dict[int, float] = {}
    late: set[int] = set()

    async def play(clock: VirtualClock) -> None:
        share = MemoryShare()
        rows = [Row(share, SCOPE, rate=rate, burst=burst) for _ in range(3)]

        async def one(number: int, call: Call) -> None:
            await asyncio.sleep(call.at)
            deadline = None if call.within is None else clock.time() + call.within
            turn = rows[call.process].turn(deadline, priority="bulk" if call.bulk else "interactive")
            try:
                async with asyncio.timeout(call.cancelled_after) as cancelling:
                    await turn
            except TurnTooLate:
                late.add(number)
            except TimeoutError:
                assert cancelling.expired()
            else:
                starts[number] = clock.elapsed

        async def refused(process: int, at: float, seconds: float) -> None:
            await asyncio.sleep(at)
            await rows[process].cool_down(seconds)

        await asyncio.gather(
            *(one(number, call) for number, call in enumerate(calls)), *(refused(*each) for each in cool_downs)
        )
        for row in rows:
            await row.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def on_virtual_time() -> None:
        with (clock := VirtualClock()).installed():
            await play(clock)

    asyncio.run(on_virtual_time())

    # The rate holds over any span of time.
    for begin in starts.values():
        for span in (0.5, 2.0, 10.0):
            within = sum(begin <= other < begin + span for other in starts.values())
            assert within <= burst + 0.5 + span * rate + 1e-6
    # A process that knows of a 429 keeps to its pause; of each other one, at most the call that has a place goes.
    for process, at, seconds in cool_downs:
        during = [calls[number].process for number, start in starts.items() if at + 1e-6 < start < at + seconds - 1e-6]
        assert process not in during
        assert all(during.count(other) <= 1 for other in range(3))
    for number, call in enumerate(calls):
        # Each call starts, unless it has a deadline or was cancelled; and never after its deadline.
        assert number in starts or number in late or call.cancelled_after is not None
        assert call.within is not None or number not in late
        assert call.within is None or starts.get(number, 0.0) <= call.at + call.within + 1e-6
    # In a process, no call is overtaken by a later one of its own kind, and an interactive one by no later one at all.
    for first, start in starts.items():
        for second, later in starts.items():
            a, b = calls[first], calls[second]
            if a.process == b.process and a.at < b.at and (a.bulk == b.bulk or b.bulk):
                assert start <= later + 1e-6
    # A call that was cancelled or lost its place to a 429 costs one place at most, so the last is not late.
    places = len(calls) + 3 * len(cool_downs)
    end = max(call.at for call in calls) + sum(seconds for _, _, seconds in cool_downs) + places / rate
    assert max(starts.values(), default=0.0) <= end + 1e-6
