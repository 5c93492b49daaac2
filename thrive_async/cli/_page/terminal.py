"""The page on the terminal: who, in groups, and a bar for each audience."""

from __future__ import annotations

import sys
from typing import Final

from thrive_async.cli._formats import is_terminal, out
from thrive_async.cli._page.content import PARTS, Bar, Content, Person
from thrive_async.cli._report_file import in_words
from thrive_async.cli._safe_text import counted, one_line

__all__ = ["print_bars", "print_who"]

#: The sign of each part, as in "sales-emea: +412 -18 =5,230", and its colour on a terminal.
_SIGNS: Final = {
    "staying": ("=", "bright_black"),
    "changing": ("~", "cyan"),
    "joining": ("+", "blue"),
    "leaving": ("-", "red"),
    "held": ("h", "yellow"),
    "failed": ("!", "bright_red"),
    "unknown": ("?", "magenta"),
    "ambiguous": ("a", "bright_magenta"),
    "rejected": ("r", "bright_yellow"),
}
_WIDTH: Final = 40
_SHOWN: Final = 50
_LONGEST: Final = 30


def print_who(content: Content) -> None:
    """Print every person, in groups by what happens to them.

    Args:
        content: What the page says.
    """
    groups: dict[str, list[Person]] = {}
    for one in content.people:
        groups.setdefault(one.happening.words, []).append(one)
    many = len(content.bars) > 1
    for words, people in groups.items():
        out(f"{words}: {len(people):,}")
        for one in people:
            title = one.name or one.email or one.ref or one.reference or "(blank)"
            called = (title, *(text for text in (one.email, one.ref) if text and text != title))
            why = (one.reason, in_words(one.changes or {}))
            told = (one.audience if many else "", ", ".join(called), *why)
            out("  " + "  ".join(one_line(text) for text in told if text))


def print_bars(content: Content) -> None:
    """Print a bar for each audience, largest changes first.

    Args:
        content: What the page says.
    """
    shown = content.bars[:_SHOWN]
    width = max((len(one_line(bar.name)[:_LONGEST]) for bar in shown), default=0)
    used = [part for part in PARTS if any(bar.parts.get(part) for bar in content.bars)]
    for bar in shown:
        _print_bar(bar, width)
    if len(content.bars) > _SHOWN:
        out(f"... and {len(content.bars) - _SHOWN:,} more of {counted(len(content.bars), 'audiences')}")
    out("  ".join(f"{_SIGNS[part][0]} {content.words(part)}" for part in used))


def _print_bar(bar: Bar, width: int) -> None:
    name = one_line(bar.name)[:_LONGEST].ljust(width)
    counts = [(part, bar.parts[part]) for part in PARTS if bar.parts.get(part)]
    whole = sum(count for _part, count in counts)
    # Each part that has anyone shows; the largest gives the columns for that.
    cells = {part: max(1, round(_WIDTH * count / whole)) for part, count in counts}
    if cells:
        largest = max(cells, key=cells.__getitem__)
        cells[largest] += _WIDTH - sum(cells.values())
    figures = " ".join(f"{_SIGNS[part][0]}{count:,}" for part, count in counts)
    told = f"  {figures} {one_line(bar.note)}".rstrip()
    if not is_terminal():
        out(f"{name}  {''.join(_SIGNS[part][0] * count for part, count in cells.items()):<{_WIDTH}}{told}")
        return
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.text import Text  # noqa: PLC0415

    line = Text(f"{name}  ")
    for part, count in cells.items():
        # A block in the part's colour; the sign in it is for people who cannot tell the colours apart.
        line.append(_SIGNS[part][0] * count, style=f"bold {_SIGNS[part][1]} reverse")
    line.append(" " * (_WIDTH - sum(cells.values())) + told)
    Console(file=sys.stdout, highlight=False, soft_wrap=True).print(line)
