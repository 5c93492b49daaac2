"""``thrive.audiences.members``: the members of an audience, up to 100 per write.

To write more members, or to make an audience match a list, see ``thrive_async.sync``.
"""

from __future__ import annotations

from collections.abc import Iterable

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource
from thrive_async.resources._checks import batch
from thrive_async.resources._written import member_operation

__all__ = ["Members"]


class Members(Resource):
    """The members of one audience.

    Pass an audience's id or reference, and a user's id, ref or e-mail address. You can change only the members of
    API-controlled audiences.
    """

    def list(
        self, audience: str, *, per_page: int | None = None, prefetch: int = 4, timeouts: Timeouts | None = None
    ) -> Paginator[models.AudienceMember]:
        """List the members of an audience.

        API: ``GET /rest/v1/audiences/{audienceId}/members``.
        https://docs.thrivelearning.com/apidocs/gets-an-audience-members-list

        Args:
            audience: The audience's id or reference.
            per_page: Members per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of members. Nothing is sent until you read it. The API promises no order: if members change
            while you read, you may miss one or see one twice.

        Raises:
            InvalidArgument: `per_page` or `prefetch` is out of range.
        """
        return self._list(ops.LIST_MEMBERS, models.AudienceMember, locals())

    async def add(
        self, audience: str, users: Iterable[str], *, timeouts: Timeouts | None = None
    ) -> models.MemberOperationResult:
        """Add existing users to an audience.

        API: ``POST /rest/v1/audiences/{audienceId}/members``.
        https://docs.thrivelearning.com/apidocs/adds-users-to-an-audiences-members-list

        Args:
            audience: The audience's id or reference.
            users: 1 to 100 users, each by id, ref or e-mail address. You may mix the kinds.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The users added, and those not added with the reason, each under the name you sent. If some were not added
            (207), `is_partial` is True and `failures` names them; this does not raise. If Thrive's reply does not give
            the result for each user, `is_known` is False: list the members to find out.

        Raises:
            TypeError: You passed a single string as `users`.
            ValueError: There is no user, a blank one, or more than 100.
            NotFoundError: There is no such audience. Thrive documents no 404 here, so it may also be a 422.
            ConflictError: The audience is not API-controlled, or its state does not allow this.
            UnprocessableError: Thrive refused the batch as a whole.

        Example:
            ```python
            result = await thrive.audiences.members.add("sales-emea", ["ada@example.com", "E-1002"])
            for entity in result.failures:
                print(entity.reference, entity.reason)
            ```
        """
        body = batch("users", users, str, "users")
        reply = await self._send(ops.ADD_MEMBERS, path={"audienceId": audience}, body=body, timeouts=timeouts)
        return member_operation(ops.ADD_MEMBERS, reply, self._transport.problems)

    async def replace(
        self, audience: str, users: Iterable[str], *, timeouts: Timeouts | None = None
    ) -> models.MemberOperationResult:
        """Make these users the only members of an audience. All others leave it.

        Do not call this again for the next 100 users: that removes the first 100. Use `thrive_async.sync` instead.

        API: ``PATCH /rest/v1/audiences/{audienceId}/members``.
        https://docs.thrivelearning.com/apidocs/replaces-an-audiences-members-list-with-the-given-list-of-users-does-not-support-an-empty-array

        Args:
            audience: The audience's id or reference.
            users: 1 to 100 users, each by id, ref or e-mail address. This cannot empty an audience.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The users who are now members, and those who are not, as for `add`.

        Raises:
            TypeError: You passed a single string as `users`.
            ValueError: There is no user, a blank one, or more than 100.
            NotFoundError: There is no such audience.
            ConflictError: The audience is not API-controlled, or its state does not allow this.
            UnprocessableError: Thrive refused the batch as a whole.
        """
        body = batch("users", users, str, "users")
        reply = await self._send(ops.REPLACE_MEMBERS, path={"audienceId": audience}, body=body, timeouts=timeouts)
        return member_operation(ops.REPLACE_MEMBERS, reply, self._transport.problems)

    async def remove(self, audience: str, user: str, *, timeouts: Timeouts | None = None) -> None:
        """Remove a user from an audience.

        API: ``DELETE /rest/v1/audiences/{audienceId}/members/{userRef}``. No official page was found; third-party
        evidence.

        Args:
            audience: The audience's id or reference.
            user: The user's id, ref or e-mail address.
            timeouts: Time limits for this call. The default is the client's.

        Raises:
            NotFoundError: There is no such audience, or the user is not a member of it.
            ConflictError: The audience is not API-controlled, or its state does not allow this.
            APIError: Thrive answered 2xx but reported a `failure`: the user was not removed. `message` is the reason.
        """
        await self._send(ops.REMOVE_MEMBER, path={"audienceId": audience, "userRef": user}, timeouts=timeouts)
