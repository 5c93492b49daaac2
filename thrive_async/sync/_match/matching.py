"""Who of the desired people is a member already: pure, and about as fast as two dictionaries allow.

A desired name is an id, a ref or an e-mail address; which of them, nobody says. Ids and refs match as they are
written, e-mail addresses and 24-digit hexadecimal ids in any case. A name that fits two members is ambiguous: it is
listed, nothing is sent for it, and none of the people it may mean is removed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from thrive_async.models import AudienceMember
from thrive_async.sync._match.names import (
    LONGEST_NAME,
    OBJECT_ID_LENGTH,
    clean,
    doubtful,
    folded,
    is_object_id,
    meant,
    newcomer_key,
)

__all__ = ["Match", "Matcher"]

_CLASH: Final = -1
# Visible ASCII and nothing else: such a name holds nothing that would have to be cleaned.
_PLAIN: Final = re.compile(r"[!-~]+").fullmatch


@attrs.frozen(kw_only=True, repr=False)
class Match:
    """What a comparison of members with desired names came to.

    Attributes:
        to_add: Names that fit no member, as written but for white space at their ends, each person once.
        to_remove: Members that no name fits.
        staying: The ids of the members that a name fits.
        duplicates: Names of somebody who had been named before.
        rejected: Pairs of what was written and why it cannot be a name.
        ambiguous: Names that fit two members or more, with the ids of those.
        protected: The ids of the members that only an ambiguous name fits, or one that could not be read: neither
            desired nor to be removed.
        doubtful: Ids of members to be removed who differ from a newcomer only in how a name is written (`E-1` and
            `e-1`, `4711` and `4711.0`, or one name beside another), with that newcomer's name: they may be one person.
    """

    to_add: tuple[str, ...]
    to_remove: tuple[AudienceMember, ...]
    staying: tuple[str, ...]
    duplicates: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    ambiguous: Mapping[str, tuple[str, ...]]
    protected: tuple[str, ...]
    doubtful: Mapping[str, str]


class Matcher:
    """Matches desired names with members, in one pass over each.

    Args:
        members: The members as read, each once.
    """

    def __init__(self, members: Sequence[AudienceMember]) -> None:
        self._members = members
        self._seen = bytearray(len(members))
        self._exact: dict[str, int] = {}
        self._emails: dict[str, int] = {}
        self._exact_clashes: dict[str, set[int]] = {}
        self._email_clashes: dict[str, set[int]] = {}
        self._newcomers: dict[str, str] = {}
        self._duplicates: list[str] = []
        self._rejected: list[tuple[str, str]] = []
        self._maybe_meant: set[str] = set()
        self._ambiguous: dict[str, set[int]] = {}
        self._aliases: dict[str, str] = {}
        self._index()

    def _index(self) -> None:
        exact, emails = self._exact, self._emails
        odd_email = False
        like_ids: list[str] = []
        for place, member in enumerate(self._members):
            user_id, reference, email = member.user_id, member.reference, member.email
            if exact.setdefault(user_id, place) != place:
                _clash(exact, self._exact_clashes, user_id, place)
            if reference and exact.setdefault(reference, place) != place:
                _clash(exact, self._exact_clashes, reference, place)
            if reference and len(reference) == OBJECT_ID_LENGTH and is_object_id(reference):
                like_ids.append(reference)
            if email:
                lower = email.lower()
                if emails.setdefault(lower, place) != place:
                    _clash(emails, self._email_clashes, lower, place)
                odd_email = odd_email or "@" not in lower
        # One person's ref may be another's e-mail address. Only names that could be both are looked at.
        for name in list(exact):
            if odd_email or "@" in name:
                self._cross(name)
        # One person's ref may be another's id in another case.
        for name in like_ids:
            owner = self._owner_of_id(name.lower())
            if owner is not None and exact[name] != owner:
                _clash(exact, self._exact_clashes, name, owner)

    def _cross(self, name: str) -> None:
        lower = name.lower()
        by_name, by_email = self._exact[name], self._emails.get(lower)
        if by_email is None or (by_email == by_name != _CLASH):
            return
        people = {place for place in (by_name, by_email) if place != _CLASH}
        people |= self._exact_clashes.get(name, set()) | self._email_clashes.get(lower, set())
        self._exact_clashes[name] = people
        self._exact[name] = _CLASH

    def feed(self, names: Iterable[object]) -> None:
        """Match some more desired names.

        Args:
            names: Entries as they came; what cannot be a name is listed in `Match.rejected`.
        """
        exact_get, emails_get = self._exact.get, self._emails.get
        seen, duplicate, newcomers = self._seen, self._duplicates.append, self._newcomers
        for name in names:
            if type(name) is not str:
                self._feed_odd(name)
                continue
            place = exact_get(name)
            if place is None:
                lower = name.lower()
                place = emails_get(lower)
                if place is None:
                    if "@" in lower and len(name) <= LONGEST_NAME and _PLAIN(name):
                        # A newcomer's e-mail address with nothing odd about it, in half the time of `_feed_odd`.
                        if lower in newcomers:
                            duplicate(name)
                        else:
                            newcomers[lower] = name
                    else:
                        self._feed_odd(name)
                    continue
            if place == _CLASH:
                self._feed_clash(name)
            elif seen[place]:
                duplicate(name)
            else:
                seen[place] = 1

    def _feed_odd(self, value: object) -> None:
        # Whatever is not the name of a member letter for letter: white space around it, a newcomer, no name at all.
        name, reason = clean(value)
        if reason is not None:
            self._rejected.append((name, reason))
            if reason != "blank":
                self._maybe_meant |= meant(value if isinstance(value, str) else repr(value))
            return
        place: int | None = None
        if name is not value:
            place = self._exact.get(name)
            if place is None:
                place = self._emails.get(name.lower())
        key = newcomer_key(name)
        if place is None and is_object_id(name):
            place = self._owner_of_id(name.lower())
        if place == _CLASH:
            self._feed_clash(name)
        elif place is not None:
            if self._seen[place]:
                self._duplicates.append(name)
            self._seen[place] = 1
        elif key in self._newcomers:
            self._duplicates.append(name)
        else:
            self._newcomers[key] = name

    def _owner_of_id(self, user_id: str) -> int | None:
        place = self._exact.get(user_id)
        people = [] if place is None else self._exact_clashes[user_id] if place == _CLASH else [place]
        return next((at for at in people if self._members[at].user_id == user_id), None)

    def _feed_clash(self, name: str) -> None:
        if name in self._ambiguous:
            self._duplicates.append(name)
            return
        people = self._exact_clashes.get(name)
        self._ambiguous[name] = self._email_clashes[name.lower()] if people is None else people

    def identify(self, name: str) -> str | None:
        """Return what stands for the person a desired name is of, after all names were fed.

        Args:
            name: A name that `clean` let through.

        Returns:
            The member's id, the newcomer's key, or None if the name is ambiguous.
        """
        key = newcomer_key(name)
        if key in self._aliases:
            return self._aliases[key]
        if key in self._newcomers:
            return key
        place = self._exact.get(name)
        if place is None:
            place = self._emails.get(name.lower())
        if place is None and is_object_id(name):
            place = self._owner_of_id(name.lower())
        return None if place is None or place == _CLASH else self._members[place].user_id

    @property
    def newcomers(self) -> tuple[str, ...]:
        """The names that fit no member, so far."""
        return tuple(self._newcomers.values())

    def same_person(self, names: Sequence[str], user_id: str) -> None:
        """Take note that some newcomers' names are of one user, so that the person counts once.

        Args:
            names: Newcomers' names; the first is the one that goes on.
            user_id: The user's id; where that is a member, the names are the member's.
        """
        # The id and nothing else: it may be another member's ref.
        place = self._owner_of_id(user_id)
        keys = [newcomer_key(name) for name in names]
        duplicates = names[1:]
        if place is not None:
            if self._seen[place]:
                duplicates = names
            self._seen[place] = 1
        self._aliases.update(dict.fromkeys(keys, keys[0] if place is None else user_id))
        for key in keys if place is not None else keys[1:]:
            del self._newcomers[key]
        self._duplicates += duplicates

    def ambiguous_newcomer(self, name: str) -> None:
        """Take note that a newcomer's name fits two users: nothing is sent for it."""
        del self._newcomers[newcomer_key(name)]
        self._ambiguous[name] = set()

    def _unreadable(self) -> set[int]:
        """Return the members whom an entry may mean that is no name: a line of two names, a number with a fraction."""
        if not self._maybe_meant:
            return set()
        return {
            place
            for place, member in enumerate(self._members)
            if not self._seen[place]
            and any(
                name and folded(name) in self._maybe_meant for name in (member.reference, member.email, member.user_id)
            )
        }

    def result(self, ambiguous_users: Mapping[str, tuple[str, ...]] | None = None) -> Match:
        """Return what the comparison came to.

        Args:
            ambiguous_users: For names given to `ambiguous_newcomer`, the ids of the users they fit.
        """
        members, seen = self._members, self._seen
        people = {place for places in self._ambiguous.values() for place in places}
        owners = (self._owner_of_id(user_id) for ids in (ambiguous_users or {}).values() for user_id in ids)
        people |= {place for place in owners if place is not None}
        spared = {place for place in people if not seen[place]} | self._unreadable()
        ambiguous = {
            name: tuple(members[place].user_id for place in sorted(people)) for name, people in self._ambiguous.items()
        }
        to_add = tuple(self._newcomers.values())
        to_remove = tuple(member for place, member in enumerate(members) if not seen[place] and place not in spared)
        return Match(
            to_add=to_add,
            to_remove=to_remove,
            staying=tuple(member.user_id for place, member in enumerate(members) if seen[place]),
            duplicates=tuple(self._duplicates),
            rejected=tuple(self._rejected),
            ambiguous={**ambiguous, **(ambiguous_users or {})},
            protected=tuple(members[place].user_id for place in sorted(spared)),
            doubtful=doubtful(to_add, to_remove),
        )


def _clash(names: dict[str, int], clashes: dict[str, set[int]], name: str, place: int) -> None:
    people = clashes.setdefault(name, set())
    people.add(place)
    if names[name] != _CLASH:
        people.add(names[name])
        names[name] = _CLASH
