"""What to create where an audience does not exist: described, put in order, created."""

from collections.abc import Iterable

import attrs

from thrive_async._base.unset import UNSET
from thrive_async.client import ThriveClient
from thrive_async.errors import AuthenticationError, InvalidArgument, PermissionDeniedError, ThriveError
from thrive_async.models import Audience, AudienceCreate
from thrive_async.sync._guards import check_audience_name

__all__ = ["NewAudience", "created", "parents_first"]


@attrs.frozen
class NewAudience:
    """What to create where an audience does not exist.

    Attributes:
        reference: Its reference, up to 100 characters.
        name: Its name, up to 100 characters; the reference if None.
        parent: The id or reference of the structure it belongs to; None for a structure.
    """

    reference: str
    name: str | None = None
    parent: str | None = None

    def body(self) -> AudienceCreate:
        """Return what is sent to create it."""
        return AudienceCreate(
            name=self.name or self.reference,
            reference=self.reference,
            parent_id=UNSET if self.parent is None else self.parent,
            category="structure" if self.parent is None else "audience",
        )


async def created(thrive: ThriveClient, new: NewAudience) -> Audience:
    """Create an audience; if the answer is lost or it is there already, read it.

    Raises:
        ThriveError: It was not created.
    """
    try:
        return await thrive.audiences.create(new.body())
    except (AuthenticationError, PermissionDeniedError):
        raise
    except ThriveError as error:
        # The answer may be lost, or the audience was created meanwhile: reading tells.
        try:
            return await thrive.audiences.get(new.reference)
        except ThriveError:
            raise error from None


def parents_first(described: Iterable[NewAudience]) -> list[NewAudience]:
    """Put new audiences into an order in which they can be created.

    Raises:
        InvalidArgument: Something is described twice, cannot be created, or is inside itself.
        TypeError: Something is no `NewAudience`.
    """
    by_reference: dict[str, NewAudience] = {}
    for new in described:
        if not isinstance(new, NewAudience):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"create_missing must hold NewAudiences, not {type(new).__name__}")
        check_audience_name(new.reference)
        if by_reference.setdefault(new.reference, new) is not new:
            raise InvalidArgument(f"$create_missing describes {new.reference} twice", "create_missing")
        try:
            new.body()
        except (ValueError, TypeError) as error:
            raise InvalidArgument(
                f"$create_missing cannot make {new.reference[:100]!r}: {error}", "create_missing"
            ) from error
    ordered: dict[str, NewAudience] = {}
    for new in by_reference.values():
        chain: dict[str, NewAudience] = {}
        above: NewAudience | None = new
        while above is not None and above.reference not in ordered:
            if above.reference in chain:
                raise InvalidArgument(f"$create_missing puts {above.reference} inside itself", "create_missing")
            chain[above.reference] = above
            above = by_reference.get(above.parent) if above.parent is not None else None
        ordered.update(reversed(chain.items()))
    return list(ordered.values())
