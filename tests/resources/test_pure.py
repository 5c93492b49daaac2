"""The parts of the resources that need no server: checks of arguments, and what a refused move did to members."""

import subprocess
import sys
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async.models import (
    FailedEntities,
    FailedEntity,
    ManagerGrant,
    ManagerGrantPermissions,
    MemberOperationResult,
    UserStatus,
)
from thrive_async.resources import _models as models
from thrive_async.resources._checks import batch, strings, whole
from thrive_async.resources._moves import member_operations

SUCCESS = {"count": 2, "entities": [{"reference": "a"}, {"reference": "b"}]}
FAILURE = {"count": 1, "entities": [{"reference": "c", "reason": "Not allowed in this structure."}]}
BOTH = {"success": SUCCESS, "failure": FAILURE}
REFUSAL = {"status": 422, "error": "Unprocessable Content"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["success", "failure", "count", "entities", "reference", "message", "memberOperations", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        pytest.param({"memberOperations": {"removed": BOTH, "added": {"success": SUCCESS}}}, ["removed", "added"]),
        pytest.param({"id": "1", "memberOperations": {"removed": BOTH, "added": None}}, ["removed"]),
        pytest.param({"memberOperations": BOTH}, ["memberOperations"]),
        pytest.param(BOTH, ["memberOperations"]),
        pytest.param({**REFUSAL, **BOTH}, ["memberOperations"]),
        pytest.param({**REFUSAL, "removed": BOTH}, ["removed"]),
        pytest.param({**REFUSAL, "message": BOTH}, ["memberOperations"]),
        pytest.param({**REFUSAL, "message": {"removed": BOTH}}, ["removed"]),
        pytest.param({**REFUSAL, "message": {"memberOperations": {"removed": BOTH}}}, ["removed"]),
        pytest.param({**REFUSAL, "message": {"memberOperations": BOTH}}, ["memberOperations"]),
    ],
)
def test_member_operations_are_found_in_every_plausible_place(body: object, names: list[str]) -> None:
    """The wrapper of a refused move is not documented, so it is looked for wherever it may be."""
    found = member_operations(body)
    assert found is not None
    assert list(found) == names
    result = found[names[0]]
    assert result.success is not None
    assert result.success.entities is not None
    assert [entity.reference for entity in result.success.entities] == ["a", "b"]
    assert result.failure is not None
    assert result.failure.entities is not None
    assert [(entity.reference, entity.reason) for entity in result.failure.entities] == [
        ("c", "Not allowed in this structure.")
    ]
    assert result.is_partial


@pytest.mark.parametrize(
    "body",
    [
        None,
        "Unprocessable",
        [],
        [BOTH],
        {},
        {**REFUSAL, "message": "parentId is not a structure"},
        {**REFUSAL, "message": {"parentId": ["is not a structure"]}},
        {**REFUSAL, "memberOperations": None},
        {"success": None, "failure": None},
        {"success": False, "message": "no"},
        {"success": "many"},
    ],
)
def test_a_refusal_without_member_operations_has_none(body: object) -> None:
    """If the reply has no results, you get None, and never an error that hides the refusal."""
    assert member_operations(body) is None


def test_a_value_that_cannot_be_read_does_not_cost_the_rest_of_a_result() -> None:
    found = member_operations({"success": {"count": "many"}, "failure": {"count": "1", "entities": [{"reference": 5}]}})
    assert found is not None
    (result,) = found.values()
    assert result.failure is not None
    assert result.failure.count == 1
    assert [entity.reference for entity in result.failures] == ["5"]


@pytest.mark.parametrize("part", ["success", "failure"])
@pytest.mark.parametrize("null", [True, False])
def test_either_part_of_a_result_may_be_missing_or_null(part: str, null: bool) -> None:
    """A result with one part is a result."""
    other = {"success": "failure", "failure": "success"}[part]
    body = {part: BOTH[part], other: None} if null else {part: BOTH[part]}
    found = member_operations(body)
    assert found is not None
    (result,) = found.values()
    assert getattr(result, part) is not None
    assert getattr(result, other) is None
    assert result.is_partial is (part == "failure")


@pytest.mark.parametrize(
    ("failure", "partial", "references"),
    [
        (None, False, []),
        (FailedEntities(), False, []),
        (FailedEntities(count=0, entities=[]), False, []),
        (FailedEntities(count=2), True, []),
        (FailedEntities(count=1, entities=[FailedEntity(reference="c", reason="Unknown.")]), True, ["c"]),
        (FailedEntities(entities=[FailedEntity(reference="c")]), True, ["c"]),
    ],
)
def test_failures_need_no_check_for_none(failure: FailedEntities | None, partial: bool, references: list[str]) -> None:
    """`failures` is always a list, and `is_partial` is True when anyone was not processed."""
    result = MemberOperationResult(failure=failure)
    assert result.is_partial is partial
    assert [entity.reference for entity in result.failures] == references


