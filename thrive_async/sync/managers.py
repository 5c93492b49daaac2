"""The managers of an audience made equal to a list of grants, by the permissions that can be written."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Self

import attrs

from thrive_async._base.problems import remember_unread, unread
from thrive_async.client import ThriveClient
from thrive_async.models import AudienceManager, AudienceMember, ManagerGrant
from thrive_async.sync._apply.journal import check_usable
from thrive_async.sync._apply.locks import claim, exclusive, target_of
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
from thrive_async.sync.permissions import restored_grant, saved_grant, writable_permissions
from thrive_async.sync.report import LeftOut, OnProgress, Outcome, SyncReport

__all__ = ["ManagerPlan", "plan_managers", "sync_managers"]

_UNREAD: Final = "held: the permissions of this manager could not be read; see ThriveClient.problems"


@attrs.define(kw_only=True, repr=False, eq=False)
class ManagerPlan(PeoplePlan[AudienceManager]):
    """What a sync of an audience's managers would change; made by `plan_managers`.

    Attributes:
        audience: The audience as the caller named it.
        audience_id: Its id.
        to_add: Grants of people who are no managers yet.
        to_change: Grants of managers whose writable permissions are others.
        to_remove: Managers who are not desired.
        staying: The ids of the managers who are desired, also of those to change.
        kept: How many managers are neither desired, removed nor held.
        duplicates: Names of people who had been named before.
        rejected: Pairs of what was written and why nothing is done for it.
        ambiguities: Names that fit two people, with the ids of those.
        held: Managers who would be removed if no entry were rejected or ambiguous that may mean them.
        held_because: The reason for each of them, by id.
        held_unless: Managers to remove whom names to add may mean, as in a `MemberPlan`.
        unread: The ids of the managers whose permissions could not be read; they are neither changed nor removed.
        tenant: The id of the tenant it was made for.
        made_at: When it was made.
        report: What became of the plan, once applied, also after a cancel; None before.
    """

    kind: ClassVar[str] = "managers"

    to_add: tuple[ManagerGrant, ...]
    to_change: tuple[ManagerGrant, ...]
    unread: tuple[str, ...] = ()

    @property
    def left_out(self) -> LeftOut:
        """What the plan leaves out, for the report."""
        left_out = super().left_out
        unchanged = tuple(Outcome("update", user_id, _UNREAD) for user_id in self.unread if user_id in self.staying)
        return attrs.evolve(left_out, held=(*left_out.held, *unchanged))

    @property
    def subject(self) -> str:
        """What the report calls it: ``"sales-emea (managers)"``."""
        return f"{self.audience} (managers)"

    @property
    def unchanged(self) -> int:
        """How many desired people are managers with the desired permissions already."""
        return len(self.staying) - len(self.to_change)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.to_add or self.to_change or self.to_remove)

    @property
    def calls(self) -> int:
        """How many writes it needs, without failures."""
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
        """Make the planned changes: additions and new permissions in hundreds, then removals one by one.

        New permissions go out as additions do. Thrive's documents do not say what adding a manager again does, so the
        managers are read afterwards, and those who kept the old permissions are reported as failed. Everything else is
        as in `MemberPlan.apply`.

        Args:
            max_removals: Refuse to remove more: a count (int), a fraction of the current managers (float), a `Share`,
                or None.
            on_progress: Called with a `Progress` after each answer; not awaited.
            journal: A file to append a line per outcome to.
            verify: Read the managers again at the end, and list what differs from the report in its `differences`.
            wait: As for `MemberPlan.apply`.
            max_age: As for `MemberPlan.apply`.

        Returns:
            What became of every planned change; new permissions are under `changed`.

        Raises:
            GuardRefused: As for `MemberPlan.apply`. Nothing was changed.
            SyncError: The plan was applied before, or has no client.
            InvalidArgument, TypeError: An argument cannot be meant.
            ConfigurationError: The journal is a file that holds something else, or a lock cannot be taken.
            OSError: The journal cannot be written. If something was done by then, the report is on the plan.
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
        """Apply the plan; `apply` is what you want."""
        async with self._turn(applying) as (interrupted, lock):
            self.check_guards(max_removals=applying.max_removals)
            return await apply_managers(self._begin_with(lock), self, applying, interrupted)

    async def refresh(self) -> None:
        """Read Thrive once more, and drop what no longer holds; see `SavedPlan.refresh`."""
        managers = await read_managers(self._client(self.subject), self.subject, self.audience_id)
        people = People(managers)
        owners = {grant.reference: people.owners(grant.reference) for grant in self.to_add}
        owners = {name: ids for name, ids in owners.items() if ids}
        changing = {grant.reference: people.owners(grant.reference) for grant in self.to_change}
        self._drop(managers, owners)
        self.to_add = tuple(grant for grant in self.to_add if grant.reference not in owners)
        gone = [grant.reference for grant in self.to_change if not changing[grant.reference]]
        self.dropped += tuple(Outcome("update", name, "is gone already") for name in gone)
        self.to_change = tuple(grant for grant in self.to_change if grant.reference not in gone)
        await super().refresh()

    def check_guards(self, *, max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS) -> None:
        """Refuse what `apply` would refuse, before anything is sent.

        Args:
            max_removals: As for `apply`.

        Raises:
            GuardRefused: More removals than allowed.
            SyncError: The plan was applied before, or has no client.
            InvalidArgument: `max_removals` cannot be meant.
        """
        self._client(self.audience)
        check_removals(self.audience, len(self.to_remove), self.current, max_removals, what="managers")

    def _content(self) -> dict[str, Any]:
        return {
            **super()._content(),
            "to_add": [saved_grant(grant) for grant in self.to_add],
            "to_change": [saved_grant(grant) for grant in self.to_change],
            "unread": self.unread,
        }

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            **cls._common(content, AudienceManager),
            to_add=tuple(map(restored_grant, content["to_add"])),
            to_change=tuple(map(restored_grant, content["to_change"])),
            unread=tuple(content["unread"]),
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
    """Compare an audience's managers with who should manage it, and with what permissions. Only reads.

    People match, and are held, as members are. Only the permissions that can be written are compared; what a grant
    leaves out is not given.

    Args:
        thrive: The client.
        audience: The audience's id or reference; a structure too.
        desired: Who should be a manager, each with the permissions: grants, or entries with `permissions`.
        removals: Whether to remove managers who are not desired.
        allow_empty: Whether an empty list is meant.
        unknown: As for `plan_members`.
        protect: People who are never removed, by id, ref or e-mail address; see `ManagerPlan.held`.

    Returns:
        The plan.

    Raises:
        GuardRefused: There is no such audience, it is smart or not API-controlled, or the list is empty.
        SyncError: The list of managers changed during every reading, or somebody in it could not be read.
        InvalidArgument: `unknown` is another word, or `protect` holds something that is no name.
        TypeError: An argument is of a wrong type; `desired` holds something that is no grant.
        ThriveError: Thrive refused, or could not be reached.

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
    await claim(target_of(thrive, ManagerPlan.kind, found.id, f"{audience} (managers)"))
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
        return ManagerPlan(
            audience=audience,
            audience_id=found.id,
            to_add=tuple(grant for key, grant in wanted.items() if key in newcomers),
            to_change=tuple(
                grant
                for key, grant in wanted.items()
                if key in by_id and key not in unreadable and _differs(grant, by_id[key])
            ),
            to_remove=tuple(by_id[one.user_id] for one in decision.to_remove if one.user_id not in held)
            if removals
            else (),
            staying=match.staying,
            kept=0 if removals else len(match.others),
            duplicates=match.duplicates,
            rejected=(*rejected, *contradictions),
            ambiguities=match.ambiguous,
            held=tuple(by_id[user_id] for user_id in held) if removals else (),
            held_because=held if removals else {},
            held_unless=decision.held_unless if removals else {},
            unread=unreadable,
            tenant=thrive.tenant_id,
            made_at=made_at,
            thrive=thrive,
        )

    return await planned_from_whole(lambda: list_managers(thrive, f"{audience} (managers)", found.id), plan)


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
    """Return the grant of each person, by id or by the newcomer's key; and those that contradict another one."""
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
    # If a person is named twice with different permissions, it cannot be told which are meant.
    return wanted, [wanted.pop(key) for key in sorted(contradicted)]


