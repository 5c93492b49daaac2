"""A TCP server that sends exactly the bytes you give it, for replies that a proper HTTP server cannot send."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson

from thrive_async import ApiKey, ThriveClient

TENANT = "eu-west-2_Raw"
KEY = "raw-key"


@dataclass
class RawRequest:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """The number of its connection, from 1."""


Handler = Callable[[RawRequest, asyncio.StreamWriter], Awaitable[None]]


def reply(status: int = 200, body: object = None, *, length: int | None = None, **headers: str) -> bytes:
    """Make a whole reply. `body` is bytes or JSON."""
    content = body if isinstance(body, bytes) else orjson.dumps({} if body is None else body)
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(content) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


USER = reply(200, {"id": "507f1f77bcf86cd799439011"})
"""A user."""


async def close(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
    """End the connection instead of answering."""
    writer.close()


async def reset(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
    """Break the connection instead of answering."""
    linger(writer)
    writer.transport.abort()


async def hang(_request: RawRequest, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def linger(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def then_close(answer: bytes) -> Handler:
    """Answer, then close the connection unannounced."""

    async def handle(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    return handle


@dataclass
class RawServer:
    """Answers each request in turn, and repeats the last answer."""

    answers: list[bytes | Handler]
    tls: ssl.SSLContext | None = None
    requests: list[RawRequest] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def client(self, **overrides: Any) -> ThriveClient:
        arguments: dict[str, Any] = {"tenant_id": TENANT, "credentials": ApiKey(KEY), "base_url": self.base_url}
        return ThriveClient(**(arguments | overrides))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self.tls, backlog=1000)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        number = self.connections
        try:
            while not writer.is_closing():
                request = await self._read(reader, number)
                self.requests.append(request)
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def _read(self, reader: asyncio.StreamReader, connection: int) -> RawRequest:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _version = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return RawRequest(method, target, headers, body, connection)


def refused_port() -> int:
    """Return a port with no listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
