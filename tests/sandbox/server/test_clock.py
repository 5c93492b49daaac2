"""VirtualClock: waits take no time, last exactly as long as asked, and never outrun real work."""

import asyncio
import math
import threading

import pytest

from thrive_async.sandbox import VirtualClock


async def test_a_sleep_moves_the_clock_by_exactly_its_length():
    with VirtualClock().installed() as clock:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.sleep(3600)
        assert loop.time() - started == 3600.0
        assert clock.elapsed == 3600.0


async def test_timers_fire_in_the_order_of_their_times():
    seen = []

    async def after(seconds):
        await asyncio.sleep(seconds)
        seen.append(seconds)

    with VirtualClock().installed() as clock:
        await asyncio.gather(after(30), after(0.5), after(7))
        assert seen == [0.5, 7, 30]
        assert clock.elapsed == 30.0


async def test_time_limits_run_on_the_same_clock():
    with VirtualClock().installed() as clock:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.sleep(31)
        assert clock.elapsed == 30.0


async def test_traffic_on_a_loopback_socket_takes_no_virtual_time():
    async def echo(reader, writer):
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()

    with VirtualClock().installed() as clock:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(0.001):
            for _ in range(20):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                writer.close()
                await writer.wait_closed()
        assert clock.elapsed == 0.0
        server.close()
        await server.wait_closed()


async def test_the_clock_waits_for_threads_before_it_jumps():
    gate = threading.Event()
    with VirtualClock().installed() as clock:
        async with asyncio.timeout(5):
            asyncio.get_running_loop().call_soon(gate.set)
            assert await asyncio.to_thread(gate.wait, 10)
        assert clock.elapsed == 0.0


async def test_advance_makes_timers_due_and_refuses_to_go_back():
    with VirtualClock().installed() as clock:
        sleeper = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        clock.advance(60)
        await asyncio.sleep(0)
        await sleeper
        assert clock.elapsed == 60.0
        for nonsense in (-1, math.nan, math.inf, "1", True):
            with pytest.raises(ValueError, match="forwards"):
                clock.advance(nonsense)
        assert clock.elapsed == 60.0


@pytest.mark.parametrize("arguments", [{"grace": -1}, {"patience": math.nan}, {"grace": None}])
def test_grace_and_patience_are_seconds(arguments):
    with pytest.raises(ValueError, match="grace and patience must be numbers of seconds"):
        VirtualClock(**arguments)


async def test_the_loop_is_itself_again_afterwards():
    loop = asyncio.get_running_loop()
    with VirtualClock().installed():
        await asyncio.sleep(1000)
    assert "time" not in vars(loop)
    assert "run_in_executor" not in vars(loop)
    assert "select" not in vars(loop._selector)
    before = loop.time()
    await asyncio.sleep(0.001)
    assert 0 < loop.time() - before < 900


async def test_the_loop_is_itself_again_after_an_error():
    with pytest.raises(KeyError), VirtualClock().installed():
        raise KeyError
    assert "time" not in vars(asyncio.get_running_loop())


async def test_one_clock_may_be_shared_and_stays_until_its_last_user_leaves():
    clock = VirtualClock()
    clock.install()
    with clock.installed():
        await asyncio.sleep(10)
    assert asyncio.get_running_loop().time() == clock.time()
    clock.uninstall()
    assert "time" not in vars(asyncio.get_running_loop())
    clock.uninstall()  # nothing left to undo


async def test_a_second_clock_on_the_loop_is_refused():
    with VirtualClock().installed(), pytest.raises(RuntimeError, match="share one VirtualClock"):
        VirtualClock().install()


async def test_a_clock_serves_one_loop_at_a_time():
    other = asyncio.new_event_loop()
    try:
        with VirtualClock().installed() as clock, pytest.raises(RuntimeError, match="one clock per loop"):
            clock.install(other)
    finally:
        other.close()


async def test_a_loop_that_hides_its_time_is_refused_with_its_name():
    class Closed(asyncio.AbstractEventLoop):
        pass

    with pytest.raises(RuntimeError, match="Closed"):
        VirtualClock().install(Closed())


async def test_a_clock_can_be_used_again():
    clock = VirtualClock()
    for _ in range(2):
        with clock.installed():
            await asyncio.sleep(5)
            assert clock.elapsed == 5.0
