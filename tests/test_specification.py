"""The rules of `openapi/thrive.yaml`: it is valid and complete, lenient for replies and strict for requests."""

import re

import pytest
from openapi_spec_validator import validate
from specification_facts import (
    BODIES,
    COMPONENTS,
    ENUMS,
    FIELDS,
    FOUND,
    KNOWN,
    ONE_WAY_ENUMS,
    OPERATIONS,
    PAGING,
    PATCHES,
    PER_PAGE,
    SCHEMAS,
    SCOPES,
    SPEC,
    TEXT,
    UNSAFE,
    VERBS,
    body_errors,
    errors,
    fields,
    follow,
    parameters,
    walk,
)


# --------------------------------------------------------------------------------------------------- the document
def test_valid_openapi() -> None:
    """Any tool can load the document: it is valid OpenAPI 3.1."""
    assert SPEC["openapi"].startswith("3.1.")
    validate(SPEC)


def test_no_reference_dangles_and_no_component_is_unused() -> None:
    """Every reference leads somewhere, and every component is referred to."""
    used = set(re.findall(r'\$ref: "(#/[^"]+)"', TEXT))
    for reference in used:
        assert follow({"$ref": reference})
    parts = {kind: part for kind, part in COMPONENTS.items() if kind != "securitySchemes"}
    assert {f"#/components/{kind}/{name}" for kind, part in parts.items() for name in part} == used


def test_servers_and_security_schemes() -> None:
    """The four public hosts without a path, Basic, and client credentials with the four scopes."""
    hosts = ["learn.link", "learnstaging.link", "mea.learn.tech", "meastaging.learn.tech"]
    assert [server["url"] for server in SPEC["servers"]] == [f"https://public.api.{host}" for host in hosts]
    token_hosts = {server["url"] for server in SPEC["paths"]["/oauth2/token/{tenantId}"]["servers"]}
    assert token_hosts == {f"https://{side}.api.{host}" for host in hosts for side in ("public", "user")}
    basic, oauth2 = (COMPONENTS["securitySchemes"][name] for name in ("basic", "oauth2"))
    assert (basic["type"], basic["scheme"]) == ("http", "basic")
    scopes = set(oauth2["flows"]["clientCredentials"]["scopes"])
    assert scopes == {"api/all", "api/read", "api/write", "api/webhooks"}


def test_every_extension_is_explained_and_every_grade_of_evidence_known() -> None:
    """A reader of the document finds out what each x-thrive key means."""
    used = {key for _, node in walk(SPEC) for key in node if key.startswith("x-thrive-")} - {"x-thrive-extensions"}
    assert used == set(SPEC["x-thrive-extensions"])
    document = {key: value for key, value in SPEC.items() if key != "x-thrive-extensions"}
    grades = {node["x-thrive-evidence"] for _, node in walk(document) if "x-thrive-evidence" in node}
    assert grades <= {"official", "third-party", "inferred"}


def test_every_operation_parameter_schema_and_field_is_described() -> None:
    """Descriptions become docstrings, so every one is present and short."""
    described = [(name, FOUND[name][2]) for name in FOUND]
    described += [(where, node) for where, node in walk(SPEC) if "in" in node and "name" in node and "schema" in node]
    described += list(SCHEMAS.items())
    for name, schema in SCHEMAS.items():
        described += [(f"{name}.{field}", node) for field, node in schema.get("properties", {}).items()]
    for kind in ("responses", "requestBodies", "headers", "securitySchemes"):
        described += list(COMPONENTS[kind].items())
    for name, node in described:
        text = node.get("description", "").strip()
        assert text.endswith((".", ":")), name
        assert len(text) <= 360, name


def test_every_example_is_valid() -> None:
    """Every example and default in the document is valid for its schema."""
    seen = 0
    for where, node in walk(SPEC):
        values: list[object] = []
        schema = node.get("schema", node)
        if isinstance(node.get("examples"), list):
            values += node["examples"]
        elif isinstance(node.get("examples"), dict) and "schema" in node:
            values += [one["value"] for one in node["examples"].values()]
        values += [node["example"]] if "example" in node and "schema" in node else []
        values += [node["default"]] if "default" in node and ("type" in node or "$ref" in node) else []
        for value in values:
            assert errors(schema, value) == [], where
            seen += 1
    assert seen > 100


