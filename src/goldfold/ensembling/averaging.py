"""Steps that make one prediction of the members' by a weighted average."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.components import Written
from goldfold.ensembling.members import Fuses, of_members
from goldfold.ensembling.steps import WHOLE, Members, Metric, signed

if TYPE_CHECKING:
    import pandas as pd

CHANGES = (0.3, 0.1, 0.03)
"""By which a weight is raised and lowered in turn, as shares of all."""
SWEEPS = 3
"""Over the members with each of these, at most."""
LEAST_GAIN = 1e-9
DIGITS = 6
"""Of a fitted weight."""


class Averages(Fuses, Protocol):
    """The part of a task that fuses, and the parameters that it fuses by."""

    ensemble_keys: tuple[str, ...]


class Scores(Fuses, Protocol):
    """The part of a task that fuses and scores."""

    def evidence(self, predictions: Any, truth: Any) -> Any:
        """Predictions beside the truth."""

    def metric(self, wanted: Written) -> Metric:
        """Metric as a config writes it."""


class Average:
    """Average of the members with given weights; there is nothing to fit."""

    def __init__(
        self,
        task: Averages,
        workers: int,
        method: Written | None = None,
        weights: Mapping[str, float] | None = None,
        iou_threshold: float = 0.55,
        skip_threshold: float = 0.0,
    ) -> None:
        """``weights`` by name of the member, 1 where not named."""
        own = {"iou_threshold": iou_threshold, "skip_threshold": skip_threshold}
        self.task, self.workers, self.weights = task, workers, dict(weights or {})
        self.settings = {key: own[key] for key in task.ensemble_keys} | ({"method": method} if method else {})

    def apply(self, members: Members, fitted: Any = None) -> Members:
        """One prediction of the members that have a weight."""
        weights = [self.weights.get(name, 1.0) for name in members]
        return {WHOLE: of_members(self.task, list(members.values()), weights, self.settings, self.workers)}


class FittedAverage:
    """Average of the members with the weights that score best: from equal ones on, each is raised and lowered in turn."""

    def __init__(
        self, task: Scores, workers: int, method: Written | None = None, metric: Written | None = None
    ) -> None:
        """``metric``: what the weights are fitted for; the config's where not given."""
        self.task, self.workers, self.metric = task, workers, metric
        self.settings = {"method": method} if method else {}

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """``weights`` by name of the member, which sum to one."""
        chosen, rows, parts = (
            self.task.metric(self.metric) if self.metric else metric,
            np.arange(len(truth)),
            list(members.values()),
        )

        def value(weights: NDArray[np.float64]) -> float:
            fused = of_members(self.task, parts, weights.tolist(), self.settings, self.workers)
            return signed(chosen.value(self.task.evidence(fused, truth), rows), chosen)

        found = _climbed(value, len(parts))
        return {"weights": {name: round(float(weight), DIGITS) for name, weight in zip(members, found, strict=True)}}

    def apply(self, members: Members, fitted: Any) -> Members:
        """One prediction of the members that have a weight."""
        weights: Sequence[float] = [fitted["weights"][name] for name in members]
        return {WHOLE: of_members(self.task, list(members.values()), weights, self.settings, self.workers)}


def _climbed(value: Any, n: int) -> NDArray[np.float64]:
    """Weights (n,) that sum to one, from equal ones on: whatever change is better is kept."""
    weights = np.full(n, 1 / n)
    reached = value(weights) if n > 1 else 0.0
    for change in CHANGES if n > 1 else ():
        for _ in range(SWEEPS):
            before = reached
            for place in range(n):
                for sign in (1, -1):
                    tried = weights.copy()
                    tried[place] = max(0.0, tried[place] + sign * change)
                    if not tried.sum():
                        continue
                    tried /= tried.sum()
                    if (found := value(tried)) > reached + LEAST_GAIN:
                        weights, reached = tried, found
            if reached == before:
                break
    return weights
