"""Sync under every fault of the sandbox, at several rates, and check each person's outcome.

    python -m benchmarks.sync_faults [runs per fault and rate] [fault]

`lost` counts people without exactly one outcome, or with an outcome that contradicts the sandbox.
"""

import asyncio
import logging
import sys
from collections import Counter
from typing import Any

from tests.sync.conftest import people
from tests.sync.test_faults import KINDS, check
from thrive_async import Retry, sync
from thrive_async.sandbox import Sandbox, VirtualClock

RATES: tuple[tuple[int | None, float], ...] = ((1, 1.0), (5, 1.0), (None, 0.3), (None, 1.0))
ALL: list[tuple[str, dict[str, Any]]] = [*KINDS, ("poisoned", {"people": 3}), ("unknown_users", {"people": 5})]


async def run(kind: str, details: dict[str, Any], times: int | None, probability: float, seed: int) -> Counter[str]:
    """Sync 500 people under one fault and return the outcomes."""
    async with Sandbox(users=0, seed=seed, clock=VirtualClock()) as sandbox:
        ids = people(sandbox, 500)
        sandbox.state.add_audience("team", members=ids[:200])
        credentials = sandbox.oauth if "token" in kind else sandbox.credentials
        async with sandbox.client(credentials=credentials, retry=Retry(max_attempts=3)) as thrive:
            plan = await sync.plan_members(thrive, "team", ids[20:420])
            before = set(sandbox.state.audiences["team"].members)
            operation = "*Member*"
            if "people" in details:
                operation, details = "addMembers", {"references": ids[230 : 230 + details["people"]]}
            if kind == "members_change":
                operation = "listMembers"
            sandbox.faults.add(kind, operation=operation, times=times, probability=probability, **details)  # type: ignore[arg-type]
            report = await plan.apply()
            outcomes = Counter(
                added=len(report.added),
                removed=len(report.removed),
                failed=len(report.failed),
                not_attempted=len(report.not_attempted),
            )
            try:
                check(plan, report, before, set(sandbox.state.audiences["team"].members), sandbox)
            except AssertionError as error:
                outcomes["lost"] += 1
                print(f"{kind} {details} {times} {probability} seed {seed}: {error}", file=sys.stderr)
            return outcomes


def main() -> None:
    logging.disable(logging.WARNING)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    chosen = [one for one in ALL if len(sys.argv) < 3 or one[0] == sys.argv[2]]
    print("| fault | runs | people | added | removed | failed | not attempted | lost |")
    print("|---|---|---|---|---|---|---|---|")
    total: Counter[str] = Counter()
    for kind, details in chosen:
        runs = 0
        counted: Counter[str] = Counter()
        for seed in range(repeats):
            for times, probability in RATES:
                counted += asyncio.run(run(kind, details, times, probability, seed))
                runs += 1
        total += counted
        words = ", ".join(f"{name}={value}" for name, value in details.items() if name != "body")
        print(row(f"{kind} {words}".strip(), runs, counted))
    print(row("all", repeats * len(RATES) * len(chosen), total))
    if total["lost"]:
        raise SystemExit(1)


def row(name: str, runs: int, counted: Counter[str]) -> str:
    """Return a row of the table."""
    outcomes = [counted[outcome] for outcome in ("added", "removed", "failed", "not_attempted")]
    return (
        "| "
        + " | ".join([name, *(f"{figure:,}" for figure in (runs, sum(outcomes), *outcomes, counted["lost"]))])
        + " |"
    )


if __name__ == "__main__":
    main()
