"""Figures for any task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.drawing.axes import BLUE, COLOURS, GOLD, INK, LINE, MUTED, SERIES, Canvas
from goldfold.drawing.blocks import Figure
from goldfold.drawing.words import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

WIDTH_PX = 860
MOST_ROWS = 40
SKIPPED_SHARE = 4
"""The first 1/N of the epochs does not set the range of a learning curve's axis."""


@dataclass(frozen=True)
class ScoreLine:
    """A score to compare, with its 95 % interval (NaN if there is none) and the scores of the folds."""

    name: str
    value: float
    low: float
    high: float
    folds: Sequence[float] = ()
    stands_out: bool = False


def forest(lines: Sequence[ScoreLine], metric: str) -> Figure:
    """One line per member: dot for the score, bar for its interval, small rings for its folds."""
    shown = list(lines)[:MOST_ROWS]
    with Canvas(WIDTH_PX, 74 + 34 * len(shown)) as canvas:
        (axes,) = canvas.axes()
        _draw_scores(axes, shown)
        axes.set_xlabel(f"{metric}, out of fold")
        caption = (
            "Dot: score of all out-of-fold predictions. Bar: 95 % bootstrap interval. Rings: the score of each fold."
        )
        if len(lines) > MOST_ROWS:
            caption += f" The first {MOST_ROWS} of {len(lines)} are drawn."
        return canvas.block("leaderboard", caption, "Scores with their intervals")


def gains(model: str, lines: Sequence[ScoreLine], metric: str) -> Figure:
    """One line per switch of an ablation: dot for the gain, bar for its interval; a line at 0."""
    shown = list(lines)[:MOST_ROWS]
    with Canvas(WIDTH_PX, 74 + 34 * len(shown)) as canvas:
        (axes,) = canvas.axes()
        _draw_scores(axes, shown)
        axes.axvline(0, color=INK, lw=1, zorder=1)
        axes.set_xlabel(f"gain in {metric} over {shortened(model, 30)}, out of fold")
        caption = "Dot: gain of each switch, positive is better. Bar: 95 % interval; gold where it does not contain 0."
        if len(lines) > MOST_ROWS:
            caption += f" The first {MOST_ROWS} of {len(lines)} are drawn."
        return canvas.block(f"ablation-{model}", caption, "Gains of the switches with their intervals")


def _draw_scores(axes: "Axes", lines: Sequence[ScoreLine]) -> None:
    for row, line in enumerate(lines):
        colour = GOLD if line.stands_out else BLUE
        axes.plot(line.folds, [row] * len(line.folds), "o", ms=5, mfc="none", mec=MUTED, mew=1, zorder=3)
        if math.isfinite(line.low) and math.isfinite(line.high):
            axes.plot([line.low, line.high], [row, row], color=colour, lw=6, alpha=0.35, zorder=2)
        axes.plot([line.value], [row], "o", ms=10, color=colour, mew=0, zorder=4)
    axes.set_yticks(range(len(lines)), [shortened(line.name, 30) for line in lines])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.04)


def learning_curves(
    model: str,
    histories: Sequence[tuple[int, pd.DataFrame]],
    metric: str,
    rates: Sequence[tuple[int, pd.DataFrame]] = (),
) -> Figure:
    """Validation score, losses and learning rate by epochs done, one thin line per run, coloured by round.

    The validation loss is dashed. The score comes first, with the legend: a narrow screen shows the left part of a figure.

    Args:
        histories: round, and scores and losses by ``epoch``, which counts from 0.
        rates: round, and learning rate by epochs done; ``epoch`` has fractions.
    """
    from matplotlib.ticker import MaxNLocator

    has_validation = any("val_loss" in history for _, history in histories)
    losses = "loss: training solid, validation dashed" if has_validation else "training loss"
    with Canvas(WIDTH_PX, 270) as canvas:
        both = canvas.axes(1, 3, width_ratios=[3, 3, 2]) if rates else canvas.axes(1, 2)
        canvas.space(0.04)
        for axes, columns, title in (
            (both[0], {metric: "-"}, f"validation {metric}"),
            (both[1], {"train_loss": "-", "val_loss": "--"}, losses),
        ):
            drawn = []
            for number, history in histories:
                colour = SERIES[number % len(SERIES)]
                for column in [name for name in columns if name in history]:
                    known = history[["epoch", column]].dropna()
                    if known.empty:
                        continue
                    mark = "o" if len(known) == 1 else None  # a line of one point is invisible
                    x, style = known["epoch"] + 1, columns[column]
                    axes.plot(x, known[column], color=colour, ls=style, lw=1.3, alpha=0.75, marker=mark)
                    drawn.append(known)
            axes.set_title(title)
            axes.set_xlabel("epochs done")
            axes.margins(x=0.02)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            _range_of_late_epochs(axes, drawn)
        if rates:
            _draw_rates(both[2], rates)
        rounds = sorted({number for number, _ in histories})
        if len(rounds) > 1:
            for number in rounds:
                both[0].plot([], [], color=SERIES[number % len(SERIES)], lw=2.5, label=f"round {number}")
            both[0].legend(loc="best")
        return canvas.block(f"learning_curves_{model}", "", f"Learning curves of {model}")


def _draw_rates(axes: "Axes", rates: Sequence[tuple[int, pd.DataFrame]]) -> None:
    """Draw the learning rate; runs with the same curve, mostly all of a round, give one line."""
    from matplotlib.ticker import MaxNLocator

    different = {(number, tuple(rate["lr"])): rate for number, rate in rates}
    for (number, _), rate in different.items():
        mark = "o" if len(rate) == 1 else None
        axes.plot(rate["epoch"], rate["lr"], color=SERIES[number % len(SERIES)], lw=1.3, alpha=0.75, marker=mark)
    axes.set_title("learning rate")
    axes.set_xlabel("epochs done")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(lambda rate, place: f"{rate:.3g}")


