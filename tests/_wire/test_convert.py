"""Between JSON and models: every valid value is read, nothing is coerced, and errors say where."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

import attrs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thrive_async import models
from thrive_async._base.model import Model, OpenStrEnum
from thrive_async._base.problems import Found, unread
from thrive_async._base.strict import Reader
from thrive_async._base.unset import UNSET
from thrive_async._generated.readers import BARE, READERS
from thrive_async._wire import convert
from thrive_async._wire.convert import dump, read, read_list
from thrive_async.errors import DecodeError

MISMATCH = (TypeError, ValueError, KeyError, AttributeError)

# Values of JSON, and a few that a decoder more lenient than orjson might let through.
numbers = st.integers() | st.floats() | st.sampled_from([3.0, -0.0, 10**30, 1e308, 2**63, True])
texts = st.text(st.characters(), max_size=8) | st.sampled_from(["", "\ud800", "None", "true", "2026-01-02T03:04:05Z"])
# The keys of an object hold no lone surrogate: neither decoder takes one.
keys = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["", "None", "id"])
scalars = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=5
)
moments = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat()) | st.sampled_from(
    ["2020-02-12T14:58:23.621Z", "2020-02-12T14:58:23Z", "2020-02-12T14:58:23", "2020-02-12", "2020-02-12T14:58+05:30"]
)


def wire(field: attrs.Attribute[Any]) -> str:
    return field.metadata.get("json", field.name)


@cache
def json_of(kind: Any) -> st.SearchStrategy[Any]:
    """JSON that a field of a type takes."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return st.one_of([json_of(part) for part in arguments])
    if origin is list:
        return st.lists(json_of(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(texts, json_of(arguments[1]), max_size=3)
    if origin is Literal:
        return st.sampled_from(arguments)
    if kind in READERS:
        return st.deferred(lambda: json_of_model(kind))
    if isinstance(kind, type) and issubclass(kind, OpenStrEnum):
        return st.sampled_from([member.value for member in kind]) | texts
    leaves: dict[Any, st.SearchStrategy[Any]] = {
        Any: anything,
        NoneType: st.none(),
        str: texts,
        bool: st.booleans(),
        int: st.integers() | st.integers(-(2**40), 2**40).map(float),
        float: st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        datetime: moments,
        date: st.dates().map(str),
    }
    return leaves[kind]


@cache
def json_of_model(cls: type) -> st.SearchStrategy[dict[str, Any]]:
    """JSON of a model: any field but the ids may be missing or null, and unknown ones may be there."""
    required = {wire(field): json_of(field.type) for field in attrs.fields(cls) if field.default is attrs.NOTHING}
    optional = {wire(field): json_of(field.type) for field in attrs.fields(cls) if field.default is not attrs.NOTHING}
    unknown = st.dictionaries(keys.map(lambda name: f"x-{name}"), anything, max_size=2)
    known = st.fixed_dictionaries(required, optional=optional)
    return st.tuples(known, unknown).map(lambda pair: {**pair[1], **pair[0]})


@st.composite
def documents(draw: st.DrawFn) -> tuple[type, Any]:
    """A model and JSON for it, sound or damaged somewhere."""
    cls = draw(st.sampled_from(list(READERS)))
    document: Any = draw(json_of_model(cls))
    for _ in range(draw(st.integers(0, 2))):
        document = damaged(draw, document)
    return cls, document


def damaged(draw: st.DrawFn, node: Any) -> Any:
    """The same JSON with one place replaced by anything at all, or taken away."""
    if isinstance(node, dict) and node and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(node, key=repr)))
        if not draw(st.integers(0, 5)):
            return {name: value for name, value in node.items() if name != key}
        return {**node, key: damaged(draw, node[key])}
    if isinstance(node, list) and node and draw(st.booleans()):
        index = draw(st.integers(0, len(node) - 1))
        return [*node[:index], damaged(draw, node[index]), *node[index + 1 :]]
    return draw(anything)


