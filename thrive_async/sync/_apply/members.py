"""Applying a member plan: additions, then removals; or the list replaced, which is found out by reading."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import attrs

from thrive_async._generated.operations import ADD_MEMBERS, REPLACE_MEMBERS
from thrive_async.client import ThriveClient
from thrive_async.errors import NotFoundError, ThriveError
from thrive_async.models import AudienceMember
from thrive_async.sync._apply.journal import Interrupted
from thrive_async.sync._apply.ledger import Change
from thrive_async.sync._apply.run import Applied, Done, Key, Run, Told, carry_out
from thrive_async.sync._apply.writes import attributed, remove_all, settle_told, write_all
from thrive_async.sync._guards import Applying, check_writable
from thrive_async.sync._match.matching import People
from thrive_async.sync._reading import read_members
from thrive_async.sync.report import SyncReport, reason_of

__all__ = ["MEMBERS_AT_ONCE", "MemberDoor", "apply_members"]

MEMBERS_AT_ONCE: Final = ADD_MEMBERS.max_items or 1
"""The most members in one write."""


@attrs.frozen
class MemberDoor:
    """Writes and reads the members of an audience.

    Attributes:
        thrive: The client.
        audience_id: The audience's id.
        subject: The audience as the caller named it, for errors.
    """

    thrive: ThriveClient
    audience_id: str
    subject: str
    batch: int = MEMBERS_AT_ONCE

    async def write(self, changes: Sequence[Change], *, again: bool) -> Told:  # noqa: ARG002 - adding twice is harmless
        """Add members."""
        names = [change.reference for change in changes]
        return attributed(names, await self.thrive.audiences.members.add(self.audience_id, names))

    async def replace(self, names: Sequence[str]) -> Told:
        """Replace the whole list."""
        return attributed(names, await self.thrive.audiences.members.replace(self.audience_id, names))

    async def erase(self, reference: str) -> None:
        """Remove a member."""
        await self.thrive.audiences.members.remove(self.audience_id, reference)

    async def read_back(self, keys: Sequence[Key]) -> Done:  # noqa: ARG002 - all members come at once
        """Read who is a member now."""
        people = People(await read_members(self.thrive, self.subject, self.audience_id))
        return lambda action, name: not people.has_id(name) if action == "remove" else people.has(name)

    async def check(self) -> None:
        """Look whether the audience is there and can be written."""
        await check_writable(self.thrive, self.subject, self.audience_id)


class MembersToApply(Applied, Protocol):
    """What applying needs to know of a member plan."""

    audience: str
    audience_id: str
    to_add: tuple[str, ...]
    to_remove: tuple[AudienceMember, ...]
    staying: tuple[str, ...]
    held_unless: Mapping[str, tuple[str, ...]]

    @property
    def calls(self) -> dict[str, int]: ...


async def apply_members(
    thrive: ThriveClient, plan: MembersToApply, applying: Applying, interrupted: Sequence[Interrupted]
) -> SyncReport:
    """Apply a plan that has passed its guards; see `MemberPlan.apply`."""
    strategy = "diff"
    if applying.strategy == "rebuild" and plan.calls["rebuild"] < plan.calls["diff"]:
        strategy = "rebuild"
    restores = plan.staying if strategy == "rebuild" else ()
    changes = [Change("add", user_id, restores=True) for user_id in restores]
    changes += [Change("add", name) for name in plan.to_add]
    changes += [Change("remove", member.user_id) for member in plan.to_remove]
    additions, removals = _cut(len(changes), len(plan.to_remove))
    door = MemberDoor(thrive, plan.audience_id, plan.audience)
    run = Run(
        thrive,
        door,
        subject=plan.audience,
        changes=changes,
        calls=plan.calls[strategy],
        applying=applying,
        staying=plan.staying,
    )

    async def steps() -> None:
        left: Sequence[int] = additions
        if strategy == "rebuild":
            left = await _Rebuild(run, door, plan, additions, removals).replace()
        await write_all(run, left)
        if not run.stopped:
            await remove_all(run, removals, plan.held_unless)

    return await carry_out(run, plan, steps, interrupted=interrupted, strategy=strategy)


def _cut(total: int, removals: int) -> tuple[range, range]:
    return range(total - removals), range(total - removals, total)


@attrs.frozen
class _Rebuild:
    """The list replaced by its first batch."""

    run: Run
    door: MemberDoor
    plan: MembersToApply
    additions: range
    removals: range

    async def replace(self) -> Sequence[int]:
        """Replace the list; return the additions that are left.

        Members who stay come first, so that they are out as shortly as possible. Whatever Thrive answers, reading tells
        what has become of the others: the list is short now, or nothing has changed, and then the plan is applied as a
        difference.
        """
        run, places = self.run, self.additions[: REPLACE_MEMBERS.max_items]
        names = [change.reference for change in run.changes(places)]
        try:
            told = await self._send(names)
        except ThriveError as error:
            if isinstance(error, NotFoundError):
                await run.check()
            return await self._find_out(reason_of(error))
        if not told.done:
            # An answer without a single member does not prove that the others were removed.
            return await self._find_out("no member was named as added")
        run.count_restores = True
        # First, because a journal that can no longer be written ends the run with the next line.
        run.ledger.doubt(self.removals, "the list was replaced")
        settle_told(run, places, told)
        self._settle_gone(await self.door.read_back(()), None)
        return self.additions[len(places) :]

    async def _send(self, names: Sequence[str]) -> Told:
        # A replacement affects every member: those it omits are out, and a lost answer leaves all unknown.
        everybody = range(self.run.ledger.total)
        try:
            return await self.run.send(everybody, lambda: self.door.replace(names))
        except BaseException:
            ledger = self.run.ledger
            self.run.count_restores = bool(ledger.in_doubt) or len(ledger.unsettled(everybody)) < ledger.total
            raise

    async def _find_out(self, words: str) -> Sequence[int]:
        run, everybody = self.run, range(self.run.ledger.total)
        run.ledger.doubt(everybody, words)
        run.count_restores = True
        done = await self.door.read_back(())
        run.ledger.reopen(everybody)
        before = (*self.plan.staying, *(member.user_id for member in self.plan.to_remove))
        if not any(done("remove", user_id) for user_id in before):
            return self._as_difference()
        reason = f"found done by reading; the answer was: {words}"
        self._settle_gone(done, reason)
        run.settle((place, True, reason) for place in self.additions if done(*run.ledger.changes[place].key))
        # Members who are still out go the way of every addition.
        return run.ledger.unsettled(self.additions)

    def _as_difference(self) -> Sequence[int]:
        self.run.count_restores = False
        self.run.calls = self.plan.calls["diff"]
        staying = len(self.plan.staying)
        self.run.settle((place, True, None) for place in self.additions[:staying])
        return self.additions[staying:]

    def _settle_gone(self, done: Done, reason: str | None) -> None:
        """Settle the removals of members who are out now; the others are left to be removed one by one."""
        self.run.ledger.reopen(self.removals)
        gone: Iterable[int] = (place for place in self.removals if done(*self.run.ledger.changes[place].key))
        self.run.settle((place, True, reason) for place in gone)
