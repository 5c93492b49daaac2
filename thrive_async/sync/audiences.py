"""Many audiences at once, made where they are missing; what goes wrong with one leaves the others alone."""

import os
from collections.abc import Iterable, Mapping

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError, NotFoundError, ThriveError
from thrive_async.sync._apply.workers import few_at_once
from thrive_async.sync._arguments import Strategy, check_applying, check_audience_name, check_flags, check_iterable
from thrive_async.sync._audiences_plan import AT_ONCE, AudiencesPlan, in_order
from thrive_async.sync._guards import DEFAULT_MAX_REMOVALS
from thrive_async.sync._match.names import folded
from thrive_async.sync._member_plan import Desired, MemberPlan
from thrive_async.sync._reading import get_audience
from thrive_async.sync.members import matched, plan_members, planned
from thrive_async.sync.new_audiences import NewAudience, parents_first
from thrive_async.sync.report import OnProgress, SyncReport

__all__ = ["plan_audiences", "sync_audiences"]


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
        create_missing: What to make where an audience does not exist; also structures that nobody is synced into.
            Parents are made first, in whatever order they are given.
        removals: As for `plan_members`.
        allow_empty: As for `plan_members`.

    Returns:
        A plan of plans. An audience for which there is none has its error in `errors`. From an audience whose name
        differs from such a one's, or from one that is to be made, only in how it is written (`sales` and `Sales`),
        nobody is removed: who would be is in its plan's `held`.

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
                plans[name] = planned(thrive, name, name, 0, match, removals=removals, allow_empty=allow_empty)
            else:
                plans[name] = await plan_members(
                    thrive, name, desired[name], removals=removals, allow_empty=allow_empty
                )
        except ThriveError as error:
            errors[name] = error

    await few_at_once(described, look, AT_ONCE)
    await few_at_once([name for name in desired if name not in errors], plan_one, AT_ONCE)
    _refuse_twins(plans, errors)
    _hold_namesakes(plans, [*errors, *missing])
    return AudiencesPlan(
        plans=in_order(plans, desired),
        errors=in_order(errors, desired),
        order=tuple(desired),
        to_create=tuple(new for new in described if new.reference in missing),
        tenant=thrive.tenant_id,
        thrive=thrive,
    )


def _refuse_twins(plans: dict[str, MemberPlan], errors: dict[str, ThriveError]) -> None:
    # Two lists for one audience would undo each other's work.
    names: dict[str, list[str]] = {}
    for name, plan in plans.items():
        names.setdefault(plan.audience_id, []).append(name)
    for twins in names.values():
        if len(twins) > 1:
            for name in twins:
                del plans[name]
                errors[name] = ConfigurationError(f"{' and '.join(twins)} are one audience: give it one list")


def _hold_namesakes(plans: dict[str, MemberPlan], unknown: Iterable[str]) -> None:
    # Whoever is listed under "Sales", which there is not, seems to have left "sales".
    alike: dict[str, str] = {}
    for name in unknown:
        alike.setdefault(_remains(name), name)
    for name, plan in plans.items():
        other = alike.get(_remains(name), name)
        if other != name:
            plan.hold_removals(
                f"not removed: the lists also name {other}, which may be the same audience and is not synced with it; "
                "correct its name"
            )


def _remains(audience: str) -> str:
    return "".join(char for char in folded(audience) if char.isprintable() and char != " ")


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
    await check_applying(
        max_removals=max_removals, on_progress=on_progress, journal=journal, strategy=strategy, verify=verify
    )
    plan = await plan_audiences(
        thrive, desired, create_missing=create_missing, removals=removals, allow_empty=allow_empty
    )
    return await plan.apply(
        max_removals=max_removals, on_progress=on_progress, journal=journal, strategy=strategy, verify=verify
    )
