"""What refuses a run: arguments that cannot be meant, and plans that go too far. Each with the option that lifts it."""

import inspect
import math
import os
from collections.abc import AsyncIterable, Iterable, Sequence
from fractions import Fraction
from typing import Final, Literal, get_args

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError
from thrive_async.models import Audience
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.report import NOT_AWAITED, OnProgress

__all__ = [
    "DEFAULT_MAX_REMOVALS",
    "Applying",
    "Strategy",
    "check_audience",
    "check_audience_name",
    "check_desired",
    "check_flags",
    "check_iterable",
    "check_removals",
    "check_writable",
    "missing_audience",
    "removal_limit",
]

DEFAULT_MAX_REMOVALS: Final = 0.10
Strategy = Literal["diff", "rebuild"]


# Arguments


@attrs.frozen(kw_only=True)
class Applying:
    """How to apply a plan; see `MemberPlan.apply`. Made before anything is sent, so that a mistake changes nothing.

    Raises:
        TypeError: An argument is of a wrong type, or `on_progress` is a coroutine function.
        ConfigurationError: An argument cannot be meant.
    """

    max_removals: float | None = DEFAULT_MAX_REMOVALS
    on_progress: OnProgress | None = None
    journal: str | os.PathLike[str] | None = None
    strategy: Strategy = "diff"
    verify: bool = False

    def __attrs_post_init__(self) -> None:
        check_flags(verify=self.verify)
        removal_limit(self.max_removals, 0)
        if self.strategy not in get_args(Strategy):
            raise ConfigurationError('strategy must be "diff" or "rebuild"')
        if self.on_progress is not None:
            _check_callback(self.on_progress)
        if self.journal is not None and not isinstance(self.journal, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"journal must be a path or None, not {type(self.journal).__name__}")


def _check_callback(on_progress: object) -> None:
    if not callable(on_progress):
        raise TypeError(f"on_progress must be a function or None, not {type(on_progress).__name__}")
    if inspect.iscoroutinefunction(on_progress) or inspect.iscoroutinefunction(type(on_progress).__call__):
        raise TypeError(NOT_AWAITED)


