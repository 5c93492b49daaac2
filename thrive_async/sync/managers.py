"""Make the managers of an audience, and their writable permissions, equal to a list of grants."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Self

import attrs

from thrive_async._base.problems import remember_unread, unread
from thrive_async.client import ThriveClient
from thrive_async.models import AudienceManager, AudienceMember, ManagerGrant
from thrive_async.sync._apply.journal import check_usable
from thrive_async.sync._apply.journal_lines import Person
from thrive_async.sync._apply.locks import claim, exclusive, last_run, target_of
from thrive_async.sync._apply.managers import MANAGERS_AT_ONCE, apply_managers
from thrive_async.sync._doubts import Unknown, check_protect, check_unknown
from thrive_async.sync._doubts import removals as decided
from thrive_async.sync._guards import (
    DEFAULT_MAX_AGE,
    DEFAULT_MAX_REMOVALS,
    Applying,
    MaxRemovals,
    check_audience,
    check_audience_name,
    check_desired,
    check_flags,
    check_removals,
)
from thrive_async.sync._match.lookups import compared
from thrive_async.sync._match.matching import Matcher, People
from thrive_async.sync._match.names import Entry, clean, lowered, newcomer_key
from thrive_async.sync._plans import PeoplePlan, summed_up
from thrive_async.sync._reading import audience_or_refusal, list_managers, planned_from_whole, read_managers
from thrive_async.sync._workers import in_bulk
from thrive_async.sync.members import described
from thrive_async.sync.permissions import restored_grant, saved_grant, writable_permissions
from thrive_async.sync.report import LeftOut, OnProgress, Outcome, SyncReport

__all__ = ["ManagerPlan", "plan_managers", "sync_managers"]

_UNREAD: Final = "held: the permissions of this manager could not be read; see ThriveClient.problems"


@attrs.define(kw_only=True, repr=False, eq=False)
class ManagerPlan(PeoplePlan[AudienceManager]):
    """What a sync of an audience's managers would change; made by `plan_managers`.

    Attributes:
        audience: The audience as you named it.
        audience_id: The audience's id, used for all writes.
        to_add: Grants for people who are not managers yet.
        to_change: Grants for managers with other writable permissions.
        to_remove: Managers who are not desired.
        staying: The ids of the managers who are desired, including those to change.
        kept: How many managers are neither desired, removed nor held.
        duplicates: Names of people who were already named earlier in the list.
        rejected: Pairs of an entry and why nothing is sent for it.
        ambiguities: Names that fit two people, with the ids of both.
        held: Managers who would be removed, but whom a rejected or ambiguous entry may mean.
        held_because: The reason for each held manager, by id.
        held_unless: The names to add that may mean a manager to remove, as in a `MemberPlan`.
        unread: The ids of managers with unreadable permissions. They are neither changed nor removed.
        before: What managers may do now, such as ``("people_manager.insights",)``: by reference for those to change, by
            id for those to remove.
        tenant: The id of the tenant that the plan was made for.
        made_at: When the plan was made.
        report: The report of the run, also after a cancel; None before the plan is applied.
    """

    kind: ClassVar[str] = "managers"

    to_add: tuple[ManagerGrant, ...]
    to_change: tuple[ManagerGrant, ...]
    unread: tuple[str, ...] = ()
    before: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])

    @property
    def people(self) -> Mapping[tuple[str, str], Person]:
        """What is known of the people it adds, changes and removes, for the journal."""
        added = self._described("add", (grant.reference for grant in self.to_add))
        changed = self._described("update", (grant.reference for grant in self.to_change))
        return {**added, **changed, **self._leaving}

    @property
    def left_out(self) -> LeftOut:
        """What the plan leaves out, for the report."""
        left_out = super().left_out
        unchanged = tuple(Outcome("update", user_id, _UNREAD) for user_id in self.unread if user_id in self.staying)
        return attrs.evolve(left_out, held=(*left_out.held, *unchanged))

    @property
    def subject(self) -> str:
        """The name that the report uses: ``"sales-emea (managers)"``."""
        return f"{self.audience} (managers)"

    @property
    def unchanged(self) -> int:
        """How many desired people already are managers with the desired permissions."""
        return len(self.staying) - len(self.to_change)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.to_add or self.to_change or self.to_remove)

    @property
    def figures(self) -> dict[str, int]:
        """What the plan does, and what it leaves out, as counts by name."""
        return {"to add": len(self.to_add), "to change": len(self.to_change), **super().figures}

    @property
    def calls(self) -> int:
        """How many writes the plan needs if all succeed."""
        return -(-(len(self.to_add) + len(self.to_change)) // MANAGERS_AT_ONCE) + len(self.to_remove)

    def __str__(self) -> str:
        counts = f"+{len(self.to_add):,} ~{len(self.to_change):,} -{len(self.to_remove):,} ={self.unchanged:,}"
        return summed_up(f"{self.subject}: {counts}", *self._notes)

    async def apply(
        self,
        *,
        max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
        verify: bool = False,
        wait: float = 0.0,
        max_age: timedelta | None = DEFAULT_MAX_AGE,
    ) -> SyncReport:
        """Make the planned changes: additions and new permissions in batches of 100, then removals one by one.

        To change permissions, the run adds the manager again. Thrive does not document what this does, so the run reads
        the managers afterwards, and reports those who kept the old permissions as failed. Everything else is as in
        `MemberPlan.apply`.

        Args:
            max_removals: Refuse to remove more than this: a count (int), a fraction of the current managers (float), a
                `Guard` (by default 10 %, but at least one), or None for no guard.
            on_progress: A plain function, called with a `Progress` after each answer. It is not awaited.
            journal: A file that gets one line per outcome, as it happens.
            verify: Read the managers again at the end, and list what differs from the report in its `differences`.
            wait: As for `MemberPlan.apply`.
            max_age: As for `MemberPlan.apply`.

        Returns:
            The outcome of every planned change. New permissions are in `changed`.

        Raises:
            GuardRefused: As for `MemberPlan.apply`. Nothing was changed.
            SyncError: The plan was applied before, or has no client.
            InvalidArgument, TypeError: An argument is out of range or has the wrong type.
            ConfigurationError: The journal file holds something else, or a lock cannot be taken.
            OSError: The journal cannot be written. If changes were already made, the report is on the plan.
        """
        return await self.apply_as(
            Applying(
                max_removals=max_removals,
                on_progress=on_progress,
                journal=journal,
                verify=verify,
                wait=wait,
                max_age=max_age,
            )
        )

    async def apply_as(self, applying: Applying) -> SyncReport:
        """Apply the plan. Call `apply` instead."""
        async with self._turn(applying) as (interrupted, lock):
            self.check_guards(max_removals=applying.max_removals)
            return await apply_managers(await self._begin_with(lock), self, applying, interrupted)

    async def refresh(self) -> None:
        """Read Thrive again, and drop changes that no longer apply; see `SavedPlan.refresh`."""
        managers = await read_managers(self._client(self.subject), self.subject, self.audience_id)
        people = People(managers)
        owners = {grant.reference: people.owners(grant.reference) for grant in self.to_add}
        owners = {name: ids for name, ids in owners.items() if ids}
        gone = [grant.reference for grant in self.to_change if not people.owners(grant.reference)]
        self._drop(managers, owners, [Outcome("update", name, "is gone already") for name in gone])
        self.to_add = tuple(grant for grant in self.to_add if grant.reference not in owners)
        self.to_change = tuple(grant for grant in self.to_change if grant.reference not in gone)
        self.before = permissions_before(managers, self.to_change, self.to_remove)
        await super().refresh()

    def check_guards(self, *, max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS) -> None:
        """Raise the errors that `apply` would raise before it sends anything.

        Args:
            max_removals: As for `apply`.

        Raises:
            GuardRefused: The plan removes more than allowed.
            SyncError: The plan was applied before, or has no client.
            InvalidArgument: `max_removals` is out of range.
        """
        self._client(self.audience)
        check_removals(self.audience, len(self.to_remove), self.current, max_removals, what="managers")

    def _content(self) -> dict[str, Any]:
        return {
            **super()._content(),
            "to_add": [saved_grant(grant) for grant in self.to_add],
            "to_change": [saved_grant(grant) for grant in self.to_change],
            "unread": self.unread,
            "before": dict(self.before),
        }

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            **cls._common(content, AudienceManager),
            to_add=tuple(map(restored_grant, content["to_add"])),
            to_change=tuple(map(restored_grant, content["to_change"])),
            unread=tuple(content["unread"]),
            before={name: tuple(given) for name, given in content["before"].items()},
            **common,
        )


async def plan_managers(
    thrive: ThriveClient,
    audience: str,
    desired: Iterable[ManagerGrant | Entry],
    *,
    removals: bool = True,
    allow_empty: bool = False,
    unknown: Unknown = "hold",
    protect: Iterable[str] = (),
) -> ManagerPlan:
    """Compare an audience's managers and their permissions with a desired list, without changing anything.

    Managers match and are held by the same rules as members. Only writable permissions are compared. A permission that
    a grant omits is not given.

    Args:
        thrive: The client.
        audience: The id or reference of the audience or structure.
        desired: The people who should be managers, with their permissions: grants, or entries with `permissions`.
        removals: Whether to remove managers who are not desired.
        allow_empty: Accept an empty list.
        unknown: As for `plan_members`.
        protect: People who are never removed, by id, ref or e-mail address; see `ManagerPlan.held`.

    Returns:
        The plan. Print it, check it, then `apply` it.

    Raises:
        GuardRefused: The audience does not exist, is smart or is not API-controlled, or the list is empty.
        SyncError: The list of managers changed during every reading, or a manager could not be read.
        InvalidArgument: `unknown` is another word, or `protect` holds something that is not a name.
        TypeError: An argument has the wrong type, or `desired` holds something that is not a grant.
        ThriveError: Thrive refused a request, or could not be reached.

    Example:
        ```python
        insights = ManagerGrantPermissions(people_manager=PeopleManagerGrant(insights=True))
        plan = await sync.plan_managers(
            thrive, "sales-emea", [ManagerGrant(reference="ada@example.com", permissions=insights)]
        )
        report = await plan.apply(max_removals=1)
        ```
    """
    check_audience_name(audience)
    check_flags(removals=removals, allow_empty=allow_empty)
    check_unknown(unknown)
    protected = check_protect(protect)
    if isinstance(desired, str | ManagerGrant | Entry) or not isinstance(desired, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"desired must be an iterable of ManagerGrants, not a lone {type(desired).__name__}")
    entries = list(map(_entry, desired))
    thrive = in_bulk(thrive)
    found = await audience_or_refusal(thrive, audience)
    check_audience(audience, found)
    target = target_of(thrive, ManagerPlan.kind, found.id, f"{audience} (managers)")
    await claim(target)
    before = await last_run(target)
    made_at = datetime.now(UTC)

    async def plan(managers: Sequence[AudienceManager]) -> ManagerPlan:
        matcher = Matcher(list(map(_as_member, managers)))
        matcher.feed(entries)
        match = await compared(thrive, matcher)
        by_id = {manager.user_id: manager for manager in managers}
        unreadable = tuple(one.user_id for one in managers if "permissions" in unread(one))
        newcomers = {newcomer_key(name) for name in match.to_add}
        wanted, contradicted = _wanted(entries, matcher, by_id)
        rejected = [(one.written, one.reason) for one in match.rejected]
        contradictions = [(grant.reference, "named twice with different permissions") for grant in contradicted]
        check_desired(
            f"{audience} (managers)",
            len(wanted) + len(match.ambiguous) + len(contradictions),
            rejected,
            allow_empty=allow_empty,
            past="removed" if removals else None,
        )
        decision = decided(match, unknown=unknown, protect=protected)
        held = {**decision.held, **{one: _UNREAD for one in unreadable if one not in match.staying}}
        to_change = tuple(
            grant
            for key, grant in wanted.items()
            if key in by_id and key not in unreadable and _differs(grant, by_id[key])
        )
        leaving = tuple(by_id[one.user_id] for one in decision.to_remove if one.user_id not in held)
        to_remove = leaving if removals else ()
        return ManagerPlan(
            audience=audience,
            audience_id=found.id,
            to_add=tuple(grant for key, grant in wanted.items() if key in newcomers),
            to_change=to_change,
            to_remove=to_remove,
            staying=match.staying,
            kept=0 if removals else len(match.others),
            duplicates=match.duplicates,
            rejected=(*rejected, *contradictions),
            ambiguities=match.ambiguous,
            held=tuple(by_id[user_id] for user_id in held) if removals else (),
            held_because=held if removals else {},
            held_unless=decision.held_unless if removals else {},
            unread=unreadable,
            about={name: described(match, name) for name in {*match.where, *match.also}},
            before=permissions_before(managers, to_change, to_remove),
            tenant=thrive.tenant_id,
            made_at=made_at,
            last_run=before,
            thrive=thrive,
        )

    return await planned_from_whole(lambda: list_managers(thrive, f"{audience} (managers)", found.id), plan)


def permissions_before(
    managers: Sequence[AudienceManager], to_change: Iterable[ManagerGrant], to_remove: Iterable[AudienceManager]
) -> dict[str, tuple[str, ...]]:
    """Return what managers may do now; see `ManagerPlan.before`."""
    people = People(managers)
    given = {one.user_id: tuple(sorted(writable_permissions(one.permissions))) for one in managers}
    changed = {grant.reference: people.owners(grant.reference) for grant in to_change}
    before = {name: given[owners[0]] for name, owners in changed.items() if len(owners) == 1}
    return before | {one.user_id: given[one.user_id] for one in to_remove if one.user_id in given}


def _as_member(manager: AudienceManager) -> AudienceMember:
    member = AudienceMember(user_id=manager.user_id, reference=manager.reference, email=manager.email)
    if lost := unread(manager):
        remember_unread(member, lost)
    return member


def _entry(grant: object) -> Entry:
    if isinstance(grant, ManagerGrant):
        return Entry(name=grant.reference, permissions=grant.permissions)
    if not isinstance(grant, Entry):
        raise TypeError(f"desired must be ManagerGrants, not {type(grant).__name__}")
    if grant.permissions is None and grant.doubt is None:
        raise TypeError(f"desired: the entry {grant.where or grant.name} has no permissions")
    return grant


def _wanted(
    entries: Iterable[Entry], matcher: Matcher, by_id: Mapping[str, AudienceManager]
) -> tuple[dict[str, ManagerGrant], list[ManagerGrant]]:
    """Return each person's grant, by id or by the newcomer's key, and the grants of people with contradictory ones."""
    wanted: dict[str, ManagerGrant] = {}
    contradicted: set[str] = set()
    for entry in entries:
        key = matcher.identify(entry)
        if key is None or entry.permissions is None:
            continue
        name = next(name for name, reason in map(clean, (entry.name, *entry.also)) if reason is None)
        grant = ManagerGrant(reference=_sendable(name, by_id.get(key)), permissions=entry.permissions)
        first = wanted.setdefault(key, grant)
        if writable_permissions(first.permissions) != writable_permissions(grant.permissions):
            contradicted.add(key)
    # If a person is named twice with different permissions, either grant may be the right one.
    return wanted, [wanted.pop(key) for key in sorted(contradicted)]


def _differs(grant: ManagerGrant, manager: AudienceManager) -> bool:
    return writable_permissions(manager.permissions) != writable_permissions(grant.permissions)


def _sendable(name: str, manager: AudienceManager | None) -> str:
    """Return a name that Thrive accepts: a manager's name as Thrive spells it, any other name as written."""
    if manager is None or name == manager.reference:
        return name
    email = manager.email or ""
    if name.lower() == email.lower():
        return name
    return email if lowered(email) == lowered(name) else manager.user_id


