"""Sync many audiences at once, and create missing ones. A failure in one audience does not affect the others."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Self, TypeVar

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError, InvalidArgument, NotFoundError, ThriveError
from thrive_async.models import Audience
from thrive_async.sync._apply.journal import check_usable, history_of
from thrive_async.sync._apply.locks import claim_each, exclusive, target_of
from thrive_async.sync._audience_turns import Turns
from thrive_async.sync._doubts import Unknown, check_protect, check_unknown, same_audience
from thrive_async.sync._guards import (
    DEFAULT_MAX_AGE,
    DEFAULT_MAX_REMOVALS,
    DEFAULT_MAX_TOTAL_REMOVALS,
    Applying,
    MaxRemovals,
    Strategy,
    check_audience,
    check_audience_name,
    check_flags,
    check_iterable,
    check_total,
    missing_audience,
)
from thrive_async.sync._plans import SavedPlan, restored_plan, saved_content
from thrive_async.sync._reading import get_audience
from thrive_async.sync._tables import figures_table
from thrive_async.sync._workers import few_at_once, in_bulk
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.members import Desired, MemberPlan, matched, plan_found, planned
from thrive_async.sync.new_audiences import NewAudience, created, parents_first
from thrive_async.sync.report import OnProgress, SyncReport

__all__ = ["AudiencesPlan", "plan_audiences", "sync_audiences"]

T = TypeVar("T")
# Audiences read or written at a time: more would hide the waiting of small ones, but large ones take memory.
_AT_ONCE: Final = 8


@attrs.define(kw_only=True, repr=False, eq=False)
class AudiencesPlan(SavedPlan):
    """What a sync of several audiences would change; made by `plan_audiences`.

    Attributes:
        plans: The plan of each audience, by the name you gave.
        errors: Why an audience has no plan, by the same names.
        order: The names as you gave them. Printed and returned results keep this order.
        to_create: The audiences and structures to create first, parents before children.
        tenant: The id of the tenant that the plan was made for.
        made_at: When the plan was made.
        reports: The report or error of each audience, also after a cancel. Audiences that the run did not reach are
            missing.
    """

    kind: ClassVar[str] = "audiences"

    plans: dict[str, MemberPlan]
    errors: dict[str, ThriveError]
    order: tuple[str, ...]
    to_create: tuple[NewAudience, ...] = ()
    reports: dict[str, SyncReport | ThriveError] = attrs.field(factory=dict["str", "SyncReport | ThriveError"])

    @property
    def calls(self) -> dict[str, int]:
        """How many writes each strategy needs if all succeed, with the audiences to create."""
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

    def _repr_html_(self) -> str:
        rows: dict[str, tuple[str, dict[str, int]]] = {
            name: (name, plan.figures)
            for name, plan in sorted(self.plans.items(), key=lambda one: len(one[1].to_add) + len(one[1].to_remove))
        }
        rows |= {name: (f"{name}: {type(error).__name__}", {}) for name, error in self.errors.items()}
        return figures_table(f"Plan for {self._subject}", [*reversed(rows.values())])

    async def apply(
        self,
        *,
        max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS,
        max_total_removals: MaxRemovals = DEFAULT_MAX_TOTAL_REMOVALS,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
        strategy: Strategy = "diff",
        verify: bool = False,
        wait: float = 0.0,
        max_age: timedelta | None = DEFAULT_MAX_AGE,
    ) -> dict[str, SyncReport | ThriveError]:
        """Create what is missing, then apply every plan. All plans share the client's limits.

        Args:
            max_removals: As for `MemberPlan.apply`, for each audience separately.
            max_total_removals: Refuse to remove more than this in total: a count (int), a fraction of all memberships
                (float), a `Guard` (by default 5 %, but at least 20), or None for no guard.
            on_progress: A plain function, called after each answer with one `Progress` over all audiences.
            journal: One file for all audiences. Each line names its audience.
            strategy: As for `MemberPlan.apply`.
            verify: As for `MemberPlan.apply`.
            wait: As for `MemberPlan.apply`.
            max_age: As for `MemberPlan.apply`.

        Returns:
            Each audience's report, or the error that stopped it: a guard refused it, or it or a structure above it
            could not be created. The order is that of the desired lists, followed by structures that could not be
            created.

        Raises:
            GuardRefused: The plans together remove too many people, the plan is too old, or another run uses the
                journal. Nothing was changed.
            SyncError: The plan was applied before, or has no client.
            InvalidArgument: An argument is out of range.
            ConfigurationError: The journal file holds something else, or a lock cannot be taken.
            OSError: The journal cannot be written.
        """
        applying = Applying(
            max_removals=max_removals,
            max_total_removals=max_total_removals,
            on_progress=on_progress,
            journal=journal,
            strategy=strategy,
            verify=verify,
            wait=wait,
            max_age=max_age,
        )
        await check_usable(journal)
        self.check_age(self._subject, max_age)
        async with exclusive(wait=wait, journal=journal):
            history = await history_of(journal, min(plan.made_at for plan in (self, *self.plans.values())))
            refused = self.refusals(max_removals=max_removals, strategy=strategy)
            self.check_total(max_total_removals, refused)
            thrive = self._begin(self._subject)
            for plan in self.plans.values():
                plan.source = plan.source or self.source
            self.reports = {**self.errors, **refused}
            try:
                await self._create(thrive)
                ready = [plan for plan in self.plans.values() if plan.audience not in self.reports]
                turns = Turns(applying, history, self.reports)
                await few_at_once(ready, turns.apply, _AT_ONCE)
            finally:
                self.reports = _in_order(self.reports, self.order)
        return self.reports

    def check_total(
        self, max_total_removals: MaxRemovals = DEFAULT_MAX_TOTAL_REMOVALS, refused: Collection[str] = ()
    ) -> None:
        """Raise the error that `apply` would raise if the plans together remove too many people.

        Args:
            max_total_removals: As for `apply`.
            refused: Audiences that are left out of the count, because they are not synced.

        Raises:
            GuardRefused: The plans together remove too many people.
            InvalidArgument: `max_total_removals` is out of range.
        """
        removals = sum(len(plan.to_remove) for name, plan in self.plans.items() if name not in refused)
        check_total(self._subject, removals, self.current, max_total_removals)

    @property
    def current(self) -> int:
        """How many memberships the audiences had when the plan was made."""
        return sum(plan.current for plan in self.plans.values())

    async def refresh(self) -> None:
        """Read Thrive again, and drop changes that no longer apply; see `SavedPlan.refresh`."""
        new = {one.reference for one in self.to_create}

        async def refresh(plan: MemberPlan) -> None:
            try:
                await plan.refresh()
            except ThriveError as error:
                self.errors[plan.audience] = error
                del self.plans[plan.audience]

        await few_at_once([plan for name, plan in self.plans.items() if name not in new], refresh, _AT_ONCE)
        await super().refresh()

    def mark_stale(self) -> None:
        """Make `apply` read Thrive again first."""
        super().mark_stale()
        new = {one.reference for one in self.to_create}
        for name, plan in self.plans.items():
            if name not in new:
                plan.mark_stale()

    def refusals(
        self, *, max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS, strategy: Strategy = "diff"
    ) -> dict[str, ThriveError]:
        """Return the audiences that a guard would refuse, with the error. Nothing is sent.

        Args:
            max_removals: As for `apply`.
            strategy: As for `apply`.

        Returns:
            The refusals by audience. Audiences without a plan are in `errors`.

        Raises:
            SyncError: The plan was applied before, or has no client.
            InvalidArgument: An argument is out of range.
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

    async def create(self, *, max_removals: MaxRemovals, strategy: Strategy) -> None:
        """Create missing audiences, except those that a guard refuses. Call `apply` instead.

        Args:
            max_removals: As for `apply`.
            strategy: As for `apply`.
        """
        self.reports = {**self.errors, **self.refusals(max_removals=max_removals, strategy=strategy)}
        await self._create(self._client(self._subject))

    async def _create(self, thrive: ThriveClient) -> None:
        failed: dict[str, ThriveError] = {}
        for new in self.to_create:
            if new.reference in self.reports:
                # A guard refused its members, and no audience is better than an empty one.
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
            "errors": {name: _saved_error(error) for name, error in self.errors.items()},
            "to_create": [[new.reference, new.name, new.parent] for new in self.to_create],
        }

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            plans={name: restored_plan(MemberPlan, plan, **common) for name, plan in content["plans"].items()},
            errors={name: _restored_error(*saved) for name, saved in content["errors"].items()},
            order=tuple(content["order"]),
            to_create=tuple(NewAudience(*new) for new in content["to_create"]),
            **common,
        )


