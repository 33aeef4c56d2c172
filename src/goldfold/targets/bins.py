"""Bins of about equal counts for numeric targets, by which folds are balanced. A bin is named like ``1.5 to 2``."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.base.numbers import number_of

MOST_BINS, LEAST_IN_BIN = 10, 20
BETWEEN = " to "


def bins_of(values: NDArray[np.float64], least: int = LEAST_IN_BIN) -> list[str]:
    """Names of at most 10 bins between quantiles, each with at least 20 values (one bin for fewer than 40 values).

    Names have as few digits as possible such that every value stays in its bin.

    Args:
        least: fewest values of a bin.
    """
    edges = np.array([values.min(), *_inner(values, least), values.max()])
    exact = place_in(values, edges)
    for digits in range(3, 18):
        rounded = [f"{edge:.{digits}g}" for edge in edges]
        if np.array_equal(place_in(values, np.array(rounded, dtype=float)), exact):
            break
    return [f"{low}{BETWEEN}{high}" for low, high in itertools.pairwise(rounded)]


def _inner(values: NDArray[np.float64], least: int) -> list[float]:
    """Quantiles in ascending order that leave enough values on either side."""
    n_bins = int(np.clip(len(values) // least, 1, MOST_BINS))
    kept, n_below = [], 0
    for edge in np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1], method="inverted_cdf")):
        n_up_to = int((values <= edge).sum())
        if min(n_up_to - n_below, len(values) - n_up_to) >= least:
            kept.append(float(edge))
            n_below = n_up_to
    return kept


def edges_of(names: Sequence[str]) -> NDArray[np.float64]:
    """Edges (bins + 1,) of bins from their names.

    Raises:
        DataError: they are not names of consecutive bins.
    """
    numbers = [[number_of(edge) for edge in name.split(BETWEEN)] for name in names]
    pairs = [[float(edge) for edge in pair if edge is not None] for pair in numbers]
    whole = bool(pairs) and all(len(pair) == len(own) == 2 for pair, own in zip(pairs, numbers, strict=True))
    if not whole or any(first[1] != second[0] for first, second in itertools.pairwise(pairs)):
        raise DataError(f"{', '.join(map(repr, names))} are not consecutive bins of numbers such as '1.5 to 2'.")
    return np.array([pairs[0][0], *(pair[1] for pair in pairs)])


def place_in(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each value, (n,); a value on an edge is in the lower bin, the outer bins extend to infinity."""
    return np.searchsorted(edges[1:-1], values, side="left").astype(np.int64)
