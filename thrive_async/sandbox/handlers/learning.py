"""Assignments, enrolments and completions."""

from typing import Any, Final

from thrive_async.sandbox.handlers.replies import Call, Reply, array, deleted, json, since, within, written
from thrive_async.sandbox.state.audiences import AudienceRecord
from thrive_async.sandbox.state.records import Record, instant, timestamp

__all__ = ["HANDLERS"]


def list_assignments(call: Call) -> Reply:
    """List assignments, including deleted ones."""
    assignments = list(call.state.learning.assignments.values())
    if "audienceId" in call.query:
        audience = call.state.audiences.find(call.query["audienceId"])
        if audience is None:
            raise call.refuse("Audience not found.", 404)
        assignments = [one for one in assignments if one["audienceId"] == audience["id"]]
    return array(call, since(assignments, call))


def get_assignment(call: Call) -> Reply:
    """Return one assignment, even if deleted."""
    return json(_assignment(call))


def create_assignment(call: Call) -> Reply:
    """Assign a content to an audience and enrol its members."""
    body: dict[str, Any] = call.body
    audience = _audience(call, body["audienceId"])
    _contents(call, body)
    if call.settings.duplicate_assignment == "conflict" and any(
        one["audienceId"] == audience["id"] and one["primaryContentId"] == body["contentId"] and one["isActive"]
        for one in call.state.learning.assignments.values()
    ):
        raise call.refuse("The content is assigned to the audience already.", 409)
    assignment = call.state.learning.assign(
        audience,
        body["contentId"],
        alternatives=body.get("alternativeContentIds"),
        hide_alternatives=body.get("hideAlternativeContent", False),
        completion_period=body.get("completionPeriod", 30),
        recurrence=body.get("recurrence"),
    )
    return written(call, assignment.wire())


def update_assignment(call: Call) -> Reply:
    """Change the fields that were sent."""
    assignment, body = _own(call, _assignment(call)), call.body
    if assignment["isDeleted"]:
        raise call.refuse("The assignment is deleted.", 409)
    _contents(call, body)
    changes = {name: body[name] for name in ("completionPeriod", "recurrence", "alternativeContentIds") if name in body}
    if "contentId" in body:
        changes["primaryContentId"] = body["contentId"]
    call.state.learning.reassign(assignment, **changes)
    return json(assignment)


def delete_assignment(call: Call) -> Reply:
    """Mark an assignment as deleted."""
    assignment = _own(call, _assignment(call))
    if assignment["isDeleted"]:
        raise call.refuse("Assignment not found.", 404)
    call.state.learning.unassign(assignment)
    return deleted(call)


def list_enrolments(call: Call) -> Reply:
    """List the enrolments of an assignment."""
    assignment = _assignment(call)
    if "updatedAtTo" in call.query and "updatedAtFrom" not in call.query:
        raise call.refuse("query.updatedAtTo: needs updatedAtFrom", 400)
    enrolments = list(call.state.learning.enrolments_of(assignment["id"]))
    if "status" in call.query:
        enrolments = [one for one in enrolments if one["status"] == call.query["status"]]
    return array(call, within(enrolments, call, "updatedAt", "updatedAtFrom", "updatedAtTo"))


def get_enrolment(call: Call) -> Reply:
    """Return one enrolment of an assignment."""
    assignment = _assignment(call)
    enrolment = call.state.learning.enrolments.get(call.path["enrolmentId"])
    if enrolment is None or enrolment["assignmentId"] != assignment["id"]:
        raise call.refuse("Enrolment not found.", 404)
    return json(call.state.learning.current(enrolment))


def list_completions(call: Call) -> Reply:
    """List completions."""
    query = call.query
    completions = list(call.state.learning.completions.values())
    for name, field in (("contentId", "contentId"), ("userId", "userId"), ("isRPL", "isRPL")):
        if name in query:
            completions = [one for one in completions if one[field] == query[name]]
    found = within(completions, call, "completedAt", "completedDateRangeStart", "completedDateRangeEnd")
    return array(call, found, largest=1000)


def get_completion(call: Call) -> Reply:
    """One completion."""
    completion = call.state.learning.completions.get(call.path["id"])
    if completion is None:
        raise call.refuse("Completion not found.", 404)
    return json(completion)


def create_completion(call: Call) -> Reply:
    """Record a completion: 201 if it is new, 200 if it exists."""
    body, state = call.body, call.state
    user = state.users.get(body["userId"])
    if user is None or user["deleted"]:
        raise call.refuse("User not found.", 404, 422)
    content = state.contents.get(body["contentId"])
    if content is None:
        raise call.refuse("Content not found.", 404, 422)
    completed = instant(body["completedAt"])
    stamp = state.stamp() if completed is None else timestamp(completed)
    statement, new = state.learning.complete(user, content["id"], stamp)
    if new:
        state.add_activity(user, "completed", content, date=stamp)
    return json({"statementId": statement}, 201 if new else 200)


def _assignment(call: Call) -> Record:
    assignment = call.state.learning.assignments.get(call.path["assignmentId"])
    if assignment is None:
        raise call.refuse("Assignment not found.", 404)
    return assignment


def _own(call: Call, assignment: Record) -> Record:
    """Return the assignment, if it belongs to the audience in the body."""
    if _audience(call, call.body["audienceId"])["id"] != assignment["audienceId"]:
        raise call.refuse("The assignment belongs to another audience.", 409)
    return assignment


def _audience(call: Call, name: str) -> AudienceRecord:
    audience = call.state.audiences.find(name)
    if audience is None:
        raise call.refuse("Audience not found.", 404, 422)
    return audience


def _contents(call: Call, body: dict[str, Any]) -> None:
    if "contentId" in body and body["contentId"] not in call.state.contents:
        raise call.refuse("Content not found.", 404, 422)
    for index, content_id in enumerate(body.get("alternativeContentIds", ())):
        if content_id not in call.state.contents:
            raise call.refuse({f"$.alternativeContentIds[{index}]": "Content not found."}, 422)


HANDLERS: Final = {
    "listAssignments": list_assignments,
    "getAssignment": get_assignment,
    "createAssignment": create_assignment,
    "updateAssignment": update_assignment,
    "deleteAssignment": delete_assignment,
    "listEnrolments": list_enrolments,
    "getEnrolment": get_enrolment,
    "listCompletions": list_completions,
    "getCompletion": get_completion,
    "createCompletion": create_completion,
}
