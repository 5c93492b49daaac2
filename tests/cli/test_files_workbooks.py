"""Workbooks give the people that the person who typed them saw; what cannot be read is named in one line."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._files import Sheet, content, marks, read_bytes, read_sheet, source_of
from thrive_async.sandbox import Sandbox
from thrive_async.sync import Source
from thrive_async.sync._match.names import rewritten

from .conftest import AUDIENCE, Run
from .workbooks import NOT_AVAILABLE, WRITERS, xls, xlsx, zipped

KINDS = pytest.mark.parametrize("kind", WRITERS)
# A spreadsheet knows no time zones.
HALF_PAST, MIDNIGHT = datetime.fromisoformat("2026-04-03T08:30"), datetime.fromisoformat("2026-04-03")
PEOPLE = [["Name", "Email"], ["Anna", "a@x.org"], ["Bo", "b@x.org"]]


def read(data: bytes, **options: Any) -> Sheet:
    return read_bytes(data, "people.file", **options)


def refused(data: bytes, **options: Any) -> str:
    with pytest.raises(CliError) as caught:
        read(data, **options)
    assert caught.value.code == Exit.USAGE
    assert "\n" not in caught.value.message
    return caught.value.message


@KINDS
def test_cells_are_what_the_person_who_typed_them_saw(kind: str) -> None:
    """Leading zeros of a text stay, 1.0 is 1, a truth value is TRUE, and an error is a placeholder, not a blank."""
    cells = ["00123", 1.0, 4711, 1.5, True, NOT_AVAILABLE]
    sheet = read(WRITERS[kind]({"P": [["ref", "b", "c", "d", "e", "f"], cells]})).with_header()
    assert list(sheet.rows) == [["00123", "1", "4711", "1.5", "TRUE", "#N/A"]]
    assert rewritten("#N/A")


@pytest.mark.parametrize("kind", ["xlsx", "xls", "ods"])
def test_a_date_is_a_day(kind: str) -> None:
    sheet = read(WRITERS[kind]({"P": [["ref", "Start"], ["E1", date(2026, 4, 3)]]}))
    assert sheet.column("Start") == ["2026-04-03"]


def test_a_time_stays_beside_its_day_and_midnight_is_a_day() -> None:
    data = xlsx({"P": [["ref", "Start"], ["E1", HALF_PAST], ["E2", MIDNIGHT]]})
    assert read(data).column("Start") == ["2026-04-03 08:30:00", "2026-04-03"]


@pytest.mark.parametrize(("number", "shown"), [
    (123456789012345.0, "123456789012345"), (1234567890123456, "1234567890123460"), (0.1 + 0.2, "0.3"),
    (1e21, "1000000000000000000000"), (0, "0"), (-5.0, "-5"),
])  # fmt: skip
def test_numbers_have_the_fifteen_digits_that_excel_keeps(number: float, shown: str) -> None:
    assert read(xlsx({"P": [["ref"], [number]]})).column() == [shown]


@pytest.mark.parametrize(("kind", "form", "shown"), [
    ("xlsx", "00000", "00123"), ("ods", "00000", "00123"), ("xlsx", '"E"0000', "E0123"), ("xlsx", "0.00", "123"),
    ("xlsx", "0", "123"), ("xlsx", "00000;@", "00123"),
])  # fmt: skip
def test_a_format_that_adds_leading_zeros_adds_them(kind: str, form: str, shown: str) -> None:
    assert read(WRITERS[kind]({"P": [["ref"], [(123, form)]]})).column() == [shown]


@KINDS
def test_hidden_rows_are_read_and_told_and_hidden_sheets_are_told_and_not_read(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = WRITERS[kind]({"Old": [["ref"], ["E0"]], "P": [["ref"], ["E1"], ["E2"]]}, hidden=["Old"], hidden_rows=[2])
    assert read(data).column() == ["E1", "E2"]
    told = capsys.readouterr().err
    assert "1 sheet hidden and not read: 'Old'" in told
    assert "1 row hidden in the workbook and read all the same: 3" in told
    assert read(data, sheet="Old").column() == ["E0"]
    assert "reading sheet 'Old', which is hidden" in capsys.readouterr().err


@KINDS
def test_the_sheet_is_the_first_with_a_column_of_people_or_the_one_you_name(kind: str) -> None:
    data = WRITERS[kind]({"Notes": [["Made by", "on"], ["Anna", "Monday"]], "P": PEOPLE, "Q": [["ref"], ["E1"]]})
    assert read(data).column() == ["a@x.org", "b@x.org"]
    assert read(data, sheet="q").column() == ["E1"]
    assert read(data, sheet="3").column() == ["E1"]
    assert read(data, columns=("Made by",)).with_header().names == ("Made by", "on")
    assert refused(data, sheet="R").endswith("no sheet 'R'; --sheet can be 'Notes', 'P', 'Q' or a number from 1 to 3")
    assert "no sheet '4'" in refused(data, sheet="4")


def test_a_lone_sheet_needs_no_known_column_and_several_without_one_are_an_error() -> None:
    assert read(xlsx({"P": [["Nr"], ["E1"]], "Empty": []})).with_header().names == ("Nr",)
    assert "say which sheet holds the people: --sheet can be 'A', 'B'" in refused(xlsx({"A": [["x"]], "B": [["y"]]}))
    assert "is empty" in refused(xlsx({"A": [], "B": []}))
    assert "is empty" in refused(xlsx({"A": [["", " "]]}))
    assert "is no workbook, so it has no --sheet 2" in refused(b"ref\nE1\n", sheet="2")


def test_rows_are_named_by_their_number_in_the_workbook() -> None:
    data = xlsx({"P": [["List of 2026"], [], ["ref", "x"], ["E1"], [], ["E2"]]})
    sheet = read(data, skip_lines=1).with_header()
    assert [sheet.where(place) for place in range(len(sheet.rows))] == ["row 4", "row 6"]
    assert sheet.row_count == 2


def test_the_hash_is_that_of_the_bytes_as_read() -> None:
    import hashlib

    for data in (xlsx({"P": PEOPLE}), gzip.compress(b"ref\nE1\n"), b"ref\nE1\n\n"):
        sheet = read(data).with_header()
        assert sheet.sha256 == hashlib.sha256(data).hexdigest()
        assert sheet.row_count == len([row for row in sheet.rows if any(row)])


def test_several_files_have_one_source() -> None:
    """Its hash is that of their hashes, one a line, and its rows are those of all of them."""
    import hashlib

    files = {"a": b"ref\nE1\n", "b": b"ref\n1\n2"}
    one, two = (replace(read(data).with_header(), source=name) for name, data in files.items())
    hashes = "".join(f"{hashlib.sha256(data).hexdigest()}\n" for data in files.values())
    assert source_of([one]) == Source(name="a", sha256=hashes[:64], rows=1)
    assert source_of([one, two]) == Source(name="a + b", sha256=hashlib.sha256(hashes.encode()).hexdigest(), rows=3)


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped({"folder/people.csv": data, "__MACOSX/._p": b"x"}),
                                  lambda data: zipped({"people.csv.gz": gzip.compress(data)})])  # fmt: skip
def test_an_archive_of_one_file_is_read(pack: Callable[[bytes], bytes]) -> None:
    assert read(pack(b"name,email\nAnna,a@x.org\n")).column() == ["a@x.org"]
    assert read(pack(xlsx({"P": PEOPLE}))).column() == ["a@x.org", "b@x.org"]


def test_the_name_inside_an_archive_tells_json(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl.gz"
    path.write_bytes(gzip.compress(b'"E1"\n"E2"\n'))
    assert read_sheet(str(path)).column() == ["E1", "E2"]
    assert read(zipped({"people.jsonl": b'"E1"\n'})).column() == ["E1"]


def test_an_archive_that_cannot_be_meant_is_refused() -> None:
    assert "an archive of 2 files (a.csv, b.csv): it must hold one" in refused(zipped({"a.csv": "x", "b.csv": "y"}))
    assert "an archive of 0 files" in refused(zipped({"folder/": ""}))
    packed = b"ref\nE1\n"
    for _ in range(4):
        packed = gzip.compress(packed)
    assert "an archive inside an archive" in refused(packed)
    assert "compressed, and damaged or cut off" in refused(gzip.compress(b"ref\nE1\n" * 999)[:-9])
    assert "damaged or cut off" in refused(zipped({"a.csv": "x" * 999})[:-30])
    locked = bytearray(zipped({"a.csv": "ref"}))
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        locked[locked.index(mark) + (6 if mark.endswith(b"\x04") else 8)] |= 1
    assert "is protected by a password" in refused(bytes(locked))


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what an archive unpacks to nor what a workbook reaches to can take all memory."""
    monkeypatch.setattr(content, "LARGEST", 1_000_000)
    bomb = bytes(1_000_001)
    for data in (gzip.compress(bomb), zipped({"a.csv": bomb}), zipped({"xl/workbook.xml": "<x/>", "b.xml": bomb})):
        assert "unpacks to more than 1 MB" in refused(data)
    # Its directory says less than there is.
    lying = bytearray(zipped({"xl/workbook.xml": bomb}))
    lying[lying.index(b"PK\x01\x02") + 24 :][:4] = (10).to_bytes(4, "little")
    at = lying.index(b"PK\x01\x02") + 24
    lying[at : at + 4] = (10).to_bytes(4, "little")
    assert "damaged" in refused(bytes(lying))


