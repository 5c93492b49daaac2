"""The examples do what their page says. Each runs as its one command starts it: FastAPI with two workers."""

import ast
import asyncio
import json
import re
import shutil
import subprocess
import sys
from datetime import date
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from contrib.processes import environment_of
from contrib.serving import until
from docs_pages import ROOT, Block, blocks_of

from examples.running import EXAMPLES, FOLDER, SECRET, running
from thrive_async.sandbox import Sandbox

PAGE = ROOT / "docs" / "examples.md"
CURLS = [block for block in blocks_of(PAGE) if block.language == "sh"][1:]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM")
each = pytest.mark.parametrize("name", EXAMPLES)


@each
@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("openssl"), reason="needs curl and openssl")
def test_the_lines_of_the_page_print_what_it_says_on_a_sandbox_of_the_example(name: str, tmp_path: Path) -> None:
    with running(name, tmp_path, {}) as example:
        assert "A sandbox with 1,000 made-up people" in example.log
        for block in CURLS:
            lines = block.source.replace("http://127.0.0.1:8000", example.url)
            expect(block, f"export WEBHOOK_SECRET={SECRET}\n{lines}")


def expect(block: Block, script: str) -> None:
    """Run lines of the page, again if they only read: an event is handled after its delivery was answered."""
    for _ in range(100 if "/events" in script else 1):
        done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True, timeout=60)
        # aiohttp writes JSON with spaces.
        printed = re.sub(r'(?<=":) |(?<=",) |(?<=},) ', "", done.stdout)
        if OutputChecker().check_output(str(block.printed), f"{printed.strip()}\n", ELLIPSIS):
            return
    raise AssertionError(f"{block} prints:\n{printed}")


@each
async def test_each_event_is_kept_once_whichever_worker_gets_it_and_seen_from_all(
    name: str, served: Sandbox, tmp_path: Path
) -> None:
    with running(name, tmp_path, served.environment) as example:
        assert "sandbox" not in example.log
        to = f"{example.url}/thrive"
        event = {"eventType": "user.updated", "user": {"id": "1", "reference": "E00042"}}
        for worker in example.workers or [example.process.pid] * 2:
            with example.only(worker):
                assert (await served.deliver(event, to=to, secret=SECRET)).status == 204
        assert (await served.deliver(event, to=to, secret="guessed")).status == 401
        served.webhooks.subscribe(to, secret=SECRET)
        async with served.client() as thrive, browser() as session:
            await thrive.users.suspend("E00005", end_date=date(2026, 1, 1))

            async def seen() -> list[tuple[str, str]]:
                async with session.get(f"{example.url}/events") as answer:
                    return [(one["type"], one["person"]) for one in await answer.json()]

            kept: list[tuple[str, str]] = []
            while len(kept) < 2:
                kept = await seen()
            for worker in example.workers or [example.process.pid]:
                with example.only(worker):
                    assert sorted(await seen()) == [("user.deactivated", "E00005"), ("user.updated", "E00042")]


@each
async def test_a_pause_that_thrive_asks_one_worker_for_is_kept_by_all(
    name: str, served: Sandbox, tmp_path: Path
) -> None:
    with running(name, tmp_path, served.environment) as example:
        served.faults.add("rate_limited", operation="listAudiences", retry_after=200)
        served.requests.clear()
        async with browser() as session:
            for worker in example.workers or [example.process.pid] * 2:
                with example.only(worker):
                    async with session.get(f"{example.url}/audiences") as answer:
                        assert answer.status == 429
                        assert int(answer.headers["Retry-After"]) > 100
        assert len(served.requests) == 1


@each
async def test_a_second_sync_of_an_audience_is_refused_by_every_worker_until_the_first_has_ended(
    name: str, served: Sandbox, tmp_path: Path
) -> None:
    served.state.add_audience("night-shift", parent="emea")
    with running(name, tmp_path, {**served.environment, "THRIVE_LOCK_DIR": str(tmp_path)}) as example:
        async with browser() as session:

            async def run(*people: str) -> str:
                body = {"people": people, "remove_others": False}
                async with session.post(f"{example.url}/audiences/night-shift/sync", json=body) as answer:
                    assert answer.content_type == "text/event-stream"
                    return (await answer.text()).strip().splitlines()[-1]

            served.faults.add("latency", operation="addMembers", seconds=3600)
            first = asyncio.create_task(run("E00001"))
            await until(lambda: any(one.operation == "addMembers" for one in served.requests))
            for leaves in (False, True):
                if leaves:  # the browser, and the sync goes on
                    first.cancel()
                    await asyncio.wait([first])
                for worker in example.workers or [example.process.pid]:
                    with example.only(worker):
                        assert json.loads((await run("E00002")).removeprefix("data: "))["status"] == 409
        example.kill()  # or the request in flight would have the whole grace time


@each
async def test_what_a_browser_sends_wrong_is_its_own_mistake_and_reaches_nothing(
    name: str, served: Sandbox, tmp_path: Path
) -> None:
    with running(name, tmp_path, served.environment) as example:
        async with browser() as session:
            served.requests.clear()
            wrong: list[tuple[str, dict[str, Any], int]] = [
                ("members", {"json": {"person": 3}}, 422),
                ("members", {"json": ["E00001"]}, 422),
                ("members", {"data": b"{"}, 422),
                ("members", {"data": b'{"person": "E00001"}', "headers": {"Content-Type": "text/plain"}}, 422),
                ("sync", {"json": {"people": "E00001", "remove_others": False}}, 422),
                ("sync", {"json": {"people": ["E00001", 3], "remove_others": False}}, 422),
                ("members", {"json": {"person": " "}}, 422),
            ]
            for path, body, status in wrong:
                async with session.post(f"{example.url}/audiences/sales-apac/{path}", **body) as answer:
                    assert answer.status == status, (path, body, await answer.text())
            assert not [one for one in served.requests if one.method != "GET"]
            async with session.post(f"{example.url}/audiences/nowhere/members", json={"person": "E00001"}) as answer:
                assert answer.status == 404


@each
def test_without_a_secret_for_webhooks_it_does_not_start(name: str, tmp_path: Path) -> None:
    variables = {"THRIVE_TENANT_ID": "eu-west-2_AbcdEfghI", "THRIVE_API_KEY": "key"}
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py")],
        env={**environment_of(variables), "PORT": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "WEBHOOK_SECRET" in done.stderr.splitlines()[-1]


def test_the_lines_that_the_page_tells_are_those_of_the_files() -> None:
    told = dict(re.findall(r"^\| `(\w+\.py)`.* \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(told) == 3
    assert told == {path.name: str(lines_of(path)) for path in map(FOLDER.joinpath, told)}


def lines_of(path: Path) -> int:
    """Count the lines without imports, docstrings, comments and blank lines."""
    source = path.read_text(encoding="utf-8")
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or isinstance(node, ast.Import | ast.ImportFrom):
            left_out.update(range(node.lineno, (node.end_lineno or 0) + 1))
    lines = enumerate(source.splitlines(), start=1)
    return sum(bool(line.strip()) and not line.strip().startswith("#") and n not in left_out for n, line in lines)


def browser() -> aiohttp.ClientSession:
    """A browser that opens a connection for each request, so that both workers get some."""
    connector = aiohttp.TCPConnector(force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
