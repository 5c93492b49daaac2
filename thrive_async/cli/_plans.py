"""What a command needs of a plan, whatever it is a plan for: members, managers or users."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thrive_async.cli._errors import CliError, say

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.cli._options import Strategy
    from thrive_async.cli._progress import ProgressView
    from thrive_async.models import AudienceManager, AudienceMember
    from thrive_async.sync import AudiencesPlan, ManagerPlan, MemberPlan, SyncReport, UserPlan
    from thrive_async.sync._plans import SavedPlan

__all__ = ["Fate", "ManagersView", "MembersView", "PlanView", "UsersView", "counted_calls", "fate", "load_plan", "save"]

Fate = dict[str, Any]


def fate(subject: str, action: str, reference: str, outcome: str, reason: str | None = None) -> Fate:
    """One row of a report: what is meant to happen to somebody, or what became of it; see `PlanView.named`."""
    row = {"audience": subject, "action": action, "reference": reference, "outcome": outcome, "reason": reason}
    return {**row, "ref": None, "email": None}


def counted_calls(calls: Mapping[str, int]) -> str:
    """Say how many requests each strategy takes."""
    return f"requests: {calls['diff']:,}, by rebuild {calls['rebuild']:,}"


class PlanView(ABC):
    """A plan as the commands see it."""

    #: Whose plan it is: the audience as it was named, or "users".
    subject: str
    #: What happens to those whom the plan takes out.
    verb: str = "remove"
    past: str = "removed"

    @property
    @abstractmethod
    def plan(self) -> MemberPlan | ManagerPlan | UserPlan:
        """The plan itself."""

    @property
    @abstractmethod
    def removals(self) -> int:
        """How many people it takes out."""

    @abstractmethod
    def planned(self) -> Iterator[Fate]:
        """Say of everybody whom it changes what is meant to happen; who stays is only counted."""

    @abstractmethod
    def check(self, limit: float | None, strategy: Strategy) -> None:
        """Refuse what `apply` would refuse.

        Raises:
            GuardRefused: Too many removals.
        """

    @abstractmethod
    async def apply(
        self, *, limit: float | None, progress: ProgressView, journal: str | None, strategy: Strategy, verify: bool
    ) -> SyncReport:
        """Apply it."""

    def unplanned(self) -> Iterator[Fate]:
        """Say why nothing is done for an entry of the file: it is no name, fits several people, or is there twice."""
        for written, reason in self.plan.rejected:
            yield fate(self.subject, "", written, "rejected", reason)
        for name in self.plan.duplicates:
            yield fate(self.subject, "", name, "duplicate", "this person was named before")
        held = self.plan.left_out.held
        yield from self.named(fate(self.subject, one.action, one.reference, "held back", one.reason) for one in held)

    def taken_out(self) -> Iterable[AudienceMember | AudienceManager]:
        """Give those whom it removes, or would, and calls by Thrive's id."""
        return ()

    def named(self, fates: Iterable[Fate]) -> Iterator[Fate]:
        """Add the ref and the e-mail address of those who are called by Thrive's id: nobody knows people by that."""
        people = {one.user_id: one for one in self.taken_out()}
        for row in fates:
            person = people.get(row["reference"]) if row["action"] == "remove" else None
            yield row if person is None else {**row, "ref": person.reference, "email": person.email}

    @property
    def calls(self) -> str:
        """How many requests it takes, for people."""
        return f"requests: {self.plan.calls:,}"


class MembersView(PlanView):
    """A plan for the members of an audience."""

    def __init__(self, plan: MemberPlan) -> None:
        self._plan = plan
        self.subject = plan.audience

    @property
    def plan(self) -> MemberPlan:
        """The plan itself."""
        return self._plan

    @property
    def removals(self) -> int:
        """How many people it takes out."""
        return len(self._plan.to_remove)

    @property
    def calls(self) -> str:
        """How many requests it takes, for people."""
        return counted_calls(self._plan.calls)

    def planned(self) -> Iterator[Fate]:
        """Say of everybody whom it changes what is meant to happen; who stays is only counted."""
        for name in self._plan.to_add:
            yield fate(self.subject, "add", name, "planned")
        yield from self.named(fate(self.subject, "remove", one.user_id, "planned") for one in self._plan.to_remove)

    def taken_out(self) -> Iterable[AudienceMember | AudienceManager]:
        """Give those whom it removes, or would."""
        return (*self._plan.to_remove, *self._plan.held)

    def unplanned(self) -> Iterator[Fate]:
        """Say why nothing is done for an entry of the file."""
        yield from super().unplanned()
        for name, ids in self._plan.ambiguities.items():
            yield fate(self.subject, "", name, "ambiguous", f"fits several people: {', '.join(ids)}")

    def check(self, limit: float | None, strategy: Strategy) -> None:
        """Refuse what `apply` would refuse."""
        self._plan.check_guards(max_removals=limit, strategy=strategy)

    async def apply(
        self, *, limit: float | None, progress: ProgressView, journal: str | None, strategy: Strategy, verify: bool
    ) -> SyncReport:
        """Apply it."""
        return await self._plan.apply(
            max_removals=limit, on_progress=progress, journal=journal, strategy=strategy, verify=verify
        )


