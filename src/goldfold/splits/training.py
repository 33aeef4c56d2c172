"""What each fold learns from."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.images import cases
from goldfold.splits.ordered import positions
from goldfold.splits.together import COLUMN, joined

SHARED = ("group", "sha256")
"""Columns whose values must not be on both sides of a fold, where rows are never validated or the order decides."""


def is_train_only(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows that are never validated because the user says so."""
    if "train_only" not in table:
        return np.zeros(len(table), dtype=bool)
    return (table["train_only"] == "1").to_numpy()


def training(
    table: pd.DataFrame, folds: NDArray[np.int64], n_folds: int, splitter: str, gap: float = 0.0
) -> NDArray[np.bool_]:
    """(n_folds, rows): whether a fold's models learn from a row.

    They learn from every row that they are not scored on, but

    - in an ordered split only from what comes before the validation part, at least ``gap`` before its first image; with
      blocks also from what comes at least ``gap`` after its last one; and never from a group that they are scored on
    - never from a copy of an image that they are scored on, where the manifest names copies
    - never from a row without a fold (-1) that is of a group they are scored on, or is a copy of one of its images; nor
      from such a case that shares an image with a case they are scored on

    Args:
        folds: validation fold of each row, -1 where it has none.
        gap: in units of the column ``order``; days where it holds dates.
    """
    learnt = np.stack([folds != number for number in range(n_folds)])
    is_ordered = splitter in ("ordered", "ordered_blocks")
    if is_ordered:
        place = positions(table)
        for number in range(n_folds):
            validated = place[folds == number]
            learnt[number] &= np.isnan(place) | _is_apart(place, validated, gap, splitter == "ordered_blocks")
    is_copy = (table[COLUMN] != "").to_numpy() if COLUMN in table else np.zeros(len(table), dtype=bool)
    suspects = np.ones(len(table), dtype=bool) if is_ordered else (folds < 0) | is_copy
    if suspects.any():
        for rows, values in _shared(joined(table)):
            for number in range(n_folds):
                beside = rows[np.isin(values, values[folds[rows] == number])]
                learnt[number] &= ~(suspects & np.isin(np.arange(len(table)), beside))
    return learnt


def _shared(table: pd.DataFrame) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows, and the number of a value of each, of values that must not be on both sides; a case has one for each image."""
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
        return np.ones(len(place), dtype=bool)  # refused in words by the checks
    first, last = validated.min(), validated.max()
    earlier = (place < first) & (place <= first - gap)
    return earlier | ((place > last) & (place >= last + gap)) if with_later else earlier
