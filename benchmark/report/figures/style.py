"""One look for all figures: Okabe and Ito's colours, which colour-blind readers tell apart, and for grey print a marker and
a dash of its own for every method."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

from benchmark.machine.atomic import write_bytes
from benchmark.report.escape import clean, for_html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b1b1e"
"""Text, axes and the dense line; becomes the page's own text colour in inline figures."""
PALE = "#e8e8ec"
"""In place of INK in figures for a dark page."""
MUTED = "#7a7a80"
COLORS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#882255",
    "#999933",
    "#44aa99",
    "#6a3d9a",
    "#8c564b",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "-",
    (0, (4, 1.5)),
    (0, (1.2, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (7, 2)),
)

SETTINGS: Any = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "figure.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": MUTED,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "prunebench",
    "pdf.fonttype": 42,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

FONTS: dict[str, dict[str, Any]] = {
    "serif": {"font.family": ["serif", "DejaVu Sans"], "font.serif": ["STIXGeneral", "Times New Roman", "Times"]},
    "sans": {"font.family": ["sans-serif"]},
}
"""Letters for a paper and for a page. Matplotlib brings both: STIX, which looks like Times, and DejaVu, which has more signs."""
_font: ContextVar[str] = ContextVar("font", default="serif")

LONGEST = 48
"""Letters of a name in a figure."""
TALLEST = 8.0
"""Inches of all rows of panels, which leave room for a legend and a caption on a page."""
ON_A_PAGE = 1.3
"""How much larger than in print a figure is on a page."""
LETTERS = {"serif": 23, "sans": 19}
"""Letters of 7 pt that fit on an inch."""


@dataclass(frozen=True)
class Look:
    """How one method is drawn, the same in every figure."""

    color: str
    marker: str
    dash: str | tuple[int, tuple[float, ...]]


def look(position: int) -> Look:
    """The look of the method at this position: eleven have colours of their own, and the first 55 all differ."""
    pick = position % len(COLORS), position % len(MARKERS), position % len(DASHES)
    return Look(COLORS[pick[0]], MARKERS[pick[1]], DASHES[pick[2]])


@contextmanager
def lettering(font: str) -> Iterator[None]:
    """Within, figures are drawn and saved in the font of this name in FONTS."""
    token = _font.set(font)
    try:
        yield
    finally:
        _font.reset(token)


@contextmanager
def drawing() -> Iterator[None]:
    """The settings of our figures, while one is drawn or saved."""
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()  # a matplotlibrc in the current folder may be somebody else's, and have LaTeX run
        rcParams.update(SETTINGS | FONTS[_font.get()])
        yield


COLUMN, PAGE = 219 / 72.27, 455 / 72.27
"""Inches: the widths of a column and of a page of a two-column paper, those of our LaTeX tables (72.27 pt an inch)."""
WIDTHS = {"column": COLUMN, "page": PAGE}


def side_by_side(count: int, width: float) -> int:
    """How many of `count` panels stand beside each other in a figure of this width in inches."""
    return max(1, min(count, 5 if width > COLUMN else 2))


