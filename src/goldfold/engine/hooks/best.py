"""The weights of the best epoch."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from goldfold.engine.hooks import Hook
from goldfold.engine.state import Training, weights_of


class Best(Hook):
    """Keeps the weights of the first epoch whose score no other beats."""

    def __init__(self, monitor: str, greater_is_better: bool) -> None:
        """``monitor`` is the score by which epochs are compared."""
        self.monitor, self.greater_is_better = monitor, greater_is_better
        self.epoch: int | None = None
        """None before an epoch could be scored: a validation fold of one class never can under roc_auc."""
        self.weights: dict[str, Tensor] = {}

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Keep the weights where the epoch beats those before it."""
        if scores and self._is_best(training.history):
            self.epoch, self.weights = int(training.history[-1]["epoch"]), weights_of(training.scored)

    def _is_best(self, history: list[dict[str, float]]) -> bool:
        """Whether the last epoch beats every one before it; a score that is not a number beats nothing."""
        scores = [row[self.monitor] for row in history if self.monitor in row]
        *before, last = (score if self.greater_is_better else -score for score in scores)
        return math.isfinite(last) and all(last > score for score in before if math.isfinite(score))

    def state_dict(self) -> dict[str, Any]:
        """The epoch and its weights."""
        return {"epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them over."""
        self.epoch, self.weights = state_dict["epoch"], state_dict["weights"]
