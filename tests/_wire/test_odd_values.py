"""What each odd value in a reply gives: every type of field against every type of JSON, at the top and nested.

`python tests/_wire/test_odd_values.py` prints the table.
"""

from __future__ import annotations

import copy
import gc
import logging
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import pytest

from thrive_async import models
from thrive_async._base import problems as known
from thrive_async._base.problems import Found, Problems, unread
from thrive_async._wire.convert import read, read_list
from thrive_async.errors import DecodeError

ERROR: Final = "DecodeError"
LOST: Final = "None, told as unread"
MOMENT: Final = datetime(2026, 1, 2, tzinfo=UTC)

VALUES: Final[dict[str, Any]] = {
    "true": True, "7": 7, "3.5": 3.5, "''": "", "' '": " ", "'7'": "7", "'true'": "true", "'word'": "word",
    "'2026-01-02'": "2026-01-02", "[]": [], "['a']": ["a"], "[{}]": [{}], "{}": {}, "{'x': 1}": {"x": 1},
}  # fmt: skip

# By the type of a field: what each odd value gives. A value that is not named matches the specification, or is `LOST`.
TEXT: Final = {"7": "7", "3.5": "3.5"}
FLAG: Final = {"''": None, "' '": None, "'true'": True}
NUMBER: Final = {"''": None, "' '": None, "'7'": 7}
DATE: Final = {"''": None, "' '": None}
OBJECT: Final = {"''": None, "' '": None, "[]": None}
LIST: Final = {"''": None, "' '": None, "{}": []}
DATA: Final = {"''": None, "' '": None, "[]": {}, "['a']": {"0": "a"}, "[{}]": {"0": {}}}
RIGHT: Final = {
    "text": ("''", "' '", "'7'", "'true'", "'word'", "'2026-01-02'"),
    "flag": ("true",),
    "number": ("7", "3.5"),
    "date": ("'2026-01-02'",),
    "object": ("{}", "{'x': 1}"),
    "list": ("[]", "['a']", "[{}]"),  # the last has an odd item: see "an object among strings"
    "data": ("{}", "{'x': 1}"),
}
GIVES: Final = {
    "text": TEXT, "flag": FLAG, "number": NUMBER, "date": DATE, "object": OBJECT, "list": LIST, "data": DATA,
}  # fmt: skip

# (model, what stands around the value in its JSON, how to find it in the model, the type of the field)
PLACES: Final[list[tuple[str, str, str, str]]] = [
    ("User", "email", "email", "text"),
    ("User", "deleted", "deleted", "flag"),
    ("User", "level", "level", "number"),
    ("User", "createdAt", "created_at", "date"),
    ("User", "rank", "rank", "object"),
    ("User", "usersFollowing", "users_following", "list"),
    ("User", "additionalFields", "additional_fields", "data"),
    ("User", "positions.title", "positions.title", "text"),
    ("User", "positions.isActive", "positions.is_active", "flag"),
    ("User", "positions.startDate", "positions.start_date", "date"),
    ("User", "positions.manager", "positions.manager", "object"),
    ("User", "positions.manager.id", "positions.manager.id", "text"),
    ("Audience", "name", "name", "text"),
    ("Audience", "apiControlled", "api_controlled", "flag"),
    ("Audience", "updatedAt", "updated_at", "date"),
    ("Audience", "parent", "parent", "object"),
    ("Audience", "parent.id", "parent.id", "text"),
    ("AudienceMember", "email", "email", "text"),
    ("AudienceManager", "permissions", "permissions", "object"),
    ("ContentChangeEvent", "createdAt", "created_at", "date"),
    ("ContentChangeEvent", "user", "user", "object"),
    ("ContentChangeEvent", "user.id", "user.id", "text"),
    ("ContentChangeEvent", "content.urls", "content.urls", "list"),
]


def nested(path: str, value: object) -> dict[str, Any]:
    """JSON with a value at a place; `positions` is a list of one."""
    name, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    return {name: [inner] if name == "positions" and rest else inner}


def document(model: str, path: str, value: object) -> dict[str, Any]:
    """A record in which all values but one match the specification."""
    key, known = {
        "AudienceMember": ("userId", "u"),
        "AudienceManager": ("userId", "u"),
        "ContentChangeEvent": ("eventType", "content.updated"),
    }.get(model, ("id", "a"))
    return {key: known, **nested(path, value)}


def at(record: Any, path: str) -> object:
    for name in path.split("."):
        record = getattr(record[0] if isinstance(record, list) else record, name)
    return record


class Odd(NamedTuple):
    """One odd value, and what it gives."""

    model: str
    path: str
    attribute: str
    kind: str
    name: str
    gives: object

    def __str__(self) -> str:
        return f"{self.model}.{self.path} ({self.kind}) {self.name}"


