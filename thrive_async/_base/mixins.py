"""Extra behaviour for some generated models.

A schema with ``x-thrive-mixin: Name`` becomes a class that also inherits from ``Name`` in this module.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from thrive_async._base.problems import unread

__all__ = ["MemberOperations"]

Entity_co = TypeVar("Entity_co", covariant=True)


class _Failure(Protocol[Entity_co]):
    @property
    def count(self) -> int | None: ...

    @property
    def entities(self) -> Sequence[Entity_co] | None: ...


class _Result(Protocol[Entity_co]):
    @property
    def success(self) -> object: ...

    @property
    def failure(self) -> _Failure[Entity_co] | None: ...


class MemberOperations:
    """Shows what failed when you add, replace or move members or managers, without checks for None."""

    __slots__ = ()

    @property
    def is_known(self: _Result[object]) -> bool:
        """Whether the reply says which users were processed. If it is False, list the users to find out."""
        return self.success is not None or self.failure is not None

    @property
    def is_partial(self: _Result[object]) -> bool:
        """Whether any users were not processed, or the part of the reply that lists them could not be read."""
        if "failure" in unread(self):
            return True
        return self.failure is not None and bool(self.failure.entities or self.failure.count)

    @property
    def failures(self: _Result[Entity_co]) -> list[Entity_co]:
        """The users who were not processed, with the reasons. Empty if all went well."""
        return list((self.failure.entities if self.failure is not None else None) or ())
