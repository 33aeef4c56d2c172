"""Boxes found by other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.base.errors import DataError, nearest
from goldfold.predictions.arrays import PER_OBJECT
from goldfold.tasks import given
from goldfold.tasks.detection.boxes import arrays as arrays_of
from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

CORNERS = ("x1", "y1", "x2", "y2")
LABELS, SCORES = ("prediction", "label", "class"), ("confidence", "score")
"""Columns that may hold the class of a box, and its score."""


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
        names = table[given.column(table, LABELS, where)]
        unknown = sorted({*names} - {*self.classes})
        if unknown:
            raise DataError(
                f"{where}: {unknown[0]!r} is no class; {nearest(unknown[0], self.classes)}classes: {', '.join(self.classes)}."
            )
        scores = given.numbers(table, [given.column(table, SCORES, where)], where)
        given.refuse_no_probabilities(scores, table["id"].to_numpy(), where)
        corners = given.numbers(table, [given.column(table, (name,), where) for name in CORNERS], where)
        reversed_ = (corners[:, 0] > corners[:, 2]) | (corners[:, 1] > corners[:, 3])
        if reversed_.any():
            first = int(np.argmax(reversed_))
            raise DataError(
                f"{where}: a box of id {table['id'].iloc[first]!r} has the corners {corners[first].tolist()}; x1 <= x2 and "
                f"y1 <= y2, in pixels, are needed."
            )
        _refuse_no_image(table["id"], images["id"], where)
        sizes = images[["height", "width"]].to_numpy(int)
        labels = names.map({name: number for number, name in enumerate(self.classes)}).to_numpy(int)
        rows = table.groupby("id", sort=False).indices
        found = [
            self._of_image(corners, scores[:, 0], labels, rows.get(id, np.array([], int)), size)
            for id, size in zip(images["id"], sizes, strict=True)
        ]
        return arrays_of(self.classes, images["id"].to_numpy(str), sizes, found)

    def from_arrays(self, arrays: Arrays, images: pd.DataFrame, where: str) -> Arrays:
        """Return the boxes of all images of a file, clipped to them, without those of no area, highest score first.

        Raises:
            DataError: an array is missing or has another shape, counts do not match the boxes, sizes are not those of the
                images, an unknown class, a score outside 0 to 1, or reversed corners.
        """
        sizes = given.image_sizes(arrays, images, where)
        counts = given.numeric(arrays, "counts", (len(sizes),), where, "the number of boxes of each image")
        given.refuse_rows((counts < 0) | (counts != np.round(counts)), counts, arrays, where, "no number of boxes")
        n = int(counts.sum())
        if any(name in arrays and arrays[name].ndim and len(arrays[name]) != n for name in PER_OBJECT):
            rows = ", ".join(f"{len(arrays[name]):,} {name}" for name in PER_OBJECT if name in arrays)
            raise DataError(f"{where}: 'counts' sum to {n:,}, but there are {rows}; each box needs one row.")
        corners = given.numeric(arrays, "boxes", (n, 4), where, "x1, y1, x2, y2 in pixels")
        scores = given.numeric(arrays, "scores", (n,), where, "from 0 to 1")
        labels = given.numeric(arrays, "labels", (n,), where, f"places of classes, 0 to {len(self.classes) - 1}")
        odd = (corners[:, :2] > corners[:, 2:]).any(axis=1)
        given.refuse_rows(odd, corners, arrays, where, "a box with reversed corners; x1 <= x2 and y1 <= y2 are needed")
        given.refuse_rows((scores < 0) | (scores > 1), scores, arrays, where, "a score outside 0 to 1")
        odd = (labels < 0) | (labels >= len(self.classes)) | (labels != np.round(labels))
        given.refuse_rows(
            odd, labels, arrays, where, f"no label; they are places of classes, 0 to {len(self.classes) - 1}"
        )
        ends = np.cumsum(counts).astype(int)
        found = [
            self._of_image(corners, scores, labels, np.arange(end - int(count), end), size)
            for end, count, size in zip(ends, counts, sizes, strict=True)
        ]
        return arrays_of(self.classes, arrays["ids"], sizes, found)

    @staticmethod
    def _of_image(corners: Any, scores: Any, labels: Any, rows: Any, size: Any) -> tuple[Any, Any, Any]:
        """Return clipped boxes with their scores and labels, highest score first."""
        boxes = corners[rows].clip(0, [size[1], size[0], size[1], size[0]])
        rows = rows[has_area := ((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1)]
        order = np.argsort(-scores[rows], kind="stable")
        return boxes[has_area][order], scores[rows][order], labels[rows][order]


def _refuse_no_image(found: pd.Series[str], wanted: pd.Series[str], where: str) -> None:
    """Refuse boxes of which none is in one of the images: their ids are others."""
    if not found.isin(wanted).any():
        has = f"its ids look like {str(found.iloc[0])[:60]!r}" if len(found) else "it has none at all"
        raise DataError(
            f"{where}: has no box of any of the {len(wanted):,} images, whose ids look like {str(wanted.iloc[0])[:60]!r}; {has}. "
            f"Write the ids of the run, as in folds/train.csv and folds/test.csv."
        )
