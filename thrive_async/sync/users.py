"""The users of a tenant made equal to an HR export: who is new, whose fields differ, who has left."""

import asyncio
import os
from collections.abc import AsyncIterable, Iterable, Mapping
from datetime import date, datetime
from itertools import islice
from typing import Any, ClassVar, Final, Literal, Self

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError
from thrive_async.models import UserCreate, UserUpdate
from thrive_async.sync._apply.journal import Scope, check_usable, left_open
from thrive_async.sync._apply.users import apply_users
from thrive_async.sync._doubts import LOOKS_REWRITTEN, OTHER_SPELLING, nameless_rows, other_spellings, unnamed
from thrive_async.sync._guards import (
    DEFAULT_MAX_REMOVALS,
    Applying,
    check_desired,
    check_flags,
    check_iterable,
    check_removals,
)
from thrive_async.sync._match.export_rows import Blank, Reader, Rows, addressable, creation, rewritten
from thrive_async.sync._match.user_diff import Known, Staff, difference, known, set_fields
from thrive_async.sync._plans import SavedPlan, summed_up
from thrive_async.sync._reading import read_whole
from thrive_async.sync.report import LeftOut, OnProgress, Outcome, SyncReport

__all__ = ["Leavers", "UserChange", "UserLeaver", "UserPlan", "plan_users", "sync_users"]

Leavers = Literal["ignore", "suspend"]
_AT_ONCE: Final = 2_000


