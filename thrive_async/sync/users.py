"""Make the users of a tenant equal to an HR export: who is new, whose fields differ, who has left, who is back."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, ClassVar, Final, Literal, Self, get_args

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError
from thrive_async.models import UserCreate, UserUpdate
from thrive_async.sync._apply.journal import Scope, check_usable, left_open
from thrive_async.sync._apply.users import apply_users
from thrive_async.sync._doubts import (
    LOOKS_REWRITTEN,
    OTHER_SPELLING,
    may_be_newcomers,
    nameless_rows,
    other_spellings,
    unnamed,
)
from thrive_async.sync._guards import (
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
from thrive_async.sync._match.address_order import AddressChange, ordered
from thrive_async.sync._match.export_rows import Blank, Reader, Row, Rows, addressable, creation, rewritten
from thrive_async.sync._match.identity import IDENTITY, Identities, Identity, full_name
from thrive_async.sync._match.user_diff import (
    OWN,
    Changes,
    Known,
    Staff,
    as_update,
    changes_of,
    differs,
    known,
    set_fields,
    unread_in,
)
from thrive_async.sync._plans import SavedPlan, summed_up
from thrive_async.sync._reading import read_whole
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

Leavers = Literal["ignore", "suspend"]
Returning = Literal["report", "unsuspend"]
_AT_ONCE: Final = 2_000


@attrs.frozen(kw_only=True, repr=False)
class UserChange:
    """The fields of one user that are to change.

    Attributes:
        user_id: The user's id.
        ref: The user's ref.
        update: The changed fields and nothing else.
        changes: The old and the new value of each field, such as ``{"last_name": ("Byron", "Lovelace")}``. The tenant's
            own fields are named ``additional_fields.NAME``; dates are ISO 8601 text; a manager is named by ref, or by
            id without one.
    """

    user_id: str
    ref: str
    update: UserUpdate
    changes: Mapping[str, tuple[Any, Any]]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the changed fields."""
        return tuple(set_fields(self.update))


@attrs.frozen(kw_only=True, repr=False)
class UserLeaver:
    """A user who is no longer in the export.

    Attributes:
        user_id: The user's id.
        ref: The user's ref.
    """

    user_id: str
    ref: str


@attrs.frozen(kw_only=True, repr=False)
class UserReturn:
    """A suspended user who is in the export again.

    Attributes:
        user_id: The user's id.
        ref: The user's ref.
        account: What `thrive.provisioning.user_joined` is sent: name and address as Thrive has them.
    """

    user_id: str
    ref: str
    account: UserCreate


@attrs.frozen(kw_only=True, repr=False)
class UserHeld:
    """A user who is left alone, or whose fields are, because of a doubt.

    Attributes:
        user_id: The user's id.
        ref: The user's ref; the id if the ref could not be read.
        action: ``"suspend"``, ``"unsuspend"`` or ``"update"``.
        reason: The doubt.
    """

    user_id: str
    ref: str
    action: str
    reason: str


