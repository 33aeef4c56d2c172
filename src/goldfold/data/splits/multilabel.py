"""Folds for images with several classes each: iterative stratification (Sechidis et al. 2011)."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.data.splits.stratified import NOTHING, numbered, refuse_few_groups, refuse_small_classes


def multilabel_stratified(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Each fold has about its share of the images of each class, by the package iterative-stratification.

    An image has a class or not; how much of it does not matter here. Rare classes are shared out first.
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    refuse_small_classes(content, n_folds)
    has = content.to_numpy() > 0
    labels = has if has.shape[1] > 1 else np.concatenate([has, ~has], axis=1)  # the package takes no single column
    splitter = MultilabelStratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return numbered(splitter.split(np.zeros(len(table)), labels.astype(int)), len(table))


def multilabel_stratified_group(
    table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int
) -> NDArray[np.int64]:
    """No group lies in two folds, and each fold has about its share of the images of each class.

    The same algorithm over groups, which the package does not know: the class that the fewest groups have comes first;
    each of its groups, the one with most images of it first, goes to the fold that lacks most images of it, of several
    to the one that lacks most images of any kind.
    """
    refuse_few_groups(table, n_folds)
    refuse_small_classes(content, n_folds)
    has = (content > 0).astype(int)
    amounts = has.assign(**{NOTHING: (has.sum(axis=1) == 0).astype(int)}).groupby(table["group"].to_numpy()).sum()
    sizes = table["group"].value_counts().reindex(amounts.index).to_numpy()
    of_group = _shared_out(amounts.to_numpy(dtype=float), sizes.astype(float), n_folds, np.random.default_rng(seed))
    return np.asarray(of_group[amounts.index.get_indexer(table["group"])], dtype=np.int64)


def _shared_out(
    amounts: NDArray[np.float64], sizes: NDArray[np.float64], n_folds: int, draw: np.random.Generator
) -> NDArray[np.int64]:
    """Fold of each unit.

    Args:
        amounts: (units, classes); each unit has something.
        sizes: (units,) images.
    """
    lacking = np.tile(amounts.sum(axis=0) / n_folds, (n_folds, 1))
    room = np.full(n_folds, sizes.sum() / n_folds)
    folds = np.full(len(amounts), -1, dtype=np.int64)
    ranks = draw.permutation(len(amounts))
    while (left := folds < 0).any():
        n_units = (amounts[left] > 0).sum(axis=0)
        kind = int(np.where(n_units > 0, n_units, np.inf).argmin())
        units = np.flatnonzero(left & (amounts[:, kind] > 0))
        for unit in units[np.lexsort((ranks[units], -sizes[units], -amounts[units, kind]))]:
            needs = np.round(lacking[:, kind], 9), np.round(room, 9), draw.random(n_folds)
            fold = max(range(n_folds), key=lambda number: tuple(need[number] for need in needs))
            folds[unit] = fold
            lacking[fold] -= amounts[unit]
            room[fold] -= sizes[unit]
    return folds
