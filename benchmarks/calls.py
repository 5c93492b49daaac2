"""Measure one small call, and one small list."""

from benchmarks.contenders import Hand, Ours
from benchmarks.measure import Bench, Row, rows


def small_call(bench: Bench) -> list[Row]:
    """Measure the CPU time of one small call (an audience), with 1, 10 and 100 in flight."""
    bench.server.configure()
    made: list[Row] = []
    for in_flight in (1, 10, 100):
        # A blocking client has one call in flight.
        others = [each for each in bench.others() if not each.blocking or in_flight == 1]
        calls = bench.size(500, in_flight)
        times = bench.compete([Ours, Hand], "small", repeats=bench.size(31, 1), calls=calls, in_flight=in_flight)
        made += rows(
            f"one small call, {in_flight} in flight",
            times,
            "cpu",
            reach={Hand.name: 1.25},
            unit=(1e6 / calls, "us"),
        )
        calls = bench.size(200, in_flight)
        times = bench.compete([Ours, *others], "small", repeats=bench.size(5, 1), calls=calls, in_flight=in_flight)
        made += rows(f"one small call, {in_flight} in flight", times, "cpu", reach={}, unit=(1e6 / calls, "us"))
    return made


def small_list(bench: Bench) -> list[Row]:
    """Measure the CPU time of a list without pages (the four skill levels), with 10 and 100 in flight."""
    bench.server.configure()
    made: list[Row] = []
    for in_flight in (10, 100):
        calls = bench.size(500, in_flight)
        times = bench.compete([Ours, Hand], "levels", repeats=bench.size(31, 1), calls=calls, in_flight=in_flight)
        work = f"a list without pages, {in_flight} in flight"
        made += rows(work, times, "cpu", reach={Hand.name: 1.25}, unit=(1e6 / calls, "us"))
    return made
