"""Finds out what people are called, in one walk over the users of Thrive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from thrive_async.cli._plan_views import Named

if TYPE_CHECKING:
    from thrive_async import ThriveClient

__all__ = ["Names", "read_names"]


class Names:
    """What people are called, by id, ref or e-mail address.

    Args:
        found: What Thrive knows, by id, ref, and e-mail address in lower case.
        complete: Whether all users were read, so that a name that is missing here is unknown to Thrive.
    """

    def __init__(self, found: Mapping[str, Named] | None = None, *, complete: bool = False) -> None:
        self._found = found or {}
        self.complete = complete

    def of(self, reference: str) -> Named | None:
        """Return what Thrive knows of a person; None for nothing."""
        return self._found.get(reference) or self._found.get(reference.lower())


async def read_names(thrive: ThriveClient, references: Iterable[str]) -> Names:
    """Read what people are called, in pages of users, and stop when everybody is found.

    Args:
        thrive: The client.
        references: Their ids, refs or e-mail addresses.

    Raises:
        ThriveError: The users could not be read.
    """
    from contextlib import aclosing  # noqa: PLC0415 - after the parsing

    wanted = set(references) - {""}
    missing = {name if "@" not in name else name.lower() for name in wanted}
    wanted |= missing
    found: dict[str, Named] = {}
    if not wanted:
        return Names(complete=True)
    async with aclosing(thrive.users.list().pages()) as pages:
        async for page in pages:
            for user in page.items:
                keys = {user.id, user.ref or "", (user.email or "").lower()} & wanted
                if keys and not user.deleted:
                    name = " ".join(part for part in (user.first_name, user.last_name) if part)
                    found.update(dict.fromkeys(keys, Named(name or None, user.email, user.ref)))
                    missing -= keys
            if not missing:
                break
    return Names(found, complete=True)
