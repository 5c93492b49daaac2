"""Find the people that a name may mean if Thrive does not know it. Does no I/O, and errs on the side of a match.

A marriage, a new domain or a typing mistake changes an address; a spreadsheet strips the zeros from a number. A member
who seems to have left may be the person with such an unknown name. A false match delays a removal until the list is
corrected; a missed one takes a person out of mandatory training.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
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
_AT: Final = re.compile(r"[^\S\n]*@[^\S\n]*|[^\S\n]+(?:at|\(at\)|\[at\])[^\S\n]+")
_BLANK: Final = re.compile(r"[^\S\n]").search
_DIGIT: Final = re.compile(r"\d").search
_SEPARATORS: Final = re.compile(r"[^\w\n]|_")
_SPACED: Final = {code: " " for code in range(128) if not chr(code).isalnum() and chr(code) != "\n"}
_DROPPED: Final = dict.fromkeys(_SPACED)
# Several names in one cell, or an address with the name of its owner.
_BETWEEN: Final = re.compile(r"[\s\x00-\x1f;,|<>()\"'=:]+")
_ZEROS: Final = re.compile(r"(?<![0-9])0+(?=[0-9])")
_FRACTION: Final = re.compile(r"([0-9]+)[.,]0+").fullmatch
_DIGITS_MISREAD: Final = str.maketrans("oil", "011")
# 123456789012 as a spreadsheet shows it where the cell is narrow: 1.23457E+11.
_ROUNDED: Final = re.compile(r"([0-9](?:[.,]([0-9]+))?)e\+?([0-9]{1,2})").fullmatch
_LONGEST_NUMBER: Final = 40
# More need no less time for each, but more memory.
_AT_ONCE: Final = 2_000
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
    # No name is compared with another: both sides are cut into keys and words, and one that both have is a likeness.
    by_key: dict[str, list[str]] = {}
    by_word: dict[str, list[str]] = {}
    asked = [(name, text) for name in names for text in _texts(name)]
    for (name, text), (keys, words) in zip(asked, _cut([text for _, text in asked], rewritten_only), strict=True):
        for key in (*keys, *_shown_number(text)):
            by_key.setdefault(key, []).append(name)
        for word in words:
            if len(word) >= _SHORTEST_PART and not word.isdecimal():
                by_word.setdefault(word, []).append(name)
    decimals = {int(key[1:3]) for key in by_key if key[0] == "r"}
    meant: dict[str, list[Sequence[str]]] = {}
    having: dict[str, list[str]] = {}
    own = [(one.user_id, _plain(text)) for one in leavers if by_key for text in (one.reference, one.email) if text]
    for (user_id, text), (keys, words) in zip(own, _cut([text for _, text in own], rewritten_only), strict=True):
        for key in (*keys, *_rounded_as(text, decimals)) if decimals else keys:
            if key in by_key:
                meant.setdefault(user_id, []).append(by_key[key])
        for word in words:
            if len(word) >= _SHORTEST_PART and not word.isdecimal():
                having.setdefault(word, []).append(user_id)
    names_of = _names_of(having.keys(), by_word)
    too_common = _common(names_of.keys(), everyone)
    for word, alike in names_of.items():
        for user_id in having[word] if word not in too_common else ():
            meant.setdefault(user_id, []).append(alike)
    in_order = ((one.user_id, meant[one.user_id]) for one in leavers if one.user_id in meant)
    return {user_id: tuple(dict.fromkeys(chain(*heaps))) for user_id, heaps in in_order}


def _names_of(words: Collection[str], by_word: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return, for each word of the leavers' names, the unknown names with this word or one like it."""
    alike: dict[str, dict[str, None]] = {word: {word: None} for word in by_word if word in words}
    lengths = sorted({len(word) for word in words if len(word) >= _SHORTEST_MISTYPED})
    for word in by_word:
        if len(word) >= _SHORTEST_GLUED:
            # Without its dot or hyphen, one name begins or ends another: `dimarini` for `di-marini`.
            for length in lengths[: bisect_left(lengths, len(word))]:
                for end in (word[:length], word[-length:]):
                    if end in words:
                        alike.setdefault(end, {})[word] = None
    asked, own = _by_length(by_word), _by_length(words)
    for length in range(_SHORTEST_MISTYPED - 1, _LONGEST_MISTYPED + 1):
        # Two words that differ by a letter, or by two swapped, have a shortened form in common.
        index: dict[str, list[str]] = {}
        for form, word in _shortened(asked, length):
            index.setdefault(form, []).append(word)
        for form, word in _shortened(own, length) if index else ():
            for other in index.get(form, ()):
                alike.setdefault(word, {})[other] = None
    return {
        word: tuple(dict.fromkeys(name for other in others for name in by_word[other]))
        for word, others in alike.items()
    }


