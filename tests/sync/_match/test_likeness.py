"""Which people an unknown name may mean: generous, but not so generous that nobody could ever be removed."""

import string
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sync._match.likeness_plainly import lookalikes_plainly
from thrive_async.models import AudienceMember
from thrive_async.sync._match import likeness
from thrive_async.sync._match.likeness import comparable, lookalikes


def member(at: int = 0, *, email: str | None = None, reference: str | None = None) -> AudienceMember:
    return AudienceMember(user_id=f"{at:024x}", reference=reference, email=email)


def may_be(name: str, *, email: str | None = None, reference: str | None = None) -> bool:
    return bool(lookalikes([name], [member(email=email, reference=reference)]))


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("ada.jones@example.com", "ada.byron@example.com"),  # married
        ("ada.byron@example.co.uk", "ada.byron@example.com"),  # other domain
        ("adabyron@gmail.com", "ada.byron@gmail.com"),  # dots mean nothing to gmail
        ("ada.byron+lms@example.com", "ada.byron@example.com"),
        ("a.byron@example.com", "ada.byron@example.com"),
        ("byron.ada@example.com", "ada.byron@example.com"),
        ("ada.bryon@example.com", "a.byron@example.com"),  # two letters swapped
        ("jurgen.gross@example.com", "jürgen.groß@example.com"),
        ("juergen@example.com", "jürgen@example.com"),
        ("ILKER@EXAMPLE.COM", "\u0131lker@example.com"),
        ("dimarini@example.com", "m.marini@example.org"),
        ("marinidi@example.com", "m.marini@example.org"),
        ("Ada Byron", "ada.byron@example.com"),
        ("Ada Byron <a.b@x.example>", "ada.byron@example.com"),
    ],
)
def test_an_address_may_be_its_owners_in_another_form(name: str, email: str) -> None:
    assert may_be(name, email=email)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("12", "0012"),
        ("12.0", "0012"),
        ("12,00", "0012"),
        ("Ada Byron; 12.0", "0012"),
        ("1,234", "1234"),
        ("1.23457E+11", "123456789012"),
        ("300000001234567000", "300000001234567891"),
        ("٤٧١١", "4711"),
        ("E471", "E-0471"),
        ("E-O471", "E-0471"),
    ],
)
def test_a_number_may_be_what_a_spreadsheet_makes_of_a_reference(name: str, reference: str) -> None:
    assert may_be(name, reference=reference)


@pytest.mark.parametrize(
    ("name", "reference", "email"),
    [
        ("grace.hopper@example.com", "E-1", "ada.byron@example.com"),
        ("P-00599", "P-00598", "p598@example.com"),
        ("4711", "4712", None),
        ("47110", "4711", None),
        ("de.la.cruz@example.com", None, "de.la.rosa@example.com"),
        ("byron42@example.com", None, "ada.byron@example.com"),  # too short to be two words without their dot
        ("300000001234567000", "300000001234568891", None),
    ],
)
def test_two_different_names_are_two_people(name: str, reference: str | None, email: str | None) -> None:
    assert not may_be(name, reference=reference, email=email)


def test_a_word_that_many_have_in_their_addresses_tells_nobody_apart() -> None:
    everyone = [member(at, email=f"consultant.{word}@example.com") for at, word in enumerate(string.ascii_lowercase)]
    assert lookalikes(["consultant.new@example.com"], everyone[:1], everyone) == {}
    assert lookalikes(["consultant.a@example.org"], everyone[:1], everyone) == {
        everyone[0].user_id: ("consultant.a@example.org",)
    }


def test_a_family_name_that_a_few_share_holds_each_of_them() -> None:
    everyone = [member(at, email=f"{word}.{word}{word}{word}@example.com") for at, word in enumerate(["ann", "bob"])]
    family = [member(10, email="eva.lindqvist@example.com"), member(11, email="max.lindqvist@example.com")]
    found = lookalikes(["e.lindqvist@example.org"], family, [*everyone, *family])
    assert found.keys() == {one.user_id for one in family}


def test_all_names_that_may_mean_a_person_are_told() -> None:
    """One of them may be known as somebody else, and the other may be this person."""
    found = lookalikes(
        ["ada.jones@x.example", "grace@x.example", "a.byron@x.example"], [member(email="ada.byron@x.org")]
    )
    assert sorted(found[member().user_id]) == ["a.byron@x.example", "ada.jones@x.example"]


def test_names_in_other_alphabets_are_compared_too() -> None:
    assert may_be("山田-\uff11", reference="山田-1")
    assert not may_be("山田-1", reference="鈴木-1")
    assert not may_be("юля@x.example", email="жанна@x.example")


def test_rewritten_names_share_more_than_a_part() -> None:
    person = [member(email="ada.byron@example.com", reference="0012")]
    assert lookalikes(["ada.jones@example.com"], person, rewritten_only=True) == {}
    assert lookalikes(["12.0"], person, rewritten_only=True)


