"""Folds for images with several classes each: iterative stratification (Sechidis et al. 2011)."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.splits.stratified import IMAGE, NOTHING, evened_units, numbered, refuse_few_groups


def multilabel_stratified(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Each fold has about its share of the images of each class, by the package iterative-stratification.

    Only the presence of a class in an image counts, not its amount. Rare classes are distributed first.
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    has = content.to_numpy() > 0
    labels = (
        has if has.shape[1] > 1 else np.concatenate([has, ~has], axis=1)
    )  # the package does not accept a single column
    splitter = MultilabelStratifiedKFold(n_folds, shuffle=True, random_state=seed)
    folds = numbered(splitter.split(np.zeros(len(table)), labels.astype(int)), len(table))
    return evened_units((content > 0).astype(int), pd.Series(range(len(table))), folds, n_folds, seed)


def multilabel_stratified_group(
    table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int
) -> NDArray[np.int64]:
    """No group is in two folds, and each fold has about its share of the images of each class.

    Iterative stratification over groups, which the package does not support: the class with the fewest groups comes first,
    of its groups the one with most images of it. Since a group holds several images of several classes, it does not go to
    the fold that lacks most of one class, but to the fold that minimises the sum of squares of what folds lack, as shares
    of each class and of all images (benchmarks/folds.py: the rule of the paper left folds 1.5 to 2 times as uneven).
    """
    refuse_few_groups(table, n_folds)
    has = (content > 0).astype(int)
    kinds = has.assign(**{NOTHING: (has.sum(axis=1) == 0).astype(int), IMAGE: 1})
    amounts = kinds.groupby(table["group"].to_numpy()).sum()
    of_group = _shared_out(amounts.to_numpy(dtype=float), n_folds, np.random.default_rng(seed))
    folds = np.asarray(of_group[amounts.index.get_indexer(table["group"])], dtype=np.int64)
    return evened_units(has, table["group"], folds, n_folds, seed)


def _shared_out(amounts: NDArray[np.float64], n_folds: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Fold of each unit.

    Args:
        amounts: (units, classes + 1), images of each class and, last, all images; each unit has a class.
    """
    whole = np.maximum(amounts.sum(axis=0), 1)
    lacking = np.tile(amounts.sum(axis=0) / n_folds, (n_folds, 1))
    folds = np.full(len(amounts), -1, dtype=np.int64)
    ranks = draw.permutation(len(amounts))
    while (left := folds < 0).any():
        n_units = (amounts[left, :-1] > 0).sum(axis=0)
        kind = int(np.where(n_units > 0, n_units, np.inf).argmin())
        units = np.flatnonzero(left & (amounts[:, kind] > 0))
        for unit in units[np.lexsort((ranks[units], -amounts[units, -1], -amounts[units, kind]))]:
            worse = (((lacking - amounts[unit]) ** 2 - lacking**2) / whole**2).sum(axis=1)
            fold = int(np.lexsort((draw.random(n_folds), np.round(worse, 15)))[0])
            folds[unit] = fold
            lacking[fold] -= amounts[unit]
    return folds
