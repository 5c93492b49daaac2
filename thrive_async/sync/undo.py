"""Bring back what a run did: plan the opposite of what its journal says. The plan is like any other plan."""

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, get_args

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError, InvalidArgument, ThriveError
from thrive_async.models import AudienceManager, AudienceMember
from thrive_async.sync._apply.journal import unfinished
from thrive_async.sync._apply.locks import claim, last_run, target_of
from thrive_async.sync._apply.records import Call, Record, archive_of, calls_of, records_of
from thrive_async.sync._doubts import check_protect
from thrive_async.sync._guards import check_audience
from thrive_async.sync._match.user_diff import known
from thrive_async.sync._reading import audience_or_refusal, list_managers, list_members, planned_from_whole, read_whole
from thrive_async.sync._undoing import Accounts, Managers, Members
from thrive_async.sync._workers import few_at_once, in_bulk
from thrive_async.sync.audiences import AudiencesPlan
from thrive_async.sync.errors import GuardRefused
from thrive_async.sync.managers import ManagerPlan, permissions_before
from thrive_async.sync.members import MemberPlan
from thrive_async.sync.users import Returning, UserPlan

__all__ = ["Only", "plan_undo"]

Only = Literal["removals", "additions", "changes"]
_KINDS: Final[Mapping[str, Only]] = {
    "remove": "removals",
    "suspend": "removals",
    "add": "additions",
    "create": "additions",
    "update": "changes",
    "unsuspend": "changes",
}
_SHORTEST: Final = 4
_AT_ONCE: Final = 8


async def plan_undo(
    thrive: ThriveClient,
    journal: str | os.PathLike[str],
    run: str | None = None,
    only: Only | None = None,
    *,
    returning: Returning = "report",
    protect: Iterable[str] = (),
) -> MemberPlan | ManagerPlan | UserPlan | AudiencesPlan:
    """Compare what a run did with what is there now, and plan to undo it, without changing anything.

    - People whom the run removed are added again, managers with the permissions that they had.
    - People whom it added are removed if they are still there. Users whom it created are suspended.
    - Fields and permissions that it changed are put back if they still have the value that the run gave them.
    - Users whom it suspended stay suspended unless you pass ``returning="unsuspend"``.

    What cannot be brought back is held, with the reason. Audiences that the run created are not deleted.

    Args:
        thrive: The client.
        journal: The journal of the run.
        run: The run, or the call that it was part of, by its id or the first four or more characters of it. None means
            the last call that changed something; the runs of one `sync_audiences` belong together.
        only: Undo only what the run removed or suspended (``"removals"``), added or created (``"additions"``), or
            changed (``"changes"``). None undoes all of it.
        returning: ``"unsuspend"`` brings suspended users back, by a legacy event (see
            `thrive.provisioning.user_joined`). ``"report"`` holds them.
        protect: People who are never removed or suspended, by id, ref or e-mail address.

    Returns:
        The plan. Print it, check it, then `apply` it, with the same journal if you may want to undo the undo. It is an
        `AudiencesPlan` if the call synced several audiences.

    Raises:
        ConfigurationError: The file is not a journal, has no such run, or the run is another tenant's.
        GuardRefused: The run is still open, its people were redacted, or its audience is gone or cannot be changed.
        InvalidArgument: An argument is out of range, or `run` fits several runs.
        SyncError: A list changed during every reading.
        ThriveError: Thrive refused a request, or could not be reached.
        OSError: The journal cannot be read.

    Example:
        ```python
        plan = await sync.plan_undo(thrive, "run.jsonl", only="removals")
        print(plan)  # sales-emea: +18 -0 =0
        report = await plan.apply(journal="run.jsonl")
        ```
    """
    if only is not None and only not in get_args(Only):
        raise InvalidArgument('$only must be "removals", "additions" or "changes"', "only")
    if returning not in get_args(Returning):
        raise InvalidArgument('$returning must be "report" or "unsuspend"', "returning")
    protected = check_protect(protect)
    call, chosen = await asyncio.to_thread(_chosen, journal, run, thrive.tenant_id)
    records = await asyncio.to_thread(records_of, journal, chosen.__contains__)
    thrive = in_bulk(thrive)
    undo = _Undo(thrive, chosen[0] if len(chosen) < len(call.openings) else call.id, only, returning, protected)
    if len(records) == 1:
        return await undo.plan(records[0])
    plan = AudiencesPlan(
        plans={},
        errors={},
        order=tuple(record.audience for record in records),
        tenant=thrive.tenant_id,
        thrive=thrive,
        undoes=undo.undoes,
    )

    async def plan_one(record: Record) -> None:
        try:
            plan.plans[record.audience] = await undo.members(record)
        except ThriveError as error:
            plan.errors[record.audience] = error

    await few_at_once(records, plan_one, _AT_ONCE)
    return plan


