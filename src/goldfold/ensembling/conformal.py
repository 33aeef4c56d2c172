"""Scores and quantiles of split conformal prediction (Vovk et al. 2005; Angelopoulos and Bates 2021, A gentle introduction)."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.base.counter import counter
from goldfold.base.words import count

Array = NDArray[np.float64]
TINY = 1e-9
"""Tolerance of sums of weights."""
OF_ONE_CLASS = " of one class"
"""Which cases `fewest` are needed of, where the coverage holds for each class."""


def limit(scores: Array, coverage: float, groups: Sequence[str] | NDArray[np.str_] | None = None) -> float | None:
    """Smallest score that a new case exceeds with a probability of at most 1 - ``coverage``; None with too few cases.

    Without groups this is the score of rank ceil((n + 1) x coverage) of n. With groups, a case has the weight 1 / (size of
    its group), and the limit covers a random case of a new group: only whole groups are exchangeable (Dunn, Wasserman and
    Ramdas 2022, pooled distributions; Lee, Barber and Willett 2023, whose point at infinity makes it exact).

    Args:
        scores: (n,), larger for worse predictions.
        groups: group of each case.

    >>> limit(np.arange(1.0, 20.0), 0.9)
    18.0
    >>> limit(np.arange(1.0, 9.0), 0.9) is None
    True
    """
    weights, n = np.ones(len(scores)), len(scores)
    if groups is not None and n:
        names, places, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
        weights, n = 1 / sizes[places], len(names)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order]) / (n + 1)
    place = int(np.searchsorted(reached, coverage - TINY))
    return None if place == len(scores) else float(scores[order[place]])


def fewest(coverage: float) -> int:
    """Smallest number of cases, or of groups, with a `limit`.

    >>> fewest(0.9), fewest(0.95)
    (9, 19)
    """
    return math.ceil(coverage / (1 - coverage) - TINY)


def too_few(step: str, coverage: float, n: int, by_group: bool, part: str = "") -> str:
    """Say that a step has too few cases, or groups, to fit a `limit` on.

    Args:
        part: `OF_ONE_CLASS`, or empty.
    """
    what, more = ("group", ", or set groups: false to take cases as independent") if by_group else ("case", "")
    return (
        f"ensemble: {step}: a coverage of {coverage:g} is fitted on at least {count(fewest(coverage), what)}{part}, but "
        f"there are {count(n, what)} to fit on. Lower the coverage{more}, or remove the step."
    )


def improbable(probabilities: Array) -> Array:
    """Scores (n, classes) 1 - p (Sadinle, Lei and Wasserman 2019), of probabilities that need not sum to one."""
    return np.asarray(1 - probabilities / probabilities.sum(axis=1, keepdims=True))


def cumulative(probabilities: Array, shares: Array) -> Array:
    """Scores (n, classes) of adaptive sets (Romano, Sesia and Candès 2020): the probability of all classes before a class.

    Classes are in order of probability, equal ones in their own order.

    Args:
        shares: (n,), 0..1: part of the class's own probability that is added.
    """
    values = probabilities / probabilities.sum(axis=1, keepdims=True)
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=1)
    scores = np.empty_like(values)
    np.put_along_axis(scores, order, np.cumsum(ranked, axis=1) - ranked * (1 - shares[:, None]), axis=1)
    return scores


def uniform(ids: Sequence[str]) -> Array:
    """Number of 0..1 (n,) for each id, always the same, whatever other ids there are."""
    return np.array([counter("prediction sets", str(id)) for id in ids], dtype=np.float64) / 2.0**63
