"""Views of plans: what the commands need to know of a plan for members, managers or users."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from thrive_async.cli._errors import CliError, say
from thrive_async.cli._files import load_json

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.cli._options import Strategy
    from thrive_async.cli._progress import ProgressView
    from thrive_async.models import AudienceManager, AudienceMember
    from thrive_async.sync import AudiencesPlan, ManagerPlan, MemberPlan, SyncReport, UserPlan
    from thrive_async.sync._plans import SavedPlan

__all__ = ["Fate", "ManagersView", "MembersView", "PlanView", "UsersView", "counted_calls", "fate", "load_plan", "save"]

P = TypeVar("P", bound="MemberPlan | ManagerPlan | UserPlan")
Fate = dict[str, Any]


def fate(subject: str, action: str, reference: str, outcome: str, reason: str | None = None) -> Fate:
    """Return a row of a report: a person, and what is planned for them or was done; see `PlanView.named`."""
    row = {"audience": subject, "action": action, "reference": reference, "outcome": outcome, "reason": reason}
    return {**row, "ref": None, "email": None}


def counted_calls(calls: Mapping[str, int]) -> str:
    """Say how many requests each strategy takes."""
    return f"requests: {calls['diff']:,}, by rebuild {calls['rebuild']:,}"


class PlanView(ABC, Generic[P]):
    """A plan as the commands see it.

    Attributes:
        plan: The plan itself.
        subject: What it is for: the audience as it was named, or "users".
        leaving: The people it removes or suspends.
        verb: What it does to them.
        past: What happened to them then.
    """

    verb: str = "remove"
    past: str = "removed"

    def __init__(self, plan: P, subject: str, leaving: Iterable[object]) -> None:
        self.plan = plan
        self.subject = subject
        self.leaving = tuple(leaving)

    @property
    def removals(self) -> int:
        """How many people it removes or suspends."""
        return len(self.leaving)

    @property
    def calls(self) -> str:
        """How many requests it takes, in words."""
        return f"requests: {self.plan.calls:,}"

    @abstractmethod
    def planned(self) -> Iterator[Fate]:
        """Return a row for each person it changes; those who stay are only counted."""

    def unplanned(self) -> Iterator[Fate]:
        """Return a row for each entry that changes nothing: rejected, ambiguous, there twice, or held back."""
        for written, reason in self.plan.rejected:
            yield fate(self.subject, "", written, "rejected", reason)
        for name in self.plan.duplicates:
            yield fate(self.subject, "", name, "duplicate", "this person was named before")
        held = self.plan.left_out.held
        yield from self.named(fate(self.subject, one.action, one.reference, "held back", one.reason) for one in held)

    def known(self) -> Iterable[AudienceMember | AudienceManager]:
        """Return those of its people that reports call by Thrive's id."""
        return ()

    def named(self, fates: Iterable[Fate]) -> Iterator[Fate]:
        """Add ref and e-mail address to rows that name people by Thrive's id, which says nothing to a reader."""
        people = {one.user_id: one for one in self.known()}
        for row in fates:
            person = people.get(row["reference"]) if row["action"] == "remove" else None
            yield row if person is None else {**row, "ref": person.reference, "email": person.email}

    def check(self, limit: float | None, strategy: Strategy) -> None:
        """Refuse what `apply` would refuse.

        Raises:
            GuardRefused: Too many removals.
            CliError: An option is only for plans of members.
        """
        _only_members(strategy != "diff", "--strategy")
        self.plan.check_guards(max_removals=limit)

    async def apply(
        self, *, limit: float | None, progress: ProgressView, journal: str | None, strategy: Strategy, verify: bool
    ) -> SyncReport:
        """Apply it.

        Raises:
            CliError: An option is only for plans of members.
        """
        _only_members(verify or strategy != "diff", "--verify")
        return await self.plan.apply(max_removals=limit, on_progress=progress, journal=journal)

    def _ambiguous(self, ambiguities: Mapping[str, Iterable[str]]) -> Iterator[Fate]:
        for name, ids in ambiguities.items():
            yield fate(self.subject, "", name, "ambiguous", f"fits several people: {', '.join(ids)}")

    def _removed(self, people: Iterable[AudienceMember | AudienceManager]) -> Iterator[Fate]:
        yield from self.named(fate(self.subject, "remove", one.user_id, "planned") for one in people)


