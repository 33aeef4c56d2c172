"""Predictions that must be finite before they are fused, taught from or submitted: NaN would spread through every average."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.predictions import arrays
from goldfold.predictions.arrays import PER_OBJECT, Arrays

BLOCK = 65_536
"""Rows that are looked at together, so that little memory is used."""


def load(path: str | Path, where: str = "") -> Arrays:
    """Read predictions as `goldfold.predictions.arrays.load` does, and refuse those that are not finite.

    Arrays of single images, such as maps, are whole numbers and are not read.

    Args:
        where: what the error names; default: the path, which has the model, round, fold, seed and part.

    Raises:
        DataError: a number is NaN or infinite. An external member has NaN for the classes that it does not know.
    """
    found = arrays.load(path)
    refuse(found, where or str(path))
    return found


def refuse(found: Arrays, where: str) -> None:
    """Raise DataError naming ``where``, the entry and the first id if a number is NaN or infinite."""
    for name in [name for name in found if "/" not in name]:
        if np.issubdtype(found[name].dtype, np.floating) and (rows := [*_odd_rows(found[name])]):
            ids = _ids(found, name, rows)
            raise DataError(
                f"{where}: {name} of {len(ids):,} of {len(found['ids']):,} cases are NaN or infinite, first {ids[0]!r}. Every "
                f"prediction must be finite. If a network of this run made them, its training diverged: lower train.lr or "
                f"set train.clip_norm, or remove the model."
            )


def _odd_rows(values: NDArray[np.floating]) -> Iterator[int]:
    """Rows with a number that is not finite, but for columns that are NaN throughout while others are not."""
    if not values.ndim:
        yield from () if np.isfinite(values) else (0,)
        return
    unknown = np.zeros(values.shape[1:], dtype=bool)
    if values.ndim == 2 and len(values) and np.isnan(values[0]).any() and not np.isnan(values[0]).all():
        unknown = np.isnan(values[0]) & np.array([bool(np.isnan(column).all()) for column in values.T])
    for start in range(0, len(values), BLOCK):
        is_good = np.isfinite(values[start : start + BLOCK]) | unknown
        if not is_good.all():
            yield from (start + np.flatnonzero(~is_good.reshape(len(is_good), -1).all(axis=1))).tolist()


def _ids(found: Arrays, name: str, rows: list[int]) -> list[str]:
    """Ids of the cases of some rows, each once; rows of objects belong to the case whose count they fall in."""
    ids = found["ids"]
    if name in PER_OBJECT and "counts" in found:
        rows = np.unique(np.searchsorted(np.cumsum(found["counts"]), rows, side="right")).tolist()
    return [str(ids[row]) for row in rows] if found[name].ndim else [str(ids[0])]
