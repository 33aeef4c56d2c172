"""Bootstrap intervals of scores."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    """Score all ``n`` samples, with the 2.5 % and 97.5 % quantiles over resamples (Efron's percentile bootstrap).

    Args:
        value: sample indices (with repeats) -> score; NaN for a resample that cannot be scored, which is left out.
        n_resamples: 0: no interval (both ends NaN).
        groups: group of each sample; whole groups are resampled, since their images are not independent.
    """
    return summary(value(np.arange(n)), resample(value, n, groups, n_resamples, seed))


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


def summary(value: float, drawn: NDArray[np.float64]) -> Score:
    """Return a score with the 2.5 % and 97.5 % quantiles of its resamples, without those that are NaN."""
    low, high = quantiles(drawn)
    return Score(float(value), low, high)


def quantiles(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """2.5 % and 97.5 % quantiles of the finite values; NaN if there are none."""
    finite = drawn[np.isfinite(drawn)]
    low, high = np.quantile(finite, [0.025, 0.975]) if len(finite) else (float("nan"),) * 2
    return float(low), float(high)


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
