"""What some generated models can do beside holding their fields; the specification names these classes.

A schema with ``x-thrive-mixin: Name`` becomes a class that also derives from ``Name`` in this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thrive_async._generated.models import FailedEntities, FailedEntity

__all__ = ["MemberOperations"]


class MemberOperations:
    """For results of adding, replacing and moving members or managers: what went wrong, without looking for None."""

    __slots__ = ()

    if TYPE_CHECKING:
        failure: FailedEntities | None

    @property
    def is_partial(self) -> bool:
        """Whether anyone was not processed, be it some or all."""
        return self.failure is not None and bool(self.failure.entities or self.failure.count)

    @property
    def failures(self) -> list[FailedEntity]:
        """Everyone who was not processed, with the reasons; empty if all went well."""
        return (self.failure.entities if self.failure is not None else None) or []
