"""Ranking metrics: how well scores separate positives from negatives."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating[Any]]


def roc_area(scores: Scores, is_positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, ties counted half; NaN without positives or without negatives."""
    from scipy.stats import rankdata

    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[is_positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def average_precision(scores: Scores, is_positive: NDArray[np.bool_]) -> float:
    """Mean precision over the positives, tied scores together, as in scikit-learn; NaN without positives."""
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(is_positive[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.zeros(0, int)
    if not len(last) or not hits[-1]:
        return float("nan")
    found = hits[last]
    return float((np.diff(found, prepend=0) * found / (last + 1)).sum() / hits[-1])


def reciprocal_ranks(probabilities: Scores, labels: NDArray[np.integer[Any]], k: int) -> NDArray[np.float64]:
    """1 / rank of the true class of each image (n,), 0 beyond rank ``k``; of tied classes the worst rank counts.

    Args:
        probabilities: (n, classes).
        labels: (n,) index of the true class.
    """
    of_true = probabilities[np.arange(len(labels)), labels]
    ranks = (probabilities >= of_true[:, None]).sum(axis=1)
    return np.where(ranks <= k, 1 / ranks, 0)