def _chosen(journal: str | os.PathLike[str], run: str | None, tenant: str) -> tuple[Call, list[str]]:
    """Return the call to undo, and the ids of its runs.

    Raises:
        ConfigurationError, InvalidArgument, GuardRefused: See `plan_undo`.
    """
    name = os.fspath(journal)
    calls = calls_of(journal)
    if not calls:
        raise ConfigurationError(f"{name}: this journal holds no run, so there is nothing to undo")
    if run is None:
        own = [call for call in calls.values() if call.tenant == tenant]
        call = next((call for call in reversed(own or list(calls.values())) if call.changed), None)
        if call is None:
            raise ConfigurationError(
                f"{name}: no run in this journal has changed anything, so there is nothing to undo"
            )
        chosen = list(call.openings)
    else:
        call, chosen = _named(name, calls, run)
    if call.tenant != tenant:
        raise ConfigurationError(
            f"{name}: run {call.id} is of the tenant {call.tenant}, and this client is {tenant}'s; nothing was sent"
        )
    if call.redacted:
        raise GuardRefused(
            f"{name}: run {call.id} was redacted on {call.redacted[:10]}: its people are not known any more"
        )
    if call.missing:
        raise ConfigurationError(f"{name}: run {call.id} was moved to {archive_of(journal)}, which does not have it")
    still = {one.run: len(one.left) for runs in unfinished(journal).values() for one in runs}
    left = sum(still.get(one, 0) for one in chosen)
    if left:
        raise GuardRefused(
            f"{name}: run {call.id} is still open: {left:,} of its changes have no outcome yet. Wait for it to end "
            "or, if it was interrupted, sync the same target with this journal, which accounts for them; then undo it"
        )
    return call, chosen


def _named(name: str, calls: Mapping[str, Call], run: str) -> tuple[Call, list[str]]:
    begins = run.strip().lower()
    exact = [(call, list(call.openings)) for call in calls.values() if call.id == begins]
    exact += [(call, [one]) for call in calls.values() for one in call.openings if one == begins != call.id]
    if exact:
        return exact[0]
    if len(begins) < _SHORTEST:
        raise InvalidArgument(
            f"$run must be an id, or its first {_SHORTEST} characters or more, not {run!r:.40}", "run"
        )
    found = [(call, list(call.openings)) for call in calls.values() if call.id.startswith(begins)]
    found += [
        (call, [one]) for call in calls.values() for one in call.openings if one != call.id and one.startswith(begins)
    ]
    if not found:
        raise ConfigurationError(f"{name}: this journal has no run {run!r:.80}")
    if len(found) > 1:
        raise InvalidArgument(f"$run {run!r:.40} fits {len(found):,} runs: give more of its characters", "run")
    return found[0]


