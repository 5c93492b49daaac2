"""``thrive.provisioning``: legacy events that tell Thrive what happened to an account in your organisation.

Prefer ``thrive.users`` wherever it has the call you need. Only the event ``user_joined`` ends a suspension: no other
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
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource

__all__ = ["Provisioning"]


class Provisioning(Resource):
    """Events about accounts, sent to Thrive: the legacy predecessor of the writes in ``thrive.users``.

    Thrive documents the events and little else. We have inferred that they go to ``/rest/v1/webhooks`` on the region's
    API host (or your `base_url`), and that a token for them comes from the region's webhooks host with the scope
    ``api/webhooks`` or ``api/all``. The client fetches that token itself; with an `ApiKey` it sends the key. If your
    tenant accepts events at another host, use a second client with that host as its `base_url`.

    Every call sends one event with its own id. If the answer is lost, the client repeats the event with the same id.
    This is harmless, because an event sets a state. Any 2xx means that Thrive accepted the event, not that it has
    already acted on it.
    """

    async def user_joined(self, user: models.UserCreate, *, timeouts: Timeouts | None = None) -> None:
        """Create a user, or end the suspension of the one with this ref.

        Legacy. It is the only documented way to end a suspension.

        API: ``POST /rest/v1/webhooks``.
        https://docs.thrivelearning.com/apidocs/provision-and-manage-user-accounts

        Args:
            user: The account. A suspended user is found by its ref.
            timeouts: Time limits for this call. The default is the client's.

        Raises:
            ValueError: The e-mail is missing, and the user logs in with it.
            BadRequestError: Thrive does not accept a field.
            ConflictError: The e-mail address belongs to another user.
            UnprocessableError: The fields contradict each other.

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

        Legacy: prefer `thrive.users.update`, which returns the account.

        API: ``POST /rest/v1/webhooks``.
        https://docs.thrivelearning.com/apidocs/provision-and-manage-user-accounts

        Args:
            ref: Your organisation's reference for the user.
            changes: The fields to change. A field you leave out (UNSET) does not change. Thrive does not document
                whether None clears a field here.
            timeouts: Time limits for this call. The default is the client's.

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
        """Suspend a user. `user_joined` ends the suspension.

        Legacy: prefer `thrive.users.suspend`, which returns the account.

        API: ``POST /rest/v1/webhooks``.
        https://docs.thrivelearning.com/apidocs/provision-and-manage-user-accounts

        Args:
            ref: Your organisation's reference for the user.
            end_date: The day or time the person left. A datetime must have a time zone. None sends no date.
            timeouts: Time limits for this call. The default is the client's.

        Raises:
            ValueError: `end_date` has no time zone.
            NotFoundError: There is no such user.
        """
        user = models.ProvisioningUser(ref=ref, end_date=UNSET if end_date is None else end_date)
        await self._event("user_suspended", user, timeouts)

    async def user_deleted(self, ref: str, *, timeouts: Timeouts | None = None) -> None:
        """Obfuscate a user permanently. The learning history stays. You cannot undo this.

        Legacy: prefer `thrive.users.delete`.

        API: ``POST /rest/v1/webhooks``.
        https://docs.thrivelearning.com/apidocs/provision-and-manage-user-accounts

        Args:
            ref: Your organisation's reference for the user.
            timeouts: Time limits for this call. The default is the client's.

        Raises:
            NotFoundError: There is no such user.
        """
        await self._event("user_deleted", models.ProvisioningUser(ref=ref), timeouts)

    async def _event(self, kind: str, user: models.ProvisioningUser, timeouts: Timeouts | None) -> None:
        if not user.ref.strip():
            raise InvalidArgument("$ref is empty", "ref")
        event = models.ProvisioningEvent(
            # Make the event once, before the attempts, so that every repeat is the same event.
            id=str(uuid4()),
            timestamp=datetime.now(UTC),
            event_type=kind,
            content=models.ProvisioningContent(user=user),
        )
        request = build(ops.SEND_PROVISIONING_EVENT, body=event)
        await self._transport.send(request, timeouts, authorizer=self._transport.webhooks_authorizer)


def _fields(method: str, kind: type[models.UserCreate | models.UserUpdate], given: object) -> dict[str, Any]:
    """Return the fields of a body, including those that are UNSET."""
    if not isinstance(given, kind):
        raise TypeError(f"{method} takes a thrive_async.models.{kind.__name__}, not a {type(given).__name__}")
    return attrs.asdict(given, recurse=False)
