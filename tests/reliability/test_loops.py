"""Life on the loop: nothing blocks it, nothing is left on it, and every kind of loop will do."""

import asyncio
import contextlib
import gc
import logging
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from blockbuster import BlockBuster
from raw_server import RawServer, hang, reply
from stepping import left_tasks, settle

from thrive_async import ApiKey, ConnectionFailed, Limits, NotFoundError, ThriveClient
from thrive_async.models import AudienceCreate
from thrive_async.sandbox import Sandbox, VirtualClock


async def a_bit_of_everything(sandbox: Sandbox, thrive: ThriveClient) -> None:
    """Reads, lists, writes, a batch, an error, concurrency."""
    users = await thrive.users.list(per_page=7).collect()
    assert len(users) == len(sandbox.state.users)
    await thrive.completions.list(per_page=5).collect(limit=20)
    await thrive.audiences.create(AudienceCreate(name="n", reference="n", parent_id="emea", category="audience"))
    result = await thrive.audiences.members.add("n", [user.id for user in users[:20]] + ["nobody@example.org"])
    assert result.is_partial
    await thrive.audiences.members.remove("n", users[0].id)
    with pytest.raises(NotFoundError):
        await thrive.users.get("0" * 24)
    async with asyncio.TaskGroup() as group:
        for user in users[:10]:
            group.create_task(thrive.users.get(user.id))
    async for user in thrive.users.list(per_page=3):
        if user.id == users[4].id:
            break
    await thrive.audiences.delete("n")


async def whole_life(**settings: Any) -> None:
    async with Sandbox(users=30, seed=1) as sandbox:
        async with sandbox.client(credentials=sandbox.oauth, **settings) as thrive:
            await a_bit_of_everything(sandbox, thrive)
        await settle()
        assert left_tasks() == []


# Nothing blocks the loop


async def test_nothing_blocks_the_loop() -> None:
    """Here with the sandbox on the same loop, which loads its own when it starts; see also test_first_use.py."""
    await whole_life()
    buster = BlockBuster()
    buster.activate()
    try:
        await whole_life()
    finally:
        buster.deactivate()


async def test_opening_with_a_ca_file_and_a_proxy_of_the_environment_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with pytest.raises(ConnectionFailed):
        await _call(ca_file)
    buster = BlockBuster()
    buster.activate()
    try:
        with pytest.raises(ConnectionFailed):
            await _call(ca_file)
    finally:
        buster.deactivate()


async def _call(ca_file: Path) -> None:
    from thrive_async import Retry

    retry = Retry(max_attempts=1)
    async with ThriveClient("t", ApiKey("k"), trust_env=True, ca_file=ca_file, retry=retry) as thrive:
        await thrive.skills.levels()


# Nothing is left behind


def run_strictly(main: Callable[[], Awaitable[None]], **runner: Any) -> None:
    """Run on a loop of its own in debug mode, with every warning an error and every complaint of the loop caught."""
    complaints: list[str] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(str(context)))
        asyncio.get_running_loop().slow_callback_duration = 60
        await main()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with asyncio.Runner(debug=True, **runner) as one:
            one.run(watched())
        gc.collect()
    assert complaints == []


def test_debug_mode_finds_nothing_to_complain_about() -> None:
    run_strictly(whole_life)


def test_an_interrupt_in_the_middle_of_everything_finds_nothing_to_complain_about() -> None:
    async def main() -> None:
        async with Sandbox(users=30, latency=0.01) as sandbox, sandbox.client() as thrive:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_later(0.03, task.cancel)
            await asyncio.gather(*(thrive.users.list(per_page=5).collect() for _ in range(5)))

    with contextlib.suppress(asyncio.CancelledError):
        run_strictly(main)


@pytest.mark.parametrize("stop", [1, 4, 5, 6, 14])
async def test_breaking_out_of_a_walk_leaves_no_task_and_no_connection_in_use(stop: int, clock: VirtualClock) -> None:
    async with Sandbox(users=60, clock=clock, latency=0.05) as sandbox, sandbox.client() as thrive:
        seen = 0
        async for _user in thrive.users.list(per_page=5):
            seen += 1
            if seen == stop:
                break
        await settle()
        assert left_tasks() == []
        session: Any = thrive._transport._session._session
        assert not session.connector._acquired
        # Nobody asked for pages far ahead: the one in hand and those of the prefetch.
        assert len(sandbox.requests) <= (stop - 1) // 5 + 1 + 4


