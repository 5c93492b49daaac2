"""Rates: one that is set holds exactly, one that is unknown is learned; a 429 stops all, and nobody comes as a herd."""

import asyncio
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limited import Announced, Bucket, Outage, Server, Sliding, Window, by_hand, by_hand_at_once, run
from raw_server import RawRequest, RawServer, reply

from thrive_async import Limits, RateLimitError, RequestTimeout, Timeouts
from thrive_async._gate.pace import Pace
from thrive_async.sandbox import Sandbox, VirtualClock

HOWS: list[Announced] = ["whole seconds", "exactly", "not at all"]


# One 429 among many


@pytest.mark.parametrize("retry_after", [5, "date:5", None])
async def test_one_429_among_200_calls_stops_all_and_they_return_staggered(
    retry_after: Any, clock: VirtualClock
) -> None:
    async with Sandbox(users=1, clock=clock, latency=0.05) as sandbox:
        async with sandbox.client(timeouts=Timeouts(attempt=10, total=300)) as thrive:
            calls = [asyncio.ensure_future(thrive.skills.levels()) for _ in range(200)]
            await asyncio.sleep(0.31)
            sandbox.faults.add("rate_limited", retry_after=retry_after)
            await asyncio.gather(*calls)
        refusal = next(entry for entry in sandbox.requests if entry.status == 429)
        times = [entry.at for entry in sandbox.requests]
        # What had been sent before the answer came could not be stopped; after it nothing came for the whole pause.
        told = refusal.at + 0.05
        least = 5 if retry_after is not None else 0.5
        after = [at for at in times if at > told + 1e-9]
        assert min(after) >= told + least - 1e-6
        # The first ten are no herd: they come one after the other, at the learned pace and not in one moment.
        assert after[9] - after[0] > 0.02
        assert all(later > earlier for earlier, later in pairwise(after[:10]))
        assert len(times) == 201


async def test_a_server_that_limits_200_calls_refuses_few_of_them(clock: VirtualClock) -> None:
    """Only those that were under way when the first was refused, and the pace is right afterwards."""
    async with Sandbox(users=1, clock=clock, rate_limit=50, latency=0.05) as sandbox:
        async with sandbox.client(timeouts=Timeouts(total=300)) as thrive:
            await asyncio.gather(*(thrive.skills.levels() for _ in range(200)))
        refused = [entry for entry in sandbox.requests if entry.status == 429]
        assert len(refused) <= 10
        assert len({round(entry.at, 1) for entry in refused}) <= 2


async def test_a_pause_beyond_the_deadline_fails_all_at_once(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock) as sandbox, sandbox.client() as thrive:
        sandbox.faults.add("rate_limited", retry_after=3600, times=None)
        results = await asyncio.gather(*(thrive.skills.levels() for _ in range(200)), return_exceptions=True)
        assert {type(result) for result in results} == {RateLimitError, RequestTimeout}
        assert len(sandbox.requests) <= 10
        assert clock.elapsed < 0.1


@pytest.mark.parametrize("said", ["-5", "nan", "inf", "9" * 400, "soon", "", "0", "date:-60"])
async def test_a_pause_that_means_nothing_is_one_that_was_not_announced(said: str, clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock) as sandbox, sandbox.client() as thrive:
        sandbox.faults.add("rate_limited", retry_after=said, times=2)
        started = clock.elapsed
        await thrive.skills.levels()
        assert 0.5 + 1.0 <= clock.elapsed - started < 2.0
        assert len(sandbox.requests) == 3


async def test_a_pause_of_ten_days_closes_the_client_for_five_minutes_and_is_told_in_full(clock: VirtualClock) -> None:
    days = 10 * 24 * 3600
    async with Sandbox(users=1, clock=clock) as sandbox, sandbox.client() as thrive:
        sandbox.faults.add("rate_limited", retry_after=days)
        started = clock.elapsed
        with pytest.raises(RateLimitError) as refused:
            await thrive.skills.levels()
        assert refused.value.retry_after == days
        with pytest.raises(RequestTimeout, match=r"10 days more") as late:
            await thrive.tags.list().first()
        assert late.value.retry_after == days
        assert clock.elapsed == started
        assert len(sandbox.requests) == 1
        await thrive.skills.levels(timeouts=Timeouts(total=301))
        assert clock.elapsed - started == pytest.approx(300, abs=1)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "31536000"},
        {"Retry_After": "300001"},
        {"Retry_After": str(int(time.time()) + 10**6)},
        {"Retry_After": str((int(time.time()) + 10**6) * 1000)},
        {"Retry_After": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"Retry_After": "9" * 300},
        {"X_RateLimit_Reset": str((int(time.time()) + 10**6) * 1000)},
    ],
)
async def test_no_odd_reply_holds_a_call_for_longer_than_five_minutes(
    headers: dict[str, str], status: int, clock: VirtualClock
) -> None:
    if status == 503:
        headers = {"Retry_After": next(iter(headers.values()))}
    async with RawServer([reply(status, **headers), reply(200, [])]) as server:
        thrive = server.client(timeouts=Timeouts(total=None))
        await thrive.skills.levels()
        assert 300 <= clock.elapsed < 304
        await thrive.aclose()


