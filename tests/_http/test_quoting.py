"""Thrive's words in the text of an error: readable, one short line, without what the request carried."""

import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async._http import quoting
from thrive_async._http.quoting import one_line, quoted

LONG = "Lorem ipsum dolor sit amet " * 1_000


@pytest.mark.parametrize(
    "words",
    [
        "Timezone Mars/Olympus is not supported",
        "limit is 100",
        "User Anna Berg (E-77) does not exist.",
        "Licence for Grace Hopper expired; ask Payroll",
        "用户李小龙不存在",
        '"audienceId" must be a valid ObjectId',
    ],
)
def test_nothing_is_guessed(words: str) -> None:
    assert quoted(words, []) == words
    assert quoted(words, [("ref", "nobody"), ("name", "")]) == words


@pytest.mark.parametrize(
    ("words", "carried", "shown"),
    [
        ("Audience sales not found", [("audienceId", "sales")], "Audience {audienceId} not found"),
        # In another case, in quotation marks, percent-encoded, or as JSON writes it.
        ("no BERG, no 'berg'", [("lastName", "Berg")], "no {lastName}, no '{lastName}'"),
        ("no /users/ref/a%2Fb%20c", [("ref", "a/b c")], "no /users/ref/{ref}"),
        ("q=a%2Fb+c&", [("ref", "a/b c")], "q={ref}&"),
        ("/ref%2Fsam/", [("ref", "sam")], "/ref%2F{ref}/"),
        ({"user": 'Anna "Annie" Berg'}, [("name", 'Anna "Annie" Berg')], '{"user":"{name}"}'),
        ({"Anna Berg": ["Anna Berg", 5]}, [("name", "Anna Berg")], '{"{name}":["{name}",5]}'),
        ("Anna\n Berg", [("name", "Anna\tBerg")], "{name}"),
        ("用户李小龙不存在", [("lastName", "李小龙")], "用户{lastName}不存在"),
        ("no Sch\\u00FCtz", [("lastName", "Schütz")], "no {lastName}"),
        ("no a\\/b c", [("ref", "a/b c")], "no {ref}"),
        ("\\u0022sam\\u0022,\\nsam", [("ref", "sam")], "\\u0022{ref}\\u0022,\\n{ref}"),
        # As HTML writes it.
        ("no M&amp;S &lt;Ltd&gt;", [("name", "M&S <Ltd>")], "no {name}"),
        ("O&#39;Hara, O&#x27;Hara, O&#039;hara, O&apos;Hara", [("n", "O'Hara")], "{n}, {n}, {n}, {n}"),
        ("no D'Arcy &amp; Co, D&#39;Arc&#233;", [("a", "D'Arcy & Co"), ("b", "D'Arcé")], "no {a}, {b}"),
        ("&quot;sam&quot;", [("ref", "sam")], "&quot;{ref}&quot;"),
        ("no O'Hara%20(Ulm)", [("name", "O'Hara (Ulm)")], "no {name}"),
        # A short value only where it stands alone, a very short one only in its own case, a letter never.
        ("us is no user of us", [("tag", "us")], "{tag} is no user of {tag}"),
        ("IS is not enabled here", [("country", "IS")], "{country} is not enabled here"),
        ("a user", [("tag", "a")], "a user"),
        ("E-77123 and E-7712", [("ref", "E-7712")], "E-77123 and {ref}"),
        # A value that others are part of goes first; an address is not taken apart.
        ("Anna Berg, Anna", [("first", "Anna"), ("full", "Anna Berg")], "{full}, {first}"),
        ("anna@example.org", [("ref", "anna"), ("email", "anna@example.org")], "{email}"),
        ("anna@example.org", [("ref", "anna")], "***"),
        # The first name of a value that the request carried twice.
        ("E-77", [("ref", "E-77"), ("body[0]", "E-77")], "{ref}"),
        # Addresses that the request did not carry.
        ("Taken by anna.berg+x@example.org.", [], "Taken by ***."),
        ("see /users/anna%40example.org", [], "see /users/***"),
        ("/anna%2540example.org", [], "/***"),
        ("Taken by sean.o'brien@example.org and 'al@example.org'", [], "Taken by *** and '***'"),
        ('Taken by "anna berg"@example.org, root@[10.0.0.1]', [], "Taken by ***, ***"),
        # A letter that is two in small ones.
        ("no İstanbul, no İSTANBUL", [("city", "İstanbul")], "no {city}, no {city}"),
        # A long value, whole or cut on the way.
        (f"no {LONG[:403]}: too long", [("text", LONG[:403])], "no {text}: too long"),
        (f"no {LONG}: too long", [("text", LONG)], "no {text}"),
        (f"no {LONG[:700]}... is too long", [("text", LONG)], "no {text}"),
        (None, [("ref", "x")], ""),
    ],
)
def test_a_value_that_the_request_carried_shows_as_its_name(
    words: object, carried: list[tuple[str, str]], shown: str
) -> None:
    assert quoted(words, carried) == shown


@given(st.text(), st.lists(st.text("abcdefgh \n", min_size=8, max_size=12), max_size=5))
def test_any_words_become_one_short_printable_line_without_what_was_carried(words: str, values: list[str]) -> None:
    for said in (words, words.join(values), {"a": [words, *values]}):
        shown = quoted(said, [("n", value) for value in values])
        assert len(shown) <= 300
        assert shown.isprintable()
        for value in map(one_line, values):
            assert len(value) < 8 or value not in shown


ESCAPES: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    html.escape,
    lambda value: html.escape(value).replace("&#x27;", "&#39;"),
    lambda value: json.dumps(value)[1:-1],
    lambda value: quote(value, safe=""),
    quote_plus,
)


@pytest.mark.parametrize("escaped", ESCAPES)
@given(st.text("aé'&<> \"/\\+%#;ü", min_size=8, max_size=20).map(one_line).filter(lambda value: len(value) >= 8))
def test_a_value_is_recognised_however_it_is_escaped(escaped: Callable[[str], str], value: str) -> None:
    assert quoted(f"no such user: {escaped(value)} ", [("ref", value)]) == "no such user: {ref}"


def test_control_characters_and_line_breaks_are_taken_out() -> None:
    assert quoted("a\x1b[31mb\r\n\u202ec\x00", []) == "a [31mb c"


@pytest.mark.parametrize("words", ["Ada " * 400_000, "a@" * 700_000, " " * 1_500_000, {"m": ["x" * 100] * 15_000}])
def test_no_more_of_long_words_is_looked_at_than_may_be_shown(words: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Was: 6 s of the loop's time for a body of 1.5 MB."""
    looked_at = 0
    compile_pattern = quoting.re.compile

    class Counting:
        def __init__(self, pattern: str) -> None:
            self.pattern = compile_pattern(pattern)

        def finditer(self, text: str) -> object:
            nonlocal looked_at
            for match in self.pattern.finditer(text):
                looked_at += 1
                yield match

    monkeypatch.setattr(quoting.re, "compile", Counting)
    assert len(quoted(words, [("ref", "Ada"), ("email", "x@y.org")])) <= 300
    assert looked_at <= 301


def test_where_words_are_cut_no_value_is_shown_in_half() -> None:
    for extra in range(30):
        said = quoted("Ada " * 2_494 + "x" * extra + " secretplan secretplan", [("a", "secretplan"), ("b", "Ada")])
        assert "secr" not in said
