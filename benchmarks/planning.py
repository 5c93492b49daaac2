"""Measure planning 100,000 desired names against 100,000 members in memory."""

from functools import partial

from benchmarks.measure import Bench, Row, interleaved, ratio, timed
from benchmarks.sync_matching import SHAPES, by_hand, desired, matched, ours, people

HAND = "one pass over two dictionaries by hand"


def plan(bench: Bench) -> list[Row]:
    """Name the same people in six ways; the target is for the mixture of ids, refs and e-mail addresses.

    Where no one is known, anyone may be meant by any name. The last row leaves this question out, as by hand.
    """
    members = people(bench.size(100_000, 20))
    made: list[Row] = []
    for shape, work in [*((shape, ours) for shape in SHAPES), (SHAPES[-1], matched)]:
        names = desired(shape, members)
        ways = {
            "thrive-async": partial(timed, partial(work, members, names)),
            HAND: partial(timed, partial(by_hand, members, names)),
        }
        times = interleaved(ways, bench.size(7, 1))
        mine, theirs = (times[name].median("cpu") * 1e3 for name in ways)
        done = f"plan {len(names):,} desired against {len(members):,} members: {shape}"
        if work is matched:
            done += ", without asking who may be meant"
        value = ratio(times, "thrive-async", HAND, "cpu")
        made.append(Row(done, HAND, value, 2.0, f"{mine:.0f} / {theirs:.0f} ms CPU"))
    return made
