"""Each operation is reached by its own methods, with verb, path, query and body of the specification."""

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_type_hints
from unittest.mock import ANY
from urllib.parse import quote

import pytest

from thrive_async import ApiKey, ThriveClient
from thrive_async import models as m
from thrive_async._base.arguments import argument
from thrive_async._generated.operations import OPERATIONS
from thrive_async.errors import APIError
from thrive_async.pagination import Paginator
from thrive_async.resources import Cpd
from thrive_async.resources._base import Resource
from thrive_async.sandbox import Sandbox

EARLY = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
LATE = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
# Thrive's own ids are 24 hexadecimal digits; references are free, so these carry what has to be encoded in a path.
ID = "63f57d805d8ecbf46f5b5278"
OTHER = "63f57d805d8ecbf46f5b5279"
REF = "E/1 &+ü?"
MAIL = "ada+thrive@example.com"


class Call(NamedTuple):
    """One method: how it is called with every argument it has, and what must arrive at Thrive."""

    method: str
    call: Callable[[ThriveClient], Any]
    path: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    body: Any = None
    body_arguments: int = 1
    """How many arguments make up the body."""


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def event(kind: str, **user: Any) -> dict[str, Any]:
    """A provisioning event; its id and time are its own."""
    return {"id": ANY, "timestamp": ANY, "eventType": f"user_{kind}", "content": {"user": user}}


