"""Lists as async iterators: pages arrive ahead of the reader, in order, and every walk ends."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from math import ceil
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

import orjson

from thrive_async._base.problems import Problem, Problems
from thrive_async._base.replies import ReplyInfo
from thrive_async._http.request import Reply
from thrive_async.errors import APIError, DecodeError, IncompleteList, InvalidArgument, NotFoundError

__all__ = ["Page", "Paginator"]

T = TypeVar("T")


class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The models, in Thrive's order.
        number: From 1.
        total_pages: How many pages there are, as this page says; None where Thrive does not say (bare arrays).
        total_results: How many items there are in all, as this page says; None where Thrive does not say.
        problems: What on this page is not what the specification says: the path, such as
            `$.results[].positions[].startDate`, -> what was expected and what came. Empty if all is well.
        skipped: How many items were null. They are left out, so `items` is shorter than the page was.
        reply: The status, headers and request id of the reply that it was read from.
    """

    __slots__ = (
        "_body",
        "_came",
        "_raw",
        "items",
        "number",
        "problems",
        "reply",
        "skipped",
        "total_pages",
        "total_results",
    )

    def __init__(
        self,
        items: list[T],
        body: Reply,
        number: int,
        total_pages: int | None = None,
        total_results: int | None = None,
        *,
        came: "_Came | None" = None,
    ) -> None:
        self.items: list[T] = items
        self.number: int = number
        self.total_pages: int | None = total_pages
        self.total_results: int | None = total_results
        self.problems: Mapping[str, Problem] = {}
        self.skipped: int = 0
        self.reply: ReplyInfo = body.info
        self._body: Reply | None = body
        self._raw: list[Any] | None = None
        self._came = came or _Came.of(items, None)

    @property
    def raw(self) -> list[Any]:
        """The items as Thrive sent them, unknown fields included. Decoded on first use."""
        if self._raw is None:
            assert self._body is not None  # noqa: S101 - held until it has been decoded
            self._raw = _items_of(self._body.json())
            self._body = None
        return self._raw

    def __repr__(self) -> str:
        total = "" if self.total_results is None else f" of {self.total_results:,}"
        return f"<Page {self.number}: {len(self.items):,} items{total}>"