def test_someone_without_names_is_meant_by_none() -> None:
    assert lookalikes(["ada@example.com", ""], [member()]) == {}
    assert lookalikes([], [member(email="ada@example.com")]) == {}


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_can_be_compared_and_is_like_itself(name: str, other: str) -> None:
    person = member(reference=name or None, email=other or None)
    found = lookalikes([name], [person])
    assert set(found) <= {person.user_id}
    if any(char.isascii() and char.isalnum() for char in name):
        assert found[person.user_id] == (name,)
    assert comparable(comparable(name)) == comparable(name)


NAMES = st.lists(st.text("aeno0195@.-+ \n\u2028üE;", max_size=14), max_size=5)


@given(NAMES, NAMES)
def test_names_are_compared_one_by_one_however_many_there_are(names: list[str], others: list[str]) -> None:
    """They are cut up all at once, and none may leave anything to its neighbour."""
    people = [member(at, email=text) for at, text in enumerate(others)]
    found = lookalikes(names, people)
    assert {user_id: set(meant) for user_id, meant in found.items()} == {
        one.user_id: meant for one in people if (meant := {name for name in names if lookalikes([name], [one])})
    }


PARTS = st.sampled_from(
    (
        *("ada", "a\u0301da", "byron", "bryon", "byon", "dimarini", "di-marini", "marini", "k.", "oil", "consultant"),
        *("müller", "mueller", "muller", "gross", "groß", "ILKER", "\u0131lker", "юля", "山田", "jurgen.gross"),
        *("12", "0012", "12.0", "12,00", "0", "00", "000", "10", "1,234", "4711", "٤٧١١", "E-0471", "E471", "E-O471"),
        *("1e5", "123456789012", "300000001234567891", "E-O1l7", "k.oi"),
        *("abcdefghi", "fghijabcde", "bcdefgh", "example.com"),
    )
)
BETWEEN = st.sampled_from(
    ["", "", ".", ".", "-", "_", "@", "@", "+", " ", "; ", "\n", "\u200b", " at ", "0", ",", "\t", "'"]
)
ADDRESSES = st.builds(
    "{}{}{}{}@{}".format,
    PARTS,
    BETWEEN,
    PARTS,
    st.sampled_from(["", "", "+lms", " "]),
    st.sampled_from(["example.com", "EXAMPLE.org", "0x.com", "2.example", "exämple.com"]),
)
WRITTEN = st.one_of(
    PARTS,
    ADDRESSES,
    st.lists(PARTS | BETWEEN, max_size=6).map("".join),
    st.text("aeno0195@.-+ \n\u2028üE;_,", max_size=14),
    st.text(max_size=12),
)
REWRITERS: Final[list[Callable[[str], str]]] = [
    str,
    str.upper,
    lambda name: name.replace(".", "").replace("-", ""),
    lambda name: name[:2] + "." + name[2:],
    lambda name: name.rpartition("@")[0] + "@elsewhere.example",
    lambda name: name.replace("@", "+lms@"),
    lambda name: name.replace("@", " at "),
    lambda name: name.replace("0", "o").replace("1", "l"),
    lambda name: "00" + name,
    lambda name: name.lstrip("0"),
    lambda name: name + ".0",
    lambda name: f"{float(name):.5E}" if name.isdecimal() and len(name) < 40 else name,
    lambda name: name[:15] + "0" * len(name[15:]),
    lambda name: name[:3] + name[4:],
    lambda name: name[:1] + name[2:3] + name[1:2] + name[3:],
    lambda name: f"Someone <{name}>; 12",
    lambda name: f" {name}\n",
]


@given(
    strangers=st.lists(WRITTEN, max_size=3),
    called=st.lists(st.tuples(st.none() | WRITTEN, st.none() | WRITTEN), max_size=6),
    rewritten=st.lists(st.tuples(st.integers(0, 11), st.sampled_from(REWRITERS)), max_size=6),
    same_surname=st.integers(0, 4),
    at_once=st.sampled_from([1, 2, 5, 2_000]),
    rewritten_only=st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_the_doubts_are_those_of_comparing_each_name_with_each_person(
    *,
    strangers: list[str],
    called: list[tuple[str | None, str | None]],
    rewritten: list[tuple[int, Callable[[str], str]]],
    same_surname: int,
    at_once: int,
    rewritten_only: bool,
) -> None:
    """Sets and batches make it fast, and may neither lose a doubt nor add one."""
    people = [member(at, reference=reference, email=email) for at, (reference, email) in enumerate(called)]
    own = [name for names in called for name in names if name]
    names = [*strangers, *(rewrite(own[at % len(own)]) for at, rewrite in rewritten if own)]
    others = [member(100 + at, email=f"{at}.müller@example.com") for at in range(same_surname)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(likeness, "_AT_ONCE", at_once)
        found = lookalikes(names, people, [*people, *others], rewritten_only=rewritten_only)
    plainly = lookalikes_plainly(names, people, [*people, *others], rewritten_only=rewritten_only)
    assert {user_id: set(meant) for user_id, meant in found.items()} == plainly
    assert list(found) == [one.user_id for one in people if one.user_id in found]
    assert all(len(set(meant)) == len(meant) for meant in found.values())
