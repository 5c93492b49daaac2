"""Making member plans: read, match, plan; and the whole sync in one call."""

import asyncio
import os
from collections.abc import AsyncIterable
from itertools import islice
from typing import Final

from thrive_async.client import ThriveClient
from thrive_async.models import AudienceMember
from thrive_async.sync._arguments import Strategy, check_applying, check_audience_name, check_flags, check_iterable
from thrive_async.sync._guards import DEFAULT_MAX_REMOVALS, check_audience, check_desired
from thrive_async.sync._match.lookups import compared
from thrive_async.sync._match.matching import Match, Matcher
from thrive_async.sync._member_plan import Desired, MemberPlan
from thrive_async.sync._reading import audience_or_refusal, read_members
from thrive_async.sync.report import OnProgress, SyncReport

__all__ = ["matched", "plan_members", "planned", "sync_members"]

# Names matched before others on the loop get their turn: some 5 ms.
_AT_ONCE: Final = 10_000


async def plan_members(
    thrive: ThriveClient,
    audience: str,
    desired: Desired,
    *,
    removals: bool = True,
    allow_empty: bool = False,
) -> MemberPlan:
    """Compare an audience's members with who should be in it. Only reads.

    People match by id, ref or e-mail address, whatever the mixture; e-mail addresses in any case. Newcomers who are
    named in several ways are looked up, so that a person under two names is added once.

    Args:
        thrive: The client.
        audience: The audience's id or reference.
        desired: Who should be a member: an iterable or async iterable of ids, refs and e-mail addresses.
        removals: Whether who is not desired is to be removed; False only adds.
        allow_empty: Whether a list without one usable name is meant.

    Returns:
        The plan; `print` it, look at it, `apply` it.

    Raises:
        GuardRefused: There is no such audience, it is smart or not API-controlled, or nobody is desired.
        SyncError: The member list changed during every reading.
        TypeError: An argument is of a wrong type; `desired` is a lone string, or no iterable.
        ThriveError: Thrive refused, or could not be reached.

    Example:
        ```python
        plan = await sync.plan_members(thrive, "sales-emea", ["ada@example.com", "E-1002"])
        print(plan)  # sales-emea: +1 -18 =1
        ```
    """
    check_audience_name(audience)
    check_iterable("desired", desired, "names")
    check_flags(removals=removals, allow_empty=allow_empty)
    found = await audience_or_refusal(thrive, audience)
    check_audience(audience, found)
    members = await read_members(thrive, audience, found.id)
    match = await matched(thrive, members, desired)
    return planned(thrive, audience, found.id, len(members), match, removals=removals, allow_empty=allow_empty)


async def matched(thrive: ThriveClient, members: list[AudienceMember], desired: Desired) -> Match:
    """Match desired names with members, giving way to others on the loop now and then."""
    matcher = Matcher(members)
    if isinstance(desired, AsyncIterable):
        heap: list[object] = []
        async for name in desired:
            heap.append(name)
            if len(heap) >= _AT_ONCE:
                matcher.feed(heap)
                heap.clear()
        matcher.feed(heap)
    else:
        names = iter(desired)
        while heap := list[object](islice(names, _AT_ONCE)):
            matcher.feed(heap)
            await asyncio.sleep(0)
    return await compared(thrive, matcher)


def planned(
    thrive: ThriveClient,
    audience: str,
    audience_id: str,
    current: int,
    match: Match,
    *,
    removals: bool,
    allow_empty: bool,
) -> MemberPlan:
    """Make a plan of a comparison.

    Raises:
        GuardRefused: Nobody is desired.
    """
    usable = len(match.to_add) + len(match.staying) + len(match.ambiguous)
    past = "removed" if removals else None
    check_desired(audience, usable, match.rejected, allow_empty=allow_empty, past=past)
    to_remove = match.to_remove if removals else ()
    return MemberPlan(
        audience=audience,
        audience_id=audience_id,
        to_add=match.to_add,
        to_remove=to_remove,
        staying=match.staying,
        kept=current - len(match.staying) - len(to_remove),
        duplicates=match.duplicates,
        rejected=match.rejected,
        ambiguities=match.ambiguous,
        doubtful=match.doubtful if removals else {},
        removals=removals,
        tenant=thrive.tenant_id,
        thrive=thrive,
    )


async def sync_members(
    thrive: ThriveClient,
    audience: str,
    desired: Desired,
    *,
    removals: bool = True,
    allow_empty: bool = False,
    max_removals: float | None = DEFAULT_MAX_REMOVALS,
    on_progress: OnProgress | None = None,
    journal: str | os.PathLike[str] | None = None,
    strategy: Strategy = "diff",
    verify: bool = False,
) -> SyncReport:
    """Make an audience's members equal to a list: `plan_members` and `MemberPlan.apply` in one.

    Args:
        thrive: The client.
        audience: The audience's id or reference.
        desired: Who should be a member.
        removals: Whether who is not desired is to be removed.
        allow_empty: Whether a list without one usable name is meant.
        max_removals: As for `MemberPlan.apply`.
        on_progress: As for `MemberPlan.apply`.
        journal: As for `MemberPlan.apply`.
        strategy: As for `MemberPlan.apply`.
        verify: As for `MemberPlan.apply`.

    Returns:
        What became of every planned change; call `raise_for_failures` on it.

    Raises:
        GuardRefused: A guard refused; nothing was changed.
        TypeError: An argument is of a wrong type; nothing was sent.
        ConfigurationError: An argument cannot be meant; nothing was sent.
        ThriveError: The plan could not be made.
        OSError: The journal cannot be written.
    """
    await check_applying(
        max_removals=max_removals, on_progress=on_progress, journal=journal, strategy=strategy, verify=verify
    )
    plan = await plan_members(thrive, audience, desired, removals=removals, allow_empty=allow_empty)
    return await plan.apply(
        max_removals=max_removals, on_progress=on_progress, journal=journal, strategy=strategy, verify=verify
    )
