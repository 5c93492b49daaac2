"""Read the rows of an HR export as values of user fields: pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from typing import Any, Final, Literal

import attrs

from thrive_async.errors import ConfigurationError
from thrive_async.models import UserCreate, UserUpdate
from thrive_async.sync._match.names import clean, rewritten

__all__ = [
    "FIELDS",
    "Blank",
    "Nameless",
    "Reader",
    "Row",
    "Rows",
    "Unreadable",
    "addressable",
    "creation",
    "update",
]

Blank = Literal["keep", "clear"]

_WIRE_NAMES: Final[Mapping[str, str]] = {
    field.metadata.get("json", field.name): field.name for field in attrs.fields(UserCreate)
}
FIELDS: Final = frozenset(_WIRE_NAMES.values()) - {"additional_fields"}
"""The fields of a user that a column may hold; `additional_fields.NAME` beside them."""
_DATES: Final = frozenset({"start_date", "end_date"})
# Names are needed; role, time zone and language fall back to the tenant's own, which would be cleared every night.
_CLEARABLE: Final = frozenset({"email", "job_title", "manager_ref", "start_date", "end_date", "domain"})
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# They belong to names and titles: 't Hooft, Head of "Growth".
_QUOTES: Final = "\"';, "
_PREFIXES: Final = ("additional_fields.", "additionalFields.")


@attrs.frozen(kw_only=True, repr=False)
class Row:
    """One person of the export.

    Attributes:
        ref: Their ref.
        values: The wanted value of each field in the row; None clears it.
        additional: The wanted values of the tenant's own fields.
        unreadable: The cells that hold a placeholder or something a spreadsheet has rewritten, by field.
        left: Whether the person has left.
        where: Which row, such as ``"row 8"``.
    """

    ref: str
    values: Mapping[str, Any]
    additional: Mapping[str, Any]
    unreadable: Mapping[str, "Unreadable"] = attrs.field(factory=dict[str, "Unreadable"])
    left: bool = False
    where: str = attrs.field(default="", eq=False)


@attrs.frozen(repr=False)
class Unreadable:
    """A cell that is never written to Thrive, such as ``#N/A``.

    Attributes:
        column: The name of its column.
        text: What it holds.
    """

    column: str
    text: str


@attrs.frozen(repr=False)
class Nameless:
    """A row that does not say who it is about, unless a user has this very ref or e-mail address.

    Attributes:
        row: Which row, such as ``"row 8"``.
        ref: Its ref as written; None if it cannot be read.
        email: Its e-mail address in lower case; empty if there is none.
    """

    row: str
    ref: str | None
    email: str


@attrs.define(kw_only=True, repr=False)
class Rows:
    """The export as a whole.

    Attributes:
        by_ref: The people, by ref.
        rejected: Pairs of what a row is called and why nothing is done for it.
        duplicates: The refs of rows that say the same as an earlier one.
        mentioned_refs: Every ref in it, also of rejected rows. Users who have one are no leavers.
        mentioned_emails: Every e-mail address in it, in lower case.
        nameless: Rows that do not say who they are about: without a legible ref, or with one that looks rewritten.
        count: How many rows there are.
    """

    by_ref: dict[str, Row] = attrs.field(factory=dict[str, Row])
    rejected: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])
    duplicates: list[str] = attrs.field(factory=list[str])
    mentioned_refs: set[str] = attrs.field(factory=set[str])
    mentioned_emails: set[str] = attrs.field(factory=set[str])
    nameless: list["Nameless"] = attrs.field(factory=list["Nameless"])
    count: int = 0


class Reader:
    """Reads rows.

    Args:
        columns: The column of each field: `{"ref": "EmployeeID", "first_name": "Given name"}`. Fields go by their names
            in `UserCreate` or on the wire (`firstName`); `additional_fields.Region` is one of the tenant's own. None
            if the columns are called as the fields.
        blank: Whether an empty cell leaves the field as it is, or clears it.
        has_left: Whether a row is of a person who has left; None if all of them are still there.

    Raises:
        ConfigurationError: A field that does not exist, one that comes twice, or none for the ref.
        TypeError: `columns` is no mapping of texts.
    """

    def __init__(
        self,
        columns: Mapping[str, str] | None,
        blank: Blank,
        has_left: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> None:
        if blank not in ("keep", "clear"):
            raise ConfigurationError('blank must be "keep" or "clear"')
        if columns is not None:
            _check_columns(columns)
        self._columns = None if columns is None else {_field(name): column for name, column in columns.items()}
        if self._columns is not None and "ref" not in self._columns:
            raise ConfigurationError("columns must name the column of ref: people are recognised by it")
        self._clear = blank == "clear"
        self._has_left = has_left
        self._conflicts: set[str] = set()
        self.rows: Rows = Rows()

    def feed(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Read some more rows.

        Raises:
            ConfigurationError: A column is missing in a row.
            TypeError: A row is no mapping.
        """
        for cells in rows:
            self.rows.count += 1
            if not isinstance(cells, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"row {self.rows.count} must be a mapping, not {type(cells).__name__}")
            self._feed(cells, self.rows.count)

    def _feed(self, cells: Mapping[str, Any], number: int) -> None:
        rows, columns = self.rows, self._columns
        extra: Any = cells.get(None) if columns is not None else None  # type: ignore[call-overload]
        if extra and any(extra):
            # `csv.DictReader` keeps cells beyond the header there: a delimiter within a cell has moved the others.
            rows.rejected.append((f"row {number}", "it has more cells than the header"))
            rows.nameless.append(Nameless(f"row {number}", None, ""))
            return
        if columns is None:
            columns = {_field(name): name for name in cells}
        missing = [column for column in columns.values() if column not in cells]
        if missing:
            raise ConfigurationError(f"row {number} has no column {missing[0]!r}")
        email = cells[columns["email"]] if "email" in columns else None
        address = email.strip().lower() if isinstance(email, str) and not _is_placeholder("email", email) else ""
        if address:
            rows.mentioned_emails.add(address)
        if "ref" not in columns:
            raise ConfigurationError("the rows have no column ref: people are recognised by it")
        ref, reason = clean(cells[columns["ref"]])
        if reason is not None:
            rows.rejected.append((f"row {number}", f"ref: {reason}"))
            rows.nameless.append(Nameless(f"row {number}", None, address))
            return
        rows.mentioned_refs.add(ref)
        if rewritten(ref):
            rows.nameless.append(Nameless(f"row {number}", ref, address))
        if not addressable(ref):
            rows.rejected.append((ref, "ref: cannot be part of a path, so no user can be reached by it"))
            return
        try:
            row = self._row(ref, cells, columns, f"row {number}")
            update(row, {*row.values}, row.additional)
        except (ValueError, TypeError) as error:
            rows.rejected.append((ref, str(error)))
            self._conflicts.add(ref)
            rows.by_ref.pop(ref, None)
            return
        if ref in self._conflicts:
            rows.rejected.append((ref, "another row of this ref says something else"))
        elif ref not in rows.by_ref:
            rows.by_ref[ref] = row
        elif rows.by_ref[ref] == row:
            rows.duplicates.append(ref)
        else:
            # Which one is right cannot be told.
            self._conflicts.add(ref)
            del rows.by_ref[ref]
            rows.rejected += [(ref, "another row of this ref says something else")] * 2

    def _row(self, ref: str, cells: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Row:
        values: dict[str, Any] = {}
        additional: dict[str, Any] = {}
        unreadable: dict[str, Unreadable] = {}
        for name, column in columns.items():
            if name == "ref":
                continue
            cell = cells[column]
            if isinstance(cell, str):
                cell = cell.strip()
            elif isinstance(cell, float | datetime) and cell != cell:  # noqa: PLR0124 - not a number, or not a time
                cell = None
            own = name.removeprefix("additional_fields.")
            if cell is None or cell == "":
                if self._clear and own != name:
                    additional[own] = None
                elif self._clear and name in _CLEARABLE:
                    values[name] = None
            elif isinstance(cell, str) and _is_placeholder(name, cell):
                unreadable[name] = Unreadable(column, cell)
            elif own != name:
                additional[own] = cell
            else:
                values[name] = _value(name, cell)
        left = self._has_left is not None and bool(self._has_left(cells))
        return Row(ref=ref, values=values, additional=additional, unreadable=unreadable, left=left, where=where)


def _is_placeholder(name: str, cell: str) -> bool:
    """Return whether a cell stands for a missing value, or is what a spreadsheet has made of one."""
    text = cell.strip().strip(_QUOTES)
    if name in _DATES:
        # A day is what a ref never is.
        return rewritten(text) and not any(char.isdecimal() for char in text)
    if name == "sso":
        return rewritten(text) and text.lower() not in _TRUTH
    if name.startswith("additional_fields."):
        # Such a field may hold a day, a dash or TRUE.
        return text.startswith("#") and rewritten(text)
    return rewritten(text)


def addressable(ref: str) -> bool:
    """Return whether a user can be reached by a ref: it is part of the path."""
    return bool(ref.strip()) and ref not in (".", "..")


def _check_columns(columns: Mapping[str, str]) -> None:
    if not isinstance(columns, Mapping) or not all(isinstance(text, str) for text in (*columns, *columns.values())):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("columns must map the names of fields to those of columns")
    fields = [_field(name) for name in columns]
    twice = next((field for field in fields if fields.count(field) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"columns names the column of {twice} twice")


def _field(name: str) -> str:
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a column is named by text, not by {type(name).__name__}; has a row too many cells?")
    for prefix in _PREFIXES:
        if name.startswith(prefix) and len(name) > len(prefix):
            return f"additional_fields.{name.removeprefix(prefix)}"
    found = _WIRE_NAMES.get(name, name)
    if found not in FIELDS:
        known = ", ".join(sorted(FIELDS))
        raise ConfigurationError(f"there is no user field {name!r}: there are {known}, additional_fields.NAME")
    return found


def _value(name: str, cell: Any) -> Any:
    if name in _DATES:
        return _day(name, cell)
    if name == "manager_ref" and isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if name == "sso" and isinstance(cell, str):
        if cell.lower() not in _TRUTH:
            raise ValueError("sso: neither yes nor no")
        return _TRUTH[cell.lower()]
    if name in ("role", "login_method") and isinstance(cell, str):
        return cell.lower()
    return cell


def _day(name: str, cell: Any) -> Any:
    if isinstance(cell, str):
        try:
            cell = date.fromisoformat(cell) if len(cell) <= 10 else datetime.fromisoformat(cell)
        except ValueError:
            raise ValueError(f"{name}: not a date (YYYY-MM-DD)") from None
    # Midnight is how spreadsheets and databases write a day; in UTC it may be the day before.
    if isinstance(cell, datetime) and cell.time() == time.min:
        return cell.date()
    return cell


def creation(row: Row) -> UserCreate:
    """Return what creates the user of a row.

    Raises:
        ValueError: Something that Thrive needs is missing.
    """
    values = {name: value for name, value in row.values.items() if value is not None}
    for name in ("first_name", "last_name"):
        if name not in values:
            raise ValueError(f"{name} is missing, and a new user needs it")
    if "email" not in values and values.get("login_method") != "ref":
        raise ValueError("email is missing, and a new user needs it unless login_method is ref")
    additional = {name: value for name, value in row.additional.items() if value is not None}
    if additional:
        values["additional_fields"] = additional
    return UserCreate(ref=row.ref, **values)


def update(row: Row, fields: Iterable[str], additional: Mapping[str, Any]) -> UserUpdate:
    """Return what changes some fields to what a row wants.

    Args:
        row: The row.
        fields: Which of its fields.
        additional: All of the tenant's own fields as they shall be; left out if empty.

    Raises:
        ValueError, TypeError: A value cannot be meant.
    """
    values: dict[str, Any] = {name: row.values[name] for name in fields}
    if additional:
        values["additional_fields"] = dict(additional)
    return UserUpdate(**values)
