"""The sandbox's data: users, audiences, learning, and the rules between them."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from thrive_async.sandbox.state.audiences import AudienceIndex, AudienceRecord
from thrive_async.sandbox.state.learning import Learning
from thrive_async.sandbox.state.people import People, blank
from thrive_async.sandbox.state.records import Record, UserRecord

__all__ = ["State"]


class State(People):
    """The data of one sandbox: arrange it before a test, inspect it afterwards.

    The server answers from this data, so your changes take effect at once.

    Args:
        now: Returns the time to write on records that change.
        seed: The same seed gives the same ids in the same order.

    Attributes:
        users: Every user by id, including deleted ones.
        audiences: Every audience and structure, by id or reference.
        contents: Contents by id.
        activities: Activities by id.
        tags: Tags by id.
        skill_levels: The skill levels, as listed.
        categories: CPD categories by id.
        entries: CPD entries by id.
        requirements: CPD requirement summaries by id.
        events: Accepted provisioning events by id.
        learning: Assignments, enrolments and completions.
    """

    def __init__(self, now: Callable[[], datetime], seed: int = 1) -> None:
        super().__init__(now, seed)
        self.audiences: AudienceIndex = AudienceIndex()
        self.contents: dict[str, Record] = {}
        self.activities: dict[str, Record] = {}
        self.tags: dict[str, Record] = {}
        self.skill_levels: list[dict[str, Any]] = []
        self.categories: dict[str, Record] = {}
        self.entries: dict[str, Record] = {}
        self.requirements: dict[str, Record] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.learning: Learning = Learning(self, self.contents)
        self._tags_by_name: dict[str, Record] = {}

    # Users

    def insert_user(self, user: UserRecord) -> UserRecord:
        """Add a finished user, also to the smart audiences with a matching rule.

        Raises:
            ValueError: The id, ref or e-mail is taken.
        """
        super().insert_user(user)
        self.apply_rules(user)
        return user

    def delete_user(self, user: UserRecord) -> None:
        """Obfuscate a user: only the id and the learning history stay."""
        user["status"] = "inactive"
        self.announce("user.deactivated", user=user)
        for audience_id in list(user.audience_ids):
            audience = self.audiences.find(audience_id)
            if audience is not None:
                audience.members.discard(user)
        for audience in self.audiences.values():
            audience.managers.pop(user["id"], None)
        blank(user, self.stamp())

    def apply_rules(self, user: UserRecord) -> None:
        """Add the user to each smart audience, or remove them, by its rule."""
        for audience in self.audiences.values():
            if audience.rule is not None:
                if audience.rule(user):
                    audience.members.add(user)
                else:
                    audience.members.discard(user)

    # Audiences

    def add_audience(
        self,
        reference: str | None,
        *,
        name: str | None = None,
        category: str = "audience",
        parent: str | AudienceRecord | None = None,
        api_controlled: bool = True,
        type: str = "manual",  # noqa: A002
        members: Iterable[str | UserRecord] = (),
        rule: Callable[[UserRecord], bool] | None = None,
    ) -> AudienceRecord:
        """Add an audience or structure to set up a test. It may be UI-made or smart.

        Args:
            reference: Its reference.
            name: Its name. The default is made from the reference.
            category: "audience" or "structure".
            parent: The structure it belongs to, by id, reference or record; None for no structure.
            api_controlled: False for an audience made in Thrive's user interface, which the API may not change.
            type: "manual" or "smart".
            members: Users, by id, ref, e-mail or record.
            rule: For a smart audience, a function that decides whether a user belongs in it. It runs now and whenever
                a user changes.

        Returns:
            The record, with `.members`, `.managers`, `.parent` and `.children`.

        Raises:
            KeyError: There is no such parent or user.
            ValueError: Another audience has the reference.
        """
        # Look everything up first, so that a mistake changes nothing.
        above = self.audiences[parent] if isinstance(parent, str) else parent
        joining = [one if isinstance(one, UserRecord) else self.user(one) for one in members]
        if reference is not None and self.audiences.find(reference) is not None:
            raise ValueError(f"another audience has the reference {reference!r}")
        stamp = self.stamp()
        audience = AudienceRecord(
            {
                "id": self.new_id(),
                "name": name if name is not None else (reference or "Audience").replace("-", " ").title(),
                "reference": reference,
                "apiControlled": api_controlled,
                "category": category,
                "type": type,
                "createdAt": stamp,
                "updatedAt": stamp,
            },
            people=self,
            watcher=self.learning,
        )
        self.audiences.insert(audience)
        if above is not None:
            self.set_parent(audience, above)
        audience.members.extend(joining)
        if rule is not None:
            audience.rule = rule
            for user in list(self.users.values()):
                self.apply_rules(user)
        return audience

    def set_parent(self, audience: AudienceRecord, parent: AudienceRecord) -> None:
        """Put an audience into a structure, without changing its members."""
        if audience.parent is not None:
            audience.parent.children = [one for one in audience.parent.children if one is not audience]
        audience.parent = parent
        parent.children.append(audience)
        audience.changed()

    def remove_audience(self, audience: AudienceRecord) -> None:
        """Remove an audience with its memberships and assignments."""
        self.learning.drop_audience(audience)
        for user_id in audience.members:
            user = self.users[user_id]
            user.audience_ids.pop(audience["id"], None)
            user.changed()
        if audience.parent is not None:
            audience.parent.children = [one for one in audience.parent.children if one is not audience]
        self.audiences.remove(audience)

    # Contents and activities

    def add_content(self, title: str | None = "Added content", **fields: Any) -> Record:
        """Add a content to set up a test.

        Args:
            title: Its title.
            **fields: More fields by wire name. `type` is "article" by default.

        Returns:
            The record.
        """
        stamp = self.stamp()
        content = Record(
            {
                "id": self.new_id(),
                "title": title,
                "description": None,
                "tags": [],
                "type": "article",
                "createdAt": stamp,
                "updatedAt": stamp,
                "author": None,
                "isOfficial": False,
                "duration": None,
                "contentHistory": [],
                **fields,
            }
        )
        self.contents[content["id"]] = content
        self.announce("content.created", content=content)
        return content

    def add_activity(
        self, user: UserRecord, kind: str, content: Record | None = None, *, date: str | None = None, **data: Any
    ) -> Record:
        """Add an activity to set up a test.

        Args:
            user: The user.
            kind: What they did: viewed, completed, liked...
            content: The content they did it with.
            date: The time, in ISO 8601. The default is now.
            **data: More data of the activity.

        Returns:
            The record.
        """
        activity = Record(
            {
                "id": self.new_id(),
                "user": user["id"],
                "type": kind,
                "name": content["title"] if content is not None else None,
                "date": date or self.stamp(),
                "contextId": content["id"] if content is not None else None,
                "contextType": "content" if content is not None else None,
                "contentType": content["type"] if content is not None else None,
                "data": data,
            }
        )
        self.activities[activity["id"]] = activity
        return activity

    # Tags

    def add_tag(self, name: str) -> Record:
        """Add a tag for users and contents."""
        tag = Record({"tag": name, "id": self.new_id(), "contents": [], "campaigns": [], "interests": [], "skills": []})
        tag.stamp = self.stamp()
        self.tags[tag["id"]] = tag
        self._tags_by_name[name] = tag
        return tag

    def tag(self, name: str) -> Record | None:
        """Return the tag with this name."""
        return self._tags_by_name.get(name)

    def give_tag(self, user: UserRecord, tag: Record) -> None:
        """Add a tag to the user's skills."""
        skills = _skills(user)
        if tag["tag"] not in skills:
            user["tags"] = {**(user["tags"] or {}), "skills": [*skills, tag["tag"]]}
            tag["skills"] = [*tag["skills"], user["id"]]
            tag.stamp = self.stamp()

    def take_tag(self, user: UserRecord, tag: Record) -> None:
        """Remove a tag from the user's skills."""
        skills = _skills(user)
        if tag["tag"] in skills:
            user["tags"] = {**user["tags"], "skills": [one for one in skills if one != tag["tag"]]}
            tag["skills"] = [one for one in tag["skills"] if one != user["id"]]
            tag.stamp = self.stamp()
        user.skill_levels.pop(tag["tag"], None)


def _skills(user: UserRecord) -> list[str]:
    tags: dict[str, Any] = user["tags"] or {}
    return tags.get("skills") or []
