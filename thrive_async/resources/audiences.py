"""``thrive.audiences``: structures and the audiences inside them, with their members and managers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.errors import UnprocessableError
from thrive_async.pagination import Paginator
from thrive_async.resources._base import Resource
from thrive_async.resources._models import models
from thrive_async.resources._moves import member_operations
from thrive_async.resources.managers import Managers
from thrive_async.resources.members import Members

if TYPE_CHECKING:
    from thrive_async._http.transport import Transport

__all__ = ["Audiences"]


class Audiences(Resource):
    """The audiences of the tenant.

    A structure (category ``structure``) is a top-level audience; each other audience lives in one structure, its
    parent. Every method takes an audience's id or its reference. Only API-controlled audiences, those made through the
    API, can be changed by it; smart ones are ruled by their rules.

    Attributes:
        members: Who is in an audience.
        managers: Who manages an audience.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.members: Members = Members(transport)
        self.managers: Managers = Managers(transport)

    def list(
        self,
        *,
        api_controlled: bool | None = None,
        updated_since: datetime | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.Audience]:
        """List the structures and audiences of the tenant.

        API: ``GET /rest/v1/audiences``. `updated_since` rests on third-party evidence.
        https://docs.thrivelearning.com/apidocs/gets-audiences

        Args:
            api_controlled: True for only those that the API can change, False for only the others.
            updated_since: Only audiences changed at this time or later. Must have a time zone.
            per_page: Audiences per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request; None for the client's.

        Returns:
            A paginator of audiences. Nothing is sent until you read it.

        Raises:
            InvalidArgument: `updated_since` without a time zone; `per_page` or `prefetch` out of range.
        """
        return self._list(ops.LIST_AUDIENCES, models.Audience, locals())

    async def get(self, audience: str, *, timeouts: Timeouts | None = None) -> models.Audience:
        """Get an audience.

        API: ``GET /rest/v1/audiences/{audienceId}``.
        https://docs.thrivelearning.com/apidocs/gets-an-audience

        Args:
            audience: The audience's id or reference.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The audience.

        Raises:
            NotFoundError: There is no such audience.
        """
        return await self._read(ops.GET_AUDIENCE, models.Audience, path={"audienceId": audience}, timeouts=timeouts)

    async def create(self, audience: models.AudienceCreate, *, timeouts: Timeouts | None = None) -> models.Audience:
        """Create a structure, or an audience inside one.

        Not repeated when the answer was lost: look whether the audience is there before trying again.

        API: ``POST /rest/v1/audiences``.
        https://docs.thrivelearning.com/apidocs/adds-a-new-audience

        Args:
            audience: The new audience; name and reference have at most 100 characters each. Without a parent it must
                be a structure; with one (its id or reference), an audience.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The audience as Thrive made it, always API-controlled and manual.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such parent.
            ConflictError: The reference is taken.
            UnprocessableError: Category and parent do not go together.

        Example:
            ```python
            await thrive.audiences.create(AudienceCreate(name="EMEA", reference="emea", category="structure"))
            await thrive.audiences.create(
                AudienceCreate(name="Sales", reference="sales-emea", parent_id="emea", category="audience")
            )
            ```
        """
        return await self._read(ops.CREATE_AUDIENCE, models.Audience, body=audience, timeouts=timeouts)

    async def update(
        self, audience: str, changes: models.AudienceUpdate, *, timeouts: Timeouts | None = None
    ) -> models.MovedAudience:
        """Rename an audience, or move it to another structure.

        A move changes the membership: who does not fit the new structure is dropped, with up to a day's delay.

        API: ``PATCH /rest/v1/audiences/{audienceId}``. The documents print a slash after it; Thrive takes both.
        https://docs.thrivelearning.com/apidocs/updates-an-audience-1

        Args:
            audience: The audience's id or reference, as it is before the change.
            changes: The new name, reference or parent. Fields left out (UNSET) stay as they are.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The audience after the change. Its `member_operations` is None if it was not moved; otherwise it tells by
            name what became of the members. Where some could not be taken out of the old parent (207), one of them has
            `is_partial` True; that is a result, not an exception.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such audience or parent.
            ConflictError: The reference is taken, or the audience is in no state for this.
            UnprocessableError: Thrive refused. If it was a move, the error's `member_operations` says what became of
                the members, where the reply holds it.
        """
        try:
            return await self._read(
                ops.UPDATE_AUDIENCE,
                models.MovedAudience,
                path={"audienceId": audience},
                body=changes,
                timeouts=timeouts,
            )
        except UnprocessableError as error:
            error.member_operations = member_operations(error.body)
            raise

    async def delete(self, audience: str, *, timeouts: Timeouts | None = None) -> None:
        """Delete an audience. Delete the children of a structure first.

        API: ``DELETE /rest/v1/audiences/{audienceId}``. The page says that an audience with children is not deleted;
        another one says that its children go with it. Do not rely on either.
        https://docs.thrivelearning.com/apidocs/deletes-an-audience

        Args:
            audience: The audience's id or reference.
            timeouts: The time limits of this call, if not the client's.

        Raises:
            NotFoundError: There is no such audience.
            ConflictError: The audience has children, or is not API-controlled.
            UnprocessableError: As ConflictError; the documents do not say which of the two it is.
        """
        await self._send(ops.DELETE_AUDIENCE, path={"audienceId": audience}, timeouts=timeouts)
