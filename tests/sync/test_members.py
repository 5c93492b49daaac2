"""The whole path: plan, apply, report, against a server that holds state."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import evolve

from tests.sync.conftest import World
from thrive_async import GuardRefused, PermissionDeniedError, SyncError, sync
from thrive_async.models import AudienceMember
from thrive_async.sync import MemberPlan, members


async def test_a_plan_prints_its_counts(world: World) -> None:
    """One line: added, removed, unchanged, and what was odd."""
    desired = [*world.ids[10:310], world.email(20), world.ref(21), "P-00599"]
    plan = await sync.plan_members(world.thrive, "team", desired)
    assert str(plan) == "team: +11 -10 =290 (2 duplicates)"
    assert str(await sync.plan_members(world.thrive, "team", [*desired, " ", "a\nb"])) == (
        "team: +11 -0 =290 (2 duplicates, 1 blank, 1 rejected, 10 removals held)"
    )
    assert (plan.unchanged, plan.current) == (290, 300)
    assert "person" not in repr(plan)
    assert world.writes() == []


async def test_a_plan_without_oddities_prints_nothing_more(world: World) -> None:
    """The parenthesis is for what needs a look."""
    assert str(await sync.plan_members(world.thrive, "team", world.ids[:300])) == "team: +0 -0 =300"


async def test_apply_makes_the_audience_equal_to_the_list(world: World) -> None:
    """Names of all kinds are added, who is not named is removed, and everybody has an outcome."""
    desired = [world.email(at).upper() for at in range(20, 200)] + world.ids[200:300]
    desired += [world.email(at) for at in range(300, 450)]
    plan = await sync.plan_members(world.thrive, "team", desired)
    report = await plan.apply()
    assert world.members == set(world.ids[20:450])
    assert [outcome.reference for outcome in report.added] == [world.email(at) for at in range(300, 450)]
    assert {outcome.reference for outcome in report.removed} == set(world.ids[:20])
    assert (report.failed, report.not_attempted, report.cause) == ((), (), None)
    assert report.ok
    assert plan.report is report
    report.raise_for_failures()


async def test_additions_go_in_hundreds_and_before_removals(world: World) -> None:
    """The fewest calls, in the order in which nobody who stays is ever out."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[5:555])
    assert plan.calls == {"diff": 8, "rebuild": 6}
    await plan.apply()
    assert world.writes() == ["addMembers"] * 3 + ["removeMember"] * 5


async def test_who_could_not_be_named_is_in_the_report(world: World) -> None:
    """What the plan rejects or finds ambiguous is no success, whatever else was done."""
    world.sandbox.state.user(world.ids[1])["ref"] = world.email(0)
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[:300], "a\nb", " ", world.email(0)])
    report = await sync.MemberPlan.from_json(plan.to_json(), world.thrive).apply()
    assert report.rejected == (
        ("a\nb", "holds a line break, a control character or broken text"),
        ("entry 302", "blank"),
    )
    assert report.ambiguous == (world.email(0),)
    assert not report.ok
    with pytest.raises(SyncError, match="nothing failed; beside them 2 rejected, 1 ambiguous"):
        report.raise_for_failures()


async def test_a_second_run_has_nothing_to_do(world: World) -> None:
    """Running twice is the same as running once."""
    desired = world.ids[10:400]
    await sync.sync_members(world.thrive, "team", desired)
    before = len(world.writes())
    report = await sync.sync_members(world.thrive, "team", desired)
    assert report.planned == 0
    assert report.ok
    assert len(world.writes()) == before


async def test_desired_may_be_an_async_iterable(world: World) -> None:
    """People may come from a database cursor."""

    async def cursor() -> AsyncIterator[str]:
        for at in range(305):
            yield world.ref(at)

    plan = await sync.plan_members(world.thrive, "team", cursor())
    assert str(plan) == "team: +5 -0 =300"


