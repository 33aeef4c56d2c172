"""Calibration of confidences: whether decisions made with 90 % confidence are correct nine times in ten."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_BINS = 15


@dataclass(frozen=True)
class Bins:
    """Decisions in `N_BINS` bins of equal width of their confidence, on 0..1."""

    counts: NDArray[np.int64]
    """Decisions per bin (`N_BINS`,)."""
    mean: NDArray[np.float64]
    """Mean confidence of each bin that is not empty."""
    right: NDArray[np.float64]
    """Share of correct decisions of each bin that is not empty."""

    @property
    def filled(self) -> NDArray[np.int64]:
        """Decisions of each bin that is not empty."""
        return self.counts[self.counts > 0]

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015; Guo et al. 2017): mean distance of the two, weighted by decisions."""
        return float((np.abs(self.mean - self.right) * self.filled).sum() / self.counts.sum())


def binned(confidence: NDArray[np.float64], is_right: NDArray[np.bool_]) -> Bins:
    """Sort decisions into bins by their confidence.

    >>> float(binned(np.array([0.9, 0.9, 0.9, 0.9]), np.array([True, True, True, False])).error.__round__(4))
    0.15
    """
    places = np.clip((confidence * N_BINS).astype(int), 0, N_BINS - 1)
    counts = np.bincount(places, minlength=N_BINS)
    filled = counts > 0
    mean = np.bincount(places, confidence, N_BINS)[filled] / counts[filled]
    right = np.bincount(places, is_right.astype(float), N_BINS)[filled] / counts[filled]
    return Bins(counts, mean, right)