@pytest.mark.parametrize("value", ["-5", "", "soon", "0", "Thu, 01 Jan 1970 00:00:00 GMT", "1000000000", "9" * 400])
async def test_a_pause_that_says_nothing_is_like_no_word_at_all(value: str, clock: VirtualClock) -> None:
    async with RawServer([reply(429, Retry_After=value), reply(200, [])]) as server:
        thrive = server.client()
        await thrive.skills.levels()
        assert clock.elapsed < 2
        await thrive.aclose()


async def test_after_an_odd_pause_one_request_goes_first_and_the_others_once_it_was_taken(clock: VirtualClock) -> None:
    times: list[float] = []

    async def answer(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        times.append(clock.elapsed)
        await asyncio.sleep(7)
        writer.write(reply(200, []))

    limits, timeouts = Limits(concurrency=20), Timeouts(total=None)
    answers = [reply(429, Retry_After="99999"), answer]
    async with RawServer(answers) as server, server.client(limits=limits, timeouts=timeouts) as thrive:
        calls = [asyncio.ensure_future(thrive.skills.levels())]
        await asyncio.sleep(1)
        calls += [asyncio.ensure_future(thrive.skills.levels()) for _ in range(20)]
        await asyncio.gather(*calls)
    assert len(times) == 21
    assert times[0] >= 300
    assert times[1] >= times[0] + 7


# A rate that is set


@pytest.mark.parametrize(("rate", "burst"), [(20.0, None), (20.0, 5), (3.0, 1), (100.0, 50)])
async def test_a_rate_holds_over_any_second_at_the_server(rate: float, burst: int | None, clock: VirtualClock) -> None:
    limits = Limits(concurrency=30, rate=rate, burst=burst)
    count = int(rate * 4)
    async with Sandbox(users=1, clock=clock, latency=0.05) as sandbox, sandbox.client(limits=limits) as thrive:
        await asyncio.gather(*(thrive.skills.levels() for _ in range(count)))
        times = sorted(entry.at for entry in sandbox.requests)
        for start in times:
            assert sum(1 for at in times if start <= at < start + 1 - 1e-6) <= rate + (burst or 1)
        # And it is used up, not only kept.
        assert times[-1] - times[0] == pytest.approx((count - (burst or 1)) / rate, abs=0.02)


async def test_with_the_servers_limit_set_nothing_is_refused_and_no_time_is_lost(clock: VirtualClock) -> None:
    limits = Limits(concurrency=20, rate=100)
    async with Sandbox(users=1, clock=clock, rate_limit=100, rate_burst=1, latency=0.05) as sandbox:
        async with sandbox.client(limits=limits) as thrive:
            await asyncio.gather(*(thrive.skills.levels() for _ in range(500)))
        assert {entry.status for entry in sandbox.requests} == {200}
        assert clock.elapsed <= 1.05 * 500 / 100


@given(
    rate=st.floats(0.5, 200),
    burst=st.integers(1, 30),
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=40),
)
@settings(max_examples=40, deadline=None)
def test_no_pattern_of_calls_exceeds_a_rate(rate: float, burst: int, pauses: list[float]) -> None:
    from thrive_async._gate.gate import Gate

    async def main() -> None:
        with VirtualClock(grace=0).installed() as clock:
            gate = Gate(Limits(concurrency=100, rate=rate, burst=burst))
            times: list[float] = []

            async def one(delay: float) -> None:
                await asyncio.sleep(delay)
                ticket = await gate.enter()
                times.append(clock.elapsed)
                gate.leave(ticket)

            await asyncio.gather(*(one(sum(pauses[: index + 1])) for index in range(len(pauses))))
            times.sort()
            for first, start in enumerate(times):
                for last in range(first, len(times)):
                    assert last - first + 1 <= burst + (times[last] - start) * rate + 1e-6

    asyncio.run(main())


