"""Split training images into folds."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.data.splits.checks import check, check_tolerance
from goldfold.data.splits.multilabel import multilabel_stratified, multilabel_stratified_group
from goldfold.data.splits.ordered import ordered, ordered_blocks
from goldfold.data.splits.predefined import listed, predefined
from goldfold.data.splits.stratified import group, rare_classes, stratified, stratified_group
from goldfold.data.splits.training import is_train_only, training
from goldfold.data.sticky import extend
from goldfold.data.together import joined, reunited
from goldfold.runtime.errors import DataError, unknown

Splitter = Callable[[pd.DataFrame, pd.DataFrame, int, int], NDArray[np.int64]]
"""(table with, where given, group, fold and order; content; number of folds; seed) -> validation fold of each row.

-1 is for a row that is never validated. The content has a column a class and says how much of it is in each image: 1 for
its label, objects, or pixels.
"""
SPLITTERS: dict[str, Splitter] = {
    "stratified": stratified,
    "group": group,
    "stratified_group": stratified_group,
    "multilabel_stratified": multilabel_stratified,
    "multilabel_stratified_group": multilabel_stratified_group,
    "ordered": ordered,
    "ordered_blocks": ordered_blocks,
    "predefined": predefined,
}
UNKEPT = frozenset({"predefined", "ordered", "ordered_blocks"})
"""Splitters that do not go by an earlier split: the user, or the order, says where each image belongs."""


def split(
    table: pd.DataFrame,
    content: pd.DataFrame,
    splitter: str,
    n_folds: int,
    seed: int,
    known: Mapping[str, int] = MappingProxyType({}),
    gap: float = 0.0,
    tolerance: float | None = None,
    spares_rare: bool = False,
) -> NDArray[np.int64]:
    """Validation fold (0 .. n_folds-1) of each row of ``table``; every fold has images, and every class in training.

    Rows of the column ``train_only`` and the first rows of an ordered split are never validated: -1. The result does not
    depend on the order of the rows.

    Args:
        content: how much of each class is in each image.
        known: id -> fold of an earlier split, which is kept and extended; folds that the user defines go before.
        gap: see `training`.
        tolerance: see `check_tolerance`; None accepts any.
        spares_rare: whether classes with fewer images than folds are left to chance rather than refused, which suits tasks
            whose images have several classes each.

    Raises:
        DataError: the data cannot be split so.
    """
    if splitter not in SPLITTERS:
        raise unknown("splitter", splitter, SPLITTERS)
    if spares_rare:
        content = content.drop(columns=rare_classes(content, n_folds))
    mine = np.flatnonzero(~is_train_only(table))
    if not len(mine):
        raise DataError(
            f"all {len(table)} training images are marked as train_only: none is left to validate. Give some to the folds."
        )
    order = mine[np.argsort(table["id"].to_numpy(dtype=str)[mine], kind="stable")]
    folds = np.full(len(table), -1, dtype=np.int64)
    sorted_rows = table.iloc[order].reset_index(drop=True), content.iloc[order].reset_index(drop=True)
    if known and splitter not in UNKEPT:
        folds[order] = extend(joined(sorted_rows[0]), sorted_rows[1], dict(known), n_folds, seed)
    else:
        numbers = SPLITTERS[splitter](*sorted_rows, n_folds, seed)
        folds[order] = numbers if splitter in UNKEPT else reunited(*sorted_rows, numbers, n_folds, seed)
    united = table if splitter in UNKEPT else _united(table, mine)
    check(united, content, folds, training(table, folds, n_folds, splitter, gap), splitter)
    if tolerance is not None:
        check_tolerance(content, folds, n_folds, tolerance)
    return folds


def _united(table: pd.DataFrame, mine: NDArray[np.int64]) -> pd.DataFrame:
    """``table`` with copies in the groups of the rows ``mine``, as they were split."""
    groups = joined(table.iloc[mine]).get("group")
    if groups is None:
        return table
    return table.assign(group=groups.reindex(table.index).fillna(table["group" if "group" in table else "id"]))


__all__ = ["SPLITTERS", "UNKEPT", "listed", "split", "training"]
