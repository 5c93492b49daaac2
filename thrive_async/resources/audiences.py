"""``thrive.audiences``: structures and the audiences inside them, with their members and managers."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from thrive_async._generated import operations as ops
from thrive_async._http.request import Reply, build
from thrive_async.config import Timeouts
from thrive_async.errors import APIError, UnprocessableError
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import check_body
from thrive_async.resources._moves import NAMELESS, member_operations
from thrive_async.resources._written import WritingResource
from thrive_async.resources.managers import Managers
from thrive_async.resources.members import Members

if TYPE_CHECKING:
    from thrive_async._http.view import Sender

__all__ = ["Audiences"]

_NO_ROUTE = frozenset({301, 302, 307, 308, 403, 404, 405})
"""Possible answers to a path with a slash too many or too few. Amazon's gateway answers 403."""
_OF_THE_UPDATE = frozenset({400, 409, 422})
"""Refusals of an update whose path Thrive knows. A 429 or a 500, for example, says nothing about the path."""


class Audiences(WritingResource):
    """The audiences of the tenant.

    A structure (category ``structure``) is a top-level audience. Every other audience belongs to one structure, its
    parent. Every method accepts an audience's id or reference.

    The API can change only API-controlled audiences: those created through the API. They are always manual, and always
    in a structure created through the API. You cannot convert an audience made in Thrive's user interface, and you can
    create and change smart audiences only there.

    Attributes:
        members: The members of an audience.
        managers: The managers of an audience.
    """

    def __init__(self, transport: Sender) -> None:
        super().__init__(transport)
        self.members: Members = Members(transport)
        self.managers: Managers = Managers(transport)
        self._slash: bool | None = None

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

        API: ``GET /rest/v1/audiences``. Only third-party evidence supports `updated_since`.
        https://docs.thrivelearning.com/apidocs/gets-audiences

        Args:
            api_controlled: True for only the audiences that the API can change, False for only the others.
            updated_since: Only audiences changed at this time or later. Must have a time zone.
            per_page: Audiences per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of audiences. Nothing is sent until you read it.

        Raises:
            InvalidArgument: `updated_since` has no time zone, or `per_page` or `prefetch` is out of range.
        """
        return self._list(ops.LIST_AUDIENCES, models.Audience, locals())

    async def get(self, audience: str, *, timeouts: Timeouts | None = None) -> models.Audience:
        """Get an audience.

        API: ``GET /rest/v1/audiences/{audienceId}``.
        https://docs.thrivelearning.com/apidocs/gets-an-audience

        Args:
            audience: The audience's id or reference.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The audience.

        Raises:
            NotFoundError: There is no such audience.
        """
        return await self._read(ops.GET_AUDIENCE, models.Audience, path={"audienceId": audience}, timeouts=timeouts)

    async def create(self, audience: models.AudienceCreate, *, timeouts: Timeouts | None = None) -> models.Audience:
        """Create a structure, or an audience inside one.

        The SDK does not repeat this call if the answer is lost: check whether the audience exists before you retry.

        API: ``POST /rest/v1/audiences``.
        https://docs.thrivelearning.com/apidocs/adds-a-new-audience

        Args:
            audience: The new audience. Name and reference have at most 100 characters each. A structure has no parent;
                an audience needs one, by id or reference.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The audience as Thrive created it. It is always API-controlled and manual.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such parent.
            ConflictError: The reference is already taken.
            UnprocessableError: The category does not allow this parent.
            ResultUnknown: The audience was created, but Thrive did not send it back, and reading it failed.

        Example:
            ```python
            await thrive.audiences.create(AudienceCreate(name="EMEA", reference="emea", category="structure"))
            await thrive.audiences.create(
                AudienceCreate(name="Sales", reference="sales-emea", parent_id="emea", category="audience")
            )
            ```
        """

        async def again(audience_id: str | None, left: Timeouts) -> models.Audience | None:
            name = audience_id or audience.reference
            return await self.get(name, timeouts=left) if isinstance(name, str) and name else None

        return await self._write(ops.CREATE_AUDIENCE, models.Audience, again, body=audience, timeouts=timeouts)

    async def update(
        self, audience: str, changes: models.AudienceUpdate, *, timeouts: Timeouts | None = None
    ) -> models.MovedAudience:
        """Rename an audience, or move it to another structure.

        A move changes the members: those who do not fit the new structure are removed, up to a day later.

        API: ``PATCH /rest/v1/audiences/{audienceId}``. Thrive documents a slash at the end, third parties leave it
        out. The client tries both until one works. The page was marked "Coming Soon" in July 2026.
        https://docs.thrivelearning.com/apidocs/updates-an-audience-1

        Args:
            audience: The audience's id or reference before the change.
            changes: The new name, reference or parent. Fields you leave out (UNSET) do not change.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The audience after the change. After a move, its `member_operations` holds the results for the members, by
            name. If some members could not be removed from the old parent (207), one result has `is_partial` True;
            this does not raise. A result without a name is called "memberOperations". `member_operations` is None if
            the audience did not move, or if Thrive's reply does not say what became of the members.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such audience or parent.
            ConflictError: The reference is already taken, or the audience's state does not allow this.
            UnprocessableError: Thrive refused. After a refused move, the error's `member_operations` holds the results
                for the members, if the reply has them.
            ResultUnknown: The audience was changed, but Thrive did not send it back, and reading it failed.
        """
        began = asyncio.get_running_loop().time()
        try:
            reply = await self._patch(audience, changes, timeouts)
        except UnprocessableError as error:
            error.member_operations = member_operations(error.body)
            raise

        async def again(audience_id: str | None, left: Timeouts) -> models.MovedAudience:
            reference = changes.reference if isinstance(changes.reference, str) else None
            found = await self.get(audience_id or reference or audience, timeouts=left)
            fields: dict[str, Any] = {field.name: getattr(found, field.name) for field in attrs.fields(models.Audience)}
            return models.MovedAudience(**fields)

        moved = await self._result(ops.UPDATE_AUDIENCE, models.MovedAudience, again, reply, self._left(timeouts, began))
        found = member_operations(reply.value)
        if found is not None and (NAMELESS in found or not moved.member_operations):
            # A result without a name was read as two results called "success" and "failure", both empty.
            moved.member_operations = found
        return moved

    async def _patch(self, audience: str, changes: models.AudienceUpdate, timeouts: Timeouts | None) -> Reply:
        """Send an update with or without the documented slash, preferring the form that has worked for this client."""
        check_body(ops.UPDATE_AUDIENCE, changes)
        bare = build(ops.UPDATE_AUDIENCE, path={"audienceId": audience}, body=changes)
        slashed = attrs.evolve(bare, target=f"{bare.target}/")
        if self._slash is not None:
            return await self._transport.send(slashed if self._slash else bare, timeouts)
        try:
            reply = await self._transport.send(slashed, timeouts)
        except APIError as error:
            if error.status not in _NO_ROUTE:
                raise
            refusal = error
        else:
            self._slash = True
            return reply
        try:
            reply = await self._transport.send(bare, timeouts)
        except APIError as error:
            if error.status in _OF_THE_UPDATE:
                self._slash = False
            if error.status not in _NO_ROUTE:
                refusal = error
        else:
            self._slash = False
            return reply
        # Out here, so that the error does not drag the other one along.
        raise refusal

    async def delete(self, audience: str, *, timeouts: Timeouts | None = None) -> None:
        """Delete an audience. Delete the children of a structure first.

        API: ``DELETE /rest/v1/audiences/{audienceId}``. One page says that an audience with children is not deleted,
        another that its children are deleted with it. Do not rely on either.
        https://docs.thrivelearning.com/apidocs/deletes-an-audience

        Args:
            audience: The audience's id or reference.
            timeouts: Time limits for this call. The default is the client's.

        Raises:
            NotFoundError: There is no such audience.
            ConflictError: The audience has children, or is not API-controlled.
            UnprocessableError: The same as for ConflictError. Thrive does not document which one it sends.
        """
        await self._send(ops.DELETE_AUDIENCE, path={"audienceId": audience}, timeouts=timeouts)
