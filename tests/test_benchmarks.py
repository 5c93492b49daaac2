"""Each benchmark runs, at a tiny size. People judge the figures, never a test."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Behind everything else, so that what is installed stays what is tested.
sys.path.append(str(ROOT))

from benchmarks import priority  # noqa: E402
from benchmarks.__main__ import BENCHMARKS, table  # noqa: E402
from benchmarks.contenders import OTHERS, installed  # noqa: E402
from benchmarks.measure import Bench, Row, interleaved, ratio  # noqa: E402


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
