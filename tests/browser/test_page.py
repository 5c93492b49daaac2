"""The page in a browser: it is rendered, searched, sorted and filtered, in both colours, on a phone, and on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from thrive_async.cli._page.content import Bar, Content, Happening, Person
from thrive_async.cli._page.render import html
from thrive_async.cli._plan_views import Limit

from .conftest import HOSTILE, OpenPage, command

if TYPE_CHECKING:
    from playwright.sync_api import Page, expect
else:
    expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright: nox -s browser").expect


def rows(page: Page) -> list[list[str]]:
    """The cells of the shown rows."""
    return page.eval_on_selector_all("#rows tr", "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))")


def people(page: Page) -> list[str]:
    return page.locator("#rows b").all_inner_texts()


def violations(page: Page) -> list[Any]:
    """What axe-core finds, as rules and elements."""
    import axe_playwright_python

    script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    # Not a script element: the page's policy refuses those.
    page.evaluate(script)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


def test_the_plan_is_shown_with_the_largest_changes_first(planned: Path, open_page: OpenPage) -> None:
    page = open_page(planned)
    assert page.title() == "Plan: 4 audiences"
    assert page.locator("h1").inner_text() == "4 audiences"
    # What could not be planned comes first, for it needs a reader.
    assert page.locator("#bars .subject").all_inner_texts() == ["nowhere", "south", "north", "west"]
    south = page.locator("#bars li").nth(1)
    assert south.locator(".counts > span").all_inner_texts() == ["20 now", "19 stay", "3 join", "1 leave"]
    widths = [float(str(bar.get_attribute("width"))) for bar in south.locator("rect").all()]
    assert sum(widths) == pytest.approx(100, abs=0.1)
    assert widths == pytest.approx([100 * part / 23 for part in (19, 3, 1)], abs=0.1)
    assert "3 of 60 people removed, all audiences together: 20 allowed" in page.locator(".guards").inner_text()


def test_everybody_who_changes_is_listed_by_name(planned: Path, open_page: OpenPage) -> None:
    page = open_page(planned)
    listed = rows(page)
    assert ["north", "leaves", ""] in [[row[0], *row[2:]] for row in listed if row[1].startswith("Zoë Ångström\n")]
    assert {row[2] for row in listed} == {"joins", "leaves", "unknown to Thrive", "named twice"}
    assert page.locator("#found").inner_text() == f"{len(listed)} people and entries"


def test_a_search_finds_people_by_any_word_without_accents_and_case(planned: Path, open_page: OpenPage) -> None:
    page = open_page(planned)
    for words, found in (("ANGSTROM zoe", ["Zoë Ångström"]), ("lévy", ["محمد Lévy"]), ("nobody at all", [])):
        page.fill("#search", words)
        expect(page.locator("#rows b")).to_have_text(found)


def test_people_are_filtered_by_what_happens_why_and_audience(planned: Path, open_page: OpenPage) -> None:
    page = open_page(planned)
    page.select_option("#happens", label="leaves (3)")
    assert len(people(page)) == 3
    page.select_option("#subject", label="north (2)")
    assert sorted(people(page)) == ["Ada Lovelace", "Zoë Ångström"]
    page.select_option("#happens", "")
    page.select_option("#subject", "")
    page.select_option("#why", label="this person was named before (1)")
    assert len(people(page)) == 1
    page.select_option("#why", "")
    page.get_by_role("button", name="north", exact=True).click()
    assert {row[0] for row in rows(page)} == {"north"}


def test_people_are_sorted_by_a_click_both_ways_and_by_the_list_of_orders(planned: Path, open_page: OpenPage) -> None:
    page = open_page(planned)
    person = page.locator("#list th").nth(1)
    assert person.get_attribute("aria-sort") == "none"
    person.locator("button").click()
    names = people(page)
    assert names[1:3] == ["Ada Lovelace", "Ana <b>Bold</b>"]
    assert person.get_attribute("aria-sort") == "ascending"
    person.locator("button").click()
    assert people(page) == names[::-1]
    assert person.get_attribute("aria-sort") == "descending"
    page.select_option("#sort", label="what happens")
    assert [row[2] for row in rows(page)] == sorted(row[2] for row in rows(page))


def test_hostile_names_do_nothing(planned: Path, open_page: OpenPage) -> None:
    page = open_page(planned)
    assert HOSTILE in people(page)
    assert "Ana <b>Bold</b>" in people(page)
    assert page.locator("#rows img, #rows b b").count() == 0
    assert page.evaluate("window.hurt") is None


def test_the_policy_refuses_every_other_script(planned: Path, open_page: OpenPage, told: list[str]) -> None:
    page = open_page(planned)
    page.evaluate("document.body.append(Object.assign(document.createElement('div'), { id: 'probe' }))")
    refused = page.evaluate(
        """() => new Promise(resolve => {
          document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
          document.getElementById("probe").setAttribute("onclick", "window.hurt = 1");
          document.getElementById("probe").click();
        })"""
    )
    assert refused == "script-src-attr"
    assert page.evaluate("window.hurt") is None
    assert told.pop().startswith("Executing inline event handler violates")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_both_colours_fit_a_desk_and_a_phone_and_axe_finds_nothing(
    planned: Path, open_page: OpenPage, scheme: str, width: int
) -> None:
    page = open_page(planned, scheme=scheme, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(19, 24, 32)")
    assert violations(page) == []


def test_a_program_without_scripts_shows_the_beginning(planned: Path, open_page: OpenPage) -> None:
    page = open_page(planned, scripts=False)
    assert "south" in page.locator("#bars").inner_text()
    assert "Zoë Ångström" in page.locator("#rows").inner_text()
    assert page.locator("noscript").is_visible()
    assert not page.locator("#controls").is_visible()


def test_the_page_prints_all_people_of_a_filter(planned: Path, open_page: OpenPage) -> None:
    page = open_page(planned)
    page.emulate_media(media="print")
    assert not page.locator("#controls").is_visible()
    assert page.pdf()[:5] == b"%PDF-"


def test_a_run_ends_with_a_page_of_what_was_done(planned: Path, open_page: OpenPage) -> None:
    report = planned.with_name("report.html")
    # One name is unknown to Thrive, and one audience does not exist.
    assert command("sync", "audiences", str(planned.with_name("list.csv")), "--yes", "--html", str(report)) == 3
    page = open_page(report)
    assert page.title() == "Report: 4 audiences"
    listed = {(row[0], row[2]) for row in rows(page)}
    assert listed >= {("south", "joined"), ("north", "left"), ("west", "failed to join")}
    assert "1 change failed" in page.locator(".problems").first.inner_text()


def test_many_people_are_shown_in_pages(planned: Path, open_page: OpenPage) -> None:
    """The rows of a large plan come from the same data, so the data of a small one is enough."""
    text = planned.read_text(encoding="utf-8")
    before, _, rest = text.partition('<script type="application/json" id="data">')
    data, _, after = rest.partition("</script>")
    content = json.loads(data)
    numbers, same, blank = range(1000), [0] * 1000, [""] * 1000
    content["people"] = {
        "subject": same,
        "happening": same,
        "reason": same,
        "email": blank,
        "ref": blank,
        "changes": {},
    }
    content["people"] |= {"reference": [f"E{at:04}" for at in numbers], "name": [f"Person {at:04}" for at in numbers]}
    planned.write_text(f'{before}<script type="application/json" id="data">{json.dumps(content)}</script>{after}')
    page = open_page(planned)
    assert people(page)[-1] == "Person 0199"
    assert page.locator("#place").inner_text() == "1 to 200 of 1,000"
    assert page.locator("#back").is_disabled()
    page.get_by_role("button", name="Next").click()
    assert people(page)[0] == "Person 0200"
    # All of them are printed, from the beginning; then the page is as it was.
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(people(page)) == 1000
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert people(page)[0] == "Person 0200"
    page.fill("#search", "e099")
    expect(page.locator("#rows tr")).to_have_count(10)
    assert not page.locator("#pager").is_visible()


def test_users_are_sorted_and_show_old_and_new(
    tenant: list[dict[str, Any]], open_page: OpenPage, tmp_path: Path
) -> None:
    """One subject has no column for audiences, and every other column stays where it belongs."""
    lines = [f"{user['ref']},{user['email']},Cook" for user in tenant[:3]]
    (tmp_path / "users.csv").write_text("\n".join(["ref,email,job_title", *lines, ""]), encoding="utf-8")
    page_file = tmp_path / "users.html"
    assert command("sync", "users", str(tmp_path / "users.csv"), "--dry-run", "--html", str(page_file)) == 0
    page = open_page(page_file, width=390)
    assert page.locator("#list th").all_inner_texts() == ["Person", "What happens", "Why"]
    page.select_option("#sort", label="name")
    assert people(page) == ["Ada Lovelace", "Grace Hopper", "Zoë Ångström"]
    assert page.locator("#rows ins").all_inner_texts() == ["Cook"] * 3
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert violations(page) == []


@pytest.mark.parametrize("kind", ["plan", "report"])
def test_a_long_name_without_a_gap_fits_a_phone(open_page: OpenPage, tmp_path: Path, kind: Any) -> None:
    long = "Donaudampfschifffahrtsgesellschaftskapitaen" * 4
    person = {"audience": long, "reference": long, "name": long, "email": long, "ref": long, "reason": long}
    limit = Limit(what=long, planned=1, current=9, allowed=0, option="--max-removals")
    bars = [Bar(name=f"{number}{long}", now=9, parts={"leaving": 1}, note=long) for number in range(2)]
    happening = Happening(long, "leaving")
    told = Content(
        kind=kind,
        title=long,
        facts=[("File", long)],
        limits=[limit],
        problems=[long],
        bars=bars,
        people=[Person(**person, happening=happening, changes={long: (long, long)})],
        named=False,
    )
    (tmp_path / "long.html").write_text(html(told), encoding="utf-8")
    page = open_page(tmp_path / "long.html", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert violations(page) == []
