"""`python -m thrive_async.cli` is the `thrive` command."""

from __future__ import annotations

import subprocess
import sys

from thrive_async import __version__

from .test_process import environment


def run(*tokens: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thrive_async.cli", *tokens]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)


def test_it_runs_and_calls_itself_by_its_name() -> None:
    assert run("--version").stdout.strip().endswith(__version__)
    assert "Usage: thrive " in run("--help").stdout


def test_its_exit_code_is_that_of_the_command() -> None:
    assert run("no-such-command").returncode == 2
