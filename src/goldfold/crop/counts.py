"""Numbers of cropped images, the share kept, and reasons why others are not cropped."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from goldfold.images.geometry import roi_of
from goldfold.targets.boxes import from_text

BY = "roi_by"
"""Column of the networks of a detector by whose boxes images are cropped, see `goldfold.crop.detector`."""


def counts(tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Counts of each split that has a column ``roi``, as plain values.

    ``images``; ``whole``: reason -> number of images taken whole; ``share``: mean share of the pixels kept of the
    others; ``boxes_lost``: training boxes that are wholly outside the crop; of the crops of a detector also ``roi_by``:
    whose boxes they are -> number of images.
    """
    found = {}
    for split, table in tables.items():
        if "roi" in table and "roi_fallback" in table:
            reasons = table["roi_fallback"].replace("", None).dropna().value_counts()
            kept = shares(table)[(table["roi_fallback"] == "").to_numpy()]
            found[split] = {
                "images": len(table),
                "whole": {str(reason): int(number) for reason, number in reasons.items()},
                "share": round(float(kept.mean()), 4) if len(kept) else None,
                "boxes_lost": _lost(table),
                **({BY: table[BY].value_counts().to_dict()} if BY in table else {}),
            }
    return found


def shares(table: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Share of each image's pixels inside the crop."""
    rows = table[["roi", "width", "height"]].to_dict("records")
    return np.array([_share(row["roi"], int(row["width"]) * int(row["height"])) for row in rows], dtype=np.float64)


def _share(text: str, pixels: int) -> float:
    roi = roi_of(text)
    return 1.0 if roi is None else (roi[2] - roi[0]) * (roi[3] - roi[1]) / pixels


def _lost(table: pd.DataFrame) -> int:
    """Number of training boxes wholly outside the crop."""
    lost = 0
    for row in table.to_dict("records") if "boxes" in table else []:
        roi = roi_of(row["roi"])
        if roi is not None and isinstance(row["boxes"], str):
            x1, y1, x2, y2 = from_text(row["boxes"])[1].T
            lost += int(((x2 <= roi[0]) | (y2 <= roi[1]) | (x1 >= roi[2]) | (y1 >= roi[3])).sum())
    return lost


def as_text(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield one line per split."""
    for split, of in found.items():
        n_whole = sum(of["whole"].values())
        kept = f", to {of['share']:.0%} of their pixels on average" if of["share"] is not None else ""
        line = f"crops: {of['images'] - n_whole:,} of {of['images']:,} {split} images are cropped{kept}"
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in of["whole"].items())
        line += f"; whole: {reasons}" if reasons else ""
        line += f"; {of['boxes_lost']:,} boxes are outside and not trained on" if of["boxes_lost"] else ""
        line += "; by " + ", ".join(f"{whose} {number:,}" for whose, number in of[BY].items()) if BY in of else ""
        yield line
