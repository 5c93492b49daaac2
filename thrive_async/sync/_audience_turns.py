"""Applies many audiences in turn, with one limit on their removals together."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs

from thrive_async.errors import ThriveError
from thrive_async.sync._apply.journal import History
from thrive_async.sync._apply.locks import exclusive
from thrive_async.sync._guards import Applying, check_total
from thrive_async.sync._match.names import Entry
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.members import Desired, MemberPlan
from thrive_async.sync.report import OnProgress, Progress, SyncReport, tell

Planning: TypeAlias = Callable[[str, Desired], Awaitable[MemberPlan]]
"""Plans the members of one audience."""


class Turns:
    """Applies audiences in turn, and enforces the limit on their removals together.

    Args:
        applying: How to apply.
        history: The journal's history.
        results: Receives each audience's report or error.
    """

    def __init__(self, applying: Applying, history: History, results: dict[str, SyncReport | ThriveError]) -> None:
        self.put_off: list[str] = []
        self._applying = applying
        self._history = history
        self._results = results
        self._watcher = _Watcher(applying.on_progress)
        self._lists: dict[str, list[str | Entry]] = {}
        # Memberships read so far, removals planned so far, and removals allowed so far.
        self._memberships = 0
        self._removals = 0
        self._granted = 0

    async def apply(self, plan: MemberPlan) -> None:
        """Apply a plan without letting its failure affect the others.

        Raises:
            OSError: The journal cannot be written, which stops all audiences.
            BaseException: `on_progress` failed, or the run was cancelled.
        """
        name = plan.audience
        try:
            watched = attrs.evolve(self._applying, on_progress=self._watcher.of(plan))
            await plan.apply_as(watched, self._history)
        except ThriveError as error:
            self._results[name] = error
        except Exception as error:
            if isinstance(error, OSError) or error in self._watcher.errors:
                raise
            stopped = SyncError(f"{name}: stopped by {type(error).__name__}, see __cause__", report=plan.report)
            stopped.__cause__ = error
            self._results[name] = stopped
        finally:
            if plan.report is not None:
                self._results[name] = plan.report

    async def plan_and_apply(
        self,
        plan: Planning,
        name: str,
        desired: Mapping[str, Desired],
        made: Mapping[str, MemberPlan],
        alike: str | None,
    ) -> None:
        """Give one audience its turn: read, plan, guard, apply.

        Args:
            plan: Plans one audience.
            name: The audience.
            desired: The lists.
            made: The plans of audiences that were just created, and so have no members to remove.
            alike: Why all removals are held, if its name looks like another audience's.
        """
        again = name in self._lists
        try:
            async with exclusive(wait=self._applying.wait):
                if name in made:
                    await self.apply(made[name])
                    return
                if again:
                    # All lists have been read, so the total of the removals is known.
                    self._check_total(name)
                else:
                    self._lists[name] = await _listed(name, desired[name])
                planned = await plan(name, self._lists[name])
                if alike is not None:
                    planned.hold_removals(alike)
                planned.check_guards(max_removals=self._applying.max_removals, strategy=self._applying.strategy)
                if self._may_go(planned, again=again):
                    del self._lists[name]
                    await self.apply(planned)
                else:
                    self.put_off.append(name)
        except ThriveError as error:
            self._results[name] = error

    def _may_go(self, plan: MemberPlan, *, again: bool) -> bool:
        """Return whether a plan's removals may be made now.

        Raises:
            GuardRefused: All lists have been read, and these removals exceed the total limit.
        """
        removals, limit = len(plan.to_remove), self._applying.max_total_removals
        if not again:
            self._memberships += plan.current
            self._removals += removals
        try:
            # Passing now is final, because more memberships can only raise the limit.
            check_total(plan.audience, self._granted + removals, self._memberships, limit, done=self._granted)
        except GuardRefused:
            if again and removals:
                raise
            if removals:
                return False
        self._granted += removals
        return True

    def _check_total(self, name: str) -> None:
        limit = self._applying.max_total_removals
        check_total(name, self._removals, self._memberships, limit, done=self._granted)


async def _listed(name: str, desired: Desired) -> list[str | Entry]:
    """Read a desired list into memory, so that it can be read twice."""
    try:
        if isinstance(desired, AsyncIterable):
            return [one async for one in desired]
        return list(desired)
    except Exception as error:
        raise SyncError(
            f"{name}: its list could not be read because of {type(error).__name__}, see __cause__; nothing was changed"
        ) from error


class _Watcher:
    """Sums up the progress of several audiences.

    Attributes:
        errors: What `on_progress` raised.
    """

    def __init__(self, on_progress: OnProgress | None) -> None:
        self.errors: list[Exception] = []
        self._on_progress = on_progress
        self._total = 0
        self._latest: dict[str, Progress] = {}
        self._started = asyncio.get_running_loop().time()

    def of(self, plan: MemberPlan) -> OnProgress | None:
        """Return the `on_progress` of one audience, whose changes count from now on."""
        self._total += len(plan.to_add) + len(plan.to_remove)
        if self._on_progress is None:
            return None

        def note(step: Progress) -> None:
            self._latest[plan.audience] = step
            try:
                self._tell()
            except Exception as error:
                self.errors.append(error)
                raise

        return note

    def _tell(self) -> None:
        done = sum(step.done for step in self._latest.values())
        # A rebuild counts those whom it puts back, too.
        total = max(self._total, done)
        rate = done / max(asyncio.get_running_loop().time() - self._started, 1e-9)
        assert self._on_progress is not None  # noqa: S101 - else nobody calls
        tell(
            self._on_progress,
            Progress(
                done=done,
                total=total,
                failed=sum(step.failed for step in self._latest.values()),
                rate=rate,
                remaining_seconds=(total - done) / rate if rate else None,
            ),
        )
