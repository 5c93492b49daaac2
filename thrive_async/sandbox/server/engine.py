"""Turn a request into its answer: journal, faults, rate limit, authentication, checks, handler, reply."""

import asyncio
import contextlib
import logging
import math
import socket
import struct
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from thrive_async._generated.operations import Operation
from thrive_async.sandbox.handlers import HANDLERS
from thrive_async.sandbox.handlers.replies import Call, Refusal, Reply, error_body
from thrive_async.sandbox.server.faults import Fault, Faults, encoded, error_reply
from thrive_async.sandbox.server.journal import Journal, RequestEntry
from thrive_async.sandbox.server.routing import allowed, match
from thrive_async.sandbox.server.specification import Specification
from thrive_async.sandbox.server.tokens import TOKEN_OPERATION, Tokens
from thrive_async.sandbox.settings import Settings
from thrive_async.sandbox.state.state import State

__all__ = ["Engine", "RateLimit"]

_LOG: Final = logging.getLogger("thrive_async.sandbox")
_JSON: Final = "application/json; charset=utf-8"


class RateLimit:
    """A token bucket on the loop's clock: a number of requests per second, and a number at once."""

    def __init__(self, rate: float, burst: int | None, now: float) -> None:
        self.rate = rate
        self.burst: int = burst or max(1, math.ceil(rate))
        self._tokens = float(self.burst)
        self._at = now

    def take(self, now: float) -> float:
        """Take a token.

        Returns:
            Zero, or the seconds until the next token.
        """
        self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.rate)
        self._at = now
        # Rounding must not refuse a client that waited exactly as long as asked.
        if self._tokens >= 1 - 1e-6:
            self._tokens = max(0.0, self._tokens - 1)
            return 0.0
        return (1 - self._tokens) / self.rate

    @property
    def left(self) -> int:
        """Whole tokens in the bucket."""
        return int(self._tokens)


