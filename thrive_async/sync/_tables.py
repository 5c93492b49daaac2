"""Figures as a table for notebooks: HTML without any person in it, because notebooks are passed on."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

__all__ = ["figures_table"]

_SHOWN: Final = 50


def figures_table(caption: str, rows: Sequence[tuple[str, Mapping[str, int]]]) -> str:
    """Return an HTML table with a row for each subject and a column for each figure that any row has.

    Args:
        caption: What the table is about.
        rows: Each subject with its figures. More than fifty are cut off, and said.
    """
    names = list(dict.fromkeys(name for _subject, figures in rows for name, count in figures.items() if count))
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = [
        f"<tr><th>{escape(subject)}</th>{''.join(f'<td>{figures.get(name, 0):,}</td>' for name in names)}</tr>"
        for subject, figures in rows[:_SHOWN]
    ]
    if len(rows) > _SHOWN:
        lines.append(f'<tr><td colspan="{len(names) + 1}">... and {len(rows) - _SHOWN:,} more</td></tr>')
    head = f"<thead><tr><th></th>{heads}</tr></thead>"
    return f"<table><caption>{escape(caption)}</caption>{head}<tbody>{''.join(lines)}</tbody></table>"
