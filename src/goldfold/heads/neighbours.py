"""Votes of the nearest training cases."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.heads.protocol import LABEL, LABELS, SMALLEST, Array, Predict, log_odds, loss

NUMBERS = (1, 3, 5, 10, 20, 50)
"""Numbers of neighbours to choose from."""
TEMPERATURE = 0.07
"""A neighbour whose cosine is smaller by this much counts e times less (Caron et al. 2021, section 4.1)."""
TIED = 1e-6
"""Training cases whose cosines differ by less are as near: those at the last place share its votes, whatever their order."""
BLOCK = 2048
"""Cases that are compared with all training cases at a time."""


@dataclass(frozen=True)
class Neighbours:
    """Weighted votes of the k training cases with the largest cosine (Wu et al. 2018, eq. 6), and of all cases together as one
    more neighbour, so that no class has probability 0."""

    target: str
    n_outputs: int
    numbers: tuple[int, ...]

    def choose(self, features: Array, target: NDArray[Any], held: Array, truth: NDArray[Any]) -> int:
        """Return the number of neighbours."""
        if len(self.numbers) == 1:
            return self.numbers[0]
        numbers = [k for k in self.numbers if k <= len(features)] or [len(features)]
        found = self.voted(features, target, held, numbers)
        losses = [loss(outputs, truth, self.target) for outputs in found]
        return int(numbers[int(np.argmin(losses))])

    def fit(self, features: Array, target: NDArray[Any], chosen: int, seeds: Sequence[int]) -> Iterator[Predict]:
        """Yield a function that looks up the training cases, the same with all seeds."""
        yield from repeat(Fitted(self, features, target, min(chosen, len(features))), len(seeds))

    def voted(
        self, features: Array, target: NDArray[Any], rows: Array, numbers: list[int]
    ) -> list[NDArray[np.float64]]:
        """Return the outputs (n, outputs) with each number of neighbours, ascending."""
        known, wanted = unit(features), unit(rows)
        values = self.values(target)
        parts = [
            _shares(known, values, wanted[start : start + BLOCK], numbers)
            for start in range(0, max(len(wanted), 1), BLOCK)
        ]
        return [self._outputs(np.concatenate(of_number)) for of_number in zip(*parts, strict=True)]

    def values(self, target: NDArray[Any]) -> NDArray[np.float64]:
        """Return what each case votes for (n, outputs)."""
        return np.eye(self.n_outputs)[target] if self.target == LABEL else target.reshape(len(target), -1).astype(float)

    def _outputs(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.target == LABEL:
            return np.asarray(np.log(np.maximum(shares, SMALLEST)))
        return log_odds(shares) if self.target == LABELS else shares


@dataclass(frozen=True)
class Fitted:
    """Training cases, with the number of them that vote."""

    head: Neighbours
    features: Array
    target: NDArray[Any]
    k: int

    def __call__(self, rows: Array) -> NDArray[np.float64]:
        """Return the outputs (n, outputs)."""
        return self.head.voted(self.features, self.target, rows, [self.k])[0]


def unit(rows: Array) -> Array:
    """Return rows of length 1; those of length 0 stay as they are."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _shares(known: Array, values: NDArray[np.float64], rows: Array, numbers: list[int]) -> list[NDArray[np.float64]]:
    """Return the weighted means of the values (cases, outputs) of the nearest cases, (n, outputs) by their number."""
    cosines, most = rows @ known.T, max(numbers)
    nearest = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
    near = np.take_along_axis(cosines, nearest, axis=1)
    order = np.argsort(-near, axis=1, kind="stable")
    nearest, near = np.take_along_axis(nearest, order, axis=1), np.take_along_axis(near, order, axis=1)
    weights = np.exp((near - near[:, :1]) / TEMPERATURE).astype(float)
    prior = values.mean(axis=0)
    found = []
    for k in numbers:
        votes = np.einsum("nk,nko->no", weights[:, :k], values[nearest[:, :k]])
        total = weights[:, :k].sum(axis=1, keepdims=True)
        shares = (votes / total * k + prior) / (k + 1)
        tied = np.flatnonzero((cosines >= near[:, k - 1 : k] - TIED).sum(axis=1) > k)
        shares[tied] = _tied(cosines[tied].astype(np.float64), values, near[tied, k - 1 : k], k)
        found.append(shares)
    return found


def _tied(cosines: NDArray[np.float64], values: NDArray[np.float64], last: NDArray[Any], k: int) -> NDArray[np.float64]:
    """Return the same as `_shares` of rows for which more than ``k`` cases are as near as the k-th, at ``last`` (n, 1)."""
    above, level = cosines > last + TIED, np.abs(cosines - last) <= TIED
    shared = (k - above.sum(axis=1, keepdims=True)) / np.maximum(level.sum(axis=1, keepdims=True), 1)
    weights = (above + shared * level) * np.exp(
        (cosines - cosines.max(axis=1, initial=-1, keepdims=True)) / TEMPERATURE
    )
    return np.asarray((weights @ values / weights.sum(axis=1, keepdims=True) * k + values.mean(axis=0)) / (k + 1))


def knn(target: str, n_outputs: int, k: int | None = None) -> Neighbours:
    """Weighted votes of the nearest training cases by the cosine of their embeddings.

    Args:
        k: number of neighbours; by default chosen from 1 to 50 within the training rows of each fold.
    """
    if k is not None and k < 1:
        raise ConfigError(f"head knn: k = {k}: must be at least 1")
    return Neighbours(target, n_outputs, NUMBERS if k is None else (k,))
