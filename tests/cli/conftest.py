"""Commands run in this process against a sandbox in a thread of its own, as a shell would run them beside a server."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from thrive_async.cli import main
from thrive_async.sandbox import Sandbox

AUDIENCE = "sales-emea"


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def one_line(self) -> str:
        """What it said on standard error, which must be one line."""
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        return self.err[:-1]


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test talks to the tenant of whoever runs it."""
    for name in list(os.environ):
        if name.startswith("THRIVE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command line; `stdin` is what is piped into it."""

    def run(*tokens: str, stdin: bytes | None = None) -> Result:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin or b"")))
        code = main(tokens)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def members(served: Sandbox) -> list[str]:
    """The e-mail addresses of the members of `sales-emea`, who all have one."""
    audience = served.state.audiences[AUDIENCE]
    for number, user_id in enumerate(audience.members):
        user = served.state.users[user_id]
        if not user.get("email"):
            user["email"] = f"filled{number}@example.com"
    return [served.state.users[user_id]["email"] for user_id in audience.members]


@pytest.fixture
def people(tmp_path: Path) -> Callable[[Sequence[str]], str]:
    """Write a CSV with a header and these people."""

    def people(names: Sequence[str]) -> str:
        path = tmp_path / "people.csv"
        path.write_text("\n".join(["email", *names, ""]), encoding="utf-8")
        return str(path)

    return people


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run a command as if at a terminal, with these keys typed; gives code, standard output and standard error."""

    def terminal(*tokens: str, keys: str = "") -> tuple[int, str, str]:
        out, err = Terminal(), Terminal()
        monkeypatch.setenv("TERM", "xterm-256color")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", Terminal(keys))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = main(tokens)
        return code, out.getvalue(), err.getvalue()

    return terminal


@pytest.fixture(autouse=True)
def signals_arrive() -> Iterator[None]:
    """A run of the tests may have been started with signals ignored, by nohup or in the background."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if hasattr(signal, "SIGHUP"):  # not on Windows
        usual[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
