"""Make the users of a tenant equal to an HR export: create, update, suspend and unsuspend them."""

import asyncio
import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, ClassVar, Final, Literal, Self, get_args

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError, InvalidArgument
from thrive_async.models import UserCreate, UserUpdate
from thrive_async.sync._apply.journal import Scope, check_usable
from thrive_async.sync._apply.journal_lines import Person
from thrive_async.sync._apply.locks import claim, exclusive, last_run, target_of
from thrive_async.sync._apply.users import apply_users
from thrive_async.sync._guards import (
    DEFAULT_MAX_AGE,
    DEFAULT_MAX_CHANGES,
    DEFAULT_MAX_REMOVALS,
    Applying,
    MaxRemovals,
    check_changes,
    check_desired,
    check_flags,
    check_iterable,
    check_removals,
    removal_limit,
)
from thrive_async.sync._match.export_rows import Blank, Reader
from thrive_async.sync._match.identity import IDENTITY
from thrive_async.sync._match.likeness import comparable
from thrive_async.sync._match.user_diff import dated, known, set_fields
from thrive_async.sync._plans import SinglePlan, summed_up
from thrive_async.sync._reading import read_whole
from thrive_async.sync._user_planning import Planning, UserChange, UserHeld, UserLeaver, UserReturn, overtaken_by
from thrive_async.sync._workers import in_bulk
from thrive_async.sync.report import LeftOut, OnProgress, Outcome, SyncReport

__all__ = [
    "Leavers",
    "Returning",
    "UserChange",
    "UserHeld",
    "UserLeaver",
    "UserPlan",
    "UserReturn",
    "plan_users",
    "sync_users",
]

Leavers = Literal["ignore", "suspend", "listed"]
Returning = Literal["report", "unsuspend"]
_AT_ONCE: Final = 2_000


