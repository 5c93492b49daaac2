"""Whose row may only be written in another way, and who has left: pure.

Thrive's API cannot undo a suspension. So nobody is suspended whom a row of the export may mean, however it is written;
and while a row may mean anybody, nobody is.
"""

from collections.abc import Collection, Mapping
from typing import Final

import attrs

from thrive_async.models import AudienceMember
from thrive_async.sync._match.export_rows import Nameless, Rows
from thrive_async.sync._match.names import doubtful, folded
from thrive_async.sync._match.user_diff import Known

__all__ = ["NAMELESS", "Suspects", "nameless_rows", "suspects", "told"]

NAMELESS: Final = "ref: as a spreadsheet or an export rewrites it, and no user has it: correct it"
_NAMED: Final = 3


@attrs.frozen(repr=False)
class Suspects:
    """Users and rows that may be one person, although their refs differ.

    Attributes:
        refs: Refs of rows that no user has, and that may be those of users who are in no row.
        ids: The ids of these users.
    """

    refs: Collection[str]
    ids: Collection[str]


def suspects(rows: Rows, by_ref: Mapping[str, Known]) -> Suspects:
    """Find the users in no row whose refs differ from those of rows only in how they are written.

    Args:
        rows: The export.
        by_ref: The users.
    """
    unmentioned = [
        AudienceMember(user_id=user.user_id, reference=ref, email=user.email)
        for ref, user in by_ref.items()
        if ref not in rows.mentioned_refs
    ]
    found = doubtful(sorted(rows.mentioned_refs), unmentioned)
    names = set(found.values())
    remains = set(map(folded, names))
    refs = {ref for ref in rows.mentioned_refs if ref not in by_ref and (ref in names or folded(ref) in remains)}
    return Suspects(refs, found.keys())


def nameless_rows(rows: Rows, by_ref: Mapping[str, Known], emails: Collection[str], twins: Suspects) -> list[Nameless]:
    """Return the rows of which nobody can tell whose they are: neither by their ref nor by their e-mail address.

    Args:
        rows: The export.
        by_ref: The users.
        emails: The users' e-mail addresses, in lower case.
        twins: What `suspects` found.
    """
    return [
        row for row in rows.nameless if row.ref not in by_ref and row.ref not in twins.refs and row.email not in emails
    ]


def told(nameless: list[Nameless]) -> str:
    """Say which rows keep everybody from being suspended."""
    named = ", ".join(row.row if row.ref is None else f"{row.row} ({row.ref})" for row in nameless[:_NAMED])
    more = f" and {len(nameless) - _NAMED:,} more" if len(nameless) > _NAMED else ""
    does = "does not say whose it is" if len(nameless) == 1 else "do not say whose they are"
    return f"not suspended: {named}{more} {does}, and may be theirs; correct the export"