def _saved_error(error: ThriveError) -> list[Any]:
    # Only the kind, the text and the argument names in the text are saved.
    if isinstance(error, GuardRefused):
        named = [*error.named, *([error.argument] if error.argument else [])]
        lifted = f". {error.remedy}, pass ${error.argument}" if error.argument else ""
        return ["GuardRefused", error.text + lifted, named]
    if isinstance(error, InvalidArgument | ConfigurationError):
        return [type(error).__name__, error.text, error.arguments]
    return [type(error).__name__, str(error), []]


def _restored_error(kind: str, text: str, named: Sequence[str]) -> ThriveError:
    if kind == "GuardRefused":
        return GuardRefused(text, named=named)
    if kind in ("InvalidArgument", "ConfigurationError"):
        return {"InvalidArgument": InvalidArgument}.get(kind, ConfigurationError)(text, *named)
    return SyncError(text) if kind == "SyncError" else ThriveError(text)


async def plan_audiences(
    thrive: ThriveClient,
    desired: Mapping[str, Desired],
    *,
    create_missing: Iterable[NewAudience] = (),
    removals: bool = True,
    allow_empty: bool = False,
    unknown: Unknown = "hold",
    protect: Iterable[str] = (),
) -> AudiencesPlan:
    """Compare the members of several audiences with desired lists, without changing anything.

    Args:
        thrive: The client. Its limits apply to all audiences together.
        desired: The people who should be members, by the audience's id or reference.
        create_missing: Audiences to create if they do not exist, including structures without members. Parents are
            created first, whatever the order you give.
        removals: As for `plan_members`.
        allow_empty: As for `plan_members`.
        unknown: As for `plan_members`.
        protect: As for `plan_members`, in all audiences.

    Returns:
        A plan for each audience; an audience without a plan has its error in `errors`. If an audience's name differs
        only in spelling (`sales` and `Sales`) from one without a plan or one to create, all its removals are held: see
        `MemberPlan.held`.

    Raises:
        InvalidArgument: `create_missing` contradicts itself.
        TypeError: A desired list is a lone string, or not an iterable.
    """
    made_at = datetime.now(UTC)
    survey = await _survey(
        thrive, desired, create_missing, removals=removals, allow_empty=allow_empty, unknown=unknown, protect=protect
    )
    targets = {name: target_of(thrive, MemberPlan.kind, one.id, name) for name, one in survey.found.items()}
    busy = await claim_each(targets.values())
    survey.errors.update({name: busy[target] for name, target in targets.items() if target in busy})
    plans: dict[str, MemberPlan] = {}

    async def plan_one(name: str) -> None:
        try:
            plans[name] = await survey.plan(name, desired[name])
        except ThriveError as error:
            survey.errors[name] = error

    await few_at_once([name for name in desired if name not in survey.errors], plan_one, _AT_ONCE)
    for name, reason in same_audience(plans, [*survey.errors, *survey.missing]).items():
        plans[name].hold_removals(reason)
    return AudiencesPlan(
        plans=_in_order(plans, desired),
        errors=_in_order(survey.errors, desired),
        order=tuple(desired),
        to_create=survey.to_create,
        tenant=thrive.tenant_id,
        made_at=made_at,
        thrive=thrive,
    )


