"""Samplers: which training cases an epoch has, and in which order, as a function of key and epoch alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.counter import counter
from goldfold.base.errors import ConfigError, TrainingError
from goldfold.planning.outputs import CLASS

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class TrainingCases:
    """Training cases of a fold.

    >>> cases = TrainingCases(3, lambda by: np.array(["cat", "dog", "dog"]))
    >>> cases.levels("class").tolist()
    [0, 1, 1]
    """

    n: int
    """Number of cases; samplers return row numbers below it."""
    values: Callable[[str], NDArray[Any]]
    """``class``, or the name of a column -> value of each case."""

    def levels(self, by: str) -> Rows:
        """Number of the level of each case, (n,): its class, or its value of a column; levels are numbered from 0."""
        return np.unique(self.values(by), return_inverse=True)[1].astype(np.int64)


def shuffled(cases: TrainingCases, batch_size: int, generator: np.random.Generator) -> Rows:
    """Each case once, in random order."""
    return generator.permutation(cases.n)


def balanced(cases: TrainingCases, batch_size: int, generator: np.random.Generator, by: str = CLASS) -> Rows:
    """Batches in which the numbers of cases of any two levels differ by at most one, and so do those of the whole epoch.

    The epoch has as many cases as `shuffled`. Each level goes through its cases in random order, and begins again when
    it has none left: cases of rare levels are repeated, and some of frequent ones wait for a later epoch.

    Args:
        by: ``class``, or a column of the data.
    """
    levels = cases.levels(by)
    slots = _even_slots(int(levels.max()) + 1, cases.n, min(batch_size, cases.n), generator)
    order = np.empty(cases.n, np.int64)
    for level in range(int(levels.max()) + 1):
        places = np.flatnonzero(slots == level)
        order[places] = cycled(np.flatnonzero(levels == level), len(places), generator)
    return order


def _even_slots(n_levels: int, n: int, batch_size: int, generator: np.random.Generator) -> Rows:
    """Level of each of ``n`` places, batch by batch; levels that got fewest places so far get the remainder of a batch."""
    extra = np.zeros(n_levels, np.int64)
    parts = []
    for start in range(0, n, batch_size):
        size = min(batch_size, n - start)
        first = np.lexsort((generator.random(n_levels), extra))[: size % n_levels]
        extra[first] += 1
        parts.append(generator.permutation(np.concatenate([np.tile(np.arange(n_levels), size // n_levels), first])))
    return np.concatenate(parts)


def cycled(rows: Rows, n: int, generator: np.random.Generator) -> Rows:
    """``n`` of the rows: all of them in random order, again and again."""
    rounds = -(-n // len(rows))
    return np.concatenate([generator.permutation(rows) for _ in range(rounds)])[:n] if n else rows[:0]


def weighted(
    cases: TrainingCases, batch_size: int, generator: np.random.Generator, by: str = CLASS, power: float = 0.5
) -> Rows:
    """As many cases as there are, drawn with replacement with weights ``count ** -power``, where ``count`` is the number of
    cases of the same level.

    Args:
        by: ``class``, or a column of the data.
        power: 0: as in the data; 0.5: square-root sampling (Mahajan et al. 2018, section 3); 1: every level equally often.
    """
    if not 0 <= power <= 1:
        raise ConfigError(f"sampler weighted: power = {power:g} must be between 0 (as in the data) and 1 (even levels)")
    levels = cases.levels(by)
    weights = np.bincount(levels)[levels].astype(float) ** -power
    return generator.choice(cases.n, size=cases.n, p=weights / weights.sum())


def oversampled(
    cases: TrainingCases, batch_size: int, generator: np.random.Generator, by: str = CLASS, share: float = 1.0,
    most: float = 10.0,
) -> Rows:  # fmt: skip
    """Each case at least once, and cases of rare levels again, until a level has ``share`` times as many as the largest.

    The epoch is longer than that of `shuffled`.

    Args:
        by: ``class``, or a column of the data, such as ``group``.
        share: fraction of the number of cases of the largest level, 0..1.
        most: largest number of times that a case is used on average within its level, at least 1.
    """
    if not 0 <= share <= 1 or most < 1:
        raise ConfigError(f"sampler oversampled: share = {share:g} must be 0..1, and most = {most:g} at least 1")
    levels = cases.levels(by)
    counts = np.bincount(levels)
    wanted = np.maximum(counts, np.minimum(np.ceil(share * counts.max()), np.floor(most * counts))).astype(int)
    rows = [cycled(np.flatnonzero(levels == level), number, generator) for level, number in enumerate(wanted)]
    return generator.permutation(np.concatenate(rows))


Sampler = Callable[[TrainingCases, int, np.random.Generator], Rows]
"""(cases, number of cases in a batch of all processes, generator) -> rows of an epoch."""


class EpochOrder:
    """Rows of each epoch in order, the same in every process; every epoch has the same length."""

    def __init__(self, sampler: Sampler, cases: TrainingCases, batch_size: int, key: tuple[int | str, ...]) -> None:
        self.sampler, self.cases, self.batch_size, self.key = sampler, cases, batch_size, key
        self.epoch, self.found = 0, self._drawn(0)
        self.length = len(self.found)

    def __len__(self) -> int:
        return self.length

    def __call__(self, epoch: int) -> Rows:
        """Return the rows of an epoch.

        Raises:
            TrainingError: a user-defined sampler returns something else than row numbers, or epochs of several lengths.
        """
        if epoch != self.epoch:
            self.epoch, self.found = epoch, self._drawn(epoch)
            if len(self.found) != self.length:
                raise TrainingError(
                    f"train.sampler: epoch {epoch} has {len(self.found)} cases, but epoch 0 has {self.length}. The schedule "
                    f"needs epochs of one length."
                )
        return self.found

    def _drawn(self, epoch: int) -> Rows:
        generator = np.random.default_rng(counter(*self.key, epoch, "order"))
        rows = np.asarray(self.sampler(self.cases, self.batch_size, generator))
        if (
            rows.ndim != 1
            or not len(rows)
            or rows.dtype.kind not in "iu"
            or not 0 <= rows.min() <= rows.max() < self.cases.n
        ):
            raise TrainingError(
                f"train.sampler returned {rows.dtype} {rows.shape} for {self.cases.n} cases; return row numbers from 0 to "
                f"{self.cases.n - 1} in one dimension, at least one."
            )
        return rows.astype(np.int64)


def in_random_order(n: int, key: tuple[int | str, ...]) -> EpochOrder:
    """Order in which each of ``n`` cases comes once per epoch."""
    return EpochOrder(shuffled, TrainingCases(n, partial(_no_column, {})), 1, key)


def _no_column(known: Mapping[str, Any], by: str) -> NDArray[Any]:
    raise ConfigError(f"train.sampler: there is no column {by!r}")


def repeats(rows: Rows) -> Rows:
    """Number of times that each row came before.

    >>> repeats(np.array([4, 7, 4, 4])).tolist()
    [0, 0, 1, 2]
    """
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    numbers = np.empty(len(rows), np.int64)
    numbers[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    return numbers
