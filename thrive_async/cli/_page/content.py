"""What a page says about a plan or a report: plain data, before it has any form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from thrive_async.cli._errors import describe
from thrive_async.cli._page.names import Names
from thrive_async.cli._plan_views import Limit, MembersView, PersonRow, PlanView, counted_calls
from thrive_async.cli._safe_text import counted, visible

if TYPE_CHECKING:
    from thrive_async.sync import AudiencesPlan, SyncReport

__all__ = ["PARTS", "Bar", "Content", "Happening", "Person", "Subjects", "plan_content", "report_content"]

#: What can happen to the people of an audience, in the order of the bar, as a plan and as a report say it.
PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "staying": ("stay", "stayed"),
    "changing": ("change", "changed"),
    "joining": ("join", "joined"),
    "leaving": ("leave", "left"),
    "held": ("held", "held"),
    "failed": ("fail", "failed or not attempted"),
    "unknown": ("unknown to Thrive", "unknown to Thrive"),
    "ambiguous": ("ambiguous", "ambiguous"),
    "rejected": ("rejected", "rejected"),
}
_CHANGES: Final = ("changing", "joining", "leaving", "failed")
_DOUBTS: Final = ("held", "unknown", "ambiguous", "rejected")
#: The refusals that the page quotes; the bars of the audiences say all of them.
_QUOTED: Final = 5


@dataclass(frozen=True)
class Happening:
    """What happens to a person.

    Attributes:
        words: As the page says it: "leaves".
        part: The part of the bar that the person is in; "other" for none.
    """

    words: str
    part: str


_PLANNED: Final = {
    "add": Happening("joins", "joining"),
    "remove": Happening("leaves", "leaving"),
    "create": Happening("gets an account", "joining"),
    "update": Happening("changes", "changing"),
    "suspend": Happening("is suspended", "leaving"),
    "unsuspend": Happening("comes back", "changing"),
}
_DONE: Final = {
    "add": Happening("joined", "joining"),
    "remove": Happening("left", "leaving"),
    "create": Happening("got an account", "joining"),
    "update": Happening("changed", "changing"),
    "suspend": Happening("was suspended", "leaving"),
    "unsuspend": Happening("came back", "changing"),
}
_INFINITIVES: Final = {
    "add": "join",
    "remove": "leave",
    "create": "get an account",
    "update": "change",
    "suspend": "be suspended",
    "unsuspend": "come back",
}
_DIFFERS: Final = {"add": Happening("is missing", "failed"), "remove": Happening("is still there", "failed")}
_OTHERS: Final = {
    "held": Happening("held", "held"),
    "ambiguous": Happening("ambiguous", "ambiguous"),
    "rejected": Happening("rejected", "rejected"),
    "duplicate": Happening("named twice", "other"),
    "dropped": Happening("dropped", "other"),
    "suspended": Happening("stays suspended", "other"),
}
_UNKNOWN: Final = Happening("unknown to Thrive", "unknown")


def _happening(outcome: str, action: str) -> Happening:
    if outcome == "planned":
        return _PLANNED[action]
    if outcome in ("added", "changed", "removed"):
        return _DONE[action]
    if outcome == "differs":
        return _DIFFERS.get(action, Happening("differs", "failed"))
    if outcome in ("failed", "not attempted"):
        infinitive = _INFINITIVES[action]
        return Happening(f"failed to {infinitive}" if outcome == "failed" else f"did not {infinitive} yet", "failed")
    return _OTHERS.get(outcome, Happening(outcome, "other"))


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What happens in one audience.

    Attributes:
        name: The audience.
        now: How many people it has.
        parts: How many people each of `PARTS` has.
        note: What else to know.
    """

    name: str
    now: int = 0
    parts: Mapping[str, int] = field(default_factory=dict[str, int])
    note: str = ""

    @property
    def changes(self) -> int:
        """How many people change."""
        return sum(self.parts.get(part, 0) for part in _CHANGES)

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Sorts bars: first what a reader must know, then the largest changes."""
        return not self.note, -self.changes, -sum(self.parts.get(part, 0) for part in _DOUBTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A person or an entry of the list, and what happens."""

    audience: str
    happening: Happening
    reference: str
    name: str = ""
    email: str = ""
    ref: str = ""
    reason: str = ""
    changes: Mapping[str, tuple[Any, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class Content:
    """Everything that the page says.

    Attributes:
        kind: Whether it is about a plan or a report.
        title: What it is about.
        facts: Pairs of a name and a value: tenant, file, time.
        limits: The guards.
        problems: What a reader must know first, such as a guard that refuses.
        bars: The audiences, largest changes first.
        people: The people.
        named: Whether names were looked up in Thrive.
    """

    kind: Literal["plan", "report"]
    title: str
    facts: Sequence[tuple[str, str]]
    limits: Sequence[Limit]
    problems: Sequence[str]
    bars: Sequence[Bar]
    people: Sequence[Person]
    named: bool

    @property
    def totals(self) -> Bar:
        """The parts of all bars together."""
        parts = {part: sum(bar.parts.get(part, 0) for bar in self.bars) for part in PARTS}
        return Bar(name=self.title, now=sum(bar.now for bar in self.bars), parts=parts)

    def words(self, part: str) -> str:
        """Return what the page calls a part of a bar."""
        return PARTS[part][self.kind == "report"]


class Subjects:
    """The plans that a page is about: one, or one for each audience.

    Args:
        plan: The view of a plan, or a plan for several audiences.
    """

    def __init__(self, plan: PlanView[Any] | AudiencesPlan) -> None:
        if isinstance(plan, PlanView):
            self.plan: Any = plan.plan
            self.views: list[PlanView[Any]] = [plan]
            self.title: str = plan.subject
            self.errors: Mapping[str, BaseException] = {}
            self.new: Mapping[str, str | None] = {}
            self.calls: str = plan.calls
            self.many: bool = False
        else:
            self.plan = plan
            self.views = [MembersView(one) for one in plan.plans.values()]
            self.title = counted(len(plan.order), "audiences")
            self.errors = plan.errors
            self.new = {one.reference: one.parent for one in plan.to_create}
            self.calls = counted_calls(plan.calls)
            self.many = True

    def references(self) -> Iterable[str]:
        """Return what the rows call their people, to look up their names."""
        for view in self.views:
            yield from (row["reference"] for row in view.planned())
            yield from (row["reference"] for row in view.unplanned() if row["outcome"] != "rejected")

    def limits(self, how: Mapping[str, Any]) -> list[Limit]:
        """Return the guards. Of those for each audience: the ones that refuse it, or the nearest.

        Args:
            how: What `Applying.how` returns.
        """
        of_each = [(view, limit) for view in self.views for limit in view.limits(**how)]
        if not self.many:
            return [limit for _view, limit in of_each]
        removed, current = sum(one.planned for _view, one in of_each), sum(one.current for _view, one in of_each)
        most = how["max_total_removals"]
        total = Limit.of("people removed, all audiences together", removed, current, most, "--max-total-removals")
        named = [replace(limit, what=f"people removed from {view.subject}") for view, limit in of_each]
        named.sort(key=_nearness, reverse=True)
        refusing = [limit for limit in named if limit.refuses]
        return [total, *(refusing[:_QUOTED] or [limit for limit in named[:1] if limit.planned])]

    def facts(self, more: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """Return what the top of the page says."""
        source = self.plan.source
        file = [] if source is None else [("File", f"{source.name}, {counted(source.rows, 'rows')}")]
        digest = [] if source is None else [("SHA-256 of the file", source.sha256)]
        made = ("Plan made", _moment(self.plan.made_at))
        tenant, work = ("Tenant", self.plan.tenant), ("Work", self.calls)
        return [tenant, *more, made, work, *file, *digest, ("Fingerprint of the plan", self.plan.fingerprint)]


def _nearness(limit: Limit) -> float:
    return 0.0 if limit.allowed is None else limit.planned / max(limit.allowed, 0.5)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def plan_content(
    subjects: Subjects, names: Names, how: Mapping[str, Any], *, refused: BaseException | None = None
) -> Content:
    """Say what a plan would do.

    Args:
        subjects: The plan.
        names: What people are called.
        how: What `Applying.how` returns: the limits.
        refused: Why the plan was not applied, if that was tried.
    """
    limits = subjects.limits(how)
    problems = [_refusal(limit) for limit in limits if limit.refuses]
    if refused is not None and not problems:
        problems.append(describe(refused)[0])
    if subjects.errors:
        problems.append(f"No plan could be made for {counted(len(subjects.errors), 'audiences')}: see below")
    people: list[Person] = []
    bars = [Bar(name=name, note=describe(error)[0]) for name, error in subjects.errors.items()]
    new = subjects.new
    for view in subjects.views:
        rows = [*view.planned(), *view.unplanned()]
        found = _people(view, rows, names)
        unknown = sum(one.happening is _UNKNOWN for one in found)
        parts = view.parts()
        parts |= {"joining": parts["joining"] - unknown, "unknown": unknown}
        note = f"to be created in {new[view.subject]}" if view.subject in new else ""
        bars.append(Bar(name=view.subject, now=parts.pop("now"), parts=parts, note=note))
        people += found
    bars += [
        Bar(name=name, note="a structure to be created" if parent is None else f"to be created in {parent}")
        for name, parent in new.items()
        if name not in {bar.name for bar in bars}
    ]
    return Content(
        kind="plan",
        title=subjects.title,
        facts=subjects.facts(),
        limits=limits,
        problems=problems,
        bars=sorted(bars, key=lambda bar: bar.rank),
        people=people,
        named=names.complete,
    )


def report_content(
    subjects: Subjects,
    names: Names,
    how: Mapping[str, Any],
    done: Mapping[str, tuple[SyncReport, Iterable[PersonRow]]],
    errors: Mapping[str, BaseException],
) -> Content:
    """Say what a run did.

    Args:
        subjects: The plan.
        names: What people are called.
        how: What `Applying.how` returns: the limits.
        done: Each subject's report and the rows of its outcomes.
        errors: Why nothing was done for a subject.
    """
    problems: list[str] = []
    people: list[Person] = []
    planned = {view.subject for view in subjects.views}
    bars = [Bar(name=name, note=describe(error)[0]) for name, error in errors.items() if name not in planned]
    for view in subjects.views:
        parts = view.parts()
        now = parts.pop("now")
        if view.subject not in done:
            rows = [{**row, "outcome": "not attempted"} for row in view.planned()]
            people += _people(view, [*rows, *view.unplanned()], names)
            parts["failed"] = sum(parts.pop(part) for part in ("changing", "joining", "leaving"))
            error = errors.get(view.subject)
            note = "not attempted" if error is None else describe(error)[0]
            bars.append(Bar(name=view.subject, now=now, parts=parts, note=note))
            continue
        report, outcomes = done[view.subject]
        people += _people(view, [*outcomes, *view.unplanned()], names)
        parts |= {
            "changing": len(report.changed),
            "joining": len(report.added),
            "leaving": len(report.removed),
            "failed": len(report.failed) + len(report.not_attempted),
            "held": len(report.held),
        }
        bars.append(Bar(name=view.subject, now=now, parts=parts))
        if report.cause is not None:
            problems.append(f"{view.subject}: stopped: {describe(report.cause)[0]}")
    runs = list(dict.fromkeys(report.run for report, _rows in done.values()))
    more = [("Run ended", _moment(datetime.now(UTC))), *([("Run", runs[0])] if len(runs) == 1 else [])]
    failed = sum(bar.parts.get("failed", 0) for bar in bars)
    if failed:
        problems.append(f"{counted(failed, 'changes')} failed or {'was' if failed == 1 else 'were'} not attempted")
    if errors:
        problems.append(f"Nothing was done in {counted(len(errors), 'audiences')}: see below")
    return Content(
        kind="report",
        title=subjects.title,
        facts=subjects.facts(more),
        limits=subjects.limits(how),
        problems=problems,
        bars=sorted(bars, key=lambda bar: bar.rank),
        people=people,
        named=names.complete,
    )


def _refusal(limit: Limit) -> str:
    share = f" ({limit.planned / limit.current:.1%})" if limit.current else ""
    return (
        f"A guard refuses this plan: {limit.planned:,} of {limit.current:,} {limit.what}{share}, "
        f"{limit.option} allows {limit.allowed:,}"
    )


def _people(view: PlanView[Any], rows: Iterable[PersonRow], names: Names) -> list[Person]:
    known = view.names()
    found: list[Person] = []
    for row in rows:
        reference, action, outcome = row["reference"], row["action"], row["outcome"]
        if outcome == "rejected" and row["reason"] == "blank":
            continue
        own, thrive = known.get(reference), names.of(reference)
        happening = _happening(outcome, action)
        if outcome == "planned" and action == "add" and names.complete and thrive is None:
            happening = _UNKNOWN
        name, email, ref = (
            next((one[at] for one in (own, thrive) if one is not None and one[at]), None) for at in range(3)
        )
        found.append(
            Person(
                audience=view.subject,
                happening=happening,
                reference=visible(reference),
                name=visible(name or ""),
                email=visible(email or row["email"] or ""),
                ref=visible(ref or row["ref"] or ""),
                reason=visible(row["reason"] or ""),
                changes=row["changes"],
            )
        )
    return found
