"""Losses as a config writes them; each kind of target has a module of them."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from goldfold import components

Loss = Callable[..., Tensor]


def combined(entries: Mapping[str, str], wanted: components.Several) -> Loss:
    """One loss by name, or the weighted sum of several.

    Args:
        entries: those to choose from, besides the user's own; all take the same arguments.
        wanted: as the config's ``train.loss``.
    """
    losses = [(components.load(part, entries, "loss"), weight) for part, weight in components.summed(wanted)]

    def total(*arguments: Any) -> Tensor:
        parts = [weight * loss(*arguments) for loss, weight in losses]
        return sum(parts[1:], parts[0])

    return total
