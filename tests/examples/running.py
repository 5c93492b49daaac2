"""The examples as processes, started by the command that their pages name, on free ports."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import thrive_async

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = ("fastapi_app", "aiohttp_app")
SECRET = "agreed"


class Running:
    """A running example: its address, and what it has logged."""

    def __init__(self, url: str, log: Path, process: "subprocess.Popen[bytes]") -> None:
        self.url, self.process, self._log = url, process, log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    @property
    def workers(self) -> set[int]:
        """The workers of uvicorn that have started."""
        return set(map(int, re.findall(r"Started server process \[(\d+)\]", self.log)))

    @contextmanager
    def only(self, worker: int) -> Generator[None]:
        """Stop the other workers for a while, so that this one answers."""
        others = self.workers - {worker}
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            yield
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)

    def kill(self) -> None:
        """End it and its workers at once."""
        os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def running(name: str, folder: Path, environment: Mapping[str, str]) -> Generator[Running]:
    """Run an example until the end of the block, with these variables of Thrive and no others.

    Args:
        name: The example.
        folder: Where it runs, and where its log goes.
        environment: The variables.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = environment_of({"PORT": str(port), "WEBHOOK_SECRET": SECRET, **environment})
    log = folder / f"{name}.log"
    command = [sys.executable, "-W", "error::ResourceWarning", str(FOLDER / f"{name}.py")]
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command, env=variables, cwd=folder, stdout=file, stderr=file, start_new_session=True
        ) as process,
    ):
        example = Running(f"http://127.0.0.1:{port}", log, process)
        try:
            until_ready(example, workers=2 if name == "fastapi_app" else 0)
            yield example
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    assert "Traceback" not in example.log, example.log
    assert "Unclosed" not in example.log, example.log


def environment_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what it says of Thrive, and with these variables."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("THRIVE_", "WEBHOOK_"))}
    # The package under test, wherever it is.
    return {**inherited, "PYTHONPATH": str(Path(thrive_async.__file__).parents[1]), **variables}


def until_ready(example: Running, workers: int) -> None:
    """Wait until it serves, with so many workers of uvicorn."""
    for _ in range(900):
        assert example.process.poll() is None, example.log
        try:
            with urllib.request.urlopen(f"{example.url}/ready"):
                if len(example.workers) >= workers:
                    return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    raise AssertionError(example.log)