@pytest.mark.parametrize("desired", ["P-00001", b"P-00001", 7, None])
async def test_a_lone_string_is_no_list(world: World, desired: object) -> None:
    """It would be taken apart letter by letter, and everybody removed."""
    with pytest.raises(TypeError, match="desired must be an iterable"):
        await sync.plan_members(world.thrive, "team", desired)  # type: ignore[arg-type]


async def test_removals_false_only_adds(world: World) -> None:
    """Who is not desired is kept, and counted as such."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[290:310], removals=False)
    assert str(plan) == "team: +10 -0 =10 (290 others kept)"
    assert plan.current == 300
    await plan.apply()
    assert world.members == set(world.ids[:310])


async def test_unknown_people_fail_with_thrives_reason(world: World) -> None:
    """A 207 is attributed person by person."""
    desired = [*world.ids[:301], "nobody@example.org", "P-99999"]
    plan = await sync.plan_members(world.thrive, "team", desired)
    report = await plan.apply()
    assert {(outcome.reference, outcome.reason) for outcome in report.failed} == {
        ("nobody@example.org", "User does not exist."),
        ("P-99999", "User does not exist."),
    }
    assert len(report.added) == 1
    with pytest.raises(SyncError, match="team: of 3 planned changes 2 failed") as caught:
        report.raise_for_failures()
    assert caught.value.report is report
    assert "nobody" not in str(caught.value)


async def test_a_newcomer_under_two_names_is_one_addition_and_one_duplicate(world: World) -> None:
    """Newcomers named in several ways are looked up."""
    desired = [*world.ids[:300], world.ref(400), world.email(400).upper(), world.ids[400], "new@nowhere.org"]
    plan = await sync.plan_members(world.thrive, "team", desired)
    assert plan.to_add == (world.ref(400), "new@nowhere.org")
    assert plan.duplicates == (world.email(400).upper(), world.ids[400])


async def test_many_newcomers_under_two_names_are_found_in_one_walk(world: World) -> None:
    """Above a certain number all users are read, a thousand per request, instead of one by one."""
    desired = world.ids[:300]
    desired += [world.ref(at) for at in range(300, 400)] + [world.email(at) for at in range(300, 400)]
    plan = await sync.plan_members(world.thrive, "team", desired)
    assert plan.to_add == tuple(world.ref(at) for at in range(300, 400))
    assert len(plan.duplicates) == 100
    assert world.arrived("searchUsers") == 1
    assert world.arrived("getUserByRef") == 0


async def test_newcomers_of_one_kind_are_not_looked_up(world: World) -> None:
    """A list in one column costs no further request."""
    await sync.plan_members(world.thrive, "team", [world.email(at) for at in range(400)])
    assert {entry.operation for entry in world.sandbox.requests} == {"getAudience", "listMembers"}


async def test_a_name_of_two_people_is_never_guessed(world: World) -> None:
    """It is reported, nobody is added for it, and nobody whom it may mean is removed."""
    twin = world.sandbox.state.add_user(ref=world.email(0), email="twin@example.org")
    world.set_members([*world.ids[:300], twin["id"]])
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[1:300], world.email(0)])
    assert plan.ambiguous == (world.email(0),)
    assert set(plan.ambiguities[world.email(0)]) == {world.ids[0], twin["id"]}
    assert plan.is_empty
    assert str(plan) == "team: +0 -0 =299 (1 ambiguous, 2 removals held)"


async def test_a_ref_in_another_case_does_not_remove_its_owner(world: World) -> None:
    """The member list must show the newcomer to be somebody else before the doubtful removal is made."""
    desired = [*world.ids[1:300], "p-00000"]
    report = await sync.sync_members(world.thrive, "team", desired)
    assert world.ids[0] in world.members
    assert [outcome.action for outcome in report.failed] == ["add"]
    assert [outcome.action for outcome in report.not_attempted] == ["remove"]

    world.sandbox.state.add_user(ref="p-00000", email="other@example.org")
    report = await sync.sync_members(world.thrive, "team", desired)
    assert report.ok
    assert world.ids[0] not in world.members


@pytest.mark.parametrize(
    ("limit", "removed", "passes"),
    [(0.10, 30, True), (0.10, 31, False), (5, 5, True), (5, 6, False), (None, 299, True)],
)
async def test_max_removals(world: World, limit: float | None, removed: int, passes: bool) -> None:
    """The guard refuses above its limit and before the first write; the plan can be applied with another limit."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[removed:310])
    if passes:
        assert (await plan.apply(max_removals=limit)).ok
        return
    with pytest.raises(GuardRefused, match=f"removes {removed} of 300 members"):
        await plan.apply(max_removals=limit)
    assert world.writes() == []
    assert plan.report is None
    assert (await plan.apply(max_removals=removed)).ok


