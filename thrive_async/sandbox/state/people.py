"""Users as they come and as they go."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from thrive_async.sandbox.state.records import UserRecord

__all__ = ["blank", "new_user"]

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


def new_user(fields: Mapping[str, Any], *, number: int, id: Callable[[], str], stamp: str) -> UserRecord:  # noqa: A002
    """A user with defaults for everything that is not given.

    Args:
        fields: Fields of v1 or of v2, in camel or snake case.
        number: For ref, name and e-mail.
        id: Makes an id, asked only if none is given.
        stamp: When it is made.

    Raises:
        ValueError: `audiences` are given.
    """
    given = {_camel(name): value for name, value in fields.items()}
    if given.get("audiences"):
        raise ValueError("a user joins an audience by audiences[...].members.add(user), not by a field")
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
    """Obfuscate a user in place.

    Args:
        user: Who is deleted.
        stamp: When.
    """
    # Fields that no document names may be personal as well.
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
