"""When the next call may start: the generic cell rate algorithm (GCRA) with a cool-down. It reads no clock.

`MemoryShare` and `FileShare` call it; the Lua script of `RedisShare` says the same, and a test compares both.
"""

import math
from typing import NamedTuple

from thrive_async.share.protocol import AT_ONCE, Place

__all__ = ["EMPTY", "RowState", "cooled", "reserved"]


class RowState(NamedTuple):
    """The row of one scope.

    Attributes:
        written: When it was last changed.
        end: When the place after the last one begins.
        closed: When the cool-down ends.
    """

    written: float
    end: float
    closed: float


# A monotonic clock begins with the machine, so zero may be a moment ago.
EMPTY = RowState(0.0, -math.inf, -math.inf)


def reserved(row: RowState, now: float, rate: float | None, burst: int, within: float) -> tuple[RowState, Place]:
    """Reserve the next place.

    Returns:
        The row afterwards (the same if nothing was taken), and the place.
    """
    if row.written > now:
        row = _on_clock(row, now)
    if row.closed > now:
        return row, Place(taken=False, wait=row.closed - now, cooling=True)
    if rate is None:
        return row, AT_ONCE
    wait = row.end - (burst - 1) / rate - now
    if wait > within:
        return row, Place(taken=False, wait=wait)
    # Timers ring late. Half a place is forgiven; otherwise a row at 50 a second would lose a twentieth of its rate.
    end = max(row.end, now - 0.5 / rate) + 1.0 / rate
    return RowState(now, end, row.closed), Place(taken=True, wait=wait) if wait > 0 else AT_ONCE


def cooled(row: RowState, now: float, seconds: float) -> tuple[RowState, float]:
    """Start a cool-down, or keep a longer one.

    Returns:
        The row afterwards, and the seconds until the cool-down ends.
    """
    if row.written > now:
        row = _on_clock(row, now)
    closed = max(row.closed, now + seconds)
    return RowState(now, row.end, closed), closed - now


def _on_clock(row: RowState, now: float) -> RowState:
    """Shift a row that was written in the future: the clock was set back, or the machine was restarted."""
    back = row.written - now
    return RowState(now, row.end - back, row.closed - back)
