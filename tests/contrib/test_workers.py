"""Two workers of uvicorn that are told to stop: calls end within the grace time, and events are handled."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

import thrive_async
from contrib.serving import until
from contrib.worker_app import SECRET
from thrive_async.sandbox import Sandbox

_SERVE = ("--workers=2", "--timeout-graceful-shutdown=3", "--log-level=warning", "--no-access-log")


async def answer_of(session: aiohttp.ClientSession, url: str) -> int | None:
    try:
        async with session.get(url) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientError:
        return None


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM")
async def test_workers_told_to_stop_end_their_calls_within_the_grace_time(served: Sandbox, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url, handled = f"http://127.0.0.1:{port}", tmp_path / "handled"
    paths = [str(Path(thrive_async.__file__).parents[1]), str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HANDLED": str(handled)}
    command = [sys.executable, "-m", "uvicorn", "contrib.worker_app:app", "--port", str(port), *_SERVE]
    log = (tmp_path / "log").open("w", encoding="utf-8")
    with subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server, log:  # noqa: ASYNC220 - at once
        # No connection is used twice, so that both workers get some.
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            while await answer_of(session, f"{url}/people/E00001") != 200:
                assert server.poll() is None, (tmp_path / "log").read_text()
                await asyncio.sleep(0.1)
            served.requests.clear()
            served.faults.add("latency", operation="getUserByRef", times=None, seconds=3600)
            served.faults.add("latency", operation="searchUsers", times=None, seconds=1)
            long = [asyncio.create_task(answer_of(session, f"{url}/people/E0000{one}")) for one in range(1, 9)]
            short = asyncio.create_task(answer_of(session, f"{url}/people.ndjson?per_page=100"))
            await until(lambda: len(served.requests) == 9)
            assert (await served.deliver("content.completed", to=f"{url}/thrive", secret=SECRET)).status == 204
            server.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(server.wait, 60)
            assert await short == 200
            assert 200 not in await asyncio.gather(*long)
    assert handled.read_text(encoding="utf-8") == "handled"
    assert code in (0, -signal.SIGTERM)
    assert "Unclosed" not in (tmp_path / "log").read_text(encoding="utf-8")
