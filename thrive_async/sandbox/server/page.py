"""The page at ``/``: every operation with a form to try it, live counts, and the last requests.

The page loads nothing from a CDN, so it works offline. Its script calls the sandbox like any other client, with the
sandbox's own key, and polls one JSON document for the counts.
"""

import asyncio
import base64
import html
import json
import secrets
from collections.abc import Mapping
from importlib import resources
from itertools import islice
from typing import Any, Final, cast

from aiohttp import web

from thrive_async.sandbox.server.journal import Journal
from thrive_async.sandbox.server.specification import specification
from thrive_async.sandbox.server.tokens import Tokens
from thrive_async.sandbox.state.state import State

__all__ = ["STATUS_PATH", "counts_of", "example_of", "mount", "operations_of", "samples_of"]

#: The path that the page polls. The journal leaves these requests out.
STATUS_PATH: Final = "/_sandbox/status.json"
_LAST: Final = 50
_DEEPEST: Final = 6
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def mount(app: web.Application, state: State, tokens: Tokens, journal: Journal) -> None:
    """Add the page and its counts to a sandbox's application. Call it before you add the catch-all route.

    Args:
        app: The application, before it starts.
        state: The records that the page counts and uses as examples.
        tokens: The keys that the forms use. The page shows them: they open this sandbox and nothing else.
        journal: The requests that the page lists.
    """

    async def page(request: web.Request) -> web.Response:
        document = specification().document
        data = {
            "operations": operations_of(document, samples_of(state, tokens.tenant_id)),
            "baseUrl": str(request.url.origin()),
            "tenantId": tokens.tenant_id,
            # By tag. The empty tag covers all others.
            "authorizations": {
                "": _basic(tokens.tenant_id, tokens.api_key),
                "authentication": _basic(tokens.client_id, tokens.client_secret),
            },
            "statusPath": STATUS_PATH,
        }
        nonce = secrets.token_urlsafe(16)
        # "</script>" inside a string would end the script, so escape "<".
        embedded = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")
        template = resources.files("thrive_async.sandbox.server").joinpath("page.html").read_text(encoding="utf-8")
        text = template.replace("__NONCE__", nonce).replace("__TENANT__", html.escape(tokens.tenant_id))
        return web.Response(
            text=text.replace("__DATA__", embedded),
            content_type="text/html",
            headers={
                "Content-Security-Policy": f"default-src 'none'; script-src 'nonce-{nonce}'; "
                f"style-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; form-action 'none'",
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            },
        )

    async def status(_: web.Request) -> web.Response:
        now = asyncio.get_running_loop().time()
        last = [
            {"method": entry.method, "path": entry.path, "status": entry.status, "ago": round(now - entry.at, 1)}
            for entry in islice(reversed(journal), _LAST)
        ]
        body = {"counts": counts_of(state) | {"requests": journal.total}, "requests": last}
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    app.router.add_get("/", page)
    app.router.add_get(STATUS_PATH, status)


def _basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def counts_of(state: State) -> dict[str, int]:
    """Count the sandbox's records, in the order of the page."""
    return {
        "users": len(state.users),
        "audiences": len(state.audiences),
        "memberships": sum(len(audience.members) for audience in state.audiences.values()),
        "contents": len(state.contents),
        "assignments": len(state.learning.assignments),
        "completions": len(state.learning.completions),
        "activities": len(state.activities),
    }


def samples_of(state: State, tenant_id: str) -> dict[str, str]:
    """Find an existing value for each path parameter and id, so that you can send a form unchanged.

    Args:
        state: The records to choose from.
        tenant_id: The sandbox's tenant.

    Returns:
        Values by part of the path template, such as ``"/user/{id}"``, and by the name of a field in a body.
    """
    user = next((user for user in state.users.values() if user.get("ref") and not user.get("deleted")), None)
    writable = [found for found in state.audiences.values() if found["apiControlled"] and found.parent]
    audience = next(iter(writable), None) or next(iter(state.audiences.values()), None)
    enrolments = state.learning.enrolments
    enrolment = next(iter(enrolments.values()), None)
    found: dict[str, object] = {
        "/token/{tenantId}": tenant_id,
        "/user/{id}": user["id"] if user else None,
        "/users/{userId}": user["id"] if user else None,
        "/ref/{ref}": user["ref"] if user else None,
        "/audiences/{audienceId}": audience["reference"] if audience else None,
        "/members/{userRef}": next(iter(audience.members), None) if audience else None,
        "/managers/{userId}": user["ref"] if user else None,
        "/assignments/{assignmentId}": (
            enrolment["assignmentId"] if enrolment else next(iter(state.learning.assignments), None)
        ),
        "/enrolments/{enrolmentId}": enrolment["id"] if enrolment else None,
        "/completions/{id}": next(iter(state.learning.completions), None),
        "/contents/{id}": next(iter(state.contents), None),
        "/activity/{id}": next(iter(state.activities), None),
        "/cpdCategories/{categoryId}": next(iter(state.categories), None),
        "/cpdEntries/{logEntryId}": next(iter(state.entries), None),
        "/cpdRequirementSummaries/{audienceRequirementId}": next(iter(state.requirements), None),
        "/tags/{tagId}": next(iter(state.tags), None),
        "userId": user["id"] if user else None,
        "contentId": next(iter(state.contents), None),
        "audienceId": audience["reference"] if audience else None,
        "reference": user["ref"] if user else None,
    }
    return {place: str(value) for place, value in found.items() if value is not None}


