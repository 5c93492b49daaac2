"""The `list` and `get` of every resource: one way to ask, three ways to show."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from cyclopts import Group, Parameter

from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._output import OutputFormat, Writer, flatten, note_count, print_record, unknown_columns
from thrive_async.cli._session import Connection, run_async

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.pagination import Paginator

__all__ = ["Kind", "Listing", "Single", "as_json", "columns_of", "show_list", "show_one"]

#: No operation has a smaller maximum for a page.
_SHORTEST_MAXIMUM = 100
OUTPUT = Group("Output", sort_key=70)


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class Single:
    """How to show one item."""

    format: OutputFormat = "table"
    """A table for people; jsonl has every field; csv puts ' before what a spreadsheet would run."""
    columns: Annotated[str, Parameter(show_default=False)] = ""
    """Fields to show, by commas; dots lead into objects, as in parent.reference."""


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class Listing(Single):
    """How to show a list."""

    limit: int | None = None
    """At most this many."""


@dataclass(frozen=True)
class Kind:
    """What is known of one kind of item before any is seen."""

    noun: str
    #: What a table shows.
    table: tuple[str, ...]
    #: What Thrive documents, the table's fields included; a CSV holds these.
    fields: tuple[str, ...]


def columns_of(output: Single, kind: Kind) -> tuple[str, ...]:
    """Give the columns that were asked for, none if the defaults will do.

    Raises:
        CliError: no item of this kind has such a field.
    """
    columns = tuple(name.strip() for name in output.columns.split(",") if name.strip())
    unknown_columns(columns, kind.fields)
    return columns


async def _raw_items(paginator: Paginator[Any], limit: int | None) -> AsyncGenerator[dict[str, Any]]:
    left = limit
    async with aclosing(paginator.pages()) as pages:
        async for page in pages:
            for item in page.raw:
                if left == 0:
                    return
                yield item
                left = None if left is None else left - 1
            if left == 0:
                return


class Paging(TypedDict, total=False):
    """The arguments of every paged `list`."""

    per_page: int | None
    prefetch: int


def show_list(
    kind: Kind,
    make: Callable[[ThriveClient, Paging], Paginator[Any]],
    output: Listing,
    connection: Connection,
) -> int:
    """Walk a list and write it as it comes.

    Args:
        kind: what is listed.
        make: calls the resource's `list`.
        output: how to show it.
        connection: whom to ask.

    Returns:
        The exit code.
    """
    if output.limit is not None and output.limit < 1:
        raise CliError(f"--limit {output.limit}: at least 1")
    columns = columns_of(output, kind)
    # A short list is one small page, and no request for what is not shown.
    short = output.limit is not None and output.limit <= min(
        _SHORTEST_MAXIMUM, connection.per_page or _SHORTEST_MAXIMUM
    )
    paging: Paging = {"per_page": output.limit, "prefetch": 1} if short else {}

    async def walk() -> int:
        async with connection.client() as thrive:
            writer = Writer(output.format, columns=columns, defaults=kind.table, fields=kind.fields)
            await writer.drain(_raw_items(make(thrive, paging), output.limit))
            if output.format == "table":
                note_count(writer.count, kind.noun)
            return Exit.DONE

    return run_async(walk)


def show_one(
    kind: Kind, ask: Callable[[ThriveClient], Awaitable[object]], output: Single, connection: Connection
) -> int:
    """Ask for one item and write it: in a table, a field to the line.

    Args:
        kind: what is asked for.
        ask: calls the resource's `get`.
        output: how to show it.
        connection: whom to ask.

    Returns:
        The exit code.
    """
    columns = columns_of(output, kind)

    async def one() -> int:
        async with connection.client() as thrive:
            record = as_json(await ask(thrive))
        if output.format == "table" and not columns:
            print_record(flatten(record))
            return Exit.DONE
        writer = Writer(output.format, columns=columns, defaults=kind.table, fields=kind.fields)
        writer.write(record)
        writer.close()
        return Exit.DONE

    return run_async(one)


def as_json(model: object) -> dict[str, Any]:
    """Turn a model back into the JSON object it was read from, by Thrive's names."""
    import json  # noqa: PLC0415

    from thrive_async._wire.convert import dump  # noqa: PLC0415 - after the parsing

    decoded: dict[str, Any] = json.loads(dump(model))
    return decoded
