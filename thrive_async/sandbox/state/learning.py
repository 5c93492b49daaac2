"""Assignments, enrolments and completions, and how they affect each other."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from thrive_async.sandbox.state.audiences import AudienceRecord
from thrive_async.sandbox.state.people import People
from thrive_async.sandbox.state.records import Record, UserRecord, instant, later, timestamp

__all__ = ["Learning"]


class Learning:
    """Assignments, enrolments and completions of one sandbox.

    Attributes:
        assignments: All assignments by id, including deleted ones.
        completions: All completions by id.
        statements: The statement id of each completion, by completion id.
    """

    def __init__(self, people: People, contents: Mapping[str, Record]) -> None:
        self._people = people
        self._contents = contents
        self.assignments: dict[str, Record] = {}
        self.completions: dict[str, Record] = {}
        self.statements: dict[str, str] = {}
        self._by_audience: dict[str, list[Record]] = {}
        # Per assignment and user, the enrolment, or just its date as long as it has not been read, to save memory.
        self._by_assignment: dict[str, dict[str, Record | datetime]] = {}
        self._enrolments: dict[str, Record] = {}
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
            audience: The audience that has to complete it.
            content_id: The content.
            alternatives: Other contents that count as well.
            hide_alternatives: Whether to hide those from learners.
            completion_period: Days a member has to complete it.
            recurrence: Days after which it is due again, or None for never.
        """
        stamp = self._people.stamp()
        assignment = Record(
            {
                "id": self._people.new_id(),
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
        self._by_assignment[assignment["id"]] = dict.fromkeys(audience.members, self._people.now())
        self._announce("assigned", assignment, (self._people.users[one] for one in audience.members))
        return assignment

    def reassign(self, assignment: Record, **changes: Any) -> None:
        """Change an assignment, and the content and due date of its enrolments with it."""
        stamp = self._people.stamp()
        assignment.update(changes, updatedAt=stamp)
        for enrolment in self._all(assignment["id"]):
            if enrolment["status"] in ("open", "overdue"):
                if "primaryContentId" in changes:
                    enrolment["primaryContentId"] = changes["primaryContentId"]
                if "completionPeriod" in changes:
                    begun = instant(enrolment["availableDate"])
                    if begun is not None:
                        enrolment["dueDate"] = timestamp(later(begun, assignment["completionPeriod"]))
                enrolment["updatedAt"] = stamp
        self._announce("updated", assignment)

    def unassign(self, assignment: Record) -> None:
        """Delete an assignment: it stays listed as deleted, and its open enrolments are archived."""
        stamp = self._people.stamp()
        assignment.update(isActive=False, isDeleted=True, deletedAt=stamp, updatedAt=stamp)
        for enrolment in self._all(assignment["id"]):
            self._archive(enrolment)
        self._announce("removed", assignment)

    def _announce(self, what: str, assignment: Record, users: Iterable[UserRecord] = ()) -> None:
        self._people.announce(f"assignment.{what}", assignment=assignment, users=users)

    def drop_audience(self, audience: AudienceRecord) -> None:
        """Delete the assignments of a removed audience."""
        for assignment in self._by_audience.get(audience["id"], ()):
            if not assignment["isDeleted"]:
                self.unassign(assignment)

    # Enrolments

    @property
    def enrolments(self) -> dict[str, Record]:
        """The enrolments of all assignments by id."""
        for assignment_id in self._by_assignment:
            for _ in self._all(assignment_id):
                pass
        return self._enrolments

    def joined(self, audience: AudienceRecord, users: Iterable[UserRecord]) -> None:
        """Enrol new members in the assignments of their audience."""
        for assignment in self._by_audience.get(audience["id"], ()):
            if assignment["isActive"]:
                enrolled = self._by_assignment[assignment["id"]]
                now = self._people.now()
                for user in users:
                    known = enrolled.setdefault(user["id"], now)
                    if isinstance(known, Record) and known["status"] == "archived":
                        self._open(known, assignment, now, "enrolled")
                self._announce("assigned", assignment, users)

    def left(self, audience: AudienceRecord, user: UserRecord) -> None:
        """Archive the open enrolments of a former member."""
        for assignment in self._by_audience.get(audience["id"], ()):
            enrolment = self._one(assignment["id"], user["id"])
            if enrolment is not None:
                self._archive(enrolment)

    def enrolments_of(self, assignment_id: str) -> Iterator[Record]:
        """Return the enrolments of an assignment, each with its current status."""
        for enrolment in self._all(assignment_id):
            yield self.current(enrolment)

    def enrolment(self, assignment_id: str, user: str) -> Record | None:
        """Return a user's enrolment in an assignment, by id, ref or e-mail."""
        found = self._people.find_user(user)
        enrolment = self._one(assignment_id, found["id"]) if found else None
        return self.current(enrolment) if enrolment is not None else None

    def current(self, enrolment: Record) -> Record:
        """Return the enrolment with its current status: open again or overdue once its date has come."""
        now = self._people.now()
        assignment = self.assignments[enrolment["assignmentId"]]
        if enrolment["status"] == "complete" and assignment["recurrence"] is not None and assignment["isActive"]:
            completed = instant(enrolment["lastCompletedAt"]) or now
            begins = later(completed, assignment["recurrence"])
            if begins <= now:
                self._open(enrolment, assignment, begins, "recurred")
        if enrolment["status"] == "open":
            due = instant(enrolment["dueDate"])
            if due is not None and due < now:
                self._change(enrolment, "overdue", "overdue")
        return enrolment

    def _all(self, assignment_id: str) -> Iterator[Record]:
        for user_id in self._by_assignment.get(assignment_id, ()):
            enrolment = self._one(assignment_id, user_id)
            if enrolment is not None:
                yield enrolment

    def _one(self, assignment_id: str, user_id: str) -> Record | None:
        """Return a user's enrolment, made from its date on the first read."""
        enrolled = self._by_assignment.get(assignment_id, {})
        since = enrolled.get(user_id)
        if not isinstance(since, datetime):
            return since
        assignment = self.assignments[assignment_id]
        enrolment = Record(
            {
                "id": self._people.new_id(),
                "userId": user_id,
                "assignmentId": assignment_id,
                "audienceId": assignment["audienceId"],
                "primaryContentId": assignment["primaryContentId"],
                "status": "unassigned",
                "availableDate": None,
                "dueDate": None,
                "lastCompletedAt": None,
                "history": [],
                "updatedAt": None,
            }
        )
        # Replace the date in place: while you iterate over a dict, its values may change but its keys may not.
        enrolled[user_id] = enrolment
        self._enrolments[enrolment["id"]] = enrolment
        self._open(enrolment, assignment, since, "enrolled", at=since)
        return enrolment

    def _open(
        self, enrolment: Record, assignment: Record, begins: datetime, kind: str, *, at: datetime | None = None
    ) -> None:
        ends = later(begins, assignment["completionPeriod"])
        enrolment.update(availableDate=timestamp(begins), dueDate=timestamp(ends))
        self._change(enrolment, "open", kind, at=at)

    def _archive(self, enrolment: Record) -> None:
        if enrolment["status"] not in ("archived", "complete"):
            self._change(enrolment, "archived", "archived")

    def _change(
        self,
        enrolment: Record,
        status: str,
        kind: str,
        completion_id: str | None = None,
        *,
        at: datetime | None = None,
    ) -> None:
        stamp = self._people.stamp() if at is None else timestamp(at)
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
        """Record that a user completed a content, and complete the enrolments it counts towards.

        Args:
            user: The user.
            content_id: The content.
            completed_at: The time, in ISO 8601.
            is_rpl: Whether it is recognition of prior learning. Completions sent through the API always are.

        Returns:
            The id of the statement, and whether the completion is new.
        """
        key = (user["id"], content_id, instant(completed_at))
        known = self._known.get(key)
        if known is not None:
            return self.statements[known["id"]], False
        content = self._contents.get(content_id)
        due = [
            enrolment
            for audience_id in user.audience_ids
            for assignment in self._by_audience.get(audience_id, ())
            if content_id in (assignment["primaryContentId"], *(assignment["alternativeContentIds"] or ()))
            and (enrolment := self._one(assignment["id"], user["id"])) is not None
            and self.current(enrolment)["status"] in ("open", "overdue")
        ]
        completion = Record(
            {
                "id": self._people.new_id(),
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
        self.statements[completion["id"]] = statement = self._people.new_id()
        for enrolment in due:
            assignment = self.assignments[enrolment["assignmentId"]]
            if assignment["recurrence"] is not None:
                completed = instant(completed_at) or self._people.now()
                completion["activeUntil"] = timestamp(later(completed, assignment["recurrence"]))
            enrolment["lastCompletedAt"] = completed_at
            self._change(enrolment, "complete", "completed", completion["id"])
        self._people.announce("content.completed", user=user, content=content)
        return statement, True