@attrs.define(kw_only=True, repr=False, eq=False)
class UserPlan(SinglePlan):
    """What a sync of users would change; made by `plan_users`.

    Attributes:
        to_create: People without an account.
        to_update: Users with fields that differ, with the old and new values.
        to_suspend: Users who have left.
        to_unsuspend: Suspended users to bring back; only with ``returning="unsuspend"``.
        unchanged: How many users already match the export.
        matched: How many users the export names by ref.
        current: How many active users had a ref.
        returning: Refs of suspended users who are in the export and stay suspended.
        duplicates: Refs of rows that repeat an earlier row.
        rejected: Pairs of a ref or row and why the row, or one of its cells, is ignored. Users in a rejected row are
            not suspended.
        held: Users who are left alone, or some of whose fields are, with the reason.
        rows: Where the export names the people to create, change, suspend or unsuspend, by ref.
        dropped: Changes of a saved plan that no longer applied when the users were read again, with the reason.
        tenant: The id of the tenant that the plan was made for.
        made_at: When the plan was made.
        report: The report of the run, also after a cancel; None before the plan is applied.
    """

    kind: ClassVar[str] = "users"

    to_create: tuple[UserCreate, ...]
    to_update: tuple[UserChange, ...]
    to_suspend: tuple[UserLeaver, ...]
    to_unsuspend: tuple[UserReturn, ...] = ()
    unchanged: int
    matched: int = 0
    current: int
    returning: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    held: tuple[UserHeld, ...] = ()
    rows: Mapping[str, str] = attrs.field(factory=dict[str, str])
    dropped: tuple[Outcome, ...] = ()
    report: SyncReport | None = None

    @property
    def left_out(self) -> LeftOut:
        """What the plan leaves out, for the report."""
        held = tuple(Outcome(one.action, one.ref, one.reason) for one in self.held)
        return LeftOut(rejected=self.rejected, held=held, dropped=self.dropped)

    @property
    def people(self) -> Mapping[tuple[str, str], Person]:
        """What is known of the people it creates, changes, suspends and brings back, for the journal."""
        found = {("create", one.ref): Person(ref=one.ref, email=one.email or None) for one in self.to_create}
        found |= {("unsuspend", one.ref): Person(one.user_id, one.ref) for one in self.to_unsuspend}
        found |= {("update", one.ref): Person(one.user_id, one.ref) for one in self.to_update}
        found |= {("suspend", one.ref): Person(one.user_id, one.ref, one.email) for one in self.to_suspend}
        return {key: attrs.evolve(person, row=self.rows.get(key[1])) for key, person in found.items()}

    @property
    def identity_changes(self) -> tuple[UserChange, ...]:
        """The updates that change a name or e-mail address; `max_changes` limits them."""
        return tuple(one for one in self.to_update if not IDENTITY.isdisjoint(one.changes))

    @property
    def scope(self) -> Scope:
        """The plan's kind and tenant, for the journal."""
        return Scope(self.kind, self.tenant, "")

    @property
    def subject(self) -> str:
        """The name that the report uses."""
        return "users"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.calls

    @property
    def figures(self) -> dict[str, int]:
        """What the plan does, and what it leaves out, as counts by name."""
        return {
            "now": self.current,
            "to create": len(self.to_create),
            "to update": len(self.to_update),
            "to suspend": len(self.to_suspend),
            "to unsuspend": len(self.to_unsuspend),
            "unchanged": self.unchanged,
            "suspended, but in the export": len(self.returning),
            "held": len(self.held),
            "rejected": len(self.rejected),
            "duplicates": len(self.duplicates),
            "dropped": len(self.dropped),
        }

    @property
    def calls(self) -> int:
        """How many writes the plan needs if all succeed. Users are written one by one."""
        return sum(map(len, (self.to_create, self.to_unsuspend, self.to_update, self.to_suspend)))

    def __str__(self) -> str:
        counts = f"+{len(self.to_create):,} ~{len(self.to_update):,} -{len(self.to_suspend):,} ={self.unchanged:,}"
        suspensions = sum(one.action == "suspend" for one in self.held)
        return summed_up(
            f"users: {counts}",
            (len(self.to_unsuspend), "to unsuspend", "to unsuspend"),
            (len(self.duplicates), "duplicate", "duplicates"),
            (len(self.rejected), "rejected", "rejected"),
            (suspensions, "suspension held", "suspensions held"),
            (len(self.held) - suspensions, "change held", "changes held"),
            (len(self.returning), "suspended, but in the export", "suspended, but in the export"),
            (len(self.dropped), "dropped", "dropped"),
        )

    def __repr__(self) -> str:
        return f"<UserPlan {self}>"

    async def apply(
        self,
        *,
        max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS,
        max_changes: MaxRemovals = DEFAULT_MAX_CHANGES,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
        wait: float = 0.0,
        max_age: timedelta | None = DEFAULT_MAX_AGE,
    ) -> SyncReport:
        """Create, unsuspend, update and suspend users, in this order.

        Managers are created before the people who report to them. An e-mail address is freed before another user gets
        it; if that change fails, the user who waits for the address is not changed either.

        If the answer to a creation is lost, the user is looked up before the creation is repeated. Everything else is
        as in `MemberPlan.apply`.

        Args:
            max_removals: Refuse to suspend more users than this: a count (int), a fraction of the active users (float),
                a `Guard` (by default 10 %, but at least one), or None for no guard.
            max_changes: Refuse to change the name or e-mail address of more users than this: a count (int), a fraction
                of the matched users (float), a `Guard` (by default 10 %, but at least five), or None for no guard.
            on_progress: A plain function, called with a `Progress` after each answer. It is not awaited.
            journal: A file that gets one line per outcome, as it happens.
            wait: As for `MemberPlan.apply`.
            max_age: As for `MemberPlan.apply`.

        Returns:
            The outcome of every planned change, by ref: created users in `added`, updated and unsuspended users in
            `changed`, suspended users in `removed`.

        Raises:
            GuardRefused: The plan suspends or changes more users than allowed, or another run uses the same journal.
                Nothing was sent.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError, TypeError: An argument is out of range or has the wrong type.
            OSError: The journal cannot be written. If changes were already made, the report is on the plan.
        """
        applying = Applying(
            max_removals=max_removals, on_progress=on_progress, journal=journal, wait=wait, max_age=max_age
        )
        removal_limit(max_changes, 0, "max_changes")
        async with self._turn(applying) as (interrupted, lock):
            self.check_guards(max_removals=max_removals, max_changes=max_changes)
            return await apply_users(await self._begin_with(lock), self, applying, interrupted)

    def protect(self, names: Iterable[str]) -> None:
        """Hold the suspension of people who must never be suspended.

        Args:
            names: Their ids, refs or e-mail addresses.
        """
        protected = {comparable(name).strip() for name in names} - {""}
        safe = [
            one
            for one in self.to_suspend
            if not protected.isdisjoint(comparable(name) for name in (one.user_id, one.ref, one.email or ""))
        ]
        self.held += tuple(
            UserHeld(user_id=one.user_id, ref=one.ref, action="suspend", reason="not suspended: protected")
            for one in safe
        )
        self.to_suspend = tuple(one for one in self.to_suspend if one not in safe)

    async def refresh(self) -> None:
        """Read the users again, and drop changes that no longer apply; see `dropped`.

        Raises:
            SyncError: The plan has no client, or the users changed during every reading.
            ThriveError: Thrive refused a request, or could not be reached.
        """
        thrive = self._client("users")
        users = await read_whole("users: the list", thrive.users.list(), known, lambda user: user.user_id)
        overtaken = overtaken_by(users, self.to_create, self.to_update, self.to_suspend, self.to_unsuspend)
        self.dropped += tuple(Outcome(action, ref, reason) for (action, ref), reason in overtaken.items())
        self.to_create = tuple(one for one in self.to_create if ("create", one.ref) not in overtaken)
        self.to_update = tuple(one for one in self.to_update if ("update", one.ref) not in overtaken)
        self.to_suspend = tuple(one for one in self.to_suspend if ("suspend", one.ref) not in overtaken)
        self.to_unsuspend = tuple(one for one in self.to_unsuspend if ("unsuspend", one.ref) not in overtaken)
        await super().refresh()

    def check_guards(
        self,
        *,
        max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS,
        max_changes: MaxRemovals = DEFAULT_MAX_CHANGES,
    ) -> None:
        """Raise the errors that `apply` would raise before it sends anything.

        Args:
            max_removals: As for `apply`.
            max_changes: As for `apply`.

        Raises:
            GuardRefused: The plan suspends or changes more users than allowed.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError: A limit is not a count, a fraction, a `Guard` or None.
        """
        self._client("users")
        check_removals(
            "users", len(self.to_suspend), self.current, max_removals, what="active users", verb="the plan suspends"
        )
        check_changes("users", len(self.identity_changes), self.matched, max_changes)

    def _content(self) -> dict[str, Any]:
        return {
            "to_create": [_jsonable(set_fields(user)) for user in self.to_create],
            "to_update": [
                [one.user_id, one.ref, _jsonable(set_fields(one.update)), one.changes] for one in self.to_update
            ],
            "to_suspend": [[one.user_id, one.ref, one.email] for one in self.to_suspend],
            "to_unsuspend": [[one.user_id, one.ref, _jsonable(set_fields(one.account))] for one in self.to_unsuspend],
            "unchanged": self.unchanged,
            "matched": self.matched,
            "current": self.current,
            "returning": list(self.returning),
            "duplicates": list(self.duplicates),
            "rejected": [list(pair) for pair in self.rejected],
            "held": [[one.user_id, one.ref, one.action, one.reason] for one in self.held],
            "last_run": self.last_run,
            "rows": dict(self.rows),
        }

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            to_create=tuple(UserCreate(**dated(fields)) for fields in content["to_create"]),
            to_update=tuple(
                UserChange(
                    user_id=user_id,
                    ref=ref,
                    update=UserUpdate(**dated(fields)),
                    changes={name: (old, new) for name, (old, new) in changes.items()},
                )
                for user_id, ref, fields, changes in content["to_update"]
            ),
            to_suspend=tuple(
                UserLeaver(user_id=user_id, ref=ref, email=email) for user_id, ref, email in content["to_suspend"]
            ),
            to_unsuspend=tuple(
                UserReturn(user_id=user_id, ref=ref, account=UserCreate(**dated(fields)))
                for user_id, ref, fields in content["to_unsuspend"]
            ),
            unchanged=content["unchanged"],
            matched=content["matched"],
            current=content["current"],
            returning=tuple(content["returning"]),
            duplicates=tuple(content["duplicates"]),
            rejected=tuple((written, reason) for written, reason in content["rejected"]),
            held=tuple(
                UserHeld(user_id=user_id, ref=ref, action=action, reason=reason)
                for user_id, ref, action, reason in content["held"]
            ),
            last_run=content["last_run"],
            rows=content["rows"],
            **common,
        )


