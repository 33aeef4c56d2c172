"""Evening out of folds, as far as whole units allow, by moves and swaps of units between the folds of a given split."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Folds = NDArray[np.int64]
SIZE_WEIGHT = 3.0
"""Weight of the number of images relative to that of a class."""
REST_WEIGHT = 0.01
"""Weight of all other deviations relative to the largest one, to decide between splits with the same largest one."""
MOST_UNITS = 3000
"""Most units that are tried at a time; of more, units with rare classes and random others are drawn."""
TRIED = 40
"""Most units per fold that are tried in swaps with another fold."""
WORK = 40_000_000
"""Budget of a search in units x folds x classes: about half a second."""
FEW_UNITS = 60
"""Most units for which all moves and swaps are tried."""
STEP = 120_000
"""Fixed cost of a step, in the same unit."""
LEAST_STEPS, MOST_STEPS, MOST_KICKS = 100, 4000, 60
EPSILON = 1e-12
EVEN = 0.005
"""Deviation, relative to an even share, that is accepted as even."""


def is_even(amounts: Matrix, folds: Folds, n_folds: int, grain: Matrix, part: float = EVEN) -> bool:
    """Return whether each fold is within the column's ``grain``, or ``part`` of its even share, of even in each column."""
    shares = _shares(amounts, n_folds)
    allowed = np.maximum(grain - 1e-9, part * shares)
    return bool((np.abs(_held(amounts, folds, n_folds) - shares) <= allowed).all())


def unevenness(amounts: Matrix, folds: Folds, n_folds: int) -> float:
    """Unevenness of folds: the largest deviation, plus small weights of the range of sizes and the RMS of all deviations.

    Deviations are relative to an even share of a class, or of the size, as in `goldfold.splits.checks.shares`. 0 is even.

    Args:
        amounts: (units, columns), amount of each class in each unit and, last, the number of images.
    """
    amounts = amounts[:, amounts.sum(axis=0) > 0]
    return float(_unevenness((_held(amounts, folds, n_folds) / _shares(amounts, n_folds))[None])[0])


def _unevenness(parts: Matrix) -> Matrix:
    """(splits,) `unevenness`.

    Args:
        parts: (splits, folds, columns), contents of the folds in units of an even share.
    """
    sizes, off = parts[..., -1], np.abs(parts - 1)
    rest = np.ptp(sizes, axis=1) + np.sqrt((off**2).mean(axis=(1, 2)))
    return off.max(axis=(1, 2)) + REST_WEIGHT * rest


def evened(
    amounts: Matrix, folds: Folds, n_folds: int, seed: int, grain: Matrix | float = 1.0, part: float = EVEN
) -> Folds:
    """``folds`` if they are even already, otherwise more even ones; deterministic for a given seed.

    Descends by single moves and swaps on the squares of all deviations, repeatedly from perturbed copies of the best split
    within the budget `WORK`, and keeps the split with the smallest `unevenness`.

    Args:
        amounts: (units, columns), the last one the images; see `unevenness`.
        grain: (columns,) or one for all: deviation accepted as even, such as one image of a class.
        part: deviation accepted as even, relative to an even share.
    """
    there = amounts.sum(axis=0) > 0
    amounts, grains = amounts[:, there], np.broadcast_to(np.asarray(grain, dtype=float), there.shape)[there]
    if is_even(amounts, folds, n_folds, grains, part):
        return folds
    draw = np.random.default_rng([seed, 1])
    tried = _candidates(amounts, draw)
    search = _Search(amounts[tried], folds[tried], _held(amounts, folds, n_folds), _shares(amounts, n_folds))
    best, least = folds[tried].copy(), search.unevenness()
    cost = len(tried) * n_folds * amounts.shape[1] + STEP
    steps = int(np.clip(WORK / cost, LEAST_STEPS, MOST_STEPS))
    for kick in range(MOST_KICKS):
        steps -= search.descend(steps)
        steps -= search.flatten(steps)
        if (found := search.unevenness()) < least - 1e-9:
            best, least = search.folds.copy(), found
        if steps <= 0 or len(tried) < 2 or search.is_even(grains):
            break
        if kick % 3 == 2:
            search.start_from(best)
        search.disturb(draw)
    made = folds.copy()
    made[tried] = best
    return made


