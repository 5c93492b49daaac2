"""Find the people that a name may mean if Thrive does not know it. Does no I/O, and errs on the side of a match.

A marriage, a new domain or a typing mistake changes an address; a spreadsheet strips the zeros from a number. A member
who seems to have left may be the person with such an unknown name. A false match delays a removal until the list is
corrected; a missed one takes a person out of mandatory training.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

__all__ = ["Person", "comparable", "lookalikes"]


class Person(Protocol):
    """A person with an id, a reference and an e-mail address, such as an `AudienceMember`."""

    @property
    def user_id(self) -> str: ...

    @property
    def reference(self) -> str | None: ...

    @property
    def email(self) -> str | None: ...


_SHORTEST_PART: Final = 3
"""Shorter parts of a name, such as "de" or "van", are shared by too many."""
_SHORTEST_MISTYPED: Final = 5
_SHORTEST_GLUED: Final = 8
_LONGEST_MISTYPED: Final = 40
_FEW: Final = 3
_COMMON: Final = 0.05
"""A part that more than 5 % of the people share, and more than three of them, does not identify a person."""

# Letters of other alphabets that look like Latin ones, and letters that Unicode does not take apart.
_LATIN: Final = str.maketrans(
    dict(zip("аеорсухіјѕкмтвнαορτυχικεν", "aeopcyxijskmtbhaoptuxikev", strict=True))
    | {"\u0131": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "a", "œ": "o", "ß": "ss"}
)
# ü is written u or ue: whichever, one letter remains.
_UMLAUTS: Final = re.compile("(?<=[aou])e")
# Keys of names without a letter or digit, see `_keys`.
_NOTHING: Final = frozenset("=mc")
_AT: Final = re.compile(r"\s*@\s*|\s+(?:at|\(at\)|\[at\])\s+")
_SPLIT: Final = re.compile(r"[\W_]+")
# Several names in one cell, or an address with the name of its owner.
_BETWEEN: Final = re.compile(r"[\s\x00-\x1f;,|<>()\"'=:]+")
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
        text: A name as written.
    """
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text).casefold().translate(_LATIN)
    letters = (char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char) not in ("Mn", "Cf"))
    return "".join(_digit(char) for char in letters)


def _digit(char: str) -> str:
    value = unicodedata.digit(char, None)
    return char if value is None else str(value)


def lookalikes(
    names: Iterable[str], leavers: Sequence[Person], everyone: Sequence[Person] = (), *, rewritten_only: bool = False
) -> dict[str, tuple[str, ...]]:
    """Find who of the people without a name in the list may be meant by some of its unknown names.

    Two names may be one person's if they differ in case, accents, dots, hyphens, tags, domain, alphabet or invisible
    characters; if they share a part that few people have; if a part differs by one letter, or two are swapped; or if a
    spreadsheet makes one number of the other.

    Args:
        names: Names of the list that fit no member.
        leavers: The members that no name of the list fits.
        everyone: All members, to tell a family name from a word that half the company has in its addresses.
        rewritten_only: Whether to compare whole names only, and to take no shared part for a likeness.

    Returns:
        The id of each such person, with all names that may mean them.
    """
    wanted: dict[str, dict[str, None]] = {}
    for name in names:
        keys = _keys(name, whole_only=rewritten_only, also_parts_of_cells=True)
        for key in (*keys, *_shown_number(name)):
            wanted.setdefault(key, {})[name] = None
    if not wanted:
        return {}
    decimals = {int(key[1:3]) for key in wanted if key[0] == "r"}
    mistyped = any(key[0] == "t" for key in wanted)
    keys_of: dict[str, dict[str, str]] = {}
    for person in leavers:
        keys = dict.fromkeys(_rounded_as(person.reference, decimals), "")
        for own in (person.reference, person.email):
            if own:
                keys |= _keys(own, whole_only=rewritten_only, mistyped=mistyped)
        if alike := {key: part for key, part in keys.items() if key in wanted}:
            keys_of[person.user_id] = alike
    too_common = _common({part for keys in keys_of.values() for part in keys.values() if part}, everyone)
    found: dict[str, tuple[str, ...]] = {}
    for user_id, keys in keys_of.items():
        meant = {name: None for key, part in keys.items() if part not in too_common for name in wanted[key]}
        if meant:
            found[user_id] = tuple(meant)
    return found


