"""Check the built site: `python docs/check_site.py site [--links-only | --all | PAGE ...]`.

All links and anchors within it must lead somewhere, and llms-full.txt must describe each public name and each
operation. Then the main pages, or those you name, are opened in Chromium,
in light on a wide screen and in dark on a phone: axe-core must find nothing, and no page may scroll sideways. That
needs the dependency group `browser`. `python docs/check_site.py site --all` opens every page in all four ways.
"""

import os
import re
import shutil
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urlsplit

from thrive_async._generated.operations import OPERATIONS

SCREENS = (("light", 1300), ("dark", 390), ("light", 390), ("dark", 1300))
# One of each kind.
MAIN = (
    "index.html",
    "tutorial.html",
    "quickstart.html",
    "sync.html",
    "command-line.html",
    "architecture.html",
    "benchmarks.html",
    "operations.html",
    "reference/index.html",
    "reference/sync.html",
    "reference/contrib.html",
    "nightly/README.html",
    "examples.html",
    "genindex.html",
    "search.html?q=sync",
    "specification.html",
)
_LISTED = re.compile(r"\]\(/([^)]+)\)")
# A signature, and below it, further in, a docstring: "   async Users.get(user_id: str) -> User\n\n      Get a user.".
_DESCRIBED = re.compile(r"^( *)(?:[a-z]+ )*([A-Za-z_][\w.]*)(?=[(:]| =|$).*\n\n\1 +\S", re.MULTILINE)
_DIRECTIVE = re.compile(r"^(?:\.\. auto|:::\{include\}).*", re.MULTILINE)


class _Page(HTMLParser):
    """The anchors of a page, and what it links to or loads."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors = {"", "top"}
        self.links: set[str] = set()

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        self.links |= {values[name] for name in ("href", "src") if name in values}


def broken_links(site: Path) -> Iterator[str]:
    """Yield a line for each link of the site's pages that leads nowhere."""
    site = site.resolve()
    pages: dict[Path, _Page] = {}
    for file in sorted(site.rglob("*.html")):
        pages[file] = _Page()
        pages[file].feed(file.read_text(encoding="utf-8"))
    for file, page in pages.items():
        for link in sorted(page.links):
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            address, anchor = map(unquote, urldefrag(link))
            target = (file.parent / address.partition("?")[0]).resolve() if address else file
            if not target.is_file() or not target.is_relative_to(site):
                yield f"{file.relative_to(site)}: {link} does not exist"
            elif target in pages and anchor not in pages[target].anchors:
                yield f"{file.relative_to(site)}: {link} has no such anchor"
    for listed in _LISTED.findall((site / "llms.txt").read_text(encoding="utf-8")):
        if not (site / listed).is_file():
            yield f"llms.txt: {listed} does not exist"


def undescribed(site: Path) -> Iterator[str]:
    """Yield a line for each public name, and for each operation, that llms-full.txt does not describe."""
    text = (site / "llms-full.txt").read_text(encoding="utf-8")
    described = {found[2] for found in _DESCRIBED.finditer(text)}
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]  # Sphinx's list of all that the site describes
    for line in zlib.decompress(packed).decode().splitlines():
        name, kind, rank, *_ = line.split()
        if kind in {"py:attribute", "py:method", "py:property"}:
            name = ".".join(name.split(".")[-2:])  # members are named with their class
        # Rank -1: where a public class is defined.
        if kind.startswith("py:") and kind != "py:module" and rank != "-1" and name not in described:
            yield f"llms-full.txt: {name} is not described"
    yield from (f"llms-full.txt: {line} is not followed" for line in _DIRECTIVE.findall(text))
    for operation in OPERATIONS.values():
        if f"`{operation.method} {operation.path}`" not in text:
            yield f"llms-full.txt: {operation.method} {operation.path} is not mentioned"


def poor_pages(site: Path, names: Iterable[str], screens: Iterable[tuple[str, int]] = SCREENS[:2]) -> Iterator[str]:
    """Yield a line for each thing that axe-core finds on the named pages, and for each page that scrolls sideways."""
    names = [name for name in names if (site / name.partition("?")[0]).exists()]  # without npm, one is not there
    import axe_playwright_python  # noqa: PLC0415 - the links are checked without these, too
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    with _served(site) as address, sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, as which containers run.
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
        program = os.environ.get("CHROMIUM") or next(found, None)
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        for scheme, width in screens:
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
            for name in names:
                page.goto(f"{address}/{name}")
                page.wait_for_function("!document.querySelector('pre.mermaid:not([data-processed])')")
                if name == "specification.html":
                    page.wait_for_selector("#specification h1")
                if name.startswith("search.html?"):
                    page.wait_for_selector("#search-results h2")
                wide = page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    yield f"{name}, {scheme}: {wide} pixels wide on a screen of {width}"
                page.evaluate(axe)
                for violation in page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]:
                    places = [" ".join(place["html"].split())[:120] for place in violation["nodes"]]
                    yield f"{name}, {scheme}: {violation['help']}, {len(places)} times, first {places[0]}"
        browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing for a request."""


@contextmanager
def _served(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def main(folder: str, *names: str) -> str | None:
    """Check the links and llms-full.txt of a site, and open some of its pages; return what is wrong."""
    site = Path(folder)
    problems = [*broken_links(site), *undescribed(site)]
    if names == ("--all",):
        every = sorted(str(page.relative_to(site)) for page in site.rglob("*.html"))
        problems += poor_pages(site, every, SCREENS)
    elif names != ("--links-only",):
        problems += poor_pages(site, names or MAIN)
    return "\n".join(problems) or None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
