"""Slots: never more taken than there are, none lost, and handed on in the order of asking."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async._gate.slots import Slots


async def test_a_slot_is_had_at_once_only_if_one_is_free() -> None:
    slots = Slots(2)
    assert [slots.take_at_once() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert slots.take_at_once()


async def test_slots_are_handed_on_in_the_order_of_asking() -> None:
    slots, got = Slots(1), []

    async def one(number: int) -> None:
        await slots.take()
        got.append(number)
        await asyncio.sleep(0)
        slots.give_back()

    await asyncio.gather(*(one(number) for number in range(5)))
    assert got == [0, 1, 2, 3, 4]


async def test_nobody_overtakes_who_has_been_given_a_slot() -> None:
    slots = Slots(1)
    await slots.take()
    waiting = asyncio.ensure_future(slots.take())
    await asyncio.sleep(0)
    slots.give_back()
    assert not slots.take_at_once()
    await waiting


async def test_who_is_cancelled_in_the_moment_of_its_turn_hands_the_slot_on() -> None:
    slots = Slots(1)
    await slots.take()
    first, second = asyncio.ensure_future(slots.take()), asyncio.ensure_future(slots.take())
    await asyncio.sleep(0)
    slots.give_back()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    slots.give_back()
    assert slots.take_at_once()


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40), st.integers(1, 4))
def test_after_any_cancels_all_slots_are_there_again(people: list[tuple[int, bool]], count: int) -> None:
    async def run() -> None:
        slots, inside = Slots(count), 0

        async def one(steps: int) -> None:
            nonlocal inside
            await slots.take()
            inside += 1
            assert inside <= count
            try:
                for _ in range(steps):
                    await asyncio.sleep(0)
            finally:
                inside -= 1
                slots.give_back()

        tasks = []
        for steps, cancelled in people:
            task = asyncio.ensure_future(one(steps))
            tasks.append(task)
            await asyncio.sleep(0)
            if cancelled:
                tasks[len(tasks) // 2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [slots.take_at_once() for _ in range(count + 1)] == [True] * count + [False]

    asyncio.run(run())
