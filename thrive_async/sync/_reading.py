"""Reading who is in an audience, so that no plan is ever made from a torn list."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final, Generic, Protocol, TypeVar

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import DecodeError, IncompleteList, NotFoundError
from thrive_async.models import Audience, AudienceManager, AudienceMember
from thrive_async.pagination import Paginator
from thrive_async.sync._guards import missing_audience
from thrive_async.sync.errors import SyncError

__all__ = [
    "Listing",
    "audience_or_refusal",
    "get_audience",
    "list_managers",
    "list_members",
    "planned_from_whole",
    "read_managers",
    "read_members",
    "read_whole",
]

T = TypeVar("T")
K = TypeVar("K")
P = TypeVar("P", bound="_Plan")
_READINGS: Final = 5
_PAUSE: Final = 0.25


class _Plan(Protocol):
    @property
    def is_empty(self) -> bool: ...


@attrs.frozen(repr=False)
class Listing(Generic[T]):
    """A list that was read as a whole.

    Attributes:
        what: What it is, for errors.
        items: What is in it.
    """

    what: str
    items: list[T]
    _paginator: Paginator[T]
    _identity: Callable[[T], str]
    # How many of the items came in the first page; 0 if there was no other.
    _first: int

    async def is_unchanged(self) -> bool:
        """Read the first page of several again, and return whether it is as it was.

        A person who leaves between two pages moves the others forward, so that one of them is in neither page. If
        another person joined meanwhile, the total does not show it.

        Raises:
            ThriveError: The page could not be read.
        """
        if not self._first:
            return True
        again = await self._paginator.collect(limit=self._first)
        return list(map(self._identity, again)) == list(map(self._identity, self.items[: self._first]))


async def read_whole(
    what: str, paginator: Paginator[T], keep: Callable[[T], K], identity: Callable[[K], str]
) -> list[K]:
    """Read a list that may change meanwhile; read it again if it did.

    A list is torn if its total changes between pages, if an id comes twice, or if more or less than the total came. It
    is read five times at most, with growing pauses. A total that stays wrong beside people who stay the same is not
    believed.

    Args:
        what: What is read, for the error: ``"sales-emea: the member list"``.
        paginator: The list.
        keep: Returns what to keep of an item.
        identity: Returns the id of what is kept.

    Raises:
        SyncError: The list changed during every reading, or an item of it could not be read.
        ThriveError: A page could not be read.
    """
    return (await _read(what, paginator, keep, identity))[0]


async def _read(
    what: str, paginator: Paginator[T], keep: Callable[[T], K], identity: Callable[[K], str]
) -> tuple[list[K], int]:
    """Return the items, and how many of them came in the first page if there was another."""
    before: list[str] | None = None
    for reading in range(_READINGS):
        await _pause(reading)
        items: list[K] = []
        totals: set[int] = set()
        first = number = 0
        ended = False
        try:
            with suppress(IncompleteList):
                async with aclosing(paginator.pages()) as pages:
                    async for page in pages:
                        number = page.number
                        if page.skipped:
                            raise SyncError(
                                f"{what}: {page.skipped:,} of the people in page {number:,} could not be read, so no "
                                "plan was made of it and nothing was changed: ask Thrive about that page"
                            )
                        items += map(keep, page.items)
                        first = first or len(items)
                        if page.total_results is not None:
                            totals.add(page.total_results)
                        if len(totals) > 1:
                            break
                ended = True
        except DecodeError as error:
            raise SyncError(
                f"{what}: page {number + 1:,} could not be read, so no plan was made of it and nothing was changed: "
                f"{error}"
            ) from error
        ids = [identity(item) for item in items]
        # If the same people came twice in the same order, the list stands still, and only its total is wrong.
        whole = ended and (not totals or totals == {len(items)} or ids == before)
        if whole and len(set(ids)) == len(ids):
            return items, first if number > 1 else 0
        before = ids if ended else None
    raise _torn(what)


async def _pause(reading: int) -> None:
    if reading:
        await asyncio.sleep(_PAUSE * 2**reading)


def _torn(what: str) -> SyncError:
    return SyncError(
        f"{what} changed during each of {_READINGS} readings, so no plan was made of it and nothing was changed: "
        "try again when nothing else is changing it"
    )


async def planned_from_whole(
    read: Callable[[], Awaitable[Listing[T]]], plan: Callable[[Sequence[T]], Awaitable[P]]
) -> P:
    """Make a plan of a list that did not change while it was read; a plan that changes nothing may come of any list.

    Args:
        read: Reads the list.
        plan: Makes the plan.

    Raises:
        SyncError: The list changed during every reading.
        ThriveError: A page could not be read.
    """
    reading = 0
    while True:
        await _pause(reading)
        listing = await read()
        made = await plan(listing.items)
        if made.is_empty or await listing.is_unchanged():
            return made
        reading += 1
        if reading == _READINGS:
            raise _torn(listing.what)


async def list_members(thrive: ThriveClient, subject: str, audience_id: str) -> Listing[AudienceMember]:
    """Read the members of an audience, each once.

    Args:
        thrive: The client.
        subject: The audience's name as the caller wrote it, for errors.
        audience_id: The audience's id.

    Raises:
        SyncError: The list changed during every reading, or a person in it could not be read.
        ThriveError: A page could not be read.
    """
    return await _listed(f"{subject}: the member list", thrive.audiences.members.list(audience_id), _member_id)


async def list_managers(thrive: ThriveClient, subject: str, audience_id: str) -> Listing[AudienceManager]:
    """Read the managers of an audience, each once; as `list_members`."""
    return await _listed(f"{subject}: the list of managers", thrive.audiences.managers.list(audience_id), _manager_id)


async def _listed(what: str, paginator: Paginator[T], identity: Callable[[T], str]) -> Listing[T]:
    items, first = await _read(what, paginator, _itself, identity)
    return Listing(what, items, paginator, identity, first)


async def read_members(thrive: ThriveClient, subject: str, audience_id: str) -> list[AudienceMember]:
    """Return the members of an audience, each once; as `list_members`."""
    return (await list_members(thrive, subject, audience_id)).items


async def read_managers(thrive: ThriveClient, subject: str, audience_id: str) -> list[AudienceManager]:
    """Return the managers of an audience, each once; as `list_members`."""
    return (await list_managers(thrive, subject, audience_id)).items


def _itself(item: T) -> T:
    return item


def _member_id(member: AudienceMember) -> str:
    return member.user_id


def _manager_id(manager: AudienceManager) -> str:
    return manager.user_id


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
