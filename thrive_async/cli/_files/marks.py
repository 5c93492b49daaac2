"""What python-calamine does not tell about a sheet: hidden rows, error cells, leading zeros, and how far it reaches.

calamine reads an error cell as an empty one, which would clear a field or drop a person from a filter. It also makes
room for every cell up to the furthest: one at XFD1048576 ends the process.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO
from xml.etree import ElementTree as ET

__all__ = ["MOST_CELLS", "Marks", "marks_of_ods", "marks_of_xls", "marks_of_xlsb", "marks_of_xlsx"]

#: The most cells that the used part of a sheet may have: 24 bytes each for calamine.
MOST_CELLS = 20_000_000
_CHUNK = 1 << 20
_LARGEST_PART = 20_000_000
_MOST_COLUMNS = 16_384
_ERRORS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A"}
_UNNAMED_ERROR = "#N/A"


@dataclass
class Marks:
    """What is known about the cells of a sheet besides their values; rows and columns count from 0."""

    hidden: list[int] = field(default_factory=list[int])
    errors: dict[int, str] = field(default_factory=dict[int, str])
    padded: dict[int, tuple[str, int]] = field(default_factory=dict[int, tuple[str, int]])
    rows: int = 0
    columns: int = 0

    @staticmethod
    def key(row: int, column: int) -> int:
        """Return a cell's key in `errors` and `padded`."""
        return row * _MOST_COLUMNS + column

    def reach(self, row: int, column: int) -> None:
        """Note that there is a cell."""
        self.rows = max(self.rows, row + 1)
        self.columns = max(self.columns, column + 1)


# Excel's XML

_ROW = re.compile(rb'<(?:\w+:)?row\s([^>]*\bhidden="(?:1|true)"[^>]*)>')
_ERROR_CELL = re.compile(rb'<(?:\w+:)?c\s([^>]*\bt="e"[^>]*)>')
_VALUE = re.compile(rb"v>([^<]*)<")
_REFERENCE = re.compile(rb'\br="([A-Z]{0,3})(\d+)"')
_WIDE = re.compile(rb' r="([A-Z]{2,3})\d')
_LAST_ROW = re.compile(rb'<(?:\w+:)?row\s[^>]*?\br="(\d+)"')
#: A number format that only adds leading zeros and letters before them: 00000, "E"0000.
_ZEROS = re.compile(r'(?:"([^"]*)")?(0{2,})(?:;.*)?', re.DOTALL)


def marks_of_xlsx(archive: zipfile.ZipFile, sheet: str) -> Marks:
    """Read the marks of a sheet by its name."""
    part = _part(archive, sheet, "xl/workbook.xml")
    padded = _padding(archive)
    styles = b"|".join(str(at).encode() for at in padded)
    style = re.compile(rb'<(?:\w+:)?c\s([^>]*\bs="(' + styles + rb')"[^>]*)>') if padded else None
    marks = Marks(columns=26)
    with archive.open(part) as stream:
        for chunk in _cells(stream):
            text = chunk.replace(b"'", b'"') if b"='" in chunk else chunk
            for row in _ROW.finditer(text) if b"hidden=" in text else ():
                marks.hidden.append(_at(row[1])[0])
            for cell in _ERROR_CELL.finditer(text) if b't="e"' in text else ():
                end = text.find(b"c>", cell.end())
                value = None if cell[1].endswith(b"/") else _VALUE.search(text, cell.end(), end)
                told = value[1].decode("utf-8", "replace") if value is not None else _UNNAMED_ERROR
                marks.errors[Marks.key(*_at(cell[1]))] = told if told in _ERRORS.values() else _UNNAMED_ERROR
            for cell in style.finditer(text) if style is not None else ():
                marks.padded[Marks.key(*_at(cell[1]))] = padded[int(cell[2])]
            for letters in set(_WIDE.findall(text)):
                marks.reach(0, _column(letters))
            last = text.rfind(b"row ")
            for row in _LAST_ROW.finditer(text, max(text.rfind(b"<", 0, last + 1), 0)):
                marks.reach(int(row[1]) - 1, 0)
    return marks