class ManagersView(PlanView):
    """A plan for the managers of an audience."""

    def __init__(self, plan: ManagerPlan) -> None:
        self._plan = plan
        self.subject = f"{plan.audience} (managers)"

    @property
    def plan(self) -> ManagerPlan:
        """The plan itself."""
        return self._plan

    @property
    def removals(self) -> int:
        """How many people it takes out."""
        return len(self._plan.to_remove)

    def planned(self) -> Iterator[Fate]:
        """Say of everybody whom it changes what is meant to happen; who stays is only counted."""
        from thrive_async.sync.permissions import writable_permissions  # noqa: PLC0415 - after the parsing

        for action, grants in (("add", self._plan.to_add), ("update", self._plan.to_change)):
            for grant in grants:
                given = ", ".join(sorted(writable_permissions(grant.permissions))) or "no permissions"
                yield fate(self.subject, action, grant.reference, "planned", given)
        yield from self.named(fate(self.subject, "remove", one.user_id, "planned") for one in self._plan.to_remove)

    def taken_out(self) -> Iterable[AudienceMember | AudienceManager]:
        """Give those whom it removes, or would."""
        return self._plan.to_remove

    def unplanned(self) -> Iterator[Fate]:
        """Say why nothing is done for an entry."""
        yield from super().unplanned()
        for name, ids in self._plan.ambiguities.items():
            yield fate(self.subject, "", name, "ambiguous", f"fits several people: {', '.join(ids)}")

    def check(self, limit: float | None, strategy: Strategy) -> None:
        """Refuse what `apply` would refuse."""
        _only_members(strategy != "diff", "--strategy")
        self._plan.check_guards(max_removals=limit)

    async def apply(
        self, *, limit: float | None, progress: ProgressView, journal: str | None, strategy: Strategy, verify: bool
    ) -> SyncReport:
        """Apply it."""
        _only_members(verify or strategy != "diff", "--verify")
        return await self._plan.apply(max_removals=limit, on_progress=progress, journal=journal)


class UsersView(PlanView):
    """A plan for the users of the tenant."""

    subject = "users"
    verb = "suspend"
    past = "suspended"

    def __init__(self, plan: UserPlan) -> None:
        self._plan = plan

    @property
    def plan(self) -> UserPlan:
        """The plan itself."""
        return self._plan

    @property
    def removals(self) -> int:
        """How many people it takes out."""
        return len(self._plan.to_suspend)

    def planned(self) -> Iterator[Fate]:
        """Say of everybody whom it changes what is meant to happen; who stays is only counted."""
        for user in self._plan.to_create:
            yield fate(self.subject, "create", user.ref, "planned")
        for change in self._plan.to_update:
            yield fate(self.subject, "update", change.ref, "planned", ", ".join(change.fields))
        for leaver in self._plan.to_suspend:
            yield fate(self.subject, "suspend", leaver.ref, "planned")

    def unplanned(self) -> Iterator[Fate]:
        """Say why nothing, or not everything, is done for a row of the file."""
        yield from super().unplanned()
        for ref in self._plan.returning:
            yield fate(
                self.subject, "", ref, "suspended", "is in the file, but the API cannot reactivate: do it in Thrive"
            )

    def check(self, limit: float | None, strategy: Strategy) -> None:
        """Refuse what `apply` would refuse."""
        _only_members(strategy != "diff", "--strategy")
        self._plan.check_guards(max_removals=limit)

    async def apply(
        self, *, limit: float | None, progress: ProgressView, journal: str | None, strategy: Strategy, verify: bool
    ) -> SyncReport:
        """Apply it."""
        _only_members(verify or strategy != "diff", "--verify")
        return await self._plan.apply(max_removals=limit, on_progress=progress, journal=journal)


def _only_members(is_given: bool, option: str) -> None:  # noqa: FBT001
    if is_given:
        raise CliError(f"{option} is for plans of members; nothing was changed")


def save(plan: SavedPlan, path: str) -> None:
    """Write a plan to a file that only its owner can read.

    Raises:
        CliError: it cannot be written; nothing was changed.
    """
    try:
        plan.save(path)
    except OSError as error:
        raise CliError(f"--save-plan {path}: {error.strerror or error}; nothing was changed") from error
    say(f"plan saved: {path}")


def load_plan(file: str, thrive: ThriveClient | None = None) -> PlanView | AudiencesPlan:
    """Read a plan that --save-plan or the SDK wrote, whatever it is for.

    Args:
        file: Its path.
        thrive: The client to apply it with; None only to look at it.

    Raises:
        CliError: it cannot be read.
        ConfigurationError: it is no plan, or was changed since it was saved.
    """
    from thrive_async.sync import AudiencesPlan, ManagerPlan, MemberPlan, UserPlan  # noqa: PLC0415 - after the parsing

    try:
        text = Path(file).read_bytes()
    except OSError as error:
        raise CliError(f"cannot read {file}: {error.strerror or error}") from error
    try:
        kind = json.loads(text)["kind"]
    except (ValueError, TypeError, KeyError):
        kind = None
    if kind == AudiencesPlan.kind:
        return AudiencesPlan.from_json(text, thrive)
    if kind == ManagerPlan.kind:
        return ManagersView(ManagerPlan.from_json(text, thrive))
    if kind == UserPlan.kind:
        return UsersView(UserPlan.from_json(text, thrive))
    return MembersView(MemberPlan.from_json(text, thrive))
