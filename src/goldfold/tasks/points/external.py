"""Points found by other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.tasks import given, given_objects
from goldfold.tasks.points.arrays import arrays as arrays_of
from goldfold.tasks.points.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


class External:
    """Reads tables with one row per point: id, prediction, confidence, and x and y in pixels of the image from its corner."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def from_table(self, table: pd.DataFrame, images: pd.DataFrame, where: str) -> Arrays:
        """Return the points of all of ``images``; one without rows in the table has none. Points outside are moved to the border.

        Args:
            images: id, width and height.

        Raises:
            DataError: an unknown class, a score outside 0 to 1, a place that is no number, or no point of any of the images.
        """
        places, scores, labels, rows = given_objects.of_table(table, ("x", "y"), self.classes, where)
        given_objects.refuse_no_image("point", table["id"], images["id"], where)
        sizes, none = images[["height", "width"]].to_numpy(int), np.array([], int)
        own = [rows.get(id, none) for id in images["id"]]
        return self._of_images(places, scores, labels, own, sizes, images["id"].to_numpy(str))

    def from_arrays(self, arrays: Arrays, images: pd.DataFrame, where: str) -> Arrays:
        """Return the points of all images of a file, highest score first.

        Raises:
            DataError: an array is missing or has another shape, counts do not match the points, sizes are not those of the
                images, an unknown class, or a score outside 0 to 1.
        """
        sizes = given.image_sizes(arrays, images, where)
        places, scores, labels, rows = given_objects.of_arrays(
            arrays, "points", "x, y in pixels", self.classes, len(sizes), "points", where
        )
        return self._of_images(places, scores, labels, rows, sizes, arrays["ids"])

    def _of_images(self, places: Any, scores: Any, labels: Any, rows: Any, sizes: Any, ids: Any) -> Arrays:
        found = []
        for own, (height, width) in zip(rows, np.asarray(sizes).tolist(), strict=True):
            order = own[np.argsort(-scores[own], kind="stable")]
            found.append((places[order].clip(0, [width, height]), scores[order], labels[order]))
        return arrays_of(self.classes, ids, sizes, found)
