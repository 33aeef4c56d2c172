"""Inner parts: the training part of a fold, split again."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import components
from goldfold.base.errors import DataError
from goldfold.splits.splitting import UNKEPT, split
from goldfold.splits.training import is_train_only

KEYS = "folds of rounds[].clean or rounds[].teacher.adapt"
"""Keys that ask for inner parts."""


def inner_parts(
    rows: pd.DataFrame,
    content: pd.DataFrame,
    splitter: components.Written,
    n_parts: int,
    seed: int,
    fold: int,
    rare_classes: str = "fail",
) -> NDArray[np.int64]:
    """Inner part (0 .. n_parts-1) of each training row of a fold, as the folds are split; -1 for rows of no part.

    Rows of the column ``train_only`` are in no part. The result depends on these rows alone. For folds that the data or their
    order define, parts are stratified by class, with groups kept together.

    Args:
        rows: training rows of the fold.
        content: amount of each class in each row.
        fold: its number, for errors.
        rare_classes: see `split`; classes with fewer rows than parts are refused only with ``fail``.

    Raises:
        DataError: the rows cannot be split into as many parts.
    """
    if components.name_of(splitter) in UNKEPT:
        splitter = "stratified_group" if "group" in rows else "stratified"
    if rare_classes == "fail":
        _refuse_few(content[~is_train_only(rows)], n_parts, fold)
    rows, content = rows.reset_index(drop=True), content.reset_index(drop=True)
    try:
        return split(rows, content, splitter, n_parts, seed, rare_classes=rare_classes)
    except DataError as error:
        raise DataError(
            f"{KEYS}: the {len(rows)} training rows of fold {fold} cannot be split into {n_parts} inner parts "
            f"({error}) Lower folds there."
        ) from error


def _refuse_few(content: pd.DataFrame, n_parts: int, fold: int) -> None:
    """Refuse classes that cannot be in each part."""
    counts = (content > 0).sum()
    few = counts[(counts > 0) & (counts < n_parts)]
    if len(few):
        name = few.idxmin()
        raise DataError(
            f"{KEYS} = {n_parts}: class {name!r} has {few[name]} training images in fold {fold}, fewer than the inner parts. "
            f"Lower it, add images, merge the class, or set folds.rare_classes."
        )
