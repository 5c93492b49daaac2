"""When somebody is not removed: one home of the rules, for the library and the command alike."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sync._match.test_matching import ANN, BEN, ID_A, ID_B, match, member, members_of, names
from tests.sync.conftest import World
from thrive_async import SyncError, sync
from thrive_async._base.problems import remember_unread
from thrive_async.models import AudienceMember, ManagerGrant, ManagerGrantPermissions
from thrive_async.sync import Entry
from thrive_async.sync._doubts import removals, same_audience


def test_refs_match_in_their_case_only() -> None:
    """A ref in another case is somebody else, but a doubtful one: it may be the same person to Thrive."""
    found = match([ANN, BEN], "e-1", "E-2")
    assert found.to_add == ("e-1",)
    assert removals(found).to_remove == (ANN,)
    assert removals(found).held_unless == {ID_A: ("e-1",)}


def test_one_name_of_two_members_is_ambiguous_and_harms_neither() -> None:
    """Nothing is sent for the name, and none of the people it may mean is removed."""
    clash = member(ID_B, ID_A, "ben@example.com")
    found = match([ANN, clash], ID_A)
    assert found.ambiguous == {ID_A: (ID_A, ID_B)}
    assert found.to_add == found.staying == ()
    assert removals(found).to_remove == ()
    assert tuple(removals(found).held) == (ID_A, ID_B)


def test_a_member_named_clearly_stays_beside_an_ambiguous_name() -> None:
    """A clear name settles its own member; the other one is held."""
    found = match([member("1", "same", "a@x"), member("2", "same", "b@x")], "same", "a@x")
    assert (found.staying, list(removals(found).held), removals(found).to_remove) == (("1",), ["2"], ())


def test_numbers_without_their_zeros_and_names_with_spaces_are_a_doubt() -> None:
    """As a spreadsheet hands them back: whoever has the number with zeros is not removed on the strength of that."""
    found = match([member("1", "000123"), member("2", " E-5 "), member("3", "0")], "123", "E-5", "00")
    assert removals(found).held_unless == {"1": ("123",), "2": ("E-5",), "3": ("00",)}
    assert removals(match([member("1", "000123")], "1230")).held_unless == {}


@pytest.mark.parametrize(
    ("written", "reference"),
    [
        ("4711", "04711.0"),
        ("4,711", "4711"),
        ("4.711", "04711"),
        ("1\u202f234\u202f711", "1234711"),
        ("x\u20131", "x-1"),
        ("E00001; E00002", "E00001"),
        ("Ann <ann@x.org>", "ann@x.org"),
        ("mailto:ann@x.org", "Ann@x.org"),
    ],
)
def test_what_spreadsheets_and_lists_in_one_cell_make_of_a_name_is_a_doubt(written: str, reference: str) -> None:
    """Thrive will not know the name as written; whoever it may mean is not removed on the strength of that."""
    assert removals(match([member("1", reference), member("2", "other")], written)).held_unless == {"1": (written,)}


@pytest.mark.parametrize(
    ("written", "reference"),
    [("47115", "4711"), ("E-10", "E-1"), ("a.1", "a")],
)
def test_a_doubt_needs_the_same_remains(written: str, reference: str) -> None:
    """Names that only look a little alike are of different people."""
    assert removals(match([member("1", reference)], written)).held_unless == {}


@pytest.mark.parametrize("entry", ["x\n118", "118\x00", "118;" + "x" * 2000])
def test_whom_an_entry_may_mean_that_cannot_be_read_stays(entry: object) -> None:
    """The list names somebody there, and only we cannot tell whom."""
    found = match([member("1", "118"), member("2", "119")], entry)
    assert len(found.rejected) == 1
    assert list(removals(found).held) == ["1"]
    assert [one.user_id for one in removals(found).to_remove] == ["2"]


def test_unicode_forms_of_one_ref_are_a_doubt() -> None:
    """A file written on another system may hold the same letters in another form."""
    found = match([member("1", "José")], "Jose\u0301")
    assert removals(found).held_unless == {"1": ("Jose\u0301",)}


@given(members=members_of, desired=st.lists(names, max_size=8))
def test_nobody_is_in_two_places(members: list[AudienceMember], desired: list[str]) -> None:
    """Staying, held and removed members are different people, and together all of them."""
    found = match(members, *desired)
    places = Counter([*found.staying, *removals(found).held, *(one.user_id for one in removals(found).to_remove)])
    assert places == Counter(one.user_id for one in members)


@pytest.mark.parametrize("blank", ["", " ", None, float("nan"), "\ufeff"])
def test_a_blank_entry_may_mean_anybody(blank: object) -> None:
    """Nobody is removed, and the entry is rejected under its place in the list."""
    found = match([ANN, BEN], "E-1", "new", blank, "e-1@x.org")
    assert [(one.written, one.reason) for one in found.rejected] == [("entry 3", "blank")]
    assert removals(found).to_remove == ()
    assert removals(found).held == {
        ID_B: "not removed: entry 3 has no usable name and may mean this person; correct the list"
    }


def test_a_row_without_a_name_may_mean_anybody() -> None:
    """The command hands rows over that hold something and name nobody; many of them are listed in short."""
    rows = [Entry(where=f"line {at}", doubt="column 'ref' is blank") for at in range(2, 9)]
    found = match([ANN, BEN], "E-1", *rows)
    assert (found.rejected[0].written, found.rejected[0].reason) == ("line 2", "no usable name: column 'ref' is blank")
    assert removals(found).held == {
        ID_B: "not removed: line 2, line 3, line 4, line 5, line 6 and 2 more have no usable name and may mean this "
        "person; correct the list"
    }


ENTRIES: list[Any] = ["", "  ", None, float("nan"), Entry(where="line 7", doubt="column 'ref' is blank")]


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
async def test_a_list_with_an_entry_of_nobody_removes_nobody(world: World, entry: Any) -> None:
    """Members who seem not to be desired stay, additions go through, and the report is not `ok`."""
    desired = [*world.ids[3:300], entry, world.ids[300]]
    plan = await sync.plan_members(world.thrive, "team", desired)
    assert (len(plan.to_add), plan.to_remove, len(plan.held)) == (1, (), 3)
    assert plan.calls["rebuild"] == plan.calls["diff"]
    report = await plan.apply(max_removals=None, strategy="rebuild")
    assert world.members == set(world.ids[:301])
    assert {one.reference for one in report.held} == set(world.ids[:3])
    assert len(report.rejected) == 1
    assert not report.ok
    with pytest.raises(SyncError, match="1 rejected, 3 held"):
        report.raise_for_failures()


async def test_many_audiences_and_managers_are_held_alike(world: World) -> None:
    """Only in the audience that has the blank entry; a manager's blank grant counts, too."""
    world.sandbox.state.add_audience("other", members=world.ids[:20])
    results = await sync.sync_audiences(
        world.thrive,
        {"team": [*world.ids[3:300], None], "other": world.ids[1:20]},  # type: ignore[list-item]
    )
    assert set(world.ids[:3]) <= world.members
    assert not results["team"].ok  # type: ignore[union-attr]
    assert results["other"].ok  # type: ignore[union-attr]
    assert world.ids[0] not in world.sandbox.state.audiences["other"].members

    def grant(name: str) -> ManagerGrant:
        return ManagerGrant(reference=name, permissions=ManagerGrantPermissions())

    await world.thrive.audiences.managers.add("team", [grant(world.ids[0]), grant(world.ids[1])])
    plan = await sync.plan_managers(world.thrive, "team", [grant(world.ids[0]), grant(" ")])
    assert (plan.to_remove, [one.user_id for one in plan.held]) == ((), [world.ids[1]])
    assert sync.ManagerPlan.from_json(plan.to_json()).held_because == plan.held_because


