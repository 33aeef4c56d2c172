"""Averages of numbers. Each takes a stack (members, images) and weights (members,), and gives (images,)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def mean(stack: Array, weights: Sequence[float]) -> Array:
    """Weighted mean."""
    return np.average(stack, axis=0, weights=weights)


def median(stack: Array, weights: Sequence[float]) -> Array:
    """Weighted median: half of the weight lies on either side; the middle of two where it lies between them."""
    order = np.argsort(stack, axis=0, kind="stable")
    values, shares = np.take_along_axis(stack, order, axis=0), np.asarray(weights, dtype=float)[order]
    heard = np.cumsum(shares, axis=0) / shares.sum(axis=0)
    tolerance = 1e-9
    low, high = (heard >= 0.5 - tolerance).argmax(axis=0), (heard > 0.5 + tolerance).argmax(axis=0)
    columns = np.arange(stack.shape[1])
    return (values[low, columns] + values[high, columns]) / 2
