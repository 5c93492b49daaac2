"""From small specifications to classes that are read, written and refused."""

from __future__ import annotations

import inspect
from datetime import UTC, date, datetime
from typing import Any

import pytest

from thrive_async._base.unset import UNSET
from thrive_async._wire.convert import DecodeError, dump, read

pytest.importorskip("datamodel_code_generator")

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - to be refused

ZOO = '''
KnownStatus: {type: string, enum: [active, in-active, class, 2x]}
Status: {description: How it is., anyOf: [{$ref: '#/components/schemas/KnownStatus'}, {type: string}]}
Part:
  type: object
  properties:
    startDate: {type: [string, 'null'], format: date-time}
    size: {type: [integer, 'null']}
Bare:
  {type: object, x-thrive-bare: id, required: [id], properties: {id: {type: string}, name: {type: [string, 'null']}}}
Parts: {type: array, items: {$ref: '#/components/schemas/Part'}}
Name: {type: string, minLength: 2}
Alias: {$ref: '#/components/schemas/Part'}
Thing:
  type: object
  description: |
    A thing of "some" kind, with a back\\slash.

    - one item
    - another
  required: [id]
  properties:
    id: {type: string, description: 'The id, """quoted""".'}
    alias: {$ref: '#/components/schemas/Name'}
    status: {anyOf: [{$ref: '#/components/schemas/Status'}, {type: 'null'}]}
    statuses: {type: [array, 'null'], items: {$ref: '#/components/schemas/Status'}}
    when: {type: [string, 'null'], format: date-time}
    date: {type: [string, 'null'], format: date}
    other: {type: [string, 'null'], format: date}
    count: {type: [integer, 'null']}
    score: {type: [number, 'null']}
    flag: {type: [boolean, 'null']}
    agreed: {type: [string, boolean, 'null']}
    size: {type: [number, string, 'null']}
    parts: {type: [array, 'null'], items: {$ref: '#/components/schemas/Part'}}
    more: {$ref: '#/components/schemas/Parts'}
    bares: {type: [array, 'null'], items: {anyOf: [{$ref: '#/components/schemas/Bare'}, {type: string}]}}
    names: {type: [array, 'null'], items: {type: string}}
    times: {type: [array, 'null'], items: {type: [string, 'null'], format: date-time}}
    anything: {type: [array, 'null'], items: {}}
    free: {type: [object, 'null'], additionalProperties: true}
    byName: {type: [object, 'null'], additionalProperties: {$ref: '#/components/schemas/Part'}}
    table: {type: [object, 'null'], additionalProperties: {type: array, items: {type: integer}}}
    inner: {type: [object, 'null'], properties: {deep: {type: [object, 'null'], properties: {z: {type: number}}}}}
    only: {allOf: [{$ref: '#/components/schemas/Part'}], description: One.}
    kind: {const: thing}
    any: {}
    void: {anyOf: [{type: 'null'}]}
    nothing: {type: 'null'}
    colour: {type: [string, 'null'], enum: [red, green, null]}
    called: {$ref: '#/components/schemas/Alias'}
    parent: {anyOf: [{$ref: '#/components/schemas/Thing'}, {type: 'null'}]}
ThingUpdate:
  type: object
  x-thrive-body: patch
  additionalProperties: false
  required: [name, op]
  properties:
    name: {type: string, minLength: 1, maxLength: 5}
    op: {type: string, const: remove}
    title: {type: [string, 'null'], maxLength: 3}
    status: {$ref: '#/components/schemas/KnownStatus'}
    endDate: {anyOf: [{type: string, format: date}, {type: string, format: date-time}, {type: 'null'}]}
    at: {type: string, format: date-time}
    free: {type: [object, 'null'], additionalProperties: true}
    labels: {type: object, additionalProperties: {type: [string, 'null']}}
    level: {type: integer, minimum: -1}
    ratio: {type: number, minimum: 0, maximum: 1}
    official: {type: boolean}
    exact: {type: array, minItems: 2, maxItems: 2, items: {type: string, minLength: 1}}
    grants: {type: array, minItems: 1, items: {$ref: '#/components/schemas/Grant'}}
    inner: {type: object, properties: {manage: {type: boolean}}}
    whatever: {}
    mode: {const: fast}
Grant: {type: object, required: [reference], properties: {reference: {type: string}, at: {type: string, format: date}}}
'''


