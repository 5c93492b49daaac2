"""Under every fault every planned change has exactly one outcome, and the outcome is true."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sync.conftest import World, people
from thrive_async import RateLimitError, RequestTimeout, Retry, SyncError, Timeouts, sync
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sync import MemberPlan, SyncReport

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("rate_limited", {}),
    ("rate_limited", {"retry_after": 2}),
    ("rate_limited", {"retry_after": 200}),
    ("rate_limited", {"retry_after": 4000}),
    ("status", {"status": 400}),
    ("status", {"status": 401}),
    ("status", {"status": 403}),
    ("status", {"status": 404}),
    ("status", {"status": 405}),
    ("status", {"status": 409}),
    ("status", {"status": 413}),
    ("status", {"status": 422}),
    ("status", {"status": 500}),
    ("status", {"status": 500, "after": True}),
    ("status", {"status": 503}),
    ("status", {"status": 503, "retry_after": 3}),
    ("html", {}),
    ("html", {"after": True}),
    ("empty_body", {}),
    ("cut_body", {}),
    ("not_json", {}),
    ("wrong_shape", {}),
    ("wrong_shape", {"body": {"success": {"count": 0, "entities": []}}}),
    ("close_before", {}),
    ("close_after", {}),
    ("latency", {"seconds": 45.0}),
    ("latency", {"seconds": 0.2, "jitter": 0.5}),
    ("expired_token", {}),
    ("revoked_token", {}),
    ("members_change", {}),
]


def check(plan: MemberPlan, report: SyncReport, before: set[str], after: set[str], sandbox: Sandbox) -> None:
    """Every planned change is in exactly one place, and what is said to be done is done."""
    planned = [("add", name) for name in plan.to_add] + [("remove", one.user_id) for one in plan.to_remove]
    told = [*report.added, *report.removed, *report.failed, *report.not_attempted]
    assert sorted((one.action, one.reference) for one in told) == sorted(planned)
    assert {one.action for one in report.added} <= {"add"}
    assert {one.action for one in report.removed} <= {"remove"}

    def user_id(name: str) -> str | None:
        user = sandbox.state.find_user(name)
        return None if user is None else user["id"]

    assert {user_id(one.reference) for one in report.added} <= after
    assert not {one.reference for one in report.removed} & after
    for one in report.not_attempted:
        assert (user_id(one.reference) in after) == (one.action == "remove"), one.reason
        assert one.reason
    for one in report.failed:
        assert one.reason
        if "may have been done" not in one.reason and "could not be checked" not in one.reason:
            assert (user_id(one.reference) in after) == (one.action == "remove"), one.reason
    assert before - {one.user_id for one in plan.to_remove} <= after, "somebody who stays was removed"
    # A run that Thrive's errors stopped says so, also where reading back shows that all was done before.
    assert report.ok == (not report.failed and not report.not_attempted and report.cause is None)


@pytest.mark.parametrize(("kind", "details"), KINDS, ids=str)
@pytest.mark.parametrize("times", [1, 4, None])
async def test_accounting_holds_under_every_fault(kind: str, details: dict[str, Any], times: int | None) -> None:
    """A fault on writes, once, some times, or for ever: nobody is lost, and nothing is claimed that is not so."""
    async with Sandbox(users=0, clock=VirtualClock()) as sandbox:
        ids = people(sandbox, 500)
        sandbox.state.add_audience("team", members=ids[:200])
        credentials = sandbox.oauth if "token" in kind else sandbox.credentials
        async with sandbox.client(credentials=credentials, retry=Retry(max_attempts=3)) as thrive:
            plan = await sync.plan_members(thrive, "team", [*ids[20:420], "nobody@example.org"])
            before = set(sandbox.state.audiences["team"].members)
            operation = "listMembers" if kind == "members_change" else "*Member*"
            sandbox.faults.add(kind, operation=operation, times=times, **details)  # type: ignore[arg-type]
            report = await plan.apply()
            check(plan, report, before, set(sandbox.state.audiences["team"].members), sandbox)
            if (
                times == 1
                and details.get("status") not in (401, 403, 404, 405)
                and details.get("retry_after") not in (200, 4000)
            ):
                assert not report.not_attempted
        # What was not done is done by the next run.
        sandbox.faults.clear()
        async with sandbox.client() as thrive:
            again = await sync.sync_members(thrive, "team", ids[20:420])
        assert again.ok
        assert set(sandbox.state.audiences["team"].members) == set(ids[20:420])


faults = st.lists(
    st.tuples(
        st.sampled_from([*KINDS, ("poisoned", {"people": 3}), ("unknown_users", {"people": 5})]),
        st.sampled_from(["addMembers", "removeMember", "listMembers", "getAudience", "*"]),
        st.sampled_from([1, 2, 5, None]),
        st.sampled_from([1.0, 0.5, 0.2]),
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=faults,
    cut=st.integers(0, 60),
    extra=st.integers(0, 230),
    seed=st.integers(0, 10_000),
    strategy=st.sampled_from(["diff", "diff", "rebuild"]),
)
def test_accounting_holds_under_any_mixture(
    faults: list[tuple[tuple[str, dict[str, Any]], str, int | None, float]],
    cut: int,
    extra: int,
    seed: int,
    strategy: sync.Strategy,
) -> None:
    """Several faults at once, at any rate, against any operation."""

    async def run() -> None:
        async with Sandbox(users=0, seed=seed, clock=VirtualClock()) as sandbox:
            ids = people(sandbox, 400)
            sandbox.state.add_audience("team", members=ids[:150])
            async with sandbox.client(retry=Retry(max_attempts=2)) as thrive:
                plan = await sync.plan_members(thrive, "team", ids[cut : 150 + extra])
                before = set(sandbox.state.audiences["team"].members)
                for (kind, details), operation, times, probability in faults:
                    if "people" in details:
                        details = {"references": ids[160 : 160 + details["people"]]}  # noqa: PLW2901
                        operation = "addMembers"  # noqa: PLW2901
                    if kind in ("members_change", "wrong_shape") or "status" in details or operation == "*":
                        operation = "addMembers" if kind != "members_change" else "listMembers"  # noqa: PLW2901
                    sandbox.faults.add(
                        kind,  # type: ignore[arg-type]
                        operation=operation,
                        times=times,
                        probability=probability,
                        **details,
                    )
                report = await plan.apply(max_removals=None, strategy=strategy)
                after = set(sandbox.state.audiences["team"].members)
                if any(kind == "members_change" for (kind, _details), *_ in faults):
                    planned = len(plan.to_add) + len(plan.to_remove)
                    assert report.planned == planned or strategy == "rebuild"
                elif strategy == "diff":
                    check(plan, report, before, after, sandbox)
                else:
                    stays = {one.reference for one in (*report.failed, *report.not_attempted)}
                    assert set(plan.staying) - stays <= after

    asyncio.run(run())


async def test_a_lost_answer_is_repeated_and_counts_as_added(world: World) -> None:
    """The addition took effect, its answer was lost: the transport says it again, and nobody is told twice."""
    world.sandbox.faults.add("close_after", operation="addMembers", times=2)
    report = await sync.sync_members(world.thrive, "team", world.ids[:420])
    assert (len(report.added), report.ok) == (120, True)
    assert world.arrived("addMembers") == 4


async def test_an_answer_that_stays_lost_is_checked_by_reading(world: World) -> None:
    """Every answer is lost, every addition done: reading shows it, nothing is guessed."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[:420])
    world.sandbox.faults.add("close_after", operation="addMembers", times=None)
    report = await plan.apply()
    assert report.ok
    assert all("found done by reading" in (one.reason or "") for one in report.added)
    assert set(world.ids[:420]) == world.members


