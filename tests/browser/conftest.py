"""A headless Chromium and pages of the command line. Without Chromium or Playwright, these tests are skipped."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from thrive_async.cli import main
from thrive_async.sandbox import Sandbox

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
#: What a name could try.
HOSTILE = '"><img src=x onerror=window.hurt=1></script x><script>window.hurt=1</script><!--<script @example.com'

OpenPage = Callable[..., "Page"]


def command(*tokens: str) -> int:
    """Run a command line in a thread: Playwright's loop runs in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(main, tokens).result()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser, once for the tests of a module: Playwright's loop runs until then, and keeps other loops out."""
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: nox -s browser")
    if CHROMIUM is None:
        pytest.skip("needs Chromium, such as Debian's package chromium")
    # Chromium refuses its sandbox to root, who runs the tests in a container.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if root else [])
        yield launched
        launched.close()


@pytest.fixture
def told() -> list[str]:
    """What the console says: refusals of the policy, errors of scripts. A test that provokes one clears it."""
    return []


@pytest.fixture
def open_page(browser: Browser, told: list[str]) -> Iterator[OpenPage]:
    """Open an address, and see that nothing is logged, refused or fetched from elsewhere."""
    contexts: list[Any] = []
    asked: list[str] = []

    def open_page(address: str | Path, *, scheme: str = "light", width: int = 1280, scripts: bool = True) -> Page:
        size: Any = {"width": width, "height": 900}
        colours: Any = scheme
        context = browser.new_context(viewport=size, color_scheme=colours, java_script_enabled=scripts)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address.as_uri() if isinstance(address, Path) else address)
        if scripts:
            page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert told == []
    assert not [url for url in asked if not url.startswith(("file:", "http://127.0.0.1:"))]


@pytest.fixture
def tenant(served: Sandbox) -> list[dict[str, Any]]:
    """Three audiences of twenty people each; gives the users in order, the first ones are the members."""
    users = [user for user in served.state.users.values() if user.get("email") and user.get("ref")]
    for user, (first, last) in zip(users, NAMES, strict=False):
        user.update(firstName=first, lastName=last)
    for number, name in enumerate(("north", "south", "west")):
        members = [user["id"] for user in users[number * 10 : number * 10 + 20]]
        served.state.add_audience(name, name=name, members=members)
    return users


NAMES = [("Zoë", "Ångström"), ("Ada", "Lovelace"), ("Grace", "Hopper"), ("محمد", "Lévy"), ("Ana", "<b>Bold</b>")]


@pytest.fixture
def planned(tenant: Sequence[dict[str, Any]], tmp_path: Path) -> Path:
    """The page of a plan: south gets 3 and loses 1, north loses 2, west is told nothing new but two odd rows."""
    rows = [("audience", "member")]
    rows += [("north", user["email"]) for user in tenant[2:20]]
    rows += [("south", user["email"]) for user in (*tenant[11:30], *tenant[3:6])]
    rows += [("west", user["email"]) for user in tenant[20:40]]
    rows += [("west", tenant[20]["ref"]), ("west", HOSTILE), ("nowhere", "ada@example.com")]
    with (tmp_path / "list.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    page = tmp_path / "plan.html"
    plan = str(tmp_path / "plan.json")
    sync = ("sync", "audiences", str(tmp_path / "list.csv"), "--unknown", "remove")
    assert command(*sync, "--dry-run", "--html", str(page), "--save-plan", plan) == 0
    return page
