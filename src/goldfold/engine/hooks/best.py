"""Weights of the best epoch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from goldfold.engine.hooks import Hook
from goldfold.engine.state import Training, weights_of


def best_epoch(scores: Sequence[float], greater_is_better: bool) -> int | None:
    """Return the place of the best of several scores, the first of equals; None if none is finite.

    >>> best_epoch([0.5, math.nan, 0.7, 0.7], True)
    2
    """
    finite = [place for place, score in enumerate(scores) if math.isfinite(score)]
    sign = 1 if greater_is_better else -1
    return max(finite, key=lambda place: sign * scores[place], default=None)


class Best(Hook):
    """Keeps the weights of the epoch with the best score, the first of several."""

    def __init__(self, monitor: str, greater_is_better: bool) -> None:
        """``monitor``: name of the score by which epochs are compared."""
        self.monitor, self.greater_is_better = monitor, greater_is_better
        self.epoch: int | None = None
        """None until an epoch has a finite score; with roc_auc, a validation fold of one class never has."""
        self.weights: dict[str, Tensor] = {}

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Keep the weights if the epoch is better than all before it."""
        if scores and self._is_best(training.history):
            self.epoch, self.weights = int(training.history[-1]["epoch"]), weights_of(training.scored)

    def _is_best(self, history: list[dict[str, float]]) -> bool:
        """Return True if the last epoch is better than all before it; a non-finite score never is."""
        scores = [row[self.monitor] for row in history if self.monitor in row]
        return best_epoch(scores, self.greater_is_better) == len(scores) - 1

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch and its weights."""
        return {"epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the epoch and its weights."""
        self.epoch, self.weights = state_dict["epoch"], state_dict["weights"]
