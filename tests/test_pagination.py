"""Paging over a list in memory: which pages are requested, when, and what failures do."""

import asyncio
import gc
import weakref
from functools import partial
from traceback import walk_tb
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from thrive_async import DecodeError, NotFoundError, models
from thrive_async._base.problems import Problems
from thrive_async._http.request import Reply
from thrive_async._wire import convert
from thrive_async.errors import error_class
from thrive_async.pagination import Page, PageSizes, Paginator


class Listing:
    """A list served in pages. It records the requests, and how many answers were in flight at once."""

    def __init__(
        self,
        count: int,
        *,
        style: str = "envelope",
        past_end: str = "empty",
        prefetch: int = 4,
        sizes: PageSizes | None = None,
    ) -> None:
        self.page_sizes = sizes
        self.items = list(range(count))
        self.style = style
        self.past_end = past_end
        self.asked: list[int] = []
        self.sizes: list[int | None] = []
        self.wanted: dict[int, asyncio.Event | None] = {}
        self.under_way = 0
        self.most_under_way = 0
        self.failing: set[int] = set()
        self.prefetch = prefetch

    async def fetch(self, number: int, per_page: int | None, wanted: asyncio.Event | None = None) -> Reply:
        self.asked.append(number)
        self.sizes.append(per_page)
        self.wanted[number] = wanted
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            for _ in range(3 + number % 3):
                await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        if number in self.failing:
            raise RuntimeError(f"page {number} failed")
        if wanted is not None:
            await wanted.wait()
        assert per_page is not None
        part = self.items[(number - 1) * per_page : number * per_page]
        pages = -(-len(self.items) // per_page)
        if not part and number > 1 and self.past_end == "not_found":
            raise not_found()
        body: Any = part
        if self.style == "envelope":
            totals = {"totalResults": len(self.items), "totalPages": pages, "page": number, "perPage": per_page}
            body = {"results": part, "pagination": totals}
        encoded = orjson.dumps(body)
        return Reply(200, CIMultiDict(), encoded, orjson.loads(encoded))

    def paginator(self, per_page: int = 10) -> Paginator[int]:
        return Paginator(
            self.fetch,
            list,
            operation="listThings",
            per_page=per_page,
            prefetch=self.prefetch,
            sizes=self.page_sizes,
        )


def not_found() -> Exception:
    return error_class(404)(
        "gone", status=404, error="", message=None, body=None, headers={}, request_id=None, operation="listThings",
        attempts=1, retry_after=None,
    )  # fmt: skip


styles = pytest.mark.parametrize(
    ("style", "past_end"), [("envelope", "empty"), ("array", "empty"), ("array", "not_found")]
)


@given(
    count=st.integers(0, 120),
    per_page=st.integers(1, 30),
    prefetch=st.integers(1, 6),
    style=st.sampled_from(["envelope", "array"]),
    past_end=st.sampled_from(["empty", "not_found"]),
)
def test_every_item_comes_once_in_order(count: int, per_page: int, prefetch: int, style: str, past_end: str) -> None:
    async def walk() -> None:
        listing = Listing(count, style=style, past_end=past_end, prefetch=prefetch)
        assert [item async for item in listing.paginator(per_page)] == listing.items
        assert listing.most_under_way <= prefetch
        # The page that shows the end: the last one that holds anything or, of a bare list of full pages, the next.
        last = max(1, -(-count // per_page))
        if style == "array":
            last = count // per_page + 1 if count >= per_page else min(count + 1, 2)
        assert max(listing.asked) <= last + (0 if style == "envelope" else prefetch - 1)
        # After a 404 the first page tells whether the list itself is still there.
        in_doubt = count > 0 and (count < per_page or count % per_page == 0)
        again = (style, past_end) == ("array", "not_found") and in_doubt
        assert sorted(listing.asked) == sorted([*set(listing.asked), *([1] if again else [])])

    asyncio.run(walk())


@pytest.mark.parametrize("count", [1, 9, 20, 50, 99])
async def test_a_short_bare_list_costs_one_request_once_thrive_has_sent_a_longer_page(count: int) -> None:
    """A first page shorter than asked for may be all that Thrive sends at once, until it has sent more than that."""
    sizes = PageSizes(100)
    listing = Listing(count, style="array", sizes=sizes)
    assert await listing.paginator(100).collect() == listing.items
    assert listing.asked == [1, 2]
    listing = Listing(250, style="array", sizes=sizes)
    assert await listing.paginator(100).collect() == listing.items
    listing = Listing(count, style="array", sizes=sizes)
    listing.failing = {2, 3}
    assert await listing.paginator(100).collect() == listing.items
    assert listing.asked == [1]


async def test_if_the_end_of_a_bare_list_is_uncertain_one_more_page_is_read() -> None:
    listing = Listing(100, style="array")
    assert len(await listing.paginator(1000).collect()) == 100
    assert listing.asked == [1, 2]


@pytest.mark.parametrize(("prefetch", "furthest"), [(4, [3, 6, 7, 8]), (8, [3, 6, 11, 12])])
async def test_a_bare_list_starts_slowly(prefetch: int, furthest: list[int]) -> None:
    listing = Listing(1000, style="array", prefetch=prefetch)
    pages = listing.paginator().pages()
    asked = []
    async for _page in pages:
        await asyncio.sleep(0)
        asked.append(max(listing.asked))
        if len(asked) == 4:
            break
    await pages.aclose()
    assert asked == furthest


async def test_where_the_first_page_tells_the_total_as_many_as_allowed_are_on_their_way_at_once() -> None:
    listing = Listing(1000)
    pages = listing.paginator().pages()
    await anext(pages)
    await asyncio.sleep(0)
    assert listing.asked == [1, 2, 3, 4, 5]
    await pages.aclose()


@styles
async def test_a_page_ahead_is_wanted_only_when_its_turn_comes(style: str, past_end: str) -> None:
    listing = Listing(1000, style=style, past_end=past_end)
    pages = listing.paginator().pages()
    for number in range(1, 6):
        assert (await anext(pages)).number == number
        await asyncio.sleep(0)
        assert listing.wanted[1] is None  # the first is read at once
        is_wanted = {ahead: event.is_set() for ahead, event in listing.wanted.items() if event is not None}
        assert is_wanted == {ahead: ahead <= number for ahead in range(2, max(listing.asked) + 1)}
        assert max(listing.asked) > number
    await pages.aclose()


async def test_each_page_is_let_go_before_the_next_is_read() -> None:
    class Thing:
        pass

    alive: weakref.WeakSet[Thing] = weakref.WeakSet()
    alive_before: list[int] = []

    def read(items: list[Any]) -> list[Thing]:
        alive_before.append(len(alive))
        things = [Thing() for _ in items]
        alive.update(things)
        return things

    listing = Listing(50)
    seen = 0
    async for _thing in Paginator(listing.fetch, read, operation="listThings", per_page=10, prefetch=4):
        seen += 1
    assert seen == 50
    assert alive_before == [0, 1, 1, 1, 1], "all but the item that the loop holds"


@styles
@pytest.mark.parametrize("count", [10, 30, 70])
async def test_no_page_but_the_first_is_empty(count: int, style: str, past_end: str) -> None:
    pages = [page async for page in Listing(count, style=style, past_end=past_end).paginator().pages()]
    assert [len(page.items) for page in pages] == [10] * (count // 10)


async def test_other_tasks_run_before_a_large_page_is_decoded() -> None:
    seen: list[str] = []
    body = orjson.dumps(["x" * 1000] * 300)

    async def fetch(_number: int, _per_page: int | None, _wanted: asyncio.Event | None) -> Reply:
        asyncio.get_running_loop().call_soon(seen.append, "another")
        return Reply(200, CIMultiDict(), body, orjson.loads(body))

    def read(items: list[Any]) -> list[Any]:
        seen.append("read")
        return items

    assert await Paginator(fetch, read, operation="listThings", per_page=1000, prefetch=4).first()
    assert seen == ["another", "read"]


async def test_the_error_of_an_item_names_its_place_and_its_frames_hold_no_item() -> None:
    body = orjson.dumps({"results": [{"id": "a"}, {"id": 5, "tag": "planted"}]})

    async def fetch(_number: int, _per_page: int | None, _wanted: asyncio.Event | None) -> Reply:
        return Reply(200, CIMultiDict(), body, orjson.loads(body))

    read = partial(convert.read_list, models.Tag)
    tags = Paginator(fetch, read, operation="listTags", per_page=None, prefetch=1, problems=Problems(strict=True))
    with pytest.raises(DecodeError) as caught:
        await tags.first()
    assert caught.value.path == "$.results[1].id"
    frames = [frame for frame, _ in walk_tb(caught.value.__traceback__) if "thrive_async" in frame.f_code.co_filename]
    assert frames
    assert "planted" not in repr([frame.f_locals for frame in frames])


@pytest.mark.parametrize("most", [10, 50, 100])
@pytest.mark.parametrize("count", [0, 9, 10, 50, 99, 100, 101, 250])
async def test_a_bare_list_of_a_server_that_gives_fewer_at_once_is_not_cut_short(count: int, most: int) -> None:
    """Asked for 1,000 a page, it gives 100: were that taken for the last page, the rest would be lost in silence."""
    listing = Listing(count, style="array")
    fetch = listing.fetch

    async def clamped(number: int, per_page: int | None, _wanted: asyncio.Event | None = None) -> Reply:
        assert per_page == 1000
        return await fetch(number, most)

    listing.fetch = clamped  # type: ignore[method-assign]
    assert await listing.paginator(1000).collect() == listing.items
    assert await listing.paginator(1000).collect(limit=1000) == listing.items
    listing.style = "envelope"
    assert await listing.paginator(1000).collect() == listing.items
    assert await listing.paginator(1000).collect(limit=1000) == listing.items


@styles
async def test_iterating_twice_walks_twice(style: str, past_end: str) -> None:
    paginator = Listing(35, style=style, past_end=past_end).paginator()
    assert await paginator.collect() == await paginator.collect() == list(range(35))


@styles
async def test_leaving_early_leaves_no_task_behind(style: str, past_end: str) -> None:
    listing = Listing(200, style=style, past_end=past_end)
    async for item in listing.paginator():
        if item == 25:
            break
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert listing.under_way == 0


@styles
async def test_a_failed_page_raises_after_the_pages_before_it(style: str, past_end: str) -> None:
    listing = Listing(100, style=style, past_end=past_end)
    listing.failing = {4}
    seen = []
    with pytest.raises(RuntimeError, match="page 4 failed"):
        async for item in listing.paginator():
            seen.append(item)
    assert seen == list(range(30))
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_error_past_a_short_page_does_not_matter() -> None:
    listing = Listing(35, style="array")
    listing.failing = {5, 6, 7}
    assert await listing.paginator().collect() == list(range(35))


async def test_a_cancelled_walk_leaves_no_task_behind() -> None:
    listing = Listing(1000)
    task = asyncio.ensure_future(listing.paginator().collect())
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("after", ["a timeout", "an error"])
async def test_an_interrupted_iteration_does_not_look_finished(after: str) -> None:
    """Otherwise, with a timeout around each item, you would mistake the items so far for the whole list."""
    listing = Listing(60)
    if after == "an error":
        listing.failing = {2}
    items = aiter(listing.paginator())
    assert [await anext(items) for _ in range(10)] == list(range(10))
    if after == "an error":
        with pytest.raises(RuntimeError, match="page 2 failed"):
            await anext(items)
    else:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(items)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="start a new one"):
            await anext(items)


async def test_a_bare_list_that_is_gone_while_it_is_walked_is_an_error() -> None:
    """Its pages answer 404 as the page after the last one does; only the first page tells them apart."""
    listing = Listing(100, style="array", past_end="not_found")

    async def vanishing(number: int, per_page: int | None, wanted: asyncio.Event | None = None) -> Reply:
        if len(listing.asked) >= 3:
            raise not_found()
        return await Listing.fetch(listing, number, per_page, wanted)

    listing.fetch = vanishing  # type: ignore[method-assign]
    seen = []
    with pytest.raises(NotFoundError):
        async for item in listing.paginator():
            seen.append(item)
    assert seen == list(range(30))


@pytest.mark.parametrize("sizes", [[3, 1, 3, 3, 3], [3, 3, 1, 1, 5], [1, 3, 3, 3, 3], [3, 3]])
@pytest.mark.parametrize("limit", [1, 3, 4, 6, 7, 10, 100])
async def test_collect_gives_as_many_as_there_are_however_uneven_the_pages(sizes: list[int], limit: int) -> None:
    asked = []

    async def fetch(number: int, _per_page: int | None, _wanted: asyncio.Event | None = None) -> Reply:
        asked.append(number)
        size = sizes[number - 1] if number <= len(sizes) else 0
        body = orjson.dumps({"results": [number] * size, "pagination": {"totalPages": len(sizes)}})
        return Reply(200, CIMultiDict(), body, orjson.loads(body))

    everything = [number for number, size in enumerate(sizes, 1) for _ in range(size)]
    paginator = Paginator(fetch, list, operation="listThings", per_page=3, prefetch=1)
    assert await paginator.collect(limit=limit) == everything[:limit]
    assert sorted(asked) == sorted(set(asked))


async def test_a_garbage_collected_iterator_leaves_no_warning_and_no_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Holder:
        """Part of a cycle, as an iterator is that an exception's traceback leads to."""

        def __init__(self) -> None:
            self.items = aiter(Listing(60).paginator())
            self.itself = self

    before = asyncio.all_tasks()
    gc.disable()
    try:
        holder = Holder()
        await anext(holder.items)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks() - before) == 4, "the pages ahead wait"
        del holder
        gc.collect()
    finally:
        gc.enable()
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert not caplog.records


async def test_collect_asks_for_no_page_beyond_its_limit() -> None:
    listing = Listing(1000)
    assert await listing.paginator().collect(limit=15) == list(range(15))
    assert sorted(listing.asked) == [1, 2]
    assert await listing.paginator().collect(limit=0) == []
    for nonsense in (-1, 2.5, True, "3"):
        with pytest.raises(ValueError, match="limit must be a whole number"):
            await listing.paginator().collect(limit=nonsense)  # type: ignore[arg-type]


@styles
async def test_first_asks_for_one_item_or_gives_none(style: str, past_end: str) -> None:
    listing = Listing(5, style=style, past_end=past_end)
    assert await listing.paginator().first() == 0
    assert (listing.asked, listing.sizes) == ([1], [1])
    assert await Listing(0, style=style, past_end=past_end).paginator().first() is None


async def test_a_list_that_shrinks_while_it_is_walked_ends_and_one_that_does_not_fails() -> None:
    shrinking = Listing(50, past_end="not_found")
    seen = []
    async for page in Paginator(shrinking.fetch, list, operation="x", per_page=10, prefetch=1).pages():
        seen += page.items
        if page.number == 2:
            shrinking.items = shrinking.items[:20]
    assert seen == list(range(20))

    class Lying(Listing):
        lie = 3

        async def fetch(self, number: int, per_page: int | None, wanted: asyncio.Event | None = None) -> Reply:
            if number == self.lie:
                raise not_found()
            return await super().fetch(number, per_page)

    for lie in (2, 3, 5):
        listing = Lying(50)
        listing.lie = lie
        with pytest.raises(NotFoundError):
            await listing.paginator().collect()


async def test_a_page_tells_its_totals_and_keeps_the_raw_items() -> None:
    def doubled(items: list[Any]) -> list[int]:
        for index, item in enumerate(items):
            items[index] = item * 2
        return items

    listing = Listing(25)
    pages = [page async for page in Paginator(listing.fetch, doubled, operation="x", per_page=10, prefetch=2).pages()]
    assert [(page.number, page.total_pages, page.total_results) for page in pages] == [
        (1, 3, 25),
        (2, 3, 25),
        (3, 3, 25),
    ]
    assert pages[2].items == [40, 42, 44, 46, 48]
    assert pages[2].raw == [20, 21, 22, 23, 24]
    assert pages[2].raw is pages[2].raw


def paged(body: object, per_page: int | None = 10) -> Paginator[Any]:
    encoded = orjson.dumps(body)

    async def fetch(_number: int, _per_page: int | None, _wanted: asyncio.Event | None) -> Reply:
        return Reply(200, CIMultiDict(), encoded, orjson.loads(encoded))

    return Paginator(fetch, list, operation="listThings", per_page=per_page, prefetch=4)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ("words", "$"),
        (None, "$"),
        ({}, "$.results"),
        ({"results": {}}, "$.results"),
        ({"results": [], "pagination": {"totalPages": "many"}}, "$.pagination.totalPages"),
        ({"results": [], "pagination": {"totalPages": -1}}, "$.pagination.totalPages"),
        ({"results": [], "pagination": {"totalPages": True}}, "$.pagination.totalPages"),
    ],
)
async def test_a_malformed_page_is_a_decode_error_with_its_place(body: object, path: str) -> None:
    with pytest.raises(DecodeError) as raised:
        await paged(body).collect()
    assert (raised.value.path, raised.value.operation) == (path, "listThings")


@pytest.mark.parametrize("pagination", [None, {}, {"totalPages": None}, {"totalResults": 3}, {"totalPages": 1.0}])
async def test_totals_may_be_missing_or_oddly_written(pagination: object) -> None:
    assert await paged({"results": [1, 2, 3], "pagination": pagination}).collect() == [1, 2, 3]


async def test_a_list_without_pages_is_one_page() -> None:
    paginator = paged([1, 2, 3], per_page=None)
    assert await paginator.collect() == [1, 2, 3]
    assert await paginator.collect(limit=2) == [1, 2]
    assert await paginator.first() == 1


def test_reprs_tell_what_is_listed_and_no_item() -> None:
    page: Page[str] = Page(["anna"], Reply(200, CIMultiDict(), b"[]"), 2, 3, 1500)
    assert repr(page) == "<Page 2: 1 items of 1,500>"
    assert repr(Listing(1).paginator()) == "<Paginator of listThings, per_page=10, prefetch=4>"
