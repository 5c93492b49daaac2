"""A real PostgreSQL on a free port, for benchmarks and tests."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.redis_server import free_port

_PLACES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
BINARIES = next((place for place in _PLACES if (place / "initdb").exists()), None)
"""Debian keeps its programs off the path."""
if BINARIES is None and (found := shutil.which("initdb")):
    BINARIES = Path(found).resolve().parent


class PostgresServer:
    """A `postgres` that can be killed and started again, with its data.

    It refuses to run as root, so then it runs as postgres or nobody.
    """

    _databases = count(1)

    def __init__(self) -> None:
        assert BINARIES is not None, "PostgreSQL is not installed"
        self.port = free_port()
        self._user: dict[str, str] = {}
        # Not in pytest's folder: another account cannot see into it.
        self._folder = Path(tempfile.mkdtemp(prefix="thrive-postgres-", dir="/tmp"))
        if os.geteuid() == 0:
            name = next(name for name in ("postgres", "nobody") if _exists(name))
            self._user = {"user": name, "group": str(pwd.getpwnam(name).pw_gid)}
            os.chown(self._folder, pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=thrive", "--encoding=UTF8", f"{self._folder}/data")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _as_user(self) -> dict[str, Any]:
        group = {"group": int(self._user["group"]), "extra_groups": []} if self._user else {}
        return {**self._user, **group, "cwd": self._folder}

    def _run(self, program: str, *arguments: str) -> None:
        assert BINARIES is not None
        subprocess.run([BINARIES / program, *arguments], check=True, capture_output=True, **self._as_user())

    def start(self) -> None:
        assert BINARIES is not None
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "log_min_messages": "fatal",
        }
        command = [BINARIES / "postgres", "-D", f"{self._folder}/data"]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._as_user()
        )
        while not self._answers():
            assert self._process.poll() is None, "postgres did not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self._url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _url(self, database: str) -> str:
        return f"postgresql://thrive@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        import psycopg

        name = f"db{next(self._databases)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def stop(self) -> None:
        """End it at once, as an operator or a crash does; what was committed stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def stop_answering(self) -> None:
        """Pause it with all its connections, as a machine does that is out of memory or moved to another host."""
        self._send(signal.SIGSTOP)

    def answer_again(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        # Each connection is a process of its own, in a group of its own.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for child in children.split():
            os.kill(int(child), number)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
