"""Shows how far a sync is: a bar with rate and time left on a terminal, plain greppable lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from thrive_async.cli._errors import say
from thrive_async.cli._formats import is_terminal
from thrive_async.cli._safe_text import one_line

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from thrive_async.sync import Progress

__all__ = ["ProgressView", "duration"]

#: Seconds between two plain lines: a log of an hour has 720 of them at most.
_EVERY = 5.0


def duration(seconds: float | None) -> str:
    """Write a time for people: `8s`, `1:05`, `2:03:09`; a question mark if it is not known."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class ProgressView:
    """Shows the figures that `on_progress` gets; use it as a context manager and as the callback.

    Args:
        label: What is under way, such as the audience.
        clock: Returns seconds that only grow; plain lines come at most every five.
    """

    def __init__(self, label: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = one_line(label)
        self._clock = clock
        self._next = 0.0
        self._last: Progress | None = None
        self._said: Progress | None = None
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if is_terminal(sys.stderr):
            self._bar = _bar()
            self._bar.start()
        else:
            self._next = self._clock() + _EVERY
        return self

    def __call__(self, progress: Progress) -> None:
        """Take the latest figures."""
        self._last = progress
        if self._bar is not None:
            fields: dict[str, Any] = {
                "failed": f"{progress.failed:,} failed" if progress.failed else "",
                "rate": f"{progress.rate:,.0f}/s" if progress.rate else "",
                "left": f"{duration(progress.remaining_seconds)} left" if progress.done < progress.total else "",
            }
            if self._task is None:
                short = self._label if len(self._label) <= 24 else self._label[:23] + "…"
                self._task = self._bar.add_task(short, total=progress.total, completed=progress.done, **fields)
            else:
                self._bar.update(self._task, completed=progress.done, total=progress.total, **fields)
        elif self._clock() >= self._next:
            self._next = self._clock() + _EVERY
            self._line(progress)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._last is not None and self._last is not self._said:
            self._line(self._last)

    def _line(self, progress: Progress) -> None:
        self._said = progress
        say(
            f"progress {self._label} done={progress.done} total={progress.total} failed={progress.failed}"
            f" rate={progress.rate or 0:.1f}/s left={duration(progress.remaining_seconds)}"
        )


def _bar() -> Bar:
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.progress import BarColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    return Bar(
        # markup=False: a reference such as "[red]" is no markup.
        TextColumn("{task.description}", markup=False),
        # What is left is grey on dark and light terminals; rich's near-black would look like what is done.
        BarColumn(bar_width=None, style="bright_black"),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.fields[failed]}", style="red", markup=False),
        console=Console(stderr=True),
        expand=True,
    )
