"""Views of plans: what the commands need to know of a plan for members, managers or users."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from thrive_async.cli._errors import CliError, say
from thrive_async.cli._files import load_json

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.cli._option_types import Strategy
    from thrive_async.models import AudienceManager, AudienceMember
    from thrive_async.sync import AudiencesPlan, ManagerPlan, MemberPlan, SyncReport, UserChange, UserPlan
    from thrive_async.sync._apply.journal_lines import Person
    from thrive_async.sync._guards import MaxRemovals
    from thrive_async.sync._plans import SavedPlan

__all__ = [
    "Limit",
    "ManagersView",
    "MembersView",
    "Named",
    "PersonRow",
    "PlanView",
    "UsersView",
    "counted_calls",
    "load_plan",
    "person_row",
    "read_plan",
    "save",
]

P = TypeVar("P", bound="MemberPlan | ManagerPlan | UserPlan")
PersonRow = dict[str, Any]


def person_row(
    subject: str,
    action: str,
    reference: str,
    outcome: str,
    reason: str | None = None,
    *,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
) -> PersonRow:
    """Return a row of a report: a person, and what is planned for them or was done; see `PlanView.named`."""
    row = {"audience": subject, "action": action, "reference": reference, "outcome": outcome, "reason": reason}
    return {**row, "ref": None, "email": None, "changes": dict(changes) if changes else None}


class Named(NamedTuple):
    """What a person is called."""

    name: str | None = None
    email: str | None = None
    ref: str | None = None


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A guard, and how near to it a plan is.

    Attributes:
        what: What it limits, such as "removals".
        planned: How many the plan has.
        current: How many people there are.
        allowed: How many are allowed; None for no limit.
        option: The option that sets it.
    """

    what: str
    planned: int
    current: int
    allowed: int | None
    option: str

    @property
    def refuses(self) -> bool:
        """Whether it refuses the plan."""
        return self.allowed is not None and self.planned > self.allowed

    @classmethod
    def of(cls, what: str, planned: int, current: int, limit: MaxRemovals, option: str) -> Limit:
        """Make one of a limit as `apply` takes it."""
        from thrive_async.sync._guards import removal_limit  # noqa: PLC0415 - after the parsing

        allowed = removal_limit(limit, current)
        floor = None if allowed is None else math.floor(allowed)
        return cls(what=what, planned=planned, current=current, allowed=floor, option=option)


def counted_calls(calls: Mapping[str, int]) -> str:
    """Say how many requests each strategy takes."""
    return f"requests: {calls['diff']:,}, by rebuild {calls['rebuild']:,}"


