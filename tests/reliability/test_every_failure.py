"""Every operation x every failure: repeated or not, how often, after how long; counted at the server."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from calls import CALLS
from raw_server import Handler, RawRequest, RawServer, close, hang, refused_port, reply, reset, then_close

from thrive_async import (
    APIError,
    ClientCredentials,
    ConnectionFailed,
    DecodeError,
    Limits,
    NotFoundError,
    RequestTimeout,
    ResultUnknown,
    Retry,
    ServerError,
    ThriveClient,
    ThriveError,
    Timeouts,
)
from thrive_async import models as m
from thrive_async._generated.operations import OPERATIONS
from thrive_async.pagination import Paginator
from thrive_async.sandbox import Sandbox, VirtualClock

UNSAFE = {"createUser", "createAudience", "createAssignment"}
# An answer that nobody repeats, and that no operation takes for a success: it ends each case.
END = reply(418, {"status": 418, "error": "I'm a teapot", "message": "the end"})
TIMEOUTS = Timeouts(attempt=2, total=60)


def dated(seconds: float) -> bytes:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    then = now + timedelta(seconds=seconds)
    return reply(429, Retry_After=format_datetime(then, usegmt=True), Date=format_datetime(now, usegmt=True))


@dataclass
class Failure:
    """What goes wrong, and what it leads to."""

    answer: bytes | Handler
    safe: bool
    """Whether a call that may be repeated is."""
    unsafe: bool = False
    """Whether one that must not be repeated blindly is all the same, since nothing was done."""
    at_least: float = 0.25
    at_most: float = 0.5
    any_answer_is_done: bool = False
    confirms: bool = False
    """Whether it is a bare confirmation for a write, which was done then."""
    error: type[ThriveError] = APIError


HALF = reply(200, b'{"id": "5')
HTML = b"<!DOCTYPE html><html>gateway</html>"
REFUSED = {400: False, 401: False, 403: False, 404: False, 409: False, 418: False, 422: False, 501: False}

FAILURES: dict[str, Failure] = {
    "closed before the answer": Failure(close, safe=True, error=ConnectionFailed),
    "reset before the answer": Failure(reset, safe=True, error=ConnectionFailed),
    "no HTTP": Failure(then_close(b"SSH-2.0\r\n\r\n"), safe=True, error=ConnectionFailed),
    "cut in the headers": Failure(then_close(b"HTTP/1.1 200 OK\r\nContent-"), safe=True, error=ConnectionFailed),
    "cut in the body": Failure(then_close(reply(200, {"id": "1"}, length=99)), safe=True, error=ConnectionFailed),
    "no answer in time": Failure(hang, safe=True, at_least=2.25, at_most=2.51, error=RequestTimeout),
    "408": Failure(reply(408), safe=True),
    "429": Failure(reply(429), safe=True, unsafe=True, at_least=0.5, at_most=0.56),
    "429, seconds": Failure(reply(429, Retry_After="9"), safe=True, unsafe=True, at_least=9, at_most=9.06),
    "429, a date": Failure(dated(9), safe=True, unsafe=True, at_least=9, at_most=9.06),
    "429, X-RateLimit": Failure(reply(429, X_RateLimit_Reset="9"), safe=True, unsafe=True, at_least=9, at_most=9.06),
    "500": Failure(reply(500), safe=True, error=ServerError),
    "502": Failure(reply(502), safe=True, error=ServerError),
    "502, a page": Failure(reply(502, HTML, Content_Type="text/html"), safe=True, error=ServerError),
    "503": Failure(reply(503), safe=True, unsafe=True, error=ServerError),
    "503, seconds": Failure(reply(503, Retry_After="9"), safe=True, unsafe=True, at_least=9, at_most=9.06),
    "504": Failure(reply(504), safe=True, error=ServerError),
    "200, a page": Failure(reply(200, HTML), safe=True, any_answer_is_done=True, error=DecodeError),
    "200, half a body": Failure(HALF, safe=True, any_answer_is_done=True, error=DecodeError),
    "200, no body": Failure(reply(200, b""), safe=True, any_answer_is_done=True, confirms=True, error=DecodeError),
    "204": Failure(reply(204, b""), safe=True, any_answer_is_done=True, confirms=True, error=DecodeError),
    "200, other JSON": Failure(reply(200, 5), safe=False, any_answer_is_done=True, confirms=True, error=DecodeError),
    "302": Failure(reply(302, b"", Location="/elsewhere"), safe=False),
    **{str(status): Failure(reply(status), safe=False) for status in REFUSED},
}


def begin(operation: str, thrive: ThriveClient) -> Any:
    made = CALLS[operation].call(thrive)
    return made.first() if isinstance(made, Paginator) else made


async def outcome_of(operation: str, failure: Failure, clock: VirtualClock) -> tuple[ThriveError | None, list[float]]:
    """What the caller gets, and when each request came."""
    times: list[float] = []

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        times.append(clock.time())
        told = failure.answer if len(times) == 1 else END
        if isinstance(told, bytes):
            writer.write(told)
        else:
            await told(request, writer)

    error: ThriveError | None = None
    async with RawServer([answer]) as server, server.client(timeouts=TIMEOUTS) as thrive:
        try:
            await begin(operation, thrive)
        except ThriveError as raised:
            error = raised
    return error, times


def test_the_table_holds_every_operation_and_the_unsafe_ones_are_known() -> None:
    assert CALLS.keys() | {"createAccessToken"} == OPERATIONS.keys()
    assert {name for name, operation in OPERATIONS.items() if not operation.safe} - {"createAccessToken"} == UNSAFE


@pytest.mark.parametrize("name", FAILURES)
async def test_every_operation_meets_the_failure_as_the_design_says(name: str, clock: VirtualClock) -> None:
    failure = FAILURES[name]
    for operation in CALLS:
        error, times = await outcome_of(operation, failure, clock)
        if failure.any_answer_is_done and OPERATIONS[operation].any_answer:
            assert (error, len(times)) == (None, 1), operation
            continue
        if failure.confirms and OPERATIONS[operation].method != "GET":
            # The second request reads what was written, and here it is refused.
            assert error is None or isinstance(error, ResultUnknown), operation
            assert len(times) == 1 + (error is not None), operation
            continue
        repeated = failure.unsafe if operation in UNSAFE else failure.safe
        if operation == "updateAudience" and name in ("302", "403", "404"):
            # Its path is tried without the slash that the documents print.
            assert len(times) == 2
            continue
        assert len(times) == 1 + repeated, operation
        assert error is not None, operation
        if repeated:
            assert isinstance(error, APIError), operation
            assert (error.status, error.attempts) == (418, 2), operation
            assert failure.at_least <= times[1] - times[0] <= failure.at_most, operation
            # Of what was refused untouched nothing can have been done; of what was lost it is not known.
            assert error.maybe_applied is (not failure.unsafe and name != "408"), operation
        else:
            assert isinstance(error, failure.error), operation
            if operation in UNSAFE and failure.error in (ConnectionFailed, RequestTimeout):
                assert getattr(error, "maybe_applied", None) is True, operation


async def test_a_404_after_a_lost_answer_is_the_success_of_deletes_alone(clock: VirtualClock) -> None:
    for operation in CALLS.keys() - UNSAFE:
        for lost in (close, reply(502), HALF):
            async with RawServer([lost, reply(404)]) as server, server.client() as thrive:
                if OPERATIONS[operation].method == "DELETE" or (lost is HALF and OPERATIONS[operation].any_answer):
                    await begin(operation, thrive)
                    continue
                with pytest.raises(NotFoundError):
                    await begin(operation, thrive)
            # The path of an audience's update is tried without its slash, too.
            assert len(server.requests) == 2 + (operation == "updateAudience"), operation


@pytest.mark.parametrize("name", FAILURES)
async def test_the_token_endpoint_meets_the_failure_like_a_read(name: str, clock: VirtualClock) -> None:
    """A token whose answer was lost is asked for again, as often and after as long as any other call."""
    failure = FAILURES[name]
    times: list[float] = []

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        times.append(clock.time())
        assert request.target == "/oauth2/token/eu-west-2_Raw"
        told = failure.answer if len(times) == 1 else END
        if isinstance(told, bytes):
            writer.write(told)
        else:
            await told(request, writer)

    credentials = ClientCredentials("me", "secret", client_auth="basic")
    async with RawServer([answer]) as server, server.client(credentials=credentials, timeouts=TIMEOUTS) as thrive:
        with pytest.raises(ThriveError) as raised:
            await thrive.skills.levels()
    assert getattr(raised.value, "operation", None) == "createAccessToken"
    assert len(times) == 1 + failure.safe
    if failure.safe:
        assert isinstance(raised.value, APIError)
        assert (raised.value.status, raised.value.attempts) == (418, 2)
        assert failure.at_least <= times[1] - times[0] <= failure.at_most
    else:
        assert isinstance(raised.value, failure.error)


@pytest.mark.parametrize("times", [1, 2, 3, 7])
async def test_no_call_is_made_more_often_than_max_attempts(times: int, clock: VirtualClock) -> None:
    for operation in CALLS:
        retry = Retry(max_attempts=times, base_delay=0.1, max_delay=0.1)
        async with RawServer([reply(503)]) as server, server.client(retry=retry) as thrive:
            with pytest.raises(ServerError) as raised:
                await begin(operation, thrive)
        assert len(server.requests) == raised.value.attempts == times, operation


async def test_a_refused_connection_is_tried_again_for_every_operation(clock: VirtualClock) -> None:
    async with RawServer([]) as server:
        port = refused_port()
        for operation in CALLS:
            async with server.client(base_url=f"http://127.0.0.1:{port}") as thrive:
                with pytest.raises(ConnectionFailed) as raised:
                    await begin(operation, thrive)
            assert (raised.value.attempts, raised.value.maybe_applied) == (5, False), operation


async def assign(thrive: ThriveClient) -> Any:
    # What it is for is found by calls of their own, which are not counted.
    audience, content = await thrive.audiences.get("sales-emea"), await thrive.contents.list().first()
    assert content is not None
    return await thrive.assignments.create(m.AssignmentCreate(audience_id=audience.id, content_id=content.id))


async def test_an_answer_once_lost_is_not_forgotten_by_later_attempts(clock: VirtualClock) -> None:
    """The first request is lost and then nobody listens any more: what was asked may have been done all the same."""
    for operation in CALLS.keys() - UNSAFE:
        server = RawServer([])

        async def close_for_good(
            _request: RawRequest, writer: asyncio.StreamWriter, server: RawServer = server
        ) -> None:
            assert server._server is not None
            server._server.close()
            writer.close()

        server.answers = [close_for_good]
        async with server, server.client(retry=Retry(max_attempts=3)) as thrive:
            with pytest.raises(ConnectionFailed, match="cannot connect") as raised:
                await begin(operation, thrive)
        assert (len(server.requests), raised.value.attempts, raised.value.maybe_applied) == (1, 3, True), operation


CREATES: dict[str, tuple[Callable[[ThriveClient], Any], Callable[[Sandbox], int]]] = {
    "createUser": (CALLS["createUser"].call, lambda s: len(s.state.users)),
    "createAudience": (CALLS["createAudience"].call, lambda s: len(s.state.audiences)),
    "createAssignment": (assign, lambda s: len(s.state.learning.assignments)),
}


@pytest.mark.parametrize("operation", CREATES)
@pytest.mark.parametrize("fault", ["close_after", "cut_body", "empty_body", "not_json"])
async def test_a_create_that_took_effect_is_there_once_whatever_became_of_the_answer(
    operation: str, fault: Any, clock: VirtualClock
) -> None:
    call, count = CREATES[operation]
    async with Sandbox(users=10, clock=clock) as sandbox, sandbox.client() as thrive:
        before = count(sandbox)
        sandbox.faults.add(fault, operation=operation)
        try:
            await call(thrive)
        except (ConnectionFailed, DecodeError):
            pass
        else:
            # A bare confirmation: what was made is read.
            assert fault == "empty_body"
        assert len(sandbox.requests.of(operation)) == 1
        assert count(sandbox) == before + 1


def test_every_unsafe_operation_is_a_create_whose_effect_is_counted() -> None:
    assert CREATES.keys() == UNSAFE


async def test_kept_alive_connections_that_die_under_many_requests_are_counted_attempts(clock: VirtualClock) -> None:
    """Every answer is followed by a silent close, so that each next request may find its connection dead.

    What the server saw must be what the calls say they sent: nothing was sent by aiohttp's own doing.
    """
    answered = then_close(reply(200, {"id": "1"}))
    attempts = 0
    async with RawServer([answered]) as server:
        limits, retry = Limits(concurrency=4), Retry(max_attempts=1)
        async with server.client(limits=limits, retry=retry) as thrive:

            async def one(number: int) -> None:
                nonlocal attempts
                method = "DELETE" if number % 2 else "GET"
                try:
                    await thrive.request(method, f"/rest/v1/user/{number}")
                    attempts += 1
                except ConnectionFailed as error:
                    attempts += error.attempts

            for start in range(0, 200, 20):
                await asyncio.gather(*(one(start + number) for number in range(20)))
        # A request that was written to a dead connection never reached the server; none reached it twice.
        targets = [request.target for request in server.requests]
        assert len(targets) == len(set(targets))
        assert len(targets) <= attempts == 200


async def test_an_unsafe_call_with_all_its_luck_against_it_takes_effect_once(clock: VirtualClock) -> None:
    """Refused, throttled, unavailable, and then done with the answer lost: five requests, one effect."""
    async with Sandbox(users=5, clock=clock) as sandbox, sandbox.client() as thrive:
        sandbox.faults.add("rate_limited", operation="createUser", retry_after=2)
        sandbox.faults.add("status", operation="createUser", status=503, times=2)
        sandbox.faults.add("rate_limited", operation="createUser")
        sandbox.faults.add("close_after", operation="createUser")
        user = m.UserCreate(ref="N-1", first_name="A", last_name="B", email="n@example.com")
        with pytest.raises(ConnectionFailed) as raised:
            await thrive.users.create(user)
        assert raised.value.attempts == len(sandbox.requests) == 5
        assert sandbox.state.find_user("N-1") is not None