async def test_with_removals_off_nobody_is_held(world: World) -> None:
    """There is nothing to hold: members who are not desired are kept."""
    plan = await sync.plan_members(world.thrive, "team", [world.ids[0], ""], removals=False)
    assert (plan.held, plan.held_because, plan.kept) == ((), {}, 299)


async def test_what_is_held_survives_a_file(world: World, tmp_path: Path) -> None:
    """With the reasons."""
    plan = await sync.plan_members(world.thrive, "team", [*world.ids[2:], "", "p-00000"])
    plan.save(tmp_path / "plan.json")
    loaded = sync.MemberPlan.load(tmp_path / "plan.json")
    assert (loaded.held, loaded.held_because, loaded.held_unless) == (plan.held, plan.held_because, plan.held_unless)
    assert str(loaded) == str(plan)


def test_an_audience_that_may_be_another_is_found() -> None:
    """By what remains of the names; the same name is no other audience."""
    assert list(same_audience(["sales", "legal"], ["Sales ", "legal"])) == ["sales"]


# What the entries of a table tell


def entry(name: str | None, *also: str, cut: bool = False) -> Entry:
    return Entry(name=name, also=also, where="line 7", may_be_cut=cut)


def test_a_row_whose_names_are_two_members_is_ambiguous() -> None:
    """Neither of them is removed, and nobody is added for it."""
    found = match([ANN, BEN], entry("E-1", "ben@example.com"))
    assert found.ambiguous == {"E-1": (ID_A, ID_B)}
    assert (found.to_add, found.staying, removals(found).to_remove) == ((), (), ())