async def test_an_addition_that_was_not_done_is_found_out(world: World) -> None:
    """Every request is lost before it does anything: reading shows that, too."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[:420])
    world.sandbox.faults.add("status", operation="addMembers", times=None, status=503)
    report = await plan.apply()
    assert len(report.failed) == 120
    assert all("found not done by reading" in (one.reason or "") for one in report.failed)


async def test_a_short_outage_is_sat_out(world: World) -> None:
    """Everything fails for a while: the jobs it hit are tried again at the end."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[20:520])
    world.sandbox.faults.add("status", times=3 * 6, status=503)
    report = await plan.apply()
    assert report.ok


async def test_a_404_for_somebody_who_is_a_member_is_a_failure(world: World) -> None:
    """A server that does not know its members by id must not pass for one that has removed them."""
    world.sandbox.faults.add("status", operation="removeMember", times=None, status=404)
    report = await sync.sync_members(world.thrive, "team", world.ids[5:300])
    assert len(report.failed) == 5
    assert world.arrived("getAudience") == 2


async def test_a_long_outage_stops_the_run(world: World) -> None:
    """To go on would fail everybody else too: they are not attempted, and the cause is kept."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[270:])
    world.sandbox.faults.add("close_before", operation="removeMember", times=None)
    report = await plan.apply(max_removals=None)
    assert len(report.added) == 300
    assert len(report.not_attempted) > 200
    assert report.cause is not None
    assert not report.removed


@pytest.mark.parametrize(("status", "name"), [(401, "AuthenticationError"), (403, "PermissionDeniedError")])
async def test_a_key_that_stops_working_stops_the_run(world: World, status: int, name: str) -> None:
    """One more refusal per worker at most; nothing fails silently."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[270:])
    before = len(world.sandbox.requests)
    world.sandbox.faults.add("status", times=None, status=status)
    report = await plan.apply(max_removals=None)
    assert len(report.not_attempted) == 570
    assert len(world.sandbox.requests) - before <= 10
    with pytest.raises(SyncError, match=rf"570 not attempted; stopped by {name} \({status}\)"):
        report.raise_for_failures()


