"""The check of the built site, on small sites of its own."""

import runpy
import zlib
from pathlib import Path

import pytest

from thrive_async._generated.operations import OPERATIONS

CHECK = runpy.run_path(str(Path(__file__).parent.parent / "docs" / "check_site.py"))
NAMES = """a py:module 0 a.html# -
a.Client py:class 1 a.html#$ -
a._inner.Client py:class -1 a.html#a.Client -
a.Client.calls py:property 1 a.html#$ -
a.Client.get py:method 1 a.html#$ -
a.Failed py:exception 1 a.html#$ -
a.LIMIT py:data 1 a.html#$ -
index std:doc -1 index.html A
"""
DESCRIBED = """class a.Client(key: str)

   A client: `a.Failed` if it fails.

   property Client.calls: int

      How many.

   async Client.get(*, name: str) -> str

      Get one.

exception a.Failed

   It failed.

a.LIMIT: Final[int] = 3

   The most.

"""
REQUESTS = "\n".join(f"`{operation.method} {operation.path}`" for operation in OPERATIONS.values())


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site without a fault."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top-ä">Ä</h1> <a href="deep/page.html#one">one</a> <a href="#top-%C3%A4">here</a> <a href="#">top</a>'
        '<a href="https://example.com/#no">x</a> <a href="mailto:a@example.com">mail</a> <a href="//example.com">x</a>',
        encoding="utf-8",
    )
    (tmp_path / "deep" / "page.html").write_text(
        '<p id="one">1</p> <a href="../index.html">up</a> <img src="../a b.svg">'
    )
    (tmp_path / "a b.svg").write_text("<svg/>")
    (tmp_path / "llms.txt").write_text("- [Page](/deep/page.html)")
    (tmp_path / "llms-full.txt").write_text(DESCRIBED + REQUESTS)
    (tmp_path / "objects.inv").write_bytes(b"#\n#\n#\n#\n" + zlib.compress(NAMES.encode()))
    return tmp_path


def test_a_site_in_which_all_links_lead_somewhere_is_in_order(site: Path) -> None:
    (site / "more.html").write_text('<a href="a%20b.svg?v=1#whatever">picture</a>')
    assert CHECK["main"](str(site), "--links-only") is None


@pytest.mark.parametrize(
    ("element", "problem"),
    [
        ('<a href="gone.html">gone</a>', "more.html: gone.html does not exist"),
        ('<img src="gone.svg">', "more.html: gone.svg does not exist"),
        ('<link href="deep" rel="next">', "more.html: deep does not exist"),
        ('<a href="../outside.html">out</a>', "more.html: ../outside.html does not exist"),
        ('<a href="deep/page.html#two">two</a>', "more.html: deep/page.html#two has no such anchor"),
        ('<a href="#three">three</a>', "more.html: #three has no such anchor"),
    ],
)
def test_a_link_that_leads_nowhere_is_named_with_its_page(site: Path, element: str, problem: str) -> None:
    (site.parent / "outside.html").write_text("")
    (site / "more.html").write_text(element)
    assert list(CHECK["broken_links"](site)) == [problem]
    assert CHECK["main"](str(site), "--links-only") == problem


def test_the_list_for_language_models_leads_somewhere(site: Path) -> None:
    (site / "llms.txt").write_text("- [Page](/deep/page.html)\n- [Gone](/_sources/gone.md.txt)")
    assert CHECK["main"](str(site), "--links-only") == "llms.txt: _sources/gone.md.txt does not exist"


@pytest.mark.parametrize(
    ("said", "instead", "problem"),
    [
        ("class a.Client(key: str)", "a.Client is a client.", "a.Client is not described"),
        ("class a.Client(key: str)", "class a.Clients(key: str)", "a.Client is not described"),
        ("   property Client.calls: int\n\n      How many.\n", "", "Client.calls is not described"),
        ("      Get one.\n\n", "", "Client.get is not described"),
        ("exception a.Failed\n", "- a.Failed\n", "a.Failed is not described"),
        ("\n   The most.\n", "", "a.LIMIT is not described"),
        ("`GET /rest/v1/users`", "`GET /rest/v1/users/`", "GET /rest/v1/users is not mentioned"),
        ("class a.Client", ".. automodule:: a\n\nclass a.Client", ".. automodule:: a is not followed"),
        ("class a.Client", ":::{include} ../A.md\n:::\n\nclass a.Client", ":::{include} ../A.md is not followed"),
    ],
)
def test_language_models_are_told_of_each_public_name_and_operation(
    site: Path, said: str, instead: str, problem: str
) -> None:
    text = (site / "llms-full.txt").read_text()
    (site / "llms-full.txt").write_text(text.replace(said, instead, 1))
    assert CHECK["main"](str(site), "--links-only") == f"llms-full.txt: {problem}"
