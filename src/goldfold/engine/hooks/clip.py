"""Gradient clipping."""

from torch import nn

from goldfold.engine.hooks import Hook
from goldfold.engine.hooks.checks import positive
from goldfold.engine.state import Training


class Clip(Hook):
    """Scales the gradient down to a maximum norm (Pascanu et al. 2013)."""

    def __init__(self, network: nn.Module, norm: float) -> None:
        """``norm``: maximum L2 norm of all gradients together."""
        positive(norm=norm)
        self.network, self.norm = network, norm

    def before_step(self, training: Training) -> None:
        """Clip the gradient."""
        nn.utils.clip_grad_norm_(self.network.parameters(), self.norm)


class ClipValue(Hook):
    """Clips each element of the gradient."""

    def __init__(self, network: nn.Module, value: float) -> None:
        """``value``: maximum absolute value of an element."""
        positive(value=value)
        self.network, self.value = network, value

    def before_step(self, training: Training) -> None:
        """Clip the gradient."""
        nn.utils.clip_grad_value_(self.network.parameters(), self.value)