# --------------------------------------------------------------------------------------------------- operations
def test_every_known_operation_is_there_under_one_name() -> None:
    """No row of the evidence is missing, and no two operations share a name."""
    assert {row.split()[0] for row in OPERATIONS.strip().splitlines()} <= set(FOUND)
    assert len(FOUND) == sum(verb in VERBS for item in SPEC["paths"].values() for verb in item)
    assert FOUND["createAccessToken"][:2] == ("POST", "/oauth2/token/{tenantId}")


@pytest.mark.parametrize("name", KNOWN)
def test_operation_is_whole(name: str) -> None:
    """Each operation has its verb, path, parameters, paging, retry safety, security, and the errors all share."""
    verb, path, scope, paging, *query = KNOWN[name]
    assert FOUND[name][:2] == (verb, path)
    operation = FOUND[name][2]
    assert len(operation["tags"]) == 1
    assert operation["tags"][0] in {tag["name"] for tag in SPEC["tags"]}
    assert set(parameters(name, "path")) == set(re.findall(r"\{(\w+)\}", path))
    assert all(one["required"] for one in parameters(name, "path").values())
    assert set(parameters(name, "query")) == set(query)
    assert operation["x-thrive-paging"] == PAGING[paging]
    assert operation["x-thrive-retry"] == ("unsafe" if name in UNSAFE else "safe")
    assert operation["security"] == [{"basic": []}, {"oauth2": [SCOPES[scope]]}, {"oauth2": ["api/all"]}]
    assert {"401", "403", "429", "default"} <= set(operation["responses"])
    assert "404" in operation["responses"] or not parameters(name, "path")
    assert set(operation.get("x-thrive-inferred-statuses", ())) <= set(operation["responses"])
    assert ("requestBody" in operation) == (verb in ("POST", "PATCH") or name == "deleteAssignment")


@pytest.mark.parametrize("name", FOUND)
def test_replies_have_schemas(name: str) -> None:
    """Every documented status but 204 and a bare 404 has a JSON schema, and 429 may carry Retry-After."""
    responses = FOUND[name][2]["responses"]
    for status, response in responses.items():
        bare = status == "204" or response.get("$ref", "").endswith("/NotFoundBare")
        assert bare or "schema" in follow(response)["content"]["application/json"], status
    assert follow(follow(responses["429"])["headers"]["Retry-After"]).get("required") is False


def test_statuses_of_success() -> None:
    """Where the code of success is not documented, each plausible one is there."""
    for name, (verb, path, operation) in FOUND.items():
        good = {status for status in operation["responses"] if status.startswith("2")}
        if verb == "DELETE":
            assert good == {"200", "204"}, name
        elif name in UNSAFE or name == "createCompletion":
            assert good == {"200", "201"}, name
        elif name == "updateAudience" or (verb != "GET" and path.endswith(("/members", "/managers"))):
            assert good == {"200", "207"}, name
        else:
            # Several codes are a guess, and marked as one.
            assert good == {"200"} or good <= set(operation["x-thrive-inferred-statuses"]), name


def test_paging_parameters_have_their_limits_and_defaults() -> None:
    """A page size outside the documented limits cannot pass, and each default is the documented one."""
    for name, row in KNOWN.items():
        query = parameters(name, "query")
        assert ("perPage" in query) == (row[3] != "n"), name
        if "perPage" in query:
            default, maximum = PER_PAGE.get(name, (100, 1000))
            wanted = {"type": "integer", "minimum": 1, "maximum": maximum, "default": default}
            assert query["perPage"]["schema"] == wanted, name
            assert query["page"]["schema"] == {"type": "integer", "minimum": 1, "default": 1}
        if "limit" in query:
            assert query["limit"]["deprecated"]
            assert query["limit"]["schema"]["maximum"] == 100