ODD: Final = [
    Odd(model, path, attribute, kind, name, GIVES[kind].get(name, LOST))
    for model, path, attribute, kind in PLACES
    for name in VALUES
    if name not in RIGHT[kind]
]


class Shape(NamedTuple):
    """One odd shape, what it gives, and whether something of it could not be read."""

    what: str
    model: str
    json: Any
    attribute: str
    gives: object
    lost: bool


SHAPES: Final = [Shape(*row) for row in [
    ("an id that is a number", "User", {"id": 7}, "id", "7", False),
    ("an id that is null", "User", {"id": None}, "id", ERROR, False),
    ("an id that is missing", "User", {}, "id", ERROR, False),
    ("an id that is a list", "User", {"id": ["a"]}, "id", ERROR, False),
    ("a member without an id", "AudienceMember", {"userId": None}, "user_id", ERROR, False),
    ("null for a record", "User", None, "id", ERROR, False),
    ("a string for a record", "User", "a", "id", ERROR, False),
    ("an empty list for a record", "User", [], "id", ERROR, False),
    ("a list of one record", "User", [{"id": "a"}], "id", "a", False),
    ("tags as an empty list", "User", {"id": "a", "tags": []}, "tags", None, False),
    ("tags as a list of one object", "User", {"id": "a", "tags": [{"skills": ["s"]}]}, "tags.skills", ["s"], False),
    ("a null among strings", "User", {"id": "a", "usersFollowing": ["b", None]}, "users_following", ["b"], False),
    ("a number among strings", "User", {"id": "a", "usersFollowing": ["b", 7]}, "users_following", ["b", "7"], False),
    ("an object among strings", "User", {"id": "a", "usersFollowing": ["b", {"x": 1}]}, "users_following", ["b"], True),
    ("one position, not in a list", "User", {"id": "a", "positions": {"title": "t"}}, "positions.title", "t", False),
    ("positions by number", "User", {"id": "a", "positions": {"0": {"title": "t"}}}, "positions.title", "t", False),
    ("a null among positions", "User", {"id": "a", "positions": [None]}, "positions", [], False),
    ("a number among positions", "User", {"id": "a", "positions": [7]}, "positions", [], True),
    ("an audience by its number", "User", {"id": "a", "audiences": [7]}, "audiences",
     [models.UserAudience(id="7")], False),
    ("a role that is a number", "User", {"id": "a", "role": 7}, "role", models.UserRole("7"), False),
    ("a role that is a list", "User", {"id": "a", "role": []}, "role", None, True),
    ("agreed terms as a number", "User", {"id": "a", "agreedTerms": 7}, "agreed_terms", "7", False),
    ("agreed terms as a list", "User", {"id": "a", "agreedTerms": []}, "agreed_terms", None, True),
    ("member operations as a list", "MovedAudience", {"id": "a", "memberOperations": [{"success": {"count": 1}}]},
     "member_operations", {"0": models.MemberOperationResult(success=models.ProcessedEntities(count=1))}, False),
    ("a null among member operations", "MovedAudience", {"id": "a", "memberOperations": {"x": None}},
     "member_operations", {}, False),
    ("a string among member operations", "MovedAudience", {"id": "a", "memberOperations": {"x": "y"}},
     "member_operations", {}, True),
    ("a count as digits", "MemberOperationResult", {"success": {"count": "2"}}, "success.count", 2, False),
    ("entities that are null", "MemberOperationResult", {"failure": {"entities": [None]}},
     "failure.entities", [], False),
    ("one entity, not in a list", "MemberOperationResult", {"failure": {"entities": {"reference": 5}}},
     "failure.entities", [models.FailedEntity(reference="5")], False),
    ("a failure that is true", "MemberOperationResult", {"failure": True}, "is_partial", True, True),
    ("a failure that is an empty list", "MemberOperationResult", {"failure": []}, "is_partial", False, False),
    ("a receipt without a statement", "CompletionReceipt", {"status": 200}, "statement_id", None, False),
    ("an event without a type", "UserEvent", {"user": {}}, "event_type", ERROR, False),
    ("a user without an id in an event", "UserEvent", {"eventType": "user.created", "user": {"id": None}}, "user.id",
     None, False),
    ("one user for several", "AssignmentEvent", {"eventType": "assignment.assigned", "users": {"id": "u"}}, "users",
     [models.WebhookUser(id="u")], False),
    ("a list for a recurrence", "AssignmentEvent", {"eventType": "assignment.assigned",
     "assignment": {"recurrence": [1]}}, "assignment.recurrence", None, True),
    ("true for a recurrence", "AssignmentEvent", {"eventType": "assignment.assigned",
     "assignment": {"recurrence": True}}, "assignment.recurrence", None, True),
]]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_an_odd_value_affects_only_its_own_field(odd: Odd) -> None:
    cls, json = getattr(models, odd.model), document(odd.model, odd.path, VALUES[odd.name])
    found = Found()
    record = read(cls, json, found)
    problems = found.problems("op", "$")
    told = problems["$." + odd.path.replace("positions.", "positions[].")]
    gives = None if odd.gives is LOST else odd.gives
    if (odd.kind, odd.name) == ("object", "[{}]"):
        assert at(record, odd.attribute) is not None, "a list of one object is that object"
    else:
        assert at(record, odd.attribute) == gives
        assert type(at(record, odd.attribute)) is type(gives)
        assert told.lost == (odd.gives is LOST)
        assert unread(record) == ({odd.attribute.partition(".")[0]} if odd.gives is LOST else frozenset())
    assert told.count == 1
    assert all("word" not in str(problem) for problem in problems.values()), "no value is told"
    with pytest.raises(DecodeError) as caught:
        read(cls, json)
    assert caught.value.path.startswith("$." + odd.path.partition(".")[0]), "strict, it is an error with its path"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.what)
