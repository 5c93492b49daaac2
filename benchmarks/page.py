"""Measure the page of a plan for many audiences and people: `python -m benchmarks.page [AUDIENCES] [PEOPLE]`.

Needs Chromium and the dependency group `browser`.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from thrive_async.cli._applying import PlanApplying
from thrive_async.cli._page.content import Subjects, plan_content
from thrive_async.cli._page.names import Names
from thrive_async.cli._page.render import html
from thrive_async.cli._plan_views import Named
from thrive_async.models import AudienceMember
from thrive_async.sync import AudiencesPlan, MemberPlan

FIRST = ("Ada", "Grace", "Zoë", "José", "Wanjirũ", "Łukasz", "Mehmet", "Sigrún", "Olena", "Priya")
LAST = ("Lovelace", "Hopper", "Ångström", "García", "Mwangi", "Zieliński", "Yilmaz", "Jónsdóttir", "Horvat", "Patel")
REPEATS = 5


def member(number: int) -> AudienceMember:
    return AudienceMember(user_id=f"{number:024x}", reference=f"E{number:06}", email=f"person.{number}@example.com")


def planned(audiences: int, people: int) -> tuple[AudiencesPlan, Names]:
    """A plan in which half of the people join, and half leave or are held, each audience's for its own reason."""
    each = people // audiences
    plans: dict[str, MemberPlan] = {}
    found: dict[str, Named] = {}
    for place in range(audiences):
        numbers = range(place * each, (place + 1) * each)
        for number in numbers:
            name = f"{FIRST[number % 10]} {LAST[number // 10 % 10]}"
            known = Named(name, f"person.{number}@example.com", f"E{number:06}")
            found[f"{number:024x}"] = found[f"person.{number}@example.com"] = known
        joining, leaving, held = numbers[: each // 2], numbers[each // 2 : -2], numbers[-2:]
        reason = f"not removed: line {place} (#N/A) has no usable name and may mean this person; correct the list"
        plans[f"dept-{place:04}"] = MemberPlan(
            audience=f"dept-{place:04}",
            audience_id=f"{place:024x}",
            to_add=tuple(f"person.{number}@example.com" for number in joining),
            to_remove=tuple(map(member, leaving)),
            held=tuple(map(member, held)),
            held_because={f"{number:024x}": reason for number in held},
            staying=tuple(f"{10**9 + number:024x}" for number in range(200)),
            tenant="eu-west-2_AbcdEfghI",
        )
    plan = AudiencesPlan(plans=plans, errors={}, order=tuple(plans), tenant="eu-west-2_AbcdEfghI")
    return plan, Names(found, complete=True)


def opened(file: Path) -> dict[str, float]:
    """Open the page, and return milliseconds of a browser that has not seen it before."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    times: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        for _ in range(REPEATS):
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            page = browser.new_page()
            # Of the main thread alone: a busy machine makes the times longer, and this hardly.
            cpu = page.context.new_cdp_session(page)
            cpu.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(file.as_uri())
            page.wait_for_selector("html[data-ready]")
            metrics = {one["name"]: one["value"] for one in cpu.send("Performance.getMetrics")["metrics"]}
            times.setdefault("CPU until it is usable", []).append(metrics["TaskDuration"] * 1e3)
            measured = page.evaluate(
                """async () => {
                  const timed = work => { const from = performance.now(); work(); return performance.now() - from; };
                  const [navigation] = performance.getEntriesByType("navigation");
                  const paints = performance.getEntriesByType("paint");
                  const search = document.getElementById("search");
                  const select = document.getElementById("happens");
                  const looked = words => new Promise(done => {
                    const from = performance.now();
                    new MutationObserver((_, watcher) => { watcher.disconnect(); done(performance.now() - from); })
                      .observe(document.getElementById("rows"), { childList: true });
                    search.value = words;
                    search.dispatchEvent(new Event("input"));
                  });
                  return {
                    "usable (script done)": navigation.domContentLoadedEventEnd,
                    "first contentful paint": Math.max(...paints.map(paint => paint.startTime)),
                    "first search": await looked("lovelace 4711"),
                    "another search": await looked("hopper"),
                    "sort by name": timed(() => document.querySelectorAll("#list th button")[1].click()),
                    "turn it round": timed(() => document.querySelectorAll("#list th button")[1].click()),
                    "filter": timed(() => { select.selectedIndex = 1; select.dispatchEvent(new Event("change")); }),
                  };
                }"""
            )
            for name, value in measured.items():
                times.setdefault(name, []).append(value)
            browser.close()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("audiences", nargs="?", type=int, default=1_000)
    parser.add_argument("people", nargs="?", type=int, default=100_000)
    given = parser.parse_args()
    plan, names = planned(given.audiences, given.people)
    began = time.perf_counter()
    content = plan_content(Subjects(plan), names, PlanApplying().how())
    said = time.perf_counter()
    text = html(content)
    made = time.perf_counter()
    print(f"{len(content.bars):,} audiences, {len(content.people):,} people")
    print(f"content {said - began:.2f} s, page {made - said:.2f} s, {len(text.encode()) / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.html"
        file.write_text(text, encoding="utf-8")
        for name, value in opened(file).items():
            print(f"{name:<24} {value:7.0f} ms")


if __name__ == "__main__":
    main()
