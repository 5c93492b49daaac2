"""Decoding a page of users, and how long that keeps the loop from everybody else."""

import asyncio
import asyncio.events
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, get_args, get_origin

import attrs
import orjson

from benchmarks import contenders as c
from benchmarks import data
from benchmarks.measure import Bench, Row, interleaved, rows
from thrive_async._convert import read_list
from thrive_async.models import User

FLOOR = "orjson.loads alone"
CATTRS = "stock cattrs on our models"


def decode(bench: Bench) -> list[Row]:
    """A page of 1,000 full users: from its bytes to models."""
    body = data.users_page(bench.size(data.USERS_PER_PAGE, 3))
    converter = stock_cattrs()

    def ours() -> object:
        return read_list(User, orjson.loads(body)["results"])

    def cattrs() -> object:
        return converter.structure(orjson.loads(body)["results"], list[User])

    ways: dict[str, Any] = {"thrive-async": ours, FLOOR: lambda: orjson.loads(body), CATTRS: cattrs}
    if c.with_pydantic(bench):
        from benchmarks.pydantic_models import UserPage

        ways["pydantic v2 model_validate_json"] = lambda: UserPage.model_validate_json(body)
    opened = [bench.run(c.opened(make, bench.server.url)) for make in c.others(bench) if make is not c.HttpxPydantic]
    for contender in opened:
        ways[contender.name] = lambda contender=contender: contender.decode(body)
    times = interleaved(ways, bench.size(21, 1))
    for contender in opened:
        bench.run(contender.close())
    reach = {FLOOR: 2.4, "pydantic v2 model_validate_json": 0.7, CATTRS: 0.4}
    return rows("decode a page of 1,000 users", times, "cpu", reach=reach)


def stock_cattrs() -> Any:
    """The converter that cattrs' users would build: orjson's preconf, wire names, nothing tuned."""
    from cattrs.gen import make_dict_structure_fn, override
    from cattrs.preconf.orjson import make_converter

    converter = make_converter()

    def renamed(cls: Any) -> Any:
        names = {field.name: override(rename=field.metadata.get("json", field.name)) for field in attrs.fields(cls)}
        return make_dict_structure_fn(cls, converter, **names)

    def plain_union(kind: Any) -> bool:
        parts = set(get_args(kind)) - {type(None)}
        return len(parts) > 1 and all(get_origin(part) is None for part in parts) and parts <= {str, bool, int, float}

    converter.register_structure_hook_factory(attrs.has, renamed)
    converter.register_structure_hook_func(plain_union, lambda value, _: value)
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    return converter


def stall(bench: Bench) -> list[Row]:
    """The longest that one callback keeps the loop while pages of 1,000 users are listed, four in flight."""
    pages = bench.size(40, 2)
    bench.server.configure(total={"users": pages * data.USERS_PER_PAGE})

    async def walk() -> None:
        async with c.thrive(bench.server.url) as thrive:
            async for _user in thrive.users.list():
                pass

    bench.run(walk())
    with longest_callbacks() as longest:
        bench.run(walk())
    longest.sort(reverse=True)
    # What a colleague on the machine takes from a callback shows in wall time only.
    cpu, name = longest[0]
    typical = longest[: 2 * pages][pages // 2][0]
    detail = f"{cpu * 1e3:.1f} ms CPU at worst, {typical * 1e3:.1f} ms for the typical page; it is {name}"
    return [Row("longest stall of the loop, page of 1,000 users", "20 ms", cpu / 0.020, 1.0, detail)]


@contextmanager
def longest_callbacks() -> Iterator[list[tuple[float, str]]]:
    """Time every callback of every loop: CPU seconds and what it was, of those above a millisecond."""
    seen: list[tuple[float, str]] = []
    original = asyncio.events.Handle._run

    def timed(handle: Any) -> None:
        began = time.thread_time()
        original(handle)
        took = time.thread_time() - began
        if took > 0.001:
            seen.append((took, _named(handle)))

    asyncio.events.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        asyncio.events.Handle._run = original  # type: ignore[method-assign]


def _named(handle: Any) -> str:
    callback = handle._callback
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return f"a step of {task.get_coro().__qualname__}"
    return str(getattr(callback, "__qualname__", callback))
