"""Effects of folds in a stack: columns may explain the differences between the cases of a fold, not those between folds.

The networks that predict fold j were trained on the labels of all other folds. Where class shares or means differ by fold, as
with groups, a member that knows nothing but the mean of its training part tells by it what its own fold lacks. A model of the
members' predictions then learns "mean of the fold = sum - (k - 1) times the prediction", which also holds for the fold that is
left out. So each fold has an intercept of its own while a stack is fitted, and one for all of them afterwards.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit, logsumexp, softmax

from goldfold.ensembling.columns import Array

ROUNDS, CLOSE = 200, 1e-9
"""Most steps of the search of an intercept, and the change at which it ends."""
SMALLEST = 1e-300
"""Probabilities count as at least this."""


def numbered(folds: NDArray[np.int64] | None, n: int) -> NDArray[np.int64]:
    """Folds of n cases, from 0 without gaps; all 0 if None."""
    return np.zeros(n, np.int64) if folds is None else np.unique(folds, return_inverse=True)[1].astype(np.int64)


def means(values: Array, places: NDArray[np.int64]) -> Array:
    """Mean over each fold (folds, columns).

    Args:
        values: (n, columns).
        places: fold of each row, as of `numbered`.
    """
    of_fold = np.eye(places.max() + 1)[places]
    return np.asarray(of_fold.T @ values / of_fold.sum(axis=0)[:, None])  # without a copy of a fold's rows


def shares(target: NDArray[Any], n_classes: int, places: NDArray[np.int64]) -> Array:
    """Share of each class in the fold of each case (n, classes), each class counted once more."""
    counts = np.ones((places.max() + 1, n_classes))
    np.add.at(counts, (places, target), 1)
    return (counts / counts.sum(axis=1, keepdims=True))[places]


def common(outputs: Array, target: NDArray[Any], *, is_number: bool) -> Array:
    """Return the one intercept per output (outputs,) for the cases of all folds."""
    return np.array([target.mean() - outputs.mean()]) if is_number else intercepts(outputs, target)


def intercepts(outputs: Array, target: NDArray[Any], *, once_more: bool = False) -> Array:
    """Return what to add to the outputs (n, outputs) of all cases, so that the mean probability of each class is its share.

    This is the intercept of the least log loss. One output is the logit of the second of two classes.

    Args:
        target: (n,) class indices, each class at least once.
        once_more: count each class once more, for cases that may lack one.
    """
    counts = np.bincount(target, minlength=max(2, outputs.shape[1])) + float(once_more)
    wanted = counts / counts.sum()
    if outputs.shape[1] == 1:
        return np.array([_of_two(outputs[:, 0], wanted[1])])
    return _of_several(outputs, wanted)


def _of_two(logits: Array, wanted: float) -> float:
    """What to add to logits (n,), so that the mean probability is ``wanted``."""
    around = float(np.log(wanted) - np.log1p(-wanted))
    low, high = around - logits.max(), around - logits.min()
    if low == high:
        return float(low)
    return float(brentq(lambda added: expit(logits + added).mean() - wanted, low - 1, high + 1, xtol=CLOSE))


def _of_several(outputs: Array, wanted: Array) -> Array:
    """Iterative scaling: the logarithm of what is wanted less that of what is found is added until both are close.

    Outputs that are nearly all certain would need too many steps: then by the gradient of the log loss.
    """
    added = np.zeros(len(wanted))
    for _ in range(ROUNDS):
        found = softmax(outputs + added, axis=1).mean(axis=0)
        step = np.log(wanted) - np.log(np.maximum(found, SMALLEST))
        added += step
        if np.abs(step).max() < CLOSE:
            return added

    def loss(tried: Array) -> tuple[float, Array]:
        moved = outputs + tried
        return float(logsumexp(moved, axis=1).mean() - wanted @ tried), softmax(moved, axis=1).mean(axis=0) - wanted

    return np.asarray(minimize(loss, added, jac=True, method="L-BFGS-B", options={"gtol": CLOSE, "ftol": 0}).x)
