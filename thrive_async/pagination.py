"""Lists as async iterators: pages are fetched ahead and arrive in order, and every list ends."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from math import ceil
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from thrive_async._base import values as v
from thrive_async._base.problems import Found, Problem, Problems
from thrive_async._base.replies import ReplyInfo
from thrive_async._http.request import Reply
from thrive_async._http.turns import LARGE_BODY, give_turns
from thrive_async.errors import APIError, DecodeError, IncompleteList, InvalidArgument, NotFoundError

__all__ = ["Page", "Paginator"]

T = TypeVar("T")


class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The models, in Thrive's order.
        number: The page's number, from 1.
        total_pages: The number of pages, according to this page. None if Thrive does not send it (bare arrays).
        total_results: The number of items in the whole list, according to this page. None if Thrive does not send it.
        problems: The values on this page that do not match the specification: by path, such as
            `$.results[].positions[].startDate`, what was expected and what came. Empty if all is well.
        skipped: How many items were null. They are left out, so `items` is shorter than Thrive's page.
        reply: The status, headers and request id of its reply.
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
        self._came = came

    @property
    def raw(self) -> list[Any]:
        """The items as Thrive sent them, unknown fields included. Decoded on first use.

        Raises:
            DecodeError: A field that the SDK does not know holds a number that is too large, or is nested too deeply.
        """
        if self._raw is None:
            from thrive_async._base.strict import any_json  # noqa: PLC0415 - costs import time

            assert self._body is not None  # noqa: S101 - held until it has been decoded
            decoded = None
            with suppress(ValueError):  # this error would hold the body
                decoded = any_json(self._body.body)
            if decoded is None:
                error = DecodeError("a field that the SDK does not know holds a value that cannot be decoded")
                error.came_with(self.reply)
                raise error
            self._raw = _items_of(decoded, Found())
            self._body = None
        return self._raw

    def __repr__(self) -> str:
        total = "" if self.total_results is None else f" of {self.total_results:,}"
        return f"<Page {self.number}: {len(self.items):,} items{total}>"


class _Items(Generic[T]):
    """The items of pages, one by one.

    This is not a second generator around the one for pages: when a loop ends, it closes all open generators at once,
    and complains about one that another is closing. Also, a generator interrupted by a timeout around one item looks
    finished; here the next item raises an error.
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
            raise RuntimeError("an error, a timeout or a cancellation interrupted this iteration: start a new one")
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
        """End the iteration. `contextlib.aclosing` calls this."""
        self._items = iter(())
        await self._pages.aclose()


class PageSizes:
    """What one client has learnt about the pages of one operation, if asked for with one size.

    Attributes:
        accepted: The page size to request by default, or None if the operation has no pages.
        longest: The most items seen on one page. Thrive's own limit is no lower than this.
    """

    __slots__ = ("accepted", "longest")

    def __init__(self, accepted: int | None) -> None:
        self.accepted: int | None = accepted
        self.longest: int = 0


