"""Decide when a person is not removed. The library and the command both use this rule, and it does no I/O.

It uses three words. An entry is **rejected** if it cannot be read, and **ambiguous** if it fits two people. A person is
**held** if such an entry may mean them: they are neither removed nor suspended. Thrive's API cannot undo a suspension,
and a removal takes a person out of mandatory training.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal, cast, get_args

import attrs

from thrive_async._base.problems import unread
from thrive_async.errors import InvalidArgument
from thrive_async.models import AudienceManager, AudienceMember, UserCreate
from thrive_async.sync._match.export_rows import Nameless, Rows
from thrive_async.sync._match.identity import Identity, full_name
from thrive_async.sync._match.likeness import comparable, lookalikes
from thrive_async.sync._match.matching import Match, People
from thrive_async.sync._match.names import clean, rewritten
from thrive_async.sync._match.user_diff import Known

__all__ = [
    "LOOKS_REWRITTEN",
    "OTHER_SPELLING",
    "PROTECTED",
    "Removals",
    "Spellings",
    "Unknown",
    "check_protect",
    "check_unknown",
    "held_unless_known",
    "may_be_newcomers",
    "nameless_rows",
    "other_spellings",
    "protected",
    "removals",
    "same_audience",
    "unnamed",
]

LOOKS_REWRITTEN: Final = "ref: looks rewritten by a spreadsheet or an export, and no user has it; correct it"
OTHER_SPELLING: Final = "ref: the same as that of a user who is not in the export, but written differently; correct it"
PROTECTED: Final = "held: this person is protected"
_SHARED_ID: Final = (
    "held: this id is also the reference or e-mail address of another person, and Thrive may remove them instead"
)
_LISTED: Final = 5

Unknown = Literal["hold", "remove", "hold-all"]


# Members and managers


def check_unknown(unknown: object) -> None:
    """Check that the argument is one of the words of `Unknown`.

    Raises:
        InvalidArgument: It is not.
    """
    if unknown not in get_args(Unknown):
        raise InvalidArgument(f'$unknown must be "hold", "remove" or "hold-all", not {unknown!r:.50}', "unknown")


def check_protect(protect: object) -> tuple[str, ...]:
    """Return the names of the people who are never removed.

    Args:
        protect: Names, as in a desired list.

    Raises:
        TypeError: It is a lone string, or not an iterable.
        InvalidArgument: An entry is not a usable name.
    """
    if isinstance(protect, str | bytes | bytearray) or not isinstance(protect, Iterable):
        raise TypeError(f"protect must be an iterable of names, not a lone {type(protect).__name__}")
    cleaned = list(map(clean, cast("Iterable[object]", protect)))
    for place, (name, reason) in enumerate(cleaned, start=1):
        if reason is None and rewritten(name):
            reason = "it looks like what a spreadsheet or an export writes instead of a name"  # noqa: PLW2901
        if reason is not None:
            raise InvalidArgument(f"$protect: entry {place:,} is not a name: {reason}", "protect")
    return tuple(name for name, _reason in cleaned)


@attrs.frozen(repr=False)
class Removals:
    """What happens to the members that no clear name fits.

    Attributes:
        to_remove: The members to remove.
        held: The reason to leave a member alone, by id.
        held_unless: The newcomers' names that may mean a member of `to_remove`, by the member's id. The removal is held
            unless reading the list after the additions shows that each name belongs to another person.
    """

    to_remove: tuple[AudienceMember, ...]
    held: Mapping[str, str]
    held_unless: Mapping[str, tuple[str, ...]]


def removals(match: Match, *, unknown: Unknown = "hold", protect: Iterable[str] = ()) -> Removals:
    """Decide which of the members that no clear name fits are removed.

    Args:
        match: The result of the comparison with the desired list.
        unknown: What to do while Thrive does not know a name of the list: hold the people it may mean (``"hold"``), no
            one (``"remove"``) or everyone (``"hold-all"``).
        protect: Names of people who are never removed.
    """
    others = match.others
    held: dict[str, str] = {}
    nobody = [one.where for one in match.rejected if one.where]
    if nobody:
        held = dict.fromkeys((one.user_id for one in others), unnamed("removed", nobody))
    inside = {one.user_id for one in others} if match.ambiguous else set[str]()
    for name, user_ids in match.ambiguous.items():
        reason = f"held: the list names {name}, which fits {len(user_ids)} people; correct the list"
        held.update(dict.fromkeys(inside.intersection(user_ids), reason))
    held.update(dict.fromkeys(match.shared_ids, _SHARED_ID))
    texts = [one.text for one in match.rejected if one.text]
    for user_id in lookalikes(texts, others, match.members) if others else ():
        held[user_id] = "held: an entry of the list cannot be read and may mean this person; correct the list"
    held.update(dict.fromkeys(protected(others, protect), PROTECTED))
    to_remove = tuple(one for one in others if one.user_id not in held) if held else others
    in_order = {one.user_id: held[one.user_id] for one in others if one.user_id in held} if held else {}
    return Removals(to_remove, in_order, _held_unless(match, to_remove, unknown))


def protected(people: Sequence[AudienceMember | AudienceManager], protect: Iterable[str]) -> set[str]:
    """Return the ids of the people that a protected name fits, by the same rules as a desired name."""
    names = list(protect)
    found = People(people) if names else None
    return {user_id for name in names for user_id in found.owners(name)} if found is not None else set()


def _held_unless(match: Match, to_remove: Sequence[AudienceMember], unknown: Unknown) -> dict[str, tuple[str, ...]]:
    names = match.to_add
    if not names or not to_remove or unknown == "remove":
        return {}
    if unknown == "hold-all":
        return dict.fromkeys((one.user_id for one in to_remove), names)
    also = {other: name for name, others in match.also.items() for other in others}
    found = lookalikes([*names, *also], to_remove, match.members)
    meant = {user_id: tuple(dict.fromkeys(also.get(one, one) for one in like)) for user_id, like in found.items()}
    # A member with an unreadable name, which then is None, may have any of these names.
    half_shown = (one for one in to_remove if one.reference is None or one.email is None)
    half_read = (one.user_id for one in half_shown if not unread(one).isdisjoint(("reference", "email")))
    return {**meant, **dict.fromkeys(half_read, names)}


def held_unless_known(name: str) -> str:
    """Say why a person is held because an unknown name may mean them."""
    return f"held: the list names {name}, which Thrive does not know and which may be this person; correct the list"


def unnamed(past: str, where: Sequence[str]) -> str:
    """Say which entries or rows stop all removals or suspensions.

    Args:
        past: ``"removed"`` or ``"suspended"``.
        where: Where the entries stand, such as ``"line 7"``.
    """
    listed = ", ".join(where[:_LISTED])
    more = f" and {len(where) - _LISTED:,} more" if len(where) > _LISTED else ""
    names = "has no usable name" if len(where) == 1 else "have no usable name"
    return f"not {past}: {listed}{more} {names} and may mean this person; correct the list"


# Audiences


def same_audience(names: Iterable[str], unsynced: Iterable[str]) -> dict[str, str]:
    """Find audiences that may be the same as one that is not synced: ``sales`` and ``Sales``.

    The people listed under the other name would look as if they had left.

    Args:
        names: The audiences with a plan.
        unsynced: The audiences without a plan, and those about to be created.

    Returns:
        The reason to hold all removals, by audience.
    """
    alike: dict[str, str] = {}
    for name in unsynced:
        alike.setdefault(_letters(name), name)
    found = {name: alike.get(_letters(name), name) for name in names}
    return {
        name: f"not removed: the lists also name {other}, which may be the same audience and is not synced with it; "
        "correct its name"
        for name, other in found.items()
        if other != name
    }


def _letters(name: str) -> str:
    return "".join(char for char in comparable(name) if char.isalnum()) or name


# Users


@attrs.frozen(repr=False)
class Spellings:
    """Users and rows that may be the same person although their refs differ.

    Attributes:
        refs: Refs in the export that no user has, but that may mean a user who is missing from it.
        ids: The ids of these users.
    """

    refs: Collection[str]
    ids: Collection[str]


def other_spellings(rows: Rows, by_ref: Mapping[str, Known]) -> Spellings:
    """Find users who are missing from the export only because their ref is written differently there.

    Args:
        rows: The export.
        by_ref: The users.
    """
    unmentioned = [
        AudienceMember(user_id=user.user_id, reference=ref, email=user.email)
        for ref, user in by_ref.items()
        if ref not in rows.mentioned_refs
    ]
    unknown = sorted(ref for ref in rows.mentioned_refs if ref not in by_ref)
    found = lookalikes(unknown, unmentioned, rewritten_only=True)
    return Spellings({ref for refs in found.values() for ref in refs}, found.keys())


def nameless_rows(
    rows: Rows, by_ref: Mapping[str, Known], emails: Collection[str], others: Spellings
) -> list[Nameless]:
    """Return the rows that identify no user, neither by ref nor by e-mail address.

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
    """Find users who seem to have left but may be newcomers under another ref, with the same full name or mailbox.

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
    """Return what identifies a person without the ref: the whole name, and the mailbox if it holds a name."""
    names = [person.words] if len(person.words) > 1 else []
    return [*names, *([person.mailbox] if person.parts else [])]
