"""The sandbox's records: dicts in the shape of the wire that remember their encoded form."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

if TYPE_CHECKING:
    from thrive_async.sandbox.state.state import State

__all__ = ["AudienceIndex", "AudienceRecord", "Members", "Record", "UserRecord", "instant", "later", "timestamp"]


_LEAP_SECOND: Final = re.compile(r"(:[0-9]{2}):60")


def timestamp(moment: datetime) -> str:
    """A moment as Thrive writes it: ISO 8601 in UTC with milliseconds."""
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        # The first or last hours of time itself, which in UTC lie outside it.
        moment = moment.replace(tzinfo=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(value: str | None) -> datetime | None:
    """A date as an aware datetime; what has no zone is UTC, what is no date is None.

    RFC 3339 allows more than Python: a leap second counts as the second before, year 0 as the first moment there is.
    """
    if not value:
        return None
    text = value.upper()
    if text.startswith("0000-"):
        return datetime.min.replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(_LEAP_SECOND.sub(r"\1:59", text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def later(moment: datetime, days: float) -> datetime:
    """So many days after a moment, and never later than time goes."""
    try:
        return moment + timedelta(days=days)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


class Record(dict[str, Any]):
    """A JSON object of the wire that keeps its encoded form until a key is written.

    Setting a key of the record itself is noticed. After a change inside a nested value call `changed()`.

    Attributes:
        stamp: When it was changed last, for records that do not show it.
    """

    __slots__ = ("_wire", "stamp")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wire: dict[str, bytes] = {}
        self.stamp: str | None = None

    def wire(self, form: str = "") -> bytes:
        """The record as JSON.

        Args:
            form: Which of the record's shapes; the empty one is the dict as it stands.
        """
        encoded = self._wire.get(form)
        if encoded is None:
            encoded = self._wire[form] = orjson.dumps(self.view(form))
        return encoded

    def view(self, form: str) -> Any:
        """The object that `wire(form)` encodes."""
        del form
        return self

    def changed(self) -> None:
        """Forget the encoded form. Needed only after a change inside a nested value."""
        self._wire.clear()

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self.changed()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self.changed()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As of a dict."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def pop(self, key: str, *default: Any) -> Any:
        """As of a dict."""
        value = super().pop(key, *default)
        self.changed()
        return value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As of a dict."""
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc,override]
        self.update(other)
        return self


_BASIC_FIELDS = (
    "id ref firstName lastName email role status positions additionalFields languageCode".split()  # noqa: SIM905
)


class UserRecord(Record):
    """One user: a dict in the shape of `GET /rest/v1/user/{id}`, with what only v2 shows in `account`.

    Attributes:
        account: `loginMethod, jobTitle, managerRef, startDate, endDate, domain` of the v2 resource.
        skill_levels: `{tag name: {"level": ..., "targetLevel": ...}}`, which no endpoint shows.
        audience_ids: Ids of the audiences the user is a member of, in the order of joining.
    """

    __slots__ = ("_reindex", "account", "audience_ids", "skill_levels")

    def __init__(self, fields: dict[str, Any], account: dict[str, Any]) -> None:
        self._reindex: Callable[[UserRecord, str, Any], None] | None = None
        super().__init__(fields)
        self.account: dict[str, Any] = account
        self.skill_levels: dict[str, dict[str, int]] = {}
        self.audience_ids: dict[str, None] = {}

    def watch(self, reindex: "Callable[[UserRecord, str, Any], None]") -> None:
        """Have the store told of every new ref and e-mail."""
        self._reindex = reindex

    def __setitem__(self, key: str, value: Any) -> None:
        if key in ("ref", "email") and self._reindex is not None:
            self._reindex(self, key, value)
        super().__setitem__(key, value)

    def view(self, form: str) -> Any:
        """The user as v1 `""`, v1 with audience ids `"bare"`, `"basic"`, v2 `"account"` or audience `"member"`."""
        if form == "member":
            return {"userId": self["id"], "reference": self["ref"], "email": self["email"]}
        if form == "basic":
            return {key: self[key] for key in _BASIC_FIELDS}
        if form == "account":
            return self.account_view()
        user = dict(self)
        user["audiences"] = list(self.audience_ids) if form == "bare" else [{"id": one} for one in self.audience_ids]
        return user

    def account_view(self) -> dict[str, Any]:
        """The user in the shape of the v2 endpoints."""
        account = self.account
        return {
            "id": self["id"],
            "loginMethod": account["loginMethod"],
            "ref": self["ref"],
            "email": self["email"],
            "firstName": self["firstName"],
            "lastName": self["lastName"],
            "role": self["role"],
            "jobTitle": account["jobTitle"],
            "managerRef": account["managerRef"],
            "startDate": account["startDate"],
            "endDate": account["endDate"],
            "timeZone": self["timeZone"],
            "languageCode": self["languageCode"],
            "active": self["status"] not in ("inactive", "expired"),
            "createdAt": self["createdAt"],
            "updatedAt": self["updatedAt"],
            "sso": self["singleSignOn"],
            "domain": account["domain"],
            "additionalFields": self["additionalFields"],
        }


