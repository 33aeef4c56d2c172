"""Bootstrap intervals of scores."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TAIL = 0.025
"""Probability on either side of a 95 % interval."""


@dataclass(frozen=True)
class Score:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Return ``value``, ``low`` and ``high``, as stored in metrics.json."""
        return asdict(self)


def bootstrap(
    value: Callable[[NDArray[np.int64]], float],
    n: int,
    groups: Sequence[str] | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Score:
    """Score all ``n`` samples, with a 95 % interval from quantiles over resamples (percentile bootstrap), see `levels`.

    Args:
        value: sample indices (with repeats) -> score; NaN for a resample that cannot be scored, which is left out.
        n_resamples: 0: no interval (both ends NaN).
        groups: group of each sample; whole groups are resampled, since their images are not independent.
    """
    return summary(value(np.arange(n)), resample(value, n, groups, n_resamples, seed), independent(n, groups))


def resample(
    value: Callable[[NDArray[np.int64]], float],
    n: int,
    groups: Sequence[str] | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Score resamples (n_resamples,) of ``n`` samples; NaN where one cannot be scored. See `bootstrap`.

    Predictions of the same samples that are resampled one after the other get the same resamples.
    """
    return np.array([value(rows) for rows in draws(n, groups, n_resamples, seed)], dtype=float)


def independent(n: int, groups: Sequence[str] | None) -> int:
    """Number of independent cases: groups, if there are groups, else samples."""
    return n if groups is None else len({*groups})


def summary(value: float, drawn: NDArray[np.float64], n: int) -> Score:
    """Return a score with the 95 % interval of its resamples, without those that are NaN.

    Args:
        n: independent cases.
    """
    low, high = quantiles(drawn, n)
    return Score(float(value), low, high)


def quantiles(drawn: NDArray[np.float64], n: int) -> tuple[float, float]:
    """Ends of the 95 % interval of the finite values; NaN if there are none, or of fewer than 2 independent cases."""
    finite = drawn[np.isfinite(drawn)]
    low, high = np.quantile(finite, levels(n)) if len(finite) and n > 1 else (float("nan"),) * 2
    return float(low), float(high)


def levels(n: int) -> tuple[float, float]:
    """Levels of the quantiles over resamples that are the ends of a 95 % interval.

    Resamples of few cases vary too little, as a standard deviation with n instead of n - 1 does, and normal quantiles are too
    small for few. The interval is expanded by sqrt(n / (n - 1)) and by Student's t (Hesterberg 2015, What teachers should know
    about the bootstrap, The American Statistician 69, section on the expanded percentile interval); for many cases it is that
    of the 2.5 % and 97.5 % quantiles.

    >>> [round(levels(n)[0], 4) for n in (20, 50, 100, 300, 100_000)]
    [0.0159, 0.0212, 0.0231, 0.0243, 0.025]

    Args:
        n: independent cases; fewer than 2 count as 2.
    """
    from scipy.special import ndtr, stdtrit

    n = max(n, 2)
    tail = float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, TAIL)))
    return tail, 1 - tail


def draws(
    n: int, groups: Sequence[str] | None, n_resamples: int, seed: int = 0, n_drawn: int | None = None
) -> Iterator[NDArray[np.int64]]:
    """Indices of the samples of each resample, with repeats; whole groups are drawn if there are groups.

    Args:
        n_drawn: samples of each resample; default: as many as there are. Of groups, as many as have that many on average.
    """
    generator = np.random.default_rng(seed)
    members, share = _members(n, groups), 1 if n_drawn is None else n_drawn / n
    for _ in range(n_resamples):
        if groups is None:
            yield generator.integers(n, size=n if n_drawn is None else n_drawn)
        else:
            drawn = generator.integers(len(members), size=max(1, round(share * len(members))))
            yield np.concatenate([members[index] for index in drawn])


def _members(n: int, groups: Sequence[str] | None) -> list[NDArray[Any]]:
    if groups is None:
        return []
    names, inverse = np.unique(np.asarray(groups), return_inverse=True)
    return [np.flatnonzero(inverse == number) for number in range(len(names))]