@attrs.frozen
class _Undo:
    """How to undo.

    Attributes:
        thrive: The client.
        undoes: The id of what is undone.
        only: As for `plan_undo`.
        returning: As for `plan_undo`.
        protect: As for `plan_undo`.
    """

    thrive: ThriveClient
    undoes: str
    only: Only | None
    returning: Returning
    protect: tuple[str, ...]

    async def plan(self, record: Record) -> MemberPlan | ManagerPlan | UserPlan:
        """Plan to undo one run."""
        if record.scope.kind == UserPlan.kind:
            return await self._users(record)
        return await (self._managers(record) if record.scope.kind == ManagerPlan.kind else self.members(record))

    def _undone(self, record: Record, action: str) -> Iterator[str]:
        """Return the references of the changes of a kind that are to be undone."""
        return record.done(action) if self.only in (None, _KINDS[action]) else iter(())

    async def _target(self, record: Record, what: str) -> tuple[str, str | None, datetime]:
        """Find the audience, and lock it if this is a run.

        Returns:
            Its id, the last run that changed it, and the time before it is read.
        """
        found = await audience_or_refusal(self.thrive, record.scope.target)
        check_audience(record.audience, found)
        target = target_of(self.thrive, what, found.id, record.audience)
        await claim(target)
        return found.id, await last_run(target), datetime.now(UTC)

    async def members(self, record: Record) -> MemberPlan:
        """Plan to undo one run of members."""
        audience_id, before, made_at = await self._target(record, MemberPlan.kind)

        async def plan(present: Sequence[AudienceMember]) -> MemberPlan:
            members = Members(record, present)
            removed = [*self._undone(record, "remove")]
            if self.only in (None, "removals"):
                # A rebuild took these out, and could not put them back.
                removed += [name for _action, name in record.unplanned]
            to_add, to_remove = members.back(removed), members.out(self._undone(record, "add"))
            made = MemberPlan(
                audience=record.audience,
                audience_id=audience_id,
                to_add=to_add,
                to_remove=to_remove,
                staying=tuple(members.there),
                kept=len(present) - len(members.there) - len(to_remove),
                ambiguities=members.ambiguous,
                about=members.about(to_add),
                left_alone=tuple(members.held),
                dropped=tuple(members.gone),
                undoes=self.undoes,
                tenant=self.thrive.tenant_id,
                made_at=made_at,
                last_run=before,
                thrive=self.thrive,
            )
            made.protect(self.protect)
            return made

        return await planned_from_whole(lambda: list_members(self.thrive, record.audience, audience_id), plan)

    async def _managers(self, record: Record) -> ManagerPlan:
        audience_id, before, made_at = await self._target(record, ManagerPlan.kind)

        async def plan(present: Sequence[AudienceManager]) -> ManagerPlan:
            managers = Managers(record, present)
            to_add = managers.regranted(self._undone(record, "remove"))
            to_change = managers.put_back(self._undone(record, "update"))
            to_remove = managers.out(self._undone(record, "add"))
            staying = dict.fromkeys((*managers.there, *(grant.reference for grant in to_change)))
            made = ManagerPlan(
                audience=record.audience.removesuffix(" (managers)"),
                audience_id=audience_id,
                to_add=to_add,
                to_change=to_change,
                to_remove=to_remove,
                staying=tuple(staying),
                kept=len(present) - len(staying) - len(to_remove),
                ambiguities=managers.ambiguous,
                about=managers.about(grant.reference for grant in (*to_add, *to_change)),
                before=permissions_before(present, to_change, to_remove),
                left_alone=tuple(managers.held),
                dropped=tuple(managers.gone),
                undoes=self.undoes,
                tenant=self.thrive.tenant_id,
                made_at=made_at,
                last_run=before,
                thrive=self.thrive,
            )
            made.protect(self.protect)
            return made

        return await planned_from_whole(lambda: list_managers(self.thrive, record.audience, audience_id), plan)

    async def _users(self, record: Record) -> UserPlan:
        target = target_of(self.thrive, UserPlan.kind, "", "users")
        await claim(target)
        before, made_at = await last_run(target), datetime.now(UTC)
        users = await read_whole("users: the list", self.thrive.users.list(), known, lambda user: user.user_id)
        accounts = Accounts(record, (user for user in users if not user.deleted))
        suspended = self._undone(record, "suspend")
        made = UserPlan(
            to_create=(),
            to_update=accounts.put_back(self._undone(record, "update")),
            to_suspend=tuple(
                one for done in ("create", "unsuspend") for one in accounts.out(done, self._undone(record, done))
            ),
            to_unsuspend=accounts.back(suspended, unsuspend=self.returning == "unsuspend"),
            unchanged=accounts.unchanged,
            matched=len(accounts.by_ref),
            current=sum(user.active for user in accounts.by_ref.values()),
            held=tuple(accounts.held),
            dropped=tuple(accounts.gone),
            undoes=self.undoes,
            tenant=self.thrive.tenant_id,
            made_at=made_at,
            last_run=before,
            thrive=self.thrive,
        )
        made.protect(self.protect)
        return made