class Members:
    """Who is in an audience: user ids in the order of joining.

    Adding and discarding here has all the effects that the API's own writes have: a member of a child audience
    is in its structure too, who leaves the structure leaves its audiences, and assignments enrol whoever comes.
    """

    __slots__ = ("_audience", "_ids", "_state")

    def __init__(self, state: "State", audience: "AudienceRecord") -> None:
        self._state = state
        self._audience = audience
        self._ids: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __contains__(self, user: object) -> bool:
        """Whether a user is a member, by id, ref or e-mail."""
        if user in self._ids:
            return True
        found = self._state.find_user(user) if isinstance(user, str) else None
        return found is not None and found["id"] in self._ids

    def __repr__(self) -> str:
        return f"<{len(self)} members of {self._audience['reference']}>"

    def add(self, user: "str | UserRecord") -> bool:
        """Add a user, by id, ref, e-mail or record.

        Returns:
            False if the user was a member already.

        Raises:
            KeyError: No such user.
        """
        record = user if isinstance(user, UserRecord) else self._state.user(user)
        if record["id"] in self._ids:
            return False
        self.extend([record])
        return True

    def extend(self, users: "Iterable[UserRecord]") -> None:
        """Add many users, by their records. Who is a member already stays where they are."""
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
            self._state.learning.joined(audience, joined)

    def discard(self, user: "str | UserRecord") -> bool:
        """Remove a user, by id, ref, e-mail or record.

        Returns:
            False if the user was no member.

        Raises:
            KeyError: No such user.
        """
        record = user if isinstance(user, UserRecord) else self._state.user(user)
        if record["id"] not in self._ids:
            return False
        del self._ids[record["id"]]
        record.audience_ids.pop(self._audience["id"], None)
        record.changed()
        for child in self._audience.children:
            child.members.discard(record)
        self._state.learning.left(self._audience, record)
        return True

    def replace(self, users: Iterable["str | UserRecord"]) -> None:
        """Make these users the members: the others leave, the newcomers join behind those who stay."""
        wanted = [user if isinstance(user, UserRecord) else self._state.user(user) for user in users]
        keep = {record["id"] for record in wanted}
        for gone in [one for one in self._ids if one not in keep]:
            self.discard(gone)
        self.extend(wanted)


class AudienceRecord(Record):
    """One audience or structure: a dict in the shape of the wire.

    Attributes:
        members: Who is in it.
        managers: `{user id: permissions as read}`.
        parent: The structure it belongs to, None for a structure.
        children: The audiences inside a structure.
        rule: For a smart audience: who belongs in it.
    """

    __slots__ = ("children", "managers", "members", "parent", "rule")

    def __init__(self, state: "State", fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.members: Members = Members(state, self)
        self.managers: dict[str, dict[str, dict[str, bool]]] = {}
        self.parent: AudienceRecord | None = None
        self.children: list[AudienceRecord] = []
        self.rule: Callable[[UserRecord], bool] | None = None

    def view(self, form: str) -> Any:
        """The audience as it is listed; `parent` only on a child."""
        del form
        shown = dict(self)
        if self.parent is not None:
            parent = self.parent
            shown["parent"] = {"name": parent["name"], "reference": parent["reference"], "id": parent["id"]}
        return shown

    def changed(self) -> None:
        """Forget the encoded form, of the children too, which name their parent."""
        super().changed()
        for child in getattr(self, "children", ()):
            child.changed()


class AudienceIndex(Mapping[str, AudienceRecord]):
    """Every audience and structure by id or by reference; iterates over ids in the order of creation."""

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
        """The audience with this id or, failing that, this reference."""
        found = self._by_id.get(key)
        if found is None and key:
            # References may be rewritten by a test at any time, and audiences are few: no index to go stale.
            found = next((one for one in self._by_id.values() if one["reference"] == key), None)
        return found

    def insert(self, audience: AudienceRecord) -> None:
        """Put an audience in, at the end."""
        self._by_id[audience["id"]] = audience

    def remove(self, audience: AudienceRecord) -> None:
        """Take an audience out."""
        del self._by_id[audience["id"]]
