"""Decide what happens to each Thrive user and each row of an HR export. Does no I/O."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Any

import attrs

from thrive_async._base.unset import UNSET
from thrive_async.models import UserCreate, UserUpdate
from thrive_async.sync._doubts import (
    LOOKS_REWRITTEN,
    OTHER_SPELLING,
    may_be_newcomers,
    nameless_rows,
    other_spellings,
    unnamed,
)
from thrive_async.sync._match.address_order import AddressChange, ordered
from thrive_async.sync._match.export_rows import Row, Rows, addressable, creation
from thrive_async.sync._match.identity import IDENTITY, Identities, Identity, full_name
from thrive_async.sync._match.names import rewritten
from thrive_async.sync._match.user_diff import (
    OWN,
    Changes,
    Known,
    Staff,
    as_before,
    as_update,
    changes_of,
    differs,
    set_fields,
    unread_in,
)

__all__ = ["Decisions", "Planning", "UserChange", "UserHeld", "UserLeaver", "UserReturn", "as_it_was", "overtaken_by"]


@attrs.frozen(kw_only=True, repr=False)
class UserChange:
    """The fields of one user to change.

    Attributes:
        user_id: The user's id.
        ref: The user's ref.
        update: Only the changed fields.
        changes: The old and the new value of each field, such as ``{"last_name": ("Byron", "Lovelace")}``. The tenant's
            own fields are named ``additional_fields.NAME``. Dates are ISO 8601 text. Managers are named by ref, or by
            id if they have no ref.
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
        email: The user's e-mail address.
    """

    user_id: str
    ref: str
    email: str | None = None


@attrs.frozen(kw_only=True, repr=False)
class UserReturn:
    """A suspended user who is in the export again.

    Attributes:
        user_id: The user's id.
        ref: The user's ref.
        account: The current fields in Thrive, to send with `thrive.provisioning.user_joined`.
    """

    user_id: str
    ref: str
    account: UserCreate


@attrs.frozen(kw_only=True, repr=False)
class UserHeld:
    """A change that is held because an entry or one of Thrive's answers is in doubt.

    Attributes:
        user_id: The user's id.
        ref: The user's ref; the id if the ref could not be read.
        action: The held change: ``"suspend"``, ``"unsuspend"`` or ``"update"``.
        reason: Why it is held.
    """

    user_id: str
    ref: str
    action: str
    reason: str


@attrs.frozen(kw_only=True, repr=False)
class Decisions:
    """The decisions for all users and rows; the attributes are those of `UserPlan`."""

    to_create: tuple[UserCreate, ...]
    to_update: tuple[UserChange, ...]
    to_suspend: tuple[UserLeaver, ...]
    to_unsuspend: tuple[UserReturn, ...]
    unchanged: int
    matched: int
    current: int
    returning: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    held: tuple[UserHeld, ...]
    rows: Mapping[str, str] = attrs.field(factory=dict[str, str])


class Planning:
    """Decides what happens to each user; see `plan_users`.

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
        # A spreadsheet may have turned "00123" into "123", which then means neither a newcomer nor a leaver.
        self._others = other_spellings(rows, self._by_ref)
        self._rejected = list(rows.rejected)
        self._held: list[UserHeld] = []

    def decide(self, *, suspend: bool, unsuspend: bool, missing: bool = True) -> Decisions:
        """Decide what happens to all users and rows.

        Args:
            suspend: Whether to suspend users who have left.
            missing: Whether users who are missing from the export have left.
            unsuspend: Whether to bring suspended users back.
        """
        create = self._newcomers()
        matched = [(row, self._by_ref[ref]) for ref, row in self._rows.by_ref.items() if ref in self._by_ref]
        staff = Staff(self._by_ref, frozenset(user.ref for user in create))
        wanted: dict[str, tuple[Row, Known, Changes]] = {}
        listed: list[Known] = []
        for row, user in matched:
            changes = changes_of(row, user, staff)
            reason = self._whose(row, user, changes)
            if reason is not None:
                self._rejected.append((row.ref, reason))
                continue
            if row.left:
                listed += [user] if user.active else []
                continue
            wanted[row.ref] = row, user, changes
            self._reject_cells(row, user)
            lost = unread_in(row, user)
            if lost:
                self._hold(user, "update", f"left as they are: {', '.join(lost)} could not be read in Thrive's answer")
        unchanged = sum(not changes for _row, _user, changes in wanted.values())
        self._order_addresses(wanted, create)
        suspended = [(row, user) for row, user, _changes in wanted.values() if not user.active]
        to_unsuspend = self._unsuspensions(suspended, staff) if unsuspend else []
        to_suspend = self._listed_leavers(listed) if suspend else []
        to_suspend += self._leavers(create) if suspend and missing else []
        return Decisions(
            to_create=tuple(create),
            to_update=tuple(
                UserChange(user_id=user.user_id, ref=ref, update=as_update(row, user, changes), changes=changes)
                for ref, (row, user, changes) in wanted.items()
                if changes
            ),
            to_suspend=tuple(to_suspend),
            to_unsuspend=tuple(to_unsuspend),
            unchanged=unchanged,
            matched=len(matched),
            current=sum(user.active for user in self._by_ref.values()),
            returning=() if unsuspend else tuple(row.ref for row, _user in suspended),
            rejected=tuple(self._rejected),
            held=tuple(self._held),
            rows=self._where(
                *(one.ref for people in (create, to_unsuspend, to_suspend) for one in people),
                *(ref for ref, (_row, _user, changes) in wanted.items() if changes),
            ),
        )

    def _where(self, *refs: str) -> dict[str, str]:
        """Return where the export names people, by ref."""
        rows = self._rows.by_ref
        return {ref: rows[ref].where for ref in refs if ref in rows and rows[ref].where}

    def _hold(self, user: Known, action: str, reason: str) -> None:
        self._held.append(UserHeld(user_id=user.user_id, ref=user.ref or user.user_id, action=action, reason=reason))

    def _newcomers(self) -> list[UserCreate]:
        """Return the people without an account, and reject rows that may mean an existing user."""
        new = {ref: row for ref, row in self._rows.by_ref.items() if ref not in self._by_ref and not row.left}
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
        """Reject newcomers who may already have an account with an unreadable ref."""
        refless = [user for user in self._users if "ref" in user.unread]
        for user in refless:
            self._hold(user, "update", "left as it is: the ref could not be read in Thrive's answer")
        twins = set(may_be_newcomers(refless, create).values())
        self._rejected += [(ref, "may already have an account with an unreadable ref") for ref in sorted(twins)]
        return [user for user in create if user.ref not in twins]

    def _reject_cells(self, row: Row, user: Known | None) -> None:
        """Reject cells that hold a placeholder, unless Thrive has exactly this text in the field."""
        for name, cell in row.unreadable.items():
            if user is None or differs(cell.text, user.additional.get(name.removeprefix(OWN), user.values.get(name))):
                where = f"{row.where}, column {cell.column!r}"
                self._rejected.append((row.ref, f"{where}: {cell.text} is not a value; {name} is left as it is"))

    def _whose(self, row: Row, user: Known, changes: Changes) -> str | None:
        """Return why a row may mean another person than the user with its ref; None if it means this user."""
        _old, email = changes.get("email", (None, None))
        owner = self._by_email.get(email.lower()) if email else None
        if owner is not None and owner.user_id != user.user_id and not self._gives_up_address(owner):
            return f"its ref belongs to one user, its e-mail address to {owner.ref or 'a user without a ref'}"
        if self._allow_takeover or "email" not in changes or changes.keys().isdisjoint(("first_name", "last_name")):
            return None
        if not IDENTITY.isdisjoint(user.unread):
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
        """Hold the e-mail addresses that cannot be changed, and take them out of the changes."""
        owners = {email: user.ref or "a user without a ref" for email, user in self._by_email.items()}
        owners.update({user.email.lower(): user.ref for user in create if isinstance(user.email, str)})
        moves = [AddressChange(ref, *one[2]["email"]) for ref, one in wanted.items() if "email" in one[2]]
        for ref, reason in ordered(moves, owners).held.items():
            _row, user, changes = wanted[ref]
            old, new = changes.pop("email")
            self._hold(user, "update", f"email {old} -> {new} is left out: {reason}")

    def _unsuspensions(self, suspended: Sequence[tuple[Row, Known]], staff: Staff) -> list[UserReturn]:
        found: list[UserReturn] = []
        for row, user in suspended:
            if user.unread:
                lost = ", ".join(sorted(user.unread))
                self._hold(user, "unsuspend", f"stays suspended: {lost} could not be read in Thrive's answer")
                continue
            try:
                account = as_it_was(row, user, staff)
            except (TypeError, ValueError) as error:
                self._hold(user, "unsuspend", f"stays suspended: {error}")
            else:
                found.append(UserReturn(user_id=user.user_id, ref=row.ref, account=account))
        return found

    def _listed_leavers(self, users: Sequence[Known]) -> list[UserLeaver]:
        """Return the users of whom the export says that they have left."""
        leaving: list[UserLeaver] = []
        for user in users:
            lost = sorted(user.unread & {"status", "deleted"})
            if lost:
                self._hold(user, "suspend", f"not suspended: {', '.join(lost)} could not be read in Thrive's answer")
            else:
                leaving.append(UserLeaver(user_id=user.user_id, ref=str(user.ref), email=user.email))
        return leaving

    def _leavers(self, create: Sequence[UserCreate]) -> list[UserLeaver]:
        """Return the users who have left, and hold those who may still be in the export."""
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
                leaving.append(UserLeaver(user_id=user.user_id, ref=str(user.ref), email=user.email))
        return leaving


