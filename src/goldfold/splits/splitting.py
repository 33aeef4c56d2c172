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
"""(table, optionally with group, fold and order; content; number of folds; seed) -> validation fold of each row.

-1 is for a row that is never validated. The content has one column per class with its amount in each image: 1 for its
label, objects, or pixels.
"""
BY_CLASS = frozenset({"stratified", "stratified_group", "multilabel_stratified", "multilabel_stratified_group"})
"""Splitters that distribute classes, so that each fold must have some of each."""
UNKEPT = frozenset({"predefined", "ordered", "ordered_blocks"})
"""Splitters that ignore an earlier split: the user, or the order, determines the fold of each image."""

SPREAD_FEW = "spread_few"
"""Default policy for images with several classes."""
SLACK = 2.5
"""Deviation in images after copies were reunited up to which no others move, for folds of labels."""
LOST = 0.01
"""Increase in unevenness after copies were reunited up to which no others move."""


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
        content: amount of each class in each image.
        known: id -> fold of an earlier split, which is kept and extended; folds defined by the user take precedence.
        gap: see `training`.
        tolerance: see `check_tolerance`; None accepts any deviation.
        rare_classes: what to do with the classes of `rare` and `in_one_part`: ``fail``; ``train_only``, train on their
            images and never validate them; ``spread``, distribute their images as far as possible; `SPREAD_FEW`, spread
            classes with too few images, and fail if a class is all in one group.

    Raises:
        DataError: the data cannot be split this way.
    """
    function = components.load(splitter, SPLITTERS, "splitter")
    splitter = components.name_of(splitter)
    few = rare(table, content, n_folds, by_group=rare_classes != SPREAD_FEW)
    if rare_classes == "fail" and splitter in BY_CLASS and not is_train_only(table).all():
        refuse_small_classes(content, is_train_only(table), n_folds)
    apart = rows_of(content, few) if rare_classes == "train_only" else np.zeros(len(table), dtype=bool)
    mine = np.flatnonzero(~is_train_only(table) & ~apart)
    if not len(mine):
        marked = (
            "marked as train_only" if not apart.any() else "train_only, or of a class that folds.rare_classes excludes"
        )
        raise DataError(
            f"all {len(table)} training images are {marked}: none is left to validate. Assign some to the folds."
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
    """``numbers`` with copies reunited; if large groups of copies make folds uneven, other images move to compensate."""
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
    """``table`` with copies merged into the groups of the rows ``mine``, as they were split."""
    groups = joined(table.iloc[mine]).get("group")
    if groups is None:
        return table
    return table.assign(group=groups.reindex(table.index).fillna(table["group" if "group" in table else "id"]))


__all__ = ["UNKEPT", "listed", "split", "training"]
