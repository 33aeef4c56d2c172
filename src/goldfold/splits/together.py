"""Images that must share a fold: those of a group, and copies of each other."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.splits.sticky import extend

Positions = NDArray[np.int64]
COLUMN = "copies"
"""Column of the training table: the first image of a set of copies, empty for an image without copies."""


def components(n: int, pairs: Positions) -> Positions:
    """(n,) group number of each image, from 0 by first appearance.

    Args:
        pairs: (pairs, 2) positions of images that belong together.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return pd.factorize(connected_components(graph, directed=False)[1])[0].astype(np.int64)


def joined(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with groups merged from the user's groups and copies; unchanged without copies.

    Args:
        table: id; `COLUMN` if there are copies, group if the user gives groups.
    """
    if COLUMN not in table:
        return table
    n, copies = len(table), table[COLUMN].to_numpy(object)
    names = table["group" if "group" in table else "id"].to_numpy(object)
    rows = np.flatnonzero(copies != "")
    pairs = [np.stack([_first(names), np.arange(n)], axis=1), np.stack([rows[_first(copies[rows])], rows], axis=1)]
    return table.assign(group=names[_first(components(n, np.concatenate(pairs)))])


def reunited(
    table: pd.DataFrame, content: pd.DataFrame, folds: Positions, n_folds: int, seed: int
) -> NDArray[np.int64]:
    """``folds`` in which copies that a splitter has separated move together with their groups, and all others stay.

    Args:
        table: as for `joined`.
        content: amount of each class in each image; copies go where they balance the classes best.
    """
    if COLUMN not in table:
        return folds
    table = joined(table)
    is_whole = (pd.Series(folds).groupby(table["group"].to_numpy()).transform("nunique") == 1).to_numpy()
    if is_whole.all():
        return folds
    known = dict(zip(table["id"][is_whole], folds[is_whole].tolist(), strict=True))
    return extend(table, content, known, n_folds, seed)


def parted(table: pd.DataFrame, folds: Positions) -> int:
    """Number of groups of copies that are validated in more than one fold, by the user's folds or an order."""
    if COLUMN not in table:
        return 0
    rows = (table[COLUMN] != "").to_numpy() & (folds >= 0)
    return int((pd.Series(folds[rows]).groupby(table[COLUMN].to_numpy()[rows]).nunique() > 1).sum())


def _first(values: NDArray[Any]) -> Positions:
    """(n,) position of the first occurrence of each value."""
    numbers = pd.factorize(values)[0]
    return np.unique(numbers, return_index=True)[1][numbers]