def _jsonable(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in fields.items()}


async def plan_users(
    thrive: ThriveClient,
    rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
    *,
    columns: Mapping[str, str] | None = None,
    leavers: Leavers = "ignore",
    returning: Returning = "report",
    blank: Blank = "keep",
    allow_empty: bool = False,
    allow_takeover: bool = False,
    has_left: Callable[[Mapping[str, Any]], bool] | None = None,
    protect: Iterable[str] = (),
) -> UserPlan:
    """Compare Thrive's users with the rows of an HR export, without changing anything.

    People match by ref. Users without a ref are ignored: they are neither changed nor suspended. A leaver is an active
    user whose ref and e-mail address are both missing from the export, in any spelling of the ref.

    These rows are rejected, and the users they could mean are left alone:

    - The ref belongs to one user, and the e-mail address to another who keeps it.
    - Both the name and the e-mail address change: the number was given to a new person (see `allow_takeover`).
    - The ref looks rewritten by a spreadsheet (``"4711.0"``, sixteen digits that end in zeros), and no user has it.
    - The ref differs only in spelling from that of a user who is missing from the export (``"123"`` for ``"00123"``).

    If a row does not identify a user (its ref is missing or rewritten, and no user has its e-mail address), all
    suspensions are held. A leaver with the name or mailbox of a newcomer is held, too: see `UserPlan.held`.

    If a cell holds a placeholder (``#N/A``, ``NULL``, ``-``), it is rejected and its field is left as it is. A field
    that could not be read from Thrive's answer is neither compared nor changed. If users swap their e-mail addresses,
    the addresses are held and the other fields are changed.

    A manager differs if the user with the desired ref is not the one that Thrive shows by id. If no user and no
    newcomer in the export has the desired ref, the difference alone does not cause an update. The ref is still sent
    when the user is created, and in an update as soon as a user has that ref.

    Args:
        thrive: The client.
        rows: One mapping per person, such as `csv.DictReader` yields.
        columns: The column of each field: `{"ref": "EmployeeID", "first_name": "Given name", "additional_fields.Site":
            "Site"}`. Fields have the names of `UserCreate`. None if your columns already have these names.
        leavers: ``"suspend"`` users who have left, ``"ignore"`` them, or suspend only those who are ``"listed"``: the
            rows for which `has_left` is true. Users who are missing from the export then stay.
        returning: ``"unsuspend"`` suspended users who are in the export, by a legacy event (see
            `thrive.provisioning.user_joined`), or only ``"report"`` them.
        blank: Whether an empty cell leaves its field as it is (``"keep"``) or clears it (``"clear"``). Names, role,
            time zone and language are never cleared.
        allow_empty: Accept an export without a usable row.
        allow_takeover: Let an account pass to a new person, with another name and another e-mail address.
        has_left: A function that says whether a row is of a person who has left. Such a person is neither created nor
            updated, and is suspended unless `leavers` is ``"ignore"``.
        protect: People who are never suspended, by id, ref or e-mail address.

    Returns:
        The plan. Print it, check it, then `apply` it.

    Raises:
        GuardRefused: No row is usable.
        ConfigurationError: A field is unknown, or the rows do not have a column.
        TypeError: An argument has the wrong type, or a row is not a mapping.
        SyncError: The users changed during every reading.
        ThriveError: Thrive refused a request, or could not be reached.

    Example:
        ```python
        columns = {"ref": "EmployeeID", "first_name": "Given name", "last_name": "Surname", "email": "Work e-mail"}
        with open("export.csv", newline="") as file:
            plan = await sync.plan_users(thrive, csv.DictReader(file), columns=columns, leavers="suspend")
        print(plan)  # users: +12 ~40 -3 =5,188
        report = await plan.apply(max_removals=20, journal="users.jsonl")
        ```
    """
    if isinstance(rows, Mapping):
        raise TypeError("rows must be an iterable or async iterable of mappings, not one mapping")
    check_iterable("rows", rows, "mappings")
    check_flags(allow_empty=allow_empty, allow_takeover=allow_takeover)
    check_iterable("protect", protect, "names")
    if leavers not in get_args(Leavers):
        raise ConfigurationError('leavers must be "ignore", "suspend" or "listed"')
    if leavers == "listed" and has_left is None:
        raise InvalidArgument('$leavers="listed" needs $has_left, which says who has left', "leavers", "has_left")
    if returning not in get_args(Returning):
        raise ConfigurationError('returning must be "report" or "unsuspend"')
    reader = Reader(columns, blank, has_left)
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            reader.feed((row,))
    else:
        walk = iter(rows)
        while heap := list(islice(walk, _AT_ONCE)):
            reader.feed(heap)
            await asyncio.sleep(0)
    check_desired(
        "users",
        len(reader.rows.by_ref),
        reader.rows.rejected,
        allow_empty=allow_empty,
        what="export",
        past="suspended" if leavers != "ignore" else None,
    )
    target = target_of(thrive, UserPlan.kind, "", "users")
    await claim(target)
    before = await last_run(target)
    made_at = datetime.now(UTC)
    thrive = in_bulk(thrive)
    users = await read_whole("users: the list", thrive.users.list(), known, lambda user: user.user_id)
    planning = Planning(reader.rows, users, allow_takeover=allow_takeover)
    decisions = planning.decide(
        suspend=leavers != "ignore", unsuspend=returning == "unsuspend", missing=leavers == "suspend"
    )
    plan = UserPlan(
        **attrs.asdict(decisions, recurse=False),
        duplicates=tuple(reader.rows.duplicates),
        tenant=thrive.tenant_id,
        made_at=made_at,
        last_run=before,
        thrive=thrive,
    )
    plan.protect(protect)
    return plan


