"""What has become of each planned change: open, in doubt, or settled.

A change is open until an answer tells of it. It is in doubt while it may have been made although the answer is lost,
and settled once it has its outcome. The ledger is the only owner of this state.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from thrive_async.sync.report import Action, Outcome, SyncReport, done_as

__all__ = ["Change", "Ledger"]


@attrs.frozen
class Change:
    """One planned change.

    Attributes:
        action: What to do.
        reference: Who it is for, as in the outcome.
        changes: The old and the new value of each field or permission that changes.
        restores: Whether it puts a member back after a rebuild took them out. Such a change is not part of the plan, so
            the report mentions it only if it does not succeed.
    """

    action: Action
    reference: str = attrs.field(repr=False)
    restores: bool = False
    changes: Mapping[str, tuple[Any, Any]] = attrs.field(factory=dict[str, tuple[Any, Any]], repr=False, eq=False)

    @property
    def key(self) -> tuple[str, str]:
        """The action and the reference."""
        return self.action, self.reference


class Ledger:
    """Holds the state of every change; a change is called by its place among them.

    Args:
        changes: What is planned.
    """

    def __init__(self, changes: Iterable[Change]) -> None:
        self.changes: tuple[Change, ...] = tuple(changes)
        self.failures: int = 0
        self._doubts: dict[int, str] = {}
        self._outcomes: dict[int, tuple[bool | None, str | None]] = {}

    @property
    def total(self) -> int:
        """How many changes there are."""
        return len(self.changes)

    @property
    def settled(self) -> int:
        """How many of them have an outcome."""
        return len(self._outcomes)

    @property
    def in_doubt(self) -> Mapping[int, str]:
        """The changes in doubt, each with the reason."""
        return MappingProxyType(self._doubts)

    def was_made(self, place: int) -> bool:
        """Return whether a change is known to have been made."""
        return bool(self._outcomes.get(place, (False, None))[0])

    def unsettled(self, places: Iterable[int]) -> list[int]:
        """Return those of some changes that have no outcome yet."""
        return [place for place in places if place not in self._outcomes]

    def doubt(self, places: Iterable[int], reason: str) -> None:
        """Put changes in doubt: each may have been made.

        Args:
            places: The changes.
            reason: What came instead of an answer.

        Raises:
            RuntimeError: One of them is settled already.
        """
        for place in places:
            if place in self._outcomes:
                raise RuntimeError("a change that is settled was put in doubt")
            self._doubts[place] = reason

    def reopen(self, places: Iterable[int]) -> None:
        """Take changes out of doubt without an outcome: what became of them is about to be told, or nothing did."""
        for place in places:
            self._doubts.pop(place, None)

    def settle(self, place: int, *, done: bool | None, reason: str | None = None) -> str:
        """Give a change its outcome.

        Args:
            place: The change.
            done: Whether it was made, or failed; None if it will not be sent.
            reason: Why it failed or is not sent, or why it counts as made.

        Returns:
            The outcome as the journal calls it: ``"added"``, ``"changed"``, ``"removed"``, ``"failed"`` or
            ``"not_attempted"``.

        Raises:
            RuntimeError: It has an outcome already, so the accounting would not add up.
        """
        if place in self._outcomes:
            raise RuntimeError("a planned change was given two outcomes")
        self._doubts.pop(place, None)
        self._outcomes[place] = (done, reason)
        self.failures += done is False
        return self._name(place, done=done)

    def outcomes(
        self, *, not_attempted: str | None = None, count_restores: bool = False
    ) -> Iterator[tuple[str, Outcome]]:
        """Yield what the report says of each change: the name of its tuple there, and the outcome.

        Args:
            not_attempted: The reason for changes that are open.
            count_restores: Whether a rebuild took members who stay out, or may have, so that the report names those it
                could not put back.
        """
        for place, change in enumerate(self.changes):
            done, reason = self._outcomes.get(place, (None, not_attempted))
            name = self._name(place, done=done)
            if change.restores:
                if not count_restores or name == "added":
                    continue
                reason = f"was a member who stays; the rebuild has left them out, or may have: {reason or 'not sent'}"
            yield name, Outcome(change.action, change.reference, reason, change.changes)

    def _name(self, place: int, *, done: bool | None) -> str:
        if done is None:
            return "not_attempted"
        return done_as(self.changes[place].action) if done else "failed"

    def report(
        self,
        subject: str,
        run: str,
        *,
        not_attempted: str | None,
        cause: BaseException | None,
        differences: tuple[Outcome, ...] | None = None,
        count_restores: bool = False,
    ) -> SyncReport:
        """Sum up.

        Args:
            subject: The audience's name, or ``"users"``.
            run: The id of the run.
            not_attempted: As for `outcomes`.
            cause: What stopped the run, if anything.
            differences: What verifying found.
            count_restores: As for `outcomes`.
        """
        heaps: dict[str, list[Outcome]] = {
            name: [] for name in ("added", "changed", "removed", "failed", "not_attempted")
        }
        for name, outcome in self.outcomes(not_attempted=not_attempted, count_restores=count_restores):
            heaps[name].append(outcome)
        return SyncReport(
            subject=subject,
            run=run,
            added=tuple(heaps["added"]),
            changed=tuple(heaps["changed"]),
            removed=tuple(heaps["removed"]),
            failed=tuple(heaps["failed"]),
            not_attempted=tuple(heaps["not_attempted"]),
            cause=cause,
            differences=differences,
        )
