"""Members and managers of audiences."""

from collections.abc import Sequence
from typing import Any, Final

from thrive_async.sandbox.handlers.audiences import find, writable
from thrive_async.sandbox.handlers.replies import Call, Refusal, Reply, deleted, json, page
from thrive_async.sandbox.state.audiences import AudienceRecord
from thrive_async.sandbox.state.records import UserRecord

__all__ = ["HANDLERS"]

_UNKNOWN: Final = "User does not exist."


def list_members(call: Call) -> Reply:
    """List the members in the order of joining."""
    audience = find(call, call.settings.unknown_audience)
    users = call.state.users
    reply = page(call, [users[user_id] for user_id in audience.members], "member")
    change = None if call.fault is None else call.fault("members_change", frozenset())
    if change is not None:
        _churn(call, audience, change["remove"], change["add"])
    return reply


def add_members(call: Call) -> Reply:
    """Add users. Existing members count as added."""
    audience = writable(call, call.settings.unknown_audience)
    found, failed = _sort_out(call, call.body)
    audience.members.extend(user for _, user in found)
    return _outcome(call, [name for name, _ in found], failed)


def replace_members(call: Call) -> Reply:
    """Make these users the only members. If all of them fail, nothing changes."""
    audience = writable(call)
    found, failed = _sort_out(call, call.body)
    if found:
        audience.members.replace(user for _, user in found)
    return _outcome(call, [name for name, _ in found], failed)


def remove_member(call: Call) -> Reply:
    """Remove one member."""
    audience = writable(call)
    user = call.state.find_user(call.path["userRef"])
    if user is None:
        return _not_removed(call, "userRef", _UNKNOWN)
    if not audience.members.discard(user):
        return _not_removed(call, "userRef", "User is not a member of the audience.")
    return deleted(call)


def list_managers(call: Call) -> Reply:
    """List the managers with their permissions."""
    audience, users = find(call), call.state.users
    return json([{**users[one].view("member"), "permissions": granted} for one, granted in audience.managers.items()])


def add_managers(call: Call) -> Reply:
    """Add managers. Existing managers get the new permissions."""
    return _write_managers(call, replace=False)


def replace_managers(call: Call) -> Reply:
    """Make these users the only managers. If all of them fail, nothing changes."""
    return _write_managers(call, replace=True)


def remove_manager(call: Call) -> Reply:
    """Remove one manager."""
    audience = writable(call)
    user = call.state.find_user(call.path["userId"])
    if user is None:
        return _not_removed(call, "userId", _UNKNOWN)
    if user["id"] not in audience.managers:
        return _not_removed(call, "userId", "User is not a manager of the audience.")
    del audience.managers[user["id"]]
    return deleted(call)


def _not_removed(call: Call, name: str, reason: str) -> Reply:
    """Refuse a removal, or report it as a failed batch of one."""
    status = call.settings.remove_reply
    if status == 404:
        raise call.refuse(reason, 404)
    failure = {"count": 1, "entities": [{"reference": call.path[name], "reason": reason}]}
    return json({"success": {"count": 0, "entities": []}, "failure": failure}, status)


def _write_managers(call: Call, *, replace: bool) -> Reply:
    audience = writable(call, call.settings.unknown_audience)
    structure = audience["category"] == "structure"
    grants: dict[str, dict[str, Any]] = {}
    for index, grant in enumerate(call.body):
        if not structure and "administrator" in grant["permissions"]:
            place = f"$[{index}].permissions.administrator"
            raise call.refuse({place: "Only managers of structures have these permissions."}, 422)
        grants[grant["reference"]] = grant["permissions"]
    found, failed = _sort_out(call, [grant["reference"] for grant in call.body])
    if replace and found:
        audience.managers.clear()
    for name, user in found:
        audience.managers[user["id"]] = _permissions(grants[name], structure=structure)
    return _outcome(call, [name for name, _ in found], failed)


def _permissions(granted: dict[str, Any], *, structure: bool) -> dict[str, dict[str, bool]]:
    """Return permissions in the form of a read: with the read-only flags, and false where not granted."""
    read = {
        "audienceManager": {
            "manageMembers": False,
            "manageContent": False,
            "assignments": False,
            **granted.get("audienceManager", {}),
        },
        "peopleManager": {
            "canViewLearnPage": False,
            "insights": False,
            "manage": False,
            **granted.get("peopleManager", {}),
        },
    }
    if structure:
        read["administrator"] = {
            "canManageAudiences": False,
            "canAddAudienceManagers": False,
            **granted.get("administrator", {}),
        }
    return read


def _sort_out(call: Call, names: Sequence[str]) -> tuple[list[tuple[str, UserRecord]], list[str]]:
    """Return the users found and the names that failed, both in the order of the request, including repeats.

    Raises:
        Refusal: A fault poisons the batch.
    """
    pairs = call.state.find_users(names)
    hidden: set[str] = set()
    if call.fault is not None:
        # Fault and batch may name a user differently (id, ref, e-mail), so compare all names of each user.
        aliases: dict[str, set[str]] = {}
        for name, user in pairs:
            for alias in (name, *(() if user is None else (user["id"], user["ref"], user["email"]))):
                if alias is not None:
                    aliases.setdefault(alias, set()).add(name)
        every = frozenset(aliases)
        poison = call.fault("poisoned", every)
        if poison is not None:
            raise Refusal(poison["status"], "The batch cannot be processed.")
        unknown = call.fault("unknown_users", every)
        if unknown is not None:
            hidden = {name for alias in unknown["references"] for name in aliases.get(alias, ())}
    found: list[tuple[str, UserRecord]] = []
    failed: list[str] = []
    for name, user in pairs:
        if user is None or user["deleted"] or name in hidden:
            failed.append(name)
        else:
            found.append((name, user))
    return found, failed


def _outcome(call: Call, succeeded: list[str], failed: list[str]) -> Reply:
    result: dict[str, Any] = {
        "success": {"count": len(succeeded), "entities": [{"reference": name} for name in succeeded]}
    }
    if not failed:
        return json(result)
    result["failure"] = {
        "count": len(failed),
        "entities": [{"reason": _UNKNOWN, "reference": name} for name in failed],
    }
    if not succeeded and call.settings.all_failed_batch == 422:
        raise call.refuse(result, 422)
    return json(result, 207)


def _churn(call: Call, audience: AudienceRecord, remove: int, add: int) -> None:
    """Act as another client that changes the members: the first leave, others join at the end."""
    gone = list(audience.members)[:remove]
    for user_id in gone:
        audience.members.discard(user_id)
    for user in call.state.users.values():
        if add <= 0:
            break
        if not user["deleted"] and user["id"] not in gone and audience.members.add(user):
            add -= 1


HANDLERS: Final = {
    "listMembers": list_members,
    "addMembers": add_members,
    "replaceMembers": replace_members,
    "removeMember": remove_member,
    "listManagers": list_managers,
    "addManagers": add_managers,
    "replaceManagers": replace_managers,
    "removeManager": remove_manager,
}
