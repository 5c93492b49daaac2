"""Did you mean: what an audience that does not exist may be called instead."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.errors import ThriveError

__all__ = ["did_you_mean", "suggesting"]

T = TypeVar("T")


async def suggesting(thrive: ThriveClient, audience: str, plan: Awaitable[T]) -> T:
    """Make a plan; if its audience does not exist, say what may be meant.

    Args:
        thrive: The client.
        audience: The audience as it was named.
        plan: Makes the plan.

    Raises:
        ThriveError: As the plan raises it, with what may be meant.
    """
    from thrive_async.errors import GuardRefused  # noqa: PLC0415 - after the parsing

    try:
        return await plan
    except GuardRefused as refusal:
        raise (await did_you_mean(thrive, {audience: refusal}))[audience] from refusal.__cause__


async def did_you_mean(thrive: ThriveClient, errors: Mapping[str, ThriveError]) -> dict[str, ThriveError]:
    """Add to each error about a missing audience what may be meant; only then, Thrive is asked for one page of them.

    Args:
        thrive: The client.
        errors: The errors by the audience's name.
    """
    from thrive_async.errors import GuardRefused, NotFoundError, ThriveError  # noqa: PLC0415 - after the parsing

    told = dict(errors)
    missing = {
        name: error
        for name, error in errors.items()
        if isinstance(error, GuardRefused) and isinstance(error.__cause__, NotFoundError)
    }
    references: dict[str, str] = {}
    # No suggestion is no further error.
    with suppress(ThriveError):
        if missing:
            async with aclosing(thrive.audiences.list(prefetch=1).pages()) as pages:
                page = await anext(pages, None)
            audiences = [] if page is None else page.items
            references = {one.reference.casefold(): one.reference for one in audiences if one.reference}
    for name, error in missing.items():
        for close in difflib.get_close_matches(name.casefold(), references, n=1):
            text = f"{error.text}. Did you mean {references[close]}?"
            told[name] = GuardRefused(text, named=error.named)
    return told