def holds(kind: Any, value: Any, source: Any) -> bool:
    """Whether a value is exactly what JSON said, in the type that a field promises. Knows nothing of the readers."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(holds(part, value, source) for part in arguments)
    if kind in (NoneType, None):
        return value is None and source is None
    if kind is Any or origin is Literal:
        return value is source
    if value is None or source is None:
        return False
    if origin is list:
        return type(value) is type(source) is list and all(
            holds(arguments[0], one, other) for one, other in zip(value, source, strict=True)
        )
    if origin is dict:
        return type(value) is type(source) is dict and all(
            holds(arguments[1], value[key], source[key]) for key in source
        )
    if kind in READERS:
        if kind in BARE and type(source) is str:
            source = {BARE[kind]: source}
        return type(value) is kind and all(
            holds(field.type, getattr(value, field.name), source.get(wire(field)))
            if field.default is attrs.NOTHING or wire(field) in source
            else getattr(value, field.name) is None
            for field in attrs.fields(kind)
        )
    if kind in (str, bool):
        return type(value) is kind and value is source
    if kind is int:
        return type(value) is int and type(source) in (int, float) and value == source
    if kind is float:
        return type(value) in (int, float) and value is source and value not in (float("inf"), -float("inf"))
    if issubclass(kind, OpenStrEnum):
        return type(value) is kind and type(source) is str and value == source
    if kind is datetime:
        return value.tzinfo is not None and value.replace(tzinfo=None) == datetime.fromisoformat(source).replace(
            tzinfo=None
        )
    return type(value) is kind and value == kind.fromisoformat(source)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(documents())
def test_the_fast_and_the_careful_reader_accept_the_same_and_never_a_wrong_value(case: tuple[type, Any]) -> None:
    cls, document = case
    original = copy.deepcopy(document)
    careful: Any = convert._read_carefully(cls, copy.deepcopy(document), None)
    try:
        fast: Any = READERS[cls](document)
    except MISMATCH:
        fast = None
    if fast is None:
        assert isinstance(careful, DecodeError), careful
        with pytest.raises(DecodeError) as caught:
            read(cls, document)
        assert caught.value.path.startswith("$")
        assert caught.value.__context__ is None, "what led to it would hold the values"
    else:
        assert type(careful) is cls, careful
        assert holds(cls, fast, document)
        # Where anything goes there may be a NaN, which does not equal itself, but is told the same.
        assert repr(attrs.asdict(fast)) == repr(attrs.asdict(careful))
    assert repr(document) == repr(original), "reading one object changes nothing in its JSON"


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(documents())
def test_lenient_reading_reports_everything_that_strict_reading_refuses(case: tuple[type, Any]) -> None:
    """Every odd value is reported, only a DecodeError is raised, and without odd values both give the same."""
    cls, document = case
    original = copy.deepcopy(document)
    strict: Any = convert._read_carefully(cls, document, None)
    found = Found()
    try:
        lenient = read(cls, document, found)
    except DecodeError:
        assert isinstance(strict, DecodeError)
        return
    assert repr(document) == repr(original), "reading changes nothing in the JSON"
    if isinstance(strict, DecodeError):
        assert found
    else:
        assert not found
        assert not unread(lenient)
        assert repr(attrs.asdict(lenient)) == repr(attrs.asdict(strict))
    assert well_typed(cls, lenient)


def well_typed(kind: Any, value: Any) -> bool:
    """Whether a value is of the type that a field promises, whatever came."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(well_typed(part, value) for part in arguments)
    if kind is Any:
        return True
    if kind in (NoneType, None):
        return value is None
    if origin is Literal:
        return value in arguments
    if origin is list:
        return type(value) is list and all(well_typed(arguments[0], item) for item in value)
    if origin is dict:
        return type(value) is dict and all(well_typed(arguments[1], item) for item in value.values())
    if kind in READERS:
        return type(value) is kind and all(
            (getattr(value, field.name) is None and field.default is not attrs.NOTHING)
            or well_typed(field.type, getattr(value, field.name))
            for field in attrs.fields(kind)
        )
    return type(value) in ((int, float) if kind is float else (kind,))


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(list(READERS)).flatmap(lambda cls: st.tuples(st.just(cls), json_of_model(cls))))
def test_every_model_reads_null_and_missing_everywhere_but_in_ids(case: tuple[type, Any]) -> None:
    cls, document = case
    model = READERS[cls](document)
    ids = {wire(field) for field in attrs.fields(cls) if field.default is attrs.NOTHING}
    bare = {name: value for name, value in document.items() if name in ids}
    nulls = {**dict.fromkeys((wire(field) for field in attrs.fields(cls)), None), **bare}
    assert READERS[cls](bare) == READERS[cls](nulls)
    assert type(model) is cls
    for name in ids:
        for wrong in ({**document, name: None}, {key: value for key, value in document.items() if key != name}):
            with pytest.raises(DecodeError) as caught:
                read(cls, wrong)
            assert caught.value.path == f"$.{name}"


