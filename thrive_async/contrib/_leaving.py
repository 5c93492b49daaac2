"""What a browser asked for ends when the browser leaves, in frameworks that do not see to it themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ["BrowserLeft", "until_left"]

T = TypeVar("T")


class BrowserLeft(Exception):  # noqa: N818 - no failure of anyone
    """The browser closed its connection before the answer."""


async def until_left(receive: Callable[[], Awaitable[Any]], awaitable: Awaitable[T]) -> T:
    """Await something, and cancel it when an ASGI server tells of the disconnect.

    Args:
        receive: The `receive` of the request, whose body has been read.
        awaitable: What to await.

    Raises:
        BrowserLeft: The browser left first.
    """

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    asked, gone = asyncio.ensure_future(awaitable), asyncio.ensure_future(left())
    try:
        await asyncio.wait((asked, gone), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise BrowserLeft
        return asked.result()
    finally:
        asked.cancel()
        gone.cancel()
        await asyncio.gather(asked, gone, return_exceptions=True)
