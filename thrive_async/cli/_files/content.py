"""Recognises what a file holds by its first bytes, unpacks it within bounds, and names what is no list of people."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, cast

from thrive_async.cli._errors import CliError

__all__ = ["LARGEST", "Content", "Kind", "check_text", "recognised"]

Kind = Literal["text", "xlsx", "xlsb", "ods", "xls"]

#: The most bytes that a file may unpack to: a list of five million people has about 400 MB.
LARGEST = 500_000_000
#: How often a file may be packed, as in a .zip that holds a .gz.
_PACKED = 2
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_GZIP = b"\x1f\x8b"
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: What Excel writes into such a file for a workbook of today with a password; calamine does not know it.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_NO_LISTS = (
    (b"%PDF", "is a PDF: ask for the list as a workbook or as CSV"),
    (b"{\\rtf", "is a text document: save the list as a workbook or as CSV"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it first"),
    (b"Rar!", "is a RAR archive: unpack it first"),
    (b"BZh", "is compressed by bzip2: unpack it first"),
    (b"\xfd7zXZ", "is compressed by xz: unpack it first"),
    (b"(\xb5/\xfd", "is compressed by zstd: unpack it first"),
    (b"\x89PNG", "is a picture: ask for the list as a workbook or as CSV"),
    (b"\xff\xd8\xff", "is a picture: ask for the list as a workbook or as CSV"),
)
#: What marks a zip as the file of an application, and what it is.
_IN_ZIP: tuple[tuple[str, Kind | str], ...] = (
    ("xl/workbook.xml", "xlsx"),
    ("xl/workbook.bin", "xlsb"),
    ("word/document.xml", "is a Word document: save the list as a workbook or as CSV"),
    ("ppt/presentation.xml", "is a presentation: save the list as a workbook or as CSV"),
    ("Index/Document.iwa", "is a Numbers document: export it as Excel or CSV first"),
)
_PASSWORD = re.compile(r"""type=["']?password|\bSAMLRequest\b""", re.IGNORECASE)
_LOGIN = re.compile(r"\b(log|sign) ?-?in\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.{1,80}?)</title>", re.IGNORECASE | re.DOTALL)
_ERROR_KEYS = ("error", "errors", "error_description", "message", "fault", "exception")


@dataclass(frozen=True)
class Content:
    """What a file holds, unpacked."""

    kind: Kind
    data: bytes
    #: Its name, or the name of the one file inside an archive.
    name: str


def recognised(data: bytes, name: str, source: str) -> Content:
    """Recognise the content of a file, and unpack it.

    Args:
        data: The file.
        name: Its path; the suffix tells only CSV from JSON lines.
        source: What messages call it.

    Raises:
        CliError: It is no list of people, is damaged, or unpacks to more than `LARGEST` bytes.
    """
    for _ in range(_PACKED + 1):
        if data.startswith(_OLD_WORKBOOK):
            if _ENCRYPTED in data:
                raise CliError(f"{source} is protected by a password: save a copy without one")
            return Content("xls", data, name)
        if data.startswith(_EMPTY_ZIP):
            raise CliError(f"{source} is an archive without a file: nothing was read, so nothing is changed")
        if data.startswith(_ZIP):
            kind, inner = _in_zip(data, source)
            if kind is not None:
                return Content(kind, data, name)
            data, name = inner
        elif data.startswith(_GZIP):
            data, name = _gunzipped(data, source), name.removesuffix(".gz")
        else:
            for magic, why in _NO_LISTS:
                if data.startswith(magic):
                    raise CliError(f"{source} {why}")
            return Content("text", data, name)
    raise CliError(f"{source} is an archive inside an archive: unpack it first")


def _too_large(source: str) -> CliError:
    return CliError(f"{source} unpacks to more than {LARGEST // 1_000_000} MB: hand in a smaller list")