@pytest.fixture(scope="module")
def zoo(build: Any) -> Any:
    return build(ZOO)


class TestReading:
    def test_left_out_and_null_are_both_none_and_only_ids_are_required(self, zoo: Any) -> None:
        left_out, null = zoo.read("Thing", {"id": "a"}), zoo.read("Thing", {"id": "a", "count": None, "any": None})
        assert left_out == null
        assert left_out.count is None
        assert left_out.parts is None
        assert zoo.refuses("Thing", {}) == ("$.id", "missing")
        assert zoo.refuses("Thing", {"id": None}) == ("$.id", "expected a string, not null")

    def test_unknown_fields_are_ignored(self, zoo: Any) -> None:
        assert zoo.read("Part", {"size": 1, "new": {"a": [1]}}) == zoo.models.Part(size=1)

    def test_open_enums_keep_unknown_values(self, zoo: Any) -> None:
        thing = zoo.read("Thing", {"id": "a", "status": "active", "statuses": ["in-active", "odd"]})
        assert thing.status is zoo.models.Status.ACTIVE
        assert thing.statuses == ["in-active", "odd"]
        assert [status.is_known for status in thing.statuses] == [True, False]
        assert zoo.refuses("Thing", {"id": "a", "statuses": ["active", 1]})[0] == "$.statuses[1]"
        assert zoo.refuses("Thing", {"id": "a", "status": []}) == ("$.status", "expected a string, not a list")

    def test_a_closed_and_an_open_schema_become_one_enum(self, zoo: Any) -> None:
        assert not hasattr(zoo.models, "KnownStatus")
        assert [member.value for member in zoo.models.Status] == ["active", "in-active", "class", "2x"]

    def test_datetimes_have_a_time_zone_and_dates_are_dates(self, zoo: Any) -> None:
        data = {
            "id": "a",
            "when": "2026-01-02T03:04:05.678Z",
            "date": "2026-01-02",
            "times": ["2026-01-02T03:04", None],
        }
        thing = zoo.read("Thing", data)
        assert thing.when == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
        assert thing.date == date(2026, 1, 2)
        assert thing.times == [datetime(2026, 1, 2, 3, 4, tzinfo=UTC), None]
        assert zoo.read("Part", {"startDate": "2026-01-02T03:04:05"}).start_date.tzinfo is UTC
        for wrong in ("", "soon", "2026-13-01T00:00:00Z", 5, True, {}):
            assert zoo.refuses("Part", {"startDate": wrong})[0] == "$.startDate"
            assert zoo.refuses("Thing", {"id": "a", "date": wrong})[0] == "$.date"

    def test_numbers_are_numbers_and_nothing_else(self, zoo: Any) -> None:
        thing = zoo.read("Thing", {"id": "a", "count": 3.0, "score": 2})
        assert (thing.count, type(thing.count)) == (3, int)
        # An integer of more than 64 bits is decoded as a float, without its last digits.
        assert zoo.refuses("Thing", {"id": "a", "count": float(2**64)})[0] == "$.count"
        assert (thing.score, type(thing.score)) == (2, int)
        for wrong in (True, "3", [], 2.5, float("nan"), float("inf")):
            assert zoo.refuses("Thing", {"id": "a", "count": wrong})[0] == "$.count"
        for wrong in (True, "3", [], float("nan"), float("-inf")):
            assert zoo.refuses("Thing", {"id": "a", "score": wrong})[0] == "$.score"
        for wrong in (0, 1, "true"):
            assert zoo.refuses("Thing", {"id": "a", "flag": wrong}) == (
                "$.flag",
                f"expected a boolean, not {'a number' if type(wrong) is int else 'a string'}",
            )

    def test_unions_accept_each_of_their_types_and_no_other(self, zoo: Any) -> None:
        for value in ("yes", True, None):
            assert zoo.read("Thing", {"id": "a", "agreed": value}).agreed is value
        for value in (1, 1.5, "big", None):
            assert zoo.read("Thing", {"id": "a", "size": value}).size == value
        assert zoo.refuses("Thing", {"id": "a", "agreed": 1}) == (
            "$.agreed",
            "expected a string or a boolean, not a number",
        )
        for wrong in (True, [], float("nan")):
            assert zoo.refuses("Thing", {"id": "a", "size": wrong})[0] == "$.size"

    def test_nested_objects_become_their_own_classes(self, zoo: Any) -> None:
        thing = zoo.read(
            "Thing", {"id": "a", "inner": {"deep": {"z": 1.5}}, "only": {"size": 1}, "parent": {"id": "b"}}
        )
        assert thing.inner == zoo.models.ThingInner(deep=zoo.models.ThingInnerDeep(z=1.5))
        assert thing.only == zoo.models.Part(size=1)
        assert thing.parent == zoo.models.Thing(id="b")
        assert zoo.refuses("Thing", {"id": "a", "inner": {"deep": {"z": "1"}}})[0] == "$.inner.deep.z"
        assert zoo.refuses("Thing", {"id": "a", "parent": {"id": "b", "parent": "c"}})[0] == "$.parent.parent"

    def test_lists_and_arrays_with_a_name(self, zoo: Any) -> None:
        part = zoo.models.Part(size=1)
        data = {"id": "a", "parts": [{"size": 1}], "more": [{"size": 1}], "names": ["x"], "anything": [1, None]}
        thing = zoo.read("Thing", data)
        assert (thing.parts, thing.more, thing.names, thing.anything) == ([part], [part], ["x"], [1, None])
        assert not hasattr(zoo.models, "Parts")
        for field in ("parts", "more", "names", "anything"):
            assert zoo.refuses("Thing", {"id": "a", field: {"size": 1}}) == (
                f"$.{field}",
                "expected a list, not an object",
            )
        assert zoo.refuses("Thing", {"id": "a", "names": ["x", 1]})[0] == "$.names[1]"
        assert zoo.refuses("Thing", {"id": "a", "parts": [{}, None]})[0] == "$.parts[1]"

    def test_maps_by_name(self, zoo: Any) -> None:
        data = {"id": "a", "free": {"x": [1]}, "byName": {"first": {"size": 1}}, "table": {"row": [1, 2]}}
        thing = zoo.read("Thing", data)
        assert (thing.free, thing.by_name, thing.table) == (
            {"x": [1]},
            {"first": zoo.models.Part(size=1)},
            {"row": [1, 2]},
        )
        assert zoo.refuses("Thing", {"id": "a", "byName": {"a b": {"size": []}}})[0] == "$.byName['a b'].size"
        assert zoo.refuses("Thing", {"id": "a", "table": {"row": [1, "2"]}})[0] == "$.table.row[1]"
        assert zoo.refuses("Thing", {"id": "a", "free": []}) == ("$.free", "expected an object, not a list")

    def test_a_bare_id_stands_for_its_object(self, zoo: Any) -> None:
        thing = zoo.read("Thing", {"id": "a", "bares": ["x", {"id": "y", "name": "n"}]})
        assert thing.bares == [zoo.models.Bare(id="x"), zoo.models.Bare(id="y", name="n")]
        assert zoo.refuses("Thing", {"id": "a", "bares": [5]}) == ("$.bares[0].id", "expected a string, not a number")

    def test_constants_are_exactly_themselves(self, zoo: Any) -> None:
        assert zoo.read("Thing", {"id": "a", "kind": "thing"}).kind == "thing"
        assert zoo.refuses("Thing", {"id": "a", "kind": "thong"}) == (
            "$.kind",
            "expected 'thing', not another value (a string)",
        )

    def test_an_enum_without_a_name_gets_one(self, zoo: Any) -> None:
        assert zoo.read("Thing", {"id": "a", "colour": "red"}).colour is zoo.models.ThingColour.RED
        assert zoo.read("Thing", {"id": "a", "colour": None}).colour is None
        assert zoo.read("Thing", {"id": "a", "colour": "blue"}).colour == "blue"

    def test_an_alias_gives_the_class_it_refers_to(self, zoo: Any) -> None:
        assert zoo.read("Thing", {"id": "a", "called": {"size": 1}}).called == zoo.models.Part(size=1)
        assert not hasattr(zoo.models, "Alias")

    def test_a_field_without_a_type_accepts_any_value(self, zoo: Any) -> None:
        thing = zoo.read("Thing", {"id": "a", "any": [1], "void": {}, "nothing": 2})
        assert (thing.any, thing.void, thing.nothing) == ([1], {}, 2)

    def test_a_value_that_is_not_an_object_is_refused(self, zoo: Any) -> None:
        for wrong in (None, [], "a", 5, True, 1.5):
            assert zoo.refuses("Thing", wrong)[0] == "$"

    def test_endless_nesting_is_refused(self, zoo: Any) -> None:
        data: dict[str, Any] = {"id": "a"}
        for _ in range(100_000):
            data = {"id": "a", "parent": data}
        with pytest.raises(DecodeError, match="nested too deeply"):
            read(zoo.models.Thing, data)
        while data.get("parent"):  # taken apart by hand: the interpreter's own recursion is not the subject
            data = data.pop("parent")


