"""What managers may do, as far as it can be written: compared, saved and read again. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from thrive_async.models import (
    AdministratorGrant,
    AdministratorPermissions,
    AudienceManagerGrant,
    AudienceManagerPermissions,
    ManagerGrant,
    ManagerGrantPermissions,
    ManagerPermissions,
    PeopleManagerGrant,
    PeopleManagerPermissions,
)

__all__ = ["PERMISSIONS", "READ_ONLY", "restored_grant", "saved_grant", "writable_permissions"]

# What can be written of each group, and what is shown.
_GROUPS: Final[Mapping[str, tuple[Any, Any]]] = {
    "audience_manager": (AudienceManagerGrant, AudienceManagerPermissions),
    "people_manager": (PeopleManagerGrant, PeopleManagerPermissions),
    "administrator": (AdministratorGrant, AdministratorPermissions),
}


def _wire_name(model: Any, name: str) -> str:
    return str(getattr(attrs.fields(model), name).metadata.get("json", name))


def _names(place: int) -> dict[str, str]:
    return {
        f"{_wire_name(ManagerPermissions, group)}.{_wire_name(models[place], field.name)}": f"{group}.{field.name}"
        for group, models in _GROUPS.items()
        for field in attrs.fields(models[place])
    }


PERMISSIONS: Final[Mapping[str, str]] = _names(0)
"""The permissions that can be written: ``"people_manager.insights"`` by Thrive's ``"peopleManager.insights"``."""
READ_ONLY: Final = frozenset(_names(1)) - PERMISSIONS.keys()
"""The permissions that Thrive shows and that cannot be written, as Thrive has them."""


def writable_permissions(permissions: ManagerPermissions | ManagerGrantPermissions | None) -> frozenset[str]:
    """Return what of some permissions is given and can be written, such as ``"people_manager.insights"``.

    Args:
        permissions: As read or as to be written; what is left out is not given.
    """
    return frozenset(name for name in PERMISSIONS.values() if _flag(permissions, name) is True)


def _flag(permissions: object, name: str) -> object:
    group, flag = name.split(".")
    return getattr(getattr(permissions, group, None), flag, None)


def saved_grant(grant: ManagerGrant) -> dict[str, Any]:
    """Return a grant as JSON takes it."""
    flags = {name: _flag(grant.permissions, name) for name in PERMISSIONS.values()}
    given = {name: flag for name, flag in flags.items() if isinstance(flag, bool)}
    return {"reference": grant.reference, "permissions": given}


def restored_grant(value: Mapping[str, Any]) -> ManagerGrant:
    """Make a grant of what `saved_grant` returned."""
    groups: dict[str, dict[str, bool]] = {}
    for name, given in value["permissions"].items():
        group, flag = name.split(".")
        groups.setdefault(group, {})[flag] = given
    permissions: dict[str, Any] = {group: _GROUPS[group][0](**flags) for group, flags in groups.items()}
    return ManagerGrant(reference=value["reference"], permissions=ManagerGrantPermissions(**permissions))
