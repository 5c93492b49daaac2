"""The known facts about the API, as tables, and helpers that compare `openapi/thrive.yaml` with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

# Each operation according to the public documentation and other integrations: verb, path, query, paging, scope.
# Scope: r read, w write. Paging: e envelope, a array, n none.
OPERATIONS = """
searchUsers           GET    /rest/v1/users                            r e \
    page perPage updatedSince statuses omitStatuses status
getUser               GET    /rest/v1/user/{id}                        r n
getUserByRef          GET    /rest/v1/users/ref/{ref}                  r n
createUser            POST   /rest/v2/users                            w n
updateUser            PATCH  /rest/v2/users/ref/{ref}                  w n
suspendUser           PATCH  /rest/v2/users/ref/{ref}/suspend          w n
deleteUser            DELETE /rest/v2/users/ref/{ref}                  w n
addUserTags           POST   /rest/v1/users/{userId}/tags              w n
removeUserTags        PATCH  /rest/v1/users/{userId}/tags              w n
updateUserSkills      PATCH  /rest/v1/users/{userId}/skills            w n
listAudiences         GET    /rest/v1/audiences                        r e page perPage limit apiControlled updatedSince
getAudience           GET    /rest/v1/audiences/{audienceId}           r n
createAudience        POST   /rest/v1/audiences                        w n
updateAudience        PATCH  /rest/v1/audiences/{audienceId}           w n
deleteAudience        DELETE /rest/v1/audiences/{audienceId}           w n
listMembers           GET    /rest/v1/audiences/{audienceId}/members   r e page perPage limit
addMembers            POST   /rest/v1/audiences/{audienceId}/members   w n
replaceMembers        PATCH  /rest/v1/audiences/{audienceId}/members   w n
removeMember          DELETE /rest/v1/audiences/{audienceId}/members/{userRef}   w n
listManagers          GET    /rest/v1/audiences/{audienceId}/managers  r n
addManagers           POST   /rest/v1/audiences/{audienceId}/managers  w n
replaceManagers       PATCH  /rest/v1/audiences/{audienceId}/managers  w n
removeManager         DELETE /rest/v1/audiences/{audienceId}/managers/{userId}   w n
listAssignments       GET    /rest/v1/assignments                      r a page perPage limit audienceId updatedSince
getAssignment         GET    /rest/v1/assignments/{assignmentId}       r n
createAssignment      POST   /rest/v1/assignments                      w n
updateAssignment      PATCH  /rest/v1/assignments/{assignmentId}       w n
deleteAssignment      DELETE /rest/v1/assignments/{assignmentId}       w n
listEnrolments        GET    /rest/v1/assignments/{assignmentId}/enrolments r a \
    page perPage updatedAtFrom updatedAtTo status
getEnrolment          GET    /rest/v1/assignments/{assignmentId}/enrolments/{enrolmentId} r n
listCompletions       GET    /rest/v1/learning/completions r a \
    page perPage contentId isRPL userId completedDateRangeStart completedDateRangeEnd
getCompletion         GET    /rest/v1/learning/completions/{id}        r n
createCompletion      POST   /rest/v1/learning/completions             w n
listContents          GET    /rest/v1/contents                         r e page perPage types omitTypes updatedSince
getContent            GET    /rest/v1/contents/{id}                    r n
listActivities        GET    /rest/v1/activities r e \
    page perPage actions omitActions contentIds contentType timestampFrom timestampTo
getActivity           GET    /rest/v1/activity/{id}                    r n
listCpdCategories     GET    /rest/v1/cpdCategories                    r e page perPage updatedSince
getCpdCategory        GET    /rest/v1/cpdCategories/{categoryId}       r n
listCpdEntries        GET    /rest/v1/cpdEntries                       r e page perPage entryDateFrom entryDateTo
getCpdEntry           GET    /rest/v1/cpdEntries/{logEntryId}          r n
listCpdRequirements   GET    /rest/v1/cpdRequirementSummaries          r e page perPage updatedSince
getCpdRequirement     GET    /rest/v1/cpdRequirementSummaries/{audienceRequirementId} r n
listCpdUserSummaries  GET    /rest/v1/cpdUserLogSummaries              r e \
    page perPage entryDateFrom entryDateTo userIds