class PlanView(ABC, Generic[P]):
    """A plan as the commands see it.

    Attributes:
        plan: The plan itself.
        subject: What it is for: the audience as it was named, or "users".
        verb: What it does to them.
        past: What happened to them then.
    """

    verb: str = "remove"
    past: str = "removed"
    #: The options of other plans, which this kind has no use for.
    unused: tuple[str, ...] = ("strategy", "verify", "max_total_removals")

    def __init__(self, plan: P, subject: str) -> None:
        self.plan = plan
        self.subject = subject

    @property
    def removals(self) -> int:
        """How many people it removes or suspends."""
        return sum(1 for row in self.planned() if row["action"] == self.verb)

    @property
    def calls(self) -> str:
        """How many requests it takes, in words."""
        return f"requests: {self.plan.calls:,}"

    @property
    def identity_changes(self) -> Sequence[PersonRow]:
        """A row for each person who gets another name or e-mail address."""
        return ()

    @abstractmethod
    def planned(self) -> Iterator[PersonRow]:
        """Return a row for each person it changes; those who stay are only counted."""

    def unplanned(self) -> Iterator[PersonRow]:
        """Return a row for each entry that changes nothing: rejected, ambiguous, there twice, held, or dropped."""
        for written, reason in self.plan.rejected:
            yield person_row(self.subject, "", written, "rejected", reason)
        for name in self.plan.duplicates:
            yield person_row(self.subject, "", name, "duplicate", "this person was named before")
        held = self.plan.left_out.held
        yield from self.named(person_row(self.subject, one.action, one.reference, "held", one.reason) for one in held)
        dropped = self.plan.left_out.dropped
        yield from self.named(
            person_row(self.subject, one.action, one.reference, "dropped", one.reason) for one in dropped
        )

    @abstractmethod
    def parts(self) -> dict[str, int]:
        """Count its people by what happens to them: now, staying, changing, joining, and so on."""

    def limits(self, *, max_removals: MaxRemovals, **_how: Any) -> list[Limit]:
        """Return how near it is to its guards.

        Args:
            max_removals: As for `apply`.
        """
        removed = self.past
        return [Limit.of(f"people {removed}", self.removals, self.plan.current, max_removals, "--max-removals")]

    def known(self) -> Iterable[AudienceMember | AudienceManager]:
        """Return those of its people that reports call by Thrive's id."""
        return ()

    def names(self) -> dict[str, Named]:
        """Return what it knows of its people, by the reference of their rows."""
        return {one.user_id: Named(None, one.email, one.reference) for one in self.known()}

    def about(self) -> Mapping[str, Person]:
        """Return what is known of the people to add, by the name that is sent."""
        return {}

    def named(self, rows: Iterable[PersonRow]) -> Iterator[PersonRow]:
        """Add ref and e-mail address to rows that name people by Thrive's id, which says nothing to a reader."""
        people = {("remove", one.user_id): (one.reference, one.email) for one in self.known()}
        people |= {("add", name): (one.ref, one.email) for name, one in self.about().items()}
        for row in rows:
            ref, email = people.get((row["action"], row["reference"]), (None, None))
            yield {**row, "ref": ref, "email": email} if ref or email else row

    def check(self, *, max_removals: MaxRemovals, strategy: Strategy = "diff", **_how: Any) -> None:
        """Refuse what `apply` would refuse.

        Args:
            max_removals: As for `apply`.
            strategy: As for `apply`.

        Raises:
            GuardRefused: Too many removals.
            CliError: An option is only for plans of members.
        """
        if strategy != "diff":
            raise CliError("--strategy is for plans of members; nothing was changed")
        self.plan.check_guards(max_removals=max_removals)

    async def apply(self, **how: Any) -> SyncReport:
        """Apply it.

        Args:
            how: What `Applying.how` returns, and `on_progress`.
        """
        return await self.plan.apply(**{name: value for name, value in how.items() if name not in self.unused})

    def protect(self, names: Iterable[str]) -> None:
        """Hold the removal of people who are never to be removed.

        Raises:
            CliError: This kind of plan has no such option.
        """
        if names:
            raise CliError("--protect is for plans of members and managers; nothing was changed")

    def _ambiguous(self, ambiguities: Mapping[str, Iterable[str]]) -> Iterator[PersonRow]:
        for name, ids in ambiguities.items():
            yield person_row(self.subject, "", name, "ambiguous", f"fits several people: {', '.join(ids)}")

    def _removed(
        self, people: Iterable[AudienceMember | AudienceManager], doubts: Mapping[str, Sequence[str]]
    ) -> Iterator[PersonRow]:
        reasons = {one: f"held if Thrive does not know {', '.join(names[:3])}" for one, names in doubts.items()}
        yield from self.named(
            person_row(self.subject, "remove", one.user_id, "planned", reasons.get(one.user_id)) for one in people
        )


