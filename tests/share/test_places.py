"""The row as arithmetic: GCRA with a cool-down against a leaking bucket, and Redis's script against both."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis

from benchmarks.redis_server import RedisServer
from thrive_async.share import _scripts as scripts
from thrive_async.share._places import EMPTY, RowState, cooled, reserved


class Bucket:
    """The same rule said in another way: a bucket that leaks, one drop for each place."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self.level = -0.5
        self.time = self.closed = 0.0

    def place(self, now: float, within: float) -> tuple[bool, float]:
        self.level = max(-0.5, self.level - (now - self.time) * self.rate)
        self.time = now
        if self.closed > now:
            return False, self.closed - now
        wait = max(0.0, (self.level - (self.burst - 1)) / self.rate)
        if wait > within:
            return False, wait
        self.level += 1
        return True, wait


STEPS = st.lists(
    st.tuples(
        st.floats(0, 3).map(lambda x: round(x, 3)),  # seconds since the step before
        st.one_of(st.none(), st.sampled_from([0.0, 0.1, 1.0, 1000.0])),  # within; None for a cool-down
        st.sampled_from([0.5, 2.0]),  # how long that is
    ),
    max_size=40,
)
RATES = st.sampled_from([0.5, 1.0, 3.0, 48.0])
BURSTS = st.integers(1, 5)
# Times as of today, in which a double is no finer than a quarter of a microsecond.
TODAY = 1_800_000_000.0


def near(ours: tuple[bool, float], theirs: tuple[bool, float]) -> bool:
    return ours[0] == theirs[0] and ours[1] == pytest.approx(theirs[1], abs=1e-5)


@given(steps=STEPS, rate=RATES, burst=BURSTS)
@settings(max_examples=150, deadline=None)
def test_the_row_is_a_leaking_bucket(steps: list[Any], rate: float, burst: int) -> None:
    row, bucket, now = EMPTY, Bucket(rate, burst), 1000.0
    starts: list[float] = []
    for passed, within, pause in steps:
        # Off the points where rounding decides.
        now += passed + 1e-4
        if within is None:
            row, left = cooled(row, now, pause)
            bucket.closed = max(bucket.closed, now + pause)
            assert left == pytest.approx(bucket.closed - now)
        else:
            # A refused place changes nothing, a taken one never begins before the one before.
            row, place = reserved(row, now, rate, burst, within + 1e-4)
            assert near((place.taken, place.wait), bucket.place(now, within + 1e-4))
            if place.taken:
                starts.append(now + place.wait)
    assert all(first <= second + 1e-6 for first, second in pairwise(starts))
    for start in starts:
        for span in (0.5, 1.0, 5.0):
            within_span = sum(start <= other < start + span for other in starts)
            assert within_span <= burst + 0.5 + span * rate + 1e-3


@pytest.fixture(scope="module")
def client(shared_redis: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(shared_redis.url) as client:
        yield client


def on_a_clock_of_the_test(script: str) -> str:
    told = script.replace("redis.call('TIME')", "{ARGV[#ARGV], 0}")
    assert told != script
    return told


@given(steps=STEPS, rate=RATES, burst=BURSTS, jumps=st.lists(st.sampled_from([0.0, 0.0, -3600.0, 7200.0]), max_size=40))
@example(  # a cool-down that is on when the clock is set back
    steps=[(0.0, None, 2.0), (0.0, 0.0, 0.5), (1.0, 0.0, 0.5), (1.5, 0.0, 0.5)],
    rate=1.0,
    burst=1,
    jumps=[0.0, -3600.0],
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_redis_does_the_same_arithmetic(
    client: Redis, steps: list[Any], rate: float, burst: int, jumps: list[float]
) -> None:
    """Also where the server's clock is set, back or ahead."""
    client.delete("row")
    place_script, cool_script = on_a_clock_of_the_test(scripts.PLACE), on_a_clock_of_the_test(scripts.COOL_DOWN)
    row, now = EMPTY, TODAY
    for (passed, within, pause), jump in zip(steps, jumps + [0.0] * 40, strict=False):
        now += passed + 1e-4 + jump
        time = f"{now:.6f}"
        now = float(time)
        if within is None:
            row, left = cooled(row, now, pause)
            assert client.eval(cool_script, 1, "row", pause, time) / 1e6 == pytest.approx(left, abs=1e-4)
        else:
            row, place = reserved(row, now, rate, burst, within + 1e-4)
            taken, wait, _ = client.eval(place_script, 2, "row", "processes", 1 / rate, burst, within + 1e-4, "", time)
            assert (taken == 1, wait / 1e6) == (place.taken, pytest.approx(place.wait, abs=1e-4))


def test_on_a_machine_that_just_started_the_row_is_the_same() -> None:
    """Its clock is near zero."""
    row, waits = EMPTY, []
    for _ in range(3):
        row, place = reserved(row, 7.0, 0.001, 1, 10_000.0)
        waits.append(place.wait)
    assert waits == [0, 500, 1500]


def test_a_clock_that_is_set_back_holds_no_one_up() -> None:
    row, _ = reserved(EMPTY, 10_000.0, 1.0, 1, 100.0)
    row, left = cooled(row, 10_000.0, 5.0)
    assert left == 5.0
    row, place = reserved(row, 10.0, 1.0, 1, 100.0)
    assert place.wait == pytest.approx(5.0)


def test_a_late_timer_costs_no_place() -> None:
    """A row at 50 a second whose calls each come 5 ms late still gives 50 a second, and makes up for no more."""
    row, now = EMPTY, 100.0
    for _ in range(100):
        row, place = reserved(row, now, 50.0, 1, 10.0)
        now += place.wait + 0.005
    assert now - 100.0 == pytest.approx(2.0, rel=0.02)
    row, place = reserved(RowState(0, 0, 0), 100.0, 50.0, 1, 10.0)
    row, place = reserved(row, 100.0, 50.0, 1, 10.0)
    assert place.wait == pytest.approx(0.010)
