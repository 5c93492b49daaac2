"""Many audiences at once, created where they are missing. A failure in one leaves the others alone."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Self, TypeVar

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError, InvalidArgument, NotFoundError, ThriveError
from thrive_async.sync._apply.journal import Interrupted, Scope, check_usable, not_going_on, unfinished
from thrive_async.sync._doubts import same_audience
from thrive_async.sync._guards import (
    DEFAULT_MAX_REMOVALS,
    Applying,
    Strategy,
    check_audience,
    check_audience_name,
    check_flags,
    check_iterable,
)
from thrive_async.sync._plans import SavedPlan, restored_plan, saved_content
from thrive_async.sync._reading import get_audience
from thrive_async.sync._workers import few_at_once
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.members import Desired, MemberPlan, matched, plan_members, planned
from thrive_async.sync.new_audiences import NewAudience, created, parents_first
from thrive_async.sync.report import OnProgress, Progress, SyncReport, tell

__all__ = ["AudiencesPlan", "plan_audiences", "sync_audiences"]

T = TypeVar("T")
_ERRORS: Final = {kind.__name__: kind for kind in (GuardRefused, SyncError, ConfigurationError, InvalidArgument)}
# Audiences read or written at a time: small ones wait for answers, large ones take memory.
_AT_ONCE: Final = 8


@attrs.define(kw_only=True, repr=False, eq=False)
class AudiencesPlan(SavedPlan):
    """What a sync of several audiences would change; made by `plan_audiences`.

    Attributes:
        plans: The plan of each audience, by the name the caller gave.
        errors: Why there is no plan for an audience, by the same names.
        order: The names as the caller gave them; what is printed and returned keeps their order.
        to_create: What to create first, parents before children.
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
        """How many writes each strategy needs, without failures and with what is created first."""
        made = len(self.to_create)
        return {
            strategy: made + sum(plan.calls[strategy] for plan in self.plans.values())
            for strategy in ("diff", "rebuild")
        }

    def __str__(self) -> str:
        lines = [f"{new.reference}: to be created" for new in self.to_create]
        planned: dict[str, object] = {**self.plans}
        planned |= {name: f"{name}: {type(error).__name__}" for name, error in self.errors.items()}
        lines += [str(line) for line in _in_order(planned, self.order).values()]
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
        """Create what is missing, then apply every plan, within the limits of the one client.

        Args:
            max_removals: As for `MemberPlan.apply`, for each audience by itself.
            on_progress: Called with one `Progress` over all audiences after each answer.
            journal: One file for all; each line names its audience.
            strategy: As for `MemberPlan.apply`.
            verify: As for `MemberPlan.apply`.

        Returns:
            For each audience its report, or the error that kept it from being synced: its guard's, or that of creating
            it or a structure above it. In the order of the desired lists; structures that could not be created follow.

        Raises:
            SyncError: The plan was applied before, or has no client.
            ConfigurationError: An argument cannot be meant.
            OSError: The journal cannot be written.
        """
        applying = Applying(
            max_removals=max_removals, on_progress=on_progress, journal=journal, strategy=strategy, verify=verify
        )
        earlier: dict[Scope, list[Interrupted]] = {}
        if journal is not None:
            earlier = await asyncio.to_thread(unfinished, journal)
        refused = self.refusals(max_removals=max_removals, strategy=strategy)
        thrive = self._begin(self._subject)
        self.reports = {**self.errors, **refused}
        try:
            await self._apply(thrive, applying, earlier)
        finally:
            self.reports = _in_order(self.reports, self.order)
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
        self._client(self._subject)
        Applying(max_removals=max_removals, strategy=strategy)
        refused: dict[str, ThriveError] = {}
        for name, plan in self.plans.items():
            try:
                plan.check_guards(max_removals=max_removals, strategy=strategy)
            except SyncError as error:
                refused[name] = error
        return refused

    @property
    def _subject(self) -> str:
        return f"{len(self.order):,} audiences"

    async def _apply(
        self, thrive: ThriveClient, applying: Applying, earlier: Mapping[Scope, list[Interrupted]]
    ) -> None:
        results = self.reports
        for name, plan in self.plans.items():
            try:
                not_going_on(earlier.get(plan.scope, []), name)
            except SyncError as error:
                results[name] = error
        await self._create(thrive)
        ready = [plan for plan in self.plans.values() if plan.audience not in results]
        watcher = _Watcher(applying.on_progress, ready)

        async def apply_one(plan: MemberPlan) -> None:
            try:
                watched = attrs.evolve(applying, on_progress=watcher.of(plan))
                await plan.apply_guarded(watched, earlier.get(plan.scope, ()))
            finally:
                if plan.report is not None:
                    results[plan.audience] = plan.report

        await few_at_once(ready, apply_one, _AT_ONCE)

    async def _create(self, thrive: ThriveClient) -> None:
        failed: dict[str, ThriveError] = {}
        for new in self.to_create:
            if new.reference in self.reports:
                # A guard has refused its members: better no audience than an empty one.
                continue
            try:
                if new.parent in failed:
                    raise failed[new.parent]
                audience = await created(thrive, new)
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
            # An error is saved by its kind and its words; what it carried is not.
            errors={name: _ERRORS.get(kind, ThriveError)(text) for name, (kind, text) in content["errors"].items()},
            order=tuple(content["order"]),
            to_create=tuple(NewAudience(*new) for new in content["to_create"]),
            **common,
        )


