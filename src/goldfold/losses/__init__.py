"""Losses as a config writes them; each kind of target has a module of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from goldfold import components


@dataclass(frozen=True)
class Losses:
    """A loss, and the parts that it is the sum of.

    >>> import torch
    >>> loss = Losses(torch.tensor([1.0, 3.0]), {"dice": torch.tensor([0.5, 2.0]), "ce": torch.tensor([0.5, 1.0])})
    >>> loss.map(torch.mean)
    Losses(total=tensor(2.), parts={'dice': tensor(1.2500), 'ce': tensor(0.7500)})
    """

    total: Tensor
    """What is minimised."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """By name, each with its weight in the sum; empty where there is one alone. Names are the same for every batch. Only
    the history shows them: no gradient goes through them."""

    def map(self, function: Callable[[Tensor], Tensor]) -> "Losses":
        """The same function of the total and of each part."""
        return Losses(function(self.total), {name: function(part.detach()) for name, part in self.parts.items()})


def summed(losses: Sequence[Losses]) -> Losses:
    """Sum of one loss on several groups of samples."""
    first, *others = losses
    parts = {name: sum((other.parts[name] for other in others), part) for name, part in first.parts.items()}
    return Losses(sum((other.total for other in others), first.total), parts)


def combined(entries: Mapping[str, str], wanted: components.Several) -> Callable[..., Losses]:
    """One loss by name, or the weighted sum of several.

    Args:
        entries: those to choose from, besides the user's own; all take the same arguments.
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
