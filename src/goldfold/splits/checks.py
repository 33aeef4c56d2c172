"""Checks of splits: empty parts, split groups, classes that are never trained on or scored, uneven classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.splits.together import COLUMN


def check(
    table: pd.DataFrame, content: pd.DataFrame, folds: NDArray[np.int64], trained: NDArray[np.bool_], splitter: str,
    rare: Sequence[str] = (),
) -> None:  # fmt: skip
    """Raise DataError if models could not be trained, or their scores would be too optimistic.

    Args:
        folds: validation fold of each row, -1 for none.
        trained: (folds, rows) mask of training rows, see `goldfold.splits.training`.
        rare: classes that a fold need not train on or score, by `folds.rare_classes`.
    """
    content = content.drop(columns=list(rare))
    is_ordered = splitter in ("ordered", "ordered_blocks")
    if "group" in table and not is_ordered:
        _refuse_split_groups(table, folds)
    for number, part in enumerate(trained):
        if not (folds == number).any():
            raise DataError(f"fold {number} has no validation images. Lower folds.n_folds or choose another splitter.")
        if not part.any():
            raise DataError(f"fold {number} has no training images. Lower folds.n_folds or folds.gap.")
        amounts = content[part].sum()
        unseen = amounts.index[amounts == 0]
        if len(unseen) and (content[folds != number][unseen[0]].sum() == 0 or not is_ordered):
            raise DataError(
                f"all images of class {unseen[0]!r} are in fold {number}, so its models would never see the class. "
                f"Lower folds.n_folds, use groups that do not contain a whole class, or set folds.rare_classes."
                + " Copies share a fold, see duplicates.csv; data.duplicates changes this."
                * (COLUMN in table)
            )
        if len(unseen):
            raise DataError(
                f"the training images of fold {number}, which are those before its validation part, have no image of class "
                f"{unseen[0]!r}. Lower folds.n_folds or folds.gap, merge or remove the class, or use splitter: ordered_blocks."
            )
    scored = content[folds >= 0].sum()
    unscored = scored.index[scored == 0]
    if len(unscored):
        n = count(len(unscored), "such class", "such classes")
        raise DataError(
            f"class {unscored[0]!r} is in no validation part: all its images are train_only or first in the order, so it would "
            f"be predicted but never scored ({n}). Merge or remove it, validate some of its images, or set "
            f"folds.rare_classes."
        )


def _refuse_split_groups(table: pd.DataFrame, folds: NDArray[np.int64]) -> None:
    validated = folds >= 0
    parts = pd.Series(folds[validated]).groupby(table["group"].to_numpy()[validated]).nunique()
    if (parts > 1).any():
        raise DataError(
            f"group {parts.index[parts > 1][0]!r} is in more than one fold ({count(int((parts > 1).sum()), 'such group')}). "
            f"Correct {table.attrs.get('fold', 'data.fold_column')}, or use splitter: stratified_group."
        )


def deviations(content: pd.DataFrame, folds: NDArray[np.int64], n_folds: int) -> pd.DataFrame:
    """Relative deviation of each class from its even share in each fold, see `shares`, from the content of images."""
    return shares(amounts(content, folds).reindex(pd.RangeIndex(n_folds, name="fold"), fill_value=0))


def amounts(content: pd.DataFrame, folds: NDArray[np.int64]) -> pd.DataFrame:
    """Amount of each class (column) that each fold (row) validates; -1 stands for images that no fold validates.

    Labels are added up fold by fold: pandas would copy all images x classes as 64-bit integers.
    """
    if not all(kind.kind == "i" for kind in content.dtypes.unique()):
        return content.groupby(folds).sum()
    numbers, values = np.unique(folds), content.to_numpy()
    sums = np.array([values[folds == number].sum(axis=0, dtype=np.int64) for number in numbers])
    return pd.DataFrame(sums.reshape(len(numbers), content.shape[1]), index=numbers, columns=content.columns)


def shares(amounts: pd.DataFrame) -> pd.DataFrame:
    """Relative deviation of each class from its even share in each fold: 0.1 is 10 % more than even, -1 is none at all.

    Args:
        amounts: amount of each class (column) that each fold (row) validates.
    """
    even = amounts.mean()
    return (amounts / even.where(even > 0) - 1).fillna(0.0)


def read_summary(path: str | Path) -> pd.DataFrame:
    """Read ``folds/summary.csv``, one row per fold; a class may be named ``fold`` too, which pandas would rename."""
    names = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
    return pd.read_csv(path, index_col=0).set_axis(names[1:].tolist(), axis=1)


def worst(table: pd.DataFrame) -> tuple[str, int, float]:
    """Class, fold and value of the largest absolute deviation, see `deviations`; the first of equal ones."""
    sizes = table.abs().to_numpy().round(9)
    fold, kind = np.unravel_index(int(sizes.argmax()), sizes.shape)
    return str(table.columns[kind]), int(fold), float(table.iloc[int(fold), int(kind)])


def check_tolerance(content: pd.DataFrame, folds: NDArray[np.int64], n_folds: int, tolerance: float) -> None:
    """Raise DataError if a fold deviates from its even share of a class by more than ``tolerance`` times that share.

    The amount of an average image of the class is always allowed: 5 folds cannot have 1.4 of 7 images each.

    Args:
        tolerance: 0.1 is 10 %.
    """
    far, validated = deviations(content, folds, n_folds), content[folds >= 0]
    even = validated.sum() / n_folds
    of_image = validated.sum() / (validated > 0).sum().clip(lower=1)
    beyond = far.where(far.abs() * even > np.maximum(tolerance * even, of_image) + 1e-9, 0.0)
    if not (beyond != 0).any(axis=None):
        return
    name, fold, value = worst(beyond)
    raise DataError(
        f"folds.tolerance = {tolerance:g}: fold {fold} has {abs(value):.0%} {'more' if value > 0 else 'less'} of class "
        f"{name!r} than its even share ({int((beyond != 0).to_numpy().sum())} of {beyond.size} cells exceed it). Lower "
        f"folds.n_folds, use a stratified splitter, another folds.seed or smaller groups, or raise the tolerance."
    )
