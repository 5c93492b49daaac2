"""Which people a name may mean when Thrive does not know the name: pure, and generous on purpose.

An address changes with a marriage, a domain or a typing mistake; a number loses its zeros in a spreadsheet. While such
a name is unknown, the member who seems to have left may be the very person. Being wrong here costs a removal that
waits for a corrected list; the other mistake takes somebody out of mandatory training.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

__all__ = ["Person", "comparable", "lookalikes", "number_shown"]


class Person(Protocol):
    """Somebody with an id, a reference and an e-mail address, such as an `AudienceMember`."""

    @property
    def user_id(self) -> str: ...

    @property
    def reference(self) -> str | None: ...

    @property
    def email(self) -> str | None: ...


_SHORTEST_PART: Final = 3
"""Shorter parts of a name, such as "de" or "van", are shared by too many."""
_SHORTEST_MISTYPED: Final = 5
_FEW: Final = 3
_COMMON: Final = 0.05
"""A part that more than one in twenty people share, and more than three people, tells nobody apart."""

# Letters of other alphabets that look like Latin ones, and letters that Unicode does not take apart.
_LATIN: Final = str.maketrans(
    dict(zip("аеорсухіјѕкмтвнαορτυχικεν", "aeopcyxijskmtbhaoptuxikev", strict=True))
    | {"\u0131": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "a", "œ": "o", "ß": "ss"}
)
# ü is written u or ue: whichever, one letter remains.
_UMLAUTS: Final = re.compile("(?<=[aou])e")
_AT: Final = re.compile(r"\s*@\s*|\s+(?:at|\(at\)|\[at\])\s+")
_SPLIT: Final = re.compile(r"[^0-9a-z]+")
# Several names in one cell, or an address with the name of its owner.
_BETWEEN: Final = re.compile(r"[\s;,|<>()\"]+")
_ZEROS: Final = re.compile(r"(?<![0-9])0+(?=[0-9])")
_FRACTION: Final = re.compile(r"([0-9]+)[.,]0+").fullmatch
_DIGITS_MISREAD: Final = str.maketrans("oil", "011")
# 123456789012 as a spreadsheet shows it where the cell is narrow: 1.23457E+11.
_ROUNDED: Final = re.compile(r"([0-9](?:[.,]([0-9]+))?)e\+?([0-9]{1,2})").fullmatch
_LONGEST_NUMBER: Final = 40
# Spreadsheets keep fifteen digits of a number, and write zeros for the others.
_KEPT_DIGITS: Final = 15


def comparable(text: str) -> str:
    """Return a text in small Latin letters without accents, invisible characters or ligatures, for comparing.

    Args:
        text: A name as somebody wrote it.
    """
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text).casefold().translate(_LATIN)
    letters = (char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char) not in ("Mn", "Cf"))
    return "".join(_digit(char) for char in letters)


def _digit(char: str) -> str:
    value = unicodedata.digit(char, None)
    return char if value is None else str(value)


def lookalikes(names: Iterable[str], leavers: Sequence[Person], everyone: Sequence[Person] = ()) -> dict[str, str]:
    """Find who of the people without a name in the list may be meant by one of its unknown names.

    Two names may be one person's if they differ in case, accents, dots, hyphens, tags, domain, alphabet or invisible
    characters; if they share a part that few people have; if a part differs by one letter, or two are swapped; or if a
    spreadsheet makes one number of the other.

    Args:
        names: Names of the list that fit no member.
        leavers: The members that no name of the list fits.
        everyone: All members, to tell a family name from a word that half the company has in its addresses.

    Returns:
        The id of each such person, with the name that may mean them.
    """
    wanted: dict[str, str] = {}
    rounded: dict[str, str] = {}
    for name in names:
        wanted.update(dict.fromkeys(_keys(name, also_parts_of_cells=True), name))
        shown = _shown_number(name)
        if shown is not None:
            rounded[shown] = name
    if not wanted:
        return {}
    keys_of = {person.user_id: _keys_of(person) for person in leavers}
    candidates = {key for keys in keys_of.values() for key in keys if key in wanted}
    too_common = _common(candidates, everyone)
    decimals = {len(shown.partition("e")[0]) - 2 for shown in rounded}
    found: dict[str, str] = {}
    for person in leavers:
        key = next((key for key in keys_of[person.user_id] if key in wanted and key not in too_common), None)
        if key is not None:
            found[person.user_id] = wanted[key]
        elif rounded and (forms := _rounded_as(person.reference, decimals) & rounded.keys()):
            found[person.user_id] = rounded[min(forms)]
    return found


def _common(candidates: set[str], everyone: Sequence[Person]) -> set[str]:
    """Return the parts of names among some keys that too many people have."""
    parts = {key for key in candidates if key[0] in "pt"}
    if not parts:
        return set()
    counts = Counter(key for person in everyone for key in _keys_of(person) & parts)
    limit = max(_FEW, _COMMON * len(everyone))
    return {key for key, count in counts.items() if count > limit}


def _keys_of(person: Person) -> set[str]:
    keys: set[str] = set()
    for name in (person.reference, person.email):
        if name:
            keys |= _keys(name)
    return keys


def _keys(name: str, *, also_parts_of_cells: bool = False) -> set[str]:
    """Return what a name has in common with others that may be the same person's.

    Each key says in its first letter what it is: `=` the whole name, `m` a mailbox, `p` a part, `t` a mistyped part,
    `c` a code in which a letter may stand for a digit, `d` the digits that a spreadsheet keeps.
    """
    plain = comparable(name).strip()
    number = _FRACTION(plain)
    if number:
        plain = number[1]
    keys = {f"={_squeezed(plain)}"}
    mailbox, at, _domain = _AT.sub("@", plain).rpartition("@")
    if at:
        mailbox = mailbox.partition("+")[0]
        keys.add(f"m{_squeezed(mailbox)}")
    elif any(char.isdecimal() for char in plain):
        keys.add(f"c{_squeezed(plain.translate(_DIGITS_MISREAD))}")
        digits = _squeezed(plain)
        if digits.isdecimal() and len(digits) > _KEPT_DIGITS:
            keys.add(f"d{len(digits)}{digits[:_KEPT_DIGITS]}")
    for part in _SPLIT.split(_UMLAUTS.sub("", mailbox if at else plain)):
        if len(part) >= _SHORTEST_PART and not part.isdecimal():
            keys.add(f"p{part}")
            if len(part) >= _SHORTEST_MISTYPED and part.isalpha():
                # Two words that differ by a letter, or by two swapped, have one of these in common.
                keys.add(f"t{part}")
                keys.update(f"t{part[:at]}{part[at + 1 :]}" for at in range(len(part)))
    if also_parts_of_cells:
        for cell in _BETWEEN.split(plain):
            if cell != plain and len(cell) >= _SHORTEST_PART:
                keys |= _keys(cell)
    keys.discard("=")
    return keys


def _squeezed(text: str) -> str:
    return _ZEROS.sub("", _SPLIT.sub("", _UMLAUTS.sub("", text)))


def _shown_number(name: str) -> str | None:
    rounded = _ROUNDED(comparable(name).strip())
    if rounded is None:
        return None
    return number_shown(float(f"{rounded[1].replace(',', '.')}e{rounded[3]}"), len(rounded[2] or ""))


def _rounded_as(reference: str | None, decimals: Iterable[int]) -> set[str]:
    if not reference or not reference.isdecimal() or len(reference) > _LONGEST_NUMBER:
        return set()
    return {number_shown(int(reference), count) for count in decimals}


def number_shown(number: float, decimals: int) -> str:
    """Return a number the way a spreadsheet shows one that is too wide for its cell.

    Args:
        number: The number.
        decimals: How many digits stand behind the point.
    """
    return f"{number:.{max(1, decimals)}e}"
