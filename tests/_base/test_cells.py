"""Cells of a CSV: no value acts in a spreadsheet, and each is written as people read it."""

import pytest

from thrive_async._base.cells import cell, guard_cell, pick, unguard_cell


@pytest.mark.parametrize("text", ["=1+1", "+49", "-1", "@SUM(A1)", "\t=1", "\r=1", "=1"])
def test_text_that_starts_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert guard_cell(text) == f"'{text}"
    assert unguard_cell(f"'{text}") == text


@pytest.mark.parametrize("value", ["E001", "", "a=b", "'quoted'", 5, -5, None])
def test_everything_else_is_left_alone(value: object) -> None:
    assert guard_cell(value) == value
    if isinstance(value, str):
        assert unguard_cell(value) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ("Ada", "Ada"),
        (["a", "b"], "a; b"),
        ([1, "b"], '[1, "b"]'),
        ({"é": True}, '{"é": true}'),
        (-3, "-3"),
        (False, "false"),
    ],
)
def test_a_value_is_written_as_text(value: object, written: str) -> None:
    assert cell(value) == written


def test_a_dotted_name_leads_into_objects_and_nowhere_else() -> None:
    item = {"rank": {"level": 3}, "name": "Ada", "a.b": 1}
    found = [pick(item, name) for name in ("rank.level", "rank", "name.first", "rank.x.y", "a.b")]
    assert found == [3, {"level": 3}, None, None, None]
