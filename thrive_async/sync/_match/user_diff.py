"""What differs between a user and a row of an export: pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import attrs

from thrive_async._base.problems import unread
from thrive_async._base.unset import UNSET
from thrive_async.models import User, UserCreate, UserUpdate
from thrive_async.sync._match.export_rows import Row, update

__all__ = [
    "OWN",
    "Changes",
    "Known",
    "Staff",
    "as_before",
    "as_update",
    "changes_of",
    "dated",
    "differs",
    "known",
    "set_fields",
    "unread_in",
]

Changes = dict[str, tuple[Any, Any]]
"""The old and the new value of each field that changes, dates as ISO 8601 text."""
OWN: Final = "additional_fields."
"""What the names of the tenant's own fields begin with."""

_GONE: Final = frozenset({"inactive", "expired"})
_OF_A_POSITION: Final = frozenset({"job_title", "manager_ref", "start_date", "end_date"})


@attrs.frozen(kw_only=True, repr=False)
class Known:
    """What is kept of a user while planning.

    Attributes:
        user_id: The id.
        ref: The ref.
        email: The e-mail address.
        active: Whether the user can use Thrive.
        deleted: Whether the user was deleted.
        manager_id: The manager's id; None without a manager.
        values: The comparable fields, by the names of `UserUpdate`.
        additional: The tenant's own fields.
        unread: Fields that Thrive sent in a form that could not be read, also ``ref``, ``status`` and ``deleted``.
            They look empty and need not be.
    """

    user_id: str
    ref: str | None
    email: str | None
    active: bool
    deleted: bool
    manager_id: str | None
    values: Mapping[str, Any]
    additional: Mapping[str, Any]
    unread: frozenset[str] = frozenset()


@attrs.frozen(repr=False)
class Staff:
    """The users who can be managers: tells whether a user reports to a ref.

    Attributes:
        by_ref: The users, by ref.
        coming: The refs of users who are about to be created.
        refs: The refs of users, by id.
    """

    by_ref: Mapping[str, Known]
    coming: frozenset[str] = frozenset()
    refs: Mapping[str, str] = attrs.field(
        default=attrs.Factory(lambda self: {user.user_id: ref for ref, user in self.by_ref.items()}, takes_self=True)
    )

    def reports_to(self, user: Known, wanted: str | None) -> bool | None:
        """Return whether a user's manager is the one with this ref; None if that cannot be told.

        Thrive shows a manager by id, and by ref only now and then, so the ids are compared. A manager who is missing
        from the list of users is not the wanted one. If no user has the ref, that cannot be told. It is no reason for
        an update then, which would be sent again every night.

        Args:
            user: The user.
            wanted: The manager's ref; None for no manager.
        """
        if wanted is None:
            return user.manager_id is None
        boss = self.by_ref.get(wanted)
        if boss is not None:
            return boss.user_id == user.manager_id
        if wanted in self.coming:
            return False
        return True if wanted == user.values["manager_ref"] else None

    def manager_of(self, user: Known) -> str | None:
        """Return the ref of a user's manager, or the id if no user with a ref has it."""
        if user.manager_id is None:
            return None
        return self.refs.get(user.manager_id) or user.values["manager_ref"] or user.manager_id


def known(user: User) -> Known:
    """Return a user's comparable fields.

    Job title, manager and dates are read from the active position, or from the first one if none is active.
    `login_method` and `domain` cannot be read, so they are only ever sent with a creation.
    """
    positions = user.positions or []
    position = next((one for one in positions if one.is_active), positions[0] if positions else None)
    manager = position.manager if position else None
    lost = unread(user)
    if lost:
        lost |= _OF_A_POSITION if "positions" in lost else frozenset()
        lost |= {"sso"} if "single_sign_on" in lost else frozenset()
    return Known(
        user_id=user.id,
        ref=user.ref,
        email=user.email,
        active=user.status not in _GONE and not user.deleted,
        deleted=bool(user.deleted),
        manager_id=manager.id if manager else None,
        values={
            "first_name": user.first_name,
            "last_name": user.last_name,
            "email": user.email,
            "role": user.role,
            "job_title": position.title if position else None,
            "manager_ref": manager.ref if manager else None,
            "start_date": position.start_date if position else None,
            "end_date": position.end_date if position else None,
            "time_zone": user.time_zone,
            "language_code": user.language_code,
            "sso": user.single_sign_on,
        },
        additional=user.additional_fields or {},
        unread=lost,
    )


