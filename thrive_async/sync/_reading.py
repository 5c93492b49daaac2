"""Reading who is in an audience, so that no plan is ever made from a torn list."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Final, TypeVar

from thrive_async.client import ThriveClient
from thrive_async.errors import IncompleteList, NotFoundError
from thrive_async.models import Audience, AudienceManager, AudienceMember
from thrive_async.pagination import Paginator
from thrive_async.sync._guards import missing_audience
from thrive_async.sync.errors import SyncError

__all__ = ["audience_or_refusal", "get_audience", "read_managers", "read_members", "read_whole"]

T = TypeVar("T")
K = TypeVar("K")
_READINGS: Final = 5
_PAUSE: Final = 0.25


async def read_whole(
    what: str, paginator: Paginator[T], keep: Callable[[T], K], identity: Callable[[K], str]
) -> list[K]:
    """Read a list that may change meanwhile; read it again if it did.

    A list is torn if its total changes between pages, if an id comes twice, or if more or less than the total came. It
    is read five times at most, with growing pauses.

    Args:
        what: What is read, for the error: ``"sales-emea: the member list"``.
        paginator: The list.
        keep: Returns what to keep of an item.
        identity: Returns the id of what is kept.

    Raises:
        SyncError: The list changed during every reading.
        ThriveError: A page could not be read.
    """
    for reading in range(_READINGS):
        if reading:
            await asyncio.sleep(_PAUSE * 2**reading)
        items: list[K] = []
        totals: set[int] = set()
        ended = False
        with suppress(IncompleteList):
            async with aclosing(paginator.pages()) as pages:
                async for page in pages:
                    items += map(keep, page.items)
                    if page.total_results is not None:
                        totals.add(page.total_results)
                    if len(totals) > 1:
                        break
            ended = True
        whole = ended and (not totals or totals == {len(items)})
        if whole and len({identity(item) for item in items}) == len(items):
            return items
    raise SyncError(
        f"{what} changed during each of {_READINGS} readings, so no plan was made of it and nothing was changed: "
        "try again when nothing else is changing it"
    )


async def read_members(thrive: ThriveClient, subject: str, audience_id: str) -> list[AudienceMember]:
    """Read the members of an audience, each once.

    Args:
        thrive: The client.
        subject: The audience's name as the caller wrote it, for errors.
        audience_id: The audience's id.

    Raises:
        SyncError: The list changed during every reading.
        ThriveError: A page could not be read.
    """
    members = thrive.audiences.members.list(audience_id)
    return await read_whole(f"{subject}: the member list", members, _itself, lambda member: member.user_id)


async def read_managers(thrive: ThriveClient, audience_id: str) -> list[AudienceManager]:
    """Read the managers of an audience; they come in one answer, which cannot be torn.

    Raises:
        ThriveError: They could not be read.
    """
    return await thrive.audiences.managers.list(audience_id).collect()


def _itself(member: AudienceMember) -> AudienceMember:
    return member


async def audience_or_refusal(thrive: ThriveClient, name: str) -> Audience:
    """Get an audience by id or reference.

    Raises:
        GuardRefused: There is none.
        InvalidArgument: An audience cannot have this name.
        ThriveError: It could not be read.
    """
    try:
        return await get_audience(thrive, name)
    except NotFoundError as error:
        raise missing_audience(name) from error


async def get_audience(thrive: ThriveClient, name: str) -> Audience:
    """Get an audience by id or reference.

    Raises:
        InvalidArgument: An audience cannot have this name.
        ThriveError: It could not be read.
    """
    return await thrive.audiences.get(name)