def panels(count: int, height: float = 1.75, width: float | None = None) -> "tuple[Figure, list[Axes]]":
    """A figure of `count` small panels, five beside each other on a paper's page and two in a column.

    Inches: `width` of the figure, a column's for up to two panels and else a page's where it is None; `height` of a row.
    """
    from matplotlib.figure import Figure

    width = width or (COLUMN if count <= 2 else PAGE)
    columns = side_by_side(count, width)
    rows = -(-count // columns)
    height = min(height, TALLEST / rows)
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


@cache
def drawable() -> frozenset[int]:
    """Code points of the letters in the fonts that come with matplotlib."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(code for name in ("DejaVu Sans", "STIXGeneral") for code in get_font(findfont(name)).get_charmap())


def words(text: str, most: int = LONGEST) -> str:
    """A name on one line, cut where it would leave too little room for the axes; letters that no font here has are code points."""
    name = "".join(letter if ord(letter) in drawable() else f"[U+{ord(letter):04X}]" for letter in clean(text))
    return name if len(name) <= most else f"{name[: most - 1]}…"


def wrapped(text: str, width: float) -> str:
    """A line of 7 pt letters in as many as fit into `width` inches."""
    return fill(text, int(LETTERS[_font.get()] * width))


def legend_below(figure: "Figure", axes: "list[Axes]", title: str = "") -> None:
    """One legend for all panels, below them, under a line that says how to read them; the figure grows by its height.

    It has as many entries beside each other as the figure is wide.
    """
    entries = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if not entries:
        return
    width, height = figure.get_size_inches()
    said = wrapped(title, width)
    for rows in range(1, len(entries) + 1):
        legend = figure.legend(
            entries.values(), entries.keys(), loc="outside lower center", ncols=-(-len(entries) // rows), title=said or None,
            columnspacing=1.0, handlelength=2.0, handletextpad=0.5, labelspacing=0.2, borderpad=0.1, borderaxespad=0.2,
        )  # fmt: skip
        legend.get_title().set_multialignment("center")
        extent = legend.get_window_extent()
        if extent.width <= width * figure.dpi or rows == len(entries):
            figure.set_size_inches(width, height + extent.height / figure.dpi)
            return
        legend.remove()


WIDE = 1e5
"""Factor between the ends of a logarithmic axis from which only powers of ten are written."""


def logarithmic(axis: "Axes", which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2 and 5 times each power of ten; beside each other, at 1 and 3 times.

    Where its limits are many powers apart, for which matplotlib would set no such number, powers of ten alone, some left out.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    (axis.set_xscale if which == "x" else axis.set_yscale)("log")
    side = axis.xaxis if which == "x" else axis.yaxis
    low, high = axis.get_xlim() if which == "x" else axis.get_ylim()
    steps = (1,) if high > WIDE * low else (1, 3) if which == "x" else (1, 2, 5)
    side.set_major_locator(LogLocator(subs=steps, numticks=7))
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("e+0", "e").replace("e+", "e")))
    side.set_minor_formatter(NullFormatter())


def mark_unranked(axis: "Axes") -> None:
    """A grey ground and a star at the title, for a task that tables do not rank."""
    from matplotlib.patches import Rectangle

    ground = Rectangle((0, 0), 1, 1, transform=axis.transAxes, facecolor=MUTED, alpha=0.15, linewidth=0, zorder=-1)
    axis.add_patch(ground)
    axis.set_title(f"{axis.get_title(loc='left')}*", loc="left")


def save(figure: "Figure", path: Path, dark: bool = False) -> Path:
    """Write the figure in the format of the path's ending (pdf, svg or png), atomically, with the same bytes every time.

    `dark` is for a dark page: pale text and lines on a transparent ground; SVG alone.
    """
    format = path.suffix.removeprefix(".")
    stamp = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[format]
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format=format, metadata=stamp, transparent=dark)
    content = buffer.getvalue()
    write_bytes(path, content.replace(INK.encode(), PALE.encode()) if dark else content)
    return path


def inline_svg(figure: "Figure", prefix: str, title: str) -> str:
    """The figure as an `<svg>` element for a page: ids of its own, the page's text colour, a title for screen readers.

    It is larger than in print where there is room, and never smaller.
    """
    buffer = io.StringIO()
    with drawing():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = svg.replace(INK, "currentColor")
    width = float(re.search(r'width="([\d.]+)pt"', svg)[1])  # type: ignore[index]
    size = f'style="width:{ON_A_PAGE * width:.0f}pt;min-width:{width:.0f}pt"'
    svg = re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', rf"\1 {size}", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", svg, count=1)
    label = f"<title>{for_html(title)}</title>"
    return re.sub(r"(<svg)([^>]*>)", rf'\1 role="img" aria-label="{for_html(title)}"\2{label}', svg, count=1)
