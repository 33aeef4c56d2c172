"""Metrics of decisions between yes and no, from their four counts: for the search of thresholds over all distinct scores.

Counts are arrays of any shape, for example (classes, thresholds). Values are those of the metric that is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Numbers of images that are both predicted and true, only predicted, only true, and neither."""

    both: Array
    predicted: Array
    true: Array
    neither: Array

    def summed(self, others: "Counts") -> "Counts":
        """Return the counts (thresholds,) over all classes, with those of further classes (classes, 1)."""
        return Counts(*(getattr(self, name).sum(axis=0) + getattr(others, name).sum() for name in NAMES))


NAMES = tuple(one.name for one in fields(Counts))


def stacked(of_classes: Sequence[Counts]) -> Counts:
    """Join counts (thresholds,) of several classes into (classes, thresholds)."""
    return Counts(*(np.array([getattr(one, name) for one in of_classes]) for name in NAMES))


def above(scores: NDArray[np.floating[Any]], is_true: NDArray[np.bool_], levels: Array, or_equal: bool) -> Counts:
    """Count the decisions (levels,) by scores above each level.

    Args:
        scores: (n,).
        or_equal: scores that equal a level are above it.
    """
    side = "left" if or_equal else "right"
    found = [np.searchsorted(np.sort(scores[of]), levels, side=side) for of in (is_true, ~is_true)]  # type: ignore[call-overload]
    n_true = int(is_true.sum())
    return Counts(*(np.asarray(one, float) for one in (
        n_true - found[0], len(scores) - n_true - found[1], found[0], found[1],
    )))  # fmt: skip


def accuracy(of: Counts) -> Array:
    """Fraction of right decisions."""
    return (of.both + of.neither) / (of.both + of.predicted + of.true + of.neither)


def balanced_accuracy(of: Counts) -> Array:
    """Mean recall of yes and no, of one of them if the other is never true."""
    recalls = _ratio(of.both, of.both + of.true), _ratio(of.neither, of.neither + of.predicted)
    known = [np.isfinite(one) for one in recalls]
    total = np.asarray(sum(np.where(ok, one, 0) for ok, one in zip(known, recalls, strict=True)))
    return _ratio(total, known[0].astype(float) + known[1])


def f1(of: Counts) -> Array:
    """F1 of yes; 0 if it is neither true nor predicted."""
    return np.nan_to_num(f1_or_none(of))


def f1_or_none(of: Counts) -> Array:
    """F1 of yes; NaN if it is neither true nor predicted."""
    return _ratio(2 * of.both, 2 * of.both + of.predicted + of.true)


def f1_macro(of: Counts) -> Array:
    """Mean F1 of yes and no, without one that is neither true nor predicted."""
    both = f1_or_none(of), f1_or_none(Counts(of.neither, of.true, of.predicted, of.both))
    known = [np.isfinite(one).astype(float) for one in both]
    return _ratio(np.nan_to_num(both[0]) + np.nan_to_num(both[1]), known[0] + known[1])


def mcc(of: Counts) -> Array:
    """Matthews correlation coefficient; 0 if all decisions or all truths are one."""
    sides = (of.both + of.predicted) * (of.both + of.true) * (of.neither + of.predicted) * (of.neither + of.true)
    return np.nan_to_num(_ratio(of.both * of.neither - of.predicted * of.true, np.sqrt(sides)))


def kappa(of: Counts) -> Array:
    """Cohen's kappa; NaN if decisions and truths are all one and the same."""
    n = of.both + of.predicted + of.true + of.neither
    by_chance = (of.both + of.predicted) * (of.neither + of.predicted) + (of.neither + of.true) * (of.both + of.true)
    return 1 - _ratio((of.predicted + of.true) * n, by_chance)


def _ratio(above: Array, below: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / below
