"""Fill the columns ``roi`` and ``roi_fallback`` of the manifest."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from goldfold.base.errors import unknown
from goldfold.crop import boxes, column, contour
from goldfold.crop.counts import as_text, counts
from goldfold.crop.fit import Found, fitted
from goldfold.images import cases
from goldfold.images.geometry import roi_to_text

METHODS: dict[str, Callable[..., dict[str, list[Found]]]] = {
    "contour": contour.find,
    "column": column.find,
    "boxes": boxes.find,
}
WITHOUT = ("answers",)
"""Tables without images of their own."""


def with_rois(
    tables: dict[str, pd.DataFrame], roi: dict[str, Any] | None, workers: int, scanned: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Add each image's crop to the tables; tables are unchanged if images are taken whole.

    ``roi`` is ``x1 y1 x2 y2`` in pixels of the upright image, empty for the whole image; ``roi_fallback`` is the reason
    why no crop was found, empty if one was. Of cases of several images, `goldfold.images.cases.ROIS` lists the crops.

    Args:
        tables: id, path, width and height; ``roi`` as the source read it, for the method ``column``.
        roi: ``method``, ``margin`` and the method's own settings.
        workers: number of processes that read images.
        scanned: path, width and height of each image.

    Raises:
        DataError: a box cannot be read.
    """
    if roi is None:
        return tables
    own = {key: value for key, value in roi.items() if key not in ("method", "margin")}
    if roi["method"] not in METHODS:
        raise unknown("method of data.roi", roi["method"], METHODS)
    cut = {split: _images(table, scanned) for split, table in tables.items() if split not in WITHOUT}
    found = METHODS[roi["method"]](cut, workers, **own)
    made = with_found(cut, found, roi["margin"])
    return {**tables, **{split: _of_cases(tables[split], images) for split, images in made.items()}}


def with_found(
    tables: Mapping[str, pd.DataFrame], found: Mapping[str, list[Found]], margin: float
) -> dict[str, pd.DataFrame]:
    """Add the crops that were found in the images of each table, and report their numbers."""
    made = {split: _with_columns(table, found[split], margin) for split, table in tables.items()}
    for line in as_text(counts(made)):
        print(line, flush=True)
    return made


def _images(table: pd.DataFrame, scanned: pd.DataFrame) -> pd.DataFrame:
    """One row per image, with its size."""
    if not cases.are_in(table):
        return table
    images = cases.each(table).drop(columns=["width", "height"])
    return images.merge(scanned[["path", "width", "height"]], on="path", how="left", validate="many_to_one")


def _of_cases(table: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Table with the crops of its images."""
    return cases.with_crops(table, images) if cases.are_in(table) else images


def _with_columns(table: pd.DataFrame, found: list[Found], margin: float) -> pd.DataFrame:
    sizes = zip(table["width"].astype(int), table["height"].astype(int), strict=True)
    texts, reasons = [], []
    for (box, reason), (width, height) in zip(found, sizes, strict=True):
        part, flaw = fitted(box, width, height, margin) if box is not None else (None, reason)
        texts.append(roi_to_text(part))
        reasons.append(flaw)
    columns = {
        "roi": pd.Series(texts, table.index, dtype=str),
        "roi_fallback": pd.Series(reasons, table.index, dtype=str),
    }
    return table.drop(columns="roi", errors="ignore").assign(**columns)
