"""Measure planning 100,000 desired names against 100,000 members in memory."""

from functools import partial

from benchmarks.measure import Bench, Row, interleaved, ratio, timed
from benchmarks.sync_matching import SHAPES, by_hand, by_hand_asking, desired, matched, ours, people

HAND = "one pass over two dictionaries by hand"
ASKING = "the same pass, asking too"


def plan(bench: Bench) -> list[Row]:
    """Name the same people in six ways; the target is for the mixture of ids, refs and e-mail addresses.

    Where no one is known, anyone may be meant by any name. The pass by hand does not ask who: the last rows compare it
    with a plan that does not ask either, and the plan with a pass that asks in the simplest way.
    """
    members = people(bench.size(100_000, 20))
    no_one, unasked = SHAPES[-1], ", without asking who may be meant"
    made: list[Row] = []
    for shape, told, work, other, by in (
        *((shape, "", ours, HAND, by_hand) for shape in SHAPES),
        (no_one, unasked, matched, HAND, by_hand),
        (no_one, "", ours, ASKING, by_hand_asking),
    ):
        names = desired(shape, members)
        ways = {
            "thrive-async": partial(timed, partial(work, members, names)),
            other: partial(timed, partial(by, members, names)),
        }
        times = interleaved(ways, bench.size(7, 1))
        mine, theirs = (times[name].median("cpu") * 1e3 for name in ways)
        done = f"plan {len(names):,} desired against {len(members):,} members: {shape}{told}"
        value = ratio(times, "thrive-async", other, "cpu")
        reach = 1.0 if by is by_hand_asking else 2.0
        made.append(Row(done, other, value, reach, f"{mine:.0f} / {theirs:.0f} ms CPU"))
    return made
