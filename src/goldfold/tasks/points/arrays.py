"""Predicted points as arrays of a file, and by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.tasks import objects

if TYPE_CHECKING:
    from goldfold.predictions.arrays import Arrays

Found = tuple[Any, Any, Any]
"""Points (n, 2), scores (n,) and labels (n,) of one image."""


def arrays(classes: Sequence[str], ids: NDArray[np.str_], sizes: NDArray[Any], found: Sequence[Found]) -> Arrays:
    """Return the arrays of a prediction file.

    ``sizes`` (n, 2) are the original height and width of the images, ``counts`` (n,) the numbers of points. Concatenated over
    the images, ``points`` float32 (sum, 2) are x, y in pixels of the image from its corner, ``scores`` float32 (sum,) and
    ``labels`` int32 (sum,).
    """
    return objects.arrays("points", 2, classes, ids, sizes, found)


def by_image(predictions: Arrays, ids: Sequence[str] | None = None) -> list[Found]:
    """Return points (n, 2), scores (n,) and labels (n,) of each image, in the order of ``ids`` if given."""
    return objects.by_image("points", predictions, ids)


def thresholds(predictions: Arrays, default: float, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Return the score from which a point counts, (n, classes): fitted ones, else the ``default``."""
    from goldfold.predictions.arrays import thresholds_of

    fitted = thresholds_of(predictions, ids)
    n = len(predictions["ids"] if ids is None else ids)
    return np.full((n, len(predictions["classes"])), default) if fitted is None else fitted


def decided(predictions: Arrays, default: float, ids: Sequence[str] | None = None) -> list[Found]:
    """Return the points of each image that reach the threshold of their class."""
    found = []
    for (points, scores, labels), levels in zip(
        by_image(predictions, ids), thresholds(predictions, default, ids), strict=True
    ):
        keep = scores >= levels[labels]
        found.append((points[keep], scores[keep], labels[keep]))
    return found