class Paginator(Generic[T]):
    """A list on Thrive, read while you iterate over it. The `list` methods return it.

    `async for item in paginator` yields every item, in Thrive's order. If you iterate again, the list is read again.
    While you use one page, up to `prefetch` more are fetched. If you leave early, the pending requests are cancelled.

    You never get a list that is silently cut short. A page that fails after its retries raises. So does a list that
    ends before the total that Thrive states. If an iteration was interrupted, for example by a timeout around one
    item, its next item raises a RuntimeError.

    Example:
        ```python
        async for user in thrive.users.list():
            print(user.id)
        ten = await thrive.users.list().collect(limit=10)
        ```
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
        """Return the first item, or None if the list is empty. This requests only one item.

        Raises:
            ThriveError: The page could not be read.
        """
        items = await self.collect(limit=1)
        return items[0] if items else None

    async def collect(self, limit: int | None = None) -> list[T]:
        """Return the items as a list.

        Args:
            limit: The most items to return, from the front. Pages after that are not requested. None for all.

        Raises:
            InvalidArgument: `limit` is negative or not a whole number.
            IncompleteList: The list ended before the total that Thrive states.
            ThriveError: A page could not be read.
        """
        known = limit is None or (isinstance(limit, int) and not isinstance(limit, bool))  # pyright: ignore[reportUnnecessaryIsInstance]
        if not known or (limit is not None and limit < 0):
            raise InvalidArgument(f"$limit must be a whole number, 0 or more, or None for all, not {limit!r}", "limit")
        if limit == 0:
            return []
        page, course = begun = await self._begin(limit)
        if course.end <= 1:
            # Most lists have one page and need neither a generator nor a task.
            return page.items if limit is None else page.items[:limit]
        collected: list[T] = []
        async with aclosing(self._walk(limit, begun)) as pages:
            async for page in pages:
                collected += page.items
        return collected if limit is None else collected[:limit]

    def pages(self) -> AsyncGenerator[Page[T]]:
        """Iterate over the list page by page.

        This is an async generator: after an error, or a timeout around one page, it yields no more pages.

        Raises:
            IncompleteList: While iterating: the list ended before the total that Thrive states.
            ThriveError: While iterating: a page could not be read.
        """
        return self._walk(None)

    async def _walk(self, limit: int | None, begun: "tuple[Page[T], _Course] | None" = None) -> AsyncGenerator[Page[T]]:
        """Yield pages in order, as many as `limit` items need.

        A page fetched ahead stays bytes until it is needed, and the previous page is released first. Decoding both at
        once fills the processor's cache: 100,000 users then take a quarter more time.
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
                    # The page lies past the end, or the list itself is gone and page 1 raises too.
                    if course.promises_more(await self._page(1, size), before=number + 1):
                        raise
                    return
                in_flight.popleft()
                if not course.takes(page):
                    self._check_whole(course, page)
                    return
        finally:
            # Errors from pages past the end do not matter, but we have to end their tasks.
            tasks = [task for _, task in in_flight]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, limit: int | None) -> "tuple[Page[T], _Course]":
        size = self._per_page
        if size is None:
            page = await self._page(1, None)
            if page._came is None:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what only this module needs
                return page, _ALONE
        else:
            page, size = await self._first_page(size if limit is None else min(size, limit))
        course = _Course(size, self._sizes, self._prefetch, limit)
        if not course.takes(page):
            self._check_whole(course, page)
        return page, course

    async def _first_page(self, size: int) -> tuple[Page[T], int]:
        """Read page 1. If Thrive refuses the default page size, try smaller ones."""
        try:
            return await self._page(1, size), size
        except APIError as error:
            if self._named_size is not None or error.status not in _REFUSED_SIZE:
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
        if len(reply.body) >= LARGE_BODY:
            await give_turns()
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
        told = None if self._problems is None else self._problems.found()
        try:
            raw = _items_of(decoded, told)
            total_pages, total_results, told_size = _totals_of(decoded, per_page, len(raw), told)
            where = "$" if isinstance(decoded, list) else "$.results"
            # Note this first, because reading the items takes them apart. A bare array of a list without pages is all
            # there is, and need not be told from another page.
            came = None if per_page is None and told_size is None else _Came.of(raw, told_size)
            items = self._read(raw) if found is None else self._read(raw, found)
        except DecodeError as error:
            error.path = where + error.path.removeprefix("$")
            # Its frames hold the items.
            return error.with_traceback(None)
        page = Page(items, reply, number, total_pages, total_results, came=came)
        if self._problems is not None and found is not None and (found or told):
            page.skipped = found.skipped
            around = self._problems.add(told, self._operation, "$")
            page.problems = {**around, **self._problems.add(found, self._operation, where)}
        return page


class _Came(NamedTuple):
    """What came in one page: enough to recognise a repeat, and to know whether the page was full."""

    length: int
    first: object
    last: object
    size: int | None
    """The page size stated in the envelope, 0 if it states none, or None for a bare array."""

    @classmethod
    def of(cls, items: list[Any], size: int | None) -> "_Came":
        if not items:
            return cls(0, None, None, size)
        first: object = _id(items[0])
        last: object = _id(items[-1])
        if first is None or last is None:
            # Records without an id may look alike, so compare the length and both ends of the pages. Their hash, since
            # it is kept for each page of a list, and their text takes 2 kB.
            try:
                first = last = hash((len(items), repr(items[0]), repr(items[-1])))
            except RecursionError:
                first = last = len(items)
        return cls(len(items), first, last, size)

    def __repr__(self) -> str:
        return f"<{self.length} items>"


def _id(item: object) -> str | None:
    found: object = cast("dict[str, Any]", item).get("id") if isinstance(item, dict) else getattr(item, "id", None)
    return found if isinstance(found, str) else None


