"""Metrics of masks, from the pixels that prediction and truth share or do not, counted by image and class."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics.metric import Metric, Rows

Counts = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Overlap:
    """Numbers of pixels (n, classes): in both, in the prediction alone, in the truth alone."""

    both: Counts
    predicted: Counts
    true: Counts

    def __len__(self) -> int:
        return len(self.both)


def count(prediction: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], first: int, last: int, ignore: int
          ) -> tuple[Counts, Counts, Counts]:  # fmt: skip
    """Pixels in both, in the prediction alone and in the truth alone, of each class from ``first`` to ``last``.

    Args:
        prediction, truth: (height, width) indices of classes; pixels whose truth is ``ignore`` are not looked at.
    """
    seen = truth != ignore
    p, t = prediction[seen].astype(np.int64), truth[seen].astype(np.int64)
    n = last + 1
    both = np.bincount(p[p == t], minlength=n)[first:n]
    in_p, in_t = np.bincount(p, minlength=n)[first:n], np.bincount(t, minlength=n)[first:n]
    return both, in_p - both, in_t - both


def dice(both: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    """2 |A and B| / (|A| + |B|); NaN where neither has a pixel."""
    with np.errstate(invalid="ignore"):
        return 2 * both / (2 * both + predicted + true)


def iou(both: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    """|A and B| / |A or B|; NaN where neither has a pixel."""
    with np.errstate(invalid="ignore"):
        return both / (both + predicted + true)


Ratio = Callable[[Counts, Counts, Counts], NDArray[np.float64]]


def by_class(evidence: Overlap, ratio: Ratio, rows: Rows | None = None) -> NDArray[np.float64]:
    """The ratio of each class over the pixels of all images (classes,); NaN where no image has or is given the class."""
    chosen = np.arange(len(evidence)) if rows is None else rows
    return ratio(*(part[chosen].sum(axis=0) for part in (evidence.both, evidence.predicted, evidence.true)))


def by_image(evidence: Overlap, ratio: Ratio) -> NDArray[np.float64]:
    """Mean of the ratio over the classes that an image has or is given (n,); 1 where it has none and is given none."""
    values = ratio(evidence.both, evidence.predicted, evidence.true)
    present = np.isfinite(values)
    sums = np.where(present, values, 0).sum(axis=1)
    return np.where(present.any(axis=1), sums / np.maximum(present.sum(axis=1), 1), 1.0)


def _of_set(ratio: Ratio) -> Callable[[Overlap, Rows], float]:
    def value(evidence: Overlap, rows: Rows) -> float:
        values = by_class(evidence, ratio, rows)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    return value


def _of_images(ratio: Ratio) -> Callable[[Overlap, Rows], float]:
    return lambda evidence, rows: float(by_image(evidence, ratio)[rows].mean())


METRICS: dict[str, Metric] = {
    "dice": Metric("dice", _of_set(dice)),
    "iou": Metric("iou", _of_set(iou)),
    "dice_per_image": Metric("dice_per_image", _of_images(dice)),
    "iou_per_image": Metric("iou_per_image", _of_images(iou)),
}
"""The first two over the pixels of the whole set, mean over classes; the others mean over images. No background."""
