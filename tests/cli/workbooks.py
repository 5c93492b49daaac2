"""Writes small workbooks for the tests: .xlsx by XlsxWriter, .xls by xlwt, .ods and .xlsb by hand."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

import xlsxwriter
import xlwt

#: An error cell, as `=NA()` leaves it.
NOT_AVAILABLE = object()
Rows = Sequence[Sequence[Any]]


def xlsx(sheets: Mapping[str, Rows], *, hidden: Sequence[str] = (), hidden_rows: Sequence[int] = ()) -> bytes:
    """Write an .xlsx; a pair (number, format) is a number with a format, hidden rows (from 0) are so in each sheet."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"default_date_format": "dd.mm.yyyy"})
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        if name in hidden:
            sheet.hide()
        else:
            sheet.activate()
            sheet.set_first_sheet()
        for at, row in enumerate(rows):
            for column, cell in enumerate(row):
                if cell is NOT_AVAILABLE:
                    sheet.write_formula(at, column, "=NA()", None, "#N/A")
                elif isinstance(cell, tuple):
                    sheet.write_number(at, column, cell[0], book.add_format({"num_format": cell[1]}))
                elif isinstance(cell, str):
                    sheet.write_string(at, column, cell)
                else:
                    sheet.write(at, column, cell)
        for at in hidden_rows:
            sheet.set_row(at, None, None, {"hidden": True})
    book.close()
    return out.getvalue()


def xls(sheets: Mapping[str, Rows], *, hidden: Sequence[str] = (), hidden_rows: Sequence[int] = ()) -> bytes:
    book = xlwt.Workbook()
    day = xlwt.easyxf(num_format_str="DD.MM.YYYY")
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        sheet.visibility = int(name in hidden)
        for at, row in enumerate(rows):
            for column, cell in enumerate(row):
                if cell is NOT_AVAILABLE:
                    sheet.row(at).set_cell_error(column, 0x2A)
                elif hasattr(cell, "isoformat"):
                    sheet.write(at, column, cell, day)
                elif cell is not None:
                    sheet.write(at, column, cell)
        for at in hidden_rows:
            sheet.row(at).hidden = True
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def zipped(files: Mapping[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            # Without a time, for tests are named by these bytes, and pytest-xdist compares the names of two processes.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


_ODS = (
    '<?xml version="1.0" encoding="UTF-8"?><office:document-content'
    ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    ' xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"'
    ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0" office:version="1.3">'
    "{styles}<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
)


def ods(sheets: Mapping[str, Rows], *, hidden: Sequence[str] = (), hidden_rows: Sequence[int] = ()) -> bytes:
    """Write an .ods as LibreOffice does."""
    tables: list[str] = []
    for name, rows in sheets.items():
        lines: list[str] = []
        for at, row in enumerate(rows):
            shown = ' table:visibility="collapse"' if at in hidden_rows else ""
            lines.append(f"<table:table-row{shown}>{''.join(map(_ods_cell, row))}</table:table-row>")
        style = ' table:style-name="hidden"' if name in hidden else ""
        tables.append(f'<table:table table:name="{name}"{style}>{"".join(lines)}</table:table>')
    styles = (
        '<office:automatic-styles><style:style style:name="hidden" style:family="table">'
        '<style:table-properties table:display="false"/></style:style></office:automatic-styles>'
    )
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": _ODS.format(styles=styles, tables="".join(tables)),
            "META-INF/manifest.xml": '<?xml version="1.0"?><manifest:manifest xmlns:manifest='
            '"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        }
    )


def _ods_cell(cell: Any) -> str:
    if cell is None:
        return "<table:table-cell/>"
    if cell is NOT_AVAILABLE:
        return (
            '<table:table-cell table:formula="of:=NA()" office:value-type="string" office:string-value=""'
            ' calcext:value-type="error"><text:p>#N/A</text:p></table:table-cell>'
        )
    if isinstance(cell, tuple):
        shown = str(cell[0]).zfill(len(cell[1]))
        return (
            f'<table:table-cell office:value-type="float" office:value="{cell[0]}"><text:p>{shown}</text:p>'
            "</table:table-cell>"
        )
    if isinstance(cell, bool):
        value = f'office:value-type="boolean" office:boolean-value="{str(cell).lower()}"'
    elif isinstance(cell, int | float):
        value = f'office:value-type="float" office:value="{cell}"'
    elif hasattr(cell, "isoformat"):
        value = f'office:value-type="date" office:date-value="{cell.isoformat()}"'
    else:
        value = 'office:value-type="string"'
    return f"<table:table-cell {value}><text:p>{escape(str(cell))}</text:p></table:table-cell>"


def _record(number: int, body: bytes = b"") -> bytes:
    head = bytes([number]) if number < 128 else bytes([number & 0x7F | 0x80, number >> 7])
    size = len(body)
    return head + bytes([size & 0x7F | 0x80, size >> 7]) + body


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def xlsb(sheets: Mapping[str, Rows], *, hidden: Sequence[str] = (), hidden_rows: Sequence[int] = ()) -> bytes:
    """Write an .xlsb with texts, numbers, truth values and errors."""
    files: dict[str, bytes | str] = {}
    bundle, relations = b"", ""
    for number, (name, rows) in enumerate(sheets.items(), start=1):
        bundle += _record(156, struct.pack("<II", int(name in hidden), number) + _wide(f"rId{number}") + _wide(name))
        relations += (
            f'<Relationship Id="rId{number}" Target="worksheets/sheet{number}.bin" Type="http://schemas.openxmlformats.'
            'org/officeDocument/2006/relationships/worksheet"/>'
        )
        width = max(map(len, rows), default=1)
        sheet = _record(129) + _record(148, struct.pack("<IIII", 0, max(len(rows) - 1, 0), 0, width - 1))
        sheet += _record(145)
        for at, row in enumerate(rows):
            flags = 0x10 if at in hidden_rows else 0
            sheet += _record(0, struct.pack("<IIHBBBI", at, 0, 300, 0, flags, 0, 0))
            for column, cell in enumerate(row):
                place = struct.pack("<II", column, 0)
                if cell is NOT_AVAILABLE:
                    sheet += _record(3, place + b"\x2a")
                elif isinstance(cell, bool):
                    sheet += _record(4, place + bytes([cell]))
                elif isinstance(cell, int | float):
                    sheet += _record(5, place + struct.pack("<d", cell))
                elif cell is not None:
                    sheet += _record(6, place + _wide(str(cell)))
        files[f"xl/worksheets/sheet{number}.bin"] = sheet + _record(146) + _record(130)
    files["xl/workbook.bin"] = _record(131) + _record(143) + bundle + _record(144) + _record(132)
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    files["xl/_rels/workbook.bin.rels"] = (
        f'<?xml version="1.0"?><Relationships xmlns="{space}">{relations}</Relationships>'
    )
    return zipped(files)


WRITERS = {"xlsx": xlsx, "xlsb": xlsb, "xls": xls, "ods": ods}
