"""``thrive.tags``: the tags of the tenant, and where they are used."""

from __future__ import annotations

from datetime import datetime

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource

__all__ = ["Tags"]


class Tags(Resource):
    """The tags of the tenant. To tag a person, see `thrive.users.add_tags`."""

    def list(
        self,
        *,
        updated_since: datetime | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.Tag]:
        """List the tags.

        API: ``GET /rest/v1/tags``. Third-party evidence only: no official page was found. The client also reads a
        reply that is a bare array.

        Args:
            updated_since: Only tags changed at this time or later. Must have a time zone.
            per_page: Tags per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of tags. Nothing is sent until you read it.

        Raises:
            InvalidArgument: `updated_since` has no time zone, or `per_page` or `prefetch` is out of range.
        """
        return self._list(ops.LIST_TAGS, models.Tag, locals())

    async def get(self, tag_id: str, *, timeouts: Timeouts | None = None) -> models.Tag:
        """Get a tag.

        API: ``GET /rest/v1/tags/{tagId}``. Third-party evidence only: no official page was found.

        Args:
            tag_id: The tag's id, not its name.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The tag, with the ids of the contents, campaigns, interests and skills that use it.

        Raises:
            NotFoundError: There is no such tag.
        """
        return await self._read(ops.GET_TAG, models.Tag, path={"tagId": tag_id}, timeouts=timeouts)
