"""``thrive.completions``: read completions, and record those from other systems."""

from __future__ import annotations

from datetime import date, datetime

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource, read_reply
from thrive_async.resources._written import record

__all__ = ["Completions"]


class Completions(Resource):
    """The completion records of the tenant."""

    def list(
        self,
        *,
        content_id: str | None = None,
        is_rpl: bool | None = None,
        user_id: str | None = None,
        completed_from: date | datetime | None = None,
        completed_to: date | datetime | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.Completion]:
        """List completions.

        API: ``GET /rest/v1/learning/completions``. Third-party evidence only: no official page was found.

        Args:
            content_id: Only completions of this content.
            is_rpl: True for only completions recorded as prior learning, False for only the others.
            user_id: Only completions by this user, by id.
            completed_from: Only completions from this day or time on, inclusive. A datetime must have a time zone.
            completed_to: Only completions up to this day or time, inclusive. A datetime must have a time zone.
            per_page: Completions per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of completions. Nothing is sent until you read it. Thrive sends no totals here.

        Raises:
            InvalidArgument: A time has no time zone, or `per_page` or `prefetch` is out of range.
        """
        return self._list(ops.LIST_COMPLETIONS, models.Completion, locals())

    async def get(self, completion_id: str, *, timeouts: Timeouts | None = None) -> models.Completion:
        """Get a completion.

        API: ``GET /rest/v1/learning/completions/{id}``. Third-party evidence only: no official page was found.

        Args:
            completion_id: The completion's id. The statement id from `create` may be a different one.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The completion.

        Raises:
            NotFoundError: There is no such completion.
        """
        return await self._read(ops.GET_COMPLETION, models.Completion, path={"id": completion_id}, timeouts=timeouts)

    async def create(
        self, completion: models.CompletionCreate, *, timeouts: Timeouts | None = None
    ) -> models.CompletionReceipt:
        """Record that a user completed a content.

        You can safely repeat this call: Thrive does not record the same completion twice.

        API: ``POST /rest/v1/learning/completions``.
        https://docs.thrivelearning.com/apidocs/creates-a-completion-record

        Args:
            completion: The user, the content and the time of completion, with a time zone. All three are required.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The statement id, and `created`: True if the record is new, False if Thrive already had it. If Thrive's
            confirmation lacks the statement id, `statement_id` is None, and so is `created` unless the status is 201.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such user or content.
            UnprocessableError: The fields contradict each other.

        Example:
            ```python
            receipt = await thrive.completions.create(
                CompletionCreate(user_id=user.id, content_id=content.id, completed_at=datetime.now(UTC))
            )
            ```
        """
        reply = await self._send(ops.CREATE_COMPLETION, body=completion, timeouts=timeouts)
        # The status says whether the record is new, so ignore a field with this name.
        reply.value = {name: item for name, item in record(reply.value).items() if name != "created"}
        receipt = read_reply(ops.CREATE_COMPLETION, models.CompletionReceipt, reply, self._transport.problems)
        if reply.status == 201 or receipt.statement_id is not None:
            receipt.created = reply.status == 201
        return receipt
