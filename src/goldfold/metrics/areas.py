"""Areas under the ROC curve of each class against the others, also of thousands of classes with few images each.

An image of a class is compared with all others in the class's probability: with n images of one class each, that is n x n
comparisons whatever the number of classes, while sorting each class's column takes classes x n log n. Numbers of comparisons
are exact in floating point, so the areas are those of `goldfold.metrics.ranking.roc_area` to the last bit.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics.ranking import roc_area

Probabilities = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

FEW = 32
"""Most images of a class that are compared with all others instead of sorting the class's column."""
COLUMNS = 256
"""Classes, or images, that are looked at together."""


def class_areas(probabilities: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Area of each class against all others (classes,), ties counted half; NaN for a class without images, or with all.

    >>> class_areas(np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0]]), np.array([0, 1, 1]))
    array([ 1.,  1., nan])

    Args:
        probabilities: (n, classes).
        labels: (n,) index of the true class.
    """
    n, n_classes = probabilities.shape
    areas = np.full(n_classes, np.nan)
    own = _rows_by_class(labels, n_classes)
    for start in range(0, n_classes, COLUMNS):
        columns = np.ascontiguousarray(probabilities[:, start : start + COLUMNS].T)
        for number, column in enumerate(columns, start=start):
            rows = own[number]
            if not 0 < len(rows) < n:
                continue
            is_few = len(rows) <= FEW and not np.isnan(column).any()
            areas[number] = _of_few(column, rows) if is_few else roc_area(column, labels == number)
    return areas


def _rows_by_class(labels: Labels, n_classes: int) -> list[NDArray[np.int64]]:
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, n_classes)))


def _of_few(column: Probabilities, rows: NDArray[np.int64]) -> float:
    """Area of a class whose images are ``rows``."""
    wins = 0.0
    for score in column[rows]:
        wins += np.count_nonzero(column < score) + np.count_nonzero(column == score) / 2
    wins -= len(rows) ** 2 / 2  # comparisons within the class: half of them, with ties counted half
    return wins / (len(rows) * (len(column) - len(rows)))


def resampled_areas(
    probabilities: Probabilities, labels: Labels, counts: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Mean area over the classes in each resample (resamples,), NaN where none can be scored.

    All resamples at once: their counts times a table of comparisons, made for `COLUMNS` images at a time.

    Args:
        probabilities: (n, classes).
        labels: (n,) index of the true class.
        counts: (resamples, n) how often each image was drawn.
    """
    drawn = counts.astype(np.float32)  # exact, as are sums of halves up to 2**23 of them
    present, places = np.unique(labels, return_inverse=True)
    wins = np.zeros((len(counts), len(present)))
    n_positive = np.zeros_like(wins)
    for rows, is_below in _compared(probabilities, labels):
        classes, weights = places[rows], counts[:, rows].astype(np.float64)
        starts = np.flatnonzero(np.diff(classes, prepend=-1))
        wins[:, classes[starts]] += np.add.reduceat(weights * (drawn @ is_below), starts, axis=1)
        n_positive[:, classes[starts]] += np.add.reduceat(weights, starts, axis=1)
    n_pairs = n_positive * (counts.sum(axis=1)[:, None] - n_positive)
    areas = np.divide(wins, n_pairs, out=np.full_like(wins, np.nan), where=n_pairs > 0)
    return np.array([float(np.mean(own[np.isfinite(own)])) if np.isfinite(own).any() else np.nan for own in areas])


def _compared(probabilities: Probabilities, labels: Labels) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield some images in order of their class, and a table (n, these images): 1 where an image of another class has a lower
    probability of the class, 0.5 where it has the same, else 0."""
    order = np.argsort(labels, kind="stable")
    for start in range(0, len(order), COLUMNS):
        rows = order[start : start + COLUMNS]
        values, own = probabilities[:, labels[rows]], probabilities[rows, labels[rows]]
        is_below = (values < own).astype(np.float32)
        is_below += np.float32(0.5) * (values == own)
        is_below[labels[:, None] == labels[rows]] = 0
        yield rows, is_below
