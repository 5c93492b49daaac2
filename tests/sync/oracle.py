"""An independent judge of syncs: it reads the documents and the sandbox's state, and nothing of `thrive_async.sync`.

Who ought to be where is worked out name by name against all people, without an index, and compared with what happened.
`oracle_cases` makes the cases.
"""

import asyncio
import json
import random
import unicodedata
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from thrive_async.sandbox import Sandbox
from thrive_async.sandbox.state.audiences import Members
from thrive_async.sync import MemberPlan, SyncReport

User = Any
AROUND = " \t\r\n\u00a0\u2003\ufeff\u200b\u200d"


@attrs.define
class Found:
    """What a case came to.

    Attributes:
        wrong: Everything that is not as it should be; empty if all is well.
        outcomes: How many outcomes of each kind the first runs had.
        cancelled: Whether the first run was cut short.
        people: How many changes were planned.
    """

    wrong: list[str] = attrs.field(factory=list)
    outcomes: Counter[str] = attrs.field(factory=Counter)
    cancelled: bool = False
    people: int = 0

    async def of_run(
        self, run: Coroutine[Any, Any, object], chance: random.Random, *, share: float, within: float
    ) -> None:
        """Await a run, and cut short this share of all runs at a moment within some seconds."""
        task = asyncio.create_task(run)
        if chance.random() < share:
            await asyncio.wait([task], timeout=chance.uniform(0, within))
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            self.cancelled = True

    def count(self, report: SyncReport) -> None:
        """Count a report's outcomes."""
        for outcome in ("added", "changed", "removed", "failed", "not_attempted"):
            self.outcomes[outcome] += len(getattr(report, outcome))


@contextmanager
def watched() -> Iterator[list[tuple[str, str]]]:
    """Note everybody who leaves an audience, while it lasts: pairs of the audience's and the user's id."""
    left: list[tuple[str, str]] = []
    discard = Members.discard

    def noting(members: Members, user: Any) -> bool:
        gone = discard(members, user)
        if gone:
            record = user if not isinstance(user, str) else members._state.user(user)
            left.append((members._audience["id"], record["id"]))
        return gone

    Members.discard = noting  # type: ignore[method-assign]
    try:
        yield left
    finally:
        Members.discard = discard  # type: ignore[method-assign]


# Who is meant


def trimmed(value: object) -> str | None:
    """A desired entry as a name, or None if it cannot be one."""
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        return None
    name = value.strip(AROUND)
    if not name or any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in name):
        return None
    return name if len(name) <= 1000 else None


def is_hexadecimal(name: str) -> bool:
    """Whether it has the form of an id."""
    return len(name) == 24 and all(char in "0123456789abcdefABCDEF" for char in name)


def fits(name: str, user: User) -> bool:
    """Whether a name is one of a user's: id in any case, ref as written, e-mail address in any case."""
    if name in (user["id"], user["ref"]) or (is_hexadecimal(name) and name.lower() == user["id"]):
        return True
    return user["email"] is not None and name.lower() == user["email"].lower()


def remains(name: str) -> str:
    """A name without what case, width, quoting and spreadsheets do to it."""
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    name = "".join("-" if unicodedata.category(char) == "Pd" else char for char in name)
    name = name.strip(AROUND + "\"'=;,")
    whole, point, rest = name.replace(",", ".").partition(".")
    if whole.isdecimal() and not rest.strip("0") and bool(rest) == bool(point):
        return whole.lstrip("0") or "0"
    return name


def alike(one: str, other: str) -> bool:
    """Whether two names differ only in how they are written, or one holds the other among other things."""
    parts = [one, *"".join(" " if char in "\t\r\n\x00;,|<>()\"'=:" else char for char in one).split()]
    return any(remains(part) == remains(other) for part in parts)


def rewritten(name: str) -> bool:
    """Whether a spreadsheet writes such a thing, or an export in a formula: it may mean anybody."""
    whole, point, rest = name.replace(",", ".").partition(".")
    number = whole.isdecimal() and bool(point) and bool(rest) and not rest.strip("0")
    mantissa, plus, _power = name.lower().partition("e+")
    quoted = "@" not in name and (name[0] in "\"'=" or name[-1] in "\"';,")
    return name in ("0", "-", "?") or number or quoted or (bool(plus) and mantissa.replace(".", "").isdecimal())


