"""Adaptive gradient clipping."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from goldfold.base.errors import ConfigError, shown
from goldfold.engine.hooks import Hook
from goldfold.engine.hooks.checks import positive
from goldfold.engine.parts import output_layers
from goldfold.engine.state import Training

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
"""Layers whose weights have the units in the second dimension."""


class Agc(Hook):
    """Clips the gradient of each unit relative to the norm of its weights (Brock et al. 2021, eq. 3), by timm.

    A unit is a row of a linear layer or a filter; a bias, or the scales of a norm, is one unit. The last layer is left alone.
    """

    def __init__(
        self, network: nn.Module, factor: float = 0.01, eps: float = 1e-3, exclude: Sequence[str] | None = None
    ) -> None:
        """Find the parameters to clip.

        Args:
            factor: maximum norm of a unit's gradient over that of its weights.
            eps: least norm of the weights, so that units of 0 can grow.
            exclude: beginnings of the names of parameters that are left alone, by default those of the last layer.

        Raises:
            ConfigError: a number is not above 0, or the last layer is not known.
        """
        positive(factor=factor, eps=eps)
        layers = [layer for layer in network.modules() if isinstance(layer, TRANSPOSED) and layer.groups == 1]
        transposed = {id(layer.weight) for layer in layers}
        left = _excluded(network, exclude)
        self.factor, self.eps = factor, eps
        self.parameters: list[Any] = [
            _Transposed(value) if id(value) in transposed else value
            for name, value in network.named_parameters()
            if name not in left
        ]

    def before_step(self, training: Training) -> None:
        """Clip the gradient."""
        from timm.utils.agc import adaptive_clip_grad

        adaptive_clip_grad(self.parameters, self.factor, self.eps)


class _Transposed:
    """A weight, and its gradient, with the first two dimensions swapped."""

    def __init__(self, weight: nn.Parameter) -> None:
        self.weight = weight

    def detach(self) -> Tensor:
        return self.weight.detach().transpose(0, 1)

    @property
    def grad(self) -> Tensor | None:
        return None if self.weight.grad is None else self.weight.grad.transpose(0, 1)


def _excluded(network: nn.Module, exclude: Sequence[str] | None) -> set[str]:
    """Return the names of the parameters that are not clipped."""
    names = [name for name, _ in network.named_parameters()]
    if exclude is None:
        if found := output_layers(network):
            return found
        raise ConfigError(
            "the last layer of this network, which is not clipped, is not known. Name it, e.g. exclude: [network.head], or "
            "set exclude: [] to clip all"
        )
    for start in exclude:
        if not any(name.startswith(start) for name in names):
            raise ConfigError(f"exclude: no parameter begins with {shown(start)}; the last is {names[-1]!r}")
    return {name for name in names if name.startswith(tuple(exclude))}
