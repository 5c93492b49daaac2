"""What a client tells its hooks and its log: of each wait, attempt and call, truly, and nothing of a person."""

import asyncio
import logging
import time
from typing import Any

import pytest
from raw_server import TENANT, RawServer, hang, reply

from thrive_async import Hooks, Limits, NotFoundError, RequestTimeout, Retry, ThriveClient, Timeouts
from thrive_async.hooks import AttemptEvent, AttemptStart, CallEvent, WaitEvent, correlation_id
from thrive_async.sandbox import Sandbox, VirtualClock

USER = reply(200, {"id": "507f1f77bcf86cd799439011"}, X_Request_Id="r1")


@pytest.fixture(autouse=True)
def _virtual_time(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client tells is as long as the loop's time says."""
    monkeypatch.setattr(time, "perf_counter", clock.time)


class Told:
    """Keeps what the hooks are told."""

    def __init__(self) -> None:
        self.events: list[WaitEvent | AttemptEvent | CallEvent] = []
        self.hooks = Hooks(on_wait=self.events.append, on_attempt=self.events.append, on_call=self.events.append)

    @property
    def words(self) -> list[str]:
        return [
            f"waited {event.reason}"
            if isinstance(event, WaitEvent)
            else f"attempt {event.attempt}: {event.status or event.problem}"
            if isinstance(event, AttemptEvent)
            else f"call: {event.error or event.status}"
            for event in self.events
        ]


async def test_a_call_with_a_retry_tells_of_each_step(clock: VirtualClock) -> None:
    told = Told()
    correlation_id.set("c7")
    async with RawServer([reply(500), USER]) as server, server.client(hooks=told.hooks) as thrive:
        base_url = server.base_url
        await thrive.with_options(priority="bulk").users.get_by_ref("jane@example.org")
    assert told.words == ["attempt 1: 500", "waited pause", "attempt 2: 200", "call: 200"]
    pause, last = told.events[1], told.events[-1]
    assert isinstance(pause, WaitEvent)
    assert isinstance(last, CallEvent)
    assert (last.operation, last.method, last.path) == ("getUserByRef", "GET", "/rest/v1/users/ref/{ref}")
    assert (last.tenant, last.host, last.attempts) == (TENANT, base_url, 2)
    assert (last.priority, last.correlation_id, last.request_id) == ("bulk", "c7", "r1")
    assert 0 < pause.seconds == last.waited == last.seconds == clock.elapsed
    assert "jane" not in repr(told.events)


async def test_starts_are_told_before_what_ends_and_share_its_state() -> None:
    order: list[str] = []

    def note(event: Any) -> None:
        event.state.setdefault("order", []).append(type(event).__name__)
        order[:] = event.state["order"]

    hooks = Hooks(on_call_start=note, on_attempt_start=note, on_attempt=note, on_call=note)
    async with RawServer([reply(500), USER]) as server, server.client(hooks=hooks) as thrive:
        await thrive.users.get("u1")
        attempt = ["AttemptStart", "AttemptEvent"]
        assert order == ["CallStart", *attempt, *attempt, "CallEvent"]
        await thrive.users.get("u1")
        assert order == ["CallStart", *attempt, "CallEvent"]


async def test_a_hook_adds_headers_to_an_attempt_but_none_of_the_clients_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "thrive_async")

    def add(event: AttemptStart) -> None:
        event.headers.update({"X-Attempt": str(event.attempt), "X-Team": "hook", "Authorization": "x", "a b": "x"})

    hooks = Hooks(on_attempt_start=add)
    async with RawServer([reply(500), USER]) as server, server.client(hooks=hooks) as thrive:
        await thrive.with_options(headers={"x-team": "view"}).users.get("u1")
    sent = [(one.headers["x-attempt"], one.headers["x-team"]) for one in server.requests]
    assert sent == [("1", "view"), ("2", "view")]
    assert all(one.headers["authorization"].startswith("Basic ") for one in server.requests)
    assert {record.getMessage() for record in caplog.records} == {"a hook raised InvalidArgument, which is ignored"}