@attrs.define
class Verdict:
    """Who ought to be in one audience.

    Attributes:
        stay: Ids of members who are desired, or whom an ambiguous or unreadable name may mean: they are never out.
        leave: Ids of members who are neither.
        held: Of those, who may be the newcomer of a name that nobody else has in the end: they stay.
        come: The users whom Thrive knows by a newcomer's name, by that name; None where it knows nobody.
        open: Ids of users whom an ambiguous newcomer's name fits: in or out, both are right.
        entries: How many desired entries there are.
        shared: Of those who stay, the members who are not desired but whose id is another member's name, too.
    """

    stay: set[str]
    leave: set[str]
    held: set[str]
    come: dict[str, str | None]
    open: set[str]
    entries: int
    shared: set[str] = attrs.field(factory=set[str])

    def final(self) -> set[str]:
        """Whoever is a member once everything was done."""
        return self.stay | self.held | {one for one in self.come.values() if one is not None}


def verdict(sandbox: Sandbox, members: list[User], desired: list[object], *, removals: bool) -> Verdict:
    """Work out who ought to be in an audience: each name against each person."""
    everybody = list(sandbox.state.users.values())
    stay: set[str] = set()
    come: dict[str, str | None] = {}
    unclear: set[str] = set()
    blank = False
    for entry in desired:
        name = trimmed(entry)
        if name is None:
            if not isinstance(entry, str) or not entry.strip(AROUND):
                # It may mean anybody.
                blank = True
            else:
                # Somebody is named there, and nobody can tell who.
                text = entry
                stay |= {
                    one["id"]
                    for one in members
                    if any(alike(text, other) for other in (one["id"], one["ref"], one["email"]) if other)
                }
            continue
        meant = {one["id"] for one in members if fits(name, one)}
        stay |= meant
        if not meant and rewritten(name) and not any(name == one["ref"] for one in everybody):
            blank = True
        elif not meant:
            known = {one["id"] for one in everybody if fits(name, one)}
            if "@" in name:
                # Almost somebody's ref, too: the sync may leave that undecided.
                known |= {one["id"] for one in everybody if one["ref"] and name.lower() == one["ref"].lower()}
            if len(known) > 1:
                unclear |= known
            server = sandbox.state.find_user(name)
            come[name] = None if server is None or server["deleted"] else server["id"]
    # An id that is another member's name, too, is not sent: Thrive may take it for the other.
    others = [(one["id"], str(text).lower()) for one in members for text in (one["ref"], one["email"]) if text]
    shared = {one["id"] for one in members if any(text == one["id"] and owner != text for owner, text in others)} - stay
    stay |= shared
    leave = {one["id"] for one in members} - stay
    if blank or not removals:
        stay, leave = stay | leave, set()
    inside = stay | {one for one in come.values() if one is not None}
    unfound = [name for name in come if not any(fits(name, one) for one in everybody if one["id"] in inside)]
    held: set[str] = set()
    for one in members:
        names = [text for text in (one["id"], one["ref"], one["email"]) if text]
        if one["id"] in leave and any(alike(name, text) for name in unfound for text in names):
            held.add(one["id"])
    # An id that is the name of a user outside may be held, too: only a list that was looked up shows it.
    names_of_users = {
        (str(text).lower(), one["id"]) for one in everybody for text in (one["ref"], one["email"]) if text
    }
    unclear |= {user_id for user_id in leave if any(text == user_id != owner for text, owner in names_of_users)}
    return Verdict(stay, leave, held, come, unclear - stay, len(desired), shared)


# What happened


UNCERTAIN = ("may have been done", "could not be checked")


