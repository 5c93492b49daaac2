"""`thrive check`: what this tenant sends that does not match the specification."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import Exit, describe, say
from thrive_async.cli._formats import Writer, note_count
from thrive_async.cli._running import run_async
from thrive_async.cli._safe_text import counted

if TYPE_CHECKING:
    from thrive_async import DecodeError, Paginator, ThriveClient

__all__ = ["check"]

_FIELDS: Final = ("operation", "path", "expected", "came", "count", "unread")
_INDEX: Final = re.compile(r"\[[0-9]+\]")
_KEY: Final = re.compile(r"\['.*'\]")


def check(
    *,
    format: Annotated[Literal["table", "jsonl", "csv"], Parameter(name="--format")] = "table",  # noqa: A002
    connection: Connection = Connection(),  # noqa: B008 - frozen
) -> int:
    """Compare what Thrive sends with the specification, and show what differs.

    Reads one page of each list, and one record of each kind; changes nothing. Shows where a value differs, what was
    expected, which type came, how often, and how many could not be read. The output holds no personal data and no
    values, so you can attach it to a report. Exit code 1 means that something differs.

    Args:
        format: How to show it.
        connection: Which Thrive to ask.
    """
    thrive = connection.client()
    # Differences are shown once: in the output, and not on standard error as well.
    logging.getLogger("thrive_async").addHandler(logging.NullHandler())

    async def main() -> int:
        async with thrive:
            look = _Look(thrive)
            await look.at_everything()
        rows = look.rows()
        writer = Writer(format, defaults=_FIELDS, fields=_FIELDS)
        for row in rows:
            writer.write(row)
        if rows or format != "table":
            writer.close()
        note_count(len(rows), "differences")
        if not look.answered:
            return Exit.REFUSED
        if not rows:
            say(f"nothing differs in {counted(look.answered, 'replies')}")
        return Exit.SOME_FAILED if rows else Exit.DONE

    return run_async(main)


class _Look:
    """One look at a tenant. A call that fails is reported and does not stop the others."""

    def __init__(self, thrive: ThriveClient) -> None:
        self._thrive = thrive
        self._unreadable: list[DecodeError] = []
        self.answered = 0

    async def at_everything(self) -> None:
        """Read a page of each list, and one record of each kind."""
        thrive = self._thrive
        user = await self._first("users", thrive.users.list())
        if user is not None:
            await self._get("users", thrive.users.get, user.id)
            if user.ref:
                await self._get("users by ref", thrive.users.get_by_ref, user.ref)
        audience = await self._first("audiences", thrive.audiences.list())
        if audience is not None:
            await self._get("audiences", thrive.audiences.get, audience.id)
            await self._first("members", thrive.audiences.members.list(audience.id))
            await self._first("managers", thrive.audiences.managers.list(audience.id))
        assignment = await self._first("assignments", thrive.assignments.list())
        if assignment is not None:
            await self._get("assignments", thrive.assignments.get, assignment.id)
            enrolments = thrive.assignments.enrolments
            enrolment = await self._first("enrolments", enrolments.list(assignment.id))
            if enrolment is not None:
                await self._get("enrolments", enrolments.get, assignment.id, enrolment.id)
        for name, resource, key in (
            ("completions", thrive.completions, "id"),
            ("contents", thrive.contents, "id"),
            ("activities", thrive.activities, "id"),
            ("CPD categories", thrive.cpd.categories, "category_id"),
            ("CPD entries", thrive.cpd.entries, "log_entry_id"),
            ("CPD requirements", thrive.cpd.requirements, "audience_requirement_id"),
            ("tags", thrive.tags, "id"),
        ):
            found: Any = await self._first(name, resource.list())
            if found is not None:
                await self._get(name, resource.get, getattr(found, key))
        now = datetime.now(UTC)
        summaries = thrive.cpd.user_summaries.list(entry_date_from=now - timedelta(days=365), entry_date_to=now)
        await self._first("CPD summaries", summaries)
        await self._get("skill levels", thrive.skills.levels)

    async def _first(self, name: str, paginator: Paginator[Any]) -> Any:
        """Read the first page of a list and return its first item, if there is one."""

        async def first_page() -> list[Any]:
            async with aclosing(paginator.pages()) as pages:
                async for page in pages:
                    return page.items
            return []

        items = await self._get(name, first_page)
        return items[0] if items else None

    async def _get(self, name: str, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        from thrive_async import DecodeError, ThriveError  # noqa: PLC0415 - after the parsing

        try:
            answer = await call(*arguments)
        except DecodeError as error:
            self._unreadable.append(error)
            answer = None
        except ThriveError as error:
            say(f"{name}: {describe(error)[0]}")
            return None
        self.answered += 1
        return answer

    def rows(self) -> list[dict[str, object]]:
        """Return what differs, one row for each path of each operation and each type that came."""
        rows: list[dict[str, object]] = [
            {
                "operation": operation,
                "path": path,
                "expected": problem.expected,
                "came": ", ".join(problem.came),
                "count": problem.count,
                "unread": problem.lost,
            }
            for operation, path, problem in self._thrive.problems.each()
        ]
        return rows + [_row_of(error) for error in self._unreadable]


def _row_of(error: DecodeError) -> dict[str, object]:
    """The row of a whole reply that could not be read."""
    expected, _, came = error.reason.removeprefix("expected ").partition(", not ")
    path = _KEY.sub(".*", _INDEX.sub("[]", error.path))
    return {
        "operation": error.operation,
        "path": path,
        "expected": expected if came else "a value" if error.reason == "missing" else error.reason,
        "came": came or "nothing",
        "count": 1,
        "unread": 1,
    }