listTags              GET    /rest/v1/tags                             r e page perPage updatedSince
getTag                GET    /rest/v1/tags/{tagId}                     r n
listSkillLevels       GET    /rest/v1/skills/levels                    r n
"""
KNOWN = {row.split()[0]: row.split()[1:] for row in OPERATIONS.strip().splitlines()}
UNSAFE = {"createUser", "createAudience", "createAssignment"}
# perPage: default and maximum, where they are not 100 and 1,000.
PER_PAGE = {
    "listContents": (20, 1000),
    "listActivities": (20, 1000),
    "listCompletions": (1000, 1000),
    "listAssignments": (100, 100),
    "listEnrolments": (100, 100),
}
# The fields of each object in replies. The required ones come first, up to the bar.
FIELDS = {
    "User": "id | ref firstName lastName email role status positions additionalFields languageCode deleted compliance"
    " level firstLogin lastLogin tags usersFollowing tagsFollowing createdAt updatedAt hasPicture timeZone summary"
    " relevancy rank agreedTerms onboarded audiences singleSignOn",
    "BasicUser": "id | ref firstName lastName email role status positions additionalFields languageCode",
    "Position": "| id title manager ouId isActive startDate endDate createdAt updatedAt",
    "ManagerRef": "| id name ref",
    "UserRank": "| currentCategory currentLevel",
    "UserTags": "| skills",
    "UserAudience": "| id",
    "UserAccount": "id | loginMethod ref email firstName lastName role jobTitle managerRef startDate endDate timeZone"
    " languageCode active createdAt updatedAt sso domain additionalFields",
    "Audience": "id | name reference apiControlled category type parent createdAt updatedAt",
    "AudienceParent": "| id name reference",
    "MovedAudience": "id | name reference apiControlled category type parent createdAt updatedAt memberOperations",
    "AudienceMoveRefused": "| status error message success failure memberOperations",
    "AudienceMember": "userId | reference email",
    "AudienceManager": "userId | reference email permissions",
    "ManagerPermissions": "| audienceManager peopleManager administrator",
    "AudienceManagerPermissions": "| manageMembers manageContent assignments",
    "PeopleManagerPermissions": "| canViewLearnPage insights manage",
    "AdministratorPermissions": "| canManageAudiences canAddAudienceManagers",
    "MemberOperationResult": "| success failure",
    "ProcessedEntities": "| count entities",
    "ProcessedEntity": "| reference",
    "FailedEntities": "| count entities",
    "FailedEntity": "| reason reference",
    "Assignment": "id | audienceId primaryContentId alternativeContentIds hideAlternativeContent completionPeriod"
    " recurrence isActive isDeleted createdAt deletedAt updatedAt",
    "Enrolment": "id | userId assignmentId audienceId primaryContentId status availableDate dueDate lastCompletedAt"
    " history updatedAt",
    "EnrolmentEvent": "| type completionId previousStatus nextStatus createdAt updatedAt",
    "Completion": "id | userId contentId contentVersion skills completionType hadDueDate isRPL completedAt activeUntil",
    "CompletionReceipt": "| statementId created",
    "Content": "id | title description tags type createdAt updatedAt author isOfficial duration contentHistory",
    "ContentDuration": "| value unit",
    "ContentEvent": "| action timestamp performedBy",
    "ContentActor": "| type value",
    "Activity": "id | user type name date contextId contextType contentType data with",
    "CpdCategory": "categoryId | name",
    "CpdEntry": "logEntryId | userId activity category entryDate durationMinutes description isVerified",
    "CpdActivity": "| type name",
    "CpdRequirement": "audienceRequirementId | audienceId requiredMinutes createdAt updatedAt",
    "CpdUserSummary": "userId | durationMinutes",
    "Tag": "id | tag contents campaigns interests skills",
    "SkillLevel": "| name isEnabled value",
    "Acknowledgement": "| status message",
    "Pagination": "| totalResults totalPages page perPage",
    "ErrorBody": "| status error message",
    "TokenReply": "access_token | token_type expires_in scope",
    "TokenError": "| error error_description",
    "CompletionEvent": "eventType | tenantId createdAt dispatchedAt user content",
    "ContentChangeEvent": "eventType | tenantId createdAt dispatchedAt user content",
    "AssignmentEvent": "eventType | tenantId createdAt dispatchedAt reason assignment content users",
    "NotificationEvent": "eventType | tenantId createdAt dispatchedAt user notification",
    "UserEvent": "eventType | tenantId createdAt dispatchedAt user",
    "WebhookEvent": "eventType | tenantId createdAt dispatchedAt",
    "WebhookUser": "| id reference email firstName lastName status role",
    "WebhookContent": "| id title type urls",
    "WebhookAssignment": "| id audienceId primaryContentId completionPeriod recurring recurrence",
    "WebhookNotification": "| messageType messageTitle messageActions dispatchedAt createdAt",
    "WebhookNotificationAction": "| label links",
}
FIELDS |= {
    f"{name}Page": "results | pagination"
    for name in (
        *("User", "Audience", "AudienceMember", "Content", "Activity", "CpdCategory", "CpdEntry"),
        *("CpdRequirement", "CpdUserSummary", "Tag"),
    )
}
# The same for request bodies.
BODIES = {
    "UserCreate": "ref firstName lastName | email loginMethod role jobTitle managerRef startDate endDate timeZone"
    " languageCode sso domain additionalFields",
    "UserUpdate": "| firstName lastName email loginMethod role jobTitle managerRef startDate endDate timeZone"
    " languageCode sso domain additionalFields",
    "UserSuspend": "| endDate",
    "UserTagsAdd": "tags |",
    "UserTagsRemove": "op path value |",
    "UserSkillsUpdate": "op path value |",
    "SkillUpdate": "tagName | level targetLevel",
    "AudienceCreate": "name | reference parentId category",
    "AudienceUpdate": "| name reference parentId",
    "ManagerGrant": "reference permissions | userId email",
    "ManagerGrantPermissions": "| audienceManager peopleManager administrator",
    "AudienceManagerGrant": "| manageContent assignments",
    "PeopleManagerGrant": "| canViewLearnPage insights manage",
    "AdministratorGrant": "| canAddAudienceManagers",
    "AssignmentCreate": "audienceId contentId | alternativeContentIds hideAlternativeContent completionPeriod"
    " recurrence",
    "AssignmentUpdate": "audienceId | contentId completionPeriod recurrence alternativeContentIds",
    "AssignmentDelete": "audienceId |",
    "CompletionCreate": "userId contentId completedAt |",
    "TokenRequest": "grant_type | scope client_id client_secret",
}
ENUMS = {
    "UserRole": "administrator learneradmin learner",
    "LoginMethod": "email ref",
    "UserStatus": "active inactive expired new",
    "AudienceCategory": "structure audience",
    "AudienceType": "manual smart",
    "EnrolmentStatus": "archived complete open overdue scheduled unassigned",
    "ContentType": "article assessment broadcast cmi5 elearning event file pathway question quiz scorm url video mixed",
    "ActivityType": "viewed completed passed pinned unpinned liked unliked commented commentdeleted shared progressed"
    " registered followed unfollowed started resumed searched found loggedin loggedout",
    "WebhookEventType": "content.completed content.passed content.created content.updated content.published"
    " content.deleted content.archived content.restored assignment.assigned assignment.updated assignment.removed"
    " notification.dispatched user.activated user.deactivated user.updated user.created",
}

PATH = Path(__file__).parents[1] / "openapi" / "thrive.yaml"
TEXT = PATH.read_text(encoding="utf-8")
SPEC: dict[str, Any] = yaml.safe_load(TEXT)
COMPONENTS: dict[str, Any] = SPEC["components"]
SCHEMAS: dict[str, Any] = COMPONENTS["schemas"]
VERBS = {"get", "post", "put", "patch", "delete"}


def follow(node: dict[str, Any]) -> dict[str, Any]:
    """Return the target of a reference, or the object itself."""
    while "$ref" in node:
        found: Any = SPEC
        for key in node["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        node = found
    return node


def walk(node: object, where: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object in the document, with its place."""
    if isinstance(node, dict):
        yield where, node
        for key, value in node.items():
            if key not in ("example", "examples"):
                yield from walk(value, f"{where}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{where}/{index}")