def check_flags(**flags: object) -> None:
    """Refuse anything but True and False: the text ``"no"`` would count as True.

    Raises:
        TypeError: One of them is neither.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {type(value).__name__}")


def check_audience_name(audience: object) -> None:
    """Refuse an audience that is not named by text.

    Raises:
        TypeError: It is not text.
    """
    if not isinstance(audience, str):
        raise TypeError(f"an audience is named by its id or reference as text, not by {type(audience).__name__}")


def check_iterable(name: str, value: object, what: str) -> None:
    """Refuse a lone string, which would be taken apart letter by letter, and values that cannot be iterated.

    Args:
        name: The argument.
        value: Its value.
        what: What it should hold.

    Raises:
        TypeError: It is one of these.
    """
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Iterable | AsyncIterable):
        raise TypeError(f"{name} must be an iterable or async iterable of {what}, not a lone {type(value).__name__}")


# Plans


def removal_limit(max_removals: float | None, current: int) -> Fraction | None:
    """Return how many removals are allowed, which need not be a whole number.

    Args:
        max_removals: A count (int), a fraction of the current members (float, 0.0 to 1.0), or None for no limit.
        current: How many members there are now.

    Returns:
        The limit, exact (0.29 of 100 is 29, whatever floats make of it), or None for no limit.

    Raises:
        ConfigurationError: Neither a count nor a fraction.
    """
    if max_removals is None:
        return None
    if isinstance(max_removals, bool) or not isinstance(max_removals, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("max_removals must be a count (int), a fraction (float) or None")
    if isinstance(max_removals, int):
        if max_removals < 0:
            raise ConfigurationError(f"max_removals must not be negative, got {max_removals}")
        return Fraction(max_removals)
    if math.isnan(max_removals) or not 0 <= max_removals <= 1:
        raise ConfigurationError(
            f"max_removals as a fraction must lie between 0.0 and 1.0, got {max_removals}; a count is an int"
        )
    return Fraction(str(max_removals)) * current


def check_removals(
    subject: str,
    removals: int,
    current: int,
    max_removals: float | None,
    *,
    what: str = "members",
    verb: str = "removes",
) -> None:
    """Refuse more removals than allowed; at the limit is allowed.

    Args:
        subject: Whose members: the audience's name.
        removals: How many the plan removes.
        current: How many there are now.
        max_removals: A count, a fraction of the current ones, or None for no guard.
        what: The people to remove, for the error.
        verb: What the plan does to them, for the error.

    Raises:
        GuardRefused: There are more.
        ConfigurationError: `max_removals` is neither a count nor a fraction.
    """
    limit = removal_limit(max_removals, current)
    if limit is None or removals <= limit:
        return
    share = f"{removals / current:.1%}" if current else "100%"
    allowed = f"{math.floor(limit):,}"
    if isinstance(max_removals, float):
        allowed += f" ({max_removals * 100:g}% of them)"
    raise GuardRefused(
        f"{subject}: the plan {verb} {removals:,} of {current:,} {what} ({share}), $max_removals allows {allowed}; "
        "nothing was changed",
        argument="max_removals",
        value=removals,
        figures={"removals": removals, "current": current, "allowed": float(limit)},
    )


def check_desired(
    subject: str,
    usable: int,
    rejected: Sequence[tuple[str, str]],
    *,
    allow_empty: bool,
    what: str = "desired list",
    past: str | None = "removed",
) -> None:
    """Refuse a desired list without one usable name.

    Args:
        subject: Whose list: the audience's name.
        usable: How many people the list names.
        rejected: Entries that cannot be read, each with the reason.
        allow_empty: Whether an empty list is meant.
        what: What the list is called, for the error.
        past: What would happen to everybody, for the error; None if nothing would.

    Raises:
        GuardRefused: The list names nobody, and `allow_empty` is not set.
    """
    if usable or allow_empty:
        return
    found = "empty"
    if rejected:
        found = f"{len(rejected):,} entries, none of them usable" if len(rejected) > 1 else "1 entry, not usable"
        found += f" (the first: {rejected[0][1]})"
    consequence = f", so everybody would be {past}" if past else ""
    raise GuardRefused(
        f"{subject}: the {what} is {found}{consequence}; nothing was changed", argument="allow_empty", value=True
    )


def check_audience(subject: str, audience: Audience) -> None:
    """Refuse an audience whose members the API cannot change.

    Args:
        subject: The audience's name as the caller wrote it.
        audience: The audience as Thrive has it.

    Raises:
        GuardRefused: It is smart, or was not made through the API.
    """
    if audience.type == "smart":
        raise GuardRefused(
            f"{subject} is a smart audience: its rules choose its members, so nothing was changed. "
            "No option lifts this: sync a manual audience, or change the rules in Thrive"
        )
    if audience.api_controlled is False:
        raise GuardRefused(
            f"{subject} is not API-controlled, so its members can only be changed in Thrive; nothing was changed. "
            "No option lifts this: create an audience through the API (create_missing= of sync_audiences) and sync that"
        )


async def check_writable(thrive: ThriveClient, subject: str, audience_id: str) -> None:
    """Look whether the audience of a run is still there and can be written.

    Args:
        thrive: The client.
        subject: The audience's name as the caller wrote it.
        audience_id: Its id.

    Raises:
        SyncError: Its members cannot be changed any more.
        ThriveError: It could not be had; a NotFoundError if it is gone.
    """
    try:
        check_audience(subject, await thrive.audiences.get(audience_id))
    except GuardRefused:
        raise SyncError(f"{subject} is smart or no longer API-controlled: it refuses everybody") from None


def missing_audience(subject: str) -> GuardRefused:
    """Return the refusal of an audience that does not exist."""
    return GuardRefused(
        f"{subject}: there is no such audience, so nothing was changed. "
        "Check the reference, or create it (create_missing= of sync_audiences)"
    )
