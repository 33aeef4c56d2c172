"""Folds by scikit-learn's splitters: classes in their shares, groups whole, or both."""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.runtime.errors import DataError

NOTHING, IMAGE = "(nothing)", "(image)"
PIECES = 4
"""Into how many pieces a class of an image of average content is cut, to be shared out."""


def stratified(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Each fold has each class in about its share."""
    from sklearn.model_selection import StratifiedKFold

    refuse_small_classes(content, n_folds)
    if not _is_labels(content):
        return _shared_out(content, pd.Series(range(len(table))), n_folds, seed)
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return numbered(splitter.split(table, content.idxmax(axis=1)), len(table))


def group(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """No group lies in two folds; folds are of about the same size."""
    from sklearn.model_selection import GroupKFold

    refuse_few_groups(table, n_folds)
    splitter = GroupKFold(n_folds, shuffle=True, random_state=seed)
    return numbered(splitter.split(table, groups=table["group"]), len(table))


def stratified_group(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """No group lies in two folds, and classes keep their shares as far as the groups allow."""
    from sklearn.model_selection import StratifiedGroupKFold

    refuse_few_groups(table, n_folds)
    refuse_small_classes(content, n_folds)
    if not _is_labels(content):
        return _shared_out(content, table["group"], n_folds, seed)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return numbered(splitter.split(table, content.idxmax(axis=1), table["group"]), len(table))


def _is_labels(content: pd.DataFrame) -> bool:
    """Whether each image has one class, once."""
    return bool((content.sum(axis=1) == 1).all() and (content.max(axis=1) == 1).all())


def _shared_out(content: pd.DataFrame, groups: "pd.Series[Any]", n_folds: int, seed: int) -> NDArray[np.int64]:
    """Folds with about the same objects (or pixels) of each class, and the same number of images.

    scikit-learn balances the classes of samples that stay together by group. Here the samples are the objects, kept
    together by image (or its group); pixels are counted in pieces of a quarter of what an image of the class has on
    average; each image is one more sample, so that images are balanced too.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    has = content > 0
    unit = np.where((content.max(axis=0) > 100), content.sum(axis=0) / has.sum(axis=0).clip(lower=1) / PIECES, 1.0)
    pieces = np.ceil(content / unit).astype(int).assign(**{NOTHING: (~has.any(axis=1)).astype(int), IMAGE: 1})
    rows, columns = np.nonzero(pieces.to_numpy())
    numbers = pieces.to_numpy()[rows, columns]
    images, kinds = np.repeat(rows, numbers), np.repeat(pieces.columns.to_numpy()[columns], numbers)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # rare classes are refused or said elsewhere
        of_piece = numbered(splitter.split(images, kinds, groups.to_numpy()[images]), len(images))
    folds = np.empty(len(content), dtype=np.int64)
    folds[images] = of_piece
    return folds


def numbered(parts: Iterable[tuple[Any, Any]], n: int) -> NDArray[np.int64]:
    """Validation fold of each row, of pairs (training rows, validation rows)."""
    folds = np.full(n, -1, dtype=np.int64)
    for number, (_, validation) in enumerate(parts):
        folds[validation] = number
    return folds


def rare_classes(content: pd.DataFrame, n_folds: int) -> list[str]:
    """Classes with fewer images than there are folds; none where all are such."""
    counts = (content > 0).sum()
    rare = counts.index[counts < n_folds].tolist()
    return rare if len(rare) < len(counts) else []


def refuse_small_classes(content: pd.DataFrame, n_folds: int) -> None:
    """Raise DataError where a class has fewer images than there are folds."""
    counts = (content > 0).sum()
    small = counts[counts < n_folds].sort_values(kind="stable")
    if len(small):
        raise DataError(
            f"class {small.index[0]!r} has {small.iloc[0]} images, fewer than folds.n_folds: {n_folds} "
            f"({len(small)} such classes). Lower n_folds, add images, or merge or remove the class."
        )


def refuse_few_groups(table: pd.DataFrame, n_folds: int) -> None:
    """Raise DataError where there are fewer groups than folds."""
    if (n_groups := table["group"].nunique()) < n_folds:
        raise DataError(f"there are {n_groups} groups, fewer than folds.n_folds: {n_folds}. Lower n_folds.")
