"""Fit a head to the training rows of one fold: standardise, choose its strength within these rows, fit it with each seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.spread import differs
from goldfold.heads.protocol import Array, Head, Predict

THIRD = 3
"""Every third row is held out where all training rows are in one fold."""


@dataclass(frozen=True)
class Standard:
    """Columns in units of their standard deviation over some rows."""

    centre: NDArray[np.float64]
    """(d,)."""
    spread: NDArray[np.float64]
    """(d,); 1 where a column is constant."""

    @classmethod
    def fit(cls, rows: Array, is_raw: bool = False) -> Standard:
        """Return mean and standard deviation of rows (n, d); of raw ones 0 and 1, which change nothing."""
        if is_raw:
            return cls(np.zeros(rows.shape[1]), np.ones(rows.shape[1]))
        centre, spread = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        return cls(centre, np.where(differs(spread, centre), spread, 1.0))

    def __call__(self, rows: Array) -> Array:
        """Return standardised rows (n, d)."""
        return np.asarray((rows - self.centre) / self.spread, dtype=np.float32)


@dataclass(frozen=True)
class FittedHead:
    """A head of one fold and seed, with the statistics of its training rows."""

    standard: Standard
    predict: Predict
    chosen: Any

    def __call__(self, rows: Array) -> NDArray[np.float64]:
        """Return the outputs (n, outputs) for embeddings (n, d)."""
        return self.predict(self.standard(rows))


def held_out(parts: NDArray[np.int64], fold: int) -> NDArray[np.bool_]:
    """Return which training rows of a fold its strength is chosen on: those of the next fold, so that groups stay together.

    Args:
        parts: number of the fold that validates each training row, -1 for none.

    >>> held_out(np.array([0, 0, 2, 2, -1]), 1).tolist(), held_out(np.array([0, 0, 1, 1]), 2).tolist()
    ([False, False, True, True, False], [True, True, False, False])
    """
    numbers = np.unique(parts[parts >= 0])
    if len(numbers) < 2:
        return np.arange(len(parts)) % THIRD == 0
    later = numbers[numbers > fold]
    return np.asarray(parts == (later if len(later) else numbers)[0])


def fitted(
    head: Head, features: Array, target: NDArray[Any], parts: NDArray[np.int64], fold: int, seeds: Sequence[int]
) -> Iterator[FittedHead]:
    """Fit a head to the training rows of a fold with each seed, in this order; its strength is the same with all seeds.

    Args:
        features: embeddings (n, d) of the training rows.
        target: targets of these rows, in the form of the head.
        parts: see `held_out`.
    """
    held, is_raw = held_out(parts, fold), getattr(head, "takes_raw", False)
    inner = Standard.fit(features[~held], is_raw)
    chosen = head.choose(inner(features[~held]), target[~held], inner(features[held]), target[held])
    standard = Standard.fit(features, is_raw)
    rows = standard(features)
    for predict in head.fit(rows, target, chosen, seeds):
        yield FittedHead(standard, predict, chosen)
