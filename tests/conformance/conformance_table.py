"""How each documented status of each operation comes about: a good request, and what is changed about it.

Nearly every refusal has a cause of its own in the sandbox. The last part of the table holds what only a fault makes:
failures of the server, and the statuses that Thrive's pages list without a word on when they come.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs
import orjson

from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox.server.page import operations_of, samples_of
from thrive_async.sandbox.server.specification import specification
from thrive_async.sandbox.state.state import State

NOBODY: Final = "0" * 24
DOCUMENT: Final = specification().document


@attrs.define
class Ask:
    """A request: path parameters, query, body (bytes are sent as they are)."""

    path: dict[str, str] = attrs.field(factory=dict)
    query: dict[str, str] = attrs.field(factory=dict)
    body: Any = None


@attrs.frozen
class Case:
    """One way to one status.

    Attributes:
        operation: The operationId.
        status: The documented status, "default" for one that is not listed by itself.
        change: What is wrong or different, as a change of the good request or of the state.
        settings: Settings of the sandbox.
        fault: A fault, with its details.
        entry: How the request authenticates: "key", "nothing", or "scope" for a token of the wrong scope.
    """

    operation: str
    status: str
    change: Callable[[Ask, State], object] = lambda ask, state: None
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    fault: Mapping[str, Any] | None = None
    entry: str = "key"


def good(operation: str, state: State) -> Ask:
    """A request that succeeds, to be changed at will; unless it has a row below, what the sandbox's page would send."""
    if operation in _GOOD:
        return copy.deepcopy(_GOOD[operation](state))
    form = next(one for one in operations_of(DOCUMENT, samples_of(state, "tenant")) if one["id"] == operation)
    given = {one["name"]: one["value"] for one in form["parameters"] if one["in"] == "path"}
    return Ask(given, body=None if form["body"] is None else orjson.loads(form["body"]))


def _first(records: Mapping[str, Any]) -> str:
    return next(iter(records))


def _user(state: State) -> str:
    return state.user("E00001")["id"]


def _member(state: State) -> str:
    return _first(state.audiences["sales-emea"].members)


def _sales(body: Any = None) -> Callable[[State], Ask]:
    """About an audience that the API controls."""
    return lambda state: Ask({"audienceId": "sales-emea"}, body=body)


def _assigned(state: State) -> str:
    """An active assignment of sales-emea."""
    return _first(state.learning.assignments)


def _enrolled(state: State) -> dict[str, str]:
    assignment = _assigned(state)
    return {"assignmentId": assignment, "enrolmentId": next(state.learning.enrolments_of(assignment))["id"]}


_PERIOD: Final = {"entryDateFrom": "2024-01-01T00:00:00", "entryDateTo": "2027-01-01T00:00:00"}
_GRANT: Final = {"reference": "E00001", "permissions": {"audienceManager": {"manageContent": True}}}
_NEW_USER: Final = {"ref": "new", "firstName": "Zoë", "lastName": "O'Neill", "email": "zoe@example.com"}

_GOOD: Final[dict[str, Callable[[State], Ask]]] = {
    "searchUsers": lambda state: Ask(query={"perPage": "5", "status": "active"}),
    "addUserTags": lambda state: Ask({"userId": _user(state)}, body={"tags": ["leadership"]}),
    "removeUserTags": lambda state: Ask(
        {"userId": _user(state)}, body={"op": "remove", "path": "tags", "value": ["leadership"]}
    ),
    "updateUserSkills": lambda state: Ask(
        {"userId": _user(state)},
        body={"op": "update", "path": "skills", "value": [{"tagName": "leadership", "level": 1024}]},
    ),
    "createUser": lambda state: Ask(body=dict(_NEW_USER)),
    "updateUser": lambda state: Ask({"ref": "E00001"}, body={"jobTitle": "Head of sales"}),
    "suspendUser": lambda state: Ask({"ref": "E00001"}, body={"endDate": "2026-01-31"}),
    "listAudiences": lambda state: Ask(query={"apiControlled": "true"}),
    "createAudience": lambda state: Ask(body={"name": "Night shift", "reference": "night", "parentId": "emea"}),
    "updateAudience": _sales({"name": "Sales Europe"}),
    "addMembers": _sales(["E00001", "user2@example.com"]),
    "replaceMembers": _sales(["E00001", "user2@example.com"]),
    "addManagers": _sales([_GRANT]),
    "replaceManagers": _sales([_GRANT]),
    "removeManager": lambda state: Ask(
        {"audienceId": "sales-emea", "userId": _first(state.audiences["sales-emea"].managers)}
    ),
    "listAssignments": lambda state: Ask(query={"audienceId": "sales-emea"}),
    "createAssignment": lambda state: Ask(body={"audienceId": "sales-emea", "contentId": _first(state.contents)}),
    "updateAssignment": lambda state: Ask(
        {"assignmentId": _assigned(state)}, body={"audienceId": "sales-emea", "completionPeriod": 10}
    ),
    "deleteAssignment": lambda state: Ask({"assignmentId": _assigned(state)}, body={"audienceId": "sales-emea"}),
    "listCompletions": lambda state: Ask(query={"isRPL": "false"}),
    "createCompletion": lambda state: Ask(
        body={"userId": _user(state), "contentId": _first(state.contents), "completedAt": "2026-01-01T12:00:00Z"}
    ),
    "listContents": lambda state: Ask(query={"types": "video,article"}),
    "listActivities": lambda state: Ask(query={"omitActions": "searched", "timestampFrom": "2024-01-01 00:00:00"}),
    "listCpdCategories": lambda state: Ask(query={"page": "1"}),
    "listCpdEntries": lambda state: Ask(query={"entryDateTo": "2027-01-01"}),
    "listCpdUserSummaries": lambda state: Ask(query=dict(_PERIOD)),
    "listTags": lambda state: Ask(query={"updatedSince": "2024-01-01T00:00:00Z"}),
}


