"""Where a tenant's people come from: CSV files, or an object of yours. They are streamed, never all in memory."""

import asyncio
import csv
import re
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from thrive_async.errors import ConfigurationError

__all__ = ["CsvPeople", "PeopleSource", "located", "open_source"]

_Row = TypeVar("_Row")
_AT_ONCE: Final = 5_000
"""Rows read in one go, in a thread."""
_OBJECT: Final = re.compile(r"((?:[^\W\d]\w*)(?:\.[^\W\d]\w*)*):([^\W\d]\w*)")


class PeopleSource(Protocol):
    """Where people come from. An object of yours may have only the methods that its tenants need.

    Example:
        ```toml
        [tenant.members]
        source = "mypackage.people:database"
        ```
    """

    def audiences(self, tenant: str) -> Iterable[str]:
        """Return the ids or references of the tenant's audiences."""
        ...

    def members(self, tenant: str, audience: str) -> Iterable[str] | AsyncIterable[str]:
        """Return the people who should be members: ids, refs or e-mail addresses."""
        ...

    def users(self, tenant: str) -> Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]:
        """Return the rows of an HR export."""
        ...


class CsvPeople:
    """CSV files in UTF-8 with commas and a header line.

    Args:
        path: For members, a file with the columns audience and member, or a folder with a file for each audience,
            `sales-emea.csv` with the column member. For users, a file with a column for each field.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def audiences(self, tenant: str) -> Iterator[str]:  # noqa: ARG002 - the files are the tenant's
        """Yield the name of each audience once, in the order of the files.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file is not such a CSV.
        """
        if self._path.is_dir():
            yield from sorted(file.stem for file in self._path.glob("*.csv"))
            return
        seen: set[str] = set()
        for row in _rows(self._path, "audience", "member"):
            name = row["audience"].strip()
            if name and name not in seen:
                seen.add(name)
                yield name

    def members(self, tenant: str, audience: str) -> AsyncIterator[str]:  # noqa: ARG002
        """Yield the members of an audience.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file is not such a CSV.
        """
        if self._path.is_dir():
            return _in_thread(row["member"] for row in _rows(self._path / f"{audience}.csv", "member"))
        rows = _rows(self._path, "audience", "member")
        return _in_thread(row["member"] for row in rows if row["audience"].strip() == audience)

    def users(self, tenant: str) -> AsyncIterator[dict[str, str]]:  # noqa: ARG002
        """Yield the rows.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is not such a CSV.
        """
        return _in_thread(_rows(self._path))


def _rows(path: Path, *wanted: str) -> Generator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        # strict: a quote that is never closed is an error, instead of swallowing the rest of the people.
        lines = csv.reader(file, strict=True)
        try:
            names = [name.strip() for name in next(lines, list[str]())]
            missing = [name for name in wanted if name not in names]
            if missing or not names:
                raise ValueError(f"{path}: its first line must name the columns {', '.join(wanted) or 'of the fields'}")
            for line in lines:
                if not line:
                    continue
                if len(line) != len(names):
                    # The file may be cut off, and the people behind the cut must not be taken for leavers.
                    raise ValueError(
                        f"{path}: line {lines.line_num} has {len(line)} columns, the first line {len(names)}"
                    )
                yield dict(zip(names, line, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: line {lines.line_num + 1} cannot be read ({error})") from error


async def _in_thread(rows: Generator[_Row]) -> AsyncIterator[_Row]:
    with closing(rows):
        while some := await asyncio.to_thread(lambda: list(islice(rows, _AT_ONCE))):
            for row in some:
                yield row


def open_source(text: str) -> PeopleSource:
    """Return the source that a text names: a path, or ``module:object``.

    Raises:
        ConfigurationError: There is no such module or object.
    """
    named = _OBJECT.fullmatch(text)
    if named is None:
        return CsvPeople(text)
    try:
        source: PeopleSource = getattr(import_module(named[1]), named[2])
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"the source {text} cannot be imported: {error}") from error
    return source


def located(text: str, folder: Path) -> str:
    """Return a source with an absolute path, if it is a path."""
    return text if _OBJECT.fullmatch(text) else str(folder / text)
