"""Fitted smallest distance between two points of a class in an image, of which only the better one stays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, shown
from goldfold.components import Written
from goldfold.ensembling.steps import Members, Metric, only, signed

if TYPE_CHECKING:
    import pandas as pd

DISTANCES_PX = (0.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
MOST = 30
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Common thresholds, the best of which each distance is judged by."""
LEAST_GAIN = 1e-9


class Spaces(Protocol):
    """Optional task facet: points that keep a distance."""

    def space(self, predictions: Any, least_px: float) -> Any:
        """Return the predictions without points that are nearer than this to a better one of their class."""

    def decidable(self, predictions: Any, truth: Any) -> Any:
        """Pair predictions with the truth, for any thresholds."""

    def decided_classes(self) -> list[str]:
        """Return the names of the classes that have a threshold."""

    def metric(self, wanted: Written) -> Metric:
        """Return a metric given as in the config."""


class Spacing:
    """Smallest distance between points of a class with the best out-of-fold score, each distance at its best threshold."""

    is_by_image = True

    def __init__(
        self,
        task: Spaces,
        workers: int,
        distances_px: float | Sequence[float] = DISTANCES_PX,
        metric: Written | None = None,
    ) -> None:
        """Set up for a task.

        Args:
            distances_px: distances to try, in pixels of the images; 0 keeps all points. One number: it is not fitted.
            metric: metric that the distance is fitted for; default: that of the config.

        Raises:
            ConfigError: a distance is no number of at least 0, or there are too many.
        """
        self.task, self.metric = task, metric
        values: list[Any] = list(distances_px) if isinstance(distances_px, list | tuple) else [distances_px]
        are_numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
        if not values or not are_numbers or not all(0 <= one < float("inf") for one in values):
            raise ConfigError(
                f"ensemble: spacing: distances_px = {shown(distances_px)}: must be a number of pixels of at least 0, or a "
                f"list of such"
            )
        if len(values) > MOST:
            raise ConfigError(
                f"ensemble: spacing: distances_px: {len(values)} values: at most {MOST} are tried; give fewer"
            )
        self.distances = sorted({float(one) for one in values})

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return ``least_px``; of distances with the same score, the smallest."""
        chosen, best = self.task.metric(self.metric) if self.metric else metric, self.distances[0]
        highest = -np.inf
        for tried in self.distances if len(self.distances) > 1 else ():
            value = self._value(self.task.space(only(members), tried), truth, chosen)
            if value > highest + LEAST_GAIN:
                best, highest = tried, value
        return {"least_px": best}

    def _value(self, predictions: Any, truth: "pd.DataFrame", metric: Metric) -> float:
        """Best value of the metric over common thresholds; more is better."""
        evidence, n = self.task.decidable(predictions, truth), len(self.task.decided_classes())
        rows = np.arange(len(truth))
        return max(signed(metric.value(evidence.at([level] * n), rows), metric) for level in LEVELS)

    def apply(self, members: Members, fitted: Any) -> Members:
        """Leave out points that are too near to better ones."""
        return {name: self.task.space(predictions, fitted["least_px"]) for name, predictions in members.items()}
