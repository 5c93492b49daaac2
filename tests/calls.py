"""Call each public method of the client with every argument, and say what must arrive at Thrive.

A call is derived from the operation table, the specification's examples and the method's signature. Only a method that
sends a body needs an entry by hand, in `BODIES`.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final, NamedTuple
from unittest.mock import ANY

from thrive_async import ApiKey, ThriveClient
from thrive_async import models as m
from thrive_async._base.arguments import argument
from thrive_async._generated.operations import OPERATIONS, Operation
from thrive_async.resources import Cpd
from thrive_async.resources._base import Resource

EARLY: Final = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
LATE: Final = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
# Thrive's own ids are 24 hexadecimal digits. References are free text, so this one needs encoding in a path.
ID: Final = "63f57d805d8ecbf46f5b5278"
OTHER: Final = "63f57d805d8ecbf46f5b5279"
REF: Final = "E/1 &+ü?"
MAIL: Final = "ada+thrive@example.com"
NAMES: Final = {"audience": REF, "ref": REF, "user": MAIL, "enrolment_id": OTHER}
DATES: Final = {
    "date-iso": "%Y-%m-%dT%H:%M:%S.000Z",
    "date-iso-or-day": "%Y-%m-%dT%H:%M:%S.000Z",
    "date-space": "%Y-%m-%d %H:%M:%S",
    "date-local": "%Y-%m-%dT%H:%M:%S",
}
PAGING: Final = frozenset({"page", "perPage", "limit"})


class Call(NamedTuple):
    """One method, its arguments, and what must arrive."""

    method: str
    """Its dotted name, such as `users.get`."""
    arguments: Mapping[str, Any]
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any

    def call(self, thrive: ThriveClient) -> Any:
        return method_of(thrive, self.method)(**self.arguments)


class Body(NamedTuple):
    """The arguments for the body of a call, and the JSON to send."""

    arguments: Mapping[str, Any]
    json: Any


def _grants() -> Body:
    grant = m.ManagerGrant(reference=MAIL, permissions=m.ManagerGrantPermissions())
    return Body({"managers": [grant]}, [{"reference": MAIL, "permissions": {}}])


def _event(kind: str, **user: str | None) -> dict[str, Any]:
    """A provisioning event, with its own id and time."""
    return {"id": ANY, "timestamp": ANY, "eventType": f"user_{kind}", "content": {"user": user}}


BODIES: Final = {
    "users.create": Body(
        {"user": m.UserCreate(ref="N-1", first_name="Ada", last_name="Lovelace", email="new@example.com")},
        {"ref": "N-1", "firstName": "Ada", "lastName": "Lovelace", "email": "new@example.com"},
    ),
    "users.update": Body(
        {"changes": m.UserUpdate(job_title="Analyst", manager_ref=None)}, {"jobTitle": "Analyst", "managerRef": None}
    ),
    "users.suspend": Body({"end_date": EARLY}, {"endDate": "2020-01-02T03:04:05.000Z"}),
    "users.add_tags": Body({"tags": ["a", "b"]}, {"tags": ["a", "b"]}),
    "users.remove_tags": Body({"tags": ["a", "b"]}, {"op": "remove", "path": "tags", "value": ["a", "b"]}),
    "users.update_skills": Body(
        {"skills": [m.SkillUpdate(tag_name="a", level=1024), m.SkillUpdate(tag_name="b", target_level=-1)]},
        {
            "op": "update",
            "path": "skills",
            "value": [{"tagName": "a", "level": 1024}, {"tagName": "b", "targetLevel": -1}],
        },
    ),
    "audiences.create": Body(
        {"audience": m.AudienceCreate(name="Nord", reference="nord", parent_id="emea", category="audience")},
        {"name": "Nord", "reference": "nord", "parentId": "emea", "category": "audience"},
    ),
    "audiences.update": Body({"changes": m.AudienceUpdate(name="Nord")}, {"name": "Nord"}),
    "audiences.members.add": Body({"users": [MAIL, ID]}, [MAIL, ID]),
    "audiences.members.replace": Body({"users": [MAIL]}, [MAIL]),
    "audiences.managers.add": _grants(),
    "audiences.managers.replace": _grants(),
    "assignments.create": Body(
        {"assignment": m.AssignmentCreate(audience_id="emea", content_id=ID, completion_period=14)},
        {"audienceId": "emea", "contentId": ID, "completionPeriod": 14},
    ),
    "assignments.update": Body(
        {"changes": m.AssignmentUpdate(audience_id="emea", recurrence=365)}, {"audienceId": "emea", "recurrence": 365}
    ),
    "assignments.delete": Body({"audience_id": "emea"}, {"audienceId": "emea"}),
    "provisioning.user_joined": Body(
        {"user": m.UserCreate(ref="N-2", first_name="Ada", last_name="Lovelace", email="joined@example.com")},
        _event("joined", ref="N-2", firstName="Ada", lastName="Lovelace", email="joined@example.com"),
    ),
    "provisioning.user_updated": Body(
        {"ref": REF, "changes": m.UserUpdate(job_title="Analyst", manager_ref=None)},
        _event("updated", ref=REF, jobTitle="Analyst", managerRef=None),
    ),
    "provisioning.user_suspended": Body(
        {"ref": REF, "end_date": EARLY.date()}, _event("suspended", ref=REF, endDate="2020-01-02")
    ),
    "provisioning.user_deleted": Body({"ref": REF}, _event("deleted", ref=REF)),
    "completions.create": Body(
        {"completion": m.CompletionCreate(user_id=ID, content_id=OTHER, completed_at=EARLY)},
        {"userId": ID, "contentId": OTHER, "completedAt": "2020-01-02T03:04:05.000Z"},
    ),
}


def resources_of(thrive: ThriveClient) -> dict[str, Resource]:
    """Every resource that can be reached from a client by public attributes, by its dotted name."""
    found: dict[str, Resource] = {}

    def walk(owner: object, prefix: str) -> None:
        for name in dir(owner):
            if name.startswith("_"):
                continue
            value = getattr(owner, name)
            if isinstance(value, Resource):
                assert not any(value is other for other in found.values()), f"{prefix}{name} is reachable twice"
                found[prefix + name] = value
            if isinstance(value, Resource | Cpd):
                walk(value, f"{prefix}{name}.")

    walk(thrive, "")
    return found


def methods_of(thrive: ThriveClient) -> dict[str, Callable[..., Any]]:
    """Every public method of every resource, by its dotted name."""
    return {
        f"{resource_name}.{name}": getattr(resource, name)
        for resource_name, resource in resources_of(thrive).items()
        for name, _ in inspect.getmembers(type(resource), inspect.isfunction)
        if not name.startswith("_")
    }


def method_of(thrive: ThriveClient, dotted: str) -> Callable[..., Any]:
    found: Any = thrive
    for name in dotted.split("."):
        found = getattr(found, name)
    method: Callable[..., Any] = found
    return method


def operation_of(method: Callable[..., Any]) -> Operation:
    """The operation that a method's docstring names."""
    verb, path = re.findall(r"API: ``([A-Z]+) (\S+)``", inspect.getdoc(method) or "")[0]
    (found,) = [one for one in OPERATIONS.values() if (one.method, one.path) == (verb, path)]
    return found