class _Course:
    """The progress of an iteration, and where it ends according to its pages.

    Totals count as long as they fit what came. Without totals, a list ends with a page shorter than Thrive could have
    made it. An empty page ends every list, and so does one that begins or ends like an earlier page, which two pages of
    one list cannot. One end is enough, because the list may have grown in between.
    """

    def __init__(self, size: int | None, sizes: PageSizes, prefetch: int, limit: int | None) -> None:
        self.size = size
        self.end = 1
        """The last page worth requesting, as far as known."""
        self.window = 1
        """How many pages may be in flight at once."""
        self.seen = 0
        self.totals: tuple[int | None, int | None] = (None, None)
        """The totals of pages and items, from the latest page that states any."""
        self._limit = limit
        self._prefetch = prefetch
        self._sizes = sizes
        self._usual = 1
        self._firsts: set[object] = set()
        self._lasts: set[object] = set()

    def takes(self, page: Page[Any]) -> bool:
        """Count a page. Return False if it brings nothing new, because the list then ended before it."""
        came = page._came  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what only this module needs
        assert came is not None  # noqa: S101 - `_begin` has seen to it
        if page.total_pages or page.total_results:
            self.totals = page.total_pages, page.total_results
        if not came.length or came.first in self._firsts or came.last in self._lasts:
            return False
        if not self._firsts:
            # Use the length received, not the one requested, because Thrive may send fewer items per page.
            self._usual = came.length
            if self.size is None and came.size is not None:
                # The list is documented without pages, but came in an envelope.
                self.size = came.size or came.length
        self._firsts.add(came.first)
        self._lasts.add(came.last)
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
        # There may be more: neither a total nor anything else says that this is all.
        if count < min(self.size, self._sizes.longest):
            return number
        # Slow start: 2, 4 ... up to `prefetch` pages ahead. If the first page has another size than requested, it may
        # hold everything, or as much as Thrive sends at once: only the second page shows which.
        if number > 1 or count == self.size:
            self.window = min(self.window * 2, self._prefetch)
        return number + self.window

    def promises_more(self, page: Page[Any], *, before: int) -> bool:
        """Return whether the totals say that a list that ended before page `before` should be longer."""
        pages, results = (
            (page.total_pages, page.total_results) if page.total_pages or page.total_results else self.totals
        )
        if results is not None:
            return results > self.seen
        return pages is not None and pages >= before


# The course of a list that is one bare array.
_ALONE: Final = _Course(None, PageSizes(None), 1, None)
# Only the reader's iterator holds a page that waits. If the iterator is garbage-collected, this set keeps its tasks
# alive until it has ended them.
_waiting: Final[set[asyncio.Task[Any]]] = set()
# A real count has no more digits than this, and a longer number may have lost some.
_LONGEST_COUNT: Final = 15
# How Thrive may refuse a page size, and the sizes to try next: the documented defaults.
_REFUSED_SIZE: Final = frozenset({400, 413, 422})
_SMALLER_SIZES: Final = (100, 20)


def _items_of(decoded: Any, told: Found | None) -> list[Any]:
    """Return the items of a page, from an envelope or a bare array."""
    if isinstance(decoded, list):
        return cast("list[Any]", decoded)
    if not isinstance(decoded, dict):
        raise DecodeError("a list was expected")
    fields = cast("dict[str, Any]", decoded)
    results = fields.get("results")
    if results is None and "results" in fields and told is not None:
        told.add(".results", "a list", "null", lost=False)
        return []
    if not isinstance(results, list):
        raise DecodeError("a list was expected", path="$.results")
    return cast("list[Any]", results)


def _totals_of(
    decoded: Any, per_page: int | None, count: int, told: Found | None
) -> tuple[int | None, int | None, int | None]:
    """Return the totals of pages and items that a page states, and the page size that its envelope states."""
    if isinstance(decoded, list):
        return None, None, None
    pagination = decoded.get("pagination")
    totals = cast("dict[str, Any]", pagination) if isinstance(pagination, dict) else {}
    if pagination is not None and not isinstance(pagination, dict):
        _odd(told, "pagination", v.mismatch("an object", pagination), lost=True)
    results = _count(totals, "totalResults", told)
    pages = _count(totals, "totalPages", told)
    told_size = _count(totals, "perPage", told) or 0
    if pages is None and results is not None:
        size = told_size or per_page or count
        pages = -(-results // size) if size else 0
    return pages, results, told_size


def _count(totals: dict[str, Any], name: str, told: Found | None) -> int | None:
    """Read a count; None for one that cannot be read, for then the list is walked as one without totals."""
    value = totals.get(name)
    if value is None or (type(value) is int and 0 <= value < 10**_LONGEST_COUNT):
        return value
    taken: int | None = None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < _LONGEST_COUNT:
        taken = int(value)
    elif isinstance(value, float) and value.is_integer() and 0 <= value < 10**_LONGEST_COUNT:
        return int(value)
    blank = isinstance(value, str) and not value.strip()
    _odd(told, f"pagination.{name}", v.mismatch("a count", value), lost=taken is None and not blank)
    return taken


def _odd(told: Found | None, where: str, mismatch: v.Mismatch, *, lost: bool) -> None:
    if told is None:
        raise DecodeError(str(mismatch), path=f"$.{where}")
    told.add(f".{where}", mismatch.expected, mismatch.came, lost=lost)
