"""Metrics of masks, from pixel counts per image and class."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics.metric import Rows

if TYPE_CHECKING:
    from goldfold.metrics.instances import Counted
    from goldfold.metrics.surfaces import Pairs

Counts = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Overlap:
    """Numbers of pixels (n, classes) of each class per image."""

    both: Counts
    """In prediction and truth (true positives)."""
    predicted: Counts
    """Only in the prediction (false positives)."""
    true: Counts
    """Only in the truth (false negatives)."""
    pairs: "Pairs | None" = None
    """Masks of all images, for metrics that need more than counts."""
    rows: Rows | None = None
    """Rows among these that are counted here; None for all."""
    instances: "Counted | None" = None
    """Instances of all images, for metrics of these."""

    def __len__(self) -> int:
        return len(self.both)

    @property
    def also_reported(self) -> tuple[str, ...]:
        """Metrics that are of interest besides those of all masks."""
        return ("instance_ap",) if self.instances is not None and self.instances.are_separated else ()

    def arguments(self, rows: Rows) -> tuple["Overlap"]:
        """Return the counts of some of the images, as the only argument."""
        own = rows if self.rows is None else self.rows[rows]
        return (Overlap(self.both[rows], self.predicted[rows], self.true[rows], self.pairs, own, self.instances),)


def count(prediction: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], first: int, last: int, ignore: int
          ) -> tuple[Counts, Counts, Counts]:  # fmt: skip
    """Count the pixels in both, only in the prediction and only in the truth, per class from ``first`` to ``last``.

    Args:
        prediction, truth: (height, width) class indices; pixels whose truth is ``ignore`` are skipped.
    """
    seen = truth != ignore
    p, t = prediction[seen].astype(np.int64), truth[seen].astype(np.int64)
    n = last + 1
    both = np.bincount(p[p == t], minlength=n)[first:n]
    in_p, in_t = np.bincount(p, minlength=n)[first:n], np.bincount(t, minlength=n)[first:n]
    return both, in_p - both, in_t - both


def count_sets(
    prediction: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], codes: Sequence[int], ignore: int
) -> tuple[Counts, Counts, Counts]:
    """Count as `count` does, per class of sets of classes with one bit each.

    Args:
        prediction, truth: (height, width) sets; pixels whose truth is ``ignore`` are skipped.
        codes: bit of each class.
    """
    seen = truth != ignore
    p, t = prediction[seen].astype(np.int64), truth[seen].astype(np.int64)
    both, in_p, in_t = (np.array([np.count_nonzero(sets & code) for code in codes]) for sets in (p & t, p, t))
    return both, in_p - both, in_t - both


LEVELS = np.arange(1, 100) / 100
"""Candidate thresholds for masks."""


@dataclass(frozen=True)
class Undecided:
    """Numbers of pixels (n, classes, `LEVELS`) that are predicted as each class at each level: in the class, and outside it.

    The pixels of a class depend on its own threshold alone.
    """

    hits: Counts
    misses: Counts
    true: Counts
    """Pixels of the classes (n, classes)."""

    def __len__(self) -> int:
        return len(self.hits)

    def levels(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Return the candidate thresholds."""
        return LEVELS

    def at(self, thresholds: Sequence[float]) -> Overlap:
        """Return the overlap of masks decided by one of `LEVELS` per class."""
        places = [int(np.flatnonzero(np.isclose(LEVELS, one))[0]) for one in thresholds]
        classes = range(len(places))
        both = self.hits[:, classes, places]
        return Overlap(both, self.misses[:, classes, places], self.true - both)

    def of_class(self, column: int) -> "Undecided":
        """Return the counts of one class."""
        chosen = slice(column, column + 1)
        return Undecided(self.hits[:, chosen], self.misses[:, chosen], self.true[:, chosen])


def count_levels(
    values: NDArray[np.floating[Any]], is_class: NDArray[np.bool_], is_known: NDArray[np.bool_], includes: bool = True
) -> tuple[Counts, Counts]:
    """Count the pixels whose probability reaches each of `LEVELS`, in the class and outside it.

    Args:
        values: probabilities; those outside ``is_known`` are skipped.
        includes: whether a probability equal to a level reaches it.
    """
    side: Literal["left", "right"] = "right" if includes else "left"
    reached = np.searchsorted(LEVELS.astype(values.dtype), values, side=side)
    counts = [
        np.bincount(reached[is_known & of], minlength=len(LEVELS) + 1)[::-1].cumsum()[::-1][1:]
        for of in (is_class, ~is_class)
    ]
    return counts[0], counts[1]


def dice(both: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    """2 |A and B| / (|A| + |B|); NaN if both are empty."""
    with np.errstate(invalid="ignore"):
        return 2 * both / (2 * both + predicted + true)


def iou(both: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    """|A and B| / |A or B|; NaN if both are empty."""
    with np.errstate(invalid="ignore"):
        return both / (both + predicted + true)


Ratio = Callable[[Counts, Counts, Counts], NDArray[np.float64]]


def by_class(evidence: Overlap, ratio: Ratio, rows: Rows | None = None) -> NDArray[np.float64]:
    """Return the ratio per class over the pixels of all images (classes,); NaN if a class is neither true nor predicted."""
    chosen = np.arange(len(evidence)) if rows is None else rows
    return ratio(*(part[chosen].sum(axis=0) for part in (evidence.both, evidence.predicted, evidence.true)))


def by_image(evidence: Overlap, ratio: Ratio) -> NDArray[np.float64]:
    """Return the mean ratio over the classes true or predicted in each image (n,); 1 if there are none."""
    values = ratio(evidence.both, evidence.predicted, evidence.true)
    present = np.isfinite(values)
    sums = np.where(present, values, 0).sum(axis=1)
    return np.where(present.any(axis=1), sums / np.maximum(present.sum(axis=1), 1), 1.0)


def dice_of_set(overlap: Overlap) -> float:
    """Dice over the pixels of all images, mean over the classes without the background."""
    return _mean(by_class(overlap, dice))


def iou_of_set(overlap: Overlap) -> float:
    """Intersection over union of the pixels of all images, mean over the classes without the background."""
    return _mean(by_class(overlap, iou))


def dice_per_image(overlap: Overlap) -> float:
    """Mean over the images of the mean Dice over the classes true or predicted in each."""
    return float(by_image(overlap, dice).mean())


def iou_per_image(overlap: Overlap) -> float:
    """Mean over the images of the mean intersection over union over the classes true or predicted in each."""
    return float(by_image(overlap, iou).mean())


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
