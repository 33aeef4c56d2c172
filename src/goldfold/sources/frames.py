"""Order of the images of a case by a column of its table: frames of a sequence."""

from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.natural import natural
from goldfold.sources.reading import column_of, line_of


def numbers_of(ids: "pd.Series[Any]", table: pd.DataFrame, csv: str, column: str) -> "pd.Series[Any]":
    """Number of each image in its case, from 0.

    Args:
        ids: case of each row of the table ``csv``.
        column: column that orders them: as numbers if all are, otherwise in natural order, which is that of ISO dates too.

    Raises:
        DataError: the column is missing or empty in a row, or two images of a case have the same value.
    """
    named = column_of(table, column, csv, "data.frame_column").reset_index(drop=True)
    if named.isna().any():
        place = line_of(table, int(named.isna().to_numpy().argmax()))
        raise DataError(f"{csv}: column {column!r} is empty in {place}. Give the place of each image in its case.")
    texts, cases = named.astype(str), ids.reset_index(drop=True)
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(float)
    keys: list[Any] = numbers.tolist() if np.isfinite(numbers).all() else [natural(text) for text in texts]
    seen: dict[tuple[str, Any], int] = {}
    for row, case_and_key in enumerate(zip(cases.tolist(), keys, strict=True)):
        if (first := seen.setdefault(case_and_key, row)) != row:
            raise DataError(
                f"{csv}: case {cases[row]!r} has two images at {texts[row]!r} of {column!r}, in {line_of(table, first)} and "
                f"{line_of(table, row)}. Correct one, or remove data.frame_column to number images in the order of the table."
            )
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return cases.iloc[order].groupby(cases.iloc[order]).cumcount().sort_index().set_axis(ids.index)