class _Search:
    """A split and the contents of its folds, improved by the best of all moves and swaps."""

    def __init__(self, amounts: Matrix, folds: Folds, held: Matrix, shares: Matrix) -> None:
        self.weights = np.ones(amounts.shape[1])
        self.weights[-1] = SIZE_WEIGHT
        self.units = amounts / shares * self.weights
        self.squares = (self.units**2).sum(axis=1)
        self.folds, self.shares = folds.copy(), shares
        self.off = (held / shares - 1) * self.weights
        self.rows = np.arange(len(amounts))

    def unevenness(self) -> float:
        return float(_unevenness((self.off / self.weights + 1)[None])[0])

    def is_even(self, grain: Matrix) -> bool:
        return bool((np.abs(self.off / self.weights * self.shares) < grain - 1e-9).all())

    def start_from(self, folds: Folds) -> None:
        for unit in np.flatnonzero(folds != self.folds):
            self._move(int(unit), int(folds[unit]))

    def disturb(self, draw: np.random.Generator) -> None:
        """Move some random units to random folds."""
        n = max(2, min(len(self.rows) // 8, 12))
        for unit in draw.choice(len(self.rows), min(n, len(self.rows)), replace=False):
            self._move(int(unit), int(draw.integers(len(self.off))))

    def descend(self, steps: int) -> int:
        """Make the best change while one helps; return the number of steps."""
        for step in range(steps):
            gains = self._gains()
            unit, fold = np.unravel_index(int(gains.argmin()), gains.shape)
            change, pair = self._swap(gains)
            if min(change, gains[unit, fold]) > -EPSILON:
                return step + 1
            if change < gains[unit, fold]:
                first, second = pair
                own, other = int(self.folds[first]), int(self.folds[second])
                self._move(first, other)
                self._move(second, own)
            else:
                self._move(int(unit), int(fold))
        return steps

    def flatten(self, steps: int) -> int:
        """Make the change that lowers `unevenness` most while one does; return the number of steps."""
        for step in range(steps):
            changes = self._all_changes() if len(self.rows) <= FEW_UNITS else self._changes_around()
            if not len(changes):
                return step + 1
            values = self._values_after(changes)
            if values.min() > self.unevenness() - 1e-9:
                return step + 1
            first, to, second, back = changes[int(values.argmin())].tolist()
            self._move(first, to)
            if second >= 0:
                self._move(second, back)
        return steps

    def _all_changes(self) -> Folds:
        """(changes, 4): unit, its new fold, and the unit swapped with it and its new fold, or -1."""
        n, n_folds = len(self.rows), len(self.off)
        units, to = (places.ravel() for places in np.indices((n, n_folds)))
        none = np.full(len(units), -1)
        moves = np.stack([units, to, none, none], axis=1)[to != self.folds[units]]
        first, second = np.triu_indices(n, 1)
        swaps = np.stack([first, self.folds[second], second, self.folds[first]], axis=1)
        return np.concatenate([moves, swaps[swaps[:, 1] != swaps[:, 3]]])

    def _changes_around(self) -> Folds:
        """Like `_all_changes`, only changes that reduce the largest deviation of a class or of the size."""
        off, gains, found = self.off / self.weights, self._gains(), []
        for first in (0, off.shape[1] - 1):
            fold, column = np.unravel_index(int(np.abs(off[:, first:]).argmax()), off[:, first:].shape)
            found += self._toward(int(fold), first + int(column), off[fold, first + column] > 0, gains)
        return np.array(found, dtype=np.int64).reshape(-1, 4)

    def _toward(self, fold: int, column: int, is_over: bool, gains: Matrix) -> list[list[int]]:
        has, n_folds = self.units[:, column] > 0, len(self.off)
        if is_over:
            units = np.flatnonzero((self.folds == fold) & has)
            order = gains[units].ravel().argsort(kind="stable")[:TRIED]
            pairs = [(int(units[n // n_folds]), int(n % n_folds)) for n in order]
        else:
            units = np.flatnonzero((self.folds != fold) & has)
            pairs = [(int(unit), fold) for unit in units[gains[units, fold].argsort(kind="stable")[:TRIED]]]
        pairs = [(unit, to) for unit, to in pairs if to != self.folds[unit]]
        found = [[unit, to, -1, -1] for unit, to in pairs]
        for unit, to in pairs[: TRIED // 4]:
            others, own = np.flatnonzero(self.folds == to), int(self.folds[unit])
            cross = gains[others, own] - 4 * self.units[others] @ self.units[unit]
            found += [[unit, to, int(other), own] for other in others[cross.argsort(kind="stable")[:6]]]
        return found

    def _values_after(self, changes: Folds) -> Matrix:
        """(changes,) `unevenness` after each change."""
        first, to, second, _ = changes.T
        rows, step = np.arange(len(changes)), self.units[first]
        step = step - np.where((second >= 0)[:, None], self.units[second], 0)
        off = np.repeat(self.off[None], len(changes), axis=0)
        off[rows, self.folds[first]] -= step
        off[rows, to] += step
        return _unevenness(off / self.weights + 1)

    def _move(self, unit: int, fold: int) -> None:
        self.off[self.folds[unit]] -= self.units[unit]
        self.off[fold] += self.units[unit]
        self.folds[unit] = fold

    def _gains(self) -> Matrix:
        """(units, folds): change of the sum of squares if the unit went to the fold; infinite for its own."""
        along = 2 * self.units @ self.off.T
        gains = along - along[self.rows, self.folds][:, None] + 2 * self.squares[:, None]
        gains[self.rows, self.folds] = np.inf
        return gains

    def _swap(self, gains: Matrix) -> tuple[float, tuple[int, int]]:
        """Change of the sum of squares by the best swap of promising units, and the two units."""
        best, pair = np.inf, (0, 0)
        members = [np.flatnonzero(self.folds == fold) for fold in range(len(self.off))]
        for own, first in enumerate(members):
            for other in range(own + 1, len(members)):
                ours, theirs = (
                    self._promising(first, gains[first, other]),
                    self._promising(members[other], gains[members[other], own]),
                )
                if not (len(ours) and len(theirs)):
                    continue
                both = gains[ours, other][:, None] + gains[theirs, own] - 4 * self.units[ours] @ self.units[theirs].T
                place = int(both.argmin())
                if both.flat[place] < best:
                    best = float(both.flat[place])
                    pair = int(ours[place // len(theirs)]), int(theirs[place % len(theirs)])
        return best, pair

    def _promising(self, units: Folds, gains: Matrix) -> Folds:
        """Units whose removal helps most, regardless of their own weight."""
        if len(units) <= TRIED:
            return units
        return units[np.argpartition(gains - 2 * self.squares[units], TRIED)[:TRIED]]


def _held(amounts: Matrix, folds: Folds, n_folds: int) -> Matrix:
    """(folds, columns) contents of each fold."""
    held = np.zeros((n_folds, amounts.shape[1]))
    np.add.at(held, folds, amounts)
    return held


def _shares(amounts: Matrix, n_folds: int) -> Matrix:
    """(columns,) even share of each column."""
    return np.maximum(amounts.sum(axis=0) / n_folds, 1e-12)


def _candidates(amounts: Matrix, draw: np.random.Generator) -> Folds:
    """Units that may move, sorted: all, or of many, some of each column and random others."""
    n, n_columns = amounts.shape
    if n <= MOST_UNITS:
        return np.arange(n)
    shuffled = draw.permutation(n)
    has = amounts[shuffled] > 0
    of_columns = [shuffled[has[:, column]][: MOST_UNITS // (2 * n_columns)] for column in range(n_columns)]
    chosen = np.concatenate([*of_columns, shuffled[: MOST_UNITS // 2]])
    return np.unique(chosen)