async def test_an_attempt_that_is_cancelled_is_told() -> None:
    told = Told()
    async with RawServer([hang]) as server, server.client(hooks=told.hooks) as thrive:
        task = asyncio.create_task(thrive.users.get("u1"))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [word for word in told.words if "waited" not in word] == [
        "attempt 1: it was interrupted",
        "call: CancelledError",
    ]
    assert isinstance(told.events[-2], AttemptEvent)
    assert told.events[-2].error == "CancelledError"


async def test_a_call_that_is_not_repeated_waited_for_nothing() -> None:
    """However long it takes to read the refusal."""
    told = Told()
    async with RawServer([reply(404, list(range(300_000)))]) as server, server.client(hooks=told.hooks) as thrive:
        with pytest.raises(NotFoundError):
            await thrive.users.get("u1")
    assert "waited pause" not in told.words


async def test_a_page_that_its_reader_does_not_want_yet_waits_for_nothing() -> None:
    told = Told()
    page = reply(200, {"results": [{"id": "507f1f77bcf86cd799439011"}], "pagination": {"totalResults": 9}})
    async with RawServer([page]) as server, server.client(hooks=told.hooks) as thrive:
        async for _page in thrive.users.list(per_page=1).pages():
            await asyncio.sleep(0.1)
            break
    assert "waited pause" not in told.words
    calls = [event for event in told.events if isinstance(event, CallEvent)]
    assert len(calls) == 5
    assert all(event.seconds < 0.1 for event in calls)


async def slots(thrive: ThriveClient, *timeouts: float | None) -> list[Any]:
    """Calls of a client with one slot, one after the other."""
    tasks = []
    for total in timeouts:
        tasks.append(asyncio.create_task(thrive.users.get("u1", timeouts=Timeouts(total=total))))
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_wait_for_a_slot_is_told_as_long_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "thrive_async")

    async def slow(_request: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)
        writer.write(USER)

    told = Told()
    async with (
        RawServer([USER, slow]) as server,
        server.client(hooks=told.hooks, limits=Limits(concurrency=1)) as thrive,
    ):
        await thrive.users.get("u1")
        told.events.clear()
        caplog.clear()
        await slots(thrive, None, None, None)
    waits = [event.seconds for event in told.events if isinstance(event, WaitEvent) and event.reason == "slot"]
    assert waits == [5, 10]
    calls = [(event.waited, event.seconds) for event in told.events if isinstance(event, CallEvent)]
    assert calls == [(0, 5), (5, 10), (10, 15)]
    logged = [record.getMessage() for record in caplog.records]
    assert sum("waited" in line and "for a slot or its turn" in line for line in logged) == 2
    assert sum("getUser: done after" in line for line in logged) == 2


async def test_a_call_that_dies_waiting_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "thrive_async")
    told = Told()
    async with RawServer([hang]) as server, server.client(hooks=told.hooks, limits=Limits(concurrency=1)) as thrive:
        holder = asyncio.create_task(thrive.users.get("u1"))
        await asyncio.sleep(1)
        late, gone = (
            asyncio.create_task(thrive.users.get("u2", timeouts=Timeouts(total=2))),
            asyncio.create_task(thrive.users.get("u3")),
        )
        with pytest.raises(RequestTimeout):
            await late
        gone.cancel()
        holder.cancel()
        await asyncio.gather(gone, holder, return_exceptions=True)
    ends = [event for event in told.events if isinstance(event, CallEvent)]
    assert sorted((event.error, event.attempts, event.waited, event.seconds) for event in ends) == [
        ("CancelledError", 0, 2, 2),
        ("CancelledError", 1, 0, 3),
        ("RequestTimeout", 0, 2, 2),
    ]
    assert told.words.count("waited slot") == 2
    logged = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("getUser: RequestTimeout after") and line.endswith("attempts 0") for line in logged)
    assert any(line.startswith("getUser: CancelledError after") for line in logged)


