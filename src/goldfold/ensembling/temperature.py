"""Calibration by temperature (Guo et al. 2017, On calibration of modern neural networks)."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from goldfold.ensembling.columns import Array, Targets, is_of_sets, of_truth, values_of, with_values
from goldfold.ensembling.steps import Members, Metric, only

if TYPE_CHECKING:
    import pandas as pd

LEAST, MOST = 0.05, 20.0
"""Range of the temperature."""
TINY = 1e-12


class Temperature:
    """Probabilities at the temperature with the smallest out-of-fold log loss: below 1 sharper, above 1 softer.

    The order of the classes of an image stays, and so do decisions by the most probable class.
    """

    is_by_image = True

    def __init__(self, task: Targets, workers: int) -> None:
        self.task = task

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return the ``temperature``."""
        from scipy.optimize import minimize_scalar

        evidence = self.task.evidence(only(members), truth)
        values, is_sets = values_of(evidence), is_of_sets(evidence)

        def loss(log_t: float) -> float:
            tried = with_values(evidence, at(values, float(np.exp(log_t)), is_sets))
            return float(-np.log(np.clip(of_truth(tried), TINY, 1)).mean())

        found = minimize_scalar(loss, bounds=(np.log(LEAST), np.log(MOST)), method="bounded", options={"xatol": 1e-4})
        best = float(found.x) if found.fun < loss(0.0) else 0.0
        return {"temperature": round(float(np.exp(best)), 4)}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Change the probabilities, and thresholds with them, so that no decision changes."""
        return {name: self._at(predictions, float(fitted["temperature"])) for name, predictions in members.items()}

    def _at(self, predictions: Any, temperature: float) -> Any:
        changed = {"probabilities": at(predictions["probabilities"], temperature, self.task.target == "labels")}
        if "thresholds" in predictions:
            changed["thresholds"] = at(predictions["thresholds"], temperature, is_sets=True)
        return {**predictions, **changed}


def at(values: Array, temperature: float, is_sets: bool) -> Array:
    """Probabilities (n, classes) with their logits divided by the temperature.

    Args:
        is_sets: each class is an independent yes or no.
    """
    values = np.clip(values, TINY, 1 - TINY if is_sets else 1)
    if is_sets:
        return np.asarray(expit(np.log(values / (1 - values)) / temperature))
    return np.asarray(softmax(np.log(values) / temperature, axis=1))
