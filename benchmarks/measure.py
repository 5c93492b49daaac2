"""Interleaved repeats and their medians; rows of the table."""

import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import Any, Self

from benchmarks.server import Server, running


@dataclass
class Row:
    """One line of the table: what was done, against what, and how it compares."""

    work: str
    against: str
    ratio: float
    reach: float | None = None
    detail: str = ""
    bench: str = ""

    @property
    def verdict(self) -> str:
        """Whether the ratio is what was to be reached; empty where nothing was set."""
        if self.reach is None:
            return ""
        return "yes" if self.ratio <= self.reach else "no"


@dataclass
class Times:
    """The seconds of one contender, round by round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def of(self, clock: str) -> list[float]:
        """The rounds by `wall` or `cpu`."""
        return self.wall if clock == "wall" else self.cpu

    def median(self, clock: str) -> float:
        """The median round."""
        return median(self.of(clock))


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    before: Callable[[], object] | None = None,
    warm_up: bool = True,
) -> dict[str, Times]:
    """Run contenders in turns, so that a slow spell of the machine hits all of them alike.

    Args:
        contenders: What to run, by name.
        repeats: Measured rounds. The order turns from round to round, so that nobody always follows the same one.
        before: Called before each run, not measured.
        warm_up: Whether each is run once more before, unmeasured.
    """
    names = list(contenders)
    times = {name: Times() for name in names}
    gc.collect()
    # What other contenders keep alive is nobody's burden: a full collection would walk all of it.
    gc.freeze()
    for turn in range(-1 if warm_up else 0, repeats):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            if before is not None:
                before()
            gc.collect()
            run = contenders[name]
            wall, cpu = time.perf_counter(), time.process_time()
            kept = run()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            del kept
            if turn >= 0:
                times[name].wall.append(wall)
                times[name].cpu.append(cpu)
    gc.unfreeze()
    return times


def ratio(times: Mapping[str, Times], ours: str, theirs: str, clock: str) -> float:
    """The median of the rounds' ratios: within a round both had the same machine."""
    pairs = zip(times[ours].of(clock), times[theirs].of(clock), strict=True)
    return median(mine / other for mine, other in pairs)


def rows(
    work: str,
    times: Mapping[str, Times],
    clock: str,
    *,
    ours: str = "thrive-async",
    reach: Mapping[str, float],
    unit: tuple[float, str] = (1e3, "ms"),
    skip: tuple[str, ...] = (),
) -> list[Row]:
    """One row for each contender; those without a figure of their own are to be outrun (at most 1)."""
    scale, name = unit
    mine = times[ours].median(clock) * scale
    made: list[Row] = []
    for other in times:
        if other == ours or other in skip:
            continue
        theirs = times[other].median(clock) * scale
        detail = f"{mine:.3g} / {theirs:.3g} {name}{' CPU' if clock == 'cpu' else ''}"
        made.append(Row(work, other, ratio(times, ours, other, clock), reach.get(other, 1.0), detail))
    return made


class Bench:
    """What a benchmark function is given: a server, a loop, and the size to run at.

    Args:
        tiny: Run everything once and small: for the tests, which only want to know that it runs.
        contenders: Whether to run the others' clients too, where they are installed.
    """

    def __init__(self, *, tiny: bool = False, contenders: bool = True) -> None:
        self.tiny = tiny
        self.contenders = contenders
        self.notes: list[str] = []
        self._stack = ExitStack()
        self._server: Server | None = None
        self._runner: asyncio.Runner | None = None
        self._generated: Any = None

    def size(self, full: int, tiny: int) -> int:
        """A count: of items, or of repeats."""
        return tiny if self.tiny else full

    @property
    def server(self) -> Server:
        """The raw server, started on first use."""
        if self._server is None:
            self._server = self._stack.enter_context(running())
        return self._server

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the one loop that the contenders' sessions belong to."""
        if self._runner is None:
            self._runner = self._stack.enter_context(asyncio.Runner())
        return self._runner.run(work)

    @property
    def generated(self) -> Any:
        """The clients that others' generators make of the specification, made on first use in a temporary folder."""
        if self._generated is None:
            from benchmarks.generated import Generated

            self._generated = self._stack.enter_context(Generated(self.note))
        return self._generated

    def note(self, text: str) -> None:
        """Say something below the table, once: what was skipped and why."""
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
    """The machine in a line."""
    import platform

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            model = next(line.partition(":")[2].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} cores{load}, {platform.system()} {platform.release()}, Python {platform.python_version()}"