def _gunzipped(data: bytes, source: str) -> bytes:
    import gzip  # noqa: PLC0415 - only for what is packed
    import zlib  # noqa: PLC0415

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(LARGEST + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise CliError(f"{source} is compressed, and damaged or cut off: fetch it again") from error
    if len(unpacked) > LARGEST:
        raise _too_large(source)
    return unpacked


def _in_zip(data: bytes, source: str) -> tuple[Kind | None, tuple[bytes, str]]:
    """Return the kind of workbook that a zip is, or the bytes and the name of the only file in it."""
    import zipfile  # noqa: PLC0415 - only for what is packed
    import zlib  # noqa: PLC0415

    damaged = CliError(f"{source} is a workbook or an archive that is damaged or cut off: save or fetch it again")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [
                one
                for one in archive.infolist()
                if not one.is_dir() and not one.filename.startswith("__MACOSX/")
                and PurePath(one.filename).name not in {".DS_Store", "Thumbs.db"}
            ]  # fmt: skip
            names = {one.filename for one in entries}
            kind = next((kind for name, kind in _IN_ZIP if name in names), None)
            if kind is None and names >= {"mimetype", "content.xml"}:
                opened = archive.read("mimetype")[:100] if archive.getinfo("mimetype").file_size < 100 else b""
                kind = "ods" if b"opendocument.spreadsheet" in opened else "is no spreadsheet: save the list as CSV"
            if kind is not None and kind not in ("xlsx", "xlsb", "ods"):
                raise CliError(f"{source} {kind}")
            if sum(one.file_size for one in entries) > LARGEST:
                raise _too_large(source)
            if any(one.flag_bits & 1 for one in entries):
                raise CliError(f"{source} is protected by a password: hand in a copy without one")
            if kind is not None:
                # What the directory says about the sizes may be false; this reads no more than it says.
                if archive.testzip() is not None:
                    raise damaged
                return cast("Kind", kind), (b"", "")
            if len(entries) != 1:
                listed = ", ".join(sorted(names)[:5])
                raise CliError(f"{source} is an archive of {len(entries)} files ({listed}): it must hold one")
            return None, (archive.read(entries[0]), entries[0].filename)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise damaged from error


def check_text(text: str, source: str) -> None:
    """Refuse a web page or a message of an error that was saved as if it were the list.

    Args:
        text: The content.
        source: What messages call it.

    Raises:
        CliError: It is one; the message says what it is.
    """
    head = text[:4096].lstrip()
    lower = head[:512].lower()
    if lower.startswith(("<!doctype html", "<html", "<head", "<body", "<table", "<meta", "<style", "<script", "<!--")):
        found = _TITLE.search(text[:20_000])
        titled = f" ({' '.join(found[1].split())!r})" if found else ""
        page = text[:200_000]
        has_table = "<table" in page.lower()
        if _PASSWORD.search(page) or (_LOGIN.search(page) and not has_table):
            raise CliError(
                f"{source} is a login page{titled}, not a list: the download was not signed in; fetch it again"
            )
        if has_table:
            raise CliError(
                f"{source} is a web page{titled}, whatever its name says: open it in Excel and save it as .xlsx or CSV"
            )
        raise CliError(f"{source} is a web page{titled}, not a list of people: fetch it again")
    if lower.startswith("<?xml"):
        what = "an XML spreadsheet" if "urn:schemas-microsoft-com:office:spreadsheet" in head else "XML"
        raise CliError(f"{source} is {what}: save it as .xlsx or CSV first")
    if head.startswith("{") and len(text) < 100_000:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return
        _check_answer(value, source)


def _check_answer(value: Mapping[str, object], source: str) -> None:
    """Refuse the JSON of a refused request: `{"error": "...", "message": "..."}`."""
    folded = {key.lower(): item for key, item in value.items()}
    if folded.keys() & {"ref", "email", "id", "userid"}:
        return
    found = [folded[key] for key in _ERROR_KEYS if folded.get(key)]
    if found:
        words = next((item for item in found if isinstance(item, str)), "")
        said = f" ({' '.join(words.split())[:80]!r})" if words else ""
        raise CliError(f"{source} is the message of an error{said}, not a list: fetch it again")
