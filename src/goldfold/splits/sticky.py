"""Folds that images keep when others come or go."""

import hashlib
from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def extend(
    table: pd.DataFrame, content: pd.DataFrame, known: dict[str, int], n_folds: int, seed: int
) -> NDArray[np.int64]:
    """Validation fold of each row of ``table``: the known one, and for new images where they even the classes out.

    A group with known images goes where most of them are, whole: one that has grown together from several moves. New
    groups are shared out as scikit-learn's StratifiedGroupKFold does it: the largest first, each to the fold in which
    the classes' shares then spread least.

    Args:
        table: columns id and, where images must stay together, group.
        content: how much of each class is in each image.
        known: id -> fold of an earlier split into as many folds; ids that are gone do not matter.
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
    """Unit -> the fold of most of its known images, the lowest of several."""
    known = pd.DataFrame({"unit": units, "fold": folds}).dropna()
    counts = known.groupby(["unit", "fold"]).size().reset_index(name="n")
    first = counts.sort_values(["n", "fold"], ascending=[False, True], kind="stable").drop_duplicates("unit")
    return dict(zip(first["unit"], first["fold"].astype(int), strict=True))


def _evenest(held: NDArray[np.float64], amount: NDArray[np.float64], totals: NDArray[np.float64]) -> int:
    """The fold that ``amount`` must go to for shares to spread least; the smallest of several."""
    spreads = []
    for fold in range(len(held)):
        tried = held.copy()
        tried[fold] += amount
        spreads.append((round(float((tried / totals).std(axis=0).mean()), 12), held[fold, -1], fold))
    return min(spreads)[2]


def _draw(seed: int, unit: Hashable) -> bytes:
    """A random order that does not depend on the order of rows."""
    return hashlib.sha256(f"{seed} {unit}".encode()).digest()
