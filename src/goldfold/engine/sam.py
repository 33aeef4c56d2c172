"""Sharpness-aware minimisation, an update rule."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from goldfold.base.errors import ConfigError, shown
from goldfold.engine.updates import Losses

TINY = 1e-12
"""Added to the norm, for a gradient of 0."""


def sam(
    network: nn.Module,
    gradient: Callable[[], Losses],
    step: Callable[[], None],
    rho: float = 0.05,
    adaptive: bool = False,
    eta: float = 0.01,
) -> Losses:
    """Step with the gradient at the worst point within ``rho`` of the weights (SAM, Foret et al. 2021, eq. 2; ASAM).

    Two passes per step, over the same samples with the same draws. The norm is that of the gradients of all parameters
    together.

    Args:
        rho: radius; about ten times as large if adaptive.
        adaptive: measure distances relative to each weight (ASAM, Kwon et al. 2021), biases as they are.
        eta: added to the sizes of the weights, if adaptive.
    """
    for name, number in (("rho", rho), ("eta", eta)):
        if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
            raise ConfigError(f"{name} = {shown(number)}: must be a number above 0")
    losses = gradient()
    moved = {name: value for name, value in network.named_parameters() if value.grad is not None}
    before = [value.detach().clone() for value in moved.values()]
    with torch.no_grad():
        for value, climb in zip(moved.values(), _climbs(moved, rho, eta if adaptive else None), strict=True):
            value.add_(climb)
    gradient()
    with torch.no_grad():
        for value, kept in zip(moved.values(), before, strict=True):
            value.copy_(kept)
    step()
    return losses


def _climbs(parameters: dict[str, nn.Parameter], rho: float, eta: float | None) -> list[Tensor]:
    """Return the way from the weights to the worst point nearby: along T^2 g, with T = 1, or T = |w| + eta if adaptive."""
    gradients = [value.grad for value in parameters.values() if value.grad is not None]
    sizes: list[Tensor | float] = [
        1.0 if eta is None or name.endswith("bias") else value.detach().abs() + eta
        for name, value in parameters.items()
    ]
    scaled = [size * grad for size, grad in zip(sizes, gradients, strict=True)]
    norm = torch.stack([one.norm(dtype=torch.float32) for one in scaled]).norm()
    return [rho * size * one / (norm + TINY) for size, one in zip(sizes, scaled, strict=True)]
