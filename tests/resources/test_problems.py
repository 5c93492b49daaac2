"""Odd values in replies are reported by the page and the client and logged once; a strict client raises an error."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from thrive_async import ApiKey, ConfigurationError, DecodeError, ThriveClient, unread
from thrive_async.sandbox import Sandbox

ODD: list[Any] = [
    {"id": "a", "email": "a@example.com"},
    None,
    {"id": "b", "level": "7", "positions": [{"manager": {"id": None}, "startDate": "planted"}], "createdAt": ""},
]


async def test_a_page_and_its_client_report_odd_values(
    thrive: ThriveClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "thrive_async")
    body = {"results": ODD, "pagination": {"totalResults": 3, "totalPages": 1, "page": 1, "perPage": 1000}}
    sandbox.faults.add("wrong_shape", operation="searchUsers", body=body, times=None)
    assert not thrive.problems
    (page,) = [page async for page in thrive.users.list().pages()]
    await thrive.users.list().collect()
    assert [user.id for user in page.items] == ["a", "b"]
    assert page.skipped == 1
    assert page.raw == ODD
    first, second = page.items
    assert unread(first) == frozenset()
    assert unread(second) == {"positions"}
    assert (second.level, second.created_at) == (7, None)
    assert {path: problem.lost for path, problem in page.problems.items()} == {
        "$.results[]": 0,
        "$.results[].level": 0,
        "$.results[].createdAt": 0,
        "$.results[].positions[].startDate": 1,
    }
    told = thrive.problems["$.results[].positions[].startDate"]
    assert (told.expected, dict(told.came), told.lost) == (
        "a date and time in ISO 8601",
        {"another string": 2},
        2,
    )
    assert told.operations == ("searchUsers",)
    assert len(caplog.records) == 4, "each path once, however often it comes"
    assert "planted" not in caplog.text + repr(thrive.problems)


async def test_a_single_record_is_read_despite_odd_values(thrive: ThriveClient, sandbox: Sandbox) -> None:
    sandbox.faults.add("wrong_shape", operation="getUser", body={"id": 7, "email": []}, times=None)
    user = await thrive.users.get("x")
    assert (user.id, user.email) == ("7", None)
    assert unread(user) == {"email"}
    assert set(thrive.problems) == {"$.id", "$.email"}


async def test_a_strict_client_raises_for_the_first_odd_value(sandbox: Sandbox) -> None:
    sandbox.faults.add("wrong_shape", operation="getUser", body={"id": "a", "email": []}, times=None)
    sandbox.faults.add("wrong_shape", operation="searchUsers", body={"results": ODD}, times=None)
    async with ThriveClient(sandbox.tenant_id, sandbox.credentials, base_url=sandbox.base_url, strict=True) as thrive:
        with pytest.raises(DecodeError) as caught:
            await thrive.users.get("x")
        assert (caught.value.operation, caught.value.path) == ("getUser", "$.email")
        with pytest.raises(DecodeError) as caught:
            await thrive.users.list().collect()
        assert (caught.value.operation, caught.value.path) == ("searchUsers", "$.results[1]")
        assert not thrive.problems


async def test_a_member_without_a_readable_id_is_an_error(thrive: ThriveClient, sandbox: Sandbox) -> None:
    members = {"results": [{"userId": "a"}, {"userId": None, "email": "planted@example.com"}]}
    sandbox.faults.add("wrong_shape", operation="listMembers", body=members, times=None)
    with pytest.raises(DecodeError) as caught:
        await thrive.audiences.members.list("x").collect()
    assert (caught.value.operation, caught.value.path) == ("listMembers", "$.results[1].userId")
    assert "planted" not in str(caught.value)


async def test_an_unreadable_failure_does_not_count_as_success(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """Otherwise a person who was not added would count as added."""
    sandbox.faults.add(
        "wrong_shape", operation="addMembers", body={"success": {"count": 0}, "failure": "of one"}, times=None
    )
    result = await thrive.audiences.members.add("sales-emea", ["E00001"])
    assert result.is_partial
    assert unread(result) == {"failure"}


def test_strict_must_be_a_boolean() -> None:
    with pytest.raises(ConfigurationError, match="strict must be bool"):
        ThriveClient("tenant", ApiKey("key"), strict="yes")  # type: ignore[arg-type]
