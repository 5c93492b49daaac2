"""Find the people that a name may mean if Thrive does not know it. Does no I/O, and errs on the side of a match.

A marriage, a new domain or a typing mistake changes an address; a spreadsheet strips the zeros from a number. A member
who seems to have left may be the person with such an unknown name. A false match delays a removal until the list is
corrected; a missed one takes a person out of mandatory training.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, compress, filterfalse
from operator import not_
from typing import Final, Protocol

import attrs

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
_DIGIT: Final = re.compile(r"\d").search
_SEPARATORS: Final = re.compile(r"[^\w\n]|_")
_SPACED: Final = {code: " " for code in range(128) if not chr(code).isalnum() and chr(code) != "\n"}
_DROPPED: Final = dict.fromkeys(_SPACED)
# Several names in one cell, or an address with the name of its owner.
_BETWEEN: Final = re.compile(r"[\s\x00-\x1f;,|<>()\"'=:]+")
# What plain names consist of. Any other character may be or begin one of these, or be a blank. Dropping these is four
# times as fast as looking for others by `re`.
_ORDINARY: Final = dict.fromkeys(
    map(ord, "\n!#$%&*+-./0123456789?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{}~")
)
# Zeros before a number. It begins with a 0, which `re` finds four times as fast as a lookbehind.
_ZEROS: Final = re.compile(r"0(?<![0-9]0)0*(?=[0-9])")
_FRACTION: Final = re.compile(r"([0-9]+)[.,]0+").fullmatch
_DIGITS_MISREAD: Final = str.maketrans("oil", "011")
# 123456789012 as a spreadsheet shows it where the cell is narrow: 1.23457E+11.
_ROUNDED: Final = re.compile(r"([0-9](?:[.,]([0-9]+))?)e\+?([0-9]{1,2})").fullmatch
_LONGEST_NUMBER: Final = 40
# More need no less time for each, but more memory; and one name in another alphabet slows down all that come with it.
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
    return unicodedata.normalize("NFKD", text).translate(_BARE)


class _Bare(dict[int, str | None]):
    """What remains of each character: nothing of accents and invisible ones, 0 to 9 of digits. Looked up once."""

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        digit = unicodedata.digit(char, None)
        bare = char if digit is None else str(digit)
        self[code] = None if unicodedata.category(char) in ("Mn", "Cf") else bare
        return self[code]


_BARE: Final = _Bare()


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
    # Most are on one side only, so whose they are is only asked of those on both. For 100,000 names and as many leavers
    # with nothing in common, that takes a fifth of the time.
    asked = list(_of_names(list(names))) if leavers else []
    own = list(_of_people(leavers)) if asked else []
    likenesses = [_by_key(asked, own, kind) for kind in (_REWRITTEN if rewritten_only else _KINDS)]
    likenesses.append(_by_rounding(asked, own))
    if not rewritten_only:
        likenesses.append(_by_word(asked, own, everyone))
    meant: dict[str, list[Sequence[str]]] = {}
    for user_id, alike in chain.from_iterable(likenesses):
        meant.setdefault(user_id, []).append(alike)
    in_order = ((one.user_id, meant[one.user_id]) for one in leavers if one.user_id in meant) if meant else ()
    return {user_id: tuple(dict.fromkeys(chain.from_iterable(heaps))) for user_id, heaps in in_order}


# The two sides


@attrs.frozen(repr=False, slots=False)
class _Texts:
    """Some texts in plain letters, which are cut up together: one by one takes several times as long.

    Attributes:
        owners: What each text belongs to: a name of the list, or a person's id.
        lines: The texts, each on a line: all of them addresses, or none.
        mailboxes: The part before the @ of each address, without tag and umlauts, each on a line; None for other texts.
    """

    owners: Sequence[str]
    lines: str
    mailboxes: str | None = None

    @property
    def texts(self) -> list[str]:
        """The texts, apart: lists of short texts take more time and memory to keep than to make again."""
        return self.lines.split("\n")

    @cached_property
    def words(self) -> str:
        """The words of each text, or of its mailbox, on a line."""
        return _spaced(_without_umlauts(self.lines) if self.mailboxes is None else self.mailboxes)


def _of_names(names: Sequence[str]) -> Iterator[_Texts]:
    for at in range(0, len(names), _AT_ONCE):
        some = names[at : at + _AT_ONCE]
        yield from _read(some, some, in_cells=True)


def _of_people(people: Sequence[Person]) -> Iterator[_Texts]:
    for at in range(0, len(people), _AT_ONCE):
        some = people[at : at + _AT_ONCE]
        user_ids = [one.user_id for one in some]
        for names in ([one.reference for one in some], [one.email for one in some]):
            yield from _read(list(compress(user_ids, names)), list(filter(None, names)))


def _read(owners: Sequence[str], names: Sequence[str], *, in_cells: bool = False) -> Iterator[_Texts]:
    """Yield names in plain letters: addresses apart from others.

    Args:
        owners: What each name belongs to.
        names: The names.
        in_cells: Whether texts in a name may be names themselves.
    """
    if not names:
        return
    addresses = lines = _lines(names)
    odd = not lines.isascii() or lines.translate(_ORDINARY) != ""
    if odd or ".0" in lines:
        texts = lines.split("\n")
        if odd:
            texts = [text.strip() for text in texts]
        texts = [_without_fraction(text) for text in texts]
        if odd and in_cells:
            owners, texts = _with_cells(owners, texts)
        addresses = lines = "\n".join(texts)
        if odd:
            addresses = _AT.sub("@", lines)
    if "@" not in addresses:
        yield _Texts(owners, lines)
        return
    mailboxes = [address.rpartition("@")[0] for address in addresses.split("\n")]
    others: list[str] = []
    other_lines = ""
    if not all(mailboxes):
        have_at = ["@" in address for address in addresses.split("\n")]
        have_none = list(map(not_, have_at))
        texts = lines.split("\n")
        others, other_lines = list(compress(owners, have_none)), "\n".join(compress(texts, have_none))
        owners, lines = list(compress(owners, have_at)), "\n".join(compress(texts, have_at))
        mailboxes = list(compress(mailboxes, have_at))
    if "+" in lines:
        mailboxes = [mailbox.partition("+")[0] for mailbox in mailboxes]
    yield _Texts(owners, lines, _without_umlauts("\n".join(mailboxes)))
    if others:
        yield _Texts(others, other_lines)


def _lines(names: Sequence[str]) -> str:
    """Return names in plain letters, each on a line."""
    lines = "\n".join(names)
    if lines.isascii() and lines.count("\n") < len(names):
        return lines.lower()
    return "\n".join([comparable(name).replace("\n", " ") for name in names])


def _with_cells(owners: Sequence[str], texts: Sequence[str]) -> tuple[list[str], list[str]]:
    pairs = list(zip(owners, texts, strict=True))
    for owner, text in tuple(pairs):
        cells = _BETWEEN.split(text)
        if cells != [text]:
            pairs += [(owner, _without_fraction(cell)) for cell in cells if len(cell) >= _SHORTEST_PART]
    return [owner for owner, _text in pairs], [text for _owner, text in pairs]


def _without_fraction(plain: str) -> str:
    number = _FRACTION(plain) if plain.endswith("0") else None
    return number[1] if number else plain


# Keys: at most one of a kind for each text, else empty


def _wholes(some: _Texts) -> Sequence[str]:
    return _squeezed(_without_umlauts(some.lines))


def _wholes_as_written(some: _Texts) -> Sequence[str]:
    return [whole.lstrip("0") or "0" for whole in _letters(some.lines).split("\n")]


def _mailboxes(some: _Texts) -> Sequence[str]:
    return () if some.mailboxes is None else _squeezed(some.mailboxes)


def _codes(some: _Texts) -> Sequence[str]:
    """Return codes in which a letter may stand for a digit."""
    if some.mailboxes is not None:
        return ()
    codes = _squeezed(_without_umlauts(some.lines.translate(_DIGITS_MISREAD)))
    return [code if _DIGIT(text) else "" for text, code in zip(some.texts, codes, strict=True)]


def _kept_digits(some: _Texts) -> Sequence[str]:
    """Return the digits that a spreadsheet keeps of long numbers, with their length."""
    if some.mailboxes is not None:
        return ()
    return [_kept_of(text) if len(text) > _KEPT_DIGITS else "" for text in some.texts]


def _kept_of(text: str) -> str:
    (whole,) = _squeezed(text)
    return f"{len(whole)} {whole[:_KEPT_DIGITS]}" if len(whole) > _KEPT_DIGITS and whole.isdecimal() else ""


_Kind = Callable[[_Texts], Sequence[str]]
_KINDS: Final[Sequence[_Kind]] = (_wholes, _mailboxes, _codes, _kept_digits)
_REWRITTEN: Final[Sequence[_Kind]] = (_wholes_as_written, _kept_digits)


def _by_key(asked: Sequence[_Texts], own: Sequence[_Texts], kind: _Kind) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the id of each person who has a key of this kind in common with names of the list, and these names."""
    known: set[str] = set()
    for some in asked:
        known.update(kind(some))
    known.discard("")
    if not known:
        return
    found = [
        (user_id, key)
        for some in own
        if not known.isdisjoint(keys := kind(some))
        for user_id, key in zip(some.owners, keys, strict=True)
        if key in known
    ]
    shared = {key for _user_id, key in found}
    names: dict[str, list[str]] = {}
    for some in asked if shared else ():
        if not shared.isdisjoint(keys := kind(some)):
            for name, key in zip(some.owners, keys, strict=True):
                if key in shared:
                    names.setdefault(key, []).append(name)
    for user_id, key in found:
        yield user_id, names[key]