# A pace that has to be learned


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", ["bucket of a second", "bucket of five seconds", "window"])
@pytest.mark.parametrize("rate", [20, 100])
def test_an_unknown_limit_is_used_to_four_fifths_with_few_refusals(rate: int, kind: str, how: Announced) -> None:
    servers: dict[str, Server] = {
        "bucket of a second": Bucket(rate, rate, how),
        "bucket of five seconds": Bucket(rate, 5 * rate, how),
        "window": Window(rate, how),
    }
    done = run(servers[kind], rate * 180, limits=Limits(concurrency=10))
    assert done.given_up == 0
    assert rate * 180 / done.seconds >= 0.8 * rate
    assert done.refused_share < 0.02


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("burst", [1, 5])
def test_a_limit_without_any_burst_is_used_to_four_fifths_over_minutes(burst: int, how: Announced) -> None:
    """The harshest kind: every request before its time is refused, and a whole second lost by it."""
    done = run(Bucket(50, burst, how), 50 * 240)
    assert done.given_up == 0
    assert 240 / done.seconds >= 0.8
    assert done.refused_share < 0.02


@pytest.mark.parametrize("latency", [0.001, 0.005, 0.02, 0.05])
def test_200_writes_at_50_a_second_cost_little_more_than_by_a_hand_written_loop(latency: float) -> None:
    done = run(Bucket(50, 50), 200, latency=latency)
    assert done.seconds <= 1.1 * by_hand(Bucket(50, 50), 200, latency=latency)
    assert done.seconds <= 1.1 * by_hand_at_once(lambda: Bucket(50, 50), 200, latency=latency, workers=10)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("calls", "rate"), [(1000, 100), (500, 50), (2000, 50), (300, 100)])
def test_finding_the_limit_costs_at_most_three_tenths_of_the_time(calls: int, rate: int, how: Announced) -> None:
    assert run(Bucket(rate, rate, how), calls).seconds <= 1.3 * calls / rate


async def test_a_client_finds_the_limit_of_a_server_and_nobody_is_missing(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, rate_limit=20, rate_burst=20, latency=0.05) as sandbox:
        async with sandbox.client(timeouts=Timeouts(total=300)) as thrive:
            await asyncio.gather(*(thrive.skills.levels() for _ in range(600)))
            assert clock.elapsed <= 1.1 * 600 / 20
        refused = sum(1 for entry in sandbox.requests if entry.status == 429)
        assert len(sandbox.requests) == 600 + refused
        assert refused <= 10 + 0.02 * 600


class Changing(Bucket):
    """A limit that is another one after some seconds."""

    def __init__(self, rate: float, *, at: float, to: float) -> None:
        super().__init__(rate, rate)
        self.changes_at, self.later = at, to

    def take(self, now: float) -> tuple[bool, float | None]:
        if now > self.changes_at:
            self.rate = self.burst = self.later
        return super().take(now)


def test_a_limit_that_rises_is_found_within_a_minute() -> None:
    server = Bucket(20, 20)
    before = run(server, 20 * 60)
    assert before.given_up == 0

    done = run(Changing(20, at=60, to=100), 20 * 60 + 100 * 120)
    assert done.seconds < 60 + 120 + 60


def test_a_limit_that_falls_is_found_within_seconds() -> None:
    done = run(Changing(100, at=30, to=20), 100 * 30 + 20 * 60)
    assert done.given_up == 0
    assert done.seconds < 30 + 60 * 1.2
    assert done.refused_share < 0.02


def test_all_that_is_refused_for_ten_seconds_says_nothing_of_the_pace() -> None:
    """Ten seconds of 429s from a server without a limit: seconds later all is as fast as before."""
    for how in HOWS:
        done = run(Outage(5, 15, how), 200 * 60)
        assert done.given_up == 0
        assert done.seconds < 60 + 10 + 10


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", ["bucket", "long bucket", "window", "sliding"])
@pytest.mark.parametrize("rate", [2, 5])
def test_a_low_limit_is_not_asked_for_all_the_time(rate: int, kind: str, how: Announced) -> None:
    """Where one in fifty requests is one in 25 seconds; those that were sent at once at first come on top."""
    servers: dict[str, Server] = {
        "bucket": Bucket(rate, rate, how),
        "long bucket": Bucket(rate, 10 * rate, how),
        "window": Window(rate, how),
        "sliding": Sliding(rate, how),
    }
    done = run(servers[kind], rate * 300, jitter=0.2)
    assert done.given_up == 0
    assert rate * 300 / done.seconds >= 0.8 * rate
    assert done.refused_first <= 10
    assert done.refused_later_share < (0.03 if kind == "long bucket" else 0.02)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("latency", [0.005, 0.05, 0.2])
