"""A lease is renewed while its holder works, and its holder knows when it is lost."""

import asyncio

import pytest

from thrive_async.sandbox import VirtualClock
from thrive_async.share import Lease, LeaseLost, LeaseTaken, MemoryShare, Scope, ShareUnavailable, lease

SCOPE = Scope("thrive.example", "tenant")


class Unsteady(MemoryShare):
    """Cannot be reached while `away`."""

    away = False

    async def renew(self, scope: Scope, name: str, fence: int, seconds: float) -> bool:
        if self.away:
            raise ShareUnavailable("away")
        return await super().renew(scope, name, fence, seconds)

    async def give_back(self, scope: Scope, name: str, fence: int) -> None:
        if self.away:
            raise ShareUnavailable("away")
        await super().give_back(scope, name, fence)


async def test_a_lease_lasts_as_long_as_its_work(clock: VirtualClock) -> None:
    share = MemoryShare()
    async with lease(share, SCOPE, "run", seconds=30) as held:
        for _ in range(100):
            await asyncio.sleep(10)
            held.check()
            with pytest.raises(LeaseTaken):
                async with lease(share, SCOPE, "run"):
                    pass
    async with lease(share, SCOPE, "run"):
        assert clock.elapsed == 1_000
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_lease_that_someone_else_has_is_lost(clock: VirtualClock) -> None:
    """The store forgot it, and another process took it: the next heartbeat tells."""
    share = MemoryShare()
    async with lease(share, SCOPE, "run", seconds=30) as held:
        share._leases.clear()
        async with lease(share, SCOPE, "run") as other:
            assert other.fence > held.fence
            await held.lost.wait()
            assert clock.elapsed == 10
            with pytest.raises(LeaseLost):
                held.check()
        assert not held.held
    # Its end did not give back what is not its own.


async def test_a_short_absence_of_the_share_does_no_harm(clock: VirtualClock) -> None:
    share = Unsteady()
    async with lease(share, SCOPE, "run", seconds=30) as held:
        share.away = True
        await asyncio.sleep(20)
        share.away = False
        await asyncio.sleep(300)
        held.check()


async def test_a_lease_is_lost_before_it_can_have_ended(clock: VirtualClock) -> None:
    """With the share away, the holder counts its own time, and a tenth less than the share does."""
    share = Unsteady()
    async with lease(share, SCOPE, "run", seconds=30) as held:
        share.away = True
        await held.lost.wait()
        assert clock.elapsed == 27
        with pytest.raises(LeaseTaken):
            async with lease(share, SCOPE, "run"):
                pass
        with pytest.raises(LeaseLost):
            held.check()


async def test_a_share_that_does_not_answer_loses_the_lease(clock: VirtualClock) -> None:
    class Hanging(MemoryShare):
        async def renew(self, scope: Scope, name: str, fence: int, seconds: float) -> bool:
            await asyncio.Event().wait()
            raise AssertionError

    async with lease(Hanging(), SCOPE, "run", seconds=30) as held:
        await held.lost.wait()
        assert clock.elapsed == 27


async def test_a_process_that_was_stopped_knows_it_at_its_next_step(clock: VirtualClock) -> None:
    """Before its heartbeat has had a turn."""
    async with lease(MemoryShare(), SCOPE, "run", seconds=30) as held:
        held.check()
        clock.advance(31)
        with pytest.raises(LeaseLost):
            held.check()


async def test_a_lease_can_be_waited_for(clock: VirtualClock) -> None:
    share = MemoryShare()
    order: list[tuple[str, float]] = []

    async def work(name: str) -> None:
        async with lease(share, SCOPE, "run", wait=60):
            order.append((name, clock.elapsed))
            await asyncio.sleep(10)

    await asyncio.gather(work("first"), work("second"))
    assert [name for name, _ in order] == ["first", "second"]
    assert order[1][1] == pytest.approx(10.0, abs=0.5)
    async with lease(share, SCOPE, "run"):
        with pytest.raises(LeaseTaken):
            await work("third")


async def test_a_dead_holder_is_waited_for_until_its_lease_ends(clock: VirtualClock) -> None:
    share = MemoryShare()
    assert await share.take(SCOPE, "run", 30) is not None
    async with lease(share, SCOPE, "run", wait=60) as held:
        assert isinstance(held, Lease)
        assert clock.elapsed == pytest.approx(30, abs=0.5)


async def test_an_error_of_the_work_gives_the_lease_back(clock: VirtualClock) -> None:
    share = MemoryShare()
    with pytest.raises(ZeroDivisionError):
        async with lease(share, SCOPE, "run"):
            raise ZeroDivisionError
    async with lease(share, SCOPE, "run"):
        pass
