"""The clients of many tenants over one set of connections."""

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from raw_server import RawServer, reply

from benchmarks.redis_server import SERVER, RedisServer
from thrive_async import (
    ApiKey,
    ClientCredentials,
    ConfigurationError,
    Limits,
    RateLimitError,
    Retry,
    ThriveClient,
    ThrivePool,
    Timeouts,
)
from thrive_async.models import UserCreate
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.share import RedisShare, Scope

USER = reply(200, {"id": "507f1f77bcf86cd799439011"}, Set_Cookie="who=tenant-a")


async def vault(tenant_id: str) -> ApiKey:
    await asyncio.sleep(0)
    return ApiKey(f"key-of-{tenant_id}")


async def test_each_tenant_has_its_own_credentials_over_shared_connections() -> None:
    async with RawServer([USER]) as server, ThrivePool(vault, base_url=server.base_url) as pool:
        for tenant in ("a", "b", "a"):
            await (await pool.client(tenant)).users.get("u1")
        assert (pool.report.clients, pool.report.busy, pool.report.connections) == (2, 0, 0)
        assert await pool.client("a") is await pool.client("a")
    assert server.connections == 1
    who = [base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) for request in server.requests]
    assert who == [b"a:key-of-a", b"b:key-of-b", b"a:key-of-a"]
    assert not any("cookie" in request.headers for request in server.requests)


async def test_tokens_and_cool_downs_are_each_tenants_own() -> None:
    token_a, token_b = (reply(200, {"access_token": name, "expires_in": 600}) for name in ("token-a", "token-b"))
    answers = [token_a, reply(429, Retry_After="60"), token_b, USER]
    async with RawServer(list(answers)) as server:
        pool = ThrivePool(
            lambda _: ClientCredentials("id", "secret"), base_url=server.base_url, retry=Retry(max_attempts=1)
        )
        async with pool:
            with pytest.raises(RateLimitError):
                await (await pool.client("a")).users.get("u1")
            await (await pool.client("b")).users.get("u1")
    assert server.requests[3].headers["authorization"] == "Bearer token-b"


async def test_one_slow_tenant_holds_no_more_than_its_bound(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock) as sandbox:
        limits = Limits(concurrency=2)
        pool = ThrivePool(lambda _: sandbox.credentials, base_url=sandbox.base_url, connections=3, limits=limits)
        async with pool:
            slow = await pool.client(sandbox.tenant_id)
            sandbox.faults.add("latency", seconds=30, times=2)
            calls = [asyncio.create_task(slow.skills.levels()) for _ in range(20)]
            await asyncio.sleep(1)
            assert (pool.report.connections, pool.report.busy) == (2, 1)
            pool.forget(sandbox.tenant_id)
            other = await pool.client(sandbox.tenant_id)
            assert other is not slow
            await other.skills.levels()
            assert clock.elapsed < 5
            await asyncio.gather(*calls)


async def test_an_idle_client_is_let_go_and_a_busy_one_is_not(clock: VirtualClock) -> None:
    patient = Timeouts(attempt=None, total=None)
    async with Sandbox(users=1, clock=clock, latency=100) as sandbox:
        pool = ThrivePool(lambda _: sandbox.credentials, base_url=sandbox.base_url, idle=50, timeouts=patient)
        async with pool:
            busy, idle = await pool.client(sandbox.tenant_id), await pool.client("idle")
            call = asyncio.create_task(busy.skills.levels())
            await asyncio.sleep(60)
            await pool.client("new")
            assert pool.report.clients == 2
            assert await pool.client(sandbox.tenant_id) is busy
            assert await pool.client("idle") is not idle
            await call


async def test_a_client_is_built_once_however_many_ask_and_a_failure_is_no_memory() -> None:
    asked: list[str] = []
    answered = asyncio.Event()

    async def shaky(tenant_id: str) -> ApiKey:
        asked.append(tenant_id)
        await answered.wait()
        if len(asked) == 1:
            raise LookupError("the vault is sealed")
        return ApiKey("k")

    async with ThrivePool(shaky) as pool:
        gone = asyncio.create_task(pool.client("a"))
        await asyncio.sleep(0)
        failed = asyncio.create_task(pool.client("a"))
        await asyncio.sleep(0)
        gone.cancel()
        answered.set()
        with pytest.raises(LookupError):
            await failed
        clients = await asyncio.gather(*(pool.client("a") for _ in range(5)))
        assert len(set(map(id, clients))) == 1
        assert asked == ["a", "a"]


