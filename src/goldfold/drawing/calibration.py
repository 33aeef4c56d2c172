"""Figures of the calibration of probabilities."""

import numpy as np
from numpy.typing import NDArray

from goldfold.drawing.axes import BLUE, COLOURS, GOLD, MUTED, Canvas
from goldfold.drawing.blocks import Figure
from goldfold.drawing.figures import WIDTH_PX

N_BINS = 15


def reliability(confidence: NDArray[np.float64], is_right: NDArray[np.bool_]) -> tuple[Figure, float, int]:
    """Reliability diagram of the predicted class, and the expected calibration error (Guo et al. 2017).

    Returns:
        The figure, the error and the number of bins, of equal width on 0..1.
    """
    bins = np.clip((confidence * N_BINS).astype(int), 0, N_BINS - 1)
    counts = np.bincount(bins, minlength=N_BINS)
    filled = counts > 0
    mean = np.bincount(bins, confidence, N_BINS)[filled] / counts[filled]
    right = np.bincount(bins, is_right.astype(float), N_BINS)[filled] / counts[filled]
    error = float((np.abs(mean - right) * counts[filled]).sum() / counts.sum())
    with Canvas(WIDTH_PX, 330) as canvas:
        axes, volume = canvas.axes(1, 2, gridspec_kw={"width_ratios": [1, 1.25]})
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1.2, ls=(0, (4, 4)))
        axes.vlines(mean, mean, right, color=COLOURS["rose"], lw=2, alpha=0.6)
        axes.scatter(mean, right, 24 + 140 * counts[filled] / counts.max(), color=BLUE, linewidths=0, zorder=4)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="mean confidence", title="share of correct")
        axes.set_aspect("equal")
        volume.bar((np.arange(N_BINS) + 0.5) / N_BINS, counts, 0.9 / N_BINS, color=GOLD)
        volume.set(xlim=(0, 1), xlabel="confidence", title="images by confidence")
        caption = (
            "Left: one dot per bin, its size the number of images; on the dashed line, confidence equals accuracy; the red "
            "lines are the distances that make up the calibration error. Dots of few images scatter by chance."
        )
        return canvas.block("reliability", caption, "Reliability diagram"), error, N_BINS


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