def _differs(grant: ManagerGrant, manager: AudienceManager) -> bool:
    return writable_permissions(manager.permissions) != writable_permissions(grant.permissions)


def _sendable(name: str, manager: AudienceManager | None) -> str:
    """Return a name that Thrive knows: the name as it is in Thrive if it is a manager's, else as written."""
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
        audience: The audience's id or reference; a structure too.
        desired: Who should be a manager, each with the permissions.
        removals: Whether to remove managers who are not desired.
        allow_empty: Whether an empty list is meant.
        unknown: As for `plan_members`.
        protect: As for `plan_managers`.
        max_removals: As for `ManagerPlan.apply`.
        on_progress: As for `ManagerPlan.apply`.
        journal: As for `ManagerPlan.apply`.
        verify: As for `ManagerPlan.apply`.
        wait: As for `MemberPlan.apply`. The other run ends before anything is read.

    Returns:
        What became of every planned change; call `raise_for_failures` on it.

    Raises:
        GuardRefused: A guard refused; nothing was changed.
        TypeError: An argument is of a wrong type; nothing was sent.
        InvalidArgument: An argument cannot be meant; nothing was sent.
        ConfigurationError: The journal is a file that holds something else, or a lock cannot be taken.
        ThriveError: The plan could not be made.
        OSError: The journal cannot be written.

    Example:
        ```python
        report = await sync.sync_managers(thrive, "sales-emea", grants, max_removals=1)
        report.raise_for_failures()
        ```
    """
    # Before anything is read, so that a mistake costs no minutes.
    applying = Applying(max_removals=max_removals, on_progress=on_progress, journal=journal, verify=verify, wait=wait)
    await check_usable(journal)
    async with exclusive(wait=wait, journal=journal):
        plan = await plan_managers(
            thrive, audience, desired, removals=removals, allow_empty=allow_empty, unknown=unknown, protect=protect
        )
        return await plan.apply_as(applying)
