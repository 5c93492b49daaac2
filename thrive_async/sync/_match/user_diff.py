"""What differs between a user and a row of an export: pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import attrs

from thrive_async._base.unset import UNSET
from thrive_async.models import User, UserCreate, UserUpdate
from thrive_async.sync._match.export_rows import Row, update

__all__ = ["Known", "Staff", "difference", "differs", "known", "set_fields"]

_GONE: Final = frozenset({"inactive", "expired"})


@attrs.frozen(kw_only=True, repr=False)
class Known:
    """What is kept of a user while planning.

    Attributes:
        user_id: The id.
        ref: The ref.
        email: The e-mail address.
        active: Whether the user can use Thrive.
        deleted: Whether the user was deleted.
        manager_id: The id of the manager; None if there is none.
        values: The comparable fields, by the names of `UserUpdate`.
        additional: The tenant's own fields.
    """

    user_id: str
    ref: str | None
    email: str | None
    active: bool
    deleted: bool
    manager_id: str | None
    values: Mapping[str, Any]
    additional: Mapping[str, Any]


@attrs.frozen(repr=False)
class Staff:
    """The users who can be managers: tells whether somebody reports to a ref.

    Attributes:
        by_ref: The users, by ref.
        coming: The refs of users who are about to be created.
    """

    by_ref: Mapping[str, Known]
    coming: frozenset[str] = frozenset()

    def reports_to(self, user: Known, wanted: str | None) -> bool | None:
        """Return whether a user's manager is the one with this ref; None if that cannot be told.

        Thrive shows a manager by id, and by ref only now and then, so the ids are compared. A manager whom the list of
        users does not show is not the wanted one. If no user has the ref, that cannot be told. It is no reason for an
        update then, which would be sent again every night.

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


def known(user: User) -> Known:
    """Return a user's comparable fields.

    Job title, manager and dates are read from the active position, the first one if none is. `login_method` and
    `domain` cannot be read, so they are only ever sent with a creation.
    """
    positions = user.positions or []
    position = next((one for one in positions if one.is_active), positions[0] if positions else None)
    manager = position.manager if position else None
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
    )


def difference(row: Row, user: Known, staff: Staff) -> UserUpdate | None:
    """Return what must change for a user to be as a row says, or None.

    The tenant's own fields are sent all together, since it is not documented whether Thrive merges them.

    Args:
        row: The row.
        user: The user.
        staff: The possible managers: see `Staff.reports_to`.
    """
    changed = [
        name
        for name, value in row.values.items()
        if name in user.values
        and (staff.reports_to(user, value) is False if name == "manager_ref" else differs(value, user.values[name]))
    ]
    additional: dict[str, Any] = {}
    if any(user.additional.get(name) != value for name, value in row.additional.items()):
        additional = {**user.additional, **row.additional}
    if not changed and not additional:
        return None
    return update(row, changed, additional)


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
