"""Let an independent judge check every claim of a sync: random people, lists, faults and cancels.

    python -m benchmarks.sync_oracle [cases] [first seed]

A case is one audience, several audiences, the managers of one, or an HR export: see `tests.sync.oracle_cases`,
`oracle_managers` and `oracle_users`. It prints the figures, and the seed of every wrong case.
"""

import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.sync.oracle_users import case_of


def main() -> None:
    logging.disable(logging.WARNING)
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    outcomes: Counter[str] = Counter()
    figures = Counter(cases=0, people=0, cancelled=0, wrong=0)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        for seed in range(first, first + cases):
            case = case_of(seed)
            found = asyncio.run(case(seed, Path(directory)))
            outcomes += found.outcomes
            figures += Counter(cases=1, people=found.people, cancelled=found.cancelled, wrong=bool(found.wrong))
            for words in dict.fromkeys(found.wrong):
                print(f"{case.__name__}({seed}): {words}", file=sys.stderr)
    print(", ".join(f"{name}: {figures[name]:,}" for name in ("cases", "people", "cancelled", "wrong")))
    print(", ".join(f"{name}: {count:,}" for name, count in outcomes.items()))
    print(f"{time.perf_counter() - began:.0f} s")
    if figures["wrong"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