def path(**values: str) -> Callable[[Ask, State], object]:
    """Other path parameters."""
    return lambda ask, state: ask.path.update(values)


def body(value: Any) -> Callable[[Ask, State], object]:
    """Another body."""
    return lambda ask, state: setattr(ask, "body", value)


def fields(**values: Any) -> Callable[[Ask, State], object]:
    """Other fields in the body."""
    return lambda ask, state: ask.body.update(values)


def query(**values: str) -> Callable[[Ask, State], object]:
    """Further query parameters."""
    return lambda ask, state: ask.query.update(values)


def event(kind: str, **user: str) -> Callable[[Ask, State], object]:
    """A provisioning event about an account."""
    return fields(eventType=kind, content={"user": user})


def _move(staying: int) -> Callable[[Ask, State], object]:
    """Move an audience of two, of whom so many cannot leave the old parent: they are in another audience there."""

    def arrange(ask: Ask, state: State) -> None:
        people = ["E00001", "E00002"]
        state.add_audience("old", category="structure")
        state.add_audience("mover", parent="old", members=people)
        state.add_audience("sibling", parent="old", members=people[:staying])
        ask.path["audienceId"], ask.body = "mover", {"parentId": "apac"}

    return arrange


def _same_completion(ask: Ask, state: State) -> None:
    state.learning.complete(state.user("E00001"), ask.body["contentId"], ask.body["completedAt"])


# Their successes have other causes, and are in the table.
_OWN_SUCCESSES: Final = {"createCompletion", "sendProvisioningEvent"}


def _everywhere() -> Iterator[Case]:
    """What every operation can answer, each for the same reason."""
    for operation in OPERATIONS.values():
        if operation.id == "createAccessToken":
            continue
        yield Case(operation.id, "401", entry="nothing")
        yield Case(operation.id, "403", entry="scope")
        yield Case(operation.id, "429", settings={"rate_limit": 0.001, "rate_burst": 1})
        if operation.body:
            yield Case(operation.id, "400", body(b'{"cut": '))
        elif 400 in operation.statuses:
            yield Case(operation.id, "400", query(nonsense="1"))
        if operation.id in _OWN_SUCCESSES:
            continue
        if 204 in operation.statuses:
            yield Case(operation.id, "204", settings={"delete_reply": "no_content"})
            yield Case(operation.id, "200", settings={"delete_reply": "empty"})
        if 201 in operation.statuses:
            yield Case(operation.id, "201")
            yield Case(operation.id, "200", settings={"create_status": 200})
        else:
            yield Case(operation.id, "200")


def _unknown() -> Iterator[Case]:
    """404: every path parameter names nothing once."""
    for operation in OPERATIONS.values():
        for name in operation.path_parameters:
            if name != "tenantId":
                yield Case(operation.id, "404", path(**{name: NOBODY}))


