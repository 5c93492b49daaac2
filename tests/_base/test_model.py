"""Models as values: to JSON and back, copied, pickled and printed, and what becomes of UNSET on the way."""

import copy
import io
import json
import pickle
from datetime import UTC, date, datetime
from typing import Any

import attrs
import orjson
import pytest
from cattrs.preconf.orjson import make_converter
from rich.console import Console

from thrive_async import UNSET, DecodeError, ThriveClient, Unset
from thrive_async._base.model import Model
from thrive_async.models import (
    AudienceUpdate,
    ManagerGrant,
    ManagerGrantPermissions,
    MemberOperationResult,
    ProcessedEntities,
    Tag,
    User,
    UserCreate,
    UserTagsRemove,
    UserUpdate,
)
from thrive_async.sandbox import Sandbox

MOMENT = datetime(2026, 1, 31, 8, 0, 0, 5678, tzinfo=UTC)
CHANGE = UserUpdate(first_name="Ada", job_title=None, start_date=date(2026, 1, 31), end_date=MOMENT)
MODELS: list[Model] = [
    CHANGE,
    UserUpdate(additional_fields={"costCentre": 7}),
    UserCreate(ref="r1", first_name="A", last_name="B", email="a@example.org"),
    ManagerGrant(reference="r1", permissions=ManagerGrantPermissions()),
    UserTagsRemove(value=["a", "b"]),
    Tag(id="t1"),
    MemberOperationResult(success=ProcessedEntities(count=3)),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_model_survives_json_pickle_copies_and_evolve(model: Model) -> None:
    sent = orjson.dumps(model.to_dict())
    others = [
        type(model).from_dict(orjson.loads(sent)),
        type(model).from_dict(json.loads(json.dumps(model.to_dict()))),
        pickle.loads(pickle.dumps(model)),
        copy.copy(model),
        copy.deepcopy(model),
        attrs.evolve(model),  # type: ignore[misc]
    ]
    assert others == [model] * len(others)


def test_a_dict_has_the_names_of_the_wire_and_no_field_that_is_left_out() -> None:
    assert CHANGE.to_dict() == {
        "firstName": "Ada",
        "jobTitle": None,
        "startDate": "2026-01-31",
        "endDate": "2026-01-31T08:00:00.005678Z",
    }


async def test_what_came_over_the_wire_survives_a_queue(thrive: ThriveClient) -> None:
    for user in await thrive.users.list().collect(limit=20):
        assert User.from_dict(json.loads(json.dumps(user.to_dict()))) == user
    page = await anext(thrive.audiences.list().pages())
    assert [type(page.items[0]).from_dict(raw) for raw in page.raw] == page.items


@pytest.mark.parametrize(
    ("cls", "fields", "words"),
    [
        (UserUpdate, {"nickname": "x"}, r"UserUpdate cannot be read at \$.nickname: UserUpdate has no such field"),
        (UserUpdate, {"startDate": "soon"}, r"at \$.startDate: expected a date or time in ISO 8601"),
        (UserUpdate, {"firstName": 5}, r"at \$.firstName: UserUpdate.first_name must be a string, not int"),
        (UserCreate, {"ref": "r"}, r"at \$.firstName: is required"),
        (UserUpdate, [], r"at \$: expected an object"),
        (UserTagsRemove, {"value": ["a"], "op": "add"}, r"at \$.op: expected 'remove'"),
        (ManagerGrant, {"permissions": {"x": 1}}, r"at \$.permissions.x: ManagerGrantPermissions has no such field"),
        (User, {"id": 5}, r"User cannot be read at \$.id: expected a string, not a number"),
    ],
)
def test_a_dict_that_is_no_model_says_where(cls: type[Model], fields: Any, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        cls.from_dict(fields)


# UNSET


def test_unset_stays_itself_and_false() -> None:
    assert pickle.loads(pickle.dumps(UNSET)) is copy.deepcopy(UNSET) is UNSET
    assert not UNSET
    assert str(UNSET) == repr(UNSET) == f"{UNSET}" == "UNSET"
    assert isinstance(UNSET, Unset)


@pytest.mark.parametrize(
    "write",
    [
        lambda model: orjson.dumps(attrs.asdict(model)),
        lambda model: json.dumps(attrs.asdict(model)),
        make_converter().dumps,
    ],
)
def test_no_serialiser_takes_unset_for_a_string(write: Any) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        write(UserUpdate(first_name="Ada"))


@pytest.mark.parametrize("dumps", [json.dumps, orjson.dumps])
def test_as_a_text_unset_is_always_the_same(dumps: Any) -> None:
    """So that models can refuse it: `default=str` makes every serialiser write it."""
    written = json.loads(dumps(attrs.asdict(AudienceUpdate(name="Ada")), default=str))
    assert written.pop("name") == "Ada"
    assert set(written.values()) == {"UNSET"}


@pytest.mark.parametrize("field", ["name", "reference", "parent_id"])
def test_the_text_of_unset_is_refused(field: str) -> None:
    """`json.dumps(..., default=str)` writes it, and Thrive would take it for a name."""
    with pytest.raises(ValueError, match=rf"AudienceUpdate.{field} must not be 'UNSET'.* leave it out"):
        AudienceUpdate(**{field: "UNSET"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"UserUpdate.additional_fields\[...\] must not be 'UNSET'"):
        UserUpdate(additional_fields={"costCentre": "UNSET"})
    with pytest.raises(ValueError, match=r"UserTagsRemove.value\[1\] must not be 'UNSET'"):
        UserTagsRemove(value=["a", "UNSET"])


def test_rich_prints_no_more_than_repr() -> None:
    from rich.pretty import pprint

    out = io.StringIO()
    pprint(CHANGE, console=Console(file=out, width=200), expand_all=False)
    assert "Ada" not in out.getvalue()
    assert out.getvalue().strip() == repr(CHANGE)


async def test_a_change_that_went_through_a_queue_is_made(sandbox: Sandbox, thrive: ThriveClient) -> None:
    user = await thrive.users.list().first()
    assert user is not None
    assert user.ref is not None
    change = UserUpdate.from_dict(json.loads(json.dumps(UserUpdate(job_title="Pilot").to_dict())))
    await thrive.users.update(user.ref, change)
    assert sandbox.requests[-1].body == {"jobTitle": "Pilot"}
