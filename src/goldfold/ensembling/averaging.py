"""Fusion steps: weighted averages of the members' predictions."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.components import Written
from goldfold.ensembling.columns import Scorer
from goldfold.ensembling.members import Fuses, of_members
from goldfold.ensembling.steps import MEANS, WHOLE, Members, Metric, Scores

if TYPE_CHECKING:
    import pandas as pd

CHANGES = (0.3, 0.1, 0.03)
"""Step sizes of the coordinate search, as fractions of the total weight."""
SWEEPS = 3
"""Maximum number of passes over the members per step size."""
LEAST_GAIN = 1e-9
DIGITS = 6
"""Decimals of a fitted weight."""


class Averages(Fuses, Protocol):
    """Task facet that fuses predictions."""

    ensemble_keys: tuple[str, ...]
    """Names of the parameters that `fuse` takes besides ``method``."""


class Average:
    """Average of the members with given weights; nothing is fitted."""

    def __init__(
        self,
        task: Averages,
        workers: int,
        method: Written | None = None,
        weights: Mapping[str, float] | None = None,
        iou_threshold: float = 0.55,
        skip_threshold: float = 0.0,
    ) -> None:
        """``weights``: by member name, default 1."""
        own = {"iou_threshold": iou_threshold, "skip_threshold": skip_threshold}
        self.task, self.workers, self.weights = task, workers, dict(weights or {})
        self.settings = {key: own[key] for key in task.ensemble_keys} | ({"method": method} if method else {})

    def apply(self, members: Members, fitted: Any = None) -> Members:
        """Average the members with weight above 0."""
        weights = [self.weights.get(name, 1.0) for name in members]
        return {WHOLE: of_members(self.task, list(members.values()), weights, self.settings, self.workers)}


class FittedAverage:
    """Average with fitted weights: a coordinate search from equal weights for the best out-of-fold score."""

    def __init__(
        self, task: Scores, workers: int, method: Written | None = None, metric: Written | None = None
    ) -> None:
        """``metric``: metric that the weights are fitted for; default: that of the config."""
        self.task, self.workers, self.method, self.metric = task, workers, method, metric
        self.settings = {"method": method} if method else {}
        self.is_by_image = method in MEANS

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return ``weights`` by member name, which sum to one."""
        chosen = self.task.metric(self.metric) if self.metric else metric
        scorer = Scorer(self.task, list(members.values()), truth, chosen, self.method, self.workers)
        found = _coordinate_search(scorer, len(members))
        return {"weights": {name: round(float(weight), DIGITS) for name, weight in zip(members, found, strict=True)}}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Average the members with weight above 0."""
        weights: Sequence[float] = [fitted["weights"][name] for name in members]
        return {WHOLE: of_members(self.task, list(members.values()), weights, self.settings, self.workers)}


def _coordinate_search(value: Callable[[Sequence[float]], float], n: int) -> NDArray[np.float64]:
    """Return weights (n,) that sum to one, found from equal weights by keeping each change that improves ``value``."""
    weights = np.full(n, 1 / n)
    reached = value(weights.tolist()) if n > 1 else 0.0
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
                    if (found := value(tried.tolist())) > reached + LEAST_GAIN:
                        weights, reached = tried, found
            if reached == before:
                break
    return weights
