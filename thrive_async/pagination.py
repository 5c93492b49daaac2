"""Lists as async iterators: pages in flight ahead of the reader, in order, never past the end for long."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from math import ceil
from typing import Any, Final, Generic, TypeVar, cast

from thrive_async._http.request import Reply
from thrive_async.errors import DecodeError, NotFoundError

__all__ = ["Page", "Paginator"]

T = TypeVar("T")


class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The models, in Thrive's order.
        number: From 1.
        total_pages: As this page tells it; None where Thrive does not (bare arrays).
        total_results: As this page tells it; None where Thrive does not.
    """

    __slots__ = ("_body", "_raw", "items", "number", "total_pages", "total_results")

    def __init__(
        self,
        items: list[T],
        body: Reply,
        number: int,
        total_pages: int | None = None,
        total_results: int | None = None,
    ) -> None:
        self.items: list[T] = items
        self.number: int = number
        self.total_pages: int | None = total_pages
        self.total_results: int | None = total_results
        self._body: Reply | None = body
        self._raw: list[Any] | None = None

    @property
    def raw(self) -> list[Any]:
        """The items as Thrive sent them, with the fields that the models do not know; decoded when first asked for."""
        if self._raw is None:
            assert self._body is not None  # noqa: S101 - held until it has been decoded
            self._raw = _items_and_totals(self._body.json(), None)[0]
            self._body = None
        return self._raw

    def __repr__(self) -> str:
        total = "" if self.total_results is None else f" of {self.total_results:,}"
        return f"<Page {self.number}: {len(self.items):,} items{total}>"