def _range_of_late_epochs(axes: "Axes", columns: Sequence[pd.DataFrame]) -> None:
    """Set the range by the later epochs; the first ones often differ so much that they would flatten the rest."""
    late = [column.iloc[len(column) // SKIPPED_SHARE :, 1].to_numpy(dtype=float) for column in columns]
    values = np.concatenate(late) if late else np.empty(0)
    values = values[np.isfinite(values)]
    if len(values):
        low, high = float(values.min()), float(values.max())
        margin = 0.12 * (high - low) or 0.05 * (abs(high) or 1.0)
        axes.set_ylim(low - margin, high + margin)


def matrix(
    name: str,
    values: NDArray[np.float64],
    texts: Sequence[Sequence[str]],
    labels: Sequence[str],
    axis_names: tuple[str, str] = ("", ""),
    caption: str = "",
    highlight_errors: bool = False,
) -> Figure:
    """Square matrix, cells shaded by value (0..1); ``highlight_errors`` gives off-diagonal cells another hue."""
    n = len(labels)
    cell = 62 if n <= 8 else 46 if n <= 14 else 32 if n <= 22 else 26
    longest = max((len(shortened(label, 18)) for label in labels), default=1)
    with Canvas(min(1180, n * cell + 40 + 7 * longest), n * cell + 40 + min(7 * longest, 110)) as canvas:
        (axes,) = canvas.axes()
        for row in range(n):
            for column in range(n):
                strength = float(values[row, column])
                if strength > 0 and math.isfinite(strength):
                    colour = COLOURS["rose"] if highlight_errors and row != column else BLUE
                    alpha = 0.12 + 0.88 * strength ** (0.5 if highlight_errors and row != column else 1)
                    axes.add_patch(_tile(row, column, colour, alpha))
                    tone = COLOURS["on-gold"] if alpha > 0.6 else INK
                else:
                    tone = LINE
                size = 12 if cell > 40 else 10 if cell > 30 else 8.5
                axes.text(column, row, texts[row][column], ha="center", va="center", color=tone, fontsize=size)
        _name_cells(axes, [shortened(label, 18) for label in labels], axis_names)
        return canvas.block(name, caption, f"Matrix of {' against '.join(filter(None, axis_names)) or name}")


def _tile(row: int, column: int, colour: str, alpha: float) -> "Rectangle":
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=colour, alpha=round(alpha, 3), linewidth=0)


def _name_cells(axes: "Axes", labels: Sequence[str], axis_names: tuple[str, str]) -> None:
    places = range(len(labels))
    is_wide = max(map(len, labels), default=0) > 4
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks(places, labels, rotation=40 if is_wide else 0, ha="right" if is_wide else "center")
    axes.set_yticks(places, labels)
    axes.tick_params(labelcolor=INK)
    axes.set_ylabel(axis_names[0])
    axes.set_xlabel(axis_names[1])


def bars(name: str, counts: pd.DataFrame, unit: str, caption: str) -> Figure:
    """Horizontal bars: one group per row, one bar per column; only the largest rows if there are too many."""
    shown = counts
    if len(counts) > MOST_ROWS:
        shown = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index[:MOST_ROWS]]
        caption += f" The {MOST_ROWS} largest of {len(counts)} are drawn."
    from matplotlib.ticker import MaxNLocator

    thickness = 0.72 / len(shown.columns)
    row_px = 22 if len(shown.columns) == 1 else 14 + 12 * len(shown.columns)
    with Canvas(WIDTH_PX, 74 + row_px * len(shown) + 20 * (len(shown.columns) > 1)) as canvas:
        (axes,) = canvas.axes()
        for number, column in enumerate(shown.columns):
            places = np.arange(len(shown)) + (number - (len(shown.columns) - 1) / 2) * thickness
            drawn = axes.barh(places, shown[column], thickness * 0.92, color=SERIES[number], label=str(column))
            axes.bar_label(drawn, [f"{value:,.4g}" for value in shown[column]], padding=4, color=MUTED, fontsize=10.5)
        axes.set_yticks(range(len(shown)), [shortened(str(label), 26) for label in shown.index])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.08)
        if (shown % 1 == 0).to_numpy().all():
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel(unit)
        if len(shown.columns) > 1:
            canvas.figure.legend(loc="outside upper right", ncols=len(shown.columns))
        return canvas.block(name, caption, f"Bars of {unit}")


def sizes(tables: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Figure:
    """Width against height of the images; the area of a dot is the number of images of that size."""
    with Canvas(520, 380) as canvas:
        (axes,) = canvas.axes()
        most = 1.0
        for number, (split, (widths, heights)) in enumerate(tables.items()):
            pairs, counts = np.unique(np.stack([widths, heights], axis=1), axis=0, return_counts=True)
            most = max(most, float(pairs.max()))
            area = 12 + 160 * counts / counts.max()
            axes.scatter(pairs[:, 0], pairs[:, 1], area, color=SERIES[number], alpha=0.45, linewidths=0, label=split)
        axes.set_xlim(0, most * 1.08)
        axes.set_ylim(0, most * 1.08)
        axes.set_aspect("equal")
        axes.set_xlabel("width, px")
        axes.set_ylabel("height, px")
        if len(tables) > 1:
            axes.legend(loc="upper left")
        return canvas.block(
            "image_sizes",
            "One dot per size; its area is the number of images of that size.",
            "Width against height of the images",
        )
