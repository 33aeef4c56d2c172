"""Metrics of the boundaries of masks, per image and class: boundary IoU, boundary F-score, Hausdorff distance.

Counts of pixels are not enough for them, so they read the masks again, one image at a time, and only where a metric asks for
it. Pixels with unknown truth belong to no class, in prediction and truth. The boundary of a class consists of its pixels with
a neighbour at an edge that is not of the class; what lies outside the image is not. All distances are Euclidean, between
centres of pixels, in pixels of the image.

The value of an image is the mean over the classes true or predicted in it. A class that is in only one of the two masks scores
0, and as a Hausdorff distance the diagonal of the image. An image without any class in both is right: 1, or a distance of 0.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.metrics.metric import Metric
from goldfold.metrics.segmentation import Overlap

Mask = NDArray[np.bool_]
Compare = Callable[[Mask, Mask, float], float]
"""Prediction and truth of one class, both with pixels, and the diagonal of the image -> value."""
BAND, TOLERANCE = 0.02, 0.0075
"""Default distances of boundary IoU and F-score, as shares of the diagonal."""


@dataclass(frozen=True)
class Pairs:
    """Predicted and true masks that are read again.

    Args:
        read: yields pairs of (height, width) channels, or sets of classes, of all images in order.
        channels: channels of the classes, or their bits in sets.
        ignore: true channel, or set, of pixels that count for nothing.
        has: (mask, channel) -> (height, width) where the class of a channel is.
    """

    read: Callable[[], Iterator[tuple[NDArray[Any], NDArray[Any]]]]
    channels: Sequence[int]
    ignore: int
    has: Callable[[NDArray[Any], int], Mask] = np.equal
    tables: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """What was computed before, by name."""

    def table(self, name: str, compare: Compare, of_one: Callable[[float], float]) -> NDArray[np.float64]:
        """Return the value of each image and class (n, classes), NaN where a class is in neither mask.

        Args:
            of_one: diagonal -> value where a class is in only one of the masks.
        """
        if name not in self.tables:
            found = [self._compared(*pair, compare, of_one) for pair in self.read()]
            self.tables[name] = np.reshape(np.array(found, dtype=np.float64), (-1, len(self.channels)))
        return self.tables[name]

    def _compared(
        self,
        prediction: NDArray[Any],
        truth: NDArray[Any],
        compare: Compare,
        of_one: Callable[[float], float],
    ) -> list[float]:
        diagonal, known, values = float(np.hypot(*truth.shape)), truth != self.ignore, []
        for channel in self.channels:
            masks = self.has(prediction, channel) & known, self.has(truth, channel) & known
            n_present = sum(bool(one.any()) for one in masks)
            both = n_present == 2
            values.append(compare(*_around(*masks), diagonal) if both else of_one(diagonal) if n_present else np.nan)
        return values


def _around(prediction: Mask, truth: Mask) -> tuple[Mask, Mask]:
    """Cut both masks to the pixels of either, with a margin of one pixel that is of neither."""
    left, top, width, height = cv2.boundingRect((prediction | truth).astype(np.uint8))
    window = slice(top, top + height), slice(left, left + width)
    return np.pad(prediction[window], 1), np.pad(truth[window], 1)


def _to_nearest(mask: Mask) -> NDArray[np.float32]:
    """Distance of each pixel to the nearest one of ``mask``."""
    found: NDArray[np.float32] = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return found


def _boundary(mask: Mask) -> Mask:
    """Pixels of a mask, which has a margin, with a neighbour at an edge outside it."""
    inner = cv2.erode(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), borderValue=0)
    return mask & (inner == 0)


def _iou_of_bands(prediction: Mask, truth: Mask, diagonal: float, distance: Callable[[float], float]) -> float:
    bands = [mask & (_to_nearest(~mask) <= distance(diagonal)) for mask in (prediction, truth)]
    return float((bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum())


def _f_score(prediction: Mask, truth: Mask, diagonal: float, distance: Callable[[float], float]) -> float:
    own, true = _boundary(prediction), _boundary(truth)
    precision, recall = (
        float((_to_nearest(other)[of] <= distance(diagonal)).mean()) for of, other in ((own, true), (true, own))
    )
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _hausdorff(prediction: Mask, truth: Mask, diagonal: float, percentile: float) -> float:
    own, true = _boundary(prediction), _boundary(truth)
    return max(float(np.percentile(_to_nearest(other)[of], percentile)) for of, other in ((own, true), (true, own)))


def _distance(name: str, share: float, pixels: float | None) -> Callable[[float], float]:
    """Return diagonal -> distance in pixels, at least 1.

    Raises:
        ConfigError: a value is out of range.
    """
    if not 0 < share < 1:
        raise ConfigError(
            f"metric: {name}: tolerance = {share:g}: must be above 0 and below 1, a share of the diagonal"
        )
    if pixels is not None and not pixels >= 1:
        raise ConfigError(f"metric: {name}: tolerance_px = {pixels:g}: must be at least 1")
    return lambda diagonal: max(1.0, share * diagonal) if pixels is None else float(pixels)


def _per_image(overlap: Overlap, name: str, compare: Compare, of_one: Callable[[float], float], best: float) -> float:
    """Mean over the images of the mean over the classes true or predicted in each; ``best`` for images without any."""
    if overlap.pairs is None:
        raise ConfigError(f"metric {name.partition(' ')[0]!r} needs masks, but there are only counts of pixels")
    values = overlap.pairs.table(name, compare, of_one)
    values = values if overlap.rows is None else values[overlap.rows]
    present = np.isfinite(values)
    sums = np.where(present, values, 0).sum(axis=1)
    means = np.where(present.any(axis=1), sums / np.maximum(present.sum(axis=1), 1), best)
    return float(means.mean()) if len(means) else float("nan")


def boundary_iou(overlap: Overlap, tolerance: float = BAND, tolerance_px: float | None = None) -> float:
    """Intersection over union of the pixels near the boundaries (Cheng et al. 2021), mean over classes and images.

    Args:
        tolerance: width of the band inside the boundary of each mask, as a share of the diagonal of the image.
        tolerance_px: the same in pixels, instead; at least 1, a pixel at the boundary has a distance of 1.
    """
    distance = _distance("boundary_iou", tolerance, tolerance_px)
    compare = partial(_iou_of_bands, distance=distance)
    return _per_image(overlap, f"boundary_iou {tolerance} {tolerance_px}", compare, lambda diagonal: 0.0, 1.0)


def boundary_f1(overlap: Overlap, tolerance: float = TOLERANCE, tolerance_px: float | None = None) -> float:
    """F-score of the boundaries' pixels within a tolerance (Csurka et al. 2013), mean over classes and images.

    Args:
        tolerance: distance up to which boundaries match, as a share of the diagonal of the image.
        tolerance_px: the same in pixels, instead; at least 1.
    """
    compare = partial(_f_score, distance=_distance("boundary_f1", tolerance, tolerance_px))
    return _per_image(overlap, f"boundary_f1 {tolerance} {tolerance_px}", compare, lambda diagonal: 0.0, 1.0)


def hausdorff(overlap: Overlap, percentile: float = 100.0) -> float:
    """Hausdorff distance between the boundaries in pixels, mean over classes and images; smaller is better.

    Args:
        percentile: of the distances from each boundary to the other; the larger of both is taken. 100 is the Hausdorff
            distance, 95 ignores the farthest twentieth.

    Raises:
        ConfigError: the percentile is not above 0 and at most 100.
    """
    if not 0 < percentile <= 100:
        raise ConfigError(f"metric: hausdorff: percentile = {percentile:g}: must be above 0 and at most 100")
    compare = partial(_hausdorff, percentile=percentile)
    return _per_image(overlap, f"hausdorff {percentile}", compare, lambda diagonal: diagonal, 0.0)


HAUSDORFF = Metric(hausdorff, greater_is_better=False)
