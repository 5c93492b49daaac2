"""Make the members of an audience equal to a list: plan, apply, or both in one call."""

import asyncio
import os
from collections.abc import AsyncIterable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Final, Self

import attrs

from thrive_async.client import ThriveClient
from thrive_async.models import AudienceMember
from thrive_async.sync._apply.journal import History, check_usable
from thrive_async.sync._apply.journal_lines import Person
from thrive_async.sync._apply.locks import claim, exclusive, last_run, target_of
from thrive_async.sync._apply.members import MEMBERS_AT_ONCE, apply_members
from thrive_async.sync._apply.writes import calls_needed
from thrive_async.sync._doubts import Unknown, check_protect, check_unknown
from thrive_async.sync._doubts import removals as decided
from thrive_async.sync._guards import (
    DEFAULT_MAX_AGE,
    DEFAULT_MAX_REMOVALS,
    Applying,
    MaxRemovals,
    Strategy,
    check_audience,
    check_audience_name,
    check_desired,
    check_flags,
    check_iterable,
    check_removals,
)
from thrive_async.sync._match.lookups import compared
from thrive_async.sync._match.matching import Match, Matcher, People
from thrive_async.sync._match.names import Entry, is_object_id
from thrive_async.sync._plans import PeoplePlan, summed_up
from thrive_async.sync._reading import audience_or_refusal, list_members, planned_from_whole, read_members
from thrive_async.sync._workers import in_bulk
from thrive_async.sync.report import OnProgress, SyncReport

__all__ = ["Desired", "MemberPlan", "described", "matched", "plan_found", "plan_members", "planned", "sync_members"]

Desired = Iterable[str | Entry] | AsyncIterable[str | Entry]
# Names matched before other tasks on the loop get a turn: about 5 ms.
_AT_ONCE: Final = 10_000