CALLS: dict[str, Call] = {
    "searchUsers": Call(
        "users.list",
        lambda t: t.users.list(
            updated_since=EARLY, statuses=["active", m.UserStatus.NEW], omit_statuses=["expired"], status="active"
        ),
        query={"updatedSince": iso(EARLY), "statuses": "active,new", "omitStatuses": "expired", "status": "active"},
    ),
    "getUser": Call("users.get", lambda t: t.users.get(ID), {"id": ID}),
    "getUserByRef": Call("users.get_by_ref", lambda t: t.users.get_by_ref(REF), {"ref": REF}),
    "createUser": Call(
        "users.create",
        lambda t: t.users.create(
            m.UserCreate(ref="N-1", first_name="Ada", last_name="Lovelace", email="new@example.com")
        ),
        body={"ref": "N-1", "firstName": "Ada", "lastName": "Lovelace", "email": "new@example.com"},
    ),
    "updateUser": Call(
        "users.update",
        lambda t: t.users.update(REF, m.UserUpdate(job_title="Analyst", manager_ref=None)),
        {"ref": REF},
        body={"jobTitle": "Analyst", "managerRef": None},
    ),
    "suspendUser": Call(
        "users.suspend",
        lambda t: t.users.suspend(REF, end_date=EARLY),
        {"ref": REF},
        body={"endDate": "2020-01-02T03:04:05.000Z"},
    ),
    "deleteUser": Call("users.delete", lambda t: t.users.delete(REF), {"ref": REF}),
    "addUserTags": Call(
        "users.add_tags", lambda t: t.users.add_tags(ID, ["a", "b"]), {"userId": ID}, body={"tags": ["a", "b"]}
    ),
    "removeUserTags": Call(
        "users.remove_tags",
        lambda t: t.users.remove_tags(ID, ["a", "b"]),
        {"userId": ID},
        body={"op": "remove", "path": "tags", "value": ["a", "b"]},
    ),
    "updateUserSkills": Call(
        "users.update_skills",
        lambda t: t.users.update_skills(
            ID, [m.SkillUpdate(tag_name="a", level=1024), m.SkillUpdate(tag_name="b", target_level=-1)]
        ),
        {"userId": ID},
        body={
            "op": "update",
            "path": "skills",
            "value": [{"tagName": "a", "level": 1024}, {"tagName": "b", "targetLevel": -1}],
        },
    ),
    "listAudiences": Call(
        "audiences.list",
        lambda t: t.audiences.list(api_controlled=True, updated_since=EARLY),
        query={"apiControlled": "true", "updatedSince": iso(EARLY)},
    ),
    "getAudience": Call("audiences.get", lambda t: t.audiences.get(REF), {"audienceId": REF}),
    "createAudience": Call(
        "audiences.create",
        lambda t: t.audiences.create(
            m.AudienceCreate(name="Nord", reference="nord", parent_id="emea", category=m.AudienceCategory.AUDIENCE)
        ),
        body={"name": "Nord", "reference": "nord", "parentId": "emea", "category": "audience"},
    ),
    "updateAudience": Call(
        "audiences.update",
        lambda t: t.audiences.update(REF, m.AudienceUpdate(name="Nord")),
        {"audienceId": REF},
        body={"name": "Nord"},
    ),
    "deleteAudience": Call("audiences.delete", lambda t: t.audiences.delete(REF), {"audienceId": REF}),
    "listMembers": Call("audiences.members.list", lambda t: t.audiences.members.list(REF), {"audienceId": REF}),
    "addMembers": Call(
        "audiences.members.add",
        lambda t: t.audiences.members.add(REF, iter([MAIL, ID])),
        {"audienceId": REF},
        body=[MAIL, ID],
    ),
    "replaceMembers": Call(
        "audiences.members.replace",
        lambda t: t.audiences.members.replace(REF, [MAIL]),
        {"audienceId": REF},
        body=[MAIL],
    ),
    "removeMember": Call(
        "audiences.members.remove",
        lambda t: t.audiences.members.remove(REF, MAIL),
        {"audienceId": REF, "userRef": MAIL},
    ),
    "listManagers": Call("audiences.managers.list", lambda t: t.audiences.managers.list(REF), {"audienceId": REF}),
    "addManagers": Call(
        "audiences.managers.add",
        lambda t: t.audiences.managers.add(
            REF, [m.ManagerGrant(reference=MAIL, permissions=m.ManagerGrantPermissions())]
        ),
        {"audienceId": REF},
        body=[{"reference": MAIL, "permissions": {}}],
    ),
    "replaceManagers": Call(
        "audiences.managers.replace",
        lambda t: t.audiences.managers.replace(
            REF, [m.ManagerGrant(reference=MAIL, permissions=m.ManagerGrantPermissions())]
        ),
        {"audienceId": REF},
        body=[{"reference": MAIL, "permissions": {}}],
    ),
    "removeManager": Call(
        "audiences.managers.remove",
        lambda t: t.audiences.managers.remove(REF, MAIL),
        {"audienceId": REF, "userId": MAIL},
    ),
    "listAssignments": Call(
        "assignments.list",
        lambda t: t.assignments.list(audience_id=REF, updated_since=EARLY),
        query={"audienceId": REF, "updatedSince": iso(EARLY)},
    ),
    "getAssignment": Call("assignments.get", lambda t: t.assignments.get(ID), {"assignmentId": ID}),
    "createAssignment": Call(
        "assignments.create",
        lambda t: t.assignments.create(m.AssignmentCreate(audience_id="emea", content_id=ID, completion_period=14)),
        body={"audienceId": "emea", "contentId": ID, "completionPeriod": 14},
    ),
    "updateAssignment": Call(
        "assignments.update",
        lambda t: t.assignments.update(ID, m.AssignmentUpdate(audience_id="emea", recurrence=365)),
        {"assignmentId": ID},
        body={"audienceId": "emea", "recurrence": 365},
    ),
    "deleteAssignment": Call(
        "assignments.delete",
        lambda t: t.assignments.delete(ID, audience_id="emea"),
        {"assignmentId": ID},
        body={"audienceId": "emea"},
    ),
    "listEnrolments": Call(
        "assignments.enrolments.list",
        lambda t: t.assignments.enrolments.list(
            ID, updated_at_from=EARLY, updated_at_to=LATE, status=m.EnrolmentStatus.OPEN
        ),
        {"assignmentId": ID},
        query={"updatedAtFrom": iso(EARLY), "updatedAtTo": iso(LATE), "status": "open"},
    ),
    "getEnrolment": Call(
        "assignments.enrolments.get",
        lambda t: t.assignments.enrolments.get(ID, OTHER),
        {"assignmentId": ID, "enrolmentId": OTHER},
    ),
    "listCompletions": Call(
        "completions.list",
        lambda t: t.completions.list(
            content_id=ID, is_rpl=False, user_id=OTHER, completed_from=EARLY, completed_to=LATE
        ),
        query={
            "contentId": ID,
            "isRPL": "false",
            "userId": OTHER,
            "completedDateRangeStart": iso(EARLY),
            "completedDateRangeEnd": iso(LATE),
        },
    ),
    "getCompletion": Call("completions.get", lambda t: t.completions.get(ID), {"id": ID}),
    "createCompletion": Call(
        "completions.create",
        lambda t: t.completions.create(m.CompletionCreate(user_id=ID, content_id=OTHER, completed_at=EARLY)),
        body={"userId": ID, "contentId": OTHER, "completedAt": "2020-01-02T03:04:05.000Z"},
    ),
    "listContents": Call(
        "contents.list",
        lambda t: t.contents.list(types=["video", m.ContentType.FILE], omit_types=["quiz"], updated_since=EARLY),
        query={"types": "video,file", "omitTypes": "quiz", "updatedSince": iso(EARLY)},
    ),
    "getContent": Call("contents.get", lambda t: t.contents.get(ID), {"id": ID}),
    "listActivities": Call(
        "activities.list",
        lambda t: t.activities.list(
            actions=["viewed", m.ActivityType.LIKED],
            omit_actions=["searched"],
            content_ids=(content for content in (ID, OTHER)),
            content_type="video",
            timestamp_from=EARLY,
            timestamp_to=LATE,
        ),
        query={
            "actions": "viewed,liked",
            "omitActions": "searched",
            "contentIds": f"{ID},{OTHER}",
            "contentType": "video",
            "timestampFrom": "2020-01-02 03:04:05",
            "timestampTo": "2030-01-02 03:04:05",
        },
    ),
    "getActivity": Call("activities.get", lambda t: t.activities.get(ID), {"id": ID}),
    "listCpdCategories": Call(
        "cpd.categories.list",
        lambda t: t.cpd.categories.list(updated_since=EARLY),
        query={"updatedSince": iso(EARLY)},
    ),
    "getCpdCategory": Call("cpd.categories.get", lambda t: t.cpd.categories.get(ID), {"categoryId": ID}),
    "listCpdEntries": Call(
        "cpd.entries.list",
        lambda t: t.cpd.entries.list(entry_date_from=EARLY, entry_date_to=LATE),
        query={"entryDateFrom": "2020-01-02 03:04:05", "entryDateTo": "2030-01-02 03:04:05"},
    ),
    "getCpdEntry": Call("cpd.entries.get", lambda t: t.cpd.entries.get(ID), {"logEntryId": ID}),
    "listCpdRequirements": Call(
        "cpd.requirements.list",
        lambda t: t.cpd.requirements.list(updated_since=EARLY),
        query={"updatedSince": iso(EARLY)},
    ),
    "getCpdRequirement": Call(
        "cpd.requirements.get", lambda t: t.cpd.requirements.get(ID), {"audienceRequirementId": ID}
    ),
    "listCpdUserSummaries": Call(
        "cpd.user_summaries.list",
        lambda t: t.cpd.user_summaries.list(entry_date_from=EARLY, entry_date_to=LATE, user_ids=[ID, OTHER]),
        query={
            "entryDateFrom": "2020-01-02T03:04:05",
            "entryDateTo": "2030-01-02T03:04:05",
            "userIds": f"{ID},{OTHER}",
        },
    ),
    "listTags": Call("tags.list", lambda t: t.tags.list(updated_since=EARLY), query={"updatedSince": iso(EARLY)}),
    "getTag": Call("tags.get", lambda t: t.tags.get(ID), {"tagId": ID}),
    "listSkillLevels": Call("skills.levels", lambda t: t.skills.levels()),
    "sendProvisioningEvent": Call(
        "provisioning.user_joined",
        lambda t: t.provisioning.user_joined(
            m.UserCreate(ref="N-2", first_name="Ada", last_name="Lovelace", email="joined@example.com")
        ),
        body=event("joined", ref="N-2", firstName="Ada", lastName="Lovelace", email="joined@example.com"),
    ),
}
# Further methods of an operation.
MORE: list[tuple[str, Call]] = [
    (
        "sendProvisioningEvent",
        Call(
            "provisioning.user_updated",
            lambda t: t.provisioning.user_updated(REF, m.UserUpdate(job_title="Analyst", manager_ref=None)),
            body=event("updated", ref=REF, jobTitle="Analyst", managerRef=None),
            body_arguments=2,
        ),
    ),
    (
        "sendProvisioningEvent",
        Call(
            "provisioning.user_suspended",
            lambda t: t.provisioning.user_suspended(REF, end_date=EARLY.date()),
            body=event("suspended", ref=REF, endDate="2020-01-02"),
            body_arguments=2,
        ),
    ),
    (
        "sendProvisioningEvent",
        Call("provisioning.user_deleted", lambda t: t.provisioning.user_deleted(REF), body=event("deleted", ref=REF)),
    ),
]
EVERY = [pytest.param(name, call, id=call.method) for name, call in (*CALLS.items(), *MORE)]


