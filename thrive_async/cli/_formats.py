"""Writes data to standard output: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import IO, Any, Literal, TextIO, cast

from thrive_async._base.cells import cell, pick
from thrive_async.cli._errors import say
from thrive_async.cli._safe_text import counted, guard_cell, inert, one_line, visible

__all__ = ["OutputFormat", "Writer", "cell", "flatten", "is_terminal", "out", "print_table"]

_NARROWEST = 6
_GAP = 2
_UNCUT = re.compile(r"[0-9a-fA-F]{24}|\d{4}-\d\d-\d\d \d\d:\d\d|")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?Z")

OutputFormat = Literal["table", "jsonl", "csv"]


def is_terminal(stream: IO[str] | None = None) -> bool:
    """Return whether this stream is a terminal; by default standard output."""
    return (sys.stdout if stream is None else stream).isatty()


def out(line: str) -> None:
    """Write one line to standard output; nothing in it acts on a terminal or makes a second line."""
    sys.stdout.write(one_line(line) + "\n")


def abandon_output() -> None:
    """Let nothing more go to standard output: what it still holds cannot be written, and would fail again at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def flatten(value: Mapping[str, Any]) -> dict[str, Any]:
    """Turn nested objects into dotted names: `{"parent": {"id": 1}}` into `{"parent.id": 1}`; lists stay."""
    flat: dict[str, Any] = {}
    # A stack, not recursion: JSON may be nested deeper than Python calls.
    waiting: list[tuple[str, object]] = list(reversed(tuple(value.items())))
    while waiting:
        name, item = waiting.pop()
        if isinstance(item, dict) and item:
            inner = cast("dict[str, Any]", item)
            waiting += [(f"{name}.{key}", one) for key, one in reversed(tuple(inner.items()))]
        else:
            flat[name] = item
    return flat


class _Lines:
    """Takes rows that end in CRLF and writes them with a newline.

    Before Python 3.13 a `csv.writer` quotes only the breaks that it ends its own lines with: with a lone newline, a CR
    in a name would begin a row of its own, past the formula guard.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        self._stream.write(row.removesuffix("\r\n") + "\n")


class Writer:
    """Writes items in one format as they come; a table waits for all of them, to know how wide they are.

    Args:
        format: How to write.
        columns: The fields that were asked for, with dots; empty for the defaults.
        defaults: The fields that a table shows by default.
        fields: The columns of a CSV by default; its header is written before the first item.
        stream: Where to write; by default standard output.
    """

    def __init__(
        self,
        format: OutputFormat,  # noqa: A002 - the name of the option
        *,
        columns: Sequence[str] = (),
        defaults: Sequence[str],
        fields: Sequence[str] = (),
        stream: TextIO | None = None,
    ) -> None:
        self._format = format
        self._stream = stream if stream is not None else sys.stdout
        self.columns = tuple(columns)
        self._shown = self.columns or tuple(defaults if format == "table" else (fields or defaults))
        self._rows: list[list[str]] = []
        self._csv = csv.writer(_Lines(self._stream))
        self._terminal = is_terminal(self._stream)
        self.count = 0

    def write(self, item: Mapping[str, Any]) -> None:
        """Write one item, a decoded JSON object."""
        if not self.count and self._format == "csv":
            self._csv.writerow(self._shown)
        self.count += 1
        if self._format == "jsonl":
            chosen = {name: pick(item, name) for name in self.columns} if self.columns else item
            line = json.dumps(chosen, ensure_ascii=False, separators=(",", ":"))
            self._stream.write((visible(line) if self._terminal else inert(line)) + "\n")
            return
        if self._format == "csv":
            # A number below zero is no formula; whatever holds text may be one.
            cells = [
                cell(value) if isinstance(value, int | float) else guard_cell(cell(value))
                for value in self._values(item)
            ]
            self._csv.writerow([visible(text) if self._terminal else inert(text) for text in cells])
            return
        self._rows.append([cell(value) for value in self._values(item)])

    def _values(self, item: Mapping[str, Any]) -> list[object]:
        return [pick(item, name) for name in self._shown]

    def close(self) -> None:
        """Write what is left, and flush."""
        if self._format == "table":
            print_table(self._shown, self._rows, stream=self._stream)
        elif self._format == "csv" and not self.count:
            self._csv.writerow(self._shown)
        self._stream.flush()

    async def drain(self, items: AsyncGenerator[Mapping[str, Any]]) -> None:
        """Write everything an iterator gives, and close; what came before an error is written too."""
        try:
            async with aclosing(items):
                async for item in items:
                    self.write(item)
        except BaseException:
            if self.count:
                self.close()
            raise
        self.close()


def _fitted(widths: Sequence[int], whole: Sequence[bool], available: int) -> list[int]:
    """Make columns fit by taking from the widest; ids and times give way last, for half an id is useless.

    rich's own fitting drops whole columns on a terminal of 40 columns.
    """
    fitted = list(widths)
    for candidates in ([index for index, is_whole in enumerate(whole) if not is_whole], list(range(len(whole)))):
        while sum(fitted) > available and candidates:
            widest = max(candidates, key=fitted.__getitem__)
            if fitted[widest] <= _NARROWEST:
                break
            fitted[widest] -= 1
    return fitted


def _short_time(text: str) -> str:
    """Write a time to the minute, as people read it; anything else stays."""
    match = _TIME.fullmatch(text)
    return f"{match[1]} {match[2]}" if match else text


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]], *, stream: TextIO | None = None) -> None:
    """Write a table: fitted to a terminal, elsewhere whole, with two or more spaces between columns.

    Args:
        names: The headings.
        rows: The cells, as text.
        stream: Where to write; by default standard output.
    """
    target = sys.stdout if stream is None else stream
    names = [one_line(name) for name in names]
    if is_terminal(target):
        from rich.console import Console  # noqa: PLC0415 - only for a terminal
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = Console(file=target, highlight=False)
        table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
        # Text, not str: a name such as "[red]" is no markup.
        cells = [[Text(_short_time(one_line(value))) for value in row] for row in rows]
        natural = [max(len(name), *(row[index].cell_len for row in cells), 1) for index, name in enumerate(names)]
        whole = [all(_UNCUT.fullmatch(row[index].plain) for row in cells) for index in range(len(names))]
        for name, width in zip(names, _fitted(natural, whole, console.width - _GAP * len(names)), strict=True):
            table.add_column(Text(name), overflow="ellipsis", no_wrap=True, width=width)
        for row in cells:
            table.add_row(*row)
        console.print(table)
        return
    lines = [[one_line(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *lines, strict=True)]
    for line in (names, *lines):
        target.write("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip() + "\n")


def note_count(count: int, noun: str) -> None:
    """Say on a terminal how many items a table holds."""
    if is_terminal(sys.stderr) and is_terminal():
        say(counted(count, noun))


def print_record(record: Mapping[str, Any], *, stream: TextIO | None = None) -> None:
    """Write one item as lines of name and value; null and empty values are left out.

    Args:
        record: A flat object, as `flatten` makes it.
        stream: Where to write; by default standard output.
    """
    target = sys.stdout if stream is None else stream
    shown = {one_line(name): text for name, value in record.items() if (text := one_line(cell(value)))}
    width = max(map(len, shown), default=0)
    for name, text in shown.items():
        target.write(f"{name:<{width}}  {text}\n")
