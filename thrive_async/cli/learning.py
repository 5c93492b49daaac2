"""`thrive assignments`, `completions`, `contents`, `activities`: what people are to learn, and did."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from thrive_async.cli._listing import Kind, Listing, Single, show_list, show_one
from thrive_async.cli._options import When, texts
from thrive_async.cli._session import Connection

__all__ = ["activities", "assignments", "completions", "contents"]

assignments: App = App(name="assignments", help="Look at assignments and their enrolments.")
enrolments: App = App(name="enrolments", help="Look at the enrolments of an assignment.")
completions: App = App(name="completions", help="Look at completions.")
contents: App = App(name="contents", help="Look at contents.")
activities: App = App(name="activities", help="Look at activities: who viewed, completed, liked what and when.")
assignments.command(enrolments)

Names = Annotated[str | None, Parameter(metavar="A,B")]

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


@assignments.command(name="list")
def list_assignments(
    *,
    audience: str | None = None,
    updated_since: When = None,
    output: Listing = Listing(),  # noqa: B008 - frozen
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List assignments; deleted ones are among them.

    Args:
        audience: Only those of this audience, by id or reference.
        updated_since: Only those changed at this time or later.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        ASSIGNMENTS,
        lambda thrive, paging: thrive.assignments.list(audience_id=audience, updated_since=updated_since, **paging),
        output,
        connection,
    )


@assignments.command(name="get")
def get_assignment(
    assignment: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one assignment.

    Args:
        assignment: Its id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(ASSIGNMENTS, lambda thrive: thrive.assignments.get(assignment), output, connection)


@enrolments.command(name="list")
def list_enrolments(
    assignment: str,
    /,
    *,
    status: str | None = None,
    updated_from: When = None,
    updated_to: When = None,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List the enrolments of an assignment: who is to do it, until when, and who has.

    Args:
        assignment: The assignment's id.
        status: Only enrolments of this status: open, complete, overdue, scheduled or archived.
        updated_from: Only enrolments changed at this time or later.
        updated_to: Only enrolments changed until this time; needs --updated-from.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        ENROLMENTS,
        lambda thrive, paging: thrive.assignments.enrolments.list(
            assignment, status=status, updated_at_from=updated_from, updated_at_to=updated_to, **paging
        ),
        output,
        connection,
    )


@enrolments.command(name="get")
def get_enrolment(
    assignment: str,
    enrolment: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one enrolment.

    Args:
        assignment: The assignment's id.
        enrolment: The enrolment's id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(
        ENROLMENTS, lambda thrive: thrive.assignments.enrolments.get(assignment, enrolment), output, connection
    )


@completions.command(name="list")
def list_completions(
    *,
    content: str | None = None,
    user: str | None = None,
    rpl: Annotated[bool | None, Parameter(show_default=False)] = None,
    completed_from: When = None,
    completed_to: When = None,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List completions.

    Args:
        content: Only completions of this content, by id.
        user: Only completions of this user, by id.
        rpl: Only those recognised as prior learning, or only the others.
        completed_from: Only completions from this time on.
        completed_to: Only completions up to this time.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        COMPLETIONS,
        lambda thrive, paging: thrive.completions.list(
            content_id=content,
            user_id=user,
            is_rpl=rpl,
            completed_from=completed_from,
            completed_to=completed_to,
            **paging,
        ),
        output,
        connection,
    )


@completions.command(name="get")
def get_completion(
    completion: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one completion.

    Args:
        completion: Its id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(COMPLETIONS, lambda thrive: thrive.completions.get(completion), output, connection)


@contents.command(name="list")
def list_contents(
    *,
    types: Names = None,
    omit_types: Names = None,
    updated_since: When = None,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List contents.

    Args:
        types: Only these types, such as article,video,scorm.
        omit_types: Leave out these types.
        updated_since: Only contents changed at this time or later.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        CONTENTS,
        lambda thrive, paging: thrive.contents.list(
            types=texts(types), omit_types=texts(omit_types), updated_since=updated_since, **paging
        ),
        output,
        connection,
    )


@contents.command(name="get")
def get_content(
    content: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one content.

    Args:
        content: Its id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(CONTENTS, lambda thrive: thrive.contents.get(content), output, connection)


@activities.command(name="list")
def list_activities(
    *,
    actions: Names = None,
    omit_actions: Names = None,
    contents: Names = None,
    content_type: str | None = None,
    since: When = None,
    until: When = None,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List activities.

    Args:
        actions: Only these types, such as viewed,completed.
        omit_actions: Leave out these types.
        contents: Only activities on these contents, by id.
        content_type: Only activities on contents of this type.
        since: Only activities from this time on.
        until: Only activities up to this time.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        ACTIVITIES,
        lambda thrive, paging: thrive.activities.list(
            actions=texts(actions),
            omit_actions=texts(omit_actions),
            content_ids=texts(contents),
            content_type=content_type,
            timestamp_from=since,
            timestamp_to=until,
            **paging,
        ),
        output,
        connection,
    )


@activities.command(name="get")
def get_activity(
    activity: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one activity.

    Args:
        activity: Its id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(ACTIVITIES, lambda thrive: thrive.activities.get(activity), output, connection)
