"""Finds people by their names, about as fast as two dictionaries allow: pure.

A name is an id, a ref or an e-mail address; nothing says which. Ids and refs match as they are written, e-mail
addresses and 24-digit hexadecimal ids in any case.
"""

from collections.abc import Collection, Sequence
from typing import Final

from thrive_async.models import AudienceManager, AudienceMember
from thrive_async.sync._match.names import OBJECT_ID_LENGTH, is_object_id

__all__ = ["SEVERAL", "People"]

SEVERAL: Final = -1
"""The place of a name that fits several people."""


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
        if by_email is None or (by_email == by_name != SEVERAL):
            return
        people = {place for place in (by_name, by_email) if place != SEVERAL}
        people |= self._several.get(name, set()) | self._several_emails.get(lower, set())
        self._several[name] = people
        self.exact[name] = SEVERAL

    def find(self, name: str) -> int | None:
        """Return the place of the person with this name; `SEVERAL`, or None if nobody has it."""
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
        people: Collection[int] = () if place is None else self._several[user_id] if place == SEVERAL else (place,)
        return next((at for at in people if self._people[at].user_id == user_id), None)

    def owners(self, name: str) -> list[str]:
        """Return the ids of the people with this name."""
        place = self.find(name)
        places: Collection[int] = () if place is None else self.sharing(name) if place == SEVERAL else (place,)
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
    if names[name] != SEVERAL:
        people.add(names[name])
        names[name] = SEVERAL
