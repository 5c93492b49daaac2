"""The pages of docs/nightly/: their commands run, and what they say of exit codes is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_pages import blocks_of, commands_of

from thrive_async.cli._errors import Exit

from .conftest import RECIPES, Night
from .test_systemd import command_of

PAGES = sorted(RECIPES.rglob("*.md"))


def commands_on(page: Path) -> list[list[str]]:
    """Return what a page gives the command `thrive`, on this machine or in a container."""
    found = []
    for block in blocks_of(page):
        if block.language == "sh":
            for printed in commands_of(block):
                words = printed[3:] if printed[:3] == ["sudo", "-u", "thrive"] else printed
                if words[0].rpartition("/")[2] == "thrive":
                    found.append(words[1:])
                elif words[:2] == ["docker", "run"] and "--entrypoint" not in words:
                    found.append(words[words.index("thrive-async") + 1 :])
        elif block.source.startswith("args:\n"):
            found.append(re.findall(r"^  - (.+)$", block.source, re.MULTILINE))
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if commands_on(page)], ids=lambda page: page.parent.name)
def test_the_commands_of_a_page_run_in_order(night: Night, page: Path) -> None:
    """After a plan was made, as the page says. A plan ends with 10, everything else with 0."""
    night.places |= {"/state/": night.here("/var/lib/thrive/"), "/hr/": night.here("/srv/hr/")}
    assert night.run(*command_of("thrive-plan.service")).returncode == 10
    for arguments in commands_on(page):
        done = night.run("thrive", *arguments)
        assert done.returncode == (10 if "--dry-run" in arguments else 0), (arguments, done.stderr)


def test_the_pages_with_commands_are_found() -> None:
    assert {page.parent.name for page in PAGES if commands_on(page)} >= {
        "nightly",
        "systemd",
        "cron",
        "docker",
        "kubernetes",
    }


def test_every_exit_code_of_a_sync_is_explained() -> None:
    """A bug has no row of its own, and a nightly job has no reader that goes away."""
    rows = re.findall(r"^\| ([\d, ]+) \|", (RECIPES / "README.md").read_text(), re.MULTILINE)
    told = {int(code) for row in rows for code in row.split(",")}
    assert told == {int(code) for code in Exit} - {Exit.BUG, Exit.PIPE}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_every_recipe_shows_approval_secrets_and_exit_codes(page: Path) -> None:
    text = page.read_text()
    assert "API" in text
    assert "pprove" in text
    assert "README.md#what-each-exit-code-asks-of-you" in text or page.parent == RECIPES
    assert "Without approval" in text or page.parent == RECIPES


def test_no_recipe_puts_a_secret_on_a_command_line() -> None:
    for path in RECIPES.rglob("*"):
        if path.is_file():
            assert not re.search(r"THRIVE_API_KEY=(?!\$)|from-literal|--api-key", path.read_text()), path


def test_every_file_of_a_recipe_is_linked_from_its_page() -> None:
    for page in PAGES:
        for path in page.parent.rglob("*"):
            if path.is_file() and path != page and page.parent != RECIPES:
                assert f"]({path.relative_to(page.parent).as_posix()})" in page.read_text(), path
