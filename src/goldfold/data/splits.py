"""Split training images into folds."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.runtime.errors import DataError, unknown

Splitter = Callable[[pd.DataFrame, int, int], NDArray[np.int64]]
"""(table with label and, where given, group and fold; number of folds; seed) -> validation fold of each row."""


def stratified(table: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Each fold has each class in about its share."""
    from sklearn.model_selection import StratifiedKFold

    _refuse_small_classes(table, n_folds)
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return _numbered(splitter.split(table, table["label"]), len(table))


def group(table: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """No group lies in two folds; folds are of about the same size."""
    from sklearn.model_selection import GroupKFold

    _refuse_few_groups(table, n_folds)
    splitter = GroupKFold(n_folds, shuffle=True, random_state=seed)
    return _numbered(splitter.split(table, groups=table["group"]), len(table))


def stratified_group(table: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """No group lies in two folds, and classes keep their shares as far as the groups allow."""
    from sklearn.model_selection import StratifiedGroupKFold

    _refuse_few_groups(table, n_folds)
    _refuse_small_classes(table, n_folds)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return _numbered(splitter.split(table, table["label"], table["group"]), len(table))


def predefined(table: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """The folds of the column ``fold``: whole numbers from 0 to n_folds - 1."""
    numbers = pd.to_numeric(table["fold"], errors="coerce")
    wrong = ~numbers.isin(range(n_folds))
    if wrong.any():
        row = table[wrong].iloc[0]
        raise DataError(
            f"data.fold_column: id {row['id']!r} has fold {row['fold']!r}; with folds.n_folds: {n_folds} it must be a "
            f"whole number from 0 to {n_folds - 1}."
        )
    empty = sorted(set(range(n_folds)) - set(numbers.astype(int)))
    if empty:
        raise DataError(f"data.fold_column: no image is in fold {empty[0]}. Set folds.n_folds to the number of folds.")
    return numbers.to_numpy(dtype=np.int64)


SPLITTERS: dict[str, Splitter] = {
    "stratified": stratified,
    "group": group,
    "stratified_group": stratified_group,
    "predefined": predefined,
}


def split(table: pd.DataFrame, splitter: str, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Validation fold (0 .. n_folds-1) of each row of ``table``; every fold has images, and every class in training.

    The result does not depend on the order of the rows.

    Raises:
        DataError: the data cannot be split so.
    """
    if splitter not in SPLITTERS:
        raise unknown("splitter", splitter, SPLITTERS)
    order = np.argsort(table["id"].to_numpy(dtype=str), kind="stable")
    folds = np.empty(len(table), dtype=np.int64)
    folds[order] = SPLITTERS[splitter](table.iloc[order].reset_index(drop=True), n_folds, seed)
    _check(table, folds, n_folds)
    return folds


def _numbered(parts: Iterable[tuple[Any, Any]], n: int) -> NDArray[np.int64]:
    folds = np.full(n, -1, dtype=np.int64)
    for number, (_, validation) in enumerate(parts):
        folds[validation] = number
    return folds


def _refuse_small_classes(table: pd.DataFrame, n_folds: int) -> None:
    counts = table["label"].value_counts()
    small = counts[counts < n_folds]
    if len(small):
        raise DataError(
            f"class {small.index[0]!r} has {small.iloc[0]} images, fewer than folds.n_folds: {n_folds} "
            f"({len(small)} such classes). Lower n_folds, add images, or merge or remove the class."
        )


def _refuse_few_groups(table: pd.DataFrame, n_folds: int) -> None:
    if (n_groups := table["group"].nunique()) < n_folds:
        raise DataError(f"there are {n_groups} groups, fewer than folds.n_folds: {n_folds}. Lower n_folds.")


def _check(table: pd.DataFrame, folds: NDArray[np.int64], n_folds: int) -> None:
    if "group" in table:
        parts = pd.Series(folds).groupby(table["group"].to_numpy()).nunique()
        if (parts > 1).any():
            raise DataError(
                f"group {parts.index[parts > 1][0]!r} lies in more than one fold ({int((parts > 1).sum())} such groups). "
                f"Correct data.fold_column, or use splitter: stratified_group."
            )
    for number in range(n_folds):
        if not (folds == number).any():
            raise DataError(f"fold {number} has no validation images. Lower folds.n_folds or choose another splitter.")
        unseen = sorted(set(table["label"]) - set(table["label"][folds != number]))
        if unseen:
            raise DataError(
                f"all images of class {unseen[0]!r} fall into fold {number}, so its models would never see the class. "
                f"Lower folds.n_folds, or use groups that do not hold a whole class."
            )
