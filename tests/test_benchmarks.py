"""Each benchmark runs, at a tiny size. People judge the figures, never a test."""

import asyncio
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Behind everything else, so that what is installed stays what is tested.
sys.path.append(str(ROOT))

from benchmarks import plots, priority  # noqa: E402
from benchmarks.__main__ import BENCHMARKS, PLOTS, main, table  # noqa: E402
from benchmarks.contenders import OTHERS, installed  # noqa: E402
from benchmarks.measure import Bench, Row, Times, interleaved, ratio, rows  # noqa: E402
from benchmarks.results import Run  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results.json"


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench(tiny=True, contenders=False) as running:
        yield running


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_and_gives_rows(bench: Bench, name: str) -> None:
    rows = BENCHMARKS[name](bench)
    assert rows
    assert all(row.ratio > 0 for row in rows)


def test_contenders_take_turns_and_ratios_are_those_of_the_rounds() -> None:
    order: list[str] = []
    seconds = iter([2.0, 1.0, 30.0, 90.0, 8.0, 4.0])

    def way(name: str) -> tuple[float, float]:
        order.append(name)
        return next(seconds), 1.0

    times = interleaved({"ours": lambda: way("ours"), "theirs": lambda: way("theirs")}, 3)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    # 2/1, then 90/30 in the other order, then 8/4: the middle one counts.
    assert ratio(times, "ours", "theirs", "wall") == 2.0


def test_the_table_says_what_was_reached_and_what_not() -> None:
    rows = [Row("a", "b", 0.5, 1.0), Row("a", "c", 1.5, 1.0), Row("a", "d", 1.5)]
    lines = table(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [line.split("|")[5].strip() for line in lines[2:]] == ["yes", "no", ""]


def test_a_missing_package_of_a_contender_is_reported() -> None:
    httpx_pydantic = OTHERS[0]
    assert set(installed(httpx_pydantic, {"httpx", "pydantic"})) == set()
    assert installed(OTHERS[-1], set()) == ["thrive_by_openapi_generator"]


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a checkout")
def test_no_generated_client_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "thrive_by_" not in listed.stdout


def test_the_benchmark_of_priorities_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, tiny in (("CALLS", 5), ("CHANGES", 20), ("EVERYONE", priority.EVERYONE[:2000])):
        monkeypatch.setattr(priority, name, tiny)
    with asyncio.Runner(loop_factory=priority.Loop) as runner:
        runner.run(priority.measure(0.01, 0.01))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "alone", "remove", "plan", "sync_members", "read_users",
    ]  # fmt: skip


def texts(picture: str) -> list[str]:
    """What an SVG shows as text, without its title and description."""
    return [element.text or "" for element in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]


def widths(picture: str) -> list[float]:
    bars = ET.fromstring(picture).iterfind(".//{http://www.w3.org/2000/svg}g/{http://www.w3.org/2000/svg}rect")
    return [float(bar.get("width", "")) for bar in bars]


def run_of(*made: Row) -> Run:
    return Run("a machine", "2026-11-29", "0.1.0", "33d9a40", list(made))


def test_rows_keep_their_figures_for_the_plots() -> None:
    times = {"thrive-async": Times([1.0], [0.011]), "theirs": Times([2.0], [0.044])}
    (row,) = rows("decode", times, "cpu", reach={})
    assert (row.ours, row.theirs, row.unit) == pytest.approx((11, 44, "ms CPU"))
    assert row.detail == "11 / 44 ms CPU"


def test_a_run_is_the_same_after_it_was_written_and_read(tmp_path: Path) -> None:
    run = run_of(Row("a", "b ü", 0.25, 1.0, "11 / 44 ms", 11.0, 44.0, "ms"), Row("c", "d", 1.5))
    run.write(tmp_path / "run.json")
    assert Run.read(tmp_path / "run.json") == run


