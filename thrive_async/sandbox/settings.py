"""What the sandbox does where Thrive's documents are silent."""

from typing import Any, Literal, cast, get_args, get_origin

import attrs

from thrive_async.sandbox.checks import is_number, is_whole

__all__ = ["Settings"]


def _one_of(*allowed: object) -> Any:
    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        # Compare the type too: True is not 1, and 207.0 is not a status.
        if not any(type(value) is type(one) and value == one for one in allowed):
            raise ValueError(f"{attribute.name} must be one of {', '.join(map(repr, allowed))}, not {value!r}")

    return check


def _two_names(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    names = cast("tuple[object, ...]", value)
    if not isinstance(value, tuple) or len(names) != 2 or names[0] == names[1] or not _are_names(names):
        raise ValueError(f"{attribute.name} must be a tuple of two different keys, not {value!r}")


def _are_names(values: tuple[object, ...]) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _count(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not is_whole(value, 1):
        raise ValueError(f"{attribute.name} must be a whole number of at least 1, or None for no limit, not {value!r}")


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not (is_number(value) and value > 0):
        raise ValueError(f"{attribute.name} must be a number above zero, or None for no limit, not {value!r}")


def _lifetime(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not (is_number(value) and value > 0):
        raise ValueError(f"{attribute.name} must be a number of seconds above zero, not {value!r}")


def _wait(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not is_number(value):
        raise ValueError(f"{attribute.name} must be a number of seconds, zero or more, not {value!r}")


def _retries(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not is_whole(value, 0):
        raise ValueError(f"{attribute.name} must be a whole number, zero or more, not {value!r}")


def _closed(_: type, fields: list[Any]) -> list[Any]:
    """Let each `Literal` and bool field accept only the values of its annotation."""
    closed: list[Any] = []
    for field in fields:
        values = (True, False) if field.type is bool else get_args(field.type)
        is_choice = field.type is bool or get_origin(field.type) is Literal
        closed.append(field.evolve(validator=_one_of(*values)) if is_choice else field)
    return closed


@attrs.frozen(kw_only=True, field_transformer=_closed)
class Settings:
    """The choices of one sandbox. You can also pass each of them to `Sandbox` as a keyword argument.

    The table in `thrive_async.sandbox` shows every choice beside its alternatives.

    Args:
        all_failed_batch: Status when every entity of a batch of members or managers fails.
        past_last_page: What you get for a page past the last: an empty list, a 404, the last page again, or the first.
        paging: Whether a list comes in pages, whole for any page you ask for, or as page 1 for every page.
        totals: The totals in a list's pagination: correct, absent, zero, or doubled.
        largest_page: The most items a request may ask for. More is refused with `large_page_status`.
        large_page_status: Status of that refusal.
        create_status: Status after creating a user, audience or assignment.
        write_reply: Reply to any write but a delete: as documented, `{status, message}`, an empty body, or 204.
        remove_reply: Reply when you remove a user who is not a member or manager: 404, or 207 or 200 with a `failure`.
        audience_patch: Which path updates an audience: with or without the slash at its end, only with it (as
            documented), or only without it.
        delete_reply: Reply to a delete or remove: 200 with an object, a string, null or an empty body, or 204.
        moved_keys: The keys inside `memberOperations` for leaving the old parent and for joining the new one.
        unmoved_operations: What `memberOperations` is if an audience changed but did not move.
        refused_move_shape: Where a refused move puts its counts: under `memberOperations` of the error, as the whole
            body, or as the error's `message`.
        not_found_body: Whether the 404 of a single content, activity or CPD record has a body.
        v2_error_shape: Shape of errors from the v2 user endpoints: as v1, or `{code, message}`.
        tags_shape: Whether tags are listed with pagination or as a bare array.
        per_page_clamp: The largest page size; larger requests are silently reduced to it. With None, the sandbox
            refuses more than the documented maximum.
        unknown_audience: Status for an audience that does not exist, where no 404 is documented.
        deleted_users: Whether search still shows deleted users.
        duplicate_assignment: What happens when you assign the same content to the same audience again.
        bare_audience_ids: Whether a user's `audiences` are strings, as third parties describe them, instead of objects.
        event_status: Status of an accepted provisioning event.
        event_body: Whether the reply to it has a body. A 204 never has one.
        repeated_event: What happens to an event with a known id: it is applied again, ignored, or refused with 409.
        joined_twice: What `user_joined` does to an active user: change the fields, or get a 409.
        unknown_event_user: Status of any other event about a user who does not exist. With 200, nothing happens.
        unlisted_skill_level: Whether a level that `GET /skills/levels` does not list is accepted, or refused with 422.
        rate_limit_headers: The headers of a 429 from the rate limit: Retry-After, X-RateLimit-*, or neither.
        token_auth: How a client may identify itself to the token endpoint.
        token_refusal: Status when a client identifies itself in a way that `token_auth` does not allow.
        token_reply: Format of the token reply: `access_token`, `accessToken`, or a token that begins with `Bearer `.
        token_expires_in: How the reply states a token's lifetime.
        token_lifetime: Lifetime of a token, in seconds on the loop's clock.
        token_error: Shape of the token endpoint's errors: OAuth's, or Thrive's own.
        rate_limit: Requests per second that are answered; the others get a 429. None for no limit.
        rate_burst: How many requests may arrive at once under the rate limit. The default is one second's worth.
        webhook_retries: How often a webhook is sent again, if it is not answered with a 2xx.
        webhook_pause: Seconds before a webhook is sent again; each further pause is twice as long.
        webhook_dispatched_at: Whether `dispatchedAt` is the time of each attempt or of the first.
        webhook_tenant: Whether the `tenantId` of webhooks is a name, as in Thrive's samples, or the tenant's id.
        latency: Seconds added to every request.
        journal_size: How many of the latest requests `sandbox.requests` keeps, and of the latest webhooks
            `sandbox.webhooks.deliveries`. None for all.

    Raises:
        ValueError: A value is not one of those offered.
    """

    all_failed_batch: Literal[207, 422] = 207
    past_last_page: Literal["empty", "not_found", "last", "first"] = "empty"
    paging: Literal["pages", "whole", "first"] = "pages"
    totals: Literal["right", "absent", "zero", "double"] = "right"
    largest_page: int | None = attrs.field(default=None, validator=_count)
    large_page_status: Literal[400, 413, 422] = 400
    create_status: Literal[200, 201] = 201
    write_reply: Literal["documented", "message", "empty", "no_content"] = "documented"
    remove_reply: Literal[404, 207, 200] = 404
    audience_patch: Literal["both", "slash", "bare"] = "both"
    delete_reply: Literal["object", "string", "null", "empty", "no_content"] = "object"
    moved_keys: tuple[str, str] = attrs.field(default=("removed", "added"), validator=_two_names)
    unmoved_operations: Literal["null", "absent"] = "null"
    refused_move_shape: Literal["operations", "bare", "message"] = "operations"
    not_found_body: bool = True
    v2_error_shape: Literal["v1", "v2"] = "v1"
    tags_shape: Literal["envelope", "array"] = "envelope"
    per_page_clamp: int | None = attrs.field(default=None, validator=_count)
    unknown_audience: Literal[404, 422] = 404
    deleted_users: Literal["listed", "hidden"] = "listed"
    duplicate_assignment: Literal["create", "conflict"] = "create"
    bare_audience_ids: bool = False
    rate_limit_headers: Literal["retry-after", "x-ratelimit", "none"] = "retry-after"
    token_auth: Literal["both", "basic", "post"] = "both"  # noqa: S105
    token_refusal: Literal[401, 400, 403, 404, 405, 415, 422] = 401
    token_reply: Literal["snake", "camel", "bearer"] = "snake"  # noqa: S105
    token_expires_in: Literal["number", "string", "absent"] = "number"  # noqa: S105
    event_status: Literal[200, 201, 202, 204] = 200
    event_body: bool = True
    repeated_event: Literal["applied", "ignored", "conflict"] = "applied"
    joined_twice: Literal["updated", "conflict"] = "updated"
    unknown_event_user: Literal[404, 200] = 404
    unlisted_skill_level: Literal["accepted", "refused"] = "accepted"
    token_lifetime: float = attrs.field(default=3600.0, validator=_lifetime)
    token_error: Literal["oauth", "thrive"] = "oauth"  # noqa: S105
    rate_limit: float | None = attrs.field(default=None, validator=_positive)
    rate_burst: int | None = attrs.field(default=None, validator=_count)
    webhook_retries: int = attrs.field(default=5, validator=_retries)
    webhook_pause: float = attrs.field(default=1.0, validator=_wait)
    webhook_dispatched_at: Literal["attempt", "first"] = "attempt"
    webhook_tenant: Literal["name", "id"] = "name"
    latency: float = attrs.field(default=0.0, validator=_wait)
    journal_size: int | None = attrs.field(default=None, validator=_count)
