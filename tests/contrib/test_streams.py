"""Lists and progress as streams, without a framework."""

import asyncio
import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from raw_server import RawServer, reply

from thrive_async import InvalidArgument, ThriveClient, ThriveError
from thrive_async.contrib._streams import SyncRuns, attachment, csv_chunks, ndjson_chunks, sent_events
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sync import SyncReport
from thrive_async.sync.report import Progress


def step(done: int) -> Progress:
    return Progress(done=done, total=9, failed=0, rate=1.0, remaining_seconds=None)


# Lists


async def test_each_page_is_one_chunk_and_fields_may_be_chosen(thrive: ThriveClient) -> None:
    chunks = [chunk async for chunk in await ndjson_chunks(thrive.users.list(per_page=25), ["id", "rank.currentLevel"])]
    assert [chunk.count(b"\n") for chunk in chunks] == [25, 25, 10, 1]
    assert set(json.loads(chunks[0].splitlines()[0])) == {"id", "rank.currentLevel"}


async def test_a_long_number_does_not_end_the_stream() -> None:
    """It keeps its digits, as in the model."""
    page = b'[{"id":"a","additionalFields":{"payroll":12345678901234567890123}}]'
    async with RawServer([reply(200, page)]) as server, server.client() as thrive:
        chunks = [chunk async for chunk in await ndjson_chunks(thrive.users.list(), ["additionalFields.payroll"])]
    assert chunks[0] == b'{"additionalFields.payroll":12345678901234567890123}\n'
    assert json.loads(chunks[1])["end"]["whole"]


async def test_an_empty_list_has_an_end_as_well(thrive: ThriveClient, sandbox: Sandbox) -> None:
    nobody = thrive.users.list(updated_since=datetime(2100, 1, 1, tzinfo=UTC))
    assert [chunk async for chunk in await ndjson_chunks(nobody, None)] == [b'{"end":{"whole":true,"items":0}}\n']
    assert b"".join([chunk async for chunk in await csv_chunks(nobody, ["id"])]) == b"id\r\n# whole: 0 rows\r\n"


async def test_a_line_break_in_a_name_is_no_row(thrive: ThriveClient, sandbox: Sandbox) -> None:
    sandbox.state.user("E00001")["firstName"] = 'a"b\r\n=c,d'
    text = b"".join([chunk async for chunk in await csv_chunks(thrive.users.list(), ["ref", "firstName"])]).decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == 62
    assert 'a"b\r\n=c,d' in [row[-1] for row in rows]


@pytest.mark.parametrize("columns", [[], (), "id"], ids=repr)
async def test_columns_that_make_no_sense_are_refused_before_anything_is_sent(
    columns: Any, thrive: ThriveClient, sandbox: Sandbox
) -> None:
    with pytest.raises(InvalidArgument, match="columns"):
        await csv_chunks(thrive.users.list(), columns)
    with pytest.raises(InvalidArgument, match="fields"):
        await ndjson_chunks(thrive.users.list(), "id")
    assert not sandbox.requests


@pytest.mark.parametrize("name", ["", 'a"b', "a\r\nSet-Cookie: x", "a/b", "é.csv"])
def test_a_file_name_cannot_add_a_header(name: str) -> None:
    with pytest.raises(InvalidArgument, match="filename"):
        attachment(name)


# Progress


async def test_a_silent_run_sends_a_comment_now_and_then(clock: VirtualClock) -> None:
    async def slow(told: Callable[[Progress], object]) -> None:
        await asyncio.sleep(40)

    run = SyncRuns().start(slow)
    chunks = [chunk async for chunk in sent_events(run)]
    assert chunks == [b": still there\n\n"] * 2 + [b'event: report\ndata: {"ok":true}\n\n']
    assert clock.elapsed == 40


async def test_every_watcher_sees_the_end_and_a_slow_one_misses_steps(clock: VirtualClock) -> None:
    async def run_through(told: Callable[[Progress], object]) -> None:
        for done in range(10):
            told(step(done))
            await asyncio.sleep(1)

    async def watch(pause: float) -> list[object]:
        seen: list[object] = []
        async for name, data in run.events():
            seen.append(data.get("done", name))
            await asyncio.sleep(pause)
        return seen

    run = SyncRuns().start(run_through)
    quick, slow, late = await asyncio.gather(watch(0), watch(3.5), _later(20, lambda: watch(0)))
    assert quick == [*range(10), "report"]
    assert slow[-1] == late[-1] == "report"
    assert late == [9, "report"]
    assert len(slow) < len(quick)


async def _later(seconds: float, then: Callable[[], Any]) -> Any:
    await asyncio.sleep(seconds)
    return await then()


async def test_a_watcher_who_leaves_leaves_no_task_behind(clock: VirtualClock) -> None:
    async def slow(told: Callable[[Progress], object]) -> None:
        told(step(1))
        await asyncio.sleep(1000)

    run = SyncRuns().start(slow)
    stream = sent_events(run)
    assert b"progress" in await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task(), run.task}
    run.task.cancel()


async def test_several_audiences_are_reported_by_name() -> None:
    async def many(_: Any) -> dict[str, object]:
        return {"one": SyncReport(subject="one", run="r"), "two": ThriveError("Thrive's words")}

    (event,) = [event async for event in SyncRuns().start(many).events()]
    assert event[0] == "report"
    audiences: Any = event[1]["audiences"]
    assert audiences["one"]["ok"] is True
    assert audiences["two"] == {"ok": False, "detail": "Something failed"}
