"""The units of docs/nightly/systemd/ are what systemd accepts, and their commands run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import RECIPES, Night, nightly

UNITS = RECIPES / "systemd"
SERVICES = ["thrive-plan.service", "thrive-apply.service", "notify-thrive@.service"]


def command_of(file: str) -> list[str]:
    """Return the words of the last ExecStart, with specifiers as systemd replaces them."""
    text = (UNITS / file).read_text().replace("\\\n", " ")
    command = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)[-1]
    return shlex.split(command.replace("%S", "/var/lib").replace("%%", "%"))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of units, as /etc/systemd/system would be, whose programs exist."""
    for path in UNITS.rglob("*"):
        if path.suffix in (".service", ".timer", ".conf") and path.name != "unattended.conf":
            copy = tmp_path / path.relative_to(UNITS)
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(
                re.sub(r"/opt/thrive/bin/thrive|/usr/local/bin/notify-thrive", "/bin/true", path.read_text())
            )
    # The empty last part stands for the folders of the machine.
    monkeypatch.setenv("SYSTEMD_UNIT_PATH", f"{tmp_path}:")
    return tmp_path


def test_systemd_accepts_the_units(tool: Callable[[str], str], installed: Path) -> None:
    """With every drop-in, and with the one for runs without approval."""
    (installed / "thrive-plan.service.d").mkdir()
    unattended = (UNITS / "unattended.conf").read_text().replace("/opt/thrive/bin/thrive", "/bin/true")
    for drop_in in ("", unattended):
        (installed / "thrive-plan.service.d" / "unattended.conf").write_text(drop_in)
        units = [str(installed / name) for name in (*SERVICES, "thrive-plan.timer")]
        units = [unit.replace("notify-thrive@", "notify-thrive@thrive-plan-ended") for unit in units]
        shutil.copy(installed / "notify-thrive@.service", units[2])
        done = subprocess.run(
            [tool("systemd-analyze"), "verify", "--man=no", *units], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr.replace(str(installed), "")) == (0, "")


def test_systemd_finds_a_misspelt_directive(tool: Callable[[str], str], installed: Path) -> None:
    """The test above can fail."""
    common = installed / "thrive-.service.d" / "common.conf"
    common.write_text(common.read_text().replace("StateDirectory=", "StateDirectories="))
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", str(installed / "thrive-plan.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "StateDirectories" in done.stderr


def test_the_mail_learns_the_exit_code() -> None:
    """Systemd sets MONITOR_EXIT_STATUS only in a unit that one setting of one unit triggers."""
    common = (UNITS / "thrive-.service.d" / "common.conf").read_text()
    triggered = re.findall(r"^On(?:Success|Failure)=(.+)$", common, re.MULTILINE)
    assert len(triggered) == len(set(triggered)) == 2
    assert all("%N" in unit for unit in triggered)


@pytest.mark.parametrize("service", ["thrive-plan.service", "thrive-apply.service"])
def test_the_services_are_hardened(tool: Callable[[str], str], installed: Path, service: str) -> None:
    """The score of systemd itself: 10 is a service without protection, below 2 is what its table calls OK."""
    done = subprocess.run(
        [
            tool("systemd-analyze"),
            "security",
            "--offline=true",
            "--threshold=15",
            "--no-pager",
            str(installed / service),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_timer_misses_no_night_and_doubles_none(tool: Callable[[str], str]) -> None:
    """Over a year in three zones; half past two would miss the night in March."""

    def nights(time: str, zone: str) -> list[str]:
        done = subprocess.run(
            [tool("systemd-analyze"), "calendar", "--base-time=2027-01-01", "--iterations=365", f"{time} {zone}"],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"TZ": zone},
        )
        return re.findall(r"(\d{4}-\d\d-\d\d) \d\d:\d\d:00 (?!UTC)", done.stdout.replace("Normalized form", ""))

    when = re.findall(r"^OnCalendar=(.+)$", (UNITS / "thrive-plan.timer").read_text(), re.MULTILINE)
    assert len(when) == 1
    for zone in ("Europe/London", "Europe/Berlin", "America/New_York"):
        found = nights(when[0], zone)
        assert len(found) == len(set(found)) == 365
        assert len([day for day in found if day.startswith("2027-03")]) == 31
    missing = nights("*-*-* 02:30:00", "Europe/Berlin")
    assert len([day for day in missing if day.startswith("2027-03")]) == 30


def test_a_night_runs_as_printed(night: Night) -> None:
    nightly(
        night,
        lambda: night.run(*command_of("thrive-plan.service")).returncode,
        lambda: night.run(*command_of("thrive-apply.service")).returncode,
    )
    assert {path.name for path in night.state.iterdir()} >= {"plan.json", "plan.csv", "journal.jsonl", "report.csv"}


def test_a_night_without_approval_runs_as_printed(night: Night) -> None:
    before = night.members
    done = night.run(*command_of("unattended.conf"))
    assert done.returncode == 0, done.stderr
    assert len(night.members ^ before) == 3


@pytest.mark.parametrize(
    ("code", "subject"),
    [
        ("10", "Thrive: a plan waits for your approval"),
        ("3", "Thrive: thrive-plan.service ended with 3"),
        ("TERM", "Thrive: thrive-plan.service ended with TERM"),
    ],
)
def test_the_mail_says_how_a_service_ended(night: Night, code: str, subject: str) -> None:
    """Everything but 0 is mailed, without a word of the log."""
    mail = night.folder / "bin" / "mail"
    mail.write_text(f'#!/bin/sh\n{{ echo "$@"; cat; }} > "{night.folder}/mailed"\n')
    mail.chmod(0o755)
    given = {"MONITOR_UNIT": "thrive-plan.service", "MAILTO": "hr-systems@example.com"}
    for ended in ("0", code):
        assert not (night.folder / "mailed").exists()
        done = night.run(str(UNITS / "notify-thrive"), env=given | {"MONITOR_EXIT_STATUS": ended})
        assert done.returncode == 0, done.stderr
    mailed = (night.folder / "mailed").read_text()
    assert mailed.startswith(f"-s {subject} hr-systems@example.com\n")
    assert f"Exit code:     {code}\n" in mailed
    assert ("Apply it" in mailed) == (code == "10")


def test_the_shell_script_is_sound(tool: Callable[[str], str]) -> None:
    subprocess.run([tool("shellcheck"), str(UNITS / "notify-thrive")], check=True)
