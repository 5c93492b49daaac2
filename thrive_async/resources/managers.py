"""``thrive.audiences.managers``: the managers of an audience and their permissions."""

from __future__ import annotations

from collections.abc import Iterable

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource
from thrive_async.resources._checks import batch
from thrive_async.resources._written import member_operation

__all__ = ["Managers"]


class Managers(Resource):
    """The managers of one audience or structure.

    You cannot write a manager back as you read it: a `ManagerGrant` has only the writable permissions.
    """

    def list(self, audience: str, *, timeouts: Timeouts | None = None) -> Paginator[models.AudienceManager]:
        """List the managers of an audience.

        API: ``GET /rest/v1/audiences/{audienceId}/managers``.
        https://docs.thrivelearning.com/apidocs/gets-an-audience-managers-list

        Args:
            audience: The audience's id or reference.
            timeouts: Time limits for the request. The default is the client's.

        Returns:
            A paginator of managers. Thrive documents one reply with all of them, so there is no `per_page`. If they
            come in pages nevertheless, the paginator reads them all. Nothing is sent until you read it.
        """
        return self._list(ops.LIST_MANAGERS, models.AudienceManager, locals())

    async def add(
        self, audience: str, managers: Iterable[models.ManagerGrant], *, timeouts: Timeouts | None = None
    ) -> models.MemberOperationResult:
        """Make users managers of an audience.

        API: ``POST /rest/v1/audiences/{audienceId}/managers``.
        https://docs.thrivelearning.com/apidocs/add-a-user-to-an-audiences-managers-list

        Args:
            audience: The audience's id or reference.
            managers: 1 to 100 grants, each with a user (by e-mail address or ref) and permissions. Permissions you
                leave out are not granted. The `administrator` permissions exist only on structures.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The users added, and those not added with the reason. If some were not added (207), `is_partial` is True and
            `failures` names them. If Thrive's reply does not give the result for each user, `is_known` is False: list
            the managers to find out.

        Raises:
            TypeError: You passed a single `ManagerGrant`, or an item that is not one.
            ValueError: There is no grant, or more than 100.
            NotFoundError: There is no such audience.
            ConflictError: The audience is not API-controlled, or its state does not allow this.
            UnprocessableError: Thrive refused the batch as a whole.

        Example:
            ```python
            permissions = ManagerGrantPermissions(people_manager=PeopleManagerGrant(insights=True))
            grant = ManagerGrant(reference="ada@example.com", permissions=permissions)
            await thrive.audiences.managers.add("sales-emea", [grant])
            ```
        """
        body = batch("managers", managers, models.ManagerGrant, "ManagerGrants")
        reply = await self._send(ops.ADD_MANAGERS, path={"audienceId": audience}, body=body, timeouts=timeouts)
        return member_operation(ops.ADD_MANAGERS, reply, self._transport.problems)

    async def replace(
        self, audience: str, managers: Iterable[models.ManagerGrant], *, timeouts: Timeouts | None = None
    ) -> models.MemberOperationResult:
        """Make these users the only managers of an audience.

        API: ``PATCH /rest/v1/audiences/{audienceId}/managers``.
        https://docs.thrivelearning.com/apidocs/replaces-an-audiences-manger-list-with-the-given-list-of-managers-does-not-support-an-empty-array

        Args:
            audience: The audience's id or reference.
            managers: 1 to 100 grants, as for `add`. This cannot empty the list.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The users who are now managers, and those who are not, as for `add`.

        Raises:
            TypeError: You passed a single `ManagerGrant`, or an item that is not one.
            ValueError: There is no grant, or more than 100.
            NotFoundError: There is no such audience.
            ConflictError: The audience is not API-controlled, or its state does not allow this.
            UnprocessableError: Thrive refused the batch as a whole.
        """
        body = batch("managers", managers, models.ManagerGrant, "ManagerGrants")
        reply = await self._send(ops.REPLACE_MANAGERS, path={"audienceId": audience}, body=body, timeouts=timeouts)
        return member_operation(ops.REPLACE_MANAGERS, reply, self._transport.problems)

    async def remove(self, audience: str, user: str, *, timeouts: Timeouts | None = None) -> None:
        """Remove a user from the managers of an audience.

        API: ``DELETE /rest/v1/audiences/{audienceId}/managers/{userId}``. No official page was found; third-party
        evidence.

        Args:
            audience: The audience's id or reference.
            user: The user's id, ref or e-mail address.
            timeouts: Time limits for this call. The default is the client's.

        Raises:
            NotFoundError: There is no such audience, or the user is not a manager of it.
            ConflictError: The audience is not API-controlled, or its state does not allow this.
            APIError: Thrive answered 2xx but reported a `failure`: the user was not removed. `message` is the reason.
        """
        await self._send(ops.REMOVE_MANAGER, path={"audienceId": audience, "userId": user}, timeouts=timeouts)
