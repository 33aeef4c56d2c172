"""Figures of the calibration of probabilities."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from goldfold.drawing.axes import BLUE, COLOURS, GOLD, MUTED, SERIES, Canvas
from goldfold.drawing.blocks import Figure
from goldfold.drawing.figures import WIDTH_PX
from goldfold.metrics.calibration import N_BINS, Bins, binned


def reliability(confidence: NDArray[np.float64], is_right: NDArray[np.bool_]) -> tuple[Figure, float, int]:
    """Reliability diagram of the predicted class, and the expected calibration error.

    Returns:
        The figure, the error and the number of bins, of equal width on 0..1.
    """
    bins = binned(confidence, is_right)
    mean, right, filled = bins.mean, bins.right, bins.filled
    with Canvas(WIDTH_PX, 330) as canvas:
        axes, volume = canvas.axes(1, 2, gridspec_kw={"width_ratios": [1, 1.25]})
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1.2, ls=(0, (4, 4)))
        axes.vlines(mean, mean, right, color=COLOURS["rose"], lw=2, alpha=0.6)
        axes.scatter(mean, right, 24 + 140 * filled / filled.max(), color=BLUE, linewidths=0, zorder=4)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="mean confidence", title="share of correct")
        axes.set_aspect("equal")
        volume.bar((np.arange(N_BINS) + 0.5) / N_BINS, bins.counts, 0.9 / N_BINS, color=GOLD)
        volume.set(xlim=(0, 1), xlabel="confidence", title="images by confidence")
        caption = (
            "Left: one dot per bin, its size the number of images; on the dashed line, confidence equals accuracy; the red "
            "lines are the distances that make up the calibration error. Dots of few images scatter by chance."
        )
        return canvas.block("reliability", caption, "Reliability diagram"), bins.error, N_BINS


def confidence(values: NDArray[np.float64], is_right: NDArray[np.bool_]) -> Figure:
    """Histograms of the confidence of right and wrong predictions, each normalised by its own number."""
    edges = np.linspace(0, 1, 26)
    with Canvas(WIDTH_PX, 260) as canvas:
        (axes,) = canvas.axes()
        for chosen, name, colour in ((is_right, "right", BLUE), (~is_right, "wrong", COLOURS["rose"])):
            if chosen.any():
                shares = np.histogram(values[chosen], edges)[0] / chosen.sum()
                axes.stairs(100 * shares, edges, fill=True, color=colour, alpha=0.45)
                axes.stairs(100 * shares, edges, color=colour, lw=1.6, label=f"{name} ({int(chosen.sum()):,})")
        axes.set(xlim=(0, 1), xlabel="confidence", title="share of right and of wrong predictions, in %")
        axes.legend(loc="upper left")
        caption = "The further apart the two are, the better low confidence identifies images that need review."
        return canvas.block("confidence", caption, "Histograms of the confidence of right and wrong predictions")


def reliabilities(found: Mapping[str, Bins]) -> Figure:
    """Reliability diagrams of several predictions of the same images in one drawing, with their calibration errors."""
    with Canvas(430, 410) as canvas:
        (axes,) = canvas.axes()
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1.2, ls=(0, (4, 4)))
        for number, (name, bins) in enumerate(found.items()):
            size = 12 + 70 * bins.filled / bins.filled.max()
            label = f"{name} ({bins.error:.4f})"
            axes.plot(bins.mean, bins.right, color=SERIES[number], lw=1.4, label=label, zorder=3 + number)
            axes.scatter(bins.mean, bins.right, size, color=SERIES[number], linewidths=0, alpha=0.7, zorder=3 + number)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="mean confidence", title="share of correct")
        axes.set_aspect("equal")
        canvas.figure.legend(loc="outside upper left")
        caption = (
            "One dot per bin of confidence, its size the number of decisions; on the dashed line, confidence equals accuracy. "
            "In parentheses the calibration error."
        )
        return canvas.block("reliability_of_steps", caption, f"Reliability diagrams of {' and '.join(found)}")