@attrs.define
class _Survey:
    """The desired audiences that exist, and how to plan one of them.

    Attributes:
        found: The audiences that exist, by the names the caller gave.
        missing: The references of the audiences to create.
        errors: Why an audience cannot be planned.
        to_create: What to create, parents first.
    """

    thrive: ThriveClient
    removals: bool
    allow_empty: bool
    unknown: Unknown
    protect: tuple[str, ...]
    found: dict[str, Audience] = attrs.field(factory=dict[str, Audience])
    missing: dict[str, None] = attrs.field(factory=dict[str, None])
    errors: dict[str, ThriveError] = attrs.field(factory=dict[str, ThriveError])
    to_create: tuple[NewAudience, ...] = ()

    async def plan(self, name: str, desired: Desired) -> MemberPlan:
        """Make the plan of one audience.

        Raises:
            ThriveError: No plan can be made. Errors of any other kind are wrapped, so that they stop only this
                audience.
        """
        try:
            if name in self.missing:
                match = await matched(self.thrive, [], desired)
                return planned(self.thrive, name, name, match, removals=self.removals, allow_empty=self.allow_empty)
            return await plan_found(
                self.thrive,
                name,
                self.found[name].id,
                desired,
                removals=self.removals,
                allow_empty=self.allow_empty,
                unknown=self.unknown,
                protect=self.protect,
            )
        except ThriveError:
            raise
        except Exception as error:
            raise SyncError(
                f"{name}: no plan could be made because of {type(error).__name__}, see __cause__; nothing was changed"
            ) from error