class _Items(Generic[T]):
    """The items of pages, one by one.

    Not a second generator around that of the pages: at its end a loop closes all generators that are left at once, and
    complains of one that another is closing. And a generator that was broken off, by a timeout around one item, looks
    like one at its end: here the next item is an error.
    """

    __slots__ = ("_broken_off", "_items", "_pages")

    def __init__(self, pages: AsyncGenerator[Page[T]]) -> None:
        self._pages = pages
        self._items: Iterator[T] = iter(())
        self._broken_off = False

    def __aiter__(self) -> "_Items[T]":
        return self

    async def __anext__(self) -> T:
        for item in self._items:
            return item
        if self._broken_off:
            raise RuntimeError("this walk was broken off by an error, a timeout or a cancel: begin another one")
        try:
            async for page in self._pages:
                self._items = iter(page.items)
                for item in self._items:
                    return item
        except BaseException:
            self._broken_off = True
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the walk; for `contextlib.aclosing`."""
        self._items = iter(())
        await self._pages.aclose()


class Paginator(Generic[T]):
    """A list on Thrive, read as it is walked; made by the `list` methods, never by hand.

    `async for item in paginator` walks every item, in Thrive's order; iterating again walks again. While a page is
    being used, up to `prefetch` further ones are on their way. Leaving early leaves nothing behind. A page that fails
    after its retries raises; nothing is ever silently cut short: a walk that was broken off, also by a timeout around
    one item, raises a RuntimeError when it is asked on.

    Example:
        async for user in thrive.users.list():
            print(user.id)
        ten = await thrive.users.list().collect(limit=10)
    """

    def __init__(
        self,
        fetch: Callable[[int, int | None, asyncio.Event | None], Awaitable[Reply]],
        read: Callable[[list[Any]], list[T]],
        *,
        operation: str,
        per_page: int | None,
        prefetch: int,
    ) -> None:
        self._fetch = fetch
        self._read = read
        self._operation = operation
        self._per_page = per_page
        self._prefetch = prefetch

    def __repr__(self) -> str:
        return f"<Paginator of {self._operation}, per_page={self._per_page}, prefetch={self._prefetch}>"

    def __aiter__(self) -> AsyncIterator[T]:
        return _Items(self.pages())

    async def first(self) -> T | None:
        """Return the first item, or None if the list is empty; asks for one item only.

        Raises:
            ThriveError: The page could not be had.
        """
        page = await self._page(1, None if self._per_page is None else 1)
        return page.items[0] if page.items else None

    async def collect(self, limit: int | None = None) -> list[T]:
        """Return the items as a list.

        Args:
            limit: At most this many, from the front; pages beyond are not asked for.

        Raises:
            ValueError: `limit` is no whole number, or negative.
            ThriveError: A page could not be had.
        """
        if limit is None:
            return [item async for item in self]
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"limit must be a whole number, 0 or more, or None for all, not {limit!r}")
        collected: list[T] = []
        if limit == 0:
            return collected
        per_page = None if self._per_page is None else min(self._per_page, limit)
        async with aclosing(self._walk(per_page, limit)) as pages:
            async for page in pages:
                collected += page.items[: limit - len(collected)]
        return collected

    def pages(self) -> AsyncGenerator[Page[T]]:
        """Walk the list page by page.

        An async generator: after an error, or a timeout around one page, it is at its end, and asking on gives no page.

        Raises:
            ThriveError: While iterating: a page could not be had.
        """
        return self._walk(self._per_page, None)

    async def _walk(self, per_page: int | None, limit: int | None) -> AsyncGenerator[Page[T]]:
        """Yield pages in order, as many as `limit` items need.

        Where pages tell the total, none beyond it is asked for. Bare arrays are read by slow start: a second page is
        asked for when the first was full, then 2, 4 ... up to `prefetch` are in flight. A first page of just 50 or 100
        where more than 100 were asked for may be all that Thrive gives at once: the second page tells.

        A page ahead stays bytes until it is wanted, and the one before is let go by then: both decoded at once fill the
        processor's cache, and 100,000 users take a quarter more time.
        """
        page = await self._page(1, per_page)
        if per_page is None:
            yield page
            return
        in_flight: deque[tuple[asyncio.Event, asyncio.Task[Page[T]]]] = deque()
        full = per_page
        window = min(2, self._prefetch)
        if per_page > max(_CERTAIN, len(page.items)) and len(page.items) in _LIKELY_MOST:
            full, window = len(page.items), 1
        # By what came and not by what was asked for: Thrive may give fewer at once.
        size = max(1, len(page.items))
        asked, seen = 1, 0
        try:
            while True:
                counted = page.total_pages is not None
                if counted:
                    end = page.total_pages or 0
                    window = self._prefetch
                else:
                    # A short page is the last one.
                    end = page.number if len(page.items) < full else page.number + window
                seen += len(page.items)
                if limit is not None:
                    end = min(end, page.number + max(0, ceil((limit - seen) / size)))
                while asked < end and len(in_flight) < window:
                    asked += 1
                    wanted = asyncio.Event()
                    task = asyncio.create_task(self._page(asked, per_page, wanted))
                    _waiting.add(task)
                    task.add_done_callback(_waiting.discard)
                    in_flight.append((wanted, task))
                number = page.number
                yield page
                if number >= end:
                    return
                del page
                wanted, task = in_flight[0]
                wanted.set()
                try:
                    page = await task
                except NotFoundError:
                    if await self._still_has(number + 1, per_page) and counted:
                        raise
                    return
                in_flight.popleft()
                if not page.items and not counted:
                    return
                if not counted:
                    window = min(window * 2, self._prefetch)
        finally:
            # An error of a page past the end is nobody's concern, but its task is ours to end.
            tasks = [task for _, task in in_flight]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _still_has(self, number: int, per_page: int) -> bool:
        """Tell whether a list should have a page that was answered by 404; where none is counted, nobody knows.

        Raises:
            NotFoundError: The list itself is gone.
        """
        first = await self._page(1, per_page)
        return first.total_pages is None or first.total_pages >= number

    async def _page(self, number: int, per_page: int | None, wanted: asyncio.Event | None = None) -> Page[T]:
        reply = await self._fetch(number, per_page, wanted)
        if len(reply.body) >= _LARGE_BODY:
            # Decoding and reading a page of 1,000 users take about 10 ms each: let others run between.
            await asyncio.sleep(0)
        page = self._read_page(reply, number, per_page)
        if isinstance(page, Page):
            return page
        page.operation = self._operation
        page.body = reply.body
        raise page

    def _read_page(self, reply: Reply, number: int, per_page: int | None) -> Page[T] | DecodeError:
        decoded, reply.value = reply.value, None
        where = "$"
        try:
            raw, total_pages, total_results = _items_and_totals(decoded, per_page)
            where = "$" if isinstance(decoded, list) else "$.results"
            items = self._read(raw)
        except DecodeError as error:
            error.path = where + error.path.removeprefix("$")
            return error
        return Page(items, reply, number, total_pages, total_results)


# A page that waits for its reader is held by nothing but the reader's iterator. Should that be found as garbage, its
# tasks live on until it has ended them.
_waiting: Final[set[asyncio.Task[Any]]] = set()
_LARGE_BODY: Final = 250_000
# The documents agree on pages of that size: a shorter one is the last.
_CERTAIN: Final = 100
# Figures that no count has; so long a number may have lost some of them on the way.
_LONGEST_COUNT: Final = 15
# Page sizes that a server may silently hold to, where it is asked for more than that.
_LIKELY_MOST: Final = frozenset({10, 20, 25, 50, 100, 200, 250, 500})


def _items_and_totals(decoded: Any, per_page: int | None) -> tuple[list[Any], int | None, int | None]:
    """Take a page apart: an envelope or a bare array, whatever the specification expects (tags may be either)."""
    if isinstance(decoded, list):
        return cast("list[Any]", decoded), None, None
    if not isinstance(decoded, dict):
        raise DecodeError("a list was expected")
    envelope = cast("dict[str, Any]", decoded)
    results = envelope.get("results")
    if not isinstance(results, list):
        raise DecodeError("a list was expected", path="$.results")
    items = cast("list[Any]", results)
    pagination = envelope.get("pagination")
    totals = cast("dict[str, Any]", pagination) if isinstance(pagination, dict) else {}
    total_results = _count(totals, "totalResults")
    total_pages = _count(totals, "totalPages")
    if total_pages is None and total_results is not None:
        size = _count(totals, "perPage") or per_page or len(items)
        total_pages = -(-total_results // size) if size else 0
    return items, total_pages, total_results


def _count(totals: dict[str, Any], name: str) -> int | None:
    value = totals.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < _LONGEST_COUNT:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**_LONGEST_COUNT:
        raise DecodeError("a count was expected", path=f"$.pagination.{name}")
    return value