def _query_examples() -> dict[tuple[str, str], Any]:
    """The specification's example for each query parameter, by operation and wire name."""
    document = json.loads(resources.files("thrive_async._generated").joinpath("openapi.json").read_bytes())

    def resolved(node: Any) -> Any:
        while "$ref" in node:
            parts, node = node["$ref"].removeprefix("#/").split("/"), document
            for part in parts:
                node = node[part]
        return node

    return {
        (operation["operationId"], parameter["name"]): parameter["example"]
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
        for parameter in map(resolved, operation.get("parameters", []))
        if parameter["in"] == "query"
    }


_EXAMPLES: Final = _query_examples()


def _parameter(operation: Operation, wire: str) -> tuple[Any, str]:
    """An argument for a query parameter, and its text in the query."""
    kind, example = operation.query[wire], _EXAMPLES[operation.id, wire]
    match kind:
        case "list":
            return list(example), ",".join(example)
        case "boolean":
            return example, json.dumps(example)
        case "text":
            return example, example
        case _:
            moment = LATE if argument(operation.resource, wire).endswith("_to") else EARLY
            return moment, moment.strftime(DATES[kind])


def _call(dotted: str, operation: Operation) -> Call:
    path = {name: NAMES.get(argument(operation.resource, name), ID) for name in operation.path_parameters}
    arguments: dict[str, Any] = {argument(operation.resource, name): value for name, value in path.items()}
    query: dict[str, str] = {}
    for wire in operation.query.keys() - PAGING:
        arguments[argument(operation.resource, wire)], query[wire] = _parameter(operation, wire)
    body = BODIES.get(dotted, Body({}, None))
    return Call(dotted, {**arguments, **body.arguments}, path, query, body.json)


def _every() -> Iterator[tuple[str, Call]]:
    # It opens nothing, so there is nothing to close.
    idle = ThriveClient("tenant", ApiKey("key"), base_url="http://127.0.0.1:9")
    for dotted, method in methods_of(idle).items():
        operation = operation_of(method)
        yield operation.id, _call(dotted, operation)


EVERY: Final = list(_every())
"""The operation and the call of every public method."""
CALLS: Final = dict(reversed(EVERY))
"""One call for every operation."""
