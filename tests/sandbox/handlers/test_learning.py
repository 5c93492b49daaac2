"""Assignments, enrolments, completions: each does to the others what it does in Thrive."""

import asyncio

import pytest

from thrive_async.sandbox import VirtualClock

ASSIGNMENTS = "/rest/v1/assignments"
COMPLETIONS = "/rest/v1/learning/completions"


async def assign(api, audience="sales-apac", **fields):
    content = fields.pop("contentId", None) or list(api.sandbox.state.contents)[10]
    return await api("POST", ASSIGNMENTS, {"audienceId": audience, "contentId": content, **fields})


async def enrolments(api, assignment, query=""):
    return (await api("GET", f"{ASSIGNMENTS}/{assignment['id']}/enrolments{query}")).body


async def complete(api, user, content, at="2026-02-01T10:00:00.000Z"):
    return await api("POST", COMPLETIONS, {"userId": user, "contentId": content, "completedAt": at})


async def test_an_assignment_enrols_the_audiences_members(api):
    answer = await assign(api, completionPeriod=14)
    assert answer.status == 201
    assignment = answer.body
    audience = api.sandbox.state.audiences["sales-apac"]
    assert assignment["audienceId"] == audience["id"]
    assert assignment["primaryContentId"]
    assert "contentId" not in assignment
    assert (assignment["isActive"], assignment["isDeleted"]) == (True, False)
    found = await enrolments(api, assignment)
    assert [one["userId"] for one in found] == list(audience.members)
    assert {one["status"] for one in found} == {"open"}
    history = found[0]["history"]
    assert [(one["previousStatus"], one["nextStatus"]) for one in history] == [("unassigned", "open")]


async def test_new_members_are_enrolled_and_former_members_archived(api):
    assignment = (await assign(api)).body
    user = api.sandbox.state.add_user(ref="late")
    members = "/rest/v1/audiences/sales-apac/members"
    await api("POST", members, ["late"])
    mine = api.sandbox.state.learning.enrolment(assignment["id"], "late")
    assert mine["status"] == "open"
    await api("DELETE", f"{members}/late")
    one = await api("GET", f"{ASSIGNMENTS}/{assignment['id']}/enrolments/{mine['id']}")
    assert one.body["status"] == "archived"
    await api("POST", members, ["late"])
    found = [one for one in await enrolments(api, assignment) if one["userId"] == user["id"]]
    assert [one["status"] for one in found] == ["open"]


async def test_a_completion_completes_the_enrolment_and_shows_in_its_history(api):
    assignment = (await assign(api)).body
    user = (await enrolments(api, assignment))[0]["userId"]
    receipt = await complete(api, user, assignment["primaryContentId"])
    assert receipt.status == 201
    assert set(receipt.body) == {"statementId"}
    mine = next(one for one in await enrolments(api, assignment, "?status=complete") if one["userId"] == user)
    assert mine["lastCompletedAt"] == "2026-02-01T10:00:00.000Z"
    event = mine["history"][-1]
    assert (event["previousStatus"], event["nextStatus"]) == ("open", "complete")
    completion = (await api("GET", f"{COMPLETIONS}/{event['completionId']}")).body
    assert completion["userId"] == user
    assert completion["hadDueDate"] is True
    assert completion["isRPL"] is True
    activities = (await api("GET", "/rest/v1/activities?actions=completed&perPage=1000")).body["results"]
    expected = (user, assignment["primaryContentId"])
    assert (activities[-1]["user"], activities[-1]["contextId"]) == expected


async def test_alternative_content_completes_too_and_other_content_does_not(api):
    other, alternative = list(api.sandbox.state.contents)[20:22]
    assignment = (await assign(api, alternativeContentIds=[alternative])).body
    user = (await enrolments(api, assignment))[0]["userId"]
    await complete(api, user, other)
    assert await enrolments(api, assignment, "?status=complete") == []
    await complete(api, user, alternative)
    assert [one["userId"] for one in await enrolments(api, assignment, "?status=complete")] == [user]


async def test_a_repeated_completion_is_known_and_one_at_another_time_is_new(api):
    user, content = next(iter(api.sandbox.state.users)), next(iter(api.sandbox.state.contents))
    first = await complete(api, user, content)
    again = await complete(api, user, content, "2026-02-01T11:00:00+01:00")
    later = await complete(api, user, content, "2026-02-02T10:00:00.000Z")
    assert (first.status, again.status, later.status) == (201, 200, 201)
    assert first.body == again.body != later.body


