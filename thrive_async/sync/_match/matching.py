"""Match desired names with members in one pass over each list, about as fast as two dictionaries allow. Does no I/O.

A name is an id, a ref or an e-mail address, and the list does not say which. Ids and refs match exactly; e-mail
addresses and 24-digit hexadecimal ids match in any case. A name without an exact match is compared again without
invisible characters, with straight quotes and with an IDNA domain. A name that fits two people is ambiguous: it is
listed, and nothing is sent for it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import compress
from operator import not_
from typing import Final, TypeVar

import attrs

from thrive_async.models import AudienceManager, AudienceMember
from thrive_async.sync._match.names import (
    LONGEST_NAME,
    OBJECT_ID_LENGTH,
    Entry,
    clean,
    is_object_id,
    lowered,
    newcomer_key,
    plain,
    rewritten,
)

__all__ = ["Match", "Matcher", "People", "Rejected"]

T = TypeVar("T")
# The place of a name that fits several people.
_SEVERAL: Final = -1
_LOOKS_REWRITTEN: Final = "looks rewritten by a spreadsheet or an export, and no user has this name"


class People:
    """Finds people by their names.

    Args:
        people: The members or managers as read, each once. A person's place is their index here.

    Attributes:
        exact: The place for each id and ref. `Matcher` reads it directly, for speed.
        emails: The place for each e-mail address as `lowered` gives it. `Matcher` reads it directly, too.
        apart: Whether an @ tells the names in `emails` from those in `exact`, so that each name can only be in one.
    """

    def __init__(self, people: Sequence[AudienceMember | AudienceManager]) -> None:
        self._people = people
        self._several: dict[str, set[int]] = {}
        self._several_emails: dict[str, set[int]] = {}
        # Refs without odd characters, for names without an exact match, and refs that look like ids.
        self._plain: dict[str, int] = {}
        self._like_ids: dict[str, int] = {}
        everyone = range(len(people))
        refs = [ref for one in people if (ref := one.reference)]
        at_ref = everyone if len(refs) == len(people) else [at for at in everyone if people[at].reference]
        emails = [email.lower() if email.isascii() else lowered(email) for one in people if (email := one.email)]
        at_email = everyone if len(emails) == len(people) else [at for at in everyone if people[at].email]
        names = [one.user_id for one in people] + refs
        self.exact: dict[str, int] = _indexed(names, [*everyone, *at_ref], self._several)
        self.emails: dict[str, int] = _indexed(emails, at_email, self._several_emails)
        # One person's ref may be another's e-mail address, so names that could be both are compared.
        odd_emails = [email for email in emails if "@" not in email]
        odd_names = [name for name in names if "@" in name]
        for name in list(self.exact) if odd_emails else odd_names:
            self._cross(name)
        self.apart: bool = not odd_emails and not odd_names
        odd_refs: list[tuple[str, int]] = []
        # One person's ref may be another's id in another case.
        for name, place in zip(refs, at_ref, strict=True):
            if len(name) == OBJECT_ID_LENGTH and is_object_id(name):
                if self._like_ids.setdefault(name.lower(), place) != place:
                    self._like_ids[name.lower()] = _SEVERAL
                owner = self.owner_of_id(name.lower())
                if owner is not None and self.exact[name] != owner:
                    _share(self.exact, self._several, name, owner)
            elif not name.isascii():
                odd_refs.append((plain(name), place))
        for name, place in odd_refs:
            if name not in self.exact and self._plain.setdefault(name, place) != place:
                _share(self._plain, self._several, name, place)

    def _cross(self, name: str) -> None:
        lower = lowered(name)
        by_name, by_email = self.exact[name], self.emails.get(lower)
        if by_email is None or (by_email == by_name != _SEVERAL):
            return
        people = {place for place in (by_name, by_email) if place != _SEVERAL}
        people |= self._several.get(name, set()) | self._several_emails.get(lower, set())
        self._several[name] = people
        self.exact[name] = _SEVERAL

    def find(self, name: str) -> int | None:
        """Return the place of the person with this name: `_SEVERAL` if several have it, None if it is unknown."""
        place = self.exact.get(name)
        if place is None:
            place = self.emails.get(lowered(name))
        if place is None and not name.isascii():
            place = self.exact.get(plain(name))
        if place is None and self._plain:
            place = self._plain.get(plain(name))
        if place is None and is_object_id(name):
            place = self.owner_of_id(name.lower())
        return place

    def is_surely_new(self, name: str) -> bool:
        """Return whether a plain name in neither index can only be an unknown ref, so that `find` finds no one."""
        return bool(name) and not self._plain and len(name) != OBJECT_ID_LENGTH and not rewritten(name)

    def sharing(self, name: str) -> Collection[int]:
        """Return the places of the people who share a name."""
        people = self._several.get(name)
        if people is None:
            people = self._several_emails.get(lowered(name))
        return self._several[plain(name)] if people is None else people

    def places(self, name: str) -> Collection[int]:
        """Return the places of all people that a name fits."""
        place = self.find(name)
        return () if place is None else self.sharing(name) if place == _SEVERAL else (place,)

    def not_named_alone(self, places: Sequence[int]) -> list[int]:
        """Return which of some people have an id that is another's id, ref or e-mail address, too, in any case."""
        ids = [self._people[place].user_id for place in places]
        unshared = not self._several and not self._like_ids
        if unshared and (self.apart or self.emails.keys().isdisjoint(map(str.lower, ids))):
            return []
        return [place for place in places if not self._is_named_alone(place)]

    def _is_named_alone(self, place: int) -> bool:
        user_id = self._people[place].user_id
        lower = user_id.lower()
        return (
            self.exact[user_id] == place
            and self.emails.get(lower, place) == place
            and self._like_ids.get(lower, place) == place
        )

    def owner_of_id(self, user_id: str) -> int | None:
        """Return the place of the person with this id, ignoring equal refs."""
        place = self.exact.get(user_id)
        people: Collection[int] = () if place is None else self._several[user_id] if place == _SEVERAL else (place,)
        return next((at for at in people if self._people[at].user_id == user_id), None)

    def owners(self, name: str) -> list[str]:
        """Return the ids of the people with this name."""
        return [self._people[at].user_id for at in sorted(self.places(name))]

    def has(self, name: str) -> bool:
        """Return whether a person has this name."""
        return self.find(name) is not None

    def has_id(self, user_id: str) -> bool:
        """Return whether a person has this id."""
        return self.owner_of_id(user_id) is not None