async def test_an_exception_in_the_body_of_a_walk_leaves_no_task(clock: VirtualClock) -> None:
    async with Sandbox(users=60, clock=clock, latency=0.05) as sandbox, sandbox.client() as thrive:

        async def body() -> None:
            async for _user in thrive.users.list(per_page=5):
                raise LookupError

        with pytest.raises(LookupError) as kept:
            await body()
        await settle()
        assert left_tasks() == []
        assert kept.value.__traceback__ is not None


async def test_breaking_out_of_pages_leaves_no_task(clock: VirtualClock) -> None:
    async with Sandbox(users=60, clock=clock, latency=0.05) as sandbox, sandbox.client() as thrive:
        async for _page in thrive.users.list(per_page=5).pages():
            break
        await settle()
        assert left_tasks() == []


async def ids(thrive: ThriveClient) -> AsyncIterator[str]:
    """A generator of the user's, as a backend streams with."""
    async for user in thrive.users.list(per_page=5):
        yield user.id


HALF_DONE: dict[str, Callable[[ThriveClient], AsyncIterator[Any]]] = {
    "items": lambda thrive: aiter(thrive.users.list(per_page=5)),
    "items, one page at a time": lambda thrive: aiter(thrive.users.list(per_page=5, prefetch=1)),
    "pages": lambda thrive: thrive.users.list(per_page=5).pages(),
    "a generator of the user's": ids,
}


@pytest.mark.parametrize("kind", HALF_DONE)
def test_a_walk_that_is_kept_half_done_until_the_loop_ends_is_quiet(kind: str) -> None:
    """The client is closed under it, its pages on their way fail, and nobody ever asks for them."""
    kept: list[Any] = []

    async def main() -> None:
        async with Sandbox(users=60, latency=0.01) as sandbox:
            async with sandbox.client() as thrive:
                walk = HALF_DONE[kind](thrive)
                kept.append(walk)
                await anext(walk)
            await settle()

    run_strictly(main)
    kept.clear()


async def test_a_walk_may_be_closed_as_a_generator_may(clock: VirtualClock) -> None:
    async with Sandbox(users=60, clock=clock, latency=0.05) as sandbox, sandbox.client() as thrive:
        async with contextlib.aclosing(aiter(thrive.users.list(per_page=5))) as walk:  # type: ignore[type-var]
            await anext(walk)
        assert left_tasks() == []
        assert [user async for user in walk] == []


async def test_breaking_out_and_closing_at_once_is_quiet(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    async with Sandbox(users=60, clock=clock, latency=0.05) as sandbox:
        async with sandbox.client() as thrive:
            async for _user in thrive.users.list(per_page=5):
                break
        await settle()
        gc.collect()
        assert left_tasks() == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_failure_in_a_task_group_cancels_the_others_and_names_itself(clock: VirtualClock) -> None:
    async with RawServer([reply(404), hang]) as server, server.client() as thrive:
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(thrive.skills.levels())
        assert [type(error) for error in raised.value.exceptions] == [NotFoundError]
        await settle()
        assert left_tasks() == []
        assert clock.elapsed < 1


# Every kind of loop


def test_it_works_on_uvloop() -> None:
    run_strictly(whole_life, loop_factory=uvloop.new_event_loop)


def test_it_works_on_several_loops_in_a_row() -> None:
    for _ in range(3):
        run_strictly(whole_life)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_it_works_with_eager_tasks() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        await whole_life(limits=Limits(concurrency=3))

    run_strictly(main)


async def test_two_clients_on_one_loop_do_not_know_of_each_other(clock: VirtualClock) -> None:
    async with Sandbox(users=3, clock=clock) as sandbox:
        hasty, calm = sandbox.client(), sandbox.client()
        sandbox.faults.add("rate_limited", retry_after=30)
        slowed = asyncio.ensure_future(hasty.skills.levels())
        await asyncio.sleep(0.1)
        await calm.skills.levels()
        assert clock.elapsed < 1
        await slowed
        assert clock.elapsed >= 30