def test_a_cell_far_outside_the_list_is_refused_before_it_takes_all_memory() -> None:
    from .workbooks import _ODS, ods

    def far(cell: str) -> bytes:
        data = xlsx({"P": PEOPLE})
        import zipfile

        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        more = f'<row r="1048576"><c r="{cell}1048576"><v>1</v></c></row></sheetData>'.encode()
        files["xl/worksheets/sheet1.xml"] = files["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", more)
        return zipped(files)

    message = refused(far("XFD"))
    assert "sheet 'P' reaches to row 1,048,576 and column 16,384: delete what stands far outside the list" in message
    cells = '<table:table-cell table:number-columns-repeated="16384" office:value-type="float" office:value="1"/>'
    row = f'<table:table-row table:number-rows-repeated="1048576">{cells}</table:table-row>'
    table = f'<table:table table:name="P">{row}</table:table>'
    files = {"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}
    assert "reaches to row 1,048,576" in refused(zipped({**files, "content.xml": _ODS.format(styles="", tables=table)}))
    # What LibreOffice writes after every list is no cell.
    rest = ods({"P": PEOPLE})
    assert read(rest).column() == ["a@x.org", "b@x.org"]


def test_a_protected_and_a_damaged_workbook_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = xlsx({"P": PEOPLE})
    assert "damaged or cut off: save or fetch it again" in refused(whole[: len(whole) // 2])
    assert "no workbook that can be read" in refused(xls({"P": PEOPLE})[:700])
    assert "no workbook that can be read" in refused(zipped({"xl/workbook.xml": "<workbook/>"}))
    # Excel puts a protected .xlsx into the compound file of an .xls.
    packed = xls({"P": PEOPLE}) + "EncryptedPackage".encode("utf-16-le")
    assert refused(packed) == "people.file is protected by a password: save a copy without one"
    import python_calamine

    def locked(_file: object) -> None:
        raise python_calamine.PasswordError("x")

    monkeypatch.setattr(python_calamine, "CalamineWorkbook", SimpleNamespace(from_filelike=locked))
    assert refused(whole) == "people.file is protected by a password: save a copy without one"


def test_a_part_of_a_workbook_that_is_far_too_large_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its XML would take ten times its size in memory."""
    monkeypatch.setattr(marks, "_LARGEST_PART", 100)
    assert "no workbook that can be read" in refused(xlsx({"P": PEOPLE}))


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert 'pip install "thrive-async[excel]"' in refused(xlsx({"P": PEOPLE}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><title>Sign in - HR</title><input type='password'>",
         "is a login page ('Sign in - HR'), not a list"),
        (b"\xef\xbb\xbf\r\n<html><body><table><tr><td>ref</td></tr></table></body></html>",
         "is a web page, whatever its name says: open it in Excel and save it as .xlsx or CSV"),
        (b"<html><head>" + b" " * 600 + b"</head><table><tr><td>Login</td></tr></table>", "is a web page, what"),
        (b"<html><body>Please log in</body></html>", "is a login page, not a list"),
        (b"<html><body>Gateway timeout</body></html>", "is a web page, not a list of people"),
        (b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
         "is an XML spreadsheet: save it as .xlsx"),
        (b'<?xml version="1.0"?><people/>', "is XML"),
        (b'{"error": "invalid_token", "error_description": "expired"}', "is the message of an error ('invalid_token')"),
        (b'{\n  "status": 401,\n  "message": "Not\\n allowed"\n}', "is the message of an error ('Not allowed')"),
        (b'{"errors": [{"code": 5}]}', "is the message of an error, not a list"),
        (b"%PDF-1.7 ...", "is a PDF"),
        (b"\x89PNG\r\n", "is a picture"),
        (zipped({"word/document.xml": "<x/>"}), "is a Word document"),
        (zipped({"Index/Document.iwa": "x"}), "is a Numbers document"),
        (zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<x/>"}), "is no spreadsheet"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_people_is_named(data: bytes, words: str) -> None:
    assert words in refused(data)


def test_json_with_people_is_no_error() -> None:
    assert read(b'{"email": "a@x.org", "message": "hello"}').column() == ["a@x.org"]


@KINDS
def test_a_sync_reads_a_workbook_from_a_file_and_from_standard_input(
    run: Run, served: Sandbox, members: list[str], tmp_path: Path, kind: str
) -> None:
    data = WRITERS[kind]({"P": [["Name", "Email"], *(["x", email] for email in members)]})
    file = tmp_path / "people.bin"
    file.write_bytes(data)
    for result in (
        run("sync", "members", AUDIENCE, str(file), "--dry-run"),
        run("sync", "members", AUDIENCE, "-", "--dry-run", stdin=data),
    ):
        assert result.code == 0, result
        assert result.lines[0].startswith(f"{AUDIENCE}: +0 -0 ={len(members)}")


def test_an_error_cell_holds_removals_as_a_placeholder_does(
    run: Run, served: Sandbox, members: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "people.xlsx"
    file.write_bytes(xlsx({"P": [["Email"], *([email] for email in members[2:]), [NOT_AVAILABLE]]}))
    result = run("sync", "members", AUDIENCE, str(file), "--yes", "--max-removals", "none")
    assert result.code == 1, result
    assert "#N/A" in result.out
    assert not [entry for entry in served.requests if entry.method == "DELETE"]
