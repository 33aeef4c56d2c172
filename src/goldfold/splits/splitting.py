"""Split training images into folds."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import components
from goldfold.base.errors import DataError
from goldfold.catalog import SPLITTERS
from goldfold.splits.checks import check, check_tolerance
from goldfold.splits.predefined import listed
from goldfold.splits.rare import in_one_part, rare, rows_of
from goldfold.splits.sticky import extend
from goldfold.splits.stratified import evened_units, is_labels, refuse_small_classes, unevenness_of
from goldfold.splits.together import joined, reunited
from goldfold.splits.training import is_train_only, training

Splitter = Callable[[pd.DataFrame, pd.DataFrame, int, int], NDArray[np.int64]]
"""(table with, where given, group, fold and order; content; number of folds; seed) -> validation fold of each row.

-1 is for a row that is never validated. The content has a column a class and says how much of it is in each image: 1 for
its label, objects, or pixels.
"""
BY_CLASS = frozenset({"stratified", "stratified_group", "multilabel_stratified", "multilabel_stratified_group"})
"""Splitters that share out classes, of which each fold is to have some."""
UNKEPT = frozenset({"predefined", "ordered", "ordered_blocks"})
"""Splitters that do not go by an earlier split: the user, or the order, says where each image belongs."""

SPREAD_FEW = "spread_few"
"""Policy of images that hold several classes, where the config names none."""
SLACK = 2.5
"""Images by which folds of labels may be off after copies were reunited before others move too."""
LOST = 0.01
"""By how much more uneven folds may be after copies were reunited before others move too."""


def split(
    table: pd.DataFrame,
    content: pd.DataFrame,
    splitter: components.Written,
    n_folds: int,
    seed: int,
    known: Mapping[str, int] = MappingProxyType({}),
    gap: float = 0.0,
    tolerance: float | None = None,
    rare_classes: str = "fail",
) -> NDArray[np.int64]:
    """Validation fold (0 .. n_folds-1) of each row of ``table``; every fold has images, and every class in training.

    Rows of the column ``train_only`` and the first rows of an ordered split are never validated: -1. The result does not
    depend on the order of the rows.

    Args:
        content: how much of each class is in each image.
        known: id -> fold of an earlier split, which is kept and extended; folds that the user defines go before.
        gap: see `training`.
        tolerance: see `check_tolerance`; None accepts any.
        rare_classes: what to do with the classes of `rare`, and of those `in_one_part`: ``fail``; ``train_only``, their
            images are learnt from and never validated; ``spread``, their images are shared out as far as they go;
            `SPREAD_FEW`, so are those of classes with too few images, and one that is all in one group fails.

    Raises:
        DataError: the data cannot be split so.
    """
    function = components.load(splitter, SPLITTERS, "splitter")
    splitter = components.name_of(splitter)
    few = rare(table, content, n_folds, by_group=rare_classes != SPREAD_FEW)
    if rare_classes == "fail" and splitter in BY_CLASS and not is_train_only(table).all():
        refuse_small_classes(content[~is_train_only(table)], n_folds)
    apart = rows_of(content, few) if rare_classes == "train_only" else np.zeros(len(table), dtype=bool)
    mine = np.flatnonzero(~is_train_only(table) & ~apart)
    if not len(mine):
        marked = (
            "marked as train_only" if not apart.any() else "train_only, or of a class that folds.rare_classes keeps so"
        )
        raise DataError(
            f"all {len(table)} training images are {marked}: none is left to validate. Give some to the folds."
        )
    order = mine[np.argsort(table["id"].to_numpy(dtype=str)[mine], kind="stable")]
    folds = np.full(len(table), -1, dtype=np.int64)
    sorted_rows = table.iloc[order].reset_index(drop=True), content.iloc[order].reset_index(drop=True)
    if known and splitter not in UNKEPT:
        folds[order] = extend(joined(sorted_rows[0]), sorted_rows[1], dict(known), n_folds, seed)
    else:
        numbers = function(*sorted_rows, n_folds, seed)
        folds[order] = numbers if splitter in UNKEPT else _with_copies(*sorted_rows, numbers, n_folds, seed, splitter)
    alone = in_one_part(content, folds) if rare_classes in ("train_only", "spread") else []
    if rare_classes == "train_only":
        folds[rows_of(content, alone)] = -1
    united = table if splitter in UNKEPT else _united(table, mine)
    known_rare = [*few, *alone] if rare_classes != "fail" else []
    check(united, content, folds, training(table, folds, n_folds, splitter, gap), splitter, known_rare)
    if tolerance is not None:
        check_tolerance(content.drop(columns=known_rare), folds, n_folds, tolerance)
    return folds


def _with_copies(
    table: pd.DataFrame, content: pd.DataFrame, numbers: NDArray[np.int64], n_folds: int, seed: int, splitter: str
) -> NDArray[np.int64]:
    """``numbers`` with copies reunited; where large groups of copies make folds uneven, others move to make up for them."""
    whole = reunited(table, content, numbers, n_folds, seed)
    if (whole == numbers).all():
        return numbers
    amounts = {"group": content.iloc[:, :0], "stratified": content, "stratified_group": content}
    shares = amounts.get(splitter, (content > 0).astype(int))
    before, after = (unevenness_of(shares, own, n_folds) for own in (numbers, whole))
    if after <= before + LOST:
        return whole
    slack = SLACK if splitter == "stratified" and is_labels(content) else 1.0
    return evened_units(shares, joined(table)["group"], whole, n_folds, seed, slack)


def _united(table: pd.DataFrame, mine: NDArray[np.int64]) -> pd.DataFrame:
    """``table`` with copies in the groups of the rows ``mine``, as they were split."""
    groups = joined(table.iloc[mine]).get("group")
    if groups is None:
        return table
    return table.assign(group=groups.reindex(table.index).fillna(table["group" if "group" in table else "id"]))


__all__ = ["UNKEPT", "listed", "split", "training"]