async def sync_users(
    thrive: ThriveClient,
    rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
    *,
    columns: Mapping[str, str] | None = None,
    leavers: Leavers = "ignore",
    returning: Returning = "report",
    blank: Blank = "keep",
    allow_empty: bool = False,
    allow_takeover: bool = False,
    has_left: Callable[[Mapping[str, Any]], bool] | None = None,
    protect: Iterable[str] = (),
    max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS,
    max_changes: MaxRemovals = DEFAULT_MAX_CHANGES,
    on_progress: OnProgress | None = None,
    journal: str | os.PathLike[str] | None = None,
    wait: float = 0.0,
) -> SyncReport:
    """Make Thrive's users equal to the rows of an HR export: `plan_users` and `UserPlan.apply` in one.

    Args:
        thrive: The client.
        rows: As for `plan_users`.
        columns: As for `plan_users`.
        leavers: As for `plan_users`.
        returning: As for `plan_users`.
        blank: As for `plan_users`.
        allow_empty: As for `plan_users`.
        allow_takeover: As for `plan_users`.
        has_left: As for `plan_users`.
        protect: As for `plan_users`.
        max_removals: As for `UserPlan.apply`.
        max_changes: As for `UserPlan.apply`.
        on_progress: As for `UserPlan.apply`.
        journal: As for `UserPlan.apply`.
        wait: As for `MemberPlan.apply`. Nothing is read until the other run ends.

    Returns:
        The outcome of every planned change. Call `raise_for_failures` on it.

    Raises:
        GuardRefused: A guard refused the run. Nothing was changed.
        TypeError: An argument has the wrong type. Nothing was sent.
        ConfigurationError: An argument is out of range. Nothing was sent.
        ThriveError: The plan could not be made.
        OSError: The journal cannot be written.

    Example:
        ```python
        with open("export.csv", newline="") as file:
            report = await sync.sync_users(thrive, csv.DictReader(file), leavers="suspend", max_removals=20)
        report.raise_for_failures()
        ```
    """
    # Check the arguments before the long reading, so that a mistake shows at once.
    Applying(max_removals=max_removals, on_progress=on_progress, journal=journal, wait=wait)
    removal_limit(max_changes, 0, "max_changes")
    await check_usable(journal)
    async with exclusive(wait=wait, journal=journal):
        plan = await plan_users(
            thrive,
            rows,
            columns=columns,
            leavers=leavers,
            returning=returning,
            blank=blank,
            allow_empty=allow_empty,
            allow_takeover=allow_takeover,
            has_left=has_left,
            protect=protect,
        )
        return await plan.apply(
            max_removals=max_removals, max_changes=max_changes, on_progress=on_progress, journal=journal, wait=wait
        )
