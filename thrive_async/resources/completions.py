"""``thrive.completions``: who completed what, and the way to record it from outside."""

from __future__ import annotations

from datetime import date, datetime

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources._base import Resource, read_reply
from thrive_async.resources._models import models
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

        API: ``GET /rest/v1/learning/completions``. No official page was found; third-party evidence.

        Args:
            content_id: Only completions of this content.
            is_rpl: True for only those recorded as prior learning, False for only the others.
            user_id: Only completions by this user, by id.
            completed_from: Only completions from this day or time on, inclusive. A datetime must have a time zone.
            completed_to: Only completions up to this day or time, inclusive. A datetime must have a time zone.
            per_page: Completions per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request; None for the client's.

        Returns:
            A paginator of completions. Nothing is sent until you read it. Thrive gives no totals here.

        Raises:
            InvalidArgument: A time without a time zone; `per_page` or `prefetch` out of range.
        """
        return self._list(ops.LIST_COMPLETIONS, models.Completion, locals())

    async def get(self, completion_id: str, *, timeouts: Timeouts | None = None) -> models.Completion:
        """Get a completion.

        API: ``GET /rest/v1/learning/completions/{id}``. No official page was found; third-party evidence.

        Args:
            completion_id: The completion's id; not known to be the statement id that `create` answers with.
            timeouts: The time limits of this call, if not the client's.

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

        You may call it again: Thrive does not record the same completion twice.

        API: ``POST /rest/v1/learning/completions``.
        https://docs.thrivelearning.com/apidocs/creates-a-completion-record

        Args:
            completion: User, content and the time of completion (aware); all three are required.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The statement id, and in `created` whether the record is new: False if Thrive had it already. If Thrive
            confirms the record without saying so, `statement_id` is None, and `created` too unless the status tells.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such user or content.
            UnprocessableError: The fields do not go together.

        Example:
            ```python
            receipt = await thrive.completions.create(
                CompletionCreate(user_id=user.id, content_id=content.id, completed_at=datetime.now(UTC))
            )
            ```
        """
        reply = await self._send(ops.CREATE_COMPLETION, body=completion, timeouts=timeouts)
        # The status says whether the record is new; a field of this name would say something else.
        reply.value = {name: item for name, item in record(reply.value).items() if name != "created"}
        receipt = read_reply(ops.CREATE_COMPLETION, models.CompletionReceipt, reply, self._transport.problems)
        if reply.status == 201 or receipt.statement_id is not None:
            receipt.created = reply.status == 201
        return receipt
