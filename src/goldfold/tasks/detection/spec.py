"""Specification of a detection task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

BOX_FIELDS: tuple[Literal["label", "score", "x1", "y1", "x2", "y2"], ...] = ("label", "score", "x1", "y1", "x2", "y2")
"""Default fields of a box in a PredictionString."""


@dataclass(frozen=True)
class Spec:
    """Class names in the order of the network's outputs, and settings."""

    classes: list[str]
    box_fields: Sequence[str] = BOX_FIELDS
    least_score: float = 0.0
    yolo: Literal["boxes", "scores"] | None = None
    max_detections: int = 100

    def boxes(self, text: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Parse the text of one image to boxes (n, 4) and class indices (n,)."""
        from goldfold.targets.boxes import from_text

        labels, boxes = from_text(text)
        return boxes, np.array([self.classes.index(label) for label in labels], dtype=np.int64)
