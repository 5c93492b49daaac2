"""Random cases for the judge: people with odd names, lists in every spelling, faults, cancels; each made of a seed."""

import random
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.sync.oracle import Found, User, judge, judge_journal, trimmed, verdict, watched
from thrive_async import Limits, Retry, ThriveClient, ThriveError, sync
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sync import MemberPlan, SyncReport

FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("rate_limited", {}),
    ("rate_limited", {"retry_after": 2}),
    ("rate_limited", {"retry_after": 200}),
    ("rate_limited", {"retry_after": 4000}),
    ("status", {"status": 400}),
    ("status", {"status": 401}),
    ("status", {"status": 403}),
    ("status", {"status": 404}),
    ("status", {"status": 409}),
    ("status", {"status": 422}),
    ("status", {"status": 500}),
    ("status", {"status": 500, "after": True}),
    ("status", {"status": 503, "retry_after": 3}),
    ("html", {"after": True}),
    ("empty_body", {}),
    ("cut_body", {}),
    ("not_json", {}),
    ("wrong_shape", {}),
    ("wrong_shape", {"body": {"success": {"count": 0, "entities": []}}}),
    ("close_before", {}),
    ("close_after", {}),
    ("latency", {"seconds": 45.0}),
    ("latency", {"seconds": 0.2, "jitter": 0.5}),
    ("poisoned", {}),
    ("unknown_users", {}),
)


def crowd(sandbox: Sandbox, chance: random.Random, count: int) -> list[User]:
    """People whose names are what an HR system of twenty years makes them."""
    made: list[User] = []

    def add(ref: str | None, email: str | None) -> None:
        with suppress(ValueError):  # a name that somebody has already
            made.append(sandbox.state.add_user(ref=ref, email=email))

    for at in range(count):
        kind = chance.random()
        email = f"person.{at}@example.org"
        if kind < 0.6:
            add(f"P-{at:05}", email)
        elif kind < 0.66:
            add(None, email)
        elif kind < 0.72:
            add(f"P-{at:05}", None)
        elif kind < 0.74:
            add(None, None)
        elif kind < 0.8:
            add(f"{at:07}", f"Person.{at}@Example.ORG")
        elif kind < 0.86 and made:
            # Written almost as somebody else is: another case, another composition, without zeros.
            other = chance.choice(made)["ref"] or "nobody"
            add(chance.choice([other.lower(), other.upper(), unicodedata.normalize("NFD", other), "0" + other]), email)
        elif kind < 0.9 and made:
            # One person's ref is another's e-mail address or id.
            other = chance.choice(made)
            add(chance.choice([other["email"], other["id"]]), email)
        elif kind < 0.95:
            add(f"Zoë/{at} %41+&?", f"zoë+{at}@exämple.org")
        else:
            add(f"{chance.getrandbits(96):024x}", email)
    return made


def spelt(user: User, chance: random.Random) -> object:
    """One of a user's names, as somebody might write it."""
    names: list[str] = [user["id"], user["id"].upper()]
    if user["ref"]:
        names += [user["ref"]] * 4
    if user["email"]:
        names += [user["email"]] * 4 + [user["email"].upper(), user["email"].title()]
    name = chance.choice(names)
    if chance.random() < 0.1:
        name = chance.choice([" {}", "{} ", "\ufeff{}", "{}\u00a0", "\t{}\r\n", "\u200b{}"]).format(name)
    return name


def wanted(users: list[User], members: list[User], chance: random.Random) -> list[object]:
    """A desired list: most members, some others, some twice, some nonsense."""
    shape = chance.choice(["night", "night", "reorganisation", "first fill", "same", "anything"])
    stay, join = {
        "night": (0.95, 0.1),
        "reorganisation": (0.2, 0.5),
        "first fill": (1.0, 0.9),
        "same": (1.0, 0.0),
        "anything": (chance.random(), chance.random()),
    }[shape]
    inside = {one["id"] for one in members}
    chosen = [one for one in users if chance.random() < (stay if one["id"] in inside else join)]
    one_way = chance.random() < 0.3
    names: list[object] = [one["ref"] or one["id"] if one_way else spelt(one, chance) for one in chosen]
    if chosen:
        names += [spelt(chance.choice(chosen), chance) for _ in range(chance.choice([0, 0, 1, 5]))]
        # Written wrongly by a person or a spreadsheet: another case, no zeros.
        for _ in range(chance.choice([0, 0, 0, 2])):
            name = str(spelt(chance.choice(users), chance))
            names.append(chance.choice([name.swapcase(), name.lstrip("0"), unicodedata.normalize("NFD", name)]))
    names += [f"unknown{chance.randrange(9)}@example.net" for _ in range(chance.choice([0, 0, 1, 3]))]
    names += chance.sample(["", "  ", None, 7, "a\nb", "x" * 1001, "\ud800", "."], chance.choice([0, 0, 2]))
    if not any(map(trimmed, names)):
        names.append("unknown@example.net")
    chance.shuffle(names)
    return names


