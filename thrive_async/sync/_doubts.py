"""When somebody is not removed: the one home of this rule, for the library and the command. Pure.

Three words, and no others. An entry is **rejected** if it cannot be read, and **ambiguous** if it fits two people.
Somebody is **held** if the removal or suspension is left out because of either: the entry may mean this very person.
Thrive's API cannot undo a suspension, and a removal takes somebody out of mandatory training.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import attrs

from thrive_async.models import AudienceMember, UserCreate
from thrive_async.sync._match.export_rows import Nameless, Rows
from thrive_async.sync._match.identity import Identity, full_name
from thrive_async.sync._match.matching import Match
from thrive_async.sync._match.names import EDGES
from thrive_async.sync._match.user_diff import Known

__all__ = [
    "HELD_UNLESS",
    "LOOKS_REWRITTEN",
    "OTHER_SPELLING",
    "Removals",
    "Spellings",
    "folded",
    "may_be_newcomers",
    "nameless_rows",
    "other_spellings",
    "removals",
    "same_audience",
    "unnamed",
    "written_alike",
]

HELD_UNLESS: Final = (
    "held: the list has a name that differs from this person's only in how it is written, and no member has it; "
    "correct the list"
)
LOOKS_REWRITTEN: Final = "ref: looks rewritten by a spreadsheet or an export, and no user has it; correct it"
OTHER_SPELLING: Final = (
    "ref: differs only in how it is written from that of a user who is not in the export; correct it"
)
_LISTED: Final = 5

# What is left around a name by quoting in formulas (="E-1", 'E-1) and by lists in one cell.
_AROUND: Final = " \t\r\n\"'=;,"
_BETWEEN: Final = re.compile(r"""[\s\x00-\x1f;,|<>()"'=:]+""")
_MARKS: Final = " \t\r\n;,|<>()\"'=:+"
_DASHES: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-") | {"\u2019": "'"})
_NUMBER: Final = re.compile(r"0*(\d+?)(?:[.,]0+)?").fullmatch
# 123456789012 as a spreadsheet shows it: 1.23457E+11.
_ROUNDED: Final = re.compile(r"(\d(?:[.,](\d+))?)e\+(\d{1,2})").fullmatch
_LONGEST_NUMBER: Final = 40
# 4711 as a spreadsheet writes it for people: 4,711 or 4.711.
_IN_GROUPS: Final = re.compile(r"\d{1,3}([.,'\u2019 \u00a0\u2009\u202f]\d{3})+").fullmatch


# Members and managers


@attrs.frozen(repr=False)
class Removals:
    """What becomes of the people whom no clear name fits.

    Attributes:
        to_remove: Those to remove.
        held: Those to leave alone, by id, each with the reason.
        held_unless: Those of `to_remove` whom a newcomer's name may mean, by id, with that name. The removal is held
            unless reading shows, once the newcomer is there, that the name is somebody else's.
    """

    to_remove: tuple[AudienceMember, ...]
    held: Mapping[str, str]
    held_unless: Mapping[str, str]


def removals(match: Match) -> Removals:
    """Decide which of the people whom no clear name fits are removed.

    Args:
        match: What the comparison with the desired list came to.
    """
    held: dict[str, str] = {}
    if match.unnamed:
        held = dict.fromkeys((one.user_id for one in match.others), unnamed("removed", match.unnamed))
    inside = {one.user_id for one in match.others}
    for name, user_ids in match.ambiguous.items():
        reason = f"held: the list names {name}, which fits {len(user_ids)} people; correct the list"
        held.update(dict.fromkeys(inside.intersection(user_ids), reason))
    parts = {part: text for text in match.unreadable for part in _meant(text)}
    for one in match.others if parts else ():
        found = next((part for part in map(folded, _names(one)) if part in parts), None)
        if found is not None:
            held[one.user_id] = f"held: an entry of the list cannot be read and may mean {found}; correct the list"
    to_remove = tuple(one for one in match.others if one.user_id not in held)
    in_order = {one.user_id: held[one.user_id] for one in match.others if one.user_id in held}
    return Removals(to_remove, in_order, written_alike(match.to_add, to_remove))


def unnamed(past: str, where: Sequence[str]) -> str:
    """Say which entries or rows keep everybody from being removed or suspended.

    Args:
        past: ``"removed"`` or ``"suspended"``.
        where: What the entries are called, such as ``"line 7"``.
    """
    listed = ", ".join(where[:_LISTED])
    more = f" and {len(where) - _LISTED:,} more" if len(where) > _LISTED else ""
    names = "names nobody" if len(where) == 1 else "name nobody"
    return f"not {past}: {listed}{more} {names}, and may mean them; correct the list"