@attrs.frozen(kw_only=True, repr=False)
class UserChange:
    """The fields of one user that are to change.

    Attributes:
        user_id: The user's id.
        ref: The user's ref.
        update: The changed fields and nothing else.
    """

    user_id: str
    ref: str
    update: UserUpdate

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the changed fields."""
        return tuple(set_fields(self.update))


@attrs.frozen(kw_only=True, repr=False)
class UserLeaver:
    """A user whom the export no longer holds.

    Attributes:
        user_id: The user's id.
        ref: The user's ref.
    """

    user_id: str
    ref: str


@attrs.define(kw_only=True, repr=False, eq=False)
class UserPlan(SavedPlan):
    """What a sync of users would change; made by `plan_users`.

    Attributes:
        to_create: People without an account.
        to_update: Users of whom a field differs, with the fields that do.
        to_suspend: Users who have left.
        unchanged: How many users are as the export says.
        current: How many active users with a ref there were.
        returning: Refs of users who are in the export and suspended. They stay so: see `thrive.provisioning`.
        duplicates: Refs of rows that say the same as an earlier one.
        rejected: Pairs of a ref or row and why nothing is done for it. Nobody in a rejected row is suspended.
        held: Users who would be suspended if every row said who it is about.
        held_because: The reason for each of them, by ref.
        tenant: The id of the tenant it was made for.
        made_at: When it was made.
        report: What became of it, once applied, also after a cancel; None before.
    """

    kind: ClassVar[str] = "users"

    to_create: tuple[UserCreate, ...]
    to_update: tuple[UserChange, ...]
    to_suspend: tuple[UserLeaver, ...]
    unchanged: int
    current: int
    returning: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    held: tuple[UserLeaver, ...] = ()
    held_because: Mapping[str, str] = attrs.field(factory=dict[str, str])
    report: SyncReport | None = None

    @property
    def left_out(self) -> LeftOut:
        """What could not be planned, for the report."""
        held = tuple(Outcome("suspend", one.ref, self.held_because[one.ref]) for one in self.held)
        return LeftOut(rejected=self.rejected, held=held)

    @property
    def scope(self) -> Scope:
        """What it is about, for the journal."""
        return Scope(self.kind, self.tenant, "")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.to_create or self.to_update or self.to_suspend)

    @property
    def calls(self) -> int:
        """How many writes it needs, without failures: users are written one by one."""
        return len(self.to_create) + len(self.to_update) + len(self.to_suspend)

    def __str__(self) -> str:
        counts = f"+{len(self.to_create):,} ~{len(self.to_update):,} -{len(self.to_suspend):,} ={self.unchanged:,}"
        return summed_up(
            f"users: {counts}",
            (len(self.duplicates), "duplicate", "duplicates"),
            (len(self.rejected), "rejected", "rejected"),
            (len(self.held), "suspension held", "suspensions held"),
            (len(self.returning), "suspended, but in the export", "suspended, but in the export"),
        )

    def __repr__(self) -> str:
        return f"<UserPlan {self}>"

    async def apply(
        self,
        *,
        max_removals: float | None = DEFAULT_MAX_REMOVALS,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
    ) -> SyncReport:
        """Create, update and suspend, in this order; managers are created before those who report to them.

        A creation whose answer was lost is looked up before it is tried again. Everything else is as in
        `MemberPlan.apply`.

        Args:
            max_removals: Refuse to suspend more: a count (int), a fraction of the active users (float), or None.
            on_progress: Called with a `Progress` after each answer; not awaited.
            journal: A file to append a line per outcome to.

        Returns:
            What became of every planned change: created users under `added`, updated ones under `changed`, suspended
            ones under `removed`, each by ref.

        Raises:
            GuardRefused: More suspensions than allowed, or another run goes on with the same journal; nothing was sent.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError, TypeError: An argument cannot be meant.
            OSError: The journal cannot be written; if something was done by then, the report is on the plan.
        """
        applying = Applying(max_removals=max_removals, on_progress=on_progress, journal=journal)
        interrupted = await left_open(journal, self.scope, "users")
        self.check_guards(max_removals=max_removals)
        return await apply_users(self._begin("users"), self, applying, interrupted)

    def check_guards(self, *, max_removals: float | None = DEFAULT_MAX_REMOVALS) -> None:
        """Refuse what `apply` would refuse, before anything is sent.

        Args:
            max_removals: As for `apply`.

        Raises:
            GuardRefused: More suspensions than allowed.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError: `max_removals` is neither a count nor a fraction.
        """
        self._client("users")
        check_removals("users", len(self.to_suspend), self.current, max_removals, what="active users", verb="suspends")

    def _content(self) -> dict[str, Any]:
        return {
            "to_create": [_jsonable(set_fields(user)) for user in self.to_create],
            "to_update": [[one.user_id, one.ref, _jsonable(set_fields(one.update))] for one in self.to_update],
            "to_suspend": [[one.user_id, one.ref] for one in self.to_suspend],
            "unchanged": self.unchanged,
            "current": self.current,
            "returning": list(self.returning),
            "duplicates": list(self.duplicates),
            "rejected": [list(pair) for pair in self.rejected],
            "held": [[one.user_id, one.ref] for one in self.held],
            "held_because": dict(self.held_because),
        }

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            to_create=tuple(UserCreate(**_dated(fields)) for fields in content["to_create"]),
            to_update=tuple(
                UserChange(user_id=user_id, ref=ref, update=UserUpdate(**_dated(fields)))
                for user_id, ref, fields in content["to_update"]
            ),
            to_suspend=tuple(UserLeaver(user_id=user_id, ref=ref) for user_id, ref in content["to_suspend"]),
            unchanged=content["unchanged"],
            current=content["current"],
            returning=tuple(content["returning"]),
            duplicates=tuple(content["duplicates"]),
            rejected=tuple((written, reason) for written, reason in content["rejected"]),
            held=tuple(UserLeaver(user_id=user_id, ref=ref) for user_id, ref in content["held"]),
            held_because=content["held_because"],
            **common,
        )


def _jsonable(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in fields.items()}


def _dated(fields: Mapping[str, Any]) -> dict[str, Any]:
    read = dict(fields)
    for name in ("start_date", "end_date"):
        if isinstance(read.get(name), str):
            read[name] = date.fromisoformat(read[name]) if len(read[name]) == 10 else datetime.fromisoformat(read[name])
    return read


async def plan_users(
    thrive: ThriveClient,
    rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
    *,
    columns: Mapping[str, str] | None = None,
    leavers: Leavers = "ignore",
    blank: Blank = "keep",
    allow_empty: bool = False,
) -> UserPlan:
    """Compare Thrive's users with the rows of an HR export. Only reads.

    People are recognised by ref. Users without a ref are ignored: they are neither changed nor suspended. A leaver is
    an active user whose ref is in no row, however it is written, and whose e-mail address is in no row either.

    A row is rejected if its ref differs only in how it is written from that of a user who is in no row (``"123"`` for
    ``"00123"``, ``"4711.0"`` for ``"4711"``). If a row does not say who it is about (its ref is missing, unreadable or
    looks rewritten by a spreadsheet, and no user has its e-mail address), nobody is suspended: see `UserPlan.held`.

    A manager differs if the user with the wanted ref is not the one that Thrive shows by id. A wanted ref that neither
    a user nor a newcomer of this export has is no reason for an update: it is sent with a creation, and once somebody
    has that ref.

    Args:
        thrive: The client.
        rows: One mapping per person, such as `csv.DictReader` gives.
        columns: The column of each field: `{"ref": "EmployeeID", "first_name": "Given name", "additional_fields.Site":
            "Site"}`, the fields by their names in `UserCreate`. None if the columns are called as the fields.
        leavers: ``"suspend"`` those who have left, or ``"ignore"`` them.
        blank: Whether an empty cell leaves the field as it is (``"keep"``) or clears it (``"clear"``); names, role,
            time zone and language are never cleared.
        allow_empty: Whether an export without one usable row is meant.

    Returns:
        The plan.

    Raises:
        GuardRefused: No row is usable.
        ConfigurationError: An unknown field, or a column that the rows do not have.
        TypeError: An argument is of a wrong type; a row is no mapping.
        SyncError: The users changed during every reading.
        ThriveError: Thrive refused, or could not be reached.

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
    check_flags(allow_empty=allow_empty)
    if leavers not in ("ignore", "suspend"):
        raise ConfigurationError('leavers must be "ignore" or "suspend"')
    reader = Reader(columns, blank)
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
        past="suspended" if leavers == "suspend" else None,
    )
    users = await read_whole("users: the list", thrive.users.list(), known, lambda user: user.user_id)
    return _planned(thrive, reader.rows, users, leavers)