def _common(parts: set[str], everyone: Sequence[Person]) -> set[str]:
    """Return the parts of names among some that too many people have."""
    if not parts or not everyone:
        return set()
    # All names at once: to make small Latin letters of 100,000 one by one takes a second.
    text = "\n".join(f"{person.reference or ''} {(person.email or '').rpartition('@')[0]}" for person in everyone)
    lines = _UMLAUTS.sub("", comparable(text)).split("\n")
    counts = Counter(part for line in lines for part in parts.intersection(_SPLIT.split(line)))
    limit = max(_FEW, _COMMON * len(everyone))
    return {part for part, count in counts.items() if count > limit}


def _keys(
    name: str,
    *,
    whole_only: bool = False,
    mistyped: bool = True,
    also_parts_of_cells: bool = False,
    glued: bool = False,
) -> dict[str, str]:
    """Return what a name has in common with others that may be the same person's, each with the part it comes from.

    Each key says in its first letter what it is: `=` the whole name, `m` a mailbox, `p` a part, `t` a mistyped part,
    `c` a code in which a letter may stand for a digit, `d` the digits that a spreadsheet keeps, `r` a rounded number.
    """
    plain = comparable(name).strip()
    number = _FRACTION(plain)
    if number:
        plain = number[1]
    whole = _SPLIT.sub("", plain).lstrip("0") or "0" if whole_only else _squeezed(plain)
    keys = {f"={whole}": ""}
    mailbox, at, _domain = _AT.sub("@", plain).rpartition("@")
    if at and not whole_only:
        keys[f"m{_squeezed(mailbox.partition('+')[0])}"] = ""
    elif not at and any(char.isdecimal() for char in plain):
        digits = _squeezed(plain)
        if digits.isdecimal() and len(digits) > _KEPT_DIGITS:
            keys[f"d{len(digits)}{digits[:_KEPT_DIGITS]}"] = ""
        if not whole_only:
            keys[f"c{_squeezed(plain.translate(_DIGITS_MISREAD))}"] = ""
    words = mailbox.partition("+")[0] if at else plain
    for part in () if whole_only else _SPLIT.split(_UMLAUTS.sub("", words)):
        if len(part) >= _SHORTEST_PART and not part.isdecimal():
            keys[f"p{part}"] = part
            if (also_parts_of_cells or glued) and len(part) >= _SHORTEST_GLUED:
                # Without its dot or hyphen, one name begins or ends another: `dimarini` for `di-marini`.
                for length in range(_SHORTEST_MISTYPED, len(part)):
                    for end in (part[:length], part[-length:]):
                        keys.setdefault(f"p{end}", end)
            if mistyped and _SHORTEST_MISTYPED <= len(part) <= _LONGEST_MISTYPED and part.isalpha():
                # Two words that differ by a letter, or by two swapped, have one of these in common.
                keys[f"t{part}"] = part
                keys.update({f"t{part[:gap]}{part[gap + 1 :]}": part for gap in range(len(part))})
    if also_parts_of_cells:
        for cell in _BETWEEN.split(plain):
            if cell != plain and len(cell) >= _SHORTEST_PART:
                keys |= _keys(cell, whole_only=whole_only, glued=True)
    for nothing in _NOTHING:
        keys.pop(nothing, None)
    return keys


def _squeezed(text: str) -> str:
    return _ZEROS.sub("", _SPLIT.sub("", _UMLAUTS.sub("", text)))


def _shown_number(name: str) -> tuple[str, ...]:
    rounded = _ROUNDED(comparable(name).strip())
    if rounded is None:
        return ()
    number = float(f"{rounded[1].replace(',', '.')}e{rounded[3]}")
    return (_rounded(number, len(rounded[2] or "")),)


def _rounded_as(reference: str | None, decimals: Iterable[int]) -> set[str]:
    if not reference or not reference.isdecimal() or len(reference) > _LONGEST_NUMBER:
        return set()
    return {_rounded(int(reference), count) for count in decimals}


def _rounded(number: float, decimals: int) -> str:
    # Fifteen digits are all that a spreadsheet keeps.
    decimals = min(decimals, _KEPT_DIGITS - 1)
    return f"r{decimals:02}{number:.{decimals}e}"
