"""`thrive users`: who is in Thrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._listing import Kind, Listing, Single, show_list, show_one
from thrive_async.cli._options import When, texts
from thrive_async.cli._session import Connection

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.models import User

__all__ = ["app"]

app: App = App(name="users", help="Look at users.")

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


@app.command(name="list")
def list_users(
    *,
    status: str | None = None,
    statuses: Annotated[str | None, Parameter(metavar="A,B")] = None,
    omit_statuses: Annotated[str | None, Parameter(metavar="A,B")] = None,
    updated_since: When = None,
    output: Listing = Listing(),  # noqa: B008 - frozen
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """List users.

    Args:
        status: Only users of this status: active, inactive, expired or new.
        statuses: Only users of these statuses.
        omit_statuses: Leave out users of these statuses.
        updated_since: Only users changed at this time or later.
        output: How to show it.
        connection: Whom to ask.
    """
    return show_list(
        USERS,
        lambda thrive, paging: thrive.users.list(
            status=status,
            statuses=texts(statuses),
            omit_statuses=texts(omit_statuses),
            updated_since=updated_since,
            **paging,
        ),
        output,
        connection,
    )


@app.command
def get(
    user: str,
    /,
    *,
    ref: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    output: Single = Single(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show one user.

    Args:
        user: The user's id; with --ref, the reference that your HR system knows.
        ref: USER is a reference. Thrive then answers with fewer fields.
        output: How to show it.
        connection: Whom to ask.
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