def test_a_plot_holds_each_contender_with_its_figure_shortest_first() -> None:
    made = [Row("w", "slow", 0.1, ours=10.0, theirs=1260.0, unit="us"), Row("w", "fast", 2.0, ours=12.0, theirs=6.0)]
    made[1].unit = "us"
    made += [Row("w", "no figures", 1.0), Row("other work", "elsewhere", 1.0, ours=1.0, theirs=1.0, unit="us")]
    picture = plots.svg("Title", {"": plots.bars(made, ("w",))})
    shown = ["fast", "6 us", "thrive-async", "12 us", "slow", "1,260 us"]
    assert texts(picture) == ["Title", "shorter is better", *shown]
    fast, ours, slow = widths(picture)
    assert (ours / fast, slow / ours) == pytest.approx((2, 105), rel=0.05)
    root = ET.fromstring(picture)
    named = {element.get("id"): element.text or "" for element in root if element.get("id")}
    title, described = (named[one] for one in root.get("aria-labelledby", "").split())
    assert title == "Title"
    assert all(text in described for text in shown)


def test_works_of_ours_in_one_group_have_their_own_names() -> None:
    made = [Row(work, "aiohttp", 1.0, ours=mine, theirs=130.0, unit="ms") for work, mine in (("a", 7.0), ("b", 148.0))]
    assert [(bar.name, bar.ours) for bar in plots.bars(made, ("a", "b"))] == [
        ("a", True), ("aiohttp", False), ("b", True),
    ]  # fmt: skip


def test_hostile_names_stay_text() -> None:
    hostile = '"><script>hurt()</script>&<!--'
    row = Row("w", hostile, 1.0, ours=1.0, theirs=2.0, unit=hostile)
    picture = plots.svg(hostile, {hostile: plots.bars([row], ("w",))})
    assert texts(picture).count(hostile) == 3
    assert "script" not in {element.tag.rpartition("}")[2] for element in ET.fromstring(picture).iter()}


def test_a_run_without_rows_for_a_plot_makes_the_others(tmp_path: Path) -> None:
    row = Row("decode a page of 1,000 users", "requests", 1.0, ours=1.0, theirs=2.0, unit="ms CPU")
    assert plots.draw(run_of(row), tmp_path / "new") == [tmp_path / "new" / "decode.svg"]
    assert plots.draw(run_of(), tmp_path) == []


def test_the_command_writes_the_rows_and_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row("decode a page of 1,000 users", "requests", 1.0, 1.0, "1 / 2 ms", 1.0, 2.0, "ms CPU")
    monkeypatch.setitem(BENCHMARKS, "decode", lambda bench: [row])
    file = tmp_path / "run.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks", "decode", "--ours-only", "--json", str(file)])
    assert main() == 0
    run = Run.read(file)
    assert run.rows == [row]
    assert all((run.machine, run.version, re.fullmatch(r"\d{4}-\d\d-\d\d", run.date)))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--plot", str(file), str(tmp_path)])
    capsys.readouterr()
    assert main() == 0
    assert "requests" in texts((tmp_path / "decode.svg").read_text(encoding="utf-8"))
    assert capsys.readouterr().out.startswith(table([row]))


def cells(text: str) -> list[list[str]]:
    """The cells of a Markdown table, without its head."""
    return [[cell.strip() for cell in line.split("|")] for line in text.splitlines()[2:]]


def test_the_plots_and_the_table_of_the_page_are_those_of_the_kept_run(tmp_path: Path) -> None:
    """`python -m benchmarks --plot benchmarks/results.json` draws the plots and prints the table."""
    run = Run.read(RESULTS)
    drawn = {file.name: file.read_text(encoding="utf-8") for file in plots.draw(run, tmp_path)}
    assert {file.name: file.read_text(encoding="utf-8") for file in PLOTS.iterdir()} == drawn
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert all(f"docs/_static/benchmarks/{name}" in page for name in drawn)
    shown = page[page.index("| work | against |") :].partition("\n\n")[0]
    assert cells(shown) == cells(table(run.rows))
