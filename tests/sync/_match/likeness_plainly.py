"""Likeness in the plainest form: each name beside each person, text by text, as slow as it likes."""

import re
from collections.abc import Iterable, Sequence
from itertools import product

from thrive_async.models import AudienceMember
from thrive_async.sync._match.likeness import comparable

_AT = r"\s*@\s*|\s+(?:at|\(at\)|\[at\])\s+"


def lookalikes_plainly(
    names: Iterable[str],
    leavers: Sequence[AudienceMember],
    everyone: Sequence[AudienceMember] = (),
    *,
    rewritten_only: bool = False,
) -> dict[str, set[str]]:
    """Return which names may mean each person."""
    too_common = _too_common(everyone)
    found: dict[str, set[str]] = {}
    for one, name in product(leavers, names):
        own = [_plain(text) for text in (one.reference, one.email) if text]
        for asked, theirs in product(_texts(name), own):
            if rewritten_only:
                alike = _bare(asked) == _bare(theirs) or _same_number(asked, theirs)
            else:
                alike = _same(asked, theirs) or _same_number(asked, theirs) or _share(asked, theirs, too_common)
            if alike:
                found.setdefault(one.user_id, set()).add(name)
    return found


def _plain(text: str) -> str:
    return _whole_number(comparable(text).strip().replace("\n", " "))


def _whole_number(text: str) -> str:
    return re.sub(r"^(\d+)[.,]0+$", r"\1", text, flags=re.ASCII)


def _texts(name: str) -> list[str]:
    plain = _plain(name)
    cells = re.split(r"[\s\x00-\x1f;,|<>()\"'=:]+", plain)
    return [plain, *(_whole_number(cell) for cell in cells if len(cell) >= 3 and cell != plain)]


def _mailbox(text: str) -> str | None:
    address = re.sub(_AT, "@", text)
    return address[: address.rindex("@")].split("+")[0] if "@" in address else None


def _without_umlauts(text: str) -> str:
    return text.replace("ae", "a").replace("oe", "o").replace("ue", "u")


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _squeezed(text: str) -> str:
    return re.sub(r"\d+", lambda run: run[0].lstrip("0") or "0", _letters(_without_umlauts(text)), flags=re.ASCII)


def _bare(text: str) -> str:
    return _letters(text).lstrip("0") or "0"


def _same(asked: str, theirs: str) -> bool:
    if _squeezed(asked) and _squeezed(asked) == _squeezed(theirs):
        return True
    boxes = _mailbox(asked), _mailbox(theirs)
    if boxes[0] is not None and boxes[1] is not None:
        return bool(_squeezed(boxes[0])) and _squeezed(boxes[0]) == _squeezed(boxes[1])
    if boxes != (None, None) or not any(map(str.isdecimal, asked)) or not any(map(str.isdecimal, theirs)):
        return False
    codes = [_squeezed(text.replace("o", "0").replace("i", "1").replace("l", "1")) for text in (asked, theirs)]
    return bool(codes[0]) and codes[0] == codes[1]


def _same_number(asked: str, theirs: str) -> bool:
    """Return whether a spreadsheet may show a person's number like this: rounded, or with fifteen of its digits."""
    shown = re.fullmatch(r"(\d(?:[.,](\d+))?)e\+?(\d{1,2})", asked, flags=re.ASCII)
    if shown and theirs.isdecimal() and len(theirs) <= 40:
        decimals = min(len(shown[2] or ""), 14)
        value = float(f"{shown[1].replace(',', '.')}e{shown[3]}")
        if f"{value:.{decimals}e}" == f"{int(theirs):.{decimals}e}":
            return True
    if _mailbox(asked) is not None or _mailbox(theirs) is not None:
        return False
    wholes = _bare(asked), _bare(theirs)
    long = all(whole.isdecimal() and len(whole) > 15 for whole in wholes)
    return long and len(wholes[0]) == len(wholes[1]) and wholes[0][:15] == wholes[1][:15]


def _words(text: str) -> set[str]:
    spaced = "".join(char if char.isalnum() else " " for char in _without_umlauts(text))
    return {word for word in spaced.split() if len(word) >= 3 and not word.isdecimal()}


def _share(asked: str, theirs: str, too_common: set[str]) -> bool:
    mine, own = (text if (box := _mailbox(text)) is None else box for text in (asked, theirs))
    return any(_alike(word, other) for word, other in product(_words(mine), _words(own) - too_common))


def _alike(word: str, own: str) -> bool:
    """Return whether two words are the same, one letter apart, or the asked one has the other at an end."""
    if word == own or (len(word) >= 8 and 5 <= len(own) < len(word) and (word.startswith(own) or word.endswith(own))):
        return True
    if not all(part.isalpha() and 5 <= len(part) <= 40 for part in (word, own)):
        return False
    forms, own_forms = ({part, *(part[:at] + part[at + 1 :] for at in range(len(part)))} for part in (word, own))
    return not forms.isdisjoint(own_forms)


def _too_common(everyone: Sequence[AudienceMember]) -> set[str]:
    having: dict[str, int] = {}
    for one in everyone:
        text = f"{one.reference or ''} {(one.email or '').rpartition('@')[0]}"
        for word in _words(comparable(text).replace("\n", " ")):
            having[word] = having.get(word, 0) + 1
    return {word for word, count in having.items() if count > max(3, 0.05 * len(everyone))}