@attrs.define(kw_only=True, repr=False, eq=False)
class MemberPlan(PeoplePlan[AudienceMember]):
    """What a sync of an audience's members would change; made by `plan_members`.

    `print(plan)` and `repr(plan)` show the counts in one line. The names are in the attributes.

    Attributes:
        audience: The audience as you named it.
        audience_id: The audience's id, used for all writes.
        to_add: Names that fit no member, as you wrote them, each person once.
        to_remove: Members that no name fits.
        staying: The ids of the members who are desired.
        kept: How many members are neither desired, removed nor held. With `removals=False`, all who are not desired.
        duplicates: Names of people who were already named earlier in the list.
        rejected: Pairs of an entry and why it is not a name. Nothing is sent for it.
        ambiguities: Names that fit two people, with the ids of both. Nothing is sent for such a name.
        held: Members who would be removed, but whom a rejected or ambiguous entry may mean. A blank entry may mean any
            member.
        held_because: The reason for each held member, by id.
        held_unless: The names to add that may mean a member to remove, by the member's id. The removal is held unless
            the member list shows, after the additions, that each name belongs to another person.
        removals: Whether the plan may remove members.
        tenant: The id of the tenant that the plan was made for.
        made_at: When the plan was made.
        report: The report of the run, also after a cancel; None before the plan is applied.
    """

    kind: ClassVar[str] = "members"

    to_add: tuple[str, ...]
    removals: bool = True

    @property
    def people(self) -> Mapping[tuple[str, str], Person]:
        """What is known of the people it adds and removes, for the journal."""
        return {**self._described("add", self.to_add), **self._leaving}

    @property
    def unchanged(self) -> int:
        """How many desired people are members already."""
        return len(self.staying)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.to_add and not self.to_remove

    @property
    def figures(self) -> dict[str, int]:
        """What the plan does, and what it leaves out, as counts by name."""
        return {"to add": len(self.to_add), **super().figures}

    @property
    def calls(self) -> dict[str, int]:
        """How many writes each strategy needs if all succeed: ``{"diff": 24, "rebuild": 12}``."""
        return calls_needed(
            add=len(self.to_add),
            remove=len(self.to_remove),
            staying=len(self.staying),
            batch=MEMBERS_AT_ONCE,
            may_replace=self.removals and not (self.kept or self.held or self.held_unless),
        )

    def __str__(self) -> str:
        counts = f"+{len(self.to_add):,} -{len(self.to_remove):,} ={self.unchanged:,}"
        return summed_up(f"{self.audience}: {counts}", *self._notes)

    async def apply(
        self,
        *,
        max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
        strategy: Strategy = "diff",
        verify: bool = False,
        wait: float = 0.0,
        max_age: timedelta | None = DEFAULT_MAX_AGE,
    ) -> SyncReport:
        """Make the planned changes: additions in batches of 100, then removals one by one.

        The run sends as many requests at once as the client allows. Members who stay never leave the audience. Every
        planned change ends in exactly one of the report's `added`, `removed`, `failed` and `not_attempted`. You get the
        report even if an error stopped the run (see its `cause`), so call `raise_for_failures` on it or check it. A
        batch that Thrive refuses is split until the entry at fault stands alone. If an answer is lost, the members are
        read again at the end to find out what happened.

        The client's `Retry` and `Timeouts` limit what the run repeats and how long it waits. With
        `Retry(max_attempts=1)` it repeats nothing. If Thrive asks for a wait longer than `Timeouts.total`, the run
        stops with that cause.

        If you cancel the run, requests under way may finish (within ten seconds), no others are sent, and the report is
        on `plan.report`. To go on after a cancel or a crash, make a new plan.

        Only one run per audience, and one per journal, can be under way on this machine. A plan from a file is compared
        with the current members first: changes that no longer apply are skipped and reported as `dropped`.

        Args:
            max_removals: Refuse to remove more than this: a count (int), a fraction of the current members (float), a
                `Guard` (by default 10 %, but at least one), or None for no guard.
            on_progress: A plain function, called with a `Progress` after each answer, on the event loop. It is not
                awaited.
            journal: A file that gets one line per outcome, as it happens. If a run of this audience was killed, the
                next run with the same journal first finds out what happened to its changes.
            strategy: ``"diff"``, or ``"rebuild"``: replace the whole list by its first hundred and add the rest in
                hundreds, if that needs fewer requests than ``"diff"`` (see `calls`). The cost: until they are added
                again, members who stay are out of the audience and may lose its assignments and learning. If the run
                dies in between, they stay out until the next run. Members who joined after the plan was made are
                removed.
            verify: Read the members again at the end, and list what differs from the report in its `differences`.
            wait: How many seconds to wait for another run of this audience or journal to end. With 0, the run is
                refused at once.
            max_age: Refuse a plan older than this; None accepts any age.

        Returns:
            The outcome of every planned change.

        Raises:
            GuardRefused: The plan removes more than allowed or is too old, or another run of this audience is under way
                or ended after the plan was made. Nothing was changed.
            SyncError: The plan was applied before, or has no client.
            InvalidArgument: An argument is out of range.
            ConfigurationError: The journal file holds something else, or a lock cannot be taken.
            TypeError: An argument has the wrong type, or `on_progress` is a coroutine function.
            OSError: The journal cannot be written. If changes were already made, the report is on the plan.

        Example:
            ```python
            plan = await sync.plan_members(thrive, "sales-emea", desired)
            report = await plan.apply(max_removals=50, journal="run.jsonl")
            report.raise_for_failures()
            ```
        """
        return await self.apply_as(
            Applying(
                max_removals=max_removals,
                on_progress=on_progress,
                journal=journal,
                strategy=strategy,
                verify=verify,
                wait=wait,
                max_age=max_age,
            )
        )

    async def apply_as(self, applying: Applying, history: History | None = None) -> SyncReport:
        """Apply one of several plans that share a journal. Call `apply` instead.

        Args:
            applying: How to apply it.
            history: The journal's history, if it was already read.
        """
        async with self._turn(applying, history) as (interrupted, lock):
            self.check_guards(max_removals=applying.max_removals, strategy=applying.strategy)
            return await apply_members(await self._begin_with(lock), self, applying, interrupted)

    async def refresh(self) -> None:
        """Read Thrive again, and drop changes that no longer apply; see `SavedPlan.refresh`."""
        members = await read_members(self._client(self.audience), self.audience, self.audience_id)
        people = People(members)
        owners = {name: people.owners(name) for name in self.to_add if people.has(name)}
        self._drop(members, owners)
        self.to_add = tuple(name for name in self.to_add if name not in owners)
        await super().refresh()

    def check_guards(self, *, max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS, strategy: Strategy = "diff") -> None:
        """Raise the errors that `apply` would raise before it sends anything.

        Args:
            max_removals: As for `apply`.
            strategy: As for `apply`.

        Raises:
            GuardRefused: The plan removes more than allowed.
            SyncError: The plan was applied before, or has no client.
            InvalidArgument: An argument is out of range.
        """
        self._client(self.audience)
        applying = Applying(max_removals=max_removals, strategy=strategy)
        check_removals(self.audience, len(self.to_remove), self.current, applying.max_removals)

    def _content(self) -> dict[str, Any]:
        return {**super()._content(), "removals": self.removals, "to_add": self.to_add}

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            **cls._common(content, AudienceMember),
            removals=content["removals"],
            to_add=tuple(content["to_add"]),
            **common,
        )


