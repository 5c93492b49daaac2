# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""The public names as type checkers see them: `nox -s types` checks this file without running it."""

from typing import assert_type

import thrive_async
from thrive_async import ThriveClient, sync
from thrive_async.models import User
from thrive_async.sandbox import Sandbox


def a_misspelt_name_is_an_error() -> object:
    from thrive_async import ThriveClent  # type: ignore[attr-defined]

    return ThriveClent or thrive_async.ThriveClent  # type: ignore[attr-defined]


async def public_modules_are_typed_as_attributes(thrive: thrive_async.ThriveClient) -> object:
    assert_type(thrive_async.models.User, type[User])
    assert_type(thrive_async.sandbox.Sandbox, type[Sandbox])
    assert_type(thrive_async.client.ThriveClient, type[ThriveClient])
    assert_type(await thrive.users.get("id"), thrive_async.models.User)
    assert_type(await thrive_async.sync.plan_members(thrive, "a", []), sync.MemberPlan)
    return (
        thrive_async.auth.ApiKey,
        thrive_async.config.Limits,
        thrive_async.errors.ThriveError,
        thrive_async.pagination.Paginator,
        thrive_async.resources.Users,
    )
