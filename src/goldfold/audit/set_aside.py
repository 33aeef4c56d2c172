"""Findings about the images without those of the sealed holdout: labels of copies, and flawed parts of targets, are labels."""

import pandas as pd

from goldfold.audit import quarantine


def quarantined(listing: pd.DataFrame, ids: set[str], left_out: pd.DataFrame) -> pd.DataFrame:
    """``quarantine.csv`` with the rows that are too close to the holdout, without parts of the targets of its cases.

    Args:
        listing: as the manifest writes it.
        ids: of the holdout.
        left_out: training cases with ``reason``.
    """
    is_part = (listing["split"] == "train") & listing["id"].isin(ids) & (listing["part"] != "image")
    more = left_out.assign(split="train", part="image", outcome=quarantine.LEFT_OUT)
    return pd.concat([listing[~is_part], more.reindex(columns=quarantine.COLUMNS)], ignore_index=True)


def copies(found: pd.DataFrame, ids: set[str]) -> pd.DataFrame:
    """``duplicates.csv`` without the clusters of the holdout; none of their images has a label in training."""
    is_in = (found["split"] == "train") & found["id"].isin(ids)
    return found[~found["cluster"].isin(found["cluster"][is_in])]
