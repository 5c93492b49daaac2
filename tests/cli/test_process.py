"""The command as a real process: how fast it answers, what it says without its extra, and how it stops."""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from thrive_async.cli._running import Interrupted, run_async
from thrive_async.sandbox import Sandbox

from .conftest import AUDIENCE, Run

#: Terminals and signals are tried where there is a POSIX; of Windows only what can be played here.
pty = pytest.importorskip("pty")
ROOT = Path(__file__).parents[2]
MAIN = "import sys; from thrive_async.cli import main; sys.exit(main())"
OWNS_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
HEAVY = {
    "aiohttp",
    "asyncio",
    "markdown_it",
    "cattrs",
    "orjson",
    "jsonschema_rs",
    "yarl",
    "thrive_async.client",
    "thrive_async._generated.models",
}


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1", **more}


@contextmanager
def started(*tokens: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on while the test looks at it."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *tokens],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_help_imports_nothing_that_only_a_command_needs() -> None:
    """`thrive --help` must answer at once; what it loads is what it costs."""
    code = (
        "import sys; from thrive_async.cli import main; code = main(['--help']);"
        f"heavy = {HEAVY!r} & set(sys.modules); print(sorted(heavy), file=sys.stderr); sys.exit(code or bool(heavy))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    assert ended.returncode == 0, ended.stderr
    assert "demo" in ended.stdout
    assert "Exit codes" in ended.stdout


@pytest.mark.parametrize("missing", ["cyclopts", "rich"])
def test_without_the_extra_it_says_how_to_install_it(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; {MAIN}"
    ended = subprocess.run(
        [sys.executable, "-c", code, "users", "--help"], capture_output=True, text=True, env=environment(), check=False
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == 'thrive: the command line is an extra, install it with: pip install "thrive-async[cli]"\n'


def test_a_missing_module_of_our_own_is_no_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from thrive_async.cli import main

    monkeypatch.setitem(sys.modules, "thrive_async.cli.app", None)
    with pytest.raises(ModuleNotFoundError):
        main(["--help"])


def test_version_and_bare_thrive(run: Run) -> None:
    from thrive_async import __version__

    assert run("--version").out == f"{__version__}\n"
    assert "Usage: thrive" in run().out


def test_the_arguments_of_the_process_are_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from thrive_async.cli import main

    monkeypatch.setattr(sys, "argv", ["thrive", "--version"])
    assert main() == 0
    assert capsys.readouterr().out


def test_the_demo_does_the_main_job_and_is_honest_about_whom_thrive_does_not_know(run: Run, tmp_path: Path) -> None:
    """From a workbook to a page: a held and a protected member stay, and in the end everything is undone."""
    result = run("demo", "--keep", str(tmp_path / "kept"))
    assert result.code == 0, result.err
    assert "field-sales: +418 -227 =4,572 (10 duplicates, 1 removal held)" in result.lines
    assert "field-sales: 412 added, 226 removed, 6 failed, 1 not attempted, 1 held" in result.lines
    assert sum("User does not exist." in line for line in result.lines) == 6
    assert any(line.endswith("held: this person is protected") for line in result.lines)
    assert any("which Thrive does not know and which may be this person" in line for line in result.lines)
    assert "field-sales: +6 -1 =4,984 (10 duplicates, 1 removal held)" in result.lines
    assert "field-sales: +226 -412 =0 (4,574 others kept)" in result.lines
    assert "field-sales has 4,800 members again, the same as before." in result.lines
    assert "progress field-sales done=645 total=645 failed=6" in result.err
    kept = tmp_path / "kept"
    assert f"The report, to look at: {kept / 'report.html'}  (--open shows it in your browser)" in result.lines
    assert "people.xlsx" in (kept / "report.html").read_text(encoding="utf-8")
    assert len(list(csv.reader((kept / "report.csv").read_text().splitlines()))) == 1 + 645 + 10 + 1
    assert run("plan", "show", str(kept / "plan.json")).lines[0] == result.lines[5]


def test_the_demo_uses_a_temporary_folder_and_refuses_a_place_it_cannot_use(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", shown.append)
    assert run("demo", "--open").code == 0
    (folder,) = tmp_path.glob("thrive-demo-*")
    assert shown == [(folder / "report.html").as_uri()]
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = run("demo", "--keep", str(blocked))
    assert result.code == 2
    assert "--keep" in result.one_line()


def test_the_sandbox_prints_what_opens_it_and_serves_until_interrupted() -> None:
    with started("sandbox", "--port", "0", "--users", "20", "--seed", "7", "--latency", "1ms") as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(9)]
        facts = dict(re.fullmatch(r"(.{15})(.*)\n", line).groups() for line in said[:5])  # type: ignore[union-attr]
        exports = dict(re.fullmatch(r"export (\w+)=(.*)\n", line).groups() for line in said[6:])  # type: ignore[union-attr]
        assert [name.strip() for name in facts] == ["base URL", "tenant", "API key", "client id", "client secret"]
        assert exports == {
            "THRIVE_BASE_URL": facts["base URL       "],
            "THRIVE_TENANT_ID": facts["tenant         "],
            "THRIVE_API_KEY": facts["API key        "],
        }
        listed = subprocess.run(
            [sys.executable, "-c", MAIN, "users", "list", "--format", "csv"],
            capture_output=True, text=True, check=True, env=environment(**exports),
        )  # fmt: skip
        assert len(listed.stdout.splitlines()) == 21
        with urllib.request.urlopen(exports["THRIVE_BASE_URL"] + "/") as page:
            assert "Thrive sandbox" in page.read().decode()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "20 users (seed 7)" in err
        assert out == ""


def test_the_sandbox_refuses_what_it_cannot_serve(run: Run, served: Sandbox) -> None:
    taken = run("sandbox", "--port", str(served.port))
    assert taken.code == 2
    assert f"cannot listen on 127.0.0.1 port {served.port}" in taken.one_line()
    for tokens, words in {
        ("--latency", "soon"): "50ms",
        ("--users", "-1"): "zero or more",
        ("--port", "70000"): "0 to 65535",
        ("--rate-limit", "0"): "above zero",
    }.items():
        result = run("sandbox", *tokens)
        assert result.code == 2
        assert words in result.one_line()


def test_the_sandbox_warns_who_can_reach_it(capsys: pytest.CaptureFixture[str]) -> None:
    from thrive_async.cli.sandbox import announce

    with Sandbox(users=1, host="0.0.0.0") as sandbox:
        announce(sandbox, users=1, seed=1)
    assert "It listens on 0.0.0.0" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupting_a_sync_prints_the_true_report_so_far(
    served: Sandbox, people: Callable[..., str], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Everybody is accounted for: added before the signal, or not attempted; and what was added is really there."""
    new = [served.state.add_user(email=f"new{number}@example.com")["email"] for number in range(350)]
    before = len(served.state.audiences[AUDIENCE].members)
    # The fourth batch never gets its answer in the lifetime of this test, unless it is stopped.
    served.faults.add("latency", operation="addMembers", seconds=0.2, times=None)
    report = tmp_path / "r.json"
    command = ("sync", "members", AUDIENCE, people(new), "--keep-extra", "--concurrency", "1", "--report", str(report))
    journal = tmp_path / "run.jsonl"
    with started(*command, "--journal", str(journal)) as process:
        while not journal.exists() or '"added"' not in journal.read_text():
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    written = json.loads(report.read_text())
    assert written["added"] + written["not_attempted"] == 350
    assert 100 <= written["added"] < 350
    assert len(served.state.audiences[AUDIENCE].members) - before == written["added"]
    assert f"{AUDIENCE}: {written['added']} added, 0 removed, 0 failed, {written['not_attempted']} not attempted" in out
    assert "Traceback" not in err


def test_a_terminal_that_is_closed_costs_neither_report_nor_journal(
    served: Sandbox, people: Callable[..., str], tmp_path: Path
) -> None:
    """Nothing can be written to it any more; what was done is in the files."""
    new = [served.state.add_user(email=f"new{number}@example.com")["email"] for number in range(350)]
    served.faults.add("latency", operation="addMembers", seconds=0.2, times=None)
    report, journal = tmp_path / "r.json", tmp_path / "run.jsonl"
    command = ("sync", "members", AUDIENCE, people(new), "--keep-extra", "--concurrency", "1")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OWNS_TERMINAL + MAIN, *command, "--report", str(report), "--journal", str(journal)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm"),
        start_new_session=True,
    )
    os.close(theirs)
    try:
        while not journal.exists() or '"added"' not in journal.read_text():
            assert process.poll() is None
        os.close(ours)
        assert process.wait(timeout=30) == 129
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    written = json.loads(report.read_text())
    assert written["added"] + written["not_attempted"] == 350
    assert 100 <= written["added"] < 350
    assert len(journal.read_text().splitlines()) == 351


class _Gone(io.TextIOWrapper):
    """A stream on a terminal that is gone."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_what_cannot_be_told_at_a_hangup_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The terminal gets nothing more, a file still does, and the run ends as it should."""
    ours, theirs = pty.openpty()
    log = tmp_path / "log"

    async def work() -> None:
        signal.raise_signal(signal.SIGHUP)
        try:
            await asyncio.sleep(60)
        finally:
            os.write(theirs, b"nobody reads this")
            sys.stdout.write("the report\n")
            sys.stdout.flush()

    with log.open("w") as file, _Gone(os.fdopen(theirs, "wb", closefd=False)) as terminal:
        monkeypatch.setattr(sys, "stdout", file)
        monkeypatch.setattr(sys, "stderr", terminal)
        with pytest.raises(Interrupted) as caught:
            run_async(work, notice="stopping")
    assert caught.value.code == 129
    assert log.read_text() == "the report\n"
    os.close(theirs)
    with pytest.raises(OSError, match="Input/output"):
        os.read(ours, 100)
    os.close(ours)


def test_under_nohup_a_hangup_is_nothing(served: Sandbox, people: Callable[..., str]) -> None:
    new = [served.state.add_user(email=f"new{number}@example.com")["email"] for number in range(150)]
    served.faults.add("latency", operation="addMembers", seconds=0.3, times=None)
    command = ("sync", "members", AUDIENCE, people(new), "--keep-extra", "--concurrency", "1")
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with started(*command) as process:
            while not any(entry.operation == "addMembers" for entry in served.requests):
                assert process.poll() is None
            process.send_signal(signal.SIGHUP)
            _, err = process.communicate(timeout=30)
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert process.returncode == 0, err


def test_output_that_nobody_reads_on_ends_quietly(served: Sandbox) -> None:
    for _ in range(3000):
        served.state.add_user()
    with started("users", "list", "--format", "jsonl") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 141
        process.stdout = None


def test_a_stream_that_cannot_show_a_letter_shows_its_code(served: Sandbox) -> None:
    served.state.add_user(email="x@example.com", firstName="Zoë李")
    ended = subprocess.run(
        [sys.executable, "-c", MAIN, "users", "list", "--format", "jsonl"],
        capture_output=True, text=True, check=True, env=environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0"),
    )  # fmt: skip
    assert "\\u674e" in ended.stdout


def test_the_demo_says_so_if_something_else_is_left_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from thrive_async.cli import demo

    def arranged(sandbox: Sandbox) -> demo._People:
        return replace(arrange(sandbox), unknown=frozenset({"other"}))

    arrange = demo._arrange
    monkeypatch.setattr(demo, "_arrange", arranged)
    result = run("demo")
    assert result.code == 1
    assert "This should not have happened: something else is left to do." in result.lines


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_loop_without_signal_handlers_is_stopped_all_the_same(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    """As on Windows: the command reports before it ends, and the handlers of before are back."""

    def missing(*_: object) -> None:
        raise NotImplementedError

    said: list[str] = []

    async def work() -> None:
        signal.raise_signal(number)
        try:
            await asyncio.Event().wait()
        finally:
            said.append("the report")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", missing)
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        run_async(work)
    assert (caught.value.code, said) == (code, ["the report"])
    assert signal.getsignal(number) is before


def test_on_windows_data_in_a_pipe_is_utf_8_with_plain_newlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code page of the machine does not decide what is in a file, and CSV cells keep their line breaks."""
    from thrive_async.cli.app import run as run_here

    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    raw = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252", newline="\r\n"))
        assert run_here(["--version"]) == 0
        sys.stdout.write("李\n")
        sys.stdout.flush()
        assert raw.getvalue().endswith("\n李\n".encode())
        assert b"\r" not in raw.getvalue()

        def gone(*_: object, **__: object) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

        patch.setattr("thrive_async.cli.app.app", gone)
        assert run_here(["users", "list"]) == 141


def test_only_a_process_of_its_own_is_tuned() -> None:
    code = "import gc, sys; from thrive_async.cli import main; main({}); sys.exit(gc.get_threshold()[0] == 100_000)"
    for given, tuned in (("", 1), ("['--version']", 0)):
        ended = subprocess.run(
            [sys.executable, "-c", code.format(given), "--version"],
            env=environment(),
            check=False,
            stdout=subprocess.DEVNULL,
        )
        assert ended.returncode == tuned


def test_ctrl_c_before_anything_has_begun_is_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from thrive_async.cli import app

    def interrupted(_tokens: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "run", interrupted)
    result = run("users", "list")
    assert (result.code, result.out, result.err) == (130, "", "")
