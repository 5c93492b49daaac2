"""Writes that Thrive only confirms, and removals that failed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, Literal

import pytest
from raw_server import RawServer, reply

from thrive_async import (
    APIError,
    DecodeError,
    NotFoundError,
    ResultUnknown,
    Retry,
    ThriveClient,
    UnprocessableError,
    sync,
)
from thrive_async import models as m
from thrive_async.sandbox import Sandbox, VirtualClock

EARLY = datetime(2000, 1, 1, tzinfo=UTC)
NO_MODEL: list[Any] = [b"", b"OK", {"status": 200, "message": "ok"}, {}, [], None, True, "ok", {"id": ""}, {"id": None}]


@asynccontextmanager
async def thrive_with(**choices: Any) -> AsyncIterator[tuple[Sandbox, ThriveClient]]:
    async with Sandbox(20, 1, check_replies=True, **choices) as sandbox, sandbox.client() as thrive:
        yield sandbox, thrive
        assert sandbox.violations == []


# The thing written is read


@pytest.mark.parametrize("style", ["message", "empty", "no_content"])
async def test_a_write_that_is_only_confirmed_still_returns_the_record(style: str) -> None:
    async with thrive_with(write_reply=style) as (sandbox, thrive):
        user = await thrive.users.create(m.UserCreate(ref="N", first_name="A", last_name="B", email="n@example.com"))
        assert (user.ref, user.first_name, user.email) == ("N", "A", "n@example.com")
        updated = await thrive.users.update("N", m.UserUpdate(first_name="Ada", job_title="Analyst"))
        assert (updated.id, updated.first_name, updated.job_title) == (user.id, "Ada", "Analyst")
        assert (await thrive.users.suspend("N")).active is False
        await thrive.audiences.create(m.AudienceCreate(name="S", reference="s", category="structure"))
        made = await thrive.audiences.create(m.AudienceCreate(name="X", reference="x", parent_id="s"))
        assert (made.name, made.reference) == ("X", "x")
        moved = await thrive.audiences.update("x", m.AudienceUpdate(name="Y", reference="y"))
        assert (moved.id, moved.name, moved.reference, moved.member_operations) == (made.id, "Y", "y", None)
        content = sandbox.state.add_content()["id"]
        assignment = await thrive.assignments.create(m.AssignmentCreate(audience_id=made.id, content_id=content))
        assert assignment.primary_content_id == content
        changes = m.AssignmentUpdate(audience_id=made.id, completion_period=7)
        assert (await thrive.assignments.update(assignment.id, changes)).completion_period == 7
        completion = m.CompletionCreate(user_id=user.id, content_id=content, completed_at=EARLY)
        receipt = await thrive.completions.create(completion)
        assert receipt.statement_id is None
        tag = next(iter(sandbox.state.tags.values()))["tag"]
        for said in (await thrive.users.add_tags(user.id, [tag]), await thrive.users.remove_tags(user.id, [tag])):
            assert said.status == (204 if style == "no_content" else 200)
        writes = [entry.operation for entry in sandbox.requests if entry.method in ("POST", "PATCH")]
        assert len(writes) == 11


@pytest.mark.parametrize("body", NO_MODEL)
@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_an_update_with_any_other_2xx_is_sent_once_and_the_user_is_read(body: Any, status: int) -> None:
    answer = reply(status, b"" if status == 204 else body if body is not None else b"null")
    user = reply(200, {"id": "u", "ref": "E1", "status": "active", "positions": [{"id": "p", "title": "Analyst"}]})
    async with RawServer([answer, user]) as server, server.client() as thrive:
        account = await thrive.users.update("E1", m.UserUpdate(first_name="A"))
    assert (account.id, account.active, account.job_title) == ("u", True, "Analyst")
    assert [(one.method, one.target) for one in server.requests] == [
        ("PATCH", "/rest/v2/users/ref/E1"),
        ("GET", "/rest/v1/users/ref/E1"),
    ]


async def test_an_id_in_the_reply_is_read_and_returned_alone_if_reading_fails(clock: VirtualClock) -> None:
    answer = reply(200, {"id": "u1", "status": 200, "message": "Done"})
    async with RawServer([answer, reply(200, {"id": "u1", "email": "a@b.c"})]) as server, server.client() as thrive:
        assert (await thrive.users.update("E1", m.UserUpdate(first_name="A"))).email == "a@b.c"
        assert server.requests[1].target == "/rest/v1/user/u1"
    async with RawServer([answer, reply(403)]) as server, server.client() as thrive:
        assert (await thrive.users.update("E1", m.UserUpdate(first_name="A"))).id == "u1"


async def test_if_the_record_cannot_be_read_the_error_says_that_the_write_was_done(clock: VirtualClock) -> None:
    async with RawServer([reply(204, b""), reply(403)]) as server, server.client() as thrive:
        with pytest.raises(
            ResultUnknown, match=r"^createUser: done \(status 204\).* reading it failed: GET "
        ) as raised:
            await thrive.users.create(m.UserCreate(ref="N", first_name="A", last_name="B", login_method="ref"))
        assert len(server.requests) == 2
    assert raised.value.maybe_applied
    assert raised.value.status == 204
    assert isinstance(raised.value.reading, APIError)
    assert isinstance(raised.value, DecodeError)
    async with RawServer([reply(204, b"")]) as server, server.client() as thrive:
        with pytest.raises(ResultUnknown, match="it could not be found by reading"):
            await thrive.audiences.create(m.AudienceCreate(name="No reference", category="structure"))
        assert len(server.requests) == 1


async def test_two_equal_assignments_cannot_be_told_apart() -> None:
    async with thrive_with(write_reply="empty") as (sandbox, thrive):
        content = sandbox.state.add_content()["id"]
        new = m.AssignmentCreate(audience_id="sales-emea", content_id=content)
        await thrive.assignments.create(new)
        with pytest.raises(ResultUnknown):
            await thrive.assignments.create(new)


async def test_a_gateway_page_does_not_confirm_a_write(clock: VirtualClock) -> None:
    """HTML and truncated JSON count as lost answers."""
    for body in (b"<html>", b'{"id": "5', b'"do', b"[1, "):
        async with RawServer([reply(200, body), reply(200, {"id": "u", "ref": "E1"})]) as server:
            async with server.client() as thrive:
                assert (await thrive.users.update("E1", m.UserUpdate(first_name="A"))).ref == "E1"
            assert [one.method for one in server.requests] == ["PATCH", "PATCH"]
        async with RawServer([reply(200, body)]) as server, server.client() as thrive:
            with pytest.raises(DecodeError):
                await thrive.users.create(m.UserCreate(ref="N", first_name="A", last_name="B", login_method="ref"))
            assert len(server.requests) == 1


# Batches


@pytest.mark.parametrize("body", [*NO_MODEL, {"success": None}, {"success": True}, ["E1"]])
async def test_a_batch_that_is_only_confirmed_is_not_known(body: Any) -> None:
    grant = m.ManagerGrant(reference="E1", permissions=m.ManagerGrantPermissions())
    async with RawServer([reply(200, body if body is not None else b"null")]) as server, server.client() as thrive:
        audiences = thrive.audiences
        for result in (
            await audiences.members.add("a", ["E1"]),
            await audiences.members.replace("a", ["E1"]),
            await audiences.managers.add("a", [grant]),
            await audiences.managers.replace("a", [grant]),
        ):
            assert not result.is_known
            assert not result.is_partial
        assert len(server.requests) == 4


@pytest.mark.parametrize("style", ["message", "empty", "no_content"])
async def test_a_sync_reads_back_people_that_the_reply_does_not_mention(style: str) -> None:
    async with thrive_with(write_reply=style) as (sandbox, thrive):
        names = [user["ref"] for user in sandbox.state.users.values()][:15]
        await thrive.audiences.create(m.AudienceCreate(name="X", reference="x", parent_id="emea"))
        report = await sync.sync_members(thrive, "x", [*names, "x@example.org"])
        assert sorted(one.reference for one in report.added) == sorted(names)
        assert [one.reference for one in report.failed] == ["x@example.org"]


# Removals that were not


@pytest.mark.parametrize("status", [200, 207])
async def test_a_removal_answered_with_a_failure_raises_with_thrives_reason(status: Literal[200, 207]) -> None:
    async with thrive_with(remove_reply=status) as (_sandbox, thrive):
        for remove in (thrive.audiences.members.remove, thrive.audiences.managers.remove):
            with pytest.raises(APIError, match=rf"{status} .*User does not exist\. \(1 attempt\)") as raised:
                await remove("sales-emea", "x@example.org")
            assert raised.value.status == status
            assert raised.value.message == "User does not exist."
            assert isinstance(raised.value.body, dict)
            assert raised.value.body["failure"]["count"] == 1


@pytest.mark.parametrize(
    ("body", "done"),
    [
        ({"success": {"count": 1, "entities": [{"reference": "u"}]}, "failure": {"count": 0, "entities": []}}, True),
        ({"success": {"count": 1}, "failure": None}, True),
        ({"failure": {}}, True),
        ({"success": {"count": 0}, "failure": {"count": 1}}, False),
        ({"failure": {"entities": [{"reference": "u", "reason": None}]}}, False),
        ({"failure": {"count": 1, "entities": ["u"]}}, False),
        # Odd shapes of it.
        ({"failure": {"count": "0", "entities": [None]}}, True),
        ({"failure": []}, True),
        ({"failure": False}, True),
        ({"failure": " "}, True),
        ({"failure": {"total": 0}}, True),
        ({"failure": {"count": "1"}}, False),
        ({"failure": ["u"]}, False),
        ({"failure": [None, {"reference": "u", "reason": "not removed: locked"}]}, False),
        ({"failure": {"entities": {"reference": "u", "reason": "not removed: locked"}}}, False),
        ({"failure": {"reference": "u"}}, False),
        ({"failure": True}, False),
        ({"failure": "not removed: locked"}, False),
    ],
)
async def test_a_failure_counts_if_it_names_a_person(body: object, done: bool) -> None:
    async with RawServer([reply(207, body)]) as server, server.client() as thrive:
        if done:
            await thrive.audiences.members.remove("a", "u")
        else:
            reason = "locked" if "locked" in str(body) else "gave no reason"
            with pytest.raises(APIError, match=f"not removed.* {reason}"):
                await thrive.audiences.members.remove("a", "u")
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 207])
async def test_a_sync_reports_a_removal_answered_with_a_failure_as_failed(status: int, clock: VirtualClock) -> None:
    failure = {"success": {"count": 0}, "failure": {"count": 1, "entities": [{"reference": "u", "reason": "Locked."}]}}
    async with Sandbox(20, 1, clock=clock) as sandbox, sandbox.client() as thrive:
        await thrive.audiences.create(m.AudienceCreate(name="X", reference="x", parent_id="emea"))
        await thrive.audiences.members.add("x", ["E00001", "E00002"])
        sandbox.faults.add("wrong_shape", operation="removeMember", status=status, body=failure, times=None)
        plan = await sync.plan_members(thrive, "x", ["E00001"])
        report = await plan.apply(max_removals=None)
        assert report.removed == ()
        assert len(report.failed) == 1
        assert "Locked." in (report.failed[0].reason or "")


# The slash


@pytest.mark.parametrize(("form", "first", "later"), [("both", 1, 1), ("slash", 1, 1), ("bare", 2, 1)])
async def test_an_update_finds_the_form_of_its_path_and_remembers_it(form: str, first: int, later: int) -> None:
    async with thrive_with(audience_patch=form) as (sandbox, thrive):
        for expected in (first, later):
            before = len(sandbox.requests)
            assert (await thrive.audiences.update("sales-emea", m.AudienceUpdate(name="S"))).name == "S"
            assert len(sandbox.requests) - before == expected
        with pytest.raises(NotFoundError, match="Audience not found"):
            await thrive.audiences.update("nowhere", m.AudienceUpdate(name="S"))
        assert sandbox.requests[-1].path.endswith("/") == (form != "bare")
        assert sandbox.requests[-2].path.endswith("sales-emea/") == (form != "bare")


@pytest.mark.parametrize("status", [301, 308, 403, 404, 405])
async def test_any_answer_that_rejects_the_slash_makes_the_client_try_the_other_path(status: int) -> None:
    done = reply(200, {"id": "a", "name": "S"})
    async with RawServer([reply(status, Location="/x"), done]) as server, server.client() as thrive:
        await thrive.audiences.update("a", m.AudienceUpdate(name="S"))
        await thrive.audiences.update("a", m.AudienceUpdate(name="S"))
    paths = ["/rest/v1/audiences/a/", "/rest/v1/audiences/a", "/rest/v1/audiences/a"]
    assert [one.target for one in server.requests] == paths


@pytest.mark.parametrize("status", [400, 401, 409, 422])
async def test_a_refused_update_does_not_make_the_client_try_the_other_path(status: int) -> None:
    async with RawServer([reply(status)]) as server, server.client() as thrive:
        with pytest.raises(APIError):
            await thrive.audiences.update("a", m.AudienceUpdate(name="S"))
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 401])
async def test_a_failure_that_has_nothing_to_do_with_the_path_teaches_no_form(status: int, clock: VirtualClock) -> None:
    """Was: the bare form for ever, so that every later update was a 404."""
    answers = [reply(404), reply(status)]
    async with RawServer(list(answers)) as server, server.client(retry=Retry(max_attempts=1)) as thrive:
        with pytest.raises(APIError):
            await thrive.audiences.update("nowhere", m.AudienceUpdate(name="S"))
        server.answers = [*answers, reply(200, {"id": "a", "name": "S"})]
        await thrive.audiences.update("a", m.AudienceUpdate(name="S"))
    assert [one.target[-2:] for one in server.requests] == ["e/", "re", "a/"]


async def test_a_missing_audience_costs_at_most_one_more_request() -> None:
    async with RawServer([reply(404)]) as server, server.client() as thrive:
        with pytest.raises(NotFoundError):
            await thrive.audiences.update("a", m.AudienceUpdate(name="S"))
        assert len(server.requests) == 2


# Moves

FAILED = {"count": 1, "entities": [{"reference": "u", "reason": "Locked."}, None]}
PARTIAL = {"success": {"count": 1}, "failure": FAILED}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("operations", "name"), [(PARTIAL, "memberOperations"), ([PARTIAL], "0"), ({"left": PARTIAL}, "left")]
)
@pytest.mark.parametrize("status", [200, 207, 422])
async def test_what_became_of_the_members_is_never_lost(
    status: int, operations: object, name: str, whole: bool
) -> None:
    """Nameless, in a list or by name; beside the audience or instead of it. Was: a nameless failure was a success."""
    audience = {"id": "a", "name": "S"} if whole else {}
    answers = [reply(status, {**audience, "memberOperations": operations}), reply(200, {"id": "a", "name": "S"})]
    async with RawServer(list(answers)) as server, server.client() as thrive:
        try:
            moved = (await thrive.audiences.update("a", m.AudienceUpdate(parent_id="p"))).member_operations
        except UnprocessableError as error:
            moved = error.member_operations
    assert moved is not None
    (result,) = [moved[name]]
    assert result.is_partial
    assert [(one.reference, one.reason) for one in result.failures] == [("u", "Locked.")]


# Days


async def test_completions_are_filtered_by_day_too() -> None:
    async with RawServer([reply(200, [])]) as server, server.client() as thrive:
        day = date(2026, 1, 31)
        await thrive.completions.list(completed_from=day, completed_to=day).collect()
    assert "completedDateRangeStart=2026-01-31&completedDateRangeEnd=2026-01-31" in server.requests[0].target


async def test_a_page_of_a_thousand_users_is_far_below_the_largest_reply(clock: VirtualClock) -> None:
    async with Sandbox(users=1000, seed=1, clock=clock) as sandbox, sandbox.client() as thrive:
        size = sum(len(user.wire("")) for user in sandbox.state.users.values())
        assert size * 10 < thrive.limits.max_reply_bytes == 16 * 1024 * 1024