SAMPLES = [
    *(None, True, 0, 5, -1.5, 3.0, 2.0**60, float("nan"), "", "x", "active", "2026-01-02", "2026-01-02T03:04:05Z"),
    *([], [None], ["x"], ["x", 5], [5], [{}], [{"id": "x"}], {}, {"id": "x"}, {"a": 5}, {"a": {}}, {"a": None}),
]


@pytest.mark.parametrize("cls", READERS)
def test_every_field_agrees_on_every_kind_of_value(cls: type) -> None:
    """The same rule as above, without chance: each field of each model against a sample of each kind of JSON."""
    ids = {wire(field): "an id" for field in attrs.fields(cls) if field.default is attrs.NOTHING}
    for field in attrs.fields(cls):
        for sample in SAMPLES:
            document = {**ids, wire(field): copy.deepcopy(sample)}
            careful: Any = convert._read_carefully(cls, copy.deepcopy(document), None)
            try:
                fast = READERS[cls](document)
            except MISMATCH:
                assert isinstance(careful, DecodeError), (field.name, sample)
                assert careful.path.startswith(f".{wire(field)}")
            else:
                assert holds(cls, fast, document), (field.name, sample)
                assert repr(attrs.asdict(fast)) == repr(attrs.asdict(careful)), (field.name, sample)


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        ({}, "$.id", "missing"),
        (None, "$", "expected an object, not null"),
        ([], "$", "expected an object, not a list"),
        ({"id": None}, "$.id", "expected a string, not null"),
        ({"id": 5}, "$.id", "expected a string, not a number"),
        ({"id": "a", "email": 5}, "$.email", "expected a string, not a number"),
        ({"id": "a", "deleted": "false"}, "$.deleted", "expected a boolean, not a string"),
        ({"id": "a", "deleted": 0}, "$.deleted", "expected a boolean, not a number"),
        ({"id": "a", "level": True}, "$.level", "expected a number, not a boolean"),
        ({"id": "a", "level": "3"}, "$.level", "expected a number, not a string"),
        ({"id": "a", "level": float("nan")}, "$.level", "expected a finite number, not another number"),
        ({"id": "a", "createdAt": 5}, "$.createdAt", "expected a date and time, not a number"),
        ({"id": "a", "createdAt": "soon"}, "$.createdAt", "expected a date and time in ISO 8601, not another string"),
        (
            {"id": "a", "createdAt": "\ud800"},
            "$.createdAt",
            "expected a date and time in ISO 8601, not another string",
        ),
        ({"id": "a", "role": 5}, "$.role", "expected a string, not a number"),
        ({"id": "a", "agreedTerms": 5}, "$.agreedTerms", "expected a string or a boolean, not a number"),
        ({"id": "a", "rank": []}, "$.rank", "expected an object, not a list"),
        ({"id": "a", "usersFollowing": ["b", None]}, "$.usersFollowing[1]", "expected a string, not null"),
        ({"id": "a", "usersFollowing": "bc"}, "$.usersFollowing", "expected a list, not a string"),
        ({"id": "a", "audiences": ["b", {"id": 5}]}, "$.audiences[1].id", "expected a string, not a number"),
        ({"id": "a", "audiences": [5]}, "$.audiences[0].id", "expected a string, not a number"),
        ({"id": "a", "additionalFields": []}, "$.additionalFields", "expected an object, not a list"),
        (
            {"id": "a", "positions": [{"id": "p"}, {"id": "q", "startDate": {}}]},
            "$.positions[1].startDate",
            "expected a date and time, not an object",
        ),
    ],
)
def test_an_error_says_where_and_what(document: Any, path: str, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(models.User, document)
    assert (caught.value.path, caught.value.reason) == (path, reason)


def test_the_error_of_a_map_names_the_key() -> None:
    document = {"id": "a", "memberOperations": {"added here": {"success": {"count": "1"}}}}
    with pytest.raises(DecodeError) as caught:
        read(models.MovedAudience, document)
    assert caught.value.path == "$.memberOperations['added here'].success.count"


def test_the_error_of_a_list_names_the_item_and_can_start_elsewhere() -> None:
    for root, path in (("$", "$[1].id"), ("$.results", "$.results[1].id")):
        with pytest.raises(DecodeError) as caught:
            read_list(models.Tag, [{"id": "a"}, {"tag": "b"}, {"id": "c"}], root=root)
        assert caught.value.path == path
    with pytest.raises(DecodeError) as caught:
        read(models.Tag, {}, root="$.data")
    assert caught.value.path == "$.data.id"
    for wrong in ({"id": "a"}, None, "abc", ()):
        with pytest.raises(DecodeError, match="expected a list"):
            read_list(models.Tag, wrong)  # type: ignore[arg-type]


def test_a_list_is_read_in_place() -> None:
    values: list[Any] = [{"id": "a"}, {"id": "b"}]
    tags = read_list(models.Tag, values)
    assert tags is values
    assert [tag.id for tag in tags] == ["a", "b"]
    assert read_list(models.Tag, []) == []


def test_a_reader_that_is_too_strict_would_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The careful reading has the last word: what it accepts is given back."""

    def refuse(_: object) -> Any:
        raise TypeError

    convert.prepare()
    monkeypatch.setitem(convert._readers, models.Tag, Reader(Any, refuse))
    assert read(models.Tag, {"id": "a"}) == models.Tag(id="a")
    assert read_list(models.Tag, [{"id": "a"}, {"id": "b"}]) == [models.Tag(id="a"), models.Tag(id="b")]


def test_no_value_is_left_in_the_traceback_of_a_decode_error() -> None:
    """Otherwise a traceback with local variables would show the person behind a malformed record."""
    for call in (
        lambda: read(models.User, {"id": "a", "email": "planted@example.com", "level": "x"}),
        lambda: read_list(models.User, [{"id": "a", "email": "planted@example.com", "level": "x"}]),
    ):
        with pytest.raises(DecodeError) as caught:
            call()
        step = caught.value.__traceback__
        assert step is not None
        while step is not None:
            if step.tb_frame.f_code.co_filename == convert.__file__:
                assert "planted" not in repr(step.tb_frame.f_locals)
            step = step.tb_next
        assert "planted" not in str(caught.value)


class TestDumping:
    def test_plain_json_and_lists_of_models(self) -> None:
        assert dump(["a", None, 1.5, {"b": [True]}]) == b'["a",null,1.5,{"b":[true]}]'
        grant = models.ManagerGrant(reference="r", permissions=models.ManagerGrantPermissions())
        assert dump([grant]) == b'[{"reference":"r","permissions":{}}]'
        assert dump(models.UserTagsRemove(value=["a"])) == b'{"op":"remove","path":"tags","value":["a"]}'
        assert (
            dump({"role": models.UserRole.LEARNER, "odd": models.UserRole("odd")}) == b'{"role":"learner","odd":"odd"}'
        )

    def test_unset_fields_are_left_out_and_none_is_null(self) -> None:
        assert dump(models.UserUpdate()) == b"{}"
        assert dump(models.UserUpdate(first_name="A", manager_ref=None)) == b'{"firstName":"A","managerRef":null}'

    def test_datetimes_are_written_in_utc_and_dates_without_a_time(self) -> None:
        east = timezone(timedelta(hours=2))
        update = models.UserUpdate(
            start_date=date(2026, 1, 31),
            end_date=datetime(2026, 1, 31, 1, 30, 0, 123456, tzinfo=east),
            additional_fields={"seen": [datetime(2026, 1, 31, tzinfo=UTC)], "born": date(2000, 2, 29)},
        )
        assert orjson.loads(dump(update)) == {
            "startDate": "2026-01-31",
            "endDate": "2026-01-30T23:30:00.123Z",
            "additionalFields": {"seen": ["2026-01-31T00:00:00.000Z"], "born": "2000-02-29"},
        }

    @pytest.mark.parametrize(
        ("value", "complaint"),
        [
            ({"a": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - naive on purpose
            ({"a": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))}, "out of range in UTC"),
            ([float("nan")], "not finite"),
            ([float("inf")], "not finite"),
            (["\ud800"], "surrogates"),
            ({1: "a"}, "must be str"),
            ([object()], "not JSON serializable"),
            ([UNSET], "UNSET is valid only"),
            ({"a": UNSET}, "UNSET is valid only"),
        ],
    )
    def test_values_that_json_cannot_hold_are_refused(self, value: Any, complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            dump(value)

    @pytest.mark.parametrize("number", [2**63 - 1, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40 + 1, -(10**40) - 1])
    def test_an_integer_keeps_all_its_digits_from_a_reply_to_a_write(self, number: int) -> None:
        """A user's own fields are sent back together, also those that nobody changes."""
        came = b'{"id":"a","additionalFields":{"payroll":%d,"all":[{"n":%d}]}}' % (number, number)
        user = read(models.User, convert.decoder(models.User)(came))
        sent = dump(models.UserUpdate(additional_fields=user.additional_fields))
        assert json.loads(sent) == {"additionalFields": {"payroll": number, "all": [{"n": number}]}}
        assert dump(True) == b"true"
        assert dump([number]) == b"[%d]" % number

    def test_a_value_that_contains_itself_is_refused(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        with pytest.raises(ValueError, match="nested too deeply"):
            dump(loop)

    def test_a_model_from_a_reply_can_be_written_again(self) -> None:
        document = {"id": "a", "tag": "t", "contents": ["c"], "campaigns": None, "interests": None, "skills": []}
        assert orjson.loads(dump(read(models.Tag, dict(document)))) == document


class TestModels:
    def test_every_generated_model_is_public(self) -> None:
        from thrive_async._generated import models as generated

        names = {name for name, value in vars(generated).items() if isinstance(value, type)}
        own = {name for name in names if getattr(generated, name).__module__ == generated.__name__}
        assert own | {"Model", "OpenStrEnum", "UNSET", "Unset"} == set(models.__all__)
        for name in models.__all__:
            assert hasattr(models, name)

    def test_models_of_replies_have_a_reader_and_models_of_requests_do_not(self) -> None:
        assert models.User in READERS
        assert models.UserCreate not in READERS
        for cls, reader in READERS.items():
            assert reader.make.__annotations__["return"] is cls

    def test_every_field_has_a_docstring_for_editors(self) -> None:
        assert models.User.__doc__
        assert all(getattr(models, name).__doc__ for name in models.__all__ if name != "UNSET")

    def test_equality_is_by_class_and_fields_and_models_have_no_hash(self) -> None:
        assert models.Tag(id="a", tag="x") == models.Tag(id="a", tag="x")
        assert models.Tag(id="a") != models.Tag(id="b")
        assert models.Tag(id="a") != models.SkillLevel()
        assert models.Tag(id="a") != "a"
        with pytest.raises(TypeError, match="unhashable"):
            hash(models.Tag(id="a"))

    def test_a_repr_shows_ids_and_numbers_and_no_personal_data(self) -> None:
        user = read(
            models.User,
            {
                "id": "507f1f77bcf86cd799439011",
                "ref": "planted",
                "firstName": "planted",
                "email": "planted",
                "role": "learner",
                "level": 3,
                "deleted": False,
                "createdAt": "2026-01-02T00:00:00Z",
                "additionalFields": {"planted": "planted"},
                "positions": [{"id": "planted"}],
            },
        )
        assert repr(user) == (
            "User(id='507f1f77bcf86cd799439011', ref=..., first_name=..., email=..., "
            "role=<UserRole.LEARNER: 'learner'>, positions=..., additional_fields=..., deleted=False, level=3, "
            "created_at=datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc))"
        )
        assert repr(
            models.CompletionCreate(user_id="a@b.c", content_id="x", completed_at=datetime(2026, 1, 1, tzinfo=UTC))
        )
        member = models.AudienceMember(user_id="planted@example.com", email="planted@example.com")
        assert repr(member) == "AudienceMember(user_id=..., email=...)"
        assert repr(models.UserUpdate(job_title="x", manager_ref=None)) == "UserUpdate(job_title=...)"

    def test_copies_and_pickles_are_equal(self) -> None:
        user = read(models.User, {"id": "a", "status": "odd", "positions": [{"id": "p"}], "audiences": ["x"]})
        for twin in (copy.copy(user), copy.deepcopy(user), pickle.loads(pickle.dumps(user))):
            assert twin == user
            assert type(twin.status) is models.UserStatus
        update = models.UserUpdate(email=None)
        twin = pickle.loads(pickle.dumps(update))
        assert twin == update
        assert twin.first_name is UNSET

    def test_positional_arguments_are_refused(self) -> None:
        with pytest.raises(TypeError):
            models.Tag("a")  # type: ignore[misc]

    def test_a_half_built_model_has_a_repr(self) -> None:
        """A debugger may ask before the reader has filled the slots."""
        assert repr(object.__new__(models.Tag)) == "Tag()"


class TestOpenStrEnum:
    def test_unknown_values_equal_their_strings(self) -> None:
        status = models.UserStatus("paused")
        assert status == "paused"
        assert hash(status) == hash("paused")
        assert {status: 1}["paused"] == 1
        assert status == models.UserStatus("paused")
        assert status != models.UserStatus.ACTIVE
        assert f"{status}" == str(status) == "paused"
        assert not status.is_known
        assert status not in list(models.UserStatus)
        assert isinstance(status, models.UserStatus)

    def test_known_values_are_the_members(self) -> None:
        assert models.UserStatus("active") is models.UserStatus.ACTIVE
        assert models.UserStatus.ACTIVE.is_known
        assert models.UserStatus.ACTIVE == "active"

    def test_the_name_of_a_member_is_not_a_value(self) -> None:
        assert not models.UserStatus("ACTIVE").is_known

    @pytest.mark.parametrize("value", ["active", "paused", ""])
    def test_enums_survive_pickle_deepcopy_and_json(self, value: str) -> None:
        status = models.UserStatus(value)
        for twin in (pickle.loads(pickle.dumps(status)), copy.deepcopy(status), copy.copy(status)):
            assert twin == status
            assert type(twin) is models.UserStatus
            assert twin.is_known == status.is_known
        assert orjson.dumps(status) == orjson.dumps(value)

    @pytest.mark.parametrize("value", [5, None, True, [], b"active"])
    def test_only_strings_are_values(self, value: object) -> None:
        with pytest.raises(ValueError, match="UserStatus"):
            models.UserStatus(value)


def test_models_are_models() -> None:
    assert all(issubclass(cls, Model) for cls in READERS)


def test_importing_the_converter_loads_neither_models_nor_cattrs() -> None:
    """Both cost import time, which is taken when a client is built: there, so that no call imports them on its loop."""
    script = (
        "import sys, thrive_async._wire.convert as c\n"
        "heavy = {'thrive_async._generated.models', 'cattrs'}\n"
        "assert not heavy & set(sys.modules)\n"
        "c.prepare()\n"
        "assert heavy <= set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
