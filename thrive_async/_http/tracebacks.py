"""Errors that carry no frame with anybody's data.

Crash reporters print the local variables of every frame of a traceback. So an error leaves the SDK without the frames
it came through: what they hold are names of people, replies about them, and headers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from thrive_async.errors import ThriveError

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


def stripped(error: E) -> E:
    """Return the error without its frames, and without those of the errors that led to it."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def framed(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let what the SDK raises on purpose, and a cancellation, leave a coroutine method without the frames below it.

    Mistakes, whether of the caller (`TypeError`, `ValueError`) or of the SDK, keep their traceback.
    """

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        awaitable: Awaitable[T] = method(*args, **kwargs)
        # This frame is the one that remains in the traceback.
        del args, kwargs
        try:
            return await awaitable
        except (ThriveError, asyncio.CancelledError) as error:
            failure = error
        raise stripped(failure)

    return call


def secretive(function: Callable[P, T]) -> Callable[P, T]:
    """Let whatever a function that is given secrets raises leave it without its frames, mistakes of the caller too."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (ThriveError, TypeError, ValueError) as error:
            failure = error
        # This frame is the one that remains in the traceback.
        del args, kwargs
        raise stripped(failure)

    return call