def _by_length(parts: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for part in parts:
        if _SHORTEST_MISTYPED <= len(part) <= _LONGEST_MISTYPED and part.isalpha():
            found.setdefault(len(part), []).append(part)
    return found


def _shortened(parts: Mapping[int, Iterable[str]], length: int) -> Iterator[tuple[str, str]]:
    """Yield the forms of this length, each with its part: whole, or without one of its letters."""
    for part in parts.get(length, ()):
        yield part, part
    for part in parts.get(length + 1, ()):
        for gap in range(length + 1):
            yield part[:gap] + part[gap + 1 :], part


def _common(parts: Collection[str], everyone: Sequence[Person]) -> set[str]:
    """Return the parts of names among some that too many people have."""
    if not parts or not everyone:
        return set()
    # All names at once: to make small Latin letters of 100,000 one by one takes a second.
    text = "\n".join(f"{person.reference or ''} {(person.email or '').rpartition('@')[0]}" for person in everyone)
    words = _words(_without_umlauts(comparable(text)))
    counts = Counter(part for each in words for part in set(each) if part in parts)
    limit = max(_FEW, _COMMON * len(everyone))
    return {part for part, count in counts.items() if count > limit}


def _plain(name: str) -> str:
    return _without_fraction(comparable(name).strip().replace("\n", " "))


def _without_fraction(plain: str) -> str:
    number = _FRACTION(plain) if plain.endswith("0") else None
    return number[1] if number else plain


def _texts(name: str) -> list[str]:
    """Return a name in plain letters, and the texts in it that may be names themselves."""
    plain = _plain(name)
    cells = _BETWEEN.split(plain)
    if cells == [plain]:
        return cells
    return [plain, *(_without_fraction(cell) for cell in cells if len(cell) >= _SHORTEST_PART)]


def _cut(texts: Sequence[str], whole_only: bool) -> Iterator[tuple[list[str], list[str]]]:  # noqa: FBT001
    """Yield what each name has in common with others that may be the same person's: keys, and words.

    Each key says in its first letter what it is: `=` the whole name, `m` a mailbox, `c` a code in which a letter may
    stand for a digit, `d` the digits that a spreadsheet keeps, `r` a rounded number.
    """
    for at in range(0, len(texts), _AT_ONCE):
        yield from _cut_together(texts[at : at + _AT_ONCE], whole_only)


def _cut_together(texts: Sequence[str], whole_only: bool) -> Iterator[tuple[list[str], list[str]]]:  # noqa: FBT001
    # One string with a line per name: to cut up the names one by one takes twice as long.
    lines = "\n".join(texts)
    wholes = [whole.lstrip("0") or "0" for whole in _letters(lines).split("\n")] if whole_only else _squeezed(lines)
    codes = _squeezed(lines.translate(_DIGITS_MISREAD))
    addresses = _AT.sub("@", lines).split("\n") if _BLANK(lines) else texts
    mailboxes = [text.rpartition("@")[0].partition("+")[0] if "@" in text else None for text in addresses]
    names = "\n".join(text if box is None else box for text, box in zip(texts, mailboxes, strict=True))
    words = _words(_without_umlauts(names))
    for text, whole, code, box, name, own in zip(texts, wholes, codes, mailboxes, _squeezed(names), words, strict=True):
        keys = ["=" + whole] if whole else []
        if box and name and not whole_only:
            keys.append("m" + name)
        elif box is None and _DIGIT(text):
            if len(whole) > _KEPT_DIGITS and whole.isdecimal():
                keys.append(f"d{len(whole)}{whole[:_KEPT_DIGITS]}")
            if code and not whole_only:
                keys.append("c" + code)
        yield keys, [] if whole_only else own


def _without_umlauts(lines: str) -> str:
    # ü is written u or ue: either way, one letter remains.
    return lines.replace("ae", "a").replace("oe", "o").replace("ue", "u")


def _letters(lines: str) -> str:
    return lines.translate(_DROPPED) if lines.isascii() else _SEPARATORS.sub("", lines)


def _words(lines: str) -> list[list[str]]:
    spaced = lines.translate(_SPACED) if lines.isascii() else _SEPARATORS.sub(" ", lines)
    return [line.split() for line in spaced.split("\n")]


def _squeezed(lines: str) -> list[str]:
    return _ZEROS.sub("", _letters(_without_umlauts(lines))).split("\n")


def _shown_number(plain: str) -> tuple[str, ...]:
    rounded = _ROUNDED(plain)
    if rounded is None:
        return ()
    number = float(f"{rounded[1].replace(',', '.')}e{rounded[3]}")
    return (_rounded(number, len(rounded[2] or "")),)


def _rounded_as(text: str, decimals: Collection[int]) -> list[str]:
    if not decimals or not text.isdecimal() or len(text) > _LONGEST_NUMBER:
        return []
    return [_rounded(int(text), count) for count in decimals]


def _rounded(number: float, decimals: int) -> str:
    # Fifteen digits are all that a spreadsheet keeps.
    decimals = min(decimals, _KEPT_DIGITS - 1)
    return f"r{decimals:02}{number:.{decimals}e}"
