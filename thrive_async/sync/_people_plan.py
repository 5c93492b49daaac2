"""What the plans for an audience's members and for its managers have in common."""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

import attrs

from thrive_async.models import AudienceManager, AudienceMember
from thrive_async.sync._apply.journal import Scope
from thrive_async.sync._plans import SavedPlan
from thrive_async.sync.report import LeftOut, SyncReport, legible

__all__ = ["PeoplePlan", "common_content", "restored_people", "saved_people"]

P = TypeVar("P", AudienceMember, AudienceManager)


@attrs.define(kw_only=True, repr=False, eq=False)
class PeoplePlan(SavedPlan, Generic[P]):
    """A plan for the people of one audience.

    Attributes:
        audience: The audience as the caller named it.
        audience_id: Its id; what is written goes there.
        to_remove: Who is to be removed.
        staying: The ids of who is desired and there already.
        kept: How many are neither desired nor removed: those whom only an ambiguous name fits, those held back, and
            with `removals=False` everybody who is not desired.
        duplicates: Names of people who had been named before.
        rejected: Pairs of what was written and why nothing is done for it.
        ambiguities: Names that fit two people, with the ids of those: nobody is added for such a name, and nobody
            whom it may mean is removed.
        doubtful: Who is to be removed, by id, and differs only in how a name is written from somebody to be added.
            They are removed only once reading shows that the newcomer is somebody else.
        report: What became of it, once applied, also after a cancel; None before.
    """

    audience: str
    audience_id: str
    to_remove: tuple[P, ...]
    staying: tuple[str, ...]
    kept: int = 0
    duplicates: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    ambiguities: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])
    doubtful: Mapping[str, str] = attrs.field(factory=dict[str, str])
    report: SyncReport | None = None

    @property
    def current(self) -> int:
        """How many people there were."""
        return len(self.staying) + len(self.to_remove) + self.kept

    @property
    def ambiguous(self) -> tuple[str, ...]:
        """The names that fit two people."""
        return tuple(self.ambiguities)

    @property
    def left_out(self) -> LeftOut:
        """What could not be planned, for the report."""
        return LeftOut(rejected=legible(self.rejected), ambiguous=self.ambiguous)

    @property
    def scope(self) -> Scope:
        """What it is about, for the journal."""
        return Scope(self.kind, self.tenant, self.audience_id)

    def _remove_nobody(self) -> None:
        self.kept += len(self.to_remove)
        self.to_remove, self.doubtful = (), {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def _content(self) -> dict[str, Any]:
        return {
            "audience": self.audience,
            "audience_id": self.audience_id,
            "to_remove": saved_people(self.to_remove),
            "staying": self.staying,
            "kept": self.kept,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "ambiguities": dict(self.ambiguities),
            "doubtful": dict(self.doubtful),
        }


def common_content(content: Mapping[str, Any], person: type[P]) -> dict[str, Any]:
    """Return the arguments that make a `PeoplePlan` what it was when it was saved.

    Args:
        content: What was saved.
        person: Of which class the people are.
    """
    return {
        "audience": content["audience"],
        "audience_id": content["audience_id"],
        "to_remove": restored_people(content["to_remove"], person),
        "staying": tuple(content["staying"]),
        "kept": content["kept"],
        "duplicates": tuple(content["duplicates"]),
        "rejected": tuple((written, reason) for written, reason in content["rejected"]),
        "ambiguities": {name: tuple(ids) for name, ids in content["ambiguities"].items()},
        "doubtful": content["doubtful"],
    }


def saved_people(people: Iterable[AudienceMember | AudienceManager]) -> list[list[str | None]]:
    """Return who people are, as JSON takes it."""
    return [[one.user_id, one.reference, one.email] for one in people]


def restored_people(saved: Iterable[tuple[str, str | None, str | None]], person: type[P]) -> tuple[P, ...]:
    """Make people of what `saved_people` returned."""
    return tuple(person(user_id=user_id, reference=reference, email=email) for user_id, reference, email in saved)
