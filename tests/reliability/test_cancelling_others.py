"""Cancelling at every await of one call, while others wait for the same things; and at every await of a whole life."""

import asyncio
import gc
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from raw_server import RawServer, hang, reply
from stepping import Stepped, When, assert_clean, cancel_everywhere, settle

from thrive_async import Limits, ThriveClient
from thrive_async.sandbox import Sandbox, VirtualClock

WHEN: list[When] = ["while it waits", "as it is woken"]


@pytest.fixture
async def clock() -> AsyncIterator[VirtualClock]:
    with VirtualClock(grace=0.001).installed() as installed:
        yield installed


async def walk(thrive: ThriveClient) -> None:
    async for _user in thrive.users.list(per_page=10):
        pass


# Whoever is cancelled, the others are not hurt


SHARED: dict[str, dict[str, Any]] = {
    "a session that is opened": {},
    "a token that is fetched": {"oauth": True},
    "one slot": {"limits": Limits(concurrency=1)},
    "one slot and a token": {"oauth": True, "limits": Limits(concurrency=1)},
    "a turn in the row": {"limits": Limits(concurrency=4, rate=5)},
    "a pause for all": {"refused": True},
    "a revoked token": {"oauth": True, "revoked": True},
}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("shared", SHARED)
async def test_whoever_is_cancelled_at_any_await_the_others_get_their_answers(
    shared: str, place: int, when: When, clock: VirtualClock
) -> None:
    """Be it who came first, and holds what the others want, or one in the middle of the row."""
    settings = dict(SHARED[shared])
    oauth, refused, revoked = (settings.pop(name, False) for name in ("oauth", "refused", "revoked"))
    async with Sandbox(users=3, clock=clock, latency=0.01) as sandbox:
        if oauth:
            settings["credentials"] = sandbox.oauth
        step = 0
        while True:
            step += 1
            sandbox.faults.clear()
            thrive = sandbox.client(**settings)
            if revoked:
                await thrive.skills.levels()
                sandbox.tokens.revoke()
            if refused:
                sandbox.faults.add("rate_limited", retry_after=3)
            stepped = Stepped(thrive.skills.levels(), step, when)

            async def hasty(stepped: Stepped = stepped) -> Any:
                return await stepped

            calls = [asyncio.ensure_future(hasty() if at == place else thrive.skills.levels()) for at in range(5)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            # What comes in the moment of the cancel may have been too late for it.
            assert isinstance(results.pop(place), list | asyncio.CancelledError)
            assert all(isinstance(one, list) for one in results), (step, results)
            await settle()
            assert_clean(thrive)
            await thrive.aclose()
            if stepped.steps < step:
                break
        assert step >= 3


# Every step of a life: opening with files and threads, TLS, closing


@pytest.mark.parametrize("when", WHEN)
async def test_cancelling_while_it_opens_and_shakes_hands_leaves_nothing(
    when: When, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a CA file and the proxies of the environment, which threads read, and TLS."""
    import ssl

    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    monkeypatch.setenv("no_proxy", "*")
    async with RawServer([reply(200, [])], tls=tls) as server:
        fresh: list[ThriveClient] = []

        async def begin() -> None:
            fresh.append(server.client(ca_file=ca_file, trust_env=True))
            assert await fresh[-1].skills.levels() == []

        async def check() -> None:
            thrive = fresh.pop()
            assert_clean(thrive)
            assert await thrive.skills.levels() == []
            assert_clean(thrive)
            await thrive.aclose()

        assert await cancel_everywhere(begin, check, when) >= 4


@pytest.mark.parametrize("when", WHEN)
async def test_a_whole_life_cancelled_at_any_await_closes_everything(when: When, clock: VirtualClock) -> None:
    """`async with` included: nothing is unclosed, and nobody has to close it again."""
    async with Sandbox(users=30, clock=clock) as sandbox:
        lives: list[ThriveClient] = []

        async def life() -> None:
            async with sandbox.client(credentials=sandbox.oauth) as thrive:
                lives.append(thrive)
                await walk(thrive)

        async def check() -> None:
            session: Any = lives.pop()._transport._session._session
            assert session is None or session.closed

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert await cancel_everywhere(life, check, when) >= 5
            gc.collect()


async def test_closing_that_is_cancelled_has_closed(clock: VirtualClock) -> None:
    for step in range(1, 4):
        async with RawServer([reply(200, []), hang]) as server:
            thrive = server.client()
            await thrive.skills.levels()
            call = asyncio.ensure_future(thrive.skills.levels())
            await asyncio.sleep(0.1)
            session: Any = thrive._transport._session._session
            stepped = Stepped(thrive.aclose(), step, "while it waits")

            async def closing(stepped: Stepped = stepped) -> None:
                await stepped

            await asyncio.gather(closing(), return_exceptions=True)
            await asyncio.gather(call, return_exceptions=True)
            assert session.closed
            await thrive.aclose()


# On other loops


async def _everywhere(when: When, **settings: Any) -> None:
    """Without a virtual clock, for the loops that have none."""
    async with Sandbox(users=12) as sandbox:
        fresh: list[ThriveClient] = []

        async def begin() -> None:
            fresh.append(sandbox.client(credentials=sandbox.oauth, **settings))
            await walk_in_threes(fresh[-1])

        async def check() -> None:
            thrive = fresh.pop()
            for _ in range(20):
                await asyncio.sleep(0)
            assert_clean(thrive)
            await thrive.skills.levels()
            await thrive.aclose()

        assert await cancel_everywhere(begin, check, when) >= 5


async def walk_in_threes(thrive: ThriveClient) -> None:
    assert len(await thrive.users.list(per_page=3).collect()) == 12


@pytest.mark.parametrize("when", WHEN)
def test_on_uvloop_too_a_cancel_at_any_await_leaves_nothing(when: When) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_everywhere(when))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("concurrency", [1, 10])
def test_with_eager_tasks_too_a_cancel_at_any_await_leaves_nothing(when: When, concurrency: int) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        await _everywhere(when, limits=Limits(concurrency=concurrency))

    asyncio.run(main())
