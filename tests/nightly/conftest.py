"""The recipes of docs/nightly/ run here as printed, but in a folder of their own and against a sandbox."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import thrive_async
from thrive_async.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "nightly"
AUDIENCE = "sales-emea"


@dataclass
class Night:
    """A machine with a file from HR, a command `thrive` and a sandbox.

    Attributes:
        folder: Stands for the root of the machine.
        sandbox: The Thrive that the commands reach.
        environment: What the recipes find in their environment.
        places: The paths of the recipes, and where they are here.
    """

    folder: Path
    sandbox: Sandbox
    environment: dict[str, str]
    places: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "var" / "lib" / "thrive"

    @property
    def members(self) -> set[str]:
        return set(self.sandbox.state.audiences[AUDIENCE].members)

    def here(self, text: str) -> str:
        """Return a text of a recipe with the paths of this machine."""
        return re.sub("|".join(map(re.escape, sorted(self.places, reverse=True))), lambda at: self.places[at[0]], text)

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as printed."""
        return subprocess.run(
            [self.here(word) for word in command],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment | dict(env or {}),
            cwd=self.folder,
        )

    def hr_file(self, people: Sequence[str]) -> None:
        """Let HR deliver a file with these members."""
        with (self.folder / "srv" / "hr" / "memberships.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("audience", "member"))
            writer.writerows((AUDIENCE, person) for person in people)


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """One member leaves, two people join."""
    if sys.platform == "win32":
        pytest.skip("the recipes are for Linux")
    for name in ("srv/hr", "var/lib/thrive", "etc/thrive", "bin"):
        (tmp_path / name).mkdir(parents=True)
    command = tmp_path / "bin" / "thrive"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m thrive_async.cli "$@"\n')
    command.chmod(0o755)
    with Sandbox(users=200, seed=1) as sandbox:
        (tmp_path / "etc" / "thrive" / "api-key").write_text(sandbox.environment["THRIVE_API_KEY"])
        night = Night(
            tmp_path,
            sandbox,
            {
                "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
                "PYTHONPATH": str(Path(thrive_async.__file__).parents[1]),
                "THRIVE_BASE_URL": sandbox.environment["THRIVE_BASE_URL"],
                "THRIVE_TENANT_ID": sandbox.environment["THRIVE_TENANT_ID"],
                "THRIVE_API_KEY_FILE": f"{tmp_path}/etc/thrive/api-key",
                "THRIVE_LOCK_DIR": f"{tmp_path}/var/lib/thrive/locks",
            },
            {
                "/opt/thrive/bin/thrive": str(command),
                **{place: f"{tmp_path}{place}" for place in ("/srv/hr/", "/var/lib/thrive", "/etc/thrive")},
            },
        )
        night.hr_file([*sorted(night.members)[1:], "E00010", "E00011"])
        yield night


def nightly(night: Night, plan: Callable[[], int], apply: Callable[[], int]) -> None:
    """Plan, apply, and plan again: a dry run changes nothing, the approved plan is applied, once, and no more is left.

    Args:
        night: The machine.
        plan: Runs the plan step of a recipe, and returns its exit code.
        apply: The same for the step after the approval.
    """
    before = night.members
    assert plan() == 10
    assert night.members == before
    assert apply() == 0
    assert len(night.members - before) == 2
    assert len(before - night.members) == 1
    assert apply() == 3
    assert plan() == 0


@pytest.fixture
def tool() -> Callable[[str], str]:
    """Return the path of a program, or skip the test."""

    def found(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path=Path(sys.executable).parent)
        if path is None:
            pytest.skip(f"{name} is not installed: `nox -s nightly` brings it, or `apt-get install` does")
        return path

    return found
