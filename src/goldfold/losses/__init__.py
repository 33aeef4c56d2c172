"""Losses by name; each kind of prediction has a module with its LOSSES."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from goldfold.runtime.errors import unknown

Loss = Callable[..., Tensor]


def combined(losses: Mapping[str, Loss], wanted: str | Mapping[str, float]) -> Loss:
    """One loss by name, or the weighted sum of several.

    Args:
        losses: those to choose from; all take the same arguments.
        wanted: name, or weight by name.
    """
    shares = {wanted: 1.0} if isinstance(wanted, str) else dict(wanted)
    for name in shares:
        if name not in losses:
            raise unknown("loss", name, losses)

    def total(*arguments: Any) -> Tensor:
        parts = [weight * losses[name](*arguments) for name, weight in shares.items()]
        return sum(parts[1:], parts[0])

    return total
