"""Random HR exports for the judge: all fields, slips, faults, cancels; then two more nights, one without work."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.sync.oracle import UNCERTAIN, Found, User
from tests.sync.oracle_cases import many_audiences, one_audience
from tests.sync.oracle_managers import managers
from thrive_async import Retry, sync
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sync import SyncReport, UserPlan

FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("rate_limited", {}),
    ("status", {"status": 401}),
    ("status", {"status": 403}),
    ("status", {"status": 422}),
    ("status", {"status": 500}),
    ("status", {"status": 500, "after": True}),
    ("html", {"after": True}),
    ("cut_body", {}),
    ("wrong_shape", {}),
    ("close_before", {}),
    ("close_after", {}),
    ("latency", {"seconds": 45.0}),
)
ALWAYS = ("ref", "first_name", "last_name", "email")
OTHERS = {
    "role": ("learner", "Administrator", "learneradmin", ""),
    "job_title": ("", "Clerk", "Cook"),
    "start_date": ("", "2024-02-29", "2024-01-31T10:00:00+02:00", "2024-01-31T10:00:00"),
    "end_date": ("", "2031-01-01"),
    "time_zone": ("", "Europe/London"),
    "language_code": ("", "en-gb"),
    "sso": ("", "yes", "No", "1"),
    "login_method": ("", "email", "ref"),
    "additional_fields.Site": ("", "Leeds", "York"),
}
SHOWN = ("firstName", "lastName", "email", "role", "timeZone", "languageCode", "singleSignOn", "additionalFields")


def export(chance: random.Random, numbers: "range | list[int]", columns: list[str]) -> list[dict[str, str]]:
    """Rows, some of which cannot be used."""
    rows: list[dict[str, str]] = []
    for at in numbers:
        row = {
            "ref": f"S-{at:03}",
            "first_name": chance.choice(("Ada", "Zoë ", "Łukasz")),
            "last_name": chance.choice(("O'Brien", "x", "Müller")),
            "email": chance.choice((f"s{at}@example.org", f"S{at}@Example.org", "")),
            **{name: chance.choice(values) for name, values in OTHERS.items()},
            # Never beside blank="clear": a ref of nobody may become somebody's in between, which takes a night more.
            "manager_ref": chance.choice(("", f"S-{at // 2:03}", "NOBODY")),
        }
        rows.append({name: row[name] for name in columns})
    return rows


PLACEHOLDERS = ("#N/A", "NULL", "n/a", "-", "03-Apr", "#####")


def slip(chance: random.Random, rows: list[dict[str, str]], count: int) -> dict[str, str]:
    """Let some rows about users of Thrive go wrong; return what went wrong with each, by ref."""
    slips: dict[str, str] = {}
    for kind in chance.sample(("placeholder", "takeover", "swap", "chain"), chance.choice((0, 1, 2, 3))):
        free = [row for row in rows if row["ref"] not in slips and int(row["ref"][2:]) < count]
        if len(free) < 2:
            continue
        one, other = chance.sample(free, 2)
        if kind == "placeholder":
            name = chance.choice([name for name in one if name in ("first_name", "last_name", "email", "job_title")])
            one[name] = chance.choice(PLACEHOLDERS)
        elif kind == "takeover":
            one.update(first_name="Grace", last_name="Hopper", email=f"grace{one['ref']}@example.com")
        else:
            one["email"] = f"s{int(other['ref'][2:])}@example.org"
            last = f"s{int(one['ref'][2:])}@example.org"
            other["email"] = last if kind == "swap" else f"free{other['ref']}@example.org"
            slips[other["ref"]] = "beside"
        slips[one["ref"]] = f"swap {other['ref']}" if kind == "swap" else kind
    return slips


def judge_slips(
    found: Found,
    sandbox: Sandbox,
    plan: UserPlan,
    slips: dict[str, str],
    before: dict[str, dict[str, Any]],
    *,
    takeover: bool,
) -> None:
    """No slip has changed what it must not: told by what Thrive has now and had before."""
    say = found.wrong.append
    users = list(sandbox.state.users.values())
    addresses = Counter(user["email"].lower() for user in users if user["email"])
    if addresses and max(addresses.values()) > 1:
        say("two users have one e-mail address")
    texts = {str(user[name]) for user in users for name in ("firstName", "lastName", "email")}
    texts |= {str(one.get("title")) for user in users for one in user["positions"] or ()}
    if not texts.isdisjoint(PLACEHOLDERS):
        say("a placeholder was written")
    rejected, held = {ref for ref, _why in plan.rejected}, {one.ref for one in plan.held}
    for ref, kind in slips.items():
        had, user = before.get(ref), sandbox.state.by_ref(ref)
        if had is None or user is None:
            continue
        now = state_of(user)
        if kind == "takeover" and not takeover and had["email"] and had["firstName"] and user["status"] == "active":
            if now != had:
                say("a new person got an account")
            if ref not in rejected:
                say("a new person under an old number is not told")
        if kind == "placeholder" and ref not in rejected:
            say("a placeholder is not told")
        other = kind.removeprefix("swap ")
        if other in before and before[other]["email"] and had["email"]:
            if now["email"] != had["email"]:
                say("a swap of addresses was tried")
            if ref not in held | rejected:
                say("a swap is not told")
    for change in plan.to_update:
        for name, wire in (("first_name", "firstName"), ("last_name", "lastName"), ("email", "email")):
            if name in change.changes and change.changes[name][0] != before[change.ref][wire]:
                say("an old value is not what Thrive had")
    renamed = sum(bool({"first_name", "last_name", "email"} & set(change.fields)) for change in plan.to_update)
    if renamed != len(plan.identity_changes):
        say("max_changes counts wrongly")


def state_of(user: User) -> dict[str, Any]:
    """What an update may change of a user."""
    return {**{name: user[name] for name in SHOWN}, "positions": user["positions"], "account": dict(user.account)}


def judge_users(
    found: Found, sandbox: Sandbox, plan: UserPlan, report: SyncReport, before: dict[str, dict[str, Any]]
) -> None:
    """Compare a report with the plan and with the state."""
    say = found.wrong.append
    planned = Counter([("create", one.ref) for one in plan.to_create])
    planned += Counter([("update", one.ref) for one in plan.to_update])
    planned += Counter([("unsuspend", one.ref) for one in plan.to_unsuspend])
    planned += Counter([("suspend", one.ref) for one in plan.to_suspend])
    heaps = (report.added, report.changed, report.removed, report.failed, report.not_attempted)
    if Counter((one.action, one.reference) for heap in heaps for one in heap) != planned:
        say("somebody planned is not accounted for exactly once")
    if any(sandbox.state.by_ref(one.reference) is None for one in report.added):
        say("created, but not there")
    back = [one for one in report.changed if one.action == "unsuspend"]
    if any(sandbox.state.user(one.reference)["status"] != "active" for one in back):
        say("unsuspended, but not active")
    if any(sandbox.state.user(one.reference)["status"] != "inactive" for one in report.removed):
        say("suspended, but active")
    for one in (*report.failed, *report.not_attempted):
        if any(word in str(one.reason) for word in UNCERTAIN):
            continue
        user = sandbox.state.by_ref(one.reference)
        if one.action == "create":
            done = user is not None
        elif one.action in ("suspend", "unsuspend"):
            done = user is not None and (user["status"] == "inactive") == (one.action == "suspend")
        else:
            done = user is not None and state_of(user) != before[one.reference]
        if done:
            say(f"{one.action}: not done, and done: {one.reason}")


async def users(seed: int, directory: Path) -> Found:
    """One export, changed a little, applied under faults; then twice more without any."""
    chance = random.Random(seed)
    found = Found()
    hidden = chance.choice(("listed", "hidden"))
    async with Sandbox(users=0, seed=seed, clock=VirtualClock(), deleted_users=hidden) as sandbox:  # type: ignore[arg-type]
        count = chance.choice((3, 20, 70))
        columns = [*ALWAYS, *(name for name in (*OTHERS, "manager_ref") if chance.random() < 0.6)]
        async with sandbox.client() as thrive:
            first = export(chance, range(count), columns)
            await (await sync.plan_users(thrive, first, allow_empty=True)).apply()
        blank: Any = "keep" if "manager_ref" in columns else chance.choice(("keep", "clear"))
        leavers: Any = chance.choice(("suspend", "ignore"))
        second = export(chance, range(count + 3), columns)
        rows = [
            second[at] if at >= count or chance.random() < 0.3 else first[at]
            for at in range(count + 3)
            if chance.random() < 0.95
        ]
        slips = slip(chance, rows, count)
        returning: Any = chance.choice(("report", "unsuspend"))
        takeover = chance.random() < 0.2
        for at in chance.sample(range(count), min(count, chance.choice((0, 1, 2)))):
            suspended = sandbox.state.by_ref(f"S-{at:03}")
            if suspended is not None:
                suspended["status"] = "inactive"
        choices: dict[str, Any] = {
            "blank": blank,
            "leavers": leavers,
            "returning": returning,
            "allow_takeover": takeover,
            "allow_empty": True,
        }
        before = {user["ref"]: state_of(user) for user in sandbox.state.users.values()}
        async with sandbox.client(retry=Retry(max_attempts=2)) as thrive:
            plan = await sync.plan_users(thrive, rows, **choices)
            for kind, details in chance.sample(FAULTS, chance.choice((0, 1, 2))):
                times, probability = chance.choice((1, 3, None)), chance.choice((1.0, 0.4))
                sandbox.faults.add(
                    kind,
                    operation=chance.choice(("*User", "*User", "sendProvisioningEvent")),
                    times=times,
                    probability=probability,
                    **details,
                )  # type: ignore[arg-type]
            run = plan.apply(max_removals=None, max_changes=None, journal=directory / f"users-{seed}.jsonl")
            await found.of_run(run, chance, share=0.3, within=3)
        report = plan.report
        assert report is not None
        found.people = plan.calls
        found.count(report)
        judge_users(found, sandbox, plan, report, before)
        judge_slips(found, sandbox, plan, slips, before, takeover=takeover)
        sandbox.faults.clear()
        async with sandbox.client() as thrive:
            plan = await sync.plan_users(thrive, rows, **choices)
            refused = {one.reference for one in (await plan.apply(max_removals=None, max_changes=None)).failed}
            # A doubt about a newcomer may end with the night.
            refused |= {ref for ref, _why in plan.rejected} | {one.ref for one in plan.held}
            plan = await sync.plan_users(thrive, rows, **choices)
        left = [*plan.to_create, *plan.to_unsuspend, *plan.to_update, *plan.to_suspend]
        if any(one.ref not in refused for one in left):
            found.wrong.append("the second night has something to do")
    return found


def case_of(seed: int) -> Callable[[int, Path], Awaitable[Found]]:
    """Return what a seed is a case of: one audience mostly, several, its managers, or an export."""
    return (many_audiences, one_audience, one_audience, users, one_audience, managers)[seed % 6]