async def test_a_drain_lets_writes_of_all_tenants_finish(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, latency=2) as sandbox:
        pool = ThrivePool(lambda _: sandbox.credentials, base_url=sandbox.base_url)
        thrive = await pool.client(sandbox.tenant_id)
        body = UserCreate(ref="n", first_name="A", last_name="B", login_method="ref")
        writing = asyncio.create_task(thrive.users.create(body))
        await asyncio.sleep(1)
        await pool.aclose(drain=10)
        assert (await writing).ref == "n"
        with pytest.raises(ConfigurationError, match="this ThrivePool is closed"):
            await pool.client("b")
        await pool.aclose()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"credentials": ApiKey("k")}, "a function that takes a tenant id"),
        ({"connections": 5}, "at least Limits.concurrency"),
        ({"connections": True}, "at least Limits.concurrency"),
        ({"idle": 0}, "idle must be a positive number"),
        ({"ca_file": "x"}, "takes no session, trust_env or ca_file"),
    ],
)
def test_a_pool_that_cannot_work_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ThrivePool(**({"credentials": vault} | arguments))


async def test_a_wrong_tenant_is_told_when_it_is_asked_for() -> None:
    async with ThrivePool(vault) as pool:
        with pytest.raises(ConfigurationError, match="tenant_id"):
            await pool.client("a/b")
        assert isinstance(await pool.client("b"), ThriveClient)
        assert repr(pool) == "<ThrivePool of 1 clients>"


async def test_all_tenants_of_a_pool_use_one_share_and_credentials_of_their_own(tmp_path: Path) -> None:
    """Two pools, as two processes have them: a token per tenant, fetched once for both; leases apart by tenant."""
    tokens = {name: reply(200, {"access_token": f"token-{name}", "expires_in": 600}) for name in ("a", "b")}
    async with RawServer([tokens["a"], USER, tokens["b"], USER, USER, USER]) as server:
        share = str(tmp_path / "share")
        for _ in range(2):
            credentials = {name: ClientCredentials(f"id-{name}", "secret") for name in ("a", "b")}
            async with ThrivePool(credentials.__getitem__, base_url=server.base_url, share=share) as pool:
                clients = [await pool.client(name) for name in ("a", "b")]
                assert clients[0].share is clients[1].share is not None
                for client in clients:
                    await client.users.get("u1")
    sent = [request.headers["authorization"] for request in server.requests if request.method == "GET"]
    assert sent == ["Bearer token-a", "Bearer token-b"] * 2
    assert len(server.requests) == 6


async def test_a_pool_closes_the_share_it_opened_and_no_other(shared_redis_text: str) -> None:
    share = RedisShare(shared_redis_text)
    for given in (share, shared_redis_text):
        async with ThrivePool(vault, share=given) as pool:
            client = await pool.client("a")
            assert client.share is not None
            await client.share.seen(Scope("h", "a"), "x", 1.0)
            used = client.share
        assert isinstance(used, RedisShare)
        assert bool(used._lines) == (used is share)
    await share.aclose()


# Loops and processes


def test_a_pool_goes_on_when_its_loop_has_ended(served: Sandbox) -> None:
    """As one at module level does in Lambda functions and Celery tasks. Two loops at once are refused."""
    pool = ThrivePool(lambda _: served.credentials, base_url=served.base_url)

    async def levels() -> int:
        assert pool.report.connections == 0
        return len(await (await pool.client(served.tenant_id)).skills.levels())

    assert asyncio.run(levels()) == asyncio.run(levels()) > 0
    with asyncio.Runner() as runner:
        assert runner.run(levels())
        with asyncio.Runner() as other, pytest.raises(ConfigurationError, match="another event loop"):
            other.run(levels())
        assert runner.run(levels())
        runner.run(pool.aclose())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_a_fork_the_child_has_clients_and_connections_of_its_own(served: Sandbox) -> None:
    """Also while the parent's are in use, which go on."""
    program = (
        "import asyncio, gc, os\n"
        "from thrive_async import ApiKey, ThrivePool\n"
        "def credentials_of(tenant): return ApiKey(os.environ['THRIVE_API_KEY'])\n"
        "pool = ThrivePool(credentials_of, base_url=os.environ['THRIVE_BASE_URL'])\n"
        "async def levels():\n"
        "    client = await pool.client(os.environ['THRIVE_TENANT_ID'])\n"
        "    await client.skills.levels()\n"
        "    return client\n"
        "with asyncio.Runner() as runner:\n"
        "    client = runner.run(levels())\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        assert asyncio.run(levels()) is not client\n"
        "        gc.collect()\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    assert runner.run(levels()) is client\n"
        "    runner.run(pool.aclose())\n"
    )
    environ = {**os.environ, **served.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(served.requests) == 3


@pytest.fixture
def shared_redis_text(tmp_path: Path) -> Iterator[str]:
    if SERVER is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path)
    yield server.url
    server.kill()
