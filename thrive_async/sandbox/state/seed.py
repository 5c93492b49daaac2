"""The data a sandbox starts with: the same for the same seed, and as untidy as real data."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from thrive_async.sandbox.state import names
from thrive_async.sandbox.state.records import Record, UserRecord, timestamp
from thrive_async.sandbox.state.state import State

__all__ = ["EPOCH", "seed_state"]

EPOCH: Final = datetime(2026, 1, 1, 9, tzinfo=UTC)
"""The time at which a sandbox with a virtual clock starts. Seeded records are older."""

_DAY: Final = 86_400

# Refs that need care in a path, at fixed positions so that small sandboxes have them too.
_ODD_REFS: Final = (
    "north/unit-7",
    "a+b@corp",
    "50% time",
    "ref with space",
    "quota?#1",
    "Müller-01",
    "semi;colon,comma",
    "..hidden",
    "123456",
)


def seed_state(state: State, users: int, seed: int) -> None:
    """Fill an empty state.

    It gets the structure `emea` with the audience `sales-emea` (half of the users), and the structure `apac` with
    `sales-apac`. `ui-structure`, `ui-made` and the smart audience `all-staff-smart` count as made in the user
    interface.

    Args:
        state: The state to fill.
        users: The number of users.
        seed: The same seed gives the same data.
    """
    rng = random.Random(seed)  # noqa: S311
    now, state.now = state.now, lambda: EPOCH
    try:
        for level, value in names.SKILL_LEVELS:
            state.skill_levels.append({"name": level, "isEnabled": True, "value": value})
        for tag in names.TAGS:
            state.add_tag(tag)
        people = _users(state, rng, users)
        _audiences(state, rng, people)
        _contents(state, rng, people)
        _learning(state, rng, people)
        _activities(state, rng, people)
        _cpd(state, rng, people)
    finally:
        state.now = now


def _id(rng: random.Random) -> str:
    return f"{rng.getrandbits(96):024x}"


def _moment(rng: random.Random, days: int = 700) -> str:
    """Return a time before the epoch, mostly with milliseconds, like live data."""
    seconds = int(rng.random() * days * _DAY)
    text = timestamp(EPOCH - timedelta(seconds=seconds, milliseconds=seconds % 997))
    return text if seconds % 10 else text[:19] + "Z"


def _users(state: State, rng: random.Random, count: int) -> list[UserRecord]:
    """Add users, with nulls, odd refs, plus-addresses, extra fields and unknown enum values at fixed intervals."""
    people: list[UserRecord] = []
    choice, moment = rng.choice, _moment
    for number in range(1, count + 1):
        first, last = choice(names.FIRST_NAMES), choice(names.LAST_NAMES)
        # Every ninth user has an odd ref, as long as there are some left; the other refs count up.
        odd = number // 9 - 1 if number % 9 == 0 else -1
        ref: str | None = _ODD_REFS[odd] if 0 <= odd < len(_ODD_REFS) else f"E{number:05d}"
        email: str | None = f"user{number}@example.com"
        status = "active"
        if number % 20 == 7:
            email = f"user{number}+thrive@example.com"
        elif number % 50 == 13:
            email = f"User{number}@Example.COM"
        elif number % 40 == 19:
            email = None
        elif number % 60 == 31:
            ref = None
        if number % 25 == 11:
            status = "inactive"
        elif number % 25 == 4:
            status = "new"
        elif number % 100 == 57:
            status = "expired"
        created = moment(rng)
        updated = moment(rng, 60) if number % 3 else None
        manager = people[number // 10] if number > 10 else None
        title = choice(names.JOB_TITLES)
        new = status == "new"
        position = {
            "id": _id(rng),
            "manager": None if manager is None else {"id": manager["id"]},
            "ouId": None,
            "isActive": True,
            "startDate": created,
            "endDate": None,
            "createdAt": created,
            "updatedAt": updated,
            "title": title,
        }
        user: dict[str, Any] = {
            "id": _id(rng),
            "ref": ref,
            "firstName": first,
            "lastName": last if number % 45 != 22 else None,
            "email": email,
            "role": "learner" if number % 30 else ("administrator", "learneradmin", "contentcurator")[number // 30 % 3],
            "status": status,
            "positions": [position] if number % 8 else [],
            "additionalFields": {"department": choice(names.DEPARTMENTS), "costCentre": str(number % 37)},
            "languageCode": choice(names.LANGUAGES) if number % 15 else None,
            "deleted": False,
            "compliance": number * 37 % 101,
            "level": number % 12,
            "firstLogin": None if new else created,
            "lastLogin": None if new else updated,
            "tags": {"skills": []},
            "usersFollowing": [],
            "tagsFollowing": [],
            "createdAt": created,
            "updatedAt": updated or created,
            "hasPicture": number % 4 == 0,
            "timeZone": choice(names.TIME_ZONES) if number % 12 else None,
            "summary": "Ask me about 🚲 & ☕" if number % 14 == 0 else None,
            "relevancy": number % 7 / 2,
            "rank": {"currentCategory": number % 3, "currentLevel": number % 12},
            "agreedTerms": None if new else created,
            "onboarded": not new,
            "audiences": [],
            "singleSignOn": number % 2 == 0,
        }
        if number % 16 == 5:
            # Undocumented fields, which a model has to ignore.
            user["pronouns"] = "they/them"
            user["legacy"] = {"hrId": number, "flags": ["a", None]}
        account = {
            "loginMethod": "email" if email else "ref",
            "jobTitle": title,
            "managerRef": None if manager is None else manager["ref"],
            "startDate": created,
            "endDate": None if status != "inactive" else updated,
            "domain": None,
        }
        people.append(state.insert_user(UserRecord(user, account)))
    for user in people[::6]:
        for tag in rng.sample(names.TAGS, 2):
            record = state.tag(tag)
            if record is not None:
                state.give_tag(user, record)
    return people


def _audiences(state: State, rng: random.Random, people: list[UserRecord]) -> None:
    emea = state.add_audience("emea", name="EMEA", category="structure")
    sales = state.add_audience("sales-emea", name="Sales EMEA", parent=emea)
    apac = state.add_audience("apac", name="APAC", category="structure")
    state.add_audience(
        "sales-apac", name="Sales APAC (日本)", parent=apac, members=people[:: max(1, len(people) // 10)]
    )
    for user in people:
        if rng.random() < 0.05:
            emea.members.add(user)
    for index in sorted(rng.sample(range(len(people)), len(people) // 2)):
        sales.members.add(people[index])
    structure = state.add_audience("ui-structure", name="Head office", category="structure", api_controlled=False)
    state.add_audience(
        "ui-made", name="Book club", parent=structure, api_controlled=False, members=people[: len(people) // 5]
    )
    state.add_audience(
        "all-staff-smart",
        name="All staff",
        parent=structure,
        api_controlled=False,
        type="smart",
        rule=lambda user: user["status"] != "inactive",
    )
    # Another undocumented field.
    sales["colour"] = "#ffcc00"
    for user in people[1:3]:
        sales.managers[user["id"]] = _permissions(administrator=False)
    for user in people[3:4]:
        emea.managers[user["id"]] = _permissions(administrator=True)


def _permissions(*, administrator: bool) -> dict[str, dict[str, bool]]:
    permissions = {
        "audienceManager": {"manageMembers": False, "manageContent": True, "assignments": True},
        "peopleManager": {"canViewLearnPage": True, "insights": True, "manage": False},
    }
    if administrator:
        permissions["administrator"] = {"canManageAudiences": False, "canAddAudienceManagers": True}
    return permissions


def _contents(state: State, rng: random.Random, people: list[UserRecord]) -> None:
    for number in range(30):
        created = _moment(rng)
        tags = rng.sample(names.TAGS, number % 4)
        content = Record(
            {
                "id": _id(rng),
                "title": f"{rng.choice(names.CONTENT_TITLES)} {number + 1}" if number % 13 != 6 else None,
                "description": "<p>What <b>everyone</b> should know&hellip;</p>" if number % 3 else None,
                "tags": tags,
                "type": names.CONTENT_TYPES[number % len(names.CONTENT_TYPES)],
                "createdAt": created,
                "updatedAt": _moment(rng, 90) if number % 5 else None,
                "author": rng.choice(people)["id"] if people and number % 7 else None,
                "isOfficial": number % 2 == 0,
                "duration": {"value": 5 * (number % 9), "unit": "minutes"} if number % 4 else None,
                "contentHistory": [
                    {
                        "action": "created",
                        "timestamp": created,
                        "performedBy": {"type": "user", "value": rng.choice(people)["id"] if people else None},
                    }
                ],
            }
        )
        if number % 11 == 0:
            content["campaign"] = "spring"
        state.contents[content["id"]] = content
        for name in tags:
            tag = state.tag(name)
            if tag is not None:
                tag["contents"] = [*tag["contents"], content["id"]]


def _learning(state: State, rng: random.Random, people: list[UserRecord]) -> None:
    contents = list(state.contents)
    sales, book_club = state.audiences["sales-emea"], state.audiences["ui-made"]
    state.learning.assign(sales, contents[0], alternatives=contents[1:3], completion_period=30, recurrence=365)
    state.learning.assign(book_club, contents[3], completion_period=3650)
    dropped = state.learning.assign(sales, contents[4])
    state.learning.unassign(dropped)
    for number, user in enumerate(people[: 2 * 300 : 2]):
        content = contents[number % 7]
        state.learning.complete(user, content, _moment(rng, 20), is_rpl=number % 5 == 0)


def _activities(state: State, rng: random.Random, people: list[UserRecord]) -> None:
    contents = list(state.contents.values())
    for number in range(min(2 * len(people), 600)):
        content = contents[number % len(contents)]
        kind = names.ACTIVITY_TYPES[number % len(names.ACTIVITY_TYPES)]
        data: dict[str, Any] = {"source": {"type": "web"} if number % 2 else "mobile"}
        if kind == "progressed":
            data["progresspercentage"] = 40 if number % 2 else "40"
        if kind in ("completed", "passed"):
            data |= {"duration": "PT3M", "success": True, "score": 90, "minScore": 0, "maxScore": 100, "scaled": 0.9}
        about_content = kind not in ("loggedin", "loggedout", "searched")
        activity = Record(
            {
                "id": _id(rng),
                "user": people[number % len(people)]["id"],
                "type": kind,
                "name": content["title"] if number % 3 else None,
                "date": _moment(rng, 120),
                "contextId": content["id"] if about_content else None,
                "contextType": "content" if about_content else None,
                "contentType": content["type"] if about_content else None,
                "data": data,
            }
        )
        if kind == "shared":
            activity["with"] = {"users": [people[0]["id"]]}
        state.activities[activity["id"]] = activity


def _cpd(state: State, rng: random.Random, people: list[UserRecord]) -> None:
    categories = [Record({"categoryId": _id(rng), "name": name}) for name in names.CATEGORIES]
    for one in categories:
        one.stamp = timestamp(EPOCH)
    state.categories.update((one["categoryId"], one) for one in categories)
    for number in range(min(len(people), 300)):
        category = rng.choice(categories)
        entry = Record(
            {
                "logEntryId": _id(rng),
                "userId": rng.choice(people)["id"],
                "activity": {"type": "external" if number % 2 else "content", "name": rng.choice(names.CONTENT_TITLES)},
                "category": dict(category),
                "entryDate": _moment(rng, 365),
                "durationMinutes": 15 * (1 + number % 8),
                "description": None if number % 3 else "Notes: see « annexe »",
                "isVerified": number % 4 != 0,
            }
        )
        state.entries[entry["logEntryId"]] = entry
    for number, reference in enumerate(("sales-emea", "ui-made")):
        created = _moment(rng)
        requirement = Record(
            {
                "audienceRequirementId": _id(rng),
                "audienceId": state.audiences[reference]["id"],
                "requiredMinutes": 600 * (number + 1),
                "createdAt": created,
                "updatedAt": None if number else _moment(rng, 30),
            }
        )
        state.requirements[requirement["audienceRequirementId"]] = requirement
