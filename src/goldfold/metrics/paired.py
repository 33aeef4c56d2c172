"""Differences between scores on the same samples, with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics.bootstrap import draws
from goldfold.metrics.metric import Evidence, Metric
from goldfold.metrics.resampling import drawn, is_together, prepared

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Gain:
    """Difference between two scores with its 95 % interval; positive is better."""

    value: float
    low: float
    high: float
    p: float = math.nan
    """Two-sided p value of no difference; below 0.05 where the interval does not contain 0."""

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``noise`` if the interval contains 0; empty without an interval."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return ""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "noise"


def resampled(
    metric: Metric, evidence: Mapping[str, Evidence], groups: Sequence[str] | None, n_resamples: int, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Scores of several predictions of the same samples, (n_resamples,) each, all on the same resamples."""
    first = next(iter(evidence.values()))
    if is_together(metric, first):
        return {name: drawn(metric, one, groups, n_resamples, seed) for name, one in evidence.items()}
    n = len(first)
    values = {name: prepared(metric, one) for name, one in evidence.items()}
    scores = np.array([[value(rows) for value in values.values()] for rows in draws(n, groups, n_resamples, seed)])
    return dict(zip(values, scores.reshape(-1, len(values)).T, strict=True))


def gain(
    before: Sequence[float],
    after: Sequence[float],
    before_resampled: Sequence[NDArray[np.float64]],
    after_resampled: Sequence[NDArray[np.float64]],
    n: int,
    greater_is_better: bool = True,
) -> Gain:
    """Mean score of some trainings minus that of others, which differ in one setting.

    The variance of the difference is the sum of two parts: that over resamples of the scored samples, which are the same for
    both, and those between repeated trainings (seeds) of each, divided by their number. Resamples of n samples vary too little:
    the first part is multiplied by n / (n - 1), and has n - 1 degrees of freedom, so that the interval is expanded as that of a
    score is (`goldfold.metrics.bootstrap.levels`). The degrees of freedom of the sum are those of Welch's t test (Welch 1947).
    With one training each, the second part is unknown and left out. What a split into other folds would change is not included.

    >>> before = np.array([0.5, 0.7, 0.6])
    >>> gain([0.6], [0.7], [before], [before + 0.1], 100).verdict
    'better'

    Args:
        before: score of each training, all samples.
        after: score of each training with the setting.
        before_resampled: scores of each training on the resamples, see `resampled`; of ``after`` on the same.
        n: independent samples, see `goldfold.metrics.bootstrap.independent`; fewer than 2 give no interval.
    """
    from scipy import stats

    sign = 1.0 if greater_is_better else -1.0
    value = sign * (float(np.mean(after)) - float(np.mean(before)))
    differences = np.mean(after_resampled, axis=0) - np.mean(before_resampled, axis=0)
    differences = differences[np.isfinite(differences)]
    if not math.isfinite(value) or len(differences) < 2 or n < 2:
        return Gain(value, math.nan, math.nan)
    parts = [(float(np.var(differences, ddof=1)) * n / (n - 1), n - 1)]
    parts += [
        (float(np.var(scores, ddof=1)) / len(scores), len(scores) - 1) for scores in (before, after) if len(scores) > 1
    ]
    total, uncertain = sum(part for part, _ in parts), sum(part**2 / freedom for part, freedom in parts)
    freedom = total**2 / uncertain if uncertain else n - 1
    quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))
    half = quantile * math.sqrt(total)
    return Gain(value, value - half, value + half, _p(value, math.sqrt(total), freedom))


def _p(value: float, deviation: float, freedom: float) -> float:
    """Two-sided p value of a difference; without any deviation, 1 for no difference and else 0."""
    from scipy import stats

    if not deviation:
        return float(value == 0)
    return float(2 * stats.t.sf(abs(value) / deviation, freedom))
