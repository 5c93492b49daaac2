"""Servers that limit requests in the ways there are, and a client's loop around the gate: no sockets, exact time."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from thrive_async import Limits
from thrive_async._gate.gate import Gate
from thrive_async.sandbox import VirtualClock

Announced = Literal["whole seconds", "exactly", "not at all"]


def announced(wait: float, how: Announced) -> float | None:
    return {"whole seconds": float(math.ceil(wait)), "exactly": wait, "not at all": None}[how]


class Bucket:
    """So many requests a second, and so many at once after a quiet time."""

    def __init__(self, rate: float, burst: float, how: Announced = "whole seconds") -> None:
        self.rate, self.burst, self.how = rate, burst, how
        self.tokens, self.at = float(burst), 0.0

    def take(self, now: float) -> tuple[bool, float | None]:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens >= 1 - 1e-6:
            self.tokens -= 1
            return True, None
        return False, announced((1 - self.tokens) / self.rate, self.how)


class Window:
    """So many requests in each second of the server's clock, or as many as that in each of its minutes."""

    def __init__(self, rate: float, how: Announced = "whole seconds", size: float = 1.0) -> None:
        self.most, self.how, self.size = rate * size, how, size
        self.window, self.used = 0, 0

    def take(self, now: float) -> tuple[bool, float | None]:
        window = int(now // self.size)
        if window != self.window:
            self.window, self.used = window, 0
        self.used += 1
        if self.used <= self.most:
            return True, None
        return False, announced((window + 1) * self.size - now, self.how)


class Sliding:
    """So many requests in whatever second one looks at."""

    def __init__(self, rate: int, how: Announced = "whole seconds") -> None:
        self.how = how
        self.last: deque[float] = deque([-1.0] * rate, maxlen=rate)

    def take(self, now: float) -> tuple[bool, float | None]:
        wait = self.last[0] + 1.0 - now
        if wait <= 1e-9:
            self.last.append(now)
            return True, None
        return False, announced(wait, self.how)


class Outage:
    """No limit, but all is refused for a while."""

    def __init__(self, start: float, end: float, how: Announced = "whole seconds") -> None:
        self.start, self.end, self.how = start, end, how

    def take(self, now: float) -> tuple[bool, float | None]:
        refused = self.start <= now < self.end
        return not refused, announced(1.0, self.how) if refused else None


Server = Bucket | Window | Sliding | Outage


@dataclass
class Run:
    """What became of many calls.

    Attributes:
        refused: All refusals.
        refused_first: Those among them that were sent before the client could know of a limit.
    """

    seconds: float
    sent: int
    refused: int
    refused_first: int
    given_up: int

    @property
    def refused_share(self) -> float:
        return self.refused / self.sent

    @property
    def refused_later_share(self) -> float:
        return (self.refused - self.refused_first) / self.sent


def run(server: Server, calls: int, *, latency: float = 0.05, jitter: float = 0.0, limits: Limits | None = None) -> Run:
    """Make the calls through a gate, as the transport does, from twice as many workers as slots.

    Args:
        server: Takes them, or does not.
        calls: How many.
        latency: Seconds to the server and back.
        jitter: By what part of it at most the way there, or back, is longer or shorter, at random.
        limits: The client's.
    """
    limits = limits or Limits()
    done = Run(0, 0, 0, 0, 0)
    chance = random.Random(1)

    def way() -> float:
        return latency / 2 * (1 + jitter * chance.uniform(-1, 1))

    async def main() -> None:
        with VirtualClock(grace=0).installed() as clock:
            gate = Gate(limits)
            left = iter(range(calls))

            async def one() -> None:
                for _attempt in range(5):
                    ticket = await gate.enter()
                    done.sent += 1
                    await asyncio.sleep(way())
                    taken, wait = server.take(clock.elapsed)
                    await asyncio.sleep(way())
                    gate.leave(ticket)
                    if taken:
                        gate.passed(ticket)
                        return
                    done.refused += 1
                    done.refused_first += ticket == 0
                    pause = gate.refused(ticket, wait)
                    await asyncio.sleep(pause + 0.04)
                done.given_up += 1

            async def worker() -> None:
                for _ in left:
                    await one()

            await asyncio.gather(*(worker() for _ in range(limits.concurrency * 2)))
            done.seconds = clock.elapsed

    asyncio.run(main())
    return done


def by_hand(server: Server, calls: int, *, latency: float) -> float:
    """What a loop needs that makes one call after the other, and sleeps for each Retry-After."""
    now = 0.0
    for _ in range(calls):
        while True:
            taken, wait = server.take(now + latency / 2)
            now += latency
            if taken:
                break
            now += 1.0 if wait is None else wait
    return now


def by_hand_at_once(make: Callable[[], Server], calls: int, *, latency: float, workers: int) -> float:
    """The same in so many workers, each of which sleeps for its own Retry-After."""
    server = make()
    free = [0.0] * workers
    last = 0.0
    while calls:
        free.sort()
        now = free.pop(0)
        taken, wait = server.take(now + latency / 2)
        if taken:
            calls -= 1
            last = max(last, now + latency)
            free.append(now + latency)
        else:
            free.append(now + latency + (1.0 if wait is None else wait))
    return last
