"""The judge's cases of managers: who manages an audience, with what permissions, under faults and cancels."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from tests.sync.oracle import Found, fits, trimmed
from tests.sync.oracle_cases import crowd, spelt
from thrive_async import Limits, Retry, sync
from thrive_async.models import AudienceManagerGrant, ManagerGrant, ManagerGrantPermissions, PeopleManagerGrant
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sync import ManagerPlan, SyncReport

Rights = frozenset[str]
GRANTS = (
    ManagerGrantPermissions(),
    ManagerGrantPermissions(people_manager=PeopleManagerGrant(insights=True)),
    ManagerGrantPermissions(
        people_manager=PeopleManagerGrant(insights=True, manage=False),
        audience_manager=AudienceManagerGrant(assignments=True),
    ),
)
RIGHTS = (frozenset[str](), frozenset({"insights"}), frozenset({"insights", "assignments"}))
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("status", {"status": 500, "after": True}),
    ("status", {"status": 422}),
    ("close_after", {}),
    ("close_before", {}),
    ("not_json", {}),
    ("rate_limited", {"retry_after": 2}),
    ("wrong_shape", {"body": {"success": {"count": 0, "entities": []}}}),
    ("latency", {"seconds": 45.0}),
)


def rights(sandbox: Sandbox) -> dict[str, Rights]:
    """Who manages the audience, by id, and what they may do."""
    return {
        user_id: frozenset(flag for flags in given.values() for flag, value in flags.items() if value)
        for user_id, given in sandbox.state.audiences["team"].managers.items()
    }


def judge_managers(
    found: Found, sandbox: Sandbox, plan: ManagerPlan, report: SyncReport, *, before: dict[str, Rights], stay: set[str]
) -> None:
    """Compare the report with what was planned, and with who manages the audience now."""
    say = found.wrong.append
    now = rights(sandbox)
    leave = {one.user_id for one in plan.to_remove}
    if leave & stay or stay - now.keys():
        say("a desired manager is removed")
    if plan.current != len(before):
        say("somebody who was a manager is not counted")
    planned = Counter([("add", one.reference) for one in plan.to_add])
    planned.update(("update", one.reference) for one in plan.to_change)
    planned.update(("remove", one) for one in leave)
    told = (*report.added, *report.changed, *report.removed, *report.failed, *report.not_attempted)
    if planned != Counter((one.action, one.reference) for one in told):
        say("somebody planned is not accounted for exactly once")
    wanted = {one.reference: RIGHTS[GRANTS.index(one.permissions)] for one in (*plan.to_add, *plan.to_change)}
    users = sandbox.state.users.values()
    for one in (*report.added, *report.changed):
        meant = [user["id"] for user in users if fits(one.reference, user)]
        if not any(now.get(user_id) == wanted[one.reference] for user_id in meant):
            say(f"{one.action} claimed, and not so: {one.reason}")
    for one in report.removed:
        if one.reference in now:
            say("removed, but a manager")
    for one in report.not_attempted:
        meant = [user["id"] for user in users if fits(one.reference, user)]
        if one.action == "remove" and one.reference not in now:
            say("not attempted, but removed")
        if one.action == "add" and len(meant) == 1 and meant[0] in now.keys() - before.keys():
            say("not attempted, but added")


async def managers(seed: int, directory: Path) -> Found:
    """One audience's managers: plan, apply under faults, maybe cancel; then once more without any of that."""
    chance = random.Random(seed)
    found = Found()
    journal = directory / f"managers-{seed}.jsonl"
    batches = chance.choice([207, 422])
    async with Sandbox(users=0, seed=seed, clock=VirtualClock(), all_failed_batch=batches) as sandbox:
        users = crowd(sandbox, chance, chance.choice([3, 30, 130]))
        sandbox.state.add_audience("team")
        limits = Limits(concurrency=chance.choice([1, 4]))
        async with sandbox.client(limits=limits, retry=Retry(max_attempts=2)) as thrive:
            for user in users:
                if chance.random() < 0.4:
                    given = ManagerGrant(reference=user["id"], permissions=chance.choice(GRANTS))
                    await thrive.audiences.managers.add("team", [given])
            before = rights(sandbox)
            names = [spelt(one, chance) for one in users if chance.random() < (0.9 if one["id"] in before else 0.2)]
            names += ["nobody@example.net", *chance.sample(names, min(len(names), chance.choice([0, 0, 2])))]
            desired = [ManagerGrant(reference=str(name), permissions=chance.choice(GRANTS)) for name in names]
            known = {trimmed(name) for name in names} - {None}
            stay = {one["id"] for one in users if one["id"] in before and any(fits(str(name), one) for name in known)}
            removals = chance.random() < 0.8
            plan = await sync.plan_managers(thrive, "team", desired, removals=removals)
            for kind, details in chance.sample(FAULTS, chance.choice([0, 0, 1, 2])):
                operation = chance.choice(["addManagers", "removeManager"])
                times, probability = chance.choice([1, 2, None]), chance.choice([1.0, 0.5])
                sandbox.faults.add(kind, operation=operation, times=times, probability=probability, **details)  # type: ignore[arg-type]
            await found.of_run(plan.apply(max_removals=None, journal=journal), chance, share=0.3, within=1)
            if plan.report is None:
                found.wrong.extend(["changed without a report"] * (rights(sandbox) != before))
            else:
                found.people = plan.report.planned
                found.count(plan.report)
                judge_managers(found, sandbox, plan, plan.report, before=before, stay=stay)
        sandbox.faults.clear()
        async with sandbox.client(limits=limits) as thrive:
            plan = await sync.plan_managers(thrive, "team", desired, removals=removals)
            await plan.apply(max_removals=None, journal=journal)
            plan = await sync.plan_managers(thrive, "team", desired, removals=removals)
            if plan.to_change:
                found.wrong.append("the second night has permissions to change")
    return found
