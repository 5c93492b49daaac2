"""The rules of `Share` as tests: pytest or unittest runs them on any implementation.

Example:
    ```python
    from thrive_async.share import Share
    from thrive_async.share.conformance import ShareConformance

    class TestMyShare(ShareConformance):
        def new_share(self) -> Share:
            return MyShare(...)  # another one on the same store, as another process would have it
    ```
"""

import asyncio
import itertools
import math
from collections.abc import Coroutine
from typing import Any, Final

from thrive_async.share.errors import LeaseTaken
from thrive_async.share.leases import lease
from thrive_async.share.protocol import Scope, Share
from thrive_async.share.row import Row
from thrive_async.share.tokens import SharedTokens

__all__ = ["ShareConformance"]

_SLOW: Final = 0.001
"""A rate at which places are 1,000 s apart, so that the time a test takes makes no difference."""
_BRIEF: Final = 0.05


def _near(found: float, wanted: float) -> bool:
    return abs(found - wanted) < 100


class ShareConformance:
    """The rules that every share keeps. Subclass it, and say how a share is made."""

    _scopes = itertools.count()

    def new_share(self) -> Share:
        """Return a new share on a store that all shares of this test have in common."""
        raise NotImplementedError

    def run(self, test: Coroutine[Any, Any, None]) -> None:
        """Run a test; a subclass may do it on a clock of its own."""
        asyncio.run(test)

    def new_scope(self) -> Scope:
        """Return a scope that no other test uses."""
        return Scope("conformance.example", f"tenant-{id(self)}-{next(self._scopes)}")

    def test_places_are_in_one_row(self) -> None:
        """Two processes take places in turns, each an interval after the one before."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            waits = [(await share.place(scope, rate=_SLOW)).wait for share in (one, other, one, other)]
            # Half a place of lateness is forgiven.
            assert waits[0] == 0
            assert all(_near(wait, wanted) for wait, wanted in zip(waits, (0, 500, 1500, 2500), strict=True)), waits

        self._run(test)

    def test_a_burst_starts_at_once(self) -> None:
        """After a quiet time, `burst` places are due at once, and the next ones are an interval apart."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            waits = [(await share.place(scope, rate=_SLOW, burst=3)).wait for share in (one, other, one, other, one)]
            assert waits[:3] == [0, 0, 0]
            assert _near(waits[3], 500), waits
            assert _near(waits[4], 1500), waits

        self._run(test)

    def test_a_place_too_far_away_is_not_taken(self) -> None:
        """A refused place leaves the row as it was."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            await one.place(scope, rate=_SLOW)
            for share in (one, other, one):
                place = await share.place(scope, rate=_SLOW, within=1.0)
                assert not place.taken
                assert not place.cooling
                assert _near(place.wait, 500)
            place = await other.place(scope, rate=_SLOW)
            assert place.taken
            assert _near(place.wait, 500)

        self._run(test)

    def test_tenants_and_hosts_have_rows_of_their_own(self) -> None:
        """A scope is a host and a tenant."""

        async def test(one: Share, _other: Share, scope: Scope) -> None:
            scopes = [scope, Scope(scope.host, f"{scope.tenant}-b"), Scope(f"b.{scope.host}", scope.tenant)]
            for each in scopes:
                assert (await one.place(each, rate=_SLOW)).wait == 0

        self._run(test)

    def test_without_a_rate_each_place_is_now(self) -> None:
        """The row of a scope without a rate has no end."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            for share in (one, other, one):
                place = await share.place(scope, rate=None)
                assert place.taken
                assert place.wait == 0

        self._run(test)

    def test_a_cool_down_holds_for_all(self) -> None:
        """No place is taken until it ends; a shorter one does not cut it."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            assert _near(await one.cool_down(scope, 5_000), 5_000)
            assert _near(await other.cool_down(scope, 10), 5_000)
            for rate in (None, _SLOW):
                place = await other.place(scope, rate=rate)
                assert not place.taken
                assert place.cooling
                assert _near(place.wait, 5_000)
            assert (await other.place(Scope(scope.host, f"{scope.tenant}-b"), rate=None)).taken

        self._run(test)

    def test_a_cool_down_ends(self) -> None:
        """After it, places are taken again."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            await one.cool_down(scope, _BRIEF)
            await asyncio.sleep(2 * _BRIEF)
            assert (await other.place(scope, rate=_SLOW)).taken

        self._run(test)

    def test_a_value_is_kept_for_its_time(self) -> None:
        """Every process finds it, with the time it has left."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            assert await other.load(scope, "value") is None
            await one.store(scope, "value", b"\x00 first", 5_000)
            await one.store(scope, "value", b"\xff second", 9_000)
            await one.store(scope, "brief", b"brief", _BRIEF)
            found = await other.load(scope, "value")
            assert found is not None
            assert found.value == b"\xff second"
            assert _near(found.seconds, 9_000)
            await asyncio.sleep(2 * _BRIEF)
            assert await other.load(scope, "brief") is None

        self._run(test)

    def test_a_value_is_forgotten_only_if_it_is_still_the_same(self) -> None:
        """A late 401 does not throw away the token that replaced the refused one."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            await one.store(scope, "value", b"old", 5_000)
            await other.store(scope, "value", b"new", 5_000)
            await one.forget(scope, "value", b"old")
            assert await one.load(scope, "value") is not None
            await one.forget(scope, "value", b"new")
            assert await other.load(scope, "value") is None

        self._run(test)

    def test_a_lease_has_one_holder(self) -> None:
        """Another process gets it after it was given back, with a larger fencing number."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            first = await one.take(scope, "lease", 5_000)
            assert first is not None
            assert await other.take(scope, "lease", 5_000) is None
            assert await one.take(scope, "lease", 5_000) is None
            assert await other.take(scope, "another", 5_000) is not None
            assert await one.renew(scope, "lease", first, 5_000)
            await other.give_back(scope, "lease", first + 1)
            assert await other.take(scope, "lease", 5_000) is None
            await one.give_back(scope, "lease", first)
            second = await other.take(scope, "lease", 5_000)
            assert second is not None
            assert second > first

        self._run(test)

    def test_a_lease_that_ended_is_lost(self) -> None:
        """Its holder cannot renew it, whether someone else has it by now or not."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            first = await one.take(scope, "lease", _BRIEF)
            assert first is not None
            await asyncio.sleep(2 * _BRIEF)
            assert not await one.renew(scope, "lease", first, 5_000)
            second = await other.take(scope, "lease", 5_000)
            assert second is not None
            assert second > first
            assert not await one.renew(scope, "lease", first, 5_000)
            await one.give_back(scope, "lease", first)
            assert await one.take(scope, "lease", 5_000) is None

        self._run(test)

    def test_a_renewed_lease_lasts(self) -> None:
        """A holder that renews keeps it beyond its first end."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            fence = await one.take(scope, "lease", 10 * _BRIEF)
            assert fence is not None
            assert await one.renew(scope, "lease", fence, 5_000)
            await asyncio.sleep(15 * _BRIEF)
            assert await other.take(scope, "lease", 5_000) is None

        self._run(test)

    def test_a_key_is_seen_once(self) -> None:
        """The first process to note it learns that it is new, every other one that it is not."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            told = await asyncio.gather(*(share.seen(scope, "delivery", 5_000) for share in (one, other) * 10))
            assert told.count(False) == 1
            assert not await one.seen(scope, "brief", _BRIEF)
            await asyncio.sleep(2 * _BRIEF)
            assert not await other.seen(scope, "brief", 5_000)

        self._run(test)

    def test_the_first_of_a_row_alone_holds_a_place(self) -> None:
        """Ten waiting calls of one process take one place, so another process gets the next one."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            row = Row(one, scope, rate=_SLOW)
            waiting = [asyncio.create_task(row.turn(priority="bulk")) for _ in range(10)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            place = await other.place(scope, rate=_SLOW, within=0.0)
            while place.wait < 1_000:
                # Until the second of them has taken its place.
                await asyncio.sleep(0.01)
                place = await other.place(scope, rate=_SLOW, within=0.0)
            await asyncio.sleep(0.05)
            place = await other.place(scope, rate=_SLOW)
            assert _near(place.wait, 1_500), place
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await row.aclose()

        self._run(test)

    def test_one_process_fetches_the_token(self) -> None:
        """However many wait, the endpoint is asked once; a refused token is replaced once."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            fetched = 0

            async def fetch() -> tuple[str, float]:
                nonlocal fetched
                fetched += 1
                number = fetched
                await asyncio.sleep(_BRIEF)
                return f"token {number}", 3_600.0

            tokens = [SharedTokens(share, scope, ("client",), fetch) for share in (one, other)]
            found = await asyncio.gather(*(each.token() for each in tokens * 5))
            assert {token.text for token in found} == {"token 1"}
            assert all(_near(token.seconds, 3_540) for token in found)
            first = found[0]
            found = await asyncio.gather(*(each.token(refused=first) for each in tokens * 5))
            assert {token.text for token in found} == {"token 2"}
            assert fetched == 2

        self._run(test)

    def test_a_held_lease_is_refused_to_others(self) -> None:
        """`lease` holds it for as long as its context lasts."""

        async def test(one: Share, other: Share, scope: Scope) -> None:
            async with lease(one, scope, "run") as first:
                first.check()
                try:
                    async with lease(other, scope, "run"):
                        raise AssertionError("two processes hold one lease")
                except LeaseTaken:
                    pass
            async with lease(other, scope, "run") as second:
                assert second.fence > first.fence

        self._run(test)

    def test_closing_twice_does_no_harm(self) -> None:
        """`aclose` can be repeated."""

        async def test(one: Share, _other: Share, scope: Scope) -> None:
            await one.place(scope, rate=None, within=math.inf)
            await one.aclose()

        self._run(test)

    def _run(self, test: Any) -> None:
        async def both() -> None:
            one, other = self.new_share(), self.new_share()
            try:
                await test(one, other, self.new_scope())
            finally:
                await one.aclose()
                await other.aclose()

        self.run(both())
