"""The step that fits from which probability on an image, or a pixel, is of a class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.components import Written
from goldfold.ensembling.steps import Members, Metric, only, signed

if TYPE_CHECKING:
    import pandas as pd

NEUTRAL = 0.5
"""Threshold that changes no decision."""
SWEEPS = 3
"""Over the classes, at most: the best threshold of one may depend on those of the others (micro averages)."""
SAME = 1e-12
"""Values of a metric that differ by no more are one; of thresholds that are as good, the one nearest to 0.5 is taken."""


class Decidable(Protocol):
    """Predictions beside the truth, of which nothing is decided yet."""

    def __len__(self) -> int:
        """Number of images."""

    def levels(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Thresholds worth trying for some of the classes, `NEUTRAL` among them."""

    def at(self, thresholds: Sequence[float]) -> Any:
        """Evidence, decided by a threshold of each class."""

    def of_class(self, column: int) -> "Decidable":
        """One class alone; asked for where a metric is a mean over several classes."""


class Decides(Protocol):
    """The part of a task whose decisions have thresholds; a task may be without it."""

    def decided_classes(self) -> list[str]:
        """Names of the classes that have a threshold."""

    def decidable(self, predictions: Any, truth: Any) -> Decidable:
        """Predictions beside the truth, for any thresholds."""

    def decide(self, predictions: Any, thresholds: Sequence[float]) -> Any:
        """Predictions that are read with these thresholds from here on."""

    def metric(self, wanted: Written) -> Metric:
        """Metric as a config writes it."""


class Thresholds:
    """Probability from which on a class is taken to be there, the one that scores best, for each class or one for all."""

    def __init__(self, task: Decides, workers: int, metric: Written | None = None, per_class: bool = True) -> None:
        """``metric``: what they are fitted for; the config's where not given.

        Raises:
            ConfigError: the task decides by no threshold.
        """
        if not hasattr(task, "decided_classes"):
            raise ConfigError("ensemble: thresholds: this task has no decisions by a threshold. Remove the step.")
        self.task, self.metric, self.classes = task, metric, task.decided_classes()
        self.groups = [[place] for place in range(len(self.classes))] if per_class else [[*range(len(self.classes))]]

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """``thresholds`` by class."""
        chosen = self.task.metric(self.metric) if self.metric else metric
        evidence = self.task.decidable(only(members), truth)
        if len(self.groups) > 1 and getattr(chosen, "is_mean_over_classes", False):
            parts = [evidence.of_class(place) for place in range(len(self.classes))]
            found = np.concatenate([_search(part, chosen, [[0]]) for part in parts])
        else:
            found = _search(evidence, chosen, self.groups)
        return {"thresholds": dict(zip(self.classes, found.tolist(), strict=True))}

    def apply(self, members: Members, fitted: Any) -> Members:
        """The same probabilities, read with these thresholds."""
        thresholds = [fitted["thresholds"][name] for name in self.classes]
        return {name: self.task.decide(predictions, thresholds) for name, predictions in members.items()}


def _search(evidence: Decidable, metric: Metric, groups: Sequence[list[int]]) -> NDArray[np.float64]:
    """Thresholds (classes,), from 0.5 on one group of classes after the other; images without a score change none."""
    thresholds, rows = np.full(sum(map(len, groups)), NEUTRAL), np.arange(len(evidence))

    def value(tried: NDArray[np.float64]) -> float:
        return signed(metric.value(evidence.at(tried.tolist()), rows), metric)

    for _ in range(SWEEPS if len(groups) > 1 else 1):
        before = thresholds.copy()
        for group in groups if np.isfinite(value(thresholds)) else ():
            levels = evidence.levels(group)
            tried = np.repeat(thresholds[None], len(levels), axis=0)
            tried[:, group] = levels[:, None]
            values = np.array([value(one) for one in tried])
            good = levels[values >= values.max() - SAME]
            thresholds[group] = good[np.abs(good - NEUTRAL).argmin()]
        if np.array_equal(before, thresholds):
            break
    return thresholds
