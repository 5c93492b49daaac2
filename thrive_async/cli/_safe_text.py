"""Makes text safe to show: nothing from Thrive or a file acts on a terminal or in a spreadsheet."""

from __future__ import annotations

import re

from thrive_async._base.cells import guard_cell, unguard_cell

__all__ = ["counted", "guard_cell", "inert", "one_line", "unguard_cell", "visible"]

# C0 and C1 controls, DEL, and marks that change the direction of text: a terminal obeys them, a name does not need
# them. Tab and newline are left to the callers.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# Those of them that a file is better without: commands to a terminal, and letters of no language.
_COMMANDS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_BREAKS = re.compile(r"\s*[\r\n\t]+\s*")


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"


def visible(text: str) -> str:
    r"""Return the text with every control character written as ``\uNNNN``, except tab and newline.

    Args:
        text: Any text, such as a name that Thrive sent.

    Returns:
        Text that a terminal shows and does not obey. The escape is also valid inside a JSON string.
    """
    return _CONTROLS.sub(_escape, text)


def inert(text: str) -> str:
    r"""Return text for a file, with what a terminal would obey written as ``\uNNNN``.

    Args:
        text: Any text; line breaks stay, and so do the direction marks that some names are written with.

    Returns:
        Text that does nothing when the file is shown in a terminal.
    """
    return _COMMANDS.sub(_escape, text)


def one_line(text: str) -> str:
    """Return the text as one line without control characters, so that no value can forge a second line.

    Args:
        text: Any text.

    Returns:
        The text, with line breaks and tabs replaced by one space.
    """
    return visible(_BREAKS.sub(" ", text))


def counted(count: int, noun: str) -> str:
    """Say how many there are: "1 entry", "2 entries".

    Args:
        count: How many.
        noun: What, in the plural, as in "entries".
    """
    if count == 1:
        noun = f"{noun[:-3]}y" if noun.endswith("ies") else noun[:-1]
    return f"{count:,} {noun}"
