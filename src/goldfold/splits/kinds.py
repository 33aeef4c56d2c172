"""Kinds of training rows of a fold: external ones, which the user marked as train-only, and own ones."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.planning.row_lists import ALL, EXTERNAL, OWN
from goldfold.planning.runs import WHOLE
from goldfold.splits.training import is_train_only


def by_kind(
    table: pd.DataFrame, trained: Mapping[int, NDArray[np.bool_]], kinds: Sequence[str]
) -> dict[tuple[int, str], NDArray[np.bool_]]:
    """Return masks (rows,) of the training rows by fold and kind: all of them, and those of ``kinds``.

    Args:
        trained: training rows by fold.
        kinds: external or own.

    Raises:
        DataError: a fold has no training rows of a kind.
    """
    is_external = is_train_only(table)
    masks = {ALL: np.ones(len(table), dtype=bool), EXTERNAL: is_external, OWN: ~is_external}
    found = {(fold, kind): rows & masks[kind] for kind in (ALL, *kinds) for fold, rows in trained.items()}
    for (fold, kind), rows in found.items():
        if kind != ALL and not rows.any():
            where = "all labelled rows" if fold == WHOLE else f"fold {fold}"
            raise DataError(f"train.rows = {kind!r}: {_why(table, fold, kind, where)}")
    return found


def _why(table: pd.DataFrame, fold: int, kind: str, where: str) -> str:
    if kind == OWN:
        return f"{where} would be trained on no own row. Set rows: all, or another folds.splitter."
    if not is_train_only(table).any():
        return "no row is marked as external. Mark some in data.train_only_column, or name data.extra_train."
    return (
        f"{where} would be trained on no external row, since all are copies of cases that it validates, of their groups, or too "
        f"late in the order. Name further external rows, or set rows: all."
    )
