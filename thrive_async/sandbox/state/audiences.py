"""Audiences and structures, their members, and the index of them all."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from thrive_async.sandbox.state.people import People
from thrive_async.sandbox.state.records import Record, UserRecord

__all__ = ["AudienceIndex", "AudienceRecord", "Members", "Watcher"]


class Watcher(Protocol):
    """Hears of each user who joins or leaves an audience, so that assignments can follow."""

    def joined(self, audience: "AudienceRecord", users: Iterable[UserRecord], /) -> None:
        """Handle new members."""
        ...

    def left(self, audience: "AudienceRecord", user: UserRecord, /) -> None:
        """Handle a member who left."""
        ...


class Members:
    """The members of an audience: user ids in the order of joining.

    Changes here have all the effects of writes through the API: a member of an audience is in its structure too,
    leaving the structure means leaving its audiences, and assignments enrol new members.
    """

    __slots__ = ("_audience", "_ids", "_people", "_watcher")

    def __init__(self, audience: "AudienceRecord", people: People, watcher: Watcher) -> None:
        self._audience = audience
        self._people = people
        self._watcher = watcher
        self._ids: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __contains__(self, user: object) -> bool:
        """Return whether a user is a member, by id, ref or e-mail."""
        if user in self._ids:
            return True
        found = self._people.find_user(user) if isinstance(user, str) else None
        return found is not None and found["id"] in self._ids

    def __repr__(self) -> str:
        return f"<{len(self)} members of {self._audience['reference']}>"

    def add(self, user: "str | UserRecord") -> bool:
        """Add a user, by id, ref, e-mail or record.

        Returns:
            False if the user was already a member.

        Raises:
            KeyError: There is no such user.
        """
        record = user if isinstance(user, UserRecord) else self._people.user(user)
        if record["id"] in self._ids:
            return False
        self.extend([record])
        return True

    def extend(self, users: "Iterable[UserRecord]") -> None:
        """Add many users, by their records. Existing members keep their place."""
        audience, ids = self._audience, self._ids
        audience_id: str = audience["id"]
        joined: list[UserRecord] = []
        for record in users:
            user_id = record["id"]
            if user_id not in ids:
                ids[user_id] = None
                record.audience_ids[audience_id] = None
                record.changed()
                joined.append(record)
        if joined:
            if audience.parent is not None:
                audience.parent.members.extend(joined)
            self._watcher.joined(audience, joined)

    def discard(self, user: "str | UserRecord") -> bool:
        """Remove a user, by id, ref, e-mail or record.

        Returns:
            False if the user was not a member.

        Raises:
            KeyError: There is no such user.
        """
        record = user if isinstance(user, UserRecord) else self._people.user(user)
        if record["id"] not in self._ids:
            return False
        del self._ids[record["id"]]
        record.audience_ids.pop(self._audience["id"], None)
        record.changed()
        for child in self._audience.children:
            child.members.discard(record)
        self._watcher.left(self._audience, record)
        return True

    def replace(self, users: Iterable["str | UserRecord"]) -> None:
        """Make these users the only members: the others leave, and new ones join at the end."""
        wanted = [user if isinstance(user, UserRecord) else self._people.user(user) for user in users]
        keep = {record["id"] for record in wanted}
        for gone in [one for one in self._ids if one not in keep]:
            self.discard(gone)
        self.extend(wanted)


class AudienceRecord(Record):
    """One audience or structure: a dict in wire format.

    Attributes:
        members: Its members.
        managers: `{user id: permissions as read}`.
        parent: The structure it belongs to, or None for a structure.
        children: The audiences inside a structure.
        rule: For a smart audience, the function that decides whether a user belongs in it.
    """

    __slots__ = ("children", "managers", "members", "parent", "rule")

    def __init__(self, fields: dict[str, Any], people: People, watcher: Watcher) -> None:
        super().__init__(fields)
        self.members: Members = Members(self, people, watcher)
        self.managers: dict[str, dict[str, dict[str, bool]]] = {}
        self.parent: AudienceRecord | None = None
        self.children: list[AudienceRecord] = []
        self.rule: Callable[[UserRecord], bool] | None = None

    def view(self, form: str) -> Any:
        """The audience as it appears in lists. Only a child has a `parent`."""
        del form
        shown = dict(self)
        if self.parent is not None:
            parent = self.parent
            shown["parent"] = {"name": parent["name"], "reference": parent["reference"], "id": parent["id"]}
        return shown

    def changed(self) -> None:
        """Forget the encoded form, and those of the children, because they name their parent."""
        super().changed()
        for child in getattr(self, "children", ()):
            child.changed()


class AudienceIndex(Mapping[str, AudienceRecord]):
    """Every audience and structure, by id or reference. Iterates over ids in the order of creation."""

    def __init__(self) -> None:
        self._by_id: dict[str, AudienceRecord] = {}

    def __getitem__(self, key: str) -> AudienceRecord:
        found = self.find(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, key: str) -> AudienceRecord | None:
        """Return the audience with this id or, failing that, this reference."""
        found = self._by_id.get(key)
        if found is None and key:
            # Search without an index: a test may rewrite references at any time, and there are few audiences.
            found = next((one for one in self._by_id.values() if one["reference"] == key), None)
        return found

    def insert(self, audience: AudienceRecord) -> None:
        """Add an audience at the end."""
        self._by_id[audience["id"]] = audience

    def remove(self, audience: AudienceRecord) -> None:
        """Remove an audience."""
        del self._by_id[audience["id"]]
