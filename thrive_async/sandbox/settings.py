"""What the sandbox does where Thrive's documents are silent."""

from typing import Any, Literal, cast

import attrs

from thrive_async.sandbox.checks import is_number, is_whole

__all__ = ["Settings"]


def _one_of(*allowed: object) -> Any:
    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        # By type too: True is no 1, and 207.0 no status.
        if not any(type(value) is type(one) and value == one for one in allowed):
            raise ValueError(f"{attribute.name} is one of {', '.join(map(repr, allowed))}, not {value!r}")

    return check


def _two_names(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    names = cast("tuple[object, ...]", value)
    if not isinstance(value, tuple) or len(names) != 2 or names[0] == names[1] or not _are_names(names):
        raise ValueError(f"{attribute.name} is a tuple of two different keys, not {value!r}")


def _are_names(values: tuple[object, ...]) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _count(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not is_whole(value, 1):
        raise ValueError(f"{attribute.name} is a whole number of at least 1, or None for no limit, not {value!r}")


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not (is_number(value) and value > 0):
        raise ValueError(f"{attribute.name} is a number above zero, or None for no limit, not {value!r}")


def _lifetime(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not (is_number(value) and value > 0):
        raise ValueError(f"{attribute.name} is a number of seconds above zero, not {value!r}")


def _wait(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not is_number(value):
        raise ValueError(f"{attribute.name} is a number of seconds, zero or more, not {value!r}")


@attrs.frozen(kw_only=True)
class Settings:
    """The choices of one sandbox, each a keyword argument of `Sandbox` too.

    The defaults, and why they are what they are, stand in the table of `thrive_async.sandbox`.

    Args:
        all_failed_batch: Status of a member or manager write of which every entity failed.
        past_last_page: What a page behind the last one is: an empty list, a 404, the last page again, or the first.
        paging: Whether lists come in pages; whole, whatever page is asked for; or page 1 is sent for every page.
        totals: What the pagination of a list says: the right totals, none, zero, or twice as many as there are.
        largest_page: The most items a page may be asked for; a request for more is refused with `large_page_status`.
        large_page_status: Status of that refusal.
        create_status: Status of a created user, audience or assignment.
        delete_reply: Reply to a delete or remove: 200 with an object, a string, null or nothing, or 204.
        moved_keys: Names inside `memberOperations`: for leaving the old parent, and for joining the new one.
        unmoved_operations: What `memberOperations` is of an audience that was changed and not moved.
        refused_move_shape: Where a refused move carries its figures: under `memberOperations` of the error, as the
            whole body, or as the error's `message`.
        not_found_body: Whether the 404 of a single content, activity or CPD record has a body.
        v2_error_shape: Shape of errors of the v2 user endpoints: as v1, or `{code, message}`.
        tags_shape: Whether tags are listed with pagination or as a bare array.
        per_page_clamp: The largest page the server gives, silently; None refuses more than the documented maximum.
        unknown_audience: Status for an audience that does not exist, where the documents list no 404.
        deleted_users: Whether search still shows users that were deleted.
        duplicate_assignment: What a second assignment of the same content to the same audience does.
        bare_audience_ids: Whether a user's `audiences` are strings, as third parties have it, not objects.
        rate_limit_headers: What a 429 of the rate limit says: Retry-After, X-RateLimit-*, or nothing.
        token_auth: How the token endpoint lets a client name itself.
        token_expires_in: How a token's lifetime is told.
        token_lifetime: Seconds a token lives, by the loop's clock.
        token_error: Shape of the token endpoint's errors: OAuth's, or Thrive's own.
        rate_limit: Requests per second that are answered, others get a 429; None for no limit.
        rate_burst: How many requests may come at once under the rate limit, by default one second's worth.
        latency: Seconds that every request takes, beside what it takes.
        journal_size: How many of the last requests `sandbox.requests` keeps; None for all.

    Raises:
        ValueError: A value is none of those offered.
    """

    all_failed_batch: Literal[207, 422] = attrs.field(default=207, validator=_one_of(207, 422))
    past_last_page: Literal["empty", "not_found", "last", "first"] = attrs.field(
        default="empty", validator=_one_of("empty", "not_found", "last", "first")
    )
    paging: Literal["pages", "whole", "first"] = attrs.field(
        default="pages", validator=_one_of("pages", "whole", "first")
    )
    totals: Literal["right", "absent", "zero", "double"] = attrs.field(
        default="right", validator=_one_of("right", "absent", "zero", "double")
    )
    largest_page: int | None = attrs.field(default=None, validator=_count)
    large_page_status: Literal[400, 413, 422] = attrs.field(default=400, validator=_one_of(400, 413, 422))
    create_status: Literal[200, 201] = attrs.field(default=201, validator=_one_of(200, 201))
    delete_reply: Literal["object", "string", "null", "empty", "no_content"] = attrs.field(
        default="object", validator=_one_of("object", "string", "null", "empty", "no_content")
    )
    moved_keys: tuple[str, str] = attrs.field(default=("removed", "added"), validator=_two_names)
    unmoved_operations: Literal["null", "absent"] = attrs.field(default="null", validator=_one_of("null", "absent"))
    refused_move_shape: Literal["operations", "bare", "message"] = attrs.field(
        default="operations", validator=_one_of("operations", "bare", "message")
    )
    not_found_body: bool = attrs.field(default=True, validator=_one_of(True, False))
    v2_error_shape: Literal["v1", "v2"] = attrs.field(default="v1", validator=_one_of("v1", "v2"))
    tags_shape: Literal["envelope", "array"] = attrs.field(default="envelope", validator=_one_of("envelope", "array"))
    per_page_clamp: int | None = attrs.field(default=None, validator=_count)
    unknown_audience: Literal[404, 422] = attrs.field(default=404, validator=_one_of(404, 422))
    deleted_users: Literal["listed", "hidden"] = attrs.field(default="listed", validator=_one_of("listed", "hidden"))
    duplicate_assignment: Literal["create", "conflict"] = attrs.field(
        default="create", validator=_one_of("create", "conflict")
    )
    bare_audience_ids: bool = attrs.field(default=False, validator=_one_of(True, False))
    rate_limit_headers: Literal["retry-after", "x-ratelimit", "none"] = attrs.field(
        default="retry-after", validator=_one_of("retry-after", "x-ratelimit", "none")
    )
    token_auth: Literal["both", "basic", "post"] = attrs.field(
        default="both", validator=_one_of("both", "basic", "post")
    )
    token_expires_in: Literal["number", "string", "absent"] = attrs.field(
        default="number", validator=_one_of("number", "string", "absent")
    )
    token_lifetime: float = attrs.field(default=3600.0, validator=_lifetime)
    token_error: Literal["oauth", "thrive"] = attrs.field(default="oauth", validator=_one_of("oauth", "thrive"))
    rate_limit: float | None = attrs.field(default=None, validator=_positive)
    rate_burst: int | None = attrs.field(default=None, validator=_count)
    latency: float = attrs.field(default=0.0, validator=_wait)
    journal_size: int | None = attrs.field(default=None, validator=_count)
