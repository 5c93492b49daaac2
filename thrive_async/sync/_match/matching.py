"""Who is there already, about as fast as two dictionaries allow: pure, and in one pass over each list.

A name is an id, a ref or an e-mail address; nothing says which. Ids and refs match as they are written, e-mail
addresses and 24-digit hexadecimal ids in any case. A name that fits two people is ambiguous: it is listed, and nothing
is sent for it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import attrs

from thrive_async.models import AudienceManager, AudienceMember
from thrive_async.sync._match.names import LONGEST_NAME, OBJECT_ID_LENGTH, Unnamed, clean, is_object_id, newcomer_key

__all__ = ["Match", "Matcher", "People"]

# Visible ASCII and nothing else: such a name holds nothing to clean.
_PLAIN: Final = re.compile(r"[!-~]+").fullmatch
# The place of a name that fits several people.
_SEVERAL: Final = -1


class People:
    """Finds people by their names.

    Args:
        people: The members or managers as read, each once; each is called by the place there.

    Attributes:
        exact: The place for each id and ref.
        emails: The place for each e-mail address in lower case. Both are for `Matcher`, which must be fast.
    """

    def __init__(self, people: Sequence[AudienceMember | AudienceManager]) -> None:
        self.exact: dict[str, int] = {}
        self.emails: dict[str, int] = {}
        self._people = people
        self._several: dict[str, set[int]] = {}
        self._several_emails: dict[str, set[int]] = {}
        self._index()

    def _index(self) -> None:
        exact, emails = self.exact, self.emails
        odd_email = False
        like_ids: list[str] = []
        for place, person in enumerate(self._people):
            user_id, reference, email = person.user_id, person.reference, person.email
            if exact.setdefault(user_id, place) != place:
                _share(exact, self._several, user_id, place)
            if reference and exact.setdefault(reference, place) != place:
                _share(exact, self._several, reference, place)
            if reference and len(reference) == OBJECT_ID_LENGTH and is_object_id(reference):
                like_ids.append(reference)
            if email:
                lower = email.lower()
                if emails.setdefault(lower, place) != place:
                    _share(emails, self._several_emails, lower, place)
                odd_email = odd_email or "@" not in lower
        # One person's ref may be another's e-mail address. Only names that could be both are looked at.
        for name in list(exact):
            if odd_email or "@" in name:
                self._cross(name)
        # One person's ref may be another's id in another case.
        for name in like_ids:
            owner = self.owner_of_id(name.lower())
            if owner is not None and exact[name] != owner:
                _share(exact, self._several, name, owner)

    def _cross(self, name: str) -> None:
        lower = name.lower()
        by_name, by_email = self.exact[name], self.emails.get(lower)
        if by_email is None or (by_email == by_name != _SEVERAL):
            return
        people = {place for place in (by_name, by_email) if place != _SEVERAL}
        people |= self._several.get(name, set()) | self._several_emails.get(lower, set())
        self._several[name] = people
        self.exact[name] = _SEVERAL

    def find(self, name: str) -> int | None:
        """Return the place of the person with this name; `_SEVERAL`, or None if nobody has it."""
        place = self.exact.get(name)
        if place is None:
            place = self.emails.get(name.lower())
        if place is None and is_object_id(name):
            place = self.owner_of_id(name.lower())
        return place

    def sharing(self, name: str) -> Collection[int]:
        """Return the places of the people who share a name that fits several."""
        people = self._several.get(name)
        return self._several_emails[name.lower()] if people is None else people

    def owner_of_id(self, user_id: str) -> int | None:
        """Return the place of the person with this id; a ref that reads the same is not looked at."""
        place = self.exact.get(user_id)
        people: Collection[int] = () if place is None else self._several[user_id] if place == _SEVERAL else (place,)
        return next((at for at in people if self._people[at].user_id == user_id), None)

    def owners(self, name: str) -> list[str]:
        """Return the ids of the people with this name."""
        place = self.find(name)
        places: Collection[int] = () if place is None else self.sharing(name) if place == _SEVERAL else (place,)
        return [self._people[at].user_id for at in sorted(places)]

    def has(self, name: str) -> bool:
        """Return whether anybody has this name."""
        return self.find(name) is not None

    def has_id(self, user_id: str) -> bool:
        """Return whether the person with this id is there."""
        return self.owner_of_id(user_id) is not None


def _share(names: dict[str, int], several: dict[str, set[int]], name: str, place: int) -> None:
    people = several.setdefault(name, set())
    people.add(place)
    if names[name] != _SEVERAL:
        people.add(names[name])
        names[name] = _SEVERAL


@attrs.frozen(kw_only=True, repr=False)
class Match:
    """What a comparison of members with desired names came to.

    Attributes:
        to_add: Names that fit no member, as written but for white space at their ends, each person once.
        staying: The ids of the members that a name fits.
        others: The members that no clear name fits. Which of them are removed is for `_doubts` to say.
        duplicates: Names of people who had been named before.
        rejected: Pairs of what was written and why it cannot be a name.
        ambiguous: Names that fit two people or more, with the ids of those.
        unreadable: The whole text of the rejected entries that hold something.
        unnamed: Where the entries are that name nobody, and so may mean anybody.
    """

    to_add: tuple[str, ...]
    staying: tuple[str, ...]
    others: tuple[AudienceMember, ...]
    duplicates: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    ambiguous: Mapping[str, tuple[str, ...]]
    unreadable: tuple[str, ...]
    unnamed: tuple[str, ...]


class Matcher:
    """Matches desired names with members.

    Args:
        members: The members as read, each once.
    """

    def __init__(self, members: Sequence[AudienceMember]) -> None:
        self._members = members
        self._people = People(members)
        self._seen = bytearray(len(members))
        self._newcomers: dict[str, str] = {}
        self._duplicates: list[str] = []
        self._rejected: list[tuple[str, str]] = []
        self._unreadable: list[str] = []
        self._unnamed: list[str] = []
        self._ambiguous: dict[str, tuple[str, ...]] = {}
        self._aliases: dict[str, str] = {}

    def feed(self, names: Iterable[object]) -> None:
        """Match some more desired names.

        Args:
            names: Entries as they came; those that cannot be names are listed in `Match.rejected`.
        """
        exact_get, emails_get = self._people.exact.get, self._people.emails.get
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
            if place == _SEVERAL:
                self._feed_ambiguous(name)
            elif seen[place]:
                duplicate(name)
            else:
                seen[place] = 1

    def _feed_odd(self, value: object) -> None:
        # All that is not the name of a member letter for letter: white space around it, a newcomer, no name at all.
        name, reason = clean(value)
        if reason is not None:
            self._reject(value, name, reason)
            return
        place: int | None = None
        if name is not value:
            place = self._people.find(name)
        elif is_object_id(name):
            place = self._people.owner_of_id(name.lower())
        key = newcomer_key(name)
        if place == _SEVERAL:
            self._feed_ambiguous(name)
        elif place is not None:
            if self._seen[place]:
                self._duplicates.append(name)
            self._seen[place] = 1
        elif key in self._newcomers:
            self._duplicates.append(name)
        else:
            self._newcomers[key] = name

    def _reject(self, value: object, name: str, reason: str) -> None:
        if isinstance(value, Unnamed):
            self._unnamed.append(value.where)
        elif reason == "blank":
            name = f"entry {self._entries + 1:,}"
            self._unnamed.append(name)
        else:
            self._unreadable.append(value if isinstance(value, str) else repr(value))
        self._rejected.append((name, reason))

    @property
    def _entries(self) -> int:
        """How many entries were fed so far: each is in exactly one of these."""
        heaps = (self._newcomers, self._duplicates, self._rejected, self._ambiguous)
        return self._seen.count(1) + sum(map(len, heaps))

    def _feed_ambiguous(self, name: str) -> None:
        if name in self._ambiguous:
            self._duplicates.append(name)
        else:
            self._ambiguous[name] = tuple(self._people.owners(name))

    def identify(self, name: str) -> str | None:
        """Return what stands for the person with a desired name, after all names were fed.

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
        place = self._people.find(name)
        return None if place is None or place == _SEVERAL else self._members[place].user_id

    @property
    def newcomers(self) -> tuple[str, ...]:
        """The names that fit no member, so far."""
        return tuple(self._newcomers.values())

    def same_person(self, names: Sequence[str], user_id: str) -> None:
        """Take note that some newcomers' names are one user's, so that the person counts once.

        Args:
            names: Newcomers' names; the first is the one that goes on.
            user_id: The user's id; if that is a member, the names are the member's.
        """
        # By the id and nothing else: it may be another member's ref.
        place = self._people.owner_of_id(user_id)
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

    def ambiguous_newcomer(self, name: str, user_ids: Sequence[str]) -> None:
        """Take note that a newcomer's name fits several users: nothing is sent for it."""
        del self._newcomers[newcomer_key(name)]
        self._ambiguous[name] = tuple(user_ids)

    def result(self) -> Match:
        """Return what the comparison came to."""
        members, seen = self._members, self._seen
        return Match(
            to_add=tuple(self._newcomers.values()),
            staying=tuple(member.user_id for place, member in enumerate(members) if seen[place]),
            others=tuple(member for place, member in enumerate(members) if not seen[place]),
            duplicates=tuple(self._duplicates),
            rejected=tuple(self._rejected),
            ambiguous=dict(self._ambiguous),
            unreadable=tuple(self._unreadable),
            unnamed=tuple(self._unnamed),
        )
