"""Run the benchmarks and print their table: `python -m benchmarks [NAME ...]`.

`--json FILE` also writes the rows as JSON, and `--plot FILE [FOLDER]` draws the rows of such a file.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import calls, decode, imports, lists, planning, plots, sandbox_cost, writes
from benchmarks.measure import Bench, Row, machine
from benchmarks.results import Run

PLOTS = Path(__file__).parent.parent / "docs" / "_static" / "benchmarks"

BENCHMARKS: dict[str, Callable[[Bench], list[Row]]] = {
    function.__name__: function
    for function in (
        decode.decode,
        decode.stall,
        calls.small_call,
        calls.small_list,
        lists.list_users,
        lists.list_enrolments,
        lists.memory,
        writes.add_members,
        writes.apply_at_rate,
        writes.no_change,
        planning.plan,
        imports.importing,
        imports.first_call,
        sandbox_cost.sandbox,
    )
}


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    cells = [("work", "against", "ratio", "reach", "met", "ours / theirs")]
    for row in rows:
        reach = "" if row.reach is None else f"{row.reach:g}"
        cells.append((row.work, row.against, f"{row.ratio:.2f}", reach, row.verdict, row.detail))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def plot(file: Path, folder: Path = PLOTS) -> int:
    """Draw the plots of a run, and print its table for the page that shows them."""
    run = Run.read(file)
    for written in plots.draw(run, folder):
        print(f"{written} written", file=sys.stderr)
    print(table(run.rows))
    print(f"\n{run.machine}, {run.date}, thrive-async {run.version} at {run.commit}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--tiny", action="store_true", help="run everything once and small, to see that it runs")
    parser.add_argument("--ours-only", action="store_true", help="leave the clients of others out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a file, too")
    parser.add_argument(
        "--plot",
        type=Path,
        nargs="+",
        metavar=("FILE", "FOLDER"),
        help="draw the rows of such a file as SVG, into docs/_static/benchmarks or FOLDER; run nothing",
    )
    wanted = parser.parse_args()
    if wanted.plot:
        if wanted.names or wanted.json or len(wanted.plot) > 2:
            parser.error("--plot needs a file and perhaps a folder, and nothing else")
        return plot(*wanted.plot)
    unknown = set(wanted.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    print(machine())
    made: list[Row] = []
    began = time.perf_counter()
    with Bench(tiny=wanted.tiny, contenders=not wanted.ours_only) as bench:
        for name in wanted.names or BENCHMARKS:
            print(f"{name} ...", file=sys.stderr, flush=True)
            made += BENCHMARKS[name](bench)
        print(table(made))
        for note in bench.notes:
            print(f"- {note}")
    if wanted.json:
        Run.of(made).write(wanted.json)
    print(f"{time.perf_counter() - began:.0f} s; {machine()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