async def plan_audiences(
    thrive: ThriveClient,
    desired: Mapping[str, Desired],
    *,
    create_missing: Iterable[NewAudience] = (),
    removals: bool = True,
    allow_empty: bool = False,
) -> AudiencesPlan:
    """Compare the members of several audiences with who should be in them. Only reads.

    Args:
        thrive: The client; its limits hold over all audiences together.
        desired: Who should be a member, by the audience's id or reference.
        create_missing: What to create where an audience does not exist; also structures without members. Parents are
            created first, in whatever order they are given.
        removals: As for `plan_members`.
        allow_empty: As for `plan_members`.

    Returns:
        A plan of plans. An audience for which there is none has its error in `errors`. Nobody is removed from an
        audience whose name differs only in how it is written (`sales` and `Sales`) from that of such an audience, or of
        one that is to be created: see `MemberPlan.held`.

    Raises:
        ConfigurationError: `create_missing` contradicts itself.
        TypeError: A desired list is a lone string, or no iterable.
    """
    if not isinstance(desired, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"desired must map audiences to lists of names, not be a {type(desired).__name__}")
    for name, names in desired.items():
        check_audience_name(name)
        check_iterable(f"desired[{name[:100]!r}]", names, "names")
    check_flags(removals=removals, allow_empty=allow_empty)
    described = parents_first(create_missing)
    missing: set[str] = set()
    plans: dict[str, MemberPlan] = {}
    errors: dict[str, ThriveError] = {}

    async def look(new: NewAudience) -> None:
        try:
            await get_audience(thrive, new.reference)
        except NotFoundError:
            missing.add(new.reference)
        except ThriveError as error:
            errors[new.reference] = error

    async def plan_one(name: str) -> None:
        try:
            if name in missing:
                match = await matched(thrive, [], desired[name])
                plans[name] = planned(thrive, name, name, match, removals=removals, allow_empty=allow_empty)
            else:
                plans[name] = await plan_members(
                    thrive, name, desired[name], removals=removals, allow_empty=allow_empty
                )
        except ThriveError as error:
            errors[name] = error

    await few_at_once(described, look, _AT_ONCE)
    await few_at_once([name for name in desired if name not in errors], plan_one, _AT_ONCE)
    _refuse_twice(plans, errors)
    for name, reason in same_audience(plans, [*errors, *missing]).items():
        plans[name].hold_removals(reason)
    return AudiencesPlan(
        plans=_in_order(plans, desired),
        errors=_in_order(errors, desired),
        order=tuple(desired),
        to_create=tuple(new for new in described if new.reference in missing),
        tenant=thrive.tenant_id,
        thrive=thrive,
    )


def _refuse_twice(plans: dict[str, MemberPlan], errors: dict[str, ThriveError]) -> None:
    # Two lists for one audience would undo each other's work.
    names: dict[str, list[str]] = {}
    for name, plan in plans.items():
        names.setdefault(plan.audience_id, []).append(name)
    for same in names.values():
        if len(same) > 1:
            for name in same:
                del plans[name]
                errors[name] = ConfigurationError(f"{' and '.join(same)} are one audience: give it one list")


async def sync_audiences(
    thrive: ThriveClient,
    desired: Mapping[str, Desired],
    *,
    create_missing: Iterable[NewAudience] = (),
    removals: bool = True,
    allow_empty: bool = False,
    max_removals: float | None = DEFAULT_MAX_REMOVALS,
    on_progress: OnProgress | None = None,
    journal: str | os.PathLike[str] | None = None,
    strategy: Strategy = "diff",
    verify: bool = False,
) -> dict[str, SyncReport | ThriveError]:
    """Make the members of several audiences equal to lists: `plan_audiences` and `AudiencesPlan.apply` in one.

    Args:
        thrive: The client.
        desired: Who should be a member, by the audience's id or reference.
        create_missing: As for `plan_audiences`.
        removals: As for `plan_members`.
        allow_empty: As for `plan_members`.
        max_removals: As for `MemberPlan.apply`, for each audience by itself.
        on_progress: As for `AudiencesPlan.apply`.
        journal: As for `AudiencesPlan.apply`.
        strategy: As for `MemberPlan.apply`.
        verify: As for `MemberPlan.apply`.

    Returns:
        For each audience, in the order they were given, its report, or the error that kept it from being synced. What
        went wrong with one leaves the others alone, so look at each.

    Raises:
        ConfigurationError: `create_missing` contradicts itself.
        TypeError: A desired list is a lone string, or no iterable.

    Example:
        ```python
        results = await sync.sync_audiences(
            thrive,
            {"sales-emea": sales, "legal-emea": legal},
            create_missing=[NewAudience("emea", "EMEA"), NewAudience("legal-emea", "Legal EMEA", parent="emea")],
        )
        for audience, result in results.items():
            if isinstance(result, ThriveError) or not result.ok:
                print(audience, result)
        ```
    """
    # Before anything is read, so that a mistake costs no minutes.
    Applying(max_removals=max_removals, on_progress=on_progress, journal=journal, strategy=strategy, verify=verify)
    await check_usable(journal)
    plan = await plan_audiences(
        thrive, desired, create_missing=create_missing, removals=removals, allow_empty=allow_empty
    )
    return await plan.apply(
        max_removals=max_removals, on_progress=on_progress, journal=journal, strategy=strategy, verify=verify
    )


def _in_order(results: Mapping[str, T], order: Iterable[str]) -> dict[str, T]:
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
