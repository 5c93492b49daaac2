"""Workers of real servers that are told to stop, are reloaded, or are forked when the application is there already."""

import asyncio
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from raw_server import KEY, TENANT, USER, RawRequest, RawServer

from contrib.processes import Command, Running, started
from contrib.serving import until
from thrive_async import webhooks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM")

SECRET = "s3cret-agreed-on"


def uvicorn(*options: str) -> Command:
    serve = [sys.executable, "-m", "uvicorn", "contrib.worker_app:app", *options]
    return lambda port: [*serve, f"--port={port}"]


def gunicorn(*options: str, worker: str = "uvicorn_worker.UvicornWorker") -> Command:
    serve = [sys.executable, "-m", "gunicorn", "contrib.worker_app:app", f"--worker-class={worker}", *options]
    return lambda port: [*serve, f"--bind=127.0.0.1:{port}", "--log-level=info", "--graceful-timeout=60"]


class Patience:
    """A Thrive that answers at once, but makes whoever asks for `held-...` wait until they may go on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.connections: set[int] = set()
        self._go_on: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def until_asked_for(self, *names: str) -> None:
        await until(lambda: set(names) <= set(self.asked))

    def let_go_on(self, name: str) -> None:
        self._go_on[name].set()

    async def __call__(self, request: RawRequest, writer: asyncio.StreamWriter) -> None:
        name = request.target.rpartition("/")[2]
        self.asked.append(name)
        self.connections.add(request.connection)
        if name.startswith("held-"):
            await self._go_on[name].wait()
        writer.write(USER)
        await writer.drain()


@asynccontextmanager
async def working(
    command: Command, folder: Path, *, workers: int, **environment: str
) -> AsyncIterator[tuple[Running, Patience, aiohttp.ClientSession]]:
    """Serve the application, with a Thrive behind it and a browser before it."""
    patience = Patience()
    # No connection is used twice, so that each request may go to another worker.
    connector = aiohttp.TCPConnector(force_close=True)
    async with RawServer([patience]) as thrive, aiohttp.ClientSession(connector=connector) as browser:
        variables = {
            "THRIVE_TENANT_ID": TENANT,
            "THRIVE_API_KEY": KEY,
            "THRIVE_BASE_URL": thrive.base_url,
            "WEBHOOK_SECRET": SECRET,
            **environment,
        }
        stack = ExitStack()
        # Starting and stopping wait for other processes, and these may need this loop.
        server = await asyncio.to_thread(
            stack.enter_context, started(command, folder / "log", variables, workers=workers)
        )
        try:
            yield server, patience, browser
        finally:
            await asyncio.to_thread(stack.close)


async def worker_of(browser: aiohttp.ClientSession, server: Running, ref: str) -> int | None:
    """Look somebody up, and return the worker that did; None if there was no answer."""
    try:
        async with browser.get(f"{server.url}/people/{ref}") as answer:
            return int(await answer.text()) if answer.status == 200 else None
    except aiohttp.ClientError:
        return None


SERVERS = {
    "uvicorn": uvicorn("--workers=2", "--timeout-worker-healthcheck=60"),
    "gunicorn": gunicorn("--workers=2"),
    "gunicorn, preloaded": gunicorn("--workers=2", "--preload"),
}


@pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS)
async def test_workers_told_to_stop_end_their_calls_and_handle_their_events(command: Command, tmp_path: Path) -> None:
    """First the calls, while the connections are open, then the events, while the application ends."""
    async with working(command, tmp_path, workers=2) as (server, patience, browser):
        workers, calls = sorted(server.workers), []
        for worker in workers:
            with server.only(worker):
                calls.append(asyncio.create_task(worker_of(browser, server, f"held-call-{worker}")))
                event = {"eventType": "content.completed", "user": {"reference": f"held-event-{worker}"}}
                body = json.dumps(event).encode()
                headers = {webhooks.SIGNATURE_HEADER: webhooks.sign(body, secret=SECRET)}
                async with browser.post(f"{server.url}/thrive", data=body, headers=headers) as answer:
                    assert answer.status == 204
                await patience.until_asked_for(f"held-call-{worker}", f"held-event-{worker}")
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: server.log.count("Shutting down") == 2)
        for worker in workers:
            patience.let_go_on(f"held-call-{worker}")
        assert await asyncio.gather(*calls) == workers
        await until(lambda: server.log.count("Waiting for application shutdown") == 2)
        for worker in workers:
            patience.let_go_on(f"held-event-{worker}")
        assert await asyncio.to_thread(server.process.wait, 60) in (0, -signal.SIGTERM)
    assert "Traceback" not in server.log
    handled = (tmp_path / "handled").read_text(encoding="utf-8").split()
    assert sorted(handled) == [f"held-event-{worker}" for worker in workers]


IMPATIENT = {
    "uvicorn": uvicorn("--workers=2", "--timeout-worker-healthcheck=60", "--timeout-graceful-shutdown=0"),
    "gunicorn": gunicorn("--workers=2", worker="contrib.worker_app.Worker"),
}


@pytest.mark.parametrize("command", IMPATIENT.values(), ids=IMPATIENT)
async def test_a_call_that_does_not_end_within_the_grace_time_does_not_hold_its_worker(
    command: Command, tmp_path: Path
) -> None:
    """Here that time is none, for server and application."""
    async with working(command, tmp_path, workers=2, GRACE="0") as (server, patience, browser):
        workers, calls = sorted(server.workers), []
        for worker in workers:
            with server.only(worker):
                calls.append(asyncio.create_task(worker_of(browser, server, f"held-{worker}")))
                await patience.until_asked_for(f"held-{worker}")
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, 60) in (0, -signal.SIGTERM)
        assert await asyncio.gather(*calls) == [None, None]


@pytest.mark.parametrize("source", ["client", "pool"])
async def test_what_was_used_before_the_fork_serves_each_worker_with_connections_of_its_own(
    source: str, tmp_path: Path
) -> None:
    """A preloaded module made a client or pool, and warmed it up."""
    async with working(gunicorn("--workers=2", "--preload"), tmp_path, workers=2, SOURCE=source) as (
        server,
        patience,
        browser,
    ):
        assert patience.asked == ["E00001"]
        for worker in server.workers:
            with server.only(worker):
                for _ in range(2):
                    assert await worker_of(browser, server, "E00002") == worker
        assert len(patience.asked) == 5
        assert len(patience.connections) == 3
    assert "Traceback" not in server.log


@pytest.mark.parametrize("by", ["a file that changes", "SIGHUP"])
async def test_a_worker_that_is_reloaded_ends_its_call_and_the_next_one_has_a_client(by: str, tmp_path: Path) -> None:
    """By `uvicorn --reload`, and by gunicorn."""
    watched = tmp_path / "watched" / "module.py"
    watched.parent.mkdir()
    watched.touch()
    reloading = uvicorn("--reload", f"--reload-dir={watched.parent}", "--reload-delay=0.01")
    command = gunicorn("--workers=1") if by == "SIGHUP" else reloading
    async with working(command, tmp_path, workers=1) as (server, patience, browser):
        (old,) = server.workers

        def stops() -> bool:
            if by != "SIGHUP":
                # More than once, since the first time may come before uvicorn has looked.
                os.utime(watched, (0, watched.stat().st_mtime + 1))
            return "Shutting down" in server.log

        call = asyncio.create_task(worker_of(browser, server, "held-call"))
        await patience.until_asked_for("held-call")
        if by == "SIGHUP":
            server.process.send_signal(signal.SIGHUP)
        await until(stops)
        patience.let_go_on("held-call")
        assert await call == old
        await until(lambda: f"Finished server process [{old}]" in server.log and server.workers - {old})
        assert {await worker_of(browser, server, "E00001")} == server.workers - {old}
    assert "Traceback" not in server.log
