"""Who of the desired people is a member already."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async.models import AudienceMember
from thrive_async.sync._doubts import removals
from thrive_async.sync._match.matching import Match, Matcher
from thrive_async.sync._match.names import clean, newcomer_key

ID_A = "5f0000000000000000000aaa"
ID_B = "5f0000000000000000000bbb"


def member(user_id: str, reference: str | None = None, email: str | None = None) -> AudienceMember:
    return AudienceMember(user_id=user_id, reference=reference, email=email)


def match(members: list[AudienceMember], *desired: object) -> Match:
    matcher = Matcher(members)
    matcher.feed(desired)
    return matcher.result()


ANN = member(ID_A, "E-1", "Ann@Example.com")
BEN = member(ID_B, "E-2", "ben@example.com")


@pytest.mark.parametrize(
    "name", [ID_A, ID_A.upper(), "E-1", "ann@example.com", "ANN@EXAMPLE.COM", " E-1\t", "\ufeffE-1"]
)
def test_a_member_is_matched_by_id_ref_or_email(name: str) -> None:
    """Ids and e-mail addresses match in any case, refs as written; what surrounds a name does not count."""
    found = match([ANN, BEN], name)
    assert found.staying == (ID_A,)
    assert found.others == (BEN,)
    assert found.to_add == found.duplicates == found.rejected == ()


def test_two_names_of_one_member_count_once() -> None:
    """The second name is a duplicate, listed as written."""
    found = match([ANN], "E-1", "ann@EXAMPLE.com", ID_A)
    assert (found.staying, found.duplicates) == ((ID_A,), ("ann@EXAMPLE.com", ID_A))


def test_a_newcomer_written_twice_is_one_addition() -> None:
    """E-mail addresses are compared in lower case among newcomers, too; the first writing is sent."""
    found = match([], "New@x.org", "new@X.org", "R-9", "R-9", "r-9", " R-9 ")
    assert found.to_add == ("New@x.org", "R-9", "r-9")
    assert found.duplicates == ("new@X.org", "R-9", "R-9")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "blank"),
        ("  \t", "blank"),
        ("\ufeff", "blank"),
        (None, "blank"),
        (float("nan"), "blank"),
        (1001.0, "not text but float"),
        (True, "not text but bool"),
        (b"E-1", "not text but bytes"),
        ({"ref": 1}, "not text but dict"),
        ("x" * 1001, "longer than 1,000 characters"),
        ("a\nb", "holds a line break, a control character or broken text"),
        ("a\x00b", "holds a line break, a control character or broken text"),
        ("a\ud800b", "holds a line break, a control character or broken text"),
    ],
)
def test_what_cannot_be_a_name_is_listed_with_the_reason(value: object, reason: str) -> None:
    """Blanks and impossible values are never sent and never lost."""
    found = match([ANN], value, "E-1")
    assert [one.reason for one in found.rejected] == [reason]
    assert (found.to_add, found.others) == ((), ())


@pytest.mark.parametrize("name", ["José Núñez", "名前", "o'brien+tag@x.org", "a b", "a\xa0b", "ref/with/slash"])
def test_what_looks_odd_may_still_be_a_name(name: str) -> None:
    """Spaces, slashes, plus signs and any alphabet are possible."""
    assert clean(name) == (name, None)


def test_an_ambiguous_name_twice_is_a_duplicate() -> None:
    """The list of duplicates is complete."""
    found = match([member("1", "same"), member("2", "same")], "same", "same")
    assert (list(found.ambiguous), found.duplicates) == (["same"], ("same",))


@pytest.mark.parametrize("name", ["ann@example.com", "ANN@example.com"])
def test_a_ref_that_is_another_members_email_is_ambiguous(name: str) -> None:
    """A person's ref may be another's e-mail address; only the exact ref clashes, for refs have their case."""
    crossing = member(ID_B, "ann@example.com", "ben@example.com")
    found = match([ANN, crossing], name)
    if name == "ann@example.com":
        assert set(found.ambiguous[name]) == {ID_A, ID_B}
    else:
        assert found.staying == (ID_A,)


def test_a_ref_that_is_another_members_id_in_another_case_is_ambiguous() -> None:
    """Ids are understood in any case, so that such a name may mean either."""
    odd = member(ID_B, ID_A.upper(), "ben@example.com")
    found = match([ANN, odd], ID_A.upper())
    assert set(found.ambiguous[ID_A.upper()]) == {ID_A, ID_B}
    assert found.staying == ()
    assert match([ANN, odd], ID_A).others == (odd,)
    assert match([odd], ID_A.upper()).staying == (ID_B,)


def test_a_whole_number_is_its_digits() -> None:
    """Spreadsheets and JSON hand refs back as numbers."""
    found = match([member("1", "118"), member("2", "119")], 118, 118, 120)
    assert (found.staying, found.to_add, found.duplicates) == (("1",), ("120",), ("118",))
    assert [one.user_id for one in found.others] == ["2"]


def test_two_newcomers_refs_that_differ_in_case_alone_are_two() -> None:
    """Also where they look like ids."""
    assert match([], ID_A, ID_A.upper()).to_add == (ID_A, ID_A.upper())


def test_a_members_own_ref_may_be_its_email() -> None:
    """Many tenants use the e-mail address as the ref: that is no clash."""
    found = match([member("1", "Ann@x.org", "ann@x.org"), member("2", "2", None)], "ann@x.org", "2")
    assert (found.staying, found.ambiguous) == (("1", "2"), {})


names = st.sampled_from(
    ["", " ", "a", "A", "b", "a@x", "A@x", "b@x", "B@X", "c@x", "odd", "ODD", "1", "2", "3", ID_A, ID_A.upper()]
)
members_of = st.lists(
    st.builds(
        member,
        st.sampled_from(["1", "2", "3", "4", "a", ID_A]),
        st.none() | st.sampled_from(["a", "A", "b", "a@x", "A@x", "2", ID_A]),
        st.none() | st.sampled_from(["a@x", "A@X", "b@x", "c@x", "odd"]),
    ),
    max_size=6,
    unique_by=lambda one: one.user_id,
)


def fits(name: str, one: AudienceMember) -> bool:
    lower = name.lower()
    return name in (one.user_id, one.reference) or bool(one.email and one.email.lower() == lower)


@given(members=members_of, desired=st.lists(names, max_size=10))
def test_matching_agrees_with_a_slow_and_simple_one(members: list[AudienceMember], desired: list[str]) -> None:
    """Everybody ends where comparing each name with each member puts them."""
    found = match(members, *desired)
    staying: set[str] = set()
    maybe: set[str] = set()
    newcomers: dict[str, str] = {}
    ambiguous: dict[str, set[str]] = {}
    blanks = 0
    for written in desired:
        name = written.strip()
        if not name:
            blanks += 1
            continue
        people = {one.user_id for one in members if fits(name, one)}
        if not people:
            people = {one.user_id for one in members if len(name) == 24 and one.user_id == name.lower()}
        if len(people) == 1:
            staying |= people
        elif people:
            ambiguous[name] = people
            maybe |= people
        else:
            newcomers.setdefault(newcomer_key(name), name)
    assert set(found.staying) == staying
    assert {one.user_id for one in found.others} == {one.user_id for one in members} - staying
    decided = removals(found)
    to_remove = set() if blanks else {one.user_id for one in members} - staying - maybe
    # An id that is somebody else's name, too, is not sent.
    to_remove -= found.shared_ids
    assert {one.user_id for one in decided.to_remove} == to_remove
    assert decided.held.keys() == {one.user_id for one in found.others} - to_remove
    assert found.to_add == tuple(newcomers.values())
    assert {name: set(ids) for name, ids in found.ambiguous.items()} == ambiguous
    # Every entry of the list is accounted for once.
    once = len(found.staying) + len(found.to_add) + len(found.ambiguous) + len(found.duplicates) + len(found.rejected)
    assert once == len(desired)
    assert len([one for one in found.rejected if one.where]) == len(found.rejected) == blanks


@given(members=members_of, desired=st.lists(names, max_size=8), cut=st.integers(0, 8))
def test_feeding_in_parts_changes_nothing(members: list[AudienceMember], desired: list[str], cut: int) -> None:
    """A list may come in any number of parts."""
    matcher = Matcher(members)
    matcher.feed(desired[:cut])
    matcher.feed(desired[cut:])
    assert matcher.result() == match(members, *desired)


def test_newcomers_found_to_be_one_person_count_once() -> None:
    """The first name desired is the one that is added; the member's other name is no newcomer."""
    matcher = Matcher([ANN])
    matcher.feed(["R-7", "seven@x.org", "alias-of-ann"])
    matcher.same_person(["R-7", "seven@x.org"], "777")
    matcher.same_person(["alias-of-ann"], ID_A)
    found = matcher.result()
    assert (found.to_add, found.duplicates, found.staying) == (("R-7",), ("seven@x.org",), (ID_A,))