class MembersView(PlanView["MemberPlan"]):
    """A plan for the members of an audience."""

    unused = ("max_total_removals", "max_changes")

    def __init__(self, plan: MemberPlan) -> None:
        super().__init__(plan, plan.audience)

    @property
    def calls(self) -> str:
        """How many requests it takes, in words."""
        return counted_calls(self.plan.calls)

    def planned(self) -> Iterator[PersonRow]:
        """Return a row for each person it changes."""
        yield from self.named(person_row(self.subject, "add", name, "planned") for name in self.plan.to_add)
        yield from self._removed(self.plan.to_remove, self.plan.held_unless)

    def parts(self) -> dict[str, int]:
        """Count its people by what happens to them."""
        return _parts_of_people(self.plan, joining=len(self.plan.to_add))

    def known(self) -> Iterable[AudienceMember | AudienceManager]:
        """Return those of its people that reports call by Thrive's id."""
        return (*self.plan.to_remove, *self.plan.held)

    def about(self) -> Mapping[str, Person]:
        """Return what is known of the people to add."""
        return self.plan.about

    def unplanned(self) -> Iterator[PersonRow]:
        """Return a row for each entry that changes nothing."""
        yield from super().unplanned()
        yield from self._ambiguous(self.plan.ambiguities)

    def check(self, *, max_removals: MaxRemovals, strategy: Strategy = "diff", **_how: Any) -> None:
        """Refuse what `apply` would refuse."""
        self.plan.check_guards(max_removals=max_removals, strategy=strategy)

    def protect(self, names: Iterable[str]) -> None:
        """Hold the removal of people who are never to be removed."""
        self.plan.protect(names)


class ManagersView(PlanView["ManagerPlan"]):
    """A plan for the managers of an audience."""

    unused = ("strategy", "max_total_removals", "max_changes")

    def __init__(self, plan: ManagerPlan) -> None:
        super().__init__(plan, plan.subject)

    def protect(self, names: Iterable[str]) -> None:
        """Hold the removal of people who are never to be removed."""
        self.plan.protect(names)

    def planned(self) -> Iterator[PersonRow]:
        """Return a row for each person it changes."""
        from thrive_async.sync.permissions import writable_permissions  # noqa: PLC0415 - after the parsing

        def rows() -> Iterator[PersonRow]:
            for action, grants in (("add", self.plan.to_add), ("update", self.plan.to_change)):
                for grant in grants:
                    given = ", ".join(sorted(writable_permissions(grant.permissions))) or "no permissions"
                    yield person_row(self.subject, action, grant.reference, "planned", given)

        yield from self.named(rows())
        yield from self._removed(self.plan.to_remove, self.plan.held_unless)

    def parts(self) -> dict[str, int]:
        """Count its people by what happens to them."""
        return _parts_of_people(self.plan, joining=len(self.plan.to_add), changing=len(self.plan.to_change))

    def known(self) -> Iterable[AudienceMember | AudienceManager]:
        """Return those of its people that reports call by Thrive's id."""
        return (*self.plan.to_remove, *self.plan.held)

    def about(self) -> Mapping[str, Person]:
        """Return what is known of the people to add."""
        return self.plan.about

    def unplanned(self) -> Iterator[PersonRow]:
        """Return a row for each entry that changes nothing."""
        yield from super().unplanned()
        yield from self._ambiguous(self.plan.ambiguities)


def _parts_of_people(plan: MemberPlan | ManagerPlan, *, joining: int, changing: int = 0) -> dict[str, int]:
    return {
        "now": plan.current,
        "staying": len(plan.staying) + plan.kept - changing,
        "changing": changing,
        "joining": joining,
        "leaving": len(plan.to_remove),
        "held": len(plan.left_out.held),
        "ambiguous": len(plan.ambiguities),
        "rejected": sum(reason != "blank" for _written, reason in plan.rejected),
    }


