"""Decide whether an account still belongs to the same person when its name and address change. Does no I/O.

When an employer reuses an employee number, name and address change together. A marriage may change both too, but keeps
the first name; a new domain keeps the mailbox.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import attrs

from thrive_async.sync._match.likeness import comparable, lookalikes

__all__ = ["IDENTITY", "Identities", "Identity", "full_name"]

IDENTITY: Final = frozenset({"first_name", "last_name", "email"})
"""The fields that say who an account belongs to. A login method cannot be read, so it never changes in a sync."""

_WORD: Final = re.compile(r"[^\W_]+")
_SHORTEST_WORD: Final = 2
"""An initial does not identify a person."""
_SHORTEST_PART: Final = 3
_SHORTEST_WITHIN: Final = 5
"""A shorter name may be part of another by chance."""
_FEW: Final = 3
_COMMON: Final = 0.05
"""A part that more users share identifies no one, such as "staff" in staff.17@example.com."""


@attrs.frozen(repr=False, slots=False)
class Identity:
    """A name and an address.

    Attributes:
        name: First and last name; empty if unknown.
        email: The e-mail address; None if unknown.
    """

    name: str
    email: str | None

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the name, without accents and initials."""
        return frozenset(word for word in _WORD.findall(comparable(self.name)) if len(word) >= _SHORTEST_WORD)

    @cached_property
    def mailbox(self) -> str:
        """The part before the @, without dots, tag, case and accents."""
        mailbox, _at, _domain = comparable(self.email or "").rpartition("@")
        return "".join(_WORD.findall(mailbox.partition("+")[0]))

    @cached_property
    def parts(self) -> frozenset[str]:
        """The parts of the mailbox that may be a name."""
        mailbox, _at, _domain = comparable(self.email or "").rpartition("@")
        words = _WORD.findall(mailbox.partition("+")[0])
        return frozenset(word for word in words if len(word) >= _SHORTEST_PART and not word.isdecimal())


@attrs.frozen(repr=False, slots=False)
class Identities:
    """Compares names and addresses, knowing those of all users.

    Attributes:
        everyone: The users' addresses.
    """

    everyone: Sequence[str | None]

    @cached_property
    def _common(self) -> frozenset[str]:
        counts = Counter(part for email in self.everyone for part in Identity("", email).parts)
        limit = max(_FEW, _COMMON * len(self.everyone))
        return frozenset(part for part, count in counts.items() if count > limit)

    def is_somebody_else(self, old: Identity, new: Identity) -> bool:
        """Return whether the new name and address look like another person's.

        Args:
            old: The account's current identity.
            new: The identity that the change would give it.
        """
        if not old.words or not new.words or not old.email:
            return False
        return not _names_alike(old, new) and not self._addresses_alike(old, new)

    def _addresses_alike(self, old: Identity, new: Identity) -> bool:
        if old.mailbox == new.mailbox:
            return True
        telling = {part for part in (*old.words, *old.parts) if len(part) >= _SHORTEST_PART} - self._common
        return any(part in new.parts or (len(part) >= _SHORTEST_WITHIN and part in new.mailbox) for part in telling)


def _names_alike(old: Identity, new: Identity) -> bool:
    return bool(old.words & new.words or lookalikes([new.name], [_Named(old.name)]))


@attrs.frozen
class _Named:
    """A person for `lookalikes`, known by name only."""

    reference: str | None
    user_id: str = ""
    email: str | None = None


def full_name(values: Mapping[str, Any], unknown: Iterable[str] = ()) -> str:
    """Return first and last name as one text, without the fields in `unknown`."""
    names = (values.get(name) for name in ("first_name", "last_name") if name not in unknown)
    return " ".join(name for name in names if isinstance(name, str))
