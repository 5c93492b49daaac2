"""Cancelling at every await: nothing is left behind, and the next call works."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from raw_server import Handler, RawRequest, RawServer, hang, reply
from stepping import When, assert_clean, cancel_everywhere, settle

from thrive_async import Limits, RateLimitError, RequestTimeout, ServerError, ThriveClient, Timeouts
from thrive_async.sandbox import Sandbox, VirtualClock

WHEN: list[When] = ["while it waits", "as it is woken"]


@pytest.fixture
async def clock() -> AsyncIterator[VirtualClock]:
    with VirtualClock(grace=0.001).installed() as installed:
        yield installed


async def list_all(thrive: ThriveClient) -> None:
    users = await thrive.users.list(per_page=5).collect()
    assert len(users) == 30


async def list_bare(thrive: ThriveClient) -> None:
    await thrive.completions.list(per_page=3).collect()


async def add(thrive: ThriveClient) -> None:
    await thrive.audiences.members.add("sales-emea", ["E00001"])


async def levels(thrive: ThriveClient) -> None:
    await thrive.skills.levels()


def unavailable(sandbox: Sandbox) -> None:
    sandbox.faults.clear()
    sandbox.faults.add("status", status=503, times=2)


def limited(sandbox: Sandbox) -> None:
    sandbox.faults.clear()
    sandbox.faults.add("rate_limited", retry_after=5)


def revoked(sandbox: Sandbox) -> None:
    sandbox.faults.clear()
    sandbox.faults.add("revoked_token")


def cut(sandbox: Sandbox) -> None:
    sandbox.faults.clear()
    sandbox.faults.add("cut_body")


def nothing(_sandbox: Sandbox) -> None:
    pass


SCENARIOS: dict[str, tuple[Callable[[ThriveClient], Awaitable[None]], Callable[[Sandbox], None], dict[str, Any]]] = {
    "a first call": (levels, nothing, {}),
    "a first call that needs a token": (levels, nothing, {"oauth": True}),
    "a call whose token was revoked": (levels, revoked, {"oauth": True}),
    "a write": (add, nothing, {}),
    "a call that is repeated": (levels, unavailable, {}),
    "a call whose answer is cut": (levels, cut, {}),
    "a call during a cool-down": (levels, limited, {}),
    "a call with a rate": (levels, nothing, {"limits": Limits(concurrency=1, rate=2)}),
    "a list of six pages": (list_all, nothing, {}),
    "a list through one slot": (list_all, nothing, {"limits": Limits(concurrency=1)}),
    "a bare list": (list_bare, nothing, {}),
}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_cancelling_at_every_await_leaves_nothing_behind(name: str, when: When, clock: VirtualClock) -> None:
    work, prepare, given = SCENARIOS[name]
    settings = dict(given)
    async with Sandbox(users=30, clock=clock) as sandbox:
        if settings.pop("oauth", False):
            settings["credentials"] = sandbox.oauth
        fresh: list[ThriveClient] = []

        async def begin() -> None:
            prepare(sandbox)
            fresh.append(sandbox.client(**settings))
            await work(fresh[-1])

        async def check() -> None:
            thrive = fresh.pop()
            assert_clean(thrive)
            sandbox.faults.clear()
            await levels(thrive)
            assert_clean(thrive)
            await thrive.aclose()

        steps = await cancel_everywhere(begin, check, when)
        assert steps >= 3


@pytest.mark.parametrize("when", WHEN)
async def test_a_client_that_is_used_on_between_cancels_stays_whole(when: When, clock: VirtualClock) -> None:
    """The same client for all of them, connections, pace and token included."""
    async with Sandbox(users=30, clock=clock) as sandbox:
        thrive = sandbox.client(credentials=sandbox.oauth, limits=Limits(concurrency=3))

        async def check() -> None:
            assert_clean(thrive)

        for prepare in (unavailable, cut, revoked, limited):

            async def begin(prepare: Callable[[Sandbox], None] = prepare) -> None:
                prepare(sandbox)
                await list_all(thrive)

            await cancel_everywhere(begin, check, when)
        sandbox.faults.clear()
        await list_all(thrive)


async def test_thousands_of_cancels_in_a_row_do_not_slow_the_next_call(clock: VirtualClock) -> None:
    rng = random.Random(1)
    async with Sandbox(users=30, clock=clock, latency=0.05) as sandbox:
        thrive = sandbox.client(limits=Limits(concurrency=5, rate=50), credentials=sandbox.oauth)
        for _ in range(60):
            calls = [asyncio.ensure_future(thrive.skills.levels()) for _ in range(50)]
            await asyncio.sleep(rng.random() * 0.2)
            for call in calls:
                call.cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(one) for one in results} <= {asyncio.CancelledError, list}
        await settle()
        assert_clean(thrive)
        session: Any = thrive._transport._session._session
        assert sum(map(len, session.connector._conns.values())) <= 5
        assert not thrive._transport._gate.waiting
        # Nothing that grows with the calls there were: 3,000 of them.
        assert len(asyncio.get_running_loop()._scheduled) < 300  # type: ignore[attr-defined]
        # Whole tracebacks hold the frames of the calls they came through.
        del call, calls, results
        gc.collect()
        kept = [one for one in gc.get_objects() if type(one).__name__ in ("Call", "Request", "Limited", "Task")]
        assert len([one for one in kept if type(one).__module__.startswith("thrive_async.")]) < 20
        before = clock.elapsed
        await thrive.skills.levels()
        assert clock.elapsed - before <= 0.05 + 1 / 50 + 1e-6


async def test_a_cancel_reaches_the_server_as_a_closed_connection(clock: VirtualClock) -> None:
    async with RawServer([hang, reply(200, [])]) as server, server.client() as thrive:
        call = asyncio.ensure_future(thrive.skills.levels())
        await asyncio.sleep(1)
        assert server.open == 1
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert await thrive.skills.levels() == []
        assert server.connections == 2


# Deadlines from outside


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12])
async def test_a_timeout_of_the_callers_is_a_plain_timeout_and_others_go_on(moment: float, clock: VirtualClock) -> None:
    """Whatever it strikes: the token, the slot, the request; nobody else's call is hurt by it."""
    async with Sandbox(users=3, clock=clock, latency=0.04) as sandbox:
        thrive = sandbox.client(credentials=sandbox.oauth, limits=Limits(concurrency=1))

        async def impatient() -> str:
            try:
                async with asyncio.timeout(moment):
                    await thrive.skills.levels()
            except RequestTimeout:
                return "the wrong error"
            except TimeoutError:
                return "late"
            return "done"

        first, *others = await asyncio.gather(
            impatient(), *(thrive.skills.levels() for _ in range(3)), return_exceptions=True
        )
        assert first == "late" if moment < 0.08 else first in ("late", "done")
        assert all(isinstance(one, list) for one in others)
        await settle()
        assert_clean(thrive)


