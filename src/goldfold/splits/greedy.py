"""The rule of scikit-learn's StratifiedGroupKFold on unit counts: the same folds in a fraction of the time."""

import numpy as np
from numpy.typing import NDArray


def stratified_units(counts: NDArray[np.float64], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each unit (an image or a group): uneven units first, each to the fold where classes then spread least.

    Args:
        counts: (units, classes), samples of each class in each unit; units and classes sorted by name.
    """
    shuffled = np.arange(len(counts))
    np.random.RandomState(seed).shuffle(shuffled)  # scikit-learn's own generator, for identical folds
    counts = np.ascontiguousarray(counts[shuffled][:, counts.sum(axis=0) > 0])  # sums depend on the layout
    totals, held = counts.sum(axis=0), np.zeros((n_folds, counts.shape[1]))
    samples, folds = np.zeros(n_folds), np.empty(len(counts), dtype=np.int64)
    parts, tried = (
        np.zeros_like(held),
        np.empty((n_folds, *held.shape)),
    )  # shares; shares after each fold takes the unit
    of_taker = tried.reshape(-1, held.shape[1])[:: n_folds + 1]
    for unit in np.argsort(-np.std(counts, axis=1), kind="stable"):
        tried[:] = parts
        of_taker[:] = (held + counts[unit]) / totals
        fold = _best(_spreads(tried), samples.tolist())
        parts[fold] = of_taker[fold]
        held[fold] += counts[unit]
        samples[fold] = held[fold].sum()
        folds[unit] = fold
    of_unit = np.empty_like(folds)
    of_unit[shuffled] = folds
    return of_unit


def _spreads(parts: NDArray[np.float64]) -> list[float]:
    """np.std over the second axis, then the mean over classes, bit-identical; NumPy's own is slower for few numbers."""
    off = parts - np.add.reduce(parts, axis=1, keepdims=True) / parts.shape[1]
    spreads = np.sqrt(np.add.reduce(off * off, axis=1) / parts.shape[1])
    means: list[float] = (np.add.reduce(spreads, axis=1) / spreads.shape[1]).tolist()
    return means


def _best(spreads: list[float], samples: list[float]) -> int:
    """The fold with the smallest spread; of about equal ones, the one with fewest samples."""
    best = 0
    for fold in range(1, len(spreads)):
        least = spreads[best]
        is_close = abs(spreads[fold] - least) <= 1e-8 + 1e-5 * least
        if spreads[fold] < least or (is_close and samples[fold] < samples[best]):
            best = fold
    return best
