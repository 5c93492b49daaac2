"""Every iteration ends, whatever the server answers: with each item once, or with an error."""

import asyncio
from itertools import product
from typing import Any, Literal

import attrs
import orjson
import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from raw_server import RawRequest, RawServer, reply
from yarl import URL

from thrive_async import BadRequestError, DecodeError, IncompleteList, Limits, NotFoundError
from thrive_async._http.request import Reply
from thrive_async.errors import APIError, error_class
from thrive_async.pagination import PageSizes, Paginator
from thrive_async.sandbox import Sandbox

ALLOWED = 200


@attrs.frozen
class Server:
    """How a server may answer lists."""

    size: int
    clamp: int | None = None
    """The largest page, silently."""
    floor: int = 1
    """The smallest page, silently."""
    past_end: Literal["empty", "not_found", "last", "first"] = "empty"
    pages: Literal["paged", "whole", "always first"] = "paged"
    totals: Literal["right", "missing", "zero", "fewer", "more", "by the size asked", "pages only", "items only"] = (
        "right"
    )
    bare: bool = False
    unpaged: bool = False
    """Whether the list is documented without pages."""

    def answer(self, number: int, asked: int | None) -> tuple[int, Any]:
        per_page = max(self.floor, min(asked or 100, self.clamp or 10**9))
        shown = number
        last = max(1, -(-self.size // per_page))
        if self.pages == "whole":
            per_page, shown, last = max(1, self.size), 1, 1
        elif self.pages == "always first":
            shown = 1
        elif number > last:
            if self.past_end == "not_found":
                return 404, None
            shown = {"empty": number, "last": last, "first": 1}[self.past_end]
        items = [{"id": f"i{index}"} for index in range(self.size)][(shown - 1) * per_page : shown * per_page]
        if self.bare:
            return 200, items
        results = {"fewer": self.size // 2, "more": self.size + 7, "zero": 0}.get(self.totals, self.size)
        by = asked if self.totals == "by the size asked" and asked else per_page
        totals = {"totalResults": results, "totalPages": -(-results // by), "page": number, "perPage": by}
        match self.totals:
            case "missing":
                totals = {}
            case "pages only":
                totals = {"totalPages": totals["totalPages"]}
            case "items only":
                totals = {"totalResults": results}
            case _:
                pass
        return 200, {"results": items, "pagination": totals}


class Walked:
    """A list on a server, and the requests it received."""

    def __init__(self, server: Server, sizes: PageSizes | None = None) -> None:
        self.server = server
        self.sizes = sizes
        self.asked: list[int] = []

    async def fetch(self, number: int, per_page: int | None, wanted: asyncio.Event | None) -> Reply:
        self.asked.append(number)
        assert len(self.asked) < ALLOWED, "it asks for ever"
        await asyncio.sleep(0)
        status, document = self.server.answer(number, per_page)
        if wanted is not None:
            await wanted.wait()
        if status != 200:
            raise refused(status)
        body = orjson.dumps(document)
        return Reply(200, CIMultiDict(), body, orjson.loads(body))

    async def collect(self, per_page: int | None, prefetch: int = 4, limit: int | None = None) -> list[str]:
        paginator = Paginator(
            self.fetch,
            lambda items: [item["id"] for item in items],
            operation="listThings",
            per_page=per_page,
            prefetch=prefetch,
            sizes=self.sizes,
        )
        return await paginator.collect(limit)


def refused(status: int) -> APIError:
    return error_class(status)(
        "no", status=status, error="", message=None, body=None, headers={}, request_id=None, operation="listThings",
        attempts=1, retry_after=None,
    )  # fmt: skip


def everything(size: int) -> list[str]:
    return [f"i{index}" for index in range(size)]


def is_a_lie_that_fits(server: Server, per_page: int) -> bool:
    """Too small a total that a page ends exactly at: no page tells that there is more."""
    length = max(server.floor, min(per_page, server.clamp or 10**9))
    told = server.size // 2
    return not server.bare and server.totals == "fewer" and told % length == 0 and server.pages == "paged"


servers = st.builds(
    Server,
    size=st.integers(0, 60),
    clamp=st.none() | st.integers(1, 15),
    floor=st.sampled_from([1, 1, 1, 7]),
    past_end=st.sampled_from(["empty", "not_found", "last", "first"]),
    pages=st.sampled_from(["paged", "paged", "paged", "whole", "always first"]),
    totals=st.sampled_from(
        ["right", "missing", "zero", "fewer", "more", "by the size asked", "pages only", "items only"]
    ),
    bare=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(server=servers, per_page=st.integers(1, 20), prefetch=st.integers(1, 5), limit=st.none() | st.integers(1, 70))
@example(Server(37, pages="whole", bare=True), 20, 4, None)
@example(Server(20, pages="whole", bare=True), 20, 4, None)
@example(Server(50, clamp=15, bare=True), 20, 4, None)
@example(Server(50, floor=7, bare=True), 3, 4, None)
def test_a_walk_ends_with_every_item_once_or_with_an_error(
    server: Server, per_page: int, prefetch: int, limit: int | None
) -> None:
    async def walk() -> None:
        note(f"{server} {per_page=} {prefetch=} {limit=}")
        walked = Walked(server)
        wanted = everything(server.size)[:limit]
        pages = -(-server.size // max(server.floor, min(per_page, server.clamp or 10**9)))
        try:
            found = await walked.collect(per_page, prefetch, limit)
        except (IncompleteList, NotFoundError):
            assert not server.bare
            assert server.totals not in ("missing", "zero")
            assert server.totals == "more" or server.pages == "always first"
            return
        finally:
            # The pages there are, one that tells the end and one that confirms it, and what was on its way by then.
            assert len(walked.asked) <= max(1, pages) + 2 + prefetch
            assert asyncio.all_tasks() == {asyncio.current_task()}
        if server.pages == "always first" and (server.bare or server.totals in ("missing", "zero", "fewer")):
            # Nothing tells that there is more.
            length = max(server.floor, min(per_page, server.clamp or 10**9))
            assert found == wanted[:length] or found == wanted
        elif not is_a_lie_that_fits(server, min(per_page, limit or per_page)):
            assert found == wanted

    asyncio.run(walk())


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(0, 45), min_size=2, max_size=6),
    clamp=st.none() | st.integers(1, 25),
    per_page=st.integers(1, 20),
    past_end=st.sampled_from(["empty", "not_found", "last", "first"]),
)
def test_what_is_learnt_of_page_sizes_never_cuts_a_later_list_short(
    counts: list[int], clamp: int | None, per_page: int, past_end: Any
) -> None:
    async def walk() -> None:
        sizes = PageSizes(per_page)
        for size in counts:
            walked = Walked(Server(size, clamp=clamp, past_end=past_end, bare=True), sizes)
            assert await walked.collect(None) == everything(size)

    asyncio.run(walk())


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("totals", ["right", "pages only", "items only", "missing"])
@pytest.mark.parametrize(("size", "clamp"), [(0, 20), (5, 20), (20, 20), (45, 20), (45, None)])
async def test_a_list_documented_without_pages_is_walked_if_it_comes_in_them(
    bare: bool, totals: Any, size: int, clamp: int | None
) -> None:
    server = Server(size, clamp=clamp, totals=totals, bare=bare, pages="whole" if bare else "paged")
    walked = Walked(server)
    assert await walked.collect(None) == everything(size)
    if bare:
        assert walked.asked == [1]


async def test_an_unpaged_list_whose_envelope_promises_more_is_an_error() -> None:
    with pytest.raises(IncompleteList) as raised:
        await Walked(Server(45, clamp=20, pages="always first")).collect(None)
    error = raised.value
    assert (error.items, error.total_results, error.total_pages, error.page) == (20, 45, 3, 2)
    assert str(error).startswith("listThings: Thrive says that the list has 45 items, but page 2 brought nothing new")


async def test_items_before_the_missing_part_are_yielded() -> None:
    walked = Walked(Server(30, totals="more"))
    paginator = Paginator(
        walked.fetch,
        lambda items: [item["id"] for item in items],
        operation="listThings",
        per_page=10,
        prefetch=4,
    )
    found = []
    with pytest.raises(IncompleteList):
        async for item in paginator:
            found.append(item)
    assert found == everything(30)
    assert await paginator.collect(limit=30) == everything(30), "a limit asks for no more than it needs"


@pytest.mark.parametrize("clamp", [37, 150, 300, 750])
@pytest.mark.parametrize("count", [150, 300, 450, 750, 751, 1500])
@pytest.mark.parametrize("bare", [True, False])
async def test_a_server_that_clamps_to_any_size_loses_nothing(clamp: int, count: int, bare: bool) -> None:
    walked = Walked(Server(count, clamp=clamp, bare=bare, totals="by the size asked"))
    assert await walked.collect(1000) == everything(count)


async def records_without_ids(pages: list[list[Any]], totals: bool) -> list[Any]:
    async def fetch(number: int, _per_page: int | None, _wanted: asyncio.Event | None) -> Reply:
        items = pages[number - 1] if number <= len(pages) else []
        counts = {"totalResults": sum(map(len, pages)), "totalPages": len(pages)}
        body = orjson.dumps({"results": items, "pagination": counts} if totals else items)
        return Reply(200, CIMultiDict(), body, orjson.loads(body))

    return await Paginator(fetch, list, operation="x", per_page=2, prefetch=1).collect()


@pytest.mark.parametrize("totals", [True, False])
async def test_records_without_ids_may_look_alike_at_one_end_of_a_page(totals: bool) -> None:
    pages = [[{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}], [{"a": 4}, {"a": 3}], [{"a": 1}]]
    assert await records_without_ids(pages, totals) == [record for page in pages for record in page]


async def test_a_page_of_records_without_ids_that_equals_another_ends_the_list_and_never_in_silence() -> None:
    pages: list[list[Any]] = [[{"a": 1}, {"a": 1}], [{"a": 1}, {"a": 1}]]
    assert await records_without_ids(pages, totals=False) == pages[0]
    with pytest.raises(IncompleteList):
        await records_without_ids(pages, totals=True)


async def test_a_list_that_grows_while_a_server_without_pages_sends_it_again_is_given_once() -> None:
    sizes = iter([7, 8, 9])

    async def fetch(_number: int, _per_page: int | None, _wanted: asyncio.Event | None) -> Reply:
        body = orjson.dumps([{"id": str(index)} for index in range(next(sizes))])
        return Reply(200, CIMultiDict(), body, orjson.loads(body))

    items = await Paginator(fetch, list, operation="x", per_page=10, prefetch=4).collect()
    assert [item["id"] for item in items] == [str(index) for index in range(7)]


async def of_pages(*shown: list[str]) -> list[str]:
    """What a walk gives if the server sends these pages, and the last ones for ever."""
    asked = 0

    async def fetch(number: int, _per_page: int | None, _wanted: asyncio.Event | None) -> Reply:
        nonlocal asked
        asked += 1
        assert asked < ALLOWED, "it asks for ever"
        await asyncio.sleep(0)
        names = shown[number - 1] if number <= len(shown) else shown[-1 - number % 2]
        body = orjson.dumps([{"id": name} for name in names])
        return Reply(200, CIMultiDict(), body, orjson.loads(body))

    paginator = Paginator(fetch, lambda items: [item["id"] for item in items], operation="x", per_page=2, prefetch=4)
    return await paginator.collect()


async def test_a_server_that_goes_round_in_circles_is_left() -> None:
    """Was: asked for ever, if the circle held neither the first page nor the one before."""
    assert await of_pages(["a", "b"], ["c", "d"], ["e", "f"]) == ["a", "b", "c", "d", "e", "f"]


# Over the wire


@pytest.mark.parametrize(
    ("pagination", "lost"),
    [
        ({"totalResults": ""}, 0),
        ({"totalResults": "3"}, 0),
        ({"totalResults": -1}, 1),
        ({"totalResults": "many", "totalPages": [], "perPage": True}, 3),
        ([], 1),
        ("none", 1),
    ],
)
async def test_odd_totals_cost_a_warning_and_never_the_list(pagination: object, lost: int) -> None:
    """Was: a DecodeError that cost the whole list. Strict, it is one."""
    body = {"results": [{"id": "1"}, {"id": "2"}, {"id": "3"}], "pagination": pagination}
    async with RawServer([reply(200, body)]) as server:
        async with server.client() as thrive:
            pages = [page async for page in thrive.users.list().pages()]
            assert [user.id for page in pages for user in page.items] == ["1", "2", "3"]
            assert sum(problem.lost for problem in pages[0].problems.values()) == lost
            assert all(path.startswith("$.pagination") for path in pages[0].problems)
            assert set(pages[0].problems) == set(thrive.problems)
            assert thrive.problems
        async with server.client(strict=True) as thrive:
            with pytest.raises(DecodeError) as raised:
                await thrive.users.list().collect()
            assert raised.value.path.startswith("$.pagination")


async def test_a_page_larger_than_was_asked_for_is_the_whole_list_if_its_total_agrees() -> None:
    """Its count of pages is that of a server that pages."""
    items = [{"id": str(index)} for index in range(45)]
    body = {"results": items, "pagination": {"totalResults": 45, "totalPages": 5, "page": 1, "perPage": 10}}
    async with RawServer([reply(200, body)]) as server, server.client() as thrive:
        assert len(await thrive.users.list(per_page=10).collect()) == 45
        assert len(server.requests) == 1


async def test_null_for_the_items_is_an_empty_page() -> None:
    async with RawServer([reply(200, {"results": None})]) as server, server.client() as thrive:
        (page,) = [page async for page in thrive.users.list().pages()]
        assert (page.items, page.raw) == ([], [])
        assert thrive.problems["$.results"].lost == 0
        server.answers = [reply(200, {"results": None, "pagination": {"totalResults": 3}})]
        with pytest.raises(IncompleteList):
            await thrive.users.list().collect()


class Tags:
    """A server of tags, answering by hand."""

    def __init__(self, server: Server, largest: int = 10**6, status: int = 400) -> None:
        self.server = server
        self.largest = largest
        self.status = status
        self.asked: list[tuple[int, int | None]] = []

    async def __call__(self, request: RawRequest, writer: asyncio.StreamWriter) -> None:
        query = URL(request.target).query
        number, per_page = int(query.get("page", "1")), int(query["perPage"]) if "perPage" in query else None
        self.asked.append((number, per_page))
        assert len(self.asked) < ALLOWED
        if (per_page or 0) > self.largest:
            writer.write(reply(self.status, {"message": f"first {len(self.asked)}"}))
            return
        status, document = self.server.answer(number, per_page)
        writer.write(reply(status, document))


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("totals", ["right", "missing", "zero"])
@pytest.mark.parametrize("count", [0, 37, 1000, 1500])
async def test_a_server_that_does_not_page_gives_its_tags_once(bare: bool, totals: Any, count: int) -> None:
    tags = Tags(Server(count, pages="whole", bare=bare, totals=totals))
    async with RawServer([tags]) as server, server.client() as thrive:
        assert [tag.id for tag in await thrive.tags.list().collect()] == everything(count)
    assert len(tags.asked) <= 3


async def test_a_paged_envelope_of_managers_is_walked() -> None:
    names = [{"userId": f"u{index}"} for index in range(45)]

    async def managers(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        number = int(URL(request.target).query.get("page", "1"))
        size = int(URL(request.target).query.get("perPage", "20"))
        totals = {"totalResults": 45, "totalPages": 3, "page": number, "perPage": size}
        writer.write(reply(200, {"results": names[(number - 1) * size : number * size], "pagination": totals}))

    async with RawServer([managers]) as server, server.client() as thrive:
        found = await thrive.audiences.managers.list("a").collect()
    assert [manager.user_id for manager in found] == [name["userId"] for name in names]
    assert "page" not in server.requests[0].target


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize(("largest", "sizes"), [(500, [1000, 100]), (50, [1000, 100, 20])])
async def test_a_refused_page_size_is_lowered_and_remembered(status: int, largest: int, sizes: list[int]) -> None:
    tags = Tags(Server(30), largest, status)
    async with RawServer([tags]) as server, server.client() as thrive:
        for _ in range(2):
            assert len(await thrive.tags.list().collect()) == 30
        sent = [size for _, size in tags.asked]
        assert sent[: len(sizes)] == sizes
        assert set(sent[len(sizes) :]) == {sizes[-1]}
        # Of another operation nothing is known yet.
        await thrive.contents.list().collect()
        assert 1000 in [size for _, size in tags.asked[len(sent) :]]


async def test_a_refusal_that_is_not_about_the_page_size_is_the_first_one() -> None:
    tags = Tags(Server(30), largest=0)
    async with RawServer([tags]) as server, server.client() as thrive:
        with pytest.raises(BadRequestError, match="400") as raised:
            await thrive.tags.list().collect()
        assert raised.value.message == "first 1"
        assert [size for _, size in tags.asked] == [1000, 100, 20]
        with pytest.raises(BadRequestError):
            await thrive.tags.list(per_page=500).collect()
        assert [size for _, size in tags.asked][3:] == [500], "a size that the caller names is not changed"


async def test_the_client_can_lower_every_page_at_once() -> None:
    async with Sandbox(users=120) as sandbox, sandbox.client(limits=Limits(per_page=50)) as thrive:
        assert len(await thrive.users.list().collect()) == 120
        await thrive.assignments.list().collect()
        await thrive.users.list(per_page=60).first()
        await thrive.users.list(per_page=60).collect()
        sizes = {(one.operation, one.query["perPage"]) for one in sandbox.requests}
        assert sizes == {("searchUsers", "50"), ("listAssignments", "50"), ("searchUsers", "1"), ("searchUsers", "60")}
    async with Sandbox(users=20) as sandbox, sandbox.client(limits=Limits(per_page=500)) as thrive:
        await thrive.assignments.list().collect()
        assert sandbox.requests[0].query["perPage"] == "100", "never above an operation's own maximum"


SETTINGS = list(
    product(
        ["pages", "whole", "first"],
        ["right", "absent", "zero", "double"],
        ["empty", "not_found", "last", "first"],
        [None, 10],
    )
)


@pytest.mark.parametrize(("paging", "totals", "past_last_page", "clamp"), SETTINGS)
async def test_the_sandbox_answers_lists_in_every_way_and_every_walk_ends(
    paging: str, totals: str, past_last_page: str, clamp: int | None
) -> None:
    async with (
        Sandbox(users=35, paging=paging, totals=totals, past_last_page=past_last_page, per_page_clamp=clamp) as sandbox,
        sandbox.client() as thrive,
    ):
        for size in (None, 20):
            sandbox.requests.clear()
            try:
                found = [user.id for user in await thrive.users.list(per_page=size).collect()]
            except (IncompleteList, NotFoundError):
                assert totals == "double" or (paging == "first" and totals == "right")
            else:
                wanted = list(sandbox.state.users)
                assert found == (wanted[: clamp or size or 1000] if paging == "first" else wanted)
            assert len(sandbox.requests) <= 10


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_the_sandbox_may_refuse_large_pages(status: int) -> None:
    async with Sandbox(users=150, largest_page=100, large_page_status=status) as sandbox, sandbox.client() as thrive:
        assert [user.id for user in await thrive.users.list().collect()] == list(sandbox.state.users)
        assert [one.status for one in sandbox.requests] == [status, 200, 200]
