"""Audiences and structures."""

from typing import Any, Final

from thrive_async.sandbox.handlers.replies import Call, Refusal, Reply, deleted, error_body, json, page, since, written
from thrive_async.sandbox.state.audiences import AudienceRecord

__all__ = ["HANDLERS", "find", "writable"]


def find(call: Call, *statuses: int) -> AudienceRecord:
    """Find the audience in the path, by id or reference.

    Raises:
        Refusal: There is no such audience.
    """
    audience = call.state.audiences.find(call.path["audienceId"])
    if audience is None:
        raise call.refuse("Audience not found.", *(statuses or (404,)))
    return audience


def writable(call: Call, *statuses: int) -> AudienceRecord:
    """Find the audience in the path, for a write.

    Raises:
        Refusal: There is no such audience, or the API may not change it.
    """
    audience = find(call, *statuses)
    if audience["type"] == "smart":
        raise call.refuse("Smart audiences are controlled by their rules.", 422, 409)
    if not audience["apiControlled"]:
        raise call.refuse("The audience is not API controlled.", 409, 422)
    return audience


def list_audiences(call: Call) -> Reply:
    """List audiences and structures."""
    audiences = list(call.state.audiences.values())
    if "apiControlled" in call.query:
        audiences = [one for one in audiences if one["apiControlled"] is call.query["apiControlled"]]
    return page(call, since(audiences, call))


def get_audience(call: Call) -> Reply:
    """One audience."""
    return Reply(200, find(call).wire())


def create_audience(call: Call) -> Reply:
    """Create a structure, or an audience inside one."""
    body: dict[str, Any] = call.body
    state = call.state
    reference, parent_id = body.get("reference"), body.get("parentId") or None
    category = body.get("category") or ("audience" if parent_id else "structure")
    if category == "structure" and parent_id:
        raise call.refuse({"$.parentId": "A structure has no parent."}, 422)
    if category == "audience" and not parent_id:
        raise call.refuse({"$.parentId": "An audience belongs to a structure."}, 422)
    if reference is not None and state.audiences.find(reference) is not None:
        raise call.refuse("An audience with this reference exists.", 409)
    parent = None if parent_id is None else _structure(call, parent_id)
    audience = state.add_audience(reference, name=body["name"], category=category, parent=parent)
    return written(call, audience.wire())


def update_audience(call: Call) -> Reply:
    """Rename an audience, or move it to another structure."""
    audience, body = writable(call), call.body
    reference = body.get("reference")
    if reference is not None and call.state.audiences.find(reference) not in (None, audience):
        raise call.refuse("An audience with this reference exists.", 409)
    parent = None
    if "parentId" in body:
        if audience["category"] == "structure":
            raise call.refuse({"$.parentId": "A structure has no parent."}, 422)
        parent = _structure(call, body["parentId"])
    moved = _move(call, audience, parent) if parent is not None and parent is not audience.parent else None
    audience.update({name: body[name] for name in ("name", "reference") if name in body})
    audience["updatedAt"] = call.state.stamp()
    status = 207 if moved is not None and any("failure" in one for one in moved.values()) else 200
    if moved is None and call.settings.unmoved_operations == "absent":
        return json(audience.view(""), status)
    return json({**audience.view(""), "memberOperations": moved}, status)


def delete_audience(call: Call) -> Reply:
    """Remove an audience, or a structure without children."""
    audience = writable(call)
    if audience.children:
        raise call.refuse("The structure has child audiences.", 409)
    call.state.remove_audience(audience)
    return deleted(call)


def _structure(call: Call, name: str) -> AudienceRecord:
    parent = call.state.audiences.find(name)
    if parent is None:
        raise call.refuse("The parent does not exist.", 404, 422)
    if parent["category"] != "structure":
        raise call.refuse({"$.parentId": "The parent is no structure."}, 422)
    if not parent["apiControlled"]:
        raise call.refuse({"$.parentId": "The parent is not API controlled."}, 422)
    return parent


def _move(call: Call, audience: AudienceRecord, parent: AudienceRecord) -> dict[str, Any]:
    """Move an audience to another structure; its members go with it.

    Each member leaves the old structure, except those in another of its audiences. If all of them are in another, the
    move is refused.
    """
    old = audience.parent
    users = [call.state.users[user_id] for user_id in audience.members]
    siblings = [one for one in old.children if one is not audience] if old is not None else []
    staying = {user["id"] for user in users if any(user["id"] in one.members for one in siblings)}
    reason = "User is a member of another audience in the structure."
    leaving_key, joining_key = call.settings.moved_keys
    left: dict[str, Any] = {
        "success": _entities([user["ref"] or user["id"] for user in users if user["id"] not in staying])
    }
    if staying:
        failures = [
            {"reason": reason, "reference": user["ref"] or user["id"]} for user in users if user["id"] in staying
        ]
        left["failure"] = {"count": len(failures), "entities": failures}
        if len(staying) == len(users):
            raise _refused_move(call, leaving_key, left)
    call.state.set_parent(audience, parent)
    if old is not None:
        for user in users:
            if user["id"] not in staying:
                old.members.discard(user)
    for user in users:
        parent.members.add(user)
    return {leaving_key: left, joining_key: {"success": _entities([user["ref"] or user["id"] for user in users])}}


def _entities(references: list[str]) -> dict[str, Any]:
    return {"count": len(references), "entities": [{"reference": one} for one in references]}


def _refused_move(call: Call, key: str, result: dict[str, Any]) -> Refusal:
    words = "No member could be removed from the old parent."
    match call.settings.refused_move_shape:
        case "operations":
            return Refusal(422, words, body={**error_body(422, words), "memberOperations": {key: result}})
        case "bare":
            return Refusal(422, words, body=result)
        case _:
            return Refusal(422, result)


HANDLERS: Final = {
    "listAudiences": list_audiences,
    "getAudience": get_audience,
    "createAudience": create_audience,
    "updateAudience": update_audience,
    "deleteAudience": delete_audience,
}