def _indexed(names: Sequence[str], places: Sequence[int], several: dict[str, set[int]]) -> dict[str, int]:
    """Return the place for each name, and add the places of shared names to `several`."""
    index: dict[str, int] = dict(zip(names, places, strict=True))
    if len(index) < len(names):
        index = {}
        for name, place in zip(names, places, strict=True):
            if index.setdefault(name, place) != place:
                _share(index, several, name, place)
    return index


def _among(names: Iterable[str], told: Mapping[str, T]) -> dict[str, T]:
    return {name: told[name] for name in names if name in told} if told else {}


def _share(names: dict[str, int], several: dict[str, set[int]], name: str, place: int) -> None:
    people = several.setdefault(name, set())
    people.add(place)
    if names[name] != _SEVERAL:
        people.add(names[name])
        names[name] = _SEVERAL


@attrs.frozen(repr=False)
class Rejected:
    """An entry of a desired list that has no usable name.

    Attributes:
        written: What the report shows: the entry's text, or its position.
        reason: Why the entry has no usable name.
        where: The entry's position, if it may mean any person.
        name: The name, if it looks rewritten but may still be a user's.
        text: The entry's text, if it can only mean people with a name that occurs in it.
    """

    written: str
    reason: str
    where: str | None = None
    name: str | None = None
    text: str | None = None


