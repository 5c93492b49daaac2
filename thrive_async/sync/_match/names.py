"""Decide what can be a person's name, and when two names are the same. Does no I/O."""

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
# The standard library's IDNA 2003 encodes these letters differently from IDNA 2008.
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
    """An entry of a desired list, with more than a name.

    Use it instead of a plain name if your source is a table: a second name in the row can tell two people apart, and
    you can act more quickly on a report that says "line 7".

    Attributes:
        name: An id, a reference or an e-mail address. None if the row has no name.
        also: Other names of the same person, such as the e-mail address beside a reference. If only one name of the
            entry is a member's, the entry means that member. If its names belong to different members, it is ambiguous.
        where: Where the entry stands, such as ``"line 7"``; the report shows it. None shows the position in the list.
        doubt: Why the entry cannot be trusted, such as ``"column 'ref' is blank"``. The entry is then rejected, and all
            removals are held.
        may_be_cut: Whether the name may be cut off, as in the last line of a file without a line break. If a missing
            member's name begins with it, the entry is rejected, and all removals are held.
        permissions: What a manager may do. Only `plan_managers` uses it.

    Example:
        ```python
        rows = enumerate(csv.DictReader(file), start=2)
        entries = [sync.Entry(name=row["ref"], also=[row["email"]], where=f"line {at}") for at, row in rows]
        plan = await sync.plan_members(thrive, "sales-emea", entries)
        ```
    """

    name: str | None = attrs.field(default=None, repr=False)  # frames and logs show a repr, and it names a person
    also: tuple[str, ...] = attrs.field(default=(), converter=_as_tuple, repr=False)
    where: str | None = None
    doubt: str | None = None
    may_be_cut: bool = False
    permissions: ManagerGrantPermissions | None = attrs.field(default=None, repr=False)


def clean(value: object) -> tuple[str, str | None]:
    """Strip white space and invisible characters from a desired name, or say why it is not a name.

    A whole number becomes its digits. A number with a fraction, even .0, may have lost digits, so it is not a name.

    Args:
        value: A raw entry of a desired list.

    Returns:
        The name and None; or the entry's text and the reason, such as ``"blank"``.
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
    """Return a name without invisible characters: direction marks, joiners, soft hyphens, byte order marks."""
    return "".join(char for char in name if unicodedata.category(char) != "Cf")


def rewritten(name: str) -> bool:
    """Return whether a name looks damaged by a spreadsheet or export, or like a placeholder for a missing name.

    A person may have exactly this name, so look for an exact match first.
    """
    return _REWRITTEN(name) is not None


def is_object_id(name: str) -> bool:
    """Return whether a name looks like one of Thrive's ids: 24 hexadecimal digits."""
    return len(name) == OBJECT_ID_LENGTH and _HEXADECIMAL.issuperset(name)


def plain(name: str) -> str:
    """Return a name without invisible characters and with straight quotes, for comparing."""
    return name if name.isascii() else _visible(name).translate(_STRAIGHT_QUOTES)


def lowered(email: str) -> str:
    """Return an e-mail address for comparing: plain, in lower case, with an IDNA domain."""
    lower = email.lower()
    if lower.isascii():
        return lower
    mailbox, at, domain = plain(lower).rpartition("@")
    if at and not domain.isascii() and not _AMBIGUOUS_IN_DOMAINS.search(domain):
        # An invalid domain is compared as it is.
        with suppress(UnicodeError):
            domain = domain.encode("idna").decode()
    return mailbox + at + domain


def newcomer_key(name: str) -> str:
    """Return a key that is equal for two spellings of one newcomer's name; e-mail addresses compare as `lowered`.

    The key keeps the case of a name that looks like an id: it may be a ref, and only looking it up tells.
    """
    return lowered(name) if "@" in name else plain(name)
