"""The workflow of docs/nightly/github-actions/ is sound, and its steps run in bash as GitHub runs them."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thrive_async.cli._applying import Applying

from .conftest import RECIPES, Night, nightly

WORKFLOW = RECIPES / "github-actions" / "thrive-nightly.yml"
# Ours, too; a source archive does not have them.
OURS = sorted((RECIPES.parents[1] / ".github" / "workflows").glob("*.yml"))


@pytest.fixture
def jobs() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    jobs: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return jobs


def step(jobs: dict[str, Any], name: str) -> dict[str, Any]:
    return next(step for job in jobs.values() for step in job["steps"] if step["name"] == name)


@pytest.mark.parametrize("workflow", [WORKFLOW, *OURS], ids=lambda workflow: workflow.name)
def test_actionlint_finds_nothing(workflow: Path, tool: Callable[[str], str]) -> None:
    """It also gives the scripts to shellcheck."""
    done = subprocess.run(
        [tool("actionlint"), "-shellcheck", tool("shellcheck"), str(workflow)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_key_reaches_one_step_of_each_job(jobs: dict[str, Any]) -> None:
    """It is in the environment, never in a command, and the job that writes waits for its reviewers."""
    with_key = [step["name"] for job in jobs.values() for step in job["steps"] if "secrets." in str(step)]
    assert with_key == ["Plan", "Apply"]
    assert not [name for name in with_key if "secrets." in step(jobs, name)["run"]]
    assert WORKFLOW.read_text().count("secrets.") == len(with_key)
    assert jobs["apply"]["environment"] != jobs["plan"]["environment"]


@pytest.mark.skipif(
    "summary" not in {field.name for field in dataclasses.fields(Applying)},
    reason="this version of the command has no --summary yet",
)
def test_a_night_runs_as_printed(night: Night, jobs: dict[str, Any]) -> None:
    outputs = night.folder / "outputs"

    def run(name: str) -> int:
        given = {
            "LIST": night.here("/srv/hr/memberships.csv"),
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_STEP_SUMMARY": str(night.folder / "summary.md"),
        }
        outputs.write_text("")
        done = night.run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(jobs, name)["run"], env=given)
        told = re.search(r"^exit-code=(\d+)$", outputs.read_text(), re.MULTILINE)
        assert "::" in done.stdout, done.stdout + done.stderr
        if told is None:
            return done.returncode
        assert done.returncode == (0 if told[1] == "10" else int(told[1]))
        return int(told[1])

    nightly(night, lambda: run("Plan"), lambda: run("Apply"))
    kept = [path for name in ("Keep the plan", "Keep the report") for path in step(jobs, name)["with"]["path"].split()]
    names = [path.rpartition("/")[2] for path in kept if "/" in path]
    assert len(names) == 5
    assert all((night.folder / name).stat().st_size for name in names)
    assert (night.folder / "summary.md").stat().st_size
