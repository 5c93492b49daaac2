"""Interleaved repeats and their medians, rows of the table, and what a benchmark gets to work with."""

import asyncio
import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

from benchmarks.contenders import OTHERS, Contender, installed
from benchmarks.generated import Generated
from benchmarks.server import Server, running
from benchmarks.worker import Worker


@dataclass
class Row:
    """One row of the table: what was measured, compared with what, and the result.

    Rows that compare contenders also have the figures, `ours` and `theirs` in `unit`, for the plots.
    """

    work: str
    against: str
    ratio: float
    reach: float | None = None
    detail: str = ""
    ours: float | None = None
    theirs: float | None = None
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Whether the ratio was reached; empty without a target."""
        if self.reach is None:
            return ""
        return "yes" if round(self.ratio, 2) <= self.reach else "no"


@dataclass
class Times:
    """The seconds of one contender in each round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def of(self, clock: str) -> list[float]:
        """Return the rounds by `wall` or `cpu`."""
        return self.wall if clock == "wall" else self.cpu

    def median(self, clock: str) -> float:
        """Return the median round."""
        return median(self.of(clock))


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Return the wall and CPU seconds of some work in this process."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    kept = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    del kept
    return wall, cpu


def interleaved(ways: Mapping[str, Callable[[], tuple[float, float]]], repeats: int) -> dict[str, Times]:
    """Run contenders in turns, so that a slow spell of the machine affects all of them.

    Args:
        ways: For each name, a function that runs one round and returns its wall and CPU seconds.
        repeats: Rounds. The order rotates, so that a contender does not always follow the same one.
    """
    names = list(ways)
    times = {name: Times() for name in names}
    for turn in range(repeats):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            wall, cpu = ways[name]()
            times[name].wall.append(wall)
            times[name].cpu.append(cpu)
    return times


def ratio(times: Mapping[str, Times], ours: str, theirs: str, clock: str) -> float:
    """Return the median of the ratios of each round, because in a round both had the same machine."""
    pairs = zip(times[ours].of(clock), times[theirs].of(clock), strict=True)
    return median(mine / other for mine, other in pairs)


def rows(
    work: str,
    times: Mapping[str, Times],
    clock: str,
    *,
    ours: str = "thrive-async",
    reach: Mapping[str, float | None],
    unit: tuple[float, str] = (1e3, "ms"),
    skip: tuple[str, ...] = (),
) -> list[Row]:
    """Return a row for each contender; the ratio to reach is 1 unless a contender has its own."""
    scale, name = unit
    shown = f"{name} CPU" if clock == "cpu" else name
    mine = times[ours].median(clock) * scale
    made: list[Row] = []
    for other in times:
        if other == ours or other in skip:
            continue
        theirs = times[other].median(clock) * scale
        detail = f"{mine:.3g} / {theirs:.3g} {shown}"
        met = ratio(times, ours, other, clock)
        made.append(Row(work, other, met, reach.get(other, 1.0), detail, mine, theirs, shown))
    return made


class Bench:
    """What a benchmark function gets: a server, contenders, a loop and sizes.

    Args:
        tiny: Run everything once and small, for tests that only check that it runs.
        contenders: Whether to run other clients too, if they are installed.
    """

    def __init__(self, *, tiny: bool = False, contenders: bool = True) -> None:
        self.tiny = tiny
        self.contenders = contenders
        self.notes: list[str] = []
        self._stack = ExitStack()
        self._server: Server | None = None
        self._runner: asyncio.Runner | None = None
        self._generated: Generated | None = None

    def size(self, full: int, tiny: int) -> int:
        """Return a number of items or repeats, small if `tiny`."""
        return tiny if self.tiny else full

    @property
    def server(self) -> Server:
        """Start the raw server on first use."""
        if self._server is None:
            self._server = self._stack.enter_context(running())
        return self._server

    @property
    def generated(self) -> Generated:
        """Generate the other clients on first use, in a temporary folder."""
        if self._generated is None:
            self._generated = self._stack.enter_context(Generated(self.note))
        return self._generated

    @property
    def folders(self) -> str:
        """Return where Python finds the project and the generated clients."""
        root = str(Path(__file__).resolve().parent.parent)
        return os.pathsep.join([root, str(self.generated.folder)]) if self.contenders else root

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in this process; all share one loop."""
        if self._runner is None:
            self._runner = self._stack.enter_context(asyncio.Runner())
        return self._runner.run(work)

    def others(self) -> list[type[Contender]]:
        """Return the installed alternatives; a note lists the others."""
        return self.available(*OTHERS) if self.contenders else []

    def available(self, *wanted: type[Contender]) -> list[type[Contender]]:
        """Return the contenders that are installed."""
        found: list[type[Contender]] = []
        for cls in wanted:
            missing = installed(cls, self.generated.names if self.contenders else set())
            if missing:
                self.note(f"{cls.name} is left out: {', '.join(missing)} is not there")
            else:
                found.append(cls)
        return found

    def compete(
        self,
        contenders: list[type[Contender]],
        job: str,
        *,
        repeats: int,
        expected: int | None = None,
        warm_up: bool = True,
        **arguments: Any,
    ) -> dict[str, Times]:
        """Let contenders do a job in turns, each in its own fresh process.

        Earlier work would leave its traces in memory: after the small calls, the same list took a third longer.

        Args:
            contenders: The contenders.
            job: `decode`, `small`, `levels`, `users` or `enrolments`.
            repeats: Measured rounds.
            expected: How many items each must see.
            warm_up: Whether to run one more round first, unmeasured.
            **arguments: Arguments of the job.
        """

        def way(worker: Worker) -> Callable[[], tuple[float, float]]:
            def run() -> tuple[float, float]:
                done = worker.do(job, **arguments)
                assert expected is None or done["seen"] == expected, f"{worker.name}: {done['seen']} of {expected}"
                return done["wall"], done["cpu"]

            return run

        folder = str(self.generated.folder) if self.contenders else ""
        with ExitStack() as stack:
            ways: dict[str, Callable[[], tuple[float, float]]] = {}
            for cls in contenders:
                worker = Worker(cls.name, self.server.url, folder)
                stack.callback(worker.close)
                ways[cls.name] = way(worker)
            if warm_up and not self.tiny:
                interleaved(ways, 1)
            return interleaved(ways, repeats)

    def note(self, text: str) -> None:
        """Print a note below the table, once."""
        if text not in self.notes:
            self.notes.append(text)
            print(f"  ({text})", file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()


def machine() -> str:
    """Describe the machine in a line."""
    model = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as info:
            model = next(line.partition(":")[2].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores{load}, {system}"
