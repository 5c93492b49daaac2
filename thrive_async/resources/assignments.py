"""``thrive.assignments``: contents that an audience has to complete, with the enrolments of its members."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources._models import models
from thrive_async.resources._written import WritingResource
from thrive_async.resources.enrolments import Enrolments

if TYPE_CHECKING:
    from thrive_async._http.view import Sender

__all__ = ["Assignments"]


class Assignments(WritingResource):
    """The assignments of the tenant.

    What a request calls `content_id`, an answer calls `primary_content_id`.

    Attributes:
        enrolments: How far each person is with an assignment.
    """

    def __init__(self, transport: Sender) -> None:
        super().__init__(transport)
        self.enrolments: Enrolments = Enrolments(transport)

    def list(
        self,
        *,
        audience_id: str | None = None,
        updated_since: datetime | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.Assignment]:
        """List assignments.

        API: ``GET /rest/v1/assignments``. `updated_since` rests on third-party evidence.
        https://docs.thrivelearning.com/v1-api/apidocs/returns-a-list-of-assignments

        Args:
            audience_id: Only assignments of this audience, by id or reference.
            updated_since: Only assignments changed at this time or later. Must have a time zone.
            per_page: Assignments per request, 1 to 100. None for 100, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request; None for the client's.

        Returns:
            A paginator of assignments; deleted ones may be among them (`is_deleted`). Nothing is sent until you
            read it. Thrive gives no totals here.

        Raises:
            InvalidArgument: `updated_since` without a time zone; `per_page` or `prefetch` out of range.
        """
        return self._list(ops.LIST_ASSIGNMENTS, models.Assignment, locals())

    async def get(self, assignment_id: str, *, timeouts: Timeouts | None = None) -> models.Assignment:
        """Get an assignment.

        API: ``GET /rest/v1/assignments/{assignmentId}``.
        https://docs.thrivelearning.com/apidocs/returns-an-assignment

        Args:
            assignment_id: The assignment's id.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The assignment.

        Raises:
            NotFoundError: There is no such assignment.
        """
        return await self._read(
            ops.GET_ASSIGNMENT, models.Assignment, path={"assignmentId": assignment_id}, timeouts=timeouts
        )

    async def create(
        self, assignment: models.AssignmentCreate, *, timeouts: Timeouts | None = None
    ) -> models.Assignment:
        """Assign a content to an audience.

        It is not repeated if the answer was lost: look whether the assignment is there before you try again.

        API: ``POST /rest/v1/assignments``.
        https://docs.thrivelearning.com/apidocs/creates-an-assignment

        Args:
            assignment: The audience and the content are required. Completion period and recurrence are in days.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The assignment as Thrive made it.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such audience or content.
            UnprocessableError: The fields do not go together.
            ResultUnknown: The assignment was created, but Thrive did not send it, and no single assignment of this
                content to this audience could be read.
        """

        async def again(assignment_id: str | None, left: Timeouts) -> models.Assignment | None:
            if assignment_id is not None:
                return await self.get(assignment_id, timeouts=left)
            there = await self.list(audience_id=assignment.audience_id, timeouts=left).collect()
            same = [one for one in there if one.primary_content_id == assignment.content_id and not one.is_deleted]
            return same[0] if len(same) == 1 else None

        return await self._write(ops.CREATE_ASSIGNMENT, models.Assignment, again, body=assignment, timeouts=timeouts)

    async def update(
        self, assignment_id: str, changes: models.AssignmentUpdate, *, timeouts: Timeouts | None = None
    ) -> models.Assignment:
        """Change an assignment.

        API: ``PATCH /rest/v1/assignments/{assignmentId}``. No official page was found; third-party evidence.

        Args:
            assignment_id: The assignment's id.
            changes: The fields to change; the audience's id is always required. Fields left out (UNSET) stay as they
                are.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The assignment after the change.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such assignment, audience or content.
            UnprocessableError: The fields do not go together.
            ResultUnknown: The assignment was changed, but Thrive did not send it and it could not be read.
        """
        return await self._write(
            ops.UPDATE_ASSIGNMENT,
            models.Assignment,
            lambda found, left: self.get(found or assignment_id, timeouts=left),
            path={"assignmentId": assignment_id},
            body=changes,
            timeouts=timeouts,
        )

    async def delete(self, assignment_id: str, *, audience_id: str, timeouts: Timeouts | None = None) -> None:
        """Delete an assignment.

        API: ``DELETE /rest/v1/assignments/{assignmentId}``, with a body. No official page was found; third-party
        evidence.

        Args:
            assignment_id: The assignment's id.
            audience_id: The id of the audience it belongs to; Thrive wants both.
            timeouts: The time limits of this call, if not the client's.

        Raises:
            NotFoundError: There is no such assignment in this audience.
        """
        body = models.AssignmentDelete(audience_id=audience_id)
        await self._send(ops.DELETE_ASSIGNMENT, path={"assignmentId": assignment_id}, body=body, timeouts=timeouts)
