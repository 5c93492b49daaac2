"""`RedisShare` on real servers: killed, restarted, stopped, full, slow, guarded, encrypted, in a cluster."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.cluster import RedisCluster

from benchmarks.redis_server import RedisServer
from thrive_async.errors import ConfigurationError
from thrive_async.share import RedisShare, Row, Scope, SharedTokens, ShareUnavailable, TurnTooLate, lease
from thrive_async.share import _scripts as scripts
from thrive_async.share import redis as module
from thrive_async.share.conformance import ShareConformance

SCOPE = Scope("thrive.example:8443", "eu-west-2_AbcdEfghI")
SLOW = 0.001
# Generous, for a busy machine; what is killed is noticed at once all the same.
PATIENT = 20.0


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.05)


@pytest.fixture
async def closing() -> AsyncIterator[Callable[[RedisShare], RedisShare]]:
    shares: list[RedisShare] = []

    def close_later(share: RedisShare) -> RedisShare:
        shares.append(share)
        return share

    yield close_later
    for share in shares:
        await share.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def admin(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as client:
        yield client


async def back(share: RedisShare) -> None:
    async with asyncio.timeout(60):
        while share._line().away:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)


async def waits(share: RedisShare, count: int, rate: float = SLOW) -> list[float]:
    """The waits of some places, rounded to hundreds of seconds."""
    return [round((await share.place(SCOPE, rate=rate)).wait, -2) for _ in range(count)]


# Redis is away


async def test_a_killed_redis_leaves_each_process_its_part(redis_server, closing, caplog) -> None:
    """And a new one is used again, without an error in between; the log says each of it once."""
    caplog.set_level(logging.INFO, "thrive_async")
    share = closing(RedisShare(redis_server.url, processes=4, timeout=PATIENT))
    assert await waits(share, 2) == [0, 500]
    redis_server.kill()
    assert await waits(share, 3) == [0, 2_000, 6_000]
    for step in (share.take(SCOPE, "run", 1), share.load(SCOPE, "x"), share.seen(SCOPE, "x", 1)):
        with pytest.raises(ShareUnavailable):
            await step
    redis_server.start()
    await back(share)
    share._line().settled_at = 0
    assert await waits(share, 2) == [0, 500]
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in told] == ["WARNING", "INFO"]
    assert "its part of the rate" in told[0][1]
    assert told[1][1].endswith("is back")


async def test_a_process_that_finds_redis_back_first_keeps_to_its_part(redis_server, closing) -> None:
    """The others still use theirs: all together stay below the rate."""
    share = closing(RedisShare(redis_server.url, processes=4, timeout=PATIENT))
    await share.place(SCOPE, rate=SLOW)
    redis_server.kill()
    assert await waits(share, 1) == [0]
    redis_server.start()
    await back(share)
    share._line().settled_at = asyncio.get_running_loop().time() + 1_000
    assert await waits(share, 2) == [2_000, 6_000]
    share._line().settled_at = 0
    # Both of them took places in the row of all, too.
    assert await waits(share, 1) == [1_500]


async def splits_while_stopped(redis_server, share: RedisShare) -> None:
    """Check that a share goes on with its part while Redis does not answer, and then comes back."""
    redis_server.stop_answering()
    try:
        assert await waits(share, 2) == [0, 1_000]
    finally:
        redis_server.answer_again()
    await back(share)
    assert (await share.place(SCOPE, rate=None)).taken


async def test_a_stopped_redis_counts_as_away(redis_server, closing) -> None:
    share = closing(RedisShare(redis_server.url, processes=2, timeout=0.2))
    await share.place(SCOPE, rate=SLOW)
    share._local = type(share._local)()
    await splits_while_stopped(redis_server, share)


async def test_a_client_of_ones_own_without_a_timeout_never_hangs(redis_server, closing) -> None:
    """redis-py waited without end before release 8."""
    client = AsyncRedis.from_url(redis_server.url, socket_timeout=None)
    share = closing(RedisShare(client, processes=2, timeout=0.2))
    await share.place(SCOPE, rate=SLOW)
    await splits_while_stopped(redis_server, share)
    await client.aclose()


async def test_a_full_redis_counts_as_away(redis_server, admin, closing) -> None:
    share = closing(RedisShare(redis_server.url, processes=2, timeout=PATIENT))
    await share.place(SCOPE, rate=SLOW)
    admin.config_set("maxmemory", 1)
    assert await waits(share, 2) == [0, 1_000]
    assert share._line().away
    await asyncio.sleep(0.3)
    assert share._line().away
    admin.config_set("maxmemory", 0)
    await back(share)


async def test_a_slow_redis_is_waited_for(redis_server, admin, closing) -> None:
    share = closing(RedisShare(redis_server.url, processes=2, timeout=PATIENT))
    await share.place(SCOPE, rate=SLOW)
    admin.execute_command("CLIENT", "PAUSE", 300, "WRITE")
    assert await waits(share, 1) == [500]
    assert not share._line().away


async def test_calls_can_wait_for_redis(redis_server, closing) -> None:
    """Until their deadline, or until it is back."""
    share = closing(RedisShare(redis_server.url, on_loss="wait", timeout=PATIENT))
    row = Row(share, SCOPE)
    await row.turn()
    redis_server.kill()
    loop = asyncio.get_running_loop()
    with pytest.raises(TurnTooLate):
        await row.turn(deadline=loop.time() + 0.3)
    waiting = [asyncio.create_task(row.turn()) for _ in range(5)]
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in waiting)
    redis_server.start()
    await asyncio.gather(*waiting)
    await row.aclose()


async def test_calls_can_go_on_without_redis(redis_server, closing) -> None:
    """Only the cool-down that this process met still holds."""
    share = closing(RedisShare(redis_server.url, on_loss="open", timeout=PATIENT))
    redis_server.kill()
    assert await waits(share, 3) == [0, 0, 0]
    assert await share.cool_down(SCOPE, 5_000) == pytest.approx(5_000, abs=50)
    assert await waits(share, 1) == [5_000]


async def test_a_cool_down_outlives_redis(redis_server, closing) -> None:
    share = closing(RedisShare(redis_server.url, processes=2, timeout=PATIENT))
    await share.cool_down(SCOPE, 5_000)
    redis_server.kill()
    place = await share.place(SCOPE, rate=None)
    assert not place.taken


async def test_no_call_is_lost_while_redis_comes_and_goes(redis_server, closing) -> None:
    shares = [closing(RedisShare(redis_server.url, processes=3, timeout=PATIENT)) for _ in range(3)]
    rows = [Row(share, SCOPE, rate=300.0) for share in shares]
    done = 0

    async def calls(row: Row) -> None:
        nonlocal done
        for _ in range(60):
            await row.turn()
            done += 1

    working = [asyncio.create_task(calls(row)) for row in rows]
    for _ in range(2):
        await asyncio.sleep(0.1)
        redis_server.kill()
        await asyncio.sleep(0.1)
        redis_server.start()
    await asyncio.gather(*working)
    assert done == 180


async def test_each_process_fetches_its_token_while_redis_is_away(redis_server, closing) -> None:
    async def fetch() -> tuple[str, float]:
        return "token", 3_600.0

    shares = [closing(RedisShare(redis_server.url, timeout=PATIENT)) for _ in range(2)]
    redis_server.kill()
    for share in shares:
        assert (await SharedTokens(share, SCOPE, ("client",), fetch).token()).text == "token"
        with pytest.raises(ShareUnavailable):
            async with lease(share, SCOPE, "run"):
                raise AssertionError("a lock that fails open")


async def test_a_lease_is_lost_with_redis(redis_server, closing) -> None:
    """A Redis that forgot everything still gives larger fencing numbers, and the old holder learns of its loss."""
    share = closing(RedisShare(redis_server.url, timeout=PATIENT))
    first = await share.take(SCOPE, "run", 5_000)
    redis_server.kill()
    redis_server.start()
    second = await share.take(SCOPE, "run", 5_000)
    assert first is not None
    assert second is not None
    assert second > first
    assert not await share.renew(SCOPE, "run", first, 5_000)


async def test_processes_are_counted(redis_server, closing) -> None:
    """Without `processes`, the parts are those of the processes that were seen."""
    shares = [closing(RedisShare(redis_server.url, timeout=PATIENT)) for _ in range(5)]
    for share in (*shares, *shares):
        await share.place(SCOPE, rate=None)
    redis_server.kill()
    assert await waits(shares[0], 2) == [0, 2_500]


# Ways to reach it


async def test_a_connection_that_was_idle_too_long_is_made_again(redis_server, admin, closing) -> None:
    """A proxy or Redis's own `timeout` has closed it: that is no reason to count Redis as away."""
    share = closing(RedisShare(redis_server.url, processes=2, timeout=PATIENT))
    await share.place(SCOPE, rate=SLOW)
    admin.execute_command("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES")
    assert await waits(share, 1) == [500]
    assert not share._line().away
    admin.script_flush()
    assert await waits(share, 1) == [1_500]