def changes_of(row: Row, user: Known, staff: Staff) -> Changes:
    """Return what must change for a user to be as a row says.

    Fields that could not be read are left out: what they hold is not known. See `unread_in`.

    Args:
        row: The row.
        user: The user.
        staff: The possible managers: see `Staff.reports_to`.
    """
    found: Changes = {}
    for name, wanted in row.values.items():
        if name not in user.values or name in user.unread:
            continue
        if name == "manager_ref":
            if staff.reports_to(user, wanted) is False:
                found[name] = staff.manager_of(user), wanted
        elif differs(wanted, user.values[name]):
            found[name] = _plain(user.values[name], wanted), _plain(wanted, wanted)
    if "additional_fields" not in user.unread:
        for name, wanted in row.additional.items():
            if user.additional.get(name) != wanted:
                found[OWN + name] = user.additional.get(name), wanted
    return found


def _plain(value: Any, wanted: Any) -> Any:
    """Return a value as JSON takes it; a moment as a day if a day is wanted."""
    if isinstance(value, datetime) and isinstance(wanted, date) and not isinstance(wanted, datetime):
        value = value.date()
    return value.isoformat() if isinstance(value, date) else value


def unread_in(row: Row, user: Known) -> list[str]:
    """Return the fields that a row wants and that could not be read of a user."""
    if not user.unread:
        return []
    names = [name for name in row.values if name in user.unread and name in user.values]
    return names + ["additional_fields"] * bool(row.additional and "additional_fields" in user.unread)


def as_update(row: Row, user: Known, fields: Iterable[str]) -> UserUpdate:
    """Return the request that changes some fields to what a row says.

    The tenant's own fields are sent all together, since it is not documented whether Thrive merges them.

    Args:
        row: The row.
        user: The user.
        fields: Which fields, named as in `Changes`.
    """
    own = {name for name in fields if name.startswith(OWN)}
    additional = {**user.additional, **row.additional} if own else {}
    return update(row, (name for name in fields if name not in own), additional)


def as_before(changes: Mapping[str, tuple[Any, Any]], wanted: UserUpdate, user: Known, staff: Staff) -> bool:
    """Return whether a user still has all the old values, and no other values that the update would overwrite.

    Args:
        changes: The planned changes.
        wanted: The update that makes them.
        user: The user as it is now.
        staff: The possible managers.
    """
    own = {name.removeprefix(OWN): old for name, (old, _new) in changes.items() if name.startswith(OWN)}
    if own:
        sent = wanted.additional_fields if isinstance(wanted.additional_fields, dict) else {}
        if {name: own.get(name, value) for name, value in sent.items()} != {**dict.fromkeys(sent), **user.additional}:
            return False
    for name, (old, _new) in changes.items():
        if not name.startswith(OWN):
            value = staff.manager_of(user) if name == "manager_ref" else user.values[name]
            if name in user.unread or _plain(value, getattr(wanted, name)) != old:
                return False
    return True


def differs(wanted: Any, found: Any) -> bool:
    """Return whether a field is not as wanted. The case of e-mail addresses and the hour of a day do not count."""
    if isinstance(wanted, str) and isinstance(found, str) and "@" in wanted:
        return wanted.lower() != found.lower()
    if isinstance(wanted, datetime):
        moment = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
        return bool(moment != found)
    if isinstance(wanted, date):
        return not isinstance(found, datetime) or found.date() != wanted
    return bool(wanted != found)


def set_fields(model: UserCreate | UserUpdate) -> dict[str, Any]:
    """Return the fields of a request model that are set."""
    found = {field.name: getattr(model, field.name) for field in attrs.fields(type(model))}
    return {name: value for name, value in found.items() if value is not UNSET}


def dated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with dates instead of their ISO 8601 text, as a saved plan or a journal has them."""
    read = dict(fields)
    for name in ("start_date", "end_date"):
        if isinstance(read.get(name), str):
            read[name] = date.fromisoformat(read[name]) if len(read[name]) == 10 else datetime.fromisoformat(read[name])
    return read
