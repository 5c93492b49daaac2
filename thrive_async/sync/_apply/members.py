"""Applying a member plan: additions, then removals, or the list replaced; then what must be found out by reading."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from thrive_async.client import ThriveClient
from thrive_async.errors import AuthenticationError, NotFoundError, PermissionDeniedError, ThriveError
from thrive_async.models import MemberOperationResult
from thrive_async.sync._apply.audience_run import AudienceRun
from thrive_async.sync._apply.batches import BATCH, attributed
from thrive_async.sync._apply.execution import DoneNow, carry_out
from thrive_async.sync._apply.journal import Interrupted
from thrive_async.sync._reading import Present, read_members
from thrive_async.sync.report import Change, OnProgress, Outcome, SyncReport, described

if TYPE_CHECKING:
    from thrive_async.sync._member_plan import MemberPlan

__all__ = ["apply_members"]


async def apply_members(
    thrive: ThriveClient,
    plan: "MemberPlan",
    *,
    on_progress: OnProgress | None,
    journal: str | os.PathLike[str] | None,
    rebuild: bool,
    verify: bool,
    interrupted: Sequence[Interrupted],
) -> SyncReport:
    """Apply a plan whose guards have been passed; see `MemberPlan.apply`."""
    run = _MemberRun(thrive, plan, on_progress=on_progress, journal=journal, rebuild=rebuild, verify=verify)
    return await carry_out(run, plan, strategy="rebuild" if rebuild else "diff", interrupted=interrupted)


class _MemberRun(AudienceRun):
    """One apply of a member plan."""

    def __init__(
        self,
        thrive: ThriveClient,
        plan: "MemberPlan",
        *,
        on_progress: OnProgress | None,
        journal: str | os.PathLike[str] | None,
        rebuild: bool,
        verify: bool,
    ) -> None:
        adds = [Change("add", name) for name in plan.to_add]
        removes = [Change("remove", member.user_id) for member in plan.to_remove]
        restores = [Change("add", name, restores=True) for name in plan.staying] if rebuild else []
        super().__init__(
            thrive=thrive,
            audience_id=plan.audience_id,
            subject=plan.audience,
            changes=[*restores, *adds, *removes],
            removals=len(removes),
            doubtful=plan.doubtful,
            calls=plan.calls["rebuild" if rebuild else "diff"],
            journal=journal,
            on_progress=on_progress,
        )
        self._plan = plan
        self._rebuild = rebuild
        self._verify = verify

    async def write(self, places: Sequence[int]) -> MemberOperationResult:
        return await self.thrive.audiences.members.add(self.audience_id, self.names(places))

    async def erase(self, reference: str) -> None:
        await self.thrive.audiences.members.remove(self.audience_id, reference)

    async def read_back(self, changes: Sequence[tuple[str, str]]) -> DoneNow:  # noqa: ARG002 - all are read at once
        return _done_now(await self.present())

    async def present(self) -> Present:
        return Present(await read_members(self.thrive, self.subject, self.audience_id))

    async def do(self) -> None:
        first = await self._replace() if self._rebuild else 0
        await self.add_all(self.additions[first:])
        if not self.stopped:
            await self.remove_all()

    # Rebuilding

    async def _replace(self) -> int:
        """Replace the list by its first hundred; return how many have been dealt with.

        Members who stay come first, so that they are out as shortly as possible. Whatever Thrive answers, what has
        become of the others is read: the list is short now, or nothing has changed, and then the plan is applied as a
        difference.
        """
        places = range(min(BATCH, self.additions.stop))
        names = self.names(places)
        try:
            result = await self._send_replacement(names)
        except ThriveError as error:
            if isinstance(error, NotFoundError):
                await self.audience_is_there()
            return await self._after_lost_replacement(described(error))
        if not attributed(names, result).done:
            # An answer that names nobody who is a member now does not say that anybody was removed.
            return await self._after_lost_replacement("nobody went through")
        self.count_restores = True
        # First: a journal that can no longer be written ends the run with the next line.
        self.unknown.update(dict.fromkeys(self.removals, "the list was replaced"))
        self.taken(places, result)
        self._settle_gone(await self.present(), None)
        return len(places)

    def _settle_gone(self, present: Present, reason: str | None) -> None:
        """Settle the removals of whoever is out now; the others are left to be removed one by one."""
        for place in self.removals:
            self.unknown.pop(place, None)
        self.settle(
            (place, True, reason) for place in self.removals if self.ledger.changes[place].reference not in present.ids
        )

    async def _send_replacement(self, names: list[str]) -> MemberOperationResult:
        # It concerns everybody: who is not in it is out, and if its answer is lost nobody's fate is known.
        everybody = range(self.ledger.total)
        try:
            return await self.send(everybody, lambda: self.thrive.audiences.members.replace(self.audience_id, names))
        except BaseException:
            self.count_restores = bool(self.unknown) or not all(map(self.ledger.is_open, everybody))
            raise

    def _as_difference(self) -> int:
        self.unknown.clear()
        self.count_restores = False
        self._calls = self._plan.calls["diff"]
        staying = range(len(self._plan.staying))
        self.settle((place, True, None) for place in staying)
        return staying.stop

    async def _after_lost_replacement(self, words: str) -> int:
        self.unknown.update(dict.fromkeys(range(self.ledger.total), words))
        self.count_restores = True
        present = await self.present()
        before = (*self._plan.staying, *(member.user_id for member in self._plan.to_remove))
        if present.ids.issuperset(before):
            return self._as_difference()
        self.unknown.clear()
        reason = f"found done by reading; the answer was: {words}"
        self._settle_gone(present, reason)
        self.settle(
            (place, True, reason) for place in self.additions if present.has(self.ledger.changes[place].reference)
        )
        # Whoever is still out goes the way of every addition.
        await self.add_all([place for place in self.additions if self.ledger.is_open(place)])
        return self.additions.stop

    # Finding out by reading

    async def find_out(self) -> None:
        """Read back if somebody's outcome is unknown, or to verify."""
        if not self._verify or isinstance(self.cause, AuthenticationError | PermissionDeniedError):
            await super().find_out()
            return
        try:
            present = await self.present()
        except ThriveError as error:
            self.stop(error)
            return
        done = _done_now(present)
        self.resolve(lambda change: done(change.action, change.reference))
        self.differences = tuple(self._differing(present))

    def _differing(self, present: Present) -> Iterator[Outcome]:
        report = self.ledger.report(self.subject, self.id, not_attempted=None, cause=None)
        for outcome in report.added:
            if not present.has(outcome.reference):
                yield Outcome("add", outcome.reference, "reported as added, but not among the members")
        for outcome in report.removed:
            if outcome.reference in present.ids:
                yield Outcome("remove", outcome.reference, "reported as removed, but still a member")
        for user_id in self._plan.staying:
            if user_id not in present.ids:
                yield Outcome("add", user_id, "was a member who stays, and is none any more")


def _done_now(present: Present) -> DoneNow:
    return lambda action, reference: present.has(reference) if action == "add" else reference not in present.ids
