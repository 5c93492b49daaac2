"""Bytes that stand for a whole reply, its target and its headers: what a fuzzer mutates."""

from collections.abc import Mapping
from typing import Final

from fuzz_target import TARGETS, check
from multidict import CIMultiDict

_HEADERS_OF_TIME: Final = ("Retry-After", "X-RateLimit-Reset", "RateLimit-Reset", "Date")
STATUSES: Final = (200, 200, 201, 207, 422, 404, 400, 401, 409, 429, 500, 503, 202, 302, 418, 599, 451, 403)
HEADER_SETS: Final[tuple[Mapping[str, str], ...]] = (
    {"Content-Type": "application/json; charset=utf-8"},
    {},
    {"Content-Type": "text/html; charset=utf-16"},
    {"Content-Type": "application/json", "Retry-After": "7", "X-Request-Id": "r-1"},
)
_HEAD: Final = 3


def packed(target: str, status: int, body: bytes) -> bytes:
    """Write an input of the fuzzer: target, status, headers, body."""
    return bytes([TARGETS.index(target), STATUSES.index(status), 0]) + body


def check_bytes(data: bytes) -> str:
    """Check one input of the fuzzer; a header byte from 0xF0 on makes the first lines of the body headers."""
    if len(data) < _HEAD:
        return "done"
    target = TARGETS[data[0] % len(TARGETS)]
    status = STATUSES[data[1] % len(STATUSES)]
    headers, body = HEADER_SETS[data[2] % len(HEADER_SETS)], data[_HEAD:]
    if data[2] >= 0xF0:
        head, _, body = body.partition(b"\n\n")
        headers = headers_of(head)
    return check(target, status, headers, body)


def headers_of(head: bytes) -> CIMultiDict[str]:
    """Read header lines as leniently as aiohttp's parser; a line without a colon becomes a header of time."""
    found: CIMultiDict[str] = CIMultiDict()
    for at, line in enumerate(head.split(b"\n")[:20]):
        name, colon, value = line.decode("utf-8", "surrogateescape").partition(":")
        if not colon:
            name, value = _HEADERS_OF_TIME[at % 4], name
        value = "".join(char for char in value if char >= " " or char == "\t")
        found.add(name.strip() or _HEADERS_OF_TIME[at % 4], value.strip())
    return found
