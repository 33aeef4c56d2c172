"""Warm-up of momentum and of the learning rate of biases."""

from collections.abc import Mapping
from typing import Any

import torch

from goldfold.base.errors import ConfigError
from goldfold.engine.hooks import Hook
from goldfold.engine.state import Training


class Warmup(Hook):
    """Changes momentum and the rate of biases linearly during the warm-up (YOLOv5, `hyp.scratch-low.yaml`).

    Both are functions of the number of updates, so there is no state.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        steps: int,
        lr: float,
        momentum: float | None = None,
        bias_lr: float | None = None,
    ) -> None:
        """Take an optimizer before the first step.

        Args:
            optimizer: with ``is_bias`` in its groups of parameters if there is a ``bias_lr``.
            steps: length of the warm-up in updates.
            lr: rate of factor 1 at its end.
            momentum: momentum, or first beta, of the first update.
            bias_lr: rate of biases of factor 1 in the first update.

        Raises:
            ConfigError: the optimizer has no momentum.
        """
        self.optimizer, self.steps, self.lr, self.momentum, self.bias_lr = optimizer, steps, lr, momentum, bias_lr
        self.last = [
            {key: group[key] for key in ("momentum", "betas") if key in group} for group in optimizer.param_groups
        ]
        """Momentum of each group at the end of the warm-up."""
        if momentum is not None and not any(self.last):
            name = type(optimizer).__name__
            raise ConfigError(f"warmup: momentum = {momentum:g}: optimizer {name} has no momentum; remove it")

    def before_step(self, training: Training) -> None:
        """Set momentum and rates of this update; the schedule has set the rates before."""
        share = min(1.0, training.n_updates / self.steps) if self.steps else 1.0
        for group, last in zip(self.optimizer.param_groups, self.last, strict=True):
            if self.momentum is not None:
                group.update(_between(self.momentum, last, share))
            if self.bias_lr is not None and group["is_bias"] and share < 1:
                group["lr"] = (self.bias_lr + share * (self.lr - self.bias_lr)) * group.get("lr_scale", 1.0)


def has_bias_rate(settings: Mapping[str, float] | None) -> bool:
    """Return whether settings of the warm-up have a rate of biases, so that these need groups of their own."""
    return "bias_lr" in (settings or {})


def _between(first: float, last: Mapping[Any, Any], share: float) -> dict[str, Any]:
    """Momentum of a group at a share of the warm-up; exactly the last at its end."""
    if share == 1:
        return dict(last)
    found = dict[str, Any]()
    if "momentum" in last:
        found["momentum"] = first + share * (last["momentum"] - first)
    if "betas" in last:
        found["betas"] = (first + share * (last["betas"][0] - first), *last["betas"][1:])
    return found
