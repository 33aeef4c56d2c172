"""Images that are scored: training images with an out-of-fold prediction, and test images with known targets."""

import pandas as pd


def scored(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `folds/train.csv` that are validated, without those of fold -1, which are only trained on."""
    return table[table["fold"].astype(int) >= 0].reset_index(drop=True) if "fold" in table else table


def with_groups(truth: pd.DataFrame, images: pd.DataFrame | None) -> pd.DataFrame:
    """Test images with known targets, each with its group if the table of all test images has groups."""
    if images is None or "group" not in images or "group" in truth:
        return truth
    return truth.merge(images[["id", "group"]], on="id", how="left")


def groups_of(truth: pd.DataFrame) -> list[str] | None:
    """Group of each image, for intervals that resample whole groups; None without groups."""
    return list(truth["group"]) if "group" in truth else None
