"""Learning rate within the epochs, for the report."""

import math
from typing import Any

from goldfold.engine.hooks import Hook
from goldfold.engine.state import Training

MOST_POINTS = 120


class LrCurve(Hook):
    """Keeps the learning rate of evenly spaced steps, at most `MOST_POINTS`, and of the last."""

    def __init__(self, steps: int, steps_per_epoch: int) -> None:
        """``steps``: number of steps of the training."""
        self.steps, self.steps_per_epoch = steps, steps_per_epoch
        self.every = math.ceil(steps / MOST_POINTS)
        self.points: list[list[float]] = []
        """Epoch, counted from 0, and rate."""

    def after_step(self, training: Training) -> None:
        """Keep the rate if it is the turn of this step."""
        update = training.n_updates - 1
        if update % self.every == 0 or update == self.steps - 1:
            self.points.append([round(update / self.steps_per_epoch, 4), float(f"{training.lr:.6g}")])

    def facts(self) -> list[list[float]]:
        """Return the rates."""
        return self.points

    def state_dict(self) -> dict[str, Any]:
        """Return the rates so far."""
        return {"points": self.points}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rates."""
        self.points = [*state_dict["points"]]
