"""Linear models of a stack, and the choice of their penalty."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from goldfold.base.errors import ConfigError
from goldfold.base.spread import differs
from goldfold.ensembling.columns import Array
from goldfold.ensembling.fold_effects import common, intercepts, means, numbered
from goldfold.ensembling.logistic import coefficients

PENALTIES = (10.0, 100.0, 1000.0, 10000.0)
"""Penalties to choose from. 10 suits a few good members; members of noise need more, the more they are."""
PARTS = 3
"""Parts of the cases on which each penalty is scored in turn: whole folds, so that groups stay together."""
MOST_CHOSEN_ON = 2000
"""Most cases that the penalty is chosen on: it is of the coefficients, and hardly depends on the number of cases."""
TINY = 1e-6
ROWS = 4096
"""Rows of which a copy is made at a time."""


class Linear:
    """Logistic regression, or ridge regression for numbers, on columns in units of their standard deviation.

    Columns of the cases are taken as they are: an indicator in units of its deviation would be as good as unpenalised where
    its level is rare.
    """

    indicators = True

    def __init__(self, penalty: float | None = None) -> None:
        """``penalty``: of the squared coefficients, beside the sum of the losses over cases; None: chosen."""
        if penalty is not None and not penalty > 0:
            raise ConfigError(f"ensemble: stacking: penalty = {penalty:g}: must be above 0")
        self.penalty = penalty

    def fit(
        self,
        columns: Array,
        target: NDArray[Any],
        is_number: bool,
        n_of_cases: int = 0,
        folds: NDArray[np.int64] | None = None,
    ) -> Any:
        """Return coefficients (outputs, columns), intercepts (outputs,) and the penalty."""
        penalty = self.penalty or _chosen(columns, target, is_number, n_of_cases, folds)
        return _fitted(columns, target, is_number, n_of_cases, penalty, numbered(folds, len(target)))

    def outputs(self, columns: Array, fitted: Any) -> Array:
        """Return the linear outputs (n, outputs)."""
        return np.asarray(columns @ np.array(fitted["coefficients"]).T + np.array(fitted["intercepts"]))


def _fitted(
    columns: Array, target: NDArray[Any], is_number: bool, n_of_cases: int, penalty: float, places: NDArray[np.int64]
) -> dict[str, Any]:
    """Fit with one intercept per fold (``places``, (n,)), and then one for all; see `goldfold.ensembling.fold_effects`."""
    spread = _spread(columns)
    spread[len(spread) - n_of_cases :] = 1
    found = (_ridge if is_number else coefficients)(columns, spread, target, penalty, places) / spread
    added = common(columns @ found.T, target, is_number=is_number)
    return {"coefficients": found.tolist(), "intercepts": added.tolist(), "penalty": penalty}


def _spread(columns: Array) -> Array:
    """Standard deviations (columns,), 1 where a column is constant, without a copy of all columns."""
    middle, squares = columns.mean(axis=0), np.zeros(columns.shape[1])
    for start in range(0, len(columns), ROWS):
        squares += ((columns[start : start + ROWS] - middle) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / len(columns))
    return np.where(differs(deviation, middle), deviation, 1.0)


def _ridge(columns: Array, spread: Array, target: NDArray[Any], penalty: float, places: NDArray[np.int64]) -> Array:
    """Coefficients (1, columns) of columns divided by the ``spread``, by columns and numbers less their means in each fold."""
    from sklearn.linear_model import Ridge

    left, numbers = columns / spread, target.astype(float)
    for values in (left, numbers[:, None]):
        for place, mean in enumerate(means(values, places)):
            values[places == place] -= mean
    return np.atleast_2d(Ridge(alpha=penalty, fit_intercept=False).fit(left, numbers).coef_)


def _chosen(
    columns: Array, target: NDArray[Any], is_number: bool, n_of_cases: int, folds: NDArray[np.int64] | None
) -> float:
    """Return the penalty with the least log loss, or squared error, on cases that the model was fitted without.

    The parts are whole folds, every third row where all cases are in one fold. The smallest penalty if no part can be scored.
    """
    rows = np.arange(len(target))
    if len(rows) > MOST_CHOSEN_ON:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_CHOSEN_ON])
    columns, target = columns[rows], target[rows]
    numbers = numbered(None if folds is None else folds[rows], len(rows))
    parts = (numbers if numbers.any() else np.arange(len(rows))) % PARTS
    losses = np.zeros(len(PENALTIES))
    for part in np.unique(parts):
        own, rest = parts == part, parts != part
        if is_number or ({*target[own].tolist()} <= {*target[rest].tolist()} and len({*target[rest].tolist()}) > 1):
            losses += [_loss(columns, target, own, is_number, n_of_cases, penalty, numbers) for penalty in PENALTIES]
    return PENALTIES[int(np.argmin(losses))]


def _loss(
    columns: Array,
    target: NDArray[Any],
    own: NDArray[np.bool_],
    is_number: bool,
    n_of_cases: int,
    penalty: float,
    folds: NDArray[np.int64],
) -> float:
    """Sum of losses over the ``own`` cases of a model that is fitted on the others, with the best intercept of each fold."""
    model = Linear(penalty)
    places = np.unique(target[~own], return_inverse=True)[1]
    rest = target[~own] if is_number else places
    outputs = model.outputs(columns[own], model.fit(columns[~own], rest, is_number, n_of_cases, folds[~own]))
    wanted = target[own] if is_number else np.searchsorted(np.unique(target[~own]), target[own])
    of_folds = (folds[own] == number for number in np.unique(folds[own]))
    return sum((_numbers if is_number else _classes)(outputs[rows], wanted[rows]) for rows in of_folds)


def _numbers(outputs: Array, target: NDArray[Any]) -> float:
    left = target - outputs[:, 0]
    return float(((left - left.mean()) ** 2).sum())


def _classes(outputs: Array, places: NDArray[Any]) -> float:
    outputs = outputs + intercepts(outputs, places, once_more=True)
    logs = np.log(np.clip(two(outputs), TINY, 1)) if outputs.shape[1] == 1 else log_softmax(outputs, axis=1)
    return -float(logs[np.arange(len(places)), places].sum())


def two(outputs: Array) -> Array:
    """Probabilities (n, 2) of two classes from the logit (n, 1) of the second."""
    second = expit(outputs[:, 0])
    return np.stack([1 - second, second], axis=1)