async def test_a_turn_is_one_command(redis_server, admin, closing) -> None:
    """By Redis's own count, whether the call waits or not. The script itself is sent once."""
    row = Row(closing(RedisShare(redis_server.url, timeout=PATIENT)), SCOPE, rate=1_000.0)
    await row.turn()
    admin.config_resetstat()
    await asyncio.gather(*(row.turn() for _ in range(50)))
    # Redis counts the commands of the script, too, under their own names.
    sent = {name: told["calls"] for name, told in admin.info("commandstats").items()}
    by_script = {"cmdstat_time", "cmdstat_hmget", "cmdstat_hset", "cmdstat_pexpire", "cmdstat_zadd", "cmdstat_zcard"}
    by_script |= {"cmdstat_zremrangebyscore", "cmdstat_config|resetstat", "cmdstat_info"}
    assert {name: count for name, count in sent.items() if name not in by_script} == {"cmdstat_evalsha": 50}
    await row.aclose()


async def test_what_is_sent_twice_is_done_once(redis_server, closing) -> None:
    """redis-py repeats a command whose answer was lost."""
    client = closing(RedisShare(redis_server.url, timeout=PATIENT))._line().client

    async def run(script: str, keys: tuple[str, ...], *arguments: Any) -> Any:
        return await module._evaluate(client, script, keys, arguments)

    keys = ("{a}:lease", "{a}:fence")
    assert await run(scripts.TAKE, keys, 5_000, "nonce") == await run(scripts.TAKE, keys, 5_000, "nonce")
    assert await run(scripts.TAKE, keys, 5_000, "another") is None
    assert [await run(scripts.SEEN, ("{a}:seen",), nonce, 5_000) for nonce in ("one", "one", "two")] == [0, 0, 1]


