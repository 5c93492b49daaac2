"""What cannot be meant is refused before anything is sent, and says which argument it is."""

import asyncio
import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sync.conftest import World
from thrive_async import ConfigurationError, ThriveClient, sync
from thrive_async.errors import InvalidArgument
from thrive_async.models import ManagerGrant, ManagerGrantPermissions
from thrive_async.sync import NewAudience, Progress

WRONG: dict[str, list[Any]] = {
    "max_removals": [2.5, math.nan, math.inf, -1, -0.1, "10%", True, [1]],
    "strategy": ["x", None, 1, ["diff"]],
    "verify": ["no", 1, None],
    "journal": [5, b"run.jsonl", ["run.jsonl"], True, "", "."],
    "on_progress": [5, "print", []],
}
PLANNING: dict[str, list[Any]] = {"removals": ["false", 0, None], "allow_empty": ["no", 1, None]}


async def _no_names() -> Any:
    yield "P-00001"


async def slow(progress: Progress) -> None:
    """What nobody would wait for."""


class SlowToo:
    async def __call__(self, progress: Progress) -> None:
        """What nobody would wait for."""


def grants(world: World) -> list[ManagerGrant]:
    return [ManagerGrant(reference=world.ref(0), permissions=ManagerGrantPermissions())]


@pytest.mark.parametrize("name", [*WRONG, *PLANNING])
async def test_a_sync_in_one_call_refuses_before_it_asks_anything(world: World, name: str) -> None:
    """Whatever it is, the error names it."""
    for value in {**WRONG, **PLANNING}[name]:
        arguments: dict[str, Any] = {name: value}
        with pytest.raises((TypeError, ValueError), match=name):
            await sync.sync_members(world.thrive, "team", world.ids[:300], **arguments)
        with pytest.raises((TypeError, ValueError), match=name):
            await sync.sync_audiences(world.thrive, {"team": world.ids[:300], "nowhere": ["a"]}, **arguments)
        with pytest.raises((TypeError, ValueError), match=name):
            await sync.sync_audiences(world.thrive, {}, **arguments)
        if name not in ("strategy", "verify"):
            with pytest.raises((TypeError, ValueError), match=name):
                await sync.sync_managers(world.thrive, "team", grants(world), **arguments)
        if name not in ("strategy", "verify", "removals"):
            with pytest.raises((TypeError, ValueError), match=name):
                await sync.sync_users(world.thrive, [{"ref": world.ref(0)}], **arguments)
    assert list(world.sandbox.requests) == []


@pytest.mark.parametrize("name", [*WRONG])
async def test_a_plan_refuses_before_it_writes_and_can_still_be_applied(world: World, name: str) -> None:
    """Of every kind."""
    plans: list[Any] = [
        await sync.plan_members(world.thrive, "team", world.ids[:300]),
        await sync.plan_audiences(world.thrive, {"team": world.ids[:300]}),
        await sync.plan_managers(world.thrive, "team", grants(world)),
        await sync.plan_users(world.thrive, [{"ref": world.ref(0), "email": world.email(0)}]),
    ]
    if name in ("strategy", "verify"):
        plans = plans[:2]
    for plan in plans:
        for value in WRONG[name]:
            with pytest.raises((TypeError, ValueError), match=name):
                await plan.apply(**{name: value})
    assert world.writes() == []
    for plan in plans:
        await plan.apply()


async def test_guards_refuse_what_cannot_be_meant_even_where_there_is_no_plan(world: World) -> None:
    """Every audience has failed already: the mistake is told all the same."""
    plan = await sync.plan_audiences(world.thrive, {"nowhere": ["a"]})
    with pytest.raises(InvalidArgument, match="strategy"):
        plan.refusals(strategy="x")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="max_removals"):
        plan.refusals(max_removals=1.5)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: sync.plan_members(t, None, ["a"]),
        lambda t: sync.plan_members(t, 5, ["a"]),
        lambda t: sync.plan_members(t, "team", None),
        lambda t: sync.plan_members(t, "team", "P-00001"),
        lambda t: sync.plan_members(t, "team", 5),
        lambda t: sync.plan_audiences(t, ["team"]),
        lambda t: sync.plan_audiences(t, "team"),
        lambda t: sync.plan_audiences(t, {5: ["a"]}),
        lambda t: sync.plan_audiences(t, {"team": None}),
        lambda t: sync.plan_audiences(t, {}, create_missing=["team"]),
        lambda t: sync.plan_audiences(t, {}, create_missing=[NewAudience(5)]),  # type: ignore[arg-type]
        lambda t: sync.plan_audiences(t, {}, create_missing=5),
        lambda t: sync.plan_managers(t, 5, []),
        lambda t: sync.plan_managers(t, "team", None),
        lambda t: sync.plan_managers(t, "team", "P-00001"),
        lambda t: sync.plan_managers(t, "team", _no_names()),
        lambda t: sync.plan_managers(t, "team", ["P-00001"]),
        lambda t: sync.plan_managers(t, "team", [], allow_empty="no"),
        lambda t: sync.plan_users(t, "export.csv"),
        lambda t: sync.plan_users(t, {"ref": "1"}),
        lambda t: sync.plan_users(t, ["ref"]),
        lambda t: sync.plan_users(t, None),
        lambda t: sync.plan_users(t, [{"ref": "1"}], columns="ref"),
        lambda t: sync.plan_users(t, [{"ref": "1"}], columns={"ref": 1}),
        lambda t: sync.plan_users(t, [{"ref": "1"}], columns={1: "ref"}),
        lambda t: sync.plan_users(t, [{1: "ref"}]),
        lambda t: sync.plan_users(t, [{"ref": "1"}], allow_empty=None),
    ],
)
async def test_arguments_of_a_wrong_type_are_type_errors(world: World, call: Callable[[ThriveClient], Any]) -> None:
    """Before anything is read."""
    with pytest.raises(TypeError):
        await call(world.thrive)
    assert list(world.sandbox.requests) == []


