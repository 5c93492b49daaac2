"""Users: read and tagged on v1, written on v2."""

from collections.abc import Mapping
from typing import Any, Final

from thrive_async.sandbox.handlers.replies import Call, Refusal, Reply, deleted, error_body, json, page, since, written
from thrive_async.sandbox.state.records import Record, UserRecord, instant, timestamp

__all__ = ["HANDLERS", "change", "join", "suspend"]

_ACCOUNT: Final = ("loginMethod", "jobTitle", "managerRef", "startDate", "endDate", "domain")
# Fields of the v2 body with the same meaning in v1, some under another name.
_SHARED: Final = {
    "firstName": "firstName",
    "lastName": "lastName",
    "email": "email",
    "role": "role",
    "timeZone": "timeZone",
    "languageCode": "languageCode",
    "sso": "singleSignOn",
    "additionalFields": "additionalFields",
}
_POSITION: Final = frozenset({"jobTitle", "managerRef", "startDate", "endDate"})


def search_users(call: Call) -> Reply:
    """List users that match every filter."""
    users: list[UserRecord] = list(call.state.users.values())
    query = call.query
    if call.settings.deleted_users == "hidden":
        users = [user for user in users if not user["deleted"]]
    if "status" in query:
        users = [user for user in users if user["status"] == query["status"]]
    if "statuses" in query:
        users = [user for user in users if user["status"] in query["statuses"]]
    if "omitStatuses" in query:
        users = [user for user in users if user["status"] not in query["omitStatuses"]]
    return page(call, since(users, call), _user_form(call))


def get_user(call: Call) -> Reply:
    """Return one user, by id only."""
    user = call.state.users.get(call.path["id"])
    if user is None:
        raise call.refuse("User not found.", 404)
    return Reply(200, user.wire(_user_form(call)))


def get_user_by_ref(call: Call) -> Reply:
    """Return one user in the shorter form, by ref."""
    return Reply(200, _by_ref(call).wire("basic"))


def create_user(call: Call) -> Reply:
    """Create a user. Ref and e-mail have to be new."""
    body: dict[str, Any] = call.body
    if call.state.by_ref(body["ref"]) is not None:
        raise _refuse(call, "A user with this ref exists.", 409)
    return written(call, join(call, body).wire("account"))


def join(call: Call, fields: Mapping[str, Any]) -> UserRecord:
    """Add a user with the fields of a v2 body.

    Raises:
        Refusal: The e-mail is missing or taken.
    """
    _check_email(call, None, fields.get("email"), fields.get("loginMethod", "email"))
    given = {name: fields[name] for name in (*_ACCOUNT, *_SHARED, "ref") if name in fields}
    for name in ("startDate", "endDate"):
        given[name] = _stamp(fields.get(name))
    user = call.state.add_user(**{"email": None, "timeZone": "Europe/London", **given})
    _reposition(call, user)
    return user


def update_user(call: Call) -> Reply:
    """Change the fields that were sent. Null clears a field."""
    user = _by_ref(call)
    change(call, user, call.body)
    return Reply(200, user.wire("account"))


def change(call: Call, user: UserRecord, fields: Mapping[str, Any]) -> None:
    """Set the fields of a v2 body on a user. Null clears a field.

    Raises:
        Refusal: The e-mail is missing or taken.
    """
    if "email" in fields or "loginMethod" in fields:
        login = fields.get("loginMethod", user.account["loginMethod"])
        _check_email(call, user, fields.get("email", user["email"]), login)
    for name, value in fields.items():
        if name in _SHARED:
            user[_SHARED[name]] = value
        elif name in _ACCOUNT:
            user.account[name] = _stamp(value) if name in ("startDate", "endDate") else value
    if not _POSITION.isdisjoint(fields):
        _reposition(call, user)
    user["updatedAt"] = call.state.stamp()
    call.state.apply_rules(user)
    call.state.announce("user.updated", user=user)


def suspend_user(call: Call) -> Reply:
    """Suspend a user. A suspended user stays suspended."""
    user = _by_ref(call)
    body: dict[str, Any] = call.body or {}
    suspend(call, user, body.get("endDate"))
    return Reply(200, user.wire("account"))


def suspend(call: Call, user: UserRecord, end_date: str | None) -> None:
    """Suspend a user from a date, or from now if there is no date."""
    user.account["endDate"] = _stamp(end_date) if end_date is not None else call.state.stamp()
    user.update(status="inactive", updatedAt=call.state.stamp())
    call.state.apply_rules(user)
    call.state.announce("user.deactivated", user=user)


def delete_user(call: Call) -> Reply:
    """Obfuscate a user."""
    call.state.delete_user(_by_ref(call))
    return deleted(call)