async def test_an_unknown_completion_is_not_found(api):
    assert (await api("GET", f"{COMPLETIONS}/{'0' * 24}")).status == 404


async def test_completions_of_an_unknown_user_or_content_are_not_found(api):
    user, content = next(iter(api.sandbox.state.users)), next(iter(api.sandbox.state.contents))
    assert (await complete(api, "0" * 24, content)).status == 404
    assert (await complete(api, user, "0" * 24)).status == 404
    assert (await complete(api, user, content, "yesterday")).status == 422


async def test_completions_filter_by_user_content_kind_and_an_inclusive_range(api):
    everything = (await api("GET", COMPLETIONS)).body
    one = everything[3]
    for query, keeps in (
        (f"userId={one['userId']}", lambda row: row["userId"] == one["userId"]),
        (f"contentId={one['contentId']}", lambda row: row["contentId"] == one["contentId"]),
        ("isRPL=true", lambda row: row["isRPL"]),
        ("isRPL=false", lambda row: not row["isRPL"]),
        (f"completedDateRangeStart={one['completedAt']}", lambda row: row["completedAt"] >= one["completedAt"]),
        (f"completedDateRangeEnd={one['completedAt']}", lambda row: row["completedAt"] <= one["completedAt"]),
    ):
        found = (await api("GET", f"{COMPLETIONS}?{query}")).body
        assert found == [row for row in everything if keeps(row)], query
        assert one in found or "isRPL" in query


async def test_a_day_as_the_end_of_a_range_is_that_whole_day(api):
    user, content = next(iter(api.sandbox.state.users)), next(iter(api.sandbox.state.contents))
    await complete(api, user, content, "2026-05-05T23:59:59.000Z")
    for end, count in (("2026-05-05", 1), ("2026-05-04", 0)):
        query = f"completedDateRangeStart=2026-05-01&completedDateRangeEnd={end}"
        assert len((await api("GET", f"{COMPLETIONS}?{query}")).body) == count


async def test_bare_arrays_are_paged_without_totals(api):
    everything = (await api("GET", COMPLETIONS)).body
    second = (await api("GET", f"{COMPLETIONS}?perPage=5&page=2")).body
    assert second == everything[5:10]
    assert (await api("GET", f"{COMPLETIONS}?perPage=5&page=99")).body == []
    assert (await api("GET", f"{ASSIGNMENTS}?perPage=101")).status == 400


async def test_deleting_an_assignment_keeps_it_listed_as_deleted_and_archives(api):
    assignment = (await assign(api)).body
    path = f"{ASSIGNMENTS}/{assignment['id']}"
    assert (await api("DELETE", path, {"audienceId": "sales-emea"})).status == 409
    assert (await api("DELETE", path, {"audienceId": "sales-apac"})).status == 200
    shown = (await api("GET", path)).body
    assert (shown["isDeleted"], shown["isActive"]) == (True, False)
    assert shown["deletedAt"]
    listed = (await api("GET", f"{ASSIGNMENTS}?audienceId=sales-apac")).body
    assert [one["id"] for one in listed] == [assignment["id"]]
    assert {one["status"] for one in await enrolments(api, assignment)} == {"archived"}
    assert (await api("DELETE", path, {"audienceId": "sales-apac"})).status == 404
    assert (await api("PATCH", path, {"audienceId": "sales-apac", "recurrence": 5})).status == 409


