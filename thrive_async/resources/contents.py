"""``thrive.contents``: the learning material."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource

__all__ = ["Contents"]


class Contents(Resource):
    """The articles, files, videos, pathways and other contents of the tenant. Read-only."""

    def list(
        self,
        *,
        types: Iterable[models.ContentType | str] | None = None,
        omit_types: Iterable[models.ContentType | str] | None = None,
        updated_since: datetime | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.Content]:
        """List contents.

        API: ``GET /rest/v1/contents``. Third-party evidence only: no official page was found.

        Args:
            types: Only contents of these types. If you pass both filters, Thrive uses `types`.
            omit_types: Leave out contents of these types.
            updated_since: Only contents changed at this time or later. Must have a time zone.
            per_page: Contents per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of contents. Nothing is sent until you read it.

        Raises:
            TypeError: You passed a single string as `types` or `omit_types`.
            InvalidArgument: `updated_since` has no time zone, `types` or `omit_types` is empty, or `per_page` or
                `prefetch` is out of range.

        Example:
            ```python
            videos = await thrive.contents.list(types=["video"]).collect(limit=50)
            ```
        """
        return self._list(ops.LIST_CONTENTS, models.Content, locals())

    async def get(self, content_id: str, *, timeouts: Timeouts | None = None) -> models.Content:
        """Get a content.

        API: ``GET /rest/v1/contents/{id}``.
        https://docs.thrivelearning.com/v1-api/apidocs/get-a-single-content-record

        Args:
            content_id: The content's id (24 hexadecimal digits).
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The content. Its description may be HTML.

        Raises:
            NotFoundError: There is no such content.
        """
        return await self._read(ops.GET_CONTENT, models.Content, path={"id": content_id}, timeouts=timeouts)
