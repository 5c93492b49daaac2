"""Apply a user plan: one request per person, managers before those who report to them, addresses once they are free."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import AuthenticationError, ConfigurationError, NotFoundError, PermissionDeniedError
from thrive_async.models import UserCreate, UserUpdate
from thrive_async.sync._apply.journal import Interrupted
from thrive_async.sync._apply.ledger import Change
from thrive_async.sync._apply.run import Applied, Done, Key, Run, Told, carry_out
from thrive_async.sync._apply.writes import remove_all, write_all
from thrive_async.sync._guards import Applying
from thrive_async.sync._match.address_order import AddressChange, ordered
from thrive_async.sync._match.lookups import FEW
from thrive_async.sync._match.user_diff import Known, Staff, differs, known, set_fields
from thrive_async.sync._reading import read_whole
from thrive_async.sync.report import SyncReport, reason_of

__all__ = ["UserDoor", "apply_users"]

_DONE: Final = Told(done={0: None}, failed={}, unknown={})
# Any 2xx means only that Thrive took the event, so reading tells.
_TAKEN: Final = Told(done={}, failed={}, unknown={0: "Thrive took the event"})
_DONE_BEFORE: Final = Told(done={0: "found done by reading, after the answer was lost"}, failed={}, unknown={})


@attrs.frozen
class UserDoor:
    """Writes and reads users.

    Attributes:
        thrive: The client.
        new: The users to create, by ref.
        updates: What is to change of others, by ref.
        returning: The accounts to bring back, by ref.
    """

    thrive: ThriveClient
    new: Mapping[str, UserCreate]
    updates: Mapping[str, UserUpdate]
    returning: Mapping[str, UserCreate]
    batch: int = 1

    async def write(self, changes: Sequence[Change], *, again: bool) -> Told:
        """Create, unsuspend or update one user. Before a creation is repeated, the user is looked up."""
        (change,) = changes
        if change.action == "unsuspend":
            return await self._unsuspend(self.returning[change.reference])
        if change.action == "update":
            await self.thrive.users.update(change.reference, self.updates[change.reference])
        elif again and await self._exists(change.reference):
            return _DONE_BEFORE
        else:
            await self.thrive.users.create(self.new[change.reference])
        return _DONE

    async def _unsuspend(self, account: UserCreate) -> Told:
        try:
            await self.thrive.provisioning.user_joined(account)
        except (AuthenticationError, ConfigurationError, PermissionDeniedError) as error:
            # Events need a scope of their own. Without it, everything else is still allowed.
            return Told(done={}, failed={0: reason_of(error)}, unknown={})
        return _TAKEN

    async def _exists(self, ref: str) -> bool:
        try:
            await self.thrive.users.get_by_ref(ref)
        except NotFoundError:
            return False
        return True

    async def erase(self, reference: str) -> None:
        """Suspend a user."""
        await self.thrive.users.suspend(reference)

    async def check(self) -> None:
        """Do nothing: the tenant is there."""

    async def read_back(self, keys: Sequence[Key]) -> Done:
        """Read the current users and their managers."""
        refs = dict.fromkeys(ref for _action, ref in keys)
        # The manager is compared by id, so the managers are read, too.
        updates = (self.updates[ref] for ref in tuple(refs) if ref in self.updates)
        refs.update(dict.fromkeys(one.manager_ref for one in updates if isinstance(one.manager_ref, str)))
        users: dict[str, Known] = {}
        if len(refs) > FEW:
            listed = await read_whole("users: the list", self.thrive.users.list(), known, lambda user: user.user_id)
            users = {user.ref: user for user in listed if user.ref and not user.deleted}
        else:
            for ref in refs:
                user = await self._by_ref(ref)
                if user is not None:
                    users[ref] = user
        staff = Staff(users)
        return lambda action, ref: _is_done(action, users.get(ref), self.new.get(ref), self.updates.get(ref), staff)

    async def _by_ref(self, ref: str) -> Known | None:
        try:
            basic = await self.thrive.users.get_by_ref(ref)
            return known(await self.thrive.users.get(basic.id))
        except NotFoundError:
            return None


def _is_done(
    action: str, user: Known | None, created: UserCreate | None, wanted: UserUpdate | None, staff: Staff
) -> bool:
    if user is None:
        return False
    if action == "create":
        # Another person may have been given the ref meanwhile.
        asked = set_fields(created) if created is not None else {}
        shown = ("email",) if asked.get("email") else ("first_name", "last_name")
        return not any(name in asked and differs(asked[name], user.values[name]) for name in shown)
    if action in ("suspend", "unsuspend"):
        return user.active == (action == "unsuspend")
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


class _Change(Protocol):
    @property
    def ref(self) -> str: ...

    @property
    def update(self) -> UserUpdate: ...

    @property
    def changes(self) -> Mapping[str, tuple[Any, Any]]: ...


class _Leaver(Protocol):
    @property
    def ref(self) -> str: ...


class _Return(Protocol):
    @property
    def ref(self) -> str: ...

    @property
    def account(self) -> UserCreate: ...


class UsersToApply(Applied, Protocol):
    """What applying needs to know of a user plan."""

    @property
    def to_create(self) -> Sequence[UserCreate]: ...

    @property
    def to_update(self) -> Sequence[_Change]: ...

    @property
    def to_suspend(self) -> Sequence[_Leaver]: ...

    @property
    def to_unsuspend(self) -> Sequence[_Return]: ...

    @property
    def calls(self) -> int: ...


async def apply_users(
    thrive: ThriveClient, plan: UsersToApply, applying: Applying, interrupted: Sequence[Interrupted]
) -> SyncReport:
    """Apply a plan that has passed its guards; see `UserPlan.apply`."""
    changes = [Change("create", user.ref) for user in plan.to_create]
    created = len(changes)
    changes += [Change("unsuspend", one.ref) for one in plan.to_unsuspend]
    returned = len(changes)
    changes += [Change("update", one.ref, changes=one.changes) for one in plan.to_update]
    updated = len(changes)
    changes += [Change("suspend", one.ref) for one in plan.to_suspend]
    door = UserDoor(
        thrive,
        {user.ref: user for user in plan.to_create},
        {one.ref: one.update for one in plan.to_update},
        {one.ref: one.account for one in plan.to_unsuspend},
    )
    run = Run(thrive, door, subject="users", changes=changes, calls=plan.calls, applying=applying)

    async def steps() -> None:
        for wave in managers_first(plan.to_create):
            await write_all(run, wave)
        await write_all(run, range(created, returned))
        await _update(run, range(returned, updated))
        await remove_all(run, range(updated, len(changes)))

    return await carry_out(run, plan, steps, interrupted=interrupted)


async def _update(run: Run, places: range) -> None:
    """Send updates, each e-mail address after the user who has it has given it up."""
    place_of = {run.ledger.changes[place].reference: place for place in places}
    moves = [
        AddressChange(ref, *run.ledger.changes[place].changes["email"])
        for ref, place in place_of.items()
        if "email" in run.ledger.changes[place].changes
    ]
    owners = {move.old.lower(): move.ref for move in moves if move.old}
    order = ordered(moves, owners)
    later = {ref for wave in order.waves[1:] for ref in wave}
    await write_all(run, [place for ref, place in place_of.items() if ref not in later])
    wanted = {move.ref: move.new.lower() for move in moves if move.new}
    for wave in order.waves[1:]:
        free: list[int] = []
        for ref in wave:
            if run.stopped or run.ledger.was_made(place_of[owners[wanted[ref]]]):
                free.append(place_of[ref])
            else:
                reason = f"not sent: {owners[wanted[ref]]} may still have this e-mail address"
                run.settle([(place_of[ref], False, reason)])
        await write_all(run, free)


def managers_first(users: Sequence[UserCreate]) -> list[list[int]]:
    """Return the places of new users in waves: people who report to a new user come in a later one."""
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