class Engine:
    """Answers the requests of one sandbox.

    Attributes:
        violations: Replies that broke the specification, each with its operation and place.
    """

    def __init__(
        self,
        *,
        state: State,
        settings: Settings,
        faults: Faults,
        journal: Journal,
        tokens: Tokens,
        specification: Specification,
        check_replies: bool,
    ) -> None:
        self._state = state
        self._settings = settings
        self._faults = faults
        self._journal = journal
        self._tokens = tokens
        self._specification = specification
        self._check_replies = check_replies
        self._limit: RateLimit | None = None
        self.violations: list[str] = []
        self._time: Callable[[], float] = lambda: 0.0

    def begin(self) -> None:
        """Take the running loop's time. The sandbox calls this when it starts."""
        # Look it up each time, because a virtual clock may be installed later.
        loop = asyncio.get_running_loop()
        self._time = lambda: loop.time()  # noqa: PLW0108
        if self._settings.rate_limit is not None:
            self._limit = RateLimit(self._settings.rate_limit, self._settings.rate_burst, loop.time())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path, _, query = request.raw_path.partition("?")
        routed = match(request.method, path)
        entry = RequestEntry(
            operation=routed[0].id if routed else None,
            method=request.method,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            headers={
                name.lower(): value
                for name, value in request.headers.items()
                if name.lower() not in ("authorization", "cookie", "proxy-authorization")
            },
            at=self._time(),
        )
        try:
            entry.raw = await request.read() if request.can_read_body else b""
        except web.HTTPRequestEntityTooLarge:
            self._journal.add(entry)
            return self._respond(entry, _refusal_reply(413, "The body is too large."))
        self._journal.add(entry)
        if routed is None:
            return self._respond(entry, _unrouted(path))
        if routed[0].id == "updateAudience" and self._settings.audience_patch not in (
            "both",
            "slash" if path.endswith("/") else "bare",
        ):
            return self._respond(entry, _refusal_reply(404, "There is no such endpoint."))
        return await self._operate(request, entry, query, *routed)

    async def _operate(
        self, request: web.Request, entry: RequestEntry, query: str, operation: Operation, values: dict[str, str]
    ) -> web.StreamResponse:
        faults = self._faults
        delay = self._settings.latency
        if faults:
            delay += faults.delay(operation)
        if delay > 0:
            await asyncio.sleep(delay)
        limited = self._limited()
        if limited is not None:
            return self._respond(entry, limited)
        fault = faults.before(operation) if faults else None
        if fault is not None:
            entry.faults.append(fault.kind)
            if fault.kind == "close_before":
                return _hang_up(request, fault)
            return self._respond(entry, error_reply(fault))
        reply = self._answer(request, entry, query, operation, values)
        fault = faults.after(operation) if faults else None
        if fault is None:
            return self._respond(entry, reply)
        entry.faults.append(fault.kind)
        return await self._spoil(request, entry, reply, fault)

    def _answer(
        self, request: web.Request, entry: RequestEntry, query: str, operation: Operation, values: dict[str, str]
    ) -> Reply:
        """The reply to a request that reached its operation, checked if `check_replies` is on."""
        try:
            reply = self._work(request, entry, query, operation, values)
        except Refusal as refusal:
            reply = refusal.reply()
        except Exception as error:  # noqa: BLE001 - a bug of the sandbox is answered, not a dropped connection
            # Log the place only: the message may quote personal data from the request.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            _LOG.error("the sandbox failed on %s: %s", operation.id, place)
            self.violations.append(f"{operation.id}: {place}")
            return _refusal_reply(500, f"The sandbox failed on {operation.id}: {place}")
        if reply.status < 300 and operation.method not in ("GET", "DELETE") and operation.id != TOKEN_OPERATION:
            match self._settings.write_reply:
                case "message":
                    return Reply(reply.status, b'{"status":200,"message":"Done."}')
                case "empty":
                    return Reply(reply.status)
                case "no_content":
                    return Reply(204)
                case _:
                    pass
        if self._check_replies and not self._deviates(operation):
            wrong = self._specification.check_reply(operation, reply.status, reply.body)
            if wrong is not None:
                self.violations.append(f"{operation.id} {reply.status}: {wrong}")
                return _refusal_reply(
                    500, f"The reply breaks the specification: {operation.id} {reply.status}: {wrong}"
                )
        return reply

    def _work(
        self, request: web.Request, entry: RequestEntry, query: str, operation: Operation, values: dict[str, str]
    ) -> Reply:
        now = self._time()
        authorization = request.headers.get("Authorization")
        if operation.id == TOKEN_OPERATION:
            if query:
                return self._tokens.refuse(400, "invalid_request", "The token endpoint takes no query.")
            headers = {**entry.headers, "authorization": authorization or ""}
            return self._tokens.issue(values["tenantId"], headers, entry.raw, now)
        if self._faults and (authorization or "").lower().startswith("bearer "):
            fault = self._faults.take(("expired_token", "revoked_token"), operation)
            if fault is not None:
                entry.faults.append(fault.kind)
                self._tokens.revoke(authorization if fault.kind == "expired_token" else None)
        self._tokens.check(authorization, operation, now)
        specification = self._specification
        specification.read_path(operation, values)
        call = Call(
            operation=operation,
            path=values,
            query=specification.read_query(operation, query, clamp=self._settings.per_page_clamp),
            body=specification.read_body(operation, request.headers.get("Content-Type", ""), entry.raw),
            state=self._state,
            settings=self._settings,
            fault=partial(self._fault_details, operation) if self._faults else None,
        )
        return HANDLERS[operation.id](call)

    def _fault_details(self, operation: Operation, kind: str, names: frozenset[str]) -> Mapping[str, Any] | None:
        fault = self._faults.take((kind,), operation, names)
        return None if fault is None else fault.details

    def _limited(self) -> Reply | None:
        if self._limit is None:
            return None
        wait = self._limit.take(self._time())
        if not wait:
            return None
        reply = _refusal_reply(429, "Too many requests, wait and back off.")
        match self._settings.rate_limit_headers:
            case "retry-after":
                return Reply(429, reply.body, {"Retry-After": str(math.ceil(wait))})
            case "x-ratelimit":
                return Reply(
                    429,
                    reply.body,
                    {
                        "X-RateLimit-Limit": str(self._limit.burst),
                        "X-RateLimit-Remaining": str(self._limit.left),
                        "X-RateLimit-Reset": str(math.ceil(wait)),
                    },
                )
            case _:
                return reply

    def _deviates(self, operation: Operation) -> bool:
        """Return whether a setting makes the operation's replies differ from the document."""
        settings = self._settings
        if operation.id == TOKEN_OPERATION:
            return settings.token_expires_in == "string" or settings.token_reply == "camel"  # noqa: S105
        if operation.paging != "none" and (settings.totals == "absent" or settings.largest_page is not None):
            return True
        if operation.id in ("removeMember", "removeManager"):
            return settings.remove_reply == 207
        return (operation.id == "listTags" and settings.tags_shape == "array") or (
            operation.path.startswith("/rest/v2/") and settings.v2_error_shape == "v2"
        )

    # Answers

    def _respond(self, entry: RequestEntry, reply: Reply) -> web.Response:
        entry.status = reply.status
        self._journal.settle(entry, success=reply.status < 400)
        return web.Response(status=reply.status, body=reply.body or None, headers=self._headers(reply))

    def _headers(self, reply: Reply) -> dict[str, str]:
        headers = {"x-request-id": f"sandbox-{self._journal.total}"}
        if reply.body:
            headers["Content-Type"] = _JSON
        headers.update(reply.headers)
        return headers

    async def _spoil(self, request: web.Request, entry: RequestEntry, reply: Reply, fault: Fault) -> web.StreamResponse:
        """Send a finished reply, with whatever a fault does to it."""
        details: dict[str, Any] = fault.details
        match fault.kind:
            case "close_after":
                return _hang_up(request, fault)
            case "status" | "html":
                return self._respond(entry, error_reply(fault))
            case "cut_body":
                return await self._cut(request, reply, details["keep"])
            case "not_json":
                body = b'{"results": [oops'
            case "wrong_shape":
                body = encoded(details["body"])
            case _:
                body = b""
        entry.status = details["status"]
        return web.Response(
            status=details["status"], body=body, headers={**self._headers(reply), "Content-Type": _JSON}
        )

    async def _cut(self, request: web.Request, reply: Reply, keep: float) -> web.StreamResponse:
        """Send headers for the whole body, then part of it, then close the connection."""
        body = reply.body or b"{}"
        response = web.StreamResponse(status=reply.status, headers={**self._headers(reply), "Content-Type": _JSON})
        response.content_length = len(body)
        # The client may be gone by now, and aiohttp would log a traceback as if the sandbox had failed.
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await response.write(body[: min(len(body) - 1, int(len(body) * keep))])
        if request.transport is not None:
            request.transport.close()
        return response


def _refusal_reply(status: int, message: str) -> Reply:
    return Reply(status, orjson.dumps(error_body(status, message)))


def _unrouted(path: str) -> Reply:
    verbs = allowed(path)
    if verbs:
        phrase = HTTPStatus.METHOD_NOT_ALLOWED.phrase
        return Reply(405, orjson.dumps(error_body(405, phrase)), {"Allow": ", ".join(verbs)})
    return _refusal_reply(404, "There is no such endpoint.")


def _hang_up(request: web.Request, fault: Fault) -> web.Response:
    """Close the connection without an answer."""
    transport = request.transport
    if transport is not None:
        if fault.details["reset"]:
            # With a linger time of zero, the system sends a reset instead of an orderly end.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort() if fault.details["reset"] else transport.close()
    return web.Response()