def add_faults(sandbox: Sandbox, chance: random.Random, users: list[User]) -> None:
    """None to three faults against writes."""
    chosen = chance.sample(FAULTS, chance.choice([0, 0, 1, 1, 2, 3]))
    if any(kind == "unknown_users" or details.get("status") == 404 for kind, details in chosen):
        # After a lost answer, a 404 for somebody who is there makes the transport believe in the removal; and whoever
        # was added, and is unknown when the answer is asked for again, is no case of this world.
        chosen = chosen[:1]
    for kind, details in chosen:
        operation = chance.choice(["addMembers", "removeMember", "replaceMembers", "*Member*"])
        if kind in ("poisoned", "unknown_users"):
            struck = chance.sample(users, min(len(users), chance.choice([1, 2, 5])))
            details = {"references": [one["id"] for one in struck]}  # noqa: PLW2901
        if details.get("status") == 404 or kind == "wrong_shape":
            # For reading that would be another world, or an endless one.
            operation = chance.choice(["addMembers", "removeMember"])
        sandbox.faults.add(
            kind,  # type: ignore[arg-type]
            operation=operation,
            times=chance.choice([1, 2, 6, None]),
            probability=chance.choice([1.0, 0.5, 0.2]),
            **details,
        )


async def finish(thrive: ThriveClient, audience: str, names: list[Any], journal: Path, *, removals: bool) -> SyncReport:
    """The run of the next night."""
    return await sync.sync_members(thrive, audience, names, removals=removals, max_removals=None, journal=journal)


async def one_audience(seed: int, directory: Path) -> Found:
    """One audience, one list: plan, apply under faults, maybe cancel; then once more without any of that."""
    chance = random.Random(seed)
    found = Found()
    journal = directory / f"{seed}.jsonl"
    async with Sandbox(
        users=0,
        seed=seed,
        clock=VirtualClock(),
        latency=chance.choice([0.0, 0.01]),
        all_failed_batch=chance.choice([207, 422]),
        delete_reply=chance.choice(["object", "empty", "no_content"]),
    ) as sandbox:
        users = crowd(sandbox, chance, chance.choice([3, 40, 150, 320]))
        members = [one for one in users if chance.random() < chance.choice([0.1, 0.5, 0.8])]
        sandbox.state.add_audience("team", members=[one["id"] for one in members])
        names = wanted(users, members, chance)
        removals = chance.random() < 0.85
        strategy: sync.Strategy = chance.choice(["diff", "diff", "diff", "rebuild"])
        right = verdict(sandbox, members, names, removals=removals)
        limits = Limits(concurrency=chance.choice([1, 3, 10]))
        with watched() as left:
            async with sandbox.client(limits=limits, retry=Retry(max_attempts=2)) as thrive:
                plan = await sync.plan_members(thrive, "team", names, removals=removals)  # type: ignore[arg-type]
                rebuilt = strategy == "rebuild" and plan.calls["rebuild"] < plan.calls["diff"]
                add_faults(sandbox, chance, users)
                verify = chance.random() < 0.2
                run = plan.apply(max_removals=None, strategy=strategy, verify=verify, journal=journal)
                await found.of_run(run, chance, share=0.35, within=0.02 + plan.calls["diff"] / 60)
                report = plan.report
                assert report is not None
                found.people = len(plan.to_add) + len(plan.to_remove)
                found.count(report)
                judge(found, sandbox, plan, report, right, rebuilt=rebuilt)
                judge_journal(found, journal, [(plan, report)])
            if not rebuilt and {user_id for _audience, user_id in left} & right.stay:
                found.wrong.append("somebody who stays was out for a while")
            sandbox.faults.clear()
            async with sandbox.client(limits=limits) as thrive:
                await finish(thrive, "team", names, journal, removals=removals)
        if rebuilt:
            # A rebuild that failed may have left out somebody whom Thrive does not know by the only name given.
            named = {trimmed(entry) for entry in names} - {None}
            right.open |= {
                one["id"]
                for one in members
                if not named & {one["id"], one["ref"], one["email"]} and one["id"] in right.stay
            }
        # Once the other person of a shared id has left, the id is theirs alone, and the next run removes them.
        right.open |= right.shared
        now = set(sandbox.state.audiences["team"].members)
        if now - right.open != right.final() - right.open:
            found.wrong.append(f"the next run leaves {len(right.final() - now)} out and {len(now - right.final())} in")
        comers = {one for one in right.come.values() if one is not None}
        if not rebuilt and {user_id for _audience, user_id in left} & ((right.stay | comers) - right.open):
            found.wrong.append("somebody who stays or came was out for a while")
    return found


