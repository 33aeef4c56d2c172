"""Metrics of decisions between classes from confusion matrices, many at once.

Each takes matrices (..., true classes, predicted classes) of numbers of images, and returns values (...).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrices = NDArray[np.floating[Any]]


def quadratic_kappa(matrices: Matrices) -> Matrices:
    """Cohen's kappa with quadratic weights."""
    true, predicted = matrices.sum(axis=-1), matrices.sum(axis=-2)
    places = np.arange(matrices.shape[-1])
    weights = (places[:, None] - places) ** 2
    seen = (matrices * weights).sum(axis=(-2, -1))
    expected = np.einsum("...a,ab,...b->...", true, weights, predicted) / true.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - seen / expected)


def mae(matrices: Matrices) -> Matrices:
    """Mean distance of the predicted from the true class."""
    places = np.arange(matrices.shape[-1])
    return np.asarray((matrices * np.abs(places[:, None] - places)).sum(axis=(-2, -1)) / matrices.sum(axis=(-2, -1)))


def accuracy(matrices: Matrices) -> Matrices:
    """Share of the images on the diagonal."""
    return np.asarray(np.trace(matrices, axis1=-2, axis2=-1) / matrices.sum(axis=(-2, -1)))


def balanced_accuracy(matrices: Matrices) -> Matrices:
    """Mean recall over the classes present in the truth."""
    hits, true = np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(axis=-1)
    recall = np.divide(hits, true, out=np.zeros_like(hits, dtype=np.float64), where=true > 0)
    return np.asarray(recall.sum(axis=-1) / (true > 0).sum(axis=-1))