@pytest.fixture
def idle() -> ThriveClient:
    """A client that nothing is asked of; it opens nothing, so there is nothing to close."""
    return ThriveClient("tenant", ApiKey("key"), base_url="http://127.0.0.1:9")


def _resources(thrive: ThriveClient) -> dict[str, Resource]:
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


def _public_methods(thrive: ThriveClient) -> list[str]:
    return [
        f"{resource_name}.{name}"
        for resource_name, resource in _resources(thrive).items()
        for name, _ in inspect.getmembers(type(resource), inspect.isfunction)
        if not name.startswith("_")
    ]


def _method(thrive: ThriveClient, dotted: str) -> Callable[..., Any]:
    found: Any = thrive
    for name in dotted.split("."):
        found = getattr(found, name)
    method: Callable[..., Any] = found
    return method


async def _run(answer: Any) -> None:
    """Read the first page of a paginator, or await the call; a refusal is fine here, for it has arrived."""
    try:
        if isinstance(answer, Paginator):
            async for _ in answer.pages():
                break
        else:
            await answer
    except APIError:
        pass


def _written(query: Mapping[str, str]) -> dict[str, str]:
    """The query as sent, but for the milliseconds and the zone of ISO moments."""
    return {name: value.removesuffix(".000Z") for name, value in query.items()}


