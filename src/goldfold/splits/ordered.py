"""Folds by the order of the images: trained on the past, validated on what comes after."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError

DAY = 86400 * 10**9
"""Nanoseconds."""


def ordered(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Forward chaining: of ``n_folds + 1`` blocks in the column ``order``, fold k validates block k + 1.

    Its training images come before it (see `goldfold.splits.training`), as in scikit-learn's TimeSeriesSplit; the first
    block is never validated: -1.
    """
    return in_blocks(positions(table), n_folds + 1, _key(table)) - 1


def ordered_blocks(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.int64]:
    """``n_folds`` blocks in the column ``order``; each is validated once, and all others are trained on."""
    return in_blocks(positions(table), n_folds, _key(table))


def _key(table: pd.DataFrame) -> str:
    """Config key that gives the order."""
    return str(table.attrs.get("order", "data.order_column"))


def in_blocks(values: NDArray[np.float64], n_blocks: int, where: str = "data.order_column") -> NDArray[np.int64]:
    """Block (0 .. n_blocks-1) of each value, of about equal numbers of rows; equal values stay together.

    Args:
        where: source of the values, for errors.

    Raises:
        DataError: there are fewer distinct values than blocks.
    """
    different, number, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(different) < n_blocks:
        raise DataError(
            f"{where}: the images have {len(different)} different values, but {n_blocks} blocks are needed, and "
            f"images of one value stay together. Lower folds.n_folds."
        )
    ends, before = np.cumsum(counts), 0
    block_of = np.zeros(len(different), dtype=np.int64)
    for block in range(1, n_blocks):
        possible = np.arange(before + 1, len(different) - (n_blocks - block) + 1)  # at least one value per block
        before = int(possible[np.abs(ends[possible - 1] - block * len(values) / n_blocks).argmin()])
        block_of[before:] = block
    return block_of[number]


def positions(table: pd.DataFrame) -> NDArray[np.float64]:
    """Position of each row in the order: numbers as given, dates in days; NaN if missing.

    Numbers that can all be read as dates (20240531) are dates.

    Raises:
        DataError: a value is neither, or is missing in a row that is not train_only.
    """
    where = _key(table)
    texts = table["order"].fillna("").astype(str).reset_index(drop=True)
    said, ids = texts.ne("").to_numpy(), table["id"].to_numpy()
    needed = table["train_only"].ne("1").to_numpy() if "train_only" in table else np.ones(len(table), dtype=bool)
    if (needed & ~said).any():
        raise DataError(f"{where}: id {ids[needed & ~said][0]!r} has no value for the order. Fill it in.")
    numbers, dates = pd.to_numeric(texts[said], errors="coerce"), _dates(texts[said])
    found = np.full(len(table), np.nan)
    if dates.notna().all():
        found[said] = dates.to_numpy().astype("datetime64[ns]").astype(np.int64) / DAY
    elif np.isfinite(numbers).all():
        found[said] = numbers
    else:
        wrong = dates.isna() if dates.notna().any() else ~np.isfinite(numbers)
        row = int(wrong.index[wrong][0])
        raise DataError(
            f"{where}: id {ids[row]!r} has {texts[row]!r} as order; all values must be numbers, or all dates such as "
            f"2024-05-31 or 2024-05-31T12:30:00."
        )
    return found


def _dates(texts: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    """Dates (UTC if they name a time zone), NaT for other texts; eight digits are a date, other numbers are not."""
    is_number = texts.str.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?")
    packed = pd.to_datetime(
        texts.where(texts.str.fullmatch(r"(19|20)\d{6}")), errors="coerce", format="%Y%m%d", utc=True
    )
    written = pd.to_datetime(texts.where(~is_number), errors="coerce", format="ISO8601", utc=True)
    return packed.fillna(written).dt.tz_convert(None)
