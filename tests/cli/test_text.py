"""Nothing that Thrive or a file holds acts on a terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async.cli._safe_text import counted, one_line, visible


@given(st.text())
def test_no_control_character_is_left_in_one_line(text: str) -> None:
    shown = one_line(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029\u202e\u2066" for c in shown)


@given(st.text())
def test_an_escaped_json_line_is_still_the_same_json(text: str) -> None:
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


def test_escapes_are_written_out_not_dropped() -> None:
    assert visible("\x1b[2Jred\x07 \u202etxt.exe") == "\\u001b[2Jred\\u0007 \\u202etxt.exe"
    assert one_line("a\r\n  thrive: all done\tb") == "a thrive: all done b"


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [(1, "entries", "1 entry"), (1, "users", "1 user"), (0, "entries", "0 entries"), (1234, "rows", "1,234 rows")],
)
def test_one_is_said_of_one(count: int, noun: str, words: str) -> None:
    assert counted(count, noun) == words
