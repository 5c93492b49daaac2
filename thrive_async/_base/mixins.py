"""What some generated models can do besides holding their fields.

A schema with ``x-thrive-mixin: Name`` becomes a class that also derives from ``Name`` in this module.
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
    """Tells what went wrong when members or managers were added, replaced or moved, without a look for None."""

    __slots__ = ()

    @property
    def is_known(self: _Result[object]) -> bool:
        """Whether the reply said who was processed; False for a 2xx without such a body. Read to find out then."""
        return self.success is not None or self.failure is not None

    @property
    def is_partial(self: _Result[object]) -> bool:
        """Whether some or all were not processed, or the part of the reply that tells could not be read."""
        if "failure" in unread(self):
            return True
        return self.failure is not None and bool(self.failure.entities or self.failure.count)

    @property
    def failures(self: _Result[Entity_co]) -> list[Entity_co]:
        """The people who were not processed, with the reasons; empty if all went well."""
        return list((self.failure.entities if self.failure is not None else None) or ())
