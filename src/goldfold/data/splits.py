"""Split training images into folds."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.data.sticky import extend
from goldfold.data.together import COLUMN, joined, reunited
from goldfold.runtime.errors import DataError, unknown

Splitter = Callable[[pd.DataFrame, pd.DataFrame, int, int], NDArray[np.int64]]
"""(table with, where given, group and fold; content; number of folds; seed) -> validation fold of each row.

The content has a column a class and says how much of it is in each image: 1 for its label, objects, or pixels.
"""
NOTHING, IMAGE = "(nothing)", "(image)"
PIECES = 4
"""Into how many pieces a class of an image of average content is cut, to be shared out."""


def stratified(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Each fold has each class in about its share."""
    from sklearn.model_selection import StratifiedKFold

    _refuse_small_classes(content, n_folds)
    if not _is_labels(content):
        return _shared_out(content, pd.Series(range(len(table))), n_folds, seed)
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return _numbered(splitter.split(table, content.idxmax(axis=1)), len(table))


def group(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """No group lies in two folds; folds are of about the same size."""
    from sklearn.model_selection import GroupKFold

    _refuse_few_groups(table, n_folds)
    splitter = GroupKFold(n_folds, shuffle=True, random_state=seed)
    return _numbered(splitter.split(table, groups=table["group"]), len(table))


def stratified_group(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """No group lies in two folds, and classes keep their shares as far as the groups allow."""
    from sklearn.model_selection import StratifiedGroupKFold

    _refuse_few_groups(table, n_folds)
    _refuse_small_classes(content, n_folds)
    if not _is_labels(content):
        return _shared_out(content, table["group"], n_folds, seed)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return _numbered(splitter.split(table, content.idxmax(axis=1), table["group"]), len(table))


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
        of_piece = _numbered(splitter.split(images, kinds, groups.to_numpy()[images]), len(images))
    folds = np.empty(len(content), dtype=np.int64)
    folds[images] = of_piece
    return folds


def predefined(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
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


def split(
    table: pd.DataFrame,
    content: pd.DataFrame,
    splitter: str,
    n_folds: int,
    seed: int,
    known: Mapping[str, int] = MappingProxyType({}),
) -> NDArray[np.int64]:
    """Validation fold (0 .. n_folds-1) of each row of ``table``; every fold has images, and every class in training.

    The result does not depend on the order of the rows.

    Args:
        content: how much of each class is in each image.
        known: id -> fold of an earlier split, which is kept and extended; folds that the user defines go before.

    Raises:
        DataError: the data cannot be split so.
    """
    if splitter not in SPLITTERS:
        raise unknown("splitter", splitter, SPLITTERS)
    order = np.argsort(table["id"].to_numpy(dtype=str), kind="stable")
    folds = np.empty(len(table), dtype=np.int64)
    ordered = table.iloc[order].reset_index(drop=True), content.iloc[order].reset_index(drop=True)
    if known and splitter != "predefined":
        folds[order] = extend(joined(ordered[0]), ordered[1], dict(known), n_folds, seed)
    else:
        numbers = SPLITTERS[splitter](*ordered, n_folds, seed)
        folds[order] = numbers if splitter == "predefined" else reunited(*ordered, numbers, n_folds, seed)
    _check(table if splitter == "predefined" else joined(table), content, folds, n_folds)
    return folds


def _numbered(parts: Iterable[tuple[Any, Any]], n: int) -> NDArray[np.int64]:
    folds = np.full(n, -1, dtype=np.int64)
    for number, (_, validation) in enumerate(parts):
        folds[validation] = number
    return folds


def _refuse_small_classes(content: pd.DataFrame, n_folds: int) -> None:
    counts = (content > 0).sum()
    small = counts[counts < n_folds].sort_values(kind="stable")
    if len(small):
        raise DataError(
            f"class {small.index[0]!r} has {small.iloc[0]} images, fewer than folds.n_folds: {n_folds} "
            f"({len(small)} such classes). Lower n_folds, add images, or merge or remove the class."
        )


def _refuse_few_groups(table: pd.DataFrame, n_folds: int) -> None:
    if (n_groups := table["group"].nunique()) < n_folds:
        raise DataError(f"there are {n_groups} groups, fewer than folds.n_folds: {n_folds}. Lower n_folds.")


def _check(table: pd.DataFrame, content: pd.DataFrame, folds: NDArray[np.int64], n_folds: int) -> None:
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
        learnt = content[folds != number].sum()
        unseen = learnt.index[learnt == 0]
        if len(unseen):
            raise DataError(
                f"all images of class {unseen[0]!r} fall into fold {number}, so its models would never see the class. "
                f"Lower folds.n_folds, or use groups that do not hold a whole class."
                + " Copies share a fold, see duplicates.csv; data.duplicates says otherwise."
                * (COLUMN in table)
            )
