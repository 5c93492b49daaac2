"""What can be a name of a person, and which names may be one person's, however they are written: pure.

Spreadsheets drop zeros, add fractions and round; exports leave quotes; people put two names into one cell. Two names
that differ in no more than that are not taken for one person, but for a doubt.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from math import isnan
from numbers import Integral
from typing import Final

from thrive_async.models import AudienceMember

__all__ = ["LONGEST_NAME", "OBJECT_ID_LENGTH", "clean", "doubtful", "folded", "is_object_id", "meant", "newcomer_key"]

LONGEST_NAME: Final = 1_000
# Control characters, lone surrogates, line and paragraph separators.
_IMPOSSIBLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
OBJECT_ID_LENGTH: Final = 24
_HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")
# What spreadsheets and exports leave around a value beside white space: byte order mark, zero-width characters.
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060"
_EDGES: Final = re.compile(rf"^[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+$")
# What is left around a name by quoting in formulas (="E-1", 'E-1) and by lists in one cell.
_AROUND: Final = " \t\r\n\"'=;,"
_BETWEEN: Final = re.compile(r"""[\s\x00-\x1f;,|<>()"'=:]+""")
_MARKS: Final = " \t\r\n;,|<>()\"'=:+"
_DASHES: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-") | {"\u2019": "'"})
_NUMBER: Final = re.compile(r"0*(\d+?)(?:[.,]0+)?").fullmatch
# 123456789012 as a spreadsheet shows it: 1.23457E+11.
_ROUNDED: Final = re.compile(r"(\d(?:[.,](\d+))?)e\+(\d{1,2})").fullmatch
_LONGEST_NUMBER: Final = 40
# 4711 as a spreadsheet writes it for people: 4,711 or 4.711.
_IN_GROUPS: Final = re.compile(r"\d{1,3}([.,'\u2019 \u00a0\u2009\u202f]\d{3})+").fullmatch


def clean(value: object) -> tuple[str, str | None]:
    """Return a desired name without what surrounds it, and why it cannot be a name, if it cannot.

    A whole number is taken as its digits; a number with a fraction, even .0, may have lost some, and is no name.

    Args:
        value: One entry of a desired list, as it came.

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
        name = _EDGES.sub("", name)
    if not name:
        return value, "blank"
    if len(name) > LONGEST_NAME:
        return name[:LONGEST_NAME], f"longer than {LONGEST_NAME:,} characters"
    if not name.isprintable() and any(unicodedata.category(char) in _IMPOSSIBLE for char in name):
        return name, "holds a line break, a control character or broken text"
    return name, None


def is_object_id(name: str) -> bool:
    """Return whether a name looks like one of Thrive's ids: 24 hexadecimal digits."""
    return len(name) == OBJECT_ID_LENGTH and _HEXADECIMAL.issuperset(name)


def newcomer_key(name: str) -> str:
    """Return what two names of one newcomer have in common: e-mail addresses are compared in lower case.

    What looks like an id may be a ref, which is compared as it is written; whose it is, looking up tells.
    """
    return name.lower() if "@" in name else name


def folded(name: str) -> str:
    """Return what remains of a name without case, width, what surrounds it, and the many ways to write one letter.

    Of a number the zeros before it go, and those behind the point: spreadsheets drop and add them. Two names with the
    same remains are not taken for one person, but for a doubt.
    """
    if name.isascii():
        bare = name.lower().strip(_AROUND)
    else:
        wide = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        bare = _EDGES.sub("", wide.translate(_DASHES)).strip(_AROUND)
    if bare[:1].isdecimal():
        number = _NUMBER(bare)
        return number[1] if number else bare
    return bare


def meant(text: str) -> set[str]:
    """Return what remains of all the names that a text may hold: itself, and what stands in it beside other things."""
    return {folded(part) for part in (text, *_BETWEEN.split(text))} - {""}


def doubtful(to_add: Sequence[str], to_remove: Sequence[AudienceMember]) -> dict[str, str]:
    """Return who may be somebody to be added: names that differ only in how they are written may be one.

    Args:
        to_add: Names that fit nobody.
        to_remove: Those whom no name fits.

    Returns:
        A name for each of the ids of whom that may be.
    """
    if not to_add or not to_remove:
        return {}
    newcomers = {folded(name): name for name in to_add}
    rounded: dict[str, str] = {}
    for name in _unusual(to_add):
        if _IN_GROUPS(name):
            newcomers[folded(re.sub(r"\D", "", name))] = name
        number = _ROUNDED(name.lower())
        if number:
            rounded[_shown(float(number[1].replace(",", ".") + "e" + number[3]), len(number[2] or ""))] = name
        elif _BETWEEN.search(name):
            newcomers.update(dict.fromkeys(meant(name), name))
    decimals = {len(shown.partition("e")[0]) - 2 for shown in rounded}
    found: dict[str, str] = {}
    for member in to_remove:
        for own in (member.reference, member.email, member.user_id):
            if own and (bare := folded(own)) in newcomers:
                found[member.user_id] = newcomers[bare]
            elif rounded and own and own.isdecimal() and len(own) < _LONGEST_NUMBER:
                for shown in {_shown(int(own), count) for count in decimals} & rounded.keys():
                    found[member.user_id] = rounded[shown]
    return found


def _unusual(names: Sequence[str]) -> Iterable[str]:
    """Return those that may hold more than a name, or a number in another form; all, if in doubt.

    One look at all of them together costs a tenth of one look at each.
    """
    together = "".join(names)
    if together.isascii() and not any(mark in together for mark in _MARKS):
        return [name for name in names if name[0].isdecimal()]
    return names


def _shown(number: float, decimals: int) -> str:
    """Write a number the way a spreadsheet shows one that is too wide for its cell."""
    return f"{number:.{max(1, decimals)}e}"