async def test_a_timeout_of_the_callers_and_the_total_at_the_same_moment_are_one_timeout(clock: VirtualClock) -> None:
    for outer, inner in ((5.0, 5.0), (5.0, 5.0 + 1e-12), (5.0 + 1e-12, 5.0)):
        async with RawServer([hang]) as server, server.client() as thrive:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(outer):
                    await thrive.skills.levels(timeouts=Timeouts(attempt=inner, total=inner))
            await settle()
            assert_clean(thrive)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0


async def test_a_total_that_ends_while_the_token_is_fetched_says_that_nothing_was_sent(clock: VirtualClock) -> None:
    async with Sandbox(users=3, clock=clock) as sandbox:
        sandbox.faults.add("latency", operation="createAccessToken", seconds=10, times=2)
        thrive = sandbox.client(credentials=sandbox.oauth)
        patient = asyncio.ensure_future(thrive.skills.levels())
        with pytest.raises(
            RequestTimeout, match="not sent: still waiting for a token from POST /oauth2/token"
        ) as raised:
            await thrive.skills.levels(timeouts=Timeouts(total=2))
        assert raised.value.maybe_applied is False
        assert clock.elapsed == pytest.approx(2, abs=0.05)
        assert await patient
        await settle()
        assert_clean(thrive)


async def drip(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
    """Answer without end, a byte now and then."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"1\r\n \r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("scheme", "answer"), [("http", hang), ("http", drip), ("http", reply(503)), ("http", reply(429)), ("https", hang)]
)
async def test_nothing_outlives_its_total_by_more_than_a_moment(
    scheme: str, answer: bytes | Handler, clock: VirtualClock
) -> None:
    """Waiting for a slot, for the row, for a token, for a pause, for TLS, for an answer: for all it is the same."""
    async with RawServer([answer]) as server:
        url = f"{scheme}://127.0.0.1:{server.port}"
        for limits in (Limits(), Limits(concurrency=1), Limits(rate=0.2), Limits(concurrency=1, rate=0.2)):
            async with server.client(limits=limits, base_url=url) as thrive:
                began = clock.elapsed

                async def one(total: float, thrive: ThriveClient = thrive, began: float = began) -> float:
                    with pytest.raises((RequestTimeout, ServerError, RateLimitError)):
                        await thrive.skills.levels(timeouts=Timeouts(attempt=None, total=total))
                    return clock.elapsed - began - total

                lateness = await asyncio.gather(*(one(0.5 + 0.37 * number) for number in range(30)))
                assert max(lateness) < 0.05
                await settle()
                assert_clean(thrive)
