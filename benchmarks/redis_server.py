"""Real Redis servers on free ports, without persistence, for benchmarks and tests."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """A `redis-server` that can be killed, stopped and started again on its port.

    Args:
        folder: What it may write goes here.
        tls: Whether it speaks TLS only.
        cluster: Whether it is a cluster of one, on two ports.
        options: More of its command line.
    """

    def __init__(self, folder: Path, *options: str, tls: bool = False, cluster: bool = False) -> None:
        self.port = free_port()
        self._folder = folder
        network = ("--port", "0", "--tls-port", str(self.port)) if tls else ("--port", str(self.port))
        bus = ("--cluster-enabled", "yes", "--cluster-port", str(free_port())) if cluster else ()
        self._options = (*network, *bus, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        assert SERVER is not None, "redis-server is not installed"
        self._process = subprocess.Popen([SERVER, *self._options], cwd=self._folder, stdout=subprocess.DEVNULL)
        while True:
            assert self._process.poll() is None, "redis-server did not start"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop_answering(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def answer_again(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
