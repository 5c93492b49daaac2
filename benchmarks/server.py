"""A server that costs almost nothing: ready-made bytes over a bare asyncio protocol, in its own process.

Unlike the sandbox, it looks only at the method, the path and the page number, so that a benchmark measures the client.
It counts requests, records who was added, can wait before each reply, and can limit the requests per second.
"""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

import orjson

from benchmarks import data

_ROOT = Path(__file__).resolve().parent.parent


def keep_to_own_cores(*, server: bool) -> None:
    """Give the server one core and the contenders the others, if the system allows it.

    Otherwise the scheduler decides by chance, which changes a small call's 80 us by 25.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    first, *others = sorted(os.sched_getaffinity(0))
    if others:
        os.sched_setaffinity(0, {first} if server else set(others))


class World:
    """What the server sends, and how."""

    def __init__(self) -> None:
        self.users = data.users_template()
        self.members = data.members_template()
        self.enrolments = data.enrolments_template()
        self.audience = orjson.dumps(data.AUDIENCE)
        self.user = orjson.dumps(orjson.loads(data.users_page(1))["results"][0])
        self.levels = orjson.dumps(data.LEVELS)
        self.cache: dict[tuple[str, int, int], bytes] = {}
        self.configure({})

    def configure(self, settings: dict[str, Any]) -> None:
        """Start again, with counters at zero and a full bucket."""
        self.latency: float = settings.get("latency", 0.0)
        self.rate: float | None = settings.get("rate")
        self.burst: float = settings.get("burst", self.rate or 0.0)
        self.total: dict[str, int] = {"users": 100_000, "members": 100_000, "enrolments": 20_000}
        self.total |= settings.get("total", {})
        self.tokens = self.burst
        self.filled_at = time.monotonic()
        self.requests = 0
        self.refused = 0
        self.added: set[str] = set()

    def admits(self) -> bool:
        """Take a permit from the bucket, if there is one."""
        if self.rate is None:
            return True
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def page(self, kind: str, query: dict[str, list[str]]) -> bytes:
        """Return one page of a list as a complete reply."""
        number = int(query.get("page", ["1"])[0])
        per_page = int(query.get("perPage", ["100"])[0])
        key = (kind, number, per_page)
        answer = self.cache.get(key)
        if answer is None:
            answer = self._made_page(kind, number, per_page)
            if kind != "members":
                self.cache[key] = answer
        return answer

    def _made_page(self, kind: str, number: int, per_page: int) -> bytes:
        template: bytes = getattr(self, kind)
        total = self.total[kind]
        most = data.ENROLMENTS_PER_PAGE if kind == "enrolments" else data.USERS_PER_PAGE
        count = min(per_page, max(0, total - (number - 1) * per_page))
        results = b"[]"
        if count == most:
            results = data.numbered(template, number)
        elif count:
            results = orjson.dumps(orjson.loads(data.numbered(template, number))[:count])
        if kind != "enrolments":
            results = data.envelope(results, number, per_page, total)
        return answered(results)

    def reply(self, method: str, target: str, body: bytes) -> tuple[bytes, float]:
        """Return the reply to a request, and the seconds to wait before it."""
        path, _, query = target.partition("?")
        if path.startswith("/_"):
            return self.control(path, body), 0.0
        self.requests += 1
        if not self.admits():
            self.refused += 1
            return _TOO_MANY, self.latency
        if method == "POST":
            names = orjson.loads(body)
            self.added.update(names)
            entities = [{"reference": name} for name in names]
            return answered(orjson.dumps({"success": {"count": len(names), "entities": entities}})), self.latency
        kind = path.rpartition("/")[2]
        if kind in self.total:
            return self.page(kind, parse_qs(query)), self.latency
        if kind == "levels":
            return answered(self.levels), self.latency
        return answered(self.user if "/user" in path else self.audience), self.latency

    def control(self, path: str, body: bytes) -> bytes:
        """Answer the harness: start again with other settings, or return the counters."""
        if path == "/_configure":
            self.configure(orjson.loads(body))
            self.cache.clear()
        counted = {
            "requests": self.requests,
            "refused": self.refused,
            "added": len(self.added),
            "cpu": time.process_time(),
        }
        return answered(orjson.dumps(counted))


def answered(body: bytes, status: str = "200 OK", extra: str = "") -> bytes:
    """Return a complete HTTP reply."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


_TOO_MANY = answered(
    b'{"status":429,"error":"Too Many Requests","message":"slow down"}', "429 Too Many Requests", "Retry-After: 1\r\n"
)


class Wire(asyncio.Protocol):
    """One connection, with one request after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio passes it
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            length = 0
            at = head.lower().find("content-length:")
            if at >= 0:
                length = int(head[at + 15 :].partition("\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            method, target, _ = head.split(" ", 2)
            answer, pause = self._world.reply(method, target, body)
            if pause:
                asyncio.get_running_loop().call_later(pause, self._send, answer)
            else:
                self._send(answer)

    def _send(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


async def serve() -> None:
    """Print the port, then serve until the pipe to the parent closes."""
    keep_to_own_cores(server=True)
    world = World()
    gc.freeze()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Wire(world), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


class Server:
    """The parent's side of a running server."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def configure(self, **settings: Any) -> None:
        """Start again with `latency` (seconds), `rate` and `burst` (requests) and `total` (items by list)."""
        self._ask("/_configure", settings)

    def counters(self) -> dict[str, float]:
        """Return what was requested since `configure`."""
        return self._ask("/_counters", {})

    def _ask(self, path: str, body: object) -> dict[str, float]:
        with urlopen(Request(self.url + path, orjson.dumps(body)), timeout=30) as answer:
            counted: dict[str, float] = orjson.loads(answer.read())
            return counted


@contextmanager
def running() -> Iterator[Server]:
    """Run a server in its own process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(serve())
