"""The base classes of all plans: they hold the client, and save a plan to a JSON file and load it again."""

import hashlib
import json
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, cast

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError
from thrive_async.models import AudienceManager, AudienceMember
from thrive_async.sync._apply.journal import (
    History,
    Interrupted,
    Scope,
    check_usable,
    history_of,
    still_to_account_for,
)
from thrive_async.sync._apply.journal_lines import Person
from thrive_async.sync._apply.locks import Lock, claim, exclusive, target_of
from thrive_async.sync._doubts import PROTECTED, protected
from thrive_async.sync._guards import Applying
from thrive_async.sync._tables import figures_table
from thrive_async.sync._workers import in_bulk
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.report import LeftOut, Outcome, SyncReport
from thrive_async.sync.source import Source

__all__ = ["PeoplePlan", "SavedPlan", "SinglePlan", "restored_plan", "saved_content", "summed_up"]

S = TypeVar("S", bound="SavedPlan")
P = TypeVar("P", AudienceMember, AudienceManager)
_VERSION: Final = 6


@attrs.define(kw_only=True, repr=False, eq=False)
class SavedPlan(ABC):
    """A plan that can be written to a file and read again.

    Attributes:
        kind: What the plan is for, such as ``"members"``.
        tenant: The id of the tenant that the plan was made for. It cannot be applied to another tenant.
        made_at: When the plan was made.
        source: The file that the desired list was read from, if you say so; the journal names it.
        undoes: What `plan_undo` made the plan to undo, by its id in the journal.
    """

    kind: ClassVar[str]
    tenant: str
    made_at: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    source: Source | None = None
    undoes: str | None = None
    _thrive: ThriveClient | None = attrs.field(default=None, alias="thrive")
    _applying: bool = attrs.field(default=False, init=False)
    # A plan from a file is compared with Thrive again before it is applied.
    _stale: bool = attrs.field(default=False, init=False)

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """Return the plan's content as values that JSON can hold."""

    @classmethod
    @abstractmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        """Make a plan from the result of `_content` and the attributes that all plans share."""

    def _client(self, subject: str) -> ThriveClient:
        """Return the client to apply the plan with.

        Args:
            subject: What the plan is for, for the error.

        Raises:
            SyncError: The plan has no client, or was applied before.
        """
        if self._thrive is None:
            raise SyncError("this plan was loaded without a client: load it with one to apply it")
        if self._applying:
            raise SyncError(f"{subject}: this plan was applied before: make it again to go on")
        return in_bulk(self._thrive)

    @property
    def age(self) -> timedelta:
        """How long ago the plan was made."""
        return datetime.now(UTC) - self.made_at

    def check_age(self, subject: str, max_age: timedelta | None) -> None:
        """Refuse a plan that is too old.

        Args:
            subject: What the plan is for, for the error.
            max_age: The oldest age to accept; None accepts any age.

        Raises:
            GuardRefused: The plan is older.
        """
        if max_age is not None and self.age > max_age:
            hours = self.age // timedelta(hours=1) + 1
            raise GuardRefused(
                f"{subject}: this plan was made at {_moment(self.made_at)}, longer ago than $max_age allows "
                f"({max_age / timedelta(hours=1):g} hours): make it again; nothing was changed",
                argument="max_age",
                value=timedelta(hours=hours),
            )

    def _begin(self, subject: str) -> ThriveClient:
        """Return the client, and mark the plan as applied."""
        thrive = self._client(subject)
        self._applying = True
        return thrive

    async def refresh(self) -> None:
        """Read Thrive again, and drop changes that no longer apply. `apply` does this for a plan from a file.

        Raises:
            SyncError: The plan has no client, or the list changed during every reading.
            ThriveError: Thrive refused a request, or could not be reached.
        """
        self._stale = False

    @property
    def fingerprint(self) -> str:
        """A hash of the plan's content. The journal of a run starts with it."""
        return _fingerprint(self._signed())

    def _signed(self) -> dict[str, Any]:
        """Return everything that the fingerprint covers."""
        source = None if self.source is None else attrs.asdict(self.source)
        return {"tenant": self.tenant, "source": source, "undoes": self.undoes, **self._content()}

    def to_json(self) -> str:
        """Return the plan as JSON. The text contains people's identifiers."""
        content = self._signed()
        head = {
            "kind": self.kind,
            "version": _VERSION,
            "fingerprint": _fingerprint(content),
            "made_at": self.made_at.isoformat(),
        }
        return json.dumps({**head, **content}, ensure_ascii=True, indent=1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan atomically to a file that only its owner can read.

        Args:
            path: The file. It is replaced if it exists.

        Raises:
            OSError: The file cannot be written.
        """
        target = Path(path)
        # An unguessable name that is no link, so that an attacker cannot make the plan overwrite another file.
        draft = target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(self.to_json())
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    @classmethod
    def from_json(cls, text: str | bytes, thrive: ThriveClient | None = None) -> Self:
        """Make a plan from the result of `to_json`.

        Args:
            text: The JSON.
            thrive: The client to apply the plan with. Without one, you can only inspect the plan.

        Raises:
            ConfigurationError: The text is not such a plan, or the plan was saved by another release, changed since it
                was saved, or made for another tenant.
        """
        try:
            decoded: Any = json.loads(text)
            content = dict(cast("dict[str, Any]", decoded))
            kind, version, expected = content.pop("kind"), content.pop("version"), content.pop("fingerprint")
            made_at = datetime.fromisoformat(content.pop("made_at"))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConfigurationError("this is not a saved plan") from error
        if kind != cls.kind:
            raise ConfigurationError(f"this is a plan for {kind}, not for {cls.kind}")
        if version != _VERSION:
            raise ConfigurationError(
                f"this plan has version {version}, and this release reads version {_VERSION}: make the plan again"
            )
        if _fingerprint(content) != expected:
            raise ConfigurationError(
                "this plan was changed since it was saved (its fingerprint differs): make it again"
            )
        try:
            tenant, source, undoes = content.pop("tenant"), content.pop("source"), content.pop("undoes")
            source = None if source is None else Source(**source)
            plan = cls._restored(content, tenant=tenant, made_at=made_at, source=source, undoes=undoes, thrive=thrive)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError("this is not a saved plan") from error
        if thrive is not None and thrive.tenant_id != tenant:
            # A ref such as E-1001 means another person in another tenant.
            raise ConfigurationError(f"this plan was made for the tenant {tenant}, the client is {thrive.tenant_id}'s")
        plan.mark_stale()
        return plan

    def mark_stale(self) -> None:
        """Make `apply` read Thrive again first."""
        self._stale = True

    @classmethod
    def load(cls, path: str | os.PathLike[str], thrive: ThriveClient | None = None) -> Self:
        """Read a plan that `save` wrote.

        Args:
            path: The file.
            thrive: The client to apply the plan with. Without one, you can only inspect the plan.

        Raises:
            ConfigurationError: The file is not such a plan, or the plan was saved by another release, changed since it
                was saved, or made for another tenant.
            OSError: The file cannot be read.
        """
        return cls.from_json(Path(path).read_bytes(), thrive)


def saved_content(plan: SavedPlan) -> dict[str, Any]:
    """Return a plan's content, to save it inside another plan."""
    return plan._content()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def restored_plan(kind: type[S], content: Mapping[str, Any], **common: Any) -> S:
    """Make a plan from the result of `saved_content` and the attributes it shares with the outer plan."""
    return kind._restored(content, **common)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _fingerprint(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def summed_up(line: str, *notes: tuple[int, str, str]) -> str:
    """Return a plan in one line: what it does and, in parentheses, what you should look at.

    Args:
        line: What the plan does.
        notes: Counts, each with its singular and plural noun. Zeros are left out.
    """
    noted = ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in notes if count)
    return f"{line} ({noted})" if noted else line


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@attrs.define(kw_only=True, repr=False, eq=False)
class SinglePlan(SavedPlan):
    """A plan for one target: the members or managers of an audience, or the users.

    Attributes:
        last_run: The last run that changed the target before the plan was made, as the client's share knows it. None if
            the share was away.
        fence: The fencing number of the run that applies the plan, if the client has a share.
    """

    last_run: str | None = ""
    fence: int | None = attrs.field(default=None, init=False)

    @property
    @abstractmethod
    def scope(self) -> Scope:
        """What the plan is about, for the journal."""

    @property
    @abstractmethod
    def subject(self) -> str:
        """What people call it."""

    @property
    @abstractmethod
    def people(self) -> Mapping[tuple[str, str], Person]:
        """What is known of the people it changes, by action and reference, for the journal."""

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""

    @property
    @abstractmethod
    def figures(self) -> dict[str, int]:
        """What the plan does, and what it leaves out, as counts by name."""

    def _repr_html_(self) -> str:
        return figures_table(f"Plan for {self.subject}", [(self.subject, self.figures)])

    @asynccontextmanager
    async def _turn(
        self, applying: Applying, history: History | None = None
    ) -> AsyncGenerator[tuple[Sequence[Interrupted], Lock]]:
        """Prepare a run: take the locks, refuse an overtaken plan, and refresh a saved one.

        Args:
            applying: How the plan is applied.
            history: The journal's history, if it was already read.

        Returns:
            The interrupted runs to account for, and the lock of the target, which is held until the run ends.

        Raises:
            GuardRefused: Another run is under way or ended after the plan was made, the share cannot be reached, or the
                plan is too old or was applied before.
        """
        thrive = self._client(self.subject)
        self.check_age(self.subject, applying.max_age)
        await check_usable(applying.journal)
        async with exclusive(wait=applying.wait, journal=applying.journal):
            lock = await claim(target_of(thrive, self.kind, self.scope.target, self.subject))
            assert lock is not None  # noqa: S101 - within `exclusive`
            if history is None:
                history = await history_of(applying.journal, self.made_at)
            self._check_not_overtaken(lock, history)
            if lock.shared is not None:
                self.fence = lock.shared.lease.fence
            unfinished = history.unfinished.get(self.scope, [])
            interrupted = still_to_account_for(unfinished, self.subject, leased=self.fence is not None)
            if self._stale:
                await self.refresh()
            yield interrupted, lock

    def _check_not_overtaken(self, lock: Lock, history: History) -> None:
        ended = lock.last_ended
        since = ended if ended is not None and ended > self.made_at else None
        made_at = self.made_at.isoformat()
        applied = (self.scope, made_at) in history.applied
        if applied or (since is not None and lock.noted().get("plan") == made_at):
            raise GuardRefused(
                f"{self.subject}: this plan was applied before: make it again to go on; nothing was changed"
            )
        if since is not None:
            raise GuardRefused(
                f"{self.subject}: another run ended at {_moment(since)}, after this plan was made at "
                f"{_moment(self.made_at)}: make it again; nothing was changed"
            )
        if lock.shared is not None and lock.shared.last_run != self.last_run:
            why = "another run has begun or ended since"
            if self.last_run is None:
                why = "another run may have ended since, because the share could not be reached when"
            raise GuardRefused(
                f"{self.subject}: {why} this plan was made at {_moment(self.made_at)}: make it again; nothing was "
                "changed"
            )

    async def _begin_with(self, lock: Lock) -> ThriveClient:
        """Mark the plan as applied, and make older plans for the target stale.

        Returns:
            The client; it sends nothing once the run has lost its lease.

        Raises:
            GuardRefused: The share cannot be reached.
        """
        thrive = self._begin(self.subject)
        if not self.is_empty:
            lock.writing(self.made_at.isoformat())
            if lock.shared is not None:
                await lock.shared.writing()
        return thrive if lock.shared is None else thrive.with_options(lease=lock.shared.lease)


@attrs.define(kw_only=True, repr=False, eq=False)
class PeoplePlan(SinglePlan, Generic[P]):
    """A plan for the people of one audience.

    Attributes:
        audience: The audience as you named it.
        audience_id: The audience's id, used for all writes.
        to_remove: The people to remove.
        staying: The ids of the people who are desired and already there.
        kept: How many people are neither desired, removed nor held. With `removals=False`, all who are not desired.
        duplicates: Names of people who were already named earlier in the list.
        rejected: Pairs of an entry and why nothing is sent for it.
        ambiguities: Names that fit two people, with the ids of both. Nothing is sent for such a name.
        held: People who would be removed, but whom a rejected or ambiguous entry may mean.
        held_because: The reason for each held person, by id.
        held_unless: The names to add that may mean a person to remove, by that person's id. The removal is held unless
            reading the list again shows that each name belongs to another person.
        about: What the list says of the people to add or change beside the name that is sent.
        left_alone: Other changes that are held, with the reason; see `plan_undo`.
        dropped: Changes of a saved plan that no longer applied when the list was read again, with the reason.
        report: The report of the run, also after a cancel; None before the plan is applied.
    """

    audience: str
    audience_id: str
    to_remove: tuple[P, ...]
    staying: tuple[str, ...]
    kept: int = 0
    duplicates: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    ambiguities: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])
    held: tuple[P, ...] = ()
    held_because: Mapping[str, str] = attrs.field(factory=dict[str, str])
    held_unless: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])
    about: Mapping[str, Person] = attrs.field(factory=dict[str, Person])
    left_alone: tuple[Outcome, ...] = ()
    dropped: tuple[Outcome, ...] = ()
    report: SyncReport | None = None

    @property
    def current(self) -> int:
        """How many people there were when the plan was made."""
        return len(self.staying) + len(self.to_remove) + len(self.held) + self.kept

    @property
    def ambiguous(self) -> tuple[str, ...]:
        """The names that fit two people."""
        return tuple(self.ambiguities)

    @property
    def left_out(self) -> LeftOut:
        """What the plan leaves out, for the report."""
        held = [Outcome("remove", one.user_id, self.held_because[one.user_id]) for one in self.held]
        held += self.left_alone
        return LeftOut(rejected=self.rejected, ambiguous=self.ambiguous, held=tuple(held), dropped=self.dropped)

    @property
    def _leaving(self) -> dict[tuple[str, str], Person]:
        return {("remove", one.user_id): Person(one.user_id, one.reference, one.email) for one in self.to_remove}

    def _described(self, action: str, names: Iterable[str]) -> dict[tuple[str, str], Person]:
        return {(action, name): self.about[name] for name in names if name in self.about}

    @property
    def figures(self) -> dict[str, int]:
        """What the plan does, and what it leaves out, as counts by name."""
        return {
            "now": self.current,
            "to remove": len(self.to_remove),
            "staying": len(self.staying),
            "others kept": self.kept,
            "held": len(self.held),
            "ambiguous": len(self.ambiguities),
            "rejected": len(self.rejected),
            "duplicates": len(self.duplicates),
            "dropped": len(self.dropped),
        }

    @property
    def scope(self) -> Scope:
        """What the plan is about, for the journal."""
        return Scope(self.kind, self.tenant, self.audience_id)

    @property
    def subject(self) -> str:
        """What the report calls it."""
        return self.audience

    def hold_removals(self, because: str) -> None:
        """Hold all removals, because something unreadable may mean any of these people.

        Args:
            because: The reason, for the report.
        """
        self._hold(self.to_remove, because)

    def protect(self, names: Iterable[str]) -> None:
        """Hold the removal of people who must never be removed.

        Args:
            names: Their ids, refs or e-mail addresses, as in a desired list.
        """
        ids = protected(self.to_remove, names)
        self._hold([one for one in self.to_remove if one.user_id in ids], PROTECTED)

    def _hold(self, people: Sequence[P], because: str) -> None:
        ids = {one.user_id for one in people}
        self.held_because = {**self.held_because, **dict.fromkeys(ids, because)}
        self.held += tuple(people)
        self.to_remove = tuple(one for one in self.to_remove if one.user_id not in ids)
        self.held_unless = {one: names for one, names in self.held_unless.items() if one not in ids}

    def _drop(self, present: Iterable[P], owners: Mapping[str, Sequence[str]], others: Iterable[Outcome] = ()) -> None:
        """Drop changes that no longer apply.

        Args:
            present: The people who are there now.
            owners: The names to add that now fit someone, with the ids of these people.
            others: Other changes that no longer apply.
        """
        people = {one.user_id: one for one in present}
        desired: set[str] = {user_id for ids in owners.values() for user_id in ids}
        gone: list[P] = [one for one in self.to_remove if one.user_id not in people]
        wanted: list[P] = [one for one in self.to_remove if one.user_id in people and one.user_id in desired]
        self.dropped += (
            *(
                Outcome("add", name, "is there already" if len(ids) == 1 else "fits several people now")
                for name, ids in owners.items()
            ),
            *(Outcome("remove", one.user_id, "is gone already") for one in gone),
            *(Outcome("remove", one.user_id, "is desired after all: the list has this name") for one in wanted),
            *others,
        )
        out = {one.user_id for one in (*gone, *wanted)}
        self.to_remove = tuple(one for one in self.to_remove if one.user_id not in out)
        self.held = tuple(one for one in self.held if one.user_id in people)
        self.staying = tuple(dict.fromkeys(one for one in (*self.staying, *sorted(desired)) if one in people))
        self.held = tuple(one for one in self.held if one.user_id not in self.staying)
        # People who joined since the plan was made are neither desired nor removed.
        self.kept = len(people) - len(self.staying) - len(self.to_remove) - len(self.held)

    @property
    def _notes(self) -> tuple[tuple[int, str, str], ...]:
        blank = sum(1 for _written, reason in self.rejected if reason == "blank")
        return (
            (len(self.duplicates), "duplicate", "duplicates"),
            (blank, "blank", "blanks"),
            (len(self.rejected) - blank, "rejected", "rejected"),
            (len(self.ambiguities), "ambiguous", "ambiguous"),
            (self.kept, "other kept", "others kept"),
            (len(self.held), "removal held", "removals held"),
            (len(self.left_alone), "change held", "changes held"),
            (len(self.dropped), "dropped", "dropped"),
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def _content(self) -> dict[str, Any]:
        return {
            "audience": self.audience,
            "audience_id": self.audience_id,
            "to_remove": _saved_people(self.to_remove),
            "staying": self.staying,
            "kept": self.kept,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "ambiguities": dict(self.ambiguities),
            "held": _saved_people(self.held),
            "held_because": dict(self.held_because),
            "held_unless": _grouped(self.held_unless),
            "about": {name: one.known for name, one in self.about.items()},
            "left_alone": [[one.action, one.reference, one.reason] for one in self.left_alone],
            "last_run": self.last_run,
        }

    @staticmethod
    def _common(content: Mapping[str, Any], person: type[P]) -> dict[str, Any]:
        """Return the arguments that restore a saved plan.

        Args:
            content: The saved content.
            person: The class of the people.
        """
        return {
            "audience": content["audience"],
            "audience_id": content["audience_id"],
            "to_remove": _restored_people(content["to_remove"], person),
            "staying": tuple(content["staying"]),
            "kept": content["kept"],
            "duplicates": tuple(content["duplicates"]),
            "rejected": tuple((written, reason) for written, reason in content["rejected"]),
            "ambiguities": {name: tuple(ids) for name, ids in content["ambiguities"].items()},
            "held": _restored_people(content["held"], person),
            "held_because": content["held_because"],
            "held_unless": {one: tuple(names) for names, ids in content["held_unless"] for one in ids},
            "about": {name: Person(**known) for name, known in content["about"].items()},
            "left_alone": tuple(Outcome(*one) for one in content["left_alone"]),
            "last_run": content["last_run"],
        }


def _grouped(held_unless: Mapping[str, tuple[str, ...]]) -> list[tuple[tuple[str, ...], list[str]]]:
    """Group the ids by their names, because thousands of people may share the same thousand names."""
    ids: dict[tuple[str, ...], list[str]] = {}
    for user_id, names in held_unless.items():
        ids.setdefault(names, []).append(user_id)
    return list(ids.items())


def _saved_people(people: Iterable[AudienceMember | AudienceManager]) -> list[list[str | None]]:
    return [[one.user_id, one.reference, one.email] for one in people]


def _restored_people(saved: Iterable[tuple[str, str | None, str | None]], person: type[P]) -> tuple[P, ...]:
    return tuple(person(user_id=user_id, reference=reference, email=email) for user_id, reference, email in saved)