class TestWriting:
    def update(self, zoo: Any, **fields: Any) -> Any:
        return zoo.models.ThingUpdate(**{"name": "n", **fields})

    def test_fields_you_do_not_set_are_left_out_and_none_is_null(self, zoo: Any) -> None:
        assert self.update(zoo).title is UNSET
        assert dump(self.update(zoo)) == b'{"name":"n","op":"remove"}'
        assert dump(self.update(zoo, title=None)) == b'{"name":"n","op":"remove","title":null}'

    def test_null_is_refused_unless_the_specification_allows_it(self, zoo: Any) -> None:
        with pytest.raises(TypeError, match=r"^ThingUpdate\.level must be an integer, not None$"):
            self.update(zoo, level=None)
        with pytest.raises(TypeError, match=r"^ThingUpdate\.name must be a string, not UNSET$"):
            self.update(zoo, name=UNSET)

    def test_a_constant_is_written_and_cannot_be_set(self, zoo: Any) -> None:
        with pytest.raises(TypeError, match="op"):
            self.update(zoo, op="add")

    @pytest.mark.parametrize(
        ("fields", "complaint"),
        [
            ({"name": ""}, "name must have 1 to 5 character(s), not 0"),
            ({"name": "secret"}, "name must have 1 to 5 character(s), not 6"),
            ({"title": "long"}, "title must have at most 3 character(s), not 4"),
            ({"status": "odd"}, "status must be one of 'active', 'in-active', 'class', '2x'"),
            (
                {"at": NAIVE},
                "at must have a time zone: a naive datetime is ambiguous",
            ),
            (
                {"end_date": NAIVE},
                "end_date must have a time zone: a naive datetime is ambiguous",
            ),
            ({"level": -2}, "level must be at least -1"),
            ({"ratio": 1.5}, "ratio must be 0 to 1"),
            ({"ratio": float("nan")}, "ratio must be a finite number"),
            ({"exact": ["a"]}, "exact must have 2 item(s), not 1"),
            ({"exact": ["a", ""]}, "exact[1] must have at least 1 character(s), not 0"),
            ({"mode": "slow"}, "mode must be 'fast'"),
            ({"grants": []}, "grants must have at least 1 item(s), not 0"),
        ],
    )
    def test_values_outside_their_limits_are_refused_and_not_shown(
        self, zoo: Any, fields: dict[str, Any], complaint: str
    ) -> None:
        with pytest.raises(ValueError, match="ThingUpdate") as caught:
            self.update(zoo, **fields)
        assert str(caught.value) == f"ThingUpdate.{complaint}"

    @pytest.mark.parametrize(
        ("fields", "complaint"),
        [
            ({"name": 5}, "name must be a string, not int"),
            ({"status": 5}, "status must be a Status or its string, not int"),
            ({"at": date(2026, 1, 1)}, "at must be a datetime, not date"),
            ({"end_date": "2026-01-01"}, "end_date must be a date or a datetime, not str"),
            ({"level": True}, "level must be an integer, not bool"),
            ({"level": 1.0}, "level must be an integer, not float"),
            ({"ratio": True}, "ratio must be a number, not bool"),
            ({"official": 1}, "official must be True or False, not int"),
            ({"exact": "ab"}, "exact must be a list, not str"),
            ({"exact": ["a", 5]}, "exact[1] must be a string, not int"),
            ({"grants": [{"reference": "x"}]}, "grants[0] must be a Grant, not dict"),
            ({"inner": {}}, "inner must be a ThingUpdateInner, not dict"),
            ({"free": []}, "free must be a dict, not list"),
            ({"free": {1: 2}}, "free must be a dict with strings as keys, not dict"),
            ({"labels": {"a": 1}}, "labels[...] must be a string, not int"),
        ],
    )
    def test_values_of_another_type_are_refused(self, zoo: Any, fields: dict[str, Any], complaint: str) -> None:
        with pytest.raises(TypeError) as caught:
            self.update(zoo, **fields)
        assert str(caught.value) == f"ThingUpdate.{complaint}"

    def test_every_valid_value_is_written_under_its_json_name(self, zoo: Any) -> None:
        model = self.update(
            zoo,
            status="active",
            end_date=date(2026, 1, 31),
            at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
            free={"a": [1, None]},
            labels={"x": None, "y": "z"},
            level=-1,
            ratio=0.5,
            official=False,
            exact=("a", "b"),
            grants=[zoo.models.Grant(reference="r", at=date(2026, 1, 1))],
            inner=zoo.models.ThingUpdateInner(manage=True),
            whatever=[1],
        )
        assert dump(model).decode() == (
            '{"name":"n","op":"remove","status":"active","endDate":"2026-01-31","at":"2026-01-31T09:30:00.000Z",'
            '"free":{"a":[1,null]},"labels":{"x":null,"y":"z"},"level":-1,"ratio":0.5,"official":false,'
            '"exact":["a","b"],"grants":[{"reference":"r","at":"2026-01-01"}],"inner":{"manage":true},"whatever":[1]}'
        )
        assert dump(self.update(zoo, status=zoo.models.Status.ACTIVE)).endswith(b'"status":"active"}')

    def test_a_value_that_is_set_later_is_checked_too(self, zoo: Any) -> None:
        model = self.update(zoo)
        with pytest.raises(ValueError, match=r"ThingUpdate\.name"):
            model.name = ""