def test_an_odd_shape_affects_only_its_own_field(shape: Shape) -> None:
    found = Found()
    cls = getattr(models, shape.model)
    if shape.gives is ERROR:
        with pytest.raises(DecodeError):
            read(cls, shape.json, found)
        return
    record = read(cls, shape.json, found)
    assert at(record, shape.attribute) == shape.gives
    assert bool(unread(record)) == shape.lost


@pytest.mark.parametrize("path", ["positions.id", "positions.manager.id"])
def test_a_person_without_a_line_manager_is_not_a_problem(path: str) -> None:
    """The specification allows null for nested ids, so there is nothing to report."""
    found = Found()
    user = read(models.User, document("User", path, None), found)
    assert at(user, path) is None
    assert not found
    assert read(models.User, document("User", path, None)) == user


def test_a_null_in_a_list_of_records_is_left_out_and_reported() -> None:
    found = Found()
    users = read_list(models.User, [{"id": "a"}, None, {"id": "b", "level": "x"}, None], found)
    assert [user.id for user in users] == ["a", "b"]
    assert found.skipped == 2
    problems = found.problems("searchUsers", "$.results")
    assert problems["$.results[]"].came == {"null": 2}
    assert problems["$.results[].level"].lost == 1
    assert [unread(user) for user in users] == [frozenset(), {"level"}]


@pytest.mark.parametrize("item", [7, "a", [], {}, {"id": None}])
def test_an_item_without_a_readable_id_is_an_error_that_names_it(item: object) -> None:
    """There was an item, and leaving it out would make the list too short."""
    with pytest.raises(DecodeError) as caught:
        read_list(models.User, [{"id": "a"}, {"id": 5}, item], Found(), root="$.results")
    assert caught.value.path.startswith("$.results[2]")


def test_unread_fields_are_remembered_per_record_and_not_for_a_copy() -> None:
    gc.collect()
    user = read(models.User, {"id": "a", "email": []}, Found())
    assert unread(user) == {"email"}
    assert unread(copy.copy(user)) == frozenset()
    before = len(known._unread)
    del user
    gc.collect()
    assert len(known._unread) == before - 1


def test_each_path_of_an_operation_is_logged_once_and_without_its_values(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "thrive_async")
    problems = Problems()
    for _ in range(3):
        found = problems.found()
        read(models.User, {"id": "a", "email": {"planted": 1}, "level": "planted"}, found)
        problems.add(found, "getUser", "$")
    found = problems.found()
    read(models.User, {"id": "a", "email": 5}, found)
    problems.add(found, "searchUsers", "$")
    assert len(caplog.records) == 3
    assert "planted" not in caplog.text
    assert "getUser: $.email does not match the specification: expected a string, not an object" in caplog.text
    assert set(problems) == {"$.email", "$.level"}
    assert len(problems) == 2
    email = problems["$.email"]
    assert (email.count, email.lost, email.operations) == (4, 3, ("getUser", "searchUsers"))
    assert dict(email.came) == {"an object": 3, "a number": 1}
    with pytest.raises(KeyError):
        problems["$.ref"]
    assert "planted" not in repr(problems)
    assert Problems(strict=True).found() is None


if __name__ == "__main__":
    for odd in ODD:
        print(f"{odd.model} {odd.path} ({odd.kind})".ljust(46), odd.name.ljust(36), odd.gives)  # noqa: T201
    for shape in SHAPES:
        gives = f"{shape.gives}{', and something is told as unread' if shape.lost else ''}"
        print(shape.model.ljust(46), shape.what.ljust(36), gives)  # noqa: T201
