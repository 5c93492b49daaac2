"""Hostile replies over a real socket: bodies without end, compressed bombs, and HTTP that is none."""

import asyncio
import gzip
import random
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any, Self

import orjson
import pytest
from raw_server import Handler, RawRequest, RawServer, reply

from thrive_async import APIError, DecodeError, Limits, Retry, ThriveClient, ThriveError, Timeouts
from thrive_async import models as m
from thrive_async.sandbox import VirtualClock

LIMIT = 1_000_000
LIMITS = Limits(max_reply_bytes=LIMIT)
HUGE = 100_000_000
# What client, server and the system between them may hold of a body that nobody reads any more.
IN_FLIGHT = 16_000_000


class Peak:
    """The most memory that Python held inside of a `with`, in bytes."""

    bytes = 0

    def __enter__(self) -> Self:
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


@pytest.mark.parametrize("status", [200, 422, 503])
async def test_of_100_megabytes_little_more_than_the_limit_is_read(status: int) -> None:
    """Also of a refusal; and nobody asks again for what will be too large again."""
    written = 0

    async def huge(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(f"HTTP/1.1 {status} Status\r\nContent-Length: {HUGE}\r\n\r\n".encode())
        while written < HUGE and not writer.is_closing():
            writer.write(b" " * 65_536)
            written += 65_536
            await writer.drain()

    async with RawServer([huge]) as server, server.client(limits=LIMITS) as thrive:
        with (
            Peak() as peak,
            pytest.raises(DecodeError, match=r"larger than Limits\.max_reply_bytes = 1,000,000") as raised,
        ):
            await thrive.users.get("u1")
    assert (raised.value.operation, raised.value.path) == ("getUser", "$")
    assert written < LIMIT + IN_FLIGHT
    assert peak.bytes < LIMIT + IN_FLIGHT
    assert len(server.requests) == 1


async def test_the_limit_itself_is_still_read() -> None:
    body = b'{"id":"a"' + b" " * (LIMIT - 10) + b"}"
    assert len(body) == LIMIT
    async with RawServer([reply(200, body), reply(200, body + b" ")]) as server, server.client(limits=LIMITS) as thrive:
        assert (await thrive.tags.get("a")).id == "a"
        with pytest.raises(DecodeError, match="larger than"):
            await thrive.tags.get("a")


def _bomb(encoding: str) -> bytes:
    """200 MB of zeros, or as many small members one after the other, in a body that is a thousandth of it."""
    if encoding == "gzip members":
        return gzip.compress(bytes(1_000_000), 9) * 200
    if encoding == "br":
        brotli: Any = pytest.importorskip("brotli")
        made: bytes = brotli.compress(bytes(200_000_000), quality=4)
        return made
    if encoding == "zstd":
        zstd: Any = pytest.importorskip("backports.zstd")
        return bytes(zstd.compress(bytes(200_000_000)))
    return gzip.compress(bytes(200_000_000), 1) if encoding == "gzip" else zlib.compress(bytes(200_000_000), 1)


@pytest.mark.parametrize("status", [200, 422])
@pytest.mark.parametrize("encoding", ["gzip", "gzip members", "deflate", "br", "zstd"])
async def test_no_compressed_bomb_goes_off(encoding: str, status: int) -> None:
    bomb = reply(status, _bomb(encoding), Content_Encoding=encoding.partition(" ")[0])
    async with RawServer([bomb]) as server, server.client(limits=LIMITS) as thrive:
        with Peak() as peak, pytest.raises(DecodeError, match="larger than"):
            await thrive.users.get("u1")
    assert peak.bytes < 10_000_000
    assert len(server.requests) == 1


async def test_a_body_compressed_twice_is_no_json(clock: VirtualClock) -> None:
    """HTTP allows it, aiohttp does not undo it, and nobody takes the inner bytes for the answer."""
    twice = reply(200, gzip.compress(gzip.compress(b'{"id":"a"}')), Content_Encoding="gzip, gzip")
    async with RawServer([twice]) as server, server.client() as thrive:
        with pytest.raises(ThriveError):
            await thrive.users.get("u1")


BODY = orjson.dumps({"id": "a", "tag": "b" * 50})


def _replies() -> Iterator[bytes]:
    """Whole replies, plain, compressed, chunked, until the end of the connection; and odd ones."""
    bodies = {"identity": BODY, "gzip": gzip.compress(BODY), "deflate": zlib.compress(BODY), "br": BODY, "zstd": BODY}
    for encoding, body in bodies.items():
        head = f"Content-Type: application/json\r\nContent-Encoding: {encoding}\r\n".encode()
        yield b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        yield (
            b"HTTP/1.1 200 OK\r\n"
            + head
            + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body)
            + body
            + (b"\r\n0\r\n\r\n")
        )
        yield b"HTTP/1.0 200 OK\r\n" + head + b"\r\n" + body
    yield b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
    yield b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    yield b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nabcde"
    yield b"HTTP/1.1 304 Not Modified\r\n\r\n"
    yield b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Expires=x\r\nContent-Type: x; charset=y\r\nContent-Length: -1\r\n\r\n"
    yield b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n"
    yield b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="\r\nContent-Length: 0\r\n\r\n'
    yield b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}"


REPLIES = list(_replies())
PARTS = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"0", b"-1", b"1f", b"\xff", b"99999999999999999999", b"A" * 9000),
    *(b"HTTP/1.1 ", b"HTTP/9.9 ", b"X: y\r\n" * 200, b"Content-Length: 3\r\n", b"Content-Length: 4\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"Connection: close\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"Retry-After: \xff\r\n"),
]


def _damaged(chance: random.Random) -> bytes:
    made = bytearray(chance.choice(REPLIES))
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(6):
            case 0 if made:
                made[min(at, len(made) - 1)] = chance.randrange(256)
            case 1:
                made[at:at] = chance.choice(PARTS)
            case 2:
                del made[at : at + chance.randrange(20)]
            case 3:
                del made[at:]
            case 4:
                made += chance.choice(REPLIES)
            case _:
                line_end = made.find(b"\r\n") + 2
                made[line_end:line_end] = chance.choice([part for part in PARTS if part.endswith(b"\r\n")])
    return bytes(made)


def _in_two_pieces(answer: bytes, chance: random.Random) -> Handler:
    cut = chance.randrange(len(answer) + 1)
    stays_open = chance.random() < 0.1

    async def handle(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        for piece in (answer[:cut], answer[cut:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if not stays_open:
            writer.close()

    return handle


async def _made(thrive: ThriveClient) -> m.Tag | ThriveError:
    try:
        return await thrive.tags.get("a")
    except ThriveError as error:
        return error


@pytest.mark.parametrize("seed", range(8))
async def test_http_that_is_damaged_anywhere_is_an_error_of_ours(seed: int, clock: VirtualClock) -> None:
    """Whatever bytes come: a model or a ThriveError, and nothing that the loop must complain of."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    for number in range(50):
        chance = random.Random(seed * 1000 + number)
        answer = _damaged(chance)
        async with (
            RawServer([_in_two_pieces(answer, chance)]) as server,
            server.client(
                timeouts=Timeouts(attempt=2, total=5),
                retry=Retry(max_attempts=1),
                limits=Limits(max_reply_bytes=10_000),
            ) as thrive,
        ):
            made = await _made(thrive)
        if isinstance(made, ThriveError):
            assert "\n" not in str(made), answer
            assert not isinstance(made, APIError) or not 200 <= made.status < 300, answer
        else:
            assert type(made) is m.Tag, answer
            assert type(made.id) is str, answer
        assert not complaints, answer
