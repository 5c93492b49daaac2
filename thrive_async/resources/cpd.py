"""``thrive.cpd``: continuing professional development (categories, log entries, requirements, totals per user)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource

if TYPE_CHECKING:
    from thrive_async._http.view import Sender

__all__ = ["Cpd", "CpdCategories", "CpdEntries", "CpdRequirements", "CpdUserSummaries"]


class CpdCategories(Resource):
    """The categories of log entries. Read-only."""

    def list(
        self,
        *,
        updated_since: datetime | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.CpdCategory]:
        """List the categories.

        API: ``GET /rest/v1/cpdCategories``. Only third-party evidence supports the filter.
        https://docs.thrivelearning.com/apidocs/query-cpd-categories

        Args:
            updated_since: Only categories changed at this time or later. Must have a time zone.
            per_page: Categories per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of categories. Nothing is sent until you read it.

        Raises:
            InvalidArgument: `updated_since` has no time zone, or `per_page` or `prefetch` is out of range.
        """
        return self._list(ops.LIST_CPD_CATEGORIES, models.CpdCategory, locals())

    async def get(self, category_id: str, *, timeouts: Timeouts | None = None) -> models.CpdCategory:
        """Get a category.

        API: ``GET /rest/v1/cpdCategories/{categoryId}``.
        https://docs.thrivelearning.com/apidocs/get-a-single-cpd-category

        Args:
            category_id: The category's id.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The category.

        Raises:
            NotFoundError: There is no such category.
        """
        return await self._read(
            ops.GET_CPD_CATEGORY, models.CpdCategory, path={"categoryId": category_id}, timeouts=timeouts
        )


class CpdEntries(Resource):
    """The entries in people's CPD logs. Read-only."""

    def list(
        self,
        *,
        entry_date_from: datetime | None = None,
        entry_date_to: datetime | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.CpdEntry]:
        """List log entries.

        API: ``GET /rest/v1/cpdEntries``.
        https://docs.thrivelearning.com/apidocs/query-cpd-entries

        Args:
            entry_date_from: Only entries dated from this time on. Must have a time zone. Sent in UTC, in whole seconds.
            entry_date_to: Only entries dated up to this time. Must have a time zone. Sent in UTC, in whole seconds.
            per_page: Entries per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of entries. Nothing is sent until you read it.

        Raises:
            InvalidArgument: A time has no time zone, or `per_page` or `prefetch` is out of range.
        """
        return self._list(ops.LIST_CPD_ENTRIES, models.CpdEntry, locals())

    async def get(self, log_entry_id: str, *, timeouts: Timeouts | None = None) -> models.CpdEntry:
        """Get a log entry.

        API: ``GET /rest/v1/cpdEntries/{logEntryId}``.
        https://docs.thrivelearning.com/apidocs/get-a-single-cpd-entry

        Args:
            log_entry_id: The entry's id.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The entry. Its duration is in minutes.

        Raises:
            NotFoundError: There is no such entry.
        """
        return await self._read(
            ops.GET_CPD_ENTRY, models.CpdEntry, path={"logEntryId": log_entry_id}, timeouts=timeouts
        )


class CpdRequirements(Resource):
    """The minutes of CPD required of each audience. Read-only."""

    def list(
        self,
        *,
        updated_since: datetime | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.CpdRequirement]:
        """List the requirements.

        API: ``GET /rest/v1/cpdRequirementSummaries``. Only third-party evidence supports the filter.
        https://docs.thrivelearning.com/apidocs/query-cpd-requirements

        Args:
            updated_since: Only requirements changed at this time or later. Must have a time zone.
            per_page: Requirements per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of requirements. Nothing is sent until you read it.

        Raises:
            InvalidArgument: `updated_since` has no time zone, or `per_page` or `prefetch` is out of range.
        """
        return self._list(ops.LIST_CPD_REQUIREMENTS, models.CpdRequirement, locals())

    async def get(self, audience_requirement_id: str, *, timeouts: Timeouts | None = None) -> models.CpdRequirement:
        """Get a requirement.

        API: ``GET /rest/v1/cpdRequirementSummaries/{audienceRequirementId}``.
        https://docs.thrivelearning.com/apidocs/get-a-single-cpd-requirement

        Args:
            audience_requirement_id: The requirement's id.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The requirement.

        Raises:
            NotFoundError: There is no such requirement.
        """
        return await self._read(
            ops.GET_CPD_REQUIREMENT,
            models.CpdRequirement,
            path={"audienceRequirementId": audience_requirement_id},
            timeouts=timeouts,
        )


class CpdUserSummaries(Resource):
    """The minutes that each user logged in a period. Read-only."""

    def list(
        self,
        *,
        entry_date_from: datetime,
        entry_date_to: datetime,
        user_ids: Iterable[str] | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.CpdUserSummary]:
        """List the minutes logged per user in a period.

        API: ``GET /rest/v1/cpdUserLogSummaries``.
        https://docs.thrivelearning.com/apidocs/query-cpd-user-summaries

        Args:
            entry_date_from: The start of the period, required. Must have a time zone. Sent in UTC, in whole seconds.
            entry_date_to: The end of the period, required. Must have a time zone. Sent in UTC, in whole seconds.
            user_ids: Only these users, by id.
            per_page: Users per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of totals per user. Nothing is sent until you read it.

        Raises:
            TypeError: You passed a single string as `user_ids`.
            InvalidArgument: A time has no time zone, `user_ids` is empty, or `per_page` or `prefetch` is out of range.

        Example:
            ```python
            year = thrive.cpd.user_summaries.list(
                entry_date_from=datetime(2026, 1, 1, tzinfo=UTC), entry_date_to=datetime(2027, 1, 1, tzinfo=UTC)
            )
            hours = {row.user_id: row.duration_minutes / 60 async for row in year if row.duration_minutes}
            ```
        """
        return self._list(ops.LIST_CPD_USER_SUMMARIES, models.CpdUserSummary, locals())


class Cpd:
    """Continuing professional development, in four parts.

    Attributes:
        categories: The categories of log entries.
        entries: The log entries.
        requirements: The minutes required of each audience.
        user_summaries: The minutes that users logged in a period.
    """

    def __init__(self, transport: Sender) -> None:
        self.categories: CpdCategories = CpdCategories(transport)
        self.entries: CpdEntries = CpdEntries(transport)
        self.requirements: CpdRequirements = CpdRequirements(transport)
        self.user_summaries: CpdUserSummaries = CpdUserSummaries(transport)
