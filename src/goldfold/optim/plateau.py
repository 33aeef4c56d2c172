"""A schedule that reacts to the scores of the validation."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from goldfold.base.errors import ConfigError, shown, unknown
from goldfold.engine.hooks import Context, Hook
from goldfold.engine.state import Training
from goldfold.optim.checks import start_of_warmup, whole, within


class Plateau(Hook):
    """Linear warm-up, then a rate that is multiplied by ``factor`` whenever a score stops improving (torch's ReduceLROnPlateau).

    Scores count from the end of the warm-up; one that is not a number does not count.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        steps: int,
        warmup_steps: int,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        warmup_start: float = 0.01,
    ) -> None:
        """Set up for all groups of an optimizer.

        Args:
            monitor: ``val_loss``, or a metric that is computed in training.
            patience: validations without improvement that are tolerated; the rate drops after one more.
            threshold: least relative improvement.
            cooldown: validations after a drop that do not count.
        """
        within("factor", factor, 1e-9, 0.999999)
        whole("patience", patience, 0)
        whole("cooldown", cooldown, 0)
        within("threshold", threshold, 0, 0.999999)
        within("warmup_start", warmup_start, 0, 1)
        self.optimizer, self.warmup_steps, self.monitor = optimizer, warmup_steps, monitor
        self.peaks: list[float] = [group["lr"] for group in optimizer.param_groups]
        within("min_lr", min_lr, 0, max(self.peaks))
        self.starts = [start_of_warmup(peak, warmup_start) for peak in self.peaks]
        # the reducer has groups of its own, so that its rates are known during the warm-up
        self.stand_in = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": peak} for peak in self.peaks])
        self.settings: dict[str, Any] = {
            "factor": factor, "patience": patience, "threshold": threshold, "cooldown": cooldown, "min_lr": min_lr,
        }  # fmt: skip
        self.reducer = self._reducer("min")

    def _reducer(self, mode: Any) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
        return torch.optim.lr_scheduler.ReduceLROnPlateau(self.stand_in, mode=mode, **self.settings)

    def before_training(self, context: Context) -> None:
        """Find whether larger values of the score are better.

        Raises:
            ConfigError: the validation does not give the score.
        """
        scores = context.directions
        if not isinstance(self.monitor, str):
            raise ConfigError(f"monitor = {shown(self.monitor)}: must be the name of a score: {', '.join(scores)}")
        if self.monitor not in scores:
            raise unknown("monitor of the schedule plateau", self.monitor, scores)
        self.reducer = self._reducer("max" if scores[self.monitor] else "min")
        direction = "higher" if scores[self.monitor] else "lower"
        print(f"schedule plateau: watches {self.monitor} ({direction} is better)", flush=True)

    @property
    def rates(self) -> list[float]:
        """Rates of the groups after the warm-up."""
        return [group["lr"] for group in self.stand_in.param_groups]

    def step(self, update: int) -> None:
        """Set the rates for step ``update``."""
        done = update / self.warmup_steps if update < self.warmup_steps else 1.0
        warm = [start + done * (peak - start) for start, peak in zip(self.starts, self.peaks, strict=True)]
        for group, rate in zip(self.optimizer.param_groups, warm if done < 1 else self.rates, strict=True):
            group["lr"] = rate

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Lower the rates if the score has not improved for too long."""
        score = scores.get(self.monitor, math.nan)
        if training.n_updates < self.warmup_steps or not math.isfinite(score):
            return
        before = self.rates[0]
        self.reducer.step(score)
        if self.rates[0] < before:
            n, times = len(training.history), self.rates[0] / before
            print(f"schedule plateau: {self.monitor} stopped improving by epoch {n}, lr x {times:g}", flush=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the reducer, and its rates."""
        return {"reducer": self.reducer.state_dict(), "rates": self.rates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of the reducer and its rates."""
        self.reducer.load_state_dict(state_dict["reducer"])
        for group, rate in zip(self.stand_in.param_groups, state_dict["rates"], strict=True):
            group["lr"] = rate
