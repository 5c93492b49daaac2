"""Each campaign of the sync runs, at a size that takes no time: its figures are for people, its losses for all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import thrive_async

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("sync_calls",), "an ordinary night"),
        (("sync_faults", "1", "close_after"), "| close_after | 4 |"),
        (("sync_kills", "1"), "lost: 0"),
        (("sync_matching", "500"), "emails in another case"),
        (("sync_memory", "2000"), "=2,000"),
        (("sync_oracle", "5"), "wrong: 0"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_campaign_runs_and_loses_nobody(command: tuple[str, ...], words: str) -> None:
    """`python -m benchmarks.sync_...`, as its own first lines say."""
    name, *arguments = command
    # The package that is under test, wherever it is.
    places = (str(Path(thrive_async.__file__).parents[1]), str(ROOT))
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
