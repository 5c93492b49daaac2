"""The users of a sandbox by id, ref and e-mail, and the ids and times of all new records."""

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from thrive_async.sandbox.state.records import UserRecord, timestamp

__all__ = ["People", "blank"]

_ACCOUNT_FIELDS: Final[Mapping[str, Any]] = {
    "loginMethod": "email",
    "jobTitle": None,
    "managerRef": None,
    "startDate": None,
    "endDate": None,
    "domain": None,
}

_KNOWN_USER_FIELDS: Final = frozenset(
    """
    id ref firstName lastName email role status positions additionalFields languageCode deleted compliance level
    firstLogin lastLogin tags usersFollowing tagsFollowing createdAt updatedAt hasPicture timeZone summary
    relevancy rank agreedTerms onboarded audiences singleSignOn
    """.split()  # noqa: SIM905 - as a list it is a page long
)


class People:
    """The users of one sandbox.

    Args:
        now: Returns the time to write on records that change.
        seed: The same seed gives the same ids in the same order.

    Attributes:
        users: Every user by id, including deleted ones.
        now: The function you passed.
        announce: Called with the type and the records of each event that Thrive would send.
    """

    def __init__(self, now: Callable[[], datetime], seed: int) -> None:
        self.now = now
        self.announce: Callable[..., None] = lambda *_, **__: None
        self.users: dict[str, UserRecord] = {}
        self._ids = random.Random(f"{seed} ids")  # noqa: S311
        self._by_ref: dict[str, UserRecord] = {}
        self._by_email: dict[str, UserRecord] = {}

    def new_id(self) -> str:
        """Return a new id of 24 hexadecimal digits."""
        return f"{self._ids.getrandbits(96):024x}"

    def stamp(self) -> str:
        """Return the sandbox's time, as it appears on records."""
        return timestamp(self.now())

    def add_user(self, **fields: Any) -> UserRecord:
        """Add a user to set up a test.

        Args:
            **fields: Fields of the v1 user or the v2 account, by wire name (`firstName`) or in snake case
                (`first_name`). Every field has a default; `ref` and `email` come from a running number. Unknown names
                become extra fields of the v1 user. `active=False` makes a suspended user.

        Returns:
            The new record, also found in `users`.

        Raises:
            ValueError: The id, ref or e-mail is taken, or you passed `audiences`. To add a user to an audience, call
                `audiences[...].members.add(user)`.

        Example:
            ```python
            ada = sandbox.state.add_user(email="ada+work@example.com", firstName="Ada")
            ```
        """
        return self.insert_user(_new_user(fields, number=len(self.users) + 1, id=self.new_id, stamp=self.stamp()))

    def insert_user(self, user: UserRecord) -> UserRecord:
        """Add a finished user and index it.

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
        self.announce("user.created", user=user)
        return user

    def find_user(self, name: str) -> UserRecord | None:
        """Return the user with this id, ref or e-mail, tried in this order. E-mails ignore case."""
        return self.users.get(name) or self._by_ref.get(name) or self._by_email.get(name.lower())

    def find_users(self, names: Iterable[str]) -> list[tuple[str, UserRecord | None]]:
        """Yield each name with the result of `find_user`."""
        by_id, by_ref, by_email = self.users.get, self._by_ref.get, self._by_email.get
        return [(name, by_id(name) or by_ref(name) or by_email(name.lower())) for name in names]

    def user(self, name: str) -> UserRecord:
        """Find a user by id, ref or e-mail.

        Raises:
            KeyError: There is no such user.
        """
        found = self.find_user(name)
        if found is None:
            raise KeyError(name)
        return found

    def by_ref(self, ref: str) -> UserRecord | None:
        """Return the user with exactly this ref."""
        return self._by_ref.get(ref)

    def by_email(self, email: str) -> UserRecord | None:
        """Return the user with this e-mail, ignoring case."""
        return self._by_email.get(email.lower())

    def _reindex(self, user: UserRecord, key: str, value: Any) -> None:
        index = self._by_ref if key == "ref" else self._by_email
        fold: Callable[[str], str] = str if key == "ref" else str.lower
        old = user[key]
        if old is not None and index.get(fold(old)) is user:
            del index[fold(old)]
        if value is not None:
            index[fold(value)] = user


def _new_user(fields: Mapping[str, Any], *, number: int, id: Callable[[], str], stamp: str) -> UserRecord:  # noqa: A002
    """Make a user from v1 or v2 fields, in camel or snake case, with defaults for the rest."""
    given = {_camel(name): value for name, value in fields.items()}
    if given.get("audiences"):
        raise ValueError("add a user to an audience with audiences[...].members.add(user), not with `audiences`")
    account = {name: given.pop(name, default) for name, default in _ACCOUNT_FIELDS.items()}
    active = given.pop("active", True)
    single_sign_on = given.pop("sso", False)
    user: dict[str, Any] = {
        "id": None,
        "ref": f"added-{number}",
        "firstName": "Added",
        "lastName": f"User {number}",
        "email": f"added-{number}@example.com",
        "role": "learner",
        "status": "active" if active else "inactive",
        "positions": [],
        "additionalFields": {},
        "languageCode": "en-gb",
        "deleted": False,
        "compliance": 0,
        "level": 1,
        "firstLogin": None,
        "lastLogin": None,
        "tags": {"skills": []},
        "usersFollowing": [],
        "tagsFollowing": [],
        "createdAt": stamp,
        "updatedAt": stamp,
        "hasPicture": False,
        "timeZone": "Europe/London",
        "summary": None,
        "relevancy": 0,
        "rank": {"currentCategory": 0, "currentLevel": 0},
        "agreedTerms": None,
        "onboarded": False,
        "audiences": [],
        "singleSignOn": single_sign_on,
    }
    user.update(given, audiences=[])
    user["id"] = user["id"] or id()
    return UserRecord(user, account)


def blank(user: UserRecord, stamp: str) -> None:
    """Obfuscate a deleted user in place. `stamp` is the time of the deletion."""
    # Undocumented fields may be personal too.
    for key in [key for key in user if key not in _KNOWN_USER_FIELDS]:
        del user[key]
    user.account.update(_ACCOUNT_FIELDS, loginMethod=user.account["loginMethod"])
    user.update(
        ref=None,
        firstName="Deleted",
        lastName="User",
        email=None,
        status="inactive",
        positions=[],
        additionalFields={},
        summary=None,
        hasPicture=False,
        deleted=True,
        usersFollowing=[],
        updatedAt=stamp,
    )


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
