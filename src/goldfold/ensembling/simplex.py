"""Weights on the simplex (none negative, sum one) that minimise a convex loss, so that there is one optimum.

For probabilities the loss is the log loss of their weighted mean, minimised by expectation maximisation as for the shares of a
mixture (Dempster, Laird, Rubin 1977); for numbers it is the squared error of the weighted mean.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.ensembling.averaging import FittedAverage
from goldfold.ensembling.columns import Array, is_of_numbers, of_truth, values_of
from goldfold.ensembling.steps import Members, Metric, Scores

if TYPE_CHECKING:
    import pandas as pd

MOST_ROUNDS = 5000
LEAST_GAIN = 1e-10
"""Gain of the log loss per round below which the weights have converged."""
NONE = 1e-4
"""Smaller weights become 0."""
TINY = 1e-12


class Simplex:
    """Weighted mean with the weights that minimise log loss (labels) or squared error (numbers), whatever the metric."""

    is_by_image = True

    def __init__(self, task: Scores, workers: int) -> None:
        self.task, self.average = task, FittedAverage(task, workers)

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return ``weights`` by member name, which sum to one."""
        found = [self.task.evidence(self.task.fuse([member], [1.0]), truth) for member in members.values()]
        if is_of_numbers(found[0]):
            weights = of_numbers(np.stack([values_of(one) for one in found], axis=1), found[0].truth)
        else:
            weights = of_probabilities(np.stack([of_truth(one) for one in found], axis=1))
        return {"weights": {name: round(float(one), 6) for name, one in zip(members, weights, strict=True)}}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Average the members with weight above 0."""
        return self.average.apply(members, fitted)


def of_probabilities(of_true: Array) -> Array:
    """Weights (members,) that maximise the mean log of the weighted mean of probabilities.

    Args:
        of_true: (n, members), the probability that each member gives to the true outcome.
    """
    of_true = np.clip(of_true, TINY, 1)
    weights, before = np.full(of_true.shape[1], 1 / of_true.shape[1]), -np.inf
    for _ in range(MOST_ROUNDS):
        mean = of_true @ weights
        value = float(np.log(mean).mean())
        if value - before < LEAST_GAIN:
            break
        before = value
        weights = weights * ((of_true.T @ (1 / mean)) / len(of_true))
    weights[weights < NONE] = 0
    return weights / weights.sum()


def of_numbers(values: Array, truth: Array) -> Array:
    """Weights (members,) that minimise the mean squared error of the weighted mean.

    Args:
        values: (n, members).
        truth: (n,).
    """
    from scipy.optimize import nnls

    errors = values - truth[:, None]  # the weights sum to one, so the error of the mean is the mean of the errors
    scale = float(np.sqrt((errors**2).mean())) or 1.0
    gram = (errors / scale).T @ (errors / scale) / len(errors)
    # minimise w G w with w >= 0 and sum 1: nonnegative least squares with the sum as a heavily weighted equation
    root = np.linalg.cholesky(gram + 1e-10 * np.eye(len(gram))).T
    heavy = 1e4
    weights, _ = nnls(np.vstack([root, np.full((1, len(gram)), heavy)]), np.append(np.zeros(len(gram)), heavy))
    weights[weights < NONE] = 0
    return np.asarray(weights / weights.sum(), dtype=float)