def test_lists_in_the_query_are_comma_separated() -> None:
    """A list is one parameter with commas, never a repeated one."""
    lists = {
        (name, key) for name in KNOWN for key, one in parameters(name, "query").items() if "items" in one["schema"]
    }
    wanted = {"statuses", "omitStatuses", "types", "omitTypes", "actions", "omitActions", "contentIds", "userIds"}
    assert {key for _, key in lists} == wanted
    for name, key in lists:
        one = parameters(name, "query")[key]
        assert (one["style"], one["explode"]) == ("form", False)


def test_each_time_filter_has_the_form_of_its_endpoint() -> None:
    """The form in which a time is written is a fact of the parameter, and its schema agrees."""
    forms = {
        (name, key): one["x-thrive-datetime"]
        for name in KNOWN
        for key, one in parameters(name, "query").items()
        if "x-thrive-datetime" in one
    }
    space = {(name, key) for name, key in forms if forms[name, key] == "space"}
    local = {(name, key) for name, key in forms if forms[name, key] == "local"}
    assert space == {
        ("listActivities", "timestampFrom"),
        ("listActivities", "timestampTo"),
        ("listCpdEntries", "entryDateFrom"),
        ("listCpdEntries", "entryDateTo"),
    }
    assert local == {("listCpdUserSummaries", "entryDateFrom"), ("listCpdUserSummaries", "entryDateTo")}
    assert all(parameters("listCpdUserSummaries", "query")[key]["required"] for key in ("entryDateFrom", "entryDateTo"))
    samples = {
        "iso": "2024-01-01T00:00:00Z",
        "iso-or-day": "2024-01-01",
        "space": "2024-01-01 00:00:00",
        "local": "2024-01-01T00:00:00",
    }
    for (name, key), form in forms.items():
        schema = parameters(name, "query")[key]["schema"]
        right = {other for other, sample in samples.items() if not errors(schema, sample)}
        accepted = {"iso", "iso-or-day"} if form == "iso-or-day" else {form}
        if name == "listCpdEntries":
            accepted.add("iso-or-day")  # as in Thrive's own examples; the SDK writes a time
        assert right == accepted, (name, key)


# --------------------------------------------------------------------------------------------------- schemas to read
def test_every_object_is_in_the_tables() -> None:
    """No schema slips in unchecked: each is read, written, or an enumeration."""
    enums = {*ENUMS, *(f"Known{name}" for name in ENUMS)}
    assert set(SCHEMAS) == {*FIELDS, *BODIES, *enums, *ONE_WAY_ENUMS, "TagName"}


@pytest.mark.parametrize("name", FIELDS)
def test_what_is_read_has_every_field_and_is_lenient(name: str) -> None:
    """All known fields are there; only identifiers are required, the rest may be absent or null, more may come."""
    required, every = fields(FIELDS[name])
    schema = SCHEMAS[name]
    assert set(schema["properties"]) == every
    assert set(schema.get("required", ())) == required
    assert "additionalProperties" not in schema
    assert "x-thrive-body" not in schema
    samples: dict[str, object] = {"results": [], "eventType": "page.of_tomorrow"}
    least = {field: samples.get(field, "63f8c5361b9c80d3274be7ca") for field in required}
    nulls = dict.fromkeys(every - required)
    assert body_errors(name, least) == []
    assert body_errors(name, {**least, **nulls, "fieldOfTomorrow": {"a": 1}}) == []
    for field in required:
        assert body_errors(name, {**least, field: None}), f"{field} must not be null"
        assert body_errors(name, {key: value for key, value in least.items() if key != field}), f"{field} is required"


@pytest.mark.parametrize("name", ENUMS)
def test_enumerations_are_open_to_read_and_closed_to_write(name: str) -> None:
    """A value of tomorrow can be read, and cannot be written."""
    assert SCHEMAS[f"Known{name}"]["enum"] == ENUMS[name].split()
    assert body_errors(name, "of-tomorrow") == []
    assert body_errors(f"Known{name}", "of-tomorrow")
    assert body_errors(name, 5)
    readers = [other for other in FIELDS if f"/Known{name}" in str(SCHEMAS[other])]
    writers = [other for other in BODIES if f"/{name}'" in str(SCHEMAS[other])]
    assert (readers, writers) == ([], [])


