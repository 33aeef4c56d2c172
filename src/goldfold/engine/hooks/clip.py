"""Gradient clipping."""

from torch import nn

from goldfold.base.errors import ConfigError
from goldfold.engine.hooks import Hook
from goldfold.engine.state import Training


class Clip(Hook):
    """Scales the gradient down to a maximum norm (Pascanu et al. 2013)."""

    def __init__(self, network: nn.Module, norm: float) -> None:
        """``norm``: maximum L2 norm of all gradients together."""
        if not norm > 0:
            raise ConfigError(f"norm = {norm:g}: must be above 0")
        self.network, self.norm = network, norm

    def before_step(self, training: Training) -> None:
        """Clip the gradient."""
        nn.utils.clip_grad_norm_(self.network.parameters(), self.norm)


class ClipValue(Hook):
    """Clips each element of the gradient."""

    def __init__(self, network: nn.Module, value: float) -> None:
        """``value``: maximum absolute value of an element."""
        if not value > 0:
            raise ConfigError(f"value = {value:g}: must be above 0")
        self.network, self.value = network, value

    def before_step(self, training: Training) -> None:
        """Clip the gradient."""
        nn.utils.clip_grad_value_(self.network.parameters(), self.value)
