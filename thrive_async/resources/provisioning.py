"""``thrive.provisioning``: legacy events that tell Thrive what happened to an account in your organisation.

Prefer ``thrive.users`` for everything it can do. Only the event ``user_joined`` brings a suspended user back: no other
documented call does.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import attrs

from thrive_async._base.unset import UNSET
from thrive_async._generated import operations as ops
from thrive_async._http.request import build
from thrive_async.config import Timeouts
from thrive_async.errors import InvalidArgument
from thrive_async.resources._base import Resource
from thrive_async.resources._models import models

__all__ = ["Provisioning"]


class Provisioning(Resource):
    """Events about accounts, sent to Thrive: the legacy predecessor of the writes of ``thrive.users``.

    Thrive documents the events, and little else. These parts are inferred: the path ``/rest/v1/webhooks`` on the
    region's API host (or your `base_url`), and that a token for it comes from the region's webhooks host with the
    scope ``api/webhooks`` or ``api/all``. The client fetches that token by itself; with an `ApiKey` it sends the key.
    If your tenant takes events elsewhere, use a second client with that host as its `base_url`.

    Every call is one event with an id of its own. Its repeats after a lost answer carry the same id, and an event sets
    a state, so a repeat does no harm. Any 2xx means that Thrive took the event, not that it has acted on it yet.
    """

    async def user_joined(self, user: models.UserCreate, *, timeouts: Timeouts | None = None) -> None:
        """Create a user, or bring back a suspended one with the same ref.

        Legacy. It is the only documented way to end a suspension.

        API: ``POST /rest/v1/webhooks``.
        https://docs.thrivelearning.com/apidocs/provision-and-manage-user-accounts

        Args:
            user: The account. A suspended user is found by its ref.
            timeouts: The time limits of this call, if not the client's.

        Raises:
            ValueError: The e-mail is missing though the user logs in with it.
            BadRequestError: Thrive does not accept a field.
            ConflictError: The e-mail address belongs to another user.
            UnprocessableError: The fields do not go together.

        Example:
            ```python
            await thrive.provisioning.user_joined(
                UserCreate(ref="E-1001", first_name="Ada", last_name="Lovelace", email="ada@example.com")
            )
            ```
        """
        fields = _fields("user_joined", models.UserCreate, user)
        if user.email is UNSET and user.login_method != "ref":
            raise InvalidArgument('a user needs an $email, unless $login_method is "ref"', "email", "login_method")
        await self._event("user_joined", models.ProvisioningUser(**fields), timeouts)

    async def user_updated(self, ref: str, changes: models.UserUpdate, *, timeouts: Timeouts | None = None) -> None:
        """Change some fields of a user.

        Legacy: prefer `thrive.users.update`, which answers with the account.

        API: ``POST /rest/v1/webhooks``.
        https://docs.thrivelearning.com/apidocs/provision-and-manage-user-accounts

        Args:
            ref: Your organisation's reference of the user.
            changes: The fields to change. A field left out (UNSET) stays as it is; whether None clears a field here is
                not documented.
            timeouts: The time limits of this call, if not the client's.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such user.
            ConflictError: The new e-mail address belongs to another user.
        """
        fields = _fields("user_updated", models.UserUpdate, changes)
        await self._event("user_updated", models.ProvisioningUser(ref=ref, **fields), timeouts)

    async def user_suspended(
        self, ref: str, *, end_date: date | datetime | None = None, timeouts: Timeouts | None = None
    ) -> None:
        """Suspend a user. `user_joined` takes it back.

        Legacy: prefer `thrive.users.suspend`, which answers with the account.

        API: ``POST /rest/v1/webhooks``.
        https://docs.thrivelearning.com/apidocs/provision-and-manage-user-accounts

        Args:
            ref: Your organisation's reference of the user.
            end_date: The day or moment the person left. A datetime must be aware. None sends no date.
            timeouts: The time limits of this call, if not the client's.

        Raises:
            ValueError: A naive `end_date`.
            NotFoundError: There is no such user.
        """
        user = models.ProvisioningUser(ref=ref, end_date=UNSET if end_date is None else end_date)
        await self._event("user_suspended", user, timeouts)

    async def user_deleted(self, ref: str, *, timeouts: Timeouts | None = None) -> None:
        """Obfuscate a user for good; the learning history stays. Nothing takes this back.

        Legacy: prefer `thrive.users.delete`.

        API: ``POST /rest/v1/webhooks``.
        https://docs.thrivelearning.com/apidocs/provision-and-manage-user-accounts

        Args:
            ref: Your organisation's reference of the user.
            timeouts: The time limits of this call, if not the client's.

        Raises:
            NotFoundError: There is no such user.
        """
        await self._event("user_deleted", models.ProvisioningUser(ref=ref), timeouts)

    async def _event(self, kind: str, user: models.ProvisioningUser, timeouts: Timeouts | None) -> None:
        event = models.ProvisioningEvent(
            # Made here, before the attempts: every repeat of this call is the same event.
            id=str(uuid4()),
            timestamp=datetime.now(UTC),
            event_type=kind,
            content=models.ProvisioningContent(user=user),
        )
        request = build(ops.SEND_PROVISIONING_EVENT, body=event)
        await self._transport.send(request, timeouts, authorizer=self._transport.webhooks_authorizer)


def _fields(method: str, kind: type[models.UserCreate | models.UserUpdate], given: object) -> dict[str, Any]:
    """Take a body apart, those fields too that are UNSET."""
    if not isinstance(given, kind):
        raise TypeError(f"{method} takes a thrive_async.models.{kind.__name__}, not a {type(given).__name__}")
    return attrs.asdict(given, recurse=False)
