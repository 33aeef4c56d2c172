"""Losses, with a module per kind of target."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from goldfold import components


@dataclass(frozen=True)
class Losses:
    """A loss and its parts, which sum to it.

    >>> import torch
    >>> loss = Losses(torch.tensor([1.0, 3.0]), {"dice": torch.tensor([0.5, 2.0]), "ce": torch.tensor([0.5, 1.0])})
    >>> loss.map(torch.mean)
    Losses(total=tensor(2.), parts={'dice': tensor(1.2500), 'ce': tensor(0.7500)})
    """

    total: Tensor
    """The loss that is minimised."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Weighted parts by name, with the same names for every batch; empty for a single loss. They are only reported in the
    history, and no gradient passes through them."""

    def map(self, function: Callable[[Tensor], Tensor]) -> "Losses":
        """Apply a function to the total and to each part."""
        return Losses(function(self.total), {name: function(part.detach()) for name, part in self.parts.items()})


def summed(losses: Sequence[Losses]) -> Losses:
    """Sum one loss over several groups of samples."""
    first, *others = losses
    parts = {name: sum((other.parts[name] for other in others), part) for name, part in first.parts.items()}
    return Losses(sum((other.total for other in others), first.total), parts)


def combined(entries: Mapping[str, str], wanted: components.Several) -> Callable[..., Losses]:
    """Build one loss, or the weighted sum of several.

    Args:
        entries: available losses by name, all with the same arguments; user-defined losses may be given too.
        wanted: as the config's ``train.loss``.
    """
    chosen = [
        (components.label(part), components.load(part, entries, "loss"), weight)
        for part, weight in components.summed(wanted)
    ]

    def total(*arguments: object) -> Losses:
        values = [(name, weight * loss(*arguments)) for name, loss, weight in chosen]
        parts: dict[str, Tensor] = {}
        for name, value in values if len(values) > 1 else []:
            parts[name] = parts[name] + value.detach() if name in parts else value.detach()
        return Losses(sum((value for _, value in values[1:]), values[0][1]), parts)

    return total
