"""The sandbox's page: made from the specification, without outside resources, and safe."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest

from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox import Sandbox
from thrive_async.sandbox.server.page import STATUS_PATH, counts_of, example_of, operations_of, samples_of
from thrive_async.sandbox.server.specification import specification


def fetched(sandbox: Sandbox, path: str = "/", **headers: str) -> tuple[Any, str]:
    request = urllib.request.Request(sandbox.base_url + path, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return answer.headers, answer.read().decode()


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    decoded: dict[str, Any] = json.loads(found[1])
    return decoded


def test_the_page_shows_every_operation_of_the_specification(served: Sandbox) -> None:
    data = embedded(fetched(served)[1])
    assert len(data["operations"]) == len(OPERATIONS)
    documented = {
        operation["operationId"]
        for item in specification().document["paths"].values()
        for method, operation in item.items()
        if method in {"get", "post", "patch", "delete"}
    }
    assert {operation["id"] for operation in data["operations"]} == documented
    assert data["baseUrl"] == served.base_url


def test_the_page_loads_nothing_and_lets_nothing_in(served: Sandbox) -> None:
    headers, page = fetched(served)
    assert not re.search(r"(src|href)\s*=|@import|url\(", page)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)
    assert nonce
    assert page.count(f'nonce="{nonce[1]}"') == 3
    assert nonce[1] not in fetched(served)[1]
    assert "__" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_data_in_the_sandbox_cannot_end_the_script() -> None:
    sandbox = Sandbox(users=0)
    sandbox.state.add_user(ref="</script><script>alert(1)</script>")
    with sandbox:
        page = fetched(sandbox)[1]
        assert "alert(1)</script>" not in page
        assert any(
            "</script>" in parameter["value"] for o in embedded(page)["operations"] for parameter in o["parameters"]
        )


def test_the_figures_are_live_and_asking_for_them_is_no_request(served: Sandbox) -> None:
    status = json.loads(fetched(served, STATUS_PATH)[1])
    assert status["counts"]["users"] == 60
    assert status["requests"] == []
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetched(served, "/rest/v1/user/nobody")
    refused.value.close()
    served.state.add_user()
    status = json.loads(fetched(served, STATUS_PATH)[1])
    assert status["counts"]["users"] == 61
    assert [(entry["method"], entry["path"], entry["status"]) for entry in status["requests"]] == [
        ("GET", "/rest/v1/user/nobody", 401)
    ]
    assert len(served.requests) == 1


def test_a_form_can_be_sent_as_it_stands(served: Sandbox) -> None:
    """Every GET with the values that its form opens with is answered with 200."""
    data = embedded(fetched(served)[1])
    sent = 0
    for operation in data["operations"]:
        parameters = operation["parameters"]
        if operation["method"] != "GET" or any(one["required"] and not one["value"] for one in parameters):
            continue
        path = operation["path"]
        for parameter in parameters:
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", parameter["value"])
        fetched(served, path, Authorization=data["authorizations"][""])
        sent += 1
    # All except the one with a required period.
    assert sent == sum(operation["method"] == "GET" for operation in data["operations"]) - 1


def test_bodies_name_what_exists(served: Sandbox) -> None:
    """Adding a member, a manager and a completion works as the form opens; so does asking for a token."""
    data = embedded(fetched(served)[1])
    operations = {operation["id"]: operation for operation in data["operations"]}
    for name, expected in {
        "addMembers": 200,
        "addManagers": 200,
        "createCompletion": 201,
        "createAssignment": 201,
        "createAccessToken": 200,
    }.items():
        operation = operations[name]
        path = operation["path"]
        for parameter in operation["parameters"]:
            path = path.replace(f"{{{parameter['name']}}}", parameter["value"])
        request = urllib.request.Request(
            served.base_url + path,
            data=operation["body"].encode(),
            headers={
                "Content-Type": operation["contentType"],
                "Authorization": data["authorizations"].get(operation["tag"], data["authorizations"][""]),
            },
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == expected, name


def test_an_empty_sandbox_has_a_page_too() -> None:
    with Sandbox(users=0) as sandbox:
        sandbox.state.users.clear()
        assert "Thrive sandbox" in fetched(sandbox)[1]
        assert "/user/{id}" not in samples_of(sandbox.state, "tenant")
        assert counts_of(sandbox.state)["users"] == 0


def test_paths_that_are_not_the_pages_belong_to_the_api(served: Sandbox) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetched(served, "/nowhere")
    assert caught.value.code == 404
    assert served.requests[0].path == "/nowhere"
    caught.value.close()


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"example": 7}, 7),
        ({"const": "x"}, "x"),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": ["string", "null"], "format": "date"}, "2026-01-31"),
        ({"type": "string"}, "string"),
        ({"type": "boolean"}, False),
        ({"type": "integer", "minimum": 5}, 5),
        ({"anyOf": [{"type": "null"}, {"type": "number"}]}, 1.0),
        ({"anyOf": [{"type": "null"}]}, None),
        ({"type": "array", "items": {"$ref": "#/d/a~1b"}}, ["string"]),
        ({"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}}, "required": ["b", "c"]}, {"b": 2}),
        ({"allOf": [{"properties": {"a": {"const": 1}}}], "properties": {"b": {"const": 2}}}, {"a": 1, "b": 2}),
    ],
)
def test_an_example_is_made_of_a_schema(schema: dict[str, Any], expected: object) -> None:
    assert example_of({"d": {"a/b": {"type": "string"}}}, schema) == expected


def test_an_example_of_a_schema_that_holds_itself_ends() -> None:
    document = {"d": {"tree": {"type": "object", "required": ["below"], "properties": {"below": {"$ref": "#/d/tree"}}}}}
    assert json.dumps(example_of(document, {"$ref": "#/d/tree"})).endswith(
        "null" + "}" * json.dumps(example_of(document, {"$ref": "#/d/tree"})).count("}")
    )


def test_a_form_and_parameters_of_a_path_are_shown() -> None:
    document = {
        "paths": {
            "/token/{t}": {
                "parameters": [{"name": "t", "in": "path", "required": True, "schema": {"type": "string"}}],
                "post": {
                    "parameters": [
                        {"name": "flag", "in": "query", "schema": {"type": "boolean"}},
                        {"name": "kinds", "in": "query", "schema": {"type": "array", "items": {"enum": ["a", "b"]}}},
                    ],
                    "requestBody": {"content": {"application/x-www-form-urlencoded": {"example": {"a": "b", "c": 1}}}},
                },
            },
        }
    }
    (operation,) = operations_of(document, {"/token/{t}": "me"})
    assert operation["body"] == "a=b&c=1"
    assert [parameter["value"] for parameter in operation["parameters"]] == ["me", "", ""]
    assert operation["parameters"][1]["choices"] == ["true", "false"]
    assert operation["parameters"][2]["hint"] == "a, b"
