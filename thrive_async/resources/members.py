"""``thrive.audiences.members``: who is in an audience, up to 100 people per write.

To write more people, or to make an audience match a list, see ``thrive_async.sync``.
"""

from __future__ import annotations

from collections.abc import Iterable

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources._base import Resource
from thrive_async.resources._checks import batch
from thrive_async.resources._models import models
from thrive_async.resources._written import member_operation

__all__ = ["Members"]


class Members(Resource):
    """The members of one audience.

    Name an audience by its id or its reference, and a user by id, ref or e-mail address. Only the members of
    API-controlled audiences can be changed.
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
            timeouts: Time limits for each request; None for the client's.

        Returns:
            A paginator of members. Nothing is sent until you read it. The API promises no order: if members change
            meanwhile, one may be missed or seen twice.

        Raises:
            InvalidArgument: `per_page` or `prefetch` out of range.
        """
        return self._list(ops.LIST_MEMBERS, models.AudienceMember, locals())

    async def add(
        self, audience: str, users: Iterable[str], *, timeouts: Timeouts | None = None
    ) -> models.MemberOperationResult:
        """Add users to an audience. They must exist already.

        API: ``POST /rest/v1/audiences/{audienceId}/members``.
        https://docs.thrivelearning.com/apidocs/adds-users-to-an-audiences-members-list

        Args:
            audience: The audience's id or reference.
            users: 1 to 100 users, each by id, ref or e-mail address; the kinds may be mixed.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            Who was added and who was not, with the reason, each under the name you sent. If some were not added
            (207), `is_partial` is True and `failures` names them; that is a result, not an exception. If Thrive's
            reply does not say what became of each person, `is_known` is False: list the members to find out.

        Raises:
            TypeError: A lone string for `users`.
            ValueError: No user, more than 100, or a blank one.
            NotFoundError: There is no such audience. The documents list no 404 here, so it may also be a 422.
            ConflictError: The audience is not API-controlled, or in no state for this.
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
        """Make these users the only members of an audience; all others leave it.

        Do not call it again for the next 100: that would drop the first 100. Use `thrive_async.sync` for more people.

        API: ``PATCH /rest/v1/audiences/{audienceId}/members``.
        https://docs.thrivelearning.com/apidocs/replaces-an-audiences-members-list-with-the-given-list-of-users-does-not-support-an-empty-array

        Args:
            audience: The audience's id or reference.
            users: 1 to 100 users, each by id, ref or e-mail address. This cannot empty an audience.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            Who is a member now and who is not, as for `add`.

        Raises:
            TypeError: A lone string for `users`.
            ValueError: No user, more than 100, or a blank one.
            NotFoundError: There is no such audience.
            ConflictError: The audience is not API-controlled, or in no state for this.
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
            timeouts: The time limits of this call, if not the client's.

        Raises:
            NotFoundError: There is no such audience, or the user is not a member of it.
            ConflictError: The audience is not API-controlled, or in no state for this.
            APIError: Thrive answered 2xx with a `failure` for the user, who was not removed; `message` is the reason.
        """
        await self._send(ops.REMOVE_MEMBER, path={"audienceId": audience, "userRef": user}, timeouts=timeouts)
