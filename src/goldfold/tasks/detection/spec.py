"""The classes of a detection, and its settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

BOX_FIELDS: tuple[Literal["label", "score", "x1", "y1", "x2", "y2"], ...] = ("label", "score", "x1", "y1", "x2", "y2")
"""Fields of a box in a PredictionString, where the config names none."""


@dataclass(frozen=True)
class Spec:
    """Names of the classes in the order of the network's outputs, and settings."""

    classes: list[str]
    box_fields: Sequence[str] = BOX_FIELDS
    least_score: float = 0.0

    def boxes(self, text: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Boxes (n, 4) and indices of classes (n,) of the text of one image."""
        from goldfold.targets.boxes import from_text

        labels, boxes = from_text(text)
        return boxes, np.array([self.classes.index(label) for label in labels], dtype=np.int64)