@attrs.frozen(kw_only=True, repr=False)
class Match:
    """The result of comparing members with desired names.

    Attributes:
        members: All members as read.
        to_add: Names that fit no member, stripped of white space, each person once.
        staying: The ids of the members that a name fits.
        others: The members that no clear name fits. `_doubts` decides which of them are removed.
        duplicates: Names of people who were already named earlier in the list.
        also: The other names in the same row, by a name of `to_add`.
        where: Where the entry stands in the list, by a name of `to_add`, if the list says so.
        rejected: Entries without a usable name.
        ambiguous: Names that fit two or more people, with the ids of these people.
        shared_ids: Ids of `others` that are also another person's ref or e-mail address.
    """

    members: Sequence[AudienceMember]
    to_add: tuple[str, ...]
    also: Mapping[str, tuple[str, ...]]
    where: Mapping[str, str] = attrs.field(factory=dict[str, str])
    staying: tuple[str, ...]
    others: tuple[AudienceMember, ...]
    duplicates: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    ambiguous: Mapping[str, tuple[str, ...]]
    shared_ids: frozenset[str]


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
        self._rejected: list[Rejected] = []
        self._perhaps_cut: list[Entry] = []
        self._also: dict[str, tuple[str, ...]] = {}
        self._places: dict[str, str] = {}
        self._accepted: set[str] = set()
        self._refs_elsewhere: dict[str, str] = {}
        self._ambiguous: dict[str, tuple[str, ...]] = {}
        self._aliases: dict[str, str] = {}

    def feed(self, names: Iterable[object]) -> None:
        """Match more desired names.

        Args:
            names: Raw entries. Those that cannot be names end up in `Match.rejected`.
        """
        people = self._people
        exact_get, emails_get, apart = people.exact.get, people.emails.get, people.apart
        seen, duplicate, newcomers = self._seen, self._duplicates.append, self._newcomers
        for name in names:
            if type(name) is not str:
                self._feed_odd(name)
                continue
            is_address = "@" in name
            place = None if is_address and apart else exact_get(name)
            if place is None:
                lower = name.lower()
                place = emails_get(lower) if is_address or not apart else None
                if place is None:
                    if (
                        name.isascii()
                        and name.isprintable()
                        and " " not in name
                        and len(name) <= LONGEST_NAME
                        and (is_address or people.is_surely_new(name))
                    ):
                        # A newcomer's plain name takes half the time here that it takes in `_feed_odd`.
                        key = lower if is_address else name
                        if key in newcomers:
                            duplicate(name)
                        else:
                            newcomers[key] = name
                    else:
                        self._feed_odd(name)
                    continue
            if place == _SEVERAL:
                self._feed_ambiguous(name, self._people.sharing(name))
            elif seen[place]:
                duplicate(name)
            else:
                seen[place] = 1

    def _feed_odd(self, value: object) -> None:
        # Everything that is not exactly a member's name: white space around it, a newcomer, not a name at all.
        if isinstance(value, Entry):
            self._feed_entry(value)
            return
        name, reason = self._readable(value)
        if reason is not None:
            self._rejected.append(self._rejection(value, name, reason))
            return
        place = self._people.find(name)
        if place is None:
            self._feed_newcomer(name)
        else:
            self._feed_people(name, self._people.sharing(name) if place == _SEVERAL else (place,))

    def _feed_entry(self, entry: Entry) -> None:
        if entry.doubt is not None:
            where = self._where(entry)
            self._rejected.append(Rejected(where, f"no usable name: {entry.doubt}", where))
            return
        if entry.may_be_cut:
            # Only after all other names can it be compared with the members who are still missing.
            self._perhaps_cut.append(entry)
            return
        names = self._names_of(entry)
        if not names:
            blank = [name for name in (entry.name, *entry.also) if name is not None and name.strip()]
            written = blank[0] if blank else None
            self._rejected.append(self._rejection(written, *self._readable(written), entry))
            return
        places = self._meant(names)
        if places:
            self._feed_people(names[0], places)
        else:
            self._feed_newcomer(names[0], tuple(names[1:]), entry.where)

    def _readable(self, value: object) -> tuple[str, str | None]:
        """Return a name as `clean` does, but accept one that looks rewritten only if a member has it."""
        name, reason = clean(value)
        if reason is None and rewritten(name) and name not in self._accepted and not self._people.has(name):
            reason = _LOOKS_REWRITTEN
        return name, reason

    def _names_of(self, entry: Entry) -> list[str]:
        readable = map(self._readable, (entry.name, *entry.also))
        return list(dict.fromkeys(name for name, reason in readable if reason is None))

    def _meant(self, names: Iterable[str]) -> Collection[int]:
        """Return the places of the members that all names of an entry fit or, failing that, any of the names."""
        common: set[int] | None = None
        together: set[int] = set()
        for places in filter(None, map(self._people.places, names)):
            common = set(places) if common is None else common.intersection(places)
            together.update(places)
        return common or together

    def _feed_people(self, name: str, places: Collection[int]) -> None:
        if len(places) > 1:
            self._feed_ambiguous(name, places)
            return
        (place,) = places
        if self._seen[place]:
            self._duplicates.append(name)
        self._seen[place] = 1

    def _feed_newcomer(self, name: str, also: tuple[str, ...] = (), where: str | None = None) -> None:
        key = newcomer_key(name)
        if key in self._newcomers:
            self._duplicates.append(name)
        else:
            self._newcomers[key] = name
            if where:
                self._places[name] = where
        if also:
            first = self._newcomers[key]
            self._also[first] = (*self._also.get(first, ()), *also)

    def _feed_ambiguous(self, name: str, places: Iterable[int]) -> None:
        if name in self._ambiguous:
            self._duplicates.append(name)
        else:
            self._ambiguous[name] = tuple(self._members[place].user_id for place in sorted(places))

    def _rejection(self, value: object, name: str, reason: str | None, entry: Entry | None = None) -> Rejected:
        where = self._where(entry)
        if reason is None or reason == "blank":
            return Rejected(where, "blank", where)
        told = f"{reason} ({entry.where})" if entry is not None and entry.where else reason
        if reason == _LOOKS_REWRITTEN:
            return Rejected(name, told, f"{where} ({name})", name)
        if isinstance(value, str):
            # The text may contain a person's name, and then it means that person.
            return Rejected(name, told, text=value)
        return Rejected(name, told, where)

    def _where(self, entry: Entry | None) -> str:
        if entry is not None and entry.where:
            return entry.where
        # Each entry fed so far is in exactly one of these, so their sizes add up to its position.
        heaps = (self._newcomers, self._duplicates, self._rejected, self._ambiguous, self._perhaps_cut)
        return f"entry {self._seen.count(1) + sum(map(len, heaps)) + 1:,}"

    def _end(self) -> None:
        """Settle the entries that may be cut off, after all others."""
        entries, self._perhaps_cut = self._perhaps_cut, []
        for entry in entries:
            whole = next(self._continued(entry), None)
            if whole is None:
                self._feed_entry(attrs.evolve(entry, may_be_cut=False))
            else:
                where = self._where(entry)
                reason = (
                    f"may be cut off: {whole} begins with it ({where}); end the last line of the list with a line break"
                )
                self._rejected.append(Rejected(entry.name or where, reason, where))

    def _continued(self, entry: Entry) -> Iterator[str]:
        """Yield the names of missing members that begin with an entry's name."""
        beginning = clean(entry.name)[0].lower()
        if not beginning or self._meant(self._names_of(attrs.evolve(entry, name=None))):
            return
        for place, member in enumerate(self._members):
            if not self._seen[place]:
                for own in (member.reference, member.email, member.user_id):
                    if own and len(own) > len(beginning) and own.lower().startswith(beginning):
                        yield own

    @property
    def looking_rewritten(self) -> tuple[str, ...]:
        """The rejected names that look rewritten, so far."""
        self._end()
        return tuple(dict.fromkeys(one.name for one in self._rejected if one.name))

    def accept(self, name: str) -> None:
        """Record that a user has exactly this name, although it looks rewritten."""
        self._accepted.add(name)
        for one in self._rejected:
            if one.name == name:
                self._feed_newcomer(name)
        self._rejected = [one for one in self._rejected if one.name != name]

    def note_ref(self, ref: str, user_id: str) -> None:
        """Record the ref of a person outside the audience: a member's id may read the same."""
        self._refs_elsewhere[ref.lower()] = user_id

    def identify(self, entry: Entry | str) -> str | None:
        """Return a key for an entry's person. Call this after feeding all entries.

        Args:
            entry: The entry, or a name.

        Returns:
            The member's id, the newcomer's key, or None if the entry is rejected or ambiguous.
        """
        if isinstance(entry, str):
            entry = Entry(name=entry)
        self._end()
        names = self._names_of(entry)
        if entry.doubt is not None or not names:
            return None
        places = self._meant(names)
        if places:
            return self._members[next(iter(places))].user_id if len(places) == 1 else None
        key = newcomer_key(names[0])
        return self._aliases.get(key, key if key in self._newcomers else None)

    @property
    def newcomers(self) -> tuple[str, ...]:
        """The names that fit no member, so far."""
        self._end()
        return tuple(self._newcomers.values())

    def same_person(self, names: Sequence[str], user_id: str) -> None:
        """Record that several newcomers' names belong to one user, so that the person counts once.

        Args:
            names: Newcomers' names. The first is kept, the others become duplicates.
            user_id: The user's id. If the user is a member, all names are that member's.
        """
        # Only the id may match here: it may also be another member's ref.
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
        """Record that a newcomer's name fits several users, so that nothing is sent for it."""
        del self._newcomers[newcomer_key(name)]
        self._ambiguous[name] = tuple(user_ids)

    def result(self) -> Match:
        """Return the result of the comparison."""
        self._end()
        members, seen = self._members, self._seen
        missing = list(compress(range(len(members)), map(not_, seen)))
        shared = {members[place].user_id for place in self._people.not_named_alone(missing)}
        if elsewhere := self._refs_elsewhere:
            ids = (members[place].user_id for place in missing)
            shared.update(one for one in ids if elsewhere.get(one.lower(), one) != one)
        return Match(
            members=members,
            to_add=tuple(self._newcomers.values()),
            also=_among(self._newcomers.values(), self._also),
            where=_among(self._newcomers.values(), self._places),
            staying=tuple([member.user_id for member in compress(members, seen)]),
            others=tuple([members[place] for place in missing]),
            duplicates=tuple(self._duplicates),
            rejected=tuple(self._rejected),
            ambiguous=dict(self._ambiguous),
            shared_ids=frozenset(shared),
        )
