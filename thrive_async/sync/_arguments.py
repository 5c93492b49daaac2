"""What is refused before anything is sent: arguments that cannot be meant."""

import asyncio
import inspect
import os
from collections.abc import AsyncIterable, Iterable
from typing import Literal

from thrive_async.errors import ConfigurationError
from thrive_async.sync._apply.journal import check_journal
from thrive_async.sync._guards import removal_limit
from thrive_async.sync.report import NOT_AWAITED

__all__ = ["Strategy", "check_applying", "check_audience_name", "check_flags", "check_iterable", "check_strategy"]

Strategy = Literal["diff", "rebuild"]


def check_flags(**flags: object) -> None:
    """Refuse what is neither True nor False: the text ``"no"`` would count as True.

    Raises:
        TypeError: One of them is neither.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {type(value).__name__}")


def check_audience_name(audience: object) -> None:
    """Refuse what is no text.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(audience, str):
        raise TypeError(f"an audience is named by its id or reference as text, not by {type(audience).__name__}")


def check_iterable(name: str, value: object, what: str) -> None:
    """Refuse a lone string, which would be taken apart letter by letter, and what cannot be walked.

    Args:
        name: The argument.
        value: Its value.
        what: What it should hold.

    Raises:
        TypeError: It is one of these.
    """
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Iterable | AsyncIterable):
        raise TypeError(f"{name} must be an iterable or async iterable of {what}, not a lone {type(value).__name__}")


async def check_applying(
    *,
    max_removals: float | None,
    on_progress: object,
    journal: str | os.PathLike[str] | None,
    strategy: object = "diff",
    verify: object = False,
) -> None:
    """Refuse arguments of an apply that cannot be meant.

    Args:
        max_removals: See `removal_limit`.
        on_progress: A plain function, or None.
        journal: A path, or None.
        strategy: One of `Strategy`.
        verify: A flag.

    Raises:
        TypeError: One is of a wrong type, or `on_progress` is a coroutine function.
        ConfigurationError: One is of the right type and cannot be meant.
        OSError: The journal cannot be written.
    """
    check_flags(verify=verify)
    removal_limit(max_removals, 0)
    check_strategy(strategy)
    if on_progress is not None:
        _check_callback(on_progress)
    if journal is not None:
        if not isinstance(journal, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"journal must be a path or None, not {type(journal).__name__}")
        await asyncio.to_thread(check_journal, journal)


def check_strategy(strategy: object) -> None:
    """Refuse what is no strategy.

    Raises:
        ConfigurationError: It is none.
    """
    if strategy not in ("diff", "rebuild"):
        raise ConfigurationError('strategy must be "diff" or "rebuild"')


def _check_callback(on_progress: object) -> None:
    if not callable(on_progress):
        raise TypeError(f"on_progress must be a function or None, not {type(on_progress).__name__}")
    if inspect.iscoroutinefunction(on_progress) or inspect.iscoroutinefunction(type(on_progress).__call__):
        raise TypeError(NOT_AWAITED)