async def test_an_empty_list_needs_to_be_meant(world: World) -> None:
    """An empty or blank file is refused; `allow_empty` and `max_removals` together empty an audience."""
    for nobody in ([], ["", " "]):
        with pytest.raises(GuardRefused, match=r"so everyone would be removed.*allow_empty=True"):
            await sync.sync_members(world.thrive, "team", nobody, max_removals=None)
        with pytest.raises(GuardRefused, match=r"(empty|usable).*; nothing was changed"):
            await sync.sync_members(world.thrive, "team", nobody, removals=False)
    report = await sync.sync_members(world.thrive, "team", [], allow_empty=True, max_removals=None)
    assert len(report.removed) == 300
    assert world.members == set()


async def test_audiences_that_cannot_be_synced_are_refused(world: World) -> None:
    """Missing, smart and UI-made ones: each refused before anything is read or written beyond the audience."""
    world.sandbox.state.add_audience("clever", type="smart", api_controlled=False)
    world.sandbox.state.add_audience("by-hand", api_controlled=False)
    for audience, words in [("nowhere", "no such audience"), ("clever", "smart"), ("by-hand", "not API-controlled")]:
        with pytest.raises(GuardRefused, match=words):
            await sync.plan_members(world.thrive, audience, world.ids)
    assert world.arrived("listMembers") == 0


async def test_a_torn_read_is_read_again(world: World) -> None:
    """Members who change while they are read never make a plan."""
    large = Large(world)
    world.sandbox.faults.add("members_change", operation="listMembers", times=2, add=1, remove=0)
    plan = await sync.plan_members(world.thrive, "large", large.ids)
    assert (plan.unchanged, plan.current) == (3100, len(world.sandbox.state.audiences["large"].members))
    assert world.arrived("listMembers") > 2


async def test_an_endlessly_torn_read_is_an_error(world: World) -> None:
    """The readings are bounded, and no plan comes of them."""
    large = Large(world)
    world.sandbox.faults.add("members_change", operation="listMembers", times=None, add=0, remove=1)
    with pytest.raises(SyncError, match="changed during each of 5 readings"):
        await sync.plan_members(world.thrive, "large", large.ids)


class Large:
    """An audience of more than one page."""

    def __init__(self, world: World) -> None:
        add = world.sandbox.state.add_user
        self.ids = [add(ref=f"L-{at}", email=f"l{at}@example.org")["id"] for at in range(3200)]
        world.sandbox.state.add_audience("large", members=self.ids[:3100])


