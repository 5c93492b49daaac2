"""Measure decoding a page of users, and how long that blocks the loop."""

import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks import data
from benchmarks.contenders import Hand, HandPydantic, HttpxPydantic, Ours, StockCattrs
from benchmarks.measure import Bench, Row, rows

_ROOT = Path(__file__).resolve().parent.parent


def decode(bench: Bench) -> list[Row]:
    """Measure turning the bytes of 1,000 full users into models."""
    others = [each for each in bench.others() if each is not HttpxPydantic]
    contenders = [Ours, Hand, StockCattrs, *bench.available(HandPydantic), *others]
    users = bench.size(data.USERS_PER_PAGE, 3)
    times = bench.compete(contenders, "decode", repeats=bench.size(25, 1), users=users)
    names = {Hand.name: "orjson.loads alone", HandPydantic.name: "pydantic v2 model_validate_json"}
    times = {names.get(name, name): measured for name, measured in times.items()}
    reach = {"orjson.loads alone": 2.4, "pydantic v2 model_validate_json": 0.7, StockCattrs.name: 0.4}
    return rows(f"decode a page of {users:,} users", times, "cpu", reach=reach)


def stall(bench: Bench) -> list[Row]:
    """Measure how long one callback blocks the loop at most, listing pages of 1,000 users, four in flight."""
    pages = bench.size(100, 2)
    bench.server.configure(total={"users": pages * data.USERS_PER_PAGE})
    runs: list[tuple[float, ...]] = []
    for _ in range(bench.size(5, 1)):
        command = [sys.executable, "-m", "benchmarks.stall", bench.server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_ROOT)
        runs.append(tuple(float(word) for word in done.stdout.split()))
    own, typical, longest, collecting, often = (median(column) for column in zip(*runs, strict=True))
    work = "longest stall of the loop, pages of 1,000 users"
    return [
        Row(
            f"{work}, work of its own",
            "20 ms",
            own / 0.020,
            1.0,
            f"{own * 1e3:.1f} ms CPU (the median page: {typical * 1e3:.1f})",
        ),
        Row(
            f"{work}, with a full garbage collection in it",
            "20 ms",
            longest / 0.020,
            1.0,
            f"{longest * 1e3:.1f} ms CPU, of it {collecting * 1e3:.1f} collecting; {often:.0f} such in {pages} pages",
        ),
    ]
