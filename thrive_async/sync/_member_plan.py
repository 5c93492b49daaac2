"""The plan of a member sync: what would change, and why nothing else would."""

import os
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import attrs

from thrive_async.models import AudienceMember
from thrive_async.sync._apply.batches import calls_needed
from thrive_async.sync._apply.journal import Interrupted, left_open
from thrive_async.sync._apply.members import apply_members
from thrive_async.sync._arguments import Strategy, check_applying, check_strategy
from thrive_async.sync._guards import DEFAULT_MAX_REMOVALS, check_removals
from thrive_async.sync._people_plan import PeoplePlan, common_content, restored_people, saved_people
from thrive_async.sync._plans import summed_up
from thrive_async.sync.report import LeftOut, OnProgress, Outcome, SyncReport

__all__ = ["Desired", "MemberPlan"]

Desired = Iterable[str] | AsyncIterable[str]


@attrs.define(kw_only=True, repr=False, eq=False)
class MemberPlan(PeoplePlan[AudienceMember]):
    """What a sync of an audience's members would change; made by `plan_members`.

    `print(plan)` gives the counts in one line, `repr` too; the names are on the attributes.

    Attributes:
        audience: The audience as the caller named it.
        audience_id: Its id; what is written goes there.
        to_add: Names that fit no member, as desired, each person once.
        to_remove: Members that no name fits.
        staying: The ids of the members who are desired.
        kept: How many members are neither desired nor removed: those whom only an ambiguous name fits, those held
            back, and with `removals=False` everybody who is not desired.
        duplicates: Names of people who had been named before.
        rejected: Pairs of what was written and why it cannot be a name; nothing is sent for them.
        ambiguities: Names that fit two people, with the ids of those: nobody is added for such a name, and nobody
            whom it may mean is removed.
        doubtful: Members to be removed, by id, who differ only in how a name is written from somebody to be added.
            They are removed only once the member list shows that the newcomer is somebody else.
        held: Members who would be removed, if it were sure that they are not desired: see `hold_removals`.
        held_because: Why they are held back; None if nobody is.
        removals: Whether the plan removes anybody.
        tenant: The id of the tenant it was made for.
        made_at: When it was made.
        report: What became of it, once applied, also after a cancel; None before.
    """

    kind: ClassVar[str] = "members"

    to_add: tuple[str, ...]
    held: tuple[AudienceMember, ...] = ()
    held_because: str | None = None
    removals: bool = True

    @property
    def unchanged(self) -> int:
        """How many desired people are members already."""
        return len(self.staying)

    @property
    def left_out(self) -> LeftOut:
        """What could not be planned, for the report."""
        held = tuple(Outcome("remove", member.user_id, self.held_because) for member in self.held)
        return attrs.evolve(super().left_out, held=held)

    def hold_removals(self, because: str) -> None:
        """Remove nobody: something that could not be read may mean members who seem not to be desired.

        Args:
            because: What could not be read, for the report.
        """
        if self.to_remove:
            self.held, self.held_because = self.to_remove, because
            self._remove_nobody()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.to_add and not self.to_remove

    @property
    def calls(self) -> dict[str, int]:
        """How many writes each strategy needs, without failures: ``{"diff": 24, "rebuild": 12}``."""
        may_replace = self.removals and not self.kept and not self.doubtful
        return calls_needed(
            add=len(self.to_add), remove=len(self.to_remove), staying=len(self.staying), may_replace=may_replace
        )

    def __str__(self) -> str:
        blank = sum(1 for _written, reason in self.rejected if reason == "blank")
        return summed_up(
            f"{self.audience}: +{len(self.to_add):,} -{len(self.to_remove):,} ={self.unchanged:,}",
            (len(self.duplicates), "duplicate", "duplicates"),
            (blank, "blank", "blanks"),
            (len(self.rejected) - blank, "rejected", "rejected"),
            (len(self.ambiguities), "ambiguous", "ambiguous"),
            (self.kept - len(self.held), "other kept", "others kept"),
            (len(self.held), "removal held back", "removals held back"),
        )

    async def apply(
        self,
        *,
        max_removals: float | None = DEFAULT_MAX_REMOVALS,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
        strategy: Strategy = "diff",
        verify: bool = False,
    ) -> SyncReport:
        """Make the planned changes: additions in hundreds, then removals one by one, as many at once as the client may.

        Nobody who stays is ever out. Every planned change ends in exactly one of the report's `added`, `removed`,
        `failed` and `not_attempted`; the report is returned also when an error stopped the run (its `cause`), so call
        `raise_for_failures` on it, or look. A batch that Thrive refuses is split until the person at fault stands
        alone. An answer that stays lost is not guessed: the members are read again at the end.

        A cancel lets each request under way finish (for ten seconds at most), sends no other, and leaves the report
        on `plan.report`. To go on after a cancel or a crash, make the plan again.

        Args:
            max_removals: Refuse to remove more: a count (int), a fraction of the current members (float), or None
                for no guard.
            on_progress: Called with a `Progress` after each answer, on the event loop. A plain function: it is not
                awaited.
            journal: A file to append a line per outcome to, as it happens. What became of the people of
                a run of this audience that was killed is found out first.
            strategy: ``"diff"``, or ``"rebuild"``: replace the whole list by its first hundred and add the rest in
                hundreds, where that needs fewer requests (see `calls`), else as ``"diff"``. What that costs: between
                the replacement and their addition, members who stay are out of the audience, may lose its assignments
                and learning for that time, and if the run dies in between they stay out until the next one. Members
                who joined after the plan was made are removed.
            verify: Read the members again at the end and list what differs from the report in its `differences`.

        Returns:
            What became of every planned change.

        Raises:
            GuardRefused: More removals than allowed, or another run of this audience goes on with the same journal;
                nothing was sent.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError: An argument cannot be meant, or the journal is a file that holds something else.
            TypeError: An argument is of a wrong type, or `on_progress` is a coroutine function.
            OSError: The journal cannot be written; if something was done by then, the report is on the plan.

        Example:
            ```python
            plan = await sync.plan_members(thrive, "sales-emea", desired)
            report = await plan.apply(max_removals=50, journal="run.jsonl")
            report.raise_for_failures()
            ```
        """
        await check_applying(
            max_removals=max_removals, on_progress=on_progress, journal=journal, strategy=strategy, verify=verify
        )
        interrupted = await left_open(journal, self.scope, self.audience)
        self.check_guards(max_removals=max_removals, strategy=strategy)
        return await self.apply_guarded(
            on_progress=on_progress, journal=journal, strategy=strategy, verify=verify, interrupted=interrupted
        )

    def check_guards(self, *, max_removals: float | None = DEFAULT_MAX_REMOVALS, strategy: Strategy = "diff") -> None:
        """Refuse what `apply` would refuse, before anything is sent.

        Args:
            max_removals: As for `apply`.
            strategy: As for `apply`.

        Raises:
            GuardRefused: More removals than allowed.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError: An argument cannot be meant.
        """
        self._client(self.audience)
        check_strategy(strategy)
        check_removals(self.audience, len(self.to_remove), self.current, max_removals)

    async def apply_guarded(
        self,
        *,
        on_progress: OnProgress | None,
        journal: str | os.PathLike[str] | None,
        strategy: Strategy,
        verify: bool,
        interrupted: Sequence[Interrupted],
    ) -> SyncReport:
        """Apply the plan after its guards; for several plans with one journal. `apply` is what you want.

        Args:
            on_progress: As for `apply`.
            journal: As for `apply`.
            strategy: As for `apply`.
            verify: As for `apply`.
            interrupted: The runs of this audience that its journal leaves open.

        Returns:
            What became of every planned change.
        """
        thrive = self._client(self.audience)
        self._applying = True
        return await apply_members(
            thrive,
            self,
            on_progress=on_progress,
            journal=journal,
            rebuild=strategy == "rebuild" and self.calls["rebuild"] < self.calls["diff"],
            verify=verify,
            interrupted=interrupted,
        )

    def _content(self) -> dict[str, Any]:
        return {
            **super()._content(),
            "removals": self.removals,
            "to_add": self.to_add,
            "held": saved_people(self.held),
            "held_because": self.held_because,
        }

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            **common_content(content, AudienceMember),
            removals=content["removals"],
            to_add=tuple(content["to_add"]),
            held=restored_people(content["held"], AudienceMember),
            held_because=content["held_because"],
            **common,
        )
