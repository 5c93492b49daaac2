"""The page of the examples in a browser, served by each of them: FastAPI with two workers, and aiohttp.web."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from contrib.processes import Running
from examples.running import EXAMPLES, SECRET, running

from thrive_async.sandbox import Sandbox

from .conftest import HOSTILE, OpenPage
from .test_page import violations

if TYPE_CHECKING:
    from playwright.sync_api import expect
else:
    expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright: nox -s browser").expect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM")


@pytest.fixture(scope="module", params=EXAMPLES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def sandbox(name: str) -> Iterator[Sandbox]:
    """A sandbox for each example."""
    with Sandbox(users=300, seed=1) as sandbox:
        sandbox.state.user("E00006").update(firstName="Zoë", lastName=HOSTILE)
        yield sandbox


@pytest.fixture(scope="module")
def example(name: str, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp(name)
    with running(name, folder, {**sandbox.environment, "THRIVE_LOCK_DIR": str(folder)}) as example:
        sandbox.webhooks.subscribe(f"{example.url}/thrive", secret=SECRET)
        yield example


def test_somebody_is_found_and_put_into_an_audience(example: Running, sandbox: Sandbox, open_page: OpenPage) -> None:
    sandbox.state.add_audience("night-shift", name="Night shift", parent="emea", members=[])
    page = open_page(example.url)
    page.fill("input[type=search]", "zoë")
    page.get_by_role("button", name="Find").click()
    row = page.locator("#people li").filter(has_text="E00006")
    expect(row).to_contain_text(f"Zoë {HOSTILE}")
    assert page.evaluate("window.hurt") is None
    page.get_by_label("Audience", exact=True).select_option(label="Night shift")
    row.get_by_role("button", name="Add").click()
    expect(page.locator("#found")).to_have_text(f"Zoë {HOSTILE} is in Night shift")
    (member,) = sandbox.state.audiences["night-shift"].members
    assert sandbox.state.users[member]["ref"] == "E00006"


def test_a_sync_is_watched_to_its_end_and_a_guard_is_told(
    example: Running, sandbox: Sandbox, open_page: OpenPage
) -> None:
    refs = [str(user["ref"]) for user in sandbox.state.users.values() if user["ref"]][:250]
    sandbox.state.add_audience("day-shift", name="Day shift", parent="emea", members=[])
    page = open_page(example.url)
    page.get_by_label("Audience", exact=True).select_option(label="Day shift")
    # Everything that the page says meanwhile.
    page.evaluate(
        """() => {
          window.said = [];
          const report = document.getElementById("report");
          new MutationObserver(() => said.push(report.textContent)).observe(report, { childList: true });
        }"""
    )
    page.locator("textarea").fill("\n".join([*refs, "somebody@example.org"]))
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#report")).to_have_text("250 added, 0 removed, 1 failed, 0 in doubt")
    assert page.evaluate("said").count("251 of 251") == 1
    assert len(sandbox.state.audiences["day-shift"].members) == 250
    page.locator("textarea").fill(refs[0])
    page.get_by_label("Remove everyone else").check()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#report")).to_have_text("A guard refused this sync, and nothing was changed")
    assert len(sandbox.state.audiences["day-shift"].members) == 250


def test_a_webhook_appears_by_itself(example: Running, sandbox: Sandbox, open_page: OpenPage) -> None:
    page = open_page(example.url)
    user = sandbox.state.add_user(firstName="Ada", lastName="Lovelace")
    row = page.locator("#events li").first
    expect(row).to_contain_text("user.created")
    expect(row).to_contain_text(str(user["ref"]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_both_colours_fit_a_desk_and_a_phone_and_axe_finds_nothing(
    example: Running, open_page: OpenPage, scheme: str, width: int
) -> None:
    page = open_page(example.url, scheme=scheme, width=width)
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#people li")).to_have_count(20)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert violations(page) == []