async def many_audiences(seed: int, directory: Path) -> Found:
    """Several audiences in one call, some of them to be made; what goes wrong with one leaves the others right."""
    chance = random.Random(seed)
    found = Found()
    journal = directory / f"{seed}.jsonl"
    async with Sandbox(users=0, seed=seed, clock=VirtualClock(), latency=chance.choice([0.0, 0.01])) as sandbox:
        users = crowd(sandbox, chance, chance.choice([20, 150]))
        sandbox.state.add_audience("root", category="structure")
        desired: dict[str, list[object]] = {}
        before: dict[str, list[User]] = {}
        new: list[sync.NewAudience] = []
        for at in range(chance.randint(1, 6)):
            name = f"team/{at} ä"
            members = [one for one in users if chance.random() < chance.choice([0.1, 0.6])]
            if chance.random() < 0.2:
                members = []
                new.append(sync.NewAudience(name, parent=chance.choice([None, "root", "new root"])))
            else:
                parent = chance.choice([None, "root"])
                sandbox.state.add_audience(name, parent=parent, members=[one["id"] for one in members])
            before[name] = members
            desired[name] = wanted(users, members, chance)
        if any(one.parent == "new root" for one in new):
            new.append(sync.NewAudience("new root"))
        if chance.random() < 0.3:
            desired["nowhere"] = ["somebody"]
        right = {name: verdict(sandbox, before[name], desired[name], removals=True) for name in before}
        limits = Limits(concurrency=chance.choice([1, 3, 10]))
        with watched() as left:
            async with sandbox.client(limits=limits, retry=Retry(max_attempts=2)) as thrive:
                plan = await sync.plan_audiences(thrive, desired, create_missing=new)  # type: ignore[arg-type]
                add_faults(sandbox, chance, users)
                run = plan.apply(max_removals=None, max_total_removals=None, journal=journal)
                await found.of_run(run, chance, share=0.35, within=0.1 + plan.calls["diff"] / 60)
            reports: list[tuple[MemberPlan, SyncReport]] = []
            if list(plan.reports) != [name for name in desired if name in plan.reports]:
                found.wrong.append("results in another order than asked for")
            for name, one in plan.plans.items():
                report = plan.reports.get(name)
                found.people += len(one.to_add) + len(one.to_remove)
                if isinstance(report, SyncReport):
                    reports.append((one, report))
                    found.count(report)
                    judge(found, sandbox, one, report, right[name], rebuilt=False)
                elif name in sandbox.state.audiences:
                    now = set(sandbox.state.audiences[name].members)
                    if now != {user["id"] for user in before[name]}:
                        found.wrong.append(f"{name}: changed without a report")
                if report is None and not found.cancelled:
                    found.wrong.append(f"{name}: neither a report nor an error")
            if set(plan.errors) != {"nowhere"} & desired.keys():
                found.wrong.append("errors for other audiences than those that are not there")
            if reports:
                judge_journal(found, journal, reports)
            sandbox.faults.clear()
            async with sandbox.client(limits=limits) as thrive:
                results = await sync.sync_audiences(
                    thrive,
                    desired,  # type: ignore[arg-type]
                    create_missing=new,
                    max_removals=None,
                    max_total_removals=None,
                    journal=journal,
                )
            for name, one in right.items():
                now = set(sandbox.state.audiences[name].members)
                one.open |= one.shared
                if now - one.open != one.final() - one.open:
                    found.wrong.append(f"{name}: the next run leaves it wrong")
                audience_id = sandbox.state.audiences[name]["id"]
                gone = {user_id for audience, user_id in left if audience == audience_id}
                if gone & (one.stay - one.shared):
                    found.wrong.append(f"{name}: somebody who stays was out for a while")
                if isinstance(results[name], ThriveError):
                    found.wrong.append(f"{name}: an error without a fault")
    return found
