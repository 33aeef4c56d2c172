"""Averages of numbers. Each takes a stack (members, images) and weights (members,), and returns (images,)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def mean(stack: Array, weights: Sequence[float]) -> Array:
    """Weighted mean."""
    return np.average(stack, axis=0, weights=weights)


def median(stack: Array, weights: Sequence[float]) -> Array:
    """Weighted median, with half of the weight on either side; the midpoint if it lies between two values."""
    order = np.argsort(stack, axis=0, kind="stable")
    values, shares = np.take_along_axis(stack, order, axis=0), np.asarray(weights, dtype=float)[order]
    cumulative = np.cumsum(shares, axis=0) / shares.sum(axis=0)
    tolerance = 1e-9
    low, high = (cumulative >= 0.5 - tolerance).argmax(axis=0), (cumulative > 0.5 + tolerance).argmax(axis=0)
    columns = np.arange(stack.shape[1])
    return (values[low, columns] + values[high, columns]) / 2
