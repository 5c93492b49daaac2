"""Pages fetched ahead stay bytes until their turn, and are then treated like any other answer."""

import asyncio

import pytest
from raw_server import RawRequest, RawServer, reply

from thrive_async import DecodeError, Limits, Retry, Timeouts
from thrive_async.sandbox import VirtualClock


class Pages:
    """Three pages of one user each; the second is no JSON for the first `spoilt` times."""

    def __init__(self, spoilt: int) -> None:
        self.spoilt = spoilt
        self.asked: list[int] = []

    async def __call__(self, request: RawRequest, writer: asyncio.StreamWriter) -> None:
        number = int(request.target.partition("page=")[2].partition("&")[0])
        self.asked.append(number)
        if number == 2 and self.asked.count(2) <= self.spoilt:
            writer.write(reply(200, "no JSON").replace(b'"', b"<"))
            return
        pagination = {"totalResults": 3, "totalPages": 3, "page": number, "perPage": 1}
        writer.write(reply(200, {"results": [{"id": f"u{number}"}], "pagination": pagination}))


async def _until_idle() -> None:
    for _ in range(100):
        await asyncio.sleep(0.01)


async def test_a_page_ahead_that_is_no_json_is_asked_for_again_when_its_turn_comes(clock: VirtualClock) -> None:
    server_pages = Pages(spoilt=2)
    async with RawServer([server_pages]) as server, server.client() as thrive:
        pages = thrive.users.list(per_page=1).pages()
        await anext(pages)
        await _until_idle()
        assert sorted(server_pages.asked) == [1, 2, 3]
        assert [page.items[0].id async for page in pages] == ["u2", "u3"]
    assert sorted(server_pages.asked) == [1, 2, 2, 2, 3]


async def test_a_page_ahead_that_is_refused_is_asked_for_again_at_once(clock: VirtualClock) -> None:
    """Its reader does not wait for the pause: that is over by the time the page is wanted."""
    server_pages = Pages(spoilt=0)

    async def busy_at_first(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        if "page=2&" in request.target and 2 not in server_pages.asked:
            server_pages.asked.append(2)
            writer.write(reply(503, {"message": "busy"}))
            return
        await server_pages(request, writer)

    async with RawServer([busy_at_first]) as server, server.client() as thrive:
        pages = thrive.users.list(per_page=1).pages()
        await anext(pages)
        await _until_idle()
        await asyncio.sleep(10)
        assert sorted(server_pages.asked) == [1, 2, 2, 3]
        assert [page.number async for page in pages] == [2, 3]


async def test_the_attempts_of_a_page_ahead_are_those_of_any_call(clock: VirtualClock) -> None:
    server_pages = Pages(spoilt=99)
    async with RawServer([server_pages]) as server, server.client(retry=Retry(max_attempts=3)) as thrive:
        pages = thrive.users.list(per_page=1).pages()
        await anext(pages)
        with pytest.raises(DecodeError):
            await anext(pages)
    assert server_pages.asked.count(2) == 3


async def test_while_a_page_waits_for_its_reader_its_total_time_does_not_run(clock: VirtualClock) -> None:
    """The reader may take a minute for a page; should the next be no JSON, there is still time to ask again."""
    server_pages = Pages(spoilt=1)
    timeouts = Timeouts(attempt=5, total=10)
    async with RawServer([server_pages]) as server, server.client(timeouts=timeouts) as thrive:
        seen = []
        async for user in thrive.users.list(per_page=1):
            seen.append(user.id)
            await asyncio.sleep(60)
    assert seen == ["u1", "u2", "u3"]
    assert clock.elapsed > 3 * 60


async def test_a_page_that_waits_for_its_reader_holds_no_slot(clock: VirtualClock) -> None:
    """With one slot, a page that waits must not keep other calls out."""
    server_pages = Pages(spoilt=0)
    async with RawServer([server_pages]) as server, server.client(limits=Limits(concurrency=1)) as thrive:
        pages = thrive.users.list(per_page=1).pages()
        await anext(pages)
        await _until_idle()
        assert await thrive.users.list(per_page=1).first() is not None
        assert [page.number async for page in pages] == [2, 3]