def test_the_table_names_every_operation_and_every_method_once(idle: ThriveClient) -> None:
    """Every public method has one row, every operation at least one; only the token endpoint has none."""
    assert set(CALLS) == set(OPERATIONS) - {"createAccessToken"}
    methods = [call.method for call in CALLS.values()] + [call.method for _, call in MORE]
    assert Counter(methods) == Counter(_public_methods(idle))


@pytest.mark.parametrize(("operation_id", "expected"), EVERY)
async def test_each_method_sends_what_the_specification_says(
    operation_id: str, expected: Call, thrive: ThriveClient, sandbox: Sandbox
) -> None:
    """A method makes one request of its one operation, with the verb, path, query and body of the specification."""
    operation = OPERATIONS[operation_id]
    await _run(expected.call(thrive))

    (request,) = sandbox.requests
    assert request.operation == operation_id
    assert request.method == operation.method
    segments = {name: quote(value, safe="") for name, value in expected.path.items()}
    assert request.path == operation.path.format_map(segments)
    assert request.body == expected.body

    paging = {"page": "1", "perPage": str(operation.per_page)} if operation.per_page else {}
    assert _written(request.query) == {**expected.query, **paging}


@pytest.mark.parametrize(("operation_id", "expected"), EVERY)
def test_each_parameter_of_an_operation_is_an_argument_of_its_method(
    operation_id: str, expected: Call, idle: ThriveClient
) -> None:
    """The calls above use every query and path parameter there is, and every argument that a method has."""
    operation = OPERATIONS[operation_id]
    assert set(expected.query) == set(operation.query) - {"page", "perPage", "limit"}
    assert set(expected.path) == set(operation.path_parameters)
    assert (expected.body is not None) == operation.body

    arguments = inspect.signature(_method(idle, expected.method)).parameters
    common = {"timeouts"} | ({"per_page", "prefetch"} if operation.per_page else set())
    assert common <= set(arguments)
    wire = len(operation.path_parameters) + len(expected.query) + (expected.body_arguments if operation.body else 0)
    assert len(arguments) - len(common) == wire
    # By which mistakes call them.
    assert {argument(operation.resource, name) for name in (*expected.path, *expected.query)} <= set(arguments)


@pytest.mark.parametrize(("operation_id", "expected"), EVERY)
def test_each_signature_can_be_read_by_tools(operation_id: str, expected: Call, idle: ThriveClient) -> None:
    """Every annotation resolves at run time, names a return type, and every argument is in the docstring."""
    method = _method(idle, expected.method)
    hints = get_type_hints(method)
    signature = inspect.signature(method)
    assert "return" in hints
    assert set(hints) - {"return"} == set(signature.parameters)
    documented = inspect.getdoc(method) or ""
    assert "API: ``" + OPERATIONS[operation_id].method + " " + OPERATIONS[operation_id].path + "``" in documented
    for name in signature.parameters:
        assert f"    {name}: " in documented


@pytest.mark.parametrize(("operation_id", "expected"), EVERY)
def test_everything_but_ids_and_bodies_is_keyword_only(operation_id: str, expected: Call, idle: ThriveClient) -> None:
    """Adding an argument never breaks a caller, because filters and settings are named."""
    operation = OPERATIONS[operation_id]
    parameters = inspect.signature(_method(idle, expected.method)).parameters.values()
    positional = [one.name for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert len(positional) <= len(operation.path_parameters) + (expected.body_arguments if operation.body else 0)
    assert all(one.default is inspect.Parameter.empty for one in parameters if one.name in positional)
