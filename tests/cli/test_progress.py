"""How far a sync is: plain lines that a log can keep, or a bar that fits the terminal."""

from __future__ import annotations

import io
import re
import sys

import pytest

from thrive_async.cli._errors import say
from thrive_async.cli._progress import ProgressView, duration
from thrive_async.sync import Progress

from .conftest import Terminal


def at(done: int, *, failed: int = 0, rate: float = 12.34, left: float | None = 65.0) -> Progress:
    return Progress(done=done, total=100, failed=failed, rate=rate, remaining_seconds=left)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "?"), (0.2, "0s"), (59.4, "59s"), (60, "1:00"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_times_are_written_for_people(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_come_at_most_every_five_seconds_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with ProgressView("sales\nemea", clock=lambda: now) as view:
        for moment, done in ((1.0, 10), (4.9, 20), (5.0, 30), (6.0, 40), (11.0, 50), (12.0, 60)):
            now = moment
            view(at(done, failed=1))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "progress sales emea done=30 total=100 failed=1 rate=12.3/s left=1:05"
    assert [re.findall(r"done=(\d+)", line) for line in lines] == [["30"], ["50"], ["60"]]


def test_nothing_to_do_says_nothing_and_a_line_is_not_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressView("a", clock=lambda: 0.0):
        pass
    now = 0.0
    with ProgressView("a", clock=lambda: now) as view:
        now = 9.0
        view(at(100, left=0))
    assert capsys.readouterr().err.count("done=") == 1


def test_the_end_is_told_after_an_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), ProgressView("a") as view:
        view(at(7))
        raise KeyboardInterrupt
    assert "done=7 total=100" in capsys.readouterr().err


def test_a_terminal_gets_a_bar_of_its_width_and_lines_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    with ProgressView("an-audience-with-a-rather-[long]-name") as view:
        view(at(40, failed=3, left=None))
        say("a line in between")
        view(at(100, failed=3, rate=0.0, left=0.0))
    text = err.getvalue()
    assert "a line in between" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    shown = [line for line in re.split(r"[\r\n]+", plain) if "100/100" in line]
    assert shown
    assert all(len(line.rstrip()) <= 80 for line in shown)
    assert "an-audience-with-a-rath…" in shown[-1]
    assert "3 failed" in shown[-1]


def test_the_bar_begins_with_what_was_done_and_fits_eighty_columns_of_large_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No first moment of zero done at some rate; and a background that is no heavier than the bar on a light one."""
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with ProgressView("an-audience-with-a-rather-long-name") as view:
        view(Progress(done=61_234, total=100_000, failed=12_345, rate=1391.2, remaining_seconds=3912.0))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err.getvalue())
    shown = [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]
    assert all(len(line) <= 80 for line in shown)
    assert all("61,234/100,000 1,391/s 1:05:12 left 12,345 failed" in line for line in shown)
    assert "\x1b[90m" in err.getvalue()


def test_what_is_no_terminal_gets_no_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    with ProgressView("\x1b[31mred") as view:
        view(at(1))
    assert "\x1b" not in err.getvalue()
