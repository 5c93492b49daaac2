"""A short form of the page for the summary of a job: Markdown with figures, and no person in it."""

from __future__ import annotations

import re

from thrive_async.cli._page.content import PARTS, Content
from thrive_async.cli._safe_text import counted, one_line

__all__ = ["markdown"]

_SHOWN = 50
_SPECIAL = re.compile(r"([\\`*_\[\]<>|&~#!@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def markdown(content: Content) -> str:
    """Write figures, guards and audiences as Markdown.

    Args:
        content: What the page says.
    """
    kind = "Plan" if content.kind == "plan" else "Report"
    lines = [f"## {kind}: {_text(content.title)}", ""]
    lines += [f"> {_text(problem)}\n" for problem in content.problems]
    lines += ["| | |", "|---|---|", *(f"| {name} | {_text(value)} |" for name, value in content.facts)]
    for limit in content.limits:
        allowed = "no limit" if limit.allowed is None else f"{limit.allowed:,} allowed"
        refused = ", **refused**" if limit.refuses else ""
        line = f"{limit.planned:,} of {limit.current:,} {limit.what}: {allowed}"
        lines.append(f"| Guard `{limit.option}` | {_text(line)}{refused} |")
    totals = content.totals
    used = [part for part in PARTS if totals.parts.get(part)]
    heads = ["audience", "now" if content.kind == "plan" else "before", *map(content.words, used)]
    lines += ["", _row(heads), _row(["---", *("---:" for _ in heads[1:])])]
    for bar in content.bars[:_SHOWN]:
        name = _text(bar.name) + (f" ({_text(bar.note)})" if bar.note else "")
        lines.append(_row([name, f"{bar.now:,}", *(f"{bar.parts.get(part, 0):,}" for part in used)]))
    if len(content.bars) > 1:
        lines.append(_row(["**in all**", f"{totals.now:,}", *(f"{totals.parts[part]:,}" for part in used)]))
    if len(content.bars) > _SHOWN:
        lines += ["", f"The {_SHOWN} largest changes of {counted(len(content.bars), 'audiences')}."]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Return text that Markdown shows as it is: no link, no image, no HTML, no second cell."""
    return _SPECIAL.sub(r"\\\1", one_line(text))
