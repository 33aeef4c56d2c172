"""Selection of members by hill climbing with replacement (Caruana et al. 2004, Ensemble selection from libraries of models)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.components import Written
from goldfold.ensembling.averaging import FittedAverage
from goldfold.ensembling.columns import Scorer
from goldfold.ensembling.steps import Members, Metric, Scores

if TYPE_CHECKING:
    import pandas as pd

LEAST_GAIN = 1e-12
MOST = 1000
"""Most steps, and most bags: a step is fitted for a trial before any job, so that a slip of the pen must not take hours there."""


class HillClimbing:
    """Average of members chosen one after the other, each time the one that helps most; a member may be chosen again.

    The selection with the best score along the way is kept, and the weight of a member is how often it is in it.
    """

    def __init__(
        self,
        task: Scores,
        workers: int,
        steps: int = 50,
        bags: int = 1,
        method: Written | None = None,
        metric: Written | None = None,
    ) -> None:
        """Set up for a task.

        Args:
            steps: members chosen at most, counting repetitions.
            bags: selections that are averaged, each from a random half of the members; 1: one selection from all.
            method: method of the average.
            metric: metric that is climbed; default: that of the config.
        """
        for name, number in (("steps", steps), ("bags", bags)):
            if not isinstance(number, int) or not 1 <= number <= MOST:
                raise ConfigError(
                    f"ensemble: hill_climbing: {name} = {number}: must be a whole number from 1 to {MOST:,}"
                )
        self.task, self.metric, self.method, self.steps, self.bags = task, metric, method, steps, bags
        self.average = FittedAverage(task, workers, method)
        self.is_by_image = self.average.is_by_image

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return ``weights`` by member name, which sum to one."""
        chosen = self.task.metric(self.metric) if self.metric else metric
        scorer = Scorer(self.task, list(members.values()), truth, chosen, self.method)
        bags = [climbed(scorer, bag, len(members), self.steps) for bag in drawn(len(members), self.bags)]
        weights = np.mean([counts / counts.sum() for counts in bags], axis=0)
        return {"weights": {name: round(float(one), 6) for name, one in zip(members, weights, strict=True)}}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Average the members with weight above 0."""
        return self.average.apply(members, fitted)


def drawn(n: int, bags: int) -> list[list[int]]:
    """Members of each bag: all for one bag, else a random half, always the same."""
    if bags == 1 or n < 3:
        return [[*range(n)]]
    draw = np.random.default_rng(0)
    return [sorted(draw.choice(n, (n + 1) // 2, replace=False).tolist()) for _ in range(bags)]


def climbed(scorer: Scorer, bag: Sequence[int], n: int, steps: int) -> NDArray[np.int64]:
    """How often each of ``n`` members (n,) is in the best selection of at most ``steps`` from a bag.

    Once each member of the bag if no selection has a finite score, so that weights are equal.
    """
    counts = best = np.zeros(n, dtype=np.int64)
    reached = -np.inf
    for _ in range(steps if len(bag) > 1 else 1):
        tried = [counts + (np.arange(n) == place) for place in bag]
        values = [scorer(one.tolist()) for one in tried]
        counts = tried[int(np.argmax(values))]
        if max(values) > reached + LEAST_GAIN or not best.any():
            best, reached = counts, max(values)
    return best if np.isfinite(reached) or len(bag) == 1 else np.isin(np.arange(n), bag).astype(np.int64)
