"""The pace that a client learns from 429s: how many requests a second Thrive accepts. It reads no clock.

Thrive publishes no limits, so the first refusal is the first sign of one. Nor does it say how it counts: with a bucket
that fills up while the client is quiet, or in windows of a second or a minute, with or without a word on how long to
wait. So every refusal leaves two bounds:

- The lower one is what Thrive took since the refusal before, pause included. It is right if a bucket filled up during
  the pause, and too low if the pause was wasted.
- The upper one is the pace that was refused. It is right if the limit allows no burst, and too high if a burst was used
  up first.

The pace falls to the geometric mean of the two, comes back to just below the upper one, and then creeps on.

This is close to CUBIC, the congestion control of TCP (RFC 9438): a multiplicative decrease, a concave cubic back to the
last known limit, a plateau there, and convex growth beyond it in search of a new limit. Three things differ. The pace
is a rate and not a window. It falls to a measured bound, not by a fixed factor of 0.7. And beyond the plateau it grows
with the fifth power of time, not the third: slower at first, and faster later.

The constants were chosen on 700 simulated servers: 2 to 1,000 requests a second; buckets of one request up to ten
seconds' worth, windows of a second, sliding ones and windows of a minute; Retry-After exact, in whole seconds, absent;
5, 50 and 200 ms of latency. They lie on a plateau: halving or doubling one of them (except _REST) changes the
throughput that is lost, and the share that is refused, by a tenth at most.
"""

import math
from collections import deque
from typing import Final

# The first refusal looks back this many seconds. The pace then starts at no less than _FIRST and never falls below
# _SLOWEST requests a second.
_SPAN: Final = 5.0
_FIRST: Final = 2.0
_SLOWEST: Final = 0.2
# A bound from fewer requests than this says little. Without an upper bound the pace then grows threefold in a second
# and sixteenfold in two. From a better bound it doubles in two seconds, and grows faster later, in case it was far too
# low.
_FEW: Final = 10
# How far below the refused pace it rests. Of 0.93 to 0.97 this gave the most throughput for its refusals.
_REST: Final = 0.96
# It is there after this many seconds. From then on it creeps up: by 6 % in 8 s, twofold in 14 s, tenfold in 22 s.
_RETURN: Final = 8.0
_CREEP: Final = 1.8e-6
# These times hold from _BRISK requests a second on. Below, a few seconds hold too few requests to be worth another
# refusal, so it takes longer in proportion, down to _LEISURELY.
_BRISK: Final = 30.0
_LEISURELY: Final = 4.0


class Pace:
    """Requests per second, learned from what Thrive takes and what it refuses.

    Attributes:
        known: Whether Thrive has refused anything so far.
    """

    def __init__(self) -> None:
        self.known = False
        self._taken: deque[float] = deque(maxlen=8192)
        self._refused = 0.0
        self._opened = 0.0
        self._lower: float | None = None
        self._upper: float | None = None
        self._works = self._probing = False

    def at(self, now: float) -> float | None:
        """Return the pace at a time; None before the first refusal."""
        lower, upper = self._lower, self._upper
        if lower is None:
            return None
        quiet = max(0.0, now - self._opened)
        if upper is None:
            doublings = quiet * (1.0 + quiet / 2) if lower < _FEW else quiet / 2 + (quiet / 4) ** 3
            pace = lower * math.exp2(min(60.0, doublings))
        else:
            beyond = quiet * min(_BRISK, max(_LEISURELY, lower)) / _BRISK - _RETURN
            if beyond < 0:
                pace = upper + (upper - lower) * (beyond / _RETURN) ** 3
            else:
                pace = upper * (1.0 + _CREEP * beyond**5)
        return min(pace, _FIRST * math.exp2(min(60.0, quiet))) if self._probing else pace

    def taken(self, now: float, *, since_opened: bool = True) -> None:
        """Note that Thrive took a request.

        Args:
            now: When its answer came.
            since_opened: Whether it was sent after the last pause.
        """
        self._taken.append(now)
        if since_opened:
            self._works, self._probing = True, False

    def refused(self, now: float, pause: float) -> None:
        """Slow down.

        Args:
            now: When the first 429 since the last change came.
            pause: The seconds until the next request.
        """
        pace = self.at(now)
        if pace is not None and not self._works:
            # The pause was too short, which says nothing about the pace. Next time only a request or two should find
            # out, not as many as fit into the time of an answer.
            self._probing = True
            self._opened = now + pause
            return
        if pace is None:
            self._lower = self._first_bound(now, pause)
            self.known = True
        else:
            self._lower, self._upper = self._bounds(now, pace)
        self._works = False
        self._refused = now
        self._opened = now + pause

    def _first_bound(self, now: float, pause: float) -> float:
        since = [moment for moment in self._taken if moment > now - _SPAN]
        if not since:
            return _FIRST
        # Many at once mean a bucket that was full, and count as a second's worth. A few do not.
        return max(_FIRST, len(since) / max(1.0 if len(since) >= _FEW else 0.1, now + pause - since[0]))

    def _bounds(self, now: float, refused: float) -> tuple[float, float]:
        # Thrive had just had enough both times, so what it took in between is what it takes.
        since = max(self._refused, self._taken[0])
        took = self._count(since) / max(now - since, 1e-3)
        if now - self._opened > 1.0:
            # If the network or the caller is slower than the pace, the pace is not what was refused.
            refused = min(refused, 3 * (1 + self._count(now - 1.0)))
        # If it took more than that, it did not refuse a pace, but a request right after a pause cut too fine.
        upper = _REST * max(_SLOWEST, refused, took)
        return min(upper, math.sqrt(max(_SLOWEST, took) * upper / _REST)), upper

    def _count(self, since: float) -> int:
        return sum(1 for moment in self._taken if moment > since)
