"""A plan is looked at, approved and rejected in a browser, as a colleague would do it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import thrive_async

from .conftest import OpenPage
from .test_page import expect, violations

Review = Callable[[], tuple[str, "subprocess.Popen[str]"]]


@pytest.fixture
def review(planned: Path) -> Iterator[Review]:
    """Start `thrive plan review`; gives the address and the process."""
    started: list[subprocess.Popen[str]] = []

    def review() -> tuple[str, subprocess.Popen[str]]:
        environment = os.environ | {"PYTHONPATH": str(Path(thrive_async.__file__).parents[1])}
        command = (sys.executable, "-m", "thrive_async.cli", "plan", "review", str(planned.with_name("plan.json")))
        process = subprocess.Popen((*command, "--names"), stdout=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip(), process

    yield review
    for process in started:
        process.terminate()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def approval(planned: Path) -> dict[str, Any]:
    return json.loads(planned.with_name("plan.json.approval.json").read_text(encoding="utf-8"))


def test_a_plan_is_searched_and_approved(planned: Path, review: Review, open_page: OpenPage) -> None:
    address, process = review()
    page = open_page(address)
    page.fill("#search", "lovelace")
    expect(page.locator("#rows b")).to_have_text(["Ada Lovelace"])
    page.fill("#who", "Grace Hopper")
    page.get_by_role("button", name="Approve").click()
    assert page.locator("h1").inner_text() == "You approved this plan. You can close this page."
    assert process.wait(timeout=30) == 0
    assert (approval(planned)["decision"], approval(planned)["who"]) == ("approved", "Grace Hopper")


def test_a_rejection_needs_a_reason(planned: Path, review: Review, open_page: OpenPage, told: list[str]) -> None:
    address, process = review()
    page = open_page(address, width=390, scheme="dark")
    assert violations(page) == []
    page.fill("#who", "Grace Hopper")
    page.get_by_role("button", name="Reject").click()
    assert page.get_by_role("alert").inner_text() == "Say why you reject the plan."
    assert page.locator("#who").input_value() == "Grace Hopper"
    # The browser logs the status of the page.
    assert "400 (Bad Request)" in told.pop()
    page.fill("#reason", "Zoë has not left")
    page.get_by_role("button", name="Reject").click()
    page.locator("h1", has_text="You rejected this plan").wait_for()
    assert process.wait(timeout=30) == 3
    assert (approval(planned)["decision"], approval(planned)["reason"]) == ("rejected", "Zoë has not left")
