"""The bytes that the benchmarks read: the same in every run and process."""

import random

import orjson

PAGE = "pppppp"
"""Stands in a template where the number of the page goes, so that every id of a list differs."""

USERS_PER_PAGE = 1000
MEMBERS_PER_PAGE = 1000
ENROLMENTS_PER_PAGE = 100


def _id(place: int, kind: str = "a") -> str:
    """Return 24 hexadecimal digits, with a place for the page number."""
    return f"{kind}{place:07x}0123456789{PAGE}"


def _moment(rng: random.Random) -> str:
    return (
        f"20{rng.randrange(15, 27):02}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
        f"T{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(1000):03}Z"
    )


def user(place: int, rng: random.Random) -> dict[str, object]:
    """Return a full user with two positions and 35 keys, as many as live replies have."""
    first = rng.choice(["Ada", "Grace", "Alan", "Edsger", "Barbara", "Zoë", "Łukasz"])
    last = rng.choice(["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "O'Neill"])
    return {
        "id": _id(place),
        "ref": f"E-{PAGE}-{place:05}",
        "firstName": first,
        "lastName": last,
        "email": f"{first}.{last}.{PAGE}.{place}@example.com".lower(),
        "role": rng.choice(["learner", "learner", "learner", "learneradmin", "administrator"]),
        "status": rng.choice(["active", "active", "active", "inactive", "new", "expired"]),
        "positions": [
            {
                "id": _id(place, kind),
                "title": rng.choice(["Analyst", "Engineer", "Nurse", "Team lead"]),
                "manager": {"id": _id(rng.randrange(1000))},
                "ouId": _id(rng.randrange(50), "c"),
                "isActive": kind == "b",
                "startDate": _moment(rng),
                "endDate": None if kind == "b" else _moment(rng),
                "createdAt": _moment(rng),
                "updatedAt": _moment(rng),
            }
            for kind in "bd"
        ],
        "additionalFields": {"costCentre": str(rng.randrange(10_000)), "site": "Leeds"},
        "languageCode": "en-gb",
        "deleted": False,
        "compliance": rng.randrange(101),
        "level": rng.randrange(30),
        "firstLogin": _moment(rng),
        "lastLogin": _moment(rng),
        "tags": {"skills": ["Python", "First aid"]},
        "usersFollowing": [_id(rng.randrange(1000))],
        "tagsFollowing": [],
        "createdAt": _moment(rng),
        "updatedAt": _moment(rng),
        "hasPicture": rng.random() < 0.5,
        "timeZone": "Europe/London",
        "summary": "Looks after the northern depots.",
        "relevancy": rng.randrange(1000),
        "rank": {"currentCategory": rng.randrange(5), "currentLevel": rng.randrange(10)},
        "agreedTerms": True,
        "onboarded": True,
        "audiences": [{"id": _id(rng.randrange(300), "e")}],
        "singleSignOn": True,
        # Live replies have these undocumented fields; the models ignore them.
        "domain": "example",
        "isBulkUpload": False,
        "loginMethod": "email",
        "sso": True,
        "startDate": None,
        "endDate": None,
    }


def users_template(count: int = USERS_PER_PAGE) -> bytes:
    """Return the `results` of a page of users."""
    rng = random.Random(1)
    return orjson.dumps([user(place, rng) for place in range(count)])


def members_template(count: int = MEMBERS_PER_PAGE) -> bytes:
    """Return the `results` of a page of audience members."""
    return orjson.dumps(
        [
            {
                "userId": _id(place),
                "reference": f"E-{PAGE}-{place:05}",
                "email": f"someone.{PAGE}.{place}@example.com",
            }
            for place in range(count)
        ]
    )


def enrolments_template(count: int = ENROLMENTS_PER_PAGE) -> bytes:
    """Return a page of enrolments: a bare array."""
    rng = random.Random(1)
    return orjson.dumps(
        [
            {
                "id": _id(place, "f"),
                "userId": _id(place),
                "assignmentId": _id(1, "9"),
                "audienceId": _id(2, "9"),
                "primaryContentId": _id(3, "9"),
                "status": rng.choice(["open", "complete", "overdue"]),
                "availableDate": _moment(rng),
                "dueDate": _moment(rng),
                "lastCompletedAt": rng.choice([None, _moment(rng)]),
                "history": [
                    {
                        "type": "statusChange",
                        "completionId": None,
                        "previousStatus": "scheduled",
                        "nextStatus": "open",
                        "createdAt": _moment(rng),
                        "updatedAt": _moment(rng),
                    }
                ],
                "updatedAt": _moment(rng),
            }
            for place in range(count)
        ]
    )


AUDIENCE = {
    "id": "a0000001012345678900001f",
    "name": "Sales, Europe",
    "reference": "sales-emea",
    "apiControlled": True,
    "category": "audience",
    "type": "manual",
    "parent": {"id": "a0000002012345678900001f", "name": "Europe", "reference": "emea"},
    "createdAt": "2024-01-31T09:30:00.000Z",
    "updatedAt": "2025-01-31T09:30:00.000Z",
}

LEVELS = [
    {"name": name, "isEnabled": True, "value": 1024 << place}
    for place, name in enumerate(("Beginner", "Intermediate", "Advanced", "Expert"))
]


def numbered(template: bytes, page: int) -> bytes:
    """Turn a template into the page with this number."""
    return template.replace(PAGE.encode(), b"%06x" % page)


def users_page(count: int = USERS_PER_PAGE) -> bytes:
    """Return a page of users in its envelope."""
    return envelope(numbered(users_template(count), 1), 1, count, count)


def envelope(results: bytes, page: int, per_page: int, total: int) -> bytes:
    """Put results into the envelope of lists with totals."""
    pagination = {
        "totalResults": total,
        "totalPages": -(-total // per_page),
        "page": page,
        "perPage": per_page,
    }
    return b'{"results":' + results + b',"pagination":' + orjson.dumps(pagination) + b"}"