def operations_of(document: Mapping[str, Any], samples: Mapping[str, str]) -> list[dict[str, Any]]:
    """List the operations of a specification in the form that the page shows.

    Args:
        document: The decoded OpenAPI document.
        samples: The values for path parameters, from `samples_of`.

    Returns:
        One dict per operation: `id`, `tag`, `method`, `path`, `summary`, `parameters` and `body` (an example as text,
        or None).
    """
    found: list[dict[str, Any]] = []
    for path, item in cast("Mapping[str, Mapping[str, Any]]", document["paths"]).items():
        for method in _METHODS:
            if method not in item:
                continue
            operation: Mapping[str, Any] = item[method]
            body, content_type = _body(document, operation, samples)
            found.append(
                {
                    "id": operation.get("operationId", ""),
                    "tag": next(iter(operation.get("tags", ())), ""),
                    "method": method.upper(),
                    "path": path,
                    "summary": operation.get("summary", ""),
                    "parameters": [
                        _parameter(document, parameter, path, samples)
                        for parameter in (*item.get("parameters", ()), *operation.get("parameters", ()))
                    ],
                    "body": body,
                    "contentType": content_type,
                }
            )
    return found


def _resolved(document: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references inside the document."""
    while "$ref" in value:
        target: Any = document
        for part in str(value["$ref"]).removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        value = target
    return value


def _parameter(
    document: Mapping[str, Any], parameter: Mapping[str, Any], path: str, samples: Mapping[str, str]
) -> dict[str, Any]:
    parameter = _resolved(document, parameter)
    schema = _resolved(document, parameter.get("schema", {}))
    items = _resolved(document, schema.get("items", {}))
    choices = schema.get("enum") or ([True, False] if schema.get("type") == "boolean" else [])
    hint = parameter.get("example", schema.get("default", ""))
    place = f"{{{parameter['name']}}}"
    sample = next((text for piece, text in samples.items() if piece.endswith(place) and piece in path), _text(hint))
    return {
        "value": sample if parameter["in"] == "path" else "",
        "name": parameter["name"],
        "in": parameter["in"],
        "required": bool(parameter.get("required")),
        "choices": [_text(choice) for choice in choices],
        "hint": _text(hint) if hint != "" else ", ".join(map(str, items.get("enum", ()))),
        "description": parameter.get("description", ""),
    }


def _text(value: object) -> str:
    """Write a value as a person would type it into a query."""
    if isinstance(value, list):
        return ",".join(map(_text, cast("list[object]", value)))
    return value if isinstance(value, str) else json.dumps(value)


def _body(
    document: Mapping[str, Any], operation: Mapping[str, Any], samples: Mapping[str, str]
) -> tuple[str | None, str]:
    content: Mapping[str, Any] = _resolved(document, operation.get("requestBody", {})).get("content", {})
    for content_type, media in content.items():
        examples: list[Mapping[str, Any]] = list(media.get("examples", {}).values())
        if "example" in media:
            example = media["example"]
        elif examples:
            example = _resolved(document, examples[0]).get("value")
        else:
            example = example_of(document, media.get("schema", {}))
        if not isinstance(example, dict) or content_type == "application/json":
            return json.dumps(_filled(example, samples), indent=2, ensure_ascii=False), content_type
        # The token endpoint takes a form.
        form = cast("dict[str, object]", example)
        return "&".join(f"{name}={_text(value)}" for name, value in form.items()), content_type
    return None, ""


def _filled(example: Any, samples: Mapping[str, str]) -> Any:
    """Put existing references into an example: of people in a list, and of a user, content or audience in a field."""
    if isinstance(example, list):
        reference = samples.get("reference")
        items = cast("list[Any]", example)
        if reference is None:
            return items
        return [{**items[0], "reference": reference} if isinstance(items[0], dict) else reference]
    if isinstance(example, dict):
        fields = cast("dict[str, Any]", example)
        return {name: samples.get(name, value) if name != "reference" else value for name, value in fields.items()}
    return example


def example_of(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Any:
    """Make an example for a schema: its own example, or else its required fields, filled in by type.

    Args:
        document: The document that the schema's references point into.
        schema: A JSON Schema of OpenAPI 3.1.
        depth: How deeply it is nested in other schemas.

    Returns:
        A JSON value to start from. It is not always valid.
    """
    schema = _resolved(document, schema)
    for key in ("example", "const", "default"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            options = [option for option in schema[key] if option.get("type") != "null"]
            return example_of(document, options[0], depth) if options else None
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in cast("list[str]", kind) if name != "null"), None)
    if depth > _DEEPEST:
        return None
    if kind == "object" or "properties" in schema or "allOf" in schema:
        return _object(document, schema, depth)
    if kind == "array":
        return [example_of(document, schema.get("items", {}), depth + 1)]
    by_format = {"date": "2026-01-31", "date-time": "2026-01-31T08:00:00.000Z", "email": "anna@example.com"}
    simple: dict[str | None, Any] = {"integer": schema.get("minimum", 1), "number": 1.0, "boolean": False}
    return simple.get(kind, by_format.get(schema.get("format", ""), "string"))


def _object(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        made |= _object(document, _resolved(document, part), depth)
    properties: Mapping[str, Any] = schema.get("properties", {})
    # If no field is required, fill in a few to start from.
    wanted = schema.get("required") or list(properties)[:4]
    for name in wanted:
        if name in properties:
            made[name] = example_of(document, properties[name], depth + 1)
    return made
