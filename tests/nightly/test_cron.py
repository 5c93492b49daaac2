"""The crontab of docs/nightly/cron/ can be read, and its script tells the exit codes apart."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from .conftest import RECIPES, Night, nightly

SCRIPT = RECIPES / "cron" / "thrive-nightly"
CRONTAB = RECIPES / "cron" / "thrive.crontab"


@pytest.fixture
def settings(night: Night) -> dict[str, str]:
    """The environment that leads the script to this machine."""
    file = night.folder / "etc" / "thrive" / "env"
    names = ("THRIVE_TENANT_ID", "THRIVE_BASE_URL", "THRIVE_API_KEY_FILE", "THRIVE_LOCK_DIR")
    file.write_text("".join(f"{name}={night.environment.pop(name)}\n" for name in names))
    places = {"SETTINGS": "/etc/thrive/env", "LIST": "/srv/hr/memberships.csv", "STATE": "/var/lib/thrive"}
    return {name: night.here(place) for name, place in places.items()}


def test_a_night_runs_as_printed(night: Night, settings: dict[str, str]) -> None:
    def step(name: str) -> int:
        return night.run(str(SCRIPT), name, env=settings).returncode

    nightly(night, lambda: step("plan"), lambda: step("apply"))
    assert {path.name for path in night.state.iterdir()} >= {"plan.json", "plan.csv", "journal.jsonl", "report.csv"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in night.state.iterdir() if path.is_file())


def test_a_night_without_approval_is_silent(night: Night, settings: dict[str, str]) -> None:
    """Cron mails what a job prints, so a good night prints nothing."""
    before = night.members
    done = night.run(str(SCRIPT), "sync", env=settings)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(night.members ^ before) == 3


def test_a_guard_is_told(night: Night, settings: dict[str, str]) -> None:
    """A file that lost most of its rows changes nothing, and ends with 3."""
    before = night.members
    night.hr_file(["E00010"])
    for step in ("sync", "plan"):
        done = night.run(str(SCRIPT), step, env=settings)
        assert done.returncode == 3
        assert "A guard refused" in done.stdout
    assert night.members == before


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "Some people failed"),
        (2, "settings"),
        (3, "guard"),
        (4, "could not be reached"),
        (10, "waits for your approval"),
        (70, "report it"),
        (129, "interrupted"),
        (130, "interrupted"),
        (143, "interrupted"),
    ],
)
def test_each_exit_code_says_what_to_do(night: Night, settings: dict[str, str], code: int, said: str) -> None:
    """The mail names the code and the log, and holds nothing that the command printed."""
    (night.folder / "bin" / "thrive").write_text(f"#!/bin/sh\necho E00010\nexit {code}\n")
    done = night.run(str(SCRIPT), "plan", env=settings)
    assert done.returncode == code
    assert said in done.stdout
    assert f"ended with {code}." in done.stdout
    assert "E00010" not in done.stdout
    assert (night.state / "plan.log").read_text() == "E00010\n"


def test_an_unknown_word_is_refused(night: Night, settings: dict[str, str]) -> None:
    done = night.run(str(SCRIPT), "aply", env=settings)
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_the_script_is_sound(tool: Callable[[str], str]) -> None:
    subprocess.run([tool("shellcheck"), str(SCRIPT)], check=True)


def test_the_crontab_can_be_read() -> None:
    croniter = pytest.importorskip("croniter", reason="croniter is not installed: `nox -s nightly` brings it")
    jobs = [line for line in CRONTAB.read_text().splitlines() if line and line[0] != "#" and "=" not in line]
    assert len(jobs) == 1
    when, user, command = jobs[0].rsplit(" ", 3)[0], *jobs[0].split()[5:7]
    assert croniter.croniter.is_valid(when)
    assert (user, command) == ("thrive", SCRIPT.name)
