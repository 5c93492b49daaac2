"""Applications as processes of a real server, with their workers."""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import thrive_async

Command = Callable[[int], Sequence[str]]


class Running:
    """A running server: its address, and what it has logged."""

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
def started(command: Command, log: Path, environment: Mapping[str, str], *, workers: int) -> Generator[Running]:
    """Run a server until the end of the block, in the folder of its log.

    Args:
        command: Returns its command, given a free port.
        log: Where its log goes.
        environment: Its variables of Thrive, in place of those there are.
        workers: How many workers of uvicorn to wait for.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command(port),
            env=environment_of({"PORT": str(port), **environment}),
            cwd=log.parent,
            stdout=file,
            stderr=file,
            start_new_session=True,
        ) as process,
    ):
        server = Running(f"http://127.0.0.1:{port}", log, process)
        try:
            _until_ready(server, workers)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    assert "Unclosed" not in server.log, server.log


def environment_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what it says of Thrive, and with these variables."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("THRIVE_", "WEBHOOK_"))}
    # The package under test, wherever it is, and the applications beside this module.
    paths = [str(Path(thrive_async.__file__).parents[1]), str(Path(__file__).parents[1])]
    return {**inherited, "PYTHONPATH": os.pathsep.join(paths), **variables}


def _until_ready(server: Running, workers: int) -> None:
    for _ in range(900):
        assert server.process.poll() is None, server.log
        try:
            with urllib.request.urlopen(f"{server.url}/ready"):
                if len(server.workers) >= workers:
                    return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)  # until another process has done something: nothing here depends on how long
    raise AssertionError(server.log)
