"""Differences between all pairs of several predictions of the same samples, with a correction for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics.paired import CONFIDENCE, Gain, gain

LEVEL = 1 - CONFIDENCE


@dataclass(frozen=True)
class Pair:
    """Two predictions, the one with the better score first."""

    better: str
    other: str
    gain: Gain
    """Difference of their scores, at least 0, with its interval and p value as if no others had been compared."""
    p_holm: float
    """P value corrected for the number of pairs; NaN without one."""

    @property
    def verdict(self) -> str:
        """``better``; ``unclear`` if only without the correction; ``noise`` if the interval contains 0; empty if unknown."""
        if not self.gain.verdict:
            return ""
        return "better" if self.p_holm < LEVEL else "noise" if self.gain.verdict == "noise" else "unclear"


def pairs(
    values: Mapping[str, float], drawn: Mapping[str, NDArray[np.float64]], n: int, greater_is_better: bool = True
) -> list[Pair]:
    """Compare all pairs of predictions on the same resamples, the best first.

    Each pair is tested by `goldfold.metrics.paired.gain`: two-sided, with the standard deviation of the difference over the
    resamples. The p values are corrected by `holm`.

    >>> close, apart = np.array([0.58, 0.6, 0.62]), np.array([0.79, 0.8, 0.81])
    >>> [pair.verdict for pair in pairs({"a": 0.6, "b": 0.8}, {"a": close, "b": apart}, 100)]
    ['better']

    Args:
        values: score of each prediction, all samples; those without one are left out.
        drawn: scores of each on the resamples (n_resamples,), see `goldfold.metrics.paired.resampled`.
        n: independent samples, see `goldfold.metrics.bootstrap.independent`.
    """
    sign = -1 if greater_is_better else 1
    ranked = sorted((name for name in values if np.isfinite(values[name])), key=lambda name: sign * values[name])
    names = list(combinations(ranked, 2))
    gains = [
        gain([values[other]], [values[better]], [drawn[other]], [drawn[better]], n, greater_is_better)
        for better, other in names
    ]
    corrected = holm([found.p for found in gains])
    return [Pair(*both, found, p) for both, found, p in zip(names, gains, corrected, strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values for their number, so that with 95 % confidence no difference at all is found where none is.

    The smallest of n is multiplied by n, the next by n - 1, and so on, and none is below a smaller one's (Holm 1979, A simple
    sequentially rejective multiple test procedure). It holds however the tests depend on each other.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    Args:
        p: NaN where there was no test.
    """
    given = np.asarray(p, dtype=float)
    order = np.argsort(given, kind="stable")[: int(np.isfinite(given).sum())]
    found = np.full(len(given), np.nan)
    found[order] = np.minimum(1, np.maximum.accumulate(given[order] * np.arange(len(order), 0, -1)))
    return [float(one) for one in found]