def test_a_row_is_the_member_whom_any_of_its_names_fits() -> None:
    """A new reference beside a known address; `#N/A` beside one; and two people's reference beside one's address."""
    assert match([ANN, BEN], entry("NEW-1", "ann@example.com")).staying == (ID_A,)
    assert match([ANN, BEN], entry("#N/A", "ann@example.com")).staying == (ID_A,)
    twins = [member("1", "same", "a@x"), member("2", "same", "b@x")]
    assert match(twins, entry("same", "b@x")).staying == ("2",)


def test_another_column_of_an_unknown_name_holds_too() -> None:
    """Thrive may know the person by it only."""
    found = match([ANN, BEN], entry("R-77", "ann.jones@example.com"))
    assert (found.to_add, removals(found).held_unless) == (("R-77",), {ID_A: ("R-77",)})


@pytest.mark.parametrize("name", ["P-02", "p-02", "p20@example.co"])
def test_a_name_that_may_be_cut_off_holds_everybody(name: str) -> None:
    """Even if a stranger has the name that is left."""
    missing = member("20", "P-020", "p20@example.com")
    found = match([member("2", "P-02"), missing, BEN], "E-2", entry(name, cut=True))
    assert [one.written for one in found.rejected] == [name]
    assert removals(found).held.keys() == {"2", "20"}
    assert removals(found).to_remove == ()


def test_a_last_line_that_is_nobodys_beginning_is_an_ordinary_one() -> None:
    found = match([member("2", "P-02"), member("20", "P-020")], "P-020", entry("P-02", cut=True))
    assert (found.staying, found.rejected) == (("2", "20"), ())
    assert match([ANN], entry("E-1", cut=True)).staying == (ID_A,)


PLACEHOLDERS = [
    "#N/A",
    "NULL",
    "n/a",
    "-",
    "?",
    "#####",
    "(blank)",
    "TRUE",
    "03-Apr",
    "1.23E+11",
    "4711.0",
    "0",
    4711.0,
]


@pytest.mark.parametrize("written", PLACEHOLDERS)
def test_a_placeholder_names_nobody_and_holds_everybody(written: object) -> None:
    found = match([ANN, BEN], "E-1", written)
    assert (found.to_add, len(found.rejected)) == ((), 1)
    assert removals(found).held.keys() == {ID_B}
    assert "entry 2" in removals(found).held[ID_B]


async def test_a_member_or_user_may_be_called_like_a_placeholder(world: World) -> None:
    """Letter for letter: then it is that person."""
    state = world.sandbox.state
    state.user("P-00000")["ref"] = "NULL"
    newcomer = state.add_user(ref="2026-04-03", email="day@elsewhere.test")["id"]
    plan = await sync.plan_members(world.thrive, "team", ["NULL", *world.ids[1:299], "2026-04-03"])
    assert (plan.rejected, [one.user_id for one in plan.to_remove]) == ((), [world.ids[299]])
    assert newcomer in {*(await plan.apply(), world.members)[1]}
    assert match([member("1", "n/a")], "n/a").staying == ("1",)
    plan = await sync.plan_members(world.thrive, "team", ["NULL", *world.ids[1:290], "n/a"])
    assert (len(plan.rejected), plan.to_remove) == (1, ())


