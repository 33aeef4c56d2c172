"""Specification of a task of points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

POINT_FIELDS: tuple[Literal["label", "score", "x", "y"], ...] = ("label", "score", "x", "y")
"""Default fields of a point in a PointString."""
RADIUS_PX = 6.0
THRESHOLD = 0.4


@dataclass(frozen=True)
class Spec:
    """Class names in the order of the network's outputs, and settings."""

    classes: list[str]
    radius_px: float = RADIUS_PX
    stride: int = 1
    swap: Sequence[Sequence[str]] = ()
    threshold: float = THRESHOLD
    distance_px: float | None = None
    rows: str = "auto"
    point_fields: Sequence[str] = POINT_FIELDS
    pixel_centre: float = 0.5

    @property
    def mirrored(self) -> list[int]:
        """Class that each class becomes in a mirrored image."""
        return mirrored(self.classes, self.swap)

    def points(self, text: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Parse the text of one image to points (n, 2) and class indices (n,)."""
        from goldfold.targets.points import from_text

        labels, points = from_text(text)
        return points, np.array([self.classes.index(label) for label in labels], dtype=np.int64)


def mirrored(classes: Sequence[str], swap: Sequence[Sequence[str]]) -> list[int]:
    """Class that each class becomes in a mirrored image, by pairs of names.

    >>> mirrored(["left eye", "right eye", "nose"], [["left eye", "right eye"]])
    [1, 0, 2]
    """
    other = {name: pair[1 - place] for pair in swap for place, name in enumerate(pair)}
    return [list(classes).index(other.get(name, name)) for name in classes]
