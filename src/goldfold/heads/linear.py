"""Linear heads: logistic regression for classes and labels, ridge regression for numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.heads.protocol import LABELS, LEAST, Array, Predict, best, loss, spread_out

PENALTIES = (10_000.0, 1000.0, 100.0, 10.0, 1.0, 0.1)
"""Penalties of the squared coefficients to choose from, beside the sum of the losses over the cases."""
TOLERANCE = 1e-3
"""Gradient at which logistic regression ends: far below what moves a score."""
MOST_STEPS = 300


@dataclass(frozen=True)
class Coefficients:
    """A linear function of embeddings."""

    weights: NDArray[np.float64]
    """(outputs, d)."""
    intercepts: NDArray[np.float64]
    """(outputs,)."""

    def __call__(self, features: Array) -> NDArray[np.float64]:
        """Return the outputs (n, outputs)."""
        return np.asarray(features @ self.weights.T + self.intercepts, dtype=np.float64)


@dataclass(frozen=True)
class Logistic:
    """Logistic regression with a penalty: multinomial for one label, one by label for sets of labels."""

    target: str
    n_outputs: int
    penalties: Sequence[float]

    def choose(self, features: Array, target: NDArray[Any], held: Array, truth: NDArray[Any]) -> float:
        """Return the penalty."""
        path: list[Any] = []

        def tried(penalty: float) -> float:
            fitted, starts = self._fitted(features, target, penalty, path)
            path[:] = starts
            return loss(fitted(held), truth, self.target)

        return float(best([*self.penalties], tried))

    def fit(self, features: Array, target: NDArray[Any], chosen: float, seeds: Sequence[int]) -> Iterator[Predict]:
        """Yield the coefficients, which are the same with all seeds."""
        yield from repeat(self._fitted(features, target, chosen, [])[0], len(seeds))

    def _fitted(
        self, features: Array, target: NDArray[Any], penalty: float, starts: list[Any]
    ) -> tuple[Coefficients, list[Any]]:
        """Fit with a penalty, starting from models of a larger one; return also the models, to start from."""
        targets = [*target.T] if self.target == LABELS else [target]
        models = [
            _model(features, own, penalty, starts[place] if starts else None) for place, own in enumerate(targets)
        ]
        parts = [
            (_of_one if self.target == LABELS else self._of_classes)(model, own, features.shape[1])
            for model, own in zip(models, targets, strict=True)
        ]
        weights, intercepts = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        return Coefficients(weights, intercepts), models

    def _of_classes(
        self, model: Any, target: NDArray[Any], width: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights and intercepts of all classes; those that were not seen are very improbable at the mean embedding."""
        weights, intercepts = np.zeros((self.n_outputs, width)), np.full(self.n_outputs, np.log(LEAST))
        if model is None:
            intercepts[target[0]] = 0
            return weights, intercepts
        seen, is_binary = model.classes_.astype(int), len(model.classes_) == 2
        weights[seen] = np.stack([-model.coef_[0] / 2, model.coef_[0] / 2]) if is_binary else model.coef_
        found = np.array([-model.intercept_[0] / 2, model.intercept_[0] / 2]) if is_binary else model.intercept_
        intercepts[seen] = spread_out(found[None], np.arange(len(seen)), len(seen))[0]
        return weights, intercepts


def _model(features: Array, target: NDArray[Any], penalty: float, start: Any) -> Any:
    """Logistic regression of scikit-learn; None if all targets are the same."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(target)) < 2:
        return None
    model = LogisticRegression(C=1 / penalty, tol=TOLERANCE, max_iter=MOST_STEPS, warm_start=True)
    if start is not None:
        model.coef_, model.intercept_, model.classes_ = start.coef_.copy(), start.intercept_.copy(), start.classes_
    return model.fit(features, target)


def _of_one(model: Any, target: NDArray[Any], width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights and intercept of one label; a label that all cases have, or none, is constant."""
    if model is None:
        share = (float(target.sum()) + 0.5) / (len(target) + 1)
        return np.zeros((1, width)), np.array([np.log(share / (1 - share))])
    return model.coef_, model.intercept_


@dataclass(frozen=True)
class Ridge:
    """Ridge regression; one decomposition gives the solutions for all penalties."""

    penalties: Sequence[float]

    def choose(self, features: Array, target: NDArray[Any], held: Array, truth: NDArray[Any]) -> float:
        """Return the penalty."""
        parts = _decomposed(features, target)
        losses = [loss(_solved(*parts, penalty)(held), truth, "value") for penalty in self.penalties]
        return float(self.penalties[int(np.argmin(losses))])

    def fit(self, features: Array, target: NDArray[Any], chosen: float, seeds: Sequence[int]) -> Iterator[Predict]:
        """Yield the coefficients, which are the same with all seeds."""
        yield from repeat(_solved(*_decomposed(features, target), chosen), len(seeds))


Decomposed = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]


def _decomposed(features: Array, target: NDArray[Any]) -> Decomposed:
    """Return directions (d, k), squared singular values (k,) and, along the directions, the products (k,) of features and
    centred target; and the mean of the target. The smaller of the two Gram matrices is decomposed."""
    columns, middle = features.astype(np.float64), float(target.mean())
    if columns.shape[1] <= len(columns):
        values, vectors = np.linalg.eigh(columns.T @ columns)
        return vectors, values, vectors.T @ (columns.T @ (target - middle)), middle
    values, vectors = np.linalg.eigh(columns @ columns.T)
    return columns.T @ vectors, values, vectors.T @ (target - middle), middle


def _solved(
    directions: NDArray[np.float64],
    values: NDArray[np.float64],
    products: NDArray[np.float64],
    middle: float,
    penalty: float,
) -> Coefficients:
    weights = directions @ (products / (np.maximum(values, 0) + penalty))
    return Coefficients(weights[None], np.array([middle]))


def logistic(target: str, n_outputs: int, penalty: float | None = None) -> Logistic:
    """Logistic regression.

    Args:
        penalty: of the squared coefficients, beside the sum of the losses over cases; by default chosen from 0.1 to 10,000 within
            the training rows of each fold.
    """
    return Logistic(target, n_outputs, _penalties("logistic", penalty))


def ridge(target: str, n_outputs: int, penalty: float | None = None) -> Ridge:
    """Ridge regression.

    Args:
        penalty: of the squared coefficients, beside the sum of the squared errors; by default chosen from 0.1 to 10,000 within
            the training rows of each fold.
    """
    return Ridge(_penalties("ridge", penalty))


def _penalties(name: str, penalty: float | None) -> Sequence[float]:
    if penalty is not None and not penalty > 0:
        raise ConfigError(f"head {name}: penalty = {penalty:g}: must be above 0")
    return PENALTIES if penalty is None else (float(penalty),)
