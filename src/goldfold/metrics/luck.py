"""Luck of the best: how much better the best of several equally good scores looks than it is.

The best of several is chosen by its score, and so by its noise too: the expected largest of the noises is its luck. Members
of one run are scored on the same images, so their noises are correlated: they are read off resamples (`of_resamples`). Of the
submissions in a ledger only the standard deviation of each is known, since the predictions of earlier ones may be gone: their
noises are taken as independent normals (`of_deviations`), which gives the largest luck that noises of this size can have on
average. For independent members both give the same.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def of_resamples(drawn: NDArray[np.float64]) -> float:
    """Expected gain of the best of several members that are equally good, over what they are worth.

    The deviations of each member's resampled scores from their mean are its noise; the result is the mean over the resamples
    of the largest of them. Members are scored on the same resamples, so what their errors have in common cancels. It is the
    noise of the choice of images; that of the training is part of what a member is.

    Args:
        drawn: scores (members, resamples), larger is better.

    Returns:
        At least 0; NaN if fewer than two resamples could be scored.

    >>> of_resamples(np.array([[0.5, 0.7, 0.6], [0.5, 0.7, 0.6]]))
    0.0
    """
    known = drawn[:, np.isfinite(drawn).all(axis=0)]
    if known.shape[1] < 2:
        return math.nan
    deviations = known - known.mean(axis=1, keepdims=True)
    return max(0.0, round(float(deviations.max(axis=0).mean()), 12))


def of_deviations(deviations: Sequence[float]) -> float:
    """Expected gain of the best of several scores that are equally good, from the standard deviation of each, if independent.

    Args:
        deviations: NaN where unknown; the median of the others stands for all.

    Returns:
        NaN if none is known.
    """
    known = [one for one in deviations if math.isfinite(one)]
    return expected_maximum(len(deviations)) * float(np.median(known)) if known else math.nan


def expected_maximum(n: int) -> float:
    """Expected largest of ``n`` independent standard normal numbers.

    The integral of x d(Phi(x)^n), in parts (David and Nagaraja 2003, Order Statistics, section 3.1).

    >>> [round(expected_maximum(n), 3) for n in (1, 2, 3)]
    [0.0, 0.564, 0.846]
    """
    from scipy.special import log_ndtr

    x = np.linspace(0, 12, 12001)
    upper, lower = 1 - np.exp(n * log_ndtr(x)), np.exp(n * log_ndtr(-x))
    return float(np.trapezoid(upper - lower, x))