class TestText:
    def test_descriptions_become_docstrings(self, zoo: Any) -> None:
        assert (
            inspect.getdoc(zoo.models.Thing) == 'A thing of "some" kind, with a back\\slash.\n\n- one item\n- another'
        )
        assert inspect.getdoc(zoo.models.Status) == "How it is."
        assert '"""The id, \\"\\"\\"quoted\\"\\"\\"."""' in zoo.files["models.py"]

    def test_a_field_called_date_hides_no_type(self, zoo: Any) -> None:
        assert "date: Date | None = None" in zoo.files["models.py"]


class TestNames:
    def test_keywords_and_invalid_names_are_renamed(self, build: Any) -> None:
        wires = ["from", "class", "self", "attrs", "1st", "a-b", "_x", "isRPL", "None", "def", "model_config"]
        properties = "\n".join(f"    '{wire}': {{type: [string, 'null']}}" for wire in wires)
        built = build(f"Odd:\n  type: object\n  properties:\n{properties}\n")
        data = {wire: f"of {wire}" for wire in wires}
        model = built.read("Odd", data)
        assert built.fast("Odd", data) == model
        assert (model.from_, model.class_, model.self_, model.attrs_, model.is_rpl) == (
            "of from",
            "of class",
            "of self",
            "of attrs",
            "of isRPL",
        )
        assert dump(model) == dump(data)

    def test_two_names_that_collide_in_python_stay_apart(self, build: Any) -> None:
        built = build("Odd: {type: object, properties: {firstName: {type: string}, first_name: {type: string}}}")
        model = built.read("Odd", {"firstName": "a", "first_name": "b"})
        assert dump(model) in (b'{"firstName":"a","first_name":"b"}', b'{"first_name":"b","firstName":"a"}')


