"""The sandbox as a whole: its life and its clients."""

import asyncio
import contextlib
import socket
import urllib.request
from datetime import UTC, datetime

import orjson
import pytest
import uvloop

from sandbox.raw_api import Api, connect
from thrive_async.sandbox import Sandbox, VirtualClock

LEVELS = "/rest/v1/skills/levels"


async def test_sandboxes_live_side_by_side_and_share_nothing(open_api):
    one, two = await open_api(seed=1), await open_api(seed=2)
    assert one.sandbox.base_url != two.sandbox.base_url
    await one("POST", "/rest/v2/users", {"ref": "x", "firstName": "X", "lastName": "Y", "email": "x@y"})
    assert (await two("GET", "/rest/v1/users/ref/x")).status == 404
    assert (await two("GET", LEVELS, headers={"Authorization": one.basic})).status == 401


async def test_a_sandbox_must_be_started_and_stops_only_once():
    sandbox = Sandbox(0)
    with pytest.raises(RuntimeError, match="start it"):
        _ = sandbox.base_url
    await sandbox.start()
    with pytest.raises(RuntimeError, match="already running"):
        await sandbox.start()
    await sandbox.stop()
    await sandbox.stop()


async def test_a_sandbox_can_be_started_again_on_its_port_with_its_state():
    sandbox = Sandbox(0)
    async with sandbox:
        url = sandbox.base_url
        sandbox.state.add_user(ref="kept")
    async with sandbox, connect() as session:
        assert sandbox.base_url == url
        assert (await Api(sandbox, session)("GET", "/rest/v1/users/ref/kept")).status == 200


async def test_a_taken_port_is_an_error_and_leaves_the_clock_off_the_loop():
    async with Sandbox(0) as first:
        with pytest.raises(OSError, match=str(first.port)):
            await Sandbox(0, port=first.port, clock=VirtualClock()).start()
        assert "time" not in vars(asyncio.get_running_loop())


async def test_stopping_does_not_wait_for_slow_answers():
    async with Sandbox(0) as sandbox, connect() as session:
        sandbox.faults.add("latency", seconds=3600)
        request = asyncio.create_task(Api(sandbox, session)("POST", "/rest/v1/audiences", {"name": "slow"}))
        while not sandbox.requests:  # noqa: ASYNC110 - the arrival of a request sets no event
            await asyncio.sleep(0)
        await sandbox.stop()
        with pytest.raises(Exception, match="disconnect"):
            await request


@pytest.mark.parametrize("loop_factory", [asyncio.SelectorEventLoop, uvloop.new_event_loop])
@pytest.mark.parametrize("turns", range(6))
def test_stopping_closes_a_connection_that_is_just_being_accepted(turns, loop_factory):
    """In any turn of the loop: the client always learns that the connection has ended."""

    async def main():
        sandbox = Sandbox(users=1)
        await sandbox.start()
        with socket.create_connection((sandbox.host, sandbox.port)) as peer:
            peer.setblocking(False)
            for _ in range(turns):
                await asyncio.sleep(0)
            await sandbox.stop()
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 1), 5) == b""

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_in_a_thread_it_serves_code_without_a_loop():
    with Sandbox(3) as sandbox:
        request = urllib.request.Request(sandbox.base_url + LEVELS)
        import base64

        pair = base64.b64encode(f"{sandbox.tenant_id}:{sandbox.tokens.api_key}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
        with urllib.request.urlopen(request) as response:
            assert len(orjson.loads(response.read())) == 3
        port = sandbox.port
        with pytest.raises(OSError, match=str(port)), Sandbox(0, port=port):
            pass
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/")


def test_a_thread_takes_no_virtual_clock():
    with pytest.raises(RuntimeError, match="async with"), Sandbox(0, clock=VirtualClock()):
        pass


async def test_sandboxes_of_one_loop_share_one_clock():
    clock = VirtualClock()
    async with Sandbox(0, clock=clock) as one, Sandbox(0, clock=clock) as two:
        await asyncio.sleep(60)
        assert one.now() == two.now() == datetime(2026, 1, 1, 9, 1, tzinfo=UTC)
    assert "time" not in vars(asyncio.get_running_loop())


async def test_without_a_clock_its_time_is_the_machines():
    before = datetime.now(UTC)
    assert before <= Sandbox(0).now() <= datetime.now(UTC)
    assert Sandbox(0, clock=VirtualClock()).now() == datetime(2026, 1, 1, 9, tzinfo=UTC)


async def test_its_client_reaches_it_and_is_closed_with_it():
    async with Sandbox(5) as sandbox:
        thrive = sandbox.client()
        assert len(await thrive.users.list().collect()) == 5
        by_token = sandbox.client(credentials=sandbox.oauth)
        assert len(await by_token.skills.levels()) == 3
    assert sandbox.tokens.issued == 1


async def test_the_environment_leads_to_it():
    from thrive_async import ThriveClient

    async with Sandbox(5) as sandbox, ThriveClient.from_env(sandbox.environment) as thrive:
        assert len(await thrive.skills.levels()) == 3


def test_in_a_thread_you_close_its_clients_yourself():
    async def count(sandbox):
        async with sandbox.client() as thrive:
            return len(await thrive.users.list().collect())

    with Sandbox(5) as sandbox:
        assert asyncio.run(count(sandbox)) == 5
