"""Assignments, enrolments and completions, and what each does to the others."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from thrive_async.sandbox.records import AudienceRecord, Record, UserRecord, instant, later, timestamp

if TYPE_CHECKING:
    from thrive_async.sandbox.state import State

__all__ = ["Learning"]


class Learning:
    """Assignments, enrolments and completions of one sandbox.

    Attributes:
        assignments: By id, deleted ones too.
        enrolments: By id, of all assignments.
        completions: By id.
        statements: Statement id of each completion, by completion id.
    """

    def __init__(self, state: "State") -> None:
        self._state = state
        self.assignments: dict[str, Record] = {}
        self.enrolments: dict[str, Record] = {}
        self.completions: dict[str, Record] = {}
        self.statements: dict[str, str] = {}
        self._by_audience: dict[str, list[Record]] = {}
        self._by_assignment: dict[str, dict[str, Record]] = {}
        self._by_user: dict[str, list[Record]] = {}
        self._known: dict[tuple[str, str, Any], Record] = {}

    # Assignments

    def assign(
        self,
        audience: AudienceRecord,
        content_id: str,
        *,
        alternatives: list[str] | None = None,
        hide_alternatives: bool = False,
        completion_period: int = 30,
        recurrence: int | None = None,
    ) -> Record:
        """Create an assignment and enrol the audience's members.

        Args:
            audience: Who has to do it.
            content_id: What has to be done.
            alternatives: Contents that count as well.
            hide_alternatives: Whether learners see those.
            completion_period: Days a member has for it.
            recurrence: Days after which it is due again.
        """
        stamp = self._state.stamp()
        assignment = Record(
            {
                "id": self._state.new_id(),
                "audienceId": audience["id"],
                "primaryContentId": content_id,
                "alternativeContentIds": list(alternatives or ()),
                "hideAlternativeContent": hide_alternatives,
                "completionPeriod": completion_period,
                "recurrence": recurrence,
                "isActive": True,
                "isDeleted": False,
                "createdAt": stamp,
                "deletedAt": None,
                "updatedAt": stamp,
            }
        )
        self.assignments[assignment["id"]] = assignment
        self._by_audience.setdefault(audience["id"], []).append(assignment)
        self._by_assignment[assignment["id"]] = {}
        for user_id in audience.members:
            self._enrol(assignment, user_id)
        return assignment

    def reassign(self, assignment: Record, **changes: Any) -> None:
        """Change an assignment; its enrolments follow in content and due date."""
        stamp = self._state.stamp()
        assignment.update(changes, updatedAt=stamp)
        for enrolment in self._by_assignment[assignment["id"]].values():
            if enrolment["status"] in ("open", "overdue"):
                if "primaryContentId" in changes:
                    enrolment["primaryContentId"] = changes["primaryContentId"]
                if "completionPeriod" in changes:
                    begun = instant(enrolment["availableDate"])
                    if begun is not None:
                        enrolment["dueDate"] = timestamp(later(begun, assignment["completionPeriod"]))
                enrolment["updatedAt"] = stamp

    def unassign(self, assignment: Record) -> None:
        """Delete an assignment: it stays listed as deleted, its open enrolments are archived."""
        stamp = self._state.stamp()
        assignment.update(isActive=False, isDeleted=True, deletedAt=stamp, updatedAt=stamp)
        for enrolment in self._by_assignment[assignment["id"]].values():
            self._archive(enrolment)

    def drop_audience(self, audience: AudienceRecord) -> None:
        """Delete the assignments of an audience that goes."""
        for assignment in self._by_audience.get(audience["id"], ()):
            if not assignment["isDeleted"]:
                self.unassign(assignment)

    # Enrolments

    def joined(self, audience: AudienceRecord, user: UserRecord) -> None:
        """A user became a member: enrol them in what the audience is assigned."""
        for assignment in self._by_audience.get(audience["id"], ()):
            if assignment["isActive"]:
                self._enrol(assignment, user["id"])

    def left(self, audience: AudienceRecord, user: UserRecord) -> None:
        """A user is no member any more: what they have not completed is archived."""
        for assignment in self._by_audience.get(audience["id"], ()):
            enrolment = self._by_assignment[assignment["id"]].get(user["id"])
            if enrolment is not None:
                self._archive(enrolment)

    def enrolments_of(self, assignment_id: str) -> Iterator[Record]:
        """The enrolments of an assignment, each with the status that it has now."""
        for enrolment in self._by_assignment.get(assignment_id, {}).values():
            yield self.current(enrolment)

    def enrolment(self, assignment_id: str, user: str) -> Record | None:
        """The enrolment of a user (id, ref or e-mail) in an assignment."""
        found = self._state.find_user(user)
        enrolment = self._by_assignment.get(assignment_id, {}).get(found["id"]) if found else None
        return self.current(enrolment) if enrolment is not None else None

    def current(self, enrolment: Record) -> Record:
        """The enrolment, open again or overdue if its date has come."""
        now = self._state.now()
        assignment = self.assignments[enrolment["assignmentId"]]
        if enrolment["status"] == "complete" and assignment["recurrence"] is not None and assignment["isActive"]:
            completed = instant(enrolment["lastCompletedAt"]) or now
            begins = later(completed, assignment["recurrence"])
            if begins <= now:
                ends = later(begins, assignment["completionPeriod"])
                enrolment.update(availableDate=timestamp(begins), dueDate=timestamp(ends))
                self._change(enrolment, "open", "recurred")
        if enrolment["status"] == "open":
            due = instant(enrolment["dueDate"])
            if due is not None and due < now:
                self._change(enrolment, "overdue", "overdue")
        return enrolment

    def _enrol(self, assignment: Record, user_id: str) -> None:
        now = self._state.now()
        stamp = timestamp(now)
        due = timestamp(later(now, assignment["completionPeriod"]))
        enrolment = self._by_assignment[assignment["id"]].get(user_id)
        if enrolment is not None:
            if enrolment["status"] == "archived":
                enrolment.update(availableDate=stamp, dueDate=due)
                self._change(enrolment, "open", "enrolled")
            return
        enrolment = Record(
            {
                "id": self._state.new_id(),
                "userId": user_id,
                "assignmentId": assignment["id"],
                "audienceId": assignment["audienceId"],
                "primaryContentId": assignment["primaryContentId"],
                "status": "unassigned",
                "availableDate": stamp,
                "dueDate": due,
                "lastCompletedAt": None,
                "history": [],
                "updatedAt": stamp,
            }
        )
        self.enrolments[enrolment["id"]] = enrolment
        self._by_assignment[assignment["id"]][user_id] = enrolment
        self._by_user.setdefault(user_id, []).append(enrolment)
        self._change(enrolment, "open", "enrolled")

    def _archive(self, enrolment: Record) -> None:
        if enrolment["status"] not in ("archived", "complete"):
            self._change(enrolment, "archived", "archived")

    def _change(self, enrolment: Record, status: str, kind: str, completion_id: str | None = None) -> None:
        stamp = self._state.stamp()
        event = {
            "type": kind,
            "completionId": completion_id,
            "previousStatus": enrolment["status"],
            "nextStatus": status,
            "createdAt": stamp,
            "updatedAt": stamp,
        }
        enrolment.update(status=status, updatedAt=stamp, history=[*enrolment["history"], event])

    # Completions

    def complete(
        self, user: UserRecord, content_id: str, completed_at: str, *, is_rpl: bool = True
    ) -> tuple[str, bool]:
        """Record that a user completed a content, and complete what enrolments it counts for.

        Args:
            user: Who.
            content_id: What.
            completed_at: When, ISO 8601.
            is_rpl: Whether it is recognition of prior learning, as what comes by the API is.

        Returns:
            The statement's id, and whether the completion is new.
        """
        key = (user["id"], content_id, instant(completed_at))
        known = self._known.get(key)
        if known is not None:
            return self.statements[known["id"]], False
        content = self._state.contents.get(content_id)
        due = [
            enrolment
            for enrolment in self._by_user.get(user["id"], ())
            if self.current(enrolment)["status"] in ("open", "overdue") and self._counts(enrolment, content_id)
        ]
        completion = Record(
            {
                "id": self._state.new_id(),
                "userId": user["id"],
                "contentId": content_id,
                "contentVersion": 1,
                "skills": list(content["tags"] or ())[:2] if content is not None else [],
                "completionType": "completed",
                "hadDueDate": bool(due),
                "isRPL": is_rpl,
                "completedAt": completed_at,
                "activeUntil": None,
            }
        )
        self.completions[completion["id"]] = completion
        self._known[key] = completion
        self.statements[completion["id"]] = statement = self._state.new_id()
        for enrolment in due:
            assignment = self.assignments[enrolment["assignmentId"]]
            if assignment["recurrence"] is not None:
                completed = instant(completed_at) or self._state.now()
                completion["activeUntil"] = timestamp(later(completed, assignment["recurrence"]))
            enrolment["lastCompletedAt"] = completed_at
            self._change(enrolment, "complete", "completed", completion["id"])
        return statement, True

    def _counts(self, enrolment: Record, content_id: str) -> bool:
        assignment = self.assignments[enrolment["assignmentId"]]
        return content_id == assignment["primaryContentId"] or content_id in (assignment["alternativeContentIds"] or ())
