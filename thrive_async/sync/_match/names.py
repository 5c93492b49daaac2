"""What can be a name of a person: pure."""

import re
import unicodedata
from math import isnan
from numbers import Integral
from typing import Final

import attrs

__all__ = ["EDGES", "LONGEST_NAME", "OBJECT_ID_LENGTH", "Unnamed", "clean", "is_object_id", "newcomer_key"]

LONGEST_NAME: Final = 1_000
# Control characters, lone surrogates, line and paragraph separators.
_IMPOSSIBLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
OBJECT_ID_LENGTH: Final = 24
_HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")
# What spreadsheets and exports leave around a value beside white space: byte order mark, zero-width characters.
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060"
EDGES: Final = re.compile(rf"^[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+$")
"""What surrounds a name and is no part of it."""


@attrs.frozen
class Unnamed:
    """An entry of a desired list that names nobody although somebody is meant, such as a row without a ref.

    Attributes:
        where: What to call it in the report: ``"line 7"``.
        reason: Why it names nobody: ``"column 'ref' is blank"``.
    """

    where: str
    reason: str


def clean(value: object) -> tuple[str, str | None]:
    """Return a desired name without what surrounds it, and why it cannot be a name, if it cannot.

    A whole number is taken as its digits; a number with a fraction, even .0, may have lost some, and is no name.

    Args:
        value: One entry of a desired list, as it came.

    Returns:
        The name and None, or what was written and the reason: ``"blank"``, or what is impossible about it.
    """
    if isinstance(value, Unnamed):
        return value.where, f"names nobody: {value.reason}"
    if not isinstance(value, str):
        if value is None or (isinstance(value, float) and isnan(value)):
            return "", "blank"
        if isinstance(value, bool) or not isinstance(value, Integral):
            return repr(value)[:LONGEST_NAME], f"not text but {type(value).__name__}"
        value = str(value)
    name = value.strip()
    if not name.isascii():
        name = EDGES.sub("", name)
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

    What looks like an id may be a ref, which is compared as it is written; looking it up tells.
    """
    return name.lower() if "@" in name else name
