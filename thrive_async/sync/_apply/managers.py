"""Applying a manager plan: additions and new permissions, then removals."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import attrs

from thrive_async._generated.operations import ADD_MANAGERS
from thrive_async.client import ThriveClient
from thrive_async.models import AudienceManager, ManagerGrant
from thrive_async.sync._apply.journal import Interrupted
from thrive_async.sync._apply.ledger import Change
from thrive_async.sync._apply.run import PRESENT, Applied, Done, Key, Run, Told, carry_out
from thrive_async.sync._apply.writes import attributed, remove_all, write_all
from thrive_async.sync._guards import Applying, check_writable
from thrive_async.sync._match.matching import People
from thrive_async.sync._reading import read_managers
from thrive_async.sync.permissions import writable_permissions
from thrive_async.sync.report import SyncReport

__all__ = ["MANAGERS_AT_ONCE", "ManagerDoor", "apply_managers"]

MANAGERS_AT_ONCE: Final = ADD_MANAGERS.max_items or 1
"""The most managers in one write."""


@attrs.frozen
class ManagerDoor:
    """Writes and reads the managers of an audience.

    Attributes:
        thrive: The client.
        audience_id: The audience's id.
        subject: The audience as the caller named it, for errors.
        grants: What is written, by reference.
    """

    thrive: ThriveClient
    audience_id: str
    subject: str
    grants: Mapping[str, ManagerGrant]
    batch: int = MANAGERS_AT_ONCE

    async def write(self, changes: Sequence[Change], *, again: bool) -> Told:  # noqa: ARG002 - adding twice is harmless
        """Add managers, and give managers new permissions, which count as given only once they have been read back."""
        names = [change.reference for change in changes]
        result = await self.thrive.audiences.managers.add(self.audience_id, [self.grants[name] for name in names])
        told = attributed(names, result)
        taken = [at for at in told.done if changes[at].action == "update"]
        return Told(
            done={at: reason for at, reason in told.done.items() if at not in taken},
            failed=told.failed,
            unknown={**told.unknown, **dict.fromkeys(taken, "taken")},
        )

    async def erase(self, reference: str) -> None:
        """Remove a manager."""
        await self.thrive.audiences.managers.remove(self.audience_id, reference)

    async def read_back(self, keys: Sequence[Key]) -> Done:  # noqa: ARG002 - all managers come at once
        """Read who is a manager now, and with what permissions."""
        managers = await read_managers(self.thrive, self.subject, self.audience_id)
        people = People(managers)
        given = {manager.user_id: writable_permissions(manager.permissions) for manager in managers}

        def done(action: str, name: str) -> bool:
            if action == "remove":
                return not people.has_id(name)
            if action == PRESENT or name not in self.grants:
                return people.has(name)
            wanted = writable_permissions(self.grants[name].permissions)
            return any(given[user_id] == wanted for user_id in people.owners(name))

        return done

    async def check(self) -> None:
        """Look whether the audience is there and can be written."""
        await check_writable(self.thrive, self.subject, self.audience_id)


class ManagersToApply(Applied, Protocol):
    """What applying needs to know of a manager plan."""

    audience_id: str
    to_add: tuple[ManagerGrant, ...]
    to_change: tuple[ManagerGrant, ...]
    to_remove: tuple[AudienceManager, ...]
    held_unless: Mapping[str, tuple[str, ...]]
    before: Mapping[str, tuple[str, ...]]

    @property
    def subject(self) -> str: ...

    @property
    def calls(self) -> int: ...


async def apply_managers(
    thrive: ThriveClient, plan: ManagersToApply, applying: Applying, interrupted: Sequence[Interrupted]
) -> SyncReport:
    """Apply a plan that has passed its guards; see `ManagerPlan.apply`."""
    grants = (*plan.to_change, *plan.to_add)
    changes = [Change("update", grant.reference, changes=_changes(plan, grant)) for grant in plan.to_change]
    changes += [Change("add", grant.reference) for grant in plan.to_add]
    changes += [
        Change("remove", one.user_id, changes=dict.fromkeys(plan.before.get(one.user_id, ()), (True, False)))
        for one in plan.to_remove
    ]
    door = ManagerDoor(thrive, plan.audience_id, plan.subject, {grant.reference: grant for grant in grants})
    run = Run(thrive, door, subject=plan.subject, changes=changes, calls=plan.calls, applying=applying)

    async def steps() -> None:
        await write_all(run, range(len(grants)))
        if not run.stopped:
            await remove_all(run, range(len(grants), len(changes)), plan.held_unless)

    return await carry_out(run, plan, steps, interrupted=interrupted)


def _changes(plan: ManagersToApply, grant: ManagerGrant) -> dict[str, tuple[bool, bool]]:
    old, new = set(plan.before.get(grant.reference, ())), writable_permissions(grant.permissions)
    return {name: (name in old, name in new) for name in sorted(old ^ new)}
