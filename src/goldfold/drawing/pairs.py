"""Matrix of the differences between all pairs of several members."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from goldfold.drawing.axes import BLUE, COLOURS, INK, MUTED, Canvas
from goldfold.drawing.blocks import Figure
from goldfold.drawing.words import change, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELL_PX = (68, 46)
LONGEST = 22
SHADES = {"better": 0.85, "unclear": 0.3}
"""Opacity of a cell by its verdict; others are not shaded."""


def differences(
    names: Sequence[str], found: Mapping[tuple[str, str], tuple[float, str]], metric: str, caption: str
) -> Figure:
    """Draw the upper triangle of a matrix: the better member of each pair in the row, the other in the column.

    Args:
        names: at least two members, the best first.
        found: difference and verdict of each pair.
    """
    numbered = [f"{place} {shortened(name, LONGEST)}" for place, name in enumerate(names, start=1)]
    rows, columns = numbered[:-1], numbered[1:]
    labels = 7 * max(map(len, rows))
    width, height = len(columns) * CELL_PX[0] + labels + 60, len(rows) * CELL_PX[1] + min(labels, 110) + 40
    with Canvas(max(width, 320), height) as canvas:
        (axes,) = canvas.axes()
        for row, better in enumerate(names[:-1]):
            for column, other in enumerate(names[1:]):
                if row <= column:
                    _cell(axes, row, column, *found[better, other])
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        axes.xaxis.tick_top()
        axes.set_xticks(range(len(columns)), columns, rotation=30, ha="left")
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(labelcolor=INK)
        return canvas.block("pairs", caption, f"Differences in {metric} between all pairs of {len(names)} members")


def _cell(axes: "Axes", row: int, column: int, difference: float, verdict: str) -> None:
    from matplotlib.patches import Rectangle

    if verdict in SHADES:
        place = (column - 0.48, row - 0.47)
        axes.add_patch(Rectangle(place, 0.96, 0.94, facecolor=BLUE, alpha=SHADES[verdict], linewidth=0))
    tone = COLOURS["on-gold"] if verdict == "better" else INK if verdict == "unclear" else MUTED
    axes.text(column, row - 0.17, change(difference), ha="center", va="center", color=tone, fontsize=11.5)
    axes.text(column, row + 0.2, verdict or "unknown", ha="center", va="center", color=tone, fontsize=10)