@pytest.mark.parametrize(
    ("name", "field", "values"),
    [
        ("User", "audiences", [[{"id": "a"}], ["a"], [{"id": "a"}, "b"]]),
        ("User", "agreedTerms", ["2020-01-01T00:00:00Z", True]),
        ("User", "tags", [{"skills": ["one"]}]),
        ("User", "rank", [{"currentCategory": 1, "currentLevel": 2.5}]),
        ("User", "positions", [[{"id": "p", "manager": {"id": "m"}}]]),
        ("Activity", "data", [{"progresspercentage": 40, "source": {"a": 1}}, {"progresspercentage": "40"}]),
        ("ErrorBody", "message", ["text", {"field": "text"}]),
        ("MovedAudience", "memberOperations", [{}, {"removed": {"success": {"count": 1.0, "entities": []}}}]),
        ("WebhookAssignment", "recurrence", ["P1Y", 365]),
    ],
)
def test_live_replies_are_accepted_beside_documented_ones(name: str, field: str, values: list[object]) -> None:
    """Where live replies differ from the documents, both can be read."""
    least = dict.fromkeys(fields(FIELDS[name])[0], "x")
    for value in values:
        assert body_errors(name, {**least, field: value}) == [], value


# --------------------------------------------------------------------------------------------------- schemas to write
@pytest.mark.parametrize("name", BODIES)
def test_what_is_written_has_every_field_and_is_strict(name: str) -> None:
    """All known fields are there, nothing else may be sent, and the kind of the body is told."""
    required, every = fields(BODIES[name])
    schema = SCHEMAS[name]
    assert set(schema["properties"]) == every
    assert set(schema.get("required", ())) == required
    assert schema["additionalProperties"] is False
    assert schema["x-thrive-body"] == ("patch" if name in PATCHES else "create")
    example = schema.get("examples", [{}])[0]
    assert body_errors(name, {**example, "fieldOfTomorrow": 1})
    for field in required:
        assert body_errors(name, {key: value for key, value in example.items() if key != field}), field


