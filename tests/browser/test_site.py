"""The check of the built site sees what it is there to see, in both colours and at both widths."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from .conftest import CHROMIUM

CHECK = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "check_site.py"))
PAGE = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>A page</title>
<style>{style}</style><main><h1>A page</h1><p>Some text.</p>{more}</main></html>"""


@pytest.mark.parametrize(
    ("style", "more", "problems"),
    [
        ("", "", []),
        ("", "<img src='data:,'>", ["page.html, light: Images must have", "page.html, dark: Images must have"]),
        ("p { width: 600px }", "", ["page.html, dark: 6"]),
        (
            "@media (prefers-color-scheme: dark) { body { background: #111 } }",
            "",
            ["page.html, dark: Elements must meet minimum color contrast"],
        ),
    ],
)
def test_a_page_is_checked_in_both_colours_and_widths(
    tmp_path: Path, style: str, more: str, problems: list[str]
) -> None:
    pytest.importorskip("playwright.sync_api", reason="needs Playwright: nox -s browser")
    if CHROMIUM is None:
        pytest.skip("needs Chromium, such as Debian's package chromium")
    (tmp_path / "page.html").write_text(PAGE.format(style=style, more=more))
    found = list(CHECK["poor_pages"](tmp_path, ["page.html"]))
    assert len(found) == len(problems)
    assert all(line.startswith(problem) for line, problem in zip(found, problems, strict=True)), found