async def plan_members(
    thrive: ThriveClient,
    audience: str,
    desired: Desired,
    *,
    removals: bool = True,
    allow_empty: bool = False,
    unknown: Unknown = "hold",
    protect: Iterable[str] = (),
) -> MemberPlan:
    """Compare an audience's members with a desired list, without changing anything.

    People match by id, ref or e-mail address, and you can mix these. E-mail addresses match in any case. If the list
    names newcomers in several ways, they are looked up, so that a person with two names is added once.

    If an entry is ambiguous, the people it fits are held: they are left alone, and the report is not `ok`. If an entry
    has no usable name, it may mean any member, so all removals are held. Such an entry is blank (an empty string, None,
    NaN), of another type, a placeholder (`#N/A`, `NULL`, `unknown`), or looks rewritten by a spreadsheet (`03-Apr`,
    `1.23E+11`).

    Args:
        thrive: The client.
        audience: The audience's id or reference.
        desired: The people who should be members: an iterable or async iterable of ids, refs, e-mail addresses or
            `Entry` objects.
        removals: Whether to remove members who are not desired. False only adds.
        allow_empty: Accept a list without a usable name.
        unknown: What to do while the list has a name that Thrive does not know. ``"hold"`` leaves members alone who may
            be that person: an address with another domain, another family name, a typing mistake. ``"hold-all"`` leaves
            all members alone. ``"remove"`` holds no removal for it.
        protect: People who are never removed, by id, ref or e-mail address; see `MemberPlan.held`.

    Returns:
        The plan. Print it, check it, then `apply` it.

    Raises:
        GuardRefused: The audience does not exist, is smart or is not API-controlled, or the list is empty.
        SyncError: The member list changed during every reading, or a member could not be read.
        InvalidArgument: `unknown` is another word, or `protect` holds something that is not a name.
        TypeError: An argument has the wrong type, or `desired` is a lone string or not an iterable.
        ThriveError: Thrive refused a request, or could not be reached.

    Example:
        ```python
        plan = await sync.plan_members(thrive, "sales-emea", ["ada@example.com", "E-1002"])
        print(plan)  # sales-emea: +1 -18 =1
        ```
    """
    check_audience_name(audience)
    check_iterable("desired", desired, "names")
    check_flags(removals=removals, allow_empty=allow_empty)
    check_unknown(unknown)
    protected = check_protect(protect)
    thrive = in_bulk(thrive)
    found = await audience_or_refusal(thrive, audience)
    check_audience(audience, found)
    return await plan_found(
        thrive,
        audience,
        found.id,
        desired,
        removals=removals,
        allow_empty=allow_empty,
        unknown=unknown,
        protect=protected,
    )


async def plan_found(
    thrive: ThriveClient,
    audience: str,
    audience_id: str,
    desired: Desired,
    *,
    removals: bool,
    allow_empty: bool,
    unknown: Unknown,
    protect: tuple[str, ...],
) -> MemberPlan:
    """Make the plan for an audience that was already found; see `plan_members`."""
    target = target_of(thrive, MemberPlan.kind, audience_id, audience)
    await claim(target)
    before = await last_run(target)
    # The time before anything is read, so that whatever another run does from now on makes this plan stale.
    made_at = datetime.now(UTC)
    # The list may have to be compared twice, and an iterator can be read only once.
    names: Any = desired if isinstance(desired, Collection) else await _collected(desired)

    async def plan(members: Sequence[AudienceMember]) -> MemberPlan:
        match = await matched(thrive, members, names)
        make = partial(planned, thrive, audience, audience_id, match, removals=removals, allow_empty=allow_empty)
        make = partial(make, unknown=unknown, protect=protect)
        # Searching this many people for similar names takes seconds.
        return await asyncio.to_thread(make) if len(match.to_add) + len(match.others) > _AT_ONCE else make()

    made = await planned_from_whole(lambda: list_members(thrive, audience, audience_id), plan)
    made.made_at, made.last_run = made_at, before
    return made


async def _collected(desired: Desired) -> Collection[object]:
    if isinstance(desired, AsyncIterable):
        return [entry async for entry in desired]
    entries: list[object] = []
    rest = iter(desired)
    while heap := list(islice(rest, _AT_ONCE)):
        entries += heap
        await asyncio.sleep(0)
    return entries


