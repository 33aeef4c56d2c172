"""Exponential moving average of the weights."""

from typing import Any, Literal

import torch
from torch import nn

from goldfold.base.errors import ConfigError
from goldfold.engine.hooks import Context, Hook
from goldfold.engine.hooks.checks import number, positive, whole
from goldfold.engine.state import Training


class Ema(Hook):
    """Averages weights and buffers (timm's ModelEmaV3, with warm-up of the decay); the average is validated and saved."""

    def __init__(
        self,
        network: nn.Module,
        decay: float,
        warmup: bool = True,
        warmup_gamma: float = 1.0,
        warmup_power: float = 0.75,
        min_decay: float = 0.0,
        start_step: int = 0,
        every_steps: int = 1,
        buffers: Literal["average", "copy"] = "average",
    ) -> None:
        """See the arguments.

        Args:
            decay: per step, between 0 and 1, exclusive.
            warmup: start with a small decay that grows as 1 - (1 + step / warmup_gamma) ** -warmup_power.
            min_decay: smallest decay of the warm-up.
            start_step: steps in which the average is a copy of the weights.
            every_steps: steps between two updates; each uses decay ** every_steps, so that the average reaches as far back
                (torchvision's references scale 1 - decay in the same way, to first order).
            buffers: batch norm statistics are averaged with the weights that they belong to (as in timm, in TensorFlow's
                EfficientNet and in torchvision's references), or copied from the trained network.
        """
        from timm.utils import ModelEmaV3

        number(decay=decay, min_decay=min_decay)
        if not 0 < decay < 1:
            raise ConfigError(f"decay = {decay:g}: must lie between 0 and 1")
        if not 0 <= min_decay <= decay:
            raise ConfigError(f"min_decay = {min_decay:g}: must lie between 0 and decay = {decay:g}")
        whole("start_step", start_step, 0, "steps")
        whole("every_steps", every_steps, 1, "steps")
        positive(warmup_gamma=warmup_gamma, warmup_power=warmup_power)
        if buffers not in ("average", "copy"):
            raise ConfigError(f"buffers = {buffers!r}: must be average or copy")
        self.network, self.start_step, self.every_steps, self.buffers = network, start_step, every_steps, buffers
        self.average = ModelEmaV3(
            network, decay=decay, min_decay=min_decay, update_after_step=start_step, use_warmup=warmup,
            warmup_gamma=warmup_gamma, warmup_power=warmup_power,
        )  # fmt: skip

    def before_training(self, context: Context) -> None:
        """Check that averaging begins within the run.

        Raises:
            ConfigError: it does not; the single epoch of a quick run is no problem.
        """
        steps = context.epochs * context.steps_per_epoch
        if context.epochs > 1 and self.start_step + self.every_steps >= steps:
            raise ConfigError(
                f"train.hooks: ema: with start_step {self.start_step} and every_steps {self.every_steps}, nothing is averaged in "
                f"the {steps} steps of this run. Set smaller ones, or more epochs."
            )

    def before_epoch(self, training: Training) -> None:
        """Select the average for validation."""
        training.scored = self.average.module

    def after_step(self, training: Training) -> None:
        """Move the average towards the weights, if it is due."""
        if training.n_updates % self.every_steps == 0:
            is_first = training.n_updates <= self.start_step + self.every_steps
            decay = 0.0 if is_first else self.average.get_decay(training.n_updates) ** self.every_steps
            averaged = self.buffers == "average"
            update = self.average.apply_update_ if averaged else self.average.apply_update_no_buffers_
            with torch.no_grad():
                update(self.network, decay)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the average."""
        return dict(self.average.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the average."""
        self.average.load_state_dict(state_dict)