def add_user_tags(call: Call) -> Reply:
    """Add existing tags to a user. Tags the user already has change nothing."""
    user = _learner(call)
    tags = _tags(call, call.body["tags"])
    for tag in tags:
        call.state.give_tag(user, tag)
    return json({"status": 200, "message": f"{len(tags)} tag(s) added to the user."})


def remove_user_tags(call: Call) -> Reply:
    """Remove existing tags from a user. Tags the user does not have change nothing."""
    user = _learner(call)
    tags = _tags(call, call.body["value"])
    for tag in tags:
        call.state.take_tag(user, tag)
    return json({"status": 200, "message": f"{len(tags)} tag(s) removed from the user."})


def update_user_skills(call: Call) -> Reply:
    """Set skill levels. A skill that the user does not have is added."""
    user, skills = _learner(call), call.body["value"]
    tags = _tags(call, [skill["tagName"] for skill in skills])
    allowed = {-1, *(level["value"] for level in call.state.skill_levels if level["isEnabled"])}
    for index, skill in enumerate(skills if call.settings.unlisted_skill_level == "refused" else ()):
        for name in ("level", "targetLevel"):
            if skill.get(name, -1) not in allowed:
                place = f"$.value[{index}].{name}"
                raise call.refuse({place: f"{skill[name]} is no level: {sorted(allowed)}"}, 422)
    for skill, tag in zip(skills, tags, strict=True):
        call.state.give_tag(user, tag)
        levels = {name: skill[name] for name in ("level", "targetLevel") if name in skill}
        user.skill_levels.setdefault(skill["tagName"], {}).update(levels)
    return json({"status": 200, "message": f"{len(skills)} skill(s) updated for the user."})


def _user_form(call: Call) -> str:
    return "bare" if call.settings.bare_audience_ids else ""


def _by_ref(call: Call) -> UserRecord:
    user = call.state.by_ref(call.path["ref"])
    if user is None:
        raise _refuse(call, "User not found.", 404)
    return user


def _learner(call: Call) -> UserRecord:
    user = call.state.users.get(call.path["userId"])
    if user is None or user["deleted"]:
        raise call.refuse("User not found.", 404)
    return user


def _tags(call: Call, names: list[str]) -> list[Record]:
    tags: list[Record] = []
    unknown: dict[str, str] = {}
    for name in names:
        tag = call.state.tag(name)
        if tag is None:
            unknown[name] = "Tag does not exist."
        else:
            tags.append(tag)
    if unknown:
        raise call.refuse(unknown, 422)
    return tags


def _check_email(call: Call, user: UserRecord | None, email: str | None, login: str) -> None:
    if email is None:
        if login != "ref":
            raise _refuse(call, {"$.email": "is required unless loginMethod is ref"}, 422)
        return
    other = call.state.by_email(email)
    if other is not None and other is not user:
        raise _refuse(call, "A user with this email exists.", 409)


def _refuse(call: Call, message: str | dict[str, Any], status: int) -> Refusal:
    """Make a refusal. For a v2 path, `v2_error_shape` selects its shape."""
    if call.settings.v2_error_shape == "v2" and call.operation.path.startswith("/rest/v2/"):
        code = {404: "not_found", 409: "conflict"}.get(status, "unprocessable_entity")
        return Refusal(status, message, body={"code": code, "message": message})
    return Refusal(status, message, body=error_body(status, message))


def _stamp(value: str | None) -> str | None:
    """Format a date from a request as replies do."""
    moment = instant(value)
    return None if moment is None else timestamp(moment)


def _reposition(call: Call, user: UserRecord) -> None:
    """Show job title, manager and dates of the v2 account as the first position of the v1 user."""
    account = user.account
    positions: list[dict[str, Any]] = list(user["positions"] or ())
    stamp = call.state.stamp()
    position: dict[str, Any]
    if positions:
        position = {**positions[0]}
    elif all(account[name] is None for name in _POSITION):
        return
    else:
        position = {"id": call.state.new_id(), "ouId": None, "createdAt": stamp}
    manager = call.state.by_ref(account["managerRef"]) if account["managerRef"] is not None else None
    ended = instant(account["endDate"])
    position.update(
        manager=None if manager is None else {"id": manager["id"], "ref": manager["ref"]},
        isActive=ended is None or ended > call.state.now(),
        startDate=account["startDate"],
        endDate=account["endDate"],
        updatedAt=stamp,
        title=account["jobTitle"],
    )
    user["positions"] = [position, *positions[1:]]


HANDLERS: Final = {
    "searchUsers": search_users,
    "getUser": get_user,
    "getUserByRef": get_user_by_ref,
    "createUser": create_user,
    "updateUser": update_user,
    "suspendUser": suspend_user,
    "deleteUser": delete_user,
    "addUserTags": add_user_tags,
    "removeUserTags": remove_user_tags,
    "updateUserSkills": update_user_skills,
}
