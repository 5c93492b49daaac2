"""Every operation of the specification, and every status that it documents, comes out of the sandbox."""

from typing import Any

import pytest
from conformance_requests import basic, conforms, send, token
from conformance_table import CASES, ONLY_BY_FAULT, Ask, Case, good

from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox import Sandbox
from thrive_async.sandbox.server.specification import specification

DOCUMENT = specification().document
DOCUMENTED = {
    (node["operationId"], status)
    for item in DOCUMENT["paths"].values()
    for node in item.values()
    if isinstance(node, dict) and "responses" in node
    for status in node["responses"]
}
EVERY = [*CASES, *ONLY_BY_FAULT]


@pytest.mark.parametrize("case", EVERY, ids=lambda case: f"{case.operation}-{case.status}")
async def test_the_sandbox_answers_with_the_documented_status_and_body(case: Case) -> None:
    async with Sandbox(users=20, seed=1, check_replies=True, **case.settings) as sandbox:
        authorization: str | None = basic(sandbox.tenant_id, sandbox.tokens.api_key)
        if case.entry == "nothing":
            authorization = None
        elif case.entry == "scope":
            scope = "api/read" if "api/write" in OPERATIONS[case.operation].scopes else "api/write"
            authorization = "Bearer " + (await token(sandbox, scope=scope)).body["access_token"]
        ask = good(case.operation, sandbox.state)
        case.change(ask, sandbox.state)
        if case.fault is not None:
            sandbox.faults.add(**case.fault)
        if case.status == "429":
            # The bucket holds one token, and it is worn out by this.
            await send(sandbox, "listSkillLevels", Ask(), authorization)
        answer = await send(sandbox, case.operation, ask, authorization)
        assert not sandbox.violations
    documented = {status for operation, status in DOCUMENTED if operation == case.operation}
    assert (str(answer.status) if str(answer.status) in documented else "default") == case.status
    assert conforms(case.operation, answer) is None
    if answer.status >= 400 and case.settings.get("refused_move_shape") != "bare":
        assert answer.body["status"] == answer.status
        assert isinstance(answer.body["error"], str)
        assert isinstance(answer.body["message"], str | dict)


TOKENS: dict[str, dict[str, Any]] = {
    "200": {},
    "400": {"grant_type": "password"},
    "401": {"client_secret": "wrong"},
    "403": {"status": 403},
    "429": {"rate_limit": 0.001, "rate_burst": 1},
    "default": {"status": 503},
}


@pytest.mark.parametrize("status", TOKENS)
@pytest.mark.parametrize("shape", ["oauth", "thrive"])
async def test_the_token_endpoint_answers_with_every_documented_status(status: str, shape: str) -> None:
    limit = TOKENS[status] if status == "429" else {}
    async with Sandbox(users=20, seed=1, check_replies=True, token_error=shape, **limit) as sandbox:
        if "status" in TOKENS[status]:
            sandbox.faults.add("token_down", status=TOKENS[status]["status"])
        if limit:
            await token(sandbox)
        answer = await token(sandbox, **{name: text for name, text in TOKENS[status].items() if isinstance(text, str)})
        assert not sandbox.violations
    assert (str(answer.status) if str(answer.status) in TOKENS else "default") == status
    assert conforms("createAccessToken", answer) is None


def test_every_operation_and_every_documented_status_is_in_the_table() -> None:
    """Every operation, the token endpoint among them, with all its statuses; the inferred ones too."""
    produced = {(case.operation, case.status) for case in EVERY} | {("createAccessToken", status) for status in TOKENS}
    assert sorted(DOCUMENTED - produced) == []
    assert sorted(produced - DOCUMENTED) == []


def test_inferred_statuses_are_listed_statuses() -> None:
    for item in DOCUMENT["paths"].values():
        for node in item.values():
            if isinstance(node, dict) and "responses" in node:
                assert set(node.get("x-thrive-inferred-statuses", ())) <= node["responses"].keys()


def test_what_only_a_fault_can_make_is_little() -> None:
    """Besides the failures of a server, four statuses have no cause in the sandbox."""
    rest = {(case.operation, case.status) for case in ONLY_BY_FAULT if case.status not in ("500", "default")}
    by_cause = {(case.operation, case.status) for case in CASES if case.fault is None}
    assert rest.isdisjoint(by_cause)
    assert len(rest) == 4
