"""`thrive audiences`: audiences, their members and managers, and how they hang together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from thrive_async.cli._errors import Exit
from thrive_async.cli._listing import Kind, Listing, Single, show_list, show_one
from thrive_async.cli._options import When
from thrive_async.cli._output import note_count, out
from thrive_async.cli._session import Connection, run_async
from thrive_async.cli._text import one_line

if TYPE_CHECKING:
    from thrive_async import ThriveClient

__all__ = ["app"]

app: App = App(name="audiences", help="Look at audiences, their members and managers.")
members: App = App(name="members", help="Look at the members of an audience.")
managers: App = App(name="managers", help="Look at the managers of an audience.")
app.command(members)
app.command(managers)

AUDIENCES = Kind(
    noun="audiences",
    table=("reference", "name", "category", "type", "parent.reference"),
    fields=(
        "id", "reference", "name", "category", "type", "apiControlled", "parent.id", "parent.reference", "parent.name",
        "createdAt", "updatedAt",
    ),
)  # fmt: skip
MEMBERS = Kind(noun="members", table=("userId", "reference", "email"), fields=("userId", "reference", "email"))
MANAGERS = Kind(
    noun="managers",
    table=("userId", "reference", "email", "permissions"),
    fields=("userId", "reference", "email", "permissions"),
)


@app.command(name="list")
def list_audiences(
    *,
    api_controlled: Annotated[bool | None, Parameter(show_default=False)] = None,
    updated_since: When = None,
    output: Listing = Listing(),  # noqa: B008 - frozen
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List audiences and structures.

    Args:
        api_controlled: Only those made through the API, or only those that were not.
        updated_since: Only those changed at this time or later.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        AUDIENCES,
        lambda thrive, paging: thrive.audiences.list(
            api_controlled=api_controlled, updated_since=updated_since, **paging
        ),
        output,
        connection,
    )


@app.command
def get(
    audience: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one audience.

    Args:
        audience: Its id or reference.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(AUDIENCES, lambda thrive: thrive.audiences.get(audience), output, connection)


@members.command(name="list")
def list_members(
    audience: str,
    /,
    *,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List the members of an audience.

    Args:
        audience: Its id or reference.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        MEMBERS, lambda thrive, paging: thrive.audiences.members.list(audience, **paging), output, connection
    )


@managers.command(name="list")
def list_managers(
    audience: str,
    /,
    *,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List the managers of an audience and what they may do.

    Args:
        audience: Its id or reference.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(MANAGERS, lambda thrive, _: thrive.audiences.managers.list(audience), output, connection)


@app.command
def tree(
    *,
    counts: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show structures and their audiences as a tree: reference, name, and what is special about each.

    Args:
        counts: Count the members of each audience; one request for each.
        connection: Whom to ask.
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
        # A count that failed must not leave the others running.
        for task in tasks:
            task.cancel()


def tree_lines(audiences: list[dict[str, Any]], totals: Mapping[str, int | None]) -> Iterator[str]:
    """Draw audiences below their parents; those whose parent is not in the list stand at the top.

    Args:
        audiences: as Thrive sends them.
        totals: members by the id of the audience.

    Yields:
        One line for each.
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
    # Parents that go round in a circle cannot be drawn below anything; they are not left out, either.
    for item in audiences:
        if item["id"] not in drawn:
            drawn.add(item["id"])
            yield f"{name(item)}  {one_line(str(item.get('name') or ''))}  (its parents form a circle)"