async def sync_managers(
    thrive: ThriveClient,
    audience: str,
    desired: Iterable[ManagerGrant | Entry],
    *,
    removals: bool = True,
    allow_empty: bool = False,
    unknown: Unknown = "hold",
    protect: Iterable[str] = (),
    max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS,
    on_progress: OnProgress | None = None,
    journal: str | os.PathLike[str] | None = None,
    verify: bool = False,
    wait: float = 0.0,
) -> SyncReport:
    """Make an audience's managers equal to a list of grants: `plan_managers` and `ManagerPlan.apply` in one.

    Args:
        thrive: The client.
        audience: As for `plan_managers`.
        desired: As for `plan_managers`.
        removals: As for `plan_managers`.
        allow_empty: As for `plan_managers`.
        unknown: As for `plan_members`.
        protect: As for `plan_managers`.
        max_removals: As for `ManagerPlan.apply`.
        on_progress: As for `ManagerPlan.apply`.
        journal: As for `ManagerPlan.apply`.
        verify: As for `ManagerPlan.apply`.
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

    Example:
        ```python
        report = await sync.sync_managers(thrive, "sales-emea", grants, max_removals=1)
        report.raise_for_failures()
        ```
    """
    # Check the arguments before the long reading, so that a mistake shows at once.
    applying = Applying(max_removals=max_removals, on_progress=on_progress, journal=journal, verify=verify, wait=wait)
    await check_usable(journal)
    async with exclusive(wait=wait, journal=journal):
        plan = await plan_managers(
            thrive, audience, desired, removals=removals, allow_empty=allow_empty, unknown=unknown, protect=protect
        )
        return await plan.apply_as(applying)