class MembersView(PlanView["MemberPlan"]):
    """A plan for the members of an audience."""

    def __init__(self, plan: MemberPlan) -> None:
        super().__init__(plan, plan.audience, plan.to_remove)

    @property
    def calls(self) -> str:
        """How many requests it takes, in words."""
        return counted_calls(self.plan.calls)

    def planned(self) -> Iterator[Fate]:
        """Return a row for each person it changes."""
        for name in self.plan.to_add:
            yield fate(self.subject, "add", name, "planned")
        yield from self._removed(self.plan.to_remove)

    def known(self) -> Iterable[AudienceMember | AudienceManager]:
        """Return those of its people that reports call by Thrive's id."""
        return (*self.plan.to_remove, *self.plan.held)

    def unplanned(self) -> Iterator[Fate]:
        """Return a row for each entry that changes nothing."""
        yield from super().unplanned()
        yield from self._ambiguous(self.plan.ambiguities)

    def check(self, limit: float | None, strategy: Strategy) -> None:
        """Refuse what `apply` would refuse."""
        self.plan.check_guards(max_removals=limit, strategy=strategy)

    async def apply(
        self, *, limit: float | None, progress: ProgressView, journal: str | None, strategy: Strategy, verify: bool
    ) -> SyncReport:
        """Apply it."""
        return await self.plan.apply(
            max_removals=limit, on_progress=progress, journal=journal, strategy=strategy, verify=verify
        )


class ManagersView(PlanView["ManagerPlan"]):
    """A plan for the managers of an audience."""

    def __init__(self, plan: ManagerPlan) -> None:
        super().__init__(plan, f"{plan.audience} (managers)", plan.to_remove)

    def planned(self) -> Iterator[Fate]:
        """Return a row for each person it changes."""
        from thrive_async.sync.permissions import writable_permissions  # noqa: PLC0415 - after the parsing

        for action, grants in (("add", self.plan.to_add), ("update", self.plan.to_change)):
            for grant in grants:
                given = ", ".join(sorted(writable_permissions(grant.permissions))) or "no permissions"
                yield fate(self.subject, action, grant.reference, "planned", given)
        yield from self._removed(self.plan.to_remove)

    def known(self) -> Iterable[AudienceMember | AudienceManager]:
        """Return those of its people that reports call by Thrive's id."""
        return self.plan.to_remove

    def unplanned(self) -> Iterator[Fate]:
        """Return a row for each entry that changes nothing."""
        yield from super().unplanned()
        yield from self._ambiguous(self.plan.ambiguities)


class UsersView(PlanView["UserPlan"]):
    """A plan for the users of the tenant."""

    verb = "suspend"
    past = "suspended"

    def __init__(self, plan: UserPlan) -> None:
        super().__init__(plan, "users", plan.to_suspend)

    def planned(self) -> Iterator[Fate]:
        """Return a row for each person it changes."""
        for user in self.plan.to_create:
            yield fate(self.subject, "create", user.ref, "planned")
        for change in self.plan.to_update:
            yield fate(self.subject, "update", change.ref, "planned", ", ".join(change.fields))
        for leaver in self.plan.to_suspend:
            yield fate(self.subject, "suspend", leaver.ref, "planned")

    def unplanned(self) -> Iterator[Fate]:
        """Return a row for each row of the file that changes nothing, or not everything it says."""
        yield from super().unplanned()
        for ref in self.plan.returning:
            yield fate(
                self.subject, "", ref, "suspended", "is in the file, but the API cannot reactivate: do it in Thrive"
            )


def _only_members(is_given: bool, option: str) -> None:  # noqa: FBT001
    if is_given:
        raise CliError(f"{option} is for plans of members; nothing was changed")


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


def load_plan(file: str, thrive: ThriveClient | None = None) -> PlanView[Any] | AudiencesPlan:
    """Read a plan of any kind that --save-plan or the SDK wrote.

    Args:
        file: Its path.
        thrive: The client to apply it with; None only to look at it.

    Raises:
        CliError: It cannot be read.
        ConfigurationError: It is not a plan, or was changed since it was saved.
    """
    from thrive_async.sync import AudiencesPlan, ManagerPlan, MemberPlan, UserPlan  # noqa: PLC0415 - after the parsing

    try:
        text = Path(file).read_bytes()
    except OSError as error:
        raise CliError(f"cannot read {file}: {error.strerror or error}") from error
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