# Names that Thrive does not know


@pytest.mark.parametrize(("unknown", "gone"), [("hold", {1}), ("remove", {0, 1}), ("hold-all", set[int]())])
async def test_what_an_unknown_name_holds_can_be_chosen(
    world: World, tmp_path: Path, unknown: Any, gone: set[int]
) -> None:
    state = world.sandbox.state
    state.users[world.ids[0]]["email"] = "ada.byron@example.org"
    desired = [*world.ids[2:300], "a.byron@elsewhere.test"]
    path, told = tmp_path / "journal", list[sync.Progress]()
    report = await sync.sync_members(
        world.thrive, "team", desired, unknown=unknown, journal=path, on_progress=told.append
    )
    assert {one.reference for one in report.removed} == {world.ids[at] for at in gone}
    assert not report.ok
    # Nothing was sent for those who are held, and the journal and the progress say so too.
    kept = {world.ids[0], world.ids[1]} - {one.reference for one in report.removed}
    assert [(one.action, one.reference) for one in report.failed] == [("add", "a.byron@elsewhere.test")]
    assert {one.reference for one in report.not_attempted} == kept
    assert all("held: the list names a.byron@elsewhere.test" in (one.reason or "") for one in report.not_attempted)
    lines = Counter(
        (line.get("reference"), line.get("outcome")) for line in map(json.loads, path.read_text().splitlines())
    )
    assert {one for one, outcome in lines.elements() if outcome == "not_attempted"} == kept
    assert set(lines.values()) == {1}
    assert (told[-1].done, told[-1].failed) == (3, 1)


async def test_a_removal_waits_for_all_names_that_may_mean_the_person(world: World) -> None:
    """One of them is known as somebody else, the other is not."""
    state = world.sandbox.state
    state.users[world.ids[0]]["email"] = "ada.byron@example.org"
    state.add_user(ref="N-1", email="ada.jones@example.org")
    desired = [*world.ids[1:300], "ada.jones@example.org", "a.byron@elsewhere.test"]
    plan = await sync.plan_members(world.thrive, "team", desired)
    assert set(plan.held_unless[world.ids[0]]) == {"ada.jones@example.org", "a.byron@elsewhere.test"}
    plan = sync.MemberPlan.from_json(plan.to_json(), world.thrive)
    report = await plan.apply()
    assert (world.ids[0] in world.members, report.removed) == (True, ())


async def test_an_argument_that_cannot_be_meant_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="unknown must be"):
        await sync.plan_members(world.thrive, "team", ["a"], unknown="keep")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="entry 2 is not a name: blank"):
        await sync.plan_members(world.thrive, "team", ["a"], protect=["a", ""])
    with pytest.raises(TypeError, match="protect must be an iterable"):
        await sync.plan_members(world.thrive, "team", ["a"], protect="a")
    assert world.arrived("getMembers") == 0


# People who are never removed


async def test_protected_people_are_held(world: World) -> None:
    """Matched like desired names."""
    protect = [world.email(0).upper(), f" {world.ref(1)}", "somebody@else.test"]
    plan = await sync.plan_members(world.thrive, "team", world.ids[3:300], protect=protect)
    assert [one.user_id for one in plan.to_remove] == [world.ids[2]]
    assert plan.held_because == dict.fromkeys(world.ids[:2], "held: this person is protected")


def test_an_id_that_is_somebody_elses_name_is_not_sent() -> None:
    """Thrive may take it for the other, who stays."""
    for other in (member(ID_B, ID_A, "b@x"), member(ID_B, ID_A.upper(), "b@x"), member(ID_B, "E-2", ID_A)):
        found = match([ANN, other], "b@x" if other.email == "b@x" else "E-2")
        assert found.staying == (ID_B,)
        assert "another person" in removals(found).held[ID_A]


async def test_a_name_that_could_not_be_read_may_be_any_unknown_one(world: World) -> None:
    person = member(ID_A)
    remember_unread(person, frozenset({"reference"}))
    assert removals(match([person, BEN], "new-1")).held_unless == {ID_A: ("new-1",)}
    assert removals(match([person, BEN], "E-2")).held_unless == {}