@pytest.mark.parametrize("kind", ["status", "rate_limited", "revoked_token"])
async def test_what_thrive_only_ever_refused_was_not_attempted(world: World, kind: Any) -> None:
    """However often it was asked: a 401 or a 429 did nothing, so that there is nothing to find out by reading."""
    details = {"status": {"status": 401}, "rate_limited": {"retry_after": 1}}.get(kind, {})
    async with world.sandbox.client(credentials=world.sandbox.oauth, retry=Retry(max_attempts=3)) as thrive:
        plan = await sync.plan_members(thrive, "team", world.ids[20:520])
        if kind == "revoked_token":
            world.sandbox.faults.add("status", operation="createAccessToken", times=None, status=401)
        world.sandbox.faults.add(kind, operation="addMembers", times=None, **details)
        world.sandbox.requests.clear()
        report = await plan.apply()
    assert len(report.not_attempted) == 240
    assert not report.failed
    assert world.arrived("addMembers") > 1
    assert world.arrived("listMembers") == 0


async def test_a_refusal_after_a_lost_answer_is_looked_into(world: World) -> None:
    """The first attempt may have done it, and has: the 429s that follow do not undo that."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[:310])
    world.sandbox.faults.add("close_after", operation="addMembers", times=1)
    world.sandbox.faults.add("status", operation="addMembers", times=None, status=429, after=True)
    report = await plan.apply()
    assert len(report.added) == 10
    assert all("found done by reading" in (one.reason or "") for one in report.added)


async def test_a_wait_longer_than_the_client_may_wait_stops_the_run(world: World) -> None:
    """`Timeouts.total` bounds it: nothing was done, and the report says why; with more time, the run waits."""
    world.sandbox.faults.add("rate_limited", operation="addMembers", times=2, retry_after=200)
    plan = await sync.plan_members(world.thrive, "team", world.ids[:420])
    began = asyncio.get_running_loop().time()
    report = await plan.apply()
    assert asyncio.get_running_loop().time() - began < 120
    assert isinstance(report.cause, RateLimitError | RequestTimeout)
    assert len(report.not_attempted) == 120
    assert all("200" in (one.reason or "") for one in report.not_attempted)
    world.sandbox.faults.clear()
    world.sandbox.faults.add("rate_limited", operation="addMembers", times=2, retry_after=200)
    async with world.sandbox.client(timeouts=Timeouts(total=250)) as thrive:
        await asyncio.sleep(200)
        assert (await sync.sync_members(thrive, "team", world.ids[:420])).ok


@pytest.mark.parametrize(
    ("kind", "details"),
    [("close_after", {}), ("close_before", {}), ("status", {"status": 503}), ("rate_limited", {"retry_after": 1})],
)
@pytest.mark.parametrize("operation", ["addMembers", "removeMember"])
async def test_with_one_attempt_nothing_is_repeated(
    world: World, kind: Any, details: dict[str, Any], operation: str
) -> None:
    """`Retry(max_attempts=1)` switches repeating off in a sync, too: each write arrives once."""
    async with world.sandbox.client(retry=Retry(max_attempts=1), timeouts=Timeouts(total=None)) as thrive:
        plan = await sync.plan_members(thrive, "team", world.ids[5:420])
        world.sandbox.requests.clear()
        world.sandbox.faults.add(kind, operation=operation, times=None, **details)
        report = await plan.apply()
    writes = [(one.path, str(one.body)) for one in world.sandbox.requests if one.operation == operation]
    assert writes
    assert len(set(writes)) == len(writes)
    assert report.planned == 125


@pytest.mark.parametrize("at", [300, 350, 399])
async def test_one_poisoned_person_costs_few_calls(world: World, at: int) -> None:
    """A batch refused whole is split until the offender is alone, in at most 2*log2(100)+1 further calls."""
    world.sandbox.faults.add("poisoned", references=[world.ids[at]])
    report = await sync.sync_members(world.thrive, "team", world.ids[:400])
    assert [one.reference for one in report.failed] == [world.ids[at]]
    assert len(report.added) == 99
    assert world.arrived("addMembers") <= 1 + 14


@pytest.mark.parametrize("status", [400, 409, 413, 422, 500])
async def test_poisoned_people_are_isolated_whatever_the_status(world: World, status: int) -> None:
    """Also where Thrive breaks over a person instead of refusing them."""
    world.sandbox.faults.add("poisoned", references=[world.ids[301], world.ids[377]], status=status)
    report = await sync.sync_members(world.thrive, "team", world.ids[:400])
    assert {one.reference for one in report.failed} == {world.ids[301], world.ids[377]}
    assert len(report.added) == 98


async def test_a_refusal_that_names_everybody_need_not_be_split() -> None:
    """Where all of a batch fail, Thrive may answer 422 with the reasons instead of 207."""
    async with Sandbox(users=0, clock=VirtualClock(), all_failed_batch=422) as sandbox, sandbox.client() as thrive:
        ids = people(sandbox, 10)
        sandbox.state.add_audience("team", members=ids)
        report = await sync.sync_members(thrive, "team", [*ids, *(f"nobody-{at}" for at in range(100))])
        assert {one.reason for one in report.failed} == {"User does not exist."}
        assert len(report.failed) == 100
        assert sum(entry.operation == "addMembers" for entry in sandbox.requests) == 1


async def test_answers_that_nobody_can_read_are_not_asked_for_again(world: World) -> None:
    """Thrive is there and has answered: the members tell what it meant, and the sync goes on to its end."""
    odd = {"success": ["P-00300"], "failure": 7}
    world.sandbox.faults.add("wrong_shape", operation="addMembers", times=None, body=odd)
    report = await sync.sync_members(world.thrive, "team", [*world.ids[5:600], "nobody@example.org"])
    assert (len(report.added), len(report.removed), len(report.failed)) == (300, 5, 1)
    assert world.arrived("addMembers") == 4
    assert world.members == set(world.ids[5:600])


@pytest.mark.parametrize("change", [{"type": "smart"}, {"apiControlled": False}])
async def test_an_audience_that_cannot_be_written_any_more_stops_the_run(world: World, change: dict[str, Any]) -> None:
    """It would refuse everybody, one by one."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[100:600])
    world.sandbox.state.audiences["team"].update(change)
    report = await plan.apply(max_removals=None)
    assert isinstance(report.cause, SyncError)
    assert "no longer" in str(report.cause)
    assert len(report.failed) + len(report.not_attempted) == 400
    assert len(world.writes()) < 60
