"""The figures of a run as bars, one SVG for each plot, readable on light and dark pages and by screen readers.

Bars start at zero and are linear, so their lengths compare as the times do; each has its figure beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.results import Run

OURS = "thrive-async"


@dataclass(frozen=True)
class Plot:
    """What a plot shows.

    Attributes:
        title: Its heading.
        groups: For each group of bars, its heading and the work it shows, as the table names it. In a group of several
            works, ours have their names.
    """

    title: str
    groups: Mapping[str, tuple[str, ...]]


PLOTS = {
    "decode": Plot("Decode a page of 1,000 users", {"": ("decode a page of 1,000 users",)}),
    "small-call": Plot("One small call", {f"{n} in flight": (f"one small call, {n} in flight",) for n in (1, 10, 100)}),
    "list-users": Plot(
        "List 100,000 users", {"time": ("list 100,000 users, time",), "CPU": ("list 100,000 users, CPU",)}
    ),
    "import": Plot("Import", {"": ("import thrive_async", "from thrive_async import ThriveClient")}),
}

_WIDTH, _EDGE, _ROW = 480, 16, 36
_STYLE = """
  svg { color-scheme: light dark; --page: #fff; --text: #1f2328; --ours: #0a6c4a; --theirs: #8c959f; --edge: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    svg { --page: #16181d; --text: #e6edf3; --ours: #3fb984; --theirs: #6e7681; --edge: #3d444d }
  }
  text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--text) }
  .head, .ours text { font-weight: 600 }
  .page { fill: var(--page); stroke: var(--edge) }
  rect { fill: var(--theirs) }
  .ours rect { fill: var(--ours) }
"""


def draw(run: Run, folder: Path) -> list[Path]:
    """Write the plots that the run has rows for, and return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, plot in PLOTS.items():
        groups = {heading: bars(run.rows, works) for heading, works in plot.groups.items()}
        if any(groups.values()):
            written.append(folder / f"{name}.svg")
            written[-1].write_text(svg(plot.title, groups), encoding="utf-8")
    return written


@dataclass(frozen=True)
class Bar:
    """One contender's time."""

    name: str
    figure: float
    unit: str
    ours: bool = False

    def __str__(self) -> str:
        return f"{self.figure:.3g} {self.unit}" if self.figure < 1000 else f"{self.figure:,.0f} {self.unit}"


def bars(rows: list[Row], works: tuple[str, ...]) -> list[Bar]:
    """Return a bar for each contender and for each work of ours, shortest first."""
    made: dict[str, Bar] = {}
    for work in works:
        measured = [row for row in rows if row.work == work and row.ours is not None]
        if measured:
            # Ours ran beside the loops by hand, and again beside the other clients: the slower run counts.
            mine = max(row.ours or 0 for row in measured)
            name = work if len(works) > 1 else OURS
            made[name] = Bar(name, mine, measured[0].unit, ours=True)
            made |= {row.against: Bar(row.against, row.theirs or 0, row.unit) for row in measured}
    return sorted(made.values(), key=lambda bar: bar.figure)


def svg(title: str, groups: Mapping[str, list[Bar]]) -> str:
    """Return a plot; groups share a scale."""
    described = "; ".join(
        (f"{heading}: " if heading else "") + ", ".join(f"{bar.name} {bar}" for bar in group)
        for heading, group in groups.items()
    )
    largest = max(bar.figure for group in groups.values() for bar in group)
    lines = list(_lines(groups, largest))
    height = 60 + _ROW * len(lines)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title described">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="described">{escape(described)}. Shorter is better.</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1}" rx="6"/>',
        f'<text class="head" x="{_EDGE}" y="30">{escape(title)}</text>',
        f'<text x="{_WIDTH - _EDGE}" y="30" text-anchor="end">shorter is better</text>',
        *(f'<g transform="translate({_EDGE} {44 + _ROW * number})">{line}</g>' for number, line in enumerate(lines)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lines(groups: Mapping[str, list[Bar]], largest: float) -> Iterator[str]:
    full = _WIDTH - 2 * _EDGE
    for heading, group in groups.items():
        if heading:
            yield f'<text class="head" y="28">{escape(heading)}</text>'
        for bar in group:
            whose = "ours" if bar.ours else "theirs"
            yield (
                f'<g class="{whose}"><text y="15">{escape(bar.name)}</text>'
                f'<text x="{full}" y="15" text-anchor="end">{escape(str(bar))}</text>'
                f'<rect y="20" width="{max(1, full * bar.figure / largest):.1f}" height="9" rx="2"/></g>'
            )
