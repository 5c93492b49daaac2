"""Each operation has its own method, with the verb, path, query and body of the specification."""

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints
from urllib.parse import quote

import pytest
from calls import BODIES, CALLS, EVERY, PAGING, Call, method_of

from thrive_async import ApiKey, ThriveClient
from thrive_async._base.arguments import argument
from thrive_async._generated.operations import OPERATIONS
from thrive_async.errors import APIError
from thrive_async.pagination import Paginator
from thrive_async.sandbox import Sandbox

every_method = pytest.mark.parametrize(
    ("operation_id", "expected"), [pytest.param(*one, id=one[1].method) for one in EVERY]
)


@pytest.fixture
def idle() -> ThriveClient:
    """A client that sends and opens nothing, so there is nothing to close."""
    return ThriveClient("tenant", ApiKey("key"), base_url="http://127.0.0.1:9")


async def _run(answer: Any) -> None:
    """Read the first page of a paginator, or await the call; a refusal is fine here, for the request has arrived."""
    try:
        if isinstance(answer, Paginator):
            async for _ in answer.pages():
                break
        else:
            await answer
    except APIError:
        pass


def test_every_operation_has_a_method() -> None:
    """Only the token endpoint has no method. Exactly the operations with a body have one written by hand."""
    assert set(CALLS) == set(OPERATIONS) - {"createAccessToken"}
    assert {call.method for operation, call in EVERY if OPERATIONS[operation].body} == set(BODIES)


@every_method
async def test_each_method_sends_what_the_specification_says(
    operation_id: str, expected: Call, thrive: ThriveClient, sandbox: Sandbox
) -> None:
    """A method makes one request of its one operation, with the verb, path, query and body of the specification."""
    operation = OPERATIONS[operation_id]
    await _run(expected.call(thrive))

    request, *others = sandbox.requests
    # The update of an audience that is not there is tried with the other form of its path, too.
    assert len(others) == (operation_id == "updateAudience")
    assert request.operation == operation_id
    assert request.method == operation.method
    segments = {name: quote(value, safe="") for name, value in expected.path.items()}
    # The documents print this one path with a slash at its end.
    slash = "/" if operation_id == "updateAudience" else ""
    assert request.path == operation.path.format_map(segments) + slash
    assert request.body == expected.body
    assert request.query == {**expected.query, **_first_page(operation.per_page)}


def _first_page(per_page: int | None) -> Mapping[str, str]:
    return {"page": "1", "perPage": str(per_page)} if per_page else {}


@every_method
def test_each_parameter_of_an_operation_is_an_argument_of_its_method(
    operation_id: str, expected: Call, idle: ThriveClient
) -> None:
    """A method has an argument for each path and query parameter and for its body, and the common ones; no others."""
    operation = OPERATIONS[operation_id]
    paging = {"per_page", "prefetch"} if operation.per_page else set()
    assert set(inspect.signature(method_of(idle, expected.method)).parameters) == {
        *(
            argument(operation.resource, name)
            for name in (*operation.path_parameters, *(operation.query.keys() - PAGING))
        ),
        *(BODIES[expected.method].arguments if operation.body else ()),
        *paging,
        "timeouts",
    }


@every_method
def test_each_signature_can_be_read_by_tools(operation_id: str, expected: Call, idle: ThriveClient) -> None:
    """Every annotation resolves at run time, names a return type, and every argument is in the docstring."""
    method = method_of(idle, expected.method)
    hints = get_type_hints(method)
    signature = inspect.signature(method)
    assert "return" in hints
    assert set(hints) - {"return"} == set(signature.parameters)
    documented = inspect.getdoc(method) or ""
    assert "API: ``" + OPERATIONS[operation_id].method + " " + OPERATIONS[operation_id].path + "``" in documented
    for name in signature.parameters:
        assert f"    {name}: " in documented


@every_method
def test_everything_but_ids_and_bodies_is_keyword_only(operation_id: str, expected: Call, idle: ThriveClient) -> None:
    """Adding an argument never breaks a caller, because filters and settings are named."""
    operation = OPERATIONS[operation_id]
    parameters = inspect.signature(method_of(idle, expected.method)).parameters.values()
    positional = [one.name for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    body = BODIES[expected.method].arguments if operation.body else {}
    assert len(positional) <= len(operation.path_parameters) + len(body)
    assert all(one.default is inspect.Parameter.empty for one in parameters if one.name in positional)
