"""Decision for the class of images that are like no known class, by a threshold of the confidence."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, nearest
from goldfold.ensembling.columns import Array, Targets, values_of, with_values
from goldfold.ensembling.steps import Members, Metric, only, signed

if TYPE_CHECKING:
    import pandas as pd

MOST_TRIED = 64
"""Largest number of thresholds that are tried."""


class Unknown:
    """Gives one class the same probability in every image: it comes before the classes that are less probable than that.

    The threshold is that with the best score by the metric of the config; of equal ones, the smallest.
    """

    is_by_image = True

    def __init__(self, task: Targets, workers: int, label: str) -> None:
        """Set up for a task.

        Args:
            label: the class (``new_whale``).
        """
        self.task, self.label = task, label

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return the ``threshold``.

        Raises:
            ConfigError: there is no such class.
        """
        predictions, rows = only(members), np.arange(len(truth))
        place, evidence = self._place(predictions), self.task.evidence(predictions, truth)
        values = values_of(evidence)

        def score(threshold: float) -> float:
            return signed(metric.value(with_values(evidence, at(values, place, threshold)), rows), metric)

        others = [part.max(axis=1, initial=0.0) for part in (values[:, :place], values[:, place + 1 :])]
        tried = thresholds(np.maximum(*others))
        return {"threshold": max(tried, key=score)}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Set the probability of the class, and scale those of each image to sum to one."""
        return {
            name: {
                **predictions,
                "probabilities": at(predictions["probabilities"], self._place(predictions), float(fitted["threshold"])),
            }
            for name, predictions in members.items()
        }

    def _place(self, predictions: Any) -> int:
        classes = [str(one) for one in predictions["classes"]]
        if self.label not in classes:
            hint = nearest(self.label, classes)
            raise ConfigError(f"ensemble: unknown: label = {self.label!r} is no class; {hint}write the name of one")
        return classes.index(self.label)


def at(values: Array, place: int, threshold: float) -> Array:
    """Probabilities (n, classes) with ``threshold`` in one column, scaled to sum to one per image."""
    changed = values.copy()
    changed[:, place] = threshold
    changed /= changed.sum(axis=1, keepdims=True)
    return changed


def thresholds(confidences: Array) -> list[float]:
    """Return thresholds to try, rising: below all confidences, and halfway between some of them.

    >>> thresholds(np.array([0.2, 0.6, 0.6]))
    [0.1, 0.4, 0.8]
    """
    known = np.concatenate([[0.0], np.unique(confidences), [1.0]])
    between = (known[:-1] + known[1:]) / 2
    chosen = np.unique(np.linspace(0, len(between) - 1, min(MOST_TRIED, len(between))).round().astype(int))
    return [float(round(value, 6)) for value in between[chosen]]
