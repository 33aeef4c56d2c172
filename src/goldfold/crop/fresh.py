"""Crops of new images at prediction, found as in training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.crop import boxes, contour, detector
from goldfold.crop.fit import Box, fitted
from goldfold.images.geometry import Roi

Finder = Callable[[int, str, int, int], tuple[Roi | None, str]]
"""(row, path, width, height) -> crop (None for the whole image), and the reason if none was found."""
BY_BOXES = ("boxes", "column")
"""Methods that need boxes from the user."""
BY_DETECTOR = "detector"
"""Method whose boxes a detector in the bundle predicts."""
OF_BOXES = ("pick", "least_score", "labels", "unit")


def finder(
    roi: Mapping[str, Any] | None, table: pd.DataFrame, files: Sequence[str] = (), boxes: pd.DataFrame | None = None
) -> Finder:
    """Function that finds the crops of the images of ``table`` (id, path).

    Args:
        roi: settings of `goldfold.crop.find.with_rois`; None if images are taken whole.
        files: files of boxes, for a method of `BY_BOXES`; see `goldfold.crop.boxes.find`.
        boxes: boxes that the detector predicted, of which ``id`` is the path of an image, for `BY_DETECTOR`.

    Raises:
        DataError: a file of boxes cannot be read, or names none of the images.
    """
    if roi is None:
        return lambda row, path, width, height: (None, "")
    if roi["method"] == BY_DETECTOR:
        find = _by_detector(roi, boxes)
    else:
        find = _by_boxes(roi, table, files) if roi["method"] in BY_BOXES else _by_contour(roi)

    def part(row: int, path: str, width: int, height: int) -> tuple[Roi | None, str]:
        box, reason = find(row, path, width, height)
        return fitted(box, width, height, roi["margin"]) if box is not None else (None, reason)

    return part


def _by_contour(roi: Mapping[str, Any]) -> Callable[[int, str, int, int], tuple[Box | None, str]]:
    look = {key: roi[key] for key in ("threshold", "shows", "least_share")}
    return lambda row, path, width, height: contour.judged(contour.look(path, **look), width, height, roi["most_share"])


def _by_detector(
    roi: Mapping[str, Any], boxes: pd.DataFrame | None
) -> Callable[[int, str, int, int], tuple[Box | None, str]]:
    found = detector.by_image(pd.DataFrame(columns=detector.COLUMNS) if boxes is None else boxes, roi["labels"])
    return lambda row, path, width, height: detector.picked(found.get(path), roi["pick"], roi["least_score"])


def _by_boxes(
    roi: Mapping[str, Any], table: pd.DataFrame, files: Sequence[str]
) -> Callable[[int, str, int, int], tuple[Box | None, str]]:
    """Function that looks up boxes; shares are scaled on access, since sizes are unknown when the boxes are read."""
    own = {key: roi[key] for key in OF_BOXES if key in roi}
    found = boxes.find({"images": table.assign(width=1, height=1)}, 1, files, **own)["images"]
    is_share = own.get("unit") == "shares" and not all(Path(file).suffix.lower() == ".json" for file in files)

    def box(row: int, path: str, width: int, height: int) -> tuple[Box | None, str]:
        corners, reason = found[row]
        if corners is None or not is_share:
            return corners, reason
        x1, y1, x2, y2 = corners
        return (x1 * width, y1 * height, x2 * width, y2 * height), reason

    return box
