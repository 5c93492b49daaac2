"""Make the pictures of the pages anew: `python docs/pictures.py`. Needs `[cli]`, Playwright and Chromium."""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

STATIC = Path(__file__).parent / "_static"


def main() -> None:
    """Run the demo, and picture what it prints and the report it writes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "thrive_async.cli", "demo", "--keep", "."]
        printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout  # noqa: S603
        draw(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", printed).replace(str(Path(folder).resolve()), "."))
        photograph(Path(folder, "report.html"))


def draw(printed: str) -> None:
    """Draw a terminal as SVG, without the web font that Rich would load."""
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(Text("$ thrive demo", style="bold"))
    console.print(Text(printed.rstrip()), soft_wrap=False)
    svg = console.export_svg(title="thrive demo")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    (STATIC / "demo.svg").write_text(svg, encoding="utf-8")


def photograph(page: Path) -> None:
    """Take a picture of the upper part of a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": 1100, "height": 1180})
        window.goto(page.as_uri())
        window.screenshot(path=STATIC / "report.png")
        browser.close()


if __name__ == "__main__":
    main()