async def test_clocks_of_the_processes_may_differ(redis_server, closing, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (closing(RedisShare(redis_server.url, processes=2, timeout=PATIENT)) for _ in range(2))
    assert await waits(one, 1) == [0]
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3_600)
    monkeypatch.setattr(time, "time_ns", lambda: int((now() + 3_600) * 1e9))
    assert await waits(other, 1) == [500]
    ahead = await other.take(SCOPE, "run", 5_000)
    await other.give_back(SCOPE, "run", ahead or 0)
    monkeypatch.undo()
    fence = await one.take(SCOPE, "run", 5_000)
    assert ahead is not None
    assert fence is not None
    assert ahead < fence < ahead + 60_000_000


def test_a_share_serves_one_loop_after_another(shared_redis: RedisServer) -> None:
    share = RedisShare(shared_redis.url, timeout=PATIENT)

    async def use() -> None:
        assert (await share.place(Scope("loops", "t"), rate=None)).taken
        await share.aclose()

    asyncio.run(use())
    asyncio.run(use())


async def test_a_wrong_password_is_a_wrong_configuration(redis_server, admin, closing, caplog) -> None:
    """Unless it worked before: then it counts as away, and no call fails. The password is shown nowhere."""
    admin.execute_command("ACL", "SETUSER", "thrive", "on", ">s3cret", "~*", "+@all")
    url = redis_server.url.replace("//", "//thrive:wr0ng@")
    wrong = closing(RedisShare(url, timeout=PATIENT))
    with pytest.raises(ConfigurationError, match="refused the user, the password") as refused:
        await wrong.place(SCOPE, rate=SLOW)
    right = closing(RedisShare(url.replace("wr0ng", "s3cret"), timeout=PATIENT))
    assert await waits(right, 1) == [0]
    admin.execute_command("ACL", "DELUSER", "thrive")
    assert (await right.place(SCOPE, rate=SLOW)).taken
    shown = f"{refused.value} {wrong!r} {caplog.text}"
    assert "wr0ng" not in shown
    assert "s3cret" not in shown
    assert "is away" in caplog.text


