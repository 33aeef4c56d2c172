"""Early stopping."""

import math
from collections.abc import Mapping
from typing import Literal

from torch import nn

from goldfold.base.errors import ConfigError
from goldfold.base.words import count
from goldfold.engine.hooks import Context, Hook
from goldfold.engine.hooks.checks import whole
from goldfold.engine.state import Training

NAME = "early_stopping"
"""Name in the catalog, and in ``training.stopped``."""


class EarlyStopping(Hook):
    """Stops the training once the validation score no longer improves (Prechelt 1998, Early Stopping - But When?, class UP).

    Semantics are those of Keras' EarlyStopping with ``start_from_epoch``: epochs of the warm-up neither count nor set a mark
    to beat. The state is the history alone.
    """

    def __init__(
        self,
        network: nn.Module,
        patience: int = 5,
        warmup: int = 0,
        min_delta: float = 0.0,
        watch: Literal["metric", "loss"] = "metric",
    ) -> None:
        """See the arguments.

        Args:
            patience: epochs without improvement after which the training stops; with ``validate_every`` above 1, it stops at
                the first validated epoch that is at least so far behind the best one.
            warmup: epochs at the beginning that are ignored.
            min_delta: smallest gain over the best score that is an improvement.
            watch: the config's metric, or the validation loss.
        """
        whole("patience", patience, 1, "epochs")
        whole("warmup", warmup, 0, "epochs")
        if not (isinstance(min_delta, int | float) and 0 <= min_delta < math.inf):
            raise ConfigError(f"min_delta = {min_delta!r}: must be a number of at least 0")
        if watch not in ("metric", "loss"):
            raise ConfigError(f"watch = {watch!r}: must be metric or loss")
        self.patience, self.warmup, self.min_delta, self.watch = patience, warmup, min_delta, watch
        self.score, self.sign = "", 1

    def before_training(self, context: Context) -> None:
        """Find the score to watch.

        Raises:
            ConfigError: the task has no validation loss.
        """
        if self.watch == "metric":
            self.score, self.sign = context.metric, 1 if context.greater_is_better else -1
        elif context.loss is None:
            raise ConfigError(f"{NAME}: watch: loss, but this task has no validation loss. Set watch: metric.")
        else:
            self.score, self.sign = context.loss, -1

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Stop the training if its last improvement is ``patience`` epochs ago."""
        if not scores:
            return
        best, at = -math.inf, self.warmup - 1
        for row in training.history[self.warmup :]:
            value = self.sign * row.get(self.score, math.nan)
            if value > best + self.min_delta and math.isfinite(value):
                best, at = value, int(row["epoch"])
        waited = int(training.history[-1]["epoch"]) - at
        if waited >= self.patience:
            training.stop(NAME, self._reason(waited, self.sign * best), on_validation=True)

    def _reason(self, waited: int, best: float) -> str:
        by = f" by more than {self.min_delta:g}" if self.min_delta else ""
        after = f" over {best:.4f}" if math.isfinite(best) else ""
        return f"{self.score} has not improved{by}{after} in {count(waited, 'epoch')}"
