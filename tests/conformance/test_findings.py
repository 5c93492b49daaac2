"""What schemathesis and a second reader found, so that it stays found."""

import pytest
from conformance_requests import Answer, basic, send
from conformance_table import Ask, good

from thrive_async.sandbox import Sandbox, VirtualClock


async def ask(sandbox: Sandbox, operation: str, request: Ask) -> Answer:
    return await send(sandbox, operation, request, basic(sandbox.tenant_id, sandbox.tokens.api_key))


@pytest.mark.parametrize("ref", ["a\nb", "\n", "a\r\nb", "a\u2028b", "a\x00b", "..", "."])
async def test_a_name_of_any_characters_reaches_the_operation(sandbox: Sandbox, ref: str) -> None:
    sandbox.state.add_audience(ref, parent="emea")
    answer = await ask(sandbox, "getAudience", Ask({"audienceId": ref}))
    assert answer.body["reference"] == ref


@pytest.mark.parametrize("number", ["9" * 19, "9" * 60, "1" + "0" * 299])
async def test_a_page_number_of_any_size_is_a_page_past_the_last(sandbox: Sandbox, number: str) -> None:
    answer = await ask(sandbox, "searchUsers", Ask(query={"page": number}))
    assert (answer.status, answer.body["results"]) == (200, [])


async def test_a_digit_of_another_script_is_no_number(sandbox: Sandbox) -> None:
    answer = await ask(sandbox, "searchUsers", Ask(query={"page": "\u0661"}))
    assert answer.status == 400


@pytest.mark.parametrize("days", [10**7, 1e25, 5e300])
async def test_a_period_beyond_the_end_of_time_ends_with_time(sandbox: Sandbox, days: float) -> None:
    request = good("createAssignment", sandbox.state)
    request.body |= {"completionPeriod": days, "recurrence": days}
    made = await ask(sandbox, "createAssignment", request)
    assert made.status == 201
    enrolments = await ask(sandbox, "listEnrolments", Ask({"assignmentId": made.body["id"]}))
    assert {one["dueDate"] for one in enrolments.body} == {"9999-12-31T23:59:59.999Z"}
    assert not sandbox.violations


@pytest.mark.parametrize(("ends", "active"), [("2026-01-02", True), ("2025-12-31", False)])
async def test_a_position_ends_by_the_sandboxs_time(ends: str, active: bool) -> None:
    """The virtual clock begins in January 2026, whenever the test runs."""
    async with Sandbox(users=5, clock=VirtualClock()) as sandbox:
        await ask(sandbox, "updateUser", Ask({"ref": "E00001"}, body={"jobTitle": "Cook", "endDate": ends}))
        user = await ask(sandbox, "getUserByRef", Ask({"ref": "E00001"}))
    assert user.body["positions"][0]["isActive"] is active