def judge(
    found: Found, sandbox: Sandbox, plan: MemberPlan, report: SyncReport, right: Verdict, *, rebuilt: bool
) -> None:
    """Compare the plan and the report of one run with the verdict and with the state."""
    say = found.wrong.append
    audience = plan.audience
    entries = plan.unchanged + len(plan.to_add) + len(plan.duplicates) + len(plan.rejected) + len(plan.ambiguous)
    # Who is protected is no entry; every entry is in one of the heaps.
    if entries != right.entries:
        say(f"{audience}: {right.entries} entries, accounted for {entries}")
    leave = {one.user_id for one in plan.to_remove}
    if not leave <= right.leave or right.leave - leave - right.open:
        say(f"{audience}: plans other removals than the judge")
    if not set(plan.staying) <= right.stay:
        say(f"{audience}: keeps somebody whom the judge does not")
    if not set(plan.to_add) <= right.come.keys():
        say(f"{audience}: adds a name that is no newcomer's")

    planned = Counter([("add", name) for name in plan.to_add] + [("remove", one.user_id) for one in plan.to_remove])
    told = [*report.added, *report.removed, *report.failed, *report.not_attempted]
    counted = Counter((one.action, one.reference) for one in told)
    restores = counted - planned
    if planned - counted or any(count > 1 for count in counted.values()):
        say(f"{audience}: somebody planned is not accounted for exactly once")
    if restores and (not rebuilt or any(one[1] not in plan.staying for one in restores)):
        say(f"{audience}: outcomes of nobody planned: {len(restores)}")
    for one in (*report.failed, *report.not_attempted):
        if not one.reason:
            say(f"{audience}: no reason given")

    now = set(sandbox.state.audiences[audience].members)
    doubtful = {one.reference for one in report.failed if any(word in str(one.reason) for word in UNCERTAIN)}
    out_of_it = {name for (_action, name) in restores}
    if not right.stay - out_of_it <= now:
        say(f"{audience}: somebody who stays is out")
    done = {one.reference for one in report.added}
    for name in plan.to_add:
        user_id = right.come[name]
        names = {other for other, known in right.come.items() if known == user_id}
        if name in doubtful or (user_id is not None and (names & doubtful or user_id in right.open)):
            continue
        if name in done and user_id not in now and not any(fits(name, sandbox.state.users[one]) for one in now):
            say(f"{audience}: added, but no member")
        if user_id is not None and not names & done and user_id in now:
            say(f"{audience}: a member, but not reported as added")
    for one in report.removed:
        if one.reference in now:
            say(f"{audience}: removed, but a member")
    for one in (*report.failed, *report.not_attempted):
        if one.action == "remove" and one.reference not in doubtful and one.reference not in now:
            say(f"{audience}: not removed, and no member: {one.reason}")
    comers = {one for one in right.come.values() if one is not None}
    if now - right.stay - right.leave - comers:
        say(f"{audience}: a member whom nobody named")


def judge_journal(found: Found, path: Path, reports: list[tuple[MemberPlan, SyncReport]]) -> None:
    """Compare the journal's lines with the reports, run by run."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        runs.setdefault(entry["run"], []).append(entry)
    if set(runs) != {report.run for _plan, report in reports}:
        found.wrong.append("the journal holds other runs than there were")
        return
    for plan, report in reports:
        head, *lines = runs[report.run]
        planned = [("add", name) for name in plan.to_add] + [("remove", one.user_id) for one in plan.to_remove]
        listed = [(action, name) for action, names in head["planned"].items() for name in names]
        if Counter(listed) != Counter(planned):
            found.wrong.append("the journal opens with another plan")
        told = Counter(
            (one.action, one.reference, outcome, one.reason)
            for outcome in ("added", "removed", "failed", "not_attempted")
            for one in getattr(report, outcome)
        )
        # For a member whom a rebuild could not put back the report says more than the journal.
        written = Counter((one["action"], one["reference"], one["outcome"], one["reason"]) for one in lines)
        restored = {name for name in plan.staying if any(key[1] == name for key in told)}
        if _without(told, restored) != _without(written, restored):
            found.wrong.append("the journal says something else than the report")


def _without(lines: "Counter[tuple[str, ...]]", names: set[str]) -> "Counter[tuple[str, ...]]":
    return Counter({key: count for key, count in lines.items() if key[1] not in names})