USER = {"ref": "r", "firstName": "f", "lastName": "l", "email": "e@example.com"}
GRANT = {"reference": "r", "permissions": {}}
DONE = {"userId": "u", "contentId": "c", "completedAt": "2024-01-01T00:00:00Z"}
WORK = {"audienceId": "a", "contentId": "c"}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("UserCreate", {"ref": "r", "firstName": "f", "lastName": "l"}),
        ("UserCreate", {"ref": "r", "firstName": "f", "lastName": "l", "loginMethod": "email"}),
        ("UserCreate", {**USER, "ref": ""}),
        ("UserCreate", {**USER, "managerRef": None}),
        ("UserCreate", {**USER, "role": "king"}),
        ("UserCreate", {**USER, "startDate": "yesterday"}),
        ("UserUpdate", {"firstName": None}),
        ("UserUpdate", {"ref": "other"}),
        ("UserUpdate", {"active": True}),
        ("UserTagsAdd", {"tags": []}),
        ("UserTagsAdd", {"tags": ["t"] * 101}),
        ("UserTagsAdd", {"tags": [""]}),
        ("UserTagsRemove", {"op": "add", "path": "tags", "value": ["t"]}),
        ("UserTagsRemove", {"op": "remove", "path": "tags", "value": ["t"] * 101}),
        ("UserSkillsUpdate", {"op": "update", "path": "skills", "value": []}),
        ("UserSkillsUpdate", {"op": "update", "path": "skills", "value": [{"tagName": "t"}] * 101}),
        ("SkillUpdate", {"tagName": "t", "level": -2}),
        ("SkillUpdate", {"tagName": "t", "targetLevel": -2}),
        ("AudienceCreate", {"name": "n" * 101}),
        ("AudienceCreate", {"name": "n", "reference": "r" * 101}),
        ("AudienceCreate", {"name": "n", "category": "smart"}),
        ("AudienceUpdate", {}),
        ("AudienceUpdate", {"name": "n" * 101}),
        ("AudienceUpdate", {"reference": "r" * 101}),
        ("AudienceUpdate", {"category": "structure"}),
        ("AssignmentCreate", {**WORK, "completionPeriod": 0}),
        ("AssignmentCreate", {**WORK, "recurrence": None}),
        ("AssignmentUpdate", {"audienceId": "a", "hideAlternativeContent": True}),
        ("CompletionCreate", {**DONE, "completedAt": "2024-01-01"}),
        ("TokenRequest", {"grant_type": "password"}),
    ],
)
def test_bodies_past_a_limit_are_refused(name: str, body: object) -> None:
    """A body that Thrive documents as wrong does not pass its schema."""
    assert body_errors(name, body)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("UserCreate", USER),
        ("UserCreate", {"ref": "r", "firstName": "f", "lastName": "l", "loginMethod": "ref"}),
        ("UserCreate", {**USER, "startDate": "2024-01-01", "endDate": "2024-12-31T00:00:00.000Z"}),
        ("UserCreate", {**USER, "additionalFields": {"any": ["thing", 1, None]}}),
        ("UserUpdate", {}),
        (
            "UserUpdate",
            dict.fromkeys(["email", "jobTitle", "managerRef", "startDate", "endDate", "timeZone", "domain"]),
        ),
        ("UserSuspend", {}),
        ("UserTagsAdd", {"tags": ["t"] * 100}),
        ("SkillUpdate", {"tagName": "t", "level": -1}),
        ("AudienceCreate", {"name": "n" * 100, "reference": "r" * 100, "parentId": ""}),
        ("ManagerGrant", GRANT),
        ("AssignmentUpdate", {"audienceId": "a", "recurrence": None}),
        ("CompletionCreate", DONE),
    ],
)
def test_bodies_within_the_limits_pass(name: str, body: object) -> None:
    """What Thrive documents as right passes its schema."""
    assert body_errors(name, body) == []


@pytest.mark.parametrize(
    ("group", "flag"), [("audienceManager", "manageMembers"), ("administrator", "canManageAudiences")]
)
def test_read_only_permissions_cannot_be_written(group: str, flag: str) -> None:
    """The two permissions that Thrive only tells are refused in a grant, even as false."""
    assert body_errors("ManagerPermissions", {group: {flag: False}}) == []
    for value in (True, False, None):
        assert body_errors("ManagerGrantPermissions", {group: {flag: value}})


@pytest.mark.parametrize(
    ("operations", "item"), [(("addMembers", "replaceMembers"), "user"), (("addManagers", "replaceManagers"), GRANT)]
)
def test_batches_hold_1_to_100(operations: tuple[str, ...], item: object) -> None:
    """The body is a list at top level, neither empty nor longer than 100."""
    for name in operations:
        body = follow(FOUND[name][2]["requestBody"])
        assert body["required"]
        schema = body["content"]["application/json"]["schema"]
        assert [count for count in (0, 1, 100, 101) if not errors(schema, [item] * count)] == [1, 100]


# --------------------------------------------------------------------------------------------------- webhooks
def test_webhooks() -> None:
    """Five subscriptions, each signed if agreed, each event read leniently, any 2xx an answer."""
    hooks = {name: item["post"] for name, item in SPEC["webhooks"].items()}
    assert set(hooks) == {f"{kind}Event" for kind in ("completion", "content", "assignment", "notification", "user")}
    for hook in hooks.values():
        assert hook["security"] == []
        assert "2XX" in hook["responses"]
        (signature,) = (follow(one) for one in hook["parameters"])
        assert (signature["in"], signature["name"], signature["required"]) == ("header", "x-hmac-signature", False)
        schema = hook["requestBody"]["content"]["application/json"]["schema"]
        for payload in map(follow, schema.get("anyOf", [schema])):
            assert {"eventType", "tenantId", "createdAt", "dispatchedAt"} <= set(payload["properties"])
