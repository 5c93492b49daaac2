"""What people hand in: every readable form gives the same people, every unreadable one a line that says what to do."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._files import Sheet, decode, parse, read_bytes, read_sheet
from thrive_async.cli._safe_text import guard_cell

PEOPLE = ["E001", "anna@example.com", "Zoë Ångström", "李雷"]


def people(data: bytes | str, column: str | None = None, *, header: bool | None = None) -> list[str]:
    return read_bytes(data.encode() if isinstance(data, str) else data, "people.csv").column(column, header=header)


def refused(data: bytes | str, column: str | None = None, *, header: bool | None = None) -> str:
    with pytest.raises(CliError) as caught:
        people(data, column, header=header)
    assert caught.value.code == Exit.USAGE
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith("people.csv")
    return caught.value.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_recognised_with_and_without_its_mark(encoding: str) -> None:
    text = "reference\nE001\nanna@example.com\nZoë Ångström\n"
    assert people(text.encode(encoding)) == ["E001", "anna@example.com", "Zoë Ångström"]


def test_another_encoding_is_refused_with_its_line_and_the_way_out() -> None:
    data = "reference\nE001\nZoë\n".encode("cp1252")
    message = refused(data)
    assert "line 3 is not UTF-8 (byte 0xEB)" in message
    assert "--encoding cp1252" in message
    assert parse(decode(data, "f", "cp1252"), "f").column() == ["E001", "Zoë"]


def test_an_encoding_that_does_not_fit_or_exist_is_refused() -> None:
    with pytest.raises(CliError, match=r"line 2 is not ASCII .*--encoding names another"):
        decode("ref\nZoë".encode(), "f", "ascii")
    with pytest.raises(CliError, match="no such encoding"):
        decode(b"ref", "f", "klingon")
    with pytest.raises(CliError, match="is not UTF-16"):
        decode("ref\nE0".encode("utf-16")[:-1], "f")


@pytest.mark.parametrize(
    "data", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xef\xbb\xbf\r\n", b"[]", b',\n,,\n""\n']
)
def test_a_file_without_anything_in_it_is_refused(data: bytes) -> None:
    assert "is empty" in refused(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04rest", "damaged or cut off"),
        (b"PK\x05\x06" + bytes(18), "an archive without a file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "no workbook that can be read"),
        (b"\x1f\x8brest", "compressed, and damaged"),
        (b"%PDF-1.7", "PDF"),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00", "neither text nor a workbook"),
        (b"abc\x00defghijklmnopqrstuvwxyz", "neither text nor a workbook"),
    ],
)
def test_what_is_no_table_is_named(data: bytes, words: str) -> None:
    assert words in refused(data)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(delimiter: str) -> None:
    rows = [["name", "email", "note"], ["Anna, A.", "a@x.org", "1;2|3\t4, 5"], ["Bo", "b@x.org", ""]]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    assert people(out.getvalue()) == ["a@x.org", "b@x.org"]


def test_the_delimiter_can_be_told_by_option_and_by_excels_first_line() -> None:
    assert parse("ref:n\nE1:2\n", "f", delimiter=":").column() == ["E1"]
    assert parse("ref\tn\nE1\t2\n", "f", delimiter=r"\t").column() == ["E1"]
    assert people("sep=;\nref;n\nE1;a,b,c\n") == ["E1"]
    with pytest.raises(CliError, match="must be one character"):
        parse("ref", "f", delimiter="::")


def test_a_single_column_may_hold_delimiters_of_other_worlds() -> None:
    assert people("email\nanna@example.com\nbo@example.com\n") == ["anna@example.com", "bo@example.com"]


def test_the_column_is_the_only_one_or_one_of_the_known_names_best_first() -> None:
    assert people("Full name,E-Mail,Ref\nAnna,a@x,E1\n") == ["E1"]
    assert people("Full name;e_mail\nAnna;a@x\n") == ["a@x"]
    assert people(f"email,ID\na@x,{'5f' * 12}\n") == ["5f" * 12]
    # HR's internal numbers are none of Thrive's ids.
    assert people("email,ID\na@x,4711\n") == ["a@x"]
    message = refused("name,city\nAnna,Ulm\n")
    assert "'name', 'city' or a number from 1 to 2" in message


def test_a_column_is_a_name_or_a_number_from_one() -> None:
    text = "Name,Mail,3\nAnna,a@x,z\n"
    assert people(text, "Mail") == ["a@x"]
    assert people(text, "mail") == ["a@x"]
    assert people(text, "2") == ["a@x"]
    assert people("Name,Mail,Name\nA,a@x,B\n", "3", header=True) == ["B"]
    assert "no column 'Phone'; --column can be 'Name', 'Mail', '3'" in refused(text, "Phone")
    assert "no column '4'" in refused(text, "4")
    assert "2 columns have one name, 'Name'" in refused("Name,Mail,Name\nA,a@x,B\n", "Name")


@pytest.mark.parametrize(
    "header",
    ["ref,Ref", "ref,\u200eref", "e-mail,E\u2011Mail", "Email,\uff45\uff4d\uff41\uff49\uff4c,x", "ref,Site,site"],
)
def test_two_columns_of_one_name_are_an_error(header: str) -> None:
    """Whatever tells them apart cannot be seen; a number still says which is meant."""
    assert "2 columns have one name" in refused(f"{header}\nE1,E2\n")
    assert people(f"{header}\nE1,E2\n", "2", header=True) == ["E2"]


def test_the_name_of_a_column_is_read_without_what_cannot_be_seen() -> None:
    assert people("Full name,\u202aE\u2011Ma\u00adil\u202c\nAnna,a@x\n") == ["a@x"]
    assert people("Full name,\uff32\uff45\uff46\nAnna,E1\n") == ["E1"]


@pytest.mark.parametrize(
    ("text", "cut"), [("a@x\nb@x", True), ("a@x\nb@x\n", False), ('"a@x"\n"b@x"', False), ("a@x\nb@x\n ", False)]
)
def test_a_last_line_without_an_end_may_be_cut(text: str, cut: bool) -> None:
    assert parse(text, "f").may_be_cut is cut


@pytest.mark.parametrize("first", ["email", "Reference", "Employee ID", "member", "User-Id", "username"])
def test_a_known_header_of_a_single_column_is_no_person(first: str) -> None:
    assert people(f"{first}\nanna\nbo\n") == ["anna", "bo"]


@pytest.mark.parametrize("first", ["anna@example.com", "E001", "5f0c3e1b2a4d6c7e8f901234", "abcdefabcdefabcdefabcdef"])
def test_a_list_without_a_header_loses_nobody(first: str) -> None:
    assert people(f"{first}\nE002\n") == [first, "E002"]
    assert people(f"{first},x\nE002,y\n", "1") == [first, "E002"]


def test_an_unknown_header_is_told_by_what_follows() -> None:
    assert people("Personnel\nE1\nE2\n\n") == ["E1", "E2"]
    assert people("Personnel,Town\nE1,Ulm\n", "1") == ["E1"]


def test_doubt_about_the_header_is_an_error_because_a_guess_could_drop_a_person() -> None:
    message = refused("anna\nbo\n")
    assert "Say --header or --no-header" in message
    assert people("anna\nbo\n", header=True) == ["bo"]
    assert people("anna\nbo\n", header=False) == ["anna", "bo"]
    assert "is a number from 1 to 2" in refused("a,b\n", "a", header=False)


def test_blank_cells_and_short_rows_are_blanks_and_the_end_of_the_file_is_none() -> None:
    assert people("name,ref\nAnna,E1\nBo,\nCy\n\nDi,E4\n\n\n") == ["E1", "", "", "", "E4"]


def test_a_quote_that_is_never_closed_is_an_error_and_swallows_nobody() -> None:
    message = refused('name,ref\n"Anna,E1\nBo,E2\n')
    assert "line 3" in message
    assert "a quote may be missing" in message


def test_quoted_cells_hold_delimiters_quotes_and_lines() -> None:
    assert people('name,ref\n"A, ""B""\nC",E1\r\n') == ["E1"]


def test_what_we_write_against_formulas_is_read_back_as_it_was() -> None:
    assert people("ref,name\n'=1+1,x\n'plain,x\n") == ["=1+1", "'plain"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"ref": "E1"}\n\n{"ref": "E2"}\n', ["E1", "E2"]),
        ('{"email": "a@x", "id": 17}\n{"email": "b@x"}\n', ["a@x", "b@x"]),
        ('["E1", "E2", null]', ["E1", "E2", ""]),
        ('[{"ref": "E1"}, {"ref": null}]', ["E1", ""]),
        ('{"ref": "E\u2028 1"}\n', ["E\u2028 1"]),
    ],
)
def test_json_lines_and_arrays_are_recognised(text: str, expected: list[str]) -> None:
    assert people(text) == expected


def test_json_strings_are_people_where_the_name_of_the_file_says_json(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text('"E1"\n"email"\n12\n', encoding="utf-8")
    assert read_sheet(str(path)).column() == ["E1", "email", "12"]
    assert read_sheet(str(path)).column("1") == ["E1", "email", "12"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"ref": "E1"}\n{"ref": \n', "line 2 is not valid JSON"),
        ('["E1", ', "is not valid JSON"),
        ('[{"ref": "E1"}, "E2"]', "mixes objects"),
        ('{"ref": ["E1"]}', "is not the name of a person"),
        ('{"ref": 1.5}', "is not the name of a person"),
        ('{"name": "Anna", "town": "Ulm"}', "say which column"),
        ('{"name": "Anna"}\n', "no column 'ref'"),
    ],
)
def test_broken_json_is_refused(text: str, words: str) -> None:
    assert words in refused(text, "ref" if words.startswith("no column") else None)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"cannot read .*none\.csv: No such file"):
        read_sheet(str(tmp_path / "none.csv"))
    with pytest.raises(CliError, match="cannot read"):
        read_sheet(str(tmp_path))


def test_standard_input_is_read_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("ref\nZoë1\n".encode("utf-16"))))
    assert read_sheet("-").column() == ["Zoë1"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(CliError, match="standard input is empty"):
        read_sheet("-")


def test_a_sheet_shows_no_people_in_its_repr() -> None:
    assert "E1" not in repr(Sheet("f", None, [["E1"]]))


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool)


@given(st.lists(names, min_size=1), st.sampled_from([",", ";", "\t", "|"]))
def test_any_people_survive_being_written_and_read(references: list[str], delimiter: str) -> None:
    """Whatever a name is made of, a CSV that Python wrote, formula guard included, gives it back."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["n", "ref", "x"])
    writer.writerows(["1", guard_cell(name), "2"] for name in references)
    expected = [name[1:] if name.startswith("'") and guard_cell(name[1:]) == name else name for name in references]
    assert parse(out.getvalue(), "f", delimiter=delimiter).column("ref") == expected


@given(st.lists(names, min_size=1))
def test_any_people_survive_json_lines(references: list[str]) -> None:
    text = "\n".join(json.dumps({"ref": name}, ensure_ascii=False) for name in references)
    assert parse(text, "f").column() == references


def test_a_cell_longer_than_any_name_is_an_error() -> None:
    assert "field larger than field limit" in refused("email\n" + "a" * 200_000 + "\n")


def test_blank_lines_before_the_header_are_skipped() -> None:
    assert people("\n,\nname,ref\nAnna,E1\n") == ["E1"]
