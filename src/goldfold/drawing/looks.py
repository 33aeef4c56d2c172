"""Figure of public scores against out-of-fold scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from goldfold.drawing.axes import BLUE, GOLD, MUTED, Canvas
from goldfold.drawing.blocks import Figure

Ends = tuple[float, float]


@dataclass(frozen=True)
class Point:
    """Both scores of a submission with their 95 % intervals (NaN if there is none)."""

    oof: float
    public: float
    oof_interval: Ends
    public_interval: Ends
    stands_out: bool = False


def public_against_oof(points: Sequence[Point], metric: str) -> Figure:
    """One dot per submission with bars for both intervals, and a line where both scores are equal."""
    with Canvas(560, 440) as canvas:
        (axes,) = canvas.axes()
        for point in points:
            colour = GOLD if point.stands_out else BLUE
            for ends, at, is_flat in (
                (point.oof_interval, point.public, True),
                (point.public_interval, point.oof, False),
            ):
                if all(map(math.isfinite, ends)):
                    line = (ends, [at, at]) if is_flat else ([at, at], ends)
                    axes.plot(*line, color=colour, lw=1.5, alpha=0.35, zorder=2)
            axes.plot([point.oof], [point.public], "o", ms=8, color=colour, mew=0, zorder=3)
        axes.margins(0.06)
        limits = axes.get_xlim(), axes.get_ylim()
        axes.axline((points[0].oof, points[0].oof), slope=1, color=MUTED, lw=1, ls="--", zorder=1)
        axes.set_xlim(limits[0])
        axes.set_ylim(limits[1])
        axes.set_xlabel(f"{metric}, out of fold")
        axes.set_ylabel(f"{metric}, public")
        caption = (
            "Dot: one submission. Bars: 95 % intervals of both scores. Dashed: both scores are equal. Gold: the public score is "
            "outside the range that the noise of both scores allows."
        )
        return canvas.block("public_scores", caption, "Public scores against out-of-fold scores")
