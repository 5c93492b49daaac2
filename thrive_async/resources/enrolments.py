"""``thrive.assignments.enrolments``: each person's progress with an assignment."""

from __future__ import annotations

from datetime import datetime

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.errors import InvalidArgument
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource

__all__ = ["Enrolments"]


class Enrolments(Resource):
    """The enrolments of one assignment: one for each person it is assigned to. Read-only."""

    def list(
        self,
        assignment_id: str,
        *,
        updated_at_from: datetime | None = None,
        updated_at_to: datetime | None = None,
        status: models.EnrolmentStatus | str | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.Enrolment]:
        """List the enrolments of an assignment.

        API: ``GET /rest/v1/assignments/{assignmentId}/enrolments``. Only third-party evidence supports the filters.
        https://docs.thrivelearning.com/apidocs/returns-a-list-of-enrolments-for-an-assignment

        Args:
            assignment_id: The assignment's id.
            updated_at_from: Only enrolments changed from this time on. Must have a time zone.
            updated_at_to: Only enrolments changed up to this time. Must have a time zone, and needs `updated_at_from`.
            status: Only enrolments with this status (archived, complete, open, overdue, scheduled).
            per_page: Enrolments per request, 1 to 100. None for 100, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of enrolments. Nothing is sent until you read it. Thrive sends no totals here.

        Raises:
            InvalidArgument: `updated_at_to` comes without `updated_at_from`, a time has no time zone, or `per_page` or
                `prefetch` is out of range.

        Example:
            ```python
            late = await thrive.assignments.enrolments.list(assignment.id, status="overdue").collect()
            ```
        """
        if updated_at_to is not None and updated_at_from is None:
            raise InvalidArgument(
                "$updated_at_to needs $updated_at_from: Thrive does not accept an end without a start",
                "updated_at_to",
                "updated_at_from",
            )
        return self._list(ops.LIST_ENROLMENTS, models.Enrolment, locals())

    async def get(self, assignment_id: str, enrolment_id: str, *, timeouts: Timeouts | None = None) -> models.Enrolment:
        """Get an enrolment.

        API: ``GET /rest/v1/assignments/{assignmentId}/enrolments/{enrolmentId}``.
        https://docs.thrivelearning.com/apidocs/returns-the-enrolment

        Args:
            assignment_id: The assignment's id.
            enrolment_id: The enrolment's id.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The enrolment with its history.

        Raises:
            NotFoundError: There is no such assignment or enrolment.
        """
        return await self._read(
            ops.GET_ENROLMENT,
            models.Enrolment,
            path={"assignmentId": assignment_id, "enrolmentId": enrolment_id},
            timeouts=timeouts,
        )