CASES: Final = [
    *_everywhere(),
    *_unknown(),
    # Things named in query and body that are not there
    Case("listAssignments", "404", query(audienceId="nowhere")),
    Case("createAudience", "404", fields(parentId="nowhere")),
    Case("createAssignment", "404", fields(audienceId="nowhere")),
    Case("createAssignment", "404", fields(contentId=NOBODY)),
    Case("createCompletion", "404", fields(userId=NOBODY)),
    Case("createCompletion", "404", fields(contentId=NOBODY)),
    # What there is stands in the way
    Case("createUser", "409", fields(ref="E00001")),
    Case("createUser", "409", fields(email="USER1@example.com")),
    Case("updateUser", "409", fields(email="user2@example.com")),
    Case("createAudience", "409", fields(reference="sales-emea")),
    Case("updateAudience", "409", fields(reference="sales-apac")),
    Case("updateAudience", "409", path(audienceId="ui-made")),
    Case("deleteAudience", "409", path(audienceId="emea")),
    Case("addMembers", "409", path(audienceId="ui-made")),
    Case("replaceMembers", "409", path(audienceId="ui-made")),
    Case("removeMember", "409", path(audienceId="ui-made")),
    Case("addManagers", "409", path(audienceId="ui-made")),
    Case("replaceManagers", "409", path(audienceId="ui-made")),
    Case("removeManager", "409", path(audienceId="ui-made")),
    Case("createAssignment", "409", settings={"duplicate_assignment": "conflict"}),
    Case("updateAssignment", "409", fields(audienceId="sales-apac")),
    Case("deleteAssignment", "409", fields(audienceId="sales-apac")),
    # Well formed, and makes no sense
    Case("addUserTags", "422", body({"tags": ["leadership", "no such tag"]})),
    Case("removeUserTags", "422", fields(value=["no such tag"])),
    Case("updateUserSkills", "422", fields(value=[{"tagName": "leadership", "level": -2}])),
    Case(
        "updateUserSkills",
        "422",
        fields(value=[{"tagName": "leadership", "level": 3}]),
        settings={"unlisted_skill_level": "refused"},
    ),
    Case("createUser", "422", body({"ref": "new", "firstName": "Zoë", "lastName": "O'Neill"})),
    Case("updateUser", "422", body({"email": None})),
    Case("updateUser", "422", body({"nickname": "Zo"})),
    Case("suspendUser", "422", body({"endDate": "soon"})),
    Case("createAudience", "422", fields(category="structure")),
    Case("createAudience", "422", body({"name": "n" * 101})),
    Case("updateAudience", "422", fields(parentId="sales-apac")),
    Case("updateAudience", "422", _move(2)),
    Case("updateAudience", "422", _move(2), settings={"refused_move_shape": "bare"}),
    Case("updateAudience", "422", _move(2), settings={"refused_move_shape": "message"}),
    Case("updateAudience", "200", _move(0)),
    Case("updateAudience", "207", _move(1)),
    Case("updateAudience", "207", _move(1), settings={"moved_keys": ("left", "joined")}),
    Case("deleteAudience", "422", path(audienceId="all-staff-smart")),
    Case("listMembers", "422", path(audienceId=NOBODY), settings={"unknown_audience": 422}),
    Case("addMembers", "422", body([])),
    Case("addMembers", "422", body(["E00001"] * 101)),
    Case("addMembers", "422", body(["nobody"]), settings={"all_failed_batch": 422}),
    Case("replaceMembers", "422", body([])),
    Case("removeMember", "422", path(audienceId="all-staff-smart")),
    Case("addManagers", "422", body([{"reference": "E00001", "permissions": {"administrator": {}}}])),
    Case("replaceManagers", "422", body([])),
    Case("removeManager", "422", path(audienceId="all-staff-smart")),
    Case("createAssignment", "422", fields(completionPeriod=0)),
    Case("updateAssignment", "422", fields(alternativeContentIds=[NOBODY])),
    Case("deleteAssignment", "422", body({})),
    Case("createCompletion", "422", fields(completedAt="yesterday")),
    # Some of them
    Case("addMembers", "207", body(["E00001", "nobody"])),
    Case("addMembers", "207", body(["nobody"])),
    Case("addMembers", "207", fault={"kind": "unknown_users", "references": ["E00001"]}),
    Case("replaceMembers", "207", body(["E00001", "nobody"])),
    Case("addManagers", "207", body([_GRANT, {**_GRANT, "reference": "nobody"}])),
    Case("replaceManagers", "207", body([_GRANT, {**_GRANT, "reference": "nobody"}])),
    # The other success
    Case("createCompletion", "201"),
    Case("createCompletion", "200", _same_completion),
    *[
        Case("sendProvisioningEvent", str(status), settings={"event_status": status, "event_body": status != 202})
        for status in (200, 201, 202, 204)
    ],
    Case("sendProvisioningEvent", "404", event("user_deleted", ref="nobody")),
    Case("sendProvisioningEvent", "409", event("user_updated", ref="E00001", email="user2@example.com")),
    Case("sendProvisioningEvent", "422", event("user_joined", ref="new")),
    Case("sendProvisioningEvent", "422", fields(eventType="user_left")),
]

# Documented, or listed by analogy, without a word on the cause; and the failures of a server.
ONLY_BY_FAULT: Final = [
    *[
        Case(one, status, fault={"kind": "status", "status": int(status)})
        for one, status in [
            ("listMembers", "409"),
            ("listManagers", "409"),
            ("listManagers", "422"),
            ("createCompletion", "409"),
        ]
    ],
    *[
        Case(one.id, "500", fault={"kind": "status", "status": 500})
        for one in OPERATIONS.values()
        if 500 in one.statuses
    ],
    *[
        Case(one.id, "default", fault={"kind": "status", "status": 503})
        for one in OPERATIONS.values()
        if one.id != "createAccessToken"
    ],
]
