"""No error of a sync shows a person in its own words, nor do the errors that led to it; Thrive's words are quoted."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from thrive_async import GuardRefused, Retry, ThriveClient, ThriveError, sync
from thrive_async.models import ManagerGrant, ManagerGrantPermissions
from thrive_async.sandbox import Sandbox, VirtualClock

PEOPLE = ("Plantagenet", "planted.person", "PLANT-")
ANYTHING: dict[str, Any] = {"times": None, "operation": "*Member*"}


def look(text: str, where: str) -> None:
    found = [person for person in PEOPLE if person in text]
    assert not found, f"{found[0]!r} shows in {where}: {text[:1000]}"


def look_at(error: BaseException, seen: set[int] | None = None) -> None:
    """The text of an error, of what led to it, and of what a report says stopped it."""
    seen = set() if seen is None else seen
    if id(error) in seen:
        return
    seen.add(id(error))
    look(f"{error!r} {error}", "the text of an error")
    report = getattr(error, "report", None)
    for other in (error.__cause__, error.__context__, getattr(report, "cause", None)):
        if other is not None:
            look_at(other, seen)


@pytest.fixture
async def planted() -> AsyncIterator[tuple[Sandbox, ThriveClient]]:
    """Forty planted people, the first twenty of them in `team`, the first three its managers."""
    async with Sandbox(users=0, seed=1, clock=VirtualClock()) as sandbox:
        add = sandbox.state.add_user
        fields = {"firstName": "Plantagenet", "lastName": "Plantagenet"}
        ids = [add(ref=f"PLANT-{at}", email=f"planted.person{at}@x.org", **fields)["id"] for at in range(40)]
        sandbox.state.add_audience("team", members=ids[:20])
        sandbox.state.add_audience("other", members=ids[:20])
        sandbox.state.add_audience("smart", type="smart")
        async with sandbox.client(retry=Retry(max_attempts=2)) as thrive:
            await thrive.audiences.managers.add("team", [grant(at) for at in range(3)])
            yield sandbox, thrive


def refs(*places: int) -> list[str]:
    return [f"PLANT-{at}" for at in places]


def grant(at: int) -> ManagerGrant:
    return ManagerGrant(reference=f"PLANT-{at}", permissions=ManagerGrantPermissions())


def rows(*places: int) -> list[dict[str, str]]:
    return [{"ref": f"PLANT-{at}", "first_name": "Plantagenet", "email": f"planted.person{at}@x.org"} for at in places]


async def changed(thrive: ThriveClient, path: Path) -> None:
    (await sync.plan_members(thrive, "team", refs(*range(1, 30)))).save(path)
    change(path)
    sync.MemberPlan.load(path, thrive)


def change(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "to_add": ["planted.person77@x.org"]}), encoding="utf-8")


async def raising(thrive: ThriveClient, path: Path) -> None:
    report = await sync.sync_members(thrive, "team", refs(*range(1, 30)), journal=path)
    report.raise_for_failures()


async def raising_of_many(thrive: ThriveClient, _path: Path) -> None:
    desired = {"team": refs(*range(1, 30)), "nowhere": refs(1), "other": ["planted.person\0"], "smart": refs(2)}
    for result in (await sync.sync_audiences(thrive, desired)).values():
        if isinstance(result, ThriveError):
            look_at(result)
        else:
            result.raise_for_failures()


REFUSED: dict[str, Callable[[ThriveClient, Path], Awaitable[Any]]] = {
    "nobody usable": lambda t, _: sync.sync_members(t, "team", ["planted.person\0@x.org"]),
    "too many removals": lambda t, _: sync.sync_members(t, "team", refs(1)),
    "no such audience": lambda t, _: sync.sync_members(t, "nowhere", refs(1)),
    "smart": lambda t, _: sync.sync_members(t, "smart", refs(1)),
    "managers": lambda t, _: sync.plan_managers(t, "nowhere", [grant(1)]),
    "too many managers": lambda t, _: managers(t),
    "too many leavers": lambda t, _: users(t),
    "no columns": lambda t, _: sync.plan_users(t, rows(1), columns={"ref": "ID"}),
    "a plan that was changed": changed,
    "a journal of people": lambda t, path: journalled(t, path),  # noqa: PLW0108
}


async def managers(thrive: ThriveClient) -> None:
    await (await sync.plan_managers(thrive, "team", [grant(1)])).apply()


async def users(thrive: ThriveClient) -> None:
    await (await sync.plan_users(thrive, rows(1, 2), leavers="suspend")).apply()


async def journalled(thrive: ThriveClient, path: Path) -> None:
    await sync.sync_members(thrive, "team", refs(*range(20)), journal=path)


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_shows_nobody(planted: tuple[Sandbox, ThriveClient], tmp_path: Path, name: str) -> None:
    """Neither what was desired nor who is a member."""
    with pytest.raises(ThriveError) as caught:
        people = tmp_path / "people"
        people.write_text("planted.person1@x.org\n", encoding="utf-8")
        await REFUSED[name](planted[1], people)
    look_at(caught.value)


FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "401": ("status", {"status": 401}),
    "403": ("status", {"status": 403, "body": {"message": "may not"}}),
    "422": ("status", {"status": 422, "body": {"message": "may not"}}),
    "500": ("status", {"status": 500}),
    "never": ("rate_limited", {"retry_after": 4000}),
    "no JSON": ("not_json", {}),
    "another shape": ("wrong_shape", {"body": {"success": ["PLANT-1"]}}),
    "closed": ("close_after", {}),
    "slow": ("latency", {"seconds": 100.0}),
}


@pytest.mark.parametrize("call", [raising, raising_of_many])
@pytest.mark.parametrize("operation", ["*Member*", "addMembers", "removeMember", "getAudience"])
@pytest.mark.parametrize("name", FAULTS)
async def test_what_stops_a_sync_shows_nobody(
    planted: tuple[Sandbox, ThriveClient], tmp_path: Path, name: str, operation: str, call: Any
) -> None:
    """Raised by the plan, or in the end from the report with what stopped the run as its cause."""
    kind, details = FAULTS[name]
    planted[0].faults.add(kind, operation=operation, times=None, **details)  # type: ignore[arg-type]
    try:
        await call(planted[1], tmp_path / "run.jsonl")
    except ThriveError as error:
        look_at(error)
    else:
        # All was found done by reading, or each audience has its own report.
        assert call is raising_of_many or name in ("closed", "slow", "no JSON", "another shape")


@pytest.mark.parametrize("after", [0.5, 12.0])
async def test_a_cancel_shows_nobody(planted: tuple[Sandbox, ThriveClient], tmp_path: Path, after: float) -> None:
    """While reading, while writing; from a timeout of the caller's own too."""
    planted[0].faults.add("latency", seconds=8.0, **ANYTHING)
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(after):
            await sync.sync_members(planted[1], "team", refs(*range(1, 30)), journal=tmp_path / "run.jsonl")
    look_at(caught.value)
    task = asyncio.create_task(raising_of_many(planted[1], tmp_path))
    await asyncio.sleep(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    look_at(cancelled.value)


async def test_a_full_disk_shows_nobody(planted: tuple[Sandbox, ThriveClient]) -> None:
    """The error of the journal went through frames that hold what was to be written."""
    for call in (
        sync.sync_members(planted[1], "team", refs(*range(1, 30)), journal="/dev/full"),
        sync.sync_audiences(planted[1], {name: refs(*range(1, 30)) for name in ("team", "other")}, journal="/dev/full"),
    ):
        with pytest.raises(OSError, match="space") as caught:
            await call
        look_at(caught.value)


async def test_a_guard_of_many_shows_nobody(planted: tuple[Sandbox, ThriveClient]) -> None:
    """The refusals that a plan of plans tells of."""
    plan = await sync.plan_audiences(planted[1], {"team": refs(1), "other": refs(2)})
    refusals = plan.refusals()
    assert {type(one) for one in refusals.values()} == {GuardRefused}
    for one in refusals.values():
        look_at(one)
