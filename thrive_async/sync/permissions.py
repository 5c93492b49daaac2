"""What managers may do, as far as it can be written: compared, saved and read again. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from thrive_async.models import (
    AdministratorGrant,
    AudienceManagerGrant,
    ManagerGrant,
    ManagerGrantPermissions,
    ManagerPermissions,
    PeopleManagerGrant,
)

__all__ = ["PERMISSIONS", "restored_grant", "saved_grant", "writable_permissions"]

# Group and flag of every permission that can be written; `manage_members` and `can_manage_audiences` are only read.
_WRITABLE: Final = (
    ("audience_manager", "manage_content"),
    ("audience_manager", "assignments"),
    ("people_manager", "can_view_learn_page"),
    ("people_manager", "insights"),
    ("people_manager", "manage"),
    ("administrator", "can_add_audience_managers"),
)

PERMISSIONS: Final = tuple(f"{group}.{flag}" for group, flag in _WRITABLE)
"""The names of the permissions that can be written, such as ``"people_manager.insights"``."""

_GROUPS: Final[Mapping[str, Any]] = {
    "audience_manager": AudienceManagerGrant,
    "people_manager": PeopleManagerGrant,
    "administrator": AdministratorGrant,
}


def writable_permissions(permissions: ManagerPermissions | ManagerGrantPermissions | None) -> frozenset[str]:
    """Return what of some permissions is given and can be written, such as ``"people_manager.insights"``.

    Args:
        permissions: As read or as to be written; what is left out is not given.
    """
    given: set[str] = set()
    for group, flag in _WRITABLE:
        holder: object = getattr(permissions, group, None)
        if getattr(holder, flag, None) is True:
            given.add(f"{group}.{flag}")
    return frozenset(given)


def saved_grant(grant: ManagerGrant) -> dict[str, Any]:
    """Return a grant as JSON takes it."""
    flags: dict[str, bool] = {}
    for group, flag in _WRITABLE:
        given: object = getattr(getattr(grant.permissions, group, None), flag, None)
        if isinstance(given, bool):
            flags[f"{group}.{flag}"] = given
    return {"reference": grant.reference, "permissions": flags}


def restored_grant(value: Mapping[str, Any]) -> ManagerGrant:
    """Make a grant of what `saved_grant` returned."""
    groups: dict[str, dict[str, bool]] = {}
    for name, given in value["permissions"].items():
        group, flag = name.split(".")
        groups.setdefault(group, {})[flag] = given
    permissions: dict[str, Any] = {group: _GROUPS[group](**flags) for group, flags in groups.items()}
    return ManagerGrant(reference=value["reference"], permissions=ManagerGrantPermissions(**permissions))