def test_the_body_is_not_changed() -> None:
    """Readers may put models in place of what they read; the body on the error stays plain JSON."""
    body = {"memberOperations": {"removed": deepcopy(BOTH)}}
    member_operations(body)
    assert body == {"memberOperations": {"removed": BOTH}}


@given(JSON)
def test_no_body_makes_it_raise(body: Any) -> None:
    """Whatever Thrive puts into a refusal, the refusal is what the caller gets to see."""
    found = member_operations(body)
    assert found is None or all(isinstance(one, models.MemberOperationResult) for one in found.values())


@pytest.mark.parametrize("count", [1, 2, 99, 100])
def test_a_batch_of_1_to_100_passes(count: int) -> None:
    """The limits themselves are allowed."""
    assert batch("users", (f"u{n}" for n in range(count)), str, "users") == [f"u{n}" for n in range(count)]


@pytest.mark.parametrize("count", [0, 101, 250])
def test_an_empty_batch_or_more_than_100_is_refused(count: int) -> None:
    """The error says how many were allowed and how many came."""
    with pytest.raises(ValueError, match=f"users must hold 1 to 100 users, got {count}"):
        batch("users", ["u"] * count, str, "users")


@pytest.mark.parametrize("lone", ["ada@example.com", b"ada", UserStatus.ACTIVE, 7])
def test_a_single_value_is_not_treated_as_a_list(lone: Any) -> None:
    """A string is iterable, so without this check it would be taken apart letter by letter."""
    with pytest.raises(TypeError, match="users must be an iterable of users, not a lone"):
        batch("users", lone, str, "users")
    with pytest.raises(TypeError, match="statuses must be an iterable of strings, not a lone"):
        strings("statuses", lone)


def test_a_single_grant_is_not_treated_as_a_list() -> None:
    """The same for things that are no strings."""
    grant: Any = ManagerGrant(reference="a", permissions=ManagerGrantPermissions())
    with pytest.raises(TypeError, match="managers must be an iterable of ManagerGrants, not a lone ManagerGrant"):
        batch("managers", grant, ManagerGrant, "ManagerGrants")


@pytest.mark.parametrize("wrong", [None, 7, b"a", ["a"]])
def test_the_first_wrong_entry_is_named_by_its_place_and_not_shown(wrong: Any) -> None:
    """Entries may be personal data; their place is enough to find them."""
    with pytest.raises(TypeError, match=r"^users\[1\] must be a str, not a \w+$"):
        batch("users", ["ada@example.com", wrong], str, "users")


@pytest.mark.parametrize("value", [0, 101, -1, True, 2.5, 2.0, "2", None, float("nan")])
def test_a_count_is_a_whole_number_in_its_range(value: Any) -> None:
    """Thrive would be asked for `perPage=2.5` otherwise, or for one of True."""
    with pytest.raises(ValueError, match="per_page must be a whole number from 1 to 100, not"):
        whole("per_page", value, 1, 100)
    assert [whole("per_page", count, 1, 100) for count in (1, 100)] == [1, 100]


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_a_blank_entry_is_refused_by_its_place(blank: str) -> None:
    """It names no user, and Thrive would read it as no filter. Usually it is an empty cell in a file."""
    with pytest.raises(ValueError, match=r"^users\[1\] is blank$"):
        batch("users", ["ada@example.com", blank], str, "users")
    with pytest.raises(ValueError, match=r"^content_ids\[0\] is blank$"):
        strings("content_ids", [blank])


def test_a_filter_is_kept_for_every_page() -> None:
    """A generator can be read once; a list of pages asks many times."""
    assert strings("statuses", (status for status in ["active", UserStatus.NEW])) == ["active", "new"]
    assert strings("statuses", None) is None


def test_an_empty_filter_is_refused() -> None:
    """Nothing wanted must not turn into everything wanted."""
    with pytest.raises(ValueError, match="user_ids is empty: leave it out"):
        strings("user_ids", set())


def test_a_model_that_does_not_exist_is_an_attribute_error() -> None:
    """The stand-in for the module of models behaves as the module does."""
    with pytest.raises(AttributeError, match="Nobody"):
        models.Nobody  # type: ignore[attr-defined]  # noqa: B018


def test_the_models_are_imported_when_a_client_is_built() -> None:
    """Seventy classes take tens of milliseconds to build: neither the import nor the first call should pay for them."""
    program = (
        "import sys, thrive_async.client; from thrive_async import ApiKey, ThriveClient;"
        "name = 'thrive_async._generated.models'; before = name in sys.modules; ThriveClient('tenant', ApiKey('key'));"
        "print(before, name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
