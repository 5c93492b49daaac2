"""Replies that are no JSON or hardly any, poor ones and rich ones: each to every operation."""

import gzip
import sys
from typing import Any, get_args

import attrs
import fuzz_rule as rule
import fuzz_target as target
import orjson
import pytest
from fuzz_inputs import HEADER_SETS
from fuzz_models import LISTS, READ, of
from fuzz_target import CALLS, check

from thrive_async import models, webhooks
from thrive_async._generated.operations import OPERATIONS
from thrive_async._generated.readers import READERS
from thrive_async.errors import DecodeError

OK = HEADER_SETS[0]
BATCHES = {"addMembers", "replaceMembers", "addManagers", "replaceManagers"}

DEEP = 10_000
HOSTILE: dict[str, bytes] = {
    "10,000 arrays": b"[" * DEEP + b"]" * DEEP,
    "10,000 objects": b'{"id":' * DEEP + b'"a"' + b"}" * DEEP,
    "10,000 open arrays": b"[" * DEEP,
    "10,000 levels in a field nobody knows": b'{"id":"a","x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "10,000 levels in the items": b'{"results":[' + b'{"id":' * DEEP + b"5" + b"}" * DEEP + b"]}",
    "NaN": b'{"id":"a","level":NaN}',
    "Infinity": b'{"id":"a","level":-Infinity}',
    "a lone surrogate": b'{"id":"\\ud800"}',
    "a lone surrogate in UTF-8": b'{"id":"\xed\xa0\x80"}',
    "a lone surrogate in a key": b'{"\\udc00":"a"}',
    "a byte order mark": b'\xef\xbb\xbf{"id":"a"}',
    "UTF-16": '{"id":"a"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"id":"a"}'.encode("utf-16-be"),
    "UTF-32": '{"id":"a"}'.encode("utf-32"),
    "Latin-1": '{"id":"é"}'.encode("latin-1"),
    "an overlong NUL": b'{"id":"\xc0\x80"}',
    "a control character": b'{"id":"a\nb"}',
    "two documents": b'{"id":"a"}{"id":"b"}',
    "a comma at the end": b'{"id":"a",}',
    "single quotes": b"{'id':'a'}",
    "a comment": b'{"id":"a"}//',
    "blanks": b" \n\t ",
    "gzip that nobody announced": gzip.compress(b'{"id":"a"}'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_json_is_a_decode_error_for_every_operation(name: str) -> None:
    """Only a blank body confirms a write, as an empty one does."""
    for operation in [*READ, "createAccessToken", "request by hand"]:
        writes = operation in CALLS and OPERATIONS[operation].method != "GET"
        expected = {"done", "read"} if writes and name == "blanks" else {"unreadable"}
        if "levels" in name and sys.version_info >= (3, 12):
            expected.add("read")  # C code goes deeper there, and msgspec skips what nobody reads
        assert check(operation, 200, OK, HOSTILE[name]) in expected, operation
        assert check(operation, 422, OK, HOSTILE[name]) == "refused", operation


def test_raw_items_keep_all_digits_of_a_number() -> None:
    """`Page.raw` says what Thrive said."""
    target.NETWORK.status, target.NETWORK.body = 200, b'{"results":[{"id":"a","unknown":12345678901234567890123}]}'
    page = target.driven(CALLS["searchUsers"].call(target._CLIENT)._page(1, None))
    assert str(page.raw) == "[{'id': 'a', 'unknown': 12345678901234567890123}]"


@pytest.mark.parametrize("number", [b"9" * 5000, b"1e999", b"-1e999"])
def test_a_number_that_no_float_holds_is_refused_where_it_is_read(number: bytes) -> None:
    """Where nobody looks, it may be skipped."""
    body = b'{"id":"a","level":' + number + b"}"
    for operation in [*READ, "createAccessToken", "request by hand"]:
        assert check(operation, 200, OK, body) in {"unreadable", "read", "done"}, operation
        assert check(operation, 422, OK, body) == "refused", operation
    for operation in ("getUser", "updateAudience", "request by hand", "createAccessToken"):
        assert check(operation, 200, OK, body) == "unreadable", operation
    assert check("searchUsers", 200, OK, b'{"results":[' + body + b"]}") == "unreadable"
    doubled = body.replace(b"}", b',"level":3}')
    assert check("getUser", 200, OK, doubled) == "unreadable"
    assert check("getUser", 422, OK, doubled) == "refused"
    assert check("getTag", 200, OK, body) == "read"
    target.NETWORK.status, target.NETWORK.body = 200, b'{"results":[{"id":"a","x":' + number + b"}]}"
    page = target.driven(CALLS["searchUsers"].call(target._CLIENT)._page(1, None))
    assert [user.id for user in page.items] == ["a"]
    with pytest.raises(DecodeError, match="does not know") as raised:
        page.raw  # noqa: B018
    assert raised.value.__context__ is None  # the decoder's own error holds the records
    assert raised.value.status == 200


@pytest.mark.parametrize("words", [b"OK", b" Updated \r\n", "Ge\u00e4ndert: 3 users.".encode()])
def test_words_confirm_a_write(words: bytes) -> None:
    for operation in READ:
        writes = OPERATIONS[operation].method != "GET"
        expected = {"done", "read"} if writes else {"unreadable"}
        assert check(operation, 200, OK, words) in expected, operation


@pytest.mark.parametrize("depth", [40, 60, 400, 1000])
def test_deep_but_allowed(depth: int) -> None:
    """What a decoder takes is read where the model takes it, kept where nobody looks, and named in the error."""
    nest = b"[" * depth + b"]" * depth
    assert check("getUser", 200, OK, b'{"id":"a","x":' + nest + b"}") == "read"
    assert check("getUser", 200, OK, b'{"id":"a","additionalFields":{"x":' + nest + b"}}") == "read"
    assert check("searchUsers", 200, OK, b'{"results":[{"id":"a","x":' + nest + b"}]}") == "read"
    assert check("getUser", 200, OK, b'{"id":"a","positions":' + nest + b"}") == "unreadable"
    for operation in ("getUser", "updateAudience", "createAccessToken"):
        for field in (b"message", b"error", b"errors", b"memberOperations", b"success"):
            assert check(operation, 422, OK, b'{"' + field + b'":' + nest + b"}") == "refused"


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b'{"id":"a","id":"b","level":1,"level":2}', "read"),
        (b'{"id":"a","id":5}', "unreadable"),
        (b'{"id":5,"id":"a"}', "read"),
        (b'{"id":"a","level":18446744073709551615}', "read"),
        (b'{"id":"a","level":1e22}', "read"),
        (b'{"id":"a","level":-0.0}', "read"),
        (b'{"id":"a","level":"1"}', "unreadable"),
        (b'{"id":"\\u0000"}', "read"),
        (b'{"id":"a","\\u0000":1,"":2}', "read"),
        (b'{"id":"\xf0\x9f\x98\x80\\ud83d\\ude00"}', "read"),
        (b' \n{"id":"a"}\t', "read"),
    ],
)
def test_odd_json_that_is_json(body: bytes, outcome: str) -> None:
    """Of a key that is there twice the last value counts; what the values are `check` compares."""
    assert check("getUser", 200, OK, body) == outcome


# Null or missing, unknown fields, unknown values: every model, through every operation that brings it


def _tree(pointer: str, *, leaf: Any, missing: bool, deep: bool) -> Any:
    """Write the poorest reply that the specification allows: ids alone, everything else missing or `leaf`."""
    pointer, schema = rule.resolved(pointer)
    for at, part in enumerate(schema.get("anyOf", ())):
        if "$ref" in part or part.get("type") != "null":
            return _tree(f"{pointer}/anyOf/{at}", leaf=leaf, missing=missing, deep=deep)
    kinds = schema.get("type")
    kind = kinds if isinstance(kinds, str) else next((one for one in kinds or () if one != "null"), None)
    if kind == "array":
        return [_tree(f"{pointer}/items", leaf=leaf, missing=missing, deep=deep)]
    if kind != "object":
        return "2026-01-02T03:04:05Z" if schema.get("format") == "date-time" else "an id"
    made: dict[str, Any] = {}
    for name in schema.get("properties", {}):
        inner = f"{pointer}/properties/{name}"
        nests = deep and _nests(inner)
        if name in schema.get("required", ()) or nests:
            made[name] = _tree(inner, leaf=leaf, missing=missing, deep=deep)
        elif not missing:
            made[name] = leaf
    return made


def _nests(pointer: str) -> bool:
    pointer, schema = rule.resolved(pointer)
    if "$ref" in schema or schema.get("properties"):
        return True
    if "items" in schema:
        return _nests(f"{pointer}/items")
    return any(_nests(f"{pointer}/anyOf/{at}") for at in range(len(schema.get("anyOf", ()))))


@pytest.mark.parametrize("operation", READ)
def test_null_or_missing_everywhere_but_in_ids_is_read(operation: str) -> None:
    pointer = rule.reply_schema(operation)
    assert pointer is not None
    for missing in (True, False):
        for deep in (True, False):
            document = _tree(pointer, leaf=None, missing=missing, deep=deep)
            assert rule.sound(pointer, document)
            names_nobody = operation in BATCHES and not any((document.get("success"), document.get("failure")))
            expected = "done" if names_nobody else "read"
            assert check(operation, 200, OK, orjson.dumps(document)) == expected, document


@pytest.mark.parametrize("operation", READ)
def test_every_field_that_is_documented_is_read(operation: str) -> None:
    pointer = rule.reply_schema(operation)
    assert pointer is not None
    document = rule.fullest(pointer)
    assert rule.sound(pointer, document)
    assert check(operation, 200, OK, orjson.dumps(document)) == "read"


def test_every_model_that_thrive_sends_is_met_there() -> None:
    """Else the test above would leave one out."""
    reached: set[str] = set()

    def walk(pointer: str) -> None:
        pointer, schema = rule.resolved(pointer)
        if pointer in reached:
            return
        reached.add(pointer)
        for name in schema.get("properties", {}):
            walk(f"{pointer}/properties/{name}")
        for part in ("items", "additionalProperties"):
            if isinstance(schema.get(part), dict):
                walk(f"{pointer}/{part}")
        for at in range(len(schema.get("anyOf", ()))):
            walk(f"{pointer}/anyOf/{at}")

    for operation in READ:
        pointer = rule.reply_schema(operation)
        assert pointer is not None
        walk(pointer)
    for kind in get_args(webhooks.Event):  # met in tests/test_webhooks.py
        walk(f"/components/schemas/{kind.__name__}")
    assert {cls.__name__ for cls in READERS} <= {pointer.rpartition("/")[2] for pointer in reached}


# `skills.levels()` gives a list, and no page.
@pytest.mark.parametrize("operation", [name for name in LISTS if name != "listSkillLevels"])
def test_unknown_fields_and_values_are_kept_on_the_page(operation: str) -> None:
    """`Page.raw` holds the fields that no model knows; a value that no enum knows is in both."""
    pointer = rule.reply_schema(operation)
    assert pointer is not None
    item = _tree(rule.items_schema(pointer), leaf=None, missing=True, deep=False)
    cls = of(operation)
    enums = [field for field in attrs.fields(cls) if _enum_of(field) is not None]
    item |= {"brandNew": {"a": [1, None]}, "": "", "x-y": "z"}
    item |= {field.metadata.get("json", field.name): "brand new" for field in enums}
    for document in ([item, item], {"results": [item, item], "more": 1, "pagination": {"totalResults": 2, "x": 3}}):
        body = orjson.dumps(document)
        assert check(operation, 200, OK, body) == "read"
        target.NETWORK.status, target.NETWORK.body = 200, body
        paginator = CALLS[operation].call(target._CLIENT)
        page = target.driven(paginator._page(1, None))
        assert page.raw == [item, item]
        for field in enums:
            value = getattr(page.items[1], field.name)
            assert value == "brand new"
            assert not value.is_known


def _enum_of(field: Any) -> type | None:
    for part in getattr(field.type, "__args__", (field.type,)):
        if isinstance(part, type) and issubclass(part, models.OpenStrEnum):
            return part
    return None
