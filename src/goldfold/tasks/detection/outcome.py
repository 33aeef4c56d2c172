"""Predicted boxes matched with the true ones per image, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.drawing import box_errors
from goldfold.drawing.box_errors import Checked
from goldfold.targets.boxes import from_text
from goldfold.tasks.detection.boxes import by_image
from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    from goldfold.predictions.arrays import Arrays


@dataclass(frozen=True)
class Image:
    """One image with its objects, and the boxes at or above the threshold by descending score."""

    id: str
    path: str
    objects: NDArray[np.float64]
    classes: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]

    @cached_property
    def checked(self) -> Checked:
        """Kind of each box (found, or kind of error), and the missed objects."""
        return box_errors.check(self.objects, self.classes, self.boxes, self.labels)


def images_of(spec: Spec, predictions: Arrays, truth: pd.DataFrame, threshold: float) -> list[Image]:
    """Pair objects and boxes of each image; boxes below the threshold are left out."""
    paths = truth["path"] if "path" in truth else [""] * len(truth)
    found = []
    for id, path, text, (boxes, scores, labels) in zip(
        truth["id"], paths, truth["boxes"], by_image(predictions, list(truth["id"])), strict=True
    ):
        names, objects = from_text(text)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= threshold]  # none if the threshold is NaN, as without objects or boxes
        classes = np.array([spec.classes.index(name) for name in names], dtype=np.int64)
        boxes = boxes[order].astype(np.float64)
        found.append(Image(id, path, objects, classes, boxes, scores[order], labels[order].astype(np.int64)))
    return found
