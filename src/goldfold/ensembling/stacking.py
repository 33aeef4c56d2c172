"""Stacking (Wolpert 1992): a model of the members' out-of-fold predictions.

Its columns are the members' logits: log p of each class less the mean over the classes for one label per image, log p/(1 - p) of
each label for sets of labels; for numbers, the members' numbers. For sets of labels, each label is modelled separately by
the columns of all labels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from goldfold.base.errors import ConfigError
from goldfold.ensembling.columns import Array, Targets, values_of
from goldfold.ensembling.members import of_members
from goldfold.ensembling.steps import WHOLE, Members, Metric

if TYPE_CHECKING:
    import pandas as pd

TINY = 1e-6
"""Probabilities count as at least this far from 0 and 1, so that certain members have no infinite column."""
LEAST = 1e-12
BLOCK = 65_536
"""Images whose columns are in memory at a time when the model is applied."""


class Regressor(Protocol):
    """Model of one target by columns, with parameters as plain JSON."""

    def fit(self, columns: Array, target: NDArray[Any], is_number: bool) -> Any:
        """Return the parameters.

        Args:
            columns: (n, columns).
            target: (n,), numbers if ``is_number``, else class indices.
        """

    def outputs(self, columns: Array, fitted: Any) -> Array:
        """Return (n, outputs): a number, the logit of the second of two classes, or one logit per class that was seen."""


class Stacking:
    """A model of the members' predictions, with ``fit`` and ``apply`` of a step."""

    def __init__(self, task: Targets, model: Regressor) -> None:
        self.task, self.model = task, model

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return the ``members`` in the order of their columns, and a fitted model per target."""
        known = self.task.evidence(self._alone(next(iter(members.values()))), truth)
        columns = self._columns(
            values_of(self.task.evidence(self._alone(member), truth)) for member in members.values()
        )
        if self.task.target == "value":
            models = [self._one(columns, known.truth)]
        elif self.task.target == "labels":
            models = [
                self._one(columns, (known.truth[:, place] == 1).astype(int)) for place in range(known.truth.shape[1])
            ]
        else:
            models = [self._one(columns, known.labels)]
        return {"members": [*members], "models": models}

    def _one(self, columns: Array, target: NDArray[Any]) -> dict[str, Any]:
        """Fit the model of one target: the classes that were seen, and parameters where there is something to learn."""
        if self.task.target == "value":
            return {"fitted": self.model.fit(columns, target, True)}
        seen = np.unique(target)
        fitted = self.model.fit(columns, np.searchsorted(seen, target), False) if len(seen) > 1 else None
        return {"seen": seen.tolist(), "fitted": fitted}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Predict with the fitted models; the spread of numbers is that of the members' mean."""
        if [*members] != [*fitted["members"]]:
            members = {name: members[name] for name in fitted["members"]}
        mean = of_members(self.task, [*members.values()], [1.0] * len(members), {}, 1)
        name = "values" if self.task.target == "value" else "probabilities"
        places = [_places(member["ids"], mean["ids"]) for member in members.values()]
        found = []
        for block in _blocks(len(mean["ids"])):
            several = [_of_rows(member, own[block]) for member, own in zip(members.values(), places, strict=True)]
            found.append(self._predicted(several, name, fitted))
        return {WHOLE: {**mean, name: np.concatenate(found)}}

    def _predicted(self, members: Sequence[Any], name: str, fitted: Mapping[str, Any]) -> Array:
        """Predict some images with the fitted models."""
        columns = self._columns(self._alone(member)[name] for member in members)
        if self.task.target == "value":
            return self.model.outputs(columns, fitted["models"][0]["fitted"])[:, 0]
        n_classes = 2 if self.task.target == "labels" else len(members[0]["classes"])
        parts = [self._probabilities(columns, one, n_classes) for one in fitted["models"]]
        return np.stack([part[:, 1] for part in parts], axis=1) if self.task.target == "labels" else parts[0]

    def _probabilities(self, columns: Array, model: Mapping[str, Any], n_classes: int) -> Array:
        """Probabilities (n, classes); classes that were never seen have none."""
        values = np.zeros((len(columns), n_classes))
        if model["fitted"] is None:
            values[:, model["seen"]] = 1.0
            return values
        outputs = self.model.outputs(columns, model["fitted"])
        values[:, model["seen"]] = two(outputs) if len(model["seen"]) == 2 else softmax(outputs, axis=1)
        return np.clip(values, LEAST, None) if self.task.target == "label" else values

    def _alone(self, member: Any) -> Any:
        """Predictions of one member in the form of the ensemble's, ordered by id."""
        return self.task.fuse([member], [1.0])

    def _columns(self, values: Iterable[Array]) -> Array:
        """Columns (n, columns) from the predictions of one member after the other."""
        return np.concatenate([self._logits(one) for one in values], axis=1)

    def _logits(self, values: Array) -> Array:
        if self.task.target == "value":
            return values[:, None]
        clipped = np.clip(values, TINY, 1 - TINY)
        if self.task.target == "labels":
            return np.asarray(np.log(clipped / (1 - clipped)))
        logs = np.log(clipped)
        return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def _blocks(n: int) -> Iterator[slice]:
    """Slices of at most `BLOCK` of n images; one empty slice for none."""
    return (slice(start, start + BLOCK) for start in range(0, max(n, 1), BLOCK))


