"""Exponential moving average of the weights."""

from typing import Any

from torch import nn

from goldfold.base.errors import ConfigError
from goldfold.engine.hooks import Hook
from goldfold.engine.state import Training


class Ema(Hook):
    """Averages weights and buffers (timm's ModelEmaV3, with warm-up of the decay); the average is validated and saved."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        """``decay``: between 0 and 1, exclusive."""
        from timm.utils import ModelEmaV3

        if not 0 < decay < 1:
            raise ConfigError(f"decay = {decay:g}: must lie between 0 and 1")
        self.network = network
        self.average = ModelEmaV3(network, decay=decay, use_warmup=True, warmup_power=0.75)

    def before_epoch(self, training: Training) -> None:
        """Select the average for validation."""
        training.scored = self.average.module

    def after_step(self, training: Training) -> None:
        """Move the average towards the weights."""
        self.average.update(self.network, step=training.n_updates)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the average."""
        return dict(self.average.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the average."""
        self.average.load_state_dict(state_dict)