def _by_rounding(asked: Sequence[_Texts], own: Sequence[_Texts]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the id of each person whose number may be shown as names of the list, and these names."""
    shown: dict[tuple[int, str], list[str]] = {}
    for some in asked:
        for name, text in zip(some.owners, some.texts, strict=True) if some.mailboxes is None else ():
            number = _ROUNDED(text) if text[:1].isdecimal() else None
            if number:
                # Fifteen digits are all that a spreadsheet keeps.
                decimals = min(len(number[2] or ""), _KEPT_DIGITS - 1)
                value = float(f"{number[1].replace(',', '.')}e{number[3]}")
                shown.setdefault((decimals, f"{value:.{decimals}e}"), []).append(name)
    ways = sorted({decimals for decimals, _number in shown})
    for some in own if shown else ():
        for user_id, text in zip(some.owners, some.texts, strict=True):
            if text.isdecimal() and len(text) <= _LONGEST_NUMBER:
                for key in ((decimals, f"{int(text):.{decimals}e}") for decimals in ways):
                    if key in shown:
                        yield user_id, shown[key]


# Words: any number for each text


def _by_word(
    asked: Sequence[_Texts], own: Sequence[_Texts], everyone: Sequence[Person]
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the id of each person with a word like one in names of the list, and these names."""
    words: set[str] = set()
    for some in own:
        words.update(filterfalse(str.isdecimal, some.words.split()))
    alike = _alike([some.words.split() for some in asked], words)
    for word in _common(alike.keys(), everyone):
        del alike[word]
    names = _owners(asked, set(chain.from_iterable(alike.values())))
    user_ids = _owners(own, alike)
    for word in sorted(alike):
        meant = tuple(dict.fromkeys(chain.from_iterable(names[other] for other in sorted(alike[word]))))
        for user_id in user_ids[word]:
            yield user_id, meant


def _owners(side: Iterable[_Texts], words: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for some in side if words else ():
        for owner, line in zip(some.owners, some.words.split("\n"), strict=True):
            for word in line.split():
                if word in words:
                    found.setdefault(word, []).append(owner)
    return found


def _alike(asked: Iterable[Sequence[str]], words: set[str]) -> dict[str, set[str]]:
    """Return, for each word of the leavers' names, the words of unknown names that are the same or like it.

    Args:
        asked: The words of the unknown names, in heaps.
        words: The words of the leavers' names, without numbers.
    """
    least = _SHORTEST_MISTYPED
    long = [word for word in words if len(word) >= least]
    ends = {end for word in long for end in (word[:least], word[-least:])}
    lengths = sorted(set(map(len, long)))
    same, longer, letters = set[str](), set[str](), set[str]()
    for heap in asked:
        same.update(words.intersection(heap))
        longer.update(
            [word for word in heap if len(word) >= _SHORTEST_GLUED and (word[:least] in ends or word[-least:] in ends)]
        )
        letters.update([word for word in heap if word.isalpha()])
    alike: dict[str, set[str]] = {word: {word} for word in same if len(word) >= _SHORTEST_PART}
    for word in longer:
        # Without its dot or hyphen, one name begins or ends another: `dimarini` for `di-marini`.
        for length in lengths[: bisect_left(lengths, len(word))]:
            for end in (word[:length], word[-length:]):
                if end in words:
                    alike.setdefault(end, set()).add(word)
    by_length, own = _by_length(letters), _by_length(words)
    for length in range(_SHORTEST_MISTYPED - 1, _LONGEST_MISTYPED + 1):
        # Two words that differ by a letter, or by two swapped, have a shortened form in common.
        index: dict[str, list[str]] = {}
        for form, word in _shortened(by_length, length):
            index.setdefault(form, []).append(word)
        for form, word in _shortened(own, length) if index else ():
            for other in index.get(form, ()):
                alike.setdefault(word, set()).add(other)
    return alike


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
    names = [f"{person.reference or ''} {(person.email or '').rpartition('@')[0]}" for person in everyone]
    lines = _spaced(_without_umlauts(_lines(names)))
    limit = max(_FEW, _COMMON * len(everyone))
    # A word counts once for each person. That is only worth finding out for words that occur often enough.
    often = {
        word for word, count in Counter([word for word in lines.split() if word in parts]).items() if count > limit
    }
    counts = Counter[str]()
    for line in lines.split("\n") if often else ():
        counts.update(often.intersection(line.split()))
    return {word for word, count in counts.items() if count > limit}


def _without_umlauts(lines: str) -> str:
    # ü is written u or ue: either way, one letter remains.
    return lines.replace("ae", "a").replace("oe", "o").replace("ue", "u")


def _letters(lines: str) -> str:
    return lines.translate(_DROPPED) if lines.isascii() else _SEPARATORS.sub("", lines)


def _spaced(lines: str) -> str:
    return lines.translate(_SPACED) if lines.isascii() else _SEPARATORS.sub(" ", lines)


def _squeezed(lines: str) -> list[str]:
    return _ZEROS.sub("", _letters(lines)).split("\n")
