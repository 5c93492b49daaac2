"""Makes the page: one HTML file that needs no other, runs no script but its own, and shows names as text only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thrive_async.cli._formats import cell
from thrive_async.cli._page.content import PARTS, Bar, Content, Person
from thrive_async.cli._safe_text import counted, visible

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["html", "policy", "thanks"]

#: What is in the page for readers whose program runs no script, such as the preview of a mail.
_BARS_WITHOUT_SCRIPT = 50
_PEOPLE_WITHOUT_SCRIPT = 100


def html(content: Content, *, review: Mapping[str, Any] | None = None) -> str:
    """Make the page.

    Args:
        content: What it says.
        review: For a page with a form to approve: what the form holds; see `page.html.jinja`.

    Returns:
        The page. It may hold half characters, so write it with ``errors="backslashreplace"``.
    """
    return _template().render(
        bars=content.bars[:_BARS_WITHOUT_SCRIPT],
        content=content,
        counted=counted,
        css=_text("page.css"),
        data=_data(content),
        js=_text("page.js"),
        many=len(content.bars) > 1,
        parts=PARTS,
        people=content.people[:_PEOPLE_WITHOUT_SCRIPT],
        policy=policy(form=review is not None),
        review=review,
        segments=_segments,
        visible=visible,
        words_of=_words_of,
    )


def thanks(text: str) -> str:
    """Make the page that follows a decision.

    Args:
        text: What it says.
    """
    from jinja2 import Environment  # noqa: PLC0415 - after the parsing

    template = Environment(autoescape=True).from_string(_text("thanks.html.jinja"))
    return template.render(css=_text("page.css"), text=text)


def policy(*, form: bool = False) -> str:
    """Return the Content-Security-Policy of the page: its own style and script, and nothing else.

    Args:
        form: Whether the page may send a form to where it came from.
    """
    style, script = (_hash(_text(name)) for name in ("page.css", "page.js"))
    action = "'self'" if form else "'none'"
    return f"default-src 'none'; style-src {style}; script-src {script}; base-uri 'none'; form-action {action}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _text(name: str) -> str:
    return (Path(__file__).with_name(name)).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - after the parsing

    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.from_string(_text("page.html.jinja"))


def _segments(bar: Bar) -> list[tuple[str, float, float]]:
    """Return the part, start and width of each segment of a bar, in percent; a small one stays visible."""
    counts = {part: bar.parts.get(part, 0) for part in PARTS}
    whole = sum(counts.values())
    if not whole:
        return []
    widths = {part: max(100 * count / whole, 1.5) for part, count in counts.items() if count}
    scale = 100 / sum(widths.values())
    segments: list[tuple[str, float, float]] = []
    start = 0.0
    for part, width in widths.items():
        segments.append((part, round(start, 2), round(width * scale, 2)))
        start += width * scale
    return segments


def _words_of(person: Person) -> list[tuple[str, str, str]]:
    """Return the name, old and new value of what changes, as text."""
    changes = person.changes or {}
    return [(visible(name), visible(cell(old)), visible(cell(new))) for name, (old, new) in changes.items()]


def _data(content: Content) -> str:
    """Return what the script shows, as JSON that ends no script element: `<` can end one, or begin a comment."""
    subjects, happenings, reasons = _Numbered(), _Numbered(), _Numbered()
    people = content.people
    # Columns, not rows: a browser reads 100,000 people from them in half the time.
    columns = {
        "subject": [subjects[one.audience] for one in people],
        "happening": [happenings[one.happening.words, one.happening.part] for one in people],
        "reason": [reasons[one.reason] for one in people],
        "reference": ["" if one.reference in (one.email, one.ref) else one.reference for one in people],
        "name": [one.name for one in people],
        "email": [one.email for one in people],
        "ref": [one.ref for one in people],
        "changes": {at: _words_of(one) for at, one in enumerate(people) if one.changes},
    }
    bars = [[subjects[bar.name], bar.now, [bar.parts.get(part, 0) for part in PARTS], bar.note] for bar in content.bars]
    data = {
        "parts": [[part, content.words(part)] for part in PARTS],
        "subjects": [visible(name) for name in subjects],
        "happenings": list(happenings),
        "reasons": list(reasons),
        "bars": bars,
        "people": columns,
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class _Numbered(dict[Any, int]):
    """Gives each value a number, in the order in which they come."""

    def __missing__(self, value: Any) -> int:
        self[value] = len(self)
        return self[value]