async def _survey(
    thrive: ThriveClient,
    desired: Mapping[str, Desired],
    create_missing: Iterable[NewAudience],
    *,
    removals: bool,
    allow_empty: bool,
    unknown: Unknown,
    protect: Iterable[str],
) -> _Survey:
    """Check the arguments of `plan_audiences` and find the audiences."""
    if not isinstance(desired, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"desired must map audiences to lists of names, not be a {type(desired).__name__}")
    for name, names in desired.items():
        check_audience_name(name)
        check_iterable(f"desired[{name[:100]!r}]", names, "names")
    check_flags(removals=removals, allow_empty=allow_empty)
    check_unknown(unknown)
    protected = check_protect(protect)
    described = parents_first(create_missing)
    survey = _Survey(in_bulk(thrive), removals, allow_empty, unknown, protected)
    new = {one.reference for one in described}

    async def look(name: str) -> None:
        try:
            audience = await get_audience(thrive, name)
            if name in desired:
                check_audience(name, audience)
                survey.found[name] = audience
        except NotFoundError as error:
            if name in new:
                survey.missing[name] = None
            else:
                survey.errors[name] = missing_audience(name)
                survey.errors[name].__cause__ = error
        except ThriveError as error:
            survey.errors[name] = error

    await few_at_once(dict.fromkeys((*(one.reference for one in described), *desired)), look, _AT_ONCE)
    survey.to_create = tuple(one for one in described if one.reference in survey.missing)
    _refuse_twice(survey)
    return survey


def _refuse_twice(survey: _Survey) -> None:
    # Two lists for one audience would undo each other's work.
    names: dict[str, list[str]] = {}
    for name, audience in survey.found.items():
        names.setdefault(audience.id, []).append(name)
    for same in names.values():
        if len(same) > 1:
            for name in same:
                del survey.found[name]
                survey.errors[name] = ConfigurationError(
                    f"{' and '.join(same)} are the same audience: give it one list"
                )