async def test_a_cool_down_is_told_as_one() -> None:
    told = Told()
    async with (
        RawServer([reply(429, Retry_After="9"), USER]) as server,
        server.client(hooks=told.hooks, retry=Retry(max_attempts=1, longest_pause=5)) as thrive,
    ):
        await asyncio.gather(thrive.users.get("u1"), return_exceptions=True)
        await thrive.users.get("u1")
    waits = [(event.reason, event.seconds) for event in told.events if isinstance(event, WaitEvent)]
    assert waits == [("cool-down", 5)]


@pytest.mark.parametrize("kind", ["sync", "async", "cancelled", "not even callable as one"])
async def test_a_hook_cannot_break_a_call(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "thrive_async")

    async def bad_later(event: object) -> None:
        await asyncio.sleep(0)
        raise LookupError("jane@example.org")

    def bad(event: object) -> None:
        raise LookupError("jane@example.org")

    def bad_future(event: object) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        future.result()

    hook: Any = {"sync": bad, "async": bad_later, "cancelled": bad_future}.get(kind, lambda: None)
    async with RawServer([USER]) as server:
        hooks = Hooks(on_call_start=hook, on_attempt_start=hook, on_wait=hook, on_attempt=hook, on_call=hook)
        async with server.client(hooks=hooks + hooks) as thrive:
            await thrive.users.get("u1")
        await asyncio.sleep(0.01)
    told = {record.getMessage() for record in caplog.records}
    error = {"cancelled": "CancelledError", "not even callable as one": "TypeError"}.get(kind, "LookupError")
    assert told == {f"a hook raised {error}, which is ignored"}


async def test_an_async_hook_does_not_make_the_call_wait() -> None:
    done = asyncio.Event()

    async def hook(event: CallEvent) -> None:
        await done.wait()

    async with RawServer([USER]) as server, server.client(hooks=Hooks(on_call=hook)) as thrive:
        await thrive.users.get("u1")
        done.set()
        await asyncio.sleep(0.01)


def test_a_hook_is_a_function() -> None:
    with pytest.raises(TypeError, match="on_call must be a function, not int"):
        Hooks(on_call=5)  # type: ignore[arg-type]


async def test_hooks_that_are_added_are_called_one_after_the_other() -> None:
    seen: list[str] = []
    first = Hooks(on_call=lambda _event: seen.append("first"), on_attempt=lambda _event: seen.append("attempt"))
    second = Hooks(on_call=lambda _event: seen.append("second"))
    async with RawServer([USER]) as server, server.client(hooks=first + second) as thrive:
        await thrive.users.get("u1")
    assert seen == ["attempt", "first", "second"]
    with pytest.raises(TypeError):
        first + 5  # type: ignore[operator]


async def test_the_request_for_a_token_is_told_without_a_call() -> None:
    seen: list[tuple[str, str, str]] = []

    def note(event: Any) -> None:
        seen.append((type(event).__name__, event.operation, event.priority))

    hooks = Hooks(on_call_start=note, on_attempt_start=note, on_attempt=note, on_call=note)
    async with Sandbox(users=1) as sandbox, sandbox.client(credentials=sandbox.oauth, hooks=hooks) as thrive:
        await thrive.with_options(priority="bulk").skills.levels()
    assert seen == [
        ("CallStart", "listSkillLevels", "bulk"),
        ("AttemptStart", "createAccessToken", "interactive"),
        ("AttemptEvent", "createAccessToken", "interactive"),
        ("AttemptStart", "listSkillLevels", "bulk"),
        ("AttemptEvent", "listSkillLevels", "bulk"),
        ("CallEvent", "listSkillLevels", "bulk"),
    ]
