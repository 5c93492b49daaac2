"""Refuse a run: arguments out of range, and plans that go too far. Each refusal names the option that lifts it."""

import inspect
import math
import os
import uuid
from collections.abc import AsyncIterable, Iterable, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Final, Literal, get_args

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import InvalidArgument
from thrive_async.models import Audience
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.report import NOT_AWAITED, OnProgress

__all__ = [
    "DEFAULT_MAX_AGE",
    "DEFAULT_MAX_CHANGES",
    "DEFAULT_MAX_REMOVALS",
    "DEFAULT_MAX_TOTAL_REMOVALS",
    "Applying",
    "Guard",
    "MaxRemovals",
    "Strategy",
    "check_audience",
    "check_audience_name",
    "check_changes",
    "check_desired",
    "check_flags",
    "check_iterable",
    "check_removals",
    "check_total",
    "check_writable",
    "missing_audience",
    "removal_limit",
]

Strategy = Literal["diff", "rebuild"]


# Arguments


def _fraction(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidArgument(
            f"${name} as a fraction must lie between 0.0 and 1.0, got {value}; a count is an int", name
        )
    return float(value)


@attrs.frozen
class Guard:
    """A limit that grows with the number of people, and never falls below a floor.

    Example:
        >>> sync.Guard(0.10, at_least=1)  # one leaver of a team of six passes; three do not

    Attributes:
        fraction: The part of the people, 0.0 to 1.0.
        at_least: The floor: this many are always allowed.
    """

    fraction: float
    at_least: int = 0

    def __attrs_post_init__(self) -> None:
        if isinstance(self.at_least, bool) or not isinstance(self.at_least, int) or self.at_least < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument(f"$at_least must be a count of people, not {self.at_least!r}", "at_least")
        fraction = _fraction(self.fraction, "fraction")
        object.__setattr__(self, "fraction", fraction)

    def __str__(self) -> str:
        floor = f", at least {self.at_least:,}" if self.at_least else ""
        return f"{self.fraction * 100:g}% of them{floor}"


MaxRemovals = float | Guard | None
"""A count (int), a fraction (float), a `Guard`, or None for no limit."""
DEFAULT_MAX_REMOVALS: Final = Guard(0.10, at_least=1)
DEFAULT_MAX_TOTAL_REMOVALS: Final = Guard(0.05, at_least=20)
DEFAULT_MAX_CHANGES: Final = Guard(0.10, at_least=5)
DEFAULT_MAX_AGE: Final = timedelta(hours=24)


@attrs.frozen(kw_only=True)
class Applying:
    """How to apply a plan; see `MemberPlan.apply`. It is made before anything is sent, so a mistake changes nothing.

    The journal calls it `sync`: the runs of one call have it in common.

    Raises:
        TypeError: An argument has the wrong type, or `on_progress` is a coroutine function.
        InvalidArgument: An argument is out of range.
    """

    max_removals: MaxRemovals = DEFAULT_MAX_REMOVALS
    max_total_removals: MaxRemovals = None
    on_progress: OnProgress | None = None
    journal: str | os.PathLike[str] | None = None
    strategy: Strategy = "diff"
    verify: bool = False
    wait: float = 0.0
    max_age: timedelta | None = DEFAULT_MAX_AGE
    sync: str = attrs.field(factory=lambda: uuid.uuid4().hex)

    def __attrs_post_init__(self) -> None:
        check_flags(verify=self.verify)
        removal_limit(self.max_removals, 0)
        removal_limit(self.max_total_removals, 0, "max_total_removals")
        if self.strategy not in get_args(Strategy):
            raise InvalidArgument('$strategy must be "diff" or "rebuild"', "strategy")
        if isinstance(self.wait, bool) or not isinstance(self.wait, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"wait must be a number of seconds, not {type(self.wait).__name__}")
        if not 0 <= self.wait < math.inf:
            raise InvalidArgument(f"$wait must be a number of seconds, 0 or more, got {self.wait}", "wait")
        if self.max_age is not None and not isinstance(self.max_age, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"max_age must be a timedelta or None, not {type(self.max_age).__name__}")
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
    """Check that flags are True or False: the text ``"no"`` would count as True.

    Raises:
        TypeError: A flag is neither.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {type(value).__name__}")


def check_audience_name(audience: object) -> None:
    """Check that an audience is named by text.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(audience, str):
        raise TypeError(f"an audience is named by its id or reference as text, not by {type(audience).__name__}")


def check_iterable(name: str, value: object, what: str) -> None:
    """Check that a value is an iterable, but not a lone string, which would be read letter by letter.

    Args:
        name: The name of the argument.
        value: The value to check.
        what: The items that it should hold, for the error.

    Raises:
        TypeError: The value is a string or cannot be iterated.
    """
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Iterable | AsyncIterable):
        raise TypeError(f"{name} must be an iterable or async iterable of {what}, not a lone {type(value).__name__}")


