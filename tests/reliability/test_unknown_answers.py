"""What nobody can know without a tenant: the SDK works with every plausible answer; one test for each."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from raw_server import RawServer, reply

from thrive_async import (
    APIError,
    AuthenticationError,
    ConflictError,
    NotFoundError,
    ThriveClient,
    UnprocessableError,
    sync,
)
from thrive_async import models as m
from thrive_async.sandbox import Sandbox, VirtualClock


@asynccontextmanager
async def thrive_with(users: int = 30, **choices: Any) -> AsyncIterator[tuple[Sandbox, ThriveClient]]:
    async with Sandbox(users, 1, check_replies=True, **choices) as sandbox, sandbox.client() as thrive:
        yield sandbox, thrive
        assert sandbox.violations == []


# Creates and deletes


@pytest.mark.parametrize("status", [200, 201])
async def test_a_create_is_answered_by_200_or_201(status: int) -> None:
    async with thrive_with(create_status=status) as (sandbox, thrive):
        user = await thrive.users.create(m.UserCreate(ref="N", first_name="A", last_name="B", email="n@example.com"))
        assert user.ref == "N"
        audience = await thrive.audiences.create(
            m.AudienceCreate(name="N", reference="n", parent_id="emea", category="audience")
        )
        assert audience.reference == "n"
        content = await thrive.contents.list().first()
        assert content is not None
        assignment = await thrive.assignments.create(m.AssignmentCreate(audience_id=audience.id, content_id=content.id))
        assert assignment.id
        assert {entry.status for entry in sandbox.requests if entry.method == "POST"} == {status}


@pytest.mark.parametrize("style", ["object", "string", "null", "empty", "no_content"])
async def test_a_delete_is_answered_by_json_by_nothing_or_by_204(style: str) -> None:
    async with thrive_with(delete_reply=style) as (sandbox, thrive):
        await thrive.audiences.create(m.AudienceCreate(name="N", reference="n", parent_id="emea", category="audience"))
        await thrive.audiences.members.add("n", ["E00001"])
        await thrive.audiences.members.remove("n", "E00001")
        await thrive.audiences.delete("n")
        await thrive.users.delete("E00002")
        assert len([entry for entry in sandbox.requests if entry.method == "DELETE"]) == 3


@pytest.mark.parametrize("body", [b"null", b'"done"', b"[]", b"{}", b"done", b"<html>", b"\xff", b"5"])
async def test_a_delete_is_done_whatever_comes_with_its_2xx(body: bytes) -> None:
    for status in (200, 202, 204):
        async with RawServer([reply(status, b"" if status == 204 else body)]) as server, server.client() as thrive:
            await thrive.users.delete("E1")
            await thrive.audiences.managers.remove("a", "b")
            await thrive.assignments.delete("a" * 24, audience_id="b")
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [200, 201])
async def test_a_completion_that_is_there_already_is_told_by_the_status(status: int) -> None:
    async with RawServer([reply(status, {"statementId": "s"})]) as server, server.client() as thrive:
        completion = m.CompletionCreate(user_id="u", content_id="c", completed_at=datetime(2026, 1, 1, tzinfo=UTC))
        receipt = await thrive.completions.create(completion)
    assert (receipt.statement_id, receipt.created) == ("s", status == 201)


# Batches


@pytest.mark.parametrize("status", [207, 422])
async def test_a_batch_of_which_everyone_fails_is_a_result_or_a_refusal(status: int) -> None:
    async with thrive_with(all_failed_batch=status) as (_sandbox, thrive):
        nobody = ["x@example.org", "y@example.org"]
        if status == 207:
            result = await thrive.audiences.members.add("sales-emea", nobody)
            assert [entity.reference for entity in result.failures] == nobody
        else:
            with pytest.raises(UnprocessableError):
                await thrive.audiences.members.add("sales-emea", nobody)
        # And a sync tells the fate of each of them all the same.
        plan = await sync.plan_members(thrive, "sales-emea", nobody, removals=False)
        report = await plan.apply()
        assert sorted(one.reference for one in report.failed) == sorted(nobody)


@pytest.mark.parametrize(
    "body",
    [
        {"success": {"count": 1, "entities": [{"reference": "a"}]}},
        {"success": {"count": 1, "entities": [{"reference": "a"}]}, "failure": None},
        {"success": {"count": 1, "entities": [{"reference": "a"}]}, "failure": {"count": 0, "entities": []}},
        {"success": {"count": 1, "entities": [{"reference": "a"}]}, "failure": {}},
    ],
)
async def test_a_batch_without_failures_may_say_so_in_any_way(body: object) -> None:
    async with RawServer([reply(200, body)]) as server, server.client() as thrive:
        result = await thrive.audiences.members.add("n", ["a"])
    assert not result.is_partial
    assert result.failures == []
    assert result.success is not None
    assert result.success.count == 1


# Lists


@pytest.mark.parametrize("style", ["empty", "not_found", "last", "first"])
async def test_a_page_past_the_end_is_empty_or_a_404_or_another_page_again(style: str) -> None:
    async with thrive_with(past_last_page=style) as (sandbox, thrive):
        every = await thrive.completions.list().collect()
        for size in (1, 2, 3, 5, len(every), len(every) + 1):
            assert await thrive.completions.list(per_page=size).collect() == every
        assert len(await thrive.users.list(per_page=10).collect()) == 30
        first = await thrive.users.list(per_page=10, updated_since=datetime(2100, 1, 1, tzinfo=UTC)).first()
        assert first is None
        assert 404 in {entry.status for entry in sandbox.requests} or style != "not_found"


@pytest.mark.parametrize("clamp", [10, 20, 50])
async def test_a_server_may_give_smaller_pages_than_asked_for(clamp: int) -> None:
    async with thrive_with(users=70, per_page_clamp=clamp) as (sandbox, thrive):
        assert [user.id for user in await thrive.users.list().collect()] == list(sandbox.state.users)
        assert len(await thrive.users.list().collect(limit=65)) == 65
        whole = await thrive.completions.list(per_page=7).collect()
        assert len(whole) > 20
        assert await thrive.completions.list().collect() == whole


@pytest.mark.parametrize("style", ["envelope", "array"])
async def test_tags_come_with_an_envelope_or_without(style: str) -> None:
    async with thrive_with(tags_shape=style) as (_sandbox, thrive):
        tags = await thrive.tags.list().collect()
        assert tags
        assert await thrive.tags.list(per_page=2).collect() == tags
        assert [tag async for tag in thrive.tags.list(per_page=1)] == tags


@pytest.mark.parametrize(
    ("pagination", "requests"),
    [
        ({"totalResults": 2, "totalPages": 1, "page": 1, "perPage": 1000}, 1),
        ({"totalResults": 2}, 1),
        ({"totalResults": "2", "totalPages": "1"}, 1),
        ({"totalResults": 2.0, "totalPages": 1.0}, 1),
        # Nothing says that two items are all: the next page does.
        ({"totalPages": 1}, 2),
        ({}, 2),
        (None, 2),
    ],
)
async def test_totals_may_be_told_in_any_way_or_not_at_all(pagination: object, requests: int) -> None:
    body = {"results": [{"id": "1"}, {"id": "2"}], "pagination": pagination}
    async with RawServer([reply(200, body)]) as server, server.client() as thrive:
        users = await thrive.users.list().collect()
    assert [user.id for user in users] == ["1", "2"]
    assert len(server.requests) == requests


@pytest.mark.parametrize("bare", [True, False])
async def test_audiences_of_a_user_are_objects_or_bare_ids(bare: bool) -> None:
    async with thrive_with(bare_audience_ids=bare) as (_sandbox, thrive):
        users = await thrive.users.list().collect()
        found = [audience for user in users for audience in user.audiences or []]
        assert found
        assert all(isinstance(audience, m.UserAudience) and audience.id for audience in found)


# Moves of audiences


@pytest.mark.parametrize("keys", [("removed", "added"), ("leave", "join"), ("a-b c", "für")])
async def test_a_move_may_name_its_operations_as_it_likes(keys: tuple[str, str]) -> None:
    async with thrive_with(moved_keys=keys) as (_sandbox, thrive):
        moved = await thrive.audiences.update("sales-emea", m.AudienceUpdate(parent_id="apac"))
        assert moved.member_operations is not None
        assert set(moved.member_operations) == set(keys)
        assert all(isinstance(one, m.MemberOperationResult) for one in moved.member_operations.values())


@pytest.mark.parametrize("extra", [{}, {"memberOperations": None}, {"memberOperations": {}}])
async def test_an_audience_that_did_not_move_has_no_operations(extra: dict[str, Any]) -> None:
    body = {"id": "a" * 24, "name": "n", "reference": "n", **extra}
    async with RawServer([reply(200, body)]) as server, server.client() as thrive:
        moved = await thrive.audiences.update("n", m.AudienceUpdate(name="n"))
    assert not moved.member_operations


@pytest.mark.parametrize("style", ["null", "absent"])
async def test_an_audience_of_the_sandbox_that_did_not_move_has_none_either(style: str) -> None:
    async with thrive_with(unmoved_operations=style) as (_sandbox, thrive):
        renamed = await thrive.audiences.update("sales-emea", m.AudienceUpdate(name="n"))
    assert (renamed.name, renamed.member_operations) == ("n", None)


RESULT = {"success": {"count": 0, "entities": []}, "failure": {"count": 1, "entities": [{"reference": "a"}]}}
SHAPES: dict[str, dict[str, Any]] = {
    "operations": {"status": 422, "error": "x", "message": "y", "memberOperations": {"removed": RESULT}},
    "one operation": {"status": 422, "memberOperations": RESULT},
    "bare": RESULT,
    "message": {"status": 422, "error": "x", "message": RESULT},
    "operations in the message": {"status": 422, "message": {"memberOperations": {"removed": RESULT}}},
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_refused_move_tells_its_members_from_wherever_they_stand(shape: str) -> None:
    async with RawServer([reply(422, SHAPES[shape])]) as server, server.client() as thrive:
        with pytest.raises(UnprocessableError) as raised:
            await thrive.audiences.update("n", m.AudienceUpdate(parent_id="p"))
    operations = raised.value.member_operations
    assert operations is not None
    (result,) = operations.values()
    assert [entity.reference for entity in result.failures] == ["a"]
    assert raised.value.body == SHAPES[shape]


@pytest.mark.parametrize("status", [200, 207])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("audience", [{"id": "a" * 24, "name": "n"}, {}])
async def test_so_does_a_move_that_was_made_even_if_the_audience_has_to_be_read(
    status: int, shape: str, audience: dict[str, str]
) -> None:
    answers = [reply(status, {**SHAPES[shape], **audience}), reply(200, {"id": "a" * 24, "name": "n"})]
    async with RawServer(answers) as server, server.client() as thrive:
        moved = await thrive.audiences.update("n", m.AudienceUpdate(parent_id="p"))
    assert moved.name == "n"
    assert moved.member_operations is not None
    (result,) = moved.member_operations.values()
    assert result.is_partial
    assert [entity.reference for entity in result.failures] == ["a"]


@pytest.mark.parametrize("shape", ["operations", "bare", "message"])
async def test_a_refused_move_of_the_sandbox_is_read_in_its_three_shapes(shape: str) -> None:
    async with thrive_with(refused_move_shape=shape) as (_sandbox, thrive):
        new = m.AudienceCreate(name="N", reference="n", parent_id="emea", category="audience")
        await thrive.audiences.create(new)
        await thrive.audiences.members.add("n", ["E00001"])
        await thrive.audiences.create(m.AudienceCreate(name="O", reference="o", parent_id="emea", category="audience"))
        await thrive.audiences.members.add("o", ["E00001"])
        with pytest.raises(UnprocessableError) as raised:
            await thrive.audiences.update("n", m.AudienceUpdate(parent_id="apac"))
        assert raised.value.member_operations


# Errors


@pytest.mark.parametrize("body", [True, False])
async def test_a_404_of_a_single_record_has_a_body_or_none(body: bool) -> None:
    async with thrive_with(not_found_body=body) as (_sandbox, thrive):
        calls: list[Callable[[str], Any]] = [
            thrive.contents.get,
            thrive.activities.get,
            thrive.cpd.categories.get,
            thrive.cpd.entries.get,
            thrive.cpd.requirements.get,
        ]
        for call in calls:
            with pytest.raises(NotFoundError) as raised:
                await call("0" * 24)
            assert raised.value.error == "Not Found"
            assert (raised.value.message is None) is not body


@pytest.mark.parametrize("shape", ["v1", "v2"])
async def test_v2_may_tell_errors_in_another_way(shape: str) -> None:
    async with thrive_with(v2_error_shape=shape) as (sandbox, thrive):
        first = next(iter(sandbox.state.users.values()))
        taken = m.UserCreate(ref=first["ref"], first_name="A", last_name="B", email="fresh@example.com")
        with pytest.raises(ConflictError) as raised:
            await thrive.users.create(taken)
        assert raised.value.message
        assert raised.value.error
        assert isinstance(raised.value.body, dict)


@pytest.mark.parametrize("status", [404, 422])
async def test_an_unknown_audience_is_a_404_or_a_422(status: int) -> None:
    async with thrive_with(unknown_audience=status) as (_sandbox, thrive):
        with pytest.raises(APIError) as raised:
            await thrive.audiences.members.list("nothing").collect()
        assert raised.value.status == status


# Limits


@pytest.mark.parametrize("style", ["retry-after", "x-ratelimit", "none"])
async def test_a_429_says_when_in_one_header_in_another_or_not(style: str, clock: VirtualClock) -> None:
    async with thrive_with(clock=clock, rate_limit=5, rate_burst=5, rate_limit_headers=style) as (sandbox, thrive):
        for _ in range(30):
            await thrive.skills.levels()
        refused = [entry for entry in sandbox.requests if entry.status == 429]
        assert 1 <= len(refused) <= 6
        assert clock.elapsed < 30 / 5 * 1.6


# Tokens


@pytest.mark.parametrize("style", ["both", "basic", "post"])
@pytest.mark.parametrize("error", ["oauth", "thrive"])
async def test_the_token_endpoint_wants_a_header_or_a_form(style: str, error: str) -> None:
    async with Sandbox(users=3, token_auth=style, token_error=error) as sandbox:
        async with sandbox.client(credentials=sandbox.oauth) as thrive:
            assert await thrive.skills.levels()
        assert len(sandbox.requests.of("createAccessToken")) == (2 if style == "post" else 1)


@pytest.mark.parametrize("told", ["number", "string", "absent"])
async def test_a_tokens_life_is_a_number_a_string_or_an_hour(told: str, clock: VirtualClock) -> None:
    lifetime = 3600.0 if told == "absent" else 300.0
    async with Sandbox(users=3, clock=clock, token_expires_in=told, token_lifetime=lifetime) as sandbox:
        async with sandbox.client(credentials=sandbox.oauth) as thrive:
            await thrive.skills.levels()
            clock.advance(lifetime - 61)
            await thrive.skills.levels()
            assert sandbox.tokens.issued == 1
            clock.advance(2)
            await thrive.skills.levels()
            assert sandbox.tokens.issued == 2
        assert 401 not in {entry.status for entry in sandbox.requests}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "invalid_client"}, "401 invalid_client"),
        ({"error": "invalid_client", "error_description": "unknown"}, "401 invalid_client: unknown"),
        ({"status": 401, "error": "Unauthorized", "message": "unknown"}, "401 Unauthorized: unknown"),
        ({"message": "unknown"}, "401 Unauthorized: unknown"),
        (b"", "401 Unauthorized"),
        (b"<html>", "401 Unauthorized"),
    ],
)
async def test_a_refusal_of_the_token_endpoint_is_read_in_every_shape(body: object, words: str) -> None:
    from thrive_async import ClientCredentials

    credentials = ClientCredentials("me", "secret")
    async with RawServer([reply(401, body)]) as server, server.client(credentials=credentials) as thrive:
        with pytest.raises(AuthenticationError, match=words):
            await thrive.skills.levels()
    assert len(server.requests) == 2


# All at once


CHOICES: dict[str, tuple[Any, ...]] = {
    "all_failed_batch": (207, 422),
    "past_last_page": ("empty", "not_found", "last", "first"),
    "paging": ("pages", "whole"),
    "totals": ("right", "zero"),
    "largest_page": (None, 100),
    "large_page_status": (400, 413, 422),
    "create_status": (200, 201),
    "delete_reply": ("object", "string", "null", "empty", "no_content"),
    "write_reply": ("documented", "message", "empty", "no_content"),
    "remove_reply": (404, 207, 200),
    "audience_patch": ("both", "slash", "bare"),
    "unmoved_operations": ("null", "absent"),
    "moved_keys": (("removed", "added"), ("für", "x y")),
    "not_found_body": (True, False),
    "v2_error_shape": ("v1", "v2"),
    "tags_shape": ("envelope", "array"),
    "per_page_clamp": (None, 10, 50),
    "bare_audience_ids": (True, False),
    "rate_limit_headers": ("retry-after", "x-ratelimit", "none"),
    "token_auth": ("both", "basic", "post"),
    "token_refusal": (401, 400, 403, 404, 405, 415, 422),
    "token_reply": ("snake", "camel", "bearer"),
    "token_expires_in": ("number", "string", "absent"),
    "token_error": ("oauth", "thrive"),
}


@pytest.mark.parametrize("seed", range(12))
async def test_the_answers_may_be_mixed_in_any_way(seed: int, clock: VirtualClock) -> None:
    """Whatever the server's choices are, its user sees the same."""
    chance = random.Random(seed)
    chosen = {name: chance.choice(values) for name, values in CHOICES.items()}
    async with Sandbox(35, 1, clock=clock, check_replies=True, rate_limit=20, **chosen) as sandbox:
        async with sandbox.client(credentials=sandbox.oauth) as thrive:
            users = await thrive.users.list().collect()
            assert [user.id for user in users] == list(sandbox.state.users)
            assert all(audience.id for user in users for audience in user.audiences or [])
            tags = await thrive.tags.list().collect()
            assert tags == await thrive.tags.list(per_page=3).collect()
            assert await thrive.completions.list(per_page=7).collect() == await thrive.completions.list().collect()
            await thrive.audiences.create(
                m.AudienceCreate(name="N", reference="n", parent_id="emea", category="audience")
            )
            report = await sync.sync_members(thrive, "n", [users[0].id, users[1].id, "x@example.org"])
            assert (len(report.added), [one.reference for one in report.failed]) == (2, ["x@example.org"])
            moved = await thrive.audiences.update("n", m.AudienceUpdate(parent_id="apac"))
            assert set(moved.member_operations or ()) <= set(chosen["moved_keys"])
            for call in (thrive.contents.get, thrive.users.get):
                with pytest.raises(NotFoundError):
                    await call("0" * 24)
            await thrive.audiences.delete("n")
            assert "n" not in sandbox.state.audiences
        assert sandbox.violations == []