class _Items(Generic[T]):
    """The items of pages, one by one.

    Not a second generator around that of the pages: when a loop ends it closes all open generators at once, and
    complains about one that another is closing. A generator that was interrupted, by a timeout around one item, also
    looks finished; here the next item is an error.
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
            raise RuntimeError("this walk was interrupted by an error, a timeout or a cancel: begin another one")
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


class PageSizes:
    """What one client has learnt about the pages of one operation.

    Attributes:
        accepted: The page size to ask for if the caller names none; None if the operation has no pages.
        longest: The most items that came in one page: Thrive does not cut pages below that.
    """

    __slots__ = ("accepted", "longest")

    def __init__(self, accepted: int | None) -> None:
        self.accepted = accepted
        self.longest = 0


class Paginator(Generic[T]):
    """A list on Thrive, read while you walk it. The `list` methods make it.

    `async for item in paginator` walks every item, in Thrive's order. Iterating again walks again. While you use a
    page, up to `prefetch` further ones are on their way. Leaving early leaves nothing behind.

    Nothing is silently cut short. A page that fails after its retries raises. So does a list that ends before the total
    that Thrive gives for it. A walk that was interrupted, for example by a timeout around one item, raises a
    RuntimeError when you ask it for more.

    Example:
        async for user in thrive.users.list():
            print(user.id)
        ten = await thrive.users.list().collect(limit=10)
    """

    def __init__(
        self,
        fetch: Callable[[int, int | None, asyncio.Event | None], Awaitable[Reply]],
        read: Callable[..., list[T]],
        *,
        operation: str,
        per_page: int | None,
        prefetch: int,
        problems: Problems | None = None,
        sizes: PageSizes | None = None,
    ) -> None:
        self._fetch = fetch
        self._read = read
        self._operation = operation
        self._named_size = per_page
        self._prefetch = prefetch
        self._problems = problems
        self._sizes = sizes or PageSizes(None)

    @property
    def _per_page(self) -> int | None:
        return self._sizes.accepted if self._named_size is None else self._named_size

    def __repr__(self) -> str:
        return f"<Paginator of {self._operation}, per_page={self._per_page}, prefetch={self._prefetch}>"

    def __aiter__(self) -> AsyncIterator[T]:
        return _Items(self.pages())

    async def first(self) -> T | None:
        """Return the first item, or None if the list is empty. Asks for one item only.

        Raises:
            ThriveError: The page could not be read.
        """
        items = await self.collect(limit=1)
        return items[0] if items else None

    async def collect(self, limit: int | None = None) -> list[T]:
        """Return the items as a list.

        Args:
            limit: At most this many, from the front; pages beyond are not asked for. None for all.

        Raises:
            InvalidArgument: `limit` is negative or not a whole number.
            IncompleteList: The list ended before the total that Thrive gives for it.
            ThriveError: A page could not be read.
        """
        known = limit is None or (isinstance(limit, int) and not isinstance(limit, bool))  # pyright: ignore[reportUnnecessaryIsInstance]
        if not known or (limit is not None and limit < 0):
            raise InvalidArgument(f"$limit must be a whole number, 0 or more, or None for all, not {limit!r}", "limit")
        if limit == 0:
            return []
        page, course = begun = await self._begin(limit)
        if course.end <= 1:
            # Most lists: no generator, no task.
            return page.items if limit is None else page.items[:limit]
        collected: list[T] = []
        async with aclosing(self._walk(limit, begun)) as pages:
            async for page in pages:
                collected += page.items
        return collected if limit is None else collected[:limit]

    def pages(self) -> AsyncGenerator[Page[T]]:
        """Walk the list page by page.

        An async generator: after an error, or a timeout around one page, it is finished and gives no more pages.

        Raises:
            IncompleteList: While iterating: the list ended before the total that Thrive gives for it.
            ThriveError: While iterating: a page could not be read.
        """
        return self._walk(None)

    async def _walk(self, limit: int | None, begun: "tuple[Page[T], _Course] | None" = None) -> AsyncGenerator[Page[T]]:
        """Yield pages in order, as many as `limit` items need.

        A page ahead stays bytes until it is wanted, and the one before is let go by then: decoding both at once fills
        the processor's cache, and 100,000 users take a quarter more time.
        """
        page, course = begun or await self._begin(limit)
        del begun
        size, asked = course.size, 1
        in_flight: deque[tuple[asyncio.Event, asyncio.Task[Page[T]]]] = deque()
        try:
            while True:
                while asked < course.end and len(in_flight) < course.window:
                    asked += 1
                    wanted = asyncio.Event()
                    task = asyncio.create_task(self._page(asked, size, wanted))
                    _waiting.add(task)
                    task.add_done_callback(_waiting.discard)
                    in_flight.append((wanted, task))
                number = page.number
                yield page
                if number >= course.end:
                    return
                del page
                wanted, task = in_flight[0]
                wanted.set()
                try:
                    page = await task
                except NotFoundError:
                    # Past the end, or the list itself is gone: then page 1 raises.
                    if course.promises_more(await self._page(1, size), before=number + 1):
                        raise
                    return
                in_flight.popleft()
                if not course.takes(page):
                    self._check_whole(course, page)
                    return
        finally:
            # Errors of pages past the end do not matter, but their tasks are ours to end.
            tasks = [task for _, task in in_flight]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, limit: int | None) -> "tuple[Page[T], _Course]":
        size = self._per_page
        if limit is not None and size is not None:
            size = min(size, limit)
        page, size = await self._first_page(size)
        course = _Course(size, self._sizes, self._prefetch, limit)
        if not course.takes(page):
            self._check_whole(course, page)
        return page, course

    async def _first_page(self, size: int | None) -> tuple[Page[T], int | None]:
        """Read page 1. If Thrive refuses it and the caller named no page size, try smaller ones."""
        try:
            return await self._page(1, size), size
        except APIError as error:
            if size is None or self._named_size is not None or error.status not in _REFUSED_SIZE:
                raise
            refusal = error
        for smaller in _SMALLER_SIZES:
            if smaller < size:
                try:
                    page = await self._page(1, smaller)
                except APIError:
                    continue
                self._sizes.accepted = min(self._sizes.accepted or smaller, smaller)
                return page, smaller
        raise refusal

    def _check_whole(self, course: "_Course", page: Page[T]) -> None:
        if course.promises_more(page, before=page.number):
            error = IncompleteList(
                operation=self._operation,
                items=course.seen,
                total_results=course.totals[1],
                total_pages=course.totals[0],
                page=page.number,
            )
            error.came_with(page.reply)
            raise error

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
        page.came_with(reply.info)
        raise page

    def _read_page(self, reply: Reply, number: int, per_page: int | None) -> Page[T] | DecodeError:
        decoded, reply.value = reply.value, None
        where = "$"
        found = None if self._problems is None else self._problems.found()
        try:
            raw = _items_of(decoded)
            total_pages, total_results, told_size = _totals_of(decoded, per_page, len(raw))
            where = "$" if isinstance(decoded, list) else "$.results"
            # Before the items are read, for that takes them apart.
            came = _Came.of(raw, told_size)
            items = self._read(raw) if found is None else self._read(raw, found)
        except DecodeError as error:
            error.path = where + error.path.removeprefix("$")
            return error
        page = Page(items, reply, number, total_pages, total_results, came=came)
        if self._problems is not None and found is not None and found:
            page.skipped = found.skipped
            page.problems = self._problems.add(found, self._operation, where)
        return page


class _Came(NamedTuple):
    """What came in one page: enough to tell it from other pages, and to know whether it was full."""

    length: int
    first: object
    last: object
    size: int | None
    """How long pages are, as an envelope says, 0 if it does not; None for a bare array."""

    @classmethod
    def of(cls, items: list[Any], size: int | None) -> "_Came":
        if not items:
            return cls(0, None, None, size)
        first: object = _id(items[0])
        last: object = _id(items[-1])
        if first is None or last is None:
            # Records without an id may look alike: both ends of pages of one length must, to make them the same page.
            try:
                first = last = len(items), orjson.dumps(items[0]), orjson.dumps(items[-1])
            except TypeError:
                # Nested more deeply than can be written.
                first = last = len(items)
        return cls(len(items), first, last, size)

    def __repr__(self) -> str:
        return f"<{self.length} items>"

    def repeats(self, earlier: "_Came | None") -> bool:
        """Tell whether it begins or ends as an earlier page does, which two pages of one list cannot.

        One end is enough, for the list may have grown in between.
        """
        return earlier is not None and (self.first == earlier.first or self.last == earlier.last)


def _id(item: object) -> str | None:
    found = cast("dict[str, Any]", item).get("id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else None


class _Course:
    """Where a walk stands, and where it ends by what its pages say.

    Totals are believed while they fit what came. Without them a list ends with a page that is shorter than Thrive could
    have made it. An empty page ends every list, and so does one that repeats the page before it or the first.
    """

    def __init__(self, size: int | None, sizes: PageSizes, prefetch: int, limit: int | None) -> None:
        self.size = size
        self.end = 1
        """The last page worth asking for, as far as is known."""
        self.window = 1
        """How many pages may be on their way at once."""
        self.seen = 0
        self.totals: tuple[int | None, int | None] = (None, None)
        """Pages and items, as the latest page that gives any tells them."""
        self._limit = limit
        self._prefetch = prefetch
        self._sizes = sizes
        self._usual = 1
        self._first: _Came | None = None
        self._previous: _Came | None = None

    def takes(self, page: Page[Any]) -> bool:
        """Count a page in; False if it brings nothing new, for then the list ended before it."""
        came = page._came  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what only this module needs
        if page.total_pages or page.total_results:
            self.totals = page.total_pages, page.total_results
        if not came.length or came.repeats(self._first) or came.repeats(self._previous):
            return False
        if self._first is None:
            self._first = came
            # By what came and not by what was asked for: Thrive may give fewer at once.
            self._usual = came.length
            if self.size is None and came.size is not None:
                # Documented without pages, but it came in an envelope.
                self.size = came.size or came.length
        self._previous = came
        self.seen += came.length
        self._sizes.longest = max(self._sizes.longest, came.length)
        self.end = self._end_after(page, came.length)
        if self._limit is not None:
            self.end = min(self.end, page.number + max(0, ceil((self._limit - self.seen) / self._usual)))
        return True

    def _end_after(self, page: Page[Any], count: int) -> int:
        number, pages, results = page.number, page.total_pages, page.total_results
        if self.size is None:
            return number
        left = 0 if results is None else results - self.seen
        counted = max(pages or 0, number + ceil(left / self._usual))
        if results == self.seen and (counted == number or count > self.size):
            return number
        if counted > number:
            self.window = self._prefetch
            return counted
        # Nothing says that there is more, but no total says that this is all.
        if count < min(self.size, self._sizes.longest):
            return number
        # Slow start: 2, 4 ... up to `prefetch` pages ahead. A first page of another size than was asked for may hold
        # everything, or all that Thrive gives at once: the second page tells.
        if number > 1 or count == self.size:
            self.window = min(self.window * 2, self._prefetch)
        return number + self.window

    def promises_more(self, page: Page[Any], *, before: int) -> bool:
        """Tell whether the totals, of this page or else the latest, say that a list is longer that ended `before`."""
        pages, results = (
            (page.total_pages, page.total_results) if page.total_pages or page.total_results else self.totals
        )
        if results is not None:
            return results > self.seen
        return pages is not None and pages >= before


# A page that waits for its reader is held only by the reader's iterator. If that is collected as garbage, its tasks
# live on until it has ended them.
_waiting: Final[set[asyncio.Task[Any]]] = set()
_LARGE_BODY: Final = 250_000
# No count has more digits; a number that long may have lost some of them on the way.
_LONGEST_COUNT: Final = 15
# How Thrive may refuse a page size, and what it is asked for then: the documented defaults.
_REFUSED_SIZE: Final = frozenset({400, 413, 422})
_SMALLER_SIZES: Final = (100, 20)


def _items_of(decoded: Any) -> list[Any]:
    """Return the items of a page, envelope or bare array, whichever the specification expects."""
    if isinstance(decoded, list):
        return cast("list[Any]", decoded)
    if not isinstance(decoded, dict):
        raise DecodeError("a list was expected")
    results = cast("dict[str, Any]", decoded).get("results")
    if not isinstance(results, list):
        raise DecodeError("a list was expected", path="$.results")
    return cast("list[Any]", results)


def _totals_of(decoded: Any, per_page: int | None, count: int) -> tuple[int | None, int | None, int | None]:
    """Return the totals of pages and of items that a page tells, and the size that an envelope says pages have."""
    if isinstance(decoded, list):
        return None, None, None
    pagination = decoded.get("pagination")
    totals = cast("dict[str, Any]", pagination) if isinstance(pagination, dict) else {}
    results = _count(totals, "totalResults")
    pages = _count(totals, "totalPages")
    told_size = _count(totals, "perPage") or 0
    if pages is None and results is not None:
        size = told_size or per_page or count
        pages = -(-results // size) if size else 0
    return pages, results, told_size


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
