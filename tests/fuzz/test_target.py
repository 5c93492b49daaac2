"""Replies of every kind, sound, damaged and hostile: a correct object, or the error that says what is wrong."""

import json
import random
from functools import cache
from typing import Any

import orjson
import pytest
from _wire.test_convert import anything, damaged, json_of_model, texts
from fuzz_inputs import HEADER_SETS, STATUSES, check_bytes, packed
from fuzz_models import LISTS, READ, of
from fuzz_mutator import mutated
from fuzz_parts import Broken, check_attribution
from fuzz_seeds import BODIES, HEADERS, sound_replies
from fuzz_target import CALLS, TARGETS, check
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thrive_async import models
from thrive_async._base.strict import Reader
from thrive_async._generated.operations import OPERATIONS
from thrive_async._generated.readers import READERS

OK = HEADER_SETS[0]
SLOW = settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    deadline=None,
)


def written(document: Any) -> bytes:
    """Write JSON as a careless server might: NaN and lone surrogates as they are."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


# Sound replies


@cache
def seeds() -> dict[str, tuple[int, bytes]]:
    import asyncio

    return {operation: (status, body) for operation, status, body in asyncio.run(sound_replies())}


@pytest.mark.parametrize("operation", [*CALLS, "createAccessToken"])
def test_what_the_sandbox_answers_is_read(operation: str) -> None:
    """Else the target would prove nothing: whatever came, it would be refused."""
    status, body = seeds()[operation]
    read = "done" if operation in OPERATIONS and OPERATIONS[operation].any_answer else "read"
    assert check(operation, status, OK, body) == read


def _wrong_kind(data: Any) -> Any:
    made = READERS[models.Tag](data)
    made.tag = str(made.tag)
    return made


def _lost(data: Any) -> Any:
    return READERS[models.Tag]({**data, "skills": None})


def _swapped(data: Any) -> Any:
    return READERS[models.Tag]({**data, "id": data["tag"], "tag": data["id"]})


def _too_lenient(data: Any) -> Any:
    return READERS[models.Tag]({**data, "id": str(data["id"])})


def _too_strict(data: Any) -> Any:
    if data.get("tag") is None:
        raise TypeError
    return READERS[models.Tag](data)


@pytest.mark.parametrize(
    ("reader", "document"),
    [
        (_wrong_kind, {"id": "a"}),
        (_lost, {"id": "a", "skills": ["b"]}),
        (_swapped, {"id": "a", "tag": "b"}),
        (_too_lenient, {"id": 5}),
    ],
)
def test_the_rule_notices_a_reader_that_is_wrong(
    reader: Any, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from thrive_async._wire import convert

    body = orjson.dumps(document)
    check("getTag", 200, OK, body)
    monkeypatch.setitem(convert._readers, models.Tag, Reader(Any, reader))
    with pytest.raises(Broken):
        check("getTag", 200, OK, body)


def test_the_rule_notices_a_sound_reply_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from thrive_async._wire import convert
    from thrive_async.errors import DecodeError

    monkeypatch.setitem(convert._readers, models.Tag, Reader(Any, _too_strict))
    monkeypatch.setattr(convert, "_read_carefully", lambda *_: DecodeError("no", path=""))
    with pytest.raises(Broken, match="matches the specification, but was refused"):
        check("getTag", 200, OK, b'{"id": "a"}')


# Damaged replies


@st.composite
def pages(draw: st.DrawFn) -> tuple[str, Any]:
    """A page of a list: envelope or array, totals of every kind, items sound or damaged."""
    operation = draw(st.sampled_from(LISTS))
    items: Any = draw(st.lists(json_of_model(of(operation)), max_size=3))
    if draw(st.booleans()):
        items = damaged(draw, items)
    if draw(st.booleans()):
        return operation, items
    count = (
        st.none()
        | st.integers(-1, 10**16)
        | st.integers(0, 50)
        | st.sampled_from([2.0, 2.5, 1e300, "2", "\u0662", "-1", "²", "", "9" * 5000, True, [], {}])
    )
    totals: Any = draw(
        st.fixed_dictionaries({}, optional=dict.fromkeys(("totalResults", "totalPages", "perPage", "page"), count))
        | anything
    )
    return operation, draw(st.sampled_from([{"results": items, "pagination": totals}, {"results": items}, items]))


@SLOW
@given(pages())
def test_any_page(case: tuple[str, Any]) -> None:
    operation, document = case
    check(operation, 200, OK, written(document))


@SLOW
@given(st.data())
def test_any_reply_of_any_operation(data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(READ))
    document: Any = data.draw(json_of_model(of(operation)))
    for _ in range(data.draw(st.integers(0, 2))):
        document = damaged(data.draw, document)
    check(operation, data.draw(st.sampled_from([200, 201, 207])), OK, written(document))


refused_bodies = (
    st.binary(max_size=60)
    | anything.map(written)
    | texts.map(lambda text: text.encode("utf-16", "surrogatepass"))
    | st.fixed_dictionaries(
        {},
        optional={
            name: anything | st.sampled_from(["ada@example.com is taken", "\u2028", "x" * 20_000])
            for name in ("status", "error", "message", "errors", "detail", "error_description", "memberOperations")
        },
    ).map(written)
)


@SLOW
@given(
    st.sampled_from(TARGETS),
    st.sampled_from([status for status in STATUSES if status >= 300]) | st.integers(300, 999),
    st.sampled_from(HEADER_SETS),
    refused_bodies,
)
def test_any_refusal(operation: str, status: int, headers: dict[str, str], body: bytes) -> None:
    assert check(operation, status, headers, body) == "refused"


results = json_of_model(models.MemberOperationResult) | anything


@SLOW
@given(
    st.recursive(
        results,
        lambda inner: st.dictionaries(
            st.sampled_from(["memberOperations", "message", "success", "failure", "left", "joined"]), inner, max_size=3
        ),
        max_leaves=4,
    )
)
def test_any_body_of_a_refused_move_or_batch(document: Any) -> None:
    for operation in ("updateAudience", "addMembers"):
        check(operation, 422, OK, written(document))


names = st.sampled_from(["a", "A", " a ", "ä", "Ä", "İ", "i̇", "ß", "SS", "ada@example.com", "nobody"]) | texts


@SLOW
@given(
    st.lists(names, min_size=1, max_size=8, unique=True),
    st.lists(names, max_size=8),
    st.lists(st.tuples(names, st.none() | st.sampled_from(["", "is already a member", "unknown"])), max_size=4),
    st.none() | st.integers(-1, 9),
    st.none() | st.integers(-1, 9),
)
def test_nobody_of_a_batch_has_an_outcome_that_the_answer_does_not_give(
    sent: list[str], done: list[str], failed: list[tuple[str, str | None]], succeeded: int | None, failures: int | None
) -> None:
    result = models.MemberOperationResult(
        success=READERS[_class("ProcessedEntities")](
            {"count": succeeded, "entities": [{"reference": name} for name in done]}
        ),
        failure=READERS[_class("FailedEntities")](
            {"count": failures, "entities": [{"reference": name, "reason": reason} for name, reason in failed]}
        ),
    )
    check_attribution(sent, result)


def _class(name: str) -> type:
    return next(cls for cls in READERS if cls.__name__ == name)


@SLOW
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "access_token": texts | st.text(st.characters(codec="ascii"), max_size=9) | anything,
            "expires_in": st.sampled_from([3600, "3600", 1e300, -5, 0, "soon", True, [], "9" * 5000, "1e9"]) | anything,
            "token_type": anything,
        },
    )
    | anything
)
def test_any_reply_of_the_token_endpoint(document: Any) -> None:
    check("createAccessToken", 200, OK, written(document))


moments = st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))
figures = (
    st.integers().map(str) | st.floats().map(str) | st.sampled_from(["1_0", "\u0661", "1e3", "+5", "9" * 5000, "7 "])
)
header_values = (
    moments | figures | st.text(max_size=30) | st.sampled_from(["Thu, 01 Jan 2026 12:00:30 +9959", "\udc80"])
)


@SLOW
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("Retry-After", "X-RateLimit-Reset", "RateLimit-Reset", "Date", "X-Request-Id", "Content-Type"),
            header_values,
        ),
    ),
    st.sampled_from([429, 503, 500]),
)
def test_any_headers(headers: dict[str, str], status: int) -> None:
    check("getUser", status, headers, b"<html>")


@SLOW
@given(st.sampled_from(TARGETS), st.sampled_from([200, 201, 207, 422]), st.binary(max_size=80))
def test_any_bytes(operation: str, status: int, body: bytes) -> None:
    check(operation, status, OK, body)


def test_what_the_fuzzer_makes_of_the_seeds() -> None:
    """The first thousand inputs of a run of the fuzzer, whose later ones coverage chooses."""
    inputs = [packed(operation, status, body) for operation, (status, body) in seeds().items()]
    inputs += [packed(operation, 422, body) for operation in ("getUser", "updateAudience") for body in BODIES]
    inputs += [bytes([0, STATUSES.index(429), 0xF0]) + head for head in HEADERS]
    chance = random.Random(5)

    def by_bytes(data: bytes, limit: int) -> bytes:
        at = chance.randrange(len(data) + 1)
        return (data[:at] + chance.randbytes(chance.randrange(3)) + data[at + chance.randrange(3) :])[:limit]

    outcomes = set()
    for seed in range(1000):
        data = chance.choice(inputs)
        for step in range(chance.randint(1, 4)):
            data = mutated(data, 20_000, seed * 7 + step, by_bytes, inputs)
        outcomes.add(check_bytes(data))
    assert outcomes == {"read", "unreadable", "refused", "done"}