def _planned(thrive: ThriveClient, rows: Rows, users: list[Known], leavers: Leavers) -> UserPlan:
    by_ref = {user.ref: user for user in users if user.ref and addressable(user.ref) and not user.deleted}
    by_email = {user.email.lower(): user for user in users if user.email and not user.deleted}
    create: list[UserCreate] = []
    change: list[UserChange] = []
    returning: list[str] = []
    rejected = list(rows.rejected)
    unchanged = 0
    # "00123" may be "123" from a spreadsheet: neither a newcomer nor a leaver is made of that.
    others = other_spellings(rows, by_ref)
    for ref, row in rows.by_ref.items():
        if ref in by_ref:
            continue
        if ref in others.refs:
            rejected.append((ref, OTHER_SPELLING))
            continue
        if rewritten(ref):
            rejected.append((ref, LOOKS_REWRITTEN))
            continue
        email = row.values.get("email")
        if email is not None and email.lower() in by_email:
            rejected.append((ref, "its e-mail address belongs to a user with another ref"))
            continue
        try:
            create.append(creation(row))
        except (ValueError, TypeError) as error:
            rejected.append((ref, str(error)))
    staff = Staff(by_ref, frozenset(user.ref for user in create))
    for ref, row in rows.by_ref.items():
        user = by_ref.get(ref)
        if user is None:
            continue
        if not user.active:
            returning.append(ref)
        needed = difference(row, user, staff)
        if needed is None:
            unchanged += 1
        else:
            change.append(UserChange(user_id=user.user_id, ref=ref, update=needed))
    active = [user for user in by_ref.values() if user.active]
    gone = [
        UserLeaver(user_id=user.user_id, ref=user.ref)
        for user in active
        if user.ref
        and user.ref not in rows.mentioned_refs
        and user.user_id not in others.ids
        and (user.email is None or user.email.lower() not in rows.mentioned_emails)
    ]
    if leavers == "ignore":
        gone.clear()
    unclear = nameless_rows(rows, by_ref, by_email, others) if gone else []
    where = [row.row if row.ref is None else f"{row.row} ({row.ref})" for row in unclear]
    return UserPlan(
        to_create=tuple(create),
        to_update=tuple(change),
        to_suspend=() if unclear else tuple(gone),
        held=tuple(gone) if unclear else (),
        held_because=dict.fromkeys((one.ref for one in gone), unnamed("suspended", where)) if unclear else {},
        unchanged=unchanged,
        current=len(active),
        returning=tuple(returning),
        duplicates=tuple(rows.duplicates),
        rejected=tuple(rejected),
        tenant=thrive.tenant_id,
        thrive=thrive,
    )


async def sync_users(
    thrive: ThriveClient,
    rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
    *,
    columns: Mapping[str, str] | None = None,
    leavers: Leavers = "ignore",
    blank: Blank = "keep",
    allow_empty: bool = False,
    max_removals: float | None = DEFAULT_MAX_REMOVALS,
    on_progress: OnProgress | None = None,
    journal: str | os.PathLike[str] | None = None,
) -> SyncReport:
    """Make Thrive's users equal to the rows of an HR export: `plan_users` and `UserPlan.apply` in one.

    Args:
        thrive: The client.
        rows: One mapping per person, such as `csv.DictReader` gives.
        columns: As for `plan_users`.
        leavers: As for `plan_users`.
        blank: As for `plan_users`.
        allow_empty: As for `plan_users`.
        max_removals: As for `UserPlan.apply`.
        on_progress: As for `UserPlan.apply`.
        journal: As for `UserPlan.apply`.

    Returns:
        What became of every planned change; call `raise_for_failures` on it.

    Raises:
        GuardRefused: A guard refused; nothing was changed.
        TypeError: An argument is of a wrong type; nothing was sent.
        ConfigurationError: An argument cannot be meant; nothing was sent.
        ThriveError: The plan could not be made.
        OSError: The journal cannot be written.

    Example:
        ```python
        with open("export.csv", newline="") as file:
            report = await sync.sync_users(thrive, csv.DictReader(file), leavers="suspend", max_removals=20)
        report.raise_for_failures()
        ```
    """
    # Before anything is read, so that a mistake costs no minutes.
    Applying(max_removals=max_removals, on_progress=on_progress, journal=journal)
    await check_usable(journal)
    plan = await plan_users(thrive, rows, columns=columns, leavers=leavers, blank=blank, allow_empty=allow_empty)
    return await plan.apply(max_removals=max_removals, on_progress=on_progress, journal=journal)
