"""Compare the writes of a sync with the fewest that Thrive's limits allow, for five kinds of change.

    python -m benchmarks.sync_calls

Each one is applied to a sandbox, which counts the requests.
"""

import asyncio
import math
from dataclasses import dataclass

from thrive_async import sync
from thrive_async.sandbox import Sandbox, VirtualClock


@dataclass
class Shape:
    """A change: how many members there are, stay and join."""

    name: str
    members: int
    stay: int
    join: int
    strategy: sync.Strategy = "diff"
    offender: bool = False

    @property
    def fewest(self) -> int:
        """Return the fewest writes: additions by the hundred and removals one by one, or a replaced list."""
        diff = math.ceil(self.join / 100) + self.members - self.stay
        if self.strategy == "diff" or not self.stay + self.join:
            return diff
        return min(diff, math.ceil((self.stay + self.join) / 100))


SHAPES = (
    Shape("nothing changed", 5_000, 5_000, 0),
    Shape("an ordinary night: 412 join, 18 leave", 5_248, 5_230, 412),
    Shape("a first fill of 3,000", 0, 0, 3_000),
    Shape("a reorganisation: 900 of 1,000 leave, 400 join", 1_000, 100, 400),
    Shape("the same, rebuilt", 1_000, 100, 400, strategy="rebuild"),
    Shape("250 join, one of them refused", 1_000, 1_000, 250, offender=True),
)


async def applied(shape: Shape) -> tuple[int, int, int]:
    """Apply a change; return the planned writes, the writes that arrived, and the reads."""
    async with Sandbox(users=0, seed=1, clock=VirtualClock()) as sandbox, sandbox.client() as thrive:
        add = sandbox.state.add_user
        ids = [add(ref=f"E-{at}", email=f"e{at}@example.org")["id"] for at in range(shape.members + shape.join)]
        sandbox.state.add_audience("team", members=ids[: shape.members])
        if shape.offender:
            sandbox.faults.add("poisoned", references=[ids[-1]])
        plan = await sync.plan_members(thrive, "team", ids[shape.members - shape.stay :])
        report = await plan.apply(max_removals=None, strategy=shape.strategy)
        assert len(report.failed) == shape.offender
        assert len(report.added) + len(report.removed) + shape.offender == report.planned
        writes = sum(entry.method != "GET" for entry in sandbox.requests)
        return plan.calls[shape.strategy], writes, len(sandbox.requests) - writes


def main() -> None:
    print(f"{'shape of change':50} {'fewest':>7} {'planned':>8} {'made':>6} {'reads':>6}")
    for shape in SHAPES:
        planned, made, reads = asyncio.run(applied(shape))
        print(f"{shape.name:50} {shape.fewest:7,} {planned:8,} {made:6,} {reads:6,}")
        assert planned == shape.fewest
        assert made <= shape.fewest + (2 * math.log2(100) + 1 if shape.offender else 0)


if __name__ == "__main__":
    main()
