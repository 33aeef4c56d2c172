"""Instance AP of masks, the metric of the 2018 Data Science Bowl (Caicedo et al. 2019, Nature Methods 16, 1247).

A found instance hits a true one of its class if their intersection over union is above a threshold; from 0.5 on, each can hit
at most one. At each of the thresholds 0.5, 0.55, ..., 0.95 an image has TP / (TP + FP + FN), where TP are the hits, FP the
other found and FN the other true instances. The value of an image is the mean over thresholds and over the classes true or
found in it, and 1 without any instance in both; a class that is in only one of the two has 0. Pixels with unknown truth belong
to no instance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.metrics.metric import Rows

TWENTIETHS = np.arange(10, 20)
"""Thresholds of the intersection over union, times 20: compared as whole numbers, they are exact."""
LEVELS = TWENTIETHS / 20
WIDTH = len(LEVELS) + 2
"""Numbers per image and class: hits at each threshold, found and true instances."""
Counts = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Matches:
    """Numbers of instances per image and class."""

    hits: Counts
    """(n, classes, thresholds)."""
    found: Counts
    """(n, classes)."""
    true: Counts
    """(n, classes)."""

    def __len__(self) -> int:
        return len(self.hits)

    def arguments(self, rows: Rows) -> tuple["Matches"]:
        """Return the numbers of some of the images, as the only argument."""
        return (Matches(self.hits[rows], self.found[rows], self.true[rows]),)

    @property
    def precisions(self) -> NDArray[np.float64]:
        """TP / (TP + FP + FN) at each threshold (n, classes, thresholds); NaN for a class neither true nor found."""
        every = (self.found + self.true)[..., None] - self.hits
        with np.errstate(invalid="ignore"):
            return self.hits / every

    def by_image(self) -> NDArray[np.float64]:
        """Return the mean over the classes of each image at each threshold (n, thresholds); 1 without any instance."""
        values = self.precisions
        present = np.isfinite(values)
        sums = np.where(present, values, 0).sum(axis=1)
        return np.where(present.any(axis=1), sums / np.maximum(present.sum(axis=1), 1), 1.0)


def of_numbers(numbers: Counts) -> Matches:
    """Return the matches of numbers (n, classes, WIDTH) as of `Crossing.numbers`."""
    return Matches(numbers[..., :-2], numbers[..., -2], numbers[..., -1])


class Counted:
    """Matches of all images, counted when first needed.

    Args:
        are_separated: whether a step has separated the found instances, which are then of interest.
    """

    def __init__(self, count: Callable[[], Matches], are_separated: bool = False) -> None:
        self.count, self.are_separated = count, are_separated

    @cached_property
    def matches(self) -> Matches:
        """The matches."""
        return self.count()


class Crossing:
    """Pixels that parts of a prediction share with the true instances of one class in one image."""

    def __init__(self, parts: Counts, true: Counts, n_parts: int, n_true: int) -> None:
        """Count the pixels.

        Args:
            parts, true: (pixels,) numbers from 1 of part and true instance, 0 without one, of the pixels with known truth.
        """
        self.areas = np.bincount(parts, minlength=n_parts + 1)[1:]
        self.true = np.bincount(true, minlength=n_true + 1)[1:]
        shared = (parts > 0) & (true > 0)
        keys, self.pixels = np.unique((parts[shared] - 1) * np.int64(n_true) + true[shared] - 1, return_counts=True)
        self.ends = np.divmod(keys, max(n_true, 1))

    def numbers(self, groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return hits at each threshold, number of found and number of true instances (WIDTH,).

        Args:
            groups: (parts,) instance that each part belongs to, from 0; -1 for none.
        """
        areas, _, union, both = self._shared(groups)
        hits = (20 * both[:, None] > TWENTIETHS * union[:, None]).sum(axis=0)
        return np.array([*hits, (areas > 0).sum(), (self.true > 0).sum()])

    def hits(self) -> NDArray[np.int64]:
        """Return the numbers from 1 (hits, 2) of parts and of the true instances that they hit at the lowest threshold."""
        _, ends, union, both = self._shared(np.arange(len(self.areas)))
        return np.stack(ends, axis=1)[20 * both > TWENTIETHS[0] * union] + 1

    def _shared(
        self, groups: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64], NDArray[np.int64]]:
        """Return the pixels of each group and, of pairs that share any: group and true instance, union and intersection."""
        is_kept = groups >= 0
        n = int(groups.max(initial=-1)) + 1
        areas = np.bincount(groups[is_kept], self.areas[is_kept], n).astype(np.int64)
        parts, true = self.ends
        is_shared = is_kept[parts]
        keys = groups[parts[is_shared]] * np.int64(len(self.true)) + true[is_shared]
        keys, places = np.unique(keys, return_inverse=True)
        both = np.bincount(places, self.pixels[is_shared], len(keys)).astype(np.int64)
        of_group, of_true = np.divmod(keys, max(len(self.true), 1))
        return areas, (of_group, of_true), areas[of_group] + self.true[of_true] - both, both


def instance_ap(evidence: Any, iou: float | None = None) -> float:
    """Instance AP of the 2018 Data Science Bowl: TP / (TP + FP + FN), mean over IoU 0.5 to 0.95, classes and images.

    Args:
        iou: one of the thresholds 0.5, 0.55, ..., 0.95, instead of their mean.

    Raises:
        ConfigError: another threshold, or there are only counts of pixels.
    """
    places = _places(iou)
    matches = evidence if isinstance(evidence, Matches) else _of_overlap(evidence)
    return float(matches.by_image()[:, places].mean()) if len(matches) else float("nan")


def _of_overlap(overlap: Any) -> Matches:
    if overlap.instances is None:
        raise ConfigError("metric 'instance_ap' needs masks, but there are only counts of pixels")
    matches: Matches = overlap.instances.matches
    return matches if overlap.rows is None else matches.arguments(overlap.rows)[0]


def _places(iou: float | None) -> Sequence[int] | slice:
    if iou is None:
        return slice(None)
    is_number = isinstance(iou, int | float) and not isinstance(iou, bool)
    found = np.flatnonzero(np.isclose(LEVELS, iou)).tolist() if is_number else []
    if not found:
        raise ConfigError(f"metric: instance_ap: iou = {iou}: must be one of 0.5, 0.55, ..., 0.95")
    return found