async def test_who_is_gone_already_counts_as_removed(world: World) -> None:
    """A 404 for a removal is the desired state, once a reading has shown it to be true."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[25:300])
    world.set_members(world.ids[15:300])
    report = await plan.apply()
    assert len(report.removed) == 25
    assert sum("User is not a member" in (outcome.reason or "") for outcome in report.removed) == 15
    assert report.ok


@pytest.mark.parametrize("status", [404, 422])
async def test_an_audience_that_vanishes_stops_the_run(status: int) -> None:
    """What was not sent is reported as not attempted, with the cause."""
    from tests.sync.conftest import people
    from thrive_async.sandbox import Sandbox, VirtualClock

    async with Sandbox(users=0, clock=VirtualClock(), unknown_audience=status) as sandbox, sandbox.client() as thrive:
        ids = people(sandbox, 600)
        audience = sandbox.state.add_audience("team", members=ids[:300])
        plan = await sync.plan_members(thrive, "team", ids[100:])
        sandbox.state.remove_audience(audience)
        report = await plan.apply(max_removals=None)
        assert len(report.failed) + len(report.not_attempted) + len(report.removed) == 400
        assert report.cause is not None
        assert len(report.not_attempted) > 300
        with pytest.raises(SyncError, match=r"stopped by NotFoundError \(404\)") as caught:
            report.raise_for_failures()
        assert caught.value.__cause__ is report.cause
        assert len(sandbox.requests) < 320


async def test_a_plan_is_applied_once(world: World) -> None:
    """To go on after a stop, the plan is made again, from what is there then."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[:310])
    await plan.apply()
    with pytest.raises(SyncError, match="applied before"):
        await plan.apply()


async def test_a_plan_survives_a_file(world: World, tmp_path) -> None:
    """Saved and loaded it is the same plan, readable by its owner only, and can be applied."""
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[10:400], world.ids[10]])
    path = tmp_path / "plan.json"
    plan.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    looked_at = MemberPlan.load(path)
    assert str(looked_at) == str(plan)
    assert looked_at.fingerprint == plan.fingerprint == json.loads(path.read_text())["fingerprint"]
    with pytest.raises(SyncError, match="without a client"):
        await looked_at.apply()
    report = await MemberPlan.load(path, world.thrive).apply()
    assert report.ok
    assert world.members == set(world.ids[10:400])


async def test_a_plan_that_was_changed_is_refused(world: World) -> None:
    """A plan's fingerprint guards it against edits; other files are no plans."""
    from thrive_async import ConfigurationError

    text = (await sync.plan_members(world.thrive, "team", world.ids[:310])).to_json()
    with pytest.raises(ConfigurationError, match="changed since it was saved"):
        MemberPlan.from_json(text.replace(world.ids[305], world.ids[405]))
    with pytest.raises(ConfigurationError, match="not for members"):
        MemberPlan.from_json(text.replace('"members"', '"users"', 1))
    for other in ("[]", "{}", "nonsense", "", "3"):
        with pytest.raises(ConfigurationError, match="not a saved plan"):
            MemberPlan.from_json(other)


async def test_progress_tells_counts_rate_and_what_is_left(world: World) -> None:
    """Counts only grow, and end at the total."""
    world.sandbox.faults.add("latency", times=None, seconds=0.1)
    seen: list[sync.Progress] = []
    desired = [*world.ids[20:520], "nobody@example.org"]
    await sync.sync_members(world.thrive, "team", desired, on_progress=seen.append)
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert {step.total for step in seen} == {241}
    last = seen[-1]
    assert (last.done, last.failed, last.remaining_seconds) == (241, 1, 0.0)
    assert last.rate > 0
    assert all(step.remaining_seconds is not None for step in seen)


async def test_a_callback_that_fails_stops_the_run_and_keeps_the_report(world: World) -> None:
    """The error is the caller's to see; the outcomes are not lost."""

    def fail(_step: sync.Progress) -> None:
        raise RuntimeError("the callback's own")

    plan = await sync.plan_members(world.thrive, "team", world.ids[20:520])
    with pytest.raises(RuntimeError, match="the callback's own"):
        await plan.apply(on_progress=fail)
    report = plan.report
    assert report is not None
    assert report.planned == 240
    assert isinstance(report.cause, RuntimeError)
    assert world.members == {*world.ids[:300], *(outcome.reference for outcome in report.added)}


