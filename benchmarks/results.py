"""A run of the benchmarks as a file: where, when and what it measured, and its rows."""

import json
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from benchmarks.measure import Row, machine
from thrive_async import __version__


@dataclass
class Run:
    """The rows of a run, and what someone needs to know to compare them with those of another."""

    machine: str
    date: str
    version: str
    commit: str
    rows: list[Row]

    @classmethod
    def of(cls, rows: list[Row]) -> Self:
        """Return a run that ended now, on this machine and of this checkout."""
        command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
        described = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        return cls(machine(), datetime.now(UTC).date().isoformat(), __version__, described.stdout.strip(), rows)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a run from a file that `write` wrote."""
        run = json.loads(file.read_text(encoding="utf-8"))
        return cls(**run | {"rows": [Row(**row) for row in run["rows"]]})

    def write(self, file: Path) -> None:
        """Write the run as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
