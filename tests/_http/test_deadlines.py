"""Time limits kept by one timer: each ends when it is due, and nobody else's cancel is taken for one."""

import asyncio
import contextlib
import random

import pytest

from thrive_async._http.deadlines import Deadlines, Limited
from thrive_async.sandbox import VirtualClock


def until(ends: float) -> Limited:
    return Limited(Deadlines(asyncio.get_running_loop()), ends)


async def waited(deadlines: Deadlines, ends: float | None, seconds: float) -> str:
    limited = Limited(deadlines, ends)
    try:
        with limited:
            await asyncio.sleep(seconds)
    except TimeoutError:
        assert limited.expired
        return f"ended at {asyncio.get_running_loop().time():g}"
    return f"done at {asyncio.get_running_loop().time():g}"


async def test_each_wait_ends_at_its_own_time_whatever_the_order_of_their_beginning(clock: VirtualClock) -> None:
    deadlines, now = Deadlines(asyncio.get_running_loop()), clock.time()
    results = await asyncio.gather(
        waited(deadlines, now + 30, 1000),
        waited(deadlines, now + 5, 1000),
        waited(deadlines, now + 7, 2),
        waited(deadlines, None, 50),
        waited(deadlines, now + 6, 1000),
    )
    assert [result.split()[0] for result in results] == ["ended", "ended", "done", "done", "ended"]
    assert [float(result.split()[-1]) - now for result in results] == pytest.approx([30, 5, 2, 50, 6])


async def test_one_that_is_already_over_ends_at_the_first_wait(clock: VirtualClock) -> None:
    assert await waited(Deadlines(asyncio.get_running_loop()), clock.time() - 1, 1000) == f"ended at {clock.time():g}"


async def test_what_ends_in_time_leaves_no_cancel_behind(clock: VirtualClock) -> None:
    with until(clock.time() + 1):
        await asyncio.sleep(0.5)
    await asyncio.sleep(10)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancel_from_outside_is_a_cancel_also_in_the_moment_of_the_end(clock: VirtualClock) -> None:
    ends = clock.time() + 5
    task = asyncio.ensure_future(waited(Deadlines(asyncio.get_running_loop()), ends, 1000))
    asyncio.get_running_loop().call_at(ends, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_ends_in_another_way_in_that_moment_has_ended_so(clock: VirtualClock) -> None:
    task = asyncio.current_task()
    assert task is not None
    failing, done = (
        until(clock.time() + 1),
        until(clock.time() + 2),
    )
    with pytest.raises(LookupError), failing:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise LookupError from None
    with done, contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(10)
    assert failing.expired
    assert done.expired
    assert task.cancelling() == 0


async def test_a_timer_that_has_rung_is_set_anew(clock: VirtualClock) -> None:
    deadlines, began = Deadlines(asyncio.get_running_loop()), clock.time()
    for seconds in (5, 1, 3):
        assert (await waited(deadlines, clock.time() + seconds, 100)).startswith("ended")
    assert clock.time() - began == pytest.approx(9)


async def test_a_timeout_of_the_work_itself_is_not_ours(clock: VirtualClock) -> None:
    limited = until(clock.time() + 5)
    with pytest.raises(TimeoutError, match="its own"), limited:
        raise TimeoutError("its own")
    assert not limited.expired


async def test_no_more_than_one_timer_is_set(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, deadlines, timers = asyncio.get_running_loop(), Deadlines(asyncio.get_running_loop()), []
    call_at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *arguments: timers.append(1) or call_at(*arguments))
    for _ in range(100):
        with Limited(deadlines, clock.time() + 30):
            pass
    assert len(timers) == 1


async def test_it_ends_exactly_what_asyncio_would_end(clock: VirtualClock) -> None:
    chance, deadlines = random.Random(1), Deadlines(asyncio.get_running_loop())
    loop = asyncio.get_running_loop()

    async def ours(begin: int, limit: float, seconds: int) -> str:
        await asyncio.sleep(begin)
        return await waited(deadlines, loop.time() + limit, seconds)

    async def theirs(begin: int, limit: float, seconds: int) -> str:
        await asyncio.sleep(begin)
        try:
            async with asyncio.timeout(limit):
                await asyncio.sleep(seconds)
        except TimeoutError:
            return f"ended at {loop.time():g}"
        return f"done at {loop.time():g}"

    waits = [(chance.randrange(9), chance.randrange(9) + 0.5, chance.randrange(9)) for _ in range(300)]
    mine, reference = await asyncio.gather(
        asyncio.gather(*(ours(*wait) for wait in waits)), asyncio.gather(*(theirs(*wait) for wait in waits))
    )
    assert mine == reference