async def test_verify_lists_what_differs(world: World) -> None:
    """A server that says done and does not is found out."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[10:310])
    state = world.sandbox.state.audiences["team"].members

    def meddle(step: sync.Progress) -> None:
        if step.done == step.total:
            state.discard(world.sandbox.state.users[world.ids[305]])
            state.discard(world.sandbox.state.users[world.ids[50]])
            state.add(world.sandbox.state.users[world.ids[3]])

    report = await plan.apply(verify=True, on_progress=meddle)
    assert report.differences is not None
    assert {(one.action, one.reference) for one in report.differences} == {
        ("add", world.ids[305]),
        ("add", world.ids[50]),
        ("remove", world.ids[3]),
    }
    with pytest.raises(SyncError, match="3 found to differ afterwards"):
        report.raise_for_failures()


async def test_verify_of_a_true_report_finds_nothing(world: World) -> None:
    """One more reading, no difference."""
    report = await sync.sync_members(world.thrive, "team", world.ids[10:310], verify=True)
    assert report.differences == ()
    assert report.ok


async def test_nothing_to_do_asks_for_nothing(world: World) -> None:
    """An empty plan sends nothing."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[:300])
    before = len(world.sandbox.requests)
    assert (await plan.apply()).ok
    assert len(world.sandbox.requests) == before


async def test_workers_are_bounded_by_the_clients_concurrency(world: World) -> None:
    """Never more requests at once than the client may have, and no task left behind."""
    from thrive_async import Limits

    world.sandbox.faults.add("latency", times=None, seconds=0.1)
    async with world.sandbox.client(limits=Limits(concurrency=3)) as thrive:
        plan = await sync.plan_members(thrive, "team", world.ids[30:300])
        tasks = len(asyncio.all_tasks())
        most = 0

        def count(_step: sync.Progress) -> None:
            nonlocal most
            most = max(most, sum("Run.work" in str(task.get_coro()) for task in asyncio.all_tasks()))

        await plan.apply(on_progress=count)
        assert most == 3
        assert len(asyncio.all_tasks()) <= tasks + 4


async def test_newcomers_by_id_are_looked_up_too(world: World) -> None:
    """An id that is nobody's may be somebody's ref; and what no path can hold is nobody's name."""
    odd = "ABCDEF0123456789abcdef01"
    user = world.sandbox.state.add_user(ref=odd, email="odd@example.org")
    desired = [*world.ids[:300], odd, "ODD@example.org", ".", "5f0000000000000000000000"]
    plan = await sync.plan_members(world.thrive, "team", desired)
    assert plan.to_add == (odd, ".", "5f0000000000000000000000")
    assert plan.duplicates == ("ODD@example.org",)
    report = await plan.apply()
    assert user["id"] in world.members
    assert len(report.failed) == 2


async def test_a_newcomer_whose_id_is_a_members_ref_is_not_that_member(world: World) -> None:
    """Two names of one newcomer are found to be one person by the id, and by nothing that looks like it."""
    members = world.sandbox.state.audiences["team"].members
    other = world.sandbox.state.add_user(ref=world.ids[400], email="other@example.org")
    members.add(other)
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[:300], "P-00400", world.email(400)])
    assert (plan.to_add, plan.duplicates) == (("P-00400",), (world.email(400),))
    assert [one.user_id for one in plan.to_remove] == [other["id"]]


async def test_an_id_in_another_case_is_the_last_name_to_call_a_newcomer_by(world: World) -> None:
    """Thrive need not know it; any other of the names that the list gives is surer."""
    odd, plain = world.ids[400], world.ids[401]
    desired = [*world.ids[:300], odd.upper(), "P-00400", plain.upper(), plain]
    report = await sync.sync_members(world.thrive, "team", desired)
    assert report.ok
    assert {odd, plain} <= world.members
    assert len(report.added) == 2


async def test_whoever_an_ambiguous_newcomers_name_may_mean_is_not_removed(world: World) -> None:
    """An address of one user that is almost the ref of another, who is a member: neither is guessed."""
    almost = world.sandbox.state.add_user(ref=world.email(400), email="almost@example.org")
    world.sandbox.state.audiences["team"].members.add(almost)
    name = world.email(400).upper()
    refs = [world.ref(at) for at in range(401, 461)]
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[:300], name, *refs])
    assert set(plan.ambiguities[name]) == {world.ids[400], almost["id"]}
    assert (plan.to_add, plan.to_remove, len(plan.held)) == (tuple(refs), (), 1)


