"""Clients that share: one rate, one cool-down and one token for all of them."""

import asyncio
import math
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from thrive_async import ApiKey, ConfigurationError, Limits, RequestTimeout, Retry, ThriveClient, Timeouts
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.share import FileShare, MemoryShare, Place, Scope, ShareUnavailable


@pytest.fixture
async def sandbox(clock: VirtualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(users=20, seed=1, clock=clock) as running:
        yield running


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def clients(
    stack: AsyncExitStack, sandbox: Sandbox, count: int, share: Any, **options: Any
) -> list[ThriveClient]:
    return [await stack.enter_async_context(sandbox.client(share=share, **options)) for _ in range(count)]


def times(sandbox: Sandbox) -> list[float]:
    found = [request.at for request in sandbox.requests if request.operation == "listSkillLevels"]
    return [at - found[0] for at in found]


async def test_clients_have_one_rate(sandbox: Sandbox, stack: AsyncExitStack, clock: VirtualClock) -> None:
    """Twelve calls of three clients at 2 a second: the last one 5.25 s after the first, and never two at once."""
    limits = Limits(rate=2.0)
    three = await clients(stack, sandbox, 3, MemoryShare(), limits=limits)
    began = clock.time()
    await asyncio.gather(*(client.skills.levels() for client in three for _ in range(4)))
    assert clock.time() - began == pytest.approx(5.25, abs=0.01)
    assert all(client.limits is limits for client in three)


async def test_a_429_stops_all_clients(sandbox: Sandbox, stack: AsyncExitStack, clock: VirtualClock) -> None:
    one, other = await clients(stack, sandbox, 2, MemoryShare())
    sandbox.faults.add("rate_limited", times=1, retry_after=30)
    refused = asyncio.create_task(one.skills.levels())
    await asyncio.sleep(1)
    assert len(sandbox.requests) == 1
    await other.skills.levels()
    await refused
    assert times(sandbox)[1] >= 30
    assert len(sandbox.requests) == 3


async def test_a_pause_past_the_deadline_is_told_at_once(
    sandbox: Sandbox, stack: AsyncExitStack, clock: VirtualClock
) -> None:
    """Whether Thrive asked for it or the row is long; no place is taken."""
    share = MemoryShare()
    (client,) = await clients(stack, sandbox, 1, share, limits=Limits(rate=0.01))
    await client.skills.levels()
    began = clock.time()
    for _ in range(3):
        with pytest.raises(RequestTimeout, match=r"place in the row that it shares .* 50 s away.* not sent"):
            await client.skills.levels(timeouts=Timeouts(total=20.0))
    await share.cool_down(Scope(client.base_url.partition("://")[2], client.tenant_id), 200.0)
    with pytest.raises(RequestTimeout, match="asked for a pause that lasts 200 s more") as refused:
        await client.skills.levels(timeouts=Timeouts(total=20.0))
    assert refused.value.retry_after == pytest.approx(200.0)
    assert clock.time() == began
    assert len(sandbox.requests) == 1


async def test_a_cancelled_call_gives_its_slot_back(
    sandbox: Sandbox, stack: AsyncExitStack, clock: VirtualClock
) -> None:
    (client,) = await clients(stack, sandbox, 1, MemoryShare(), limits=Limits(rate=0.1, concurrency=1))
    await client.skills.levels()
    waiting = asyncio.create_task(client.skills.levels())
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait((waiting,))
    await client.skills.levels()
    # The cancelled call's place, at 5 s, was still in hand.
    assert times(sandbox) == [0, pytest.approx(5.0, abs=0.01)]


async def test_a_closed_client_ends_the_calls_that_wait(sandbox: Sandbox, clock: VirtualClock) -> None:
    client = sandbox.client(share=MemoryShare(), limits=Limits(rate=0.01))
    await client.skills.levels()
    waiting = asyncio.create_task(client.skills.levels())
    await asyncio.sleep(1)
    await client.aclose()
    with pytest.raises(ShareUnavailable):
        await waiting


class Away(MemoryShare):
    """A share of a user's that raises while it is away."""

    async def place(self, scope: Scope, *, rate: float | None, burst: int = 1, within: float = math.inf) -> Place:
        raise ShareUnavailable("the store of the user is away")

    async def cool_down(self, scope: Scope, seconds: float) -> float:
        raise ShareUnavailable("the store of the user is away")


async def test_an_error_of_the_share_is_the_error_of_the_call(sandbox: Sandbox, stack: AsyncExitStack) -> None:
    (client,) = await clients(stack, sandbox, 1, Away())
    for _ in range(20):
        with pytest.raises(ShareUnavailable, match="the store of the user"):
            await client.skills.levels()
    assert len(sandbox.requests) == 0


async def test_clients_have_one_token(sandbox: Sandbox, stack: AsyncExitStack, clock: VirtualClock) -> None:
    """Fetched outside of the row, and again once after a 401."""
    share = MemoryShare()
    options = {"credentials": sandbox.oauth, "limits": Limits(rate=4.0)}
    three = await clients(stack, sandbox, 3, share, **options)
    await asyncio.gather(*(client.skills.levels() for client in three for _ in range(5)))
    asked = [request for request in sandbox.requests if request.operation == "createAccessToken"]
    assert len(asked) == 1
    sandbox.faults.add("expired_token", times=1)
    await asyncio.gather(*(client.skills.levels() for client in three))
    asked = [request for request in sandbox.requests if request.operation == "createAccessToken"]
    assert len(asked) == 2


async def test_a_share_without_tokens_leaves_each_client_its_own(
    sandbox: Sandbox, stack: AsyncExitStack, clock: VirtualClock
) -> None:
    share = MemoryShare()
    share.tokens = False
    for client in await clients(stack, sandbox, 2, share, credentials=sandbox.oauth):
        await client.skills.levels()
    asked = [request for request in sandbox.requests if request.operation == "createAccessToken"]
    assert len(asked) == 2
    assert not share._values


async def test_the_environment_can_name_a_share(sandbox: Sandbox, tmp_path: Path) -> None:
    """The client made it, so the client closes it."""
    environment = sandbox.environment | {"THRIVE_SHARE": str(tmp_path / "share")}
    async with ThriveClient.from_env(environment) as client:
        await client.skills.levels()
        share = client._own_share
        assert isinstance(share, FileShare)
        assert share._rows
    assert not share._rows
    assert list((tmp_path / "share").iterdir())


@pytest.mark.parametrize("share", [5, object(), "relative/folder", "http://redis.example"])
def test_a_wrong_share_is_told(share: Any) -> None:
    with pytest.raises(ConfigurationError, match="share"):
        ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret"), share=share)


def test_the_environment_is_named_in_the_error() -> None:
    environment = {"THRIVE_TENANT_ID": "eu-west-2_AbcdEfghI", "THRIVE_API_KEY": "secret", "THRIVE_SHARE": "share"}
    with pytest.raises(ConfigurationError, match="THRIVE_SHARE"):
        ThriveClient.from_env(environment)


def test_a_client_that_shares_nothing_imports_nothing_of_it() -> None:
    code = (
        "import sys; from thrive_async import ThriveClient, ApiKey; "
        "ThriveClient('eu-west-2_AbcdEfghI', ApiKey('secret')); "
        "sys.exit(any(name.startswith('thrive_async.share') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0


async def test_retries_of_a_shared_client_end(sandbox: Sandbox, stack: AsyncExitStack, clock: VirtualClock) -> None:
    """Attempts take places as calls do."""
    (client,) = await clients(stack, sandbox, 1, MemoryShare(), limits=Limits(rate=1.0), retry=Retry(max_attempts=3))
    sandbox.faults.add("status", status=500, times=2)
    await client.skills.levels()
    assert len(sandbox.requests) == 3
