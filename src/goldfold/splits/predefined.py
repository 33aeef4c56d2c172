"""Folds given by the user."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.sources.reading import column_of, read_csv


def predefined(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """The folds in the column ``fold``: whole numbers from 0 to n_folds - 1, or -1 for images that are only trained on."""
    where = table.attrs.get("fold", "data.fold_column")
    numbers = pd.to_numeric(table["fold"], errors="coerce")
    wrong = ~numbers.isin(range(-1, n_folds))
    if wrong.any():
        row = table[wrong].iloc[0]
        raise DataError(
            f"{where}: id {row['id']!r} has fold {row['fold']!r}; with folds.n_folds: {n_folds} it must be a "
            f"whole number from 0 to {n_folds - 1}. (-1 is for images that are trained on in every fold and never validated.)"
        )
    empty = sorted(set(range(n_folds)) - set(numbers.astype(int)))
    if empty:
        raise DataError(f"{where}: no image is in fold {empty[0]}. Set folds.n_folds to the number of folds.")
    return numbers.to_numpy(dtype=np.int64)


def listed(table: pd.DataFrame, file: str, column: str) -> pd.DataFrame:
    """The training table with ``column`` (fold or order) from the CSV ``file``, which has one row per id.

    Ids are those of the manifest; its prefix ``train/`` of ids shared with other splits may be omitted.

    Raises:
        DataError: the file has no such column, has a duplicate id, or lacks an image.
    """
    rows = read_csv(file, "folds.file")
    ids, values = (column_of(rows, name, file, f"a column named {name}") for name in ("id", column))
    if ids.duplicated().any():
        raise DataError(
            f"{file}: {int(ids.duplicated().sum())} duplicate ids, first {ids[ids.duplicated()].iloc[0]!r}. Give every "
            f"image one row."
        )
    of_id = dict(zip(ids, values, strict=True))
    found = table["id"].map(of_id).where(table["id"].isin(of_id), table["id"].str.removeprefix("train/").map(of_id))
    lacking = found.isna() & ~table.get("train_only", pd.Series("", index=table.index)).eq("1")
    if lacking.any():
        raise DataError(
            f"folds.file: {file} has no {column} for {int(lacking.sum())} of {len(table)} training images, first "
            f"{table['id'][lacking].iloc[0]!r}. Add them (ids as in manifest/train.csv)."
        )
    filled = table.assign(**{column: found.fillna("")})
    filled.attrs[column] = "folds.file"
    return filled
