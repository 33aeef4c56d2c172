"""Kinds of training rows of a fold: external ones, which the user marked as train-only, and own ones."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.planning.row_lists import ALL, EXTERNAL, OWN
from goldfold.planning.runs import WHOLE
from goldfold.splits.training import is_train_only

LEAST_ROWS = 2
"""Fewer rows cannot be trained on: batch normalisation needs two images."""


def by_kind(
    table: pd.DataFrame, trained: Mapping[int, NDArray[np.bool_]], kinds: Sequence[str]
) -> dict[tuple[int, str], NDArray[np.bool_]]:
    """Return masks (rows,) of the training rows by fold and kind: all of them, and those of ``kinds``.

    Args:
        trained: training rows by fold.
        kinds: external or own.

    Raises:
        DataError: a fold has fewer than `LEAST_ROWS` training rows of a kind.
    """
    is_external = is_train_only(table)
    masks = {ALL: np.ones(len(table), dtype=bool), EXTERNAL: is_external, OWN: ~is_external}
    found = {(fold, kind): rows & masks[kind] for kind in (ALL, *kinds) for fold, rows in trained.items()}
    for (fold, kind), rows in found.items():
        if kind != ALL and rows.sum() < LEAST_ROWS:
            where = "all labelled rows" if fold == WHOLE else f"fold {fold}"
            raise DataError(f"train.rows = {kind!r}: {_why(table, int(rows.sum()), kind, where)}")
    return found


def _why(table: pd.DataFrame, n: int, kind: str, where: str) -> str:
    """Say why there are only ``n`` rows of a kind, and what to do."""
    number, others = ("only one", "the others") if n else ("no", "all")
    n_marked = int(is_train_only(table).sum())
    if kind == OWN:
        return f"{where} would be trained on {number} own row. Set rows: all, or another folds.splitter."
    if n_marked <= n:
        marked = "only one row is" if n else "no row is"
        return f"{marked} marked as external. Mark some in data.train_only_column, or name data.extra_train."
    return (
        f"{where} would be trained on {number} external row, since {others} are copies of cases that it validates, of their "
        "groups, or too late in the order. Name further external rows, or set rows: all."
    )