async def matched(thrive: ThriveClient, members: Sequence[AudienceMember], desired: Desired) -> Match:
    """Match desired names with members, yielding to other tasks on the loop now and then."""
    # Indexing 20,000 members at once holds the loop for 40 ms.
    matcher = await asyncio.to_thread(Matcher, members) if len(members) > _AT_ONCE else Matcher(members)
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
    match: Match,
    *,
    removals: bool,
    allow_empty: bool,
    unknown: Unknown = "hold",
    protect: Iterable[str] = (),
) -> MemberPlan:
    """Turn a comparison into a plan.

    Args:
        thrive: The client to apply the plan with.
        audience: The audience's name as the caller wrote it.
        audience_id: The audience's id.
        match: The comparison.
        removals: As for `plan_members`.
        allow_empty: As for `plan_members`.
        unknown: As for `plan_members`.
        protect: As for `plan_members`.

    Raises:
        GuardRefused: The list is empty.
    """
    usable = len(match.to_add) + len(match.staying) + len(match.ambiguous)
    past = "removed" if removals else None
    rejected = tuple((one.written, one.reason) for one in match.rejected)
    check_desired(audience, usable, rejected, allow_empty=allow_empty, past=past)
    # Without removals, nobody needs to be held.
    found = decided(match, unknown=unknown if removals else "remove", protect=protect)
    return MemberPlan(
        audience=audience,
        audience_id=audience_id,
        to_add=match.to_add,
        to_remove=found.to_remove if removals else (),
        staying=match.staying,
        kept=0 if removals else len(match.others),
        duplicates=match.duplicates,
        rejected=rejected,
        ambiguities=match.ambiguous,
        held=tuple(one for one in match.others if one.user_id in found.held) if removals else (),
        held_because=found.held if removals else {},
        held_unless=found.held_unless if removals else {},
        about={name: described(match, name) for name in {*match.where, *match.also}},
        removals=removals,
        tenant=thrive.tenant_id,
        thrive=thrive,
    )


def described(match: Match, name: str) -> Person:
    """Return what the list says of a newcomer beside the name that is sent."""
    known: dict[str, str] = {}
    for other in match.also.get(name, ()):
        known.setdefault("email" if "@" in other else "id" if is_object_id(other) else "ref", other)
    return Person(**known, row=match.where.get(name))


async def sync_members(
    thrive: ThriveClient,
    audience: str,
    desired: Desired,
    *,
    removals: bool = True,
    allow_empty: bool = False,
    unknown: Unknown = "hold",
    protect: Iterable[str] = (),
    max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS,
    on_progress: OnProgress | None = None,
    journal: str | os.PathLike[str] | None = None,
    strategy: Strategy = "diff",
    verify: bool = False,
    wait: float = 0.0,
) -> SyncReport:
    """Make an audience's members equal to a list: `plan_members` and `MemberPlan.apply` in one.

    Args:
        thrive: The client.
        audience: The audience's id or reference.
        desired: As for `plan_members`.
        removals: As for `plan_members`.
        allow_empty: As for `plan_members`.
        unknown: As for `plan_members`.
        protect: As for `plan_members`.
        max_removals: As for `MemberPlan.apply`.
        on_progress: As for `MemberPlan.apply`.
        journal: As for `MemberPlan.apply`.
        strategy: As for `MemberPlan.apply`.
        verify: As for `MemberPlan.apply`.
        wait: As for `MemberPlan.apply`. Nothing is read until the other run ends.

    Returns:
        The outcome of every planned change. Call `raise_for_failures` on it.

    Raises:
        GuardRefused: A guard refused the run. Nothing was changed.
        TypeError: An argument has the wrong type. Nothing was sent.
        InvalidArgument: An argument is out of range. Nothing was sent.
        ConfigurationError: The journal file holds something else, or a lock cannot be taken.
        ThriveError: The plan could not be made.
        OSError: The journal cannot be written.
    """
    # Check the arguments before the long reading, so that a mistake shows at once.
    applying = Applying(
        max_removals=max_removals,
        on_progress=on_progress,
        journal=journal,
        strategy=strategy,
        verify=verify,
        wait=wait,
    )
    await check_usable(journal)
    async with exclusive(wait=wait, journal=journal):
        plan = await plan_members(
            thrive, audience, desired, removals=removals, allow_empty=allow_empty, unknown=unknown, protect=protect
        )
        return await plan.apply_as(applying)
