"""The commands that look at what is in Thrive: a table with a row per resource, and what does not fit a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from thrive_async._generated import operations
from thrive_async.cli import _audience_tree
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._resource_commands import (
    Filter,
    Kind,
    Look,
    Resource,
    Single,
    add_commands,
    as_json,
    show_one,
    writer,
)
from thrive_async.cli._running import run_async

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.models import User

__all__ = ["RESOURCES", "apps"]

_UPDATED_SINCE = Filter("updated_since", "Only those changed at this time or later.")
_THIS_AUDIENCE = {"audience": "Its id or reference."}

USERS = Kind(
    noun="users",
    table=("id", "ref", "email", "firstName", "lastName", "status"),
    fields=(
        "id", "ref", "firstName", "lastName", "email", "role", "status", "languageCode", "timeZone", "deleted",
        "singleSignOn", "onboarded", "level", "compliance", "firstLogin", "lastLogin", "createdAt", "updatedAt",
        "positions", "additionalFields", "audiences", "tags", "usersFollowing", "tagsFollowing", "hasPicture",
        "summary", "relevancy", "rank", "agreedTerms",
    ),
)  # fmt: skip
AUDIENCES = Kind(
    noun="audiences",
    table=("reference", "name", "category", "type", "parent.reference"),
    fields=(
        "id", "reference", "name", "category", "type", "apiControlled", "parent.id", "parent.reference", "parent.name",
        "createdAt", "updatedAt",
    ),
)  # fmt: skip
MEMBERS = Kind(noun="members", table=("userId", "reference", "email"), fields=("userId", "reference", "email"))
MANAGERS = Kind(
    noun="managers",
    table=("userId", "reference", "email", "permissions"),
    fields=("userId", "reference", "email", "permissions"),
)
ASSIGNMENTS = Kind(
    noun="assignments",
    table=("id", "audienceId", "primaryContentId"),
    fields=(
        "id", "audienceId", "primaryContentId", "alternativeContentIds", "hideAlternativeContent", "completionPeriod",
        "recurrence", "isActive", "isDeleted", "createdAt", "updatedAt", "deletedAt",
    ),
)  # fmt: skip
ENROLMENTS = Kind(
    noun="enrolments",
    table=("id", "userId", "status", "dueDate"),
    fields=(
        "id", "userId", "assignmentId", "audienceId", "primaryContentId", "status", "availableDate", "dueDate",
        "lastCompletedAt", "history", "updatedAt",
    ),
)  # fmt: skip
COMPLETIONS = Kind(
    noun="completions",
    table=("userId", "contentId", "completedAt", "isRPL"),
    fields=(
        "id", "userId", "contentId", "contentVersion", "skills", "completionType", "hadDueDate", "isRPL", "completedAt",
        "activeUntil",
    ),
)  # fmt: skip
CONTENTS = Kind(
    noun="contents",
    table=("id", "type", "title", "isOfficial", "updatedAt"),
    fields=(
        "id", "title", "description", "tags", "type", "createdAt", "updatedAt", "author", "isOfficial", "duration",
        "contentHistory",
    ),
)  # fmt: skip
ACTIVITIES = Kind(
    noun="activities",
    table=("date", "type", "user", "contextId"),
    fields=("id", "user", "type", "name", "date", "contextId", "contextType", "contentType", "data", "with"),
)
CATEGORIES = Kind(noun="categories", table=("categoryId", "name"), fields=("categoryId", "name"))
ENTRIES = Kind(
    noun="entries",
    table=("logEntryId", "userId", "entryDate", "durationMinutes", "activity.name", "category.name"),
    fields=(
        "logEntryId", "userId", "activity.type", "activity.name", "category.categoryId", "category.name", "entryDate",
        "durationMinutes", "description", "isVerified",
    ),
)  # fmt: skip
REQUIREMENTS = Kind(
    noun="requirements",
    table=("audienceRequirementId", "audienceId", "requiredMinutes", "updatedAt"),
    fields=("audienceRequirementId", "audienceId", "requiredMinutes", "createdAt", "updatedAt"),
)
SUMMARIES = Kind(noun="users", table=("userId", "durationMinutes"), fields=("userId", "durationMinutes"))
TAGS = Kind(noun="tags", table=("id", "tag"), fields=("id", "tag", "contents", "campaigns", "interests", "skills"))
LEVELS = Kind(noun="levels", table=("value", "name", "isEnabled"), fields=("value", "name", "isEnabled"))

RESOURCES = (
    Resource(
        "users",
        "Look at users.",
        USERS,
        list=Look(
            operations.SEARCH_USERS,
            "List users.",
            filters=(
                Filter("status", "Only users with this status: active, inactive, expired or new."),
                Filter("statuses", "Only users with one of these statuses."),
                Filter("omit_statuses", "Leave out users with these statuses."),
                Filter("updated_since", "Only users changed at this time or later."),
            ),
        ),
    ),
    Resource(
        "audiences",
        "Look at audiences, their members and managers.",
        AUDIENCES,
        list=Look(
            operations.LIST_AUDIENCES,
            "List audiences and structures.",
            filters=(
                Filter("api_controlled", "Only those made through the API, or only the others."),
                _UPDATED_SINCE,
            ),
        ),
        get=Look(operations.GET_AUDIENCE, "Show one audience.", _THIS_AUDIENCE),
    ),
    Resource(
        "audiences members",
        "Look at the members of an audience.",
        MEMBERS,
        list=Look(operations.LIST_MEMBERS, "List the members of an audience.", _THIS_AUDIENCE),
    ),
    Resource(
        "audiences managers",
        "Look at the managers of an audience.",
        MANAGERS,
        list=Look(operations.LIST_MANAGERS, "List the managers of an audience and what they may do.", _THIS_AUDIENCE),
    ),
    Resource(
        "assignments",
        "Look at assignments and their enrolments.",
        ASSIGNMENTS,
        list=Look(
            operations.LIST_ASSIGNMENTS,
            "List assignments, deleted ones included.",
            filters=(
                Filter("audience", "Only those of this audience, by id or reference.", "audienceId"),
                _UPDATED_SINCE,
            ),
        ),
        get=Look(operations.GET_ASSIGNMENT, "Show one assignment.", {"assignment": "Its id."}),
    ),
    Resource(
        "assignments enrolments",
        "Look at the enrolments of an assignment.",
        ENROLMENTS,
        list=Look(
            operations.LIST_ENROLMENTS,
            "List the enrolments of an assignment: the people who have to do it, by when, and their status.",
            {"assignment": "The assignment's id."},
            filters=(
                Filter("status", "Only enrolments with this status: open, complete, overdue, scheduled or archived."),
                Filter("updated_from", "Only enrolments changed at this time or later.", "updatedAtFrom"),
                Filter("updated_to", "Only enrolments changed up to this time; needs --updated-from.", "updatedAtTo"),
            ),
        ),
        get=Look(
            operations.GET_ENROLMENT,
            "Show one enrolment.",
            {"assignment": "The assignment's id.", "enrolment": "The enrolment's id."},
        ),
    ),
    Resource(
        "completions",
        "Look at completions.",
        COMPLETIONS,
        list=Look(
            operations.LIST_COMPLETIONS,
            "List completions.",
            filters=(
                Filter("content", "Only completions of this content, by id.", "contentId"),
                Filter("user", "Only completions of this user, by id.", "userId"),
                Filter("rpl", "Only completions that count as prior learning, or only the others.", "isRPL"),
                Filter("completed_from", "Only completions from this time on.", "completedDateRangeStart"),
                Filter("completed_to", "Only completions up to this time.", "completedDateRangeEnd"),
            ),
        ),
        get=Look(operations.GET_COMPLETION, "Show one completion.", {"completion": "Its id."}),
    ),
    Resource(
        "contents",
        "Look at contents.",
        CONTENTS,
        list=Look(
            operations.LIST_CONTENTS,
            "List contents.",
            filters=(
                Filter("types", "Only these types, such as article,video,scorm."),
                Filter("omit_types", "Leave out these types."),
                Filter("updated_since", "Only contents changed at this time or later."),
            ),
        ),
        get=Look(operations.GET_CONTENT, "Show one content.", {"content": "Its id."}),
    ),
    Resource(
        "activities",
        "Look at activities: who viewed, completed or liked what, and when.",
        ACTIVITIES,
        list=Look(
            operations.LIST_ACTIVITIES,
            "List activities.",
            filters=(
                Filter("actions", "Only these types, such as viewed,completed."),
                Filter("omit_actions", "Leave out these types."),
                Filter("contents", "Only activities on these contents, by id.", "contentIds"),
                Filter("content_type", "Only activities on contents of this type."),
                Filter("since", "Only activities from this time on.", "timestampFrom"),
                Filter("until", "Only activities up to this time.", "timestampTo"),
            ),
        ),
        get=Look(operations.GET_ACTIVITY, "Show one activity.", {"activity": "Its id."}),
    ),
    Resource(
        "cpd categories",
        "Look at CPD categories.",
        CATEGORIES,
        list=Look(operations.LIST_CPD_CATEGORIES, "List CPD categories.", filters=(_UPDATED_SINCE,)),
        get=Look(operations.GET_CPD_CATEGORY, "Show one CPD category.", {"category": "Its id."}),
    ),
    Resource(
        "cpd entries",
        "Look at CPD log entries.",
        ENTRIES,
        list=Look(
            operations.LIST_CPD_ENTRIES,
            "List CPD log entries.",
            filters=(
                Filter("since", "Only entries dated at this time or later.", "entryDateFrom"),
                Filter("until", "Only entries dated up to this time.", "entryDateTo"),
            ),
        ),
        get=Look(operations.GET_CPD_ENTRY, "Show one CPD log entry.", {"entry": "Its id."}),
    ),
    Resource(
        "cpd requirements",
        "Look at the CPD requirements of audiences.",
        REQUIREMENTS,
        list=Look(operations.LIST_CPD_REQUIREMENTS, "List CPD requirements.", filters=(_UPDATED_SINCE,)),
        get=Look(operations.GET_CPD_REQUIREMENT, "Show one CPD requirement.", {"requirement": "Its id."}),
    ),
    Resource(
        "cpd user-summaries",
        "Look at CPD minutes per user.",
        SUMMARIES,
        list=Look(
            operations.LIST_CPD_USER_SUMMARIES,
            "Sum up CPD minutes per user over a period.",
            filters=(
                Filter("since", "The start of the period; Thrive requires one.", "entryDateFrom"),
                Filter("until", "The end of the period; Thrive requires one.", "entryDateTo"),
                Filter("users", "Only these users, by id.", "userIds"),
            ),
        ),
    ),
    Resource(
        "tags",
        "Look at tags.",
        TAGS,
        list=Look(operations.LIST_TAGS, "List tags.", filters=(_UPDATED_SINCE,)),
        get=Look(
            operations.GET_TAG,
            "Show one tag, and the contents, campaigns, interests and skills that carry it.",
            {"tag": "Its id."},
        ),
    ),
    Resource("skills", "Look at skill levels.", LEVELS),
)


def apps() -> list[App]:
    """Make the commands of all resources, the top level only: the others hang below them."""
    made = {"cpd": App(name="cpd", help="Look at continuing professional development.")}
    for resource in RESOURCES:
        above, _, name = resource.words.rpartition(" ")
        made[resource.words] = App(name=name, help=resource.help)
        add_commands(made[resource.words], resource)
        if above:
            made[above].command(made[resource.words])
    made["users"].command(get_user, name="get")
    made["audiences"].command(_audience_tree.tree)
    made["skills"].command(levels, alias="list")
    return [app for words, app in made.items() if " " not in words]


def get_user(
    user: str,
    /,
    *,
    ref: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    output: Single = Single(),  # noqa: B008 - frozen
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one user.

    Args:
        user: The user's id; with --ref, the reference that your HR system uses.
        ref: USER is a reference. Thrive then answers with fewer fields.
        output: How to show it.
        connection: The Thrive tenant to use.
    """
    return show_one(
        USERS, lambda thrive: thrive.users.get_by_ref(user) if ref else _by_id(thrive, user), output, connection
    )


async def _by_id(thrive: ThriveClient, user: str) -> User:
    from thrive_async.errors import BadRequestError, NotFoundError  # noqa: PLC0415 - after the parsing
    from thrive_async.sync._match.names import is_object_id  # noqa: PLC0415

    try:
        return await thrive.users.get(user)
    except (BadRequestError, NotFoundError) as error:
        if is_object_id(user):
            raise
        hint = f"{user} does not look like an id; if it is a reference, say --ref"
        raise CliError(f"{error} ({hint})", Exit.REFUSED) from error


def levels(
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List the skill levels that this tenant uses."""
    to = writer(output, LEVELS)

    async def show() -> int:
        async with connection.client() as thrive:
            found = [as_json(level) for level in await thrive.skills.levels()]
        for level in found:
            to.write(level)
        to.close()
        return Exit.DONE

    return run_async(show)