class UsersView(PlanView["UserPlan"]):
    """A plan for the users of the tenant."""

    verb = "suspend"
    past = "suspended"

    def __init__(self, plan: UserPlan) -> None:
        super().__init__(plan, "users")

    @property
    def identity_changes(self) -> Sequence[PersonRow]:
        """A row for each person who gets another name or e-mail address."""
        return [self._update(change) for change in self.plan.identity_changes]

    def check(self, *, max_removals: MaxRemovals, strategy: Strategy = "diff", **how: Any) -> None:
        """Refuse what `apply` would refuse."""
        if strategy != "diff":
            raise CliError("--strategy is for plans of members; nothing was changed")
        self.plan.check_guards(max_removals=max_removals, max_changes=how["max_changes"])

    def parts(self) -> dict[str, int]:
        """Count the users by what happens to them."""
        plan = self.plan
        changing, leaving = len(plan.to_update) + len(plan.to_unsuspend), len(plan.to_suspend)
        held = len({one.user_id for one in plan.held})
        return {
            "now": plan.current,
            "staying": max(plan.current - changing - leaving - held, 0),
            "changing": changing,
            "joining": len(plan.to_create),
            "leaving": leaving,
            "held": held,
            "rejected": len(plan.rejected),
        }

    def limits(self, *, max_removals: MaxRemovals, **how: Any) -> list[Limit]:
        """Return how near it is to its guards."""
        changes, matched = len(self.plan.identity_changes), self.plan.matched
        changing = Limit.of("names or addresses changed", changes, matched, how["max_changes"], "--max-changes")
        return [*super().limits(max_removals=max_removals), changing]

    def names(self) -> dict[str, Named]:
        """Return what it knows of its people, by ref."""
        named = {one.ref: Named(None, one.email, one.ref) for one in self.plan.to_suspend}
        for user in (*self.plan.to_create, *(back.account for back in self.plan.to_unsuspend)):
            email = user.email if isinstance(user.email, str) else None
            named[user.ref] = Named(f"{user.first_name} {user.last_name}", email, user.ref)
        return named

    def protect(self, names: Iterable[str]) -> None:
        """Hold the suspension of people who are never to be suspended."""
        self.plan.protect(names)

    def _update(self, change: UserChange) -> PersonRow:
        return person_row(self.subject, "update", change.ref, "planned", changes=change.changes)

    def planned(self) -> Iterator[PersonRow]:
        """Return a row for each person it changes."""
        for user in self.plan.to_create:
            yield person_row(self.subject, "create", user.ref, "planned")
        for back in self.plan.to_unsuspend:
            yield person_row(self.subject, "unsuspend", back.ref, "planned")
        yield from map(self._update, self.plan.to_update)
        for leaver in self.plan.to_suspend:
            yield person_row(self.subject, "suspend", leaver.ref, "planned")

    def unplanned(self) -> Iterator[PersonRow]:
        """Return a row for each row of the file that changes nothing, or not everything it says."""
        yield from super().unplanned()
        for ref in self.plan.returning:
            yield person_row(
                self.subject,
                "",
                ref,
                "suspended",
                "is in the file and stays suspended; --returning unsuspend changes that",
            )


def save(plan: SavedPlan, path: str) -> None:
    """Write a plan to a file that only its owner can read.

    Raises:
        CliError: It cannot be written; nothing was changed.
    """
    try:
        plan.save(path)
    except OSError as error:
        raise CliError(f"--save-plan {path}: {error.strerror or error}; nothing was changed") from error
    say(f"plan saved: {path}")


def read_plan(file: str) -> bytes:
    """Read the bytes of a saved plan.

    Raises:
        CliError: The file cannot be read.
    """
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CliError(f"cannot read {file}: {error.strerror or error}") from error


def load_plan(
    file: str, thrive: ThriveClient | None = None, *, text: bytes | None = None
) -> PlanView[Any] | AudiencesPlan:
    """Read a plan of any kind that --save-plan or the SDK wrote.

    Args:
        file: Its path.
        thrive: The client to apply it with; None only to look at it.
        text: What `read_plan` returned, if the file was already read.

    Raises:
        CliError: It cannot be read.
        ConfigurationError: It is not a plan, or was changed since it was saved.
    """
    from thrive_async.sync import AudiencesPlan, ManagerPlan, MemberPlan, UserPlan  # noqa: PLC0415 - after the parsing

    if text is None:
        text = read_plan(file)
    try:
        kind = load_json(text)["kind"]
    except ValueError as error:
        raise CliError(f"{file} is not a saved plan: {error}") from error
    except (TypeError, KeyError):
        kind = None
    if kind == AudiencesPlan.kind:
        return AudiencesPlan.from_json(text, thrive)
    if kind == ManagerPlan.kind:
        return ManagersView(ManagerPlan.from_json(text, thrive))
    if kind == UserPlan.kind:
        return UsersView(UserPlan.from_json(text, thrive))
    return MembersView(MemberPlan.from_json(text, thrive))
