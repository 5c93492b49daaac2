"""The managers of an audience made equal to a list of grants, by the permissions that can be written."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import attrs

from thrive_async.client import ThriveClient
from thrive_async.models import AudienceManager, AudienceMember, ManagerGrant, MemberOperationResult
from thrive_async.sync._apply.audience_run import AudienceRun
from thrive_async.sync._apply.batches import BATCH
from thrive_async.sync._apply.execution import DoneNow, carry_out
from thrive_async.sync._apply.journal import left_open
from thrive_async.sync._arguments import check_applying, check_audience_name, check_flags
from thrive_async.sync._guards import DEFAULT_MAX_REMOVALS, check_audience, check_desired, check_removals
from thrive_async.sync._match.lookups import compared
from thrive_async.sync._match.matching import Matcher
from thrive_async.sync._match.names import clean, newcomer_key
from thrive_async.sync._people_plan import PeoplePlan, common_content
from thrive_async.sync._plans import summed_up
from thrive_async.sync._reading import Present, audience_or_refusal, read_managers
from thrive_async.sync.permissions import restored_grant, saved_grant, writable_permissions
from thrive_async.sync.report import Change, OnProgress, SyncReport

__all__ = ["ManagerPlan", "plan_managers"]


@attrs.define(kw_only=True, repr=False, eq=False)
class ManagerPlan(PeoplePlan[AudienceManager]):
    """What a sync of an audience's managers would change; made by `plan_managers`.

    Attributes:
        audience: The audience as the caller named it.
        audience_id: Its id.
        to_add: Grants of people who are no managers yet.
        to_change: Grants of managers whose writable permissions are others.
        to_remove: Managers who are not desired.
        staying: The ids of the managers who are desired, those to be changed among them.
        kept: How many managers are neither desired nor removed.
        duplicates: Names of people who had been named before.
        rejected: Pairs of what was written and why nothing is done for it.
        ambiguities: Names that fit two people, with the ids of those.
        tenant: The id of the tenant it was made for.
        doubtful: Managers to be removed, by id, who differ only in how a name is written from somebody to be added, as
            in a `MemberPlan`.
        made_at: When it was made.
        report: What became of it, once applied, also after a cancel; None before.
    """

    kind: ClassVar[str] = "managers"

    to_add: tuple[ManagerGrant, ...]
    to_change: tuple[ManagerGrant, ...]

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
        return -(-(len(self.to_add) + len(self.to_change)) // BATCH) + len(self.to_remove)

    def __str__(self) -> str:
        counts = f"+{len(self.to_add):,} ~{len(self.to_change):,} -{len(self.to_remove):,} ={self.unchanged:,}"
        return summed_up(
            f"{self.audience} (managers): {counts}",
            (len(self.duplicates), "duplicate", "duplicates"),
            (len(self.rejected), "rejected", "rejected"),
            (len(self.ambiguities), "ambiguous", "ambiguous"),
            (self.kept, "other kept", "others kept"),
        )

    async def apply(
        self,
        *,
        max_removals: float | None = DEFAULT_MAX_REMOVALS,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
    ) -> SyncReport:
        """Make the planned changes: additions and new permissions in hundreds, then removals one by one.

        New permissions go out as additions do: Thrive's documents do not say what adding a manager again does, so the
        managers are read afterwards, and who kept the old permissions is reported as failed. Everything else is as in
        `MemberPlan.apply`.

        Args:
            max_removals: Refuse to remove more: a count (int), a fraction of the current managers (float), or None.
            on_progress: Called with a `Progress` after each answer; not awaited.
            journal: A file to append a line per outcome to.

        Returns:
            What became of every planned change; new permissions are under `changed`.

        Raises:
            GuardRefused: More removals than allowed, or another run goes on with the same journal; nothing was sent.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError, TypeError: An argument cannot be meant.
            OSError: The journal cannot be written; if something was done by then, the report is on the plan.
        """
        await check_applying(max_removals=max_removals, on_progress=on_progress, journal=journal)
        subject = f"{self.audience} (managers)"
        interrupted = await left_open(journal, self.scope, subject)
        self.check_guards(max_removals=max_removals)
        thrive = self._client(self.audience)
        self._applying = True
        run = _ManagerRun(thrive, self, subject, journal=journal, on_progress=on_progress)
        return await carry_out(run, self, strategy="diff", interrupted=interrupted)

    def check_guards(self, *, max_removals: float | None = DEFAULT_MAX_REMOVALS) -> None:
        """Refuse what `apply` would refuse, before anything is sent.

        Args:
            max_removals: As for `apply`.

        Raises:
            GuardRefused: More removals than allowed.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError: `max_removals` is neither a count nor a fraction.
        """
        self._client(self.audience)
        check_removals(self.audience, len(self.to_remove), self.current, max_removals, what="managers")

    def _content(self) -> dict[str, Any]:
        return {
            **super()._content(),
            "to_add": [saved_grant(grant) for grant in self.to_add],
            "to_change": [saved_grant(grant) for grant in self.to_change],
        }

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            **common_content(content, AudienceManager),
            to_add=tuple(map(restored_grant, content["to_add"])),
            to_change=tuple(map(restored_grant, content["to_change"])),
            **common,
        )


class _ManagerRun(AudienceRun):
    """One apply of a manager plan."""

    def __init__(
        self,
        thrive: ThriveClient,
        plan: ManagerPlan,
        subject: str,
        *,
        journal: str | os.PathLike[str] | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._grants = [*plan.to_change, *plan.to_add]
        self._wanted = {grant.reference: writable_permissions(grant.permissions) for grant in self._grants}
        changes = [Change("update", grant.reference) for grant in plan.to_change]
        changes += [Change("add", grant.reference) for grant in plan.to_add]
        changes += [Change("remove", manager.user_id) for manager in plan.to_remove]
        super().__init__(
            thrive=thrive,
            audience_id=plan.audience_id,
            subject=subject,
            changes=changes,
            removals=len(plan.to_remove),
            doubtful=plan.doubtful,
            calls=plan.calls,
            journal=journal,
            on_progress=on_progress,
        )

    async def write(self, places: Sequence[int]) -> MemberOperationResult:
        return await self.thrive.audiences.managers.add(self.audience_id, [self._grants[place] for place in places])

    async def erase(self, reference: str) -> None:
        await self.thrive.audiences.managers.remove(self.audience_id, reference)

    async def do(self) -> None:
        await self.add_all(self.additions)
        if not self.stopped:
            await self.remove_all()

    def must_be_read(self, place: int) -> bool:
        """Return True for new permissions: see `ManagerPlan.apply`."""
        return self.ledger.changes[place].action == "update"

    async def read_back(self, changes: Sequence[tuple[str, str]]) -> DoneNow:  # noqa: ARG002 - all are read at once
        managers = await read_managers(self.thrive, self.audience_id)
        present = Present(managers)
        given = {manager.user_id: writable_permissions(manager.permissions) for manager in managers}

        def done(action: str, reference: str) -> bool:
            if action == "remove":
                return reference not in present.ids
            user_id = present.find(reference)
            if user_id is None:
                return False
            wanted = self._wanted.get(reference)
            return wanted is None or wanted == given[user_id]

        return done

    async def present(self) -> Present:
        return Present(await read_managers(self.thrive, self.audience_id))


async def plan_managers(
    thrive: ThriveClient,
    audience: str,
    desired: Iterable[ManagerGrant],
    *,
    removals: bool = True,
    allow_empty: bool = False,
) -> ManagerPlan:
    """Compare an audience's managers with who should manage it, and with what permissions. Only reads.

    People match as members do. Only the permissions that can be written are compared; what a grant leaves out is not
    given.

    Args:
        thrive: The client.
        audience: The audience's id or reference; a structure too.
        desired: Who should be a manager, each with the permissions.
        removals: Whether who is not desired is to be removed.
        allow_empty: Whether an empty list is meant.

    Returns:
        The plan.

    Raises:
        GuardRefused: There is no such audience, it is smart or not API-controlled, or nobody is desired.
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
    if isinstance(desired, str | ManagerGrant) or not isinstance(desired, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"desired must be an iterable of ManagerGrants, not a lone {type(desired).__name__}")
    grants = list(desired)
    for grant in grants:
        if not isinstance(grant, ManagerGrant):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"desired must be ManagerGrants, not {type(grant).__name__}")
    found = await audience_or_refusal(thrive, audience)
    check_audience(audience, found)
    managers = await read_managers(thrive, found.id)
    people = [
        AudienceMember(user_id=manager.user_id, reference=manager.reference, email=manager.email)
        for manager in managers
    ]
    matcher = Matcher(people)
    matcher.feed([grant.reference for grant in grants])
    match = await compared(thrive, matcher)

    by_id = {manager.user_id: manager for manager in managers}
    newcomers = {newcomer_key(name): name for name in match.to_add}
    wanted: dict[str, ManagerGrant] = {}
    contradicted: set[str] = set()
    for grant in grants:
        name, reason = clean(grant.reference)
        if reason is not None:
            continue
        key = matcher.identify(name)
        if key is None:
            continue
        first = wanted.setdefault(key, attrs.evolve(grant, reference=_sendable(name, by_id.get(key))))
        if writable_permissions(first.permissions) != writable_permissions(grant.permissions):
            contradicted.add(key)
    # Who is named twice with different permissions is left as they are: neither is guessed.
    rejected = [(wanted.pop(key).reference, "named twice with different permissions") for key in sorted(contradicted)]

    to_add = [grant for key, grant in wanted.items() if key in newcomers]
    to_change = [
        grant
        for key, grant in wanted.items()
        if key in by_id and writable_permissions(by_id[key].permissions) != writable_permissions(grant.permissions)
    ]
    check_desired(
        f"{audience} (managers)",
        len(wanted) + len(match.ambiguous) + len(rejected),
        match.rejected,
        allow_empty=allow_empty,
        past="removed" if removals else None,
    )
    to_remove = [by_id[person.user_id] for person in match.to_remove] if removals else []
    return ManagerPlan(
        audience=audience,
        audience_id=found.id,
        to_add=tuple(to_add),
        to_change=tuple(to_change),
        to_remove=tuple(to_remove),
        staying=match.staying,
        kept=len(managers) - len(match.staying) - len(to_remove),
        doubtful=match.doubtful if removals else {},
        duplicates=match.duplicates,
        rejected=(*match.rejected, *rejected),
        ambiguities=match.ambiguous,
        tenant=thrive.tenant_id,
        thrive=thrive,
    )


def _sendable(name: str, manager: AudienceManager | None) -> str:
    """Return a name that Thrive knows: of an id in another case the id as it is, of anything else the name."""
    if manager is None or name == manager.reference or name.lower() != manager.user_id:
        return name
    return manager.user_id
