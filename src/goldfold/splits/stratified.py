"""Stratified and grouped folds by scikit-learn's rules, evened out as far as whole groups allow."""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.splits.even import EVEN, evened, unevenness
from goldfold.splits.greedy import stratified_units

NOTHING, IMAGE = "(nothing)", "(image)"
PIECES = 4
"""Number of samples that a class counts for in an image of average content."""


def stratified(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Each fold has about its share of each class."""
    from sklearn.model_selection import StratifiedKFold

    if not is_labels(content) or content.sum().max() < n_folds:
        return _shared_out(content, pd.Series(range(len(table))), n_folds, seed)
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # rare classes are refused or reported elsewhere
        return numbered(splitter.split(table, content.idxmax(axis=1)), len(table))


def group(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """No group is in two folds; folds are as even in size as the groups allow."""
    from sklearn.model_selection import GroupKFold

    refuse_few_groups(table, n_folds)
    splitter = GroupKFold(n_folds, shuffle=True, random_state=seed)
    numbers = pd.factorize(table["group"], sort=True)[0]  # a hundred times faster than comparing texts in scikit-learn
    folds = numbered(splitter.split(table, groups=numbers), len(table))
    return evened_units(content.iloc[:, :0], table["group"], folds, n_folds, seed)


def stratified_group(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """No group is in two folds, and classes keep their shares as far as the groups allow."""
    refuse_few_groups(table, n_folds)
    return _shared_out(content, table["group"], n_folds, seed)


def evened_units(
    content: pd.DataFrame, units: "pd.Series[Any]", folds: NDArray[np.int64], n_folds: int, seed: int,
    slack: float = 1.0,
) -> NDArray[np.int64]:  # fmt: skip
    """``folds``, which split no unit, evened out if they deviate by the smallest image of a class or more.

    Args:
        slack: accepted deviation, in units of such images or of half a per cent.
    """
    number, names = pd.factorize(units, sort=True)
    of_image = _with_images(content)
    amounts = sums(of_image, number, len(names))
    grain = np.where(of_image > 0, of_image, np.inf).min(axis=0, initial=np.inf)
    of_unit = np.empty(len(names), dtype=np.int64)
    of_unit[number] = folds
    return evened(amounts, of_unit, n_folds, seed, slack * grain, slack * EVEN)[number]


def unevenness_of(content: pd.DataFrame, folds: NDArray[np.int64], n_folds: int) -> float:
    """`goldfold.splits.even.unevenness` of folds of images."""
    return unevenness(_with_images(content), folds, n_folds)


def _with_images(content: pd.DataFrame) -> NDArray[np.float64]:
    """(images, columns): ``content``, whether the image has no class, and 1 for the image."""
    return content.assign(**{NOTHING: ~(content > 0).any(axis=1), IMAGE: 1}).to_numpy(dtype=float)


def sums(content: NDArray[np.float64], number: NDArray[np.int64], n_units: int) -> NDArray[np.float64]:
    """(units, columns): sums of ``content`` over rows; ``number`` is the unit of each row."""
    amounts = np.zeros((n_units, content.shape[1]))
    np.add.at(amounts, number, content)
    return amounts


def is_labels(content: pd.DataFrame) -> bool:
    """Return whether each image has exactly one class, once."""
    return bool((content.sum(axis=1) == 1).all() and (content.max(axis=1) == 1).all())


def _shared_out(content: pd.DataFrame, groups: "pd.Series[Any]", n_folds: int, seed: int) -> NDArray[np.int64]:
    """Folds with about the same objects (or pixels) of each class, and the same number of images.

    Starts with scikit-learn's rule for grouped samples. If images have several objects, the samples are the objects, grouped
    by image (or its group); pixels are counted in units of a quarter of the average amount in images of the class; each
    image is one more sample, so that images are balanced too.
    """
    counts = content if is_labels(content) else _pieces(content)
    number, names = pd.factorize(groups, sort=True)
    of_unit = stratified_units(
        sums(counts[sorted(counts.columns)].to_numpy(dtype=float), number, len(names)), n_folds, seed
    )
    return evened_units(content, groups, of_unit[number], n_folds, seed)


def _pieces(content: pd.DataFrame) -> pd.DataFrame:
    """Samples of each class in each image, and one for the image itself."""
    has = content > 0
    unit = np.where((content.max(axis=0) > 100), content.sum(axis=0) / has.sum(axis=0).clip(lower=1) / PIECES, 1.0)
    return np.ceil(content / unit).astype(int).assign(**{NOTHING: (~has.any(axis=1)).astype(int), IMAGE: 1})


def numbered(parts: Iterable[tuple[Any, Any]], n: int) -> NDArray[np.int64]:
    """Validation fold of each row, from pairs (training rows, validation rows)."""
    folds = np.full(n, -1, dtype=np.int64)
    for number, (_, validation) in enumerate(parts):
        folds[validation] = number
    return folds


def refuse_small_classes(content: pd.DataFrame, is_external: NDArray[np.bool_], n_folds: int) -> None:
    """Raise DataError if a class has fewer images, without external ones, than there are folds."""
    counts, n_external = (content[~is_external] > 0).sum(), (content[is_external] > 0).sum()
    small = counts[counts < n_folds].sort_values(kind="stable")
    if len(small) and not small.iloc[0] and n_external[small.index[0]]:
        raise DataError(
            f"class {small.index[0]!r} has no image that could be validated: all of them are external (data.extra_train, "
            f"data.train_only_column). Add own images, at least folds.n_folds: {n_folds}, or merge or remove the class. Or "
            f"accept it: folds.rare_classes: train_only (its images are trained on and never validated)."
        )
    if len(small):
        raise DataError(
            f"class {small.index[0]!r} has {count(int(small.iloc[0]), 'image')}, fewer than folds.n_folds: {n_folds} "
            f"({count(len(small), 'such class', 'such classes')}). Lower n_folds, add images, or merge or remove the class. "
            f"Or accept them: folds.rare_classes: train_only (their images are trained on and never validated) or spread "
            f"(each is validated by one fold)."
        )


def refuse_few_groups(table: pd.DataFrame, n_folds: int) -> None:
    """Raise DataError if there are fewer groups than folds."""
    if (n_groups := table["group"].nunique()) < n_folds:
        raise DataError(f"there are {n_groups} groups, fewer than folds.n_folds: {n_folds}. Lower n_folds.")