async def test_an_old_name_of_a_member_is_no_newcomer(world: World) -> None:
    """What the member list shows may be stale: the lookup tells that a name is a member's."""
    members = world.sandbox.state.audiences["team"].members
    assert len(members) == 300
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[1:300], world.email(0), "P-00450"])
    assert plan.to_add == ("P-00450",)


async def test_a_name_of_two_newcomers_is_never_guessed(world: World) -> None:
    """Nobody is added for it."""
    world.sandbox.state.add_user(ref=world.email(400), email="twin@example.org")
    many = [world.ref(at) for at in range(401, 460)]
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[:300], world.email(400), *many])
    assert set(plan.ambiguities) == {world.email(400)}
    assert plan.to_add == tuple(many)


async def test_a_lookup_that_fails_is_an_error_as_it_is(world: World) -> None:
    """Not wrapped in a group, not passed over."""
    world.sandbox.faults.add("status", operation="getUserByRef", status=403, times=None)
    with pytest.raises(PermissionDeniedError):
        await sync.plan_members(world.thrive, "team", [*world.ids[:300], "P-00400", "new@example.org"])


async def test_a_long_async_list_is_matched_in_parts(world: World) -> None:
    """Nobody has to hold it."""

    async def cursor() -> AsyncIterator[str]:
        for at in range(25_000):
            yield f"unknown-{at}"

    plan = await sync.plan_members(world.thrive, "team", cursor())
    assert len(plan.to_add) == 25_000


async def test_a_verification_that_cannot_be_made_is_told(world: World) -> None:
    """It does not pass for one that found nothing."""
    plan = await sync.plan_members(world.thrive, "team", world.ids[:310])
    world.sandbox.faults.add("status", operation="listMembers", status=403)
    report = await plan.apply(verify=True)
    assert len(report.added) == 10
    assert report.differences is None
    assert isinstance(report.cause, PermissionDeniedError)


async def test_a_loaded_plan_is_guarded_too(world: World) -> None:
    """Its client comes with `load`; the guards know its figures."""
    text = (await sync.plan_members(world.thrive, "team", world.ids[100:300])).to_json()
    with pytest.raises(GuardRefused, match="100 of 300"):
        await MemberPlan.from_json(text, world.thrive).apply()


async def test_many_members_are_indexed_off_the_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other calls of the client go on meanwhile."""
    threads: list[bool] = []

    class Watched(members.Matcher):
        def __init__(self, people: Any) -> None:
            threads.append(threading.current_thread() is threading.main_thread())
            super().__init__(people)

    monkeypatch.setattr(members, "Matcher", Watched)
    one = AudienceMember(user_id="u1")
    for count in (10, 10_001):
        await members.matched(world.thrive, [evolve(one, user_id=f"u{at}") for at in range(count)], [])
    assert threads == [True, False]


async def test_a_sync_lets_interactive_calls_go_first(world: World) -> None:
    """Unless you chose a priority yourself."""
    seen: set[str | None] = set()
    gate = world.thrive._transport._gate
    enter = gate.enter

    async def watched(deadline: float | None = None, priority: Any = "interactive") -> int:
        seen.add(priority)
        return await enter(deadline, priority)

    gate.enter = watched  # type: ignore[method-assign]

    def never(_now: float, _priority: Any) -> None:
        return None

    gate.enter_at_once = never  # type: ignore[assignment,method-assign]
    await sync.sync_members(world.thrive, "team", world.ids[1:301])
    assert seen == {"bulk"}
    seen.clear()
    await sync.plan_members(world.thrive.with_options(priority="interactive"), "team", world.ids)
    assert seen == {"interactive"}
