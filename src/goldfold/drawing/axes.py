"""Turn a matplotlib figure into a block of the page, deterministic byte for byte.

Figures are drawn in the colours of `COLOURS`; in the page each becomes a CSS variable, so that one drawing serves the
light and the dark scheme. One inch is 72 units of the drawing and 72 CSS pixels, so a font size of 12 is 12 px.
"""

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

from goldfold.drawing.blocks import Figure as Block

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "ink": "#1f1d1a",
    "muted": "#6c675d",
    "line": "#e5e0d5",
    "gold": "#b27a17",
    "blue": "#2f6c9f",
    "teal": "#2b8a7e",
    "rose": "#b8475b",
    "violet": "#7457a8",
    "on-gold": "#fffdf8",
}
INK, MUTED, LINE, GOLD, BLUE = (COLOURS[name] for name in ("ink", "muted", "line", "gold", "blue"))
SERIES = [COLOURS[name] for name in ("blue", "gold", "teal", "rose", "violet")]
"""Colours of series, in their order."""
PX = 1 / 72

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 12,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 1,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 11.5,
    "lines.solid_capstyle": "round",
}


class Canvas:
    """``with Canvas(width_px, height_px) as canvas``: draw on ``canvas.figure``; then ``canvas.block(...)`` inside."""

    def __init__(self, width_px: float, height_px: float) -> None:
        from matplotlib import rc_context

        self.width_px = round(width_px)
        self._size = (width_px * PX, height_px * PX)
        self._style = rc_context(STYLE)

    def __enter__(self) -> "Canvas":
        from matplotlib.figure import Figure

        self._style.__enter__()
        self.figure = Figure(figsize=self._size, layout="constrained")
        return self

    def __exit__(self, *error: Any) -> None:
        self._style.__exit__(*error)

    def axes(self, rows: int = 1, columns: int = 1, **keywords: Any) -> "list[Axes]":
        """Axes, row by row."""
        return list(self.figure.subplots(rows, columns, squeeze=False, **keywords).flat)

    def space(self, share: float) -> None:
        """Leave this share of the width between the axes of a row, so that the labels of ticks do not meet."""
        self.figure.get_layout_engine().set(wspace=share)  # type: ignore[union-attr, call-arg]

    def block(self, name: str, caption: str, description: str) -> Block:
        """The drawing as a block of the page."""
        svg, png = io.StringIO(), io.BytesIO()
        self._save(name, svg, format="svg", metadata={"Date": None, "Creator": None})
        self.figure.set_layout_engine("none")  # the layout is done; doing it again takes as long as drawing
        self._save(name, png, format="png", dpi=144, facecolor="white", metadata={"Software": None})
        return Block(name, inline(svg.getvalue()), png.getvalue(), self.width_px, caption, description)

    def _save(self, name: str, stream: io.StringIO | io.BytesIO, **keywords: Any) -> None:
        from matplotlib import rc_context

        with rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # no font for some script here; the page uses the reader's fonts
            self.figure.savefig(stream, **keywords)


def inline(svg: str) -> str:
    """Convert a matplotlib SVG for use inside an HTML page: no header, no namespaces, colours as CSS variables."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', svg)
    svg = re.sub(r"<svg[^>]*>", f"<svg {box.group(0) if box else ''}>", svg, count=1)
    svg = svg.replace("xlink:href", "href")
    used = set(re.findall(r"#([\w.-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found.group(0) if found.group(1) in used else "", svg)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return re.sub(r"\n\s*", "\n", svg).strip()
