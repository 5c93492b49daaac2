"""The pace that a client learns from 429s: how many requests a second Thrive takes from it. Pure: time is given.

Thrive publishes no limits, so the first refusal is the first news of one. How limits are kept is unknown too: by a
bucket that fills up while nobody calls, by windows of a second, with or without a word on how long to wait. So two
bounds are kept in sight. What Thrive took over a while, its pauses included, is the lower one; the pace at which it
refused is the upper one. After a refusal the pace falls to the middle of both (multiplicative decrease), comes back
towards the upper one in a few seconds, rests just below it, and then creeps up, slowly first (additive increase).
"""

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

# Requests are counted over the last second, for bursts, and over some more, for what lasts.
_SPANS: Final = (1.0, 5.0)
_SLOWEST: Final = 0.2
# So few requests in a second say little of what Thrive takes.
_FEW: Final = 10
# As long as only the lower bound is known, the pace doubles: in so many seconds, then faster, for where nothing is
# refused the bound was too low by far; from a bound that says little, at once.
_DOUBLING: Final = 2.0
_HASTE: Final = 4.0
_DOUBLING_OF_FEW: Final = 0.5
# Later: how far below the refused pace it rests, in how many seconds it is there, and how it creeps up from there, by
# 1 % in 5 s, 6 % in 8 s, twofold in 22 s. A minute without a 429 forgets it.
_REST: Final = 0.95
_RECOVERY: Final = 4.0
_CREEP: Final = 0.0001


class Pace:
    """Requests per second, learned from what Thrive takes and what it refuses.

    Attributes:
        known: Whether anything was refused yet.
    """

    def __init__(self) -> None:
        self._started: deque[float] = deque(maxlen=8192)
        self._taken: deque[float] = deque(maxlen=8192)
        self._opened = 0.0
        self._refused = 0.0
        self.known = False
        self._floor: float | None = None
        self._ceiling: float | None = None

    def at(self, now: float) -> float | None:
        """Return the pace at a time; None as long as nothing was refused."""
        floor, ceiling = self._floor, self._ceiling
        if floor is None:
            return None
        quiet = max(0.0, now - self._opened)
        if ceiling is None:
            doublings = quiet / _DOUBLING_OF_FEW if floor < _FEW else quiet / _DOUBLING + (quiet / _HASTE) ** 3
            return floor * math.exp2(min(60.0, doublings))
        if quiet < _RECOVERY:
            return ceiling - (ceiling - floor) * (1.0 - quiet / _RECOVERY) ** 3
        return ceiling * (1.0 + _CREEP * (quiet - _RECOVERY) ** 3)

    def started(self, now: float) -> None:
        """Note that a request begins."""
        self._started.append(now)

    def taken(self, now: float) -> None:
        """Note that Thrive took one."""
        self._taken.append(now)

    def refused(self, now: float, pause: float) -> None:
        """Slow down.

        Args:
            now: When the first 429 since the last change came.
            pause: The seconds until the next request.
        """
        self.known = True
        refused_at = self.at(now)
        if refused_at is None:
            self._floor = max(_SLOWEST, *(self._taken_over(span, now, pause) for span in _SPANS))
        else:
            if now - self._opened > _SPANS[0]:
                # Where the network or the caller is slower than the pace, the pace is not what was refused.
                refused_at = max(_SLOWEST, min(refused_at, 2 * _count(self._started, now - _SPANS[0]) / _SPANS[0]))
            # Both times Thrive had just had enough: what it took between them is what it takes.
            took = (_count(self._taken, self._refused) + 1) / max(now - self._refused, 1e-3)
            self._ceiling = max(_SLOWEST, _REST * refused_at)
            self._floor = min(self._ceiling, max(_SLOWEST, (min(took, refused_at) + refused_at) / 2))
        self._refused = now
        self._opened = now + pause

    def _taken_over(self, span: float, now: float, pause: float) -> float:
        since = [moment for moment in self._taken if moment > now - span]
        if not since:
            return 0.0
        # Many at once are a bucket that was full: they count as a second's worth. A few say nothing of that kind.
        shortest = 1.0 if len(since) >= _FEW else 1e-3
        return len(since) / max(shortest, now - since[0] + pause)


def _count(moments: Iterable[float], since: float) -> int:
    return sum(1 for moment in moments if moment > since)
