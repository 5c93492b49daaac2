"""Newcomers under two names: an e-mail address and a ref may be one person, and only Thrive can tell.

A list in one column names everybody in one way, and nothing is asked. Only where newcomers are named in several ways
are they looked up, so that a person under two names is one addition, and a member under a name that the member list
does not show is no newcomer at all. So are members who are to be removed and of whom the list does not show a name of
the kind that newcomers have: they may be these very newcomers.
"""

from collections.abc import Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Final

from thrive_async.client import ThriveClient
from thrive_async.errors import NotFoundError
from thrive_async.models import AudienceMember, BasicUser, User
from thrive_async.sync._apply.workers import few_at_once
from thrive_async.sync._match.matching import Match, Matcher
from thrive_async.sync._match.names import is_object_id

__all__ = ["compared"]

_LOOKED_UP_SINGLY: Final = 50
"""Above this, one walk over all users (a thousand per request) is taken to be cheaper."""


async def compared(thrive: ThriveClient, matcher: Matcher) -> Match:
    """Return what a comparison comes to, after whoever is in doubt was looked up.

    Args:
        thrive: The client.
        matcher: Has been fed all desired names.

    Raises:
        ThriveError: The users could not be read.
    """
    ambiguous = await _recognise(thrive, matcher)
    match = matcher.result(ambiguous)
    half_shown = [member for member in match.to_remove if not (member.email and member.reference)]
    if not half_shown:
        return match
    names = _Names(match.to_add)
    leavers = [member.user_id for member in half_shown if names.may_mean(member)]
    found: dict[str, dict[str, None]] = {}
    if len(leavers) <= _LOOKED_UP_SINGLY:
        names.note(await _by_id(thrive, leavers), found)
    else:
        ids = set(leavers)
        async with aclosing(thrive.users.list().pages()) as pages:
            async for page in pages:
                names.note((user for user in page.items if user.id in ids), found)
    return matcher.result({**ambiguous, **_tell(matcher, found)}) if found else match


async def _recognise(thrive: ThriveClient, matcher: Matcher) -> dict[str, tuple[str, ...]]:
    """Look up newcomers who are named in several ways, and tell the matcher who is one person.

    Args:
        thrive: The client.
        matcher: Has been fed all desired names.

    Returns:
        Names that fit two users, with the ids of those; the matcher knows them as ambiguous.

    Raises:
        ThriveError: The users could not be read.
    """
    names = _Names(matcher.newcomers)
    if not names.in_several_ways:
        return {}
    found: dict[str, dict[str, None]] = {}
    if len(names.single) <= _LOOKED_UP_SINGLY:
        names.note(await _looked_up(thrive, names.single), found)
    else:
        async with aclosing(thrive.users.list().pages()) as pages:
            async for page in pages:
                names.note(page.items, found)
    return _tell(matcher, found)


class _Names:
    """Newcomers' names by what they may be: refs as they are written, e-mail addresses and ids in any case."""

    def __init__(self, names: Sequence[str]) -> None:
        self.single = [name for name in names if "@" not in name]
        self._refs = set(self.single)
        self._emails = {name.lower(): name for name in names if "@" in name}
        self._ids: dict[str, list[str]] = {}
        for name in self.single:
            if is_object_id(name):
                self._ids.setdefault(name.lower(), []).append(name)
        ids = sum(map(len, self._ids.values()))
        kinds = (ids, len(self.single) - ids, len(self._emails))
        self.in_several_ways: bool = sum(map(bool, kinds)) > 1 or len(self._ids) < ids

    def may_mean(self, member: AudienceMember) -> bool:
        """Return whether a member may have one of the names, for all that is shown of them."""
        return (not member.email and bool(self._emails)) or (not member.reference and bool(self._refs))

    def note(self, users: Iterable[User | BasicUser], found: dict[str, dict[str, None]]) -> None:
        """Note which of the names are whose.

        Args:
            users: The users.
            found: Gets the names of each who has one, by id.
        """
        for user in users:
            names = [*self._ids.get(user.id, ())]
            if user.ref in self._refs:
                names.append(user.ref)
            # An address that is almost somebody's ref is in doubt, too.
            addresses = {address.lower() for address in (user.email, user.ref) if address}
            names += [self._emails[address] for address in addresses if address in self._emails]
            if names:
                found.setdefault(user.id, {}).update(dict.fromkeys(names))


def _tell(matcher: Matcher, found: dict[str, dict[str, None]]) -> dict[str, tuple[str, ...]]:
    users_of: dict[str, list[str]] = {}
    for user_id, names in found.items():
        for name in names:
            users_of.setdefault(name, []).append(user_id)
    ambiguous = {name: tuple(users) for name, users in users_of.items() if len(users) > 1}
    order = {name: place for place, name in enumerate(matcher.newcomers)}
    for name in ambiguous:
        matcher.ambiguous_newcomer(name)
    for user_id, names in found.items():
        clear = sorted(names.keys() - ambiguous.keys(), key=order.__getitem__)
        # An id in another case than Thrive's is the last name to call somebody by: Thrive need not know it.
        clear.sort(key=lambda name: name.lower() == user_id != name)
        if clear:
            matcher.same_person(clear, user_id)
    return ambiguous


async def _by_id(thrive: ThriveClient, ids: list[str]) -> list[User | BasicUser]:
    found: list[User | BasicUser] = []

    async def look_up(user_id: str) -> None:
        with suppress(NotFoundError):
            found.append(await thrive.users.get(user_id))

    await few_at_once(ids, look_up, thrive.limits.concurrency)
    return found


async def _looked_up(thrive: ThriveClient, names: list[str]) -> list[User | BasicUser]:
    found: list[User | BasicUser] = []

    async def look_up(name: str) -> None:
        if name in (".", ".."):
            return  # No path can hold them, so nobody is looked up by them.
        if is_object_id(name):
            with suppress(NotFoundError):
                found.append(await thrive.users.get(name.lower()))
        with suppress(NotFoundError):
            found.append(await thrive.users.get_by_ref(name))

    await few_at_once(names, look_up, thrive.limits.concurrency)
    return found
