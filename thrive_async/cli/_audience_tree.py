"""`thrive audiences tree`: structures and their audiences as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import Exit
from thrive_async.cli._formats import note_count, out
from thrive_async.cli._running import run_async
from thrive_async.cli._safe_text import one_line

if TYPE_CHECKING:
    from thrive_async import ThriveClient

__all__ = ["tree"]


def tree(
    *,
    counts: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show structures and their audiences as a tree: reference, name, and what is special about each.

    Args:
        counts: Count the members of each audience, with one request per audience.
        connection: The Thrive tenant to use.
    """

    async def draw() -> int:
        async with connection.client() as thrive:
            audiences = [item async for page in thrive.audiences.list().pages() for item in page.raw]
            totals: dict[str, int | None] = await _counts(thrive, audiences) if counts else {}
        for line in tree_lines(audiences, totals):
            out(line)
        note_count(len(audiences), "audiences")
        return Exit.DONE

    return run_async(draw)


async def _counts(thrive: ThriveClient, audiences: list[dict[str, Any]]) -> dict[str, int | None]:
    import asyncio  # noqa: PLC0415 - `--help` does without

    async def count(identifier: str) -> tuple[str, int | None]:
        async with aclosing(thrive.audiences.members.list(identifier, per_page=1, prefetch=1).pages()) as pages:
            return identifier, (await anext(pages)).total_results

    tasks = [asyncio.ensure_future(count(item["id"])) for item in audiences if item.get("category") != "structure"]
    try:
        return dict(await asyncio.gather(*tasks))
    finally:
        # A count that fails must not leave the others running.
        for task in tasks:
            task.cancel()


def tree_lines(audiences: list[dict[str, Any]], totals: Mapping[str, int | None]) -> Iterator[str]:
    """Draw audiences below their parents; those whose parent is not in the list are at the top.

    Args:
        audiences: As Thrive sends them.
        totals: The number of members, by the id of the audience.

    Yields:
        A line per audience.
    """
    known = {item["id"]: item for item in audiences}
    below: dict[str | None, list[dict[str, Any]]] = {}
    for item in audiences:
        stub: dict[str, Any] | None = item.get("parent")
        parent: str | None = stub.get("id") if stub else None
        below.setdefault(parent if parent in known and parent != item["id"] else None, []).append(item)

    def name(item: dict[str, Any]) -> str:
        return one_line(str(item.get("reference") or item["id"]))

    drawn: set[str] = set()

    def walk(parent: str | None, indent: str) -> Iterator[str]:
        children = sorted(below.get(parent, ()), key=lambda item: name(item).casefold())
        for number, item in enumerate(children, start=1):
            drawn.add(item["id"])
            last = number == len(children)
            branch = "" if parent is None else ("└── " if last else "├── ")
            notes = [
                note
                for note, holds in (
                    ("structure", item.get("category") == "structure"),
                    ("smart", item.get("type") == "smart"),
                    ("not API-controlled", item.get("apiControlled") is False),
                )
                if holds
            ]
            if item["id"] in totals:
                notes.append(f"{totals[item['id']] or 0:,} members")
            title = one_line(str(item.get("name") or ""))
            noted = f"  ({', '.join(notes)})" if notes else ""
            yield f"{indent}{branch}{name(item)}  {title}{noted}"
            yield from walk(item["id"], indent + ("" if parent is None else ("    " if last else "│   ")))

    yield from walk(None, "")
    # Parents that form a circle are below nothing, and must not be left out.
    for item in audiences:
        if item["id"] not in drawn:
            drawn.add(item["id"])
            yield f"{name(item)}  {one_line(str(item.get('name') or ''))}  (its parents form a circle)"
