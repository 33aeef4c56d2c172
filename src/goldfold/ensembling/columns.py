"""Members as columns: their predictions for the same images as plain arrays, for steps that compute with many of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.components import Written
from goldfold.ensembling.members import of_members
from goldfold.ensembling.steps import MEANS, Metric, Scores, signed

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
FIELDS = ("probabilities", "predicted")
"""Names of the predictions in the evidence of a task."""


def field_of(evidence: Any) -> str:
    """Name of the predictions in an evidence: ``probabilities`` (n, classes) or ``predicted`` (n,)."""
    return next(name for name in FIELDS if hasattr(evidence, name))


def values_of(evidence: Any) -> Array:
    """Predictions of an evidence."""
    values: Array = getattr(evidence, field_of(evidence))
    return values


class Targets(Scores, Protocol):
    """Task facet that also knows its kind of target."""

    target: str
    """``label``, ``labels`` or ``value``."""


def with_values(evidence: Any, values: Array) -> Any:
    """Return the evidence with other predictions."""
    return replace(evidence, **{field_of(evidence): values})


def is_of_numbers(evidence: Any) -> bool:
    """Return whether an evidence pairs numbers with numbers; otherwise it has probabilities."""
    return field_of(evidence) == "predicted"


def is_of_sets(evidence: Any) -> bool:
    """Return whether an evidence has independent probabilities of several labels."""
    return not is_of_numbers(evidence) and not hasattr(evidence, "labels")


def of_truth(evidence: Any) -> Array:
    """Probability of the true outcome: of the true class (n,), or of each label's yes or no (n x labels,)."""
    values = values_of(evidence)
    if is_of_sets(evidence):
        return np.where(evidence.truth == 1, values, 1 - values).ravel()
    return np.asarray(values[np.arange(len(values)), evidence.labels] / values.sum(axis=1))


class Scorer:
    """Score of any weighting of the members; more is better.

    With the mean of probabilities or numbers, the members are converted once, and each weighting costs one weighted sum.
    """

    def __init__(
        self,
        task: Scores,
        members: Sequence[Any],
        truth: "pd.DataFrame",
        metric: Metric,
        method: Written | None,
        workers: int = 1,
    ) -> None:
        """``workers``: number of processes that fuse, where the members are not columns."""
        self.task, self.members, self.truth, self.metric, self.workers = task, members, truth, metric, workers
        self.settings = {"method": method} if method else {}
        self.rows = np.arange(len(truth))
        self.one = task.evidence(task.fuse([members[0]], [1.0]), truth) if method in MEANS else None
        self.is_mean = any(hasattr(self.one, name) for name in FIELDS)
        if self.is_mean:
            others = (task.evidence(task.fuse([member], [1.0]), truth) for member in members[1:])
            self.stack = [values_of(evidence) for evidence in (self.one, *others)]

    def __call__(self, weights: Sequence[float]) -> float:
        """Score of the members with weight above 0, weighted by ``weights``, which need not sum to one."""
        if self.is_mean:
            shares = np.asarray(weights, dtype=float) / sum(weights)
            mean = sum(share * values for share, values in zip(shares, self.stack, strict=True) if share)
            return self.of_values(mean)
        fused = of_members(self.task, self.members, weights, self.settings, self.workers)
        return signed(self.metric.value(self.task.evidence(fused, self.truth), self.rows), self.metric)

    def of_values(self, values: Array) -> float:
        """Score of predictions in the form of the task's evidence."""
        return signed(self.metric.value(with_values(self.one, values), self.rows), self.metric)
