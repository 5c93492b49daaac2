"""Kill syncs at random moments, each in its own process, until one gets through.

    python -m benchmarks.sync_kills [rounds] [first seed]

After each round the audience must be as desired, and each person must have a true outcome in the journal.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.sync._apply.test_run import kill_and_finish


async def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    total = {"kills": 0, "people": 0, "lost": 0}
    with tempfile.TemporaryDirectory() as directory:
        for seed in range(first, first + rounds):
            found = await kill_and_finish(Path(directory), seed)
            for name, count in found.items():
                total[name] += count
            if found["lost"]:
                print(f"seed {seed}: {found['lost']} lost", file=sys.stderr)
    print(", ".join([f"rounds: {rounds}", *(f"{name}: {count:,}" for name, count in total.items())]))
    if total["lost"]:
        raise SystemExit(1)


if __name__ == "__main__":
    asyncio.run(main())