async def test_a_field_that_two_columns_claim_is_refused(world: World) -> None:
    """By its name and by its name on the wire: neither is guessed."""
    columns = {"ref": "a", "first_name": "b", "firstName": "c"}
    with pytest.raises(ConfigurationError, match="first_name twice"):
        await sync.plan_users(world.thrive, [{"a": "1", "b": "x", "c": "y"}], columns=columns)


@pytest.mark.parametrize("callback", [slow, SlowToo(), functools.partial(slow), SlowToo().__call__])
async def test_a_coroutine_function_for_progress_is_refused(world: World, callback: Any) -> None:
    """It would be called and never run; the error says what to do."""
    with pytest.raises(TypeError, match="plain function"):
        await sync.sync_members(world.thrive, "team", world.ids[:310], on_progress=callback)
    assert list(world.sandbox.requests) == []


async def test_a_function_that_turns_out_to_make_coroutines_stops_the_run(world: World) -> None:
    """No look at it can tell; what was done by then is on the plan, and nothing is left that was never awaited."""

    def callback(progress: Progress) -> object:
        return slow(progress)

    plan = await sync.plan_members(world.thrive, "team", world.ids[5:310])
    with pytest.raises(TypeError, match="plain function"):
        await plan.apply(on_progress=callback)
    assert plan.report is not None
    assert (len(plan.report.added), len(plan.report.not_attempted)) == (10, 5)
    many = await sync.plan_audiences(world.thrive, {"team": world.ids[5:310]})
    with pytest.raises(TypeError, match="plain function"):
        await many.apply(on_progress=callback)


async def test_a_function_may_start_a_task(world: World) -> None:
    """That is how something asynchronous is told of progress."""
    tasks: list[asyncio.Task[None]] = []

    def start(progress: Progress) -> "asyncio.Task[None]":
        tasks.append(asyncio.create_task(slow(progress)))
        return tasks[-1]

    await sync.sync_members(world.thrive, "team", world.ids[:310], on_progress=start)
    assert tasks
    await asyncio.gather(*tasks)


async def test_a_journal_is_a_file_of_its_own(world: World, tmp_path: Path) -> None:
    """A folder, a pipe, a place that is not there, the list of people itself: nothing is sent, nothing is written."""
    people = tmp_path / "people.csv"
    people.write_text("email\nada@example.org\n", encoding="utf-8")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    places: list[tuple[Path, type[Exception]]] = [
        (people, ConfigurationError),
        (pipe, ConfigurationError),
        (tmp_path, ConfigurationError),
        (tmp_path / "missing" / "run.jsonl", FileNotFoundError),
        (people / "run.jsonl", NotADirectoryError),
    ]
    for place, error in places:
        with pytest.raises(error):
            await sync.sync_members(world.thrive, "team", world.ids[:310], journal=place)
    assert list(world.sandbox.requests) == []
    assert people.read_text(encoding="utf-8") == "email\nada@example.org\n"
    for fine in (tmp_path / "new.jsonl", tmp_path / "empty.jsonl", Path("/dev/null")):
        if fine.name == "empty.jsonl":
            fine.touch()
        await sync.sync_members(world.thrive, "team", world.ids[:310], journal=fine)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
async def test_a_journal_that_may_not_be_written_is_told_of_at_once(world: World, tmp_path: Path) -> None:
    """In a folder of somebody else's, or a file."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    old = tmp_path / "old.jsonl"
    old.touch(mode=0o400)
    for place in (closed / "run.jsonl", old):
        with pytest.raises(PermissionError):
            await sync.sync_members(world.thrive, "team", world.ids[:310], journal=place)
    assert list(world.sandbox.requests) == []
