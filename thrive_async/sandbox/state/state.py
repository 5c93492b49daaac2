"""What a sandbox holds: users, audiences, learning, and how they hang together."""

import random
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from thrive_async.sandbox.state.learning import Learning
from thrive_async.sandbox.state.people import blank, new_user
from thrive_async.sandbox.state.records import AudienceIndex, AudienceRecord, Record, UserRecord, timestamp

__all__ = ["State"]


class State:
    """The data of one sandbox, to arrange before a test and to look at after it.

    Everything here takes effect at once, and the server answers from it.

    Attributes:
        users: Every user by id, deleted ones too.
        audiences: Every audience and structure, by id or reference.
        contents: Content records by id.
        activities: Activity records by id.
        tags: Tags by id.
        skill_levels: The levels, as listed.
        categories: CPD categories by id.
        entries: CPD log entries by id.
        requirements: CPD requirement summaries by id.
        learning: Assignments, enrolments and completions.

    Args:
        now: Tells the time that is written on what changes.
        seed: Ids of what is created are the same for the same seed and order.
    """

    def __init__(self, now: Callable[[], datetime], seed: int = 1) -> None:
        self.now = now
        self._ids = random.Random(f"{seed} ids")  # noqa: S311
        self.users: dict[str, UserRecord] = {}
        self.audiences: AudienceIndex = AudienceIndex()
        self.contents: dict[str, Record] = {}
        self.activities: dict[str, Record] = {}
        self.tags: dict[str, Record] = {}
        self.skill_levels: list[dict[str, Any]] = []
        self.categories: dict[str, Record] = {}
        self.entries: dict[str, Record] = {}
        self.requirements: dict[str, Record] = {}
        self.learning: Learning = Learning(self)
        self._by_ref: dict[str, UserRecord] = {}
        self._by_email: dict[str, UserRecord] = {}
        self._tags_by_name: dict[str, Record] = {}

    def new_id(self) -> str:
        """A fresh id of 24 hexadecimal digits."""
        return f"{self._ids.getrandbits(96):024x}"

    def stamp(self) -> str:
        """The sandbox's time, as written on records."""
        return timestamp(self.now())

    # Users

    def add_user(self, **fields: Any) -> UserRecord:
        """Add a user, as an arrangement for a test.

        Args:
            **fields: Fields of the v1 user or of the v2 account, by their wire names (`firstName`) or in snake case
                (`first_name`). Everything has a default; `ref` and `email` are made up from a running number.
                Unknown names become extra fields of the v1 user. `active=False` is a suspended user.

        Returns:
            The record, which stands in `users` from now on.

        Raises:
            ValueError: The id, ref or e-mail is taken, or `audiences` are given: people join an audience by
                `audiences[...].members.add(user)`.

        Example:
            ```python
            ada = sandbox.state.add_user(email="ada+work@example.com", firstName="Ada")
            ```
        """
        return self.insert_user(new_user(fields, number=len(self.users) + 1, id=self.new_id, stamp=self.stamp()))

    def insert_user(self, user: UserRecord) -> UserRecord:
        """Take a finished user in and index it.

        Raises:
            ValueError: The id, ref or e-mail is taken.
        """
        ref, email = user["ref"], user["email"]
        taken = (
            (user["id"] in self.users and "id")
            or (ref is not None and ref in self._by_ref and "ref")
            or (email is not None and email.lower() in self._by_email and "email")
        )
        if taken:
            raise ValueError(f"another user has the {taken} {user[taken]!r}")
        self.users[user["id"]] = user
        if ref is not None:
            self._by_ref[ref] = user
        if email is not None:
            self._by_email[email.lower()] = user
        user.watch(self._reindex)
        self.apply_rules(user)
        return user

    def find_user(self, name: str) -> UserRecord | None:
        """The user with this id, ref or e-mail, tried in this order; e-mails match in any case."""
        return self.users.get(name) or self._by_ref.get(name) or self._by_email.get(name.lower())

    def find_users(self, names: Iterable[str]) -> list[tuple[str, UserRecord | None]]:
        """Each name with what `find_user` finds for it."""
        by_id, by_ref, by_email = self.users.get, self._by_ref.get, self._by_email.get
        return [(name, by_id(name) or by_ref(name) or by_email(name.lower())) for name in names]

    def user(self, name: str) -> UserRecord:
        """As `find_user`.

        Raises:
            KeyError: No such user.
        """
        found = self.find_user(name)
        if found is None:
            raise KeyError(name)
        return found

    def by_ref(self, ref: str) -> UserRecord | None:
        """The user with exactly this ref."""
        return self._by_ref.get(ref)

    def by_email(self, email: str) -> UserRecord | None:
        """The user with this e-mail, in any case."""
        return self._by_email.get(email.lower())

    def _reindex(self, user: UserRecord, key: str, value: Any) -> None:
        index = self._by_ref if key == "ref" else self._by_email
        fold: Callable[[str], str] = str if key == "ref" else str.lower
        old = user[key]
        if old is not None and index.get(fold(old)) is user:
            del index[fold(old)]
        if value is not None:
            index[fold(value)] = user

    def delete_user(self, user: UserRecord) -> None:
        """Obfuscate a user: nothing personal stays, the id and the learning history do."""
        for audience_id in list(user.audience_ids):
            audience = self.audiences.find(audience_id)
            if audience is not None:
                audience.members.discard(user)
        for audience in self.audiences.values():
            audience.managers.pop(user["id"], None)
        blank(user, self.stamp())

    def apply_rules(self, user: UserRecord) -> None:
        """Let the smart audiences take the user in or let them go."""
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
        """Add an audience or structure, as an arrangement for a test; UI-made and smart ones too.

        Args:
            reference: Its reference.
            name: Its name, by default made from the reference.
            category: "audience" or "structure".
            parent: The structure it belongs to: id, reference or record. An audience without one stands alone.
            api_controlled: False for one made in Thrive's user interface, which the API may not change.
            type: "manual" or "smart".
            members: Users, by id, ref, e-mail or record.
            rule: For a smart audience: who belongs in it, applied now and whenever a user changes.

        Returns:
            The record, with `.members`, `.managers`, `.parent` and `.children`.

        Raises:
            KeyError: No such parent or user.
            ValueError: Another audience has the reference.
        """
        # All of it is looked up first, so that a mistake leaves nothing behind.
        above = self.audiences[parent] if isinstance(parent, str) else parent
        joining = [one if isinstance(one, UserRecord) else self.user(one) for one in members]
        if reference is not None and self.audiences.find(reference) is not None:
            raise ValueError(f"another audience has the reference {reference!r}")
        stamp = self.stamp()
        audience = AudienceRecord(
            self,
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
        """Hang an audience under a structure; members stay as they are."""
        if audience.parent is not None:
            audience.parent.children = [one for one in audience.parent.children if one is not audience]
        audience.parent = parent
        parent.children.append(audience)
        audience.changed()

    def remove_audience(self, audience: AudienceRecord) -> None:
        """Take an audience out, with its memberships and its assignments."""
        self.learning.drop_audience(audience)
        for user_id in audience.members:
            user = self.users[user_id]
            user.audience_ids.pop(audience["id"], None)
            user.changed()
        if audience.parent is not None:
            audience.parent.children = [one for one in audience.parent.children if one is not audience]
        self.audiences.remove(audience)

    # Contents and what is done with them

    def add_content(self, title: str | None = "Added content", **fields: Any) -> Record:
        """Add a content, as an arrangement for a test.

        Args:
            title: Its title.
            **fields: Further fields by their wire names; `type` is "article" by default.

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
        return content

    def add_activity(
        self, user: UserRecord, kind: str, content: Record | None = None, *, date: str | None = None, **data: Any
    ) -> Record:
        """Add an activity, as an arrangement for a test.

        Args:
            user: Who did it.
            kind: What: viewed, completed, liked...
            content: With what content.
            date: When, ISO 8601; now by default.
            **data: What is known of it.

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
        """Add a tag, so that it can be put on users and contents."""
        tag = Record({"tag": name, "id": self.new_id(), "contents": [], "campaigns": [], "interests": [], "skills": []})
        tag.stamp = self.stamp()
        self.tags[tag["id"]] = tag
        self._tags_by_name[name] = tag
        return tag

    def tag(self, name: str) -> Record | None:
        """The tag with this name."""
        return self._tags_by_name.get(name)

    def give_tag(self, user: UserRecord, tag: Record) -> None:
        """Put a tag among the user's skills."""
        skills = _skills(user)
        if tag["tag"] not in skills:
            user["tags"] = {**(user["tags"] or {}), "skills": [*skills, tag["tag"]]}
            tag["skills"] = [*tag["skills"], user["id"]]
            tag.stamp = self.stamp()

    def take_tag(self, user: UserRecord, tag: Record) -> None:
        """Take a tag from the user's skills."""
        skills = _skills(user)
        if tag["tag"] in skills:
            user["tags"] = {**user["tags"], "skills": [one for one in skills if one != tag["tag"]]}
            tag["skills"] = [one for one in tag["skills"] if one != user["id"]]
            tag.stamp = self.stamp()
        user.skill_levels.pop(tag["tag"], None)


def _skills(user: UserRecord) -> list[str]:
    tags: dict[str, Any] = user["tags"] or {}
    return tags.get("skills") or []
