"""``thrive.activities``: what people did, and when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource

__all__ = ["Activities"]


class Activities(Resource):
    """What people viewed, completed, liked, searched for and so on. Read-only."""

    def list(
        self,
        *,
        actions: Iterable[models.ActivityType | str] | None = None,
        omit_actions: Iterable[models.ActivityType | str] | None = None,
        content_ids: Iterable[str] | None = None,
        content_type: models.ContentType | str | None = None,
        timestamp_from: datetime | None = None,
        timestamp_to: datetime | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.Activity]:
        """List activities.

        API: ``GET /rest/v1/activities``.
        https://docs.thrivelearning.com/apidocs/query-activity-records

        Args:
            actions: Only activities of these types.
            omit_actions: Leave out activities of these types.
            content_ids: Only activities on these contents.
            content_type: Only activities on contents of this type.
            timestamp_from: Only activities from this time on. Must have a time zone. Sent in UTC, in whole seconds.
            timestamp_to: Only activities up to this time. Must have a time zone. Sent in UTC, in whole seconds.
            per_page: Activities per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of activities. Nothing is sent until you read it.

        Raises:
            TypeError: You passed a single string as `actions`, `omit_actions` or `content_ids`.
            InvalidArgument: A time has no time zone, a filter is empty, or `per_page` or `prefetch` is out of range.

        Example:
            ```python
            since = datetime(2026, 1, 1, tzinfo=UTC)
            async for activity in thrive.activities.list(actions=["completed"], timestamp_from=since):
                print(activity.user, activity.context_id)
            ```
        """
        return self._list(ops.LIST_ACTIVITIES, models.Activity, locals())

    async def get(self, activity_id: str, *, timeouts: Timeouts | None = None) -> models.Activity:
        """Get an activity.

        API: ``GET /rest/v1/activity/{id}`` (singular).
        https://docs.thrivelearning.com/apidocs/get-a-single-activity-record

        Args:
            activity_id: The activity's id (24 hexadecimal digits).
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The activity. Its `data` is a plain dictionary with keys that depend on the type.

        Raises:
            NotFoundError: There is no such activity.
        """
        return await self._read(ops.GET_ACTIVITY, models.Activity, path={"id": activity_id}, timeouts=timeouts)
