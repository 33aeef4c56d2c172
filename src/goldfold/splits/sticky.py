"""Sticky folds, which images keep when others are added or removed."""

import hashlib
from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def extend(
    table: pd.DataFrame, content: pd.DataFrame, known: dict[str, int], n_folds: int, seed: int
) -> NDArray[np.int64]:
    """Validation fold of each row of ``table``: the known one, and for new images the one that balances the classes best.

    A group with known images goes, as a whole, where most of them are; if several groups have merged, some images move. New
    groups are distributed as in scikit-learn's StratifiedGroupKFold: the most uneven first, each to the fold in which the
    shares of the classes then spread least.

    Args:
        table: columns id and, if images must stay together, group.
        content: amount of each class in each image.
        known: id -> fold of an earlier split into the same number of folds; ids that no longer exist are ignored.
    """
    ids = table["id"].astype(str).to_numpy()
    units = table["group"].astype(str).to_numpy() if "group" in table else ids
    fold_of = _where_most_are(units, pd.Series(ids).map(known))
    amounts = content.assign(**{"(images)": 1.0}).groupby(units).sum()
    new = amounts[~amounts.index.isin(list(fold_of))]
    held = np.zeros((n_folds, amounts.shape[1]))
    np.add.at(held, np.fromiter(fold_of.values(), np.int64), amounts.loc[list(fold_of)].to_numpy())
    totals = np.maximum(amounts.sum().to_numpy(), 1e-12)
    order = sorted(new.index, key=lambda unit: (-new.loc[unit].std(ddof=0), _draw(seed, unit)))
    for unit in order:
        fold = _evenest(held, new.loc[unit].to_numpy(), totals)
        held[fold] += new.loc[unit].to_numpy()
        fold_of[unit] = fold
    return np.array([fold_of[unit] for unit in units], dtype=np.int64)


def _where_most_are(units: NDArray[np.str_], folds: "pd.Series[float]") -> dict[Hashable, int]:
    """Unit -> the fold of most of its known images; of equal ones, the lowest."""
    known = pd.DataFrame({"unit": units, "fold": folds}).dropna()
    counts = known.groupby(["unit", "fold"]).size().reset_index(name="n")
    first = counts.sort_values(["n", "fold"], ascending=[False, True], kind="stable").drop_duplicates("unit")
    return dict(zip(first["unit"], first["fold"].astype(int), strict=True))


def _evenest(held: NDArray[np.float64], amount: NDArray[np.float64], totals: NDArray[np.float64]) -> int:
    """The fold in which adding ``amount`` gives the smallest spread of shares; of equal ones, the smallest fold."""
    spreads = []
    for fold in range(len(held)):
        tried = held.copy()
        tried[fold] += amount
        spreads.append((round(float((tried / totals).std(axis=0).mean()), 12), held[fold, -1], fold))
    return min(spreads)[2]


def _draw(seed: int, unit: Hashable) -> bytes:
    """Sort key for a random order that does not depend on the order of rows."""
    return hashlib.sha256(f"{seed} {unit}".encode()).digest()
