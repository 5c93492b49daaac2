"""Newcomers under two names: an e-mail address and a ref may be one person, and only Thrive can tell.

A list in one column names everybody in one way, and nothing is asked. Only where newcomers are named in several ways
are they looked up, so that a person under two names is one addition, and a member under a name that the member list
does not show is no newcomer at all.
"""

from collections.abc import Iterable
from contextlib import aclosing, suppress
from typing import Final

from thrive_async.client import ThriveClient
from thrive_async.errors import NotFoundError
from thrive_async.models import BasicUser, User
from thrive_async.sync.matching import Matcher, is_object_id, newcomer_key
from thrive_async.sync.run import few_at_once

__all__ = ["recognise"]

_LOOKED_UP_SINGLY: Final = 50
"""Above this, one walk over all users (a thousand per request) is taken to be cheaper."""


async def recognise(thrive: ThriveClient, matcher: Matcher) -> dict[str, tuple[str, ...]]:
    """Look up newcomers who are named in several ways, and tell the matcher who is one person.

    Args:
        thrive: The client.
        matcher: Has been fed all desired names.

    Returns:
        Names that fit two users, with the ids of those; the matcher knows them as ambiguous.

    Raises:
        ThriveError: The users could not be read.
    """
    names = {newcomer_key(name): name for name in matcher.newcomers}
    if len({_kind(name) for name in names}) < 2:
        return {}
    single = [name for key, name in names.items() if "@" not in key]
    found: dict[str, dict[str, None]] = {}
    if len(single) <= _LOOKED_UP_SINGLY:
        users = await _looked_up(thrive, single)
        _note(users, names, found)
    else:
        async with aclosing(thrive.users.list().pages()) as pages:
            async for page in pages:
                _note(page.items, names, found)
    return _tell(matcher, names, found)


def _kind(key: str) -> str:
    return "email" if "@" in key else "id" if is_object_id(key) else "ref"


def _note(users: Iterable[User | BasicUser], names: dict[str, str], found: dict[str, dict[str, None]]) -> None:
    for user in users:
        for key in (user.id, user.ref, user.email and user.email.lower()):
            if key and (key in names or (key := newcomer_key(key)) in names):
                found.setdefault(user.id, {})[key] = None


def _tell(matcher: Matcher, names: dict[str, str], found: dict[str, dict[str, None]]) -> dict[str, tuple[str, ...]]:
    users_of: dict[str, list[str]] = {}
    for user_id, keys in found.items():
        for key in keys:
            users_of.setdefault(key, []).append(user_id)
    ambiguous = {names[key]: tuple(users) for key, users in users_of.items() if len(users) > 1}
    for name in ambiguous:
        matcher.ambiguous_newcomer(name)
    order = {key: place for place, key in enumerate(names)}
    for user_id, keys in found.items():
        clear = sorted((key for key in keys if names[key] not in ambiguous), key=order.__getitem__)
        if clear:
            matcher.same_person([names[key] for key in clear], user_id)
    return ambiguous


async def _looked_up(thrive: ThriveClient, names: list[str]) -> list[User | BasicUser]:
    found: list[User | BasicUser] = []

    async def look_up(name: str) -> None:
        if name in (".", ".."):
            return  # No path can hold them, so nobody is looked up by them.
        if is_object_id(name):
            with suppress(NotFoundError):
                found.append(await thrive.users.get(name))
                return
        with suppress(NotFoundError):
            found.append(await thrive.users.get_by_ref(name))

    await few_at_once(names, look_up, thrive.limits.concurrency)
    return found