class TestItems:
    def test_items_that_may_be_null_are_read_without_a_second_look(self, build: Any) -> None:
        built = build("""
Held:
  type: object
  properties:
    days: {type: array, items: {type: [string, 'null'], format: date}}
    parts: {type: object, additionalProperties: {anyOf: [{$ref: '#/components/schemas/Part'}, {type: 'null'}]}}
Part: {type: object, required: [id], properties: {id: {type: string}}}
""")
        held = built.fast("Held", {"days": ["2026-01-31", None], "parts": {"a": None, "b": {"id": "b"}}})
        assert (held.days, held.parts) == ([date(2026, 1, 31), None], {"a": None, "b": built.models.Part(id="b")})


class TestComposition:
    def test_all_of_gives_one_class_with_the_fields_of_all(self, build: Any) -> None:
        built = build("""
Base: {type: object, description: The base., required: [id], properties: {id: {type: string}, n: {type: integer}}}
Middle: {allOf: [{$ref: '#/components/schemas/Base'}, {type: object, properties: {m: {type: string}}}]}
Top:
  description: The top.
  allOf: [{$ref: '#/components/schemas/Middle'}]
  required: [m]
  properties: {n: {type: string}, t: {type: boolean}}
""")
        assert built.read("Top", {"id": "i", "m": "m", "n": "text", "t": True}) == built.models.Top(
            id="i", m="m", n="text", t=True
        )
        assert built.refuses("Top", {"id": "i"}) == ("$.m", "missing")
        assert inspect.getdoc(built.models.Top) == "The top."

    def test_typed_additional_properties_beside_properties_are_kept(self, build: Any) -> None:
        built = build("""
Extra: {type: object, required: [id], properties: {id: {type: string}}, additionalProperties: {type: integer}}
Only: {type: object, properties: {}, additionalProperties: {$ref: '#/components/schemas/Extra'}}
Open: {type: object, required: [id], properties: {id: {type: string}}, additionalProperties: true}
Closed: {type: object, required: [id], properties: {id: {type: string}}, additionalProperties: false}
Empty: {type: object, properties: {}}
Write:
  type: object
  x-thrive-body: create
  required: [id]
  properties: {id: {type: string}}
  additionalProperties: {type: integer}
""")
        model = built.read("Extra", {"id": "a", "x": 1, "y": 2})
        assert built.fast("Extra", {"id": "a", "x": 1, "y": 2}) == model
        assert (model.id, model.additional_properties) == ("a", {"x": 1, "y": 2})
        assert built.refuses("Extra", {"id": "a", "x": "1"}) == ("$.x", "expected a whole number, not a string")
        only = built.read("Only", {"k": {"id": "b"}})
        assert only.additional_properties == {"k": built.models.Extra(id="b")}
        assert built.refuses("Only", {"k": {}}) == ("$.k.id", "missing")
        assert built.read("Open", {"id": "a", "x": 1}) == built.models.Open(id="a")
        assert built.read("Closed", {"id": "a", "x": 1}) == built.models.Closed(id="a")
        assert built.read("Empty", {"x": 1}) == built.models.Empty()
        assert built.refuses("Empty", [])[0] == "$"
        assert dump(built.models.Write(id="a", additional_properties={"x": 1})) == b'{"x":1,"id":"a"}'
        with pytest.raises(TypeError, match="additional_properties"):
            built.models.Write(id="a", additional_properties={"x": "1"})

    def test_a_mixin_adds_handwritten_behaviour(self, build: Any) -> None:
        built = build("""
Result:
  type: object
  x-thrive-mixin: MemberOperations
  properties: {failure: {anyOf: [{$ref: '#/components/schemas/Failure'}, {type: 'null'}]}}
Failure: {type: object, properties: {count: {type: [integer, 'null']}, entities: {type: [array, 'null'], items: {}}}}
""")
        assert built.read("Result", {"failure": {"count": 1}}).is_partial
        assert not built.read("Result", {}).is_partial
        assert "class Result(MemberOperations, Model):" in built.files["models.py"]

    def test_classes_may_refer_to_each_other(self, build: Any) -> None:
        built = build("""
Hen:
  type: object
  required: [id]
  properties: {id: {type: string}, eggs: {type: array, items: {$ref: '#/components/schemas/Egg'}}}
Egg: {type: object, properties: {hen: {anyOf: [{$ref: '#/components/schemas/Hen'}, {type: 'null'}]}}}
""")
        assert built.read("Hen", {"id": "a", "eggs": [{"hen": {"id": "b"}}]}).eggs[0].hen.id == "b"
        assert built.refuses("Hen", {"id": "a", "eggs": [{"hen": {}}]}) == ("$.eggs[0].hen.id", "missing")
