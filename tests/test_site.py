"""The check of the built site, on small sites of its own."""

import runpy
from pathlib import Path

import pytest

CHECK = runpy.run_path(str(Path(__file__).parent.parent / "docs" / "check_site.py"))


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
