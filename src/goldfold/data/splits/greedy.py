"""The rule of scikit-learn's StratifiedGroupKFold over counted units: the same folds, in a fraction of the time."""

import numpy as np
from numpy.typing import NDArray


def stratified_units(counts: NDArray[np.float64], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each unit (an image, or a group): uneven units first, each to the fold where classes then spread least.

    Args:
        counts: (units, classes), samples of each class in each unit; units and classes in the order of their names.
    """
    shuffled = np.arange(len(counts))
    np.random.RandomState(seed).shuffle(shuffled)  # scikit-learn's own generator, for the very folds that it gives
    counts = np.ascontiguousarray(counts[shuffled][:, counts.sum(axis=0) > 0])  # sums depend on the layout
    totals, held = counts.sum(axis=0), np.zeros((n_folds, counts.shape[1]))
    samples, own = np.zeros(n_folds), np.eye(n_folds)[:, :, None]
    folds = np.empty(len(counts), dtype=np.int64)
    for unit in np.argsort(-np.std(counts, axis=1), kind="stable"):
        spreads = np.std((held + own * counts[unit]) / totals, axis=1).mean(axis=1)
        fold = _best(spreads.tolist(), samples.tolist())
        held[fold] += counts[unit]
        samples[fold] = held[fold].sum()
        folds[unit] = fold
    of_unit = np.empty_like(folds)
    of_unit[shuffled] = folds
    return of_unit


def _best(spreads: list[float], samples: list[float]) -> int:
    """The fold of the least spread; of those about alike, the one with fewest samples."""
    best = 0
    for fold in range(1, len(spreads)):
        least = spreads[best]
        is_close = abs(spreads[fold] - least) <= 1e-8 + 1e-5 * least
        if spreads[fold] < least or (is_close and samples[fold] < samples[best]):
            best = fold
    return best
