"""Metrics of one number per image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics.metric import Metric, Rows

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Valued:
    """Predicted numbers (n,) and true numbers (n,)."""

    predicted: Numbers
    truth: Numbers

    def __len__(self) -> int:
        return len(self.truth)

    def arguments(self, rows: Rows) -> tuple[Numbers, Numbers]:
        """Return the predicted and true numbers of some of the images."""
        return self.predicted[rows], self.truth[rows]


def rmse(predicted: Numbers, truth: Numbers) -> float:
    """Root mean squared error, in units of the target."""
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))


def mae(predicted: Numbers, truth: Numbers) -> float:
    """Mean absolute error, in units of the target."""
    return float(np.mean(np.abs(predicted - truth)))


def r2(predicted: Numbers, truth: Numbers) -> float:
    """Coefficient of determination, 0 for always predicting the mean; NaN if all true numbers are equal."""
    if _are_equal(truth):
        return float("nan")
    return 1 - float(((predicted - truth) ** 2).sum()) / float(((truth - truth.mean()) ** 2).sum())


def quadratic_kappa(predicted: Numbers, truth: Numbers) -> float:
    """Cohen's kappa with quadratic weights, of predictions rounded and clipped to the range of the true grades.

    NaN if the true numbers are not all integers.
    """
    if not np.array_equal(truth, np.round(truth)):
        return float("nan")
    grades = np.clip(np.round(predicted), truth.min(), truth.max())
    of_all_pairs = grades.var() + truth.var() + (grades.mean() - truth.mean()) ** 2  # mean squared difference
    return 1 - float(np.mean((grades - truth) ** 2) / of_all_pairs) if of_all_pairs else float("nan")


def rmsle(predicted: Numbers, truth: Numbers) -> float:
    """Root mean squared error of log(1 + number); predictions below 0 count as 0, NaN if a true number is below 0."""
    if (truth < 0).any():
        return float("nan")
    return rmse(np.log1p(np.clip(predicted, 0, None)), np.log1p(truth))


def pearson(predicted: Numbers, truth: Numbers) -> float:
    """Correlation of predicted and true numbers; NaN if either are all equal."""
    if _are_equal(predicted) or _are_equal(truth):
        return float("nan")
    spread = float(predicted.std() * truth.std())
    return float(np.mean((predicted - predicted.mean()) * (truth - truth.mean()))) / spread if spread else float("nan")


def spearman(predicted: Numbers, truth: Numbers) -> float:
    """Correlation of the ranks of predicted and true numbers, ties averaged; NaN if either are all equal."""
    from scipy.stats import rankdata

    return pearson(rankdata(predicted), rankdata(truth))


def _are_equal(numbers: Numbers) -> bool:
    """Return whether all numbers are the same; their deviation is not exactly 0, since their mean is rounded."""
    return bool((numbers == numbers[0]).all()) if len(numbers) else True


RMSE = Metric(rmse, greater_is_better=False)
RMSLE = Metric(rmsle, greater_is_better=False)
MAE = Metric(mae, greater_is_better=False)
PEARSON = Metric(pearson, compares_cases=True)
SPEARMAN = Metric(spearman, compares_cases=True)
QUADRATIC_KAPPA = Metric(quadratic_kappa, of_grades=True)
