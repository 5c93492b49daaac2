"""Lists and progress as streams: NDJSON, CSV, and Server-Sent Events. Each ends by saying whether it was whole."""

import asyncio
import csv
import io
import re
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

import attrs
import msgspec
import orjson

from thrive_async._base.cells import cell, guard_cell, pick
from thrive_async.contrib._answers import LOG, answer_to, place_of
from thrive_async.errors import InvalidArgument, ThriveError
from thrive_async.pagination import Page, Paginator
from thrive_async.sync.report import Progress, SyncReport

__all__ = ["CSV", "EVENTS", "NDJSON", "SyncRun", "SyncRuns", "attachment", "csv_chunks", "ndjson_chunks", "sent_events"]

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv; charset=utf-8"
EVENTS: Final = "text/event-stream"

_ENCODER: Final = msgspec.json.Encoder()
_ALIVE: Final = b": still there\n\n"
_SILENCE: Final = 15.0
"""Seconds without an event after which a line goes out, so that no proxy takes the stream for dead."""
_KEPT: Final = 100
"""Runs that are over and can still be watched."""


async def ndjson_chunks(items: Paginator[Any], fields: Sequence[str] | None) -> AsyncGenerator[bytes]:
    """Return a list as lines of JSON, a page at a time.

    The first page is read before this returns, so that its errors are answered as errors.
    """
    if fields is not None:
        _check_names("fields", fields)

    def written(page: Page[Any]) -> bytes:
        records = (item.to_dict() for item in page.items)
        chosen = records if fields is None else ({name: pick(record, name) for name in fields} for record in records)
        # Not orjson, which writes no integer of more than 64 bits.
        return _ENCODER.encode_lines(list(chosen))

    def end(count: int, problem: str | None) -> bytes:
        told = {"whole": problem is None, "items": count, **({} if problem is None else {"detail": problem})}
        return orjson.dumps({"end": told}, option=orjson.OPT_APPEND_NEWLINE)

    return _chunks(*await _begun(items), b"", written, end)


