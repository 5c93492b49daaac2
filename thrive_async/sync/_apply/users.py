"""Applying a user plan: one request per person, managers before those who report to them."""

import os
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from thrive_async.client import ThriveClient
from thrive_async.errors import APIError, NotFoundError, ThriveError
from thrive_async.models import UserCreate, UserUpdate
from thrive_async.sync._apply.execution import DoneNow, Execution, carry_out
from thrive_async.sync._apply.journal import Interrupted
from thrive_async.sync._apply.run import Job
from thrive_async.sync._match.user_diff import Known, Staff, differs, known, set_fields
from thrive_async.sync._reading import read_whole
from thrive_async.sync.report import Change, OnProgress, SyncReport, described

if TYPE_CHECKING:
    from thrive_async.sync.users import UserPlan

__all__ = ["apply_users"]

# Above this, one walk over all users (a thousand per request) is taken to be cheaper.
_READ_SINGLY: Final = 50


async def apply_users(
    thrive: ThriveClient,
    plan: "UserPlan",
    *,
    on_progress: OnProgress | None,
    journal: str | os.PathLike[str] | None,
    interrupted: Sequence[Interrupted],
) -> SyncReport:
    """Apply a plan whose guards have been passed; see `UserPlan.apply`."""
    run = _UserRun(thrive, plan, journal=journal, on_progress=on_progress)
    return await carry_out(run, plan, strategy="diff", interrupted=interrupted)


class _UserRun(Execution):
    """One apply of a user plan."""

    def __init__(
        self,
        thrive: ThriveClient,
        plan: "UserPlan",
        *,
        journal: str | os.PathLike[str] | None,
        on_progress: OnProgress | None,
    ) -> None:
        changes = [Change("create", user.ref) for user in plan.to_create]
        changes += [Change("update", one.ref) for one in plan.to_update]
        changes += [Change("suspend", one.ref) for one in plan.to_suspend]
        super().__init__(
            subject="users",
            changes=changes,
            workers=thrive.limits.concurrency,
            calls=plan.calls,
            journal=journal,
            on_progress=on_progress,
        )
        self._thrive = thrive
        self._plan = plan
        self._new = {user.ref: user for user in plan.to_create}
        self._updates = {one.ref: one.update for one in plan.to_update}

    async def do(self) -> None:
        created = len(self._plan.to_create)
        for wave in _managers_first(self._plan.to_create):
            await self.work((Job((place,)) for place in wave), self._write)
        updated = created + len(self._plan.to_update)
        await self.work((Job((place,)) for place in range(created, updated)), self._write)
        await self.work((Job((place,)) for place in range(updated, self.ledger.total)), self._write)

    async def _write(self, job: Job, queue: deque[Job]) -> None:
        (place,) = job.places
        change = self.ledger.changes[place]
        try:
            if place in self.unknown and change.action == "create" and await self._exists(change.reference):
                self.settle([(place, True, "found done by reading, after the answer was lost")])
                return
            await self.send(job.places, lambda: self._sent(change))
        except APIError as error:
            if error.status < 500:
                self.refused(job.places, described(error))
            else:
                self.lost(job, job.places, error, queue)
        except ThriveError as error:
            self.lost(job, job.places, error, queue)
        else:
            self.settle([(place, True, None)])

    async def _sent(self, change: Change) -> None:
        users, ref = self._thrive.users, change.reference
        if change.action == "create":
            await users.create(self._new[ref])
        elif change.action == "update":
            await users.update(ref, self._updates[ref])
        else:
            await users.suspend(ref)

    async def _exists(self, ref: str) -> bool:
        try:
            await self.send((), lambda: self._thrive.users.get_by_ref(ref))
        except NotFoundError:
            return False
        return True

    async def read_back(self, changes: Sequence[tuple[str, str]]) -> DoneNow:
        users: dict[str, Known] = {}
        refs = dict.fromkeys(ref for _action, ref in changes)
        # Who somebody is to report to is compared by id, so that the managers are read, too.
        updates = (self._updates[ref] for ref in tuple(refs) if ref in self._updates)
        refs.update(dict.fromkeys(one.manager_ref for one in updates if isinstance(one.manager_ref, str)))
        if len(refs) > _READ_SINGLY:
            listed = await read_whole("users: the list", self._thrive.users.list(), known, lambda user: user.user_id)
            users = {user.ref: user for user in listed if user.ref and not user.deleted}
        else:
            for ref in refs:
                user = await self._by_ref(ref)
                if user is not None:
                    users[ref] = user
        staff = Staff(users)
        return lambda action, ref: self._is_done(action, users.get(ref), self._updates.get(ref), staff)

    async def _by_ref(self, ref: str) -> Known | None:
        try:
            basic = await self._thrive.users.get_by_ref(ref)
            return known(await self._thrive.users.get(basic.id))
        except NotFoundError:
            return None

    @staticmethod
    def _is_done(action: str, user: Known | None, wanted: UserUpdate | None, staff: Staff) -> bool:
        if user is None or action == "create":
            return user is not None
        if action == "suspend":
            return not user.active
        if wanted is None:
            return True
        fields = set_fields(wanted)
        additional = fields.pop("additional_fields", None)
        if "manager_ref" in fields and not staff.reports_to(user, fields.pop("manager_ref")):
            return False
        return not any(differs(fields[name], user.values.get(name)) for name in fields) and additional in (
            None,
            user.additional,
        )


def _managers_first(users: Sequence[UserCreate]) -> list[list[int]]:
    """Return the places of new users in waves: whoever reports to a new user comes in a later one."""
    waiting = dict(enumerate(users))
    waves: list[list[int]] = []
    while waiting:
        refs = {user.ref for user in waiting.values()}
        wave = [
            place for place, user in waiting.items() if user.manager_ref not in refs or user.manager_ref == user.ref
        ]
        # People who report to each other in a circle go together: no order helps them.
        waves.append(wave or list(waiting))
        for place in waves[-1]:
            del waiting[place]
    return waves
