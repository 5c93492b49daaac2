"""``thrive.assignments``: contents that an audience has to complete, and the enrolments of its members."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._written import WritingResource
from thrive_async.resources.enrolments import Enrolments

if TYPE_CHECKING:
    from thrive_async._http.view import Sender

__all__ = ["Assignments"]


class Assignments(WritingResource):
    """The assignments of the tenant.

    A request has `content_id` where a reply has `primary_content_id`.

    Attributes:
        enrolments: Each person's progress with an assignment.
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

        API: ``GET /rest/v1/assignments``. Only third-party evidence supports `updated_since`.
        https://docs.thrivelearning.com/v1-api/apidocs/returns-a-list-of-assignments

        Args:
            audience_id: Only assignments of this audience, by id or reference.
            updated_since: Only assignments changed at this time or later. Must have a time zone.
            per_page: Assignments per request, 1 to 100. None for 100, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of assignments, which may include deleted ones (`is_deleted`). Nothing is sent until you read
            it. Thrive sends no totals here.

        Raises:
            InvalidArgument: `updated_since` has no time zone, or `per_page` or `prefetch` is out of range.
        """
        return self._list(ops.LIST_ASSIGNMENTS, models.Assignment, locals())

    async def get(self, assignment_id: str, *, timeouts: Timeouts | None = None) -> models.Assignment:
        """Get an assignment.

        API: ``GET /rest/v1/assignments/{assignmentId}``.
        https://docs.thrivelearning.com/apidocs/returns-an-assignment

        Args:
            assignment_id: The assignment's id.
            timeouts: Time limits for this call. The default is the client's.

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

        The SDK does not repeat this call if the answer is lost: check whether the assignment exists before you retry.

        API: ``POST /rest/v1/assignments``.
        https://docs.thrivelearning.com/apidocs/creates-an-assignment

        Args:
            assignment: The new assignment. Audience and content are required. Completion period and recurrence are in
                days.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The assignment as Thrive created it.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such audience or content.
            UnprocessableError: The fields contradict each other.
            ResultUnknown: The assignment was created, but Thrive did not send it back, and the SDK did not find
                exactly one assignment of this content to this audience.
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

        API: ``PATCH /rest/v1/assignments/{assignmentId}``. Third-party evidence only: no official page was found.

        Args:
            assignment_id: The assignment's id.
            changes: The fields to change. The audience's id is always required. Fields you leave out (UNSET) do not
                change.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The assignment after the change.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such assignment, audience or content.
            UnprocessableError: The fields contradict each other.
            ResultUnknown: The assignment was changed, but Thrive did not send it back, and reading it failed.
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
            audience_id: The id of its audience, which Thrive requires too.
            timeouts: Time limits for this call. The default is the client's.

        Raises:
            NotFoundError: There is no such assignment in this audience.
        """
        body = models.AssignmentDelete(audience_id=audience_id)
        await self._send(ops.DELETE_ASSIGNMENT, path={"assignmentId": assignment_id}, body=body, timeouts=timeouts)
