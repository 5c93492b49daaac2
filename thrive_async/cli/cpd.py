"""`thrive cpd`, `tags` and `skills`: professional development, and the words that Thrive sorts things by."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from cyclopts import App, Parameter

from thrive_async.cli._errors import Exit
from thrive_async.cli._listing import Kind, Listing, Single, as_json, columns_of, show_list, show_one
from thrive_async.cli._options import When, texts, when
from thrive_async.cli._output import Writer
from thrive_async.cli._session import Connection, run_async

__all__ = ["app", "skills", "tags"]

app: App = App(name="cpd", help="Look at continuing professional development.")
categories: App = App(name="categories", help="Look at CPD categories.")
entries: App = App(name="entries", help="Look at CPD log entries.")
requirements: App = App(name="requirements", help="Look at CPD requirements of audiences.")
summaries: App = App(name="user-summaries", help="Look at CPD minutes per user.")
tags: App = App(name="tags", help="Look at tags.")
skills: App = App(name="skills", help="Look at skill levels.")
for _part in (categories, entries, requirements, summaries):
    app.command(_part)

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


@categories.command(name="list")
def list_categories(
    *,
    updated_since: When = None,
    output: Listing = Listing(),  # noqa: B008 - frozen
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List CPD categories.

    Args:
        updated_since: Only those changed at this time or later.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        CATEGORIES,
        lambda thrive, paging: thrive.cpd.categories.list(updated_since=updated_since, **paging),
        output,
        connection,
    )


@categories.command(name="get")
def get_category(
    category: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one CPD category.

    Args:
        category: Its id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(CATEGORIES, lambda thrive: thrive.cpd.categories.get(category), output, connection)


@entries.command(name="list")
def list_entries(
    *,
    since: When = None,
    until: When = None,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List CPD log entries.

    Args:
        since: Only entries dated at this time or later.
        until: Only entries dated up to this time.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        ENTRIES,
        lambda thrive, paging: thrive.cpd.entries.list(entry_date_from=since, entry_date_to=until, **paging),
        output,
        connection,
    )


@entries.command(name="get")
def get_entry(
    entry: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one CPD log entry.

    Args:
        entry: Its id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(ENTRIES, lambda thrive: thrive.cpd.entries.get(entry), output, connection)


@requirements.command(name="list")
def list_requirements(
    *,
    updated_since: When = None,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List CPD requirements.

    Args:
        updated_since: Only those changed at this time or later.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        REQUIREMENTS,
        lambda thrive, paging: thrive.cpd.requirements.list(updated_since=updated_since, **paging),
        output,
        connection,
    )


@requirements.command(name="get")
def get_requirement(
    requirement: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one CPD requirement.

    Args:
        requirement: Its id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(REQUIREMENTS, lambda thrive: thrive.cpd.requirements.get(requirement), output, connection)


@summaries.command(name="list")
def list_summaries(
    *,
    since: Annotated[datetime, Parameter(converter=when, metavar="DATE")],
    until: Annotated[datetime, Parameter(converter=when, metavar="DATE")],
    users: Annotated[str | None, Parameter(metavar="A,B")] = None,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Sum up CPD minutes per user over a period.

    Args:
        since: The start of the period; Thrive demands one.
        until: The end of the period; Thrive demands one.
        users: Only these users, by id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        SUMMARIES,
        lambda thrive, paging: thrive.cpd.user_summaries.list(
            entry_date_from=since, entry_date_to=until, user_ids=texts(users), **paging
        ),
        output,
        connection,
    )


@tags.command(name="list")
def list_tags(
    *,
    updated_since: When = None,
    output: Listing = Listing(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List tags.

    Args:
        updated_since: Only those changed at this time or later.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        TAGS, lambda thrive, paging: thrive.tags.list(updated_since=updated_since, **paging), output, connection
    )


@tags.command(name="get")
def get_tag(
    tag: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one tag, and the contents, campaigns, interests and skills that carry it.

    Args:
        tag: Its id.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_one(TAGS, lambda thrive: thrive.tags.get(tag), output, connection)


@skills.command(alias="list")
def levels(
    *,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List the skill levels that this tenant uses."""
    columns = columns_of(output, LEVELS)

    async def show() -> int:
        async with connection.client() as thrive:
            found = [as_json(level) for level in await thrive.skills.levels()]
        writer = Writer(output.format, columns=columns, defaults=LEVELS.table, fields=LEVELS.fields)
        for level in found:
            writer.write(level)
        writer.close()
        return Exit.DONE

    return run_async(show)
