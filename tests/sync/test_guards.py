"""Guards: what they refuse, with which figures, and what lifts them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sync.conftest import World
from thrive_async import sync
from thrive_async.errors import GuardRefused, InvalidArgument, SyncError
from thrive_async.models import Audience, ManagerGrant, ManagerGrantPermissions
from thrive_async.sync._guards import check_audience, check_desired, check_removals, removal_limit


@pytest.mark.parametrize(
    ("removals", "current", "limit"),
    [(10, 100, 0.10), (29, 100, 0.29), (2, 25, 0.10), (5, 7, 5), (0, 0, 0.1), (0, 10, 0), (10, 10, 1.0), (9, 9, None)],
)
def test_removals_at_the_limit_pass(removals: int, current: int, limit: float | None) -> None:
    """A guard refuses above its limit, not at it; floats do not shift it."""
    check_removals("a", removals, current, limit)


@pytest.mark.parametrize(("removals", "current", "limit"), [(11, 100, 0.10), (3, 25, 0.10), (6, 7, 5), (1, 10, 0)])
def test_removals_above_the_limit_are_refused_with_figures(removals: int, current: int, limit: float) -> None:
    """The error holds the figures and the option that lifts it."""
    with pytest.raises(GuardRefused) as caught:
        check_removals("sales", removals, current, limit)
    text = str(caught.value)
    assert f"removes {removals} of {current} members" in text
    assert f"max_removals={removals}" in text
    assert "nothing was changed" in text
    assert ("(10% of them)" in text) == (limit == 0.1)


@pytest.mark.parametrize("limit", [True, -1, -0.1, 1.5, math.nan, math.inf, "10%"])
def test_a_limit_that_cannot_be_meant_is_refused(limit: object) -> None:
    """1.5 is neither a fraction nor a count, and True is not one removal."""
    with pytest.raises(InvalidArgument, match="max_removals"):
        removal_limit(limit, 100)  # type: ignore[arg-type]


@given(st.integers(0, 100), st.integers(0, 100_000))
def test_a_percentage_is_exact(percent: int, current: int) -> None:
    """No float error lets one person more or less through."""
    limit = removal_limit(percent / 100, current)
    assert limit is not None
    assert limit * 100 == percent * current


def test_an_empty_list_is_refused_unless_meant() -> None:
    """Half a file must not empty an audience; neither may a file of blanks."""
    with pytest.raises(GuardRefused, match=r"empty.*allow_empty=True"):
        check_desired("a", 0, [], allow_empty=False)
    with pytest.raises(GuardRefused, match=r"3 entries, none of them usable \(the first: blank\)"):
        check_desired("a", 0, [("", "blank")] * 3, allow_empty=False)
    check_desired("a", 0, [], allow_empty=True)
    check_desired("a", 1, [("", "blank")], allow_empty=False)


def test_audiences_that_the_api_cannot_change_are_refused() -> None:
    """Smart audiences and those made in Thrive's own pages are nothing to write to."""
    with pytest.raises(GuardRefused, match="smart"):
        check_audience("a", Audience(id="1", type="smart", api_controlled=False))
    with pytest.raises(GuardRefused, match="not API-controlled"):
        check_audience("a", Audience(id="1", type="manual", api_controlled=False))
    check_audience("a", Audience(id="1", type="manual", api_controlled=True))


async def test_every_kind_of_plan_can_be_asked_what_its_guards_say(world: World) -> None:
    """Members, managers and users alike: with the default limit or another, before anything is sent; once each."""
    grants = [ManagerGrant(reference=one, permissions=ManagerGrantPermissions()) for one in world.ids[:2]]
    await (await sync.plan_managers(world.thrive, "team", grants)).apply()
    half = [{"ref": world.ref(at), "email": world.email(at)} for at in range(300)]
    plans = [
        await sync.plan_members(world.thrive, "team", world.ids[:200]),
        await sync.plan_managers(world.thrive, "team", [], allow_empty=True),
        await sync.plan_users(world.thrive, half, leavers="suspend"),
    ]
    world.sandbox.requests.clear()
    for plan in plans:
        with pytest.raises(GuardRefused, match="max_removals allows"):
            plan.check_guards()
        with pytest.raises(InvalidArgument, match="max_removals"):
            plan.check_guards(max_removals=1.5)
        plan.check_guards(max_removals=None)
        with pytest.raises(SyncError, match="without a client"):
            type(plan).from_json(plan.to_json()).check_guards(max_removals=None)
    assert list(world.sandbox.requests) == []
    for plan in plans:
        assert (await plan.apply(max_removals=None)).ok
        with pytest.raises(SyncError, match="applied before"):
            plan.check_guards(max_removals=None)