def _cells(stream: IO[bytes]) -> Iterator[bytes]:
    """Return the XML of a sheet in chunks that end after a cell."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        rest += chunk
        end = rest.rfind(b"c>") + 2
        if end > 1:
            yield rest[:end]
            rest = rest[end:]
    yield rest


def _at(attributes: bytes) -> tuple[int, int]:
    found = _REFERENCE.search(attributes)
    return (int(found[2]) - 1, _column(found[1])) if found is not None else (0, 0)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def _tree(archive: zipfile.ZipFile, part: str) -> ET.Element:
    """Read one of the small parts of a workbook."""
    if archive.getinfo(part).file_size > _LARGEST_PART:
        raise ValueError(f"{part} is too large")
    return ET.fromstring(archive.read(part))  # noqa: S314 - expat refuses entity bombs


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _attributes(element: ET.Element) -> dict[str, str]:
    return {_local(name): value for name, value in element.attrib.items()}


def _part(archive: zipfile.ZipFile, sheet: str, workbook: str) -> str:
    """Return the name of the file that holds a sheet of an .xlsx."""
    wanted = next(
        attributes["id"]
        for one in _tree(archive, workbook).iter()
        if _local(one.tag) == "sheet" and (attributes := _attributes(one)).get("name") == sheet
    )
    return _target(archive, wanted, workbook)


def _target(archive: zipfile.ZipFile, wanted: str, workbook: str) -> str:
    folder, _, name = workbook.rpartition("/")
    relations = _tree(archive, f"{folder}/_rels/{name}.rels")
    target = next(one.attrib["Target"] for one in relations if one.attrib["Id"] == wanted)
    return target.removeprefix("/") if target.startswith("/") else f"{folder}/{target}"


def _padding(archive: zipfile.ZipFile) -> dict[int, tuple[str, int]]:
    """Return which cell styles show leading zeros: the letters before them and the number of digits, by style."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    root = _tree(archive, "xl/styles.xml")
    formats = {
        one.attrib["numFmtId"]: _ZEROS.fullmatch(one.attrib.get("formatCode", ""))
        for one in root.iter()
        if _local(one.tag) == "numFmt"
    }
    styles = next((list(one) for one in root if _local(one.tag) == "cellXfs"), list[ET.Element]())
    found = {at: formats.get(one.attrib.get("numFmtId", "")) for at, one in enumerate(styles)}
    return {at: (zeros[1] or "", len(zeros[2])) for at, zeros in found.items() if zeros is not None}


# Excel's binary workbook (MS-XLSB)


def marks_of_xlsb(archive: zipfile.ZipFile, sheet: str) -> Marks:
    """Read the marks of a sheet by its name."""
    workbook = "xl/workbook.bin"
    wanted = ""
    for number, body in _records_of_xlsb(archive.read(workbook)):
        if number == 156:  # BrtBundleSh: state, id, relation, name
            relation, end = _wide_text(body, 8)
            if _wide_text(body, end)[0] == sheet:
                wanted = relation
    marks, row = Marks(), 0
    for number, body in _records_of_xlsb(archive.read(_target(archive, wanted, workbook))):
        if number == 0:  # BrtRowHdr
            row = int.from_bytes(body[:4], "little")
            if body[11] & 0x10:
                marks.hidden.append(row)
        elif 1 <= number <= 11:  # the cells
            column = int.from_bytes(body[:4], "little")
            marks.reach(row, column)
            if number in (3, 11):  # BrtCellError, BrtFmlaError
                marks.errors[Marks.key(row, column)] = _ERRORS.get(body[8], _UNNAMED_ERROR)
    return marks