# Plans


def removal_limit(limit: MaxRemovals, current: int, name: str = "max_removals") -> Fraction | None:
    """Return how many removals are allowed, which need not be a whole number.

    Args:
        limit: A count (int), a fraction of the current members (float, 0.0 to 1.0), a `Guard`, or None for no limit.
        current: How many members there are now.
        name: The name of the argument.

    Returns:
        The exact limit (0.29 of 100 is 29, without float errors), or None for no limit.

    Raises:
        InvalidArgument: The limit has another type or is out of range.
    """
    if limit is None:
        return None
    if isinstance(limit, Guard):
        return max(Fraction(str(limit.fraction)) * current, Fraction(limit.at_least))
    if isinstance(limit, bool) or not isinstance(limit, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgument(f"${name} must be a count (int), a fraction (float), a Guard or None", name)
    if isinstance(limit, int):
        if limit < 0:
            raise InvalidArgument(f"${name} must not be negative, got {limit}", name)
        return Fraction(limit)
    return Fraction(str(_fraction(limit, name))) * current


def check_removals(
    subject: str,
    removals: int,
    current: int,
    limit: MaxRemovals,
    *,
    what: str = "members",
    verb: str = "the plan removes",
    name: str = "max_removals",
    done: int = 0,
) -> None:
    """Refuse more removals than the limit.

    Args:
        subject: The audience's name.
        removals: How many removals are planned.
        current: How many people there are now.
        limit: A count, a fraction of the current people, a `Guard`, or None for no guard.
        what: The people to remove, for the error.
        verb: What happens to them, for the error.
        name: The name of the argument that lifts the guard.
        done: How many of the removals were already made, in other audiences.

    Raises:
        GuardRefused: There are more removals than the limit.
        InvalidArgument: The limit is out of range.
    """
    allowed = removal_limit(limit, current, name)
    if allowed is None or removals <= allowed:
        return
    share = f"{removals / current:.1%}" if current else "100%"
    told = f"{math.floor(allowed):,}"
    if not isinstance(limit, int):
        told += f" ({limit if isinstance(limit, Guard) else Guard(limit or 0.0)})"
    after = f"; {done:,} were removed before, and nothing was changed here" if done else "; nothing was changed"
    raise GuardRefused(
        f"{subject}: {verb} {removals:,} of {current:,} {what} ({share}), ${name} allows {told}{after}",
        argument=name,
        value=removals,
        figures={"removals": removals, "current": current, "allowed": float(allowed)},
    )


def check_total(subject: str, removals: int, current: int, limit: MaxRemovals, *, done: int = 0) -> None:
    """Refuse more removals than the limit over all audiences of a run.

    Args:
        subject: The audience to refuse, or a name for all of them.
        removals: How many removals are planned in total.
        current: How many memberships there are in total.
        limit: As for `check_removals`.
        done: How many of the removals were already made.

    Raises:
        GuardRefused: There are more removals than the limit.
    """
    check_removals(
        subject,
        removals,
        current,
        limit,
        what="memberships",
        verb="the lists together remove",
        name="max_total_removals",
        done=done,
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
    """Refuse a desired list without a usable name.

    Args:
        subject: The audience's name.
        usable: How many people the list names.
        rejected: Entries that cannot be read, with the reason.
        allow_empty: Whether to accept an empty list.
        what: The name of the list, for the error.
        past: What would happen to all people, for the error; None if nothing would.

    Raises:
        GuardRefused: The list has no usable name, and `allow_empty` is not set.
    """
    if usable or allow_empty:
        return
    found = "empty"
    if rejected:
        found = f"{len(rejected):,} entries, none of them usable" if len(rejected) > 1 else "1 entry, not usable"
        found += f" (the first: {rejected[0][1]})"
    consequence = f", so everyone would be {past}" if past else ""
    raise GuardRefused(
        f"{subject}: the {what} is {found}{consequence}; nothing was changed", argument="allow_empty", value=True
    )


def check_audience(subject: str, audience: Audience) -> None:
    """Refuse an audience whose members the API cannot change.

    Args:
        subject: The audience's name as the caller wrote it.
        audience: The audience as Thrive returned it.

    Raises:
        GuardRefused: The audience is smart, or was not made through the API.
    """
    if audience.type == "smart":
        raise GuardRefused(
            f"{subject} is a smart audience: its rules choose its members, so nothing was changed. "
            "No option lifts this: sync a manual audience, or change the rules in Thrive"
        )
    if audience.api_controlled is False:
        raise GuardRefused(
            f"{subject} is not API-controlled, so its members can only be changed in Thrive; nothing was changed. "
            "No option lifts this: create an audience through the API ($create_missing, when you sync several), and "
            "sync that",
            named=("create_missing",),
        )


async def check_writable(thrive: ThriveClient, subject: str, audience_id: str) -> None:
    """Check that the audience of a run still exists and can be changed.

    Args:
        thrive: The client.
        subject: The audience's name as the caller wrote it.
        audience_id: The audience's id.

    Raises:
        SyncError: The audience's members can no longer be changed.
        ThriveError: The audience could not be read; a NotFoundError if it is gone.
    """
    try:
        check_audience(subject, await thrive.audiences.get(audience_id))
    except GuardRefused:
        raise SyncError(
            f"{subject} has become smart or is no longer API-controlled, so it accepts no members"
        ) from None


def missing_audience(subject: str) -> GuardRefused:
    """Return the error for an audience that does not exist."""
    return GuardRefused(
        f"{subject}: there is no such audience, so nothing was changed. "
        "Check the reference, or create it ($create_missing, when you sync several audiences)",
        named=("create_missing",),
    )


def check_changes(subject: str, changes: int, matched: int, limit: MaxRemovals) -> None:
    """Refuse to change the name or e-mail address of more people than the limit.

    One extra cell in a column of an export would give each person the next one's address.

    Args:
        subject: A name for the people, for the error.
        changes: How many people get another name or address, each counted once.
        matched: How many people the export names.
        limit: A count, a fraction of the matched people, a `Guard`, or None for no guard.

    Raises:
        GuardRefused: There are more changes than the limit.
        InvalidArgument: The limit is out of range.
    """
    allowed = removal_limit(limit, matched, "max_changes")
    if allowed is None or changes <= allowed:
        return
    raise GuardRefused(
        f"{subject}: the plan changes the name or e-mail address of {changes:,} of {matched:,} people "
        f"({changes / matched:.1%}), $max_changes allows {math.floor(allowed):,}; nothing was changed. "
        "Check whether a column of the export has slipped",
        argument="max_changes",
        value=changes,
        figures={"changes": changes, "matched": matched, "allowed": float(allowed)},
    )
