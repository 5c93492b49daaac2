"""The tutorial works as it is printed: its shell blocks run in order, and print what stands beneath them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs_pages import ROOT, blocks_of

import thrive_async
from thrive_async.sandbox import Sandbox

# The reader's own terminal: an installation, and a sandbox that goes on running.
_BEFORE = ("python3 -m venv", "thrive sandbox")


@pytest.mark.skipif(shutil.which("bash") is None, reason="the blocks are for a shell")
def test_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    with Sandbox(users=500) as sandbox:
        environment = os.environ | sandbox.environment | {"COLUMNS": "120"}
        environment["PYTHONPATH"] = str(Path(thrive_async.__file__).parent.parent)
        environment["THRIVE_LOCK_DIR"] = str(tmp_path)
        ran = 0
        for block in blocks_of(ROOT / "docs" / "tutorial.md"):
            if block.language != "sh" or block.source.startswith(_BEFORE):
                continue
            script = f'thrive() {{ "{sys.executable}" -m thrive_async.cli "$@" 2>&1; }}\n{block.source}'
            run = {"capture_output": True, "encoding": "utf-8", "env": environment, "cwd": tmp_path}
            done: subprocess.CompletedProcess[str] = subprocess.run(["bash", "-c", script], check=False, **run)
            assert not done.stderr, block
            block.check(done.stdout)
            ran += 1
    assert ran >= 7
