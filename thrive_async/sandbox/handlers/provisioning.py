"""Legacy events about accounts."""

from typing import Any, Final

from thrive_async.sandbox.handlers.replies import Call, Reply, json
from thrive_async.sandbox.handlers.users import change, join, suspend
from thrive_async.sandbox.state.records import UserRecord

__all__ = ["HANDLERS"]


def take_event(call: Call) -> Reply:
    """Apply an event to an account."""
    settings, events, event = call.settings, call.state.events, call.body
    if event["id"] in events and settings.repeated_event != "applied":
        if settings.repeated_event == "conflict":
            raise call.refuse("The event has been processed already.", 409)
        return _taken(call)
    fields: dict[str, Any] = event["content"]["user"]
    user = call.state.by_ref(fields["ref"])
    if event["eventType"] == "user_joined":
        _joined(call, user, fields)
    elif user is None:
        if settings.unknown_event_user == 404:
            raise call.refuse("User not found.", 404)
    elif event["eventType"] == "user_updated":
        change(call, user, fields)
    elif event["eventType"] == "user_suspended":
        suspend(call, user, fields.get("endDate"))
    else:
        call.state.delete_user(user)
    events[event["id"]] = event
    return _taken(call)


def _joined(call: Call, user: UserRecord | None, fields: dict[str, Any]) -> None:
    """Create a user, or reactivate one with a suspended or expired account."""
    if user is None:
        missing = [name for name in ("firstName", "lastName") if name not in fields]
        if missing:
            raise call.refuse({f"$.content.user.{name}": "is required of a new user" for name in missing}, 422)
        join(call, fields)
        return
    ended = user["status"] in ("inactive", "expired")
    if not ended and call.settings.joined_twice == "conflict":
        raise call.refuse("The user is active already.", 409)
    change(call, user, {"endDate": None, **fields} if ended else fields)
    if ended:
        user["status"] = "active"
        call.state.apply_rules(user)
        call.state.announce("user.activated", user=user)


def _taken(call: Call) -> Reply:
    status = call.settings.event_status
    if status == 204 or not call.settings.event_body:
        return Reply(status)
    return json({"id": call.body["id"], "status": "accepted"}, status)


HANDLERS: Final = {"sendProvisioningEvent": take_event}