async def test_an_update_changes_the_fields_sent_and_moves_due_dates(api):
    assignment = (await assign(api)).body
    path = f"{ASSIGNMENTS}/{assignment['id']}"
    due = (await enrolments(api, assignment))[0]["dueDate"]
    body = {"audienceId": "sales-apac", "completionPeriod": 60, "recurrence": None}
    answer = await api("PATCH", path, body)
    assert answer.body["completionPeriod"] == 60
    assert answer.body["recurrence"] is None
    assert answer.body["primaryContentId"] == assignment["primaryContentId"]
    assert (await enrolments(api, assignment))[0]["dueDate"] > due
    other = list(api.sandbox.state.contents)[12]
    await api("PATCH", path, {"audienceId": "sales-apac", "contentId": other})
    assert (await enrolments(api, assignment))[0]["primaryContentId"] == other


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"audience": "nowhere"}, 404),
        ({"contentId": "0" * 24}, 404),
        ({"alternativeContentIds": ["0" * 24]}, 422),
        ({"completionPeriod": 0}, 422),
    ],
)
async def test_assignments_of_an_unknown_content_or_audience_are_refused(api, fields, status):
    before = len(api.sandbox.state.learning.assignments)
    assert (await assign(api, **fields)).status == status
    assert len(api.sandbox.state.learning.assignments) == before


async def test_a_second_assignment_of_the_same_content_is_another_or_a_conflict_as_set(open_api):
    for choice, status in (("create", 201), ("conflict", 409)):
        api = await open_api(duplicate_assignment=choice)
        await assign(api)
        assert (await assign(api)).status == status


async def test_enrolments_filter_by_status_and_by_update(api):
    assignment = (await assign(api)).body
    users = [one["userId"] for one in await enrolments(api, assignment)]
    await complete(api, users[0], assignment["primaryContentId"])
    assert len(await enrolments(api, assignment, "?status=open")) == len(users) - 1
    one = (await enrolments(api, assignment, "?status=complete"))[0]
    stamp = one["updatedAt"]
    assert one in await enrolments(api, assignment, f"?updatedAtFrom={stamp}&updatedAtTo={stamp}")
    assert await enrolments(api, assignment, "?updatedAtFrom=2099-01-01T00:00:00Z") == []
    alone = await api("GET", f"{ASSIGNMENTS}/{assignment['id']}/enrolments?updatedAtTo={stamp}")
    assert alone.status == 400
    assert "updatedAtTo" in alone.body["message"]


async def test_an_enrolment_of_another_assignment_is_not_found(api):
    one, other = (await assign(api)).body, (await assign(api)).body
    enrolment = (await enrolments(api, one))[0]["id"]
    assert (await api("GET", f"{ASSIGNMENTS}/{other['id']}/enrolments/{enrolment}")).status == 404
    assert (await api("GET", f"{ASSIGNMENTS}/{'0' * 24}/enrolments/{enrolment}")).status == 404


async def test_open_enrolments_become_overdue_when_their_date_has_passed(open_api):
    api = await open_api(clock=VirtualClock())
    assignment = (await assign(api, completionPeriod=2)).body
    assert {one["status"] for one in await enrolments(api, assignment)} == {"open"}
    await asyncio.sleep(2 * 86_400 + 1)
    found = await enrolments(api, assignment)
    assert {one["status"] for one in found} == {"overdue"}
    assert found[0]["history"][-1]["nextStatus"] == "overdue"
    await complete(api, found[0]["userId"], assignment["primaryContentId"])
    assert len(await enrolments(api, assignment, "?status=complete")) == 1


async def test_a_recurring_assignment_opens_again_after_its_days(open_api):
    api = await open_api(clock=VirtualClock())
    assignment = (await assign(api, recurrence=10)).body
    user = (await enrolments(api, assignment))[0]["userId"]
    await complete(api, user, assignment["primaryContentId"], "2026-01-01T12:00:00.000Z")
    assert len(await enrolments(api, assignment, "?status=complete")) == 1
    completion = (await api("GET", f"{COMPLETIONS}?userId={user}")).body[-1]
    assert completion["activeUntil"] == "2026-01-11T12:00:00.000Z"
    await asyncio.sleep(10.5 * 86_400)
    mine = next(one for one in await enrolments(api, assignment) if one["userId"] == user)
    assert mine["status"] == "open"
    assert mine["availableDate"] == "2026-01-11T12:00:00.000Z"


async def test_deleting_a_user_keeps_what_they_completed(api):
    assignment = (await assign(api)).body
    state = api.sandbox.state
    user = state.users[(await enrolments(api, assignment))[0]["userId"]]
    await complete(api, user["id"], assignment["primaryContentId"])
    await api("DELETE", f"/rest/v2/users/ref/{user['ref']}")
    found = [one for one in await enrolments(api, assignment) if one["userId"] == user["id"]]
    assert [one["status"] for one in found] == ["complete"]