def written_alike(to_add: Sequence[str], to_remove: Sequence[AudienceMember]) -> dict[str, str]:
    """Return the people to remove who may be somebody to add: names that differ only in how they are written.

    Args:
        to_add: Names that fit nobody.
        to_remove: The people whom no name fits.

    Returns:
        A name for each of their ids.
    """
    if not to_add or not to_remove:
        return {}
    newcomers = {folded(name): name for name in to_add}
    rounded: dict[str, str] = {}
    for name in _unusual(to_add):
        if _IN_GROUPS(name):
            newcomers[folded(re.sub(r"\D", "", name))] = name
        number = _ROUNDED(name.lower())
        if number:
            rounded[_shown(float(number[1].replace(",", ".") + "e" + number[3]), len(number[2] or ""))] = name
        elif _BETWEEN.search(name):
            newcomers.update(dict.fromkeys(_meant(name), name))
    decimals = {len(shown.partition("e")[0]) - 2 for shown in rounded}
    found: dict[str, str] = {}
    for member in to_remove:
        for own in _names(member):
            if (bare := folded(own)) in newcomers:
                found[member.user_id] = newcomers[bare]
            elif rounded and own.isdecimal() and len(own) < _LONGEST_NUMBER:
                for shown in {_shown(int(own), count) for count in decimals} & rounded.keys():
                    found[member.user_id] = rounded[shown]
    return found


def _names(person: AudienceMember) -> list[str]:
    return [name for name in (person.reference, person.email, person.user_id) if name]


def folded(name: str) -> str:
    """Return what remains of a name without case, width, what surrounds it, and the many ways to write one letter.

    A number loses the zeros before it and those behind the point: spreadsheets drop and add them. Two names with the
    same remains are not taken for one person, but may be one.
    """
    if name.isascii():
        bare = name.lower().strip(_AROUND)
    else:
        wide = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        bare = EDGES.sub("", wide.translate(_DASHES)).strip(_AROUND)
    if bare[:1].isdecimal():
        number = _NUMBER(bare)
        return number[1] if number else bare
    return bare


def _meant(text: str) -> set[str]:
    """Return what remains of all the names that a text may hold: itself, and each part of it."""
    return {folded(part) for part in (text, *_BETWEEN.split(text))} - {""}


def _unusual(names: Sequence[str]) -> Iterable[str]:
    """Return the names that may hold more than a name, or a number in another form; all, if in doubt.

    One look at all of them together costs a tenth of one look at each.
    """
    together = "".join(names)
    if together.isascii() and not any(mark in together for mark in _MARKS):
        return [name for name in names if name[0].isdecimal()]
    return names


def _shown(number: float, decimals: int) -> str:
    """Write a number the way a spreadsheet shows one that is too wide for its cell."""
    return f"{number:.{max(1, decimals)}e}"


# Audiences


def same_audience(names: Iterable[str], unsynced: Iterable[str]) -> dict[str, str]:
    """Find audiences that may be meant by the name of one that is not synced: ``sales`` and ``Sales``.

    The people listed under the other name seem to have left.

    Args:
        names: The audiences with a plan.
        unsynced: Those without one, and those that are about to be created.

    Returns:
        The reason to remove nobody, by audience.
    """
    alike: dict[str, str] = {}
    for name in unsynced:
        alike.setdefault(_audience_remains(name), name)
    found = {name: alike.get(_audience_remains(name), name) for name in names}
    return {
        name: f"not removed: the lists also name {other}, which may be the same audience and is not synced with it; "
        "correct its name"
        for name, other in found.items()
        if other != name
    }


def _audience_remains(name: str) -> str:
    return "".join(char for char in folded(name) if char.isprintable() and char != " ")


# Users


@attrs.frozen(repr=False)
class Spellings:
    """Users and rows that may be one person, although their refs differ.

    Attributes:
        refs: Refs of rows that no user has, and that may be those of users who are in no row.
        ids: The ids of these users.
    """

    refs: Collection[str]
    ids: Collection[str]


def other_spellings(rows: Rows, by_ref: Mapping[str, Known]) -> Spellings:
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
    found = written_alike(sorted(rows.mentioned_refs), unmentioned)
    names = set(found.values())
    remains = set(map(folded, names))
    refs = {ref for ref in rows.mentioned_refs if ref not in by_ref and (ref in names or folded(ref) in remains)}
    return Spellings(refs, found.keys())


def nameless_rows(
    rows: Rows, by_ref: Mapping[str, Known], emails: Collection[str], others: Spellings
) -> list[Nameless]:
    """Return the rows that do not say who they are about, neither by their ref nor by their e-mail address.

    Args:
        rows: The export.
        by_ref: The users.
        emails: The users' e-mail addresses, in lower case.
        others: What `other_spellings` found.
    """
    return [
        row for row in rows.nameless if row.ref not in by_ref and row.ref not in others.refs and row.email not in emails
    ]


def may_be_newcomers(gone: Iterable[Known], create: Iterable[UserCreate]) -> dict[str, str]:
    """Find users who seem to have left and may be newcomers under another ref: the same full name or mailbox.

    Args:
        gone: The users who seem to have left.
        create: The newcomers.

    Returns:
        The ref of a newcomer, by the user's id.
    """
    newcomers: dict[object, str] = {}
    for new in create:
        email = new.email if isinstance(new.email, str) else None
        newcomers.update(dict.fromkeys(_marks_of(Identity(f"{new.first_name} {new.last_name}", email)), new.ref))
    found: dict[str, str] = {}
    for user in gone if newcomers else ():
        marks = _marks_of(Identity(full_name(user.values), user.email))
        meant = next((newcomers[mark] for mark in marks if mark in newcomers), None)
        if meant is not None:
            found[user.user_id] = meant
    return found


def _marks_of(person: Identity) -> list[object]:
    """Return what tells a person apart whatever the ref: the whole name, and the mailbox if it is a name."""
    names = [person.words] if len(person.words) > 1 else []
    return [*names, *([person.mailbox] if person.parts else [])]
