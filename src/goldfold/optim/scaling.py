"""Build the schedule of a config, for groups of parameters with one or several learning rates."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from goldfold import components
from goldfold.catalog import SCHEDULES
from goldfold.engine.hooks import Context, Hook
from goldfold.engine.state import Training


class Schedule(Protocol):
    """Sets the learning rate before each step.

    One with a state, which depends on scores, is also a `Hook`.
    """

    def step(self, update: int) -> None:
        """Set the rate for step ``update``, counted from 0."""


def build_schedule(
    wanted: components.Written, optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int
) -> Schedule:
    """Build the schedule of a config over ``steps`` optimizer steps, including ``warmup_steps``.

    Where groups have an ``lr_scale``, the schedule sets the rate of a stand-in, and each group gets its multiple.
    """
    make = components.load(wanted, SCHEDULES, "schedule")
    scales = any("lr_scale" in group for group in optimizer.param_groups)
    schedule: Schedule = (
        _Scaled(make, optimizer, steps, warmup_steps) if scales else make(optimizer, steps, warmup_steps)
    )
    return schedule


class _Scaled(Hook):
    """A schedule for groups with different scales of the rate."""

    def __init__(self, make: Any, optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int) -> None:
        self.optimizer = optimizer
        self.stand_in = torch.optim.SGD([torch.zeros(1)], lr=optimizer.param_groups[0]["lr"])
        self.schedule: Schedule = make(self.stand_in, steps, warmup_steps)

    def step(self, update: int) -> None:
        """Set the rate of each group for step ``update``."""
        self.schedule.step(update)
        for group in self.optimizer.param_groups:
            group["lr"] = self.stand_in.param_groups[0]["lr"] * group.get("lr_scale", 1.0)

    def before_training(self, context: Context) -> None:
        """Pass the context on."""
        if isinstance(self.schedule, Hook):
            self.schedule.before_training(context)

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Pass the scores on."""
        if isinstance(self.schedule, Hook):
            self.schedule.after_epoch(training, scores)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the schedule."""
        return self.schedule.state_dict() if isinstance(self.schedule, Hook) else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of the schedule."""
        if isinstance(self.schedule, Hook):
            self.schedule.load_state_dict(state_dict)
