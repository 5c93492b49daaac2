"""Which of the desired people are there already: pure, and in one pass over each list.

A name that fits two people is ambiguous: it is listed, and nothing is sent for it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from thrive_async.models import AudienceMember
from thrive_async.sync._match.names import LONGEST_NAME, Unnamed, clean, is_object_id, newcomer_key
from thrive_async.sync._match.people import SEVERAL, People

__all__ = ["Match", "Matcher"]

# Visible ASCII and nothing else: such a name holds nothing to clean.
_PLAIN: Final = re.compile(r"[!-~]+").fullmatch


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
            if place == SEVERAL:
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
        if place == SEVERAL:
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
        return None if place is None or place == SEVERAL else self._members[place].user_id

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
