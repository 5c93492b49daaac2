"""What a client tells its hooks and its log: of each wait, attempt and call, truly, and nothing of a person."""

import asyncio
import logging
import time
from typing import Any

import pytest
from raw_server import TENANT, RawServer, hang, reply

from thrive_async import Hooks, Limits, RequestTimeout, Retry, ThriveClient, Timeouts
from thrive_async.hooks import AttemptEvent, CallEvent, WaitEvent, correlation_id
from thrive_async.sandbox import VirtualClock

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


@pytest.mark.parametrize("kind", ["sync", "async", "not even callable as one"])
async def test_a_hook_cannot_break_a_call(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async def bad_later(event: object) -> None:
        await asyncio.sleep(0)
        raise LookupError("jane@example.org")

    def bad(event: object) -> None:
        raise LookupError("jane@example.org")

    hook: Any = {"sync": bad, "async": bad_later}.get(kind, lambda: None)
    async with RawServer([USER]) as server:
        async with server.client(hooks=Hooks(on_wait=hook, on_attempt=hook, on_call=hook)) as thrive:
            await thrive.users.get("u1")
        await asyncio.sleep(0.01)
    told = {record.getMessage() for record in caplog.records}
    assert told == {f"a hook raised {'LookupError' if 'sync' in kind else 'TypeError'}, which is ignored"}


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
