"""Sound replies to start from: what the sandbox answers, for every operation and every documented status."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from conformance_requests import basic, send, token
from conformance_table import CASES, ONLY_BY_FAULT, Ask, Case, good
from fuzz_inputs import STATUSES, packed
from fuzz_rule import fullest, reply_schema

from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox import Sandbox

# By hand: what a sandbox does not say.
HEADERS = [
    b"Retry-After: Thu, 01 Jan 2026 12:00:30 GMT\nDate: Thu, 01 Jan 2026 12:00:00 GMT\n\n{}",
    b"Retry-After: 7\nX-Request-Id: a-b-c\n\n",
    b"X-RateLimit-Reset: 1767268800\nContent-Type: text/html\n\n<html>",
    b"RateLimit-Reset: Thu, 31 Dec 2099 23:59:59 +9959\nX-Amzn-RequestId: r\n\n[]",
]
BODIES = [
    b"",
    b"null",
    b"[]",
    b'{"results": [], "pagination": {"totalResults": 12, "totalPages": "2", "page": 1, "perPage": 10}}',
    b'{"results": [{"id": "a"}], "pagination": {"totalResults": 1e3}}',
    b'{"message": {"memberOperations": {"left": {"success": {"count": 1, "entities": [{"reference": "E00001"}]}}}}}',
    b'{"success": {"count": 0}, "failure": {"count": 1, "entities": [{"reference": "nobody", "reason": "already"}]}}',
    b'{"errors": ["a"], "detail": "b", "error": 5}',
    b'{"access_token": "t", "expires_in": "3600"}',
]


async def replies(cases: Iterable[Case]) -> list[tuple[str, int, bytes]]:
    """Ask a sandbox and note operation, status and body of what it answers."""
    found = []
    for case in cases:
        async with Sandbox(users=20, seed=1, **case.settings) as sandbox:
            ask = good(case.operation, sandbox.state)
            case.change(ask, sandbox.state)
            if case.fault is not None:
                sandbox.faults.add(**case.fault)
            answer = await send(sandbox, case.operation, ask, basic(sandbox.tenant_id, sandbox.tokens.api_key))
            found.append((case.operation, answer.status, answer.raw))
    return found


async def sound_replies() -> list[tuple[str, int, bytes]]:
    """One sound reply of each operation, lists shortened."""
    found = []
    async with Sandbox(users=20, seed=1) as sandbox:
        authorization = basic(sandbox.tenant_id, sandbox.tokens.api_key)
        for operation in OPERATIONS.values():
            if operation.method == "GET":
                answer = await send(sandbox, operation.id, good(operation.id, sandbox.state), authorization)
                found.append((operation.id, answer.status, _shortened(answer.raw)))
        answer = await token(sandbox)
        found.append(("createAccessToken", answer.status, answer.raw))
    # A sandbox for each write: what one takes away, another could not change.
    writes = [one.id for one in OPERATIONS.values() if one.method != "GET" and one.id != "createAccessToken"]
    return found + await replies(Case(operation, "200") for operation in writes)


def _shortened(body: bytes, most: int = 3) -> bytes:
    """Keep a few items of a list: more of the same teach a fuzzer nothing."""
    document: Any = orjson.loads(body) if body else None
    if isinstance(document, dict) and isinstance(document.get("results"), list):
        document["results"] = document["results"][:most]
    elif isinstance(document, list):
        document = document[:most]
    else:
        return body
    return orjson.dumps(document)


def inputs() -> Iterator[bytes]:
    """Yield the first inputs of the fuzzer."""
    found = asyncio.run(sound_replies()) + asyncio.run(replies(_refusals()))
    for operation, status, body in dict.fromkeys(found):
        if status in STATUSES:
            yield packed(operation, status, _shortened(body) if status < 300 else body)
    for operation in OPERATIONS:
        for body in BODIES:
            yield packed(operation, 200, body)
        pointer = reply_schema(operation)
        if pointer is not None:
            yield packed(operation, 200, orjson.dumps(fullest(pointer)))
    for operation in ("getUser", "updateAudience", "createAccessToken", "addMembers"):
        for body in BODIES:
            yield packed(operation, 422, body)
    for head in HEADERS:
        yield bytes([0, STATUSES.index(429), 0xF0]) + head


def _refusals() -> Iterator[Case]:
    """Choose one case of each operation and refusing status."""
    seen = set()
    for case in [*CASES, *ONLY_BY_FAULT]:
        key = (case.operation, case.status, str(case.settings.get("refused_move_shape")))
        if not case.status.startswith("2") and case.status not in ("401", "403", "429") and key not in seen:
            seen.add(key)
            yield case


__all__ = ["Ask", "inputs", "replies", "sound_replies"]