class TestWithFewRights(ShareConformance):
    """The commands that docs/sharing.md gives to a user are enough."""

    @pytest.fixture(autouse=True)
    def store(self, redis_server: RedisServer, admin: Redis) -> None:
        page = (Path(__file__).parents[2] / "docs" / "sharing.md").read_text(encoding="utf-8")
        line = next(line for line in page.splitlines() if line.startswith("ACL SETUSER"))
        admin.execute_command(*line.replace("PASSWORD", "s3cret").split())
        self.url = redis_server.url.replace("//", "//thrive:s3cret@")

    def new_share(self) -> RedisShare:
        return RedisShare(self.url, timeout=PATIENT)


async def test_rights_for_the_probe_are_enough(redis_server, admin, closing) -> None:
    TestWithFewRights.store.__wrapped__(self := TestWithFewRights(), redis_server, admin)
    share = closing(self.new_share())
    await share.place(SCOPE, rate=None)
    share._lost(share._line(), ConnectionError("as a test has it"))
    await back(share)


async def test_tls_is_a_matter_of_the_url(tmp_path: Path, closing) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = ca.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = ("--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "ca.pem")
    server = RedisServer(tmp_path, *files, "--tls-auth-clients", "no", tls=True)
    try:
        url = server.url.replace("redis://", "rediss://") + f"?ssl_ca_certs={tmp_path / 'ca.pem'}"
        assert await waits(closing(RedisShare(url, processes=2, timeout=PATIENT)), 2) == [0, 500]
        distrusted = closing(RedisShare(url.partition("?")[0], processes=2, timeout=PATIENT))
        assert await waits(distrusted, 2) == [0, 1_000]
    finally:
        server.kill()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, shared_redis: RedisServer) -> Iterator[str]:
    """A cluster of one server that owns all slots."""
    server = RedisServer(tmp_path_factory.mktemp("cluster"), cluster=True)
    with Redis.from_url(server.url) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
            time.sleep(0.02)
    yield server.url.removesuffix("/0")
    server.kill()


class TestInACluster(ShareConformance):
    """All keys of a scope have one hash tag."""

    @pytest.fixture(autouse=True)
    def store(self, cluster: str) -> None:
        self.url = cluster
        self.clients: list[RedisCluster] = []

    def new_share(self) -> RedisShare:
        self.clients.append(RedisCluster.from_url(self.url))
        return RedisShare(self.clients[-1], timeout=PATIENT)

    def run(self, test) -> None:
        async def and_close() -> None:
            await test
            for client in self.clients:
                await client.aclose()

        super().run(and_close())


# Arguments


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("redis://localhost", {"on_loss": "shut"}, "on_loss must be"),
        ("redis://localhost", {"processes": 0}, "processes must be a whole number"),
        ("redis://localhost?processes=few", {}, "processes in the URL"),
        ("redis://localhost?processes=" + "9" * 5000, {}, "processes in the URL"),
        ("redis://localhost?on_loss=never", {}, "on_loss must be"),
        ("http://localhost", {}, "the URL of Redis cannot be used"),
    ],
)
def test_bad_arguments_are_told(url: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        RedisShare(url, **options)


def test_the_url_can_hold_the_options() -> None:
    share = RedisShare("redis://user:s3cret@redis.example:6380/2?processes=3&on_loss=wait&health_check_interval=9")
    assert (share._processes, share._on_loss) == (3, "wait")
    assert repr(share) == "<RedisShare redis.example:6380>"