async def sync_audiences(
    thrive: ThriveClient,
    desired: Mapping[str, Desired],
    *,
    create_missing: Iterable[NewAudience] = (),
    removals: bool = True,
    allow_empty: bool = False,
    unknown: Unknown = "hold",
    protect: Iterable[str] = (),
    max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS,
    max_total_removals: MaxRemovals = DEFAULT_MAX_TOTAL_REMOVALS,
    on_progress: OnProgress | None = None,
    journal: str | os.PathLike[str] | None = None,
    strategy: Strategy = "diff",
    verify: bool = False,
    wait: float = 0.0,
) -> dict[str, SyncReport | ThriveError]:
    """Make the members of several audiences equal to lists, a few audiences at a time.

    Each audience is read, planned and applied in turn, so its plan is always fresh.

    Args:
        thrive: The client.
        desired: The people who should be members, by the audience's id or reference.
        create_missing: As for `plan_audiences`.
        removals: As for `plan_members`.
        allow_empty: As for `plan_members`.
        unknown: As for `plan_members`.
        protect: As for `plan_members`, in all audiences.
        max_removals: As for `MemberPlan.apply`, for each audience separately.
        max_total_removals: As for `AudiencesPlan.apply`, but checked as the run goes. If an audience's removals might
            exceed the limit, it waits until all audiences have been read, and is then read again. If all lists together
            remove too many people, the waiting audiences are refused.
        on_progress: As for `AudiencesPlan.apply`. The total grows as audiences are planned.
        journal: As for `AudiencesPlan.apply`.
        strategy: As for `MemberPlan.apply`.
        verify: As for `MemberPlan.apply`.
        wait: As for `MemberPlan.apply`. An audience is not read until another run of it ends.

    Returns:
        Each audience's report, or the error that stopped it, in the order you gave. An error in one audience does not
        stop the others, so check each.

    Raises:
        GuardRefused: Another run uses the journal. Nothing was changed.
        InvalidArgument: An argument is out of range, or `create_missing` contradicts itself. Nothing was sent.
        ConfigurationError: The journal file holds something else.
        OSError: The journal cannot be written.
        TypeError: A desired list is a lone string, or not an iterable.

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
    # Check the arguments before the long reading, so that a mistake shows at once.
    applying = Applying(
        max_removals=max_removals,
        max_total_removals=max_total_removals,
        on_progress=on_progress,
        journal=journal,
        strategy=strategy,
        verify=verify,
        wait=wait,
    )
    await check_usable(journal)
    async with exclusive(wait=wait, journal=journal):
        history = await history_of(journal, datetime.now(UTC))
        survey = await _survey(
            thrive,
            desired,
            create_missing,
            removals=removals,
            allow_empty=allow_empty,
            unknown=unknown,
            protect=protect,
        )
        new = await _created(survey, desired, applying)
        results = new.reports
        turns = Turns(applying, history, results)
        rest = [name for name in desired if name not in results]
        alike = same_audience(rest, [*survey.errors, *survey.missing])

        async def turn(name: str) -> None:
            await turns.plan_and_apply(survey.plan, name, desired, new.plans, alike.get(name))

        try:
            await few_at_once(rest, turn, _AT_ONCE)
            await few_at_once(turns.put_off, turn, _AT_ONCE)
        finally:
            results = _in_order(results, desired)
    return results


async def _created(survey: _Survey, desired: Mapping[str, Desired], applying: Applying) -> AudiencesPlan:
    """Create the missing audiences, and return the plans for their members."""
    plans: dict[str, MemberPlan] = {}
    for name in survey.missing:
        if name in desired:
            try:
                plans[name] = await survey.plan(name, desired[name])
            except ThriveError as error:
                survey.errors[name] = error
    new = AudiencesPlan(
        plans=plans,
        errors=survey.errors,
        order=tuple(desired),
        to_create=survey.to_create,
        tenant=survey.thrive.tenant_id,
        thrive=survey.thrive,
    )
    await new.create(max_removals=applying.max_removals, strategy=applying.strategy)
    return new


def _in_order(results: Mapping[str, T], order: Iterable[str]) -> dict[str, T]:
    """Sort results into a given order, followed by the others.

    Args:
        results: The results by audience name.
        order: The names in order.
    """
    return {name: results[name] for name in dict.fromkeys((*order, *results)) if name in results}