def test_a_newcomers_name_of_two_users_is_not_sent() -> None:
    """Ambiguity does not end at the audience's own members."""
    matcher = Matcher([])
    matcher.feed(["who"])
    matcher.ambiguous_newcomer("who", ("8", "9"))
    found = matcher.result()
    assert (found.to_add, found.ambiguous) == ((), {"who": ("8", "9")})


def test_an_ambiguous_name_is_so_with_white_space_around_it() -> None:
    """What is cleaned is matched again."""
    found = match([member("1", "same"), member("2", "same")], " same ")
    assert list(found.ambiguous) == ["same"]


def test_names_can_be_identified_afterwards() -> None:
    """By the member's id, the newcomer's key, or not at all."""
    matcher = Matcher([ANN, member("1", "same"), member("2", "same")])
    matcher.feed([ID_A.upper(), "New@x.org", "R-7", "alias", "same", "E-1"])
    matcher.same_person(["New@x.org", "R-7"], "777")
    matcher.same_person(["alias"], ID_A)
    assert matcher.identify(ID_A.upper()) == matcher.identify("alias") == matcher.identify("E-1") == ID_A
    assert matcher.identify("new@X.org") == matcher.identify("R-7") == "new@x.org"
    assert matcher.identify("same") is None
    assert matcher.result().duplicates == ("E-1", "R-7", "alias")


@pytest.mark.parametrize(
    ("written", "email"),
    [
        ("o\u2019neil@x.example", "o'neil@x.example"),
        ("o'neil@x.example", "o\u2019neil@x.example"),
        ("ada@xn--brckner-o2a.example", "Ada@brückner.example"),
        ("ADA@BRÜCKNER.EXAMPLE", "ada@xn--brckner-o2a.example"),
        ("a\u200bd\u00ada@x.example\u200e", "ada@x.example"),
        ("ada@x.example", "\u202aada@x.example\u202c"),
    ],
)
def test_an_address_is_compared_without_what_cannot_be_seen(written: str, email: str) -> None:
    assert match([member("1", "E-1", email)], written).staying == ("1",)


def test_a_name_as_it_is_written_comes_first() -> None:
    both = [member("1", "O\u2019Neil"), member("2", "O'Neil")]
    assert match(both, "O\u2019Neil").staying == ("1",)
    assert match(both, "O'Neil").staying == ("2",)
    assert match(both[:1], "O'Neil").staying == ("1",)


def test_two_domains_that_only_old_rules_make_one_are_two() -> None:
    assert match([member("1", None, "a@strasse.example")], "a@straße.example").staying == ()
