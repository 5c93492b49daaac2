"""What can be a name of a person, and what makes two names the same: pure."""

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from math import isnan
from numbers import Integral
from typing import Final

import attrs

from thrive_async.models import ManagerGrantPermissions

__all__ = [
    "LONGEST_NAME",
    "OBJECT_ID_LENGTH",
    "Entry",
    "clean",
    "is_object_id",
    "lowered",
    "newcomer_key",
    "plain",
    "rewritten",
]

LONGEST_NAME: Final = 1_000
# Control characters, lone surrogates, line and paragraph separators.
_IMPOSSIBLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
OBJECT_ID_LENGTH: Final = 24
_HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")
_STRAIGHT_QUOTES: Final = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'") | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"')
)
# IDNA of 2003, which the standard library has, makes other domains of these letters than that of 2008.
_AMBIGUOUS_IN_DOMAINS: Final = re.compile("[ßς]")

_MONTH: Final = "(?-i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
# In this order: numbers (4711.0, 1.23457E+11, digits past the fifteenth lost), quotes ('4711, ="4711", 4711;), errors
# (#N/A, #REF!, #####), dashes, dates (03-Apr, 2026-04-03), words.
_REWRITTEN: Final = re.compile(
    rf"""0 | \d+[.,]0+ | \d([.,]\d+)?e\+\d+ | [1-9]\d{{14}}0+
    | ["'=][^@]* | [^@]*["';,]
    | \#(n/?[adv]|[¡¿]?[\w/]+[!?]|\#+) | [-\u2013\u2014?]+
    | \d{{1,2}}-{_MONTH} | {_MONTH}-\d\d | \d{{4}}-\d\d-\d\d([ T]00:00:00)?
    | \d{{1,2}}/\d{{1,2}}/(\d\d){{1,2}} | \d{{1,2}}\.\d{{1,2}}\.(19|20)\d\d
    | [(<]?(null|nil|none|nan|n/?a|unknown|undefined|missing|blank|empty|tb[acd])[)>]? | true | false""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
).fullmatch


def _as_tuple(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@attrs.frozen(kw_only=True)
class Entry:
    """An entry of a desired list, with what its source tells beside the name.

    Use it instead of a plain name if your source is a table: what stands beside a name can tell two people apart, and a
    report that says "line 7" is quicker to act on.

    Attributes:
        name: The name: an id, a reference or an e-mail address. None if there is none.
        also: Other names of the same person, such as the e-mail address in the row of a reference. If they are another
            member's, the entry is ambiguous; if the member list knows only one of these, it is that member.
        where: Where the entry stands, for the report: ``"line 7"``. None to be told by its place in the list.
        doubt: Why the entry cannot be trusted, such as ``"column 'ref' is blank"``. It is rejected then, and nobody is
            removed.
        may_be_cut: Whether the end of the name may be missing, as in the last line of a file without a line end. If it
            is the beginning of a missing member's name, the entry is rejected, and nobody is removed.
        permissions: What a manager may do; only `plan_managers` looks at it.

    Example:
        ```python
        rows = enumerate(csv.DictReader(file), start=2)
        entries = [sync.Entry(name=row["ref"], also=[row["email"]], where=f"line {at}") for at, row in rows]
        plan = await sync.plan_members(thrive, "sales-emea", entries)
        ```
    """

    name: str | None = None
    also: tuple[str, ...] = attrs.field(default=(), converter=_as_tuple)
    where: str | None = None
    doubt: str | None = None
    may_be_cut: bool = False
    permissions: ManagerGrantPermissions | None = attrs.field(default=None, repr=False)


def clean(value: object) -> tuple[str, str | None]:
    """Return a desired name without white space around it and without invisible characters, and why it is none.

    A whole number is taken as its digits. A number with a fraction, even .0, may have lost some, and is no name.

    Args:
        value: One name of a desired list, as it came.

    Returns:
        The name and None, or what was written and the reason: ``"blank"``, or what is impossible about it.
    """
    if not isinstance(value, str):
        if value is None or (isinstance(value, float) and isnan(value)):
            return "", "blank"
        if isinstance(value, bool) or not isinstance(value, Integral):
            return repr(value)[:LONGEST_NAME], f"not text but {type(value).__name__}"
        value = str(value)
    name = value.strip()
    if not name.isascii():
        name = _visible(name).strip()
    if not name:
        return value, "blank"
    if len(name) > LONGEST_NAME:
        return name[:LONGEST_NAME], f"longer than {LONGEST_NAME:,} characters"
    if not name.isprintable() and any(unicodedata.category(char) in _IMPOSSIBLE for char in name):
        return name, "holds a line break, a control character or broken text"
    return name, None


def _visible(name: str) -> str:
    """Return a name without what nobody sees in it: marks of direction, joiners, soft hyphens, byte order marks."""
    return "".join(char for char in name if unicodedata.category(char) != "Cf")


def rewritten(name: str) -> bool:
    """Return whether a name looks like what spreadsheets and exports make of one, or write where there is none.

    Somebody may have just this name. Look for it letter for letter first.
    """
    return _REWRITTEN(name) is not None


def is_object_id(name: str) -> bool:
    """Return whether a name looks like one of Thrive's ids: 24 hexadecimal digits."""
    return len(name) == OBJECT_ID_LENGTH and _HEXADECIMAL.issuperset(name)


def plain(name: str) -> str:
    """Return a name without invisible characters and with straight quotes, for comparing."""
    return name if name.isascii() else _visible(name).translate(_STRAIGHT_QUOTES)


def lowered(email: str) -> str:
    """Return an e-mail address for comparing: plain, in lower case, its domain as IDNA writes it."""
    lower = email.lower()
    if lower.isascii():
        return lower
    mailbox, at, domain = plain(lower).rpartition("@")
    if at and not domain.isascii() and not _AMBIGUOUS_IN_DOMAINS.search(domain):
        # What cannot be a domain is compared as it is.
        with suppress(UnicodeError):
            domain = domain.encode("idna").decode()
    return mailbox + at + domain


def newcomer_key(name: str) -> str:
    """Return what two names of one newcomer have in common: e-mail addresses are compared as `lowered`.

    What looks like an id may be a ref, which is compared as it is written; looking it up tells.
    """
    return lowered(name) if "@" in name else plain(name)