def _places(ids: NDArray[np.str_], wanted: NDArray[np.str_]) -> NDArray[np.int64]:
    """Rows of the wanted ids; both have the same ids."""
    order = np.argsort(ids, kind="stable")
    return order[np.searchsorted(ids, wanted, sorter=order)]


def _of_rows(member: Mapping[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Predictions of some of the images."""
    return {name: array if name == "classes" or np.ndim(array) == 0 else array[rows] for name, array in member.items()}


def two(outputs: Array) -> Array:
    """Probabilities (n, 2) of two classes from the logit (n, 1) of the second."""
    second = expit(outputs[:, 0])
    return np.stack([1 - second, second], axis=1)


class Linear:
    """Logistic regression, or ridge regression for numbers, on columns in units of their standard deviation."""

    def __init__(self, penalty: float) -> None:
        """``penalty``: of the squared coefficients, beside the sum of the losses over cases."""
        if not penalty > 0:
            raise ConfigError(f"ensemble: stacking: penalty = {penalty:g}: must be above 0")
        self.penalty = penalty

    def fit(self, columns: Array, target: NDArray[Any], is_number: bool) -> Any:
        """Return coefficients (outputs, columns) and intercepts (outputs,)."""
        from sklearn.linear_model import LogisticRegression, Ridge

        centre, spread = columns.mean(axis=0), columns.std(axis=0)
        spread = np.where(spread > 0, spread, 1)
        scaled = columns - centre
        scaled /= spread
        model: Any = Ridge(alpha=self.penalty) if is_number else LogisticRegression(C=1 / self.penalty, max_iter=5000)
        model.fit(scaled, target)
        coefficients = np.atleast_2d(model.coef_) / spread
        intercepts = np.atleast_1d(model.intercept_) - coefficients @ centre
        return {"coefficients": coefficients.tolist(), "intercepts": intercepts.tolist()}

    def outputs(self, columns: Array, fitted: Any) -> Array:
        """Return the linear outputs (n, outputs)."""
        return np.asarray(columns @ np.array(fitted["coefficients"]).T + np.array(fitted["intercepts"]))


def linear(task: Targets, workers: int, penalty: float = 10.0) -> Stacking:
    """Stacking by a linear model: multinomial logistic regression, or ridge regression for numbers.

    Args:
        penalty: of the squared coefficients of standardised columns, beside the sum of the losses over cases.
    """
    return Stacking(task, Linear(penalty))
