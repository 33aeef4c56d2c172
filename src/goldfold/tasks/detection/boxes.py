"""Predicted boxes as arrays of a file and by image, and their fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.tasks import objects

if TYPE_CHECKING:
    from goldfold.ensembling.boxes import Method
    from goldfold.predictions.arrays import Arrays

Found = tuple[Any, Any, Any]
"""Boxes (n, 4), scores (n,) and labels (n,) of one image."""


def arrays(classes: Sequence[str], ids: NDArray[np.str_], sizes: NDArray[Any], found: Sequence[Found]) -> Arrays:
    """Return the arrays of a prediction file.

    ``sizes`` (n, 2) are the original height and width of the images, ``counts`` (n,) the numbers of boxes. Concatenated
    over the images, ``boxes`` float32 (sum, 4) are x1, y1, x2, y2 in pixels of the image, ``scores`` float32 (sum,) and
    ``labels`` int32 (sum,).
    """
    return objects.arrays("boxes", 4, classes, ids, sizes, found)


def by_image(predictions: Arrays, ids: Sequence[str] | None = None) -> list[Found]:
    """Return boxes (n, 4), scores (n,) and labels (n,) of each image, in the order of ``ids`` if given."""
    return objects.by_image("boxes", predictions, ids)


def with_weighted_scores(
    images: Sequence[Sequence[Found]], weights: Sequence[float], skip_threshold: float = 0.0
) -> list[list[Found]]:
    """Multiply scores by the weight of their member, relative to the largest; boxes below the threshold are left out before.

    ensemble-boxes would divide them by the number of members.
    """
    factors = np.asarray(weights) / max(weights)
    return [
        [_weighted(found, factor, skip_threshold) for found, factor in zip(image, factors, strict=True)]
        for image in images
    ]


def _weighted(found: Found, factor: float, skip_threshold: float) -> Found:
    boxes, scores, labels = found
    kept = ~(np.asarray(scores, np.float64) < skip_threshold)  # NaN is left to the checks of the fusion
    return boxes[kept], scores[kept] * factor, labels[kept]


def fused(
    images: Sequence[Sequence[Found]],
    sizes: NDArray[Any],
    weights: Sequence[float] | None,
    fusion: Method,
    iou_threshold: float = 0.55,
    skip_threshold: float = 0.0,
    workers: int = 1,
) -> list[Found]:
    """Fuse the boxes of each image, given and returned in pixels."""
    from goldfold.ensembling.boxes import fuse_images

    scales = [np.array([size[1], size[0]] * 2, dtype=np.float64) for size in sizes]
    scaled = [
        ([boxes / scale for boxes, _, _ in image], [scores for _, scores, _ in image], [labels for _, _, labels in image])
        for image, scale in zip(images, scales, strict=True)
    ]  # fmt: skip
    found = fuse_images(fusion, scaled, weights, iou_threshold, skip_threshold, workers)
    return [(boxes * scale, scores, labels) for (boxes, scores, labels), scale in zip(found, scales, strict=True)]