def as_it_was(row: Row, user: Known, staff: Staff) -> UserCreate:
    """Return all of a user's current fields, which bring the user back without changing anything else.

    Whether the event leaves omitted fields alone is undocumented. It clears the end date, so the row's is sent.

    Raises:
        TypeError, ValueError: First or last name is missing, or Thrive returned a value that it does not accept.
    """
    values: dict[str, Any] = {name: value for name, value in user.values.items() if value is not None}
    for name in ("first_name", "last_name"):
        values.setdefault(name, row.values.get(name))
    start = values.get("start_date")
    if isinstance(start, datetime) and start.time() == time.min:
        values["start_date"] = start.date()
    values["manager_ref"] = staff.refs.get(user.manager_id or "", UNSET)
    values["end_date"] = row.values.get("end_date") or UNSET
    if not user.email:
        values.update(email=UNSET, login_method="ref")
    return UserCreate(ref=row.ref, **values, additional_fields=dict(user.additional) or UNSET)


def overtaken_by(
    users: Sequence[Known],
    create: Sequence[UserCreate],
    update: Sequence[UserChange],
    suspend: Sequence[UserLeaver],
    unsuspend: Sequence[UserReturn],
) -> dict[tuple[str, str], str]:
    """Find the changes of an older plan that no longer apply.

    Args:
        users: All current users.
        create: The planned creations.
        update: The planned updates.
        suspend: The planned suspensions.
        unsuspend: The users to bring back.

    Returns:
        The reason, by action and ref.
    """
    present = [user for user in users if not user.deleted]
    by_ref = {user.ref: user for user in present if user.ref}
    emails = {user.email.lower() for user in present if user.email}
    staff = Staff(by_ref)
    found: dict[tuple[str, str], str] = {}
    for new in create:
        if new.ref in by_ref:
            found["create", new.ref] = "a user has this ref now"
        elif isinstance(new.email, str) and new.email.lower() in emails:
            found["create", new.ref] = "a user has this e-mail address now"
    for change in update:
        user = by_ref.get(change.ref)
        if user is None or user.user_id != change.user_id:
            found["update", change.ref] = "the account is gone, or has another ref now"
        elif not as_before(change.changes, change.update, user, staff):
            found["update", change.ref] = "was changed after the plan was made"
    for action, people, active in (("suspend", suspend, True), ("unsuspend", unsuspend, False)):
        for one in people:
            user = by_ref.get(one.ref)
            if user is None or user.user_id != one.user_id:
                found[action, one.ref] = "the account is gone, or has another ref now"
            elif user.active != active:
                found[action, one.ref] = "is active already" if user.active else "is suspended already"
    return found
