"""Training rows of each fold."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.images import cases
from goldfold.splits.ordered import positions
from goldfold.splits.together import COLUMN, joined

SHARED = ("group", "sha256")
"""Columns whose values must not be on both sides of a fold, for rows that are never validated and ordered splits."""


def is_train_only(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Mask of rows that the user marked as train-only."""
    if "train_only" not in table:
        return np.zeros(len(table), dtype=bool)
    return (table["train_only"] == "1").to_numpy()


def training(
    table: pd.DataFrame, folds: NDArray[np.int64], n_folds: int, splitter: str, gap: float = 0.0
) -> NDArray[np.bool_]:
    """(n_folds, rows) mask: whether a fold's models are trained on a row.

    They are trained on every row that they are not scored on, except

    - in an ordered split, rows that are not before the validation part, at least ``gap`` before its first image (with
      blocks, or at least ``gap`` after its last one), and rows of groups that they are scored on
    - copies of images that they are scored on, if the manifest lists copies
    - rows without a fold (-1) of a group that they are scored on, or that are copies of one of its images, and such cases
      that share an image with a case that they are scored on

    Args:
        folds: validation fold of each row, -1 for none.
        gap: in units of the column ``order``; days for dates.
    """
    trained = np.stack([folds != number for number in range(n_folds)])
    is_ordered = splitter in ("ordered", "ordered_blocks")
    if is_ordered:
        place = positions(table)
        for number in range(n_folds):
            validated = place[folds == number]
            trained[number] &= np.isnan(place) | _is_apart(place, validated, gap, splitter == "ordered_blocks")
    is_copy = (table[COLUMN] != "").to_numpy() if COLUMN in table else np.zeros(len(table), dtype=bool)
    suspects = np.ones(len(table), dtype=bool) if is_ordered else (folds < 0) | is_copy
    if suspects.any():
        for rows, values in _shared(joined(table)):
            for number in range(n_folds):
                beside = rows[np.isin(values, values[folds[rows] == number])]
                trained[number] &= ~(suspects & np.isin(np.arange(len(table)), beside))
    return trained


def _shared(table: pd.DataFrame) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows and value numbers, for each kind of value that must not be on both sides; a case has one per image."""
    for column in [name for name in SHARED if name in table]:
        yield np.arange(len(table)), pd.factorize(table[column])[0]
    if cases.DIGESTS in table:
        digests = [cases.from_text(text) for text in table[cases.DIGESTS]]
        pairs = [(row, digest) for row, own in enumerate(digests) for digest in own if digest is not None]
        yield np.array([row for row, _ in pairs], np.intp), pd.factorize(np.array([one for _, one in pairs], object))[0]


def _is_apart(
    place: NDArray[np.float64], validated: NDArray[np.float64], gap: float, with_later: bool
) -> NDArray[np.bool_]:
    if not len(validated):
        return np.ones(len(place), dtype=bool)  # the checks report this
    first, last = validated.min(), validated.max()
    earlier = (place < first) & (place <= first - gap)
    return earlier | ((place > last) & (place >= last + gap)) if with_later else earlier
