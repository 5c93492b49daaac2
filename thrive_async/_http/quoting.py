"""Thrive's words, as they stand in the text of an error: one short line without what the request carried. Pure."""

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import quote, quote_plus

import orjson

_LONGEST: Final = 300
_LONGEST_READ: Final = 10_000
_LOCAL: Final = r"(?:\"[^\"@]{1,62}\"|(?:[^\s@<>()\[\]{}\"',:;|/]|(?<=\w)'(?=\w)){1,64})"
_DOMAIN: Final = r"(?:[^\W_](?:[\w.-]{0,252}[^\W_])?|\[[\w.:]{1,64}\])"
_EMAIL: Final = rf"(?P<email>{_LOCAL}(?:@|%(?:25)?40){_DOMAIN})"
# A short value counts only where it stands alone, for `en` is part of many words.
_SHORT: Final = 8
_ALONE: Final = (
    r"(?:(?<![A-Za-z0-9\u00c0-\u024f])|(?<=%[0-9A-Fa-f]{{2}})|(?<=\\u[0-9A-Fa-f]{{4}})|(?<=\\[bfnrt]))"
    r"{}(?![A-Za-z0-9\u00c0-\u024f])"
)
_HIDDEN: Final = "***"
# A shorter one counts only in its own case: the country `IS` is not the word `is`.
_ANY_CASE: Final = 4


def one_line(words: object) -> str:
    """Return what Thrive said, a string or an object (as compact JSON), in one line of printable characters."""
    text = words if isinstance(words, str) else "" if words is None else orjson.dumps(words).decode()
    if len(text) > _LONGEST_READ:
        text = text[:_LONGEST_READ]
        text = text.rpartition(" ")[0] or text  # not in the middle of a value
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def quoted(words: object, carried: Iterable[tuple[str, str]]) -> str:
    """Put Thrive's words into one line of at most 300 characters.

    Args:
        words: What Thrive said, a string or an object.
        carried: The names and values that the request carried. A value is shown as its name in braces, even in another
            case or escaped for a URL, JSON or HTML. An e-mail address that the request did not carry is shown as `***`.
    """
    text = one_line(words)
    lowered, names, forms = text.lower(), dict[str, str](), dict[str, str]()
    for name, value in carried:
        for written in _written(value[:_LONGEST_READ]):
            form = one_line(written)
            where, key = (text, form) if len(form) < _ANY_CASE else (lowered, form.lower())
            if len(form) > _LONGEST and key not in where:
                # Its beginning may be there, cut by Thrive or above.
                form, key = form[:_LONGEST], key[:_LONGEST]
            if len(key) > 1 and key in where:
                names.setdefault(key, f"{{{name}}}")
                forms[key] = form
    # Whole addresses before their parts, and a value before another that is part of it.
    keys = sorted(names, key=lambda key: ("@" not in key and "%40" not in key, -len(key)))
    addresses = sum("@" in key or "%40" in key for key in keys)
    patterns = [_pattern(forms[key]) for key in keys]
    pattern = re.compile("|".join((*patterns[:addresses], _EMAIL, *patterns[addresses:], "(?P<other>.)")))
    shown = ""
    for match in pattern.finditer(text):
        found = match[0]
        if match.lastgroup is None:
            found = names.get(found) or names.get(found.lower()) or names.get(found.lower()[:_LONGEST], _HIDDEN)
        shown += _HIDDEN if match.lastgroup == "email" else found
        if len(shown) > _LONGEST:
            # The rest is not even looked at: an answer may be long.
            return shown[: _LONGEST - 1] + "…"
    return shown


def _written(value: str) -> set[str]:
    """Return a value as it may stand in a text: as it is, and as URLs, JSON and HTML escape it."""
    in_json, in_html = orjson.dumps(value)[1:-1].decode(), escape(value)
    return {
        value,
        quote(value, safe=""),
        quote(value, safe="!'()*"),
        quote_plus(value),
        in_json,
        in_json.replace("/", r"\/"),
        json.dumps(value)[1:-1],
        *(in_html.replace("&#x27;", apostrophe) for apostrophe in ("'", "&#x27;", "&#39;", "&#039;", "&apos;")),
        in_html.replace("&#x27;", "&#39;").encode("ascii", "xmlcharrefreplace").decode(),
    }


def _pattern(form: str) -> str:
    value = re.escape(form) if len(form) < _ANY_CASE else f"(?i:{re.escape(form)})"
    if len(form) == _LONGEST:
        return f"{value}.*"  # the beginning of a value: the rest of it follows
    return _ALONE.format(value) if len(form) < _SHORT else value