async def csv_chunks(items: Paginator[Any], columns: Sequence[str]) -> AsyncGenerator[bytes]:
    """Return a list as CSV, a page at a time, safe to open in a spreadsheet.

    The first page is read before this returns, so that its errors are answered as errors.
    """
    if not columns:
        raise InvalidArgument("$columns must name at least one field", "columns")
    _check_names("columns", columns)

    def row(cells: Sequence[object]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerow(cells)
        return text.getvalue().encode()

    def written(page: Page[Any]) -> bytes:
        rows: list[bytes] = []
        for item in page.items:
            record: Mapping[str, Any] = item.to_dict()
            values = [pick(record, name) for name in columns]
            # A number below zero is no formula; whatever holds text may be one.
            rows.append(row([v if isinstance(v, int | float) else guard_cell(cell(v)) for v in values]))
        return b"".join(rows)

    def end(count: int, problem: str | None) -> bytes:
        told = f"# whole: {count} rows" if problem is None else f"# cut short after {count} rows: {problem}"
        return row([told])

    return _chunks(*await _begun(items), row(columns), written, end)


def attachment(filename: str) -> dict[str, str]:
    """Return the header that lets a browser save an answer under a name.

    Raises:
        InvalidArgument: The name holds anything but letters of ASCII, digits, `.`, `-` and `_`.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", filename):
        raise InvalidArgument("$filename may hold letters, digits, '.', '-' and '_'", "filename")
    return {"Content-Disposition": f'attachment; filename="{filename}"'}


def _check_names(argument: str, names: Sequence[str]) -> None:
    if isinstance(names, str):
        raise InvalidArgument(f'${argument} must be a list of names, such as ["id"]', argument)


async def _begun(items: Paginator[Any]) -> tuple[AsyncGenerator[Page[Any]], Page[Any]]:
    pages = items.pages()
    return pages, await anext(pages)


async def _chunks(
    pages: AsyncGenerator[Page[Any]],
    first: Page[Any],
    head: bytes,
    written: Callable[[Page[Any]], bytes],
    end: Callable[[int, str | None], bytes],
) -> AsyncGenerator[bytes]:
    """Yield pages as bytes. The next page is asked for once the browser has taken this one."""
    count, problem = len(first.items), None
    async with aclosing(pages):
        chunk = head + written(first)
        del first
        if chunk:  # an empty one would end the answer in some servers
            yield chunk
        try:
            async for page in pages:
                chunk = written(page)
                count += len(page.items)
                del page
                yield chunk
        except ThriveError as error:
            problem = answer_to(error).detail
    yield end(count, problem)


class SyncRun:
    """A sync under way in the background: any number of browsers can watch it, and leaving ends only the watching.

    Attributes:
        id: Names it in a URL.
        task: The task it runs in: await it for the report, or cancel it to stop the sync.
    """

    def __init__(self, run: Callable[[Callable[[Progress], object]], Awaitable[Any]]) -> None:
        self.id: str = uuid.uuid4().hex
        self._progress: Progress | None = None
        self._changed = asyncio.Event()
        self.task: asyncio.Task[Any] = asyncio.ensure_future(self._run(run))
        self.task.add_done_callback(self._over)

    async def _run(self, run: Callable[[Callable[[Progress], object]], Awaitable[Any]]) -> Any:
        return await run(self._told)

    def _told(self, progress: Progress) -> None:
        self._progress = progress
        self._wake()

    def _over(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ThriveError):
            LOG.error("a sync raised %s", place_of(error))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def events(self) -> AsyncIterator[tuple[str, Mapping[str, object]]]:
        """Yield what happens as names and values: `progress`, then `report`, `error` or `cancelled` at the end.

        A slow watcher misses steps in between, and never the end.
        """
        seen: Progress | None = None
        while True:
            changed = self._changed
            if self._progress is not None and self._progress is not seen:
                seen = self._progress
                yield "progress", attrs.asdict(seen)
            if self.task.done():
                yield self._end()
                return
            if self._progress is seen:
                await changed.wait()

    def _end(self) -> tuple[str, Mapping[str, object]]:
        if self.task.cancelled():
            return "cancelled", {}
        error = self.task.exception()
        if error is None:
            return "report", _figures(self.task.result())
        if isinstance(error, ThriveError):
            answer = answer_to(error)
            return "error", {"status": answer.status, **answer.body}
        return "error", {"status": 500, "detail": "The sync failed"}


class SyncRuns:
    """The syncs that one application has started, in this process.

    Example:
        run = runs.start(lambda told: sync.sync_members(thrive, "sales-emea", people, on_progress=told))
    """

    def __init__(self) -> None:
        self._runs: OrderedDict[str, SyncRun] = OrderedDict()

    def start(self, run: Callable[[Callable[[Progress], object]], Awaitable[Any]]) -> SyncRun:
        """Start a sync in the background.

        Args:
            run: Takes a function for `on_progress`, and returns what `sync_members` or another sync returns.

        Returns:
            The run. Watch it with `event_stream(run)`.
        """
        started = SyncRun(run)
        self._runs[started.id] = started
        for old in [one for one in self._runs.values() if one.task.done()][:-_KEPT]:
            del self._runs[old.id]
        return started

    def get(self, run_id: str) -> SyncRun | None:
        """Return a run by its id; None if this process does not know it."""
        return self._runs.get(run_id)

    async def aclose(self, seconds: float) -> None:
        """Cancel what is under way, and wait for it to end. A sync stops after the requests that are in flight."""
        for task in self._under_way:
            task.cancel()
        await self.wait(seconds)

    async def wait(self, seconds: float) -> None:
        """Wait for what is under way to end."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    @property
    def _under_way(self) -> list[asyncio.Task[Any]]:
        return [run.task for run in self._runs.values() if not run.task.done()]


async def sent_events(run: SyncRun) -> AsyncGenerator[bytes]:
    """Write what happens in a run as Server-Sent Events, with a comment every 15 seconds without one."""
    events = run.events()
    following = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait((following,), timeout=_SILENCE)
            if not done:
                yield _ALIVE
                continue
            try:
                name, told = following.result()
            except StopAsyncIteration:
                return
            yield b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(told))
            following = asyncio.ensure_future(anext(events))
    finally:
        following.cancel()


def _figures(result: object) -> Mapping[str, object]:
    if isinstance(result, Mapping):
        audiences = cast("Mapping[str, object]", result)
        return {"audiences": {name: _figures(one) for name, one in audiences.items()}}
    if isinstance(result, SyncReport):
        heaps = ("added", "changed", "removed", "failed", "not_attempted", "rejected", "ambiguous", "held")
        return {"ok": result.ok, **{name: len(getattr(result, name)) for name in heaps}}
    if isinstance(result, ThriveError):
        return {"ok": False, **answer_to(result).body}
    return {"ok": True}
