"""Time budget of a run."""

import time
from collections.abc import Mapping
from typing import Any

from torch import nn

from goldfold.engine.hooks import Context, Hook
from goldfold.engine.hooks.checks import positive
from goldfold.engine.state import Training

NAME = "max_hours"
"""Name in the catalog, and in ``training.stopped``."""
SECONDS = 3600.0


class MaxHours(Hook):
    """Ends the training with the epoch in which its time is up. The clock goes on where a resumed run was saved."""

    def __init__(self, network: nn.Module, hours: float) -> None:
        """``hours``: time for the steps and validations of all epochs."""
        positive(hours=hours)
        self.hours = hours
        self.before, self.began = 0.0, time.monotonic()

    def before_training(self, context: Context) -> None:
        """Start the clock."""
        self.began = time.monotonic()

    def before_step(self, training: Training) -> None:
        """Make this epoch the last one if the time is up."""
        self._check(training)

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Make this epoch the last one if the time was up in its validation; an epoch without validation is not the last."""
        if scores:
            self._check(training)

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def _check(self, training: Training) -> None:
        if self._seconds() >= self.hours * SECONDS:
            training.stop(NAME, f"its {self.hours:g} hours were up")

    def state_dict(self) -> dict[str, Any]:
        """Return the time spent so far."""
        return {"seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the time spent before."""
        self.before, self.began = state_dict["seconds"], time.monotonic()
