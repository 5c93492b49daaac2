"""Cancelling a task at its k-th await, and looking at what it leaves behind."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any, Literal

import aiohttp

import thrive_async
from thrive_async import ThriveClient

When = Literal["while it waits", "as it is woken"]


class Stepped:
    """Awaits something, and has its own task cancelled at the k-th time it suspends."""

    def __init__(self, awaitable: Awaitable[Any], step: int, when: When) -> None:
        self._awaitable, self._step, self._when = awaitable, step, when
        self.steps = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._awaitable.__await__()
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                waits_for = inner.send(value) if error is None else inner.throw(error)
            except StopIteration as stop:
                return stop.value
            self.steps += 1
            if self.steps == self._step:
                if self._when == "while it waits" or waits_for is None:
                    loop.call_soon(task.cancel)
                else:
                    # After the wake-up of the task itself: its result is there and is lost.
                    loop.call_soon(waits_for.add_done_callback, lambda _: task.cancel())
            value = error = None
            try:
                value = yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - handed on
                error = thrown


def left_tasks() -> list[asyncio.Task[Any]]:
    """Tasks of the SDK's or of aiohttp's client that still run."""
    ours, aiohttps = (str(Path(package.__file__).parent) for package in (thrive_async, aiohttp))
    left = []
    for task in asyncio.all_tasks():
        code = getattr(task.get_coro(), "cr_code", None)
        name = "" if code is None else code.co_filename
        sandbox = name.startswith((f"{ours}/sandbox", f"{aiohttps}/web"))
        if name.startswith((ours, aiohttps)) and not sandbox:
            left.append(task)
    return left


async def settle() -> None:
    """Give closed connections and finalised generators their few turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)


def assert_clean(thrive: ThriveClient) -> None:
    """No task, no slot, no place in the row, no time limit, no connection in use."""
    transport: Any = thrive._transport
    assert left_tasks() == []
    assert not transport._deadlines.under_way
    assert not transport._session._opening.locked()
    assert transport._gate.free == transport.limits.concurrency
    assert not transport._gate.waiting
    lock = getattr(transport._authorizer, "_lock", None)
    assert lock is None or not lock.locked()
    session = transport._session._session
    if session is not None:
        assert not session.connector._acquired
        assert not session.connector._waiters


async def cancel_everywhere(
    begin: Callable[[], Awaitable[Any]], check: Callable[[], Awaitable[None]], when: When
) -> int:
    """Run something again and again, cancelled at its first await, its second ...; return how many there are."""
    step = 0
    while True:
        step += 1
        stepped = Stepped(begin(), step, when)

        async def run(stepped: Stepped = stepped) -> Any:
            return await stepped

        task = asyncio.ensure_future(run())
        await asyncio.wait([task])
        await settle()
        await check()
        if not task.cancelled():
            if task.exception() is not None:
                raise task.exception()  # type: ignore[misc]
            if stepped.steps < step:
                return step - 1