@pytest.mark.parametrize("kind", ["bucket", "window", "sliding"])
def test_the_first_minute_is_used_as_well(kind: str, latency: float, how: Announced) -> None:
    servers: dict[str, Server] = {"bucket": Bucket(50, 50, how), "window": Window(50, how), "sliding": Sliding(50, how)}
    done = run(servers[kind], 50 * 60, latency=latency, jitter=0.2)
    assert done.seconds <= 60 / 0.8
    assert done.refused_share < 0.02


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("rate", [2, 10])
def test_a_limit_by_the_minute_is_used_up(rate: int, how: Announced) -> None:
    done = run(Window(rate, how, size=60), rate * 240, jitter=0.2)
    assert done.given_up == 0
    assert done.seconds <= 240 / 0.8


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("rate", "burst"), [(50, 1), (50, 5), (100, 10)])
def test_a_limit_with_hardly_any_burst_costs_three_pauses_to_find(rate: int, burst: int, how: Announced) -> None:
    """The pauses of a second are asked for, and each is lost; so the first ten seconds do no more than half."""
    assert run(Bucket(rate, burst, how), rate * 10, latency=0.02).seconds <= 19
    assert run(Bucket(rate, burst, how), rate * 60, latency=0.02).seconds <= 60 / 0.8


# The pace itself


def test_without_a_refusal_there_is_no_pace() -> None:
    pace = Pace()
    for tick in range(1000):
        pace.taken(tick / 100)
    assert pace.at(10) is None
    assert not pace.known


def test_the_first_refusal_tells_what_was_taken_and_then_the_pace_grows() -> None:
    pace = Pace()
    for _ in range(50):
        pace.taken(0)
    pace.refused(0.02, 1.0)
    assert pace.known
    assert pace.at(1.02) == pytest.approx(50 / 1.02)
    assert pace.at(3.02) == pytest.approx(2.18 * 50 / 1.02, rel=0.01)


def test_from_a_few_requests_it_begins_low_and_grows_fast() -> None:
    pace = Pace()
    pace.taken(0)
    pace.refused(0.02, 1.0)
    assert pace.at(1.02) == 2.0
    assert pace.at(2.02) == pytest.approx(2 * 2**1.5)
    assert pace.at(3.02) == pytest.approx(2 * 2**4)


def steady(until: float, rate: float) -> Pace:
    """A pace that was refused at once, then took so much a second, and was refused again after 10 s."""
    pace = Pace()
    pace.refused(0, 0.0)
    for tick in range(int(until * rate)):
        pace.taken((tick + 1) / rate)
    return pace


def test_a_second_one_brings_it_to_the_middle_then_back_to_just_below_and_slowly_beyond() -> None:
    pace = steady(2.0, 100)
    refused_at = pace.at(2.0)
    assert refused_at == 32.0
    pace.refused(2.0, 1.0)
    # It took more than the pace said, so that counts for both bounds.
    assert pace.at(3.0) == pytest.approx(96)
    assert pace.at(11.0) == pytest.approx(96)

    pace = steady(2.5, 10)
    refused_at = pace.at(2.5)
    assert refused_at == pytest.approx(2 * 2**5.625)
    pace.refused(2.5, 1.0)
    # Far more than was sent in the last second: what was sent counts, three times.
    upper = 0.96 * 33
    assert pace.at(3.5) == pytest.approx((10 * 33) ** 0.5)
    slower = 30 / (10 * 33) ** 0.5
    assert pace.at(3.5 + 8 * slower) == pytest.approx(upper)
    assert pace.at(3.5 + 16 * slower) == pytest.approx(1.06 * upper, rel=0.01)
    assert pace.at(3.5 + 22 * slower) == pytest.approx(2 * upper, rel=0.05)


def test_a_pause_that_was_too_short_leaves_the_pace_as_it_was_and_is_probed() -> None:
    pace = steady(2.0, 100)
    pace.refused(2.0, 1.0)
    before = pace.at(3.0)
    pace.refused(3.1, 1.0)
    assert pace.at(4.1) == 2.0
    assert pace.at(5.1) == 4.0
    pace.taken(4.2)
    assert pace.at(4.2) == pytest.approx(before)


def test_after_an_idle_hour_nothing_is_held_back() -> None:
    for rate in (0.3, 5, 100):
        pace = steady(10.0, rate)
        pace.refused(10.0, 1.0)
        assert (pace.at(10.0 + 3600) or 0) > 1000


@given(
    events=st.lists(
        st.tuples(st.floats(0.001, 100), st.integers(0, 50), st.sampled_from([0.0, 0.01, 1.0, 30.0, 1e300])),
        max_size=30,
    )
)
def test_a_pace_is_always_a_positive_number_and_never_falls_while_all_is_well(
    events: list[tuple[float, int, float]],
) -> None:
    pace = Pace()
    now = 0.0
    for gap, count, pause in events:
        for part in range(count):
            pace.taken(now + gap * part / count)
        now += gap
        pace.refused(now, pause)
        paces = [pace.at(now + pause + ahead) or 0 for ahead in (0, 0.1, 1, 4, 5, 60, 3600, 1e9)]
        assert paces[0] >= 0.19
        assert paces[-1] < float("inf")
        assert paces == sorted(paces)
        now += min(pause, 30.0)
