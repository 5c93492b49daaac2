"""Carrying out a run: what stops it, what is found out by reading afterwards, and the report in the end."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from thrive_async.errors import AuthenticationError, PermissionDeniedError, ThriveError
from thrive_async.sync._apply.journal import Interrupted, Line, Scope
from thrive_async.sync._apply.run import Run, Stopped
from thrive_async.sync.report import Change, LeftOut, SyncReport, done_as

__all__ = ["DoneNow", "Execution", "carry_out"]

DoneNow = Callable[[str, str], bool]
"""Tells, of an action and a reference, whether what was read shows the change to have been made."""


class _Applied(Protocol):
    report: SyncReport | None

    @property
    def scope(self) -> Scope: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def left_out(self) -> LeftOut: ...


class Execution(Run, ABC):
    """One apply of some kind of plan."""

    @abstractmethod
    async def do(self) -> None:
        """Do everything that is planned."""

    @abstractmethod
    async def read_back(self, changes: Sequence[tuple[str, str]]) -> DoneNow:
        """Read what some changes, of this run or of earlier ones, have come to.

        Args:
            changes: Pairs of action and reference.
        """

    async def execute(self) -> None:
        """Do everything; whatever stops it is on `cause`, except a cancel and what is no ThriveError."""
        if self.stopped:
            return
        try:
            await self.do()
        except Stopped:
            pass
        except ThriveError as error:
            self.stop(error)
        await self.find_out()

    async def find_out(self) -> None:
        """Read back if somebody's outcome is unknown."""
        if not self.unknown or isinstance(self.cause, AuthenticationError | PermissionDeniedError):
            return  # After such a refusal, reading would be refused as well.
        try:
            done = await self.read_back([_key(self.ledger.changes[place]) for place in self.unknown])
        except ThriveError as error:
            self.stop(error)
        else:
            self.resolve(lambda change: done(change.action, change.reference))

    async def account_for(self, interrupted: Sequence[Interrupted]) -> None:
        """Find out what became of those whom earlier runs of this journal left without an outcome."""
        try:
            done = await self.read_back([change for earlier in interrupted for change in earlier.pending])
        except ThriveError as error:
            self.stop(error)
            return
        for earlier in interrupted:
            lines: list[Line] = []
            for action, reference in earlier.pending:
                if done(action, reference):
                    reason = f"found done by run {self.id}: the run was interrupted"
                    lines.append((action, reference, done_as(action), reason))
                else:
                    lines.append((action, reference, "not_attempted", "the run was interrupted"))
            self.journal.record(lines, run=earlier.run)


def _key(change: Change) -> tuple[str, str]:
    return change.action, change.reference


async def carry_out(run: Execution, plan: _Applied, *, strategy: str, interrupted: Sequence[Interrupted]) -> SyncReport:
    """Execute a run and put its report on the plan, however the run ends.

    Args:
        run: The run, not begun yet.
        plan: Gets the report.
        strategy: For the journal.
        interrupted: Earlier runs to be accounted for first.

    Raises:
        OSError: The journal cannot be written.
    """
    await _carried_out(run, plan, strategy, interrupted)
    assert plan.report is not None  # noqa: S101 - however it ended
    return plan.report


async def _carried_out(run: Execution, plan: _Applied, strategy: str, interrupted: Sequence[Interrupted]) -> None:
    try:
        run.open_journal(plan.scope, plan.fingerprint, strategy)
        if interrupted:
            await run.account_for(interrupted)
        await run.execute()
    except BaseException as error:
        run.stop(None if isinstance(error, asyncio.CancelledError) else error)
        raise
    finally:
        left = plan.left_out
        report = attrs.evolve(run.finish(), rejected=left.rejected, ambiguous=left.ambiguous, held=left.held)
        plan.report = report
        run.close(report)
