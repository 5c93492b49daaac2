"""The application printed in docs/frameworks.md does what the page says, and its glue is short."""

import json
from typing import Any

import aiohttp
from docs_pages import ROOT, blocks_of

from contrib.serving import served
from thrive_async.sandbox import Sandbox

(BLOCK, *_) = [block for block in blocks_of(ROOT / "docs" / "frameworks.md") if block.kind == "backend"]
SECRET = "agreed"


def application() -> Any:
    names: dict[str, Any] = {"__name__": "printed"}
    exec(compile(BLOCK.source, str(BLOCK.page), "exec"), names)
    return names["app"]


def test_the_glue_of_a_small_application_is_at_most_30_lines() -> None:
    """Lifespan, dependencies, errors, webhook and Server-Sent Events, without imports and blank lines."""
    lines = [line for line in BLOCK.source.splitlines() if line and not line.startswith(("from ", "import "))]
    assert len(lines) <= 30
    assert f"These are {len(lines)} lines," in BLOCK.page.read_text(encoding="utf-8")


async def test_the_printed_application_does_all_that_the_page_says(
    served_sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    async with served(application()) as url:
        for path, status in (("/people/E00001", 200), ("/people/nobody", 404), ("/ready", 200), ("/docs", 200)):
            async with browser.get(url + path) as answer:
                assert answer.status == status, path
        to = f"{url}/thrive"
        assert (await served_sandbox.deliver("content.completed", to=to, secret=SECRET)).status == 204
        assert (await served_sandbox.deliver("content.completed", to=to, secret="guessed")).status == 401
        served_sandbox.state.add_audience("night-shift", parent="emea")
        async with browser.post(f"{url}/audiences/night-shift/members", json=["E00001"]) as answer:
            run = await answer.json()
        async with browser.get(f"{url}/runs/{run}") as answer:
            *_, last = (await answer.text()).strip().splitlines()
        report = json.loads(last.removeprefix("data: "))
        assert (report["ok"], report["added"]) == (True, 1)
        async with browser.get(f"{url}/runs/unknown") as answer:
            assert answer.status == 404
