"""The files that people hand in: text or workbooks, packed or not, from a path or standard input.

`content` recognises and unpacks, `text` and `workbooks` read, `filters` leaves rows out, `sheet` finds columns. What
follows from a row that cannot be trusted is for `thrive_async.sync` to say.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from thrive_async.cli._errors import CliError
from thrive_async.cli._files.content import recognised
from thrive_async.cli._files.sheet import ID_COLUMNS, PERSON_COLUMNS, Sheet, fold, holds
from thrive_async.cli._files.text import Format, decode, load_json, parse

if TYPE_CHECKING:
    from thrive_async.sync.source import Source

__all__ = [
    "ID_COLUMNS",
    "PERSON_COLUMNS",
    "STDIN",
    "Format",
    "Sheet",
    "decode",
    "fold",
    "holds",
    "load_json",
    "parse",
    "read_bytes",
    "read_sheet",
    "source_of",
]

STDIN = "-"


def read_sheet(
    source: str,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    format: Format = "auto",  # noqa: A002
    sheet: str | None = None,
    skip_lines: int = 0,
    columns: Sequence[str] = (),
) -> Sheet:
    """Read a whole file or standard input; call it before the loop runs, so that reading does not block it.

    Args:
        source: A path, or `-` for standard input.
        encoding: As for `read_bytes`.
        delimiter: As for `read_bytes`.
        format: As for `read_bytes`.
        sheet: As for `read_bytes`.
        skip_lines: As for `read_bytes`.
        columns: As for `read_bytes`.

    Returns:
        Its rows, at least one.

    Raises:
        CliError: It is missing, empty, no list, in another encoding, or broken.
    """
    name = "standard input" if source == STDIN else source
    # The bytes are not kept here while they are read: 20 MB for 200,000 people.
    return read_bytes(
        _bytes_of(source, name),
        name,
        encoding=encoding,
        delimiter=delimiter,
        format=format,
        sheet=sheet,
        skip_lines=skip_lines,
        columns=columns,
    )


def _bytes_of(source: str, name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except OSError as error:
        raise CliError(f"cannot read {name}: {error.strerror or error}") from error


def read_bytes(
    data: bytes,
    source: str,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    format: Format = "auto",  # noqa: A002
    sheet: str | None = None,
    skip_lines: int = 0,
    columns: Sequence[str] = (),
) -> Sheet:
    """Read the content of a file: a workbook, CSV or JSON, also inside a .gz or .zip.

    Args:
        data: The content.
        source: How messages name it.
        encoding: The name of a codec; by default UTF-8, or what a byte order mark says.
        delimiter: The CSV's delimiter; detected by default.
        format: "csv", "jsonl", or "auto" to look at the name and the first character.
        sheet: The name of a workbook's sheet, or its number from 1.
        skip_lines: How many lines or rows stand before the header.
        columns: The columns by which the sheet of a workbook is found.

    Raises:
        CliError: It is empty, no list, in another encoding, or broken.
    """
    import hashlib  # noqa: PLC0415 - `--help` does without

    content = recognised(data, source, source)
    digest = hashlib.sha256(data).hexdigest()
    if content.kind == "text":
        if sheet is not None:
            raise CliError(f"{source} is no workbook, so it has no --sheet {sheet}")
        if format == "auto" and PurePath(content.name).suffix.lower() in {".jsonl", ".ndjson", ".json"}:
            format = "jsonl"  # noqa: A001
        text = decode(content.data, source, encoding)
        del data, content
        read = parse(text, source, delimiter=delimiter, format=format, skip_lines=skip_lines)
    else:
        from thrive_async.cli._files.workbooks import read_workbook  # noqa: PLC0415 - only for workbooks

        read = read_workbook(content, source, sheet=sheet, skip_rows=skip_lines, columns=columns)
    return replace(read, sha256=digest)


def source_of(sheets: Sequence[Sheet]) -> Source:
    """Return what plans and journals say about the files: their names, their hash, how many rows they have."""
    import hashlib  # noqa: PLC0415 - `--help` does without

    from thrive_async.sync.source import Source  # noqa: PLC0415 - after the parsing

    digests = [sheet.sha256 for sheet in sheets]
    joined = "".join(f"{digest}\n" for digest in digests).encode()
    return Source(
        name=" + ".join(sheet.source for sheet in sheets),
        sha256=digests[0] if len(digests) == 1 else hashlib.sha256(joined).hexdigest(),
        rows=sum(sheet.row_count for sheet in sheets),
    )
