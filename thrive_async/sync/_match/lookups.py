"""Look up newcomers with two names: an e-mail address and a ref may be one person, and only Thrive can tell.

If all newcomers have the same kind of name, nothing is looked up. Otherwise they are looked up, so that a person under
two names is added once, and a member under a name that the member list does not show is not added at all. Members who
are not desired are looked up if the member list does not show the kind of name that newcomers have: they may be these
newcomers. The few names that look rewritten are looked up because a user may have exactly such a name.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Final

from thrive_async.client import ThriveClient
from thrive_async.errors import APIError, NotFoundError
from thrive_async.models import AudienceMember, BasicUser, User
from thrive_async.sync._match.matching import Match, Matcher
from thrive_async.sync._match.names import is_object_id, lowered
from thrive_async.sync._workers import few_at_once

__all__ = ["FEW", "compared"]

FEW: Final = 50
"""Up to this many users are looked up one by one. For more, listing all users (1,000 per request) is cheaper."""


async def compared(thrive: ThriveClient, matcher: Matcher) -> Match:
    """Look up all doubtful people and return the result of the comparison.

    Args:
        thrive: The client.
        matcher: The matcher, already fed with all desired names.

    Raises:
        ThriveError: The users could not be read.
    """
    if matcher.looking_rewritten:
        for name in await _exactly(thrive, matcher.looking_rewritten[:FEW]):
            matcher.accept(name)
    names = _Names(matcher.newcomers)
    if names.in_several_ways:
        _tell(matcher, names, await _users_with(thrive, names, names.single, _looked_up))
    match = matcher.result()
    half_shown = [member for member in match.others if not (member.email and member.reference)]
    if not half_shown:
        return match
    names = _Names(match.to_add)
    ids = [member.user_id for member in half_shown if names.may_mean(member)]
    found = await _users_with(thrive, names, ids, _by_id, among=frozenset(ids))
    if not found:
        return match
    _tell(matcher, names, found)
    return matcher.result()


async def _users_with(
    thrive: ThriveClient,
    names: "_Names",
    asked: Sequence[str],
    singly: Callable[[ThriveClient, Sequence[str]], Awaitable[list[User | BasicUser]]],
    *,
    among: frozenset[str] | None = None,
) -> dict[str, dict[str, None]]:
    """Return which of the names each user has, by user id.

    Args:
        thrive: The client.
        names: The names.
        asked: The names or ids to look up.
        singly: Looks them up one by one, if they are few enough.
        among: The ids of the users that count when all users are listed; None for all.

    Raises:
        ThriveError: The users could not be read.
    """
    found: dict[str, dict[str, None]] = {}
    if len(asked) <= FEW:
        names.note(await singly(thrive, asked), found)
    else:
        async with aclosing(thrive.users.list().pages()) as pages:
            async for page in pages:
                names.note((user for user in page.items if among is None or user.id in among), found)
    return found


class _Names:
    """Newcomers' names by kind: refs exactly as written, e-mail addresses and ids in any case."""

    def __init__(self, names: Sequence[str]) -> None:
        self.single = [name for name in names if "@" not in name]
        self._refs = set(self.single)
        self._emails = {lowered(name): name for name in names if "@" in name}
        self.refs_like_ids: dict[str, str] = {}
        self._ids: dict[str, list[str]] = {}
        for name in self.single:
            if is_object_id(name):
                self._ids.setdefault(name.lower(), []).append(name)
        ids = sum(map(len, self._ids.values()))
        kinds = (ids, len(self.single) - ids, len(self._emails))
        self.in_several_ways: bool = sum(map(bool, kinds)) > 1 or len(self._ids) < ids

    def may_mean(self, member: AudienceMember) -> bool:
        """Return whether a member may have one of the names, judging by what the member list shows."""
        return (not member.email and bool(self._emails)) or (not member.reference and bool(self._refs))

    def note(self, users: Iterable[User | BasicUser], found: dict[str, dict[str, None]]) -> None:
        """Add to `found` which of the names each user has.

        Args:
            users: The users.
            found: The names by user id.
        """
        for user in users:
            if user.ref and is_object_id(user.ref):
                self.refs_like_ids[user.ref] = user.id
            names = [*self._ids.get(user.id, ())]
            if user.ref in self._refs:
                names.append(user.ref)
            # A user's ref may be an e-mail address, so compare it as one, too.
            addresses = {lowered(address) for address in (user.email, user.ref) if address}
            names += [self._emails[address] for address in addresses if address in self._emails]
            if names:
                found.setdefault(user.id, {}).update(dict.fromkeys(names))


def _tell(matcher: Matcher, names_asked: "_Names", found: dict[str, dict[str, None]]) -> None:
    """Tell the matcher which names belong to one person, and which fit several."""
    for ref, user_id in names_asked.refs_like_ids.items():
        matcher.note_ref(ref, user_id)
    users_of: dict[str, list[str]] = {}
    for user_id, names in found.items():
        for name in names:
            users_of.setdefault(name, []).append(user_id)
    ambiguous = {name: users for name, users in users_of.items() if len(users) > 1}
    order = {name: place for place, name in enumerate(matcher.newcomers)}
    for name, users in ambiguous.items():
        matcher.ambiguous_newcomer(name, users)
    for user_id, names in found.items():
        clear = sorted(names.keys() - ambiguous.keys(), key=order.__getitem__)
        # Use an id in another case than Thrive's only as a last resort: Thrive may not accept it.
        clear.sort(key=lambda name: name.lower() == user_id != name)
        if clear:
            matcher.same_person(clear, user_id)


async def _by_id(thrive: ThriveClient, ids: Sequence[str]) -> list[User | BasicUser]:
    found: list[User | BasicUser] = []

    async def look_up(user_id: str) -> None:
        with suppress(NotFoundError):
            found.append(await thrive.users.get(user_id))

    await few_at_once(ids, look_up, thrive.limits.concurrency)
    return found


async def _exactly(thrive: ThriveClient, names: Sequence[str]) -> list[str]:
    """Return which names are exactly a user's ref. A name counts as unknown if Thrive answers with an error."""
    found: list[str] = []

    async def look_up(name: str) -> None:
        with suppress(APIError):
            if (await thrive.users.get_by_ref(name)).ref == name:
                found.append(name)

    await few_at_once([name for name in names if name.strip(".")], look_up, thrive.limits.concurrency)
    return sorted(found)


async def _looked_up(thrive: ThriveClient, names: Sequence[str]) -> list[User | BasicUser]:
    found: list[User | BasicUser] = []

    async def look_up(name: str) -> None:
        if name in (".", ".."):
            return  # No path can hold them.
        if is_object_id(name):
            with suppress(NotFoundError):
                found.append(await thrive.users.get(name.lower()))
        with suppress(NotFoundError):
            found.append(await thrive.users.get_by_ref(name))

    await few_at_once(names, look_up, thrive.limits.concurrency)
    return found
