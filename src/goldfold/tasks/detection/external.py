"""Boxes found by other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.base.errors import DataError
from goldfold.tasks import given, given_objects
from goldfold.tasks.detection.boxes import arrays as arrays_of
from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

CORNERS = ("x1", "y1", "x2", "y2")


class External:
    """Reads tables with one row per box: id, prediction, confidence and corners in pixels of the image."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def from_table(self, table: pd.DataFrame, images: pd.DataFrame, where: str) -> Arrays:
        """Return the boxes of all of ``images``; one without rows in the table has none.

        Boxes are clipped to their image, and those of no area are dropped.

        Args:
            images: id, width and height.

        Raises:
            DataError: an unknown class, a score outside 0 to 1, reversed corners, or no box of any of the images.
        """
        corners, scores, labels, rows = given_objects.of_table(table, CORNERS, self.classes, where)
        reversed_ = (corners[:, 0] > corners[:, 2]) | (corners[:, 1] > corners[:, 3])
        if reversed_.any():
            first = int(np.argmax(reversed_))
            raise DataError(
                f"{where}: a box of id {table['id'].iloc[first]!r} has the corners {corners[first].tolist()}; x1 <= x2 and "
                f"y1 <= y2, in pixels, are needed."
            )
        given_objects.refuse_no_image("box", table["id"], images["id"], where)
        sizes, none = images[["height", "width"]].to_numpy(int), np.array([], int)
        found = [
            self._of_image(corners, scores, labels, rows.get(id, none), size)
            for id, size in zip(images["id"], sizes, strict=True)
        ]
        return arrays_of(self.classes, images["id"].to_numpy(str), sizes, found)

    def from_arrays(self, arrays: Arrays, images: pd.DataFrame, where: str) -> Arrays:
        """Return the boxes of all images of a file, clipped to them, without those of no area, highest score first.

        Raises:
            DataError: an array is missing or has another shape, counts do not match the boxes, sizes are not those of the
                images, an unknown class, a score outside 0 to 1, or reversed corners.
        """

        def refuse_reversed(corners: Any) -> None:
            odd = (corners[:, :2] > corners[:, 2:]).any(axis=1)
            what = "a box with reversed corners; x1 <= x2 and y1 <= y2 are needed"
            given.refuse_rows(odd, corners, arrays, where, what)

        sizes = given.image_sizes(arrays, images, where)
        about = "x1, y1, x2, y2 in pixels"
        corners, scores, labels, rows = given_objects.of_arrays(
            arrays, "boxes", about, self.classes, len(sizes), "boxes", where, refuse_reversed
        )
        found = [self._of_image(corners, scores, labels, own, size) for own, size in zip(rows, sizes, strict=True)]
        return arrays_of(self.classes, arrays["ids"], sizes, found)

    @staticmethod
    def _of_image(corners: Any, scores: Any, labels: Any, rows: Any, size: Any) -> tuple[Any, Any, Any]:
        """Return clipped boxes with their scores and labels, highest score first."""
        boxes = corners[rows].clip(0, [size[1], size[0], size[1], size[0]])
        rows = rows[has_area := ((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1)]
        order = np.argsort(-scores[rows], kind="stable")
        return boxes[has_area][order], scores[rows][order], labels[rows][order]
