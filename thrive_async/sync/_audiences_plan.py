"""The plan of a sync of many audiences: one plan each, and what is made first."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Self, TypeVar

import attrs

from thrive_async.errors import ConfigurationError, ThriveError
from thrive_async.sync._apply.journal import Interrupted, Scope, not_going_on, unfinished
from thrive_async.sync._apply.workers import few_at_once
from thrive_async.sync._arguments import Strategy, check_applying, check_strategy
from thrive_async.sync._guards import DEFAULT_MAX_REMOVALS, check_audience, removal_limit
from thrive_async.sync._member_plan import MemberPlan
from thrive_async.sync._plans import SavedPlan, restored_plan, saved_content
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.new_audiences import NewAudience, created
from thrive_async.sync.report import OnProgress, Progress, SyncReport, tell

__all__ = ["AT_ONCE", "AudiencesPlan", "in_order"]

T = TypeVar("T")
_ERRORS: Final = {kind.__name__: kind for kind in (GuardRefused, SyncError, ConfigurationError)}
AT_ONCE: Final = 8
"""Audiences read or written at a time: small ones wait for answers, large ones take memory."""


@attrs.define(kw_only=True, repr=False, eq=False)
class AudiencesPlan(SavedPlan):
    """What a sync of several audiences would change; made by `plan_audiences`.

    Attributes:
        plans: The plan of each audience, by the name the caller gave.
        errors: Why there is no plan for an audience, by the same names.
        order: The names as the caller gave them; what is printed and returned keeps their order.
        to_create: What is made first, parents before children.
        tenant: The id of the tenant it was made for.
        made_at: When it was made.
        reports: What became of each audience, once applied, also after a cancel; an audience whose turn had not come
            by then is not among them.
    """

    kind: ClassVar[str] = "audiences"

    plans: dict[str, MemberPlan]
    errors: dict[str, ThriveError]
    order: tuple[str, ...]
    to_create: tuple[NewAudience, ...] = ()
    reports: dict[str, SyncReport | ThriveError] = attrs.field(factory=dict["str", "SyncReport | ThriveError"])

    @property
    def calls(self) -> dict[str, int]:
        """How many writes each strategy needs, without failures and with what is made first."""
        made = len(self.to_create)
        return {
            strategy: made + sum(plan.calls[strategy] for plan in self.plans.values())
            for strategy in ("diff", "rebuild")
        }

    def __str__(self) -> str:
        lines = [f"{new.reference}: to be created" for new in self.to_create]
        planned: dict[str, object] = {**self.plans}
        planned |= {name: f"{name}: {type(error).__name__}" for name, error in self.errors.items()}
        lines += [str(line) for line in in_order(planned, self.order).values()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return (
            f"<AudiencesPlan of {len(self.plans):,}, {len(self.to_create):,} new, {len(self.errors):,} without a plan>"
        )

    async def apply(
        self,
        *,
        max_removals: float | None = DEFAULT_MAX_REMOVALS,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
        strategy: Strategy = "diff",
        verify: bool = False,
    ) -> dict[str, SyncReport | ThriveError]:
        """Make what is missing, then apply every plan, within the limits of the one client.

        Args:
            max_removals: As for `MemberPlan.apply`, for each audience by itself.
            on_progress: Called with one `Progress` over all audiences after each answer.
            journal: One file for all; each line names its audience.
            strategy: As for `MemberPlan.apply`.
            verify: As for `MemberPlan.apply`.

        Returns:
            For each audience its report, or the error that kept it from being synced: its guard's, or that of making
            it or a structure above it. In the order of the desired lists; structures that could not be made follow.

        Raises:
            SyncError: The plan was applied before, or has no client.
            ConfigurationError: An argument cannot be meant.
            OSError: The journal cannot be written.
        """
        await check_applying(
            max_removals=max_removals, on_progress=on_progress, journal=journal, strategy=strategy, verify=verify
        )
        earlier: dict[Scope, list[Interrupted]] = {}
        if journal is not None:
            earlier = await asyncio.to_thread(unfinished, journal)
        refused = self.refusals(max_removals=max_removals, strategy=strategy)
        self._applying = True
        self.reports = {**self.errors, **refused}
        try:
            await self._apply(
                on_progress=on_progress, journal=journal, strategy=strategy, verify=verify, earlier=earlier
            )
        finally:
            self.reports = in_order(self.reports, self.order)
        return self.reports

    def refusals(
        self, *, max_removals: float | None = DEFAULT_MAX_REMOVALS, strategy: Strategy = "diff"
    ) -> dict[str, ThriveError]:
        """Return which audiences their guards would keep from being synced, and why; nothing is sent.

        Args:
            max_removals: As for `apply`.
            strategy: As for `apply`.

        Returns:
            The refusals by audience; those without a plan are in `errors`.

        Raises:
            SyncError: The plan was applied before, or has no client.
            ConfigurationError: An argument cannot be meant.
        """
        self._client(f"{len(self.order):,} audiences")
        removal_limit(max_removals, 0)
        check_strategy(strategy)
        refused: dict[str, ThriveError] = {}
        for name, plan in self.plans.items():
            try:
                plan.check_guards(max_removals=max_removals, strategy=strategy)
            except SyncError as error:
                refused[name] = error
        return refused

    async def _apply(
        self,
        *,
        on_progress: OnProgress | None,
        journal: str | os.PathLike[str] | None,
        strategy: Strategy,
        verify: bool,
        earlier: Mapping[Scope, list[Interrupted]],
    ) -> None:
        results = self.reports
        for name, plan in self.plans.items():
            try:
                not_going_on(earlier.get(plan.scope, []), name)
            except SyncError as error:
                results[name] = error
        await self._create()
        ready = [plan for plan in self.plans.values() if plan.audience not in results]
        watcher = _Watcher(on_progress, ready)

        async def apply_one(plan: MemberPlan) -> None:
            try:
                await plan.apply_guarded(
                    on_progress=watcher.of(plan),
                    journal=journal,
                    strategy=strategy,
                    verify=verify,
                    interrupted=earlier.get(plan.scope, ()),
                )
            finally:
                if plan.report is not None:
                    results[plan.audience] = plan.report

        await few_at_once(ready, apply_one, AT_ONCE)

    async def _create(self) -> None:
        failed: dict[str, ThriveError] = {}
        assert self._thrive is not None  # noqa: S101 - the guards have seen to it
        for new in self.to_create:
            if new.reference in self.reports:
                # A guard has refused its members: better no audience than an empty one.
                continue
            try:
                if new.parent in failed:
                    raise failed[new.parent]
                audience = await created(self._thrive, new)
                check_audience(new.reference, audience)
            except ThriveError as error:
                failed[new.reference] = error
                self.reports[new.reference] = error
            else:
                if new.reference in self.plans:
                    self.plans[new.reference].audience_id = audience.id

    def _content(self) -> dict[str, Any]:
        return {
            "order": self.order,
            "plans": {name: saved_content(plan) for name, plan in self.plans.items()},
            "errors": {name: [type(error).__name__, str(error)] for name, error in self.errors.items()},
            "to_create": [[new.reference, new.name, new.parent] for new in self.to_create],
        }

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            plans={name: restored_plan(MemberPlan, plan, **common) for name, plan in content["plans"].items()},
            # What an error was is told by its kind and its words; what it carried is not saved.
            errors={name: _ERRORS.get(kind, ThriveError)(text) for name, (kind, text) in content["errors"].items()},
            order=tuple(content["order"]),
            to_create=tuple(NewAudience(*new) for new in content["to_create"]),
            **common,
        )


def in_order(results: Mapping[str, T], order: Iterable[str]) -> dict[str, T]:
    """Return what there is for some audiences in a given order; others follow.

    Args:
        results: By the audiences' names.
        order: The names.
    """
    return {name: results[name] for name in dict.fromkeys((*order, *results)) if name in results}


class _Watcher:
    """Sums up the progress of several audiences."""

    def __init__(self, on_progress: OnProgress | None, plans: list[MemberPlan]) -> None:
        self._on_progress = on_progress
        self._total = sum(len(plan.to_add) + len(plan.to_remove) for plan in plans)
        self._latest: dict[str, Progress] = {}
        self._started = asyncio.get_running_loop().time()

    def of(self, plan: MemberPlan) -> OnProgress | None:
        if self._on_progress is None:
            return None

        def note(step: Progress) -> None:
            self._latest[plan.audience] = step
            self._tell()

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