def _records_of_xlsb(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        number = data[at]
        at += 1
        if number & 0x80:
            number = (number & 0x7F) | data[at] << 7
            at += 1
        size = 0
        for shift in (0, 7, 14, 21):
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            if not byte & 0x80:
                break
        yield number, data[at : at + size]
        at += size


def _wide_text(body: bytes, at: int) -> tuple[str, int]:
    length = int.from_bytes(body[at : at + 4], "little")
    end = at + 4 + 2 * length
    return body[at + 4 : end].decode("utf-16-le"), end


# Excel's old workbook (MS-XLS) in its compound file (MS-CFB)


def marks_of_xls(data: bytes, position: int) -> Marks:
    """Read the marks of a sheet by its position among all sheets."""
    stream = _workbook_stream(data)
    starts = [struct.unpack_from("<I", body)[0] for number, body in _records_of_xls(stream, 0) if number == 0x85]
    marks = Marks()
    for number, body in _records_of_xls(stream, starts[position]):
        if number == 0x208 and body[12] & 0x20:  # ROW
            marks.hidden.append(int.from_bytes(body[:2], "little"))
        error = None
        if number == 0x205 and body[7]:  # BOOLERR
            error = body[6]
        elif number == 0x06 and body[12:14] == b"\xff\xff" and body[6] == 2:  # FORMULA
            error = body[8]
        if error is not None:
            row, column = struct.unpack_from("<HH", body)
            marks.errors[Marks.key(row, column)] = _ERRORS.get(error, _UNNAMED_ERROR)
    return marks


def _records_of_xls(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Return the records of a substream up to its end."""
    while at + 4 <= len(stream):
        number, size = struct.unpack_from("<HH", stream, at)
        if number == 0x0A:
            return
        yield number, stream[at + 4 : at + 4 + size]
        at += 4 + size


def _workbook_stream(data: bytes) -> bytes:
    sector = 1 << struct.unpack_from("<H", data, 30)[0]
    each = sector // 4

    def read(number: int) -> bytes:
        return data[(number + 1) * sector : (number + 2) * sector]

    def numbers(number: int) -> tuple[int, ...]:
        return struct.unpack(f"<{each}I", read(number))

    places = list(struct.unpack_from("<109I", data, 76))
    more = struct.unpack_from("<I", data, 68)[0]
    while more < 0xFFFF_FFFA and len(places) * sector < len(data) + 109 * sector:
        *found, more = numbers(more)
        places += found
    table = [entry for place in places if place < 0xFFFF_FFFA for entry in numbers(place)]

    def chain(start: int) -> bytes:
        parts: list[bytes] = []
        while start < 0xFFFF_FFFA and len(parts) * sector <= len(data):
            parts.append(read(start))
            start = table[start]
        return b"".join(parts)

    folder = chain(struct.unpack_from("<I", data, 48)[0])
    for at in range(0, len(folder), 128):
        length = struct.unpack_from("<H", folder, at + 64)[0]
        name = folder[at : at + max(length - 2, 0)].decode("utf-16-le", "replace")
        if name in ("Workbook", "Book"):
            start, size = struct.unpack_from("<II", folder, at + 116)
            # A stream below 4,096 bytes is in another place; no writer makes a workbook that small.
            return chain(start)[:size]
    raise ValueError("no workbook in the compound file")


# OpenDocument


def marks_of_ods(archive: zipfile.ZipFile) -> dict[str, Marks]:
    """Read the marks of all sheets, by their names: calamine reads all of them at once."""
    found: dict[str, Marks] = {}
    marks, row, column = Marks(), 0, 0
    with archive.open("content.xml") as stream:
        for event, element in ET.iterparse(stream, ("start", "end")):  # noqa: S314
            tag = _local(element.tag)
            if tag == "table" and event == "start":
                marks, row, column = found.setdefault(_attributes(element).get("name", ""), Marks()), 0, 0
            elif event == "end" and tag in ("table-cell", "covered-table-cell"):
                repeated = int(_attributes(element).get("number-columns-repeated", "1"))
                _mark_ods(marks, element, row, column, repeated)
                column += repeated
                element.clear()
            elif event == "end" and tag == "table-row":
                attributes = _attributes(element)
                repeated = int(attributes.get("number-rows-repeated", "1"))
                if marks.rows > row:
                    marks.reach(row + repeated - 1, 0)
                    if attributes.get("visibility", "visible") != "visible" and repeated <= _CHUNK:
                        marks.hidden += range(row, row + repeated)
                row, column = row + repeated, 0
                element.clear()
    return found


def _mark_ods(marks: Marks, cell: ET.Element, row: int, column: int, repeated: int) -> None:
    # LibreOffice writes both value-type="string" and, in a namespace of its own, value-type="error".
    types = [value for name, value in cell.attrib.items() if _local(name) == "value-type"]
    text = "".join(cell.itertext()).strip()
    if types or text:
        marks.reach(row, column + repeated - 1)
    places = range(column, column + min(repeated, _MOST_COLUMNS))
    if "error" in types:
        told = text if text in _ERRORS.values() else _UNNAMED_ERROR
        marks.errors.update(dict.fromkeys((Marks.key(row, at) for at in places), told))
    elif "float" in types and re.fullmatch(r"0\d+", text):
        marks.padded.update(dict.fromkeys((Marks.key(row, at) for at in places), ("", len(text))))