def errors(schema: dict[str, Any], value: object) -> list[str]:
    """Return the errors of a value, including those of formats."""
    checker = Draft202012Validator({**schema, "components": COMPONENTS}, format_checker=FormatChecker())
    return [error.message for error in checker.iter_errors(value)]


def body_errors(name: str, value: object) -> list[str]:
    """Return the errors of a value for a named schema."""
    return errors({"$ref": f"#/components/schemas/{name}"}, value)


FOUND = {
    operation["operationId"]: (verb.upper(), path, operation)
    for path, item in SPEC["paths"].items()
    for verb, operation in item.items()
    if verb in VERBS
}


def parameters(name: str, place: str) -> dict[str, dict[str, Any]]:
    """The parameters of an operation in its path or its query, by name."""
    every = [follow(one) for one in FOUND[name][2].get("parameters", [])]
    return {one["name"]: one for one in every if one["in"] == place}


SCOPES = {"r": "api/read", "w": "api/write", "h": "api/webhooks"}
PAGING = {"e": "envelope", "a": "array", "n": "none"}


def _row(name: str) -> list[str]:
    """The row of an operation that the table of evidence lacks: as the specification has it."""
    verb, path, operation = FOUND[name]
    scope = next(letter for letter, scope in SCOPES.items() if {"oauth2": [scope]} in operation["security"])
    paging = next(letter for letter, style in PAGING.items() if style == operation["x-thrive-paging"])
    return [verb, path, scope, paging, *parameters(name, "query")]


# What has no row of evidence above is held to the same rules by a row of its own making.
KNOWN |= {name: _row(name) for name in FOUND if name not in KNOWN and name != "createAccessToken"}
ONE_WAY_ENUMS = {name for name, schema in SCHEMAS.items() if "enum" in schema and not name.startswith("Known")}
"""Enumerations that are only written: they have no open twin."""
for _name, _schema in SCHEMAS.items():
    if "properties" in _schema and _name not in FIELDS | BODIES:
        _required = _schema.get("required", ())
        _rest = [field for field in _schema["properties"] if field not in _required]
        _table = BODIES if "x-thrive-body" in _schema else FIELDS
        _table[_name] = f"{' '.join(_required)} | {' '.join(_rest)}"
PATCHES = {name for name in BODIES if SCHEMAS[name].get("x-thrive-body") == "patch"}


def fields(row: str) -> tuple[set[str], set[str]]:
    """The required fields and all fields of a row of the tables."""
    required, optional = row.split("|")
    return set(required.split()), {*required.split(), *optional.split()}
