"""The calls of a process that wait for a place, on a clock that the test owns."""

import asyncio
import math

import pytest

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
