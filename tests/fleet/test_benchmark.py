"""The benchmark of the fleet runs, at a tiny size; people judge its figures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import thrive_async

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_night_of_the_benchmark_loses_nothing() -> None:
    pytest.importorskip("procrastinate")
    from benchmarks.postgres_server import BINARIES

    if BINARIES is None:
        pytest.skip("PostgreSQL is not installed")
    places = (str(Path(thrive_async.__file__).parents[1]), str(ROOT))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fleet", "--audiences", "5", "--workers", "1", "--kills", "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" | 5 | 0 | 0 | 0 | ") == 3, done.stdout
