"""Straight from bytes into shapes: the same models, problems and errors as through dictionaries."""

from typing import Any

import msgspec
import orjson
import pytest
from _wire.test_convert import documents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thrive_async import models
from thrive_async._base.problems import Found, unread
from thrive_async._base.strict import _PIECE
from thrive_async._wire import convert
from thrive_async._wire.convert import read, read_list
from thrive_async.errors import DecodeError


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(documents(), st.booleans())
def test_bytes_become_the_same_as_dictionaries(case: tuple[type, Any], bare: bool) -> None:
    """Decoding straight into shapes changes neither the models, nor the problems, nor the errors."""
    cls, document = case
    try:
        body = orjson.dumps(document)
    except TypeError:
        return  # no JSON: a surrogate, or an integer of more than 64 bits
    page = orjson.dumps([document, document] if bare else {"pagination": {"totalPages": 1}, "results": [document]})

    def outcome(of_reply: Any, of_page: Any) -> tuple[Any, ...]:
        found, listed = Found(), Found()
        made: list[Any] = []
        for reading in (
            lambda: read(cls, of_reply(body), found),
            lambda: read_list(cls, items_of(of_page(page)), listed),
        ):
            try:
                made.append(reading())
            except DecodeError as error:
                made.append((error.path, error.reason))
        return *made, found.problems("op", "$"), listed.problems("op", "$"), listed.skipped

    assert outcome(convert.decoder(cls), convert.page_decoder(cls)) == outcome(orjson.loads, orjson.loads)


def items_of(page: Any) -> list[Any]:
    return page if isinstance(page, list) else page["results"]


@pytest.mark.parametrize("beside", ["", ',{"id":"b","level":"5"}', ',{"id":"b","createdAt":"x"}', ",null"])
def test_an_integer_reads_the_same_whatever_stands_beside_it(beside: str) -> None:
    """If an item does not match the specification, the whole page is decoded again, as any JSON."""
    long = 12345678901234567890123
    page = f'[{{"id":"a","level":{long},"additionalFields":{{"payroll":{long}}}}}{beside}]'
    user = read_list(models.User, convert.page_decoder(models.User)(page.encode()), Found())[0]
    assert user == models.User(id="a", level=long, additional_fields={"payroll": long})
    assert type(user.level) is int


def test_a_long_number_is_not_lost_where_a_text_was_expected() -> None:
    """It may be the number by which an HR system knows a person."""
    found = Found()
    user = read(models.User, convert.decoder(models.User)(b'{"id":"a","ref":12345678901234567890123}'), found)
    assert (user.ref, unread(user)) == ("12345678901234567890123", frozenset())
    assert found.problems("op", "$")["$.ref"].lost == 0


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"a","em\xffail":"b"}',
        b'{"id":"a","x":"\xed\xa0\x80"}',
        b'{"id":"a","x":"\xc0\x80"}',
        '{"é":1}'.encode("latin-1"),
    ],
)
def test_broken_characters_are_no_json_even_in_what_nobody_reads(body: bytes) -> None:
    """A garbled name would pass for an unknown field, and its value would be lost without a word."""
    for decode in (convert.decoder(models.User), convert.page_decoder(models.User)):
        for whole in (body, b'{"results":[' + body + b"]}", b"[" + body + b"]"):
            with pytest.raises(orjson.JSONDecodeError):
                decode(whole)


@pytest.mark.parametrize("before", range(3))
def test_a_character_may_lie_across_two_pieces(before: int) -> None:
    """The check for broken characters goes by pieces of 64 KiB."""
    text = "x" * (_PIECE - 60 + before) + "€" * 30  # the border lies among these
    (shape,) = convert.page_decoder(models.User)(orjson.dumps([{"id": "a", "summary": text}]))
    assert isinstance(shape, msgspec.Struct), "else it would still be read, but as a page that does not match"
    (user,) = read_list(models.User, [shape])
    assert user.summary == text
    cut = orjson.dumps([{"id": "a", "summary": text}])[:-1].replace(b'\x82\xac"', b'\x82"')
    with pytest.raises(orjson.JSONDecodeError):
        convert.page_decoder(models.User)(cut + b"]")