@attrs.define(kw_only=True, repr=False, eq=False)
class UserPlan(SavedPlan):
    """What a sync of users would change; made by `plan_users`.

    Attributes:
        to_create: People without an account.
        to_update: Users with fields that differ, with the old and the new values.
        to_suspend: Users who have left.
        to_unsuspend: Suspended users to bring back; only with ``returning="unsuspend"``.
        unchanged: How many users are as the export says.
        matched: How many users the export names by ref.
        current: How many active users with a ref there were.
        returning: Refs of suspended users who are in the export and stay suspended.
        duplicates: Refs of rows that say the same as an earlier one.
        rejected: Pairs of a ref or row and why it, or one of its cells, is ignored. Users in a rejected row are not
            suspended.
        held: Users who are left alone, or some of their fields, each with the reason.
        tenant: The id of the tenant it was made for.
        made_at: When it was made.
        report: What became of the plan, once applied, also after a cancel; None before.
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
    report: SyncReport | None = None

    @property
    def left_out(self) -> LeftOut:
        """What the plan leaves out, for the report."""
        held = tuple(Outcome(one.action, one.ref, one.reason) for one in self.held)
        return LeftOut(rejected=self.rejected, held=held)

    @property
    def identity_changes(self) -> tuple[UserChange, ...]:
        """The updates that give somebody another name or e-mail address; `max_changes` limits them."""
        return tuple(one for one in self.to_update if not IDENTITY.isdisjoint(one.changes))

    @property
    def scope(self) -> Scope:
        """What the plan is about, for the journal."""
        return Scope(self.kind, self.tenant, "")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.calls

    @property
    def calls(self) -> int:
        """How many writes it needs, without failures: users are written one by one."""
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
        )

    def __repr__(self) -> str:
        return f"<UserPlan {self}>"

    async def apply(
        self,
        *,
        max_removals: float | None = DEFAULT_MAX_REMOVALS,
        max_changes: MaxRemovals = DEFAULT_MAX_CHANGES,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
    ) -> SyncReport:
        """Create, unsuspend, update and suspend, in this order.

        Managers are created before the people who report to them, and an e-mail address is given up before somebody
        else gets it. If a change fails, a user who waits for its address is not changed either.

        A creation whose answer was lost is looked up before it is tried again. Everything else is as in
        `MemberPlan.apply`.

        Args:
            max_removals: Refuse to suspend more: a count (int), a fraction of the active users (float), or None.
            max_changes: Refuse to give more people another name or e-mail address: a count (int), a fraction of the
                matched users (float), a `Share`, or None for no limit. By default a tenth of them, but at least five.
            on_progress: Called with a `Progress` after each answer; not awaited.
            journal: A file to append a line per outcome to.

        Returns:
            What became of every planned change: created users under `added`, updated and unsuspended ones under
            `changed`, suspended ones under `removed`, each by ref.

        Raises:
            GuardRefused: More suspensions or changes than allowed, or another run goes on with the same journal;
                nothing was sent.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError, TypeError: An argument cannot be meant.
            OSError: The journal cannot be written; if something was done by then, the report is on the plan.
        """
        applying = Applying(max_removals=max_removals, on_progress=on_progress, journal=journal)
        removal_limit(max_changes, 0, "max_changes")
        interrupted = await left_open(journal, self.scope, "users")
        self.check_guards(max_removals=max_removals, max_changes=max_changes)
        return await apply_users(self._begin("users"), self, applying, interrupted)

    def check_guards(
        self,
        *,
        max_removals: float | None = DEFAULT_MAX_REMOVALS,
        max_changes: MaxRemovals = DEFAULT_MAX_CHANGES,
    ) -> None:
        """Refuse what `apply` would refuse, before anything is sent.

        Args:
            max_removals: As for `apply`.
            max_changes: As for `apply`.

        Raises:
            GuardRefused: More suspensions or changes than allowed.
            SyncError: The plan was applied before, or has no client.
            ConfigurationError: One of them is neither a count nor a fraction.
        """
        self._client("users")
        check_removals("users", len(self.to_suspend), self.current, max_removals, what="active users", verb="suspends")
        check_changes("users", len(self.identity_changes), self.matched, max_changes)

    def _content(self) -> dict[str, Any]:
        return {
            "to_create": [_jsonable(set_fields(user)) for user in self.to_create],
            "to_update": [
                [one.user_id, one.ref, _jsonable(set_fields(one.update)), one.changes] for one in self.to_update
            ],
            "to_suspend": [[one.user_id, one.ref] for one in self.to_suspend],
            "to_unsuspend": [[one.user_id, one.ref, _jsonable(set_fields(one.account))] for one in self.to_unsuspend],
            "unchanged": self.unchanged,
            "matched": self.matched,
            "current": self.current,
            "returning": list(self.returning),
            "duplicates": list(self.duplicates),
            "rejected": [list(pair) for pair in self.rejected],
            "held": [[one.user_id, one.ref, one.action, one.reason] for one in self.held],
        }

    @classmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        return cls(
            to_create=tuple(UserCreate(**_dated(fields)) for fields in content["to_create"]),
            to_update=tuple(
                UserChange(
                    user_id=user_id,
                    ref=ref,
                    update=UserUpdate(**_dated(fields)),
                    changes={name: (old, new) for name, (old, new) in changes.items()},
                )
                for user_id, ref, fields, changes in content["to_update"]
            ),
            to_suspend=tuple(UserLeaver(user_id=user_id, ref=ref) for user_id, ref in content["to_suspend"]),
            to_unsuspend=tuple(
                UserReturn(user_id=user_id, ref=ref, account=UserCreate(**_dated(fields)))
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
    returning: Returning = "report",
    blank: Blank = "keep",
    allow_empty: bool = False,
    allow_takeover: bool = False,
) -> UserPlan:
    """Compare Thrive's users with the rows of an HR export. Only reads.

    People are recognised by ref. Users without a ref are ignored: they are neither changed nor suspended. A leaver is
    an active user whose ref is in no row, however it is written, and whose e-mail address is in no row either.

    These rows are rejected, and the users they could mean are left alone:

    - The ref belongs to one user and the e-mail address to another who keeps it.
    - Name and e-mail address both become somebody else's: the number was given to a new person (`allow_takeover`).
    - The ref looks rewritten by a spreadsheet (``"4711.0"``, sixteen digits that end in zeros), and no user has it.
    - The ref differs only in spelling from that of a user who is in no row (``"123"`` for ``"00123"``).

    If a row does not say who it is about (its ref is missing or rewritten, and no user has its e-mail address), nobody
    is suspended. A leaver with the name or mailbox of a newcomer is not suspended either: see `UserPlan.held`.

    A cell with a placeholder (``#N/A``, ``NULL``, ``-``) is rejected, and its field stays as it is. A field that Thrive
    sent in a form that could not be read is neither compared nor changed. If users swap their e-mail addresses, the
    addresses are held and the other fields are changed.

    A manager differs if the user with the wanted ref is not the one that Thrive shows by id. If neither a user nor a
    newcomer of this export has the wanted ref, that is no reason for an update: it is sent with a creation, and once
    somebody has that ref.

    Args:
        thrive: The client.
        rows: One mapping per person, such as `csv.DictReader` gives.
        columns: The column of each field: `{"ref": "EmployeeID", "first_name": "Given name", "additional_fields.Site":
            "Site"}`, the fields by their names in `UserCreate`. None if the columns are called as the fields.
        leavers: ``"suspend"`` those who have left, or ``"ignore"`` them.
        returning: ``"unsuspend"`` suspended users who are in the export, by a legacy event (see
            `thrive.provisioning.user_joined`), or only ``"report"`` them.
        blank: Whether an empty cell leaves the field as it is (``"keep"``) or clears it (``"clear"``); names, role,
            time zone and language are never cleared.
        allow_empty: Whether an export without one usable row is meant.
        allow_takeover: Whether an account may pass to a new person, with another name and another e-mail address.

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
    check_flags(allow_empty=allow_empty, allow_takeover=allow_takeover)
    if leavers not in get_args(Leavers):
        raise ConfigurationError('leavers must be "ignore" or "suspend"')
    if returning not in get_args(Returning):
        raise ConfigurationError('returning must be "report" or "unsuspend"')
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
    return _Planning(reader.rows, users, allow_takeover=allow_takeover).plan(thrive, leavers, returning)


class _Planning:
    """Makes a plan of the rows of an export and the users of Thrive.

    Args:
        rows: The export.
        users: All users.
        allow_takeover: As for `plan_users`.
    """

    def __init__(self, rows: Rows, users: Sequence[Known], *, allow_takeover: bool) -> None:
        self._rows = rows
        self._users = [user for user in users if not user.deleted]
        self._allow_takeover = allow_takeover
        self._by_ref = {user.ref: user for user in self._users if user.ref and addressable(user.ref)}
        self._by_email = {user.email.lower(): user for user in self._users if user.email}
        self._identities = Identities([user.email for user in self._users])
        # "00123" may be "123" from a spreadsheet: neither a newcomer nor a leaver is made of that.
        self._others = other_spellings(rows, self._by_ref)
        self._rejected = list(rows.rejected)
        self._held: list[UserHeld] = []

    def plan(self, thrive: ThriveClient, leavers: Leavers, returning: Returning) -> UserPlan:
        """Return the plan; see `plan_users`."""
        create = self._newcomers()
        matched = [(row, self._by_ref[ref]) for ref, row in self._rows.by_ref.items() if ref in self._by_ref]
        staff = Staff(self._by_ref, frozenset(user.ref for user in create))
        wanted: dict[str, tuple[Row, Known, Changes]] = {}
        for row, user in matched:
            changes = changes_of(row, user, staff)
            reason = self._whose(row, user, changes)
            if reason is not None:
                self._rejected.append((row.ref, reason))
                continue
            wanted[row.ref] = row, user, changes
            self._reject_cells(row, user)
            lost = unread_in(row, user)
            if lost:
                self._hold(user, "update", f"left as they are: {', '.join(lost)} could not be read in Thrive's answer")
        unchanged = sum(not changes for _row, _user, changes in wanted.values())
        self._order_addresses(wanted, create)
        suspended = [(row, user) for row, user, _changes in wanted.values() if not user.active]
        unsuspend = self._unsuspensions(suspended) if returning == "unsuspend" else []
        suspend = self._leavers(create) if leavers == "suspend" else ()
        return UserPlan(
            to_create=tuple(create),
            to_update=tuple(
                UserChange(user_id=user.user_id, ref=ref, update=as_update(row, user, changes), changes=changes)
                for ref, (row, user, changes) in wanted.items()
                if changes
            ),
            to_suspend=suspend,
            to_unsuspend=tuple(unsuspend),
            unchanged=unchanged,
            matched=len(matched),
            current=sum(user.active for user in self._by_ref.values()),
            returning=() if returning == "unsuspend" else tuple(row.ref for row, _user in suspended),
            duplicates=tuple(self._rows.duplicates),
            rejected=tuple(self._rejected),
            held=tuple(self._held),
            tenant=thrive.tenant_id,
            thrive=thrive,
        )

    def _hold(self, user: Known, action: str, reason: str) -> None:
        self._held.append(UserHeld(user_id=user.user_id, ref=user.ref or user.user_id, action=action, reason=reason))

    def _newcomers(self) -> list[UserCreate]:
        """Return the people without an account; reject the rows that may be somebody else's."""
        new = {ref: row for ref, row in self._rows.by_ref.items() if ref not in self._by_ref}
        addresses = Counter(str(row.values["email"]).lower() for row in new.values() if row.values.get("email"))
        create: list[UserCreate] = []
        for ref, row in new.items():
            email = str(row.values.get("email") or "").lower()
            if ref in self._others.refs:
                self._rejected.append((ref, OTHER_SPELLING))
            elif rewritten(ref):
                self._rejected.append((ref, LOOKS_REWRITTEN))
            elif email in self._by_email:
                self._rejected.append((ref, "its e-mail address belongs to a user with another ref"))
            elif addresses[email] > 1:
                self._rejected.append((ref, "several new people have this e-mail address"))
            else:
                try:
                    create.append(creation(row))
                except (ValueError, TypeError) as error:
                    self._rejected.append((ref, str(error)))
                self._reject_cells(row, None)
        return self._without_twins(create)

    def _without_twins(self, create: Sequence[UserCreate]) -> list[UserCreate]:
        """Reject newcomers who may have an account whose ref could not be read."""
        refless = [user for user in self._users if "ref" in user.unread]
        for user in refless:
            self._hold(user, "update", "left as it is: the ref could not be read in Thrive's answer")
        twins = set(may_be_newcomers(refless, create).values())
        self._rejected += [(ref, "may have an account whose ref could not be read") for ref in sorted(twins)]
        return [user for user in create if user.ref not in twins]

    def _reject_cells(self, row: Row, user: Known | None) -> None:
        """List the cells that hold no value, unless Thrive has just this text in the field."""
        for name, cell in row.unreadable.items():
            if user is None or differs(cell.text, user.additional.get(name.removeprefix(OWN), user.values.get(name))):
                where = f"{row.where}, column {cell.column!r}"
                self._rejected.append((row.ref, f"{where}: {cell.text} is no value; {name} is left as it is"))

    def _whose(self, row: Row, user: Known, changes: Changes) -> str | None:
        """Return why a row may be about somebody else than the user with its ref; None if it is not."""
        _old, email = changes.get("email", (None, None))
        owner = self._by_email.get(email.lower()) if email else None
        if owner is not None and owner.user_id != user.user_id and not self._gives_up_address(owner):
            return f"its ref is one user's, and its e-mail address belongs to {owner.ref or 'a user without a ref'}"
        if self._allow_takeover or not {"email", "first_name", "last_name"}.isdisjoint(user.unread):
            return None
        wanted = {**user.values, **row.values}
        old = Identity(full_name(user.values), user.email)
        if self._identities.is_somebody_else(old, Identity(full_name(wanted), wanted["email"])):
            shown = ", ".join(
                f"{name} {changes[name][0]} -> {changes[name][1]}" for name in changes if name in IDENTITY
            )
            return f"looks like a new person under an old number, so the account is left as it is: {shown}"
        return None

    def _gives_up_address(self, owner: Known) -> bool:
        row = self._rows.by_ref.get(owner.ref or "")
        return row is not None and "email" in row.values and differs(row.values["email"], owner.email)

    def _order_addresses(self, wanted: Mapping[str, tuple[Row, Known, Changes]], create: Sequence[UserCreate]) -> None:
        """Hold the e-mail addresses that cannot be given to their users; take them out of the changes."""
        owners = {email: user.ref or "a user without a ref" for email, user in self._by_email.items()}
        owners.update({user.email.lower(): user.ref for user in create if isinstance(user.email, str)})
        moves = [AddressChange(ref, *one[2]["email"]) for ref, one in wanted.items() if "email" in one[2]]
        for ref, reason in ordered(moves, owners).held.items():
            _row, user, changes = wanted[ref]
            old, new = changes.pop("email")
            self._hold(user, "update", f"email {old} -> {new} is left out: {reason}")

    def _unsuspensions(self, suspended: Sequence[tuple[Row, Known]]) -> list[UserReturn]:
        found: list[UserReturn] = []
        for row, user in suspended:
            lost = sorted(user.unread & {"status", "first_name", "last_name", "email"})
            # What Thrive has, so that bringing somebody back changes nothing else.
            names = {name: user.values[name] or row.values.get(name) for name in ("first_name", "last_name")}
            if lost:
                self._hold(
                    user, "unsuspend", f"stays suspended: {', '.join(lost)} could not be read in Thrive's answer"
                )
            elif not all(names.values()):
                self._hold(user, "unsuspend", "stays suspended: the event needs a first and a last name")
            else:
                address = {"email": user.email} if user.email else {"login_method": "ref"}
                account = UserCreate(ref=row.ref, **names, **address)
                found.append(UserReturn(user_id=user.user_id, ref=row.ref, account=account))
        return found

    def _leavers(self, create: Sequence[UserCreate]) -> tuple[UserLeaver, ...]:
        """Return the users who have left; hold those who may be in the export."""
        rows = self._rows
        gone = [
            user
            for ref, user in self._by_ref.items()
            if user.active
            and ref not in rows.mentioned_refs
            and user.user_id not in self._others.ids
            and (user.email is None or user.email.lower() not in rows.mentioned_emails)
        ]
        unclear = nameless_rows(rows, self._by_ref, self._by_email, self._others) if gone else []
        where = [row.row if row.ref is None else f"{row.row} ({row.ref})" for row in unclear]
        alike = may_be_newcomers(gone, create)
        leaving: list[UserLeaver] = []
        for user in gone:
            lost = sorted(user.unread & {"email", "status", "deleted"})
            if unclear:
                self._hold(user, "suspend", unnamed("suspended", where))
            elif lost:
                self._hold(user, "suspend", f"not suspended: {', '.join(lost)} could not be read in Thrive's answer")
            elif user.user_id in alike:
                newcomer = alike[user.user_id]
                self._hold(
                    user, "suspend", f"not suspended: may be the newcomer {newcomer}; correct the ref in the list"
                )
            else:
                leaving.append(UserLeaver(user_id=user.user_id, ref=str(user.ref)))
        return tuple(leaving)


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
    max_removals: float | None = DEFAULT_MAX_REMOVALS,
    max_changes: MaxRemovals = DEFAULT_MAX_CHANGES,
    on_progress: OnProgress | None = None,
    journal: str | os.PathLike[str] | None = None,
) -> SyncReport:
    """Make Thrive's users equal to the rows of an HR export: `plan_users` and `UserPlan.apply` in one.

    Args:
        thrive: The client.
        rows: One mapping per person, such as `csv.DictReader` gives.
        columns: As for `plan_users`.
        leavers: As for `plan_users`.
        returning: As for `plan_users`.
        blank: As for `plan_users`.
        allow_empty: As for `plan_users`.
        allow_takeover: As for `plan_users`.
        max_removals: As for `UserPlan.apply`.
        max_changes: As for `UserPlan.apply`.
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
    removal_limit(max_changes, 0, "max_changes")
    await check_usable(journal)
    plan = await plan_users(
        thrive,
        rows,
        columns=columns,
        leavers=leavers,
        returning=returning,
        blank=blank,
        allow_empty=allow_empty,
        allow_takeover=allow_takeover,
    )
    return await plan.apply(
        max_removals=max_removals, max_changes=max_changes, on_progress=on_progress, journal=journal
    )
