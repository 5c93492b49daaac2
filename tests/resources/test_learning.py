"""What the resources of learning give back, against a sandbox on loopback: assignments, completions, contents, CPD."""

from datetime import UTC, datetime, timedelta

import pytest

from thrive_async import ThriveClient
from thrive_async import models as m
from thrive_async.sandbox import Sandbox

EARLY = datetime(2000, 1, 1, tzinfo=UTC)
LATE = datetime(2100, 1, 1, tzinfo=UTC)


# Assignments, enrolments, completions


async def test_an_assignment_is_created_changed_and_deleted(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """What a request calls content_id comes back as primary_content_id; deleting needs the audience."""
    content = sandbox.state.add_content()["id"]
    made = await thrive.assignments.create(
        m.AssignmentCreate(audience_id="sales-emea", content_id=content, completion_period=14)
    )
    assert (made.primary_content_id, made.completion_period, made.is_deleted) == (content, 14, False)
    changed = await thrive.assignments.update(made.id, m.AssignmentUpdate(audience_id="sales-emea", recurrence=365))
    assert (changed.recurrence, changed.completion_period) == (365, 14)
    assert (await thrive.assignments.get(made.id)) == changed
    listed = await thrive.assignments.list(audience_id="sales-emea").collect()
    assert made.id in [one.id for one in listed]
    await thrive.assignments.delete(made.id, audience_id="sales-emea")
    assert (await thrive.assignments.get(made.id)).is_deleted is True
    assert not await thrive.assignments.list(updated_since=LATE).collect()


async def test_enrolments_are_filtered_by_status_and_change(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """One enrolment per member, found by its status and its last change."""
    audience = sandbox.state.add_audience("team", parent="emea", members=["E00001", "E00002"])
    assignment = sandbox.state.learning.assign(audience, sandbox.state.add_content()["id"])["id"]
    every = await thrive.assignments.enrolments.list(assignment).collect()
    assert len(every) == 2
    assert await thrive.assignments.enrolments.get(assignment, every[0].id) == every[0]
    assert await thrive.assignments.enrolments.list(assignment, status=m.EnrolmentStatus.OPEN).collect() == every
    assert not await thrive.assignments.enrolments.list(assignment, status="complete").collect()
    between = thrive.assignments.enrolments.list(assignment, updated_at_from=EARLY, updated_at_to=LATE)
    assert await between.collect() == every


async def test_a_completion_is_recorded_once(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """The receipt says whether the record is new; the same completion again has the same statement."""
    user, content = sandbox.state.user("E00001")["id"], sandbox.state.add_content()["id"]
    completion = m.CompletionCreate(user_id=user, content_id=content, completed_at=datetime(2026, 1, 2, tzinfo=UTC))
    first = await thrive.completions.create(completion)
    again = await thrive.completions.create(completion)
    assert (first.created, again.created) == (True, False)
    assert first.statement_id == again.statement_id
    (record,) = await thrive.completions.list(content_id=content, user_id=user, is_rpl=True).collect()
    assert record.completed_at == completion.completed_at
    assert await thrive.completions.get(record.id) == record
    moment = completion.completed_at
    both_ends = thrive.completions.list(content_id=content, completed_from=moment, completed_to=moment)
    assert len(await both_ends.collect()) == 1
    assert not await thrive.completions.list(content_id=content, completed_from=moment + timedelta(1)).collect()


async def test_a_receipt_without_a_statement_id_is_still_a_success(thrive: ThriveClient, sandbox: Sandbox) -> None:
    user, content = sandbox.state.user("E00001")["id"], sandbox.state.add_content()["id"]
    completion = m.CompletionCreate(user_id=user, content_id=content, completed_at=EARLY)
    for body in ({"id": "x"}, {"status": 200, "message": "ok"}, [], None, "ok"):
        sandbox.faults.add("wrong_shape", operation="createCompletion", body=body)
        receipt = await thrive.completions.create(completion)
        assert (receipt.statement_id, receipt.created) == (None, None)
    assert len(sandbox.requests) == 5


# What can only be read


async def test_contents_and_activities_are_filtered_and_got(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """`types` and `actions` narrow, their omit twins leave out, and single ones are got by id."""
    types = {one["type"] for one in sandbox.state.contents.values()}
    kind = min(types)
    some = await thrive.contents.list(types=[kind]).collect()
    assert {one.type for one in some} == {kind}
    assert {one.type for one in await thrive.contents.list(omit_types=[kind]).collect()} == types - {kind}
    assert not await thrive.contents.list(updated_since=LATE).collect()
    assert await thrive.contents.get(some[0].id) == some[0]

    content = sandbox.state.add_content(type="video")
    record = sandbox.state.add_activity(sandbox.state.user("E00001"), "liked", content, date="2026-01-02T03:04:05.000Z")
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    by_content = thrive.activities.list(
        actions=["liked"], content_ids=[content["id"]], content_type="video", timestamp_from=moment, timestamp_to=moment
    )
    (activity,) = await by_content.collect()
    assert activity.id == record["id"]
    assert await thrive.activities.get(activity.id) == activity
    assert not await thrive.activities.list(omit_actions=["liked"], content_ids=[content["id"]]).collect()


async def test_cpd_is_listed_got_and_summed(thrive: ThriveClient) -> None:
    """Four kinds of records, of which three can be got by id; sums need a period."""
    category = await thrive.cpd.categories.list(updated_since=EARLY).first()
    assert category is not None
    assert await thrive.cpd.categories.get(category.category_id) == category
    requirement = await thrive.cpd.requirements.list(updated_since=EARLY).first()
    assert requirement is not None
    assert await thrive.cpd.requirements.get(requirement.audience_requirement_id) == requirement
    entries = await thrive.cpd.entries.list(entry_date_from=EARLY, entry_date_to=LATE).collect()
    assert await thrive.cpd.entries.get(entries[0].log_entry_id) == entries[0]
    user = entries[0].user_id
    assert user is not None
    (summary,) = await thrive.cpd.user_summaries.list(
        entry_date_from=EARLY, entry_date_to=LATE, user_ids=[user]
    ).collect()
    assert summary.duration_minutes == sum(one.duration_minutes or 0 for one in entries if one.user_id == user)


@pytest.mark.parametrize("shape", ["envelope", "array"])
async def test_tags_come_in_an_envelope_or_as_an_array(shape: str) -> None:
    """The documents do not say which, so both are read, page by page."""
    async with Sandbox(users=5, tags_shape=shape) as sandbox, sandbox.client() as thrive:
        tags = await thrive.tags.list(per_page=3).collect()
        assert [tag.id for tag in tags] == list(sandbox.state.tags)
        assert await thrive.tags.get(tags[0].id) == tags[0]
        assert not await thrive.tags.list(updated_since=LATE).collect()


async def test_skill_levels_are_a_list(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """They are not paged."""
    levels = await thrive.skills.levels()
    assert [level.value for level in levels] == [level["value"] for level in sandbox.state.skill_levels]
