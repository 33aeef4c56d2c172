"""Folds made as even as whole units allow: moves and swaps of units between folds, from a split that is there."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Folds = NDArray[np.int64]
SIZE_WEIGHT = 3.0
"""Weight of the number of images beside that of a class."""
REST_WEIGHT = 0.01
"""Weight of all else beside what is furthest off: it decides between splits alike in that."""
MOST_UNITS = 3000
"""Units that are tried at a time; of more, those are drawn that hold the rare classes, and others by chance."""
TRIED = 40
"""Units of a fold that are tried in swaps with as many of another."""
WORK = 40_000_000
"""Units times folds times classes that a search may look at: some half a second."""
FEW_UNITS = 60
"""Up to so many, all moves and swaps are tried."""
STEP = 120_000
"""Work of a step beside that, in the same measure."""
LEAST_STEPS, MOST_STEPS, MOST_KICKS = 100, 4000, 60
EPSILON = 1e-12
EVEN = 0.005
"""Part of an even share that is not worth a change of folds."""


def is_even(amounts: Matrix, folds: Folds, n_folds: int, grain: Matrix, part: float = EVEN) -> bool:
    """Whether what each fold has of each column is off by less than the column's ``grain``, or ``part`` of its share."""
    shares = _shares(amounts, n_folds)
    allowed = np.maximum(grain - 1e-9, part * shares)
    return bool((np.abs(_held(amounts, folds, n_folds) - shares) <= allowed).all())


def unevenness(amounts: Matrix, folds: Folds, n_folds: int) -> float:
    """How far folds are from even: by what is furthest off, then the range of the sizes and the root mean square of all.

    A class, or the size, is off by how much more or less of it the fold has than an even share, as a part of that share:
    the deviation that is reported, see `goldfold.splits.checks.shares`. 0 is even.

    Args:
        amounts: (units, columns), how much of each class each unit has and, last, how many images.
    """
    amounts = amounts[:, amounts.sum(axis=0) > 0]
    return float(_unevenness((_held(amounts, folds, n_folds) / _shares(amounts, n_folds))[None])[0])


def _unevenness(parts: Matrix) -> Matrix:
    """(splits,) of the `unevenness`.

    Args:
        parts: (splits, folds, columns), what the folds have in even shares.
    """
    sizes, off = parts[..., -1], np.abs(parts - 1)
    rest = np.ptp(sizes, axis=1) + np.sqrt((off**2).mean(axis=(1, 2)))
    return off.max(axis=(1, 2)) + REST_WEIGHT * rest


def evened(
    amounts: Matrix, folds: Folds, n_folds: int, seed: int, grain: Matrix | float = 1.0, part: float = EVEN
) -> Folds:
    """``folds`` where they are even already, else more even ones; the same for the same seed.

    Descends by single moves and swaps on the squares of all deviations, then again from disturbed copies of the best
    split, as far as `WORK` allows, and keeps the one of the least `unevenness`.

    Args:
        amounts: (units, columns), the last one the images; see `unevenness`.
        grain: (columns,) or one for all: what even folds may be off by, such as an image of a class.
        part: of an even share, what they may be off by.
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
    """A split and what each of its folds has, changed by the best of all moves and swaps."""

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
        """Send some units elsewhere by chance."""
        n = max(2, min(len(self.rows) // 8, 12))
        for unit in draw.choice(len(self.rows), min(n, len(self.rows)), replace=False):
            self._move(int(unit), int(draw.integers(len(self.off))))

    def descend(self, steps: int) -> int:
        """Take the best change while one helps; number of steps taken."""
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
        """Take the changes that lower the `unevenness` most while one does; steps taken."""
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
        """(changes, 4): unit, fold that it goes to, and the unit that takes its place with that one's fold, or -1."""
        n, n_folds = len(self.rows), len(self.off)
        units, to = (places.ravel() for places in np.indices((n, n_folds)))
        none = np.full(len(units), -1)
        moves = np.stack([units, to, none, none], axis=1)[to != self.folds[units]]
        first, second = np.triu_indices(n, 1)
        swaps = np.stack([first, self.folds[second], second, self.folds[first]], axis=1)
        return np.concatenate([moves, swaps[swaps[:, 1] != swaps[:, 3]]])

    def _changes_around(self) -> Folds:
        """As `_all_changes`, of those that bring the class, or the size, that is furthest off nearer to even."""
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
        """(changes,) `unevenness` after each."""
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
        """Units whose leaving helps most, apart from their own weight."""
        if len(units) <= TRIED:
            return units
        return units[np.argpartition(gains - 2 * self.squares[units], TRIED)[:TRIED]]


def _held(amounts: Matrix, folds: Folds, n_folds: int) -> Matrix:
    """(folds, columns)"""
    held = np.zeros((n_folds, amounts.shape[1]))
    np.add.at(held, folds, amounts)
    return held


def _shares(amounts: Matrix, n_folds: int) -> Matrix:
    """(columns,) an even share of each."""
    return np.maximum(amounts.sum(axis=0) / n_folds, 1e-12)


def _candidates(amounts: Matrix, draw: np.random.Generator) -> Folds:
    """Units that may move, in order: all, or where there are many, some of each column and others by chance."""
    n, n_columns = amounts.shape
    if n <= MOST_UNITS:
        return np.arange(n)
    shuffled = draw.permutation(n)
    has = amounts[shuffled] > 0
    of_columns = [shuffled[has[:, column]][: MOST_UNITS // (2 * n_columns)] for column in range(n_columns)]
    chosen = np.concatenate([*of_columns, shuffled[: MOST_UNITS // 2]])
    return np.unique(chosen)
